//! My services: the list, a service's page and what it tells while somebody looks, bindings and their credentials, deletion.

mod bindings;
mod deletion;
mod list;
mod live;
mod page;
mod shared;

use bourse::config::Grants;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::bench::Bench;
use crate::support::hub::Reply;
use crate::support::oidc::{AUDIENCE, Forger};
use crate::support::portal::{Browser, PORTAL};
use crate::support::recorder::Recorder;

/// `network/one`, which can be bound to, rotated and referred to; `vault/one`, whose bindings take their time; `cluster/one`, which refers
/// to a network.
fn catalog() -> Value {
    let create = |properties: Value| {
        json!({"service_instance": {"create": {"parameters": {
            "$schema": "http://json-schema.org/draft-06/schema#", "type": "object", "properties": properties,
        }}}})
    };
    let network = create(json!({
        "size": {"type": "integer", "title": "Size of it"},
        "pin": {"type": "string", "writeOnly": true},
        "door": {"type": "object", "properties": {"code": {"type": "string", "format": "password"}}},
    }));
    let cluster = create(json!({"network": {"type": "string", "x-bourse-ref": {"offering": "network"}}}));
    let bind = json!({"type": "object", "required": ["purpose"], "properties": {"purpose": {"type": "string", "enum": ["read", "write"]}}});
    let mut vault = create(json!({}));
    vault["service_binding"] = json!({"create": {"parameters": bind}});
    let offering = |name: &str, schemas: Value| {
        json!({
            "id": name, "name": name, "description": format!("A {name}"), "bindable": true, "plan_updateable": true,
            "bindings_retrievable": name == "vault",
            "plans": [{"id": format!("{name}-one"), "name": "one", "description": "A plan", "free": true, "schemas": schemas,
                "binding_rotatable": name == "network"}],
        })
    };
    json!({"services": [offering("network", network), offering("vault", vault), offering("cluster", cluster)]})
}

/// A hub with a recorder that has that catalog, the tenants `retail` of ada and `trade` of bob, the auditor carl, and an identity provider
/// that names anybody.
struct Shop {
    bench: Bench,
    recorder: Recorder,
    _forger: Forger,
}

impl Shop {
    async fn new(on: On) -> Self {
        let forger = Forger::start().await;
        let issuer = forger.url.clone();
        let bench = Bench::with(on, |config| {
            config.oidc.issuer = issuer;
            config.oidc.audience = AUDIENCE.to_owned();
            config.oidc.portal_client_id = PORTAL.to_owned();
            config.oidc.portal_client_secret = Some(bourse::secret::Secret::new("portal secret".to_owned()));
            let roles = vec!["auditor".to_owned()];
            config.auth.grants = vec![Grants { user: Some("carl".to_owned()), group: None, roles }];
        })
        .await;
        let recorder = Recorder::start(&catalog());
        bench.register("acme", &recorder, json!({})).await;
        for (name, user) in [("retail", "ada"), ("trade", "bob")] {
            let tenant = json!({"display_name": name, "members": [{"user": user, "role": "member"}]});
            let reply = bench.hub.admin(Method::PUT, &format!("/api/v1/tenants/{name}"), Some(tenant)).await;
            assert!(matches!(reply.status, 200 | 201), "{reply:?}");
        }
        Self { bench, recorder, _forger: forger }
    }

    /// An order by name.
    async fn order(&self, tenant: &str, name: &str, offering: &str, parameters: Value) -> Reply {
        let body = json!({"offering": offering, "plan": "one", "parameters": parameters});
        self.bench.hub.admin(Method::PUT, &format!("/api/v1/tenants/{tenant}/instances/{name}"), Some(body)).await
    }

    /// The same for `retail`, which must be done at once.
    async fn ordered(&self, name: &str, offering: &str, parameters: Value) -> String {
        let reply = self.order("retail", name, offering, parameters).await;
        assert_eq!((reply.status, &reply.body["state"]), (201, &json!("ready")), "{name}: {reply:?}");
        reply.body["id"].as_str().expect("an id").to_owned()
    }

    async fn administrator(&self) -> Browser {
        Browser::administrator(&self.bench.hub.url, "pw").await
    }

    async fn person(&self, name: &str) -> Browser {
        let now = self.bench.world.clock.now().seconds();
        Browser::person(&self.bench.hub.url, name, now, &json!({})).await
    }
}

/// Runs a case on a database of each kind.
async fn on_both(case: impl AsyncFn(&Shop)) {
    for on in [On::Sqlite, On::Postgres] {
        let shop = Shop::new(on).await;
        case(&shop).await;
        shop.bench.hub.stop().await;
    }
}
