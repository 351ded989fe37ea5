//! Looking before adopting: is the candidate in order, does the hub know it already, does the backend have it?

use osb::client::{Failure, decode};
use osb::{
    FetchBindingRequest, FetchInstanceRequest, FetchInstanceResponse, ProvisionRequest, ProvisionResponse, WireResponse,
};

use super::{Candidate, No, Outcome, Scope, Verdict};
use crate::app::{App, Error};
use crate::domain::catalog::PlanEntry;
use crate::domain::instance::InstanceState;
use crate::domain::name::is_name;
use crate::domain::tenant::Tenant;
use crate::store::instances::{self, InstanceRow};

/// Bindings of one instance.
const BINDINGS_MAX: usize = 100;
/// An id as it comes from a backend or a platform, in bytes.
const ID_MAX: usize = 512;

impl App {
    /// What the hub knows under one of the ids already; `None` where nothing.
    pub(super) async fn known(
        &self,
        scope: &Scope<'_>,
        candidate: &Candidate,
        platform_id: &str,
        plan: &PlanEntry,
        tenant: &Tenant,
    ) -> Result<Option<Result<Outcome, No>>, Error> {
        let (platform, id) = (scope.platform.id.clone(), platform_id.to_owned());
        let backend_id = candidate.backend_instance_id.clone();
        let (same_id, current) = self
            .db()
            .read(move |tx| {
                Box::pin(async move {
                    let same_id = instances::by_id(tx, &backend_id).await?;
                    Ok::<_, Error>((same_id, instances::current(tx, &platform, &id).await?))
                })
            })
            .await?;
        let live = |row: &InstanceRow| !matches!(row.state, InstanceState::Gone | InstanceState::Failed);
        Ok(match (same_id, current) {
            (Some(row), _) if live(&row) && row.broker_id == plan.broker_id => {
                let same = row.platform_id == scope.platform.id
                    && row.platform_instance_id == platform_id
                    && row.tenant_id == tenant.id;
                Some(if same {
                    Ok(Outcome::Already)
                } else {
                    Err(No::refused("the hub has it already, for another tenant, platform or id of the platform"))
                })
            }
            (Some(_), _) => Some(Err(No::refused("the hub has, or had, another instance under this id"))),
            (None, Some(row)) if live(&row) => {
                Some(Err(No::refused("the platform has another instance under its id for this one")))
            }
            (None, _) => None,
        })
    }

    /// The order and the answer as the backend knows them, where it can be asked.
    pub(super) async fn verified(
        &self,
        scope: &Scope<'_>,
        candidate: &Candidate,
        plan: &PlanEntry,
        row: &InstanceRow,
        mut request: ProvisionRequest,
        verdict: &mut Verdict,
    ) -> Result<Result<(ProvisionRequest, String), No>, Error> {
        let mut answer = "{}".to_owned();
        let mut verified = plan.offering.instances_retrievable.as_option() == Some(&true);
        if verified {
            let asked = osb::WireRequest::from(&FetchInstanceRequest {
                instance_id: row.id.clone(),
                service_id: Some(plan.offering_backend_id.clone()),
                plan_id: Some(plan.plan_backend_id.clone()),
            });
            let told = self.ask_backend(row, plan, None, scope.call, &asked).await;
            let found = match answered(told, "the service instance", decode::fetch_instance)? {
                Ok(found) => found,
                Err(no) => return Ok(Err(no)),
            };
            if let Err(no) = same_plan(&found, plan) {
                return Ok(Err(no));
            }
            if request.parameters.as_option().is_none() {
                request.parameters = found.parameters.clone();
            }
            answer = response_of(&found);
        }
        let asks = plan.offering.bindings_retrievable.as_option() == Some(&true);
        for binding in &candidate.bindings {
            verified = verified && asks;
            if !asks {
                continue;
            }
            let asked = osb::WireRequest::from(&FetchBindingRequest {
                instance_id: row.id.clone(),
                binding_id: binding.backend_binding_id.clone(),
                service_id: Some(plan.offering_backend_id.clone()),
                plan_id: Some(plan.plan_backend_id.clone()),
            });
            let told = self.ask_backend(row, plan, Some(&binding.backend_binding_id), scope.call, &asked).await;
            let what = format!("the service binding {}", binding.backend_binding_id);
            if let Err(no) = answered(told, &what, decode::fetch_binding)? {
                return Ok(Err(no));
            }
        }
        verdict.verified = verified;
        Ok(Ok((request, answer)))
    }
}

/// What can be said of a candidate without asking anybody.
pub(super) fn well_formed(scope: &Scope<'_>, candidate: &Candidate) -> Result<(), No> {
    let good = |id: &str| !matches!(id, "" | "." | "..") && id.len() <= ID_MAX;
    let ids = candidate.bindings.iter().flat_map(|binding| {
        [Some(&binding.backend_binding_id), binding.platform_binding_id.as_ref()].into_iter().flatten()
    });
    let own = [Some(&candidate.backend_instance_id), candidate.platform_instance_id.as_ref()];
    if !own.into_iter().flatten().chain(ids).all(|id| good(id)) {
        return Err(No::refused(format!("ids must be 1 to {ID_MAX} bytes, and not `.` or `..`")));
    }
    let name = candidate.platform_instance_id.as_ref().unwrap_or(&candidate.backend_instance_id);
    if scope.personal && !is_name(name) {
        let rule =
            "without a platform, platform_instance_id is the name that people order by: 1 to 63 of a-z, 0-9 and '-'";
        return Err(No::refused(rule));
    }
    if candidate.bindings.len() > BINDINGS_MAX {
        return Err(No::refused(format!("more than {BINDINGS_MAX} bindings")));
    }
    Ok(())
}

/// What the backend said: the thing, that it has none, or nothing that settles it.
fn answered<T>(
    told: Result<Result<WireResponse, Failure>, Error>,
    what: &str,
    read: fn(&WireResponse) -> Result<T, Failure>,
) -> Result<Result<T, No>, Error> {
    let unknown =
        |why: &str| No { outcome: Outcome::Unknown, message: format!("{what} could not be asked for: {why}") };
    let told = match told {
        Ok(told) => told,
        Err(Error::Answer(error)) => return Ok(Err(unknown(error.description().unwrap_or("no answer")))),
        Err(error) => return Err(error),
    };
    Ok(told.and_then(|told| read(&told)).map_err(|failure| match failure {
        Failure::Rejected(error) if matches!(error.status, 404 | 410) => {
            No::refused(format!("the service broker does not have {what}"))
        }
        Failure::Rejected(error) => unknown(error.description().unwrap_or("the service broker refused")),
        other => unknown(&other.to_string()),
    }))
}

/// The backend's own ids, where it gives them, are those that were said.
fn same_plan(found: &FetchInstanceResponse, plan: &PlanEntry) -> Result<(), No> {
    let other = |said: Option<&String>, own: &str| said.is_some_and(|said| said != own);
    if other(found.service_id.as_option(), &plan.offering_backend_id)
        || other(found.plan_id.as_option(), &plan.plan_backend_id)
    {
        return Err(No::refused("the service broker has it under another service offering or plan"));
    }
    Ok(())
}

/// What is remembered of a fetched instance.
fn response_of(found: &FetchInstanceResponse) -> String {
    let response = ProvisionResponse {
        dashboard_url: found.dashboard_url.clone(),
        metadata: found.metadata.clone(),
        ..ProvisionResponse::default()
    };
    serde_json::to_string(&response).unwrap_or_else(|_| "{}".to_owned())
}
