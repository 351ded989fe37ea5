//! Backends that are down or hang: the catalog is served, orders are refused or wait, nothing piles up, the other backends
//! notice nothing, and all is well again without anybody's hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bourse_brokers::faults::{Faults, wire};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::support::bare::On;
use crate::support::dump::{instances, is_quiet, items};
use crate::support::hub::{BOUND, Hub, Platform, Reply, TIMEOUT_MS, World, request};
use crate::support::ports::free_port;
use crate::support::site::{Site, admin, plan_ids, tenant_and_platform};
use crate::support::wait::{wait_for, wait_until};

/// A faults broker that can be taken away from its address, and come back.
struct Backend {
    faults: Faults,
    address: SocketAddr,
    running: Option<wire::Running>,
}

/// In its place: whoever connects is heard, and never answered.
struct Mute(JoinHandle<()>);

impl Drop for Mute {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Backend {
    /// Listens and is registered under that name, which stands before the names of its offerings too.
    async fn register(url: &str, name: &str, timeout_ms: u32) -> Self {
        let faults = Faults::new();
        let running = serve(&faults, SocketAddr::from(([127, 0, 0, 1], free_port()))).expect("no port");
        let new = json!({
            "name": name, "url": running.url(), "timeout_ms": timeout_ms, "name_prefix": format!("{name}-"),
            "credentials": {"basic": {"username": "hub", "password": "secret"}},
        });
        let reply = admin(url, Method::POST, "brokers", Some(new)).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        Self { faults, address: running.address(), running: Some(running) }
    }

    async fn stop(&mut self) {
        self.running.take().expect("it is running").stop().await;
    }

    async fn come_back(&mut self) {
        let running =
            wait_for("the port to be free again", BOUND, async || serve(&self.faults, self.address).ok()).await;
        self.running = Some(running);
    }

    async fn hang(&mut self) -> Mute {
        self.stop().await;
        let listener =
            wait_for("the port to be free again", BOUND, async || TcpListener::bind(self.address).await.ok());
        let listener = listener.await;
        Mute(tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                held.push(connection);
            }
        }))
    }
}

fn serve(faults: &Faults, address: SocketAddr) -> std::io::Result<wire::Running> {
    wire::bind(osb::server::BasicAuth::new(Arc::new(faults.clone()), "hub", "secret"), faults, address)
}

async fn world(on: On, places: usize) -> (World, Hub, Platform) {
    let world = World::new(on, |config| {
        config.server.drain = Duration::ZERO;
        config.operations.concurrency = places;
    })
    .await;
    let hub = world.hub().await;
    let p = tenant_and_platform(&hub.url).await;
    (world, hub, p)
}

/// What is ordered again and again.
struct Wanted {
    plan: (String, String),
    parameters: Value,
    polls: bool,
}

/// A plan of the broker of that name, by somebody who can't poll.
async fn wanted(url: &str, p: &Platform, broker: &str, plan: &str) -> Wanted {
    let plan = plan_ids(url, p, &format!("{broker}-faults"), plan).await;
    Wanted { plan, parameters: json!({}), polls: false }
}

/// The plan whose orders take so many polls, by somebody who polls.
async fn slow(url: &str, p: &Platform, broker: &str, polls: u32) -> Wanted {
    Wanted { parameters: json!({"polls": polls}), polls: true, ..wanted(url, p, broker, "async").await }
}

fn order(url: &str, p: &Platform, what: &Wanted, id: String) -> impl Future<Output = Reply> + use<> {
    let body = json!({
        "service_id": what.plan.0, "plan_id": what.plan.1, "organization_guid": "o", "space_guid": "s",
        "parameters": what.parameters,
    });
    let (url, p) = (format!("{url}/v2/service_instances/{id}?accepts_incomplete={}", what.polls), p.clone());
    async move { request(Method::PUT, &url, Some((&p.username, &p.password)), Some(body)).await }
}

#[tokio::test]
async fn a_backend_that_stays_down_is_refused_with_503_and_recovers_by_itself() {
    for on in [On::Sqlite, On::Postgres] {
        let (world, hub, p) = world(on, 64).await;
        let mut down = Backend::register(&hub.url, "down", TIMEOUT_MS).await;
        let other = Backend::register(&hub.url, "other", TIMEOUT_MS).await;
        let (of_down, of_other) = (wanted(&hub.url, &p, "down", "ok").await, wanted(&hub.url, &p, "other", "ok").await);
        down.stop().await;
        for number in 0..12 {
            let refused = order(&hub.url, &p, &of_down, format!("down-{number}")).await;
            assert_eq!(refused.status, 503, "{refused:?}");
            assert!(refused.retry_after.is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0)));
            assert_eq!(order(&hub.url, &p, &of_other, format!("other-{number}")).await.status, 201);
        }
        let catalog = hub.osb(&p, Method::GET, "/v2/catalog", None).await;
        assert_eq!(catalog.body["services"].as_array().map(Vec::len), Some(2), "both are still offered");
        assert!(is_quiet(&hub.url).await, "nothing piles up");
        assert_eq!(items(&hub.url, "instances").await.len(), 12, "nothing is left of what was refused");
        let broker = hub.admin(Method::GET, "/api/v1/brokers/down", None).await;
        assert_eq!(broker.body["breaker"], "open");

        down.come_back().await;
        world.clock.advance(Duration::from_secs(10));
        for number in 0..12 {
            assert_eq!(order(&hub.url, &p, &of_down, format!("down-{number}")).await.status, 201, "without a hand");
        }
        assert_eq!((down.faults.instances().len(), other.faults.instances().len()), (12, 12));
        hub.stop().await;
    }
}

#[tokio::test]
async fn orders_of_a_backend_that_hangs_do_not_hold_up_those_of_another() {
    const HUNG: usize = 60;
    for on in [On::Sqlite, On::Postgres] {
        let site = Site::new(on).await;
        let (mut hub, url) = site.start().await;
        let p = tenant_and_platform(&url).await;
        let mut hung = Backend::register(&url, "hung", 40_000).await;
        let _other = Backend::register(&url, "other", 40_000).await;
        let (of_hung, of_other) = (wanted(&url, &p, "hung", "ok").await, wanted(&url, &p, "other", "ok").await);
        let _mute = hung.hang().await;
        let (mut waiting, answered) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for number in 0..HUNG {
            let (order, answered) = (order(&url, &p, &of_hung, format!("hung-{number}")), Arc::clone(&answered));
            waiting.spawn(async move {
                order.await;
                answered.fetch_add(1, Ordering::SeqCst);
            });
        }
        wait_until("all of them to be under way", BOUND, async || {
            items(&url, "operations?state=in_progress").await.len() == HUNG
        })
        .await;
        let mut quick = JoinSet::new();
        (0..40).for_each(|number| drop(quick.spawn(order(&url, &p, &of_other, format!("other-{number}")))));
        let quick: Vec<_> = quick.join_all().await.into_iter().map(|reply| reply.status).collect();
        assert_eq!(quick, [201; 40]);
        assert_eq!(answered.load(Ordering::SeqCst), 0, "the others are still waiting");
        let catalog = format!("{url}/v2/catalog");
        let catalog = request(Method::GET, &catalog, Some((&p.username, &p.password)), None).await;
        assert_eq!(catalog.status, 200);
        hub.assert_modest();
        waiting.shutdown().await;
        hub.kill().await;
    }
}

#[tokio::test]
async fn polling_a_backend_that_hangs_leaves_places_for_the_others() {
    const PLACES: usize = 16;
    for on in [On::Sqlite, On::Postgres] {
        let (world, hub, p) = world(on, PLACES).await;
        let mut hung = Backend::register(&hub.url, "hung", 40_000).await;
        let _other = Backend::register(&hub.url, "other", 40_000).await;
        let (of_hung, of_other) = (slow(&hub.url, &p, "hung", 1_000).await, slow(&hub.url, &p, "other", 3).await);
        for number in 0..PLACES * 3 {
            let reply = order(&hub.url, &p, &of_hung, format!("hung-{number}")).await;
            assert_eq!(reply.status, 202, "{reply:?}");
        }
        let _mute = hung.hang().await;
        // All of them are due now, and each waits for an answer that does not come.
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(order(&hub.url, &p, &of_other, "other".into()).await.status, 202);
        wait_until("the other one to be ready", BOUND, async || {
            world.clock.advance(Duration::from_millis(100));
            let list = instances(&hub.url).await;
            list.iter().any(|instance| instance["platform_instance_id"] == "other" && instance["state"] == "ready")
        })
        .await;
        assert_eq!(items(&hub.url, "operations?state=in_progress").await.len(), PLACES * 3, "the others still hang");
        drop(hub);
    }
}
