//! Polling the last operation, which is also what makes operations move.

use osb::*;

use super::Quirk;
use super::state::{Instance, Key, Kind, Operation, State, binding_key, instance_key};

/// A question about an operation, of an instance or of a binding.
struct Poll<'a> {
    service_id: Option<&'a str>,
    plan_id: Option<&'a str>,
    word: Option<&'a str>,
}

impl State {
    pub(super) fn instance_operation(&mut self, request: &InstanceOperationRequest) -> Result<LastOperation, Error> {
        let poll = Poll {
            service_id: request.service_id.as_deref(),
            plan_id: request.plan_id.as_deref(),
            word: request.operation.as_deref(),
        };
        self.polled(&instance_key(&request.instance_id), &poll)
    }

    pub(super) fn binding_operation(&mut self, request: &BindingOperationRequest) -> Result<LastOperation, Error> {
        let poll = Poll {
            service_id: request.service_id.as_deref(),
            plan_id: request.plan_id.as_deref(),
            word: request.operation.as_deref(),
        };
        self.polled(&binding_key(&request.instance_id, &request.binding_id), &poll)
    }

    fn polled(&mut self, key: &Key, poll: &Poll<'_>) -> Result<LastOperation, Error> {
        let Some(place) = self.place(key, poll.word) else { return self.without_operation(key) };
        self.hints_fit(key, place, poll)?;
        let operation = self.operations.get_mut(key).and_then(|known| known.get_mut(place)).expect("the place is one");
        if operation.state == OperationState::InProgress {
            operation.polls_left = operation.polls_left.saturating_sub(1);
            if operation.polls_left == 0 {
                operation.state = OperationState::Succeeded;
                let (kind, becomes) = (operation.kind, operation.becomes.take());
                self.finish(key, kind, becomes);
            }
        }
        if self.has(Quirk::TellsSuccessOnce) && operation_ended(self.operations.get(key), place) {
            let ended = self.operations.remove(key).unwrap_or_default();
            self.operations.insert((format!("{} once", key.0), key.1.clone()), ended);
            return Ok(LastOperation::new(OperationState::Succeeded, "told once"));
        }
        // A quirk may have forgotten it by now.
        let known = self.operations.get(key).and_then(|known| known.get(place));
        Ok(known.map_or_else(|| LastOperation::new(OperationState::Succeeded, "gone"), report))
    }

    /// Which operation is meant: the one of that word, else the latest.
    fn place(&self, key: &Key, word: Option<&str>) -> Option<usize> {
        let known = self.operations.get(key)?;
        let named = word.and_then(|word| known.iter().position(|operation| operation.word == word));
        named.or_else(|| known.len().checked_sub(1))
    }

    /// Something that was always synchronous is done as long as it is there.
    fn without_operation(&self, key: &Key) -> Result<LastOperation, Error> {
        let instance = self.instances.get(&key.0);
        let there = match &key.1 {
            None => instance.is_some(),
            Some(binding) => instance.is_some_and(|instance| instance.bindings.contains_key(binding)),
        };
        if there && !self.has(Quirk::TellsSuccessOnce) {
            return Ok(LastOperation::new(OperationState::Succeeded, "it was done at once"));
        }
        Err(Error::not_found("nothing was ever done under this id"))
    }

    fn hints_fit(&self, key: &Key, place: usize, poll: &Poll<'_>) -> Result<(), Error> {
        let Some(instance) = self.instances.get(&key.0) else { return Ok(()) };
        let operation = &self.operations[key][place];
        let mut plans = operation.plans.clone();
        plans.push(instance.plan_id.clone());
        if let Some(changed) = operation.becomes.as_ref().filter(|_| self.has(Quirk::PollsUnderTheNewPlan)) {
            plans = vec![changed.plan_id.clone()];
        }
        Self::belongs(instance, poll.service_id, &plans, poll.plan_id)
    }

    fn finish(&mut self, key: &Key, kind: Kind, becomes: Option<Box<Instance>>) {
        let (instance_id, binding_id) = (key.0.as_str(), key.1.as_deref().unwrap_or_default());
        if self.has(Quirk::ReadsLag) {
            self.lagging.insert(key.1.clone().unwrap_or_else(|| key.0.clone()));
        }
        match kind {
            Kind::Deprovision => self.remove_instance(instance_id),
            Kind::Unbind => self.remove_binding(instance_id, binding_id),
            Kind::Provision | Kind::Update | Kind::Bind => {
                let Some(instance) = self.instances.get_mut(instance_id) else { return };
                if let Some(changed) = becomes {
                    // Bindings may have come and gone meanwhile.
                    *instance = Instance { bindings: std::mem::take(&mut instance.bindings), ..*changed };
                }
                if kind == Kind::Provision {
                    instance.ready = true;
                }
                if let Some(binding) = instance.bindings.get_mut(binding_id) {
                    binding.ready = true;
                }
            }
        }
    }
}

fn operation_ended(known: Option<&Vec<Operation>>, place: usize) -> bool {
    known.and_then(|known| known.get(place)).is_some_and(|operation| operation.state == OperationState::Succeeded)
}

fn report(operation: &Operation) -> LastOperation {
    let description = match operation.state {
        OperationState::InProgress => format!("{:?}: {} steps left", operation.kind, operation.polls_left),
        OperationState::Succeeded => format!("{:?}: done", operation.kind),
        OperationState::Failed => format!("{:?}: stopped", operation.kind),
    };
    let retry_after_seconds = (operation.state == OperationState::InProgress).then_some(0);
    LastOperation { retry_after_seconds, ..LastOperation::new(operation.state, description) }
}
