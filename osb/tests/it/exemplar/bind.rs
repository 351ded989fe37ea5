//! Binding and rotation: credentials of their own for each binding, the same ones for the same order.

use osb::*;
use serde_json::{Value, json};

use super::Quirk;
use super::offerings::requires_app;
use super::state::{Binding, Instance, Kind, State, binding_key, busy, instance_key, parameters_of};

impl State {
    pub(super) fn bind(&mut self, request: &BindRequest) -> Result<Bound, Error> {
        let Some(instance) = self.instances.get(&request.instance_id).cloned() else {
            return Err(Error::not_found("there is no such service instance"));
        };
        if let Some(binding) = instance.bindings.get(&request.binding_id).cloned() {
            return self.bind_again(request, binding);
        }
        if self.has(Quirk::BindingIdsAreGlobal)
            && self.instances.values().any(|other| other.bindings.contains_key(&request.binding_id))
        {
            return Err(Error::conflict("a service binding with this id exists already"));
        }
        if self.running(&instance_key(&request.instance_id)).is_some() || !instance.ready {
            return Err(busy());
        }
        if self.has(Quirk::OneBindAtATime) && self.binding_running(&request.instance_id) {
            return Err(busy());
        }
        let parameters = self.bindable(request, &instance)?;
        let (offering, plan) = self.plan(&instance.service_id, &instance.plan_id)?;
        let asynchronous = self.paced(plan, Kind::Bind, request.accepts_incomplete)?;
        let requires = offering.requires.as_option().is_some();
        let answer = self.answer(request, requires);
        let binding = Binding { order: order(request), parameters, answer: answer.clone(), ready: !asynchronous };
        let kept = self.instances.get_mut(&request.instance_id).expect("it was there just now");
        kept.bindings.insert(request.binding_id.clone(), binding);
        if self.has(Quirk::RotationEndsThePredecessor)
            && let Some(predecessor) = request.predecessor_binding_id.as_option()
        {
            self.remove_binding(&request.instance_id, predecessor);
        }
        if !asynchronous {
            return Ok(Bound::Created(answer));
        }
        let key = binding_key(&request.instance_id, &request.binding_id);
        let operation = self.start(key, Kind::Bind, Value::Null, vec![instance.plan_id]);
        Ok(Bound::Accepted(Accepted::operation(operation)))
    }

    fn bind_again(&mut self, request: &BindRequest, binding: Binding) -> Result<Bound, Error> {
        let key = binding_key(&request.instance_id, &request.binding_id);
        let taken = match self.quirk {
            Some(Quirk::BindConflictAnswered200) => true,
            Some(Quirk::BindConflictWhileInProgressTaken) if !binding.ready => true,
            Some(Quirk::IgnoresPredecessorOfARepeat) => binding.order[1] == order(request)[1],
            _ => binding.order == order(request),
        };
        match self.running(&key).map(|operation| operation.kind) {
            Some(Kind::Unbind) => Err(busy()),
            _ if !taken => Err(Error::conflict("a service binding with this id has other attributes")),
            Some(_) if self.has(Quirk::ConflictsWithItsOwnBinds) => Err(Error::conflict("this id is taken")),
            Some(_) if request.accepts_incomplete => Ok(Bound::Accepted(Accepted::operation(self.word_again(&key)))),
            Some(_) => Err(Error::async_required()),
            None if self.has(Quirk::BindsAgainWithOtherCredentials) => Ok(Bound::Existed(self.answer(request, false))),
            None => Ok(Bound::Existed(binding.answer)),
        }
    }

    /// The parameters of the binding to be, where it may be made.
    fn bindable(&self, request: &BindRequest, instance: &Instance) -> Result<Object, Error> {
        let (offering, plan) = self.plan(&instance.service_id, &instance.plan_id)?;
        let plans = [instance.plan_id.clone()];
        let given = |word: &Maybe<String>| word.as_option().cloned();
        if !self.has(Quirk::BindsUnderAnyPlan) {
            Self::belongs(instance, given(&request.service_id).as_deref(), &plans, given(&request.plan_id).as_deref())?;
        }
        if !offering.bindable(plan) {
            return Err(Error::bad_request("instances of this plan can't be bound to"));
        }
        if requires_app(offering) && !names_app(request) {
            return Err(Error::requires_app());
        }
        let Some(predecessor) = request.predecessor_binding_id.as_option() else {
            let parameters = parameters_of(&request.parameters);
            Self::fits(plan.bind_schema(), &parameters)?;
            return Ok(parameters);
        };
        if plan.binding_rotatable.as_option() != Some(&true) {
            return Err(Error::bad_request("bindings of this plan can't be rotated"));
        }
        let own = instance.bindings.get(predecessor);
        let found = if self.has(Quirk::RotatesFromAnything) {
            own.or_else(|| self.instances.values().find_map(|other| other.bindings.get(predecessor)))
        } else {
            own
        };
        match found.filter(|binding| binding.ready) {
            Some(_) if self.has(Quirk::RotationForgetsParameters) => Ok(Object::new()),
            Some(binding) => Ok(binding.parameters.clone()),
            None if self.has(Quirk::RotatesFromAnything) => Ok(Object::new()),
            None => Err(Error::bad_request("this service instance has no binding predecessor_binding_id")),
        }
    }

    fn answer(&mut self, request: &BindRequest, requires: bool) -> BindResponse {
        let number = if self.has(Quirk::SharesCredentials) { 0 } else { self.next() };
        let credentials =
            json!({"username": format!("user-{number}"), "password": format!("{number}-#ü"), "tls": true});
        let metadata = json!({"expires_at": "2999-12-31T23:59:59.0Z", "renew_before": "2999-12-01T00:00:00.0Z"});
        let endpoints = json!([
            {"host": "store.example", "ports": ["443", "9000-9010"], "protocol": "tcp"},
            {"host": "10.0.0.1", "ports": ["53"], "protocol": "udp"},
            {"host": "10.0.0.2", "ports": ["1"]}
        ]);
        let mut answer = BindResponse {
            credentials: Maybe::Present(object(&credentials)),
            metadata: Maybe::Present(object(&metadata)),
            endpoints: Maybe::Present(endpoints.as_array().cloned().unwrap_or_default()),
            ..Default::default()
        };
        if requires {
            let id = wire::encode(&request.binding_id);
            answer.syslog_drain_url = Maybe::Present(format!("syslog-tls://drain.example/{id}"));
            answer.route_service_url = Maybe::Present(format!("https://route.example/{id}"));
            answer.volume_mounts = Maybe::Present(vec![json!({
                "driver": "cephdriver", "container_dir": "/data", "mode": "r", "device_type": "shared",
                "device": {"volume_id": "bc2c1eab", "mount_config": {"key": "value"}}
            })]);
        }
        answer
    }
}

fn object(value: &Value) -> Object {
    value.as_object().cloned().unwrap_or_default()
}

/// What a repeat is compared with. A rotation may leave out offering and plan, so they don't count.
fn order(request: &BindRequest) -> Value {
    let predecessor = request.predecessor_binding_id.as_option();
    json!([predecessor, [parameters_of(&request.parameters), app(request)]])
}

fn names_app(request: &BindRequest) -> bool {
    !app(request).is_null()
}

fn app(request: &BindRequest) -> Value {
    let nested = request.bind_resource.as_option().and_then(|resource| resource.get("app_guid")).cloned();
    nested.or_else(|| request.app_guid.as_option().map(|guid| json!(guid))).unwrap_or_default()
}
