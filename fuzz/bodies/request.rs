//! A platform's request, as HTTP writes it: the line with method and path, headers, an empty line, the body. It goes through
//! the whole of `osb::server`, in front of a broker that looks at what it is asked.

use std::sync::Arc;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::rt::Runtime;
use actix_web::{App, body, test};
use async_trait::async_trait;
use osb::server::{Open, Server};
use osb::*;
use serde_json::Value;

use super::head_and_rest;

/// Every request has an answer that OSB gives a meaning, a JSON object, and never 500; what the broker is asked is what came in.
pub fn request(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (head, body) = head_and_rest(&text);
    let mut lines = head.lines();
    let Some(request) = lines.next().and_then(start) else { return };
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
    });
    let request = headers.fold(request, |request, header| request.append_header(header));
    let request = request.set_payload(body.to_owned());
    let (status, answer) = Runtime::new().expect("a runtime").block_on(async {
        let server = Server::new(Open::new(Arc::new(Looking { body: body.to_owned() })));
        let app = test::init_service(App::new().configure(server.configure())).await;
        let response = test::call_service(&app, request.to_request()).await;
        let status = response.status().as_u16();
        (status, body::to_bytes(response.into_body()).await.unwrap_or_default())
    });
    let known = [200, 201, 202, 304, 400, 404, 405, 410, 412, 413, 414, 422, 431];
    assert!(known.contains(&status), "{status}: {}", String::from_utf8_lossy(&answer));
    assert!(answer.is_empty() || serde_json::from_slice::<Object>(&answer).is_ok(), "{status}: no JSON object");
    assert!(status < 400 || status == 405 || !answer.is_empty(), "{status} without a word");
}

/// The request that a first line means, where it could come in over HTTP at all and is not for others than `/v2`.
fn start(line: &str) -> Option<test::TestRequest> {
    let (method, path) = line.split_once(' ')?;
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    path.parse::<Uri>().ok().filter(|uri| path.starts_with("/v2/") && uri.path().starts_with("/v2/"))?;
    Some(test::TestRequest::with_uri(path).method(method))
}

/// A broker that refuses nothing and panics where it is not asked what came in: `osb::server` answers that with 500.
struct Looking {
    body: String,
}

impl Looking {
    /// Written again, a request is what it was: nothing is lost, nothing made up, also with ids that are hard to carry.
    fn look(&self, call: &Call, again: WireRequest) {
        let came = call.wire.as_ref().expect("a server says what came in");
        assert_eq!(came.body, self.body);
        assert_eq!(again.method, came.method);
        let path = |wire: &WireRequest| {
            let path = wire.path_and_query.split('?').next().unwrap_or_default();
            path.split('/').map(|segment| wire::decode(segment).expect("it was read")).collect::<Vec<_>>()
        };
        assert_eq!(path(&again), path(came));
        if matches!(came.method.as_str(), "PUT" | "PATCH") {
            let json = |wire: &WireRequest| serde_json::from_slice::<Value>(&wire.body).expect("it was read");
            assert_eq!(json(&again), json(came));
        }
    }
}

#[async_trait]
impl ServiceBroker for Looking {
    async fn catalog(&self, _call: &Call) -> Result<CatalogDocument, Error> {
        Ok(CatalogDocument { json: "{\"services\":[]}".into(), etag: Some("\"tag\"".to_owned()) })
    }

    async fn provision(&self, call: &Call, request: ProvisionRequest) -> Result<Provisioned, Error> {
        assert!(![&request.service_id, &request.plan_id, &request.instance_id].map(String::is_empty).contains(&true));
        self.look(call, WireRequest::from(&request));
        Ok(Provisioned::Created(ProvisionResponse::default()))
    }

    async fn fetch_instance(&self, call: &Call, request: FetchInstanceRequest) -> Result<FetchInstanceResponse, Error> {
        self.look(call, WireRequest::from(&request));
        Ok(FetchInstanceResponse::default())
    }

    async fn instance_operation(&self, call: &Call, request: InstanceOperationRequest) -> Result<LastOperation, Error> {
        self.look(call, WireRequest::from(&request));
        Err(Error::gone())
    }

    async fn update(&self, call: &Call, request: UpdateRequest) -> Result<Updated, Error> {
        assert!(!request.service_id.is_empty());
        self.look(call, WireRequest::from(&request));
        Ok(Updated::Done(UpdateResponse::default()))
    }

    async fn deprovision(&self, call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, Error> {
        assert!(!request.service_id.is_empty() && !request.plan_id.is_empty());
        self.look(call, WireRequest::from(&request));
        Ok(Deprovisioned::Done(Object::new()))
    }

    async fn bind(&self, call: &Call, request: BindRequest) -> Result<Bound, Error> {
        let rotation = request.predecessor_binding_id.as_option().is_some();
        assert!(rotation || (request.service_id.as_option().is_some() && request.plan_id.as_option().is_some()));
        self.look(call, WireRequest::from(&request));
        Ok(Bound::Existed(BindResponse::default()))
    }

    async fn fetch_binding(&self, call: &Call, request: FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        self.look(call, WireRequest::from(&request));
        Ok(FetchBindingResponse::default())
    }

    async fn binding_operation(&self, call: &Call, request: BindingOperationRequest) -> Result<LastOperation, Error> {
        self.look(call, WireRequest::from(&request));
        Err(Error::gone())
    }

    async fn unbind(&self, call: &Call, request: UnbindRequest) -> Result<Unbound, Error> {
        self.look(call, WireRequest::from(&request));
        Err(Error::concurrency("busy"))
    }
}
