//! A hub that dies at one of its writes, before or after it (not all have their turn, for time), whoever writes: orders, bindings, a rotation, updates, deletions,
//! clean-up, adoption, registration, approvals, the numbering of events and their delivery. Another is started on the same database, the
//! client sends again what got no answer, and the end is that of a run that nobody disturbed. And the same with each request
//! sent twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bourse::config::Sink;
use bourse::store::fuse::Fuse;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::interval;

use crate::support::bare::On;
use crate::support::dump::{count, dump, is_quiet};
use crate::support::hub::{BOUND, Hub, Platform, Reply, World, request, try_request};
use crate::support::site::UNNUMBERED;
use crate::support::wait::wait_until;

/// How often a request is sent before it is taken for settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Once,
    Twice,
}

/// A hub, and whoever orders from it.
struct Story {
    world: World,
    hub: Option<Hub>,
    fuse: Fuse,
    platform: Platform,
    manner: Manner,
    told: PathBuf,
    _folder: tempfile::TempDir,
}

impl Story {
    async fn begin(on: On, after: bool, manner: Manner) -> Self {
        let folder = tempfile::tempdir().expect("no temporary directory");
        let told = folder.path().join("events.jsonl");
        let sink = Sink::File { name: "log".into(), path: told.clone() };
        let world = World::new(on, |config| {
            config.server.drain = Duration::ZERO;
            config.events.sinks = vec![sink];
        })
        .await;
        let fuse = Fuse::new(after);
        let hub = world.hub_with_fuse(fuse.clone()).await;
        let platform = world.furnish(&hub).await;
        Self { world, hub: Some(hub), fuse, platform, manner, told, _folder: folder }
    }

    fn hub(&self) -> &Hub {
        self.hub.as_ref().expect("a hub")
    }

    /// Starts the next hub, if this one has died.
    async fn revive(&mut self) -> bool {
        if !self.fuse.has_blown() {
            return false;
        }
        self.hub.take().expect("a hub").abandon().await;
        self.world.bury_the_dead().await;
        self.fuse = Fuse::new(false);
        self.hub = Some(self.world.hub_with_fuse(self.fuse.clone()).await);
        true
    }

    /// Sends a request until a hub that lives has answered it.
    async fn send(&mut self, method: Method, path: &str, body: Option<Value>, good: &[u16]) -> Reply {
        let mut reply = self.answered(&method, path, body.as_ref()).await;
        if self.manner == Manner::Twice {
            reply = self.answered(&method, path, body.as_ref()).await;
        }
        assert!(good.contains(&reply.status), "{method} {path}: {reply:?}");
        reply
    }

    async fn answered(&mut self, method: &Method, path: &str, body: Option<&Value>) -> Reply {
        loop {
            let (url, fuse) = (format!("{}{path}", self.hub().url), self.fuse.clone());
            let (username, password) = match path.starts_with("/v2/") {
                true => (self.platform.username.as_str(), self.platform.password.as_str()),
                false => ("admin", "pw"),
            };
            let dead = async {
                let mut ticks = interval(Duration::from_millis(10));
                while !fuse.has_blown() {
                    ticks.tick().await;
                }
            };
            let reply = tokio::select! {
                reply = try_request(method.clone(), &url, Some((username, password)), body.cloned()) => reply,
                () = dead => None,
            };
            if !self.revive().await {
                return reply.expect("a hub that lives answers");
            }
        }
    }

    /// Waits until nothing is under way any more, whichever hubs it takes.
    async fn quiet(&mut self) {
        let mut ticks = interval(Duration::from_millis(50));
        for _ in 0..400 {
            ticks.tick().await;
            self.world.clock.advance(Duration::from_secs(2));
            if !self.revive().await && is_quiet_or_dead(&self.hub().url).await {
                return;
            }
        }
        panic!("it never ends");
    }

    fn ids(&self, plan: &str) -> (String, String) {
        self.hub().ids(plan)
    }

    async fn osb(&mut self, method: Method, path: &str, plan: &str, more: Value, good: &[u16]) -> Reply {
        let (service_id, plan_id) = self.ids(plan);
        let query = format!("accepts_incomplete=true&service_id={service_id}&plan_id={plan_id}");
        let body = (method != Method::DELETE).then(|| {
            let mut body =
                json!({"service_id": service_id, "plan_id": plan_id, "organization_guid": "o", "space_guid": "s"});
            body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            body
        });
        self.send(method, &format!("/v2/service_instances/{path}?{query}"), body, good).await
    }
}

/// A hub that dies meanwhile is not quiet.
async fn is_quiet_or_dead(url: &str) -> bool {
    let page = format!("{url}/api/v1/operations?state=in_progress&limit=1");
    let reply = try_request(Method::GET, &page, Some(("admin", "pw")), None).await;
    reply.is_some_and(|reply| reply.status == 200 && reply.body["items"] == json!([]))
}

/// Everything once: each step changes something that the dump shows.
async fn script(s: &mut Story) {
    let late = json!({
        "name": "late", "url": s.world.broker_url(), "name_prefix": "late-",
        "credentials": {"basic": {"username": "hub", "password": "secret"}},
    });
    s.send(Method::POST, "/api/v1/brokers", Some(late), &[201, 409]).await;
    s.send(Method::PATCH, "/api/v1/brokers/faults", Some(json!({"rotation": "emulated"})), &[200]).await;
    s.osb(Method::PUT, "i-1", "ok", json!({"parameters": {"a": 1}}), &[201, 200, 202]).await;
    s.osb(Method::PUT, "i-2", "async", json!({"parameters": {"polls": 1}}), &[201, 200, 202]).await;
    s.quiet().await;
    let bind = json!({"parameters": {"role": "reader"}});
    s.osb(Method::PUT, "i-1/service_bindings/b-1", "ok", bind, &[201, 200, 202]).await;
    s.quiet().await;
    let rotation = json!({"predecessor_binding_id": "b-1"});
    s.osb(Method::PUT, "i-1/service_bindings/b-2", "ok", rotation, &[201, 200, 202]).await;
    s.osb(Method::PATCH, "i-2", "ok", json!({"parameters": {"x": 1}}), &[200, 202]).await;
    s.quiet().await;
    s.osb(Method::PATCH, "i-1", "ok", json!({"parameters": {"a": 2}}), &[200, 202]).await;
    s.osb(Method::DELETE, "i-1/service_bindings/b-1", "ok", json!({}), &[200, 202, 410]).await;
    let fails = json!({"parameters": {"takes_effect": false}});
    s.osb(Method::PUT, "i-3", "fails-500", fails, &[502, 202, 422, 503]).await;
    s.quiet().await;
    let adopted = json!({"broker": "faults", "platform": "p", "instances": [
        {"backend_instance_id": "legacy", "offering": "faults", "plan": "ok", "organization_guid": "o", "space_guid": "s"},
    ]});
    let reply = s.send(Method::POST, "/api/v1/instances/adopt", Some(adopted), &[200]).await;
    let verdict = reply.body["items"][0]["verdict"].as_str().unwrap_or_default().to_owned();
    assert!(["adopted", "already"].contains(&verdict.as_str()), "{reply:?}");
    s.osb(Method::DELETE, "i-2", "ok", json!({}), &[200, 202, 410]).await;
    s.quiet().await;
    s.send(Method::DELETE, "/api/v1/brokers/late", None, &[204, 404]).await;
    approvals(s).await;
}

/// Orders that wait for an approval: one is approved, one denied, one deleted.
async fn approvals(s: &mut Story) {
    const PLAN: &str = "async-required";
    s.send(Method::PUT, "/api/v1/approval-rules/waits", Some(json!({"plan": PLAN})), &[201, 200]).await;
    for id in ["i-4", "i-5", "i-6"] {
        s.osb(Method::PUT, id, PLAN, json!({"parameters": {"polls": 0}}), &[202]).await;
    }
    let asked = s.send(Method::GET, "/api/v1/approvals", None, &[200]).await.body["items"].clone();
    for (id, verb) in [("i-4", "approve"), ("i-5", "deny")] {
        let approval = asked.as_array().into_iter().flatten().find(|one| one["platform_instance_id"] == id);
        let approval = approval.and_then(|one| one["id"].as_str()).expect("it waits");
        // Whoever died may have decided without saying so.
        s.send(Method::POST, &format!("/api/v1/approvals/{approval}/{verb}"), Some(json!({})), &[200, 409]).await;
    }
    s.osb(Method::DELETE, "i-6", PLAN, json!({}), &[200, 410]).await;
}

/// What is to be the same however the end was reached: no count of tries, and of what failed only that nothing is left of it.
fn essence(dump: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let essence = |(id, told): (String, Value)| {
        let live = |list: &Value| -> BTreeSet<String> {
            let list = list.as_array().into_iter().flatten();
            list.filter(|one| one[1] != "gone" && one[1] != "failed").map(ToString::to_string).collect()
        };
        let mut events: Vec<String> = Vec::new();
        for event in told["events"].as_array().into_iter().flatten() {
            let kind = event[1].as_str().unwrap_or_default().to_owned();
            if events.last() != Some(&kind) && !kind.ends_with("unresolved") {
                events.push(kind);
            }
        }
        let failed = told["state"] == "failed" || (id == "i-3" && told["state"] == "gone");
        let state = if failed { json!("nothing is left") } else { told["state"].clone() };
        let essence = json!({
            "state": state, "plan": told["plan"], "bindings": live(&told["bindings"]),
            "events": if failed { json!([]) } else { json!(events) }, "spans": told["spans"],
            "held": told["held"], "held_bindings": told["held_bindings"],
        });
        (id, essence)
    };
    dump.into_iter().map(essence).collect()
}

/// The ids of the events in the file, in the order in which each came first.
fn delivered(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut ids: Vec<String> = Vec::new();
    for line in text.lines() {
        // A line that a dying process left half written is followed by the whole one.
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        let id = event["id"].as_str().unwrap_or_default().to_owned();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// How a run of the script ended.
struct Run {
    end: BTreeMap<String, Value>,
    /// How many writes the first hub made.
    writes: u64,
    /// Whether it died.
    died: bool,
}

/// Runs the script with a hub that dies at its write of that number, if it makes so many.
async fn run(on: On, dies_at: Option<(u64, bool)>, manner: Manner) -> Run {
    let mut story = Story::begin(on, dies_at.is_some_and(|(_, after)| after), manner).await;
    let (service_id, plan_id) = ("cc3aa009-6c0b-4a79-84c0-1fdac53c23ec", bourse_brokers::faults::plan::plan_id("ok"));
    let order = json!({"service_id": service_id, "plan_id": plan_id, "organization_guid": "o", "space_guid": "s"});
    let legacy = format!("{}/v2/service_instances/legacy", story.world.broker_url());
    assert_eq!(request(Method::PUT, &legacy, Some(("hub", "secret")), Some(order)).await.status, 201);
    let before = story.fuse.writes();
    let first = story.fuse.clone();
    if let Some((number, _)) = dies_at {
        story.fuse.arm(number);
    }
    script(&mut story).await;
    story.quiet().await;
    let died = first.has_blown();
    if !died {
        first.arm(u64::MAX);
    }
    let hub = story.hub();
    wait_until("all events to be numbered and delivered", BOUND, async || {
        let numbered = is_quiet(&hub.url).await && count(&hub.db, UNNUMBERED).await == 0;
        let feed = crate::support::dump::events(&hub.url).await;
        let ids: Vec<_> = feed.iter().map(|event| event["id"].as_str().unwrap_or_default().to_owned()).collect();
        numbered && !ids.is_empty() && delivered(&story.told) == ids
    })
    .await;
    let end = essence(dump(&hub.url, &hub.db, &story.world.faults).await);
    let writes = first.writes() - before;
    story.hub.take().expect("a hub").stop().await;
    Run { end, writes, died }
}

/// How many writes are passed over between two deaths: `BOURSE_STRIDE=1` takes them all.
fn stride(usual: usize) -> usize {
    let chosen = std::env::var_os("BOURSE_STRIDE").map(|text| text.to_str().and_then(|text| text.parse().ok()));
    chosen.map_or(usual, |number| number.filter(|number| *number > 0).expect("BOURSE_STRIDE is a number from 1"))
}

async fn check(on: On, usual: usize) {
    let stride = stride(usual);
    let Run { end: expected, writes, .. } = run(on, None, Manner::Once).await;
    assert_eq!(expected.len(), 7, "{expected:?}");
    assert!(writes > 40, "only {writes} writes: the script does too little");
    for number in (1..=writes).step_by(stride) {
        let after = (number / stride as u64).is_multiple_of(2);
        let Run { end, died, .. } = run(on, Some((number, after)), Manner::Once).await;
        assert_eq!(end, expected, "died at write {number} of {writes}, after it: {after}, on {on:?}");
        if !died {
            // A quicker run writes less: fewer heartbeats, and more events that are numbered and delivered together.
            assert!(number > writes / 2, "write {number} of {writes} never came on {on:?}");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_dies_at_any_write_changes_nothing_in_the_end_on_sqlite() {
    check(On::Sqlite, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_dies_at_any_write_changes_nothing_in_the_end_on_postgres() {
    check(On::Postgres, 9).await;
}

#[tokio::test]
async fn every_step_sent_twice_ends_as_if_it_had_been_sent_once() {
    for on in [On::Sqlite, On::Postgres] {
        let once = run(on, None, Manner::Once).await;
        let twice = run(on, None, Manner::Twice).await;
        assert_eq!(twice.end, once.end, "{on:?}");
    }
}
