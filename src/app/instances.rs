//! Instances as operators see them: lists, one with its bindings and operations, and forgetting one whose backend is gone.

use std::collections::HashMap;

use super::approvals;
use super::costs::CostSoFar;
use super::drive::{Names, tell};
use super::references::{self, Relations};
use super::sealed::error_to_text;
use super::{App, Error, Listed, Page, access, quotas};
use crate::clock::Time;
use crate::domain::approval::ApprovalState;
use crate::domain::caller::Caller;
use crate::domain::event::EventKind;
use crate::domain::instance::{BindingState, InstanceState};
use crate::domain::operation::{OperationState, Phase};
use crate::domain::permission::{Permission, Sight, Thing};
use crate::store::approvals::Decided;
use crate::store::audit::{self, AuditRow};
use crate::store::bindings::{self, BindingRow};

use crate::store::instances::{self, Filter, InstanceRow};
use crate::store::operations::{self, OperationRow};
use crate::store::{Tx, offerings, spans};

pub use crate::store::bindings::BindingRow as BindingView;

/// What a list of instances is narrowed to, by names.
#[derive(Clone, Debug, Default)]
pub struct InstanceFilter {
    /// By the tenant's name.
    pub tenant: Option<String>,
    /// By the platform's name.
    pub platform: Option<String>,
    /// By the platform's id of the instance.
    pub platform_instance_id: Option<String>,
    /// By the broker's name.
    pub broker: Option<String>,
    /// By the offering's name.
    pub offering: Option<String>,
    /// By state; without it those that are gone are left out.
    pub state: Option<InstanceState>,
}

/// An instance with the names of what it belongs to.
#[derive(Clone, Debug)]
pub struct InstanceView {
    /// The row.
    pub row: InstanceRow,
    /// The tenant's name.
    pub tenant: String,
    /// The platform's name.
    pub platform: String,
    /// The broker's name.
    pub broker: String,
    /// The offering's name.
    pub offering: String,
    /// The plan's name.
    pub plan: String,
}

impl InstanceView {
    /// Where it is managed, if the backend said so.
    pub fn dashboard_url(&self) -> Option<String> {
        let answer: osb::ProvisionResponse = serde_json::from_str(&self.row.answer).ok()?;
        answer.dashboard_url.into_option()
    }
}

/// One instance with all that belongs to it.
#[derive(Clone, Debug)]
pub struct InstanceDetail {
    /// The instance.
    pub instance: InstanceView,
    /// Its bindings, those that are gone too.
    pub bindings: Vec<BindingRow>,
    /// Its operations, the latest 1000, newest last.
    pub operations: Vec<OperationRow>,
    /// What it refers to, and who refers to it.
    pub relations: Relations,
    /// What it has cost this month so far.
    pub cost: Option<CostSoFar>,
}

impl App {
    /// A page of instances.
    ///
    /// # Errors
    /// Where a name is unknown or the database fails.
    pub async fn instances(
        &self,
        sight: &Sight,
        filter: InstanceFilter,
        page: &Page,
    ) -> Result<Listed<InstanceView>, Error> {
        let Some(filter) = self.filter(sight, filter).await? else {
            return Ok(Listed { items: Vec::new(), next: None });
        };
        let (after, rows) = (page.after.clone(), i64::from(page.rows()));
        let rows = self
            .db()
            .read(move |tx| Box::pin(async move { Ok::<_, Error>(instances::list(tx, &filter, &after, rows).await?) }))
            .await?;
        let listed = page.cut(rows, |row| row.id.clone());
        let (mut tenants, mut platforms) = (HashMap::new(), HashMap::new());
        let mut items = Vec::with_capacity(listed.items.len());
        for row in listed.items {
            // A page is mostly of few tenants and platforms.
            if !tenants.contains_key(&row.tenant_id) {
                tenants.insert(row.tenant_id.clone(), self.tenant(&row.tenant_id).await?.name);
            }
            if !platforms.contains_key(&row.platform_id) {
                platforms.insert(row.platform_id.clone(), self.platform(&row.platform_id).await?.name);
            }
            let name = |names: &HashMap<String, String>, id: &str| names.get(id).cloned().unwrap_or_default();
            let (tenant, platform) = (name(&tenants, &row.tenant_id), name(&platforms, &row.platform_id));
            items.push(self.named(row, tenant, platform).await?);
        }
        Ok(Listed { items, next: listed.next })
    }

    /// Turns names into ids; `None` where a name means nothing, so that nothing can match.
    async fn filter(&self, sight: &Sight, filter: InstanceFilter) -> Result<Option<Filter>, Error> {
        let catalog = self.catalog();
        let mut by = Filter {
            tenant_id: None,
            platform_id: None,
            platform_instance_id: filter.platform_instance_id,
            broker_id: None,
            offering_id: None,
            state: filter.state,
            sight: sight.clone(),
            now: self.clock().now(),
        };
        if let Some(name) = filter.tenant {
            let Some(tenant) = found(self.tenant_by_name(&name).await)? else { return Ok(None) };
            by.tenant_id = Some(tenant.id);
        }
        if let Some(name) = filter.platform {
            let Some(platform) = found(self.platform_by_name(&name).await)? else { return Ok(None) };
            by.platform_id = Some(platform.row.platform.id);
        }
        if let Some(name) = filter.broker {
            let part = catalog.parts().iter().find(|part| part.broker_name == name && !part.deleted);
            let Some(part) = part else { return Ok(None) };
            by.broker_id = Some(part.broker_id.clone());
        }
        if let Some(name) = filter.offering {
            let mut offerings = catalog.parts().iter().flat_map(|part| &part.offerings);
            let Some(offering) = offerings.find(|offering| offering.name == name) else { return Ok(None) };
            by.offering_id = Some(offering.id.clone());
        }
        Ok(Some(by))
    }

    /// One instance by Bourse's own id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn instance(&self, sight: &Sight, id: &str) -> Result<InstanceDetail, Error> {
        let row = self.instance_row(id).await?;
        let by_grant = self.sees_by_grant(sight, &row).await?;
        let key = row.id.clone();
        let (bindings, operations, relations) = self
            .db()
            .read(move |tx| {
                Box::pin(async move {
                    let bindings = bindings::of_instance(tx, &key).await?;
                    let operations = operations::of_instance(tx, &key).await?;
                    let relations =
                        if by_grant { Relations::default() } else { references::relations(tx, &key).await? };
                    Ok::<_, Error>((bindings, operations, relations))
                })
            })
            .await?;
        let relations = relations.in_sight(sight);
        let cost = if by_grant { None } else { self.cost_so_far(&row.tenant_id, &row.id).await? };
        Ok(InstanceDetail { instance: self.instance_view(row).await?, bindings, operations, relations, cost })
    }

    /// A row with the names of what it belongs to.
    pub(in crate::app) async fn instance_view(&self, row: InstanceRow) -> Result<InstanceView, Error> {
        let tenant = self.tenant(&row.tenant_id).await?.name;
        let platform = self.platform(&row.platform_id).await?.name;
        self.named(row, tenant, platform).await
    }

    pub(in crate::app) async fn named(
        &self,
        row: InstanceRow,
        tenant: String,
        platform: String,
    ) -> Result<InstanceView, Error> {
        let (broker, offering, plan) = self.names_of(&row).await?;
        Ok(InstanceView { row, tenant, platform, broker, offering, plan })
    }

    /// The names of broker, offering and plan, also of a broker that was removed.
    async fn names_of(&self, row: &InstanceRow) -> Result<(String, String, String), Error> {
        if let Some(plan) = self.catalog().plan_by_id(&row.plan_id) {
            return Ok((plan.broker_name.clone(), plan.offering_name.clone(), plan.plan_name.clone()));
        }
        let id = row.plan_id.clone();
        let stored = self.db().read(|tx| Box::pin(async move { offerings::names_of_plan(tx, &id).await })).await?;
        stored.ok_or_else(|| Error::not_found("plan", &row.plan_id))
    }

    /// Forgets an instance whose backend is gone: nothing is sent, what is under way is called off, its span ends now.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] without a reason; [`Error::InUse`] while others depend on it.
    pub async fn purge(&self, caller: &Caller, id: &str, reason: &str) -> Result<InstanceDetail, Error> {
        if reason.trim().is_empty() {
            return Err(Error::invalid("/reason", "say why it is forgotten: it is kept in the audit"));
        }
        let row = self.instance_row(id).await?;
        access::check(&access::sight(Permission::ManageInstances, caller)?, "instance", id, &thing(&row))?;
        let (_, offering, plan) = self.names_of(&row).await?;
        let names = Names { hub: self.config().server.hub.clone(), offering, plan, previous_plan: None };
        let detail = serde_json::json!({ "reason": reason });
        let audited = self.audit_row(caller, "instance.purge", format!("instances/{id}"), detail);
        let (id, reason) = (row.id, reason.to_owned());
        let key = id.clone();
        let called_off = self
            .db()
            .write(move |tx| {
                let (id, reason, names, audited) = (key.clone(), reason.clone(), names.clone(), audited.clone());
                Box::pin(async move { forget(tx, &id, &reason, &names, &audited).await })
            })
            .await?;
        for operation in called_off {
            self.announce(&operation);
        }
        self.instance(&Sight::everything(), &id).await
    }
}

/// Whose an instance is.
pub(in crate::app) fn thing(row: &InstanceRow) -> Thing<'_> {
    Thing { tenant: Some(&row.tenant_id), broker: Some(&row.broker_id), names: &[] }
}

/// Forgets an instance and all that belongs to it; says which operations were called off.
async fn forget(
    tx: &mut Tx<'_>,
    id: &str,
    reason: &str,
    names: &Names,
    audited: &AuditRow,
) -> Result<Vec<String>, Error> {
    let now = audited.at;
    quotas::lock(tx, id).await?;
    let mut row = instances::lock(tx, id).await?.ok_or_else(|| Error::not_found("instance", id))?;
    let state = |state: InstanceState| Some(serde_json::json!({ "state": state.as_str() }));
    let audited = &audited.clone().changed(state(row.state), state(InstanceState::Gone));
    if row.state == InstanceState::Gone {
        // Only what cleans up after it may be left.
        let called_off = call_off_all(tx, id, reason, now).await?;
        if row.reserved {
            quotas::release(tx, &mut row).await?;
            instances::save(tx, &row, true, now).await?;
        }
        if !called_off.is_empty() {
            audit::append(tx, audited).await?;
        }
        return Ok(called_off.into_iter().map(|operation| operation.id).collect());
    }
    references::free(tx, id).await?;
    forget_bindings(tx, &mut row, reason, names, now).await?;
    let latest = operations::latest(tx, id, None).await?;
    let called_off = call_off_all(tx, id, reason, now).await?;
    for waiting in called_off.iter().filter(|operation| operation.phase == Phase::WaitingApproval) {
        let (state, reason, by) = (ApprovalState::Cancelled, Some(reason.to_owned()), Some(audited.actor.clone()));
        let decided = Decided { state, reason, by, at: now };
        approvals::call_off(tx, &names.hub, &mut row, waiting, &decided).await?;
    }
    let last = called_off.last().cloned().or(latest);
    let Some(operation) = last else { return Err(Error::not_found("operation of instance", id)) };
    spans::close(tx, id, &operation.id, now, now).await?;
    // Of an order that failed already, nothing is left to tell.
    let event = match (row.ready_at, row.state) {
        (Some(_), _) => Some(EventKind::InstanceDeprovisioned),
        (None, InstanceState::Failed) => None,
        (None, _) => Some(EventKind::InstanceFailed),
    };
    row.state = InstanceState::Gone;
    row.operation_id = None;
    row.gone_at = Some(now);
    quotas::release(tx, &mut row).await?;
    if let Some(event) = event {
        tell(tx, &mut row, &operation, None, event, Some(reason.to_owned()), names, now).await?;
    }
    instances::save(tx, &row, true, now).await?;
    audit::append(tx, audited).await?;
    Ok(called_off.into_iter().map(|operation| operation.id).collect())
}

/// Calls off all that is under way on an instance and its bindings.
async fn call_off_all(tx: &mut Tx<'_>, id: &str, reason: &str, now: Time) -> Result<Vec<OperationRow>, Error> {
    let mut called_off = Vec::new();
    while let Some(unfinished) = operations::unfinished(tx, id).await? {
        let Some(mut operation) = operations::lock_unfinished(tx, &unfinished.id).await? else { break };
        operation.state = OperationState::Cancelled;
        operation.finished_at = Some(now);
        operation.description = Some(reason.to_owned());
        operation.answer = Some(error_to_text(&osb::Error::with(502, "Purged", "an operator purged the instance")));
        operations::save(tx, &operation).await?;
        called_off.push(operation);
    }
    Ok(called_off)
}

async fn forget_bindings(
    tx: &mut Tx<'_>,
    instance: &mut InstanceRow,
    reason: &str,
    names: &Names,
    now: Time,
) -> Result<(), Error> {
    loop {
        let standing = bindings::standing(tx, &instance.id).await?;
        if standing.is_empty() {
            return Ok(());
        }
        for binding in standing {
            let Some(mut binding) = bindings::lock(tx, &binding.id).await? else { continue };
            binding.state = BindingState::Gone;
            binding.operation_id = None;
            binding.answer = None;
            binding.answer_until = None;
            binding.gone_at = Some(now);
            bindings::save(tx, &binding, true).await?;
            if binding.ready_at.is_some()
                && let Some(bind) = operations::bind_of(tx, &binding.id).await?
            {
                let (id, reason) = (Some(binding.id), Some(reason.to_owned()));
                tell(tx, instance, &bind, id, EventKind::BindingDeleted, reason, names, now).await?;
            }
        }
    }
}

/// A name that means nothing is no error here.
fn found<T>(outcome: Result<T, Error>) -> Result<Option<T>, Error> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
