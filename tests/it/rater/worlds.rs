//! Facts at random, such as brokers, platforms and people bring them about: around the edges of months of several calendars,
//! with much that happens at the same instant.

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::calendar::instant;
use super::{Book, Event, Facts, Instant, Metered, Stood};

pub(super) const HOUR: Instant = 3_600_000_000;
const DAY: Instant = 24 * HOUR;

/// Each kind of meter that there is.
pub(super) const METERS: [Metered; 8] = [
    Metered { key: "calls", kind: "delta", aggregation: "sum" },
    Metered { key: "peak", kind: "delta", aggregation: "max" },
    Metered { key: "size", kind: "delta", aggregation: "latest" },
    Metered { key: "users", kind: "delta", aggregation: "unique" },
    Metered { key: "storage", kind: "gauge", aggregation: "time_weighted" },
    Metered { key: "load", kind: "gauge", aggregation: "max" },
    Metered { key: "nodes", kind: "gauge", aggregation: "latest" },
    Metered { key: "bytes", kind: "counter", aggregation: "sum" },
];

/// A month that is looked at, and where.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) facts: Facts,
    pub(super) month: &'static str,
    pub(super) known: Instant,
    pub(super) cuts: Vec<Instant>,
}

pub(super) fn worlds() -> impl Strategy<Value = World> {
    let months = [
        ("Europe/Berlin", "2026-03"),
        ("Europe/Berlin", "2026-10"),
        ("Asia/Kolkata", "2026-12"),
        ("America/St_Johns", "2026-11"),
        // There and then, clocks were put back at one minute past midnight.
        ("America/St_Johns", "2009-11"),
        ("Pacific/Kiritimati", "2027-01"),
        ("UTC", "2026-02"),
    ];
    select(months.to_vec()).prop_flat_map(|(zone, month)| {
        let base = instant(&format!("{month}-01T00:00:00Z"));
        let parts = (
            spans(base),
            events(base),
            vec(book(base), 0..4),
            zones(base, zone),
            vec(time(base), 0..4),
            vec(time(base), 0..6),
            prop_oneof![Just(base + 60 * DAY), time(base)],
        );
        parts.prop_map(move |(spans, events, books, zones, tenant, mut cuts, known)| {
            let books = books.into_iter().enumerate().map(|(index, (made, document))| Book {
                id: format!("book-{index}"),
                made,
                document,
            });
            cuts.sort_unstable();
            let (meters, books) = (METERS.to_vec(), books.collect());
            World { facts: Facts { spans, meters, events, books, zones, tenant }, month, known, cuts }
        })
    })
}

/// Often the start of an hour, so that much falls together; sometimes the edge of the month in its calendar, or any instant.
fn time(base: Instant) -> BoxedStrategy<Instant> {
    let hours = (-3 * 24..36_i64 * 24).prop_map(move |hours| base + hours * HOUR);
    let halves = (-30..30_i64).prop_map(move |halves| base + halves * (HOUR / 2));
    let any = (-3 * DAY..36 * DAY).prop_map(move |micros| base + micros);
    prop_oneof![5 => hours, 4 => halves, 2 => any].boxed()
}

fn spans(base: Instant) -> impl Strategy<Value = Vec<Stood>> {
    let edges = vec((time(base), select(vec!["small", "large", "odd"]), prop::bool::weighted(0.3)), 1..6);
    (edges, any::<bool>(), option::weighted(0.3, Just(base - 10 * DAY))).prop_map(|(mut edges, open, early)| {
        edges.sort_unstable_by_key(|(at, ..)| *at);
        if let (Some(early), Some(first)) = (early, edges.first_mut()) {
            first.0 = early;
        }
        let ends: Vec<_> = edges.iter().skip(1).map(|(at, ..)| Some(*at)).chain([None]).collect();
        let mut spans = Vec::new();
        let mut setup = true;
        for ((from, plan, gap), until) in edges.into_iter().zip(ends) {
            let until = if until.is_none() && !open { Some(from + 5 * DAY + 17) } else { until };
            if gap {
                setup = true;
                continue;
            }
            spans.push(Stood { offering: "db".to_owned(), plan: plan.to_owned(), from, until, setup });
            setup = false;
        }
        spans
    })
}

fn quantity() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0..300_u32).prop_map(|whole| whole.to_string()),
        3 => select(vec!["5", "7", "10", "12.5", "0.5", "90.5", "0"]).prop_map(str::to_owned),
        2 => (0..100_u32, 1..1_000_000_u64).prop_map(|(whole, part)| format!("{whole}.{part:012}1").replace(".0", ".")),
        1 => Just("999999999999999999.999999999999".to_owned()),
        1 => (1..9_u32).prop_map(|whole| format!("-{whole}.5")),
    ]
    .prop_map(|text| match text.split_once('.') {
        Some((whole, part)) => format!("{whole}.{}", part.get(..12).unwrap_or(part)),
        None => text,
    })
}

fn events(base: Instant) -> impl Strategy<Value = Vec<Event>> {
    let one = (
        select(METERS.to_vec()),
        1..3_i64,
        (time(base), option::weighted(0.7, prop_oneof![Just(HOUR), 0..3 * DAY])),
        quantity(),
        option::weighted(0.7, select(vec!["a", "b"])),
        option::weighted(0.8, select(vec!["ann", "bob", "cy"])),
    );
    let correction = (any::<prop::sample::Index>(), time(base), option::weighted(0.6, quantity()));
    let all = (vec(one, 0..40), vec(correction, 0..8), vec(any::<prop::sample::Index>(), 0..8));
    let all = all.prop_map(|(readings, corrections, again)| {
        let mut events: Vec<Event> = Vec::new();
        for (index, (meter, source, (time, back), quantity, reset_id, value)) in readings.into_iter().enumerate() {
            let reset_id = reset_id.filter(|_| meter.kind == "counter").map(str::to_owned);
            let value = value.filter(|_| meter.aggregation == "unique").map(str::to_owned);
            let window = back.filter(|_| meter.kind == "delta").map(|back| time - back);
            // Ids that do not ascend with time.
            let id = format!("{:03}", index * 37 % 101);
            let meter = meter.key.to_owned();
            events.push(Event {
                meter,
                source,
                id,
                time,
                window,
                quantity: Some(quantity),
                reset_id,
                value,
                corrects: None,
            });
        }
        let originals = events.clone();
        for (index, (target, time, quantity)) in corrections.into_iter().enumerate() {
            let Some(target) = (!originals.is_empty()).then(|| target.get(&originals)) else { break };
            let (id, corrects) = (format!("c{index}"), Some(target.id.clone()));
            events.push(Event { id, time, window: None, quantity, corrects, ..target.clone() });
        }
        for index in again {
            if !originals.is_empty() {
                events.push(index.get(&originals).clone());
            }
        }
        events
    });
    all.prop_flat_map(|events| Just(events).prop_shuffle())
}

fn zones(base: Instant, zone: &'static str) -> impl Strategy<Value = Vec<(Instant, String)>> {
    let later = (time(base), select(vec!["UTC", "Asia/Kolkata", "Europe/Berlin", "Pacific/Honolulu"]));
    option::weighted(0.3, later).prop_map(move |later| {
        let later = later.map(|(since, zone)| (since, zone.to_owned()));
        [(Instant::MIN, zone.to_owned())].into_iter().chain(later).collect()
    })
}

fn book(base: Instant) -> impl Strategy<Value = (Instant, Value)> {
    let meters = METERS.map(|meter| meter.key).into_iter().chain(["instance", "instance", "setup"]);
    let plans = select(vec![Some("small"), Some("large"), None]);
    let rules = vec((plans, select(meters.collect::<Vec<_>>()), any::<u16>()), 0..12);
    (prop_oneof![3 => Just(base - 5 * DAY), 5 => time(base)], 0..3_i64, rules).prop_map(|(since, made, rules)| {
        let mut seen = Vec::new();
        let mut kept = Vec::new();
        for (plan, meter, dice) in rules {
            if !seen.contains(&(plan, meter)) {
                seen.push((plan, meter));
                kept.push(rule(plan, meter, dice));
            }
        }
        let since = Timestamp::from_microsecond(since).unwrap().to_string();
        (made, json!({"currency": "EUR", "effective_from": since, "rules": kept}))
    })
}

/// A rule that makes sense, and comes again often enough that two books have the same one.
pub(super) fn rule(plan: Option<&str>, meter: &str, dice: u16) -> Value {
    let mut rule = Map::new();
    let mut put = |name: &str, value: Value| _ = rule.insert(name.to_owned(), value);
    put("offering", json!("db"));
    if let Some(plan) = plan {
        put("plan", json!(plan));
    }
    let [model, per, extra] = [dice % 6, dice / 6 % 4, dice / 24 % 3];
    let model = match (meter, model) {
        ("setup", 0..=2) => "one_time",
        ("instance", 0..=2) => "flat",
        (_, 0 | 3) => "per_unit",
        (_, 1) => "graduated",
        (_, 2) => "volume",
        (_, 4) => "package",
        _ => "free",
    };
    put("model", json!(model));
    if !(model == "flat" || model == "one_time") {
        put("meter", json!(meter));
    }
    let per = ["hour", "day", "month"].get(usize::from(per)).or((model == "flat").then_some(&"day"));
    if let Some(per) = per.filter(|_| meter != "setup" && model != "free") {
        put("per", json!(per));
    }
    if meter == "instance" && model != "free" && extra == 0 {
        put("proration", json!("started_hour"));
    }
    if !matches!(model, "flat" | "one_time" | "free") && extra == 1 {
        put("free_quantity", json!("12.5"));
    }
    match model {
        "free" => put("reason", json!("pilot")),
        "package" => {
            put("amount", json!("3"));
            put("package_size", json!("7"));
        }
        "graduated" | "volume" => put(
            "tiers",
            json!([
                {"up_to": "10", "unit_price": "0.05"}, {"up_to": "100.5", "unit_price": "0.03"}, {"up_to": null, "unit_price": "0.000000000001"},
            ]),
        ),
        _ => put("amount", json!("0.37")),
    }
    Value::Object(rule)
}
