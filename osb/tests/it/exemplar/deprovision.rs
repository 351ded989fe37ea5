//! Deprovisioning: also of what is still being made, which stops, and of what has bindings, which go with it.

use osb::*;
use serde_json::Value;

use super::Flaw;
use super::state::{Kind, State, busy, instance_key};

impl State {
    pub(super) fn deprovision(&mut self, request: &DeprovisionRequest) -> Result<Deprovisioned, Error> {
        let key = instance_key(&request.instance_id);
        let Some(instance) = self.instances.get(&request.instance_id).cloned() else { return Err(Error::gone()) };
        let plans = [instance.plan_id.clone()];
        Self::belongs(&instance, Some(&request.service_id), &plans, Some(&request.plan_id))?;
        match self.running(&key).map(|operation| operation.kind) {
            Some(Kind::Deprovision) if request.accepts_incomplete => {
                return Ok(Deprovisioned::Accepted(Accepted::operation(self.word_again(&key))));
            }
            Some(Kind::Deprovision) => return Err(Error::async_required()),
            Some(Kind::Provision) | None => {}
            Some(_) => return Err(busy()),
        }
        if self.binding_running(&request.instance_id) {
            return Err(busy());
        }
        let (_, plan) = self.plan(&instance.service_id, &instance.plan_id)?;
        let asynchronous = self.paced(plan, Kind::Deprovision, request.accepts_incomplete)?;
        if !self.has(Flaw::FinishesCancelledProvisions) {
            self.cancel(&key);
        }
        if !asynchronous {
            self.remove_instance(&request.instance_id);
            return Ok(Deprovisioned::Done(Object::new()));
        }
        let operation = self.start(key, Kind::Deprovision, Value::Null, plans.to_vec());
        Ok(Deprovisioned::Accepted(Accepted::operation(operation)))
    }

    /// CON-04: what was under way has failed.
    fn cancel(&mut self, key: &super::state::Key) {
        let last = self.operations.get_mut(key).and_then(|operations| operations.last_mut());
        if let Some(last) = last.filter(|last| last.state == OperationState::InProgress) {
            last.state = OperationState::Failed;
        }
    }

    pub(super) fn remove_instance(&mut self, instance_id: &str) {
        if !self.has(Flaw::KeepsDeletedInstances) {
            self.instances.remove(instance_id);
        }
        if self.has(Flaw::ForgetsOperationsOfTheDeleted) {
            self.operations.retain(|(id, _), _| id != instance_id);
        }
    }
}
