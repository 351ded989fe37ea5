//! Failure points: a hub is stopped at each of them in each kind of operation, another is started on the same database, and
//! the end is compared with that of a run that nobody disturbed: instances, bindings, operations, events with their numbers,
//! spans, and what the broker behind really holds.
//!
//! A hub that is stopped after the backend has answered leaves the next one to send the same stored bytes again, so these
//! cases are also those where every step happens twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bourse::app::{Point, Points};
use bourse::domain::operation::OperationKind;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::dump::{dump, is_quiet};
use crate::support::hub::{BOUND, Hub, Platform, World, polling, sync, try_request};
use crate::support::wait::wait_until;

const KINDS: [OperationKind; 5] = [
    OperationKind::Provision,
    OperationKind::Update,
    OperationKind::Deprovision,
    OperationKind::Bind,
    OperationKind::Unbind,
];

/// What is ordered, and where the hub is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wave {
    /// Every kind on a synchronous and on an asynchronous plan; stopped while it is called for the first time.
    Orders,
    /// Every kind on an asynchronous plan; stopped while it is polled.
    Polls,
    /// What orders left behind that failed or were called off; stopped while it is deleted for the first time.
    CleanUps,
    /// The same; stopped while it is deleted for good.
    LastDeletions,
}

impl Wave {
    fn points(self) -> &'static [Point] {
        if self == Self::Orders { &Point::ALL } else { &Point::ALL[1..] }
    }

    fn kinds(self) -> &'static [OperationKind] {
        match self {
            Self::Orders | Self::Polls => &KINDS,
            Self::CleanUps | Self::LastDeletions => &[OperationKind::OrphanMitigation],
        }
    }

    /// How often each kind passes a point before it is stopped there, and how often it is stopped.
    fn passes(self) -> (usize, usize) {
        match self {
            Self::Orders => (0, 2),
            Self::Polls => (1, 1),
            Self::CleanUps => (0, 3),
            Self::LastDeletions => (3, 3),
        }
    }
}

/// Counts who passes one point, and stops whoever comes too late.
struct Gate {
    point: Point,
    wave: Wave,
    open: Mutex<bool>,
    passed: Mutex<HashMap<OperationKind, usize>>,
}

impl Gate {
    fn points(self: &Arc<Self>) -> Points {
        let gate = Arc::clone(self);
        Points::stopping(Arc::new(move |point, kind| {
            let armed = !*gate.open.lock().expect("a lock");
            if !armed || point != gate.point || !gate.wave.kinds().contains(&kind) {
                return false;
            }
            let mut passed = gate.passed.lock().expect("a lock");
            let count = passed.entry(kind).or_default();
            *count += 1;
            *count > gate.wave.passes().0
        }))
    }

    fn has_stopped_all(&self) -> bool {
        let (before, stopped) = self.wave.passes();
        let passed = self.passed.lock().expect("a lock");
        self.wave.kinds().iter().all(|kind| passed.get(kind).copied().unwrap_or_default() >= before + stopped)
    }
}

type Request = (Method, String, Option<Value>);

/// The instances and bindings that a wave changes.
async fn prepare(hub: &Hub, p: &Platform, wave: Wave) {
    if matches!(wave, Wave::CleanUps | Wave::LastDeletions) {
        let order = sync().with(json!({"fail_on": ["bind"]}));
        assert_eq!(hub.provision(p, "drops-bind", "drops-connection", order).await.status, 201);
        return;
    }
    for plan in ["ok", "async"] {
        for what in ["update", "delete", "bind", "unbind"] {
            let order = sync().with(json!({"polls": 0}));
            assert_eq!(hub.provision(p, &format!("{plan}-{what}"), plan, order).await.status, 201);
        }
        assert_eq!(hub.bind(p, (&format!("{plan}-unbind"), "b"), plan, sync()).await.status, 201);
    }
}

/// What a wave orders.
fn orders(hub: &Hub, wave: Wave) -> Vec<Request> {
    let body = |plan: &str, parameters: Value| {
        let (service_id, plan_id) = hub.ids(plan);
        let mut body = json!({"service_id": service_id, "plan_id": plan_id, "parameters": parameters});
        body["organization_guid"] = json!("o");
        body["space_guid"] = json!("s");
        Some(body)
    };
    let path = |rest: &str, polls: bool| format!("/v2/service_instances/{rest}?accepts_incomplete={polls}");
    if matches!(wave, Wave::CleanUps | Wave::LastDeletions) {
        let (fails, slow) = (json!({"takes_effect": true}), json!({"polls": 4}));
        return vec![
            (Method::PUT, path("fails", false), body("fails-500", fails)),
            (Method::PUT, path("called-off", true), body("async", slow)),
            (Method::PUT, path("drops-bind/service_bindings/b", false), body("drops-connection", json!({}))),
        ];
    }
    let mut orders = Vec::new();
    for (plan, polls) in [("ok", false), ("async", true)] {
        if wave == Wave::Polls && !polls {
            continue;
        }
        let gone = |rest: &str| {
            let (service_id, plan_id) = hub.ids(plan);
            format!("{}&service_id={service_id}&plan_id={plan_id}", path(&format!("{plan}-{rest}"), polls))
        };
        let change = if polls { body(plan, json!({"x": 1})) } else { body("unavailable", json!({"x": 1})) };
        orders.extend([
            (Method::PUT, path(&format!("{plan}-new"), polls), body(plan, json!({"polls": 0}))),
            (Method::PATCH, path(&format!("{plan}-update"), polls), change),
            (Method::DELETE, gone("delete"), None),
            (Method::PUT, path(&format!("{plan}-bind/service_bindings/b"), polls), body(plan, json!({"polls": 0}))),
            (Method::DELETE, gone("unbind/service_bindings/b"), None),
        ]);
    }
    orders
}

/// Sends all of them at once and hands them over to be waited for or forgotten.
fn send(hub: &Hub, p: &Platform, wave: Wave) -> tokio::task::JoinSet<Option<u16>> {
    let mut sent = tokio::task::JoinSet::new();
    for (method, path, body) in orders(hub, wave) {
        let (url, p) = (format!("{}{path}", hub.url), p.clone());
        sent.spawn(async move {
            let credentials = Some((p.username.as_str(), p.password.as_str()));
            try_request(method, &url, credentials, body).await.map(|reply| reply.status)
        });
    }
    sent
}

/// Orders, and calls off what is to be called off.
async fn act(hub: &Hub, p: &Platform, wave: Wave) -> tokio::task::JoinSet<Option<u16>> {
    let sent = send(hub, p, wave);
    if matches!(wave, Wave::CleanUps | Wave::LastDeletions) {
        let mut statuses: Vec<_> = sent.join_all().await.into_iter().flatten().collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 502, 502]);
        let running = hub.last_operation(p, "called-off").await;
        assert_eq!(running.body["state"], "in progress");
        let repeated = hub.provision(p, "called-off", "async", polling().with(json!({"polls": 4}))).await;
        let id = repeated.body["operation"].as_str().expect("an operation").to_owned();
        let path = format!("/api/v1/operations/{id}/cancel");
        assert_eq!(hub.admin(Method::POST, &path, None).await.status, 200);
        return tokio::task::JoinSet::new();
    }
    sent
}

async fn finish(world: &World, hub: &Hub) -> BTreeMap<String, Value> {
    wait_until("all to be over", BOUND, async || {
        world.clock.advance(Duration::from_secs(2));
        is_quiet(&hub.url).await
    })
    .await;
    hub.app.number_events().await.expect("could not number");
    dump(&hub.url, &hub.db, &world.faults).await
}

async fn undisturbed(on: On, wave: Wave) -> BTreeMap<String, Value> {
    let world = World::new(on, |config| config.server.drain = Duration::ZERO).await;
    let hub = world.hub().await;
    let p = world.furnish(&hub).await;
    prepare(&hub, &p, wave).await;
    let statuses = act(&hub, &p, wave).await.join_all().await;
    assert!(statuses.iter().all(|status| matches!(status, Some(200..=202))), "{statuses:?}");
    let end = finish(&world, &hub).await;
    hub.stop().await;
    end
}

async fn disturbed(on: On, wave: Wave, point: Point) -> BTreeMap<String, Value> {
    let gate = Arc::new(Gate { point, wave, open: Mutex::new(true), passed: Mutex::default() });
    let world = World::new(on, |config| config.server.drain = Duration::ZERO).await;
    let hub = world.hub_with(gate.points()).await;
    let p = world.furnish(&hub).await;
    prepare(&hub, &p, wave).await;
    *gate.open.lock().expect("a lock") = false;
    let mut sent = act(&hub, &p, wave).await;
    wait_until(&format!("all to be stopped at {point:?} of {wave:?}"), BOUND, async || {
        if wave != Wave::Orders {
            world.clock.advance(Duration::from_millis(500));
        }
        gate.has_stopped_all()
    })
    .await;
    sent.shutdown().await;
    hub.stop().await;
    let hub = world.hub().await;
    let end = finish(&world, &hub).await;
    hub.stop().await;
    end
}

async fn check(on: On, wave: Wave) {
    let expected = undisturbed(on, wave).await;
    assert!(expected.len() >= wave.kinds().len().min(3), "{expected:?}");
    for point in wave.points() {
        let end = disturbed(on, wave, *point).await;
        assert_eq!(end, expected, "stopped at {point:?} of {wave:?} on {on:?}");
    }
}

#[tokio::test]
async fn orders_end_the_same_wherever_the_hub_was_stopped_on_sqlite() {
    check(On::Sqlite, Wave::Orders).await;
}

#[tokio::test]
async fn orders_end_the_same_wherever_the_hub_was_stopped_on_postgres() {
    check(On::Postgres, Wave::Orders).await;
}

#[tokio::test]
async fn what_is_polled_ends_the_same_wherever_the_hub_was_stopped_on_sqlite() {
    check(On::Sqlite, Wave::Polls).await;
}

#[tokio::test]
async fn what_is_polled_ends_the_same_wherever_the_hub_was_stopped_on_postgres() {
    check(On::Postgres, Wave::Polls).await;
}

#[tokio::test]
async fn clean_ups_end_the_same_wherever_the_hub_was_stopped_on_sqlite() {
    check(On::Sqlite, Wave::CleanUps).await;
    check(On::Sqlite, Wave::LastDeletions).await;
}

#[tokio::test]
async fn clean_ups_end_the_same_wherever_the_hub_was_stopped_on_postgres() {
    check(On::Postgres, Wave::CleanUps).await;
    check(On::Postgres, Wave::LastDeletions).await;
}
