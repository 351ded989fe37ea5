//! A PostgreSQL database that sorts as a language does instead of by bytes: lists are read page by page without a gap or a repeat, events keep
//! their order, and the audit is the same chain.

use std::collections::BTreeSet;
use std::sync::Arc;

use bourse::domain::audit::verify::Verifier;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::on_each;
use crate::support::hub::{BOUND, Hub, World, sync};
use crate::support::services::postgres;
use crate::support::wait::wait_until;

/// Names that bytes and languages sort differently.
const USERS: [&str; 12] = ["a", "B", "A", "b", "ä", "Ä", "z", "_", "a-b", "ab", "a b", "10"];
const TENANTS: [&str; 6] = ["a-b", "ab", "a1", "a-1", "b", "0-9"];

async fn paged(hub: &Hub, path: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = hub.admin(Method::GET, &format!("/api/v1/{path}?limit=1{cursor}"), None).await.body;
        all.extend(page["items"].as_array().expect("items").iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn names(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["name"].as_str().expect("a name")).collect()
}

/// What a hub says of all that: whatever the database, it has to be the same but for the order of names.
async fn check(world: &World) {
    let hub = world.hub().await;
    let p = world.furnish(&hub).await;
    for user in USERS {
        let user = user.replace(' ', "%20");
        let put = hub.admin(Method::PUT, &format!("/api/v1/users/{user}"), Some(json!({"groups": ["g"]}))).await;
        assert_eq!(put.status, 201, "{user}: {put:?}");
    }
    let users = paged(&hub, "users").await;
    assert_eq!(names(&users).len(), USERS.len(), "none is there twice");
    assert_eq!(names(&users).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(USERS));
    for tenant in TENANTS {
        let identity = json!([{"platform": "p", "organization_guid": format!("org-{tenant}")}]);
        let body = json!({"display_name": tenant, "identities": identity});
        let put = hub.admin(Method::PUT, &format!("/api/v1/tenants/{tenant}"), Some(body)).await;
        assert_eq!(put.status, 201, "{tenant}: {put:?}");
    }
    let whole = hub.admin(Method::GET, "/api/v1/tenants?limit=1000", None).await.body;
    let tenants = paged(&hub, "tenants").await;
    assert_eq!(&Value::from(tenants.clone()), &whole["items"], "pages are parts of the whole");
    for tenant in tenants.iter().filter(|tenant| tenant["name"] != "retail") {
        let identity = format!("org-{}", tenant["name"].as_str().expect("a name"));
        assert_eq!(tenant["identities"][0]["organization_guid"], identity.as_str(), "{tenant}");
    }
    assert_eq!(tenants.len(), TENANTS.len() + 1);

    for number in 0..4 {
        assert_eq!(hub.provision(&p, &format!("I-{number}"), "ok", sync()).await.status, 201);
    }
    assert_eq!(paged(&hub, "instances").await.len(), 4);
    let feed = async |limit: usize| {
        let (mut all, mut after) = (Vec::new(), "0".to_owned());
        loop {
            let path = format!("/api/v1/events?limit={limit}&after={after}&tenant=retail");
            let page = hub.admin(Method::GET, &path, None).await.body;
            let items = page["items"].as_array().expect("items").clone();
            if items.is_empty() {
                return all;
            }
            all.extend(items);
            after = page["next"].as_str().expect("a cursor").to_owned();
        }
    };
    wait_until("all events to be numbered", BOUND, async || feed(1000).await.len() == 9).await;
    let events = feed(1000).await;
    assert_eq!(feed(2).await, events);
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds[0], "io.bourse.tenant.changed");
    for pair in kinds[1..].chunks(2) {
        assert_eq!(pair, ["io.bourse.instance.requested", "io.bourse.instance.provisioned"]);
    }

    let head = hub.app.audit_head().await.expect("a head");
    while hub.app.chain_audit().await.expect("could not chain") > 0 {}
    let mut verifier = Verifier::new([head]);
    let page = hub.admin(Method::GET, "/api/v1/audit?limit=1000", None).await.body;
    let rows = page["items"].as_array().expect("items");
    rows.iter().for_each(|row| verifier.take(row));
    let report = verifier.finish();
    assert_eq!((report.findings, report.rows), (Vec::new(), rows.len() as u64));
    assert!(report.rows >= (USERS.len() + TENANTS.len()) as u64);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_events_and_audit_are_the_same_where_text_is_sorted_by_bytes() {
    on_each(async |on| check(&World::new(on, |_| {}).await).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_events_and_audit_are_the_same_where_text_is_sorted_as_english_is() {
    let database = postgres().await.english("english").await;
    check(&World::at(database.url().to_owned(), Arc::new(database), |_| {})).await;
}
