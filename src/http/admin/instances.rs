//! `/api/v1/instances` and `/api/v1/operations`: what stands, what is under way, and setting right what went wrong.

use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::costs::CostSoFarOut;
use crate::app::instances::{InstanceDetail, InstanceFilter, InstanceView};
use crate::app::operations::{OperationFilter, OperationView};
use crate::app::references::{Other, Relations};
use crate::app::{self, App};
use crate::clock::Time;
use crate::domain::instance::{BindingState, InstanceState};
use crate::domain::operation::{OperationKind, OperationState, Phase};
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{self, PageOut};
use crate::http::permits::{Can, ManageInstances, ReadInstances, SeeInstances};

/// An instance.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Instance)]
pub struct InstanceOut {
    /// Bourse's own id: what the backend knows it by.
    pub(super) id: String,
    /// The id that the platform gave it.
    platform_instance_id: String,
    /// Its name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Whom it is for.
    tenant: String,
    /// Where it was ordered.
    platform: String,
    /// Who makes it.
    broker: String,
    /// The service offering.
    offering: String,
    /// The service plan.
    plan: String,
    /// `waiting_approval provisioning ready updating deprovisioning unresolved failed gone`
    #[schema(value_type = String)]
    state: InstanceState,
    /// Where it is managed, if the backend says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    dashboard_url: Option<String>,
    /// When it was ordered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// When it became ready.
    #[schema(value_type = Option<String>, format = DateTime)]
    ready_at: Option<Time>,
    /// When nothing was left of it.
    #[schema(value_type = Option<String>, format = DateTime)]
    gone_at: Option<Time>,
}

impl From<InstanceView> for InstanceOut {
    fn from(view: InstanceView) -> Self {
        let dashboard_url = view.dashboard_url();
        let InstanceView { row, tenant, platform, broker, offering, plan } = view;
        Self {
            id: row.id,
            platform_instance_id: row.platform_instance_id,
            name: row.name,
            tenant,
            platform,
            broker,
            offering,
            plan,
            state: row.state,
            dashboard_url,
            created_at: row.created_at,
            ready_at: row.ready_at,
            gone_at: row.gone_at,
        }
    }
}

/// A binding, without its credentials.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = InstanceBinding)]
pub struct BindingOut {
    /// Bourse's own id: what the backend knows it by.
    id: String,
    /// The id that the platform gave it.
    platform_binding_id: String,
    /// `binding ready unbinding unresolved failed gone`
    #[schema(value_type = String)]
    state: BindingState,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

/// An operation.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Operation)]
pub struct OperationOut {
    /// Its id: also what platforms poll with.
    id: String,
    /// `provision update deprovision context_update bind unbind orphan_mitigation`
    #[schema(value_type = String)]
    kind: OperationKind,
    /// `in_progress succeeded failed cancelled`
    #[schema(value_type = String)]
    state: OperationState,
    /// What it is at, while it is in progress: `waiting_approval calling polling unresolved`
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<Phase>,
    /// The instance.
    instance_id: String,
    /// The binding, of bind and unbind.
    #[serde(skip_serializing_if = "Option::is_none")]
    binding_id: Option<String>,
    /// A sentence about where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Tries in this phase.
    attempts: i64,
    /// When it is gone on with.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<Time>,
    /// Who ordered it.
    actor: String,
    /// The request identity that it came with.
    request_id: String,
    /// When it was ordered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// When it was over.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Time>,
}

impl From<OperationView> for OperationOut {
    fn from(row: OperationView) -> Self {
        let going = row.state == OperationState::InProgress;
        Self {
            id: row.id,
            kind: row.kind,
            state: row.state,
            phase: going.then_some(row.phase),
            instance_id: row.instance_id,
            binding_id: row.binding_id,
            description: row.description,
            attempts: row.attempts,
            next_at: going.then_some(row.next_at),
            actor: row.actor,
            request_id: row.correlation_id,
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

/// A reference to another instance.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Reference)]
pub struct ReferenceOut {
    /// Where it stands in the parameters: a JSON pointer (RFC 6901).
    parameter: String,
    /// The instance that is referred to, by Bourse's own id.
    instance_id: String,
    /// Its name, where it has one.
    name: Option<String>,
}

/// An instance that refers to this one.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Dependent)]
pub struct DependentOut {
    /// Bourse's own id.
    instance_id: String,
    /// Its name, where it has one.
    name: Option<String>,
}

/// What an instance refers to, and who refers to it.
pub(super) fn related(relations: Relations) -> (Vec<ReferenceOut>, Vec<DependentOut>) {
    let reference =
        |(parameter, other): (String, Other)| ReferenceOut { parameter, instance_id: other.id, name: other.name };
    let dependent = |other: Other| DependentOut { instance_id: other.id, name: other.name };
    (
        relations.references.into_iter().map(reference).collect(),
        relations.dependents.into_iter().map(dependent).collect(),
    )
}

/// An instance with all that belongs to it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = InstanceDetail)]
pub struct DetailOut {
    #[serde(flatten)]
    instance: InstanceOut,
    /// Its bindings, those that are gone too.
    bindings: Vec<BindingOut>,
    /// Its operations, newest last.
    operations: Vec<OperationOut>,
    /// The instances that its parameters refer to.
    references: Vec<ReferenceOut>,
    /// Those that refer to it, the first 1000: it can't be deleted before they are.
    dependents: Vec<DependentOut>,
    /// What it has cost this month so far; `null` where nothing of it has a price.
    cost: Option<CostSoFarOut>,
}

impl From<InstanceDetail> for DetailOut {
    fn from(detail: InstanceDetail) -> Self {
        let binding = |row: app::instances::BindingView| BindingOut {
            id: row.id,
            platform_binding_id: row.platform_binding_id,
            state: row.state,
            created_at: row.created_at,
        };
        let (references, dependents) = related(detail.relations);
        Self {
            instance: detail.instance.into(),
            bindings: detail.bindings.into_iter().map(binding).collect(),
            operations: detail.operations.into_iter().map(OperationOut::from).collect(),
            references,
            dependents,
            cost: detail.cost.map(CostSoFarOut::from),
        }
    }
}

/// The query of `GET /instances`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceParams {
    limit: Option<u32>,
    cursor: Option<String>,
    tenant: Option<String>,
    platform: Option<String>,
    platform_instance_id: Option<String>,
    broker: Option<String>,
    offering: Option<String>,
    state: Option<String>,
}

/// `GET /instances`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<ReadInstances>,
    app: Data<App>,
    params: Params<InstanceParams>,
) -> Result<Json<PageOut<InstanceOut>>, Failure> {
    let params = params.0;
    let page = page::page(params.limit, params.cursor.as_deref())?;
    let filter = InstanceFilter {
        tenant: params.tenant,
        platform: params.platform,
        platform_instance_id: params.platform_instance_id,
        broker: params.broker,
        offering: params.offering,
        state: word("state", params.state.as_deref(), InstanceState::parse)?,
    };
    Ok(Json(app.instances(&who.sight, filter, &page).await?.map(InstanceOut::from).into()))
}

/// `GET /instances/{id}`
///
/// # Errors
/// [`Failure`].
pub async fn show(who: Can<ReadInstances>, app: Data<App>, id: Path<String>) -> Result<Json<DetailOut>, Failure> {
    Ok(Json(app.instance(&who.sight, &id).await?.into()))
}

/// The body of a purge.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Purge)]
pub struct PurgeIn {
    /// Why: kept in the audit.
    reason: String,
}

/// `POST /instances/{id}/purge`
///
/// # Errors
/// [`Failure`].
pub async fn purge(
    who: Can<ManageInstances>,
    app: Data<App>,
    id: Path<String>,
    body: Body<PurgeIn>,
) -> Result<Json<DetailOut>, Failure> {
    Ok(Json(app.purge(&who.caller, &id, &body.0.reason).await?.into()))
}

/// The query of `GET /operations`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationParams {
    limit: Option<u32>,
    cursor: Option<String>,
    state: Option<String>,
    kind: Option<String>,
    instance: Option<String>,
}

/// `GET /operations`
///
/// # Errors
/// [`Failure`].
pub async fn operations(
    who: Can<SeeInstances>,
    app: Data<App>,
    params: Params<OperationParams>,
) -> Result<Json<PageOut<OperationOut>>, Failure> {
    let params = params.0;
    let page = page::page(params.limit, params.cursor.as_deref())?;
    let filter = OperationFilter {
        state: word("state", params.state.as_deref(), OperationState::parse)?,
        kind: word("kind", params.kind.as_deref(), OperationKind::parse)?,
        instance_id: params.instance,
        sight: who.sight,
    };
    Ok(Json(app.operations(filter, &page).await?.map(OperationOut::from).into()))
}

/// `GET /operations/{id}`
///
/// # Errors
/// [`Failure`].
pub async fn operation(
    who: Can<SeeInstances>,
    app: Data<App>,
    id: Path<String>,
) -> Result<Json<OperationOut>, Failure> {
    Ok(Json(app.operation(&who.sight, &id).await?.into()))
}

/// `POST /operations/{id}/cancel`
///
/// # Errors
/// [`Failure`].
pub async fn cancel(
    who: Can<ManageInstances>,
    app: Data<App>,
    id: Path<String>,
) -> Result<Json<OperationOut>, Failure> {
    Ok(Json(app.cancel(&who.caller, &id).await?.into()))
}

/// A word of a closed list in a query.
pub(super) fn word<T>(name: &str, given: Option<&str>, parse: fn(&str) -> Option<T>) -> Result<Option<T>, Failure> {
    given
        .map(|given| {
            parse(given).ok_or_else(|| app::Error::invalid("", format!("{name} has no value `{given}`")).into())
        })
        .transpose()
}
