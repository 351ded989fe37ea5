//! Price books: what is refused, which one counts when, and where prices are shown.

mod books;
mod estimates;
mod shown;
mod simulations;

use bourse::clock::Time;
use serde_json::{Value, json};

use crate::support::bare::{Bare, On};
use crate::support::hub::CLIENT;
use crate::support::management::{Answer, send};
use crate::support::scripted::{PASSWORD, Script, Scripted, USERNAME};

/// A hub with a broker that offers `db` with meters and `queue` without, a platform and a tenant.
pub(crate) struct Shop {
    pub(crate) bare: Bare,
    pub(crate) broker: Scripted,
    url: String,
    platform: (String, String),
}

/// What the broker offers.
pub(crate) fn catalog() -> Value {
    let meters = json!([
        {"key": "storage", "kind": "gauge", "unit": "GB"},
        {"key": "queries", "kind": "counter", "unit": "query"},
        {"key": "peak", "kind": "gauge", "unit": "core", "aggregation": "max"},
        {"key": "exports", "kind": "delta", "unit": "export"},
    ]);
    let costs = json!([{"amount": {"eur": 7.5}, "unit": "YEARLY"}, {"amount": {"eur": 1}, "unit": "SETUP FEE"}]);
    json!({"services": [
        {"id": "b-db", "name": "db", "description": "A database", "bindable": true, "plans": [
            {"id": "b-small", "name": "small", "description": "A plan", "metadata": {"x-meters": meters, "costs": costs}},
            {"id": "b-large", "name": "large", "description": "A plan", "metadata": {"x-meters": meters}},
        ]},
        {"id": "b-queue", "name": "queue", "description": "A queue", "bindable": true, "plans": [
            {"id": "b-one", "name": "one", "description": "A plan", "metadata": {"costs": costs}},
        ]},
    ]})
}

/// A price book that speaks of all that the broker offers.
pub(crate) fn book(effective_from: &str, month: &str) -> Value {
    json!({"currency": "EUR", "effective_from": effective_from, "rules": [
        {"offering": "db", "plan": "small", "model": "flat", "amount": month, "per": "month"},
        {"offering": "db", "plan": "large", "model": "flat", "amount": "0.5", "per": "hour"},
        {"offering": "db", "model": "one_time", "amount": "20"},
        {"offering": "db", "meter": "storage", "model": "per_unit", "amount": "0.1", "per": "month", "free_quantity": "5"},
        {"offering": "db", "meter": "queries", "model": "package", "amount": "1", "package_size": "1000"},
        {"offering": "db", "meter": "peak", "model": "graduated", "tiers": [{"up_to": "2", "unit_price": "3"}, {"up_to": null, "unit_price": "2"}]},
        {"offering": "db", "meter": "exports", "model": "volume", "tiers": [{"up_to": "10", "unit_price": "1"}, {"up_to": null, "unit_price": "0.4"}]},
        {"offering": "queue", "model": "free", "reason": "a pilot"},
    ]})
}

impl Shop {
    pub(crate) async fn on(on: On) -> Self {
        let bare = Bare::on(on, |_| {}).await;
        let url = bare.serve().await;
        let broker = Scripted::start(Script::Catalog(catalog()));
        let mut shop = Self { bare, broker, url, platform: Default::default() };
        let credentials = json!({"basic": {"username": USERNAME, "password": PASSWORD}});
        let new = json!({"name": "acme", "url": shop.broker.url(), "credentials": credentials});
        shop.call("POST", "/brokers", new).await.is(201);
        shop.call("PUT", "/tenants/retail", json!({"display_name": "Retail"})).await.is(201);
        let platform = json!({"name": "cf", "kind": "cloudfoundry", "default_tenant": "retail"});
        let made = shop.call("POST", "/platforms", platform).await.is(201);
        let word = |field: &str| made["credentials"][field].as_str().expect("a word").to_owned();
        shop.platform = (word("username"), word("password"));
        shop
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let method = method.parse::<reqwest::Method>().expect("a method");
        let request = CLIENT.request(method, format!("{}/api/v1{path}", self.url)).basic_auth("admin", Some("pw"));
        send(if body.is_null() { request } else { request.body(body.to_string()) }).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call("GET", path, Value::Null).await.is(200)
    }

    /// The catalog as the platform gets it from the process that listens there.
    pub(crate) async fn catalog_at(&self, url: &str, etag: Option<&str>) -> Answer {
        let (username, password) = &self.platform;
        let request = CLIENT.get(format!("{url}/v2/catalog")).basic_auth(username, Some(password));
        let request = request.header("x-broker-api-version", "2.17");
        send(match etag {
            Some(etag) => request.header("if-none-match", etag),
            None => request,
        })
        .await
    }

    pub(crate) async fn catalog(&self) -> Answer {
        self.catalog_at(&self.url, None).await
    }

    /// The time so many days from now.
    pub(crate) fn in_days(&self, days: i64) -> String {
        Time(self.bare.clock.now().0 + days * 86_400_000_000).to_string()
    }
}

/// `metadata.costs` of a plan, as text.
pub(crate) fn costs(catalog: &Answer, offering: usize, plan: usize) -> String {
    assert_eq!(catalog.status, 200, "{catalog:?}");
    catalog.json()["services"][offering]["plans"][plan]["metadata"]["costs"].to_string()
}
