//! Adopting: taking over instances that a backend has already, under the ids that it knows them by. Nothing is sent that could
//! change them: where the offering can be fetched from, the backend is asked whether they are what they are said to be.
//!
//! Each instance with its bindings is a transaction of its own, and a repeat finds what is adopted already: a call that was
//! cut off is sent once more.

mod look;
mod write;

use futures_util::{StreamExt as _, stream};
use osb::{Call, Object, ProvisionRequest};

use super::order::Orderer;
use super::people::{context, instance_id};
use super::provision::{attributes, name_of};
use super::resolve::IdentityClaims;
use super::{App, Error, sealed};
use crate::domain::caller::Caller;
use crate::domain::catalog::PlanEntry;
use crate::domain::instance::InstanceState;
use crate::domain::platform::Platform;
use crate::domain::tenant::Tenant;
use crate::store::instances::InstanceRow;

/// Instances in one call.
pub const ITEMS_MAX: usize = 200;
/// Instances that are looked at at the same time.
const AT_ONCE: usize = 8;

/// What is adopted.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// The broker that has them.
    pub broker: String,
    /// The platform that they belong to from now on; without one, the tenant's people order them by name.
    pub platform: Option<String>,
    /// Whose they are; without one, the platform's identities decide, as for its orders.
    pub tenant: Option<String>,
    /// One by one.
    pub instances: Vec<Candidate>,
    /// Whether only to say what would be done.
    pub dry_run: bool,
}

/// One instance that a backend has.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What the backend knows it by.
    pub backend_instance_id: String,
    /// What the platform knows it by; the same where absent. For a tenant's people: its name.
    pub platform_instance_id: Option<String>,
    /// The offering: its name at the hub, or its id at the backend.
    pub offering: String,
    /// The plan: its name, or its id at the backend.
    pub plan: String,
    /// The parameters as they stand; asked of the backend where absent.
    pub parameters: Option<Object>,
    /// What the platform's orders for it would say: decides the tenant where none is named.
    pub context: Option<Object>,
    /// As `context`.
    pub organization_guid: String,
    /// As `context`.
    pub space_guid: String,
    /// Its bindings.
    pub bindings: Vec<BindingCandidate>,
}

/// One binding that a backend has.
#[derive(Clone, Debug)]
pub struct BindingCandidate {
    /// What the backend knows it by.
    pub backend_binding_id: String,
    /// What the platform knows it by; the same where absent.
    pub platform_binding_id: Option<String>,
    /// What it was asked for with: its credentials are asked for again with these where they can't be fetched.
    pub parameters: Option<Object>,
    /// As `parameters`.
    pub bind_resource: Option<Object>,
}

/// What came of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the backend knows it by.
    pub backend_instance_id: String,
    /// What the platform knows it by.
    pub platform_instance_id: String,
    /// Its tenant's name, where that could be decided.
    pub tenant: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// Whether the backend itself said that it has the instance and all its bindings.
    pub verified: bool,
    /// A sentence.
    pub message: String,
}

/// What came of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is the hub's from now on; or would be, on a dry run.
    Adopted,
    /// It was before.
    Already,
    /// It is not what it is said to be, or something stands in its place.
    Refused,
    /// The backend could not be asked: try again.
    Unknown,
}

/// Why a candidate is not adopted.
struct No {
    outcome: Outcome,
    message: String,
}

impl No {
    fn refused(message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Refused, message: message.into() }
    }
}

/// What a whole call is about.
struct Scope<'a> {
    caller: &'a Caller,
    call: &'a Call,
    broker: String,
    platform: Platform,
    /// No platform was named: the instances are people's.
    personal: bool,
    tenant: Option<Tenant>,
    dry_run: bool,
}

impl App {
    /// Adopts instances; says of each what came of it, in the order in which they were given.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the call itself makes no sense: then nothing was adopted.
    pub async fn adopt(&self, caller: &Caller, call: &Call, adoption: Adoption) -> Result<Vec<Verdict>, Error> {
        let Adoption { broker, platform, tenant, instances, dry_run } = adoption;
        if instances.is_empty() || instances.len() > ITEMS_MAX {
            return Err(Error::invalid("/instances", format!("must hold 1 to {ITEMS_MAX} instances")));
        }
        if !self.catalog().has_broker(&broker) {
            return Err(Error::invalid("/broker", format!("there is no service broker `{broker}`")));
        }
        let unknown = |pointer: &'static str| {
            move |error| match error {
                Error::NotFound { what, name } => Error::invalid(pointer, format!("{what} `{name}` does not exist")),
                other => other,
            }
        };
        let tenant = match &tenant {
            Some(name) => Some(self.tenant_by_name(name).await.map_err(unknown("/tenant"))?),
            None => None,
        };
        let named = match &platform {
            Some(name) => self.platform_by_name(name).await.map_err(unknown("/platform"))?.row.platform,
            None if tenant.is_some() => self.builtin_platform().await?,
            None => return Err(Error::invalid("", "name a platform, a tenant, or both: whose the instances are")),
        };
        let scope = Scope { caller, call, broker, platform: named, personal: platform.is_none(), tenant, dry_run };
        let verdicts = stream::iter(instances).map(|candidate| self.consider(&scope, candidate));
        let verdicts: Vec<Result<Verdict, Error>> = verdicts.buffered(AT_ONCE).collect().await;
        verdicts.into_iter().collect()
    }

    async fn consider(&self, scope: &Scope<'_>, candidate: Candidate) -> Result<Verdict, Error> {
        let platform_id = platform_id(scope, &candidate);
        let mut verdict = Verdict {
            backend_instance_id: candidate.backend_instance_id.clone(),
            platform_instance_id: platform_id.clone(),
            tenant: scope.tenant.as_ref().map(|tenant| tenant.name.clone()),
            outcome: Outcome::Refused,
            verified: false,
            message: String::new(),
        };
        match Box::pin(self.adopt_one(scope, &candidate, &platform_id, &mut verdict)).await? {
            Ok(outcome) => verdict.outcome = outcome,
            Err(No { outcome, message }) => (verdict.outcome, verdict.message) = (outcome, message),
        }
        Ok(verdict)
    }

    async fn adopt_one(
        &self,
        scope: &Scope<'_>,
        candidate: &Candidate,
        platform_id: &str,
        verdict: &mut Verdict,
    ) -> Result<Result<Outcome, No>, Error> {
        if let Err(no) = look::well_formed(scope, candidate) {
            return Ok(Err(no));
        }
        let catalog = self.catalog();
        let Some(plan) = catalog.plan_of_broker(&scope.broker, &candidate.offering, &candidate.plan).cloned() else {
            let message = format!("broker {} has no plan {} of {}", scope.broker, candidate.plan, candidate.offering);
            return Ok(Err(No::refused(message)));
        };
        let tenant = match self.owner(scope, candidate).await? {
            Ok(tenant) => tenant,
            Err(no) => return Ok(Err(no)),
        };
        verdict.tenant = Some(tenant.name.clone());
        if let Some(known) = self.known(scope, candidate, platform_id, &plan, &tenant).await? {
            verdict.message = known.as_ref().err().map(|no| no.message.clone()).unwrap_or_default();
            return Ok(known);
        }
        let orderer = Orderer {
            platform: scope.platform.clone(),
            broker: None,
            tenant: Some(tenant.clone()),
            upstream: None,
            actor: scope.caller.actor(),
        };
        let request = self.as_ordered(scope, candidate, platform_id, &tenant);
        let mut row = self.row_for(&orderer, &request, candidate, platform_id, &plan, &tenant)?;
        let request = match self.verified(scope, candidate, &plan, &row, request, verdict).await? {
            Ok((request, answer)) => {
                row.attributes = self.seal(&sealed::instance_attributes(&row.id), &attributes(&request))?;
                row.answer = answer;
                request
            }
            Err(no) => return Ok(Err(no)),
        };
        if scope.dry_run {
            verdict.message = "would be adopted".to_owned();
            return Ok(Ok(Outcome::Adopted));
        }
        let adopted = self.adopted(scope, &orderer, candidate, &plan, row, &request).await?;
        Ok(match self.write_adopted(adopted).await? {
            true => Ok(Outcome::Adopted),
            false => Err(No::refused("the id of the instance or of a binding is taken")),
        })
    }

    /// Whose it is.
    async fn owner(&self, scope: &Scope<'_>, candidate: &Candidate) -> Result<Result<Tenant, No>, Error> {
        if let Some(tenant) = &scope.tenant {
            return Ok(Ok(tenant.clone()));
        }
        let claims = IdentityClaims {
            context: candidate.context.as_ref(),
            organization_guid: &candidate.organization_guid,
            space_guid: &candidate.space_guid,
        };
        let found = self.claimed_tenant(&scope.platform, &claims).await;
        match found {
            Ok(tenant) => Ok(Ok(tenant)),
            Err(Error::Malformed(message) | Error::Refused { message, .. }) => Ok(Err(No::refused(message))),
            Err(error) => Err(error),
        }
    }

    /// The order that would have made it.
    fn as_ordered(
        &self,
        scope: &Scope<'_>,
        candidate: &Candidate,
        platform_id: &str,
        tenant: &Tenant,
    ) -> ProvisionRequest {
        let name = candidate.platform_instance_id.as_ref().unwrap_or(&candidate.backend_instance_id);
        let context = match (&candidate.context, scope.personal) {
            (Some(context), _) => Some(context.clone()),
            (None, true) => Some(context(&tenant.name, name)),
            (None, false) => None,
        };
        let (organization_guid, space_guid) = if scope.personal {
            (tenant.id.clone(), tenant.id.clone())
        } else {
            (candidate.organization_guid.clone(), candidate.space_guid.clone())
        };
        ProvisionRequest {
            instance_id: platform_id.to_owned(),
            context: context.into(),
            organization_guid,
            space_guid,
            parameters: candidate.parameters.clone().into(),
            ..ProvisionRequest::default()
        }
    }

    fn row_for(
        &self,
        orderer: &Orderer,
        request: &ProvisionRequest,
        candidate: &Candidate,
        platform_id: &str,
        plan: &PlanEntry,
        tenant: &Tenant,
    ) -> Result<InstanceRow, Error> {
        let (id, now) = (candidate.backend_instance_id.clone(), self.clock().now());
        Ok(InstanceRow {
            platform_id: orderer.platform.id.clone(),
            platform_instance_id: platform_id.to_owned(),
            name: name_of(request),
            tenant_id: tenant.id.clone(),
            broker_id: plan.broker_id.clone(),
            offering_id: plan.offering_id.clone(),
            plan_id: plan.plan_id.clone(),
            state: InstanceState::Ready,
            attributes: self.seal(&sealed::instance_attributes(&id), &attributes(request))?,
            answer: "{}".into(),
            operation_id: None,
            event_sequence: 0,
            version: 1,
            created_at: now,
            ready_at: Some(now),
            gone_at: None,
            late_until: None,
            reserved: false,
            id,
        })
    }
}

/// The id under which the platform knows it; a person's instance is known by its name.
fn platform_id(scope: &Scope<'_>, candidate: &Candidate) -> String {
    let id = candidate.platform_instance_id.as_ref().unwrap_or(&candidate.backend_instance_id);
    match &scope.tenant {
        Some(tenant) if scope.personal => instance_id(&tenant.name, id),
        _ => id.clone(),
    }
}
