//! A hub behind a hub: any two ([`link`]), or two with the recorder behind the inner one ([`Pair`]).

use reqwest::Method;
use serde_json::{Value, json};

use super::bare::On;
use super::bench::Bench;
use super::hub::{Hub, Platform, World};

/// The outer hub with the inner one as its broker `inner`; the inner one has the recorder.
pub(crate) struct Pair {
    pub(crate) outer_world: World,
    pub(crate) outer: Hub,
    pub(crate) inner: Box<Bench>,
    /// The outer hub at the inner one.
    pub(crate) seat: Platform,
    /// Who orders at the outer hub, for `retail` there.
    pub(crate) shop: Platform,
}

/// A platform of kind `bourse` at `hub` that is the hub at `issuer`.
pub(crate) async fn seat(hub: &Hub, name: &str, issuer: &str, more: Value) -> Platform {
    let mut trust = json!({"issuer": issuer, "jwks_url": format!("{issuer}/.well-known/jwks.json")});
    trust.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let body = json!({"name": name, "kind": "bourse", "trust": trust});
    let reply = hub.admin(Method::POST, "/api/v1/platforms", Some(body)).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let text = |field: &str| reply.body["credentials"][field].as_str().expect("credentials").to_owned();
    Platform { username: text("username"), password: text("password") }
}

/// What registers the hub at `url` as a broker.
pub(crate) fn registration(name: &str, url: &str, seat: &Platform) -> Value {
    json!({
        "name": name, "url": url, "name_prefix": format!("{name}-"),
        "credentials": {"basic": {"username": seat.username, "password": seat.password}},
    })
}

/// Makes the hub `inner` the broker `inner` of the hub `outer`, whose tenant `retail` is `shops` there: the outer hub at the inner
/// one, and who orders at the outer one, for `retail`.
pub(crate) async fn link(outer: &Hub, inner: &Hub) -> (Platform, Platform) {
    let seat = seat(inner, "outer", &outer.url, json!({})).await;
    let tenant = json!({
        "display_name": "Shops", "cost_center": "0815", "identities": [{"platform": "outer", "tenant": "retail"}],
    });
    assert_eq!(inner.admin(Method::PUT, "/api/v1/tenants/shops", Some(tenant)).await.status, 201);
    let made = outer.admin(Method::POST, "/api/v1/brokers", Some(registration("inner", &inner.url, &seat))).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["status"], "available", "{made:?}");
    let tenant = json!({"display_name": "Retail"});
    assert_eq!(outer.admin(Method::PUT, "/api/v1/tenants/retail", Some(tenant)).await.status, 201);
    let shop = outer.platform("shop", "kubernetes").await;
    (seat, shop)
}

impl Pair {
    /// Both, and who orders.
    pub(crate) async fn new(on: On) -> Self {
        let outer_world = World::new(on, |config| config.server.hub = "outer".into()).await;
        let outer = outer_world.hub().await;
        let inner = Box::new(Bench::with(on, |config| config.server.hub = "inner".into()).await);
        let (seat, shop) = link(&outer, &inner.hub).await;
        Self { outer_world, outer, inner, seat, shop }
    }

    /// Ends both.
    pub(crate) async fn stop(self) {
        self.outer.stop().await;
        self.inner.hub.stop().await;
        drop(self.outer_world);
    }
}
