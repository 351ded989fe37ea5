//! A complete service broker: an instance is a project, a binding an API key for it. `cargo run --example custom_broker`, then
//! `curl -u admin:secret -H 'X-Broker-API-Version: 2.17' http://127.0.0.1:8081/v2/catalog`.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use osb::server::{BasicAuth, Server};
use osb::*;
use serde_json::json;
use tokio::sync::Mutex;

const SERVICE: &str = "889aabc6-68e3-499e-8431-26e9d13f4fdb";
const PLAN: &str = "b780b523-d269-44a2-8dea-688ef24e1d9b";

type Project = (ProvisionRequest, HashMap<String, String>);
/// By instance id, what was ordered and the keys by binding id. A real broker keeps this in a database.
#[derive(Default)]
struct ApiKeys(Mutex<HashMap<String, Project>>);

fn credentials(key: &str) -> BindResponse {
    let credentials = Object::from_iter([("api_key".into(), key.into())]);
    BindResponse { credentials: Maybe::Present(credentials), ..Default::default() }
}

#[async_trait]
impl ServiceBroker for ApiKeys {
    async fn catalog(&self, _: &Call) -> Result<CatalogDocument, Error> {
        let plan = json!({"id": PLAN, "name": "free", "description": "As many keys as you like"});
        let json = json!({"services": [{"id": SERVICE, "name": "api-keys", "description": "Keys for our API",
            "bindable": true, "instances_retrievable": true, "bindings_retrievable": true, "plans": [plan]}]});
        Ok(CatalogDocument { json: json.to_string().into(), etag: None })
    }

    async fn provision(&self, _: &Call, request: ProvisionRequest) -> Result<Provisioned, Error> {
        if request.service_id != SERVICE || request.plan_id != PLAN {
            return Err(Error::bad_request("there is no such plan"));
        }
        let mut projects = self.0.lock().await;
        let existed = projects.contains_key(&request.instance_id);
        let (there, _) = projects.entry(request.instance_id.clone()).or_insert((request.clone(), HashMap::new()));
        let asked = |r: &ProvisionRequest| (r.parameters.clone(), r.organization_guid.clone(), r.space_guid.clone());
        if asked(there) != asked(&request) {
            return Err(Error::conflict("this id is taken by another order"));
        }
        Ok(if existed { Provisioned::Existed } else { Provisioned::Created }(ProvisionResponse::default()))
    }

    async fn fetch_instance(&self, _: &Call, request: FetchInstanceRequest) -> Result<FetchInstanceResponse, Error> {
        let projects = self.0.lock().await;
        let (there, _) = projects.get(&request.instance_id).ok_or_else(|| Error::not_found("no such instance"))?;
        Ok(FetchInstanceResponse { parameters: there.parameters.clone(), ..Default::default() })
    }

    async fn update(&self, _: &Call, _: UpdateRequest) -> Result<Updated, Error> {
        Err(Error::unprocessable("Unchangeable", "a project can't be changed"))
    }

    async fn deprovision(&self, _: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, Error> {
        self.0.lock().await.remove(&request.instance_id).ok_or_else(Error::gone)?;
        Ok(Deprovisioned::Done(Object::new()))
    }

    async fn bind(&self, _: &Call, request: BindRequest) -> Result<Bound, Error> {
        let mut projects = self.0.lock().await;
        let (_, keys) = projects.get_mut(&request.instance_id).ok_or_else(|| Error::not_found("no such instance"))?;
        let existed = keys.contains_key(&request.binding_id);
        let key = keys.entry(request.binding_id).or_insert_with(|| uuid::Uuid::new_v4().simple().to_string());
        Ok(if existed { Bound::Existed(credentials(key)) } else { Bound::Created(credentials(key)) })
    }

    async fn fetch_binding(&self, _: &Call, request: FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        let projects = self.0.lock().await;
        let key = projects.get(&request.instance_id).and_then(|(_, keys)| keys.get(&request.binding_id));
        let binding = credentials(key.ok_or_else(|| Error::not_found("no such binding"))?);
        Ok(FetchBindingResponse { binding, ..Default::default() })
    }

    async fn unbind(&self, _: &Call, request: UnbindRequest) -> Result<Unbound, Error> {
        let mut projects = self.0.lock().await;
        let (_, keys) = projects.get_mut(&request.instance_id).ok_or_else(Error::gone)?;
        keys.remove(&request.binding_id).map(|_| Unbound::Done(Object::new())).ok_or_else(Error::gone)
    }

    async fn instance_operation(&self, _: &Call, _: InstanceOperationRequest) -> Result<LastOperation, Error> {
        Err(Error::not_found("everything here is done at once"))
    }

    async fn binding_operation(&self, _: &Call, _: BindingOperationRequest) -> Result<LastOperation, Error> {
        Err(Error::not_found("everything here is done at once"))
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let door = BasicAuth::new(Arc::new(ApiKeys::default()), "admin", "secret");
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    Server::new(door).bind(address)?.await
}
