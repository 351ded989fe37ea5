//! An order for somebody whom no tenant has, until an operator says whose they are.

use reqwest::Method;
use serde_json::json;

use super::super::staff::house_on;
use super::window;
use crate::support::bare::On;
use crate::support::hub::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_whose_an_identity_is_and_its_order_is_that_tenant_s() {
    house_on(&[On::Sqlite], |_| {}, async |house| {
        let made = house.api(Method::POST, "/platforms", Some(json!({"name": "cf", "kind": "cloudfoundry"}))).await;
        let text = |field: &str| made.body["credentials"][field].as_str().expect("credentials").to_owned();
        let cf = Platform { username: text("username"), password: text("password") };
        let order = async || {
            let (service_id, plan_id) = house.hub.ids("ok");
            let body = json!({"service_id": service_id, "plan_id": plan_id, "organization_guid": "org-1", "space_guid": "s",
                "context": {"platform": "cloudfoundry", "organization_guid": "org-1", "space_guid": "s", "instance_name": "from-cf"}});
            house.hub.osb(&cf, Method::PUT, "/v2/service_instances/i1", Some(body)).await
        };
        assert!(order().await.status >= 400, "nobody's yet");

        let olga = window(house, "olga").await;
        olga.go("/operator").await;
        olga.sees("1 unmapped identity").await;
        olga.click("main a[href='/operator/identities']").await;
        olga.at("/operator/identities").await;
        olga.sees("org-1").await;
        olga.follow("Say whose it is").await;
        olga.at("/operator/identities/map?").await;
        olga.fill("#tenant", "nobody").await;
        olga.press("Give it to this tenant").await;
        olga.sees("There is no tenant of this name").await;
        olga.fill("#tenant", "retail").await;
        olga.press("Give it to this tenant").await;
        olga.at("/operator/tenants/retail?done=mapped").await;
        olga.sees("org-1").await;
        olga.sees("can be repeated").await;

        assert_eq!(order().await.status, 201, "it has a tenant now");
        olga.go("/operator/identities").await;
        olga.sees("Every identity has a tenant").await;
        olga.go("/services?tenant=retail").await;
        olga.follow("from-cf").await;
        olga.at("/services/retail/").await;
        olga.sees("at the platform cf").await;
        olga.stop().await;
    })
    .await;
}
