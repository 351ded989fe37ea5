//! Charges of each kind as rows, cell by cell. The whole of a row is judged in `tests/it/focus`.

use serde_json::{Value, json};

use super::*;
use crate::domain::decimal::read;

fn at(text: &str) -> Time {
    serde_json::from_value(json!(text)).unwrap()
}

/// Of `virtual-network/small`: `quantity` of `meter`, by a rule, for `billed`.
fn charge(meter: &str, unit: &str, quantity: &str, rule: Value, billed: &str) -> Charge {
    let priced = match rule {
        Value::Null => None,
        Value::Object(mut rule) => {
            rule.insert("offering".to_owned(), json!("virtual-network"));
            Some(Priced { book: "book-1".to_owned(), rule: serde_json::from_value(Value::Object(rule)).unwrap() })
        }
        other => panic!("{other}"),
    };
    Charge {
        hub: "hub".to_owned(),
        account: Account {
            id: "t-1".to_owned(),
            name: "Retail, \"Ltd\"".to_owned(),
            cost_center: "4711".to_owned(),
            labels: BTreeMap::from([("team".to_owned(), "a=b,\"c\"\nGröße".to_owned())]),
            ..Account::default()
        },
        instance_id: "i-1".to_owned(),
        instance_name: None,
        service: Service {
            offering: "virtual-network".to_owned(),
            plan: "small".to_owned(),
            details: ServiceDetails {
                publisher: "Team Network".to_owned(),
                category: Category::of(&json!({"x-focus": {"service_category": "Networking"}})),
                region: None,
            },
        },
        measured: Measured {
            meter: meter.to_owned(),
            unit: unit.to_owned(),
            time_weighted: unit == "GB",
            quantity: read(quantity).unwrap(),
        },
        priced,
        currency: "EUR".to_owned(),
        billed: billed.to_owned(),
        billing: at("2026-10-31T23:00:00Z")..at("2026-11-30T23:00:00Z"),
        period: at("2026-11-03T10:00:00.5Z")..at("2026-11-30T23:00:00Z"),
        corrects: None,
        statement: Some("s-1".to_owned()),
    }
}

fn cells(charge: &Charge, version: Version) -> BTreeMap<&'static str, Option<String>> {
    let row = columns::Row { charge, terms: terms::Terms::of(charge) };
    columns::of(version).map(|column| (column.name, (column.value)(&row))).collect()
}

#[track_caller]
fn check(charge: &Charge, expected: &[(&str, &str)]) {
    let cells = cells(charge, Version::V1_2);
    for (name, value) in expected {
        assert_eq!(cells[name].as_deref().unwrap_or("null"), *value, "{name} of {charge:?}");
    }
}

#[test]
fn usage_at_one_price_is_that_price_times_what_is_paid_for() {
    let per_unit = json!({"meter": "gb", "model": "per_unit", "amount": "0.1", "free_quantity": "20"});
    check(
        &charge("gb", "GB", "100.055", per_unit, "8.01"),
        &[
            ("ChargeCategory", "Usage"),
            ("ChargeFrequency", "Usage-Based"),
            ("BilledCost", "8.01"),
            ("EffectiveCost", "8.01"),
            ("ListCost", "8.0055"),
            ("ContractedCost", "8.0055"),
            ("ListUnitPrice", "0.1"),
            ("PricingQuantity", "80.055"),
            ("PricingUnit", "GB-Hours"),
            ("ConsumedQuantity", "100.055"),
            ("ConsumedUnit", "GB-Hours"),
            ("PricingCategory", "Standard"),
            ("SkuId", "virtual-network/small/gb"),
            ("SkuPriceId", "virtual-network/small/gb/per_unit"),
            ("SkuPriceDetails", r#"{"x_PriceModel":"per_unit"}"#),
            ("ServiceSubcategory", "Other (Networking)"),
            ("ChargeDescription", "virtual-network/small, gb, 0.1 EUR for each of GB-Hours"),
        ],
    );
    let package = json!({"meter": "r", "model": "package", "amount": "2", "package_size": "1000"});
    check(
        &charge("r", "request", "1001", package, "4.00"),
        &[
            ("PricingQuantity", "2.0"),
            ("PricingUnit", "1000 Requests"),
            ("ListCost", "4.0"),
            ("ConsumedQuantity", "1001.0"),
            ("ConsumedUnit", "Requests"),
        ],
    );
    let by_the_hour = json!({"model": "per_unit", "amount": "0.5", "per": "hour", "proration": "started_hour"});
    check(
        &charge("instance", "s", "3601", by_the_hour, "1.00"),
        &[
            ("ChargeCategory", "Usage"),
            ("PricingQuantity", "2.0"),
            ("PricingUnit", "Hours"),
            ("ConsumedQuantity", "3601.0"),
            ("ConsumedUnit", "Seconds"),
            ("SkuPriceId", "virtual-network/small/instance/per_unit/hour"),
        ],
    );
    let by_the_month = json!({"meter": "gb", "model": "per_unit", "amount": "12", "per": "month"});
    check(
        &charge("gb", "GB", "360", by_the_month, "6.00"),
        &[("PricingQuantity", "0.5"), ("PricingUnit", "GB-Months"), ("ListCost", "6.0")],
    );
}

#[test]
fn what_a_unit_came_to_is_the_price_where_it_depends_on_how_many_there_were() {
    let tiers = json!([{"up_to": "10", "unit_price": "1"}, {"up_to": null, "unit_price": "0.1"}]);
    let graduated = json!({"meter": "r", "model": "graduated", "tiers": tiers});
    check(
        &charge("r", "request", "20", graduated.clone(), "11.00"),
        &[
            ("ListUnitPrice", "0.55"),
            ("PricingQuantity", "20.0"),
            ("PricingUnit", "Requests"),
            ("ListCost", "11.0"),
            ("ChargeDescription", "virtual-network/small, r, graduated price"),
        ],
    );
    // It went on counting where another line had stopped: 20 more at the second tier's price.
    check(&charge("r", "request", "20", graduated, "2.00"), &[("ListUnitPrice", "0.1"), ("ListCost", "2.0")]);
    let volume = json!({"meter": "r", "model": "volume", "tiers": tiers});
    check(
        &charge("r", "request", "5", volume.clone(), "-3.50"),
        &[("BilledCost", "-3.50"), ("ListUnitPrice", "0.7"), ("PricingQuantity", "-5.0"), ("ListCost", "-3.5")],
    );
    check(&charge("r", "request", "0", volume, "-3.50"), &[("ListUnitPrice", "3.5"), ("PricingQuantity", "-1.0")]);
}

#[test]
fn fees_are_purchases_and_consume_nothing() {
    let fee = json!({"model": "flat", "amount": "30", "per": "month"});
    check(
        &charge("instance", "s", "1296000", fee, "15.00"),
        &[
            ("ChargeCategory", "Purchase"),
            ("ChargeFrequency", "Recurring"),
            ("PricingQuantity", "0.5"),
            ("PricingUnit", "Months"),
            ("ListUnitPrice", "30.0"),
            ("ListCost", "15.0"),
            ("ConsumedQuantity", "null"),
            ("ConsumedUnit", "null"),
            ("ChargeDescription", "virtual-network/small, standing, 30 EUR for each of Months"),
        ],
    );
    let setup = json!({"model": "one_time", "amount": "20"});
    let mut once = charge("setup", "1", "1", setup, "20.00");
    once.period = at("2026-11-03T10:00:00.1Z")..at("2026-11-03T10:00:00.1Z");
    check(
        &once,
        &[
            ("ChargeCategory", "Purchase"),
            ("ChargeFrequency", "One-Time"),
            ("PricingQuantity", "1.0"),
            ("PricingUnit", "Units"),
            ("ConsumedQuantity", "null"),
            ("ChargePeriodStart", "2026-11-03T10:00:00Z"),
            ("ChargePeriodEnd", "2026-11-03T10:00:01Z"),
        ],
    );
}

#[test]
fn what_has_no_price_says_so_and_what_is_free_says_why() {
    check(
        &charge("r", "request", "7", Value::Null, "0.00"),
        &[
            ("BilledCost", "0.00"),
            ("ListUnitPrice", "0.0"),
            ("ListCost", "0.0"),
            ("PricingQuantity", "7.0"),
            ("PricingCategory", "Other"),
            ("SkuPriceId", "virtual-network/small/r"),
            ("SkuPriceDetails", "null"),
            ("x_PriceBook", "null"),
            ("x_Unpriced", "true"),
            ("ChargeDescription", "virtual-network/small, r, which has no price"),
        ],
    );
    let free = json!({"meter": "r", "model": "free", "reason": "while it is new"});
    check(
        &charge("r", "request", "7", free, "0.00"),
        &[
            ("ListUnitPrice", "0.0"),
            ("PricingQuantity", "7.0"),
            ("x_Unpriced", "false"),
            ("x_PriceBook", "book-1"),
            ("ChargeDescription", "virtual-network/small, r, free: while it is new"),
        ],
    );
}

#[test]
fn a_correction_has_its_amount_and_no_unit_price() {
    let mut correction =
        charge("r", "request", "-3", json!({"meter": "r", "model": "per_unit", "amount": "1"}), "-3.00");
    correction.corrects = Some("2026-10".parse().unwrap());
    check(
        &correction,
        &[
            ("ChargeClass", "Correction"),
            ("BilledCost", "-3.00"),
            ("ListCost", "-3.00"),
            ("ListUnitPrice", "null"),
            ("PricingQuantity", "null"),
            ("PricingUnit", "null"),
            ("ConsumedQuantity", "-3.0"),
            ("x_CorrectsPeriod", "2026-10"),
            ("ChargeDescription", "Correction of 2026-10: virtual-network/small, r, per-unit price"),
        ],
    );
}

#[test]
fn amounts_of_currencies_without_a_minor_unit_have_a_point_too() {
    let mut yen = charge("r", "request", "3", json!({"meter": "r", "model": "per_unit", "amount": "100"}), "300");
    yen.currency = "JPY".to_owned();
    check(&yen, &[("BilledCost", "300.0"), ("ListUnitPrice", "100.0"), ("PricingQuantity", "3.0")]);
}

#[test]
fn times_are_utc_in_whole_seconds_and_texts_stay_as_they_are() {
    let row = charge("r", "request", "3", Value::Null, "0.00");
    check(
        &row,
        &[
            ("BillingPeriodStart", "2026-10-31T23:00:00Z"),
            ("BillingPeriodEnd", "2026-11-30T23:00:00Z"),
            ("ChargePeriodStart", "2026-11-03T10:00:00Z"),
            ("SubAccountName", "Retail, \"Ltd\""),
            ("x_CostCenter", "4711"),
            ("x_BusinessUnit", "null"),
            ("ResourceName", "null"),
            ("InvoiceId", "s-1"),
        ],
    );
    let cells = cells(&row, Version::V1_0);
    let tags: Value = serde_json::from_str(cells["Tags"].as_deref().unwrap()).unwrap();
    assert_eq!(tags, json!({"team": "a=b,\"c\"\nGröße"}));
    assert!(line(&row, Version::V1_2).contains(",\"Retail, \"\"Ltd\"\"\","));
}

#[test]
fn columns_are_in_the_order_that_the_specification_wants_and_named_once() {
    for version in [Version::V1_0, Version::V1_0Strict, Version::V1_2] {
        let names: Vec<_> = columns::of(version).map(|column| column.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names.len(), sorted.len(), "{version:?}");
        let own = names.iter().position(|name| name.starts_with("x_")).unwrap();
        assert!(names[own..].iter().all(|name| name.starts_with("x_")), "{version:?}: own columns come last");
        assert_eq!(header(version), names.join(",") + "\r\n");
    }
    assert_eq!("1.0".parse(), Ok(Version::V1_0));
    assert_eq!("1.2".parse(), Ok(Version::V1_2));
    for bad in ["", "1", "1.1", "1.20", "v1.2"] {
        assert_eq!(bad.parse::<Version>(), Err(VersionError), "{bad}");
    }
}

#[test]
fn the_page_for_readers_names_every_column() {
    let page = include_str!("../../../docs/focus.md");
    for column in columns::of(Version::V1_0).chain(columns::of(Version::V1_2)) {
        assert!(page.contains(&format!("`{}`", column.name)), "docs/focus.md does not say what {} is", column.name);
    }
}
