//! Quotas: what a tenant may have at most is never exceeded, and what is used is what stands: whatever is ordered at the same moment,
//! fails, is lost or is undone.

mod account;
mod parallel;
mod rules;

use std::collections::BTreeMap;
use std::time::Duration;

use bourse::store::Db;
use bourse::store::db::column;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::hub::{Hub, Platform, Reply, World};

/// A hub, the broker behind it and a platform in front.
struct Shop {
    world: World,
    hub: Hub,
    p: Platform,
}

/// Runs one case on a database of each kind; at its end the books are right.
async fn on_both(case: impl AsyncFn(&Shop)) {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on, |config| config.server.drain = Duration::ZERO).await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        let shop = Shop { world, hub, p };
        case(&shop).await;
        balanced(&shop.hub.db).await;
        shop.hub.stop().await;
    }
}

impl Shop {
    async fn put(&self, name: &str, more: Value) -> Reply {
        let mut body = json!({"tenant": "retail"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        self.hub.admin(Method::PUT, &format!("/api/v1/quotas/{name}"), Some(body)).await
    }

    async fn quota(&self, name: &str, more: Value) {
        let reply = self.put(name, more).await;
        assert!(matches!(reply.status, 200 | 201), "{reply:?}");
    }

    async fn used(&self, name: &str) -> String {
        let reply = self.hub.admin(Method::GET, &format!("/api/v1/quotas/{name}"), None).await;
        reply.body["used"].as_str().unwrap_or_else(|| panic!("{reply:?}")).to_owned()
    }

    /// Changes an instance, by somebody who polls.
    async fn change(&self, id: &str, more: Value) -> Reply {
        let mut body = json!({"service_id": self.hub.ids("ok").0});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let path = format!("/v2/service_instances/{id}?accepts_incomplete=true");
        self.hub.osb(&self.p, Method::PATCH, &path, Some(body)).await
    }
}

/// What is used of each quota is the sum of what it counts, in millionths; gives it.
async fn balanced(db: &Db) -> BTreeMap<String, i64> {
    const BOOKS: &str = "select q.name, q.used, coalesce((select cast(sum(u.amount) as bigint) from quota_uses u \
        where u.quota = q.name), 0) as counted from quotas q";
    let rows = db.read(|tx| Box::pin(async move { tx.fetch_all(sqlx::query(BOOKS)).await })).await.expect("books");
    let mut books = BTreeMap::new();
    for row in &rows {
        let name: String = column(row, "name").expect("a name");
        let (used, counted): (i64, i64) =
            (column(row, "used").expect("used"), column(row, "counted").expect("counted"));
        assert_eq!(used, counted, "{name}");
        books.insert(name, used);
    }
    books
}
