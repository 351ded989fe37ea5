//! Fetching instances and bindings: asked of the backend where its offering says that it can be asked, else from memory.

use osb::client::{Failure, decode};
use osb::{Call, FetchBindingRequest, FetchBindingResponse, FetchInstanceRequest, FetchInstanceResponse, Maybe};

use super::bind::binding_presence;
use super::drive::Origin;
use super::order::{self, Orderer};
use super::sealed;
use super::{App, Error};
use crate::backend::Purpose;
use crate::domain::catalog::PlanEntry;
use crate::domain::instance::{BindingAttributes, BindingState, InstanceAttributes, InstanceState, Presence, presence};
use crate::domain::stamp::StampFacts;
use crate::store::bindings::BindingRow;
use crate::store::instances::InstanceRow;

impl App {
    /// An instance as it stands ("Fetching a Service Instance").
    ///
    /// # Errors
    /// 404 where there is none or it is still being made, 422 while it is being changed.
    pub async fn fetch_instance(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: &FetchInstanceRequest,
    ) -> Result<FetchInstanceResponse, Error> {
        let missing = || Error::from(osb::Error::not_found("the service instance does not exist"));
        let row = self.current_instance(orderer, &request.instance_id).await?;
        let row = row
            .filter(|row| presence(row.state, row.operation_id.is_some()) == Presence::Live && row.ready_at.is_some())
            .ok_or_else(missing)?;
        if row.state != InstanceState::Ready {
            return Err(osb::Error::concurrency("the service instance is being changed; try again later").into());
        }
        let plan = self.plan_of(&row).await?;
        let mut response = if plan.offering.instances_retrievable.as_option() == Some(&true) {
            let asked = osb::WireRequest::from(&FetchInstanceRequest {
                instance_id: row.id.clone(),
                service_id: Some(plan.offering_backend_id.clone()),
                plan_id: Some(plan.plan_backend_id.clone()),
            });
            let answer = self.ask_backend(&row, &plan, None, call, &asked).await?.map_err(as_gateway)?;
            self.told_by_names(&row, &plan, decode::fetch_instance(&answer).map_err(as_gateway)?)?
        } else {
            self.remembered(&row)?
        };
        response.service_id = Maybe::Present(row.offering_id.clone());
        response.plan_id = Maybe::Present(row.plan_id.clone());
        Ok(response)
    }

    /// With the names that were ordered where the backend tells the ids that it got in their place.
    fn told_by_names(
        &self,
        row: &InstanceRow,
        plan: &PlanEntry,
        mut response: FetchInstanceResponse,
    ) -> Result<FetchInstanceResponse, Error> {
        let declared = plan.references_at_update();
        if let (false, Maybe::Present(told)) = (declared.is_empty(), &mut response.parameters) {
            let ordered: InstanceAttributes = self.open(&sealed::instance_attributes(&row.id), &row.attributes)?;
            *told = declared.with_names(told, &ordered.parameters, &ordered.references);
        }
        Ok(response)
    }

    fn remembered(&self, row: &InstanceRow) -> Result<FetchInstanceResponse, Error> {
        let mut response: FetchInstanceResponse = serde_json::from_str(&row.answer).unwrap_or_default();
        let attributes: InstanceAttributes = self.open(&sealed::instance_attributes(&row.id), &row.attributes)?;
        response.parameters = Maybe::Present(attributes.parameters);
        Ok(response)
    }

    /// A binding as it stands ("Fetching a Service Binding").
    ///
    /// # Errors
    /// 404 where there is none or it is still being made.
    pub async fn fetch_binding(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: &FetchBindingRequest,
    ) -> Result<FetchBindingResponse, Error> {
        let missing = || Error::from(osb::Error::not_found("the service binding does not exist"));
        let instance = self.current_instance(orderer, &request.instance_id).await?.ok_or_else(missing)?;
        let row = self.current_binding(&instance, &request.binding_id).await?;
        let row =
            row.filter(|row| binding_presence(row) == Presence::Live && row.ready_at.is_some()).ok_or_else(missing)?;
        let plan = self.plan_of(&instance).await?;
        if plan.offering.bindings_retrievable.as_option() == Some(&true) {
            return self.fetched(&instance, &plan, &row, call).await;
        }
        if row.state != BindingState::Ready {
            return Err(missing());
        }
        let attributes: BindingAttributes = self.open(&sealed::binding_attributes(&row.id), &row.attributes)?;
        let binding = self.binding_answer(&instance, &plan, &row, call).await?;
        Ok(FetchBindingResponse { parameters: Maybe::Present(attributes.parameters), binding })
    }

    pub(in crate::app) async fn fetched(
        &self,
        instance: &InstanceRow,
        plan: &PlanEntry,
        row: &BindingRow,
        call: &Call,
    ) -> Result<FetchBindingResponse, Error> {
        let asked = osb::WireRequest::from(&FetchBindingRequest {
            instance_id: instance.id.clone(),
            binding_id: row.id.clone(),
            service_id: Some(plan.offering_backend_id.clone()),
            plan_id: Some(plan.plan_backend_id.clone()),
        });
        let answer = self.ask_backend(instance, plan, Some(&row.id), call, &asked).await?.map_err(as_gateway)?;
        decode::fetch_binding(&answer).map_err(as_gateway)
    }

    /// A question to a backend about an instance or binding that is there. The outer error is the hub's own: nothing was sent.
    pub(in crate::app) async fn ask_backend(
        &self,
        instance: &InstanceRow,
        plan: &PlanEntry,
        binding_id: Option<&str>,
        call: &Call,
        request: &osb::WireRequest,
    ) -> Result<Result<osb::WireResponse, Failure>, Error> {
        let unreachable = || osb::Error::unavailable("the service broker cannot be reached at the moment", 10);
        let backend = self.backends().get(&plan.broker_id).ok_or_else(unreachable)?;
        let (tenant, platform) = (self.tenant(&instance.tenant_id).await?, self.platform(&instance.platform_id).await?);
        let mut facts = StampFacts::of(&tenant, &platform);
        facts.via = self.via(Vec::new());
        facts.inst = Some(instance.id.clone());
        facts.bind = binding_id.map(str::to_owned);
        facts.svc = Some(plan.offering_backend_id.clone());
        facts.plan = Some(plan.plan_backend_id.clone());
        let origin = Origin {
            originating_identity: call.originating_identity.as_ref().map(|identity| identity.0.clone()),
            request_identity: order::request_identity(call),
            traceparent: call.traceparent.clone(),
        };
        let call = self.backend_call(&backend, request, &facts, &origin).await?;
        Ok(self.send_to(&backend, &call, request, Purpose::Ask).await)
    }
}

/// A failure to ask, as a platform may see it: never the backend's own 401 or 5xx, no host names.
pub(in crate::app) fn as_gateway(failure: Failure) -> Error {
    let error = match failure {
        Failure::Rejected(error) if matches!(error.status, 404 | 410) => {
            osb::Error::not_found("the service broker does not know it")
        }
        Failure::Rejected(mut error) if error.is_reserved() => {
            // What OSB lets only updates and deprovisions say.
            error.body.instance_usable = Maybe::Absent;
            error.body.update_repeatable = Maybe::Absent;
            error
        }
        Failure::Rejected(error) => {
            osb::Error::bad_request(error.description().unwrap_or("the service broker refused").to_owned())
        }
        Failure::NotSent { .. } => osb::Error::unavailable("the service broker cannot be reached at the moment", 10),
        Failure::Unknown { reason: osb::client::UnknownReason::Timeout, .. } => {
            osb::Error::gateway_timeout("the service broker did not answer in time")
        }
        Failure::Unknown { reason, .. } => osb::Error::bad_gateway(format!("the service broker failed: {reason}")),
        Failure::Protocol { error } => osb::Error::bad_gateway(format!("the service broker answered {}", error.status)),
    };
    Error::Broker(error)
}
