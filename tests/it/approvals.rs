//! Orders that wait for an approval: what whoever only polls sees of it, who decides, how it ends, and that the broker never hears of an
//! order that nobody agreed to. Each case ends with the same look at its events: every transition once, numbered without a gap.

mod anew;
mod command;
mod deciders;
mod ends;
mod orders;
mod people;
mod replicas;
mod rules;
mod told;
mod updates;

use std::time::Duration;

use bourse::clock::Time;
use bourse::secret::hash_password;
use bourse::store::credentials::{self, CredentialRow, OwnerKind};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::dump::{events, items};
use crate::support::hub::{BOUND, Hub, Platform, Reply, World, request};
use crate::support::wait::wait_until;

const DAY: Duration = Duration::from_secs(86_400);

/// A hub, the broker behind it and a platform in front.
struct Shop {
    world: World,
    hub: Hub,
    p: Platform,
}

/// Runs one case on a database of each kind.
async fn on_both(case: impl AsyncFn(&Shop)) {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on, |config| config.server.drain = Duration::ZERO).await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        let shop = Shop { world, hub, p };
        case(&shop).await;
        shop.check_stories().await;
        shop.hub.stop().await;
    }
}

impl Shop {
    /// Lets orders wait.
    async fn rule(&self, name: &str, rule: Value) {
        let reply = self.hub.admin(Method::PUT, &format!("/api/v1/approval-rules/{name}"), Some(rule)).await;
        assert!(matches!(reply.status, 200 | 201), "{reply:?}");
    }

    /// Approvals in that state.
    async fn approvals(&self, state: &str) -> Vec<Value> {
        items(&self.hub.url, &format!("approvals?state={state}")).await
    }

    /// The only approval that is pending.
    async fn pending(&self) -> Value {
        let list = self.approvals("pending").await;
        assert_eq!(list.len(), 1, "{list:?}");
        list[0].clone()
    }

    /// One more administrator.
    async fn administrator(&self, name: &'static str) {
        let made = self.hub.db.write::<_, bourse::store::Error, _>(move |tx| {
            let row = CredentialRow {
                username: name.into(),
                owner_kind: OwnerKind::Admin,
                owner_id: name.into(),
                secret_hash: hash_password("pw"),
                created_at: Time(0),
            };
            Box::pin(async move { credentials::insert(tx, &row).await })
        });
        made.await.expect("no administrator");
    }

    /// Decides.
    async fn decide(&self, by: &str, approval: &Value, verb: &str, reason: &str) -> Reply {
        decide(&self.hub.url, by, approval, verb, reason).await
    }

    /// What the broker was told to do, in order.
    fn told(&self) -> Vec<String> {
        let calls = self.world.faults.calls().into_iter().map(|call| call.method);
        calls.filter(|method| ["PUT", "PATCH", "DELETE"].contains(&method.as_str())).collect()
    }

    /// The state of an instance in the management API.
    async fn state(&self, id: &str) -> String {
        for filter in ["", "&state=gone"] {
            let list = items(&self.hub.url, &format!("instances?platform_instance_id={id}{filter}")).await;
            if let Some(found) = list.first() {
                return found["state"].as_str().expect("a state").to_owned();
            }
        }
        panic!("{id} is unknown")
    }

    /// The latest operation of an instance.
    async fn operation(&self, id: &str) -> Value {
        let list = items(&self.hub.url, &format!("instances?platform_instance_id={id}")).await;
        let id = list[0]["id"].as_str().expect("an id");
        let list = items(&self.hub.url, &format!("operations?instance={id}")).await;
        list.last().expect("an operation").clone()
    }

    /// Waits until an instance is ready.
    async fn ready(&self, id: &str) {
        wait_until("it to be ready", BOUND, async || self.state(id).await == "ready").await;
    }

    /// The types of all events, those of approvals included.
    async fn events(&self) -> Vec<String> {
        self.hub.app.number_events().await.expect("could not number");
        let list = events(&self.hub.url).await;
        let kind = |event: &Value| event["type"].as_str().expect("a type").trim_start_matches("io.bourse.").to_owned();
        let told = |kind: &String| ["instance.", "binding.", "approval."].iter().any(|part| kind.starts_with(part));
        list.iter().map(kind).filter(told).collect()
    }

    /// Each instance's events are numbered without a gap, and none is there twice.
    async fn check_stories(&self) {
        self.hub.app.number_events().await.expect("could not number");
        check_stories(&events(&self.hub.url).await);
    }
}

/// Each instance's events are numbered without a gap, each approval was asked for once and decided once at most.
fn check_stories(events: &[Value]) {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    let mut approvals = std::collections::BTreeMap::<(&str, &str), usize>::new();
    for event in events {
        if let Some(id) = event["instanceid"].as_str() {
            let count = counts.entry(id).or_default();
            *count += 1;
            assert_eq!(event["sequence"], count.to_string(), "{event}");
            assert_eq!(
                event["subject"].as_str().map(|subject| subject.starts_with(&format!("instances/{id}"))),
                Some(true)
            );
        }
        if let (Some(kind), Some(id)) = (event["type"].as_str(), event["data"]["approval_id"].as_str()) {
            *approvals.entry((id, kind)).or_default() += 1;
        }
    }
    assert!(!approvals.is_empty() && approvals.values().all(|count| *count == 1), "{approvals:?}");
}

/// Decides about an approval at a hub.
async fn decide(url: &str, by: &str, approval: &Value, verb: &str, reason: &str) -> Reply {
    let id = approval["id"].as_str().expect("an id");
    let url = format!("{url}/api/v1/approvals/{id}/{verb}");
    request(Method::POST, &url, Some((by, "pw")), Some(json!({"reason": reason}))).await
}
