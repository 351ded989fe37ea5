//! The service brokers behind all subjects, one child process for all of them: `/b/{key}/v2/…` is a broker. It answers every
//! order at once and keeps nothing, so that what is measured is what stands before it. Orders for the plan `slow-…` are
//! accepted and stay in progress for ever; how often it was asked about them is counted.
//!
//! It checks no credentials and no body. Invariant: no answer waits for anything.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::json;

use crate::Outcome;
use crate::guard::Ending;
use crate::http::Door;
use crate::process::Running;
use crate::usage::METERS;

/// The key of the broker whose catalog is large.
pub(crate) const LARGE: &str = "large";
/// The key of the broker whose plans declare meters.
pub(crate) const METERED: &str = "metered";
/// Its offerings: together more than 256 KiB.
const LARGE_OFFERINGS: usize = 300;
/// The key of the broker with as many offerings as the portal is measured with.
pub(crate) const WIDE: &str = "wide";
/// How many those are.
pub(crate) const WIDE_OFFERINGS: usize = 1000;

/// The child process.
pub(crate) struct Brokers {
    process: Running,
    url: String,
    door: Door,
}

impl Brokers {
    /// Starts it.
    pub(crate) async fn start(top: &Path) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["child", "broker"]).stdin(Stdio::null()).stdout(Stdio::null());
        let mut process = Running::start(top, "broker", command, Ending::Kill)?;
        let url = process
            .until("the brokers' process", async |said: &str| {
                said.lines().find_map(|line| line.strip_prefix("listening on ")).map(str::to_owned)
            })
            .await?;
        let door = Door::new(&url, None)?;
        Ok(Self { process, url, door })
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The URL of one broker.
    pub(crate) fn url(&self, key: &str) -> String {
        format!("{}/b/{key}", self.url)
    }

    /// Where they listen.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// How many polls they have answered.
    pub(crate) async fn polls(&self) -> Outcome<u64> {
        Ok(self.door.once(&self.door.request("GET", "/polls", None)).await?.text().parse()?)
    }
}

/// The service and plan of the one offering of a broker, as the broker itself calls them.
pub(crate) fn own_ids(key: &str, slow: bool) -> (String, String) {
    (format!("service-{key}"), format!("{}-{key}", if slow { "slow" } else { "prompt" }))
}

/// What the child does, for ever.
pub(crate) fn serve() -> Outcome<()> {
    let polls = Arc::new(AtomicU64::new(0));
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            let polls = Arc::clone(&polls);
            App::new().default_service(web::to(move |request: HttpRequest, body: web::Bytes| {
                let answer = answer(&request, &body, &polls);
                std::future::ready(answer)
            }))
        });
        let server = server.workers(2).bind("127.0.0.1:0")?;
        let address = server.addrs().first().copied().ok_or("no address")?;
        writeln!(std::io::stderr(), "listening on http://{address}")?;
        server.run().await?;
        Ok(())
    })
}

fn answer(request: &HttpRequest, body: &[u8], polls: &AtomicU64) -> HttpResponse {
    let mut parts = request.path().trim_start_matches('/').split('/');
    let (first, key, rest) = (parts.next(), parts.next(), parts.skip(1).collect::<Vec<_>>());
    if first == Some("polls") {
        return HttpResponse::Ok().body(polls.load(Ordering::Relaxed).to_string());
    }
    let (status, text): (u16, String) = match (request.method(), rest.as_slice()) {
        (&Method::GET, ["catalog"]) => (200, catalog(key.unwrap_or_default())),
        (&Method::GET, [.., "last_operation"]) => {
            polls.fetch_add(1, Ordering::Relaxed);
            (200, r#"{"state":"in progress"}"#.into())
        }
        (&Method::PUT, [_, _, "service_bindings", _]) => {
            (201, r#"{"credentials":{"username":"someone","password":"something"}}"#.into())
        }
        (&Method::PUT, [_, _]) if body.windows(6).any(|six| six == b"\"slow-") => (202, r#"{"operation":"o"}"#.into()),
        (&Method::PUT, [_, _]) => (201, "{}".into()),
        (&Method::DELETE, _) => (200, "{}".into()),
        _ => (404, "{}".into()),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).content_type("application/json").body(text)
}

fn catalog(key: &str) -> String {
    let offerings = match key {
        LARGE => LARGE_OFFERINGS,
        WIDE => WIDE_OFFERINGS,
        _ => 1,
    };
    let offering = |number: usize| {
        let key = if number == 0 { key.to_owned() } else { format!("{key}-{number}") };
        let (service, prompt) = own_ids(&key, false);
        let (_, slow) = own_ids(&key, true);
        let mut about = format!("Offering {key} of the benchmark. ");
        if number > 0 {
            (0..12).for_each(|line| about.push_str(&format!("Line {line} of what it is good for and what is in it. ")));
        }
        let declared: &[_] = if key == METERED { &METERS } else { &[] };
        let meter = |(key, kind, unit): &(&str, &str, &str)| json!({"key": key, "kind": kind, "unit": unit});
        let meters: Vec<_> = declared.iter().map(meter).collect();
        let mut plan = json!({"id": prompt, "name": "prompt", "description": "Done at once."});
        if !meters.is_empty() {
            plan["metadata"] = json!({"x-meters": meters});
        }
        json!({
            "id": service, "name": service, "description": "Answers at once.", "bindable": true,
            "metadata": {"displayName": key, "longDescription": about},
            "plans": [
                plan,
                {"id": slow, "name": "slow", "description": "Never done."},
            ],
        })
    };
    json!({"services": (0..offerings).map(offering).collect::<Vec<_>>()}).to_string()
}
