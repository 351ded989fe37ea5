//! What a quantity costs by a rule as it was posted.

use num_bigint::BigInt;
use serde_json::Value;

use super::{Fraction, number};

fn said(rule: &Value, name: &str) -> Fraction {
    rule[name].as_str().map_or_else(|| Fraction::from_integer(BigInt::ZERO), number)
}

/// The book that counts at an instant and the rule of it, by their places; and whether the plan has any rule there.
pub(super) fn find(book: &Value, offering: &str, plan: &str, meter: &str) -> (Option<usize>, bool) {
    let rules = book["rules"].as_array().unwrap();
    let of_plan =
        |rule: &&Value| rule["offering"] == offering && rule.get("plan").is_none_or(|own| own.is_null() || own == plan);
    let measures = |rule: &Value| match (rule["meter"].as_str(), rule["model"].as_str()) {
        (Some(own), _) => own == meter,
        (None, Some("one_time")) => meter == "setup",
        (None, _) => meter == "instance",
    };
    let with = |own: bool| {
        let found = |rule: &Value| of_plan(&rule) && measures(rule) && rule["plan"].is_string() == own;
        rules.iter().position(found)
    };
    (with(true).or_else(|| with(false)), rules.iter().any(|rule| of_plan(&rule)))
}

/// What so much costs.
pub(super) fn charge(rule: &Value, quantity: &Fraction) -> Fraction {
    let none = Fraction::from_integer(BigInt::ZERO);
    let paid = (quantity - said(rule, "free_quantity")).max(none.clone());
    let amount = said(rule, "amount");
    let tiers = || {
        let mut below = none.clone();
        let tiers = rule["tiers"].as_array().unwrap().iter();
        tiers.map(move |tier| {
            let top = tier["up_to"].as_str().map(number);
            let from = below.clone();
            below = top.clone().unwrap_or_else(|| below.clone());
            (from, top, said(tier, "unit_price"))
        })
    };
    match rule["model"].as_str().unwrap() {
        "free" => none,
        "flat" | "one_time" | "per_unit" => paid * amount,
        "package" => {
            let packages = paid / said(rule, "package_size");
            let (whole, rest) = (packages.numer() / packages.denom(), packages.numer() % packages.denom());
            amount * (whole + if rest == BigInt::ZERO { 0 } else { 1 })
        }
        "graduated" => {
            let parts = tiers().map(|(from, top, price)| {
                let reached = top.map_or_else(|| paid.clone(), |top| top.min(paid.clone()));
                (reached - from).max(none.clone()) * price
            });
            parts.fold(none.clone(), |sum, part| sum + part)
        }
        "volume" => {
            let tier = tiers().find(|(_, top, _)| top.as_ref().is_none_or(|top| paid <= *top)).unwrap();
            &paid * tier.2
        }
        other => panic!("no model: {other}"),
    }
}
