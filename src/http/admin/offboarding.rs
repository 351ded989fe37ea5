//! `/api/v1/tenants/{name}/offboard`, `suspend` and `resume`: tenants that may order nothing, and tenants that are taken down.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::app::offboard::{LeftView, OffboardingView};
use crate::clock::Time;
use crate::domain::operation::OperationKind;
use crate::http::admin::tenants::TenantOut;
use crate::http::error::Failure;
use crate::http::input::Body;
use crate::http::permits::{Can, ManageTenants};

/// Why a tenant is suspended.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSuspension)]
pub struct SuspensionIn {
    /// What whoever orders for it is told, at most 500 characters.
    reason: String,
}

/// How a tenant is to be taken down.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOffboarding)]
pub struct OffboardingIn {
    /// Only says what stands in the way and what would be done.
    #[serde(default)]
    dry_run: bool,
    /// For the audit.
    #[serde(default)]
    reason: String,
}

/// How far a tenant is taken down.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Offboarding)]
pub struct OffboardingOut {
    /// The tenant's name.
    tenant: String,
    /// `planned`, `running`, `done` or `cancelled`.
    state: &'static str,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Who wanted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_by: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Time>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Time>,
    /// What keeps the tenant itself from being deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What stands in the way.
    left: CountsOut,
    /// The instances that are left, at most 1000. Those that others depend on go after them.
    instances: Vec<LeftOut>,
    /// The platform whose default tenant it is: that keeps it from being taken down.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_tenant_of: Option<String>,
    /// Months that are not closed yet. They will be, whether or not the tenant is deleted.
    open_months: Vec<String>,
}

/// How much of a tenant is left.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OffboardingLeft)]
pub struct CountsOut {
    /// Instances.
    instances: i64,
    /// Their bindings.
    bindings: i64,
    /// Operations under way.
    operations: i64,
    /// Approvals that are pending: they are cancelled.
    approvals: i64,
}

/// An instance that is left.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OffboardingInstance)]
pub struct LeftOut {
    /// Bourse's own id.
    id: String,
    /// Its name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The platform that it was ordered from.
    platform: String,
    /// The offering's name.
    offering: String,
    /// The plan's name.
    plan: String,
    /// Where it stands.
    state: &'static str,
    /// How many of its bindings are left.
    bindings: i64,
    /// How many other instances depend on it: they go first.
    dependents: i64,
    /// How often its deletion failed.
    attempts: i64,
    /// How it failed last, or what it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// When it is looked at again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_at: Option<Time>,
    /// Policies that would refuse its deletion to whoever ordered it. They do not hold up an off-boarding.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policies: Vec<String>,
}

impl From<LeftView> for LeftOut {
    fn from(view: LeftView) -> Self {
        let LeftView { id, name, platform, offering, plan, state, bindings, dependents, under_way, step, policies } =
            view;
        let (attempts, error, next_at) = match step {
            Some(step) => (step.attempts, step.error, Some(step.next_at)),
            None => (0, None, None),
        };
        let waits = under_way.filter(|kind| kind != OperationKind::Deprovision.as_str());
        let error = waits.map(|kind| format!("waits until its {kind} is over")).or(error);
        let state = state.as_str();
        Self { id, name, platform, offering, plan, state, bindings, dependents, attempts, error, next_at, policies }
    }
}

impl From<OffboardingView> for OffboardingOut {
    fn from(view: OffboardingView) -> Self {
        let OffboardingView { tenant, row, counts, left, default_of, open_months } = view;
        let crate::app::offboard::Counts { instances, bindings, operations, approvals } = counts;
        Self {
            tenant,
            state: row.as_ref().map_or("planned", |row| row.state.as_str()),
            reason: row.as_ref().map(|row| row.reason.clone()).filter(|reason| !reason.is_empty()),
            requested_by: row.as_ref().map(|row| row.requested_by.clone()),
            started_at: row.as_ref().map(|row| row.created_at),
            finished_at: row.as_ref().and_then(|row| row.finished_at),
            error: row.and_then(|row| row.error),
            left: CountsOut { instances, bindings, operations, approvals },
            instances: left.into_iter().map(LeftOut::from).collect(),
            default_tenant_of: default_of,
            open_months: open_months.iter().map(ToString::to_string).collect(),
        }
    }
}

/// `POST /tenants/{name}/suspend`
///
/// # Errors
/// [`Failure`].
pub async fn suspend(
    who: Can<ManageTenants>,
    app: Data<App>,
    name: Path<String>,
    body: Body<SuspensionIn>,
) -> Result<Json<TenantOut>, Failure> {
    Ok(Json(app.suspend_tenant(&who.caller, &name, &body.0.reason).await?.into()))
}

/// `POST /tenants/{name}/resume`
///
/// # Errors
/// [`Failure`].
pub async fn resume(who: Can<ManageTenants>, app: Data<App>, name: Path<String>) -> Result<Json<TenantOut>, Failure> {
    Ok(Json(app.resume_tenant(&who.caller, &name).await?.into()))
}

/// `POST /tenants/{name}/offboard`
///
/// # Errors
/// [`Failure`].
pub async fn start(
    who: Can<ManageTenants>,
    app: Data<App>,
    name: Path<String>,
    body: Body<OffboardingIn>,
) -> Result<Json<OffboardingOut>, Failure> {
    let OffboardingIn { dry_run, reason } = body.0;
    if dry_run {
        return Ok(Json(app.offboarding_plan(&name).await?.into()));
    }
    Ok(Json(app.offboard(&who.caller, &name, reason.trim()).await?.into()))
}

/// `GET /tenants/{name}/offboard`
///
/// # Errors
/// [`Failure`].
pub async fn show(_: Can<ManageTenants>, app: Data<App>, name: Path<String>) -> Result<Json<OffboardingOut>, Failure> {
    Ok(Json(app.offboarding(&name).await?.into()))
}

/// `DELETE /tenants/{name}/offboard`
///
/// # Errors
/// [`Failure`].
pub async fn cancel(who: Can<ManageTenants>, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Failure> {
    app.cancel_offboarding(&who.caller, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}
