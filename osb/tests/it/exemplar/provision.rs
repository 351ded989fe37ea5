//! Provisioning: new, again, again with other attributes, and while it is under way.

use std::collections::BTreeMap;

use osb::*;
use serde_json::json;

use super::Quirk;
use super::state::{Instance, Kind, State, busy, instance_key, parameters_of};

impl State {
    pub(super) fn provision(&mut self, request: &ProvisionRequest) -> Result<Provisioned, Error> {
        if let Some(instance) = self.instances.get(&request.instance_id).cloned() {
            return self.provision_again(request, &instance);
        }
        if self.has(Quirk::RefusesUsedIds) && self.operations.contains_key(&instance_key(&request.instance_id)) {
            return Err(Error::bad_request("this id was used before"));
        }
        let wanted = wanted(request);
        if self.has(Quirk::ReservesRefusedIds) {
            self.instances.insert(request.instance_id.clone(), Instance { space: "reserved".into(), ..wanted.clone() });
        }
        let (_, plan) = self.plan(&request.service_id, &request.plan_id)?;
        if !self.has(Quirk::NoParameterCheck) {
            Self::fits(plan.create_schema(), &wanted.parameters)?;
        }
        if !self.has(Quirk::NoMaintenanceCheckOnProvision) {
            self.maintained(plan, &request.maintenance_info)?;
        }
        let asynchronous = self.paced(plan, Kind::Provision, request.accepts_incomplete)?;
        let answer = response(request);
        if !asynchronous {
            self.instances.insert(request.instance_id.clone(), Instance { ready: true, ..wanted });
            return Ok(Provisioned::Created(answer));
        }
        let (order, plans) = (wanted.order(), vec![wanted.plan_id.clone()]);
        self.instances.insert(request.instance_id.clone(), wanted);
        let operation = self.start(instance_key(&request.instance_id), Kind::Provision, order, plans);
        Ok(Provisioned::Accepted(ProvisionResponse { operation: Maybe::Present(operation), ..answer }))
    }

    fn provision_again(&mut self, request: &ProvisionRequest, instance: &Instance) -> Result<Provisioned, Error> {
        if self.has(Quirk::ValidatesBeforeItCompares) && request.plan_id != instance.plan_id {
            return Err(Error::bad_request("the parameters are not those of this plan"));
        }
        let key = instance_key(&request.instance_id);
        let same = self.same_order(request, instance);
        match self.running(&key).map(|operation| operation.kind) {
            None if same => Ok(Provisioned::Existed(response(request))),
            Some(Kind::Provision) if same && self.has(Quirk::CallsRepeatsDone) => {
                Ok(Provisioned::Existed(response(request)))
            }
            Some(Kind::Provision) if same && request.accepts_incomplete => {
                let operation = Maybe::Present(self.word_again(&key));
                Ok(Provisioned::Accepted(ProvisionResponse { operation, ..response(request) }))
            }
            Some(Kind::Provision) if same => Err(Error::async_required()),
            None | Some(Kind::Provision) => {
                Err(Error::conflict("a service instance with this id has other attributes"))
            }
            Some(_) => Err(busy()),
        }
    }

    fn same_order(&self, request: &ProvisionRequest, instance: &Instance) -> bool {
        let wanted = wanted(request);
        let compared = match self.quirk {
            Some(Quirk::ConflictAnswered200) => return true,
            Some(Quirk::IgnoresParametersOfARepeat) => Instance { parameters: instance.parameters.clone(), ..wanted },
            Some(Quirk::IgnoresSpaceOfARepeat) => Instance { space: instance.space.clone(), ..wanted },
            Some(Quirk::IgnoresOrganizationOfARepeat) => {
                Instance { organization: instance.organization.clone(), ..wanted }
            }
            Some(Quirk::IgnoresPlanOfARepeat) => Instance { plan_id: instance.plan_id.clone(), ..wanted },
            Some(Quirk::ConflictWhileInProgressTaken) if !instance.ready => return true,
            Some(Quirk::RefusesRepeats) => return false,
            _ => wanted,
        };
        compared.order() == instance.order()
    }
}

fn wanted(request: &ProvisionRequest) -> Instance {
    Instance {
        service_id: request.service_id.clone(),
        plan_id: request.plan_id.clone(),
        organization: request.organization_guid.clone(),
        space: request.space_guid.clone(),
        parameters: parameters_of(&request.parameters),
        context: parameters_of(&request.context),
        ready: false,
        bindings: BTreeMap::new(),
    }
}

fn response(request: &ProvisionRequest) -> ProvisionResponse {
    ProvisionResponse {
        dashboard_url: Maybe::Present(dashboard_url(&request.instance_id)),
        metadata: Maybe::Present(metadata()),
        ..Default::default()
    }
}

pub(super) fn dashboard_url(instance_id: &str) -> String {
    format!("https://dashboard.example/instances/{}", wire::encode(instance_id))
}

pub(super) fn metadata() -> Object {
    let metadata = json!({"labels": {"exemplar.example/tier": "test"}, "attributes": {"region": "here"}});
    metadata.as_object().cloned().unwrap_or_default()
}
