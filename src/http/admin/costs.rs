//! `/api/v1/costs`: what was used in a time and what it costs. Amounts and quantities are decimal numbers in strings.

use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::costs::{CostItem, CostLine, CostQuery, CostReport, CostSoFar, Unpriced};
use crate::app::{self, App};
use crate::clock::Time;
use crate::domain::cost::{Granularity, GroupKey};
use crate::domain::decimal::plain;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::permits::{Can, SeeCosts};

/// The query of `GET /costs`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostParams {
    from: Option<String>,
    to: Option<String>,
    group_by: Option<String>,
    granularity: Option<String>,
    tenant: Option<String>,
    instance: Option<String>,
    offering: Option<String>,
    cost_center: Option<String>,
}

/// Costs.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Costs)]
pub struct CostsOut {
    /// Of all amounts; `null` while there is no price book.
    currency: Option<String>,
    /// By window, then by group. What has no price is in none of them.
    items: Vec<CostItemOut>,
    /// What was used and has no price.
    unpriced: Vec<UnpricedOut>,
}

/// One group in one window.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CostItem)]
pub struct CostItemOut {
    /// What each key of `group_by` is here; `null` where it isn't said.
    #[schema(value_type = Object)]
    group: Map<String, Value>,
    /// The window's beginning.
    #[schema(value_type = String, format = DateTime)]
    from: Time,
    /// The window's end.
    #[schema(value_type = String, format = DateTime)]
    to: Time,
    /// The sum of the lines.
    amount: String,
    /// By meter.
    lines: Vec<CostLineOut>,
}

/// One meter of a group.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CostLine)]
pub struct CostLineOut {
    /// The meter's key.
    meter: String,
    /// The meter's unit.
    unit: String,
    /// How much of it has a price.
    quantity: String,
    /// What that costs.
    amount: String,
}

/// What was used and has no price.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = UnpricedUsage)]
pub struct UnpricedOut {
    /// Whose.
    tenant: String,
    /// Bourse's own id of the instance.
    instance_id: String,
    /// What people call the instance, where it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_name: Option<String>,
    /// The service offering.
    offering: String,
    /// The service plan.
    plan: String,
    /// The meter's key.
    meter: String,
    /// The meter's unit.
    unit: String,
    /// How much.
    quantity: String,
}

/// What an instance has cost since its tenant's month began.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CostSoFar)]
pub struct CostSoFarOut {
    /// To twelve digits, so that one sees it grow.
    amount: String,
    /// Of the amount.
    currency: String,
    /// The month's beginning.
    #[schema(value_type = String, format = DateTime)]
    from: Time,
    /// When it was computed.
    #[schema(value_type = String, format = DateTime)]
    to: Time,
    /// Whether something was used that has no price and is not in the amount.
    unpriced: bool,
}

impl From<CostSoFar> for CostSoFarOut {
    fn from(cost: CostSoFar) -> Self {
        let CostSoFar { amount, currency, from, to, unpriced } = cost;
        Self { amount: plain(&amount), currency, from, to, unpriced }
    }
}

impl From<CostReport> for CostsOut {
    fn from(report: CostReport) -> Self {
        Self {
            currency: report.currency,
            items: report.items.into_iter().map(CostItemOut::from).collect(),
            unpriced: report.unpriced.into_iter().map(UnpricedOut::from).collect(),
        }
    }
}

impl From<CostItem> for CostItemOut {
    fn from(item: CostItem) -> Self {
        let amount = plain(&item.amount());
        let line = |line: CostLine| CostLineOut {
            meter: line.meter,
            unit: line.unit,
            quantity: plain(&line.quantity),
            amount: plain(&line.amount),
        };
        Self {
            group: item.group.into_iter().map(|(key, value)| (key, value.map_or(Value::Null, Value::String))).collect(),
            from: item.window.start,
            to: item.window.end,
            amount,
            lines: item.lines.into_iter().map(line).collect(),
        }
    }
}

impl From<Unpriced> for UnpricedOut {
    fn from(unpriced: Unpriced) -> Self {
        let Unpriced { tenant, instance_id, instance_name, offering, plan, meter, unit, quantity } = unpriced;
        Self { tenant, instance_id, instance_name, offering, plan, meter, unit, quantity: plain(&quantity) }
    }
}

/// `GET /costs`
///
/// # Errors
/// [`Failure`].
pub async fn show(who: Can<SeeCosts>, app: Data<App>, params: Params<CostParams>) -> Result<Json<CostsOut>, Failure> {
    let params = params.0;
    let keys = params.group_by.as_deref().unwrap_or_default();
    let keys = keys.split(',').map(str::trim).filter(|key| !key.is_empty());
    let group_by = keys.map(|key| key.parse::<GroupKey>().map_err(|error| invalid("group_by", error)));
    let group_by = group_by.collect::<Result<_, _>>()?;
    let granularity = match params.granularity.as_deref() {
        None => Granularity::default(),
        Some(word) => Granularity::parse(word).ok_or_else(|| invalid("granularity", "must be hour, day or month"))?,
    };
    let query = CostQuery {
        from: time("from", params.from.as_deref())?,
        to: time("to", params.to.as_deref())?,
        group_by,
        granularity,
        tenant: params.tenant,
        instance: params.instance,
        offering: params.offering,
        cost_center: params.cost_center,
    };
    Ok(Json(app.costs(&who.sight, query).await?.into()))
}

fn invalid(name: &str, message: impl std::fmt::Display) -> Failure {
    app::Error::invalid("", format!("{name} {message}")).into()
}

/// A time in a query.
fn time(name: &str, given: Option<&str>) -> Result<Option<Time>, Failure> {
    let read = |text: &str| serde_json::from_value(Value::String(text.to_owned()));
    let wrong = |_| invalid(name, "must be a time such as 2026-11-01T00:00:00Z");
    given.map(|text| read(text).map_err(wrong)).transpose()
}
