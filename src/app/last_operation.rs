//! Last operation: answered from the hub's own state, however often a platform asks.

use osb::{BindingOperationRequest, InstanceOperationRequest, LastOperation, Maybe, OperationState as Word};

use super::order::Orderer;
use super::sealed::error_from_text;
use super::{App, Error};
use crate::domain::instance::{BindingState, InstanceState};
use crate::domain::operation::{OperationKind, OperationState, Phase};
use crate::store::bindings::{self, BindingRow};
use crate::store::instances::{self, InstanceRow};
use crate::store::operations::{self, OperationRow};

/// How late a platform is asked to ask again at most, in seconds, however long a backend wants to be left alone.
const ASK_AGAIN_MAX: u64 = 300;
/// The same of an order that waits for an approval: people decide at any moment.
const APPROVAL_ASK_AGAIN: u64 = 15;

/// What a platform polls.
struct AskedFor {
    instance: InstanceRow,
    /// Where a binding was named, and there is one.
    binding: Option<BindingRow>,
    operation: Option<OperationRow>,
}

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
        let word = request.operation.clone();
        let asked = self.asked_for(orderer, &request.instance_id, None, word).await?.ok_or_else(missing)?;
        hint(&asked.instance.offering_id, request.service_id.as_deref(), "service_id")?;
        let operation = asked.operation.ok_or_else(missing)?;
        self.told(&operation, asked.instance.state == InstanceState::Gone)
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
        let (binding_id, word) = (request.binding_id.clone(), request.operation.clone());
        let asked = self.asked_for(orderer, &request.instance_id, Some(binding_id), word).await?.ok_or_else(missing)?;
        let row = asked.binding.ok_or_else(missing)?;
        hint(&asked.instance.offering_id, request.service_id.as_deref(), "service_id")?;
        let operation = asked.operation.ok_or_else(missing)?;
        let mut told = self.told(&operation, row.state == BindingState::Gone)?;
        told.instance_usable = Maybe::Absent;
        Ok(told)
    }

    /// The operation that a platform's word names, and what it is done to; an unknown or missing word means the latest that it
    /// knows of. All of it is read at once: this is what platforms ask most often.
    async fn asked_for(
        &self,
        orderer: &Orderer,
        id: &str,
        binding_id: Option<String>,
        word: Option<String>,
    ) -> Result<Option<AskedFor>, Error> {
        let (platform_id, id) = (orderer.platform.id.clone(), id.to_owned());
        let read = self.db().read::<_, Error, _>(move |tx| {
            Box::pin(async move {
                let Some(instance) = instances::current(tx, &platform_id, &id).await? else { return Ok(None) };
                let binding = match &binding_id {
                    Some(id) => bindings::current(tx, &instance.id, id).await?,
                    None => None,
                };
                if binding.is_none() && binding_id.is_some() {
                    return Ok(Some(AskedFor { instance, binding, operation: None }));
                }
                let binding_id = binding.as_ref().map(|binding| binding.id.clone());
                let named = match word {
                    Some(word) => operations::by_id(tx, &word).await?,
                    None => None,
                };
                let operation = match named.filter(|row| row.instance_id == instance.id && row.binding_id == binding_id)
                {
                    Some(row) => Some(row),
                    None => operations::latest(tx, &instance.id, binding_id.as_deref()).await?,
                };
                Ok(Some(AskedFor { instance, binding, operation }))
            })
        });
        match read.await? {
            Some(asked) if self.shown_to(orderer, &asked.instance).await? => Ok(Some(asked)),
            _ => Ok(None),
        }
    }

    /// When a platform learns something new if it asks again, in seconds: the backend is not asked before.
    fn ask_again_after(&self, operation: &OperationRow) -> u64 {
        if operation.phase == Phase::WaitingApproval {
            return APPROVAL_ASK_AGAIN;
        }
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
