//! Each rule of the ADR by an example with numbers that were calculated by hand.

use serde_json::{Value, json};

use super::*;
use crate::domain::decimal::plain;
use crate::domain::price::BookDocument;

/// An instant of November 2026 in UTC, or any that is written whole.
fn at(text: &str) -> Time {
    let text = if text.len() < 12 { format!("2026-11-{text}:00Z") } else { text.to_owned() };
    serde_json::from_value(json!(text)).unwrap()
}

fn span(plan: &str, from: &str, until: &str, setup: bool) -> Span {
    let until = (!until.is_empty()).then(|| at(until));
    Span { offering: "db".to_owned(), plan: plan.to_owned(), from: at(from), until, setup }
}

fn book(from: &str, rules: Value) -> PriceBook {
    let rules = rules.as_array().unwrap().iter().map(|rule| {
        let mut whole = json!({"offering": "db", "plan": "small"});
        whole.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    });
    let document = BookDocument { currency: "EUR".to_owned(), effective_from: at(from), rules: rules.collect() };
    assert_eq!(document.problems(), []);
    PriceBook { id: from.to_owned(), created_at: document.effective_from, document }
}

fn series(kind: Kind, aggregation: Aggregation, readings: &[(&str, &str)]) -> Series {
    let readings = readings.iter().enumerate().map(|(index, (time, quantity))| Reading {
        at: at(time),
        source: 1,
        id: format!("{index:03}"),
        quantity: quantity.parse().unwrap(),
        reset_id: None,
        value: None,
    });
    Series { meter: "m".to_owned(), kind, aggregation, unit: "GB".to_owned(), readings: readings.collect() }
}

struct Case {
    zone: &'static str,
    month: &'static str,
    spans: Vec<Span>,
    books: Vec<PriceBook>,
    series: Vec<Series>,
    tenant: Vec<Time>,
    until: Time,
}

impl Case {
    fn new(spans: Vec<Span>, books: Vec<PriceBook>) -> Self {
        let until = at("2027-06-01T00:00:00Z");
        Self { zone: "UTC", month: "2026-11", spans, books, series: Vec::new(), tenant: Vec::new(), until }
    }

    fn with(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    fn pieces(&self, cuts: &[&str]) -> Vec<Piece> {
        let zones = Zones::always(self.zone.parse().unwrap());
        let (spans, series, tenant_edges, books) = (&self.spans, &self.series, &self.tenant, &self.books);
        let month = self.month.parse().unwrap();
        let cuts: Vec<_> = cuts.iter().map(|cut| at(cut)).collect();
        rate(&History { spans, series, tenant_edges, books, zones: &zones, month, until: self.until }, &cuts)
    }

    /// Meter, whether it has a price, quantity and amount of each piece.
    #[track_caller]
    fn check(&self, cuts: &[&str], expected: &[(&str, bool, &str, &str)]) {
        let pieces = self.pieces(cuts);
        let found: Vec<_> = pieces
            .iter()
            .map(|piece| (&*piece.meter, piece.price.is_some(), plain(&piece.quantity), plain(&piece.amount)))
            .collect();
        let found: Vec<_> = found.iter().map(|(meter, priced, q, a)| (*meter, *priced, &**q, &**a)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn an_instance_costs_its_seconds_and_its_setup_once() {
    let rules = json!([
        {"model": "per_unit", "amount": "0.01"},
        {"model": "one_time", "amount": "20"},
    ]);
    let case = Case::new(vec![span("small", "10T00:00", "10T01:00", true)], vec![book("01T00:00", rules)]);
    case.check(&[], &[("instance", true, "3600", "36"), ("setup", true, "1", "20")]);
    // An edge belongs to what begins at it.
    case.check(
        &["10T00:30", "10T01:00"],
        &[("instance", true, "1800", "18"), ("instance", true, "1800", "18"), ("setup", true, "1", "20")],
    );
}

#[test]
fn a_month_of_743_hours_costs_the_same_as_one_of_745() {
    let rules = json!([{"model": "flat", "amount": "31", "per": "month"}]);
    for month in ["2026-03", "2026-10", "2026-12"] {
        let from = "2026-01-01T00:00:00Z";
        let mut case = Case::new(vec![span("small", from, "", true)], vec![book(from, rules.clone())]);
        (case.zone, case.month) = ("Europe/Berlin", month);
        let pieces = case.pieces(&[]);
        assert_eq!((pieces.len(), plain(&pieces[0].amount)), (1, "31".to_owned()), "{month}");
    }
}

#[test]
fn nothing_is_charged_before_it_is_over() {
    let rules = json!([{"model": "per_unit", "amount": "1"}, {"model": "one_time", "amount": "20"}]);
    let mut case = Case::new(vec![span("small", "10T00:00", "", true)], vec![book("01T00:00", rules)]);
    case.until = at("10T00:01");
    case.check(&[], &[("instance", true, "60", "60"), ("setup", true, "1", "20")]);
    case.until = at("10T00:00");
    case.check(&[], &[]);
    case.until = at("2026-01-01T00:00:00Z");
    case.check(&[], &[]);
}
