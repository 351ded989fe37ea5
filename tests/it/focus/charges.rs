//! Charges of every kind, made by hand: each model, each aggregation, corrections, what has no price, and names as people choose
//! them.

use std::collections::BTreeMap;

use bourse::clock::Time;
use bourse::domain::decimal::read;
use bourse::domain::focus::{
    Account, Category, Charge, Measured, Priced, Service, ServiceDetails, Version, header, line,
};
use serde_json::{Value, json};

/// Names that trip up readers of CSV, JSON and spreadsheets.
pub(crate) const NAMES: [&str; 8] = [
    "Retail",
    "Smith, Jones & \"Sons\"",
    "two\r\nlines",
    "  spaces at both ends  ",
    "Größe 東京 🦀 العربية",
    "=1+2",
    "a;b\tc|d",
    "'; DROP TABLE charges; --",
];

pub(crate) fn at(text: &str) -> Time {
    serde_json::from_value(json!(text)).expect("no time")
}

/// What is different from one charge to the next.
struct What {
    meter: &'static str,
    unit: &'static str,
    time_weighted: bool,
    quantity: &'static str,
    rule: Value,
    billed: &'static str,
    corrects: Option<&'static str>,
}

fn what(meter: &'static str, unit: &'static str, quantity: &'static str, rule: Value, billed: &'static str) -> What {
    What { meter, unit, time_weighted: unit == "GB", quantity, rule, billed, corrects: None }
}

fn kinds() -> Vec<What> {
    let tiers = json!([{"up_to": "10", "unit_price": "1"}, {"up_to": null, "unit_price": "0.07"}]);
    vec![
        what("instance", "s", "1296000.5", json!({"model": "flat", "amount": "29.90", "per": "month"}), "14.95"),
        what("instance", "s", "3601", json!({"model": "flat", "amount": "0.5", "per": "hour"}), "0.50"),
        what("setup", "1", "1", json!({"model": "one_time", "amount": "20"}), "20.00"),
        what("gb", "GB", "333.333333333333", json!({"model": "per_unit", "amount": "0.003"}), "1.00"),
        what("bytes", "By", "123456789012", json!({"model": "per_unit", "amount": "0.000000000023"}), "2.84"),
        what("ops", "operation", "1001", json!({"model": "package", "amount": "2", "package_size": "1000"}), "4.00"),
        what("calls", "call", "17", json!({"model": "graduated", "tiers": tiers.clone()}), "10.49"),
        what("seats", "seat", "30", json!({"model": "volume", "tiers": tiers.clone()}), "2.10"),
        what("queries", "query", "30", json!({"model": "volume", "tiers": tiers}), "-7.90"),
        what("trial", "day", "9", json!({"model": "free", "reason": "for a year, \"on the house\""}), "0.00"),
        what("mystery", "key_version", "12.5", Value::Null, "0.00"),
        What {
            corrects: Some("2026-10"),
            ..what("ops", "operation", "-3", json!({"model": "per_unit", "amount": "2"}), "-6.00")
        },
        What { corrects: Some("2026-10"), ..what("mystery", "key_version", "1", Value::Null, "0.00") },
        What {
            corrects: Some("2026-10"),
            ..what("instance", "s", "-60", json!({"model": "flat", "amount": "1", "per": "day"}), "-0.01")
        },
    ]
}

/// For each name one tenant with a charge of each kind.
pub(crate) fn all() -> Vec<Charge> {
    let tenants = NAMES.iter().enumerate();
    tenants.flat_map(|(index, name)| kinds().into_iter().map(move |what| charge(index, name, what))).collect()
}

fn charge(tenant: usize, name: &str, what: What) -> Charge {
    let offering = ["virtual-network", "managed-key-vault", "other"][tenant % 3];
    let category = [
        json!({"service_category": "Networking", "service_subcategory": "Network Connectivity"}),
        json!({"service_category": "Security"}),
        Value::Null,
    ];
    let rule = |mut rule: Value| {
        rule["offering"] = json!(offering);
        rule["meter"] = json!(what.meter);
        Priced { book: "book-1".to_owned(), rule: serde_json::from_value(rule).expect("no rule") }
    };
    let (priced, corrects) = (what.rule.is_object().then(|| rule(what.rule.clone())), what.corrects);
    let period = match corrects {
        Some(_) => at("2026-10-03T10:00:00Z")..at("2026-10-31T23:00:00Z"),
        None if what.meter == "setup" => at("2026-11-03T10:00:00.1Z")..at("2026-11-03T10:00:00.1Z"),
        None => at("2026-11-03T10:00:00.123456Z")..at("2026-11-30T23:00:00Z"),
    };
    Charge {
        hub: "hub".to_owned(),
        account: Account {
            id: format!("tenant-{tenant}"),
            name: name.to_owned(),
            cost_center: name.to_owned(),
            business_unit: String::new(),
            environment: "production".to_owned(),
            labels: BTreeMap::from([(name.to_owned(), name.to_owned()), ("team".to_owned(), String::new())]),
        },
        instance_id: format!("instance-{tenant}"),
        instance_name: (tenant % 2 == 1).then(|| name.to_owned()),
        service: Service {
            offering: offering.to_owned(),
            plan: "small".to_owned(),
            details: ServiceDetails {
                publisher: "Team \"Network\", Ltd".to_owned(),
                category: Category::of(&json!({"x-focus": category[tenant % 3]})),
                region: (tenant == 0).then(|| "eu-1".to_owned()),
            },
        },
        measured: Measured {
            meter: what.meter.to_owned(),
            unit: what.unit.to_owned(),
            time_weighted: what.time_weighted,
            quantity: read(what.quantity).expect("no quantity"),
        },
        priced,
        currency: "EUR".to_owned(),
        billed: what.billed.to_owned(),
        billing: at("2026-10-31T23:00:00Z")..at("2026-11-30T23:00:00Z"),
        period,
        corrects: corrects.map(|month| month.parse().expect("no month")),
        statement: (tenant != 2).then(|| format!("tenant-{tenant}/2026-11")),
    }
}

/// An export of charges.
pub(crate) fn export(charges: &[Charge], version: Version) -> String {
    let mut text = header(version);
    text.extend(charges.iter().map(|charge| line(charge, version)));
    text
}
