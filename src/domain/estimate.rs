//! What an instance would cost that stands for the whole of a month: a month that nobody had yet, rated as any other
//! ([`super::rating`]).
//!
//! What is expected of a delta or a counter is taken to come evenly, and a gauge to hold its level from the first instant on. So
//! prices that change within the month count for their part of it. A setup is no part of the month.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_traits::{ToPrimitive as _, Zero as _};

use super::decimal::{Decimal, Exact};
use super::meter::{Aggregation, Kind, Meter, SETUP};
use super::period::{Month, Zones};
use super::price::{PriceBook, Rule, in_force};
use super::rating::{History, Piece, Reading, Series, Span, rate};
use super::tariff::grows_with_time;
use crate::clock::Time;

/// What is ordered, and what is expected of it.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The offering's name.
    pub offering: &'a str,
    /// The plan's name.
    pub plan: &'a str,
    /// The plan's meters.
    pub meters: &'a [Meter],
    /// By meter: how much a month brings, or, of a gauge, its level.
    pub usage: &'a BTreeMap<String, Decimal>,
}

/// What a month would cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// What has a price, by meter and rule.
    pub lines: Vec<Line>,
    /// What is expected and has none.
    pub unpriced: Vec<Unpriced>,
    /// What the provision costs, once; none where no rule says.
    pub setup: Option<Exact>,
    /// Meters that have a price, and of which nothing is known to be expected.
    pub not_expected: Vec<String>,
}

/// What one meter would cost by one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The meter's key, or `instance`.
    pub meter: String,
    /// How much: of `instance` seconds, of a gauge whose level counts by time unit-hours.
    pub quantity: Exact,
    /// Of what.
    pub unit: String,
    /// What that costs.
    pub amount: Exact,
    /// The book's id.
    pub book: String,
    /// By that rule.
    pub rule: Rule,
}

/// What would be used without a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpriced {
    /// The meter's key, or `instance`.
    pub meter: String,
    /// How much.
    pub quantity: Exact,
    /// Of what.
    pub unit: String,
}

/// What the month would cost by those books.
pub fn estimate(expected: Expected<'_>, books: &[PriceBook], zones: &Zones, month: Month) -> Estimate {
    let range = zones.range(month);
    let (offering, plan) = (expected.offering.to_owned(), expected.plan.to_owned());
    let spans = [Span { offering, plan, from: range.start, until: None, setup: false }];
    let begins = books.iter().map(|book| book.document.effective_from).filter(|begin| range.contains(begin));
    let mut edges: Vec<Time> = begins.chain([range.start, range.end]).collect();
    edges.sort_unstable();
    edges.dedup();
    let used = expected.meters.iter().filter_map(|meter| Some((meter, *expected.usage.get(&meter.key)?)));
    let series: Vec<_> = used.map(|(meter, quantity)| series(meter, quantity, &edges)).collect();
    let history = History { spans: &spans, series: &series, tenant_edges: &[], books, zones, month, until: range.end };
    let mut estimate = Estimate::default();
    for piece in rate(&history, &[]) {
        estimate.add(piece, expected.meters, books);
    }
    let book = in_force(books, range.start);
    let rule = |meter: &str| book.and_then(|book| book.document.rule(expected.offering, expected.plan, meter));
    estimate.setup = rule(SETUP).map(|rule| rule.charge(&Exact::from_integer(BigInt::from(1))));
    let silent = expected.meters.iter().filter(|meter| !expected.usage.contains_key(&meter.key));
    estimate.not_expected = silent.filter(|meter| rule(&meter.key).is_some()).map(|meter| meter.key.clone()).collect();
    estimate
}

impl Estimate {
    /// What the month costs altogether; none where nothing has a price.
    pub fn monthly(&self) -> Option<Exact> {
        let sum = self.lines.iter().fold(Exact::zero(), |sum, line| sum + &line.amount);
        (!self.lines.is_empty()).then_some(sum)
    }

    fn add(&mut self, piece: Piece, meters: &[Meter], books: &[PriceBook]) {
        let Piece { meter, unit, quantity, amount, price, .. } = piece;
        let by_time = meters.iter().any(|declared| declared.key == meter && grows_with_time(declared));
        let unit = if by_time { format!("{unit}·h") } else { unit };
        let priced = price.and_then(|price| {
            let book = books.get(price.book)?;
            Some((book, book.document.rules.get(price.rule)?))
        });
        match priced {
            Some((book, rule)) => {
                if let Some(line) = self.lines.iter_mut().find(|line| line.meter == meter && line.rule == *rule) {
                    line.quantity += quantity;
                    line.amount += amount;
                    return;
                }
                self.lines.push(Line { meter, quantity, unit, amount, book: book.id.clone(), rule: rule.clone() });
            }
            None => match self.unpriced.iter_mut().find(|other| other.meter == meter) {
                Some(other) => other.quantity += quantity,
                None => self.unpriced.push(Unpriced { meter, quantity, unit }),
            },
        }
    }
}

/// Readings of a month that come to that.
fn series(meter: &Meter, quantity: Decimal, edges: &[Time]) -> Series {
    // Different values and what a counter grew by are quantities as good as any: how they come about does not matter here.
    let (kind, aggregation) = match (meter.kind, meter.aggregation) {
        (Kind::Counter, _) | (_, Aggregation::Unique) => (Kind::Delta, Aggregation::Sum),
        as_declared => as_declared,
    };
    let reading = |at: Time, quantity: Decimal| Reading {
        at,
        source: 0,
        id: String::new(),
        quantity,
        reset_id: None,
        value: None,
    };
    let readings = match (kind, aggregation) {
        (Kind::Delta, Aggregation::Sum) => {
            parts(quantity, edges).into_iter().map(|(at, part)| reading(at, part)).collect()
        }
        (Kind::Delta, _) => edges.iter().take(edges.len() - 1).map(|at| reading(*at, quantity)).collect(),
        _ => edges.first().map(|at| reading(*at, quantity)).into_iter().collect(),
    };
    Series { meter: meter.key.clone(), kind, aggregation, unit: meter.unit.clone(), readings }
}

/// A quantity spread evenly over what lies between edges; together it is the quantity again, to the last digit.
fn parts(quantity: Decimal, edges: &[Time]) -> Vec<(Time, Decimal)> {
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return Vec::new() };
    let whole = BigInt::from(last.0 - first.0);
    let mut given = 0;
    let pairs = edges.windows(2).map(|pair| {
        let [from, until] = pair else { return (*first, Decimal::ZERO) };
        let due = BigInt::from(quantity.units()) * (until.0 - first.0) / &whole;
        let due = due.to_i128().unwrap_or(quantity.units());
        let part = Decimal::from_units(due - given);
        given = due;
        (*from, part)
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::decimal::plain;

    fn meters() -> Vec<Meter> {
        let plan = json!({"metadata": {"x-meters": [
            {"key": "storage", "kind": "gauge", "unit": "GB"},
            {"key": "queries", "kind": "counter", "unit": "query"},
            {"key": "peak", "kind": "gauge", "unit": "core", "aggregation": "max"},
            {"key": "users", "kind": "delta", "unit": "user", "aggregation": "unique", "unique_by": "user"},
            {"key": "exports", "kind": "delta", "unit": "export"},
        ]}});
        Meter::declared(&plan).0
    }

    fn book(id: &str, effective_from: &str, rules: Value) -> PriceBook {
        let document = json!({"currency": "EUR", "effective_from": effective_from, "rules": rules});
        PriceBook { id: id.to_owned(), document: serde_json::from_value(document).unwrap(), created_at: Time(0) }
    }

    fn estimated(books: &[PriceBook], zone: &str, usage: &[(&str, &str)]) -> Estimate {
        let usage = usage.iter().map(|(meter, quantity)| ((*meter).to_owned(), quantity.parse().unwrap())).collect();
        let meters = meters();
        let expected = Expected { offering: "db", plan: "small", meters: &meters, usage: &usage };
        estimate(expected, books, &Zones::always(zone.parse().unwrap()), "2026-10".parse().unwrap())
    }

    fn lines(estimate: &Estimate) -> Vec<(&str, String, &str, String)> {
        let line = |line: &Line| (plain(&line.quantity), plain(&line.amount));
        estimate
            .lines
            .iter()
            .map(|l| {
                let (quantity, amount) = line(l);
                (l.meter.as_str(), quantity, l.unit.as_str(), amount)
            })
            .collect()
    }

    fn owned<'a>(lines: &[(&'a str, &str, &'a str, &str)]) -> Vec<(&'a str, String, &'a str, String)> {
        lines.iter().map(|(m, q, u, a)| (*m, (*q).to_owned(), *u, (*a).to_owned())).collect()
    }

    #[test]
    fn a_month_is_rated_as_it_will_be() {
        let books = [book(
            "b",
            "2026-01-01T00:00:00Z",
            json!([
                {"offering": "db", "model": "flat", "amount": "99", "per": "month"},
                {"offering": "db", "model": "one_time", "amount": "20"},
                {"offering": "db", "meter": "storage", "model": "per_unit", "amount": "0.1", "per": "month", "free_quantity": "5"},
                {"offering": "db", "meter": "queries", "model": "package", "amount": "1", "package_size": "1000"},
                {"offering": "db", "meter": "peak", "model": "graduated", "tiers": [{"up_to": "2", "unit_price": "3"}, {"up_to": null, "unit_price": "2"}]},
                {"offering": "db", "meter": "users", "model": "volume", "tiers": [{"up_to": "10", "unit_price": "1"}, {"up_to": null, "unit_price": "0.4"}]},
            ]),
        )];
        let usage = [("storage", "25"), ("queries", "2001"), ("peak", "3"), ("users", "11"), ("exports", "7")];
        let estimate = estimated(&books, "Europe/Berlin", &usage);
        // October in Berlin has 745 hours.
        assert_eq!(
            lines(&estimate),
            owned(&[
                ("instance", "2682000", "s", "99"),
                ("storage", "18625", "GB·h", "2"),
                ("queries", "2001", "query", "3"),
                ("peak", "3", "core", "8"),
                ("users", "11", "user", "4.4"),
            ])
        );
        assert_eq!(estimate.monthly().map(|sum| plain(&sum)), Some("116.4".to_owned()));
        assert_eq!(estimate.setup.as_ref().map(plain), Some("20".to_owned()));
        let unpriced: Vec<_> = estimate.unpriced.iter().map(|u| (u.meter.as_str(), plain(&u.quantity))).collect();
        assert_eq!(unpriced, [("exports", "7".to_owned())]);
        assert_eq!(estimate.not_expected, [""; 0]);
    }

    #[test]
    fn prices_that_change_within_the_month_count_for_their_part_of_it() {
        let rules = |month: &str, unit: &str| {
            json!([
                {"offering": "db", "model": "flat", "amount": month, "per": "month"},
                {"offering": "db", "meter": "queries", "model": "per_unit", "amount": unit},
                {"offering": "db", "meter": "storage", "model": "per_unit", "amount": "1", "per": "month"},
            ])
        };
        // 15.5 of October's 31 days.
        let books = [
            book("a", "2026-01-01T00:00:00Z", rules("10", "0.01")),
            book("b", "2026-10-16T12:00:00Z", rules("20", "0.03")),
        ];
        let estimate = estimated(&books, "UTC", &[("queries", "1001")]);
        assert_eq!(
            lines(&estimate),
            owned(&[
                ("instance", "1339200", "s", "5"),
                ("instance", "1339200", "s", "10"),
                ("queries", "500.5", "query", "5.005"),
                ("queries", "500.5", "query", "15.015"),
            ])
        );
        assert_eq!(estimate.lines.iter().map(|line| line.book.as_str()).collect::<Vec<_>>(), ["a", "b", "a", "b"]);
        assert_eq!(estimate.not_expected, ["storage"]);
    }

    #[test]
    fn a_plan_without_a_price_costs_no_nothing() {
        let estimate = estimated(&[], "UTC", &[("queries", "5")]);
        assert_eq!((estimate.monthly(), estimate.setup.clone()), (None, None));
        assert_eq!(estimate.unpriced.iter().map(|u| u.meter.as_str()).collect::<Vec<_>>(), ["instance", "queries"]);
    }
}
