//! What plans cost by one price book: for people in words, and for platforms as `metadata.costs` of a catalog, the form of the OSB
//! profile.
//!
//! It computes no charge; that is [`super::price`]. Amounts are written as the book has them, digit by digit, never as a float.

use std::collections::HashMap;

use serde_json::{Number, Value, json};

use super::decimal::Decimal;
use super::meter::{Aggregation, INSTANCE, Meter, SETUP};
use super::price::{Model, Per, PriceBook, Proration, Rule, Tier};
use crate::clock::Time;

/// Entries of one plan's `metadata.costs`: more would be read by nobody, and a tier too many must not push a catalog over a
/// platform's limits.
pub const COSTS_MAX: usize = 100;

/// A price book by offering, for finding a plan's rules at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tariffs {
    /// The book's id.
    pub book: String,
    /// The book's currency.
    pub currency: String,
    /// Since when it counts.
    pub effective_from: Time,
    offerings: HashMap<String, Vec<Rule>>,
}

/// What one meter costs under one plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The meter's key, `instance` or `setup`.
    pub meter: String,
    /// What one of the price's units is, such as `month`, `GB` or `GB·month`.
    pub unit: String,
    /// The rule.
    pub rule: Rule,
    /// One unit, in the words of a sentence.
    each: String,
}

/// Whether the quantity of a meter grows with the time for which a level holds.
pub fn grows_with_time(meter: &Meter) -> bool {
    meter.aggregation == Aggregation::TimeWeighted
}

impl Per {
    fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// What one unit of a rule's quantity is. `meter` is the plan's, for all but the hub's own meters.
pub fn unit(rule: &Rule, meter: Option<&Meter>) -> String {
    match (rule.meter(), meter) {
        (SETUP, _) => "setup".to_owned(),
        (INSTANCE, _) => rule.per.map_or("second", Per::word).to_owned(),
        (_, Some(meter)) if grows_with_time(meter) => {
            format!("{}·{}", meter.unit, rule.per.map_or("hour", Per::word))
        }
        (_, Some(meter)) => meter.unit.clone(),
        (_, None) => "unit".to_owned(),
    }
}

fn each(rule: &Rule, meter: Option<&Meter>) -> String {
    match meter {
        Some(meter) if grows_with_time(meter) => {
            format!("{} ({}) and {}", meter.unit, meter.key, rule.per.map_or("hour", Per::word))
        }
        Some(meter) => format!("{} ({})", meter.unit, meter.key),
        None => unit(rule, None),
    }
}

impl Tariffs {
    /// A book's.
    pub fn new(book: &PriceBook) -> Self {
        let mut offerings: HashMap<String, Vec<Rule>> = HashMap::new();
        for rule in &book.document.rules {
            offerings.entry(rule.offering.clone()).or_default().push(rule.clone());
        }
        Self {
            book: book.id.clone(),
            currency: book.document.currency.clone(),
            effective_from: book.document.effective_from,
            offerings,
        }
    }

    /// All that it says of an offering.
    pub fn rules(&self, offering: &str) -> &[Rule] {
        self.offerings.get(offering).map(Vec::as_slice).unwrap_or_default()
    }

    /// The rule for a plan's meter, as [`super::price::BookDocument::rule`] has it.
    pub fn rule(&self, offering: &str, plan: &str, meter: &str) -> Option<&Rule> {
        let rules = self.offerings.get(offering)?.iter().filter(|rule| rule.meter() == meter);
        let mut found = None;
        for rule in rules {
            match &rule.plan {
                Some(own) if own == plan => return Some(rule),
                Some(_) => {}
                None => found = Some(rule),
            }
        }
        found
    }

    /// What a plan with those meters costs: `instance`, `setup`, then its meters in their order; empty where the book says
    /// nothing of it.
    pub fn lines(&self, offering: &str, plan: &str, meters: &[Meter]) -> Vec<Line> {
        if !self.offerings.contains_key(offering) {
            return Vec::new();
        }
        let own = [(INSTANCE, None), (SETUP, None)].into_iter();
        let declared = meters.iter().map(|meter| (meter.key.as_str(), Some(meter)));
        let line = |(key, meter): (&str, Option<&Meter>)| {
            let rule = self.rule(offering, plan, key)?.clone();
            Some(Line { meter: key.to_owned(), unit: unit(&rule, meter), each: each(&rule, meter), rule })
        };
        own.chain(declared).filter_map(line).collect()
    }

    /// `metadata.costs` of a plan; `None` where the book says nothing of it.
    pub fn costs(&self, offering: &str, plan: &str, meters: &[Meter]) -> Option<Value> {
        let lines = self.lines(offering, plan, meters);
        let currency = self.currency.to_lowercase();
        let mut costs: Vec<Value> = Vec::new();
        for (amount, unit) in lines.iter().flat_map(Line::prices) {
            costs.push(json!({ "amount": { currency.as_str(): number(amount) }, "unit": unit }));
        }
        costs.truncate(COSTS_MAX);
        Some(costs).filter(|costs| !costs.is_empty()).map(Value::from)
    }
}

/// A JSON number with the digits of the decimal one, and a point: whoever reads it as a float expects one.
fn number(amount: Decimal) -> Value {
    let text = amount.to_string();
    let text = if text.contains('.') { text } else { format!("{text}.0") };
    text.parse::<Number>().map_or(Value::Null, Value::Number)
}

impl Line {
    /// The price in one sentence.
    pub fn words(&self, currency: &str) -> String {
        let Self { rule, each, .. } = self;
        let amount = rule.amount.unwrap_or_default();
        let mut words = match rule.model {
            Model::Free => {
                let what = if self.meter == INSTANCE { String::new() } else { format!("{each}: ") };
                format!("{what}free, {}", rule.reason.as_deref().unwrap_or_default())
            }
            Model::OneTime => format!("{amount} {currency} once, when it is provisioned"),
            Model::Flat | Model::PerUnit => format!("{amount} {currency} per {each}"),
            Model::Package => {
                let size = rule.package_size.unwrap_or_default();
                format!("{amount} {currency} for each package of {size} {each} that is begun")
            }
            Model::Graduated => {
                let tier = |tier: &Tier| match tier.up_to {
                    Some(up_to) => format!("{} {currency} up to {up_to}", tier.unit_price),
                    None => format!("{} {currency} beyond", tier.unit_price),
                };
                format!("per {each}: {}", joined(rule, tier))
            }
            Model::Volume => {
                let tier = |tier: &Tier| match tier.up_to {
                    Some(up_to) => format!("{} {currency} in a month of up to {up_to}", tier.unit_price),
                    None => format!("{} {currency} in a month of more", tier.unit_price),
                };
                format!("per {each}, for all of them: {}", joined(rule, tier))
            }
        };
        if let Some(free) = rule.free_quantity.filter(|free| *free > Decimal::ZERO) {
            words.push_str(&format!("; the first {free} of each month are free"));
        }
        if rule.proration == Some(Proration::StartedHour) {
            words.push_str("; each hour that is begun counts as a whole one");
        }
        words
    }

    /// The price as amounts and what each is for: the words `HOURLY`, `DAILY`, `MONTHLY` and `SETUP FEE` where they fit, which programs
    /// understand, and else the unit.
    fn prices(&self) -> Vec<(Decimal, String)> {
        let rule = &self.rule;
        let unit = match (self.meter.as_str(), rule.per) {
            (SETUP, _) => "SETUP FEE".to_owned(),
            (INSTANCE, Some(Per::Hour)) => "HOURLY".to_owned(),
            (INSTANCE, Some(Per::Day)) => "DAILY".to_owned(),
            (INSTANCE, Some(Per::Month)) => "MONTHLY".to_owned(),
            (INSTANCE, None) if rule.model == Model::Free => "MONTHLY".to_owned(),
            _ => self.each.clone(),
        };
        let free = rule.free_quantity.filter(|free| *free > Decimal::ZERO);
        let over = free.map_or_else(String::new, |free| format!(", over {free}"));
        let amount = rule.amount.unwrap_or_default();
        match rule.model {
            Model::Package => vec![(amount, format!("{} {unit}{over}", rule.package_size.unwrap_or_default()))],
            Model::Graduated | Model::Volume => {
                let mut below = None;
                let tiers = rule.tiers.iter().flatten().map(|tier| {
                    let range = match (below, tier.up_to) {
                        (_, Some(up_to)) => format!(", up to {up_to}"),
                        (Some(below), None) => format!(", over {below}"),
                        (None, None) => String::new(),
                    };
                    below = tier.up_to;
                    (tier.unit_price, format!("{unit}{range}{over}"))
                });
                tiers.collect()
            }
            Model::Flat | Model::OneTime | Model::PerUnit | Model::Free => vec![(amount, format!("{unit}{over}"))],
        }
    }
}

fn joined(rule: &Rule, tier: impl Fn(&Tier) -> String) -> String {
    rule.tiers.iter().flatten().map(tier).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tariffs(rules: Value) -> Tariffs {
        let document = json!({"currency": "EUR", "effective_from": "2026-01-01T00:00:00Z", "rules": rules});
        let document = serde_json::from_value(document).unwrap();
        Tariffs::new(&PriceBook { id: "b".to_owned(), document, created_at: Time(0) })
    }

    fn meters() -> Vec<Meter> {
        let plan = json!({"metadata": {"x-meters": [
            {"key": "gb", "kind": "gauge", "unit": "GB"}, {"key": "ops", "kind": "counter", "unit": "operation"},
        ]}});
        Meter::declared(&plan).0
    }

    /// What one rule is in a catalog, and in words.
    #[track_caller]
    fn check(mut rule: Value, costs: &str, words: &str) {
        rule["offering"] = json!("o");
        let tariffs = tariffs(json!([rule]));
        let shown = tariffs.costs("o", "p", &meters()).unwrap_or_default().to_string();
        assert_eq!(shown, costs);
        assert_eq!(tariffs.lines("o", "p", &meters())[0].words("EUR"), words);
    }

    #[test]
    fn each_model_is_said_in_numbers_and_in_words() {
        check(
            json!({"model": "flat", "amount": "99", "per": "month"}),
            r#"[{"amount":{"eur":99.0},"unit":"MONTHLY"}]"#,
            "99 EUR per month",
        );
        check(
            json!({"model": "flat", "amount": "0.002", "per": "hour", "proration": "started_hour"}),
            r#"[{"amount":{"eur":0.002},"unit":"HOURLY"}]"#,
            "0.002 EUR per hour; each hour that is begun counts as a whole one",
        );
        check(
            json!({"model": "one_time", "amount": "20.5"}),
            r#"[{"amount":{"eur":20.5},"unit":"SETUP FEE"}]"#,
            "20.5 EUR once, when it is provisioned",
        );
        check(
            json!({"model": "per_unit", "meter": "gb", "amount": "123456789012345678.000000000001", "per": "month"}),
            r#"[{"amount":{"eur":123456789012345678.000000000001},"unit":"GB (gb) and month"}]"#,
            "123456789012345678.000000000001 EUR per GB (gb) and month",
        );
        check(
            json!({"model": "package", "meter": "ops", "amount": "1", "package_size": "1000", "free_quantity": "500"}),
            r#"[{"amount":{"eur":1.0},"unit":"1000 operation (ops), over 500"}]"#,
            "1 EUR for each package of 1000 operation (ops) that is begun; the first 500 of each month are free",
        );
        let tiers = json!([{"up_to": "100", "unit_price": "0.05"}, {"up_to": null, "unit_price": "0.03"}]);
        let shown = r#"[{"amount":{"eur":0.05},"unit":"operation (ops), up to 100"},{"amount":{"eur":0.03},"unit":"operation (ops), over 100"}]"#;
        check(
            json!({"model": "graduated", "meter": "ops", "tiers": tiers}),
            shown,
            "per operation (ops): 0.05 EUR up to 100, 0.03 EUR beyond",
        );
        check(
            json!({"model": "volume", "meter": "ops", "tiers": tiers}),
            shown,
            "per operation (ops), for all of them: 0.05 EUR in a month of up to 100, 0.03 EUR in a month of more",
        );
        check(
            json!({"model": "free", "reason": "a pilot"}),
            r#"[{"amount":{"eur":0.0},"unit":"MONTHLY"}]"#,
            "free, a pilot",
        );
    }

    #[test]
    fn a_plan_without_a_rule_has_no_costs_and_one_with_many_tiers_has_not_too_many() {
        let tiers: Vec<_> = (1..=100).map(|up_to| json!({"up_to": up_to.to_string(), "unit_price": "1"})).collect();
        let rule = |plan: &str, meter: &str| json!({"offering": "o", "plan": plan, "meter": meter, "model": "volume", "tiers": tiers});
        let tariffs = tariffs(json!([rule("p", "gb"), rule("p", "ops"), rule("r", "undeclared")]));
        assert_eq!(tariffs.costs("o", "q", &meters()), None);
        assert_eq!(tariffs.costs("o", "r", &meters()), None, "nothing can be reported under it");
        assert_eq!(tariffs.costs("x", "p", &meters()), None);
        let costs = tariffs.costs("o", "p", &meters()).unwrap();
        assert_eq!(costs.as_array().map(Vec::len), Some(COSTS_MAX));
    }
}
