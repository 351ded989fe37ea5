//! Who is charged, for what, and when.

use super::Base::{Correction, Purchase, Usage};
use super::Kind::{Currency, Instant, KeyValue, Text};
use super::Level::{Conditional, Mandatory, Recommended};
use super::{Condition, Kind, Level, Rule, is, there_if_priced, together, value};
use crate::focus::categories::{CATEGORIES, SUBCATEGORIES, parent};

const fn rule(column: &'static str, section: &'static str, level: Level, kind: Kind, nulls: bool) -> Rule {
    Rule { column, section, level, kind, nulls, allowed: &[], conditions: &[] }
}

pub(crate) const CHARGES: &[Rule] = &[
    rule("BillingAccountId", "3.3", Mandatory, Text, false),
    // May be null where accounts have no names; the hub's has one.
    rule("BillingAccountName", "3.4", Mandatory, Text, false),
    Rule {
        conditions: &[Condition {
            says: "is null exactly where BillingAccountId is",
            holds: |row| together(row, "BillingAccountType", "BillingAccountId"),
            broken: (Usage, &[("BillingAccountType", "")]),
        }],
        ..rule("BillingAccountType", "3.5", Conditional, Text, true)
    },
    rule("BillingCurrency", "3.6", Mandatory, Currency, false),
    Rule {
        conditions: &[Condition {
            says: "is the exclusive end, so it is after the start",
            holds: |row| value(row, "BillingPeriodEnd") > value(row, "BillingPeriodStart"),
            broken: (Usage, &[("BillingPeriodEnd", "2020-01-01T00:00:00Z")]),
        }],
        ..rule("BillingPeriodEnd", "3.7", Mandatory, Instant, false)
    },
    rule("BillingPeriodStart", "3.8", Mandatory, Instant, false),
    Rule {
        allowed: &["Usage", "Purchase", "Tax", "Credit", "Adjustment"],
        ..rule("ChargeCategory", "3.11", Mandatory, Text, false)
    },
    Rule {
        allowed: &["Correction"],
        conditions: &[
            Condition {
                says: "is Correction where the row is about a period that was invoiced before",
                holds: |row| {
                    let earlier = value(row, "ChargePeriodEnd") <= value(row, "BillingPeriodStart");
                    !earlier || is(row, "ChargeClass", "Correction")
                },
                broken: (Correction, &[("ChargeClass", "")]),
            },
            Condition {
                says: "is null where the row is about the billing period",
                holds: |row| {
                    let within = value(row, "ChargePeriodEnd") > value(row, "BillingPeriodStart");
                    !within || !is(row, "ChargeClass", "Correction")
                },
                broken: (Usage, &[("ChargeClass", "Correction")]),
            },
        ],
        ..rule("ChargeClass", "3.12", Mandatory, Text, true)
    },
    // Should not be null; the export promises that it is not.
    rule("ChargeDescription", "3.13", Mandatory, Text, false),
    Rule {
        allowed: &["One-Time", "Recurring", "Usage-Based"],
        conditions: &[Condition {
            says: "is not Usage-Based of a purchase",
            holds: |row| !(is(row, "ChargeCategory", "Purchase") && is(row, "ChargeFrequency", "Usage-Based")),
            broken: (Purchase, &[("ChargeFrequency", "Usage-Based")]),
        }],
        ..rule("ChargeFrequency", "3.14", Recommended, Text, false)
    },
    Rule {
        conditions: &[Condition {
            says: "is the exclusive end, so it is after the start",
            holds: |row| value(row, "ChargePeriodEnd") > value(row, "ChargePeriodStart"),
            broken: (Usage, &[("ChargePeriodStart", "2999-01-01T00:00:00Z")]),
        }],
        ..rule("ChargePeriodEnd", "3.15", Mandatory, Instant, false)
    },
    rule("ChargePeriodStart", "3.16", Mandatory, Instant, false),
    // Null where nothing was invoiced yet.
    rule("InvoiceId", "3.29", Recommended, Text, true),
    rule("InvoiceIssuerName", "3.30", Mandatory, Text, false),
    rule("ProviderName", "3.40", Mandatory, Text, false),
    rule("PublisherName", "3.41", Mandatory, Text, false),
    rule("RegionId", "3.42", Conditional, Text, true),
    Rule {
        conditions: &[Condition {
            says: "is null exactly where RegionId is",
            holds: |row| together(row, "RegionName", "RegionId"),
            broken: (Usage, &[("RegionId", "eu-1"), ("RegionName", "")]),
        }],
        ..rule("RegionName", "3.43", Conditional, Text, true)
    },
    // Null of what is not related to a resource; every charge of the hub is.
    rule("ResourceId", "3.44", Conditional, Text, false),
    Rule {
        conditions: &[
            Condition {
                says: "is null where ResourceId is",
                holds: |row| value(row, "ResourceName").is_none() || value(row, "ResourceId").is_some(),
                broken: (Usage, &[("ResourceId", ""), ("ResourceName", "a name")]),
            },
            Condition {
                says: "is not the id once more",
                holds: |row| value(row, "ResourceName").is_none() || row["ResourceName"] != row["ResourceId"],
                broken: (Usage, &[("ResourceId", "same"), ("ResourceName", "same")]),
            },
        ],
        ..rule("ResourceName", "3.45", Conditional, Text, true)
    },
    Rule {
        conditions: &[Condition {
            says: "is null exactly where ResourceId is",
            holds: |row| together(row, "ResourceType", "ResourceId"),
            broken: (Usage, &[("ResourceType", "")]),
        }],
        ..rule("ResourceType", "3.46", Conditional, Text, true)
    },
    Rule { allowed: CATEGORIES, ..rule("ServiceCategory", "3.47", Mandatory, Text, false) },
    rule("ServiceName", "3.48", Mandatory, Text, false),
    Rule {
        allowed: SUBCATEGORIES,
        conditions: &[Condition {
            says: "belongs to the ServiceCategory",
            holds: |row| value(row, "ServiceSubcategory").and_then(parent) == value(row, "ServiceCategory"),
            broken: (Usage, &[("ServiceCategory", "Web"), ("ServiceSubcategory", "Secret Management")]),
        }],
        ..rule("ServiceSubcategory", "3.49", Recommended, Text, false)
    },
    Rule {
        conditions: &[Condition {
            says: "is there of usage and purchases, and not of taxes",
            holds: |row| there_if_priced(row, "SkuId"),
            broken: (Usage, &[("SkuId", "")]),
        }],
        ..rule("SkuId", "3.50", Conditional, Text, true)
    },
    Rule {
        conditions: &[Condition {
            says: "is null exactly where SkuId is",
            holds: |row| together(row, "SkuMeter", "SkuId"),
            broken: (Usage, &[("SkuMeter", "")]),
        }],
        ..rule("SkuMeter", "3.51", Conditional, Text, true)
    },
    Rule {
        conditions: &[
            Condition {
                says: "is null where SkuPriceId is",
                holds: |row| value(row, "SkuPriceDetails").is_none() || value(row, "SkuPriceId").is_some(),
                broken: (Usage, &[("SkuPriceId", ""), ("SkuPriceDetails", "{\"x_a\":\"b\"}")]),
            },
            Condition {
                says: "names what is not the specification's with x_",
                holds: |row| {
                    let details = value(row, "SkuPriceDetails").and_then(|text| serde_json::from_str(text).ok());
                    let keys = |details: serde_json::Map<String, serde_json::Value>| {
                        details.keys().all(|key| key.starts_with("x_"))
                    };
                    details.is_none_or(keys)
                },
                broken: (Usage, &[("SkuPriceDetails", "{\"model\":\"flat\"}")]),
            },
        ],
        ..rule("SkuPriceDetails", "3.52", Conditional, KeyValue, true)
    },
    Rule {
        conditions: &[Condition {
            says: "is there of usage and purchases, and not of taxes",
            holds: |row| there_if_priced(row, "SkuPriceId"),
            broken: (Purchase, &[("SkuPriceId", "")]),
        }],
        ..rule("SkuPriceId", "3.53", Conditional, Text, true)
    },
    // Null of what is not related to a sub account; every charge of the hub is.
    rule("SubAccountId", "3.54", Conditional, Text, false),
    Rule {
        conditions: &[Condition {
            says: "is null exactly where SubAccountId is",
            holds: |row| together(row, "SubAccountName", "SubAccountId"),
            broken: (Usage, &[("SubAccountName", "")]),
        }],
        ..rule("SubAccountName", "3.55", Conditional, Text, true)
    },
    Rule {
        conditions: &[Condition {
            says: "is null exactly where SubAccountId is",
            holds: |row| together(row, "SubAccountType", "SubAccountId"),
            broken: (Usage, &[("SubAccountType", "")]),
        }],
        ..rule("SubAccountType", "3.56", Conditional, Text, true)
    },
    rule("Tags", "3.57", Conditional, KeyValue, true),
];
