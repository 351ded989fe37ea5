//! A database that hangs, or that is lost in the middle of a commit: requests are answered in bounded time, nothing is half done,
//! and all is well again without anybody's hand.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bourse::app::{Point, Points};
use bourse::domain::operation::OperationKind;
use bourse::store::db::column;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::bare::{On, on_each};
use crate::support::bench::Bench;
use crate::support::dump::{instances, is_quiet};
use crate::support::hub::{BOUND, Hub, Platform, World, polling, request, sync};
use crate::support::services::{Frozen, Postgres, freeze, postgres};
use crate::support::wait::wait_until;

/// Two waits of the hub's for its database, one for a connection and one for an answer, and a slow machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(45);

async fn hub_on_own_server(points: impl FnOnce(u32) -> Points) -> (Arc<Postgres>, World, Hub, Platform) {
    let server = Arc::new(Postgres::start().await.expect("no server"));
    let database = server.database("hung").await;
    let url = database.url().to_owned();
    let world = World::at(url, Arc::new((database, Arc::clone(&server))), |config| {
        config.server.answer_within = Duration::from_secs(3);
    });
    let hub = world.hub_with(points(server.pid())).await;
    let platform = world.furnish(&hub).await;
    (server, world, hub, platform)
}

async fn until_ready(hub: &Hub) {
    wait_until("the hub to be ready again", BOUND, async || {
        request(Method::GET, &format!("{}/readyz", hub.url), None, None).await.status == 200
    })
    .await;
}

async fn until_quiet(world: &World, hub: &Hub) {
    wait_until("all to be over", BOUND, async || {
        world.clock.advance(Duration::from_secs(2));
        is_quiet(&hub.url).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_is_answered_for_with_503_in_bounded_time() {
    let (server, world, hub, p) = hub_on_own_server(|_| Points::default()).await;
    assert_eq!(hub.provision(&p, "before", "ok", sync()).await.status, 201);
    let frozen = server.freeze();
    let (ready, order, listed) = tokio::join!(
        async {
            let started = Instant::now();
            let reply = request(Method::GET, &format!("{}/readyz", hub.url), None, None).await;
            (reply, started.elapsed())
        },
        async {
            let started = Instant::now();
            (hub.provision(&p, "during", "ok", sync()).await, started.elapsed())
        },
        hub.admin(Method::GET, "/api/v1/instances", None),
    );
    assert_eq!((ready.0.status, &ready.0.body["reasons"][0]), (503, &json!("the database does not answer in time")));
    assert!(ready.1 < Duration::from_secs(8), "{:?}", ready.1);
    assert_eq!(order.0.status, 503, "{:?}", order.0);
    assert!(order.0.retry_after.is_some() && order.1 < ANSWERED_WITHIN, "{order:?}");
    assert_eq!((listed.status, listed.retry_after.is_some()), (503, true), "{listed:?}");

    drop(frozen);
    until_ready(&hub).await;
    assert_eq!(hub.provision(&p, "after", "ok", sync()).await.status, 201);
    assert_eq!(hub.last_operation(&p, "during").await.status, 404, "nothing is left of it");
    until_quiet(&world, &hub).await;
    assert_eq!((instances(&hub.url).await.len(), world.faults.instances().len()), (2, 2));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_outcome_the_database_did_not_take_goes_on_when_it_does() {
    let held: Arc<Mutex<Option<Frozen>>> = Arc::default();
    let once = Arc::new(AtomicBool::new(true));
    let (freezer, first) = (Arc::clone(&held), Arc::clone(&once));
    let (_server, world, hub, p) = hub_on_own_server(|pid| {
        Points::stopping(Arc::new(move |point, kind| {
            let now = point == Point::AfterCall && kind == OperationKind::Provision;
            if now && first.swap(false, Ordering::SeqCst) {
                *freezer.lock().expect("a lock") = Some(freeze(pid));
            }
            false
        }))
    })
    .await;
    let order = hub.provision(&p, "i", "ok", polling()).await;
    assert_eq!(order.status, 202, "{order:?}");
    assert_eq!(world.faults.instances().len(), 1);
    let operation = order.body["operation"].as_str().expect("an operation").to_owned();

    held.lock().expect("a lock").take();
    until_ready(&hub).await;
    assert_eq!(hub.outcome(&p, "i").await, "succeeded");
    let told = hub.admin(Method::GET, &format!("/api/v1/operations/{operation}"), None).await;
    assert_eq!(told.body["state"], "succeeded", "{told:?}");
    assert_eq!(world.faults.instances().len(), 1);
    let events = hub.event_types().await;
    assert_eq!(events.first().zip(events.last()), Some((&"instance.requested".into(), &"instance.provisioned".into())));
    assert_eq!(events.iter().filter(|kind| *kind == "instance.provisioned").count(), 1);
    hub.stop().await;
}

/// What becomes of a connection at the commit of the transaction that names [`MARK`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The server gets the commit; nobody hears that it did it.
    AfterCommit,
    /// The commit does not get there.
    BeforeCommit,
}

const MARK: &str = "cut-me-off";

/// Between the hub and its database: cuts one connection off, once.
struct Between {
    address: SocketAddr,
    cuts: Arc<AtomicUsize>,
}

impl Between {
    async fn start(server: String, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("no port");
        let (address, cuts) = (listener.local_addr().expect("an address"), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&cuts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, cuts) = (server.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    let server = TcpStream::connect(server).await.expect("no server");
                    // Whichever ends, ends the other.
                    carry(client, server, cut, &cuts).await;
                });
            }
        });
        Self { address, cuts }
    }
}

fn has(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

async fn carry(client: TcpStream, server: TcpStream, cut: Cut, cuts: &AtomicUsize) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let up = async {
        let (mut bytes, mut marked) = (vec![0; 64 * 1024], false);
        while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
            let sent = &bytes[..read];
            marked = (marked && !has(sent, "BEGIN")) || has(sent, MARK);
            let cut_now = marked && has(sent, "COMMIT") && cuts.fetch_add(1, Ordering::SeqCst) == 0;
            if cut_now && cut == Cut::BeforeCommit {
                return;
            }
            if to_server.write_all(sent).await.is_err() || cut_now {
                // The server's answer, if any, goes nowhere.
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}

async fn cut_off(cut: Cut, check: impl AsyncFnOnce(&World, &Hub, &Platform)) {
    let database = postgres().await.database("cut").await;
    let (server, name) = database.url().rsplit_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("a URL");
    let between = Between::start(server.to_owned(), cut).await;
    let url = format!("postgres://bourse@{}/{name}", between.address);
    let world = World::at(url, Arc::new(database), |_| {});
    let hub = world.hub().await;
    let p = world.furnish(&hub).await;
    check(&world, &hub, &p).await;
    assert!(between.cuts.load(Ordering::SeqCst) > 0, "nothing was cut off");
    until_quiet(&world, &hub).await;
    hub.stop().await;
}

#[tokio::test]
async fn an_order_whose_commit_was_done_but_not_confirmed_is_carried_out() {
    cut_off(Cut::AfterCommit, async |world, hub, p| {
        let made = hub.provision(p, MARK, "ok", sync()).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!((instances(&hub.url).await.len(), world.faults.instances().len()), (1, 1));
        assert_eq!(hub.event_types().await, ["instance.requested", "instance.provisioned"]);
    })
    .await;
}

#[tokio::test]
async fn an_order_whose_commit_did_not_get_there_is_refused_and_leaves_nothing() {
    cut_off(Cut::BeforeCommit, async |world, hub, p| {
        let refused = hub.provision(p, MARK, "ok", sync()).await;
        assert_eq!((refused.status, refused.retry_after.is_some()), (503, true), "{refused:?}");
        assert_eq!((instances(&hub.url).await.len(), world.faults.instances().len()), (0, 0));
        assert_eq!(hub.provision(p, MARK, "ok", sync()).await.status, 201, "the id is free");
    })
    .await;
}

#[tokio::test]
async fn a_binding_whose_commit_was_done_but_not_confirmed_is_made() {
    cut_off(Cut::AfterCommit, async |world, hub, p| {
        assert_eq!(hub.provision(p, "i", "ok", sync()).await.status, 201);
        let bound = hub.bind(p, ("i", MARK), "ok", sync()).await;
        assert_eq!(bound.status, 201, "{bound:?}");
        assert_eq!(world.faults.bindings().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_change_by_an_operator_whose_commit_is_not_confirmed_is_neither_done_nor_failed() {
    cut_off(Cut::AfterCommit, async |_, hub, _| {
        let body = json!({"display_name": MARK});
        let reply = hub.admin(Method::PUT, "/api/v1/tenants/t", Some(body)).await;
        assert_eq!((reply.status, reply.body["code"].as_str()), (503, Some("outcome_unknown")), "{reply:?}");
        // The commit is still on its way when its connection is gone: the server carries it out when it gets there.
        wait_until("what was not confirmed to be there", BOUND, async || {
            hub.admin(Method::GET, "/api/v1/tenants/t", None).await.status == 200
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_read_that_fails_while_an_order_is_waited_for_is_repeated() {
    on_each(async |on: On| {
        let failed = Arc::new(AtomicUsize::new(0));
        let mut b = Bench::new(on).await;
        let counted = Arc::clone(&failed);
        let points = Points::unreadable(Arc::new(move || counted.fetch_add(1, Ordering::SeqCst) < 2));
        let hub = b.world.hub_with(points).await;
        std::mem::replace(&mut b.hub, hub).stop().await;
        // Read is only what takes long enough for somebody to look.
        let held = b.recorder.hold("provision");
        let order = Some(b.order("small", json!({})));
        let (_, ()) = tokio::join!(b.check("waits", "PUT i", order, (201, "")), async {
            wait_until("two reads to have failed and a third not", BOUND, async || failed.load(Ordering::SeqCst) > 2)
                .await;
            drop(held);
        });
        assert_eq!(b.recorder.count("provision"), 1);
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn om_23_an_order_that_cannot_be_read_at_its_deadline_is_202_for_who_polls_and_else_undone() {
    on_each(async |on: On| {
        let failing = Arc::new(AtomicBool::new(false));
        let mut b = Bench::with(on, |config| config.server.answer_within = Duration::from_secs(1)).await;
        let asked = Arc::clone(&failing);
        let hub = b.world.hub_with(Points::unreadable(Arc::new(move || asked.load(Ordering::SeqCst)))).await;
        std::mem::replace(&mut b.hub, hub).stop().await;
        failing.store(true, Ordering::SeqCst);
        let order = Some(b.order("small", json!({})));
        let held = b.recorder.hold("provision");
        b.check("polls", "PUT polls?accepts_incomplete=true", order.clone(), (202, "operation")).await;
        drop(held);
        assert_eq!(b.outcome("polls").await, "succeeded");

        let held = b.recorder.hold("provision");
        b.check("waits", "PUT waits", order.clone(), (503, "busy")).await;
        failing.store(false, Ordering::SeqCst);
        wait_until("the refusal to be written down", BOUND, async || told(&b.hub).await == "refused").await;
        drop(held);
        until_quiet(&b.world, &b.hub).await;
        assert_eq!((b.recorder.count("provision"), b.recorder.count("deprovision") > 0), (2, true));
        b.check("undone", "GET waits/last_operation", None, (200, "failed")).await;
        b.hub.stop().await;
    })
    .await;
}

/// What whoever ordered last was told.
async fn told(hub: &Hub) -> String {
    const TOLD: &str = "select told from operations where kind = 'provision' order by created_at desc limit 1";
    let read = hub.db.read(|tx| {
        Box::pin(async move {
            let row = tx.fetch_optional(sqlx::query(TOLD)).await?.expect("an operation");
            column(&row, "told")
        })
    });
    read.await.map_err(|error: bourse::store::Error| error.to_string()).expect("a word")
}
