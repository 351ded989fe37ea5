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

#[test]
fn a_delta_counts_at_the_start_of_its_window_so_what_ends_at_midnight_belongs_to_the_day_that_ends() {
    let rules = json!([{"model": "per_unit", "amount": "1", "meter": "m"}]);
    // The windows before and after midnight of the 10th, an hour each, by their starts.
    let readings = series(Kind::Delta, Aggregation::Sum, &[("09T23:00", "5"), ("10T00:00", "7")]);
    let case = Case::new(vec![span("small", "01T00:00", "", false)], vec![book("01T00:00", rules)]).with(readings);
    case.check(&["10T00:00"], &[("m", true, "5", "5"), ("m", true, "7", "7")]);
}

#[test]
fn what_a_counter_grew_by_counts_at_the_reading_before_and_only_above_the_highest() {
    let rules = json!([{"model": "per_unit", "amount": "1", "meter": "m"}]);
    let all = [("09T23:00", "100"), ("10T00:00", "150"), ("10T01:00", "120"), ("10T02:00", "155"), ("10T02:00", "155")];
    let case = Case::new(vec![span("small", "01T00:00", "", false)], vec![book("01T00:00", rules)]);
    let mut case = case.with(series(Kind::Counter, Aggregation::Sum, &all));
    // 100 from 0 at the first reading itself, 50 there too, as it is before the second; nothing for 120; 5 above 150 at 01:00.
    case.check(&["10T00:00", "10T01:00"], &[("m", true, "150", "150"), ("m", true, "0", "0"), ("m", true, "5", "5")]);

    // Another `reset_id` counts from 0, and its first growth at the reading before it, whichever that is. What is 5 above 150
    // now counts at 00:00, where the last reading of that `reset_id` was.
    case.series[0].readings[2].reset_id = Some("b".to_owned());
    case.check(&["10T00:00", "10T01:00"], &[("m", true, "150", "150"), ("m", true, "125", "125")]);
}

#[test]
fn counters_side_by_side_count_each_at_its_own_reading_before() {
    let rules = json!([{"model": "per_unit", "amount": "1", "meter": "m"}]);
    let mut readings = series(
        Kind::Counter,
        Aggregation::Sum,
        &[("10T00:00", "1"), ("10T00:05", "10"), ("10T01:00", "3"), ("10T01:05", "40")],
    );
    for index in [1, 3] {
        readings.readings[index].reset_id = Some("b".to_owned());
    }
    let case = Case::new(vec![span("small", "01T00:00", "", false)], vec![book("01T00:00", rules)]).with(readings);
    // 1 + 10 + 2 at 00:00, 30 at 00:05.
    case.check(&["10T00:05"], &[("m", true, "13", "13"), ("m", true, "30", "30")]);
}

#[test]
fn a_level_goes_on_over_the_start_of_a_month_and_a_change_of_plan_to_the_end_of_the_instance() {
    let price = |plan: &str, amount: &str| json!({"model": "per_unit", "amount": amount, "meter": "m", "plan": plan});
    let spans =
        vec![span("small", "2026-09-01T00:00:00Z", "02T00:00", true), span("large", "02T00:00", "03T12:00", false)];
    let books = vec![book("2026-01-01T00:00:00Z", json!([price("small", "1"), price("large", "2")]))];
    let readings = [("2026-10-31T23:00:00Z", "10"), ("01T12:00", "20"), ("04T00:00", "99")];
    let case = Case::new(spans, books).with(series(Kind::Gauge, Aggregation::TimeWeighted, &readings));
    // 12 h of 10 and 12 h of 20; then 36 h of 20 for twice as much.
    case.check(&[], &[("m", true, "360", "360"), ("m", true, "720", "1440")]);
}

#[test]
fn the_highest_and_the_last_level_are_those_that_held_in_the_period() {
    let readings = [("2026-10-31T23:00:00Z", "30"), ("10T00:00", "20"), ("20T00:00", "10")];
    let rules = json!([{"model": "per_unit", "amount": "1", "meter": "m"}]);
    let new = |aggregation| {
        let spans = vec![span("small", "2026-10-01T00:00:00Z", "", true)];
        let readings = series(Kind::Gauge, aggregation, &readings);
        Case::new(spans, vec![book("2026-01-01T00:00:00Z", rules.clone())]).with(readings)
    };
    // The month's maximum is what the level was when it began; later parts add nothing to it.
    new(Aggregation::Max).check(&["15T00:00"], &[("m", true, "30", "30"), ("m", true, "0", "0")]);
    // What was 20 in the middle of the month is 10 at its end.
    new(Aggregation::Latest).check(&["15T00:00"], &[("m", true, "20", "20"), ("m", true, "-10", "-10")]);
    let all = series(Kind::Gauge, Aggregation::Max, &readings);
    let spans = [span("small", "2026-10-01T00:00:00Z", "", true)];
    let windows = gather(&all, &[at("15T00:00"), at("20T00:00"), at("21T00:00")], &spans);
    assert_eq!(windows.iter().map(|window| plain(&window.quantity())).collect::<Vec<_>>(), ["20", "10"]);
}

#[test]
fn what_is_read_while_an_instance_does_not_stand_counts_at_its_next_start_or_never() {
    let rules = json!([{"model": "per_unit", "amount": "1", "meter": "m"}]);
    let spans = vec![span("small", "10T00:00", "11T00:00", true), span("small", "12T00:00", "13T00:00", false)];
    let readings = [("09T00:00", "1"), ("10T12:00", "2"), ("11T00:00", "4"), ("11T12:00", "8"), ("13T00:00", "16")];
    let case = |kind, aggregation| {
        Case::new(spans.clone(), vec![book("01T00:00", rules.clone())]).with(series(kind, aggregation, &readings))
    };
    case(Kind::Delta, Aggregation::Sum).check(&[], &[("m", true, "3", "3"), ("m", true, "12", "12")]);
    // 12 h of 1 and 12 h of 2, nothing while it did not stand, 24 h of 8.
    case(Kind::Gauge, Aggregation::TimeWeighted).check(&[], &[("m", true, "36", "36"), ("m", true, "192", "192")]);
    assert_eq!(since(&spans, at("10T00:00")), Time(i64::MIN), "what was before the first span counts in it");
    assert_eq!(since(&spans, at("10T12:00")), at("10T12:00"));
    assert_eq!(since(&spans, at("11T12:00")), at("11T00:00"));
    assert_eq!(since(&spans, at("20T00:00")), at("13T00:00"));
}

#[test]
fn users_count_once_a_month() {
    let rules = json!([{"model": "per_unit", "amount": "2", "meter": "m"}]);
    let all = [("10T00:00", "1"), ("10T01:00", "1"), ("11T00:00", "1"), ("11T01:00", "1"), ("11T02:00", "1")];
    let mut readings = series(Kind::Delta, Aggregation::Unique, &all);
    for (reading, user) in readings.readings.iter_mut().zip(["ann", "bob", "ann", "cy", ""]) {
        reading.value = (!user.is_empty()).then(|| user.to_owned());
    }
    let case = Case::new(vec![span("small", "01T00:00", "", false)], vec![book("01T00:00", rules)]).with(readings);
    case.check(&["11T00:00"], &[("m", true, "2", "4"), ("m", true, "1", "2")]);
}

#[test]
fn tiers_go_on_over_a_new_book_with_the_same_rule_and_begin_anew_with_another_one() {
    let tiers = json!([{"up_to": "100", "unit_price": "0.05"}, {"up_to": null, "unit_price": "0.03"}]);
    let rule = |plan: &str| json!({"model": "graduated", "meter": "m", "tiers": tiers, "plan": plan});
    let other = json!({"model": "per_unit", "meter": "other", "amount": "1"});
    let readings = [("05T00:00", "80"), ("15T00:00", "80"), ("25T00:00", "80")];
    let mut case = Case::new(
        vec![span("small", "01T00:00", "", false)],
        vec![
            book("01T00:00", json!([rule("small")])),
            book("10T00:00", json!([other, rule("small")])),
            book("20T00:00", json!([{"model": "per_unit", "meter": "m", "amount": "0.05"}])),
        ],
    )
    .with(series(Kind::Delta, Aggregation::Sum, &readings));
    // 80 at 0.05; 20 at 0.05 and 60 at 0.03; 80 at 0.05.
    case.check(&[], &[("m", true, "80", "4"), ("m", true, "80", "2.8"), ("m", true, "80", "4")]);
    let prices: Vec<_> = case.pieces(&[]).iter().map(|piece| piece.price.unwrap()).collect();
    assert_eq!(prices.iter().map(|price| (price.book, price.rule)).collect::<Vec<_>>(), [(0, 0), (1, 1), (2, 0)]);

    // Nor does a changed cost centre begin a tier anew.
    case.books.truncate(1);
    case.tenant.push(at("20T00:00"));
    case.check(&[], &[("m", true, "160", "6.8"), ("m", true, "80", "2.4")]);
}

#[test]
fn the_volume_price_of_a_cheaper_tier_gives_back_what_was_too_much() {
    let tiers = json!([{"up_to": "100", "unit_price": "0.05"}, {"up_to": null, "unit_price": "0.03"}]);
    let rules = json!([{"model": "volume", "meter": "m", "tiers": tiers}]);
    let readings = [("05T00:00", "100"), ("15T00:00", "1")];
    let case = Case::new(vec![span("small", "01T00:00", "", false)], vec![book("01T00:00", rules)]).with(series(
        Kind::Delta,
        Aggregation::Sum,
        &readings,
    ));
    case.check(&["10T00:00"], &[("m", true, "100", "5"), ("m", true, "1", "-1.97")]);
}

#[test]
fn free_quantities_and_packages_are_of_the_whole_month() {
    let free = json!([{"model": "per_unit", "meter": "m", "amount": "1", "free_quantity": "10"}]);
    let package = json!([{"model": "package", "meter": "m", "amount": "3", "package_size": "10"}]);
    let readings = series(Kind::Delta, Aggregation::Sum, &[("05T00:00", "8"), ("15T00:00", "8")]);
    let new = |rules| {
        let spans = vec![span("small", "01T00:00", "", false)];
        Case::new(spans, vec![book("01T00:00", rules)]).with(readings.clone())
    };
    new(free).check(&["10T00:00"], &[("m", true, "8", "0"), ("m", true, "8", "6")]);
    new(package).check(&["10T00:00"], &[("m", true, "8", "3"), ("m", true, "8", "3")]);
}

#[test]
fn a_started_hour_belongs_wholly_to_where_it_begins_also_at_the_edge_of_a_month_or_a_plan() {
    let rule = |plan: &str, amount: &str| json!({"model": "flat", "amount": amount, "per": "hour", "proration": "started_hour", "plan": plan});
    let books = vec![book("2026-01-01T00:00:00Z", json!([rule("small", "1"), rule("large", "10")]))];
    let spans =
        vec![span("small", "2026-10-31T22:30:00Z", "01T00:45", true), span("large", "01T00:45", "01T02:00", false)];
    let mut case = Case::new(spans, books);
    // The hour from 23:30 to 00:30 is October's: November has the one from 00:30. Then those of 00:45 and 01:45.
    case.check(&[], &[("instance", true, "2700", "1"), ("instance", true, "4500", "20")]);
    case.check(
        &["01T00:15"],
        &[("instance", true, "900", "0"), ("instance", true, "1800", "1"), ("instance", true, "4500", "20")],
    );
    case.month = "2026-10";
    case.check(&[], &[("instance", true, "5400", "2")]);
}

#[test]
fn a_day_is_a_day_of_the_tenants_calendar_however_long_it_is() {
    let rules = json!([
        {"model": "flat", "amount": "24", "per": "day"},
        {"model": "per_unit", "amount": "1", "per": "day", "meter": "m"},
    ]);
    let from = "2026-01-01T00:00:00Z";
    let mut case = Case::new(vec![span("small", from, "", true)], vec![book(from, rules)]).with(series(
        Kind::Gauge,
        Aggregation::TimeWeighted,
        &[(from, "2")],
    ));
    (case.zone, case.month) = ("Europe/Berlin", "2026-03");
    let all = case.pieces(&[]);
    assert_eq!(all.iter().map(|piece| plain(&piece.amount)).collect::<Vec<_>>(), ["744", "62"], "31 days in 743 hours");
    // The 29th has 23 hours: its first 11.5 are half of it. The last days are whole.
    let pieces = case.pieces(&["2026-03-28T23:00:00Z", "2026-03-29T10:30:00Z", "2026-03-29T22:00:00Z"]);
    let amounts: Vec<_> = pieces.iter().map(|piece| plain(&piece.amount)).collect();
    assert_eq!(amounts, ["672", "12", "12", "48", "56", "1", "1", "4"]);
}

#[test]
fn what_nobody_put_a_price_on_is_unpriced_unless_the_plans_price_is_in_something_else() {
    let spans = vec![span("small", "10T00:00", "10T01:00", true)];
    let readings = series(Kind::Delta, Aggregation::Sum, &[("10T00:00", "5")]);
    let nothing = [("instance", false, "3600", "0"), ("setup", false, "1", "0"), ("m", false, "5", "0")];
    Case::new(spans.clone(), vec![]).with(readings.clone()).check(&[], &nothing);
    let other = json!([{"model": "per_unit", "amount": "1", "meter": "m", "plan": "large"}]);
    Case::new(spans.clone(), vec![book("01T00:00", other)]).with(readings.clone()).check(&[], &nothing);
    let storage = json!([{"model": "per_unit", "amount": "1", "meter": "other"}]);
    let only = [("m", false, "5", "0")];
    Case::new(spans.clone(), vec![book("01T00:00", storage)]).with(readings.clone()).check(&[], &only);
    let free = json!([{"model": "free", "reason": "pilot"}, {"model": "free", "reason": "pilot", "meter": "setup"}]);
    let priced = [("instance", true, "3600", "0"), ("setup", true, "1", "0"), ("m", false, "5", "0")];
    Case::new(spans, vec![book("01T00:00", free)]).with(readings).check(&[], &priced);
}

#[test]
fn a_provision_is_paid_once_even_where_nothing_is_left_of_its_span() {
    let rules = json!([
        {"model": "one_time", "amount": "20"},
        {"model": "per_unit", "amount": "1", "plan": "large"},
    ]);
    let spans = vec![span("small", "10T00:00", "10T00:00", true), span("large", "10T00:00", "10T00:01", false)];
    let case = Case::new(spans, vec![book("01T00:00", rules)]);
    case.check(&[], &[("instance", true, "60", "60"), ("setup", true, "1", "20")]);
    assert_eq!(case.pieces(&[])[1].span, 0);
}

#[test]
fn numbers_beyond_every_machine_integer_are_exact() {
    let rules = json!([{"model": "per_unit", "amount": "999999999999999999", "meter": "m", "per": "month"}]);
    let readings = [("2026-10-01T00:00:00Z", "999999999999999999.999999999999")];
    let case = Case::new(vec![span("small", "2026-10-01T00:00:00Z", "", true)], vec![book("01T00:00", rules)])
        .with(series(Kind::Gauge, Aggregation::TimeWeighted, &readings));
    case.check(
        &["13T07:41"],
        &[
            ("m", true, "295683333333333333333.333333333038", "410671296296296295885624999999589328.703703703704"),
            ("m", true, "424316666666666666666.666666666242", "589328703703703703114374999999410671.296296296297"),
        ],
    );
}

#[test]
fn of_several_corrections_the_latest_counts_and_none_of_another_source() {
    let readings =
        series(Kind::Delta, Aggregation::Sum, &[("10T00:00", "1"), ("10T00:00", "2"), ("10T00:00", "3")]).readings;
    let correction = |source, id: &str, time: &str, corrects: &str, quantity: Option<&str>| Correction {
        source,
        id: id.to_owned(),
        time: at(time),
        corrects: corrects.to_owned(),
        quantity: quantity.map(|text| text.parse().unwrap()),
    };
    let all = [
        correction(1, "z", "10T00:00", "000", Some("10")),
        correction(1, "a", "11T00:00", "000", Some("20")),
        correction(1, "b", "12T00:00", "001", Some("7")),
        correction(1, "c", "12T00:00", "001", None),
        correction(2, "d", "12T00:00", "002", None),
    ];
    let after = corrected(readings, &all);
    let left: Vec<_> = after.iter().map(|reading| (&*reading.id, reading.quantity.to_string())).collect();
    assert_eq!(left, [("000", "20".to_owned()), ("002", "3".to_owned())]);
}
