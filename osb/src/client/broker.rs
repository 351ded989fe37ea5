//! The client as a broker: encode, send, decode.
//!
//! Ids that no path can carry (`""`, `.`, `..`) are refused as a server would refuse them.

use async_trait::async_trait;

use super::{Client, decode};
use crate::{
    BindRequest, BindingOperationRequest, Bound, Call, CatalogDocument, DeprovisionRequest, Deprovisioned, Error,
    FetchBindingRequest, FetchBindingResponse, FetchInstanceRequest, FetchInstanceResponse, InstanceOperationRequest,
    LastOperation, ProvisionRequest, Provisioned, ServiceBroker, UnbindRequest, Unbound, UpdateRequest, Updated,
    WireRequest, WireResponse,
};

impl Client {
    async fn ask(&self, call: &Call, ids: &[&str], request: WireRequest) -> Result<WireResponse, Error> {
        if ids.iter().any(|id| matches!(*id, "" | "." | "..")) {
            return Err(Error::bad_request("an id must be a non-empty string and neither `.` nor `..`"));
        }
        Ok(self.send(call, &request).await?)
    }
}

#[async_trait]
impl ServiceBroker for Client {
    async fn catalog(&self, call: &Call) -> Result<CatalogDocument, Error> {
        let response = self.ask(call, &[], super::encode::catalog()).await?;
        Ok(decode::catalog(&response)?)
    }

    async fn provision(&self, call: &Call, request: ProvisionRequest) -> Result<Provisioned, Error> {
        let response = self.ask(call, &[&request.instance_id], WireRequest::from(&request)).await?;
        Ok(decode::provision(&response)?)
    }

    async fn fetch_instance(&self, call: &Call, request: FetchInstanceRequest) -> Result<FetchInstanceResponse, Error> {
        let response = self.ask(call, &[&request.instance_id], WireRequest::from(&request)).await?;
        Ok(decode::fetch_instance(&response)?)
    }

    async fn instance_operation(&self, call: &Call, request: InstanceOperationRequest) -> Result<LastOperation, Error> {
        let response = self.ask(call, &[&request.instance_id], WireRequest::from(&request)).await?;
        Ok(decode::last_operation(&response)?)
    }

    async fn update(&self, call: &Call, request: UpdateRequest) -> Result<Updated, Error> {
        let response = self.ask(call, &[&request.instance_id], WireRequest::from(&request)).await?;
        Ok(decode::update(&response)?)
    }

    async fn deprovision(&self, call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, Error> {
        let response = self.ask(call, &[&request.instance_id], WireRequest::from(&request)).await?;
        Ok(decode::deprovision(&response)?)
    }

    async fn bind(&self, call: &Call, request: BindRequest) -> Result<Bound, Error> {
        let ids = [request.instance_id.as_str(), &request.binding_id];
        let response = self.ask(call, &ids, WireRequest::from(&request)).await?;
        Ok(decode::bind(&response)?)
    }

    async fn fetch_binding(&self, call: &Call, request: FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        let ids = [request.instance_id.as_str(), &request.binding_id];
        let response = self.ask(call, &ids, WireRequest::from(&request)).await?;
        Ok(decode::fetch_binding(&response)?)
    }

    async fn binding_operation(&self, call: &Call, request: BindingOperationRequest) -> Result<LastOperation, Error> {
        let ids = [request.instance_id.as_str(), &request.binding_id];
        let response = self.ask(call, &ids, WireRequest::from(&request)).await?;
        Ok(decode::last_operation(&response)?)
    }

    async fn unbind(&self, call: &Call, request: UnbindRequest) -> Result<Unbound, Error> {
        let ids = [request.instance_id.as_str(), &request.binding_id];
        let response = self.ask(call, &ids, WireRequest::from(&request)).await?;
        Ok(decode::unbind(&response)?)
    }
}
