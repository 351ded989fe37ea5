//! Two hundred orders at once against a quota of twenty: twenty are placed, never more, on both databases, through two processes, and
//! where one of them is killed in the middle.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::balanced;
use crate::support::bare::On;
use crate::support::dump::{instances, is_quiet};
use crate::support::hub::{BOUND, Platform, Reply, try_request};
use crate::support::site::{Site, admin, order};
use crate::support::wait::wait_until;

const ORDERS: usize = 200;
const LIMIT: usize = 20;

async fn limit(url: &str) {
    let body = json!({"tenant": "retail", "offering": "faults", "limit": LIMIT.to_string(), "measure": "count"});
    let reply = admin(url, Method::PUT, "quotas/few", Some(body)).await;
    assert_eq!((reply.status, &reply.body["used"]), (201, &json!("0")), "{reply:?}");
}

async fn used(url: &str) -> Value {
    admin(url, Method::GET, "quotas/few", None).await.body["used"].clone()
}

fn send(url: &str, p: &Platform, id: String, body: Value) -> impl Future<Output = Option<Reply>> + use<> {
    let (url, p) = (format!("{url}/v2/service_instances/{id}?accepts_incomplete=true"), p.clone());
    async move { try_request(Method::PUT, &url, Some((&p.username, &p.password)), Some(body)).await }
}

/// The instances that the broker ever heard of.
fn heard_of(site: &Site) -> BTreeSet<String> {
    let calls = site.faults.calls().into_iter();
    calls.filter(|call| call.method == "PUT").map(|call| call.instance_id).collect()
}

/// Nothing is left to be done, and exactly as many stand as may.
async fn audit(site: &Site, url: &str) {
    wait_until("all to be over", BOUND * 3, async || is_quiet(url).await).await;
    let standing = instances(url).await.into_iter().filter(|one| one["state"] == "ready").count();
    assert_eq!((standing, site.faults.instances().len()), (LIMIT, LIMIT));
    assert_eq!(heard_of(site).len(), LIMIT, "the broker never heard of another one");
    assert_eq!(used(url).await, LIMIT.to_string());
    let db = site.db().await;
    balanced(&db).await;
    db.close().await;
}

fn refused(reply: &Reply) -> bool {
    let words = reply.body["description"].as_str().unwrap_or_default();
    reply.status == 400
        && words.contains("quota `few`")
        && words.contains("allows 20")
        && words.contains("needs 1 more")
}

async fn through(site: &Site, urls: &[String], p: &Platform) {
    limit(&urls[0]).await;
    let mut sent = JoinSet::new();
    for number in 0..ORDERS {
        let body = match number % 2 {
            0 => order("ok", &json!({})),
            _ => order("async", &json!({"polls": 1})),
        };
        sent.spawn(send(&urls[number % urls.len()], p, format!("i-{number}"), body));
    }
    let replies: Vec<Reply> = sent.join_all().await.into_iter().map(|reply| reply.expect("an answer")).collect();
    let placed = replies.iter().filter(|reply| matches!(reply.status, 201 | 202)).count();
    assert_eq!(placed, LIMIT);
    assert!(replies.iter().all(|reply| matches!(reply.status, 201 | 202) || refused(reply)), "{replies:?}");
    audit(site, &urls[0]).await;
}

#[tokio::test]
async fn of_two_hundred_orders_at_once_twenty_are_placed_on_both_databases() {
    for on in [On::Sqlite, On::Postgres] {
        let site = Site::new(on).await;
        let (mut hub, url) = site.start().await;
        let p = site.furnish(&url).await;
        through(&site, std::slice::from_ref(&url), &p).await;
        assert!(hub.terminate().await.success());
    }
}

#[tokio::test]
async fn of_two_hundred_orders_through_two_processes_twenty_are_placed() {
    let site = Site::new(On::Postgres).await;
    let (mut a, a_url) = site.start().await;
    let p = site.furnish(&a_url).await;
    let (mut b, b_url) = site.start().await;
    through(&site, &[a_url, b_url], &p).await;
    assert!(a.terminate().await.success());
    assert!(b.terminate().await.success());
}

/// Orders against processes of which the first is killed in the middle; then as many more as anybody wants, through what lives.
async fn killed(site: &Site, on: On) {
    let (mut a, a_url) = site.start().await;
    let p = site.furnish(&a_url).await;
    limit(&a_url).await;
    let second = match on {
        On::Postgres => Some(site.start().await),
        On::Sqlite => None,
    };
    let urls = [a_url.clone(), second.as_ref().map_or(&a_url, |(_, url)| url).clone()];
    let mut sent = JoinSet::new();
    for number in 0..ORDERS {
        // Slow enough that some are under way when it is killed.
        let body = order("async", &json!({"polls": 1}));
        sent.spawn(send(&urls[number % 2], &p, format!("i-{number}"), body));
    }
    wait_until("some to be heard of", BOUND, async || heard_of(site).len() >= 3).await;
    a.kill().await;
    let replies = sent.join_all().await;
    assert!(replies.iter().any(Option::is_none), "some were not answered");
    assert!(replies.iter().flatten().all(|reply| matches!(reply.status, 201 | 202) || refused(reply)), "{replies:?}");
    let (mut b, url) = match second {
        Some(second) => second,
        None => site.start().await,
    };
    wait_until("what it left to be done", BOUND * 3, async || is_quiet(&url).await).await;
    let mut more = JoinSet::new();
    (0..LIMIT * 2)
        .for_each(|number| drop(more.spawn(send(&url, &p, format!("more-{number}"), order("ok", &json!({}))))));
    for reply in more.join_all().await {
        let reply = reply.expect("an answer");
        assert!(reply.status == 201 || refused(&reply), "{reply:?}");
    }
    audit(site, &url).await;
    assert!(b.terminate().await.success());
}

#[tokio::test]
async fn a_process_that_is_killed_in_the_middle_neither_loses_nor_exceeds_a_quota() {
    for on in [On::Sqlite, On::Postgres] {
        killed(&Site::new(on).await, on).await;
    }
}
