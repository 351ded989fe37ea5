//! The hub's rating against the reference rater, on facts at random.

use std::collections::BTreeMap;
use std::ops::Range;

use bourse::clock::Time;
use bourse::domain::meter::{Aggregation, Kind};
use bourse::domain::period::Zones;
use bourse::domain::price::PriceBook;
use bourse::domain::rating::{self, Correction, History, Piece, Reading, Series, Span};
use num_bigint::BigInt;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::worlds::{METERS, World, worlds};
use super::{Event, Facts, Fraction, Instant, Line, lines};

/// Cases where `PROPTEST_CASES` asks for no other number.
const UNASKED: u32 = 256;

fn config() -> ProptestConfig {
    let given = ProptestConfig::default();
    let rng_seed = if given.rng_seed == RngSeed::Random { RngSeed::Fixed(22) } else { given.rng_seed };
    let cases = if given.cases == UNASKED { 192 } else { given.cases };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..given }
}

/// The same facts as the hub has them after it has taken everything in.
struct Product {
    spans: Vec<Span>,
    series: Vec<Series>,
    books: Vec<PriceBook>,
    tenant: Vec<Time>,
    zones: Zones,
}

impl Product {
    fn new(facts: &Facts) -> Self {
        let spans = facts.spans.iter().map(|span| Span {
            offering: span.offering.clone(),
            plan: span.plan.clone(),
            from: Time(span.from),
            until: span.until.map(Time),
            setup: span.setup,
        });
        let series = METERS.iter().map(|meter| Series {
            meter: meter.key.to_owned(),
            kind: Kind::read(meter.kind).unwrap(),
            aggregation: Aggregation::read(meter.aggregation).unwrap(),
            unit: "u".to_owned(),
            readings: readings(facts, meter.key),
        });
        let books = facts.books.iter().map(|book| {
            let document =
                serde_json::from_value::<bourse::domain::price::BookDocument>(book.document.clone()).unwrap();
            assert_eq!(document.problems(), [], "{}", book.document);
            PriceBook { id: book.id.clone(), document, created_at: Time(book.made) }
        });
        let mut zones = facts.zones.iter().map(|(since, zone)| (Time(*since), zone.parse().unwrap()));
        let (_, first) = zones.next().unwrap();
        Self {
            spans: spans.collect(),
            series: series.collect(),
            books: books.collect(),
            tenant: facts.tenant.iter().copied().map(Time).collect(),
            zones: Zones::new(first, zones.collect()),
        }
    }

    fn rate(&self, month: &str, known: Instant, cuts: &[Instant]) -> Vec<Piece> {
        let cuts: Vec<_> = cuts.iter().copied().map(Time).collect();
        let history = History {
            spans: &self.spans,
            series: &self.series,
            tenant_edges: &self.tenant,
            books: &self.books,
            zones: &self.zones,
            month: month.parse().unwrap(),
            until: Time(known),
        };
        rating::rate(&history, &cuts)
    }
}

/// What the store does with what arrives: the first of a source and id is kept, corrections are applied.
fn readings(facts: &Facts, meter: &str) -> Vec<Reading> {
    let mut kept: Vec<&Event> = Vec::new();
    for event in facts.events.iter().filter(|event| event.meter == meter) {
        if !kept.iter().any(|other| (other.source, &other.id) == (event.source, &event.id)) {
            kept.push(event);
        }
    }
    let (corrections, readings): (Vec<_>, Vec<_>) = kept.into_iter().partition(|event| event.corrects.is_some());
    let quantity = |event: &Event| event.quantity.as_ref().map(|text| text.parse().unwrap());
    let corrections: Vec<_> = (corrections.into_iter())
        .map(|event| Correction {
            source: event.source,
            id: event.id.clone(),
            time: Time(event.time),
            corrects: event.corrects.clone().unwrap(),
            quantity: quantity(event),
        })
        .collect();
    let readings = readings.into_iter().map(|event| Reading {
        at: Time(event.window.unwrap_or(event.time)),
        source: event.source,
        id: event.id.clone(),
        quantity: quantity(event).unwrap(),
        reset_id: event.reset_id.clone(),
        value: event.value.clone(),
    });
    rating::corrected(readings.collect(), &corrections)
}

fn shown(pieces: Vec<Piece>) -> Vec<Line> {
    let none = Fraction::from_integer(BigInt::ZERO);
    let lines = pieces.into_iter().map(|piece| Line {
        from: piece.from.0,
        until: piece.until.0,
        span: piece.span,
        meter: piece.meter,
        price: piece.price.map(|price| (price.book, price.rule)),
        quantity: piece.quantity,
        amount: piece.amount,
    });
    lines.filter(|line| line.quantity != none || line.amount != none).collect()
}

/// A span, a meter and a price.
type What<'a> = (usize, &'a str, Option<(usize, usize)>);

fn sums(lines: &[Line]) -> BTreeMap<What<'_>, (Fraction, Fraction)> {
    let mut sums = BTreeMap::new();
    for line in lines {
        let none = || Fraction::from_integer(BigInt::ZERO);
        let sum = sums.entry((line.span, &*line.meter, line.price)).or_insert_with(|| (none(), none()));
        sum.0 += &line.quantity;
        sum.1 += &line.amount;
    }
    sums.retain(|_, (quantity, amount)| *quantity.numer() != BigInt::ZERO || *amount.numer() != BigInt::ZERO);
    sums
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_hub_and_the_reference_rater_agree_to_the_last_digit(world in worlds()) {
        let World { facts, month, known, cuts } = world;
        let product = Product::new(&facts);
        let found = shown(product.rate(month, known, &cuts));
        prop_assert_eq!(&found, &lines(&facts, month, known, &cuts));
    }

    #[test]
    fn what_a_month_is_cut_by_changes_nothing_that_it_adds_up_to(world in worlds()) {
        let product = Product::new(&world.facts);
        let whole = shown(product.rate(world.month, world.known, &[]));
        let cut = shown(product.rate(world.month, world.known, &world.cuts));
        prop_assert_eq!(sums(&whole), sums(&cut));
    }

    #[test]
    fn the_order_of_arrival_and_repetitions_change_nothing(world in worlds(), seed in any::<u64>()) {
        let mut again = world.facts.clone();
        again.events.extend(world.facts.events.iter().cloned());
        fastrand::Rng::with_seed(seed).shuffle(&mut again.events);
        let rate = |facts| Product::new(facts).rate(world.month, world.known, &world.cuts);
        prop_assert_eq!(rate(&world.facts), rate(&again));
    }

    #[test]
    fn of_what_was_before_and_after_a_month_only_what_is_said_to_be_needed_is(world in worlds()) {
        let mut product = Product::new(&world.facts);
        let whole = product.rate(world.month, world.known, &world.cuts);
        let Range { start, end } = product.zones.range(world.month.parse().unwrap());
        let since = rating::since(&product.spans, start);
        for series in &mut product.series {
            let sorted = |reading: &Reading| (reading.at, reading.source, reading.id.clone());
            series.readings.sort_by_key(sorted);
            let before = series.readings.iter().filter(|reading| reading.at < since);
            let mut needed: BTreeMap<String, Reading> = BTreeMap::new();
            for reading in before {
                let mut keep = |key: String| _ = needed.insert(key, reading.clone());
                match series.kind {
                    Kind::Delta => {}
                    Kind::Gauge => keep("last".to_owned()),
                    Kind::Counter => {
                        keep("last".to_owned());
                        keep(format!("last of {:?}", reading.reset_id));
                        let highest = format!("highest of {:?}", reading.reset_id);
                        if needed.get(&highest).is_none_or(|known| known.quantity < reading.quantity) {
                            needed.insert(highest, reading.clone());
                        }
                    }
                }
            }
            let mut kept: Vec<_> = needed.into_values().collect();
            kept.extend(series.readings.iter().filter(|reading| since <= reading.at && reading.at < end).cloned());
            let mut first = BTreeMap::new();
            let counted = series.readings.iter().filter(|_| series.kind == Kind::Counter);
            for reading in counted.filter(|reading| since.max(end) <= reading.at) {
                if reading.at <= *first.entry(reading.reset_id.clone()).or_insert(reading.at) {
                    kept.push(reading.clone());
                }
            }
            kept.sort_by_key(sorted);
            kept.dedup();
            series.readings = kept;
        }
        let last = product.spans.iter().filter(|span| span.until.is_some_and(|until| until <= start)).count();
        let gone = last.saturating_sub(1);
        product.spans.drain(..gone);
        let mut trimmed = product.rate(world.month, world.known, &world.cuts);
        trimmed.iter_mut().for_each(|piece| piece.span += gone);
        prop_assert_eq!(shown(whole), shown(trimmed));
    }

    #[test]
    fn each_second_of_a_ready_instance_is_in_exactly_one_piece_of_one_month(world in worlds()) {
        let mut facts = world.facts;
        facts.books.clear();
        let product = Product::new(&facts);
        let month: bourse::domain::period::Month = world.month.parse().unwrap();
        let months = [month.previous(), month, month.next()];
        let mut pieces: Vec<_> = months
            .iter()
            .flat_map(|month| product.rate(&month.to_string(), Instant::MAX, &world.cuts))
            .filter(|piece| piece.meter == "instance")
            .collect();
        pieces.sort_by_key(|piece| piece.from);
        for pair in pieces.windows(2) {
            prop_assert!(pair[0].until <= pair[1].from, "{pair:?}");
        }
        let (from, until) = (product.zones.range(months[0]).start.0, product.zones.range(months[2]).end.0);
        let stood = facts.spans.iter().map(|span| {
            (span.until.unwrap_or(until).min(until) - span.from.max(from)).max(0)
        });
        let stood = Fraction::new(stood.sum::<Instant>().into(), 1_000_000.into());
        prop_assert_eq!(pieces.iter().map(|piece| piece.quantity.clone()).sum::<Fraction>(), stood);
        for piece in pieces {
            prop_assert_eq!(piece.quantity, Fraction::new((piece.until.0 - piece.from.0).into(), 1_000_000.into()));
        }
    }
}
