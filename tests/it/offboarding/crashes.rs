//! Off-boarding by real processes that are killed: whoever comes next goes on where the database says.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::hub::BOUND;
use crate::support::site::{Site, admin};
use crate::support::wait::{wait_for, wait_until};

const INSTANCES: usize = 12;

async fn state(url: &str) -> Value {
    admin(url, Method::GET, "tenants/shop/offboard", None).await.body["state"].clone()
}

async fn furnished(site: &Site, url: &str) {
    site.furnish(url).await;
    let tenant = json!({"display_name": "Shop"});
    assert_eq!(admin(url, Method::PUT, "tenants/shop", Some(tenant)).await.status, 201);
    for number in 0..INSTANCES {
        let plan = if number % 3 == 0 { "async-slow" } else { "ok" };
        let parameters = json!({"delay_ms": 1500, "fail_on": ["deprovision"]});
        let body = json!({"offering": "faults", "plan": plan, "parameters": parameters});
        let reply = admin(url, Method::PUT, &format!("tenants/shop/instances/i-{number}"), Some(body)).await;
        assert!(matches!(reply.status, 201 | 202), "{reply:?}");
    }
    wait_until("all to be ready", BOUND, async || {
        let list = admin(url, Method::GET, "instances?tenant=shop&state=ready", None).await.body;
        list["items"].as_array().is_some_and(|list| list.len() == INSTANCES)
    })
    .await;
}

async fn killed_in_between(on: On) {
    let site = Site::new(on).await;
    let (mut hub, url) = site.start().await;
    furnished(&site, &url).await;
    assert_eq!(admin(&url, Method::POST, "tenants/shop/offboard", Some(json!({}))).await.status, 200);
    // Killed as soon as something of it was done, and then again and again.
    wait_until("a deletion", BOUND, async || site.faults.instances().len() < INSTANCES).await;
    hub.kill().await;
    let mut left = site.faults.instances().len();
    assert!(left > 0, "it was killed too late to tell anything");
    for _ in 0..2 {
        let (mut next, _) = site.start().await;
        wait_until("one more deletion", BOUND, async || site.faults.instances().len() < left || left == 0).await;
        next.kill().await;
        left = site.faults.instances().len();
    }
    let (mut hub, url) = site.start().await;
    wait_for("the tenant to be down", BOUND * 2, async || (state(&url).await == "done").then_some(())).await;
    assert!(site.faults.instances().is_empty());
    assert_eq!(admin(&url, Method::GET, "tenants/shop", None).await.status, 404);
    let events = site.feed(&url).await;
    let gone = events.iter().filter(|event| event["type"] == "io.bourse.instance.deprovisioned").count();
    assert_eq!(gone, INSTANCES, "each deletion is told once");
    assert!(hub.terminate().await.success());
}

#[tokio::test]
async fn a_killed_process_has_lost_nothing_of_an_off_boarding_on_sqlite() {
    killed_in_between(On::Sqlite).await;
}

#[tokio::test]
async fn a_killed_process_has_lost_nothing_of_an_off_boarding_on_postgres() {
    killed_in_between(On::Postgres).await;
}

#[tokio::test]
async fn two_processes_take_a_tenant_down_together_and_each_instance_once() {
    let site = Site::new(On::Postgres).await;
    let (mut a, a_url) = site.start().await;
    furnished(&site, &a_url).await;
    let (mut b, b_url) = site.start().await;
    assert_eq!(admin(&b_url, Method::POST, "tenants/shop/offboard", Some(json!({}))).await.status, 200);
    let order = json!({"offering": "faults", "plan": "ok"});
    let refused = admin(&a_url, Method::PUT, "tenants/shop/instances/late", Some(order)).await;
    assert!(matches!(refused.status, 404 | 422), "suspended at once in the other process: {refused:?}");
    wait_until("the tenant to be down", BOUND, async || state(&a_url).await == "done").await;
    let deletes = site.faults.calls().iter().filter(|call| call.method == "DELETE").count();
    assert_eq!(deletes, INSTANCES);
    for process in [&mut a, &mut b] {
        process.assert_modest();
        assert!(process.terminate().await.success());
    }
}
