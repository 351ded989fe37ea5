//! Fetching instances and bindings, for offerings that say so.

use osb::catalog::MaintenanceInfo;
use osb::*;

use super::Quirk;
use super::provision::{dashboard_url, metadata};
use super::state::{Instance, Kind, State, busy, instance_key};

impl State {
    pub(super) fn fetch_instance(&mut self, request: &FetchInstanceRequest) -> Result<FetchInstanceResponse, Error> {
        let nothing = || Error::not_found("there is no such service instance");
        if self.has(Quirk::FetchesTheDeletedAsGone) && self.deleted.contains(&request.instance_id) {
            return Err(Error::gone());
        }
        let instance = self.instances.get(&request.instance_id).ok_or_else(nothing)?.clone();
        let retrievable = self.offering(&instance.service_id)?.instances_retrievable.as_option() == Some(&true);
        let shown = instance.ready || self.has(Quirk::ShowsInstancesTooEarly);
        if !retrievable || !shown || self.late(&request.instance_id) {
            return Err(nothing());
        }
        let running = self.running(&instance_key(&request.instance_id)).map(|running| running.kind);
        if running == Some(Kind::Update) && !self.has(Quirk::ShowsWhileUpdating) {
            return Err(busy());
        }
        let plans = [instance.plan_id.clone()];
        Self::belongs(&instance, request.service_id.as_deref(), &plans, request.plan_id.as_deref())?;
        Ok(self.shown(&request.instance_id, instance))
    }

    fn shown(&self, instance_id: &str, instance: Instance) -> FetchInstanceResponse {
        let plan = self.plan(&instance.service_id, &instance.plan_id).ok().map(|(_, plan)| plan);
        let version = plan.and_then(ServicePlan::maintenance_version).map(str::to_owned);
        let maintenance_info =
            version.map(|version| MaintenanceInfo { version: Maybe::Present(version), ..Default::default() });
        FetchInstanceResponse {
            service_id: Maybe::Present(instance.service_id),
            plan_id: Maybe::Present(instance.plan_id),
            dashboard_url: Maybe::Present(dashboard_url(instance_id)),
            parameters: Maybe::Present(instance.parameters),
            maintenance_info: maintenance_info.into(),
            metadata: Maybe::Present(metadata()),
            extra: Object::new(),
        }
    }

    pub(super) fn fetch_binding(&mut self, request: &FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        let nothing = || Error::not_found("there is no such service binding");
        if self.has(Quirk::BreaksOnBindingsOfNothing) && !self.instances.contains_key(&request.instance_id) {
            return Err(Error::internal("no row for the instance"));
        }
        let instance = self.instances.get(&request.instance_id).ok_or_else(nothing)?.clone();
        let retrievable = self.offering(&instance.service_id)?.bindings_retrievable.as_option() == Some(&true);
        let binding = instance.bindings.get(&request.binding_id).filter(|_| retrievable).ok_or_else(nothing)?;
        let shown = binding.ready || self.has(Quirk::ShowsBindingsTooEarly);
        if !shown || self.late(&request.binding_id) {
            return Err(nothing());
        }
        let plans = [instance.plan_id.clone()];
        Self::belongs(&instance, request.service_id.as_deref(), &plans, request.plan_id.as_deref())?;
        let parameters = Maybe::Present(binding.parameters.clone());
        Ok(FetchBindingResponse { parameters, binding: binding.answer.clone() })
    }

    /// A quirk: what has just been made can't be read yet.
    fn late(&mut self, id: &str) -> bool {
        self.has(Quirk::ReadsLag) && self.lagging.remove(id)
    }
}
