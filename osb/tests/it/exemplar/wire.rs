//! The exemplar on the network, with a layer between it and its callers in which a fault may change a request, an answer, or
//! answer by itself.
//!
//! Without a fault the layer passes everything on as it is. It keeps nothing between requests.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{StatusCode, Uri};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpMessage as _, HttpResponse, HttpServer, body};
use bytes::Bytes;
use futures_util::StreamExt as _;
use osb::ServiceBroker;
use osb::server::{BasicAuth, Server};
use serde_json::Value;

use super::{Exemplar, PASSWORD, Quirk, USERNAME};

const REQUEST_IDENTITY: &str = "x-broker-api-request-identity";

/// Where a fault sits.
#[derive(Clone, Copy)]
pub(crate) enum Site {
    /// Nowhere: the broker is correct.
    Nowhere,
    /// In the broker.
    Broker(Quirk),
    /// In the answers of a broker that makes a choice of its own.
    Chosen(Quirk, fn(&Request, &mut Answer)),
    /// The broker sees another request than was sent.
    Request(fn(&mut Request)),
    /// The caller sees another answer than was given.
    Answer(fn(&Request, &mut Answer)),
    /// The broker is not even asked.
    Instead(fn(&Request) -> Option<Answer>),
    /// In what the catalog says of the offering of that place.
    Offering(usize, fn(&mut Value)),
    /// In what is said of a binding that is made, by whichever answer.
    Binding(fn(&mut Answer)),
}

/// The ten endpoints, and whatever else is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Catalog,
    Provision,
    Fetch,
    Poll,
    Update,
    Deprovision,
    Bind,
    FetchBinding,
    PollBinding,
    Unbind,
    Other,
}

/// A request as it came.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer as it goes.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn endpoint(&self) -> Endpoint {
        let segments: Vec<&str> = self.path.split('/').skip(2).collect();
        match (self.method.as_str(), segments.as_slice()) {
            ("GET", ["catalog"]) => Endpoint::Catalog,
            ("PUT", ["service_instances", _]) => Endpoint::Provision,
            ("GET", ["service_instances", _]) => Endpoint::Fetch,
            ("PATCH", ["service_instances", _]) => Endpoint::Update,
            ("DELETE", ["service_instances", _]) => Endpoint::Deprovision,
            ("GET", ["service_instances", _, "last_operation"]) => Endpoint::Poll,
            ("PUT", ["service_instances", _, "service_bindings", _]) => Endpoint::Bind,
            ("GET", ["service_instances", _, "service_bindings", _]) => Endpoint::FetchBinding,
            ("DELETE", ["service_instances", _, "service_bindings", _]) => Endpoint::Unbind,
            ("GET", ["service_instances", _, "service_bindings", _, "last_operation"]) => Endpoint::PollBinding,
            _ => Endpoint::Other,
        }
    }

    pub(crate) fn is(&self, endpoint: Endpoint) -> bool {
        self.endpoint() == endpoint
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn set_header(&mut self, name: &'static str, value: &str) {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }

    /// The body, `null` where it is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Changes the body where it is a JSON object.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut osb::Object)) {
        if let Value::Object(mut object) = self.json() {
            change(&mut object);
            self.body = Value::Object(object).to_string().into();
        }
    }

    /// The first value of that name in the query, as it stands there.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name)).map(|(_, v)| v)
    }

    /// Sets that name in the query, in place of whatever it held.
    pub(crate) fn set_query(&mut self, name: &str, value: &str) {
        let others = self.query.split('&').filter(|pair| pair.split('=').next() != Some(name) && !pair.is_empty());
        let others: Vec<String> = others.map(str::to_owned).collect();
        self.query = [others, vec![format!("{name}={value}")]].concat().join("&");
    }

    /// Whether it came with the right credentials.
    pub(crate) fn is_authorized(&self) -> bool {
        self.header("authorization") == Some(authorization().as_str())
    }
}

impl Answer {
    pub(crate) fn new(status: u16, body: &Value) -> Self {
        let mut answer = Self { status, headers: HeaderMap::new(), body: body.to_string().into() };
        answer.set_header("content-type", "application/json");
        answer
    }

    pub(crate) fn text(status: u16, text: &'static str) -> Self {
        let mut answer = Self { status, headers: HeaderMap::new(), body: Bytes::from_static(text.as_bytes()) };
        answer.set_header("content-type", "text/html");
        answer
    }

    pub(crate) fn set_header(&mut self, name: &'static str, value: &str) {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Changes the body, whatever JSON it is.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        if let Ok(mut value) = serde_json::from_slice(&self.body) {
            change(&mut value);
            self.body = value.to_string().into();
        }
    }

    /// Answers something else, under the same request identity.
    pub(crate) fn replace(&mut self, other: Self) {
        self.status = other.status;
        self.body = other.body;
        for (name, value) in other.headers {
            self.headers.insert(name, value);
        }
    }

    /// Sets one field of the body, where that is an object.
    pub(crate) fn set(&mut self, field: &str, value: Value) {
        self.edit(|body| {
            if let Some(object) = body.as_object_mut() {
                object.insert(field.to_owned(), value);
            }
        });
    }

    pub(crate) fn is_error(&self) -> bool {
        self.status >= 400
    }
}

/// `Authorization` of who may call.
pub(crate) fn authorization() -> String {
    use base64::Engine as _;
    let pair = format!("{USERNAME}:{PASSWORD}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// A broker that listens. Dropping it stops it.
pub(crate) struct Running {
    pub(crate) broker: Arc<Exemplar>,
    address: SocketAddr,
    handle: ServerHandle,
}

impl Running {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The command is sent at once; only waiting for its effect would need the future.
        drop(self.handle.stop(false));
    }
}

/// A broker with that fault, on a port of its own.
pub(crate) fn serve(site: Site) -> Running {
    let broker = match site {
        Site::Broker(quirk) | Site::Chosen(quirk, _) => Exemplar::new(Some(quirk)),
        _ => Exemplar::new(None),
    };
    let inner: Arc<dyn ServiceBroker> = Arc::<Exemplar>::clone(&broker);
    let server = Server::new(BasicAuth::new(inner, USERNAME, PASSWORD)).realm("exemplar");
    let server = HttpServer::new(move || {
        let layer = from_fn(move |request: ServiceRequest, next: Next<BoxBody>| pass(site, request, next));
        App::new().wrap(layer).configure(server.configure())
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    Running { broker, address, handle }
}

async fn pass(
    site: Site,
    mut incoming: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let mut request = read(&mut incoming).await;
    if let Site::Request(change) = site {
        change(&mut request);
    }
    if let Site::Instead(answer) = site
        && let Some(mut answer) = answer(&request)
    {
        if let Some(identity) = request.headers.get(REQUEST_IDENTITY) {
            answer.headers.insert(HeaderName::from_static(REQUEST_IDENTITY), identity.clone());
        }
        return Ok(incoming.into_response(write(answer)));
    }
    hand_over(&mut incoming, &request);
    let response = next.call(incoming).await?;
    if !matches!(site, Site::Answer(_) | Site::Chosen(..) | Site::Offering(..) | Site::Binding(_)) {
        return Ok(response);
    }
    let (http, response) = response.into_parts();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = body::to_bytes(response.into_body()).await.unwrap_or_default();
    let mut answer = Answer { status, headers, body };
    match site {
        Site::Answer(change) | Site::Chosen(_, change) => change(&request, &mut answer),
        Site::Offering(place, change) if request.is(Endpoint::Catalog) && answer.status == 200 => {
            answer.edit(|catalog| change(&mut catalog["services"][place]));
        }
        Site::Binding(change) if matches!(answer.status, 200 | 201) => {
            if matches!(request.endpoint(), Endpoint::Bind | Endpoint::FetchBinding) {
                change(&mut answer);
            }
        }
        _ => {}
    }
    Ok(ServiceResponse::new(http, write(answer)))
}

async fn read(incoming: &mut ServiceRequest) -> Request {
    let mut payload = incoming.take_payload();
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        body.extend_from_slice(&chunk.unwrap_or_default());
    }
    Request {
        method: incoming.method().as_str().to_owned(),
        path: incoming.uri().path().to_owned(),
        query: incoming.uri().query().unwrap_or_default().to_owned(),
        headers: incoming.headers().clone(),
        body: body.into(),
    }
}

fn hand_over(incoming: &mut ServiceRequest, request: &Request) {
    incoming.set_payload(Payload::from(request.body.clone()));
    *incoming.headers_mut() = request.headers.clone();
    let question = if request.query.is_empty() { "" } else { "?" };
    let target = format!("{}{question}{}", request.path, request.query);
    if incoming.uri().path_and_query().is_none_or(|sent| sent.as_str() != target) {
        let uri: Uri = target.parse().unwrap();
        incoming.match_info_mut().get_mut().update(&uri);
        incoming.head_mut().uri = uri;
    }
}

fn write(answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap();
    let mut response = HttpResponse::with_body(status, BoxBody::new(answer.body));
    *response.headers_mut() = answer.headers;
    response
}
