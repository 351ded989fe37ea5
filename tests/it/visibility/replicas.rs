//! Two real processes: what is said through one holds at once for orders through the other, and its catalogs follow within a second.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::hub::{Platform, Reply, request};
use crate::support::site::{Site, admin, order};
use crate::support::wait::wait_until;

const WITHIN: Duration = Duration::from_secs(1);

async fn put(url: &str, p: &Platform, id: &str) -> Reply {
    let url = format!("{url}/v2/service_instances/{id}?accepts_incomplete=true");
    request(Method::PUT, &url, Some((&p.username, &p.password)), Some(order("ok", &json!({})))).await
}

async fn shows(url: &str, p: &Platform) -> bool {
    let url = format!("{url}/v2/catalog");
    let catalog = request(Method::GET, &url, Some((&p.username, &p.password)), None).await.body;
    let plans = catalog["services"][0]["plans"].as_array().cloned().unwrap_or_default();
    plans.iter().any(|plan| plan["name"] == "ok")
}

fn access(tenants: &[&str]) -> Value {
    json!({"access": "restricted", "tenants": tenants, "platforms": []})
}

#[tokio::test]
async fn what_is_said_through_one_process_holds_at_once_in_the_other() {
    let site = Site::new(On::Postgres).await;
    let (mut a, a_url) = site.start().await;
    let p = site.furnish(&a_url).await;
    let (mut b, b_url) = site.start().await;
    let path = "offerings/faults/plans/ok/visibility";
    for round in 0..6 {
        let (one, other) = if round % 2 == 0 { (&a_url, &b_url) } else { (&b_url, &a_url) };
        assert_eq!(put(other, &p, &format!("before-{round}")).await.status, 201);
        assert_eq!(admin(one, Method::PUT, path, Some(access(&[]))).await.status, 200);
        let refused = put(other, &p, &format!("i-{round}")).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        wait_until("the other's catalog to follow", WITHIN, async || !shows(other, &p).await).await;
        assert_eq!(admin(other, Method::PUT, path, Some(access(&["retail"]))).await.status, 200);
        assert_eq!(put(one, &p, &format!("i-{round}")).await.status, 201);
        wait_until("the catalog to show it again", WITHIN, async || shows(one, &p).await).await;
        let stage = json!({"state": "retired"});
        assert_eq!(admin(one, Method::PUT, "offerings/faults/lifecycle", Some(stage)).await.status, 200);
        assert_eq!(put(other, &p, &format!("r-{round}")).await.status, 400);
        let stage = json!({"state": "published"});
        assert_eq!(admin(one, Method::PUT, "offerings/faults/lifecycle", Some(stage)).await.status, 200);
        assert_eq!(put(other, &p, &format!("r-{round}")).await.status, 201);
    }
    // A tenant's mappings decide where it can order, and so what that platform sees.
    assert_eq!(admin(&a_url, Method::PATCH, "platforms/p", Some(json!({"default_tenant": null}))).await.status, 200);
    wait_until("the catalog to lose it", WITHIN, async || !shows(&b_url, &p).await).await;
    let identities = json!([{"platform": "p", "organization_guid": "o"}]);
    let body = json!({"display_name": "Retail", "identities": identities});
    assert_eq!(admin(&a_url, Method::PUT, "tenants/retail", Some(body)).await.status, 200);
    wait_until("the catalog to have it", WITHIN, async || shows(&b_url, &p).await).await;
    for process in [&mut a, &mut b] {
        process.assert_modest();
        assert!(process.terminate().await.success());
    }
}
