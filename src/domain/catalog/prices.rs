//! A price book held against the catalog: what it speaks of that is not there, and what is there that it does not speak of.
//!
//! Nothing found here refuses a book: a broker may be registered later than its prices are written, and what has no price is told
//! as unpriced where it is used.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Merged, Severity, State};
use crate::domain::meter::{INSTANCE, Meter, SETUP};
use crate::domain::name::nearest;
use crate::domain::price::{BookDocument, Rule};
use crate::domain::tariff::{Tariffs, grows_with_time};

/// Findings of one book; the last one says how many more there are.
pub const FINDINGS_MAX: usize = 100;

/// What can be priced, by name. A name may have stood for several things, one after another.
#[derive(Debug, Default)]
struct Known<'a> {
    offerings: BTreeMap<&'a str, BTreeMap<&'a str, Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    meters: Vec<Meter>,
    orderable: bool,
}

/// What is to be said about a book, as the catalog stands; pointers are into the book.
pub fn findings(tariffs: &Tariffs, book: &BookDocument, catalog: &Merged) -> Vec<Finding> {
    let known = Known::read(catalog);
    let mut found = Vec::new();
    for (index, rule) in book.rules.iter().enumerate() {
        if let Some((below, message)) = known.judge(rule) {
            found.push(warning(format!("/rules/{index}{below}"), message));
        }
    }
    known.without_price(tariffs, &mut found);
    if found.len() > FINDINGS_MAX {
        let more = found.len() - FINDINGS_MAX + 1;
        found.truncate(FINDINGS_MAX - 1);
        found.push(warning(String::new(), format!("and {more} more")));
    }
    found
}

fn warning(pointer: String, message: String) -> Finding {
    Finding { severity: Severity::Warning, pointer, message }
}

/// A question that ends a sentence about a name that is not known.
pub fn meant<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, names).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

impl<'a> Known<'a> {
    /// Those that left their catalog count, too: their instances go on.
    fn read(catalog: &'a Merged) -> Self {
        let mut known = Self::default();
        for part in catalog.parts() {
            for offering in &part.offerings {
                let plans = known.offerings.entry(offering.name.as_str()).or_default();
                for plan in &offering.plans {
                    let entry = plans.entry(plan.name.as_str()).or_default();
                    let available = [offering.state, plan.state].iter().all(|state| *state == State::Available);
                    entry.orderable |= available && !part.deleted;
                    for meter in Meter::declared(&plan.document).0 {
                        if entry.meters.iter().all(|other| other.key != meter.key) {
                            entry.meters.push(meter);
                        }
                    }
                }
            }
        }
        known
    }

    fn judge(&self, rule: &Rule) -> Option<(&'static str, String)> {
        let Some(plans) = self.offerings.get(rule.offering.as_str()) else {
            let meant = meant(&rule.offering, self.offerings.keys().copied());
            return Some(("/offering", format!("no offering `{}` is in the catalog now{meant}", rule.offering)));
        };
        if let Some(plan) = rule.plan.as_deref().filter(|plan| !plans.contains_key(plan)) {
            let meant = meant(plan, plans.keys().copied());
            return Some(("/plan", format!("offering `{}` has no plan `{plan}` now{meant}", rule.offering)));
        }
        let key = rule.meter();
        if key == INSTANCE || key == SETUP {
            return None;
        }
        let of_rule = |name: &&str| rule.plan.as_deref().is_none_or(|plan| plan == *name);
        let meters = || plans.iter().filter(|(name, _)| of_rule(name)).flat_map(|(_, plan)| &plan.meters);
        let Some(meter) = meters().find(|meter| meter.key == key) else {
            let keys: BTreeSet<_> = meters().map(|meter| meter.key.as_str()).chain([INSTANCE, SETUP]).collect();
            return Some(("/meter", format!("no meter `{key}` is declared{}", meant(key, keys))));
        };
        (rule.per.is_some() && !grows_with_time(meter))
            .then(|| ("/per", format!("means nothing: the quantity of `{key}` does not grow with time")))
    }

    fn without_price(&self, tariffs: &Tariffs, found: &mut Vec<Finding>) {
        let mut say = |message: String| found.push(warning(String::new(), message));
        for (offering, plans) in &self.offerings {
            let orderable = || plans.iter().filter(|(_, plan)| plan.orderable);
            let priced = |name: &str, plan: &Plan| !tariffs.lines(offering, name, &plan.meters).is_empty();
            if orderable().next().is_some() && orderable().all(|(name, plan)| !priced(name, plan)) {
                say(format!("offering `{offering}` has no price"));
                continue;
            }
            for (name, plan) in orderable() {
                if !priced(name, plan) {
                    say(format!("plan `{name}` of offering `{offering}` has no price"));
                    continue;
                }
                for meter in plan.meters.iter().filter(|meter| tariffs.rule(offering, name, &meter.key).is_none()) {
                    say(format!("meter `{}` of plan `{name}` of offering `{offering}` has no price", meter.key));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::clock::Time;
    use crate::domain::catalog::Ids;
    use crate::domain::catalog::Part;
    use crate::domain::catalog::import::{Source, import};
    use crate::domain::price::PriceBook;

    fn catalog(texts: &[&str]) -> Merged {
        let part = |(index, text): (usize, &&str)| {
            let broker = format!("b{index}");
            let source =
                Source { broker: &broker, name_prefix: "", ids: Ids::Mapped, hub: "bourse", terms: Default::default() };
            let offerings = import(source, &serde_json::from_str(text).unwrap(), &[]).unwrap();
            assert!(offerings.iter().all(|offering| offering.findings.is_empty()), "{offerings:?}");
            Arc::new(Part::new(broker.clone(), broker, 1, false, offerings))
        };
        Merged::new(texts.iter().enumerate().map(part).collect(), "bourse".to_owned())
    }

    fn found(document: Value, catalog: &Merged) -> Vec<(String, String)> {
        let document: BookDocument = serde_json::from_value(document).unwrap();
        assert_eq!(document.problems(), []);
        let tariffs = Tariffs::new(&PriceBook { id: "b".to_owned(), document: document.clone(), created_at: Time(0) });
        let found = findings(&tariffs, &document, catalog);
        found.into_iter().map(|finding| (finding.pointer, finding.message)).collect()
    }

    const CATALOG: &str = r#"{"services":[{"id":"o","name":"db","description":"d","bindable":true,"plans":[
        {"id":"p","name":"small","description":"d","metadata":{"x-meters":[
            {"key":"storage","kind":"gauge","unit":"GB"},{"key":"queries","kind":"counter","unit":"query"}]}},
        {"id":"q","name":"large","description":"d"}]},
        {"id":"o2","name":"queue","description":"d","bindable":true,"plans":[{"id":"r","name":"one","description":"d"}]}]}"#;

    #[track_caller]
    fn check(rules: Value, expected: &[(&str, &str)]) {
        let book = json!({"currency": "EUR", "effective_from": "2026-01-01T00:00:00Z", "rules": rules});
        let found = found(book, &catalog(&[CATALOG]));
        let found: Vec<_> = found.iter().map(|(pointer, message)| (pointer.as_str(), message.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_a_book_does_not_meet_in_the_catalog_and_the_other_way_round_is_told() {
        let month = |offering: &str, plan: Value| json!({"offering": offering, "plan": plan, "model": "flat", "amount": "1", "per": "month"});
        let per = |meter: &str, per: Value| json!({"offering": "db", "plan": "small", "meter": meter, "model": "per_unit", "amount": "1", "per": per});
        check(
            json!([
                month("db", Value::Null),
                month("queue", json!("one")),
                per("storage", json!("month")),
                per("queries", Value::Null)
            ]),
            &[],
        );
        check(
            json!([
                month("dbs", Value::Null),
                month("db", json!("smal")),
                month("db", json!("small")),
                per("storrage", Value::Null),
                per("queries", json!("day"))
            ]),
            &[
                ("/rules/0/offering", "no offering `dbs` is in the catalog now; did you mean `db`?"),
                ("/rules/1/plan", "offering `db` has no plan `smal` now; did you mean `small`?"),
                ("/rules/3/meter", "no meter `storrage` is declared; did you mean `storage`?"),
                ("/rules/4/per", "means nothing: the quantity of `queries` does not grow with time"),
                ("", "plan `large` of offering `db` has no price"),
                ("", "meter `storage` of plan `small` of offering `db` has no price"),
                ("", "offering `queue` has no price"),
            ],
        );
    }

    #[test]
    fn the_reference_brokers_prices_leave_nothing_out_and_add_nothing() {
        let catalog = catalog(&[
            include_str!("../../../catalog/vnet-ipam.json"),
            include_str!("../../../catalog/bastion.json"),
            include_str!("../../../catalog/key-vault.json"),
            include_str!("../../../catalog/devops-toolchain.json"),
        ]);
        let book = serde_json::from_str(include_str!("../../../catalog/prices.json")).unwrap();
        assert_eq!(found(book, &catalog), []);
    }

    #[test]
    fn the_list_is_bounded_and_says_so() {
        let rules: Vec<_> =
            (0..150).map(|n| json!({"offering": format!("zz{n}"), "model": "free", "reason": "r"})).collect();
        let book = json!({"currency": "EUR", "effective_from": "2026-01-01T00:00:00Z", "rules": rules});
        let found = found(book, &Merged::default());
        assert_eq!(found.len(), FINDINGS_MAX);
        assert_eq!(found[99].1, "and 51 more");
    }
}
