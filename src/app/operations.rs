//! Operations as operators see them, and calling one off.

use std::time::Duration;

use super::approvals::How;
use super::drive::tell;
use super::instances::thing;
use super::sealed::error_to_text;
use super::{App, Error, Listed, Page, access, quotas};
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::domain::event::EventKind;
use crate::domain::instance::{BindingState, InstanceState};
use crate::domain::operation::{OperationKind, OperationState, Phase};
use crate::domain::permission::{Permission, Sight};
use crate::store::operations::{self, OperationRow};

pub use crate::store::operations::{Filter as OperationFilter, OperationRow as OperationView};
use crate::store::{audit, bindings, instances};

/// How many waits of a backend's timeout may pass before whoever drives an operation sends its request for the last time:
/// two questions, each with the wait for its place, and the wait for the request's own place.
pub(in crate::app) const CALLS_UNDER_WAY: u32 = 5;

/// What takes longer than this is worth a look.
pub const SLOW: Duration = Duration::from_secs(3600);

impl App {
    /// A page of operations.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn operations(&self, filter: OperationFilter, page: &Page) -> Result<Listed<OperationRow>, Error> {
        let (after, rows) = (page.after.clone(), i64::from(page.rows()));
        let rows = self
            .db()
            .read(move |tx| Box::pin(async move { Ok::<_, Error>(operations::list(tx, &filter, &after, rows).await?) }))
            .await?;
        Ok(page.cut(rows, |row| row.id.clone()))
    }

    /// A page of what is under way: all of it, or only what somebody should look at, which is unresolved, or was ordered more than
    /// [`SLOW`] ago and does not wait for an approval.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn operations_under_way(
        &self,
        sight: &Sight,
        stuck: bool,
        page: &Page,
    ) -> Result<Listed<OperationRow>, Error> {
        let stuck_since = stuck.then(|| self.clock().now().minus(SLOW));
        let what = operations::UnderWay { stuck_since, sight: sight.clone() };
        let (after, rows) = (page.after.clone(), i64::from(page.rows()));
        let read = self.db().read(|tx| Box::pin(async move { operations::under_way(tx, &what, &after, rows).await }));
        Ok(page.cut(read.await?, |row| row.id.clone()))
    }

    /// One operation.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn operation(&self, sight: &Sight, id: &str) -> Result<OperationRow, Error> {
        let row = self.operation_row(id).await?;
        if !sight.is_everything() {
            let instance = self.instance_row(&row.instance_id).await?;
            access::check(sight, "operation", id, &thing(&instance))?;
        }
        Ok(row)
    }

    /// Calls an operation off. What a provision or bind may have made is undone. An update or deletion can be called off only
    /// before the broker has heard of it: OSB has no way to take one back, and what it comes to would not be known.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] where it is over already, or is an update or deletion that the broker may have
    /// heard of; [`Error::Unprocessable`] for a clean-up, which never gives up, and for what a broker is told about a tenant.
    pub async fn cancel(&self, caller: &Caller, id: &str) -> Result<OperationRow, Error> {
        let operation = self.operation(&access::sight(Permission::ManageInstances, caller)?, id).await?;
        if operation.kind == OperationKind::OrphanMitigation {
            return Err(Error::Unprocessable {
                code: "clean_up",
                message: "a clean-up is never given up; if the backend is gone for good, purge the instance".into(),
            });
        }
        if operation.kind == OperationKind::ContextUpdate {
            return Err(Error::Unprocessable {
                code: "context_update",
                message: "what is told to a broker about a tenant is not called off; it ends by itself".into(),
            });
        }
        let audited = self.audit_row(
            caller,
            "operation.cancel",
            format!("operations/{id}"),
            serde_json::json!({ "kind": operation.kind.as_str(), "instance_id": operation.instance_id }),
        );
        let state = |state: OperationState| Some(serde_json::json!({ "state": state.as_str() }));
        let audited = audited.changed(state(operation.state), state(OperationState::Cancelled));
        if operation.phase == Phase::WaitingApproval
            && self.withdraw(self.withdrawal(&operation, How::CalledOff { audited: audited.clone() })).await?
        {
            return self.operation_row(id).await;
        }
        let now = self.clock().now();
        let instance = self.instance_row(&operation.instance_id).await?;
        let plan = self.plan_of(&instance).await?;
        let clean_up =
            if operation.kind.creates() { Some(self.clean_up_after(&operation, &instance, &plan, now)?) } else { None };
        let timeout = self.backends().get(&operation.broker_id).map_or(Duration::ZERO, |backend| backend.timeout());
        let begun = if operation.phase == Phase::Calling {
            operation.created_at.max(operation.next_at)
        } else {
            operation.created_at
        };
        let call_over = now.plus(timeout * CALLS_UNDER_WAY).max(begun.plus(self.config().server.answer_within));
        let may_last = call_over.plus(timeout).since(now);
        let names = self.names(&plan);
        let (key, instance_id) = (operation.id.clone(), operation.instance_id.clone());
        self.db()
            .write(move |tx| {
                let (id, instance_id, mut clean_up) = (key.clone(), instance_id.clone(), clean_up.clone());
                let (names, audited) = (names.clone(), audited.clone());
                Box::pin(async move {
                    let over = || Error::conflict("operation_over", "the operation is over already");
                    quotas::lock(tx, &instance_id).await?;
                    let instance = instances::lock(tx, &instance_id).await?;
                    let mut instance = instance.ok_or_else(|| Error::not_found("instance", &instance_id))?;
                    let mut operation = operations::lock_unfinished(tx, &id).await?.ok_or_else(over)?;
                    if !operation.kind.creates() && may_have_been_sent(&operation) {
                        return Err(Error::conflict("already_sent", ALREADY_SENT));
                    }
                    call_off(&mut operation, now);
                    if let (Some(clean_up), Some(_)) = (&mut clean_up, &operation.lease_token) {
                        // Its call may wait for a place, or be under way: only a deletion after its end is final.
                        clean_up.final_not_before = clean_up.final_not_before.map(|at| at.plus(may_last));
                    }
                    let event = undo_state(tx, &mut instance, &operation, clean_up.as_ref(), now).await?;
                    if let Some(clean_up) = &clean_up {
                        operations::insert(tx, clean_up, "").await?;
                    }
                    if operation.kind == OperationKind::Update {
                        quotas::back(tx, &instance).await?;
                    }
                    let (binding_id, reason) = (operation.binding_id.clone(), operation.description.clone());
                    tell(tx, &mut instance, &operation, binding_id, event, reason, &names, now).await?;
                    operations::save(tx, &operation).await?;
                    instances::save(tx, &instance, true, now).await?;
                    audit::append(tx, &audited).await?;
                    Ok::<_, Error>(())
                })
            })
            .await?;
        self.announce(id);
        self.operation_row(id).await
    }
}

const ALREADY_SENT: &str = "the service broker may have begun already, and can't be told to stop: the operation ends when it is known \
    what the broker made of it; if the broker is gone for good, purge the instance";

/// Whether the broker may have heard of it: only one that nobody has taken up yet is surely unsent.
fn may_have_been_sent(operation: &OperationRow) -> bool {
    let waits = matches!(operation.phase, Phase::WaitingApproval | Phase::Calling);
    !waits || operation.maybe_sent || operation.attempts > 0 || operation.lease_token.is_some()
}

fn call_off(operation: &mut OperationRow, now: Time) {
    let error = osb::Error::with(502, "Cancelled", "an operator called the operation off");
    operation.state = OperationState::Cancelled;
    operation.finished_at = Some(now);
    operation.description = error.description().map(str::to_owned);
    operation.answer = Some(error_to_text(&error));
}

/// What instance and binding are after the operation was called off, and the event that tells of it.
async fn undo_state(
    tx: &mut crate::store::Tx<'_>,
    instance: &mut instances::InstanceRow,
    operation: &OperationRow,
    clean_up: Option<&OperationRow>,
    now: Time,
) -> Result<EventKind, Error> {
    let clean_up_id = clean_up.map(|row| row.id.clone());
    let Some(binding_id) = &operation.binding_id else {
        instance.operation_id = clean_up_id;
        let (state, event) = match operation.kind {
            OperationKind::Provision => (InstanceState::Failed, EventKind::InstanceFailed),
            OperationKind::Update => (InstanceState::Ready, EventKind::InstanceUpdateFailed),
            _ => (InstanceState::Ready, EventKind::InstanceDeprovisionFailed),
        };
        instance.state = state;
        return Ok(event);
    };
    if let Some(mut binding) = bindings::lock(tx, binding_id).await? {
        binding.operation_id = clean_up_id;
        binding.state = if operation.kind == OperationKind::Bind { BindingState::Failed } else { BindingState::Ready };
        if binding.state == BindingState::Failed && clean_up.is_none() {
            binding.gone_at = Some(now);
        }
        bindings::save(tx, &binding, true).await?;
    }
    Ok(EventKind::BindingFailed)
}
