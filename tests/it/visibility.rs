//! Who may order what: per plan, tenant and platform, and by how far an offering has come. Each case looks at the catalog, at orders, and
//! at instances that stand.

mod lifecycles;
mod newcomers;
mod plans;
mod replicas;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::bench::Bench;
use crate::support::hub::Platform;
use crate::support::raw;

/// A hub with a recorder behind it; besides the platform `p` of `retail` a platform `q` of `bank`, and `cf`, where organizations are mapped.
struct Market {
    bench: Bench,
    q: Platform,
    cf: Platform,
}

/// Runs one case on a database of each kind.
async fn on_both(case: impl AsyncFn(&Market)) {
    for on in [On::Sqlite, On::Postgres] {
        let bench = Bench::new(on).await;
        for (tenant, identities) in [("bank", json!([])), ("idle", json!([]))] {
            let body = json!({"display_name": tenant, "identities": identities});
            assert_eq!(
                bench.hub.admin(Method::PUT, &format!("/api/v1/tenants/{tenant}"), Some(body)).await.status,
                201
            );
        }
        let q = platform(&bench, json!({"name": "q", "kind": "other", "default_tenant": "bank"})).await;
        let cf = platform(&bench, json!({"name": "cf", "kind": "cloudfoundry"})).await;
        let market = Market { bench, q, cf };
        market.map("retail", json!([{"platform": "cf", "organization_guid": "org-retail"}])).await;
        case(&market).await;
        market.bench.hub.stop().await;
    }
}

async fn platform(bench: &Bench, body: Value) -> Platform {
    let reply = bench.hub.admin(Method::POST, "/api/v1/platforms", Some(body)).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let text = |field: &str| reply.body["credentials"][field].as_str().expect("credentials").to_owned();
    Platform { username: text("username"), password: text("password") }
}

impl Market {
    async fn map(&self, tenant: &str, identities: Value) {
        let body = json!({"display_name": tenant, "identities": identities});
        let reply = self.bench.hub.admin(Method::PUT, &format!("/api/v1/tenants/{tenant}"), Some(body)).await;
        assert!(matches!(reply.status, 200 | 201), "{reply:?}");
    }

    /// Says who may order a plan of `recorded`.
    async fn restrict(&self, plan: &str, tenants: &[&str], platforms: &[&str]) {
        let body = json!({"access": "restricted", "tenants": tenants, "platforms": platforms});
        self.say(plan, body).await;
    }

    async fn say(&self, plan: &str, body: Value) {
        let path = format!("/api/v1/offerings/recorded/plans/{plan}/visibility");
        let reply = self.bench.hub.admin(Method::PUT, &path, Some(body.clone())).await;
        assert_eq!((reply.status, &reply.body), (200, &body), "{reply:?}");
        assert_eq!(self.bench.hub.admin(Method::GET, &path, None).await.body, body);
    }

    /// Says how far an offering has come.
    async fn stage(&self, offering: &str, body: Value) -> Value {
        let path = format!("/api/v1/offerings/{offering}/lifecycle");
        let reply = self.bench.hub.admin(Method::PUT, &path, Some(body)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(self.bench.hub.admin(Method::GET, &path, None).await.body, reply.body);
        reply.body
    }

    /// What a platform sees of an offering; null where it doesn't.
    async fn seen(&self, platform: &Platform, offering: &str) -> Value {
        let reply = self.bench.call_as(platform, "GET /v2/catalog", None).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let whole: Value = serde_json::from_str(&reply.text).expect("JSON");
        let path = if offering == "readable" || offering == "recorded" { "recorder" } else { "faults" };
        let part = self.bench.call_as(platform, &format!("GET /brokers/{path}/v2/catalog"), None).await;
        let part: Value = serde_json::from_str(&part.text).expect("JSON");
        let find = |catalog: &Value| {
            let list = catalog["services"].as_array().expect("services");
            list.iter().find(|one| one["name"] == offering).cloned().unwrap_or_default()
        };
        assert_eq!(find(&whole), find(&part), "one broker's catalog and the whole one agree");
        find(&whole)
    }

    /// Whether a platform sees a plan of `recorded`.
    async fn sees(&self, platform: &Platform, plan: &str) -> bool {
        let offering = self.seen(platform, "recorded").await;
        offering["plans"].as_array().is_some_and(|plans| plans.iter().any(|one| one["name"] == plan))
    }

    /// The entity tag of a platform's catalog.
    async fn tag(&self, platform: &Platform) -> String {
        let head =
            format!("GET /v2/catalog HTTP/1.1\nX-Broker-API-Version: 2.17\nAuthorization: {}", raw::basic(platform));
        let reply = raw::send(&self.bench.hub.url, &head, "").await;
        reply.header("etag").expect("a tag").to_owned()
    }

    /// Orders a plan (`offering/plan`) for an organization, under a fresh id.
    async fn order(&self, platform: &Platform, id: &str, plan: &str, organization: &str) -> (u16, String) {
        let body = self.bench.order(plan, json!({"organization_guid": organization}));
        let reply = self.bench.call_as(platform, &format!("PUT {id}"), Some(&body)).await;
        (reply.status, reply.text)
    }
}
