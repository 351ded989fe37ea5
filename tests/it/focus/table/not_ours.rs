//! Columns for what the hub does not have: zones within regions, reserved capacity, commitments, prices in another currency. An
//! export may leave them out; their rules hold wherever they do appear.

use super::Base::Usage;
use super::Kind::{Currency, Decimal, Text, Unit};
use super::Level::NotOurs;
use super::{Condition, Kind, Rule, is, there_if_priced, together, value};

const fn rule(column: &'static str, section: &'static str, kind: Kind, nulls: bool) -> Rule {
    Rule { column, section, level: NotOurs, kind, nulls, allowed: &[], conditions: &[] }
}

pub(crate) const NOT_OURS: &[Rule] = &[
    rule("AvailabilityZone", "3.1", Text, true),
    rule("CapacityReservationId", "3.9", Text, true),
    Rule {
        allowed: &["Used", "Unused"],
        conditions: &[Condition {
            says: "is null exactly where CapacityReservationId is, of usage",
            holds: |row| {
                !is(row, "ChargeCategory", "Usage")
                    || together(row, "CapacityReservationStatus", "CapacityReservationId")
            },
            broken: (Usage, &[("CapacityReservationStatus", "Used")]),
        }],
        ..rule("CapacityReservationStatus", "3.10", Text, true)
    },
    Rule {
        allowed: &["Spend", "Usage"],
        conditions: &[Condition {
            says: "is null exactly where CommitmentDiscountId is",
            holds: |row| together(row, "CommitmentDiscountCategory", "CommitmentDiscountId"),
            broken: (Usage, &[("CommitmentDiscountCategory", "Spend")]),
        }],
        ..rule("CommitmentDiscountCategory", "3.17", Text, true)
    },
    rule("CommitmentDiscountId", "3.18", Text, true),
    Rule {
        conditions: &[Condition {
            says: "is null where CommitmentDiscountId is",
            holds: |row| value(row, "CommitmentDiscountName").is_none() || value(row, "CommitmentDiscountId").is_some(),
            broken: (Usage, &[("CommitmentDiscountName", "ours")]),
        }],
        ..rule("CommitmentDiscountName", "3.19", Text, true)
    },
    Rule {
        conditions: &[Condition {
            says: "is null without a commitment",
            holds: |row| {
                value(row, "CommitmentDiscountQuantity").is_none() || value(row, "CommitmentDiscountId").is_some()
            },
            broken: (Usage, &[("CommitmentDiscountQuantity", "1.0"), ("CommitmentDiscountUnit", "Hours")]),
        }],
        ..rule("CommitmentDiscountQuantity", "3.20", Decimal, true)
    },
    Rule {
        allowed: &["Used", "Unused"],
        conditions: &[Condition {
            says: "is null exactly where CommitmentDiscountId is, of usage",
            holds: |row| {
                !is(row, "ChargeCategory", "Usage") || together(row, "CommitmentDiscountStatus", "CommitmentDiscountId")
            },
            broken: (Usage, &[("CommitmentDiscountStatus", "Used")]),
        }],
        ..rule("CommitmentDiscountStatus", "3.21", Text, true)
    },
    Rule {
        conditions: &[Condition {
            says: "is null exactly where CommitmentDiscountId is",
            holds: |row| together(row, "CommitmentDiscountType", "CommitmentDiscountId"),
            broken: (Usage, &[("CommitmentDiscountType", "ours")]),
        }],
        ..rule("CommitmentDiscountType", "3.22", Text, true)
    },
    Rule {
        conditions: &[Condition {
            says: "is null exactly where CommitmentDiscountQuantity is",
            holds: |row| together(row, "CommitmentDiscountUnit", "CommitmentDiscountQuantity"),
            broken: (Usage, &[("CommitmentDiscountUnit", "Hours")]),
        }],
        ..rule("CommitmentDiscountUnit", "3.23", Unit, true)
    },
    rule("PricingCurrency", "3.34", Currency, false),
    Rule {
        conditions: &[Condition {
            says: "is there of usage and purchases, not of taxes, and not negative",
            holds: |row| {
                let text = value(row, "PricingCurrencyContractedUnitPrice");
                there_if_priced(row, "PricingCurrencyContractedUnitPrice")
                    && !text.is_some_and(|text| text.starts_with('-'))
            },
            broken: (Usage, &[("PricingCurrencyContractedUnitPrice", "-1.0")]),
        }],
        ..rule("PricingCurrencyContractedUnitPrice", "3.35", Decimal, true)
    },
    rule("PricingCurrencyEffectiveCost", "3.36", Decimal, false),
    Rule {
        conditions: &[Condition {
            says: "is there of usage and purchases, not of taxes, and not negative",
            holds: |row| {
                let text = value(row, "PricingCurrencyListUnitPrice");
                there_if_priced(row, "PricingCurrencyListUnitPrice") && !text.is_some_and(|text| text.starts_with('-'))
            },
            broken: (Usage, &[("PricingCurrencyListUnitPrice", "")]),
        }],
        ..rule("PricingCurrencyListUnitPrice", "3.37", Decimal, true)
    },
];
