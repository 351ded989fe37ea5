//! The columns, in the order in which they are written, and where the value of each comes from. docs/focus.md tells the same to
//! whoever reads an export; a test holds the two together.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::terms::{Kind, Terms};
use super::{Charge, Priced, Version};
use crate::clock::Time;
use crate::domain::price::{Model, Per, Rule};

/// What a row is made from.
pub(super) struct Row<'a> {
    pub(super) charge: &'a Charge,
    pub(super) terms: Terms,
}

type Cell = Option<String>;

pub(super) struct Column {
    pub(super) name: &'static str,
    of: Of,
    pub(super) value: fn(&Row<'_>) -> Cell,
}

/// Which versions have a column.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    All,
    /// `focus-validator` 1.0.0 only.
    Validator,
    /// FOCUS 1.2 only.
    Later,
}

/// The columns of a version.
pub(super) fn of(version: Version) -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().filter(move |column| match column.of {
        All => true,
        Validator => version == Version::V1_0,
        Later => version == Version::V1_2,
    })
}

const fn column(name: &'static str, of: Of, value: fn(&Row<'_>) -> Cell) -> Column {
    Column { name, of, value }
}

use Of::{All, Later, Validator};

const COLUMNS: &[Column] = &[
    column("BilledCost", All, |row| Some(row.terms.billed.clone())),
    column("BillingAccountId", All, |row| text(&row.charge.hub)),
    column("BillingAccountName", All, |row| text(&row.charge.hub)),
    column("BillingAccountType", Later, |_| text("Hub")),
    column("BillingCurrency", All, |row| text(&row.charge.currency)),
    column("BillingPeriodEnd", All, |row| instant(row.charge.billing.end)),
    column("BillingPeriodStart", All, |row| instant(row.charge.billing.start)),
    column("ChargeCategory", All, |row| text(category(row))),
    column("ChargeClass", All, |row| row.charge.corrects.map(|_| "Correction".to_owned())),
    column("ChargeDescription", All, |row| Some(description(row))),
    column("ChargeFrequency", All, |row| {
        text(match row.terms.kind {
            Kind::Usage => "Usage-Based",
            Kind::Recurring => "Recurring",
            Kind::OneTime => "One-Time",
        })
    }),
    column("ChargePeriodEnd", All, |row| instant(charge_end(row.charge))),
    column("ChargePeriodStart", All, |row| instant(row.charge.period.start)),
    column("CommitmentDiscountCategory", All, |_| None),
    column("CommitmentDiscountId", All, |_| None),
    column("CommitmentDiscountName", All, |_| None),
    column("CommitmentDiscountQuantity", Later, |_| None),
    column("CommitmentDiscountStatus", All, |_| None),
    column("CommitmentDiscountType", All, |_| None),
    column("CommitmentDiscountUnit", Later, |_| None),
    column("ConsumedQuantity", All, |row| row.terms.consumed.as_ref().map(|(quantity, _)| quantity.clone())),
    column("ConsumedUnit", All, |row| row.terms.consumed.as_ref().map(|(_, unit)| unit.clone())),
    column("ContractedCost", All, |row| Some(row.terms.cost.clone())),
    column("ContractedUnitPrice", All, |row| row.terms.list.as_ref().map(|list| list.unit_price.clone())),
    column("EffectiveCost", All, |row| Some(row.terms.billed.clone())),
    column("InvoiceId", Later, |row| row.charge.statement.clone()),
    column("InvoiceIssuerName", All, |row| text(&row.charge.hub)),
    column("ListCost", All, |row| Some(row.terms.cost.clone())),
    column("ListUnitPrice", All, |row| row.terms.list.as_ref().map(|list| list.unit_price.clone())),
    column("PricingCategory", All, |row| text(if row.charge.priced.is_some() { "Standard" } else { "Other" })),
    column("PricingCurrency", Later, |row| text(&row.charge.currency)),
    column("PricingCurrencyContractedUnitPrice", Later, |row| {
        row.terms.list.as_ref().map(|list| list.unit_price.clone())
    }),
    column("PricingCurrencyEffectiveCost", Later, |row| Some(row.terms.billed.clone())),
    column("PricingCurrencyListUnitPrice", Later, |row| row.terms.list.as_ref().map(|list| list.unit_price.clone())),
    column("PricingQuantity", All, |row| row.terms.list.as_ref().map(|list| list.quantity.clone())),
    column("PricingUnit", All, |row| row.terms.list.as_ref().map(|list| list.unit.clone())),
    column("ProviderName", All, |row| text(&row.charge.hub)),
    column("PublisherName", All, |row| text(&row.charge.service.details.publisher)),
    column("RegionId", All, |row| row.charge.service.details.region.clone()),
    column("RegionName", All, |row| row.charge.service.details.region.clone()),
    column("ResourceId", All, |row| text(&row.charge.instance_id)),
    column("ResourceName", All, |row| row.charge.instance_name.clone()),
    column("ResourceType", All, |row| Some(plan(row.charge))),
    column("ServiceCategory", All, |row| text(row.charge.service.details.category.category())),
    column("ServiceName", All, |row| text(&row.charge.service.offering)),
    column("ServiceSubcategory", Later, |row| Some(row.charge.service.details.category.subcategory())),
    column("SkuId", All, |row| Some(sku(row.charge))),
    column("SkuMeter", Later, |row| text(&row.charge.measured.meter)),
    column("SkuPriceDetails", Later, |row| row.charge.priced.as_ref().map(|priced| details(&priced.rule))),
    column("SkuPriceId", All, |row| Some(sku_price(row.charge))),
    column("SubAccountId", All, |row| text(&row.charge.account.id)),
    column("SubAccountName", All, |row| text(&row.charge.account.name)),
    column("SubAccountType", Later, |_| text("Tenant")),
    column("Tags", All, |row| tags(row.charge)),
    column("ChargeType", Validator, |row| text(category(row))),
    column("InvoiceIssuer", Validator, |row| text(&row.charge.hub)),
    column("Provider", Validator, |row| text(&row.charge.hub)),
    column("Publisher", Validator, |row| text(&row.charge.service.details.publisher)),
    column("ResourceID", Validator, |row| text(&row.charge.instance_id)),
    column("x_BusinessUnit", All, |row| text(&row.charge.account.business_unit)),
    column("x_CorrectsPeriod", All, |row| row.charge.corrects.map(|month| month.to_string())),
    column("x_CostCenter", All, |row| text(&row.charge.account.cost_center)),
    column("x_Environment", All, |row| text(&row.charge.account.environment)),
    column("x_Meter", All, |row| text(&row.charge.measured.meter)),
    column("x_Offering", All, |row| text(&row.charge.service.offering)),
    column("x_Plan", All, |row| text(&row.charge.service.plan)),
    column("x_PriceBook", All, |row| row.charge.priced.as_ref().map(|priced| priced.book.clone())),
    column("x_StatementId", All, |row| row.charge.statement.clone()),
    column("x_Unpriced", All, |row| text(if row.charge.priced.is_some() { "false" } else { "true" })),
];

/// Nothing where nobody said anything: an empty text is no value.
fn text(value: &str) -> Cell {
    (!value.trim().is_empty()).then(|| value.to_owned())
}

/// RFC 3339 in UTC, in whole seconds.
fn instant(time: Time) -> Cell {
    let timestamp = jiff::Timestamp::from_second(time.seconds()).unwrap_or(jiff::Timestamp::MAX);
    Some(format!("{timestamp:.0}"))
}

/// The end is not in the period, so what happened at one instant takes a second.
fn charge_end(charge: &Charge) -> Time {
    if charge.period.end.seconds() > charge.period.start.seconds() {
        return charge.period.end;
    }
    charge.period.start.plus(std::time::Duration::from_secs(1))
}

fn category(row: &Row<'_>) -> &'static str {
    match row.terms.kind {
        Kind::Usage => "Usage",
        Kind::Recurring | Kind::OneTime => "Purchase",
    }
}

fn plan(charge: &Charge) -> String {
    format!("{}/{}", charge.service.offering, charge.service.plan)
}

fn sku(charge: &Charge) -> String {
    format!("{}/{}", plan(charge), charge.measured.meter)
}

/// Without amounts and dates, so that it stays the same when the price changes.
fn sku_price(charge: &Charge) -> String {
    let sku = sku(charge);
    match &charge.priced {
        None => sku,
        Some(Priced { rule, .. }) => match rule.per {
            None => format!("{sku}/{}", model(rule.model)),
            Some(per) => format!("{sku}/{}/{}", model(rule.model), word(per)),
        },
    }
}

fn details(rule: &Rule) -> String {
    let mut details = Map::new();
    details.insert("x_PriceModel".to_owned(), model(rule.model).into());
    if let Some(per) = rule.per {
        details.insert("x_PriceFor".to_owned(), word(per).into());
    }
    if let Some(size) = rule.package_size {
        details.insert("x_PackageSize".to_owned(), size.to_string().into());
    }
    Value::Object(details).to_string()
}

fn tags(charge: &Charge) -> Cell {
    let labels = &charge.account.labels;
    let tags: Map<String, Value> = labels.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    (!tags.is_empty()).then(|| Value::Object(tags).to_string())
}

fn description(row: &Row<'_>) -> String {
    let Row { charge, terms } = row;
    let mut text = String::new();
    if let Some(month) = charge.corrects {
        // Writing into a string cannot fail.
        _ = write!(text, "Correction of {month}: ");
    }
    _ = write!(text, "{}, ", plan(charge));
    match terms.kind {
        Kind::Usage => text.push_str(&charge.measured.meter),
        Kind::Recurring => text.push_str("standing"),
        Kind::OneTime => text.push_str("setup"),
    }
    match (charge.priced.as_ref().map(|priced| &priced.rule), &terms.list) {
        (None, _) => text.push_str(", which has no price"),
        (Some(Rule { reason: Some(reason), .. }), _) => _ = write!(text, ", free: {reason}"),
        (Some(Rule { amount: Some(amount), .. }), Some(list)) => {
            _ = write!(text, ", {amount} {} for each of {}", charge.currency, list.unit);
        }
        (Some(rule), _) => _ = write!(text, ", {} price", model(rule.model).replace('_', "-")),
    }
    text
}

fn model(model: Model) -> &'static str {
    match model {
        Model::Flat => "flat",
        Model::OneTime => "one_time",
        Model::PerUnit => "per_unit",
        Model::Graduated => "graduated",
        Model::Volume => "volume",
        Model::Package => "package",
        Model::Free => "free",
    }
}

fn word(per: Per) -> &'static str {
    match per {
        Per::Hour => "hour",
        Per::Day => "day",
        Per::Month => "month",
    }
}
