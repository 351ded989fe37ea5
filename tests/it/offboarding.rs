//! Tenants that are suspended, and tenants that are taken down: nothing new comes, what stands is deleted in order, failures are shown and
//! tried again, and a killed process has lost nothing.

mod crashes;
mod suspended;
mod teardown;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::hub::{BOUND, Hub, Platform, Reply, World};
use crate::support::wait::wait_for;

/// A hub with the broker `faults`, the platform `p` of `retail`, and a tenant `shop` that is nobody's default.
struct Shop {
    world: World,
    hub: Hub,
    p: Platform,
}

/// Runs one case on a database of each kind.
async fn on_both(case: impl AsyncFn(&Shop)) {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        let shop = Shop { world, hub, p };
        let tenant = json!({"display_name": "Shop", "identities": [{"platform": "p", "organization_guid": "shop"}]});
        assert_eq!(shop.admin(Method::PUT, "tenants/shop", Some(tenant)).await.status, 201);
        case(&shop).await;
        shop.hub.stop().await;
    }
}

impl Shop {
    async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.hub.admin(method, &format!("/api/v1/{path}"), body).await
    }

    /// Orders an instance of the faults broker by name for `shop`.
    async fn order(&self, name: &str, plan: &str, parameters: Value) -> Reply {
        let body = json!({"offering": "faults", "plan": plan, "parameters": parameters});
        self.admin(Method::PUT, &format!("tenants/shop/instances/{name}"), Some(body)).await
    }

    async fn offboard(&self, body: Value) -> Reply {
        self.admin(Method::POST, "tenants/shop/offboard", Some(body)).await
    }

    /// How far it is, once `found` finds what it looks for.
    async fn progress(&self, what: &str, found: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, BOUND, async || {
            let reply = self.admin(Method::GET, "tenants/shop/offboard", None).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            found(&reply.body).then_some(reply.body)
        })
        .await
    }
}
