//! A server that expects a list of calls, checks each, and answers as written.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::Value;

/// A call that is expected, and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) call: String,
    pub(crate) authorization: String,
    /// Fields that the body must have with these values; `Null`: no body.
    pub(crate) body: Value,
    /// 0: none at all.
    pub(crate) status: u16,
    pub(crate) answer: Value,
}

#[derive(Default)]
struct Script {
    expected: VecDeque<Exchange>,
    wrong: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Scripted {
    script: Arc<Mutex<Script>>,
    pub(crate) url: String,
}

/// Whether `there` has all that `wanted` has.
fn holds(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| there.get(name).is_some_and(|found| holds(found, value)))
        }
        (there, wanted) => wanted == "*" || there == wanted,
    }
}

impl Scripted {
    pub(crate) fn start() -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        let server = HttpServer::new(move || {
            let shared = Arc::clone(&shared);
            App::new().default_service(web::to(move |request: HttpRequest, body: web::Bytes| {
                let (status, answer) = next(&shared, &request, &body);
                async move {
                    match StatusCode::from_u16(status) {
                        Ok(status) if answer.is_null() => HttpResponse::new(status),
                        Ok(status) => HttpResponse::build(status).json(answer),
                        Err(_) => std::future::pending().await,
                    }
                }
            }))
        });
        let server = server.workers(1).disable_signals().shutdown_timeout(0).bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        tokio::spawn(server.run());
        Self { script, url }
    }

    /// Expects these next.
    pub(crate) fn expect(&self, exchanges: impl IntoIterator<Item = Exchange>) {
        self.script.lock().unwrap().expected.extend(exchanges);
    }

    /// All that was expected came, and nothing else.
    #[track_caller]
    pub(crate) fn done(&self) {
        let script = self.script.lock().unwrap();
        assert_eq!(script.wrong, Vec::<String>::new());
        assert!(script.expected.is_empty(), "did not come: {:#?}", script.expected);
    }
}

fn next(script: &Mutex<Script>, request: &HttpRequest, body: &[u8]) -> (u16, Value) {
    let mut script = script.lock().unwrap();
    let call = format!("{} {}", request.method(), request.uri());
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sent: Value = if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap() };
    let Some(expected) = script.expected.pop_front() else {
        script.wrong.push(format!("nothing more was expected, but {call} {sent}"));
        return (418, Value::Null);
    };
    let authorized = header == expected.authorization
        || (expected.authorization.ends_with('*') && header.starts_with(expected.authorization.trim_end_matches('*')));
    let body_fits = if expected.body.is_null() { sent.is_null() } else { holds(&sent, &expected.body) };
    if call != expected.call || !authorized || !body_fits {
        script.wrong.push(format!("expected {expected:#?}, but {call} {header} {sent:#}"));
        return (418, Value::Null);
    }
    (expected.status, expected.answer)
}
