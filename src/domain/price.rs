//! Price books: what a unit of a meter costs, under a plan, from when on. A book is whole and never changes; the one that
//! begins last counts, so a price that is asked for at any time of use has one answer.
//!
//! It says what a quantity costs ([`Rule::charge`]), not how the quantity comes about; that is [`super::rating`].

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::Zero as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::decimal::{Decimal, Exact};
use super::meter::{INSTANCE, SETUP, WORD_MAX};
use crate::clock::Time;

/// Rules of one book.
pub const RULES_MAX: usize = 10_000;
/// Tiers of one rule.
pub const TIERS_MAX: usize = 100;
/// Characters of a reason.
pub const REASON_MAX: usize = 255;

/// A price book as it is kept: immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceBook {
    /// For ever the same.
    pub id: String,
    /// What it says.
    pub document: BookDocument,
    /// Since when it is known.
    pub created_at: Time,
}

/// What a price book says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BookDocument {
    /// ISO 4217, such as `EUR`. All books of a hub have the same one.
    pub currency: String,
    /// From when on it takes the place of the book before it.
    #[schema(value_type = String, format = DateTime)]
    pub effective_from: Time,
    /// What has no rule has no price.
    pub rules: Vec<Rule>,
}

/// What one meter costs under one plan, or under all plans of an offering that have no rule of their own for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// By its name in the merged catalog.
    pub offering: String,
    /// By its name; all plans of the offering where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// By its key. Where absent: `setup` of a one-time price, else `instance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<String>,
    /// How the price follows from the quantity.
    pub model: Model,
    /// The price: of the period (`flat`), of each time (`one_time`), of a unit (`per_unit`), of a package (`package`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub amount: Option<Decimal>,
    /// For which time the amount is meant, where the quantity grows with time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Per>,
    /// How a part of that time counts; `second` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proration: Option<Proration>,
    /// Of `graduated` and `volume`, in ascending order; the last one has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiers: Option<Vec<Tier>>,
    /// Units in a package; a package that is begun is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub package_size: Option<Decimal>,
    /// How much of each month costs nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub free_quantity: Option<Decimal>,
    /// Why it costs nothing; `free` only, and there it must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a price follows from a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// So much for each period for which an instance stands.
    Flat,
    /// So much once, when an instance is provisioned.
    OneTime,
    /// So much for each unit.
    PerUnit,
    /// Each tier's units at that tier's price.
    Graduated,
    /// All units at the price of the tier that the month's quantity reaches.
    Volume,
    /// So much for each package that is begun.
    Package,
    /// Nothing, for a reason.
    Free,
}

/// A time that a price is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// 3600 seconds.
    Hour,
    /// A day of the tenant's calendar.
    Day,
    /// A month of the tenant's calendar.
    Month,
}

/// How a part of a period counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proration {
    /// By the time that it took, exactly.
    Second,
    /// Each hour that was begun counts as a whole one.
    StartedHour,
}

/// Units up to a quantity, and what each costs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The highest quantity that is in it; `null` in the last one.
    #[schema(value_type = Option<String>)]
    pub up_to: Option<Decimal>,
    /// What one unit costs.
    #[schema(value_type = String)]
    pub unit_price: Decimal,
}

impl Rule {
    /// The meter that it is for.
    pub fn meter(&self) -> &str {
        self.meter.as_deref().unwrap_or(if self.model == Model::OneTime { SETUP } else { INSTANCE })
    }

    /// What so many units of one month cost altogether. The units are those of the meter, or of [`Self::per`].
    pub fn charge(&self, quantity: &Exact) -> Exact {
        // Whole numbers only, as fractions of this denominator: it is reduced once, at the end, which is what takes time.
        let denominator = quantity.denom() * Decimal::ONE_UNITS;
        let scaled = |decimal: Decimal| quantity.denom() * decimal.units();
        let over = quantity.numer() * Decimal::ONE_UNITS - scaled(self.free_quantity.unwrap_or_default());
        let paid = over.max(BigInt::ZERO);
        let amount = self.amount.unwrap_or_default().units();
        let tiers = || self.tiers.iter().flatten().map(|tier| (tier.up_to.map(scaled), tier.unit_price.units()));
        // In units of a price times what `paid` is in.
        let sum = match self.model {
            Model::Free => return Exact::zero(),
            Model::Flat | Model::OneTime | Model::PerUnit => paid * amount,
            Model::Package => match scaled(self.package_size.unwrap_or_default()) {
                size if size.is_zero() => return Exact::zero(),
                size => Integer::div_ceil(&paid, &size) * amount * &denominator,
            },
            Model::Graduated => {
                let (mut sum, mut below) = (BigInt::ZERO, BigInt::ZERO);
                for (up_to, price) in tiers() {
                    let top = up_to.map_or_else(|| paid.clone(), |up_to| up_to.min(paid.clone()));
                    if top > below {
                        sum += (&top - &below) * price;
                        below = top;
                    }
                }
                sum
            }
            Model::Volume => {
                let tier = tiers().find(|(up_to, _)| up_to.as_ref().is_none_or(|up_to| paid <= *up_to));
                paid * tier.map_or(0, |(_, price)| price)
            }
        };
        Exact::new(sum, denominator * Decimal::ONE_UNITS)
    }

    fn problems(&self, pointer: &str, found: &mut Vec<(String, String)>) {
        let mut wrong = |below: &str, message: &str| found.push((format!("{pointer}{below}"), message.to_owned()));
        let word = |text: &str| !text.is_empty() && text.chars().count() <= 255 && !text.chars().any(char::is_control);
        if !word(&self.offering) {
            wrong("/offering", "must be the name of an offering");
        }
        if self.plan.as_ref().is_some_and(|plan| !word(plan)) {
            wrong("/plan", "must be the name of a plan; leave it out for all plans of the offering");
        }
        let meter = self.meter();
        if meter.is_empty() || meter.chars().count() > WORD_MAX {
            wrong("/meter", "must be the key of a meter, `instance` or `setup`");
        }
        match self.model {
            Model::Flat if meter != INSTANCE => wrong("/meter", "a flat price is for the meter `instance`"),
            Model::OneTime if meter != SETUP => wrong("/meter", "a one-time price is for the meter `setup`"),
            _ => {}
        }
        let priced = matches!(self.model, Model::Flat | Model::OneTime | Model::PerUnit | Model::Package);
        match (priced, self.amount) {
            (true, None) => wrong("/amount", "is missing"),
            (false, Some(_)) => wrong("/amount", "does not belong to this model"),
            (true, Some(amount)) if amount < Decimal::ZERO => wrong("/amount", "must not be negative"),
            _ => {}
        }
        if self.model == Model::Flat && self.per.is_none() {
            wrong("/per", "a flat price needs the period that it is for: hour, day or month");
        }
        if self.per.is_some() && (meter == SETUP || matches!(self.model, Model::OneTime | Model::Free)) {
            wrong("/per", "does not belong to this price");
        }
        if self.proration.is_some() && (meter != INSTANCE || self.model == Model::Free) {
            wrong("/proration", "belongs to prices of the meter `instance`");
        }
        self.tier_problems(&mut wrong);
        match (self.model == Model::Package, self.package_size) {
            (true, None) => wrong("/package_size", "is missing"),
            (true, Some(size)) if size <= Decimal::ZERO => wrong("/package_size", "must be more than 0"),
            (false, Some(_)) => wrong("/package_size", "belongs to the model `package`"),
            _ => {}
        }
        match self.free_quantity {
            Some(free) if free < Decimal::ZERO => wrong("/free_quantity", "must not be negative"),
            Some(_) if matches!(self.model, Model::Flat | Model::OneTime | Model::Free) => {
                wrong("/free_quantity", "does not belong to this model");
            }
            _ => {}
        }
        match (self.model == Model::Free, self.reason.as_deref().map(str::trim)) {
            (true, None | Some("")) => wrong("/reason", "what is free says why"),
            (false, Some(_)) => wrong("/reason", "belongs to the model `free`"),
            (_, Some(reason)) if reason.chars().count() > REASON_MAX => {
                wrong("/reason", "is longer than 255 characters")
            }
            _ => {}
        }
    }

    fn tier_problems(&self, wrong: &mut impl FnMut(&str, &str)) {
        let tiered = matches!(self.model, Model::Graduated | Model::Volume);
        let tiers = match (tiered, self.tiers.as_deref()) {
            (true, Some(tiers @ [_, ..])) => tiers,
            (true, _) => return wrong("/tiers", "must hold at least one tier"),
            (false, Some(_)) => return wrong("/tiers", "belong to the models `graduated` and `volume`"),
            (false, None) => return,
        };
        if tiers.len() > TIERS_MAX {
            wrong("/tiers", "has more than 100 tiers");
        }
        let mut below = Decimal::ZERO;
        for (index, tier) in tiers.iter().enumerate() {
            if tier.unit_price < Decimal::ZERO {
                wrong(&format!("/tiers/{index}/unit_price"), "must not be negative");
            }
            match (tier.up_to, index + 1 == tiers.len()) {
                (None, true) => {}
                (None, false) => wrong(&format!("/tiers/{index}/up_to"), "only the last tier has no end"),
                (Some(_), true) => wrong(&format!("/tiers/{index}/up_to"), "the last tier must have no end: null"),
                (Some(up_to), false) if up_to <= below => {
                    wrong(&format!("/tiers/{index}/up_to"), "must be more than that of the tier before");
                }
                (Some(up_to), false) => below = up_to,
            }
        }
    }
}

impl BookDocument {
    /// Everything that is wrong with it, as (JSON pointer, message); empty where it is fine.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            found.push((
                "/currency".to_owned(),
                "must be a currency's three letters of ISO 4217, such as EUR".to_owned(),
            ));
        }
        if self.rules.len() > RULES_MAX {
            found.push(("/rules".to_owned(), format!("has more than {RULES_MAX} rules")));
            return found;
        }
        let mut seen = std::collections::HashMap::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let pointer = format!("/rules/{index}");
            rule.problems(&pointer, &mut found);
            let what = (rule.offering.as_str(), rule.plan.as_deref(), rule.meter());
            if let Some(first) = seen.insert(what, index) {
                found.push((pointer, format!("is for the same plan and meter as rule {first}")));
            }
        }
        found
    }

    /// The rule for a plan's meter: the plan's own, else the offering's.
    pub fn rule(&self, offering: &str, plan: &str, meter: &str) -> Option<&Rule> {
        let mut found = None;
        for rule in self.rules.iter().filter(|rule| rule.offering == offering && rule.meter() == meter) {
            match &rule.plan {
                Some(own) if own == plan => return Some(rule),
                Some(_) => {}
                None => found = Some(rule),
            }
        }
        found
    }
}

/// The book that counts at an instant: of those that have begun the one that began last, and of those that began together the one
/// that was made last.
pub fn in_force(books: &[PriceBook], at: Time) -> Option<&PriceBook> {
    let begun = books.iter().filter(|book| book.document.effective_from <= at);
    begun.max_by_key(|book| (book.document.effective_from, book.created_at, book.id.as_str()))
}

/// When another book comes into force next, by time alone.
pub fn next_change(books: &[PriceBook], after: Time) -> Option<Time> {
    books.iter().map(|book| book.document.effective_from).filter(|from| *from > after).min()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::decimal::{plain, read};

    fn rule(mut more: Value) -> Rule {
        let mut rule = json!({"offering": "o", "plan": "p"});
        rule.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
        serde_json::from_value(rule).unwrap()
    }

    #[track_caller]
    fn costs(rule: &Rule, expected: &[(&str, &str)]) {
        for (quantity, amount) in expected {
            assert_eq!(plain(&rule.charge(&read(quantity).unwrap())), *amount, "{quantity} by {rule:?}");
        }
    }

    #[test]
    fn each_model_charges_as_it_is_named() {
        let tiers = json!([{"up_to": "100", "unit_price": "0.05"}, {"up_to": null, "unit_price": "0.03"}]);
        costs(&rule(json!({"model": "per_unit", "amount": "0.1", "meter": "m"})), &[("0", "0"), ("2.5", "0.25")]);
        costs(&rule(json!({"model": "flat", "amount": "99", "per": "month"})), &[("0.5", "49.5"), ("1", "99")]);
        costs(&rule(json!({"model": "one_time", "amount": "20"})), &[("0", "0"), ("1", "20")]);
        costs(&rule(json!({"model": "free", "reason": "pilot"})), &[("1000", "0")]);
        costs(
            &rule(json!({"model": "graduated", "meter": "m", "tiers": tiers})),
            &[("0", "0"), ("100", "5"), ("101", "5.03"), ("200", "8")],
        );
        costs(
            &rule(json!({"model": "volume", "meter": "m", "tiers": tiers})),
            &[("0", "0"), ("100", "5"), ("101", "3.03"), ("200", "6")],
        );
        costs(
            &rule(json!({"model": "package", "meter": "m", "amount": "3", "package_size": "10"})),
            &[("0", "0"), ("0.1", "3"), ("10", "3"), ("10.1", "6")],
        );
        costs(
            &rule(json!({"model": "graduated", "meter": "m", "tiers": tiers, "free_quantity": "50"})),
            &[("50", "0"), ("150", "5"), ("151", "5.03")],
        );
    }

    #[track_caller]
    fn refused(more: Value, pointer: &str) {
        let document = BookDocument { currency: "EUR".to_owned(), effective_from: Time(0), rules: vec![rule(more)] };
        let found = document.problems();
        assert!(found.iter().any(|(at, _)| at == &format!("/rules/0{pointer}")), "{pointer}: {found:?}");
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_pointed_at() {
        refused(json!({"model": "per_unit", "meter": "m"}), "/amount");
        refused(json!({"model": "per_unit", "meter": "m", "amount": "-1"}), "/amount");
        refused(json!({"model": "flat", "amount": "1"}), "/per");
        refused(json!({"model": "flat", "amount": "1", "per": "month", "meter": "m"}), "/meter");
        refused(json!({"model": "one_time", "amount": "1", "meter": "instance"}), "/meter");
        refused(json!({"model": "one_time", "amount": "1", "per": "day"}), "/per");
        refused(json!({"model": "graduated", "meter": "m"}), "/tiers");
        refused(
            json!({"model": "graduated", "meter": "m", "tiers": [{"up_to": "1", "unit_price": "1"}]}),
            "/tiers/0/up_to",
        );
        refused(
            json!({"model": "volume", "meter": "m", "amount": "1", "tiers": [{"up_to": null, "unit_price": "1"}]}),
            "/amount",
        );
        let tiers = json!([{"up_to": "5", "unit_price": "1"}, {"up_to": "5", "unit_price": "1"}, {"up_to": null, "unit_price": "-1"}]);
        refused(json!({"model": "volume", "meter": "m", "tiers": tiers}), "/tiers/1/up_to");
        refused(json!({"model": "volume", "meter": "m", "tiers": tiers}), "/tiers/2/unit_price");
        refused(json!({"model": "package", "meter": "m", "amount": "1"}), "/package_size");
        refused(json!({"model": "package", "meter": "m", "amount": "1", "package_size": "0"}), "/package_size");
        refused(json!({"model": "free"}), "/reason");
        refused(json!({"model": "per_unit", "meter": "m", "amount": "1", "proration": "started_hour"}), "/proration");
        refused(json!({"model": "flat", "amount": "1", "per": "day", "free_quantity": "1"}), "/free_quantity");
    }

    #[test]
    fn the_book_that_began_last_counts_and_a_plans_own_rule_before_its_offerings() {
        let book = |id: &str, from: i64, made: i64, rules: Vec<Rule>| PriceBook {
            id: id.to_owned(),
            document: BookDocument { currency: "EUR".to_owned(), effective_from: Time(from), rules },
            created_at: Time(made),
        };
        let books =
            [book("a", 10, 1, vec![]), book("b", 20, 2, vec![]), book("c", 20, 3, vec![]), book("d", 15, 9, vec![])];
        let at = |time: i64| in_force(&books, Time(time)).map(|book| book.id.as_str());
        assert_eq!([at(9), at(10), at(15), at(20), at(99)], [None, Some("a"), Some("d"), Some("c"), Some("c")]);
        let next = |time: i64| next_change(&books, Time(time)).map(|time| time.0);
        assert_eq!([next(9), next(10), next(15), next(20)], [Some(10), Some(15), Some(20), None]);

        let mut all = rule(json!({"model": "flat", "amount": "1", "per": "day"}));
        all.plan = None;
        let own = rule(json!({"model": "flat", "amount": "2", "per": "day"}));
        let document = BookDocument { currency: "EUR".to_owned(), effective_from: Time(0), rules: vec![all, own] };
        assert_eq!(document.problems(), []);
        let amount = |plan: &str| {
            document.rule("o", plan, "instance").and_then(|rule| rule.amount).map(|amount| amount.to_string())
        };
        assert_eq!([amount("p"), amount("q")], [Some("2".to_owned()), Some("1".to_owned())]);
        assert_eq!(document.rule("x", "p", "instance"), None);
        let twice = BookDocument { rules: vec![document.rules[1].clone(), document.rules[1].clone()], ..document };
        assert_eq!(twice.problems()[0].0, "/rules/1");
    }
}
