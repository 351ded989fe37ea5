//! What operators say of offerings: how far they have come, who may order their plans and with which parameters; and what is taken over.

use reqwest::Method;
use serde_json::{Value, json};

use super::staff::{House, house};
use crate::support::hub::{Reply, request, sync};
use crate::support::portal::Browser;

async fn got(house: &House, path: &str) -> Value {
    house.api(Method::GET, path, None).await.body
}

async fn ordered(house: &House, name: &str, parameters: Value) -> Reply {
    let order = json!({"offering": "faults", "plan": "ok", "parameters": parameters});
    house.hub.admin(Method::PUT, &format!("/api/v1/tenants/retail/instances/{name}"), Some(order)).await
}

#[track_caller]
fn wrong_at(browser: &Browser, id: &str) {
    let leads = browser.page.text.contains(&format!("href=\"#{id}\""));
    assert!(browser.page.status == 422 && leads, "{id}: {} {}", browser.page.status, browser.words());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offering_goes_from_draft_to_retired_and_to_retire_it_asks_once_more() {
    house(async |house| {
        let mut olga = house.browser("olga").await;
        olga.get("/operator/offerings").await;
        assert!(olga.words().contains("faults") && olga.words().contains("published"), "{}", olga.words());
        let address = "/operator/offerings/faults";
        olga.get(address).await;
        assert!(olga.words().contains("everybody") && olga.words().contains("as its broker says"), "{}", olga.words());
        for (fields, id) in [
            (vec![("state", "gone")], "state"),
            (vec![("state", "published"), ("sunset", "2099-01-01T00:00")], "sunset"),
            (vec![("state", "deprecated"), ("sunset", "soon")], "sunset"),
            (vec![("state", "deprecated"), ("successor", "faults")], "successor"),
            (vec![("state", "draft"), ("pilots", "nobody")], "pilots"),
        ] {
            olga.submit(address, &fields).await;
            wrong_at(&olga, id);
        }
        olga.submit(address, &[("state", "draft"), ("pilots", "retail\r\n")]).await;
        assert_eq!(got(house, "/offerings/faults/lifecycle").await["pilots"], json!(["retail"]), "{}", olga.words());
        olga.submit(address, &[("state", "deprecated"), ("sunset", "2099-01-01T00:00")]).await;
        let said = got(house, "/offerings/faults/lifecycle").await;
        assert_eq!(said["state"], "deprecated");
        assert!(said["sunset"].as_str().is_some_and(|at| at.starts_with("2099-01-01T00:00:00")), "{said}");
        assert!(olga.page.text.contains("value=\"2099-01-01T00:00\""), "{}", olga.page.text);
        olga.submit(address, &[("state", "retired")]).await;
        assert!(olga.words().contains("Retire faults?"), "{}", olga.words());
        assert_eq!(got(house, "/offerings/faults/lifecycle").await["state"], "deprecated", "it only asked");
        olga.submit(address, &[("state", "retired"), ("sure", "yes")]).await;
        assert_eq!(got(house, "/offerings/faults/lifecycle").await["state"], "retired", "{}", olga.words());
        assert!(olga.words().contains("retired"), "{}", olga.words());
        assert_eq!(ordered(house, "one", json!({})).await.status, 422);
        let mut ada = house.browser("ada").await;
        assert_eq!(ada.get(address).await.status, 403);
        assert_eq!(olga.get("/operator/offerings/nothing").await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_who_may_order_a_plan() {
    house(async |house| {
        let mut olga = house.browser("olga").await;
        let address = "/operator/offerings/faults/plans/ok/visibility";
        olga.get(address).await;
        let seen = olga.page.text.split("name=\"shown\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let seen = seen.expect("a mark").to_owned();
        for (fields, id) in [
            (vec![("access", "some")], "access"),
            (vec![("access", "public"), ("tenants", "retail")], "access"),
            (vec![("access", "restricted"), ("tenants", "retail\nnobody")], "tenants"),
            (vec![("access", "restricted"), ("platforms", "nowhere")], "platforms"),
        ] {
            olga.submit(address, &fields).await;
            wrong_at(&olga, id);
        }
        let some = [("access", "restricted"), ("tenants", "retail\r\n"), ("platforms", "bourse")];
        olga.submit(address, &some).await;
        assert_eq!(olga.address, "/operator/offerings/faults", "{}", olga.words());
        assert!(olga.words().contains("1 tenant on 1 platform"), "{}", olga.words());
        let said = got(house, "/offerings/faults/plans/ok/visibility").await;
        assert_eq!((&said["tenants"], &said["platforms"]), (&json!(["retail"]), &json!(["bourse"])), "{said}");
        assert_eq!(ordered(house, "one", json!({})).await.status, 201);
        assert!(house.hub.provision(&house.platform, "i1", "ok", sync()).await.status >= 400, "not on this platform");
        olga.get(address).await;
        olga.submit(address, &[("access", "public"), ("shown", &seen)]).await;
        assert_eq!(olga.page.status, 409, "{}", olga.words());
        olga.submit(address, &[("access", "restricted")]).await;
        assert!(olga.words().contains("nobody"), "{}", olga.words());
        assert_eq!(olga.get("/operator/offerings/faults/plans/none/visibility").await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_which_parameters_a_plan_has_for_all_and_for_one_tenant() {
    house(async |house| {
        let mut olga = house.browser("olga").await;
        let address = "/operator/offerings/faults/plans/ok/parameters";
        olga.get(address).await;
        assert!(olga.words().contains("Nothing is said of them in general"), "{}", olga.words());
        assert!(olga.words().contains("/times") && olga.words().contains("integer"), "{}", olga.words());
        for (fields, id) in [
            (vec![("default", "{\"times\": }")], "default"),
            (vec![("force", "[1]")], "force"),
            (vec![("default", "{\"times\": \"often\"}")], "default"),
            (vec![("forbid", "times")], "forbid"),
            (vec![("default", "{\"times\": 1}"), ("forbid", "/times")], "forbid"),
        ] {
            olga.submit(address, &fields).await;
            wrong_at(&olga, id);
        }
        assert!(olga.page.text.contains("{&quot;times&quot;: 1}"), "what was typed is kept: {}", olga.page.text);
        let rules = [("default", "{\"times\": 2}"), ("forbid", "/fail_on\r\n/code\r\n")];
        olga.submit(address, &rules).await;
        assert_eq!(olga.address, "/operator/offerings/faults", "{}", olga.words());
        assert!(olga.words().contains("1 rule"), "{}", olga.words());
        let said = got(house, "/offerings/faults/plans/ok/parameters").await;
        assert_eq!(
            (&said["default"], &said["forbid"]),
            (&json!({"times": 2}), &json!(["/fail_on", "/code"])),
            "{said}"
        );
        assert_eq!(ordered(house, "one", json!({"fail_on": ["update"]})).await.status, 422);
        assert_eq!(ordered(house, "one", json!({})).await.status, 201);

        let own = format!("{address}?tenant=retail");
        olga.get(&own).await;
        assert!(olga.words().contains("the tenant retail only"), "{}", olga.words());
        olga.submit(&own, &[("force", "{\"times\": 7}")]).await;
        let said = got(house, "/offerings/faults/plans/ok/parameters?tenant=retail").await;
        assert_eq!((&said["force"], &said["tenant"]), (&json!({"times": 7}), &json!("retail")), "{said}");
        assert!(olga.words().contains("2 rules"), "{}", olga.words());
        let nobody = format!("{address}?tenant=nobody");
        olga.get(&nobody).await;
        olga.submit(&nobody, &[("force", "{\"times\": 7}")]).await;
        assert!(olga.page.status == 422 && olga.words().contains("does not exist"), "{}", olga.words());

        olga.get(&format!("{address}/delete?tenant=retail")).await;
        assert!(olga.words().contains("Take back what is said of the parameters of faults ok?"), "{}", olga.words());
        olga.submit(&format!("{address}/delete"), &[("tenant", "retail")]).await;
        assert!(olga.words().contains("1 rule"), "{}", olga.words());
        assert_eq!(olga.get(&format!("{address}/delete?tenant=retail")).await.status, 404);
        assert_eq!(got(house, "/offerings/faults/plans/ok/parameters").await["default"], json!({"times": 2}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_has_already_is_tried_first_and_then_taken_over() {
    house(async |house| {
        let broker =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/catalog/faults.json")).expect("a catalog");
        let broker: Value = serde_json::from_str(&broker).expect("JSON");
        let (service_id, plan_id) = (&broker["services"][0]["id"], &broker["services"][0]["plans"][0]["id"]);
        let order = json!({"service_id": service_id, "plan_id": plan_id, "organization_guid": "o", "space_guid": "s"});
        let there = format!("{}/v2/service_instances/legacy", house.world.broker_url());
        let made = request(Method::PUT, &there, Some(("hub", "secret")), Some(order)).await;
        assert_eq!(made.status, 201, "{made:?}");
        let mut olga = house.browser("olga").await;
        olga.get("/operator/brokers/faults").await;
        assert!(olga.page.text.contains("href=\"/operator/adopt?broker=faults\""), "{}", olga.page.text);
        let address = "/operator/adopt";
        olga.get("/operator/adopt?broker=faults").await;
        assert!(olga.page.text.contains("value=\"faults\""), "{}", olga.page.text);
        let send = |what: &'static str, broker: &'static str, tenant: &'static str, instances: &'static str| {
            [("do", what), ("broker", broker), ("tenant", tenant), ("instances", instances)]
        };
        for (fields, id) in [
            (send("try", "nothing", "retail", "legacy, faults, ok"), "broker"),
            (send("try", "faults", "nobody", "legacy, faults, ok"), "tenant"),
            (send("try", "faults", "retail", ""), "instances"),
            (send("try", "faults", "retail", "legacy, faults, ok\nlegacy"), "instances"),
            (send("try", "faults", "retail", "[{]"), "instances"),
        ] {
            olga.submit(address, &fields).await;
            wrong_at(&olga, id);
        }
        let lines = "legacy, faults, ok, old\nnever, faults, ok";
        olga.submit(address, &send("try", "faults", "retail", lines)).await;
        assert!(olga.words().contains("Nothing was done. 1 of 2 would be taken over"), "{}", olga.words());
        assert!(olga.words().contains("never, faults, ok"), "what was typed is kept: {}", olga.words());
        let missing = house.hub.admin(Method::GET, "/api/v1/tenants/retail/instances/old", None).await;
        assert_eq!(missing.status, 404, "{missing:?}");
        olga.submit(address, &send("adopt", "faults", "retail", lines)).await;
        assert!(olga.words().contains("1 of 2 were taken over"), "{}", olga.words());
        assert_eq!(got(house, "/tenants/retail/instances/old").await["state"], "ready");
        olga.submit(address, &send("adopt", "faults", "retail", "legacy, faults, ok, old")).await;
        assert!(olga.words().contains("was before"), "{}", olga.words());
        let mut aud = house.browser("aud").await;
        assert_eq!(aud.get(address).await.status, 403);
    })
    .await;
}
