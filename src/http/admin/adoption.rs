//! `POST /api/v1/instances/adopt`: taking over what a backend has already.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::app::adopt::{Adoption, BindingCandidate, Candidate, Outcome, Verdict};
use crate::http::error::Failure;
use crate::http::input::Body;
use crate::http::observe;
use crate::http::permits::{Can, ManageInstances};

/// What is adopted: `platform`, `tenant`, or both.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Adoption)]
pub struct AdoptionIn {
    /// The broker that has the instances.
    broker: String,
    /// The platform that they belong to from now on; without one, the tenant's people order them by name.
    platform: Option<String>,
    /// Whose they are; without one, the platform's identities decide, as for its orders.
    tenant: Option<String>,
    /// At most 200.
    instances: Vec<CandidateIn>,
    /// Whether only to say what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// An instance that the backend has.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdoptedInstance)]
pub(in crate::http) struct CandidateIn {
    /// What the backend knows it by.
    backend_instance_id: String,
    /// What the platform knows it by; the same where absent. Without a platform: its name.
    platform_instance_id: Option<String>,
    /// The offering's name at the hub, or its id at the backend.
    offering: String,
    /// The plan's name, or its id at the backend.
    plan: String,
    /// The parameters as they stand; asked of the backend where absent.
    #[schema(value_type = Option<Object>)]
    parameters: Option<osb::Object>,
    /// As the platform's order would hold it.
    #[schema(value_type = Option<Object>)]
    context: Option<osb::Object>,
    /// As the platform's order would hold it.
    #[serde(default)]
    organization_guid: String,
    /// As the platform's order would hold it.
    #[serde(default)]
    space_guid: String,
    /// At most 100.
    #[serde(default)]
    bindings: Vec<BindingCandidateIn>,
}

/// A binding that the backend has.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdoptedBinding)]
struct BindingCandidateIn {
    /// What the backend knows it by.
    backend_binding_id: String,
    /// What the platform knows it by; the same where absent.
    platform_binding_id: Option<String>,
    /// What it was asked for with.
    #[schema(value_type = Option<Object>)]
    parameters: Option<osb::Object>,
    /// What it was asked for with.
    #[schema(value_type = Option<Object>)]
    bind_resource: Option<osb::Object>,
}

/// What came of it, one by one, in the order in which they were given.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AdoptionVerdicts)]
pub struct AdoptionOut {
    /// Whether nothing was done.
    dry_run: bool,
    items: Vec<VerdictOut>,
}

/// What came of one instance.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AdoptionVerdict)]
struct VerdictOut {
    /// What the backend knows it by: from now on the hub's id of it, too.
    backend_instance_id: String,
    /// What the platform knows it by.
    platform_instance_id: String,
    /// Its tenant, where that could be decided.
    tenant: Option<String>,
    /// `adopted already refused unknown`: unknown where the backend could not be asked; try again.
    verdict: &'static str,
    /// Whether the backend itself said that it has the instance and all its bindings.
    verified: bool,
    /// A sentence; empty where there is nothing to say.
    message: String,
}

impl From<AdoptionIn> for Adoption {
    fn from(given: AdoptionIn) -> Self {
        let AdoptionIn { broker, platform, tenant, instances, dry_run } = given;
        Self { broker, platform, tenant, instances: instances.into_iter().map(Candidate::from).collect(), dry_run }
    }
}

impl From<CandidateIn> for Candidate {
    fn from(given: CandidateIn) -> Self {
        Self {
            backend_instance_id: given.backend_instance_id,
            platform_instance_id: given.platform_instance_id,
            offering: given.offering,
            plan: given.plan,
            parameters: given.parameters,
            context: given.context,
            organization_guid: given.organization_guid,
            space_guid: given.space_guid,
            bindings: given.bindings.into_iter().map(BindingCandidate::from).collect(),
        }
    }
}

impl From<BindingCandidateIn> for BindingCandidate {
    fn from(given: BindingCandidateIn) -> Self {
        let BindingCandidateIn { backend_binding_id, platform_binding_id, parameters, bind_resource } = given;
        Self { backend_binding_id, platform_binding_id, parameters, bind_resource }
    }
}

impl From<Verdict> for VerdictOut {
    fn from(verdict: Verdict) -> Self {
        Self {
            backend_instance_id: verdict.backend_instance_id,
            platform_instance_id: verdict.platform_instance_id,
            tenant: verdict.tenant,
            verdict: match verdict.outcome {
                Outcome::Adopted => "adopted",
                Outcome::Already => "already",
                Outcome::Refused => "refused",
                Outcome::Unknown => "unknown",
            },
            verified: verdict.verified,
            message: verdict.message,
        }
    }
}

/// `POST /instances/adopt`
///
/// # Errors
/// [`Failure`].
pub async fn adopt(
    who: Can<ManageInstances>,
    app: Data<App>,
    request: HttpRequest,
    body: Body<AdoptionIn>,
) -> Result<Json<AdoptionOut>, Failure> {
    let (call, dry_run) = (observe::call(&request), body.0.dry_run);
    let verdicts = app.adopt(&who.caller, &call, body.0.into()).await?;
    Ok(Json(AdoptionOut { dry_run, items: verdicts.into_iter().map(VerdictOut::from).collect() }))
}
