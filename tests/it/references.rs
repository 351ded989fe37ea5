//! References between instances: a parameter that takes the name of another instance of the same tenant. What the broker gets in the
//! name's place, which names are refused, and that what is depended on is not deleted.

mod deletions;
mod orders;
mod refusals;
mod replicas;
mod updates;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::bench::Bench;
use crate::support::hub::Reply;
use crate::support::recorder::Recorder;

/// `network/one` and `vault/one` to refer to, and `cluster`, whose plans refer: `one` with all kinds of places, `other` with the same
/// and no schema for updates, `plain` with none.
pub(crate) fn catalog() -> Value {
    let network = json!({"type": ["string", "null"], "x-bourse-ref": {"offering": "network"}});
    let tagged = json!({"type": "string", "x-bourse-ref": {"tag": "secrets"}});
    let properties = json!({
        "network": network, "size": {"type": "integer"}, "keys": {"type": "object", "properties": {"vault": tagged}},
        "peers": {"type": "array", "items": {"x-bourse-ref": {"offering": "network", "tag": "net"}}},
        "any": {"x-bourse-ref": {"offering": "cluster"}},
    });
    let schema =
        json!({"$schema": "http://json-schema.org/draft-06/schema#", "type": "object", "properties": properties});
    let both = json!({"service_instance": {"create": {"parameters": schema}, "update": {"parameters": schema}}});
    let create = json!({"service_instance": {"create": {"parameters": schema}}});
    let plan = |offering: &str, name: &str, schemas: Option<&Value>| {
        let mut plan = json!({"id": format!("{offering}-{name}"), "name": name, "description": "A plan", "free": true});
        if let Some(schemas) = schemas {
            plan["schemas"] = schemas.clone();
        }
        plan
    };
    let offering = |name: &str, tags: Value, plans: Value| {
        json!({
            "id": name, "name": name, "description": format!("A {name}"), "bindable": true, "tags": tags,
            "instances_retrievable": name == "cluster", "plan_updateable": true, "plans": plans,
        })
    };
    json!({"services": [
        offering("network", json!(["net"]), json!([plan("network", "one", None)])),
        offering("vault", json!(["secrets", "net"]), json!([plan("vault", "one", None)])),
        offering("cluster", json!([]), json!([
            plan("cluster", "one", Some(&both)), plan("cluster", "other", Some(&create)), plan("cluster", "plain", None),
        ])),
    ]})
}

/// A hub with a recorder that has that catalog, and a tenant `trade` beside `retail`.
struct Related {
    bench: Bench,
    recorder: Recorder,
}

impl Related {
    async fn new(on: On) -> Self {
        let bench = Bench::new(on).await;
        let recorder = Recorder::start(&catalog());
        bench.register("related", &recorder, json!({})).await;
        bench.recorder.usual("catalog");
        let tenant = json!({"display_name": "Trade", "identities": [{"platform": "p", "organization_guid": "trade"}]});
        let reply = bench.hub.admin(Method::PUT, "/api/v1/tenants/trade", Some(tenant)).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        Self { bench, recorder }
    }

    /// An order by name for `retail`.
    async fn order(&self, name: &str, plan: &str, parameters: Value) -> Reply {
        let (offering, plan) = plan.split_once('/').expect("offering/plan");
        let body = json!({"offering": offering, "plan": plan, "parameters": parameters});
        self.bench.hub.admin(Method::PUT, &format!("/api/v1/tenants/retail/instances/{name}"), Some(body)).await
    }

    /// The same, which must be done at once; Bourse's id of the instance.
    async fn ordered(&self, name: &str, plan: &str, parameters: Value) -> String {
        let reply = self.order(name, plan, parameters).await;
        assert!(matches!(reply.status, 200 | 201), "{name}: {reply:?}");
        assert_eq!(reply.body["state"], "ready", "{name}: {reply:?}");
        reply.body["id"].as_str().expect("an id").to_owned()
    }

    async fn delete(&self, name: &str) -> Reply {
        self.bench.hub.admin(Method::DELETE, &format!("/api/v1/tenants/retail/instances/{name}"), None).await
    }

    /// An instance by name, with what it refers to and who refers to it.
    async fn shown(&self, name: &str) -> Value {
        let reply = self.bench.hub.admin(Method::GET, &format!("/api/v1/tenants/retail/instances/{name}"), None).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }

    /// The names of those who refer to an instance.
    async fn dependents(&self, name: &str) -> Vec<String> {
        let shown = self.shown(name).await;
        let dependents = shown["dependents"].as_array().expect("dependents").iter();
        dependents.map(|other| other["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// The parameters of the last request of that verb that the broker got.
    fn sent(&self, verb: &str) -> Value {
        self.recorder.last(verb).json()["parameters"].clone()
    }
}

/// Runs a case on a database of each kind.
async fn on_both(case: impl AsyncFn(&Related)) {
    for on in [On::Sqlite, On::Postgres] {
        let related = Related::new(on).await;
        case(&related).await;
        related.bench.hub.stop().await;
    }
}
