//! `/api/v1/estimates`: what an order would cost.

use std::collections::BTreeMap;

use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::app::estimates::{EstimateOf, Estimated};
use crate::domain::decimal::{Decimal, minor_digits, plain, rounded};
use crate::domain::estimate::{Line, Unpriced};
use crate::domain::price::{Model, Rule};
use crate::http::error::Failure;
use crate::http::input::Body;
use crate::http::permits::{Can, SeeOfferings};

/// What would be ordered.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EstimateOf)]
pub struct EstimateIn {
    /// The offering's name.
    offering: String,
    /// The plan's name.
    plan: String,
    /// What the plan's schema describes; checked where given.
    #[schema(value_type = Option<Object>)]
    parameters: Option<osb::Object>,
    /// Whose calendar counts; the hub's where absent.
    tenant: Option<String>,
    /// By meter: how much a month brings, or, of a gauge, its level.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    expected_usage: BTreeMap<String, Decimal>,
}

/// What an instance would cost that stands for the whole of the next month.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Estimate)]
pub struct EstimateOut {
    /// ISO 4217; `null` where there is no price book.
    currency: Option<String>,
    /// The month that was estimated, such as `2026-12`.
    month: String,
    /// What the lines come to, rounded; `null` where nothing has a price.
    monthly: Option<String>,
    /// What the provision costs, once, besides; `null` where nothing says.
    setup: Option<String>,
    /// By meter and rule.
    lines: Vec<EstimateLine>,
    /// What would be used without a price.
    unpriced: Vec<UnpricedOut>,
    /// Meters that have a price and of which nothing was said: they count as nothing here.
    not_expected: Vec<String>,
}

/// What one meter would cost.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EstimateLine {
    /// The meter's key, or `instance`.
    meter: String,
    /// How the price follows from the quantity.
    model: Model,
    /// How much.
    quantity: String,
    /// Of what; of `instance` seconds, of a gauge whose level counts by time unit-hours.
    unit: String,
    /// What that costs, to twelve digits.
    amount: String,
    /// The price book's id.
    price_book: String,
    /// Its rule.
    rule: Rule,
}

/// What would be used without a price.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = UnpricedUsage)]
pub struct UnpricedOut {
    /// The meter's key, or `instance`.
    meter: String,
    /// How much.
    quantity: String,
    /// Of what.
    unit: String,
}

impl From<Line> for EstimateLine {
    fn from(line: Line) -> Self {
        Self {
            meter: line.meter,
            model: line.rule.model,
            quantity: plain(&line.quantity),
            unit: line.unit,
            amount: plain(&line.amount),
            price_book: line.book,
            rule: line.rule,
        }
    }
}

impl From<Unpriced> for UnpricedOut {
    fn from(unpriced: Unpriced) -> Self {
        Self { meter: unpriced.meter, quantity: plain(&unpriced.quantity), unit: unpriced.unit }
    }
}

impl From<Estimated> for EstimateOut {
    fn from(estimated: Estimated) -> Self {
        let Estimated { currency, month, estimate } = estimated;
        let digits = minor_digits(currency.as_deref().unwrap_or_default());
        Self {
            month: month.to_string(),
            monthly: estimate.monthly().map(|sum| rounded(&sum, digits)),
            setup: estimate.setup.map(|setup| rounded(&setup, digits)),
            lines: estimate.lines.into_iter().map(EstimateLine::from).collect(),
            unpriced: estimate.unpriced.into_iter().map(UnpricedOut::from).collect(),
            not_expected: estimate.not_expected,
            currency,
        }
    }
}

/// `POST /estimates`
///
/// # Errors
/// [`Failure`].
pub async fn create(
    who: Can<SeeOfferings>,
    app: Data<App>,
    body: Body<EstimateIn>,
) -> Result<Json<EstimateOut>, Failure> {
    let EstimateIn { offering, plan, parameters, tenant, expected_usage } = body.0;
    let what = EstimateOf { offering, plan, tenant, parameters, usage: expected_usage };
    Ok(Json(app.estimate(&who.caller, what).await?.into()))
}
