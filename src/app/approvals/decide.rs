//! Deciding: who may, and what the order comes to. An order that everybody agreed to is looked at once more, since days may have passed:
//! if it could not be placed today, it fails; if it could, it is the driver's, which sends what was written down when it was ordered.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::drive::Target;
use super::super::error::to_osb;
use super::super::laws::{Deed, enforced, principal};
use super::super::order;
use super::super::references::Ids;
use super::super::sealed::{self, StoredRequest};
use super::super::{App, Error, access, quotas};
use super::end::{End, end};
use super::{ApprovalView, tell};
use crate::clock::Time;
use crate::domain::approval::{self, ApprovalState, REASON_MAX, Request};
use crate::domain::caller::{Caller, person_of};
use crate::domain::catalog::PlanEntry;
use crate::domain::event::EventKind;
use crate::domain::instance::{InstanceAttributes, InstanceState};
use crate::domain::operation::{OperationKind, Phase, Told};
use crate::domain::permission::{Permission, Sight};
use crate::domain::policy::{Action, Judged};
use crate::domain::tenant::Tenant;
use crate::store::approvals::{self, ApprovalRow, Decided};
use crate::store::audit::{self, AuditRow};
use crate::store::instances::{self, InstanceRow};
use crate::store::operations::{self, OperationRow};
use crate::store::{Tx, brokers, platforms, tenants};

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The order may go ahead.
    Approve,
    /// It may not.
    Deny,
}

/// An order that waits, as whoever decides about it is held against it.
pub(super) fn asked<'a>(row: &'a ApprovalRow, tenant: &'a Tenant) -> Request<'a> {
    Request {
        user: row.requested_user.as_deref(),
        actor: person_of(&row.requested_by).map(|_| row.requested_by.as_str()),
        approvers: &row.approvers,
        tenant: &tenant.document,
        tenant_id: &tenant.id,
    }
}

/// An order that waits, looked at as if it were placed now.
#[derive(Clone, Debug, Default)]
pub(super) struct Anew {
    /// Why it could not be placed now.
    pub(super) refused: Option<String>,
    /// Whether that is what a budget says.
    pub(super) overspent: bool,
    /// What policies say of it.
    pub(super) judged: Vec<Judged>,
    /// The instances that it refers to and its instance did not before.
    referred: BTreeSet<String>,
    /// When the operation has to be over.
    give_up_at: Time,
}

/// All that the transaction of a decision needs.
#[derive(Clone, Debug)]
struct Deciding {
    id: String,
    decided: Decided,
    anew: Anew,
    instance_id: String,
    operation_id: String,
    hub: String,
    audited: AuditRow,
}

impl App {
    /// Decides about an approval. What policies said of the order comes with it, where the answer is yes.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`] where it is the caller's own order or not theirs to decide; [`Error::Conflict`]
    /// where it is decided or expired already, or where the order would go ahead now and an instance that it refers to is just being changed.
    pub async fn decide_approval(
        &self,
        caller: &Caller,
        id: &str,
        decision: Decision,
        reason: &str,
    ) -> Result<(ApprovalView, Vec<Judged>), Error> {
        if reason.chars().count() > REASON_MAX || reason.contains('\0') {
            return Err(Error::invalid("/reason", format!("must have at most {REASON_MAX} characters")));
        }
        let view = self.approval(&access::sight(Permission::DecideApprovals, caller)?, id).await?;
        let tenant = self.tenant(&view.row.tenant_id).await?;
        let request = asked(&view.row, &tenant);
        if let Some(message) = request.refuses(caller) {
            return Err(Error::Forbidden(message.to_owned()));
        }
        if view.row.state != ApprovalState::Pending {
            return Err(decided_already(view.row.state));
        }
        let reason = Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        let now = self.clock().now();
        let (state, action) = match decision {
            Decision::Approve => (ApprovalState::Approved, "approval.approve"),
            Decision::Deny => (ApprovalState::Denied, "approval.deny"),
        };
        let detail =
            json!({ "reason": reason, "operation_id": view.row.operation_id, "instance_id": view.row.instance_id });
        let anew = match decision {
            Decision::Approve => self.anew(&view.row.operation_id, &view.row.instance_id, now).await?,
            Decision::Deny => Anew::default(),
        };
        let deciding = Deciding {
            id: id.to_owned(),
            decided: Decided { state, reason, by: Some(caller.actor()), at: now },
            anew,
            instance_id: view.row.instance_id,
            operation_id: view.row.operation_id,
            hub: self.config().server.hub.clone(),
            audited: self.audit_row(caller, action, format!("approvals/{id}"), detail).changed(
                Some(json!({ "state": ApprovalState::Pending.as_str() })),
                Some(json!({ "state": state.as_str() })),
            ),
        };
        let (operation_id, judged) = (deciding.operation_id.clone(), deciding.anew.judged.clone());
        self.db()
            .write(move |tx| {
                let deciding = deciding.clone();
                Box::pin(async move { decide(tx, deciding).await })
            })
            .await?;
        self.announce(&operation_id);
        Ok((self.approval(&Sight::everything(), id).await?, judged))
    }

    /// Looks at an order as if it were placed now, by the catalog as it is now.
    pub(super) async fn anew(&self, operation_id: &str, instance_id: &str, now: Time) -> Result<Anew, Error> {
        let (operation, instance) = (self.operation_row(operation_id).await?, self.instance_row(instance_id).await?);
        self.reload_catalog().await?;
        let catalog = self.catalog();
        let gone = || Anew { refused: Some("its service plan is not there any more".to_owned()), ..Anew::default() };
        let Some(plan) = catalog.plan_by_id(&instance.plan_id) else { return Ok(gone()) };
        let longest = plan.maximum_polling.unwrap_or(self.config().operations.maximum_polling_duration);
        let before: InstanceAttributes = self.open(&sealed::instance_attributes(&instance.id), &instance.attributes)?;
        let request: StoredRequest = self.open(&sealed::operation_request(&operation.id), &operation.request)?;
        let sent: Value = serde_json::from_slice(&request.wire()?.body).unwrap_or_default();
        let spends = match &operation.target {
            None => true,
            Some(target) => {
                let target: Target = self.open(&sealed::operation_target(&operation.id), target)?;
                target.plan_id != instance.plan_id
            }
        };
        if spends && let Err(error) = self.within_budget(&self.tenant(&instance.tenant_id).await?).await {
            return Ok(Anew { refused: Some(told(error)), overspent: true, ..Anew::default() });
        }
        if let Some(refused) = self.hidden_by_now(&operation, &instance).await? {
            return Ok(Anew { refused: Some(refused), ..Anew::default() });
        }
        let (forbidden, judged) = self.forbidden_now(&operation, &instance, &before, &sent).await?;
        let (refused, referred) = match &operation.target {
            None => (provision_refused(plan, &before, &sent), before.references.values().cloned().collect()),
            Some(target) => {
                let target: Target = self.open(&sealed::operation_target(&operation.id), target)?;
                let Some(next) = catalog.plan_by_id(&target.plan_id) else { return Ok(gone()) };
                let attributes = &target.attributes;
                (update_refused(plan, next, attributes, &sent), added(&before.references, &attributes.references))
            }
        };
        let refused = refused.and(forbidden).err().map(told);
        Ok(Anew { refused, judged, referred, give_up_at: now.plus(longest), ..Anew::default() })
    }

    /// What is said today of the plan's parameters, and what policies of today say, about an order that waits: whether either refuses it,
    /// and what policies said.
    async fn forbidden_now(
        &self,
        operation: &OperationRow,
        instance: &InstanceRow,
        before: &InstanceAttributes,
        sent: &Value,
    ) -> Result<(Result<(), Error>, Vec<Judged>), Error> {
        let laws = self.read_laws().await?;
        let (tenant, platform) = (self.tenant(&instance.tenant_id).await?, self.platform(&instance.platform_id).await?);
        let catalog = self.catalog();
        let Some(plan) = catalog.plan_by_id(&instance.plan_id) else { return Ok((Ok(()), Vec::new())) };
        let target: Option<Target> = match &operation.target {
            Some(target) => Some(self.open(&sealed::operation_target(&operation.id), target)?),
            None => None,
        };
        let next = target.as_ref().and_then(|target| catalog.plan_by_id(&target.plan_id)).unwrap_or(plan);
        let after = target.as_ref().map_or(before, |target| &target.attributes);
        if let Some(rules) = laws.parameters(next, &tenant.name) {
            // What is there already stays, unless the plan is another one.
            let stays = target.is_some() && next.plan_id == plan.plan_id;
            let said = if stays { as_ordered(after, sent) } else { after.parameters.clone() };
            if let Err(found) = rules.still(&said, &after.parameters) {
                return Ok((Err(order::not_allowed(found)), Vec::new()));
            }
        }
        let deed = Deed {
            action: if target.is_some() { Action::Update } else { Action::Order },
            tenant: &tenant,
            plan: next,
            from: target.is_some().then_some(&**plan),
            parameters: &after.parameters,
        };
        let judged = self.judge(&laws, &principal(&operation.actor, &platform), deed).await?;
        Ok((enforced(&judged, &deed), judged))
    }
}

impl App {
    /// Why the plan of an order that waits may not be ordered any more by its tenant, from its platform.
    async fn hidden_by_now(&self, operation: &OperationRow, instance: &InstanceRow) -> Result<Option<String>, Error> {
        let plan_id = match &operation.target {
            None => instance.plan_id.clone(),
            Some(target) => {
                let target: Target = self.open(&sealed::operation_target(&operation.id), target)?;
                if target.plan_id == instance.plan_id {
                    return Ok(None);
                }
                target.plan_id
            }
        };
        let catalog = self.catalog();
        let Some(plan) = catalog.plan_by_id(&plan_id) else { return Ok(None) };
        let rules = self.visibility_now().await?;
        let (tenant, platform) = (self.tenant(&instance.tenant_id).await?, self.platform(&instance.platform_id).await?);
        Ok(self.refused_by(&rules, plan, &tenant, &platform).err().map(told))
    }
}

fn told(error: Error) -> String {
    to_osb(error).description().unwrap_or("it could not be placed now").to_owned()
}

/// References that are new with an update.
fn added(before: &Ids, after: &Ids) -> BTreeSet<String> {
    let new = after.iter().filter(|(pointer, id)| before.get(*pointer) != Some(*id));
    new.map(|(_, id)| id.clone()).collect()
}

fn provision_refused(plan: &PlanEntry, attributes: &InstanceAttributes, sent: &Value) -> Result<(), Error> {
    orderable(plan)?;
    order::check_maintenance(&maintenance(sent), plan)?;
    order::check_parameters(plan.check_create(&Value::Object(attributes.parameters.clone())))
}

fn update_refused(
    plan: &PlanEntry,
    next: &PlanEntry,
    attributes: &InstanceAttributes,
    sent: &Value,
) -> Result<(), Error> {
    if plan.plan_id != next.plan_id {
        orderable(next)?;
        if !plan.plan_updateable() {
            let message = format!("instances of service plan {} cannot change their plan", plan.plan_name);
            return Err(osb::Error::bad_request(message).into());
        }
    }
    order::check_maintenance(&maintenance(sent), next)?;
    if sent.get("parameters").is_none_or(Value::is_null) {
        return Ok(());
    }
    order::check_parameters(next.check_update(&Value::Object(as_ordered(attributes, sent))))
}

/// The parameters of an update as they were ordered: what is sent has ids where names stood.
fn as_ordered(attributes: &InstanceAttributes, sent: &Value) -> osb::Object {
    let sent = sent.get("parameters").and_then(Value::as_object);
    let ordered = attributes.parameters.iter().filter(|(key, _)| sent.is_some_and(|sent| sent.contains_key(*key)));
    ordered.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn orderable(plan: &PlanEntry) -> Result<(), Error> {
    if plan.orderable {
        return Ok(());
    }
    let (plan, offering) = (&plan.plan_name, &plan.offering_name);
    Err(osb::Error::bad_request(format!("service plan {plan} of {offering} cannot be ordered any more")).into())
}

fn maintenance(sent: &Value) -> osb::Maybe<osb::catalog::MaintenanceInfo> {
    let info = sent.get("maintenance_info").filter(|info| !info.is_null());
    info.and_then(|info| osb::from_value(info).ok()).map_or(osb::Maybe::Absent, osb::Maybe::Present)
}

fn decided_already(state: ApprovalState) -> Error {
    let message = format!("the approval is not pending any more: it is {}", state.as_str());
    Error::conflict("already_decided", message)
}

/// The transaction of a decision. Locks are taken in the order of all others: tenant, platform, broker, quotas, instances,
/// operation.
async fn decide(tx: &mut Tx<'_>, deciding: Deciding) -> Result<(), Error> {
    let Deciding { id, decided, anew, instance_id, operation_id, hub, audited } = deciding;
    let now = decided.at;
    let Locked { mut instance, refused, busy } = match decided.state {
        ApprovalState::Approved => lock_all(tx, &instance_id, &anew).await?,
        _ => {
            quotas::lock(tx, &instance_id).await?;
            Locked { instance: instances::lock(tx, &instance_id).await?, ..Locked::default() }
        }
    };
    let instance = instance.as_mut().ok_or_else(|| Error::not_found("instance", &instance_id))?;
    let locked = operations::lock_unfinished(tx, &operation_id).await?;
    let row = approvals::decide(tx, &id, &decided).await?;
    let waiting = locked.filter(|row| row.phase == Phase::WaitingApproval);
    let (Some(row), Some(mut operation)) = (row, waiting) else {
        let state = approvals::by_id(tx, &id).await?.map_or(ApprovalState::Cancelled, |view| view.row.state);
        return Err(decided_already(state));
    };
    if row.expires_at <= now {
        return Err(Error::conflict("expired", format!("the approval expired at {}", row.expires_at)));
    }
    let tenant = tenants::by_id(tx, &row.tenant_id).await?;
    let kind = EventKind::ApprovalDecided;
    tell::tell(tx, &hub, instance, &operation, &row, kind, tenant.as_ref(), now).await?;
    audit::append(tx, &audited).await?;
    if decided.state != ApprovalState::Approved {
        let by = decided.by.as_deref().unwrap_or_default();
        let why = decided.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let error = osb::Error::bad_request(format!("the order was denied by {by}{why}"));
        return end(tx, &hub, instance, &mut operation, &End::failed(error, now)).await;
    }
    let all = approvals::of_operation(tx, &operation.id).await?;
    let left: Vec<_> = all.iter().filter(|other| other.state == ApprovalState::Pending).collect();
    let refused = refused.or(anew.refused).filter(|_| left.is_empty());
    if let Some(refused) = refused {
        let error =
            osb::Error::bad_request(format!("the order was approved, but cannot be carried out now: {refused}"));
        return end(tx, &hub, instance, &mut operation, &End::failed(error, now)).await;
    }
    if left.is_empty() && operation.told == Told::Refused {
        let error = osb::Error::unavailable("the order was refused when it was placed", 1);
        return end(tx, &hub, instance, &mut operation, &End::failed(error, now)).await;
    }
    if left.is_empty() {
        if let Some(name) = busy {
            let message =
                format!("instance `{name}`, which the order refers to, is being changed: decide when it is ready");
            return Err(Error::conflict("reference_busy", message));
        }
        begin(instance, &mut operation, anew.give_up_at, now);
    } else {
        operation.description = Some(approval::waiting_for(left.into_iter().flat_map(|other| &other.causes)));
    }
    operations::save(tx, &operation).await?;
    Ok(instances::save(tx, instance, true, now).await?)
}

/// The order is the driver's from now on: any process may take it up at once.
fn begin(instance: &mut InstanceRow, operation: &mut OperationRow, give_up_at: Time, now: Time) {
    if operation.kind == OperationKind::Provision {
        instance.state = InstanceState::Provisioning;
    }
    operation.phase = Phase::Calling;
    operation.next_at = now;
    operation.give_up_at = give_up_at;
    operation.description = None;
}

/// An order's instance, locked, and what was found on the way.
#[derive(Debug, Default)]
struct Locked {
    instance: Option<InstanceRow>,
    /// What is not there any more.
    refused: Option<String>,
    /// An instance that the order refers to and that is being changed: the order can't be placed until that is over.
    busy: Option<String>,
}

/// Locks an order's instance and what it refers to newly, in the order of ids, and says what is not there any more.
async fn lock_all(tx: &mut Tx<'_>, instance_id: &str, anew: &Anew) -> Result<Locked, Error> {
    let mut locked = Locked::default();
    let Some(known) = instances::by_id(tx, instance_id).await? else { return Ok(locked) };
    let tenant = tenants::hold(tx, &known.tenant_id).await?;
    let suspended = tenant.as_ref().and_then(Tenant::refuses);
    let stands = tenant.is_some()
        && platforms::hold(tx, &known.platform_id).await?
        && brokers::stands(tx, &known.broker_id).await?;
    let gone = (!stands).then(|| "the tenant, the platform or the broker of this order was deleted".to_owned());
    locked.refused = gone.or(suspended);
    quotas::lock(tx, instance_id).await?;
    let mut ids = anew.referred.clone();
    ids.insert(instance_id.to_owned());
    for id in ids {
        let row = instances::lock(tx, &id).await?;
        if id == instance_id {
            locked.instance = row;
            continue;
        }
        match row.filter(|row| row.gone_at.is_none() && row.tenant_id == known.tenant_id) {
            Some(row) if row.state == InstanceState::Ready => {}
            Some(row) if row.ready_at.is_some() && row.state != InstanceState::Failed => {
                locked.busy = Some(row.name.unwrap_or(row.id));
            }
            _ => locked.refused = Some(format!("instance `{id}`, which it refers to, is not there any more")),
        }
    }
    Ok(locked)
}
