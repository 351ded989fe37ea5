//! A hub with a broker that records what it gets, whose plans have schemas of most kinds.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::bench::Bench;
use crate::support::controls::press;
use crate::support::hub::Reply;
use crate::support::portal::Browser;
use crate::support::recorder::Recorder;

/// Where a network is ordered.
pub(super) const ORDER: &str = "/catalog/network/order";

/// A hub whose broker has `network`, plans `small`, `large` and `free` (which has no schema).
pub(super) struct Market {
    pub(super) bench: Bench,
    pub(super) recorder: Recorder,
}

fn catalog() -> Value {
    let properties = json!({
        "prefix_length": {"title": "Prefix length", "description": "Its size.", "type": "integer", "minimum": 26, "maximum": 29},
        "share": {"type": "number"}, "public": {"type": "boolean", "default": false},
        "strategy": {"type": "string", "enum": ["best_fit", "first_fit"], "default": "best_fit"},
        "subnets": {"title": "Subnets", "type": "array", "maxItems": 3, "items": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "pattern": "^[a-z]+$"}, "new_bits": {"type": "integer"}}}},
        "peer": {"title": "Peer", "type": "string", "x-bourse-ref": {"offering": "network"}},
        "login": {"type": "object", "properties": {"user": {"type": "string"}, "password": {"type": "string", "writeOnly": true}}},
        "pin": {"title": "Pin", "type": "string", "format": "password"},
    });
    let large = json!({"prefix_length": {"type": "integer"}, "zone": {"type": "string"}});
    let schema = |properties: &Value, required: Value| json!({"parameters": {"type": "object", "properties": properties, "required": required}});
    let both = |properties: &Value, required: Value| json!({"service_instance": {"create": schema(properties, required), "update": schema(properties, json!([]))}});
    let plan = |name: &str| json!({"id": format!("network-{name}"), "name": name, "description": format!("A {name} one"), "free": true});
    let (mut small, mut wide) = (plan("small"), plan("large"));
    small["schemas"] = both(&properties, json!(["prefix_length"]));
    wide["schemas"] = both(&large, json!([]));
    json!({"services": [{
        "id": "network", "name": "network", "description": "Networks", "bindable": false, "plan_updateable": true,
        "plans": [small, wide, plan("free")],
    }]})
}

impl Market {
    /// Runs a case on a database of each kind, with the administrator's browser; there are tenants `retail` and `trade`.
    pub(super) async fn on_both(case: impl AsyncFn(&Market, Browser)) {
        for on in [On::Sqlite, On::Postgres] {
            let bench = Bench::new(on).await;
            let recorder = Recorder::start(&catalog());
            bench.register("networks", &recorder, json!({})).await;
            let market = Self { bench, recorder };
            market.put("tenants/trade", json!({"display_name": "Trade"})).await;
            let browser = Browser::administrator(&market.bench.hub.url, "pw").await;
            case(&market, browser).await;
            market.bench.hub.stop().await;
        }
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Reply {
        let reply = self.bench.hub.admin(Method::PUT, &format!("/api/v1/{path}"), Some(body)).await;
        assert!(matches!(reply.status, 200..=204), "{reply:?}");
        reply
    }

    /// An instance of `network`, by name.
    pub(super) async fn instance(&self, tenant: &str, name: &str) -> Reply {
        self.bench.hub.admin(Method::GET, &format!("/api/v1/tenants/{tenant}/instances/{name}"), None).await
    }

    /// Has one ready.
    pub(super) async fn ordered(&self, tenant: &str, name: &str, parameters: Value) {
        let body = json!({"offering": "network", "plan": "small", "parameters": parameters});
        let reply = self.put(&format!("tenants/{tenant}/instances/{name}"), body).await;
        assert_eq!(reply.body["state"], "ready", "{reply:?}");
    }

    /// The parameters of the last request of that verb, as they were written.
    pub(super) fn sent(&self, verb: &str) -> String {
        self.recorder.last(verb).json()["parameters"].to_string()
    }
}

/// Opens the form of plan `small` for `retail`.
pub(super) async fn open(browser: &mut Browser) {
    browser.get(&format!("{ORDER}?plan=small&tenant=retail")).await;
    assert_eq!(browser.page.status, 200, "{}", browser.words());
}

/// Fills the form of the page in and orders.
pub(super) async fn order(browser: &mut Browser, typed: &[(&str, &str)]) {
    press(browser, ORDER, ("do", "order"), typed).await;
}
