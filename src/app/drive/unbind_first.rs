//! Deprovisioning unbinds what is still bound, one operation and one event each: nothing is left orphaned at the backend.

use super::super::sealed::{self, StoredRequest};
use super::{App, Error, Job, Outcome};
use crate::clock::fresh_id;
use crate::domain::instance::BindingState;
use crate::domain::operation::{Answer, OperationKind, OperationState, Phase, Told};
use crate::store::bindings::BindingRow;
use crate::store::operations::OperationRow;
use crate::store::{bindings, instances, operations};

impl App {
    /// Works on the bindings that still stand. `None` where none does, so that the instance's turn has come.
    pub(super) async fn unbind_first(&self, job: &Job) -> Result<Option<Outcome>, Error> {
        // No binding is added to an instance that is being deleted, so each round leaves fewer.
        loop {
            let instance_id = job.instance.id.clone();
            let standing = self
                .db()
                .read(move |tx| Box::pin(async move { bindings::standing(tx, &instance_id).await }))
                .await
                .map_err(Error::Store)?;
            if standing.is_empty() {
                return Ok(None);
            }
            if let Some(outcome) = self.unbind_all(job, standing).await? {
                return Ok(Some(outcome));
            }
        }
    }

    /// Unbinds these. `None` where all of them are gone.
    async fn unbind_all(&self, job: &Job, standing: Vec<BindingRow>) -> Result<Option<Outcome>, Error> {
        for binding in standing {
            if binding.state != BindingState::Ready {
                // Something works on it; wait for that.
                return Ok(Some(Answer::NotYet.into()));
            }
            let Some(operation) = self.unbind_for(job, &binding).await? else {
                return Ok(Some(Answer::NotYet.into()));
            };
            let (id, working) = (operation.id.clone(), self.working(&operation));
            self.drive(operation.into()).await?;
            drop(working);
            let operation = self
                .db()
                .read(move |tx| Box::pin(async move { operations::by_id(tx, &id).await }))
                .await
                .map_err(Error::Store)?;
            match operation {
                Some(operation) if operation.state == OperationState::Succeeded => {}
                Some(operation) if operation.state == OperationState::InProgress => {
                    return Ok(Some(Answer::NotYet.into()));
                }
                Some(operation) => {
                    let error = sealed::error_from_text(operation.answer.as_deref());
                    return Ok(Some(Answer::Rejected(error).into()));
                }
                None => return Ok(Some(Answer::NotYet.into())),
            }
        }
        Ok(None)
    }

    /// Inserts the unbind of a binding, leased to this process; `None` where somebody was quicker.
    async fn unbind_for(&self, job: &Job, binding: &BindingRow) -> Result<Option<OperationRow>, Error> {
        let (id, now) = (fresh_id(), self.clock().now());
        let request = osb::WireRequest::from(&osb::UnbindRequest {
            instance_id: job.instance.id.clone(),
            binding_id: binding.id.clone(),
            service_id: job.plan.offering_backend_id.clone(),
            plan_id: job.plan.plan_backend_id.clone(),
            accepts_incomplete: job.operation.accepts_incomplete,
        });
        let stored = StoredRequest::new(
            &request,
            job.request.originating_identity.clone(),
            job.request.request_identity.clone(),
            job.request.via.clone(),
        );
        let row = OperationRow {
            kind: OperationKind::Unbind,
            phase: Phase::Calling,
            binding_id: Some(binding.id.clone()),
            told: Told::Nothing,
            maybe_sent: false,
            request: self.seal(&sealed::operation_request(&id), &stored)?,
            target: None,
            backend_operation: None,
            attempts: 0,
            final_not_before: None,
            next_at: now,
            lease_token: Some(fresh_id()),
            answer: None,
            description: None,
            warnings: None,
            created_at: now,
            id,
            ..job.operation.clone()
        };
        let (owner, binding_id) = (self.process().to_owned(), binding.id.clone());
        self.db()
            .write(move |tx| {
                let (row, owner, binding_id) = (row.clone(), owner.clone(), binding_id.clone());
                Box::pin(async move {
                    instances::lock(tx, &row.instance_id).await?;
                    let Some(mut binding) = bindings::lock(tx, &binding_id).await? else { return Ok(None) };
                    // A repeat of its bind may be on its way: what it makes there would be left behind.
                    let asked = binding.asked_until.is_some_and(|until| until > row.created_at);
                    if binding.state != BindingState::Ready || asked {
                        return Ok(None);
                    }
                    binding.state = BindingState::Unbinding;
                    binding.operation_id = Some(row.id.clone());
                    operations::insert(tx, &row, &owner).await?;
                    bindings::save(tx, &binding, true).await?;
                    Ok(Some(row))
                })
            })
            .await
    }
}
