//! Two real processes on one PostgreSQL are one hub: what is changed through one holds in the other, the same order through
//! both is made once, and what a killed one was at is taken up by the other. One may take orders and the other do the work.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::bare::On;
use crate::support::dump::{count, events, instances, is_quiet, items};
use crate::support::hub::{BOUND, Platform, Reply, request, try_request};
use crate::support::process::Process;
use crate::support::site::{Site, UNNUMBERED, admin, credentials, order, plan_ids};
use crate::support::wait::wait_until;

/// How soon a killed process's work is taken up: ten seconds without a heartbeat void its leases (ARCHITECTURE.md, walkthrough 2).
/// With room for a busy machine.
const TAKEN_UP: Duration = Duration::from_secs(15 + 15);

struct Pair {
    site: Site,
    a: (Process, String),
    b: (Process, String),
    p: Platform,
}

async fn pair() -> Pair {
    let site = Site::new(On::Postgres).await;
    let a = site.start().await;
    let p = site.furnish(&a.1).await;
    let b = site.start().await;
    Pair { site, a, b, p }
}

impl Pair {
    async fn stop(mut self) {
        self.a.0.assert_modest();
        self.b.0.assert_modest();
        assert!(self.a.0.terminate().await.success());
        assert!(self.b.0.terminate().await.success());
    }
}

async fn put(url: &str, p: &Platform, id: &str, body: Value, polls: bool) -> Reply {
    let url = format!("{url}/v2/service_instances/{id}?accepts_incomplete={polls}");
    request(Method::PUT, &url, Some((&p.username, &p.password)), Some(body)).await
}

async fn catalog(url: &str, p: &Platform) -> Reply {
    request(Method::GET, &format!("{url}/v2/catalog"), Some((&p.username, &p.password)), None).await
}

#[tokio::test]
async fn a_change_of_credentials_or_tenants_through_one_holds_at_once_in_the_other() {
    let pair = pair().await;
    let (a, b) = (pair.a.1.as_str(), pair.b.1.as_str());
    // Both have seen the old credentials, so that whatever they remember is wrong from now on.
    for url in [a, b] {
        assert_eq!(catalog(url, &pair.p).await.status, 200);
    }
    let fresh = credentials(&admin(a, Method::POST, "platforms/p/credentials", None).await);
    assert_eq!(catalog(b, &fresh).await.status, 200, "a new pair works at once");
    let old = format!("platforms/p/credentials/{}", pair.p.username);
    assert_eq!(admin(a, Method::DELETE, &old, None).await.status, 204);
    assert_eq!(catalog(b, &pair.p).await.status, 401, "a deleted one does not");

    let mapped = json!({"display_name": "Trade", "identities": [{"platform": "p", "organization_guid": "trade"}]});
    assert_eq!(admin(a, Method::PUT, "tenants/trade", Some(mapped)).await.status, 201);
    let mut body = order("ok", &json!({}));
    body["organization_guid"] = json!("trade");
    assert_eq!(put(b, &fresh, "i-1", body.clone(), false).await.status, 201);
    assert_eq!(admin(b, Method::PUT, "tenants/trade", Some(json!({"display_name": "Trade"}))).await.status, 200);
    assert_eq!(put(a, &fresh, "i-2", body, false).await.status, 201);
    let tenant = async |id: &str| {
        let list = items(b, &format!("instances?platform_instance_id={id}")).await;
        list[0]["tenant"].as_str().expect("a tenant").to_owned()
    };
    assert_eq!((tenant("i-1").await.as_str(), tenant("i-2").await.as_str()), ("trade", "retail"));
    pair.stop().await;
}

#[tokio::test]
async fn a_change_of_the_catalog_through_one_reaches_the_other() {
    let pair = pair().await;
    let (a, b) = (pair.a.1.as_str(), pair.b.1.as_str());
    let offerings = async |url: &str| catalog(url, &pair.p).await.body["services"].as_array().map_or(0, Vec::len);
    assert_eq!((offerings(a).await, offerings(b).await), (1, 1));
    assert_eq!(admin(a, Method::DELETE, "brokers/faults", None).await.status, 204);
    assert_eq!(offerings(a).await, 0, "at once where it was changed");
    wait_until("the other to notice", BOUND, async || offerings(b).await == 0).await;
    pair.stop().await;
}

#[tokio::test]
async fn what_one_has_just_registered_can_be_ordered_bound_and_deleted_through_the_other() {
    let pair = pair().await;
    let (a, b, p) = (pair.a.1.as_str(), pair.b.1.as_str(), &pair.p);
    for number in 0..5 {
        let name = format!("more-{number}");
        let body = json!({
            "name": name, "url": pair.site.broker_url(), "name_prefix": format!("{name}-"),
            "credentials": {"basic": {"username": "hub", "password": "secret"}},
        });
        let made = admin(a, Method::POST, "brokers", Some(body)).await;
        assert_eq!(made.status, 201, "{made:?}");
        let (service_id, plan_id) = plan_ids(a, p, &format!("{name}-faults"), "ok").await;
        let order = json!({
            "service_id": service_id, "plan_id": plan_id, "organization_guid": "o", "space_guid": "s",
        });
        // Whichever of them is first to hear of it.
        let (first, second) = if number % 2 == 0 { (a, b) } else { (b, a) };
        let made = put(first, p, &name, order.clone(), false).await;
        assert_eq!(made.status, 201, "{made:?}");
        let bound = put(second, p, &format!("{name}/service_bindings/b"), order, false).await;
        assert_eq!(bound.status, 201, "{bound:?}");
        let url = format!("{second}/v2/service_instances/{name}?service_id={service_id}&plan_id={plan_id}");
        let gone = request(Method::DELETE, &url, Some((&p.username, &p.password)), None).await;
        assert_eq!(gone.status, 200, "{gone:?}");
    }
    pair.stop().await;
}

#[tokio::test]
async fn the_same_orders_through_both_are_made_once() {
    const ORDERS: usize = 40;
    let pair = pair().await;
    let mut sent = JoinSet::new();
    for number in 0..ORDERS {
        for url in [&pair.a.1, &pair.b.1] {
            let (url, p, polls) = (url.clone(), pair.p.clone(), number.is_multiple_of(2));
            let body = if polls { order("async", &json!({"polls": 1})) } else { order("ok", &json!({})) };
            sent.spawn(async move { put(&url, &p, &format!("i-{number}"), body, polls).await.status });
        }
    }
    let statuses = sent.join_all().await;
    assert!(statuses.iter().all(|status| matches!(status, 200..=202)), "{statuses:?}");
    wait_until("all to be over", BOUND, async || is_quiet(&pair.b.1).await).await;
    let instances = instances(&pair.a.1).await;
    assert_eq!((instances.len(), pair.site.faults.instances().len()), (ORDERS, ORDERS));
    assert!(instances.iter().all(|instance| instance["state"] == "ready"));
    wait_until("all events to be numbered", BOUND, async || {
        let events = events(&pair.a.1).await;
        let kind =
            |kind: &str| events.iter().filter(|event| event["type"] == format!("io.bourse.instance.{kind}")).count();
        assert!(kind("requested") <= ORDERS && kind("provisioned") <= ORDERS, "none twice");
        kind("requested") == ORDERS && kind("provisioned") == ORDERS
    })
    .await;
    pair.stop().await;
}

#[tokio::test]
async fn what_a_killed_process_was_at_is_taken_up_by_the_other() {
    let mut pair = pair().await;
    let mut sent = JoinSet::new();
    for number in 0..20 {
        let (url, p) = (pair.a.1.clone(), pair.p.clone());
        let plan = if number % 2 == 0 { "times-out-after-creating" } else { "creates-late" };
        let body = order(plan, &json!({"hang_ms": 5000, "delay_ms": 800}));
        sent.spawn(async move {
            let url = format!("{url}/v2/service_instances/i-{number}");
            try_request(Method::PUT, &url, Some((&p.username, &p.password)), Some(body)).await.map(|reply| reply.status)
        });
    }
    let faults = pair.site.faults.clone();
    let puts = || faults.calls().iter().filter(|call| call.method == "PUT").count();
    wait_until("all calls to be under way", BOUND, async || puts() >= 20).await;
    pair.a.0.assert_modest();
    pair.a.0.kill().await;
    let (killed, calls) = (Instant::now(), pair.site.faults.calls().len());
    let unanswered = sent.join_all().await.iter().filter(|status| status.is_none()).count();
    assert!(unanswered > 0, "orders were in flight");
    wait_until("the other to take them up", TAKEN_UP, async || faults.calls().len() > calls).await;
    assert!(killed.elapsed() < TAKEN_UP);
    let b = pair.b.1.as_str();
    wait_until("all to be over", BOUND * 3, async || is_quiet(b).await).await;
    let instances = instances(b).await;
    let ready: BTreeSet<_> = instances
        .iter()
        .filter(|instance| instance["state"] == "ready")
        .map(|instance| instance["id"].as_str().expect("an id").to_owned())
        .collect();
    let held: BTreeSet<_> = faults.instances().into_iter().map(|held| held.id).collect();
    assert_eq!((ready.len() >= unanswered, held), (true, ready), "finished, since nobody was told that they failed");
    pair.b.0.assert_modest();
    assert!(pair.b.0.terminate().await.success());
}

/// Operations that have been due for two seconds, ten looks of a worker, in the life of a process.
const OVERDUE: &str = "select count(*) as number from operations, processes \
    where state = 'in_progress' and next_at < heartbeat_at - 2000000";

async fn ready(url: &str, id: &str) {
    wait_until(&format!("{id} to be ready"), BOUND, async || {
        items(url, &format!("instances?platform_instance_id={id}")).await.iter().any(|found| found["state"] == "ready")
    })
    .await;
}

#[tokio::test]
async fn a_process_that_only_answers_leaves_the_work_to_one_that_only_works() {
    let site = Site::new(On::Postgres).await;
    // Whoever polls is told after two seconds at most that an order goes on.
    let settings = [("BOURSE__SERVER__ANSWER_WITHIN", "PT2S")];
    let (mut api, url) = site.start_with(&["serve", "--role", "api"], &settings).await;
    let (mut worker, _) = site.start_as("worker").await;
    let p = site.furnish(&url).await;
    let (slow, quick) = (order("async", &json!({"polls": 3})), order("async", &json!({"polls": 0})));
    assert_eq!(put(&url, &p, "i-1", quick.clone(), true).await.status, 202);
    ready(&url, "i-1").await;

    assert_eq!(put(&url, &p, "i-2", slow, true).await.status, 202);
    worker.assert_modest();
    assert!(worker.terminate().await.success());
    let (db, calls) = (site.db().await, site.faults.calls().len());
    let unnumbered = count(&db, UNNUMBERED).await;
    assert_eq!(put(&url, &p, "i-3", quick, true).await.status, 202, "it is taken, and nobody has begun it");
    wait_until("both to be overdue in the life of the other", BOUND, async || count(&db, OVERDUE).await == 2).await;
    assert_eq!(site.faults.calls().len(), calls, "the broker hears nothing");
    for id in ["i-2", "i-3"] {
        let last = format!("{url}/v2/service_instances/{id}/last_operation");
        let reply = request(Method::GET, &last, Some((&p.username, &p.password)), None).await;
        assert_eq!((reply.status, &reply.body["state"]), (200, &json!("in progress")), "{id}");
    }
    assert_eq!(count(&db, UNNUMBERED).await, unnumbered + 1, "the order was written down with its event");

    let (mut worker, _) = site.start_as("worker").await;
    ready(&url, "i-2").await;
    ready(&url, "i-3").await;
    let provisioned = |event: &&Value| event["type"] == "io.bourse.instance.provisioned";
    assert_eq!(site.feed(&url).await.iter().filter(provisioned).count(), 3);
    db.close().await;
    for process in [&mut api, &mut worker] {
        process.assert_modest();
        assert!(process.terminate().await.success());
    }
}
