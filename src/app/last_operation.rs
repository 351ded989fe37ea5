//! Last operation: answered from the hub's own state, however often a platform asks.

use osb::{BindingOperationRequest, InstanceOperationRequest, LastOperation, Maybe, OperationState as Word};

use super::order::Orderer;
use super::sealed::error_from_text;
use super::{App, Error};
use crate::domain::instance::{BindingState, InstanceState};
use crate::domain::operation::{OperationKind, OperationState};
use crate::store::operations::{self, OperationRow};

/// How late a platform is asked to ask again at most, in seconds, however long a backend wants to be left alone.
const ASK_AGAIN_MAX: u64 = 300;

impl App {
    /// How the latest operation on an instance stands ("Polling Last Operation for Service Instances").
    ///
    /// # Errors
    /// 404 where there is nothing to tell, 410 where it was deleted longer ago than is remembered.
    pub async fn instance_operation(
        &self,
        orderer: &Orderer,
        request: &InstanceOperationRequest,
    ) -> Result<LastOperation, Error> {
        let missing = || Error::from(osb::Error::not_found("the service instance does not exist"));
        let row = self.current_instance(orderer, &request.instance_id).await?.ok_or_else(missing)?;
        hint(&row.offering_id, request.service_id.as_deref(), "service_id")?;
        let operation = self.asked_for(&row.id, None, request.operation.as_deref()).await?.ok_or_else(missing)?;
        self.told(&operation, row.state == InstanceState::Gone)
    }

    /// How the latest operation on a binding stands ("Polling Last Operation for Service Bindings").
    ///
    /// # Errors
    /// 404 where there is nothing to tell, 410 where it was deleted longer ago than is remembered.
    pub async fn binding_operation(
        &self,
        orderer: &Orderer,
        request: &BindingOperationRequest,
    ) -> Result<LastOperation, Error> {
        let missing = || Error::from(osb::Error::not_found("the service binding does not exist"));
        let instance = self.current_instance(orderer, &request.instance_id).await?.ok_or_else(missing)?;
        let row = self.current_binding(&instance, &request.binding_id).await?.ok_or_else(missing)?;
        hint(&instance.offering_id, request.service_id.as_deref(), "service_id")?;
        let operation = request.operation.as_deref();
        let operation = self.asked_for(&instance.id, Some(&row.id), operation).await?.ok_or_else(missing)?;
        let mut told = self.told(&operation, row.state == BindingState::Gone)?;
        told.instance_usable = Maybe::Absent;
        Ok(told)
    }

    /// The operation that a platform's word names; an unknown or missing one means the latest that it knows of.
    async fn asked_for(
        &self,
        instance_id: &str,
        binding_id: Option<&str>,
        word: Option<&str>,
    ) -> Result<Option<OperationRow>, Error> {
        let (instance_id, binding_id) = (instance_id.to_owned(), binding_id.map(str::to_owned));
        let word = word.map(str::to_owned);
        self.db()
            .read(move |tx| {
                Box::pin(async move {
                    if let Some(word) = word
                        && let Some(row) = operations::by_id(tx, &word).await?
                        && row.instance_id == instance_id
                        && row.binding_id == binding_id
                    {
                        return Ok(Some(row));
                    }
                    Ok::<_, Error>(operations::latest(tx, &instance_id, binding_id.as_deref()).await?)
                })
            })
            .await
    }

    /// When a platform learns something new if it asks again, in seconds: the backend is not asked before.
    fn ask_again_after(&self, operation: &OperationRow) -> u64 {
        let wait = operation.next_at.since(self.clock().now());
        u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(ASK_AGAIN_MAX).clamp(1, ASK_AGAIN_MAX)
    }

    fn told(&self, operation: &OperationRow, gone: bool) -> Result<LastOperation, Error> {
        let remember = self.config().operations.remember;
        let old = operation.finished_at.is_some_and(|at| self.clock().now().since(at) > remember);
        if old && gone {
            return Err(osb::Error::gone().into());
        }
        if old && operation.state != OperationState::Succeeded {
            return Err(osb::Error::not_found("the outcome is not remembered any longer").into());
        }
        let description = operation.description.clone().unwrap_or_default();
        Ok(match operation.state {
            OperationState::InProgress => {
                let mut told = LastOperation::new(Word::InProgress, description);
                told.retry_after_seconds = Some(self.ask_again_after(operation));
                told
            }
            OperationState::Succeeded => LastOperation::new(Word::Succeeded, description),
            OperationState::Failed | OperationState::Cancelled => {
                let error = error_from_text(operation.answer.as_deref());
                let mut told = LastOperation::new(Word::Failed, description);
                if matches!(operation.kind, OperationKind::Update | OperationKind::Deprovision) {
                    told.instance_usable = error.body.instance_usable;
                }
                if operation.kind == OperationKind::Update {
                    told.update_repeatable = error.body.update_repeatable;
                }
                told
            }
        })
    }
}

/// A hint is right or a 400; plan hints are not checked, since during and after a change of plan both are right.
fn hint(known: &str, given: Option<&str>, name: &str) -> Result<(), Error> {
    match given {
        Some(given) if given != known => {
            Err(osb::Error::bad_request(format!("{name} is not that of the service instance")).into())
        }
        _ => Ok(()),
    }
}
