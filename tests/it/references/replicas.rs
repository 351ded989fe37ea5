//! A deletion and an order that refers to what is deleted, at the same time: one of them wins, never both.

use reqwest::Method;
use serde_json::{Value, json};

use super::catalog;
use crate::support::bare::On;
use crate::support::dump::instances;
use crate::support::hub::{Platform, Reply, TIMEOUT_MS, request};
use crate::support::recorder::{self, Recorder};
use crate::support::site::{Site, admin, plan_ids, tenant_and_platform};

/// How often they meet.
const ROUNDS: usize = 40;

struct Shop<'a> {
    p: &'a Platform,
    network: (String, String),
    cluster: (String, String),
}

impl Shop<'_> {
    async fn put(&self, url: &str, id: &str, (service, plan): &(String, String), parameters: Value) -> Reply {
        let body = json!({
            "service_id": service, "plan_id": plan, "organization_guid": "o", "space_guid": "s", "parameters": parameters,
        });
        self.send(Method::PUT, &format!("{url}/v2/service_instances/{id}"), Some(body)).await
    }

    async fn delete(&self, url: &str, id: &str, (service, plan): &(String, String)) -> Reply {
        let url = format!("{url}/v2/service_instances/{id}?service_id={service}&plan_id={plan}");
        self.send(Method::DELETE, &url, None).await
    }

    async fn patch(&self, url: &str, id: &str, parameters: Value) -> Reply {
        let body = json!({"service_id": self.cluster.0, "parameters": parameters});
        self.send(Method::PATCH, &format!("{url}/v2/service_instances/{id}"), Some(body)).await
    }

    async fn send(&self, method: Method, url: &str, body: Option<Value>) -> Reply {
        request(method, url, Some((&self.p.username, &self.p.password)), body).await
    }
}

/// Runs a case with two processes on PostgreSQL, and with one on SQLite, which both ends then are.
async fn at_two_ends(case: impl AsyncFn(&Shop<'_>, &str, &str)) {
    for on in [On::Sqlite, On::Postgres] {
        let (site, recorder) = (Site::new(on).await, Recorder::start(&catalog()));
        let (mut a, a_url) = site.start().await;
        let second = if on == On::Postgres { Some(site.start().await) } else { None };
        let b_url = second.as_ref().map_or(a_url.clone(), |(_, url)| url.clone());
        let new = json!({
            "name": "related", "url": recorder.url(), "timeout_ms": TIMEOUT_MS,
            "credentials": {"basic": {"username": recorder::USERNAME, "password": recorder::PASSWORD}},
        });
        let made = admin(&a_url, Method::POST, "brokers", Some(new)).await;
        assert_eq!(made.status, 201, "{made:?}");
        let p = tenant_and_platform(&a_url).await;
        let network = plan_ids(&a_url, &p, "network", "one").await;
        let cluster = plan_ids(&a_url, &p, "cluster", "one").await;
        case(&Shop { p: &p, network, cluster }, &a_url, &b_url).await;
        if let Some((mut b, _)) = second {
            assert!(b.terminate().await.success());
        }
        assert!(a.terminate().await.success());
    }
}

#[tokio::test]
async fn a_deletion_and_an_order_that_refers_never_both_win() {
    at_two_ends(async |shop, a, b| {
        let (mut ordered, mut deleted) = (0, 0);
        for round in 0..ROUNDS {
            let (net, user) = (format!("net-{round}"), format!("user-{round}"));
            assert_eq!(shop.put(a, &net, &shop.network, json!({})).await.status, 201);
            // An order that is there already and is changed, every other time.
            let changes = round % 2 == 1;
            if changes {
                assert_eq!(shop.put(a, &user, &shop.cluster, json!({})).await.status, 201);
            }
            let refer = async {
                match changes {
                    true => shop.patch(b, &user, json!({"network": net})).await,
                    false => shop.put(b, &user, &shop.cluster, json!({"network": net})).await,
                }
            };
            let (gone, made) = tokio::join!(shop.delete(a, &net, &shop.network), refer);
            match (gone.status, made.status) {
                (200, 400 | 422) => deleted += 1,
                (400, 200 | 201) => ordered += 1,
                _ => panic!("round {round}: {gone:?} and {made:?}"),
            }
        }
        assert_eq!(ordered + deleted, ROUNDS);
        let rows = instances(a).await;
        let ready = |prefix: &str| {
            let called = |row: &&Value| row["platform_instance_id"].as_str().is_some_and(|id| id.starts_with(prefix));
            rows.iter().filter(called).filter(|row| row["state"] == "ready").count()
        };
        assert_eq!(ready("net-"), ordered, "what is referred to stands");
        for round in 0..ROUNDS {
            shop.delete(a, &format!("user-{round}"), &shop.cluster).await;
            let left = shop.delete(b, &format!("net-{round}"), &shop.network).await;
            assert!(matches!(left.status, 200 | 410), "{left:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn two_updates_that_have_no_instance_in_common_never_close_a_circle() {
    at_two_ends(async |shop, a, b| {
        for round in 0..ROUNDS / 2 {
            let ids = [0, 1, 2, 3].map(|number| format!("{round}-{number}"));
            let [w, x, y, z] = &ids;
            for (id, parameters) in [(x, json!({})), (w, json!({ "any": x })), (z, json!({})), (y, json!({ "any": z }))]
            {
                assert_eq!(shop.put(a, id, &shop.cluster, parameters).await.status, 201);
            }
            // w refers to x and y to z: each of these closes one half.
            let (one, two) = tokio::join!(shop.patch(a, x, json!({"any": y})), shop.patch(b, z, json!({"any": w})));
            let mut statuses = [one.status, two.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 400], "round {round}: {one:?} and {two:?}");
        }
    })
    .await;
}
