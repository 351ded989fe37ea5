//! `/api/v1/offerings`: what can be ordered, of all brokers, searched by words.

use std::sync::Arc;

use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::prices::PlanPrice;
use crate::app::registry::OfferingView;
use crate::app::visibility::{LifecycleDocument, LifecycleView, VisibilityDocument};
use crate::clock::Time;
use crate::domain::catalog::{Plan, State};
use crate::domain::meter::Meter;
use crate::domain::tariff::Tariffs;
use crate::domain::visibility::Stage;
use crate::http::admin::prices::PriceOut;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{PageOut, page};
use crate::http::permits::{Can, ManageBrokers, SeeOfferings};

/// What to search for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchParams {
    /// Words, each of which must lead to it: by names, descriptions, tags or the broker's name.
    #[serde(default)]
    q: String,
    /// Only what this tenant can order by name.
    tenant: Option<String>,
    /// As in every list.
    limit: Option<u32>,
    /// As in every list.
    cursor: Option<String>,
}

/// An offering, whoever's it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Offering)]
pub struct OfferingOut {
    /// What platforms know it by.
    id: String,
    /// What people know it by.
    name: String,
    /// The broker's name.
    broker: String,
    /// Whether it can be ordered.
    state: State,
    /// One sentence.
    description: String,
    /// Words to find it by.
    tags: Vec<String>,
    /// Whether its instances can be bound to, where a plan says nothing else.
    bindable: bool,
    /// What its broker says for people: `displayName`, `documentationUrl`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
    /// How far it has come: `draft`, `published`, `deprecated` or `retired`.
    lifecycle: Stage,
    /// When a deprecated one is retired by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    sunset: Option<Time>,
    /// What takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
    /// Those that can be ordered.
    plans: Vec<OfferingPlan>,
}

/// A plan of an offering.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OfferingPlan {
    /// What platforms know it by.
    id: String,
    /// Its name within the offering.
    name: String,
    /// One sentence.
    description: String,
    /// Whether its broker says that it costs nothing.
    free: bool,
    /// What it costs by the price book in force; `null` where none says.
    price: Option<PriceOut>,
    /// What its broker says for people: `bullets`, `displayName`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
}

fn text(document: &Value, name: &str) -> String {
    document.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl OfferingPlan {
    fn new(plan: &Plan, offering: &str, tariffs: Option<&Arc<Tariffs>>) -> Self {
        let price = tariffs
            .and_then(|tariffs| PlanPrice::of(tariffs, offering, &plan.name, &Meter::declared(&plan.document).0));
        Self {
            description: text(&plan.document, "description"),
            // Absent means that it is free (PLN-05).
            free: plan.document.get("free").and_then(Value::as_bool).unwrap_or(true),
            price: price.map(PriceOut::from),
            metadata: plan.document.get("metadata").cloned(),
            id: plan.id.clone(),
            name: plan.name.clone(),
        }
    }
}

impl OfferingOut {
    fn new(view: &OfferingView, tariffs: Option<&Arc<Tariffs>>) -> Self {
        let offering = view.offering();
        let document = &offering.document;
        let tags = document.get("tags").and_then(Value::as_array).into_iter().flatten();
        let plans = view.plans().filter(|plan| plan.state == State::Available);
        Self {
            description: text(document, "description"),
            tags: tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
            bindable: document.get("bindable").and_then(Value::as_bool).unwrap_or_default(),
            metadata: document.get("metadata").cloned(),
            plans: plans.map(|plan| OfferingPlan::new(plan, &offering.name, tariffs)).collect(),
            id: offering.id.clone(),
            name: offering.name.clone(),
            broker: view.broker().to_owned(),
            state: offering.state,
            lifecycle: view.stage,
            sunset: view.lifecycle.sunset,
            successor: view.lifecycle.successor.clone(),
        }
    }
}

/// `GET /offerings`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeOfferings>,
    app: Data<App>,
    params: Params<SearchParams>,
) -> Result<Json<PageOut<OfferingOut>>, Failure> {
    let SearchParams { q, tenant, limit, cursor } = params.0;
    let page = page(limit, cursor.as_deref())?;
    let tariffs = app.tariffs().await?;
    let tenants = app.offered_tenants(&who.caller, tenant.as_deref()).await?;
    Ok(Json(
        app.offerings(&who.caller, &q, tenants.as_deref(), &page)
            .map(|view| OfferingOut::new(&view, tariffs.as_ref()))
            .into(),
    ))
}

/// `GET /offerings/{name}/plans/{plan}/visibility`
///
/// # Errors
/// [`Failure`].
pub async fn visibility(
    _: Can<ManageBrokers>,
    app: Data<App>,
    names: Path<(String, String)>,
) -> Result<Json<VisibilityDocument>, Failure> {
    Ok(Json(app.plan_visibility(&names.0, &names.1).await?))
}

/// `PUT /offerings/{name}/plans/{plan}/visibility`
///
/// # Errors
/// [`Failure`].
pub async fn put_visibility(
    who: Can<ManageBrokers>,
    app: Data<App>,
    names: Path<(String, String)>,
    body: Body<VisibilityDocument>,
) -> Result<Json<VisibilityDocument>, Failure> {
    Ok(Json(app.put_plan_visibility(&who.caller, &names.0, &names.1, body.0).await?))
}

/// `GET /offerings/{name}/lifecycle`
///
/// # Errors
/// [`Failure`].
pub async fn lifecycle(
    _: Can<ManageBrokers>,
    app: Data<App>,
    name: Path<String>,
) -> Result<Json<LifecycleView>, Failure> {
    Ok(Json(app.lifecycle(&name).await?))
}

/// `PUT /offerings/{name}/lifecycle`
///
/// # Errors
/// [`Failure`].
pub async fn put_lifecycle(
    who: Can<ManageBrokers>,
    app: Data<App>,
    name: Path<String>,
    body: Body<LifecycleDocument>,
) -> Result<Json<LifecycleView>, Failure> {
    Ok(Json(app.put_lifecycle(&who.caller, &name, body.0).await?))
}
