//! Identities that no tenant has, looked up in an organisation's own database.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
    tokio::task::yield_now().await;
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(token, "Bearer directory-token");
    directory.asked.lock().expect("not poisoned").push(serde_json::from_slice(&body).expect("JSON"));
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
        let lookup = TenantLookup {
            url,
            token: Some(Secret::new("directory-token".to_owned())),
            timeout: Duration::from_secs(5),
            negative_ttl: Duration::from_secs(60),
        };
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
        // What it answers must be a tenant.
        directory.say(200, json!({"name": "Not A Name", "display_name": "x"}));
        let refused = order(&hub, &p, "i", "org").await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(world.faults.calls().is_empty() || world.faults.instances().is_empty());
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
