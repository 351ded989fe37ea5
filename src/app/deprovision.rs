//! Deprovision: what is bound is unbound first, then the instance goes. A deletion whose outcome is unknown is repeated until
//! it is known; nothing is forgotten before.

use osb::{Accepted, Call, DeprovisionRequest, Deprovisioned, Object};
use tokio::time::Instant;

use super::approvals::{How, Withdrawal};
use super::laws::Deed;
use super::order::{self, Intended, Intent, Meant, Orderer};
use super::sealed;
use super::settle::Settled;
use super::{App, Error, audit, references};
use crate::domain::instance::{InstanceState, Presence, presence};
use crate::domain::operation::{OperationKind, OperationState, Phase};
use crate::domain::policy::{Action, warnings};
use crate::domain::tenant::Tenant;
use crate::store::instances::{self, InstanceRow};
use crate::store::operations::{self, OperationRow};

/// Why an instance is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Why {
    /// Whoever may order for it wants it no more: policies have a word in it.
    Ordered,
    /// An operator takes its tenant down: policies are about tenants' orders.
    Offboarding,
}

/// What is under way on an instance that is to be deleted.
enum UnderWay {
    /// Nothing.
    Nothing,
    /// It is being deleted already, or cleaned up: a repeat joins that.
    Deletion(OperationRow),
    /// An order waits for an approval: no broker has heard of it.
    Waiting(OperationRow),
}

impl App {
    /// Deletes a service instance ("Deprovisioning").
    ///
    /// # Errors
    /// 410 where there is none; refusals, or the backend's own answer as a platform may see it.
    pub async fn deprovision(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: DeprovisionRequest,
    ) -> Result<Deprovisioned, Error> {
        self.deprovision_until(orderer, call, request, Why::Ordered, self.answer_deadline()).await
    }

    /// The same, and waits for what comes of it until then.
    ///
    /// # Errors
    /// As [`App::deprovision`].
    pub(in crate::app) async fn deprovision_until(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: DeprovisionRequest,
        why: Why,
        deadline: Instant,
    ) -> Result<Deprovisioned, Error> {
        let meant = self.meant(orderer, &request.instance_id, None).await?;
        let Some(Meant { instance: row, tenant, rules, .. }) = meant else {
            return Err(self.unknown(&request.plan_id).await);
        };
        match presence(row.state, row.operation_id.is_some()) {
            Presence::Gone => return Err(osb::Error::gone().into()),
            Presence::Failed => {
                self.ids_match(&row, &request.service_id, &request.plan_id)?;
                self.forget_failed(&row).await?;
                return Ok(Deprovisioned::Done(Object::new()));
            }
            Presence::CleaningUp | Presence::Live => {
                self.ids_match(&row, &request.service_id, &request.plan_id)?;
            }
        }
        let waiting = match self.under_way(&row).await? {
            UnderWay::Nothing => None,
            UnderWay::Deletion(operation) => {
                let settled = self.join_operation(&operation.id, request.accepts_incomplete, deadline).await?;
                return self.deprovisioned(settled).await;
            }
            UnderWay::Waiting(operation) => {
                let how =
                    How::Deleted { by: orderer.actor.clone(), audited: self.audit_withdrawal(orderer, &operation) };
                let withdrawal = self.withdrawal(&operation, how);
                if operation.kind == OperationKind::Provision {
                    // There is nothing to delete yet, so nothing is judged.
                    return if self.withdraw(withdrawal).await? {
                        Ok(Deprovisioned::Done(Object::new()))
                    } else {
                        Err(just_decided())
                    };
                }
                Some(withdrawal)
            }
        };
        let warned = match why {
            Why::Ordered => self.may_delete(orderer, &tenant, &row, rules).await?,
            Why::Offboarding => None,
        };
        let intended = self.intend_deprovision(orderer, call, &request, &row, waiting, warned).await?;
        let ordered = intended.ordered(tenant, orderer.platform.clone());
        let settled = self.carry_out(ordered, request.accepts_incomplete, deadline).await?;
        self.deprovisioned(settled).await
    }

    /// What policies warn of, where they let somebody delete an instance, which is judged by the parameters that it has.
    async fn may_delete(
        &self,
        orderer: &Orderer,
        tenant: &Tenant,
        row: &InstanceRow,
        rules: i64,
    ) -> Result<Option<String>, Error> {
        let laws = self.laws_at(rules).await?;
        if !laws.judge() {
            return Ok(None);
        }
        let (plan, known) = (self.plan_of(row).await?, self.attributes_of(row)?);
        let deed = Deed { action: Action::Delete, tenant, plan: &plan, from: None, parameters: &known.parameters };
        let mut judged = Vec::new();
        self.obey(&laws, orderer, deed, &mut judged).await?;
        Ok(warnings(&judged))
    }

    /// What a deletion of something unknown is answered: 410, but for a broker whose instances this hub does not all know
    /// yet, where 410 would make a platform forget a live one.
    pub(in crate::app) async fn unknown(&self, plan_id: &str) -> Error {
        if self.catalog().plan_by_id(plan_id).is_none()
            && let Err(error) = self.reload_catalog().await
        {
            return error;
        }
        let broker_id = self.catalog().plan_by_id(plan_id).map(|plan| plan.broker_id.clone());
        let backend = broker_id.and_then(|id| self.backends().get(&id));
        if backend.is_some_and(|backend| backend.settings().takeover) {
            let description = "the instances of this service broker are still being taken over; try again later";
            return osb::Error::unavailable(description, 60).into();
        }
        osb::Error::gone().into()
    }

    async fn deprovisioned(&self, settled: Settled) -> Result<Deprovisioned, Error> {
        match settled {
            Settled::Pending(operation) => Ok(Deprovisioned::Accepted(Accepted::operation(operation.id))),
            Settled::Over(ended) if ended.operation.state == OperationState::Succeeded => {
                if ended.operation.kind == OperationKind::OrphanMitigation {
                    let row = self.instance_row(&ended.operation.instance_id).await?;
                    self.forget_failed(&row).await?;
                }
                Ok(Deprovisioned::Done(Object::new()))
            }
            Settled::Over(ended) => Err(Error::Broker(sealed::error_from_text(ended.operation.answer.as_deref()))),
        }
    }

    /// What is under way on the instance itself, if a deletion need not wait for it.
    async fn under_way(&self, row: &InstanceRow) -> Result<UnderWay, Error> {
        let Some(id) = &row.operation_id else { return Ok(UnderWay::Nothing) };
        let operation = self.operation_row(id).await?;
        if operation.kind.deletes() && operation.state == OperationState::InProgress {
            return Ok(UnderWay::Deletion(operation));
        }
        if operation.phase == Phase::WaitingApproval && operation.state == OperationState::InProgress {
            return Ok(UnderWay::Waiting(operation));
        }
        Err(osb::Error::concurrency(format!(
            "the service instance cannot be deleted while its {} is under way; try again later",
            operation.kind.as_str()
        ))
        .into())
    }

    async fn intend_deprovision(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: &DeprovisionRequest,
        row: &InstanceRow,
        waiting: Option<Withdrawal>,
        warned: Option<String>,
    ) -> Result<Intended, Error> {
        let (plan, now) = (self.plan_of(row).await?, self.clock().now());
        let plan = &*plan;
        let wire = osb::WireRequest::from(&DeprovisionRequest {
            instance_id: row.id.clone(),
            service_id: plan.offering_backend_id.clone(),
            plan_id: plan.plan_backend_id.clone(),
            accepts_incomplete: request.accepts_incomplete,
        });
        let mut operation = self.operation_for(Intent {
            kind: OperationKind::Deprovision,
            orderer,
            call,
            correlation_id: order::request_identity(call),
            plan,
            instance_id: row.id.clone(),
            binding_id: None,
            accepts_incomplete: request.accepts_incomplete,
            request: wire,
            now,
        })?;
        operation.warnings = warned;
        let audited = self.audit_plan(orderer, &operation, row, (Some(plan), None));
        let owner = self.process().to_owned();
        let intent = operation.clone();
        let withdrawn = waiting.as_ref().map(|waiting| waiting.operation_id().to_owned());
        let outcome = self
            .db()
            .write(move |tx| {
                let (operation, owner, audited) = (operation.clone(), owner.clone(), audited.clone());
                let waiting = waiting.clone();
                Box::pin(async move {
                    // The change that waits ends with the deletion's own transaction, so a deletion that is refused ends nothing.
                    if let Some(waiting) = waiting
                        && !waiting.end(tx).await?
                    {
                        return Err(just_decided());
                    }
                    let locked = instances::lock(tx, &operation.instance_id).await?;
                    let Some(mut row) = locked else { return Err(osb::Error::gone().into()) };
                    if let Some(other) = operations::in_the_way(tx, &row.id).await? {
                        return Err(osb::Error::concurrency(format!(
                            "the service instance cannot be deleted while {} is under way; try again later",
                            other.kind.as_str()
                        ))
                        .into());
                    }
                    if row.state != InstanceState::Ready {
                        return Err(osb::Error::concurrency("the service instance is being changed").into());
                    }
                    references::free(tx, &row.id).await?;
                    row.state = InstanceState::Deprovisioning;
                    row.operation_id = Some(operation.id.clone());
                    operations::insert(tx, &operation, &owner).await?;
                    audit::append(tx, &audited).await?;
                    instances::save(tx, &row, true, now).await?;
                    Ok::<_, Error>(Intended { operation, rows: Some((row, None)) })
                })
            })
            .await;
        let intended = self.intended(&intent, outcome, intent.clone().into()).await?;
        if let Some(id) = withdrawn {
            self.announce(&id);
        }
        Ok(intended)
    }

    /// A failed order of which nothing is left: the platform knows now.
    async fn forget_failed(&self, row: &InstanceRow) -> Result<(), Error> {
        let (id, now) = (row.id.clone(), self.clock().now());
        self.db()
            .write(move |tx| {
                let id = id.clone();
                Box::pin(async move { Ok(instances::forget_failed(tx, &id, now).await?) })
            })
            .await
    }
}

fn just_decided() -> Error {
    osb::Error::concurrency("the order has just been decided; try again later").into()
}
