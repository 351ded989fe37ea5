//! Two real processes, and processes that are killed: a rule holds at once in both, of two who decide at the same moment one does, and
//! what was decided is carried out by whoever lives.

use reqwest::Method;
use serde_json::{Value, json};

use super::{check_stories, decide};
use crate::support::bare::On;
use crate::support::dump::items;
use crate::support::hub::{BOUND, Platform, Reply, request};
use crate::support::site::{Site, admin, order};
use crate::support::wait::wait_until;

const ROUNDS: usize = 12;

async fn put(url: &str, p: &Platform, id: &str, polls: bool) -> Reply {
    let url = format!("{url}/v2/service_instances/{id}?accepts_incomplete={polls}");
    request(Method::PUT, &url, Some((&p.username, &p.password)), Some(order("ok", &json!({})))).await
}

async fn pending(url: &str) -> Value {
    let list = items(url, "approvals?state=pending").await;
    assert_eq!(list.len(), 1, "{list:?}");
    list[0].clone()
}

async fn state(url: &str, id: &str) -> Value {
    items(url, &format!("instances?platform_instance_id={id}"))
        .await
        .first()
        .map_or(Value::Null, |one| one["state"].clone())
}

fn puts(site: &Site) -> usize {
    site.faults.calls().iter().filter(|call| call.method == "PUT").count()
}

#[tokio::test]
async fn of_two_who_decide_at_the_same_moment_through_two_processes_one_does() {
    let site = Site::new(On::Postgres).await;
    let (mut a, a_url) = site.start().await;
    let p = site.furnish(&a_url).await;
    let (mut b, b_url) = site.start().await;
    assert_eq!(admin(&a_url, Method::PUT, "approval-rules/all", Some(json!({}))).await.status, 201);
    let mut approved = 0;
    for round in 0..ROUNDS {
        let id = format!("i-{round}");
        assert_eq!(put(&b_url, &p, &id, true).await.status, 202);
        let asked = pending(&a_url).await;
        let (one, other) = tokio::join!(
            decide(&a_url, "admin", &asked, "approve", "yes"),
            decide(&b_url, "admin", &asked, "deny", "no")
        );
        let told = (one.status, other.status);
        assert!(matches!(told, (200, 409) | (409, 200)), "{one:?} {other:?}");
        approved += usize::from(told.0 == 200);
        let expected = if told.0 == 200 { "ready" } else { "failed" };
        wait_until(&format!("{id} to be {expected}"), BOUND, async || state(&b_url, &id).await == expected).await;
    }
    assert_eq!(puts(&site), approved, "the broker hears of what was approved");
    let events = site.feed(&a_url).await;
    check_stories(&events);
    let count = |kind: &str| events.iter().filter(|event| event["type"] == format!("io.bourse.{kind}")).count();
    assert_eq!((count("approval.decided"), count("instance.provisioned")), (ROUNDS, approved));
    for process in [&mut a, &mut b] {
        process.assert_modest();
        assert!(process.terminate().await.success());
    }
}

#[tokio::test]
async fn a_rule_that_is_put_or_deleted_through_one_process_holds_at_once_in_the_other() {
    let site = Site::new(On::Postgres).await;
    let (mut a, a_url) = site.start().await;
    let p = site.furnish(&a_url).await;
    let (mut b, b_url) = site.start().await;
    for round in 0..6 {
        let (one, other) = if round % 2 == 0 { (&a_url, &b_url) } else { (&b_url, &a_url) };
        assert_eq!(put(other, &p, &format!("before-{round}"), false).await.status, 201);
        assert_eq!(admin(one, Method::PUT, "approval-rules/all", Some(json!({}))).await.status, 201);
        let refused = put(other, &p, &format!("i-{round}"), false).await;
        assert_eq!((refused.status, &refused.body["error"]), (422, &json!("AsyncRequired")), "{refused:?}");
        let update = json!({"service_id": order("ok", &json!({}))["service_id"], "parameters": {"x": round}});
        let path = format!("{other}/v2/service_instances/before-{round}");
        let refused = request(Method::PATCH, &path, Some((&p.username, &p.password)), Some(update)).await;
        assert_eq!((refused.status, &refused.body["error"]), (422, &json!("AsyncRequired")), "{refused:?}");
        assert_eq!(admin(other, Method::DELETE, "approval-rules/all", None).await.status, 204);
        assert_eq!(put(one, &p, &format!("i-{round}"), false).await.status, 201);
    }
    for process in [&mut a, &mut b] {
        assert!(process.terminate().await.success());
    }
}

async fn killed_after_the_decision(on: On) {
    let site = Site::new(on).await;
    // It takes orders and decisions, and carries nothing out.
    let (mut hub, url) = site.start_as("api").await;
    let p = site.furnish(&url).await;
    assert_eq!(admin(&url, Method::PUT, "approval-rules/all", Some(json!({}))).await.status, 201);
    for id in ["yes", "no", "open"] {
        assert_eq!(put(&url, &p, id, true).await.status, 202);
    }
    let asked = items(&url, "approvals?state=pending").await;
    let of = |id: &str| asked.iter().find(|one| one["platform_instance_id"] == id).expect("asked").clone();
    assert_eq!(decide(&url, "admin", &of("yes"), "approve", "").await.status, 200);
    assert_eq!(decide(&url, "admin", &of("no"), "deny", "").await.status, 200);
    hub.kill().await;
    assert_eq!(puts(&site), 0, "nobody has called it");
    let (mut hub, url) = site.start().await;
    wait_until("the approved one to be ready", BOUND, async || state(&url, "yes").await == "ready").await;
    assert_eq!((state(&url, "no").await, state(&url, "open").await), (json!("failed"), json!("waiting_approval")));
    assert_eq!(put(&url, &p, "yes", true).await.status, 200);
    assert_eq!(decide(&url, "admin", &of("open"), "approve", "").await.status, 200);
    wait_until("the last one to be ready", BOUND, async || state(&url, "open").await == "ready").await;
    assert_eq!(puts(&site), 2, "each once");
    let events = site.feed(&url).await;
    check_stories(&events);
    let count = |kind: &str| events.iter().filter(|event| event["type"] == format!("io.bourse.{kind}")).count();
    let kinds =
        ["instance.requested", "approval.requested", "approval.decided", "instance.provisioned", "instance.failed"];
    assert_eq!(kinds.map(count), [3, 3, 3, 2, 1]);
    assert!(hub.terminate().await.success());
}

#[tokio::test]
async fn what_was_decided_before_the_process_was_killed_is_carried_out_on_sqlite() {
    killed_after_the_decision(On::Sqlite).await;
}

#[tokio::test]
async fn what_was_decided_before_the_process_was_killed_is_carried_out_on_postgres() {
    killed_after_the_decision(On::Postgres).await;
}
