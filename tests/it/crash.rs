//! `kill -9`, again and again, while dozens of orders are in flight; then an audit from outside: what the hub says, what the
//! broker really holds, what the orderers were told, the events and the spans must all tell the same story.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bourse_brokers::faults::Standing;
use bourse_brokers::faults::plan::{SERVICE_ID, plan_id};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::bare::On;
use crate::support::dump::{instances, is_quiet, spans};
use crate::support::hub::{Platform, try_request};
use crate::support::site::{Site, order};
use crate::support::wait::wait_until;

/// Orders in flight when the process is killed.
const ORDERS: usize = 50;
/// How many of them have been answered when each process is killed.
const KILLS: [usize; 3] = [3, 12, 24];
/// How long the last process may take to sort out what the others left behind.
const SORTED_OUT: Duration = Duration::from_secs(120);

/// Plans and parameters, and whether the orderer polls: synchronous, asynchronous, hung and failing, in turn.
fn mix(number: usize) -> (&'static str, Value, bool) {
    match number % 12 {
        0 | 1 => ("ok", json!({}), number.is_multiple_of(2)),
        2 => ("async", json!({"polls": 1}), true),
        3 => ("async", json!({"polls": 0, "x": number}), true),
        4 => ("times-out-after-creating", json!({"hang_ms": 3000}), true),
        5 => ("times-out-after-creating", json!({"hang_ms": 3000}), false),
        6 => ("drops-connection", json!({}), true),
        7 => ("drops-connection", json!({}), false),
        8 => ("creates-late", json!({"delay_ms": 1500}), true),
        9 => ("creates-late", json!({"delay_ms": 1500}), false),
        10 => ("fails-500", json!({"takes_effect": true}), number.is_multiple_of(8)),
        _ => ("async-then-failed", json!({"polls": 0}), true),
    }
}

/// What the orderers were told: the last status of each request that was answered.
#[derive(Default)]
struct Told {
    provisions: HashMap<String, (usize, u16)>,
    deletions: HashMap<String, u16>,
}

enum Sent {
    Provision(String, usize, Option<u16>),
    Deletion(String, Option<u16>),
}

fn provision(url: &str, p: &Platform, number: usize, id: String) -> impl Future<Output = Sent> + use<> {
    let (plan, parameters, polls) = mix(number);
    let url = format!("{url}/v2/service_instances/{id}?accepts_incomplete={polls}");
    let (p, body) = (p.clone(), order(plan, &parameters));
    async move {
        let reply = try_request(Method::PUT, &url, Some((&p.username, &p.password)), Some(body)).await;
        Sent::Provision(id, number, reply.map(|reply| reply.status))
    }
}

fn delete(url: &str, p: &Platform, number: usize, id: String) -> impl Future<Output = Sent> + use<> {
    let plan = plan_id(mix(number).0).expect("a plan");
    let query = format!("service_id={SERVICE_ID}&plan_id={plan}&accepts_incomplete=true");
    let (url, p) = (format!("{url}/v2/service_instances/{id}?{query}"), p.clone());
    async move {
        let reply = try_request(Method::DELETE, &url, Some((&p.username, &p.password)), None).await;
        Sent::Deletion(id, reply.map(|reply| reply.status))
    }
}

/// Sends what a round sends: new orders, and the deletion of some that were answered 201 before.
fn send(url: &str, p: &Platform, round: usize, told: &Told) -> (JoinSet<Sent>, Arc<AtomicUsize>) {
    let (mut sent, answered) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    let mut count = |sending: std::pin::Pin<Box<dyn Future<Output = Sent> + Send>>| {
        let answered = Arc::clone(&answered);
        sent.spawn(async move {
            let done = sending.await;
            answered.fetch_add(1, Ordering::SeqCst);
            done
        });
    };
    for number in 0..ORDERS {
        count(Box::pin(provision(url, p, number, format!("r{round}-{number}"))));
    }
    let ready = told.provisions.iter().filter(|(id, (_, status))| *status == 201 && !told.deletions.contains_key(*id));
    for (id, (number, _)) in ready.take(4) {
        count(Box::pin(delete(url, p, *number, id.clone())));
    }
    (sent, answered)
}

impl Told {
    fn note(&mut self, sent: Sent) {
        match sent {
            Sent::Provision(id, number, Some(status)) => drop(self.provisions.insert(id, (number, status))),
            // Nobody knows whether that deletion was ever heard of.
            Sent::Deletion(id, status) => drop(self.deletions.insert(id, status.unwrap_or_default())),
            Sent::Provision(..) => {}
        }
    }
}

async fn killed_again_and_again(on: On) {
    let site = Site::new(on).await;
    let (mut hub, mut url) = site.start().await;
    // Some of the orders hang, and are to be given up before the process is killed.
    let p = site.furnish_with(&url, 1000).await;
    let mut told = Told::default();
    for (round, answers) in KILLS.into_iter().enumerate() {
        let (mut sent, answered) = send(&url, &p, round, &told);
        wait_until("some orders to be answered", SORTED_OUT, async || answered.load(Ordering::SeqCst) >= answers).await;
        assert!(answered.load(Ordering::SeqCst) < ORDERS, "nothing is in flight any more");
        hub.assert_modest();
        hub.kill().await;
        while let Some(done) = sent.join_next().await {
            told.note(done.expect("a request panicked"));
        }
        (hub, url) = site.start().await;
    }
    wait_until("all operations to be over", SORTED_OUT, async || is_quiet(&url).await).await;
    let (instances, events) = (instances(&url).await, site.feed(&url).await);
    hub.assert_modest();
    assert!(hub.terminate().await.success());
    audit(&site, &told, &instances, &events, spans(&site.db().await).await);
}

fn audit(site: &Site, told: &Told, instances: &[Value], events: &[Value], mut spans: Spans) {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let ids = |state: &str| -> BTreeSet<String> {
        instances.iter().filter(|instance| instance["state"] == state).map(|instance| text(&instance["id"])).collect()
    };
    let (ready, failed, gone) = (ids("ready"), ids("failed"), ids("gone"));
    assert_eq!(ready.len() + failed.len() + gone.len(), instances.len(), "ready or gone, nothing in between");
    assert!(ready.len() > ORDERS / 2, "{} of {} are ready", ready.len(), instances.len());

    let held = site.faults.instances();
    assert!(held.iter().all(|held| held.state == Standing::Ready), "{held:?}");
    assert_eq!(held.into_iter().map(|held| held.id).collect::<BTreeSet<_>>(), ready, "ready on both sides or on none");

    let states: HashMap<String, String> =
        instances.iter().map(|instance| (text(&instance["platform_instance_id"]), text(&instance["state"]))).collect();
    for (id, (_, status)) in &told.provisions {
        let state = states.get(id).map(String::as_str);
        match (status, told.deletions.get(id)) {
            (201, None) => assert_eq!(state, Some("ready"), "{id} was answered 201"),
            (_, Some(200 | 202)) => assert_eq!(state, Some("gone"), "{id} was deleted"),
            (202, None) => assert!(matches!(state, Some("ready" | "failed")), "{id} was answered 202 and is {state:?}"),
            (500.., None) => assert_ne!(state, Some("ready"), "{id} was answered {status}"),
            _ => {}
        }
    }
    assert_eq!(instances.len(), states.len(), "one instance for each order");
    for instance in instances {
        let id = text(&instance["id"]);
        let own = events.iter().filter(|event| event["instanceid"] == *id);
        let own: Vec<_> = own.map(|event| (text(&event["sequence"]), text(&event["type"]))).collect();
        check_story(instance["state"].as_str().expect("a state"), &own, spans.remove(&id).unwrap_or_default());
    }
    assert!(spans.is_empty(), "spans of what is no instance: {spans:?}");
    let unique: BTreeSet<_> = events.iter().map(|event| text(&event["id"])).collect();
    assert_eq!(unique.len(), events.len(), "no event twice");
}

/// How many spans of each instance are open and closed.
type Spans = BTreeMap<String, (i64, i64)>;

/// One instance: its events, numbered without a gap, tell how it came into the state in which it is, each step once, and it
/// was metered from its beginning to its end, if it ever stood. Nobody changed a plan: there is one span at most.
fn check_story(state: &str, own: &[(String, String)], spans: (i64, i64)) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, (sequence, kind)) in own.iter().enumerate() {
        assert_eq!(*sequence, (at + 1).to_string(), "{own:?}");
        *counts.entry(kind.trim_start_matches("io.bourse.instance.")).or_default() += 1;
    }
    let count = |kind: &str| counts.get(kind).copied().unwrap_or_default();
    assert_eq!(own.first().map(|(_, kind)| kind.as_str()), Some("io.bourse.instance.requested"), "{own:?}");
    assert_eq!((count("requested"), count("unresolved").min(1)), (1, count("unresolved")), "{own:?}");
    let outcomes = (count("provisioned"), count("failed"), count("deprovisioned"));
    let expected = match (state, outcomes.0) {
        ("ready", _) => ((1, 0, 0), (1, 0)),
        ("gone", 1) => ((1, 0, 1), (0, 1)),
        // It failed and was deleted afterwards, or not: it never stood.
        _ => ((0, 1, 0), (0, 0)),
    };
    assert_eq!((outcomes, spans), expected, "{state} {own:?}");
}

#[tokio::test]
async fn killed_again_and_again_it_loses_no_order_and_leaves_no_orphan_on_sqlite() {
    killed_again_and_again(On::Sqlite).await;
}

#[tokio::test]
async fn killed_again_and_again_it_loses_no_order_and_leaves_no_orphan_on_postgres() {
    killed_again_and_again(On::Postgres).await;
}
