//! Unbinding.

use osb::*;
use serde_json::Value;

use super::Quirk;
use super::state::{Kind, State, binding_key, busy, instance_key};

impl State {
    pub(super) fn unbind(&mut self, request: &UnbindRequest) -> Result<Unbound, Error> {
        let key = binding_key(&request.instance_id, &request.binding_id);
        let Some(instance) = self.instances.get(&request.instance_id).cloned() else {
            let quirk = self.has(Quirk::NothingToUnbindIsNotFound);
            return Err(if quirk { Error::not_found("there is no such service instance") } else { Error::gone() });
        };
        if !instance.bindings.contains_key(&request.binding_id) {
            return Err(Error::gone());
        }
        let plans = [instance.plan_id.clone()];
        self.belongs_to_deleted(&instance, &request.service_id, &request.plan_id)?;
        match self.running(&key).map(|operation| operation.kind) {
            Some(Kind::Unbind) if self.has(Quirk::CallsRepeatedDeletionsGone) => return Err(Error::gone()),
            Some(Kind::Unbind) if request.accepts_incomplete => {
                return Ok(Unbound::Accepted(Accepted::operation(self.word_again(&key))));
            }
            Some(Kind::Unbind) => return Err(Error::async_required()),
            Some(Kind::Bind) if self.has(Quirk::CancelsBinds) => self.cancel(&key),
            Some(Kind::Bind) if self.has(Quirk::FinishesCancelledBinds) => {}
            Some(_) => return Err(busy()),
            None => {}
        }
        if self.running(&instance_key(&request.instance_id)).is_some() {
            return Err(busy());
        }
        let (_, plan) = self.plan(&instance.service_id, &instance.plan_id)?;
        if !self.paced(plan, Kind::Unbind, request.accepts_incomplete)? {
            self.remove_binding(&request.instance_id, &request.binding_id);
            return Ok(Unbound::Done(Object::new()));
        }
        let operation = self.start(key, Kind::Unbind, Value::Null, plans.to_vec());
        Ok(Unbound::Accepted(Accepted::operation(operation)))
    }

    pub(super) fn remove_binding(&mut self, instance_id: &str, binding_id: &str) {
        let goes_on = self.goes_on(&binding_key(instance_id, binding_id), Kind::Bind, Quirk::FinishesCancelledBinds);
        let instance = self.instances.get_mut(instance_id);
        if goes_on {
            if let Some(binding) = instance.and_then(|instance| instance.bindings.get_mut(binding_id)) {
                binding.ready = true;
            }
            return;
        }
        if let Some(instance) = instance.filter(|_| self.quirk != Some(Quirk::KeepsDeletedBindings)) {
            instance.bindings.remove(binding_id);
            if self.quirk == Some(Quirk::UnbindsEverything) {
                instance.bindings.clear();
            }
        }
    }
}
