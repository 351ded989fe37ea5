//! `/api/v1/brokers`: service brokers, what they offer and what is wrong with it. Never a credential of theirs.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::registry::{BrokerChange, BrokerView, NewBroker};
use crate::app::tenants::Precondition;
use crate::app::{App, Error};
use crate::clock::Time;
use crate::domain::broker::{Rotation, Settings, Status, UsagePull};
use crate::domain::catalog::{Finding, Ids, Offering, Plan, Severity, State};
use crate::domain::stamp::StampSettings;
use crate::http::admin::platforms::PairOut;
use crate::http::error::Failure;
use crate::http::input::{Body, Params, etag, if_match};
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ChangeBrokers, ManageBrokers, RegisterBrokers, SeeBrokers};

/// A service broker.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Broker)]
pub struct BrokerOut {
    /// For ever the same.
    id: String,
    /// Immutable.
    name: String,
    /// What stands before `/v2`.
    url: String,
    /// `unavailable`: what is stored is served. `quarantined`: nothing of its catalog can be served.
    status: Status,
    /// Whether it is spared orders just now: `closed`, `open` or `half_open`.
    breaker: &'static str,
    /// What is wrong with it or its catalog as a whole.
    findings: Vec<FindingOut>,
    /// What it offers, and offered.
    offerings: Vec<BrokerOffering>,
    /// When the stored catalog came.
    #[schema(value_type = Option<String>, format = DateTime)]
    fetched_at: Option<Time>,
    /// Stands before its offerings' names.
    name_prefix: String,
    /// Which ids platforms see.
    ids: Ids,
    /// Of one call; absent: the configuration's.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    /// Orders at once; absent: the configuration's.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    /// `X-Broker-API-Version` towards it; absent: the newest that is spoken here.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<String>,
    /// What it is told about the tenant.
    stamp: StampSettings,
    /// How bindings are rotated.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<Rotation>,
    /// It has instances that this hub does not know yet.
    takeover: bool,
    /// How it is asked for usage; absent: it reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_pull: Option<UsagePull>,
    /// Who registered it, where that was its provider: what it offers is published by a review.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

/// An offering as its broker gives it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BrokerOffering {
    /// What platforms know it by.
    id: String,
    /// With the broker's prefix.
    name: String,
    /// What the broker knows it by.
    backend_id: String,
    /// Whether it is in the catalog.
    state: State,
    /// What is wrong with it.
    findings: Vec<FindingOut>,
    /// Its plans.
    plans: Vec<BrokerPlan>,
}

/// A plan as its broker gives it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BrokerPlan {
    /// What platforms know it by.
    id: String,
    /// Its name within the offering.
    name: String,
    /// What the broker knows it by.
    backend_id: String,
    /// Whether it is in the catalog, where its offering is.
    state: State,
}

/// Something that is wrong with a catalog.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
pub struct FindingOut {
    /// `error` keeps the offering from being served, `warning` does not.
    severity: &'static str,
    /// A JSON pointer into the broker's catalog.
    pointer: String,
    /// What is wrong and what to do.
    message: String,
}

impl From<&Finding> for FindingOut {
    fn from(finding: &Finding) -> Self {
        let Finding { severity, pointer, message } = finding.clone();
        let severity = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        Self { severity, pointer, message }
    }
}

impl From<&Plan> for BrokerPlan {
    fn from(plan: &Plan) -> Self {
        let Plan { id, backend_id, name, state, .. } = plan.clone();
        Self { id, name, backend_id, state }
    }
}

impl From<&Offering> for BrokerOffering {
    fn from(offering: &Offering) -> Self {
        Self {
            id: offering.id.clone(),
            name: offering.name.clone(),
            backend_id: offering.backend_id.clone(),
            state: offering.state,
            findings: offering.findings.iter().map(FindingOut::from).collect(),
            plans: offering.plans.iter().map(BrokerPlan::from).collect(),
        }
    }
}

impl From<BrokerView> for BrokerOut {
    fn from(view: BrokerView) -> Self {
        let offerings = view.offerings().iter().map(BrokerOffering::from).collect();
        let Settings { name_prefix, ids, timeout_ms, concurrency, api_version, stamp, rotation, takeover, usage_pull } =
            view.row.settings;
        Self {
            id: view.row.id,
            name: view.row.name,
            url: view.row.url,
            status: view.row.status,
            breaker: view.breaker.as_str(),
            findings: view.row.findings.iter().map(FindingOut::from).collect(),
            offerings,
            fetched_at: view.row.fetched_at,
            name_prefix,
            ids,
            timeout_ms,
            concurrency,
            api_version,
            stamp,
            rotation,
            takeover,
            usage_pull,
            provider: view.row.provider,
            created_at: view.row.created_at,
        }
    }
}

fn answer(status: StatusCode, view: BrokerView) -> HttpResponse {
    HttpResponse::build(status).insert_header(etag(&view.row.version.to_string())).json(BrokerOut::from(view))
}

/// `POST /brokers`
///
/// # Errors
/// [`Failure`].
pub async fn create(who: Can<ManageBrokers>, app: Data<App>, body: Body<NewBroker>) -> Result<HttpResponse, Failure> {
    Ok(answer(StatusCode::CREATED, app.register_broker(&who.caller, body.0).await?))
}

/// `PUT /brokers/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn register(
    who: Can<RegisterBrokers>,
    app: Data<App>,
    name: Path<String>,
    body: Body<NewBroker>,
) -> Result<HttpResponse, Failure> {
    let name = name.into_inner();
    if !body.0.name.is_empty() && body.0.name != name {
        return Err(Error::invalid("/name", "must be the name in the path, or left out").into());
    }
    let new = NewBroker { name, ..body.0 };
    Ok(answer(StatusCode::CREATED, app.register_broker(&who.caller, new).await?))
}

/// `GET /brokers`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeBrokers>,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<BrokerOut>>, Failure> {
    Ok(Json(app.brokers(&who.sight, params.0.page()?).await?.map(BrokerOut::from).into()))
}

/// `GET /brokers/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn show(who: Can<SeeBrokers>, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Failure> {
    Ok(answer(StatusCode::OK, app.broker(&who.sight, &name).await?))
}

/// `PATCH /brokers/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn change(
    who: Can<ChangeBrokers>,
    app: Data<App>,
    name: Path<String>,
    request: HttpRequest,
    body: Body<BrokerChange>,
) -> Result<HttpResponse, Failure> {
    let expected = match if_match(request.headers())? {
        // Something that is not there is not found anyway.
        Precondition::None | Precondition::Absent | Precondition::Exists => None,
        Precondition::Tag(tag) => Some(tag.parse().map_err(|_| Error::Stale)?),
    };
    Ok(answer(StatusCode::OK, app.patch_broker(&who.caller, &name, body.0, expected).await?))
}

/// `DELETE /brokers/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn delete(who: Can<ManageBrokers>, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Failure> {
    app.delete_broker(&who.caller, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /brokers/{name}/refresh`
///
/// # Errors
/// [`Failure`].
pub async fn refresh(who: Can<ChangeBrokers>, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Failure> {
    Ok(answer(StatusCode::OK, app.refresh_broker(&who.caller, &name).await?))
}

/// `POST /brokers/{name}/credentials`
///
/// # Errors
/// [`Failure`].
pub async fn add_credentials(
    who: Can<ChangeBrokers>,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let pair = app.add_broker_credentials(&who.caller, &name).await?;
    Ok(HttpResponse::Created().json(PairOut::from(pair)))
}

/// `DELETE /brokers/{name}/credentials/{username}`
///
/// # Errors
/// [`Failure`].
pub async fn delete_credentials(
    who: Can<ChangeBrokers>,
    app: Data<App>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    let (name, username) = path.into_inner();
    app.delete_broker_credentials(&who.caller, &name, &username).await?;
    Ok(HttpResponse::NoContent().finish())
}
