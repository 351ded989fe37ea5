//! Unbind: repeated until the backend's answer settles that the credentials are gone.

use osb::{Accepted, Call, Object, UnbindRequest, Unbound};

use super::ask_again;
use super::audit::{self, bound};
use super::bind::binding_presence;
use super::order::{self, Intended, Intent, Meant, Orderer};
use super::sealed;
use super::settle::Settled;
use super::{App, Error};
use crate::domain::catalog::PlanEntry;
use crate::domain::instance::{BindingState, InstanceState, Presence};
use crate::domain::operation::{OperationKind, OperationState};
use crate::store::bindings::{self, BindingRow};
use crate::store::instances::{self, InstanceRow};
use crate::store::operations::{self, OperationRow};

impl App {
    /// Deletes a service binding ("Unbinding").
    ///
    /// # Errors
    /// 410 where there is none; refusals, or the backend's own answer as a platform may see it.
    pub async fn unbind(&self, orderer: &Orderer, call: &Call, request: UnbindRequest) -> Result<Unbound, Error> {
        let deadline = self.answer_deadline();
        let meant = self.meant(orderer, &request.instance_id, Some(&request.binding_id)).await?;
        let Some(Meant { instance, binding: Some(row), tenant, .. }) = meant else {
            return Err(self.unknown(&request.plan_id).await);
        };
        let presence = binding_presence(&row);
        if presence == Presence::Gone {
            return Err(osb::Error::gone().into());
        }
        self.ids_match(&instance, &request.service_id, &request.plan_id)?;
        if presence == Presence::Failed {
            self.forget_failed_binding(&row).await?;
            return Ok(Unbound::Done(Object::new()));
        }
        let settled = match self.unfinished_unbind(&row).await? {
            Some(operation) => self.join_operation(&operation.id, request.accepts_incomplete, deadline).await?,
            None => {
                let plan = self.plan_of(&instance).await?;
                let intended = self.intend_unbind(orderer, call, &request, &instance, &row, &plan).await?;
                let ordered = intended.ordered(tenant, orderer.platform.clone());
                self.carry_out(ordered, request.accepts_incomplete, deadline).await?
            }
        };
        self.unbound(settled).await
    }

    async fn unbound(&self, settled: Settled) -> Result<Unbound, Error> {
        match settled {
            Settled::Pending(operation) => Ok(Unbound::Accepted(Accepted::operation(operation.id))),
            Settled::Over(ended) if ended.operation.state == OperationState::Succeeded => {
                if ended.operation.kind == OperationKind::OrphanMitigation
                    && let Some(id) = &ended.operation.binding_id
                {
                    let row = self.binding_row(id).await?;
                    self.forget_failed_binding(&row).await?;
                }
                Ok(Unbound::Done(Object::new()))
            }
            Settled::Over(ended) => Err(Error::Broker(sealed::error_from_text(ended.operation.answer.as_deref()))),
        }
    }

    async fn unfinished_unbind(&self, row: &BindingRow) -> Result<Option<OperationRow>, Error> {
        let Some(id) = &row.operation_id else { return Ok(None) };
        let operation = self.operation_row(id).await?;
        if operation.kind.deletes() && operation.state == OperationState::InProgress {
            return Ok(Some(operation));
        }
        Err(osb::Error::concurrency("the service binding is still being made; try again later").into())
    }

    async fn intend_unbind(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: &UnbindRequest,
        instance: &InstanceRow,
        row: &BindingRow,
        plan: &PlanEntry,
    ) -> Result<Intended, Error> {
        let wire = osb::WireRequest::from(&UnbindRequest {
            instance_id: instance.id.clone(),
            binding_id: row.id.clone(),
            service_id: plan.offering_backend_id.clone(),
            plan_id: plan.plan_backend_id.clone(),
            accepts_incomplete: request.accepts_incomplete,
        });
        let operation = self.operation_for(Intent {
            kind: OperationKind::Unbind,
            orderer,
            call,
            correlation_id: order::request_identity(call),
            plan,
            instance_id: instance.id.clone(),
            binding_id: Some(row.id.clone()),
            accepts_incomplete: request.accepts_incomplete,
            request: wire,
            now: self.clock().now(),
        })?;
        let audited = self.audit_order(orderer, &operation).map(|audited| audited.changed(bound(row), None));
        let (owner, binding_id, now) = (self.process().to_owned(), row.id.clone(), operation.created_at);
        let intent = operation.clone();
        let outcome = self
            .db()
            .write(move |tx| {
                let (operation, owner, binding_id) = (operation.clone(), owner.clone(), binding_id.clone());
                let audited = audited.clone();
                Box::pin(async move {
                    let busy = || Error::from(osb::Error::concurrency("the service instance is being changed"));
                    let instance = instances::lock(tx, &operation.instance_id).await?;
                    let instance = instance.filter(|instance| instance.state == InstanceState::Ready);
                    let instance = instance.ok_or_else(busy)?;
                    let locked = bindings::lock(tx, &binding_id).await?;
                    let mut row = locked.filter(|row| row.state == BindingState::Ready).ok_or_else(busy)?;
                    if row.asked_until.is_some_and(|until| until > now) {
                        return Err(ask_again::under_way());
                    }
                    row.state = BindingState::Unbinding;
                    row.operation_id = Some(operation.id.clone());
                    operations::insert(tx, &operation, &owner).await?;
                    audit::append(tx, &audited).await?;
                    bindings::save(tx, &row, true).await?;
                    Ok(Intended { operation, rows: Some((instance, Some(row))) })
                })
            })
            .await;
        self.intended(&intent, outcome, intent.clone().into()).await
    }

    /// A failed bind of which nothing is left: the platform knows now.
    async fn forget_failed_binding(&self, row: &BindingRow) -> Result<(), Error> {
        let id = row.id.clone();
        self.db()
            .write(move |tx| {
                let id = id.clone();
                Box::pin(async move { Ok(bindings::forget_failed(tx, &id).await?) })
            })
            .await
    }
}
