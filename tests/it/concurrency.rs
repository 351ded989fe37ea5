//! Many orders at once, at a real process, for what there is little of: each gets its own, once, and in little memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bourse_brokers::vnet_ipam::pool::Pool;
use bourse_brokers::vnet_ipam::{Config, VnetIpam};
use osb::server::{BasicAuth, Running, Server};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::bare::On;
use crate::support::dump::{instances, is_quiet, spans};
use crate::support::hub::{BOUND, Platform, Reply, request};
use crate::support::site::{Site, admin, plan_ids, tenant_and_platform};
use crate::support::wait::wait_until;

/// Orders at once, every other one sent twice.
const ORDERS: usize = 200;
/// What a /20 has room for.
const ROOM: usize = 256;

/// A vnet-ipam whose only pool is a /20.
async fn broker(folder: &tempfile::TempDir) -> Running {
    let pools = vec![Pool::new("default", "10.9.0.0/20").expect("a pool")];
    let config = Config { pools, ..Config::new(folder.path().join("vnet-ipam.db")) };
    let broker = VnetIpam::open(config).await.expect("could not open the broker");
    Server::new(BasicAuth::new(Arc::new(broker), "hub", "secret")).bind("127.0.0.1:0").expect("no port")
}

async fn register(url: &str, broker: &Running) -> Platform {
    let new = json!({
        "name": "vnet-ipam", "url": broker.url(), "timeout_ms": 40_000,
        "credentials": {"basic": {"username": "hub", "password": "secret"}},
    });
    let reply = admin(url, Method::POST, "brokers", Some(new)).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    tenant_and_platform(url).await
}

/// Orders a /28 under an id, by somebody who can't poll.
fn order(
    url: &str,
    p: &Platform,
    plan: &(String, String),
    id: String,
) -> impl Future<Output = (String, Reply)> + use<> {
    let body = json!({
        "service_id": plan.0, "plan_id": plan.1, "organization_guid": "o", "space_guid": "s",
        "parameters": {"prefix_length": 28},
    });
    let (url, p) = (format!("{url}/v2/service_instances/{id}"), p.clone());
    async move { (id, request(Method::PUT, &url, Some((&p.username, &p.password)), Some(body)).await) }
}

fn cidr(reply: &Reply) -> String {
    reply.body["metadata"]["attributes"]["cidr"].as_str().unwrap_or_else(|| panic!("no prefix: {reply:?}")).to_owned()
}

async fn each_order_gets_a_prefix_of_its_own(on: On) {
    let folder = tempfile::tempdir().expect("no temporary directory");
    let broker = broker(&folder).await;
    let site = Site::new(on).await;
    let (mut hub, url) = site.start().await;
    let p = register(&url, &broker).await;
    let plan = plan_ids(&url, &p, "virtual-network", "small").await;

    let (answered, mut sent) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    let send = |sent: &mut JoinSet<(String, Reply)>, number: usize| {
        let (order, answered) = (order(&url, &p, &plan, format!("i-{number}")), Arc::clone(&answered));
        sent.spawn(async move {
            let done = order.await;
            answered.fetch_add(1, Ordering::SeqCst);
            done
        });
    };
    (0..ORDERS).for_each(|number| send(&mut sent, number));
    wait_until("some to be answered", BOUND, async || answered.load(Ordering::SeqCst) >= 10).await;
    assert!(answered.load(Ordering::SeqCst) < ORDERS, "the others are under way");
    (0..ORDERS).step_by(2).for_each(|number| send(&mut sent, number));

    let replies = sent.join_all().await;
    assert!(replies.iter().all(|(_, reply)| matches!(reply.status, 200 | 201)), "{replies:?}");
    let created = replies.iter().filter(|(_, reply)| reply.status == 201).count();
    assert_eq!(created, ORDERS, "each is made once, and a repeat is told that it exists");
    let given: BTreeSet<_> = replies.iter().map(|(id, reply)| (id.clone(), cidr(reply))).collect();
    assert_eq!(given.len(), ORDERS, "a repeat is told the same prefix");
    let prefixes: BTreeSet<_> = given.iter().map(|(_, cidr)| cidr.clone()).collect();
    assert_eq!(prefixes.len(), ORDERS);
    assert!(prefixes.iter().all(|cidr| cidr.starts_with("10.9.") && cidr.ends_with("/28")), "{prefixes:?}");

    audit(&site, &url).await;
    // Nothing was taken that nobody has: exactly the rest of the room is left.
    let mut rest = JoinSet::new();
    (ORDERS..ROOM + 1).for_each(|number| drop(rest.spawn(order(&url, &p, &plan, format!("i-{number}")))));
    let rest: Vec<u16> = rest.join_all().await.into_iter().map(|(_, reply)| reply.status).collect();
    let count = |status: u16| rest.iter().filter(|given| **given == status).count();
    assert_eq!((count(201), count(400)), (ROOM - ORDERS, 1), "{rest:?}");
    hub.assert_modest();
    assert!(hub.terminate().await.success());
}

async fn audit(site: &Site, url: &str) {
    assert!(is_quiet(url).await);
    let (instances, events) = (instances(url).await, site.feed(url).await);
    assert_eq!(instances.len(), ORDERS);
    for instance in &instances {
        assert_eq!(instance["state"], "ready");
        let own = events.iter().filter(|event| event["instanceid"] == instance["id"]);
        let kinds: Vec<&Value> = own.map(|event| &event["type"]).collect();
        assert_eq!(kinds, ["io.bourse.instance.requested", "io.bourse.instance.provisioned"]);
    }
    let db = site.db().await;
    let spans = spans(&db).await;
    db.close().await;
    assert!(spans.len() == ORDERS && spans.values().all(|spans| *spans == (1, 0)), "{spans:?}");
}

#[tokio::test]
async fn two_hundred_orders_at_once_end_in_as_many_prefixes_on_sqlite() {
    each_order_gets_a_prefix_of_its_own(On::Sqlite).await;
}

#[tokio::test]
async fn two_hundred_orders_at_once_end_in_as_many_prefixes_on_postgres() {
    each_order_gets_a_prefix_of_its_own(On::Postgres).await;
}
