//! `/api/v1/policies`: rules in Cedar that refuse orders, or warn of them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::app::laws::PolicyView;
use crate::app::laws::simulate::{Refused, Simulated};
use crate::app::tenants::Put;
use crate::clock::Time;
use crate::domain::policy::{Judged, PolicyDocument};
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ManagePolicies, SeePolicies};

/// A policy.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Policy)]
pub struct PolicyOut {
    /// Immutable.
    name: String,
    #[serde(flatten)]
    document: PolicyDocument,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl From<PolicyView> for PolicyOut {
    fn from(view: PolicyView) -> Self {
        Self { name: view.name, document: view.document, created_at: view.created_at }
    }
}

/// What a policy says about an order.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PolicyVerdict)]
pub struct JudgedOut {
    /// The policy.
    policy: String,
    /// `enforce`: the order is refused; `warn`: it is not.
    mode: crate::domain::policy::Mode,
    /// Why, in the policy's own words, or why it could not be evaluated.
    reason: Option<String>,
    /// What can be done.
    remedy: String,
    /// Whether it could not be evaluated, which refuses where it enforces.
    failed: bool,
    /// All of it in one sentence.
    message: String,
}

impl From<Judged> for JudgedOut {
    fn from(judged: Judged) -> Self {
        let message = judged.to_string();
        let Judged { policy, mode, reason, remedy, failed } = judged;
        Self { policy, mode, reason, remedy, failed, message }
    }
}

/// A policy to try.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PolicySimulation)]
pub struct SimulationIn {
    /// Cedar.
    text: String,
    /// Look at the instances of this tenant only.
    tenant: Option<String>,
}

/// What it would refuse of what stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PolicySimulated)]
pub struct SimulatedOut {
    /// Those of the page that would be refused if they were ordered now.
    items: Vec<RefusedOut>,
    /// How many instances the page has.
    looked_at: usize,
    /// The cursor of the next page; `null` where this is the last.
    next: Option<String>,
}

/// An instance that would be refused.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PolicyRefusedInstance)]
pub struct RefusedOut {
    /// Bourse's own id.
    instance_id: String,
    /// Its name, where it has one.
    name: Option<String>,
    /// Whose it is.
    tenant: String,
    /// The offering's name.
    offering: String,
    /// The plan's name.
    plan: String,
    /// What the policies of the text say.
    policies: Vec<JudgedOut>,
}

impl From<Refused> for RefusedOut {
    fn from(refused: Refused) -> Self {
        let Refused { instance, judged } = refused;
        Self {
            instance_id: instance.row.id,
            name: instance.row.name,
            tenant: instance.tenant,
            offering: instance.offering,
            plan: instance.plan,
            policies: judged.into_iter().map(JudgedOut::from).collect(),
        }
    }
}

/// `GET /policies`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    _: Can<SeePolicies>,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<PolicyOut>>, Failure> {
    Ok(Json(app.policies(&params.0.page()?).await?.map(PolicyOut::from).into()))
}

/// `GET /policies/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn show(_: Can<SeePolicies>, app: Data<App>, name: Path<String>) -> Result<Json<PolicyOut>, Failure> {
    Ok(Json(app.policy(&name).await?.into()))
}

/// `PUT /policies/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn put(
    who: Can<ManagePolicies>,
    app: Data<App>,
    name: Path<String>,
    body: Body<PolicyDocument>,
) -> Result<HttpResponse, Failure> {
    let (put, view) = app.put_policy(&who.caller, &name, body.0).await?;
    let status = match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::OK,
    };
    Ok(HttpResponse::build(status).json(PolicyOut::from(view)))
}

/// `DELETE /policies/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn delete(who: Can<ManagePolicies>, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Failure> {
    app.delete_policy(&who.caller, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /policies/simulate`
///
/// # Errors
/// [`Failure`].
pub async fn simulate(
    _: Can<ManagePolicies>,
    app: Data<App>,
    params: Params<PageParams>,
    body: Body<SimulationIn>,
) -> Result<Json<SimulatedOut>, Failure> {
    let SimulationIn { text, tenant } = body.0;
    let Simulated { refused, looked_at, next } = app.simulate_policy(&text, tenant, &params.0.page()?).await?;
    let page: PageOut<RefusedOut> =
        crate::app::Listed { items: refused.into_iter().map(RefusedOut::from).collect(), next }.into();
    Ok(Json(SimulatedOut { items: page.items, looked_at, next: page.next }))
}
