//! `GET /usage`, `/usage/events` and `/usage/conflicts`.

use std::time::Duration;

use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::usage::{ConflictView, Gathering, UsageQuery, UsageReading};
use crate::app::{self, App};
use crate::clock::Time;
use crate::config::parse_duration;
use crate::domain::meter::Aggregation;
use crate::domain::usage::TYPE_PREFIX;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, PageParams, page};
use crate::http::permits::{Can, SeeBooks, SeeCosts};

/// How far back `GET /usage` goes where nobody says.
const FROM_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// The query of what was reported.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventParams {
    tenant: Option<String>,
    instance: Option<String>,
    meter: Option<String>,
    from: Option<Time>,
    to: Option<Time>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// A reading, or a correction of one, as it was reported.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = UsageReading)]
pub struct ReadingOut {
    /// Who reported it.
    source: String,
    /// Its id there.
    id: String,
    /// The CloudEvents type.
    #[serde(rename = "type")]
    kind: String,
    /// The instance.
    instance_id: String,
    /// The meter's key.
    meter: String,
    /// Of what.
    unit: String,
    /// The instant that it counts at: the start of its window, or its time.
    #[schema(value_type = String, format = DateTime)]
    at: Time,
    /// The end of its window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Time>,
    /// How much was reported; `null` of a correction that voids.
    quantity: Option<String>,
    /// Which run of a counter.
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_id: Option<String>,
    /// What else was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    dimensions: Option<Value>,
    /// What it corrects.
    #[serde(skip_serializing_if = "Option::is_none")]
    corrects: Option<String>,
    /// The correction that counts instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    corrected_by: Option<String>,
    /// What counts of it: `null` of a correction, and of what was voided.
    counted: Option<String>,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Time,
}

impl From<UsageReading> for ReadingOut {
    fn from(row: UsageReading) -> Self {
        let kind = if row.corrects.is_some() { "correction" } else { row.series.kind.as_str() };
        Self {
            source: row.source,
            id: row.place.event_id,
            kind: format!("{TYPE_PREFIX}{kind}"),
            instance_id: row.series.instance_id,
            meter: row.series.meter,
            unit: row.series.unit,
            at: row.place.at,
            until: row.ended_at,
            quantity: row.quantity.map(|quantity| quantity.to_string()),
            reset_id: row.reset_id,
            dimensions: row.dimensions,
            corrects: row.corrects,
            corrected_by: row.corrected_by,
            counted: row.counted.map(|quantity| quantity.to_string()),
            recorded_at: row.recorded_at,
        }
    }
}

/// `GET /usage/events`
///
/// # Errors
/// [`Failure`].
pub async fn events(
    who: Can<SeeCosts>,
    app: Data<App>,
    params: Params<EventParams>,
) -> Result<Json<PageOut<ReadingOut>>, Failure> {
    let EventParams { tenant, instance, meter, from, to, limit, cursor } = params.0;
    let query = UsageQuery { tenant, instance, meter, from, until: to };
    let listed = app.usage_events(&who.sight, query, &page(limit, cursor.as_deref())?).await?;
    Ok(Json(listed.map(ReadingOut::from).into()))
}

/// An event that was not taken, because another one has its key.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = UsageConflict)]
pub struct ConflictOut {
    /// As it came.
    #[schema(value_type = Object)]
    refused: Value,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    refused_at: Time,
    /// The one that counts.
    stands: ReadingOut,
}

impl From<ConflictView> for ConflictOut {
    fn from(view: ConflictView) -> Self {
        Self { refused: view.refused, refused_at: view.recorded_at, stands: view.stands.into() }
    }
}

/// `GET /usage/conflicts`
///
/// # Errors
/// [`Failure`].
pub async fn conflicts(
    _: Can<SeeBooks>,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<ConflictOut>>, Failure> {
    Ok(Json(app.usage_conflicts(&params.0.page()?).await?.map(ConflictOut::from).into()))
}

/// The query of what meters come to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatheringParams {
    tenant: Option<String>,
    instance: Option<String>,
    meter: Option<String>,
    from: Option<Time>,
    to: Option<Time>,
    window: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// What a meter of an instance comes to in a window.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = UsageQuantity)]
pub struct GatheringOut {
    /// The instance.
    instance_id: String,
    /// The tenant's name.
    tenant: String,
    /// The meter's key; `instance` is the time for which the instance stood.
    meter: String,
    /// How its readings add up.
    aggregation: Aggregation,
    /// Of what one reading is. A time-weighted quantity is that times hours.
    unit: String,
    /// The window's first instant.
    #[schema(value_type = String, format = DateTime)]
    from: Time,
    /// The first instant after it.
    #[schema(value_type = String, format = DateTime)]
    to: Time,
    /// How much, as a decimal number.
    quantity: String,
}

impl From<Gathering> for GatheringOut {
    fn from(gathering: Gathering) -> Self {
        let Gathering { instance_id, tenant, meter, aggregation, unit, from, until, quantity } = gathering;
        Self { instance_id, tenant, meter, aggregation, unit, from, to: until, quantity }
    }
}

/// `GET /usage`
///
/// # Errors
/// [`Failure`].
pub async fn gathered(
    who: Can<SeeCosts>,
    app: Data<App>,
    params: Params<GatheringParams>,
) -> Result<Json<PageOut<GatheringOut>>, Failure> {
    let GatheringParams { tenant, instance, meter, from, to, window, limit, cursor } = params.0;
    let window = window.map(|text| parse_duration(&text)).transpose();
    let window = window.map_err(|message| app::Error::invalid("", format!("window: {message}")))?;
    let until = to.unwrap_or_else(|| app.clock().now());
    let back = i64::try_from(FROM_DEFAULT.as_micros()).unwrap_or(i64::MAX);
    let from = from.unwrap_or(Time(until.0.saturating_sub(back)));
    let query = UsageQuery { tenant, instance, meter, from: Some(from), until: Some(until) };
    let listed = app.usage(&who.sight, query, window, &page(limit, cursor.as_deref())?).await?;
    Ok(Json(listed.map(GatheringOut::from).into()))
}
