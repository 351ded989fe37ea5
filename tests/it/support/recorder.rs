//! A service broker that is nothing but HTTP: it keeps each request as it came, headers and all, and answers what a test tells
//! it to. It knows no rule of OSB, so that a test can see what really goes over the wire and answer what no broker should.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use osb::{Call, WireRequest};
use serde_json::{Value, json};
use tokio::sync::watch;

/// What it wants to see with each request.
pub(crate) const USERNAME: &str = "hub";
pub(crate) const PASSWORD: &str = "secret-of-the-recorder";

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `catalog`, `provision`, `fetch`, `update`, `deprovision`, `last_operation`, `bind`, `fetch_binding`, `unbind`,
    /// `binding_last_operation`.
    pub(crate) verb: &'static str,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Seen {
    /// A header by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The instance's id in the path.
    pub(crate) fn instance_id(&self) -> String {
        segments(&self.target).get(2).copied().unwrap_or_default().to_owned()
    }

    /// The binding's id in the path.
    pub(crate) fn binding_id(&self) -> String {
        segments(&self.target).get(4).copied().unwrap_or_default().to_owned()
    }

    /// As a verifier of stamps wants it.
    pub(crate) fn call(&self) -> Call {
        Call {
            stamp: self.header("x-bourse-stamp").map(str::to_owned),
            wire: Some(Arc::new(WireRequest {
                method: self.method.clone(),
                path_and_query: self.target.clone(),
                body: self.body.clone(),
            })),
            ..Call::default()
        }
    }
}

/// The broker, listening. Ends when it is dropped.
pub(crate) struct Recorder {
    url: String,
    shared: Arc<Shared>,
    handle: ServerHandle,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    answers: Mutex<HashMap<String, (u16, String)>>,
    held: Mutex<HashMap<String, watch::Receiver<()>>>,
    /// Headers of answers, by verb and name.
    headers: Mutex<HashMap<(String, &'static str), String>>,
}

/// Holds back the answers to a verb: what comes is seen, and answered when this is dropped.
pub(crate) struct Held(#[expect(dead_code, reason = "held for what dropping it does")] watch::Sender<()>);

impl Recorder {
    /// Offers that catalog.
    pub(crate) fn start(catalog: &Value) -> Self {
        let shared = Arc::new(Shared::default());
        let listener = TcpListener::bind("127.0.0.1:0").expect("no port");
        let url = format!("http://{}/base", listener.local_addr().expect("an address"));
        let data = web::Data::from(Arc::clone(&shared));
        let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(answer)))
            .workers(1)
            .disable_signals()
            .listen(listener)
            .expect("could not listen")
            .run();
        let handle = server.handle();
        tokio::spawn(server);
        let recorder = Self { url, shared, handle };
        recorder.say("catalog", 200, catalog);
        recorder
    }

    /// Its URL, with a path in front of `/v2`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Answers a verb like that from now on.
    pub(crate) fn say(&self, verb: &str, status: u16, body: &Value) {
        self.say_text(verb, status, &body.to_string());
    }

    /// The same with any bytes.
    pub(crate) fn say_text(&self, verb: &str, status: u16, body: &str) {
        let mut answers = self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(verb.to_owned(), (status, body.to_owned()));
    }

    /// Answers a verb as usual again.
    pub(crate) fn usual(&self, verb: &str) {
        self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(verb);
    }

    /// Answers a verb from now on only when what this gives is dropped.
    pub(crate) fn hold(&self, verb: &str) -> Held {
        let (sender, receiver) = watch::channel(());
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner).insert(verb.to_owned(), receiver);
        Held(sender)
    }

    /// Says with answers to a verb how long to wait before asking again; or no longer.
    pub(crate) fn pace(&self, verb: &str, retry_after: Option<&str>) {
        self.header(verb, "retry-after", retry_after);
    }

    /// Gives answers to a verb an entity tag.
    pub(crate) fn tag(&self, verb: &str, etag: &str) {
        self.header(verb, "etag", Some(etag));
    }

    fn header(&self, verb: &str, name: &'static str, value: Option<&str>) {
        let mut headers = self.shared.headers.lock().unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(value) => headers.insert((verb.to_owned(), name), value.to_owned()),
            None => headers.remove(&(verb.to_owned(), name)),
        };
    }

    /// Is no longer there.
    pub(crate) async fn close(&self) {
        self.handle.stop(false).await;
    }

    /// All that came, oldest first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last request with that verb.
    pub(crate) fn last(&self, verb: &str) -> Seen {
        self.seen().into_iter().rfind(|seen| seen.verb == verb).unwrap_or_else(|| panic!("no {verb} came"))
    }

    /// How many requests with that verb came.
    pub(crate) fn count(&self, verb: &str) -> usize {
        self.seen().iter().filter(|seen| seen.verb == verb).count()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // The command is sent at once; nobody has to wait for its end.
        drop(self.handle.stop(false));
    }
}

async fn answer(request: HttpRequest, body: Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let verb = verb(request.method().as_str(), &segments(&target));
    let text = |value: &actix_web::http::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = request.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let seen = Seen { verb, method: request.method().as_str().to_owned(), target, headers, body };
    shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    let held = shared.held.lock().unwrap_or_else(PoisonError::into_inner).get(verb).cloned();
    if let Some(mut held) = held {
        // An error is what it waits for: nobody holds it any more.
        while held.changed().await.is_ok() {}
    }
    let told = shared.answers.lock().unwrap_or_else(PoisonError::into_inner).get(verb).cloned();
    let (status, body) = told.unwrap_or_else(|| usual(verb));
    let status = StatusCode::from_u16(status).expect("a status");
    let mut answer = HttpResponse::build(status);
    for ((_, name), value) in
        shared.headers.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|((of, _), _)| of == verb)
    {
        answer.insert_header((*name, value.as_str()));
    }
    answer.content_type("application/json").body(body)
}

/// What a broker that just does it would say.
fn usual(verb: &str) -> (u16, String) {
    let credentials = json!({"credentials": {"password": "of-the-binding"}});
    let (status, body) = match verb {
        "provision" => (201, json!({"dashboard_url": "https://dashboard.example/1"})),
        "bind" => (201, credentials),
        "fetch_binding" => (200, credentials),
        "last_operation" | "binding_last_operation" => (200, json!({"state": "succeeded"})),
        "nothing" => (404, json!({})),
        _ => (200, json!({})),
    };
    (status, body.to_string())
}

/// The path's parts from `v2` or `metrics` on.
fn segments(target: &str) -> Vec<&str> {
    let path = target.split('?').next().unwrap_or_default();
    path.split('/').skip_while(|part| !matches!(*part, "v2" | "metrics")).collect()
}

fn verb(method: &str, segments: &[&str]) -> &'static str {
    match (method, segments) {
        ("GET", ["v2", "catalog"]) => "catalog",
        ("PUT", ["v2", "service_instances", _]) => "provision",
        ("GET", ["v2", "service_instances", _]) => "fetch",
        ("PATCH", ["v2", "service_instances", _]) => "update",
        ("DELETE", ["v2", "service_instances", _]) => "deprovision",
        ("GET", ["v2", "service_instances", _, "last_operation"]) => "last_operation",
        ("PUT", ["v2", "service_instances", _, "service_bindings", _]) => "bind",
        ("GET", ["v2", "service_instances", _, "service_bindings", _]) => "fetch_binding",
        ("DELETE", ["v2", "service_instances", _, "service_bindings", _]) => "unbind",
        ("GET", ["v2", "service_instances", _, "service_bindings", _, "last_operation"]) => "binding_last_operation",
        ("GET", ["metrics", "gauges", _]) => "gauges",
        ("GET", ["metrics", "periodic_counters", _]) => "periodic_counters",
        ("GET", ["metrics", "sampling_counters", _]) => "sampling_counters",
        _ => "nothing",
    }
}
