//! Costs, prices and quantities.

use super::Base::{Correction, Purchase, Usage};
use super::Kind::{Decimal, Text, Unit};
use super::Level::{Conditional, Mandatory};
use super::{Condition, Kind, Level, Rule, is, priced, there_if_priced, together, value};
use crate::focus::checker::number;
use crate::focus::csv::Row;

const fn rule(column: &'static str, section: &'static str, level: Level, kind: Kind, nulls: bool) -> Rule {
    Rule { column, section, level, kind, nulls, allowed: &[], conditions: &[] }
}

/// Unit price times quantity is the cost, where both are there; corrections may differ.
fn product(row: &Row, price: &str, cost: &str) -> bool {
    if is(row, "ChargeClass", "Correction") {
        return true;
    }
    let (price, quantity) = (value(row, price).and_then(number), value(row, "PricingQuantity").and_then(number));
    price.zip(quantity).is_none_or(|(price, quantity)| value(row, cost).and_then(number) == Some(price * quantity))
}

/// Without a unit price, a charge that follows from no other one costs what is billed.
fn billed_without(row: &Row, price: &str, cost: &str) -> bool {
    let same = || value(row, cost).and_then(number) == value(row, "BilledCost").and_then(number);
    value(row, price).is_some() || is(row, "ChargeCategory", "Tax") || same()
}

fn not_negative(row: &Row, column: &str) -> bool {
    value(row, column).is_none_or(|text| !text.starts_with('-'))
}

pub(crate) const COSTS: &[Rule] = &[
    Rule {
        conditions: &[Condition {
            says: "is 0 where somebody else than the provider is paid",
            holds: |row| {
                let others = value(row, "InvoiceIssuerName") != value(row, "ProviderName");
                !others || value(row, "BilledCost").and_then(number) == number("0")
            },
            broken: (Usage, &[("InvoiceIssuerName", "somebody else")]),
        }],
        ..rule("BilledCost", "3.2", Mandatory, Decimal, false)
    },
    Rule {
        conditions: &[
            Condition {
                says: "is null of what is not usage",
                holds: |row| value(row, "ConsumedQuantity").is_none() || is(row, "ChargeCategory", "Usage"),
                broken: (Purchase, &[("ConsumedQuantity", "1.0"), ("ConsumedUnit", "Hours")]),
            },
            Condition {
                says: "is there of usage that is no correction",
                holds: |row| {
                    let needed = is(row, "ChargeCategory", "Usage") && priced(row);
                    !needed || value(row, "ConsumedQuantity").is_some()
                },
                broken: (Usage, &[("ConsumedQuantity", ""), ("ConsumedUnit", "")]),
            },
        ],
        ..rule("ConsumedQuantity", "3.24", Conditional, Decimal, true)
    },
    Rule {
        conditions: &[Condition {
            says: "is null exactly where ConsumedQuantity is",
            holds: |row| together(row, "ConsumedUnit", "ConsumedQuantity"),
            broken: (Usage, &[("ConsumedUnit", "")]),
        }],
        ..rule("ConsumedUnit", "3.25", Conditional, Unit, true)
    },
    Rule {
        conditions: &[
            Condition {
                says: "is ContractedUnitPrice times PricingQuantity",
                holds: |row| product(row, "ContractedUnitPrice", "ContractedCost"),
                broken: (Usage, &[("ContractedCost", "0.123")]),
            },
            Condition {
                says: "is BilledCost where there is no ContractedUnitPrice",
                holds: |row| billed_without(row, "ContractedUnitPrice", "ContractedCost"),
                broken: (Correction, &[("ContractedCost", "0.123")]),
            },
        ],
        ..rule("ContractedCost", "3.26", Mandatory, Decimal, false)
    },
    Rule {
        conditions: &[
            Condition {
                says: "is there of usage and purchases, and not of taxes",
                holds: |row| there_if_priced(row, "ContractedUnitPrice"),
                broken: (Usage, &[("ContractedUnitPrice", "")]),
            },
            Condition {
                says: "is not negative",
                holds: |row| not_negative(row, "ContractedUnitPrice"),
                broken: (Usage, &[("ContractedUnitPrice", "-1.0")]),
            },
        ],
        ..rule("ContractedUnitPrice", "3.27", Conditional, Decimal, true)
    },
    Rule {
        conditions: &[Condition {
            says: "is BilledCost, because nothing is paid ahead",
            holds: |row| value(row, "EffectiveCost").and_then(number) == value(row, "BilledCost").and_then(number),
            broken: (Usage, &[("EffectiveCost", "0.123")]),
        }],
        ..rule("EffectiveCost", "3.28", Mandatory, Decimal, false)
    },
    Rule {
        conditions: &[
            Condition {
                says: "is ListUnitPrice times PricingQuantity",
                holds: |row| product(row, "ListUnitPrice", "ListCost"),
                broken: (Purchase, &[("ListCost", "0.123")]),
            },
            Condition {
                says: "is BilledCost where there is no ListUnitPrice",
                holds: |row| billed_without(row, "ListUnitPrice", "ListCost"),
                broken: (Correction, &[("ListCost", "0.123")]),
            },
        ],
        ..rule("ListCost", "3.31", Mandatory, Decimal, false)
    },
    Rule {
        conditions: &[
            Condition {
                says: "is there of usage and purchases, and not of taxes",
                holds: |row| there_if_priced(row, "ListUnitPrice"),
                broken: (Purchase, &[("ListUnitPrice", "")]),
            },
            Condition {
                says: "is not negative",
                holds: |row| not_negative(row, "ListUnitPrice"),
                broken: (Usage, &[("ListUnitPrice", "-1.0")]),
            },
        ],
        ..rule("ListUnitPrice", "3.32", Conditional, Decimal, true)
    },
    Rule {
        allowed: &["Standard", "Dynamic", "Committed", "Other"],
        conditions: &[
            Condition {
                says: "is there of usage and purchases, and not of taxes",
                holds: |row| there_if_priced(row, "PricingCategory"),
                broken: (Usage, &[("PricingCategory", "")]),
            },
            Condition {
                says: "is Committed only under a commitment",
                holds: |row| !is(row, "PricingCategory", "Committed") || value(row, "CommitmentDiscountId").is_some(),
                broken: (Usage, &[("PricingCategory", "Committed")]),
            },
        ],
        ..rule("PricingCategory", "3.33", Conditional, Text, true)
    },
    Rule {
        conditions: &[Condition {
            says: "is there of usage and purchases, and not of taxes",
            holds: |row| there_if_priced(row, "PricingQuantity"),
            broken: (Purchase, &[("PricingQuantity", ""), ("PricingUnit", "")]),
        }],
        ..rule("PricingQuantity", "3.38", Mandatory, Decimal, true)
    },
    Rule {
        conditions: &[Condition {
            says: "is null exactly where PricingQuantity is",
            holds: |row| together(row, "PricingUnit", "PricingQuantity"),
            broken: (Usage, &[("PricingUnit", "")]),
        }],
        ..rule("PricingUnit", "3.39", Mandatory, Unit, true)
    },
];
