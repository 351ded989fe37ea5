//! Updating: plan, parameters, maintenance, context, each alone or together.

use osb::*;
use serde_json::{Value, json};

use super::Quirk;
use super::state::{Instance, Kind, State, busy, instance_key};

impl State {
    pub(super) fn update(&mut self, request: &UpdateRequest) -> Result<Updated, Error> {
        let key = instance_key(&request.instance_id);
        let Some(instance) = self.instances.get(&request.instance_id).cloned() else {
            return Err(Error::not_found("there is no such service instance"));
        };
        let order = order(request);
        if let Some(running) = self.running(&key) {
            let repeated = running.kind == Kind::Update && running.order == order;
            if repeated && self.has(Quirk::CallsRepeatedUpdatesDone) {
                return Ok(Updated::Done(UpdateResponse::default()));
            }
            return match (repeated, request.accepts_incomplete) {
                (true, true) => Ok(Updated::Accepted(UpdateResponse {
                    operation: Maybe::Present(self.word_again(&key)),
                    ..Default::default()
                })),
                (true, false) => Err(Error::async_required()),
                (false, _) => Err(busy()),
            };
        }
        let same_plan = request.plan_id.as_option() == Some(&instance.plan_id);
        if self.has(Quirk::RefusesTheSamePlan) && same_plan {
            return Err(Error::unprocessable("SamePlan", "the service instance has this plan already"));
        }
        let changed = self.changed(request, &instance)?;
        if self.has(Quirk::AppliesRefusedUpdates) {
            self.instances.insert(request.instance_id.clone(), changed.clone());
        }
        self.allowed(request, &instance, &changed)?;
        let (_, plan) = self.plan(&instance.service_id, &instance.plan_id)?;
        let asynchronous = self.paced(plan, Kind::Update, request.accepts_incomplete)?;
        if !asynchronous || unchanged(&changed, &instance) {
            self.instances.insert(request.instance_id.clone(), changed);
            return Ok(Updated::Done(UpdateResponse::default()));
        }
        let operation = self.start(key.clone(), Kind::Update, order, vec![instance.plan_id.clone()]);
        if let Some(started) = self.operations.get_mut(&key).and_then(|operations| operations.last_mut()) {
            started.becomes = Some(Box::new(changed));
        }
        Ok(Updated::Accepted(UpdateResponse { operation: Maybe::Present(operation), ..Default::default() }))
    }

    /// The instance as it will be, where offering and plan exist.
    fn changed(&self, request: &UpdateRequest, instance: &Instance) -> Result<Instance, Error> {
        if self.offering(&request.service_id)?.id != instance.service_id {
            return Err(Error::bad_request("service_id is not that of this service instance"));
        }
        let mut changed = instance.clone();
        if let Some(plan_id) = request.plan_id.as_option() {
            let known = self.plan(&request.service_id, plan_id);
            if !self.has(Quirk::UpdatesToUnknownPlans) {
                known?;
            }
            changed.plan_id.clone_from(plan_id);
        } else if self.has(Quirk::ForgetsPlanOnUpdate) {
            changed.plan_id = self.offering(&request.service_id)?.plans[1].id.clone();
        }
        match request.parameters.as_option() {
            Some(parameters) => changed.parameters.extend(parameters.clone()),
            None if self.has(Quirk::ForgetsParametersOnUpdate) => changed.parameters.clear(),
            None => {}
        }
        if let Some(context) = request.context.as_option() {
            changed.context.clone_from(context);
        }
        Ok(changed)
    }

    /// What plan, schema and versions have against it.
    fn allowed(&self, request: &UpdateRequest, instance: &Instance, changed: &Instance) -> Result<(), Error> {
        let Ok((offering, target)) = self.plan(&changed.service_id, &changed.plan_id) else { return Ok(()) };
        let current = offering.plan(&instance.plan_id).unwrap_or(target);
        let free = self.has(Quirk::ChangesAnyPlan);
        if changed.plan_id != instance.plan_id && !offering.plan_updateable(current) && !free {
            let mut refusal = Error::unprocessable("PlanChangeNotSupported", "instances of this plan keep their plan");
            refusal.body.update_repeatable = Maybe::Present(false);
            refusal.body.instance_usable = Maybe::Present(true);
            return Err(refusal);
        }
        if let Some(parameters) = request.parameters.as_option() {
            Self::fits(target.update_schema(), parameters)?;
        }
        if self.has(Quirk::NoMaintenanceCheckOnUpdate) {
            return Ok(());
        }
        self.maintained(target, &request.maintenance_info)
    }
}

fn order(request: &UpdateRequest) -> Value {
    json!([request.plan_id, request.parameters, request.context])
}

fn unchanged(changed: &Instance, instance: &Instance) -> bool {
    changed.order() == instance.order()
}
