//! Requests as Cloud Foundry's Cloud Controller, the Kubernetes service catalog and the command-line client eden send them,
//! byte for byte, through a whole life: what they are answered, and what the broker behind gets. Each call must reach it with
//! ids translated, the tenant stamped, the caller's words as they were, and nothing of the caller's secrets.

mod cloudfoundry;
mod eden;
mod kubernetes;
mod waiting;

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::bench::Bench;
use crate::support::hub::Platform;
use crate::support::raw::{self, RawReply};
use crate::support::recorder::{self, Seen};

/// A platform's side of a recording: what its requests have in common.
struct Replay<'a> {
    bench: &'a Bench,
    kind: &'static str,
    /// Headers of each request.
    headers: String,
    /// What `{name}` in a recording stands for.
    words: HashMap<&'static str, String>,
}

/// On both databases, with a platform of that kind.
async fn replay(kind: &'static str, headers: &str, recording: impl AsyncFn(Replay<'_>)) {
    for on in [On::Sqlite, On::Postgres] {
        let bench = Bench::new(on).await;
        let platform = bench.hub.platform("front", kind).await;
        let mut words = HashMap::from([("basic", raw::basic(&platform))]);
        for (service, plan, name) in
            [("service", "small", "small"), ("service", "large", "large"), ("readable", "one", "readable/one")]
        {
            let (service_id, plan_id) = bench.ids(name);
            words.insert(service, service_id);
            words.insert(plan, plan_id);
        }
        recording(Replay { bench: &bench, kind, headers: headers.to_owned(), words }).await;
        bench.hub.stop().await;
    }
}

impl Replay<'_> {
    fn fill(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// Sends one recorded request: its line, and a body or nothing.
    async fn send(&self, line: &str, body: &str) -> RawReply {
        let head = format!("{line} HTTP/1.1\n{}\nAuthorization: {{basic}}", self.headers);
        let reply = raw::send(&self.bench.hub.url, &self.fill(&head), &self.fill(body)).await;
        assert_eq!(reply.header("content-type"), Some("application/json"), "CT-01: {line}");
        reply
    }

    /// Sends it and compares the whole answer.
    async fn check(&self, line: &str, body: &str, status: u16, answer: &Value) -> RawReply {
        let reply = self.send(line, body).await;
        assert_eq!(reply.status, status, "{line}: {}", reply.text);
        assert_eq!(&reply.json(), answer, "{line}");
        reply
    }

    /// What came to the broker with that verb last, once all that holds for every call has been looked at.
    async fn received(&self, verb: &str) -> Seen {
        let seen = self.bench.recorder.last(verb);
        self.check_call(&seen).await;
        seen
    }

    /// What holds for every call that a platform's request leads to.
    async fn check_call(&self, seen: &Seen) {
        let what = format!("{} {}", seen.method, seen.target);
        let own = Platform { username: recorder::USERNAME.into(), password: recorder::PASSWORD.into() };
        assert_eq!(seen.header("authorization"), Some(raw::basic(&own).as_str()), "{what}: the hub's own credentials");
        for gone in ["cookie", "x-bourse-tenant", "x-bourse-anything", "x-forwarded-for", "proxy-authorization", "te"] {
            assert_eq!(seen.header(gone), None, "{what}: {gone} does not travel on");
        }
        assert_eq!(seen.header("x-broker-api-version"), Some("2.17"), "VER-01 VER-05: the hub's own, {what}");
        assert!(seen.header("x-broker-api-request-identity").is_some_and(|id| !id.is_empty()), "RID-01: {what}");
        let identity = seen.header("x-broker-api-originating-identity").and_then(|value| value.split(' ').next());
        let stamps = seen.headers.iter().filter(|(name, _)| name == "x-bourse-stamp").count();
        assert_eq!(stamps, 1, "{what}: one stamp");
        let stamp = self.bench.stamp(&self.bench.verifier("recorder"), seen).await;
        assert_eq!((stamp.tenant.name.as_str(), stamp.tenant.cost_center.as_str()), ("retail", "4711"), "{what}");
        assert_eq!(stamp.sub, stamp.tenant.id, "{what}");
        assert_eq!((stamp.platform.name.as_str(), stamp.platform.kind.as_str()), ("front", self.kind), "{what}");
        assert_eq!(stamp.inst.as_deref(), Some(seen.instance_id().as_str()), "{what}");
        let binding = Some(seen.binding_id()).filter(|id| !id.is_empty());
        assert_eq!(stamp.bind, binding, "{what}");
        assert!(stamp.svc.as_deref().is_some_and(|id| id.starts_with("b-")), "{what}: {:?}", stamp.svc);
        assert!(stamp.plan.as_deref().is_some_and(|id| id.starts_with("b-")), "{what}: {:?}", stamp.plan);
        assert!(stamp.htu.starts_with("/base/v2/service_instances/"), "{what}: {}", stamp.htu);
        for ours in ["service", "readable", "small", "large", "one"] {
            let id = &self.words[ours];
            assert!(!seen.target.contains(id) && !seen.text().contains(id), "{what}: an id of the hub's catalog");
        }
        let body = seen.json();
        if !body.is_null() {
            let told = &body["context"]["bourse"];
            assert!(body["context"]["platform"].is_string(), "CTX-01: {what}");
            let platform = body["context"]["platform"].as_str();
            assert!(identity.is_none() || identity == platform, "OID-03: {what}, {identity:?} and {platform:?}");
            assert_eq!(told["version"], 1, "{what}");
            assert_eq!(told["tenant"]["name"], "retail", "{what}");
            assert_eq!(told["tenant"]["labels"], json!({"tier": "gold"}), "{what}");
            assert_eq!(told["platform"]["kind"], self.kind, "{what}");
            assert_eq!(told["via"], json!(["bourse"]), "{what}");
            assert_eq!(Some(told["request_id"].as_str()), Some(seen.header("x-broker-api-request-identity")), "{what}");
        }
    }

    /// All that came but the catalog; each is looked at.
    async fn check_all(&self) {
        let mut calls = 0;
        for seen in self.bench.recorder.seen() {
            if seen.verb != "catalog" {
                assert_ne!(seen.verb, "nothing", "{}", seen.target);
                self.check_call(&seen).await;
                calls += 1;
            }
        }
        assert!(calls > 4, "a life has more calls than {calls}");
    }
}
