//! Deprovisioning: also of what is still being made, which stops, and of what has bindings, which go with it.

use osb::*;
use serde_json::Value;

use super::Quirk;
use super::state::{Key, Kind, Operation, State, busy, instance_key};

impl State {
    pub(super) fn deprovision(&mut self, request: &DeprovisionRequest) -> Result<Deprovisioned, Error> {
        let key = instance_key(&request.instance_id);
        let Some(instance) = self.instances.get(&request.instance_id).cloned() else { return Err(Error::gone()) };
        let plans = [instance.plan_id.clone()];
        self.belongs_to_deleted(&instance, &request.service_id, &request.plan_id)?;
        match self.running(&key).map(|operation| operation.kind) {
            Some(Kind::Deprovision) if self.has(Quirk::CallsRepeatedDeletionsGone) => return Err(Error::gone()),
            Some(Kind::Deprovision) if request.accepts_incomplete => {
                return Ok(Deprovisioned::Accepted(Accepted::operation(self.word_again(&key))));
            }
            Some(Kind::Deprovision) => return Err(Error::async_required()),
            Some(Kind::Provision) if self.has(Quirk::RefusesToCancel) => return Err(busy()),
            Some(Kind::Provision) | None => {}
            Some(_) => return Err(busy()),
        }
        if self.binding_running(&request.instance_id) {
            return Err(busy());
        }
        if self.has(Quirk::ClingsToBindings) && !instance.bindings.is_empty() {
            return Err(Error::unprocessable("BindingsExist", "delete the bindings of this service instance first"));
        }
        let (_, plan) = self.plan(&instance.service_id, &instance.plan_id)?;
        let asynchronous = self.paced(plan, Kind::Deprovision, request.accepts_incomplete)?;
        if !self.has(Quirk::FinishesCancelledProvisions) {
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
    pub(super) fn cancel(&mut self, key: &Key) {
        let last = self.operations.get_mut(key).and_then(|operations| operations.last_mut());
        if let Some(last) = last.filter(|last| last.state == OperationState::InProgress) {
            last.state = OperationState::Failed;
        }
    }

    /// A fault: what was under way when the deletion came is carried out after it.
    pub(super) fn goes_on(&mut self, key: &Key, kind: Kind, quirk: Quirk) -> bool {
        let under_way =
            |operation: &&mut Operation| operation.kind == kind && operation.state == OperationState::InProgress;
        let wanted = self.has(quirk);
        let operations = self.operations.get_mut(key).into_iter().flatten();
        let found = operations.filter(|_| wanted).find(under_way);
        found.map(|operation| operation.state = OperationState::Succeeded).is_some()
    }

    pub(super) fn remove_instance(&mut self, instance_id: &str) {
        if self.goes_on(&instance_key(instance_id), Kind::Provision, Quirk::FinishesCancelledProvisions) {
            if let Some(instance) = self.instances.get_mut(instance_id) {
                instance.ready = true;
            }
            return;
        }
        if !self.has(Quirk::KeepsDeletedInstances) {
            self.instances.remove(instance_id);
            self.deleted.insert(instance_id.to_owned());
        }
        if self.has(Quirk::ForgetsOperationsOfTheDeleted) {
            self.operations.retain(|(id, _), _| id != instance_id);
        }
    }
}
