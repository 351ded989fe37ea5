//! A charge in the terms of a price list: which kind it is, unit price, quantity and unit, and the cost that they come to.
//!
//! Where each unit costs the same, that is the list's price, and the quantity is what was paid for: free units are not in it, and
//! a package that was begun is a whole one. Where it depends on how much there is, the price is what a unit came to.

use num_traits::{Signed as _, Zero as _};

use super::{Charge, unit};
use crate::domain::decimal::{Exact, minor_digits, plain, read, rounded, zero};
use crate::domain::meter::{INSTANCE, SETUP};
use crate::domain::price::{Model, Per, Proration, Rule};

/// Digits after the point of a price that is a quotient: enough for bytes.
const QUOTIENT_PLACES: u32 = 24;

/// How a charge comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By what was used.
    Usage,
    /// By standing for so long, whatever was used.
    Recurring,
    /// By being provisioned.
    OneTime,
}

impl Kind {
    /// Of a meter under a model; usage where there is no price.
    pub fn of(meter: &str, model: Option<Model>) -> Self {
        match model {
            _ if meter == SETUP => Self::OneTime,
            Some(Model::OneTime) => Self::OneTime,
            Some(Model::Flat) => Self::Recurring,
            _ => Self::Usage,
        }
    }
}

/// A price list's line, and what it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct List {
    pub(super) unit_price: String,
    pub(super) quantity: String,
    pub(super) unit: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) kind: Kind,
    /// As on the statement.
    pub(super) billed: String,
    /// Not of a correction: what it corrects can have been many prices.
    pub(super) list: Option<List>,
    /// `unit_price` times `quantity`; where there is no list, what is billed.
    pub(super) cost: String,
    /// How much was used, and of what; of usage only.
    pub(super) consumed: Option<(String, String)>,
}

impl Terms {
    pub(super) fn of(charge: &Charge) -> Self {
        let kind = Kind::of(&charge.measured.meter, charge.priced.as_ref().map(|priced| priced.rule.model));
        let units = measured_unit(charge);
        let billed = pointed(charge.billed.clone());
        let list = charge.corrects.is_none().then(|| list(charge, &units));
        let cost = list.as_ref().map_or_else(|| billed.clone(), |(_, cost)| number(cost, QUOTIENT_PLACES * 2));
        let consumed = (kind == Kind::Usage).then(|| (quantity(&charge.measured.quantity), units));
        Self { kind, billed, list: list.map(|(list, _)| list), cost, consumed }
    }
}

fn list(charge: &Charge, units: &str) -> (List, Exact) {
    let (price, amount, unit) = match &charge.priced {
        Some(priced) => {
            let (price, amount) = price_and_quantity(charge, &priced.rule);
            (price, amount, priced_unit(charge, &priced.rule, units))
        }
        None => (zero(), charge.measured.quantity.clone(), units.to_owned()),
    };
    let (unit_price, quantity) = (number(&price, QUOTIENT_PLACES), quantity(&amount));
    // Of what is written, so that whoever multiplies gets the same.
    let cost = written(&unit_price) * written(&quantity);
    (List { unit_price, quantity, unit }, cost)
}

/// A price is never negative: where a larger quantity made everything cheaper, the quantity is.
fn price_and_quantity(charge: &Charge, rule: &Rule) -> (Exact, Exact) {
    let (exact, measured) = (exact(charge, rule), &charge.measured.quantity);
    if let Some(amount) = same_for_all(rule) {
        return (amount.clone(), exact / amount);
    }
    if exact.is_zero() {
        return (zero(), measured.clone());
    }
    let sign = exact.signum();
    if measured.is_zero() { (exact.abs(), sign) } else { ((&exact / measured).abs(), measured.abs() * sign) }
}

/// The price of each unit, where it is one that is not 0.
fn same_for_all(rule: &Rule) -> Option<Exact> {
    rule.amount.map(|amount| amount.exact()).filter(Exact::is_positive)
}

/// What the line came to before it was rounded. A statement doesn't keep that, so it is computed again where that needs no
/// calendar; a line that went on counting where another one had stopped says that it is not so by its amount.
fn exact(charge: &Charge, rule: &Rule) -> Exact {
    let again = in_units_of(rule, charge).map(|quantity| rule.charge(&quantity));
    let agrees = |exact: &Exact| rounded(exact, minor_digits(&charge.currency)) == charge.billed;
    again.filter(agrees).unwrap_or_else(|| written(&charge.billed))
}

fn in_units_of(rule: &Rule, charge: &Charge) -> Option<Exact> {
    let quantity = charge.measured.quantity.clone();
    let standing = charge.measured.meter == INSTANCE;
    match rule.per {
        Some(Per::Day | Per::Month) => None,
        Some(Per::Hour) if standing => {
            let hours = quantity / Exact::from_integer(3600.into());
            Some(if rule.proration == Some(Proration::StartedHour) { hours.ceil() } else { hours })
        }
        Some(Per::Hour) | None => Some(quantity),
    }
}

fn measured_unit(charge: &Charge) -> String {
    let measured = &charge.measured;
    match measured.meter.as_str() {
        INSTANCE => "Seconds".to_owned(),
        SETUP => "Units".to_owned(),
        _ if measured.time_weighted => unit::over_time(&measured.unit, Per::Hour),
        _ => unit::plural(&measured.unit),
    }
}

fn priced_unit(charge: &Charge, rule: &Rule, units: &str) -> String {
    // Where the price is what a unit came to, it is one of those that were measured.
    if same_for_all(rule).is_none() {
        return units.to_owned();
    }
    let measured = &charge.measured;
    let units = match rule.per {
        Some(per) if measured.meter == INSTANCE => unit::time(per).to_owned(),
        Some(per) if measured.time_weighted => unit::over_time(&measured.unit, per),
        _ => units.to_owned(),
    };
    match rule.package_size.filter(|_| rule.model == Model::Package) {
        Some(size) => unit::package(size, &units),
        None => units,
    }
}

fn quantity(value: &Exact) -> String {
    pointed(plain(value))
}

fn number(value: &Exact, places: u32) -> String {
    let text = rounded(value, places);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    pointed(if matches!(text, "-0" | "-" | "") { "0".to_owned() } else { text.to_owned() })
}

fn written(text: &str) -> Exact {
    read(text).unwrap_or_else(|_| zero())
}

/// With a point in any case: readers that guess the type of a column from its values take it for a decimal one.
pub(super) fn pointed(number: String) -> String {
    if number.contains('.') { number } else { number + ".0" }
}
