//! Identities that no tenant has, looked up in an organisation's own database.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bourse::config::TenantLookup;
use bourse::secret::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::on_each;
use crate::support::hub::{Hub, Platform, Reply, World};

/// The organisation's database: what it answers, and what it was asked.
#[derive(Default)]
struct Directory {
    answer: Mutex<(u16, Value)>,
    asked: Mutex<Vec<Value>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    /// It answers nothing for so long.
    hangs: AtomicUsize,
    /// What is done before it answers.
    first: tokio::sync::Mutex<Option<(Arc<Hub>, Value)>>,
}

impl Directory {
    fn say(&self, status: u16, answer: Value) {
        *self.answer.lock().expect("not poisoned") = (status, answer);
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

async fn answer(directory: Data<Arc<Directory>>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let now = directory.at_once.fetch_add(1, Ordering::SeqCst) + 1;
    directory.most_at_once.fetch_max(now, Ordering::SeqCst);
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(token, "Bearer directory-token");
    directory.asked.lock().expect("not poisoned").push(serde_json::from_slice(&body).expect("JSON"));
    if let Some((hub, tenant)) = directory.first.lock().await.take() {
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/quicker", Some(tenant)).await.status, 201);
    }
    if directory.hangs.load(Ordering::SeqCst) > 0 {
        std::future::pending::<()>().await;
    }
    let (status, answer) = directory.answer.lock().expect("not poisoned").clone();
    directory.at_once.fetch_sub(1, Ordering::SeqCst);
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).expect("a status")).json(answer)
}

/// A hub that asks the directory, with a platform `strict` that has no default tenant.
async fn furnished(world: &World) -> (Hub, Platform) {
    let hub = world.hub().await;
    world.furnish(&hub).await;
    let reply = hub.admin(Method::POST, "/api/v1/platforms", Some(json!({"name": "strict", "kind": "other"}))).await;
    let text = |field: &str| reply.body["credentials"][field].as_str().expect("credentials").to_owned();
    let platform = Platform { username: text("username"), password: text("password") };
    (hub, platform)
}

fn lookup(url: String, timeout: Duration) -> TenantLookup {
    TenantLookup {
        url,
        token: Some(Secret::new("directory-token".to_owned())),
        timeout,
        negative_ttl: Duration::from_secs(60),
        failure_ttl: Duration::from_secs(1),
    }
}

fn directory() -> (Arc<Directory>, String) {
    let directory = Arc::new(Directory::default());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/tenants", listener.local_addr().expect("an address"));
    let shared = Arc::clone(&directory);
    let server = HttpServer::new(move || {
        App::new().app_data(Data::new(Arc::clone(&shared))).route("/tenants", web::post().to(answer))
    });
    let server = server.workers(1).disable_signals().listen(listener).expect("it listens").run();
    tokio::spawn(server);
    (directory, url)
}

async fn order(hub: &Hub, platform: &Platform, id: &str, organization: &str) -> Reply {
    let (service_id, plan_id) = hub.ids("ok");
    let body = json!({
        "service_id": service_id, "plan_id": plan_id, "organization_guid": organization, "space_guid": "s",
    });
    hub.osb(platform, Method::PUT, &format!("/v2/service_instances/{id}"), Some(body)).await
}

#[tokio::test]
async fn an_unknown_identity_is_looked_up_once_and_what_is_answered_is_mapped() {
    on_each(async |on| {
        let (directory, url) = directory();
        let lookup = lookup(url, Duration::from_secs(5));
        let world = World::new(on, |config| config.tenants.lookup = Some(lookup)).await;
        let (hub, p) = furnished(&world).await;
        // Nobody knows it: a clear refusal, and nobody asks again for a while.
        directory.say(404, json!({}));
        for _ in 0..3 {
            let refused = order(&hub, &p, "i", "org").await;
            assert_eq!(refused.status, 400, "{refused:?}");
            assert!(refused.body["description"].as_str().is_some_and(|said| said.contains("no tenant is mapped")));
        }
        let asked = json!({
            "platform": "strict", "identity": {"platform": "strict", "organization_guid": "org", "space_guid": "s"},
        });
        assert_eq!(directory.asked(), [asked]);
        // An outage is none of its knowledge: 503, and nothing is sent.
        world.clock.advance(Duration::from_secs(61));
        directory.say(500, json!({}));
        let away = order(&hub, &p, "i", "org").await;
        assert_eq!((away.status, away.retry_after.is_some()), (503, true), "{away:?}");
        // It is left alone for a moment: orders are told the same.
        let asked = directory.asked().len();
        assert_eq!(order(&hub, &p, "i", "org").await.status, 503);
        assert_eq!(directory.asked().len(), asked);
        world.clock.advance(Duration::from_secs(1));
        // What it answers must be a tenant.
        directory.say(200, json!({"name": "Not A Name", "display_name": "x"}));
        let refused = order(&hub, &p, "i", "org").await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(world.faults.calls().is_empty() || world.faults.instances().is_empty());
        world.clock.advance(Duration::from_secs(1));
        // Many orders at once ask once.
        directory.say(200, json!({"name": "shop", "display_name": "Shop", "cost_center": "9"}));
        let before = directory.asked().len();
        let ids: Vec<_> = (0..8).map(|number| format!("i-{number}")).collect();
        let replies = futures_util::future::join_all(ids.iter().map(|id| order(&hub, &p, id, "org"))).await;
        assert!(replies.iter().all(|reply| reply.status == 201), "{replies:?}");
        assert_eq!(directory.asked().len(), before + 1);
        assert_eq!(directory.most_at_once.load(Ordering::SeqCst), 1);
        let shop = hub.admin(Method::GET, "/api/v1/tenants/shop", None).await.body;
        assert_eq!((&shop["cost_center"], &shop["identities"][0]["organization_guid"]), (&json!("9"), &json!("org")));
        // It is mapped from now on: another identity of the same tenant adds to what is there.
        assert_eq!(order(&hub, &p, "other", "org-2").await.status, 201);
        let shop = hub.admin(Method::GET, "/api/v1/tenants/shop", None).await.body;
        assert_eq!(shop["identities"].as_array().map(Vec::len), Some(2));
        let count = directory.asked().len();
        assert_eq!(order(&hub, &p, "third", "org-2").await.status, 201);
        assert_eq!(directory.asked().len(), count);
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn many_orders_during_an_outage_share_one_question_and_none_waits_longer_than_two() {
    on_each(async |on| {
        let (directory, url) = directory();
        let timeout = Duration::from_millis(1500);
        let lookup = lookup(url, timeout);
        let world = World::new(on, |config| config.tenants.lookup = Some(lookup)).await;
        let (hub, p) = furnished(&world).await;
        directory.hangs.store(1, Ordering::SeqCst);
        let (began, ids) = (Instant::now(), (0..12).map(|number| format!("i-{number}")).collect::<Vec<_>>());
        let replies = futures_util::future::join_all(ids.iter().map(|id| order(&hub, &p, id, "org"))).await;
        let took = began.elapsed();
        assert!(replies.iter().all(|reply| reply.status == 503 && reply.retry_after.is_some()), "{replies:?}");
        assert!(took < timeout * 4, "they waited for each other: {took:?}");
        assert!(directory.asked().len() <= 2, "whoever came a moment late asks at most once more");
        // Somebody maps it by hand: that holds without an answer.
        let mapped = json!({
            "display_name": "Shop", "identities": [{"platform": "strict", "organization_guid": "org"}],
        });
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/shop", Some(mapped)).await.status, 201);
        assert_eq!(order(&hub, &p, "i", "org").await.status, 201);
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_identity_that_is_mapped_while_it_is_looked_up_is_whose_it_was_mapped_to() {
    on_each(async |on| {
        let (directory, url) = directory();
        let lookup = lookup(url, Duration::from_secs(5));
        let world = World::new(on, |config| config.tenants.lookup = Some(lookup)).await;
        let (hub, p) = furnished(&world).await;
        let hub = Arc::new(hub);
        directory.say(200, json!({"name": "shop", "display_name": "Shop"}));
        let mapped = json!({
            "display_name": "Quicker",
            "identities": [{"platform": "strict", "organization_guid": "org", "space_guid": "s"}],
        });
        *directory.first.lock().await = Some((Arc::clone(&hub), mapped));
        let placed = order(&hub, &p, "i", "org").await;
        assert_eq!(placed.status, 201, "{placed:?}");
        let listed = hub.admin(Method::GET, "/api/v1/instances?platform_instance_id=i", None).await.body;
        assert_eq!(listed["items"][0]["tenant"], "quicker", "{listed}");
        assert_eq!(hub.admin(Method::GET, "/api/v1/tenants/shop", None).await.status, 404, "nothing is half written");
        Arc::into_inner(hub).expect("nobody else has it").stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_preview_says_that_an_order_would_be_looked_up_and_asks_nobody() {
    on_each(async |on| {
        let (directory, url) = directory();
        let lookup = lookup(url, Duration::from_secs(5));
        let world = World::new(on, |config| config.tenants.lookup = Some(lookup)).await;
        let (hub, p) = furnished(&world).await;
        let preview = async || {
            let context = json!({"organization_guid": "org", "space_guid": "s"});
            let body = json!({"platform": "strict", "context": context, "offering": "faults", "plan": "ok"});
            hub.admin(Method::POST, "/api/v1/orders/preview", Some(body)).await.body["refused"]["code"].clone()
        };
        assert_eq!(preview().await, "tenant_not_looked_up");
        assert!(directory.asked().is_empty());
        directory.say(404, json!({}));
        assert_eq!(order(&hub, &p, "i", "org").await.status, 400);
        assert_eq!(preview().await, "tenant_unmapped", "an order would be told so, too");
        hub.stop().await;
    })
    .await;
}
