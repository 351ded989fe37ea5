//! What a provider may not do, and what nobody learns: names of others' brokers, others' drafts, verdicts, prices and submissions.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Market, Own, ask, proposal, shape};
use crate::support::bare::on_each;

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_ones_own_does_not_exist_be_it_taken_or_not() {
    on_each(async |on| {
        let market = Market::open(on).await;
        market.registered().await;
        let bolt = Own::start(shape("bolt-db"));
        let mut sentences = Vec::new();
        for name in ["acme", "nobodys"] {
            let refused = market.ask("ben", "PUT", &format!("/brokers/{name}"), bolt.registration()).await;
            refused.refuses(404, "not_found", "does not exist");
            sentences.push(refused.body["detail"].as_str().expect("a sentence").replace(name, "NAME"));
        }
        assert_eq!(sentences[0], sentences[1], "the answer says nothing of whether it is taken");
        let again = market.ask("ann", "PUT", "/brokers/acme", market.own.registration()).await;
        again.refuses(409, "name_taken", "exists already");
        market.ask("mem", "PUT", "/brokers/acme", bolt.registration()).await.is(403);
        market.post("ben", "/brokers", json!({"name": "bolt"})).await.is(403);
        let named = json!({"name": "other", "url": bolt.url, "credentials": {"none": {}}});
        market.ask("ben", "PUT", "/brokers/bolt", named).await.refuses(422, "invalid", "/name");
        market.ask("ben", "PUT", "/brokers/bolt", bolt.registration()).await.is(201);
        market.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_another_providers_broker_is_not_found_and_in_no_list() {
    on_each(async |on| {
        let market = Market::open(on).await;
        market.registered().await;
        let bolt = Own::start(shape("bolt-db"));
        market.ask("ben", "PUT", "/brokers/bolt", bolt.registration()).await.is(201);
        let proposed = market.post("ann", "/price-proposals", proposal("9")).await;
        let place = format!("/price-proposals/{}", proposed.is(201)["id"].as_str().expect("an id"));
        for path in ["/brokers/acme", "/brokers/acme/conformance", "/offerings/acme-db/checks", place.as_str()] {
            market.get("ann", path).await.is(200);
            market.get("ben", path).await.refuses(404, "not_found", "does not exist");
        }
        let judge = json!({"makes_instances": true});
        market.post("ben", "/brokers/acme/conformance", judge).await.refuses(404, "not_found", "`acme`");
        market.post("ben", "/offerings/acme-db/submit", json!({})).await.refuses(404, "not_found", "`acme-db`");
        market.post("ben", "/price-proposals", proposal("1")).await.refuses(404, "not_found", "`acme`");
        let foreign = json!({"broker": "bolt", "currency": "EUR", "rules": proposal("1")["rules"]});
        let refused = market.post("ben", "/price-proposals", foreign).await;
        refused.refuses(422, "invalid", "no offering of broker `bolt`");
        assert_eq!(refused.body["errors"][0]["pointer"], "/rules/0/offering");
        for path in ["/reviews", "/price-proposals", "/price-proposals?broker=acme"] {
            assert_eq!(market.get("ben", path).await.is(200)["items"], json!([]), "{path}");
        }
        assert_eq!(market.get("ann", "/price-proposals").await.is(200)["items"].as_array().map(Vec::len), Some(1));
        let names = |answer: &Value| -> Vec<Value> {
            answer["items"].as_array().expect("items").iter().map(|item| item["name"].clone()).collect()
        };
        assert_eq!(names(market.get("ben", "/offerings").await.is(200)), ["bolt-db"]);
        assert_eq!(names(market.get("ann", "/offerings").await.is(200)), ["acme-db"]);
        assert!(names(market.get("app", "/offerings").await.is(200)).is_empty(), "an approver sees no drafts");
        assert_eq!(names(market.get("oz", "/offerings").await.is(200)), ["acme-db", "bolt-db"]);
        market.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_operators_decide_a_provider_can_not_set_at_first_or_later() {
    on_each(async |on| {
        let market = Market::open(on).await;
        let with = |more: Value| {
            let mut body = market.own.registration();
            body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            body
        };
        for (more, pointer) in [
            (json!({"ids": "passthrough"}), "/ids"),
            (json!({"takeover": true}), "/takeover"),
            (json!({"timeout_ms": 200_000}), "/timeout_ms"),
            (json!({"concurrency": 9_000}), "/concurrency"),
            (json!({"stamp": {"fields": ["tenant.cost_center"]}}), "/stamp/fields"),
            (json!({"stamp": {"header": true}}), "/stamp/fields"),
        ] {
            let refused = market.ask("ann", "PUT", "/brokers/acme", with(more.clone())).await;
            refused.refuses(422, "invalid", "only an operator");
            assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{more}");
        }
        let metadata = json!({"url": "http://169.254.169.254/latest", "credentials": {"none": {}}});
        market.ask("ann", "PUT", "/brokers/acme", metadata).await.refuses(422, "invalid", "egress policy");
        let own = with(json!({"timeout_ms": 9000, "name_prefix": "", "stamp": {"fields": ["tenant.name"]}}));
        assert_eq!(market.ask("ann", "PUT", "/brokers/acme", own).await.is(201)["timeout_ms"], 9000);
        for change in [json!({"takeover": true}), json!({"stamp": null}), json!({"concurrency": 9_000})] {
            market.ask("ann", "PATCH", "/brokers/acme", change).await.refuses(422, "invalid", "only an operator");
        }
        let wider = json!({"stamp": {"fields": ["tenant.cost_center"]}, "concurrency": 9_000});
        market.ask("oz", "PATCH", "/brokers/acme", wider).await.is(200);
        let kept = market.ask("ann", "PATCH", "/brokers/acme", json!({"timeout_ms": 8000})).await;
        assert_eq!(kept.is(200)["concurrency"], 9_000, "what an operator has said stays");
        market.ask("ann", "DELETE", "/brokers/acme", Value::Null).await.is(403);
        market.ask("ann", "PUT", "/offerings/acme-db/lifecycle", json!({"state": "published"})).await.is(403);
        market.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_an_offering_that_is_taken_is_not_told_with_whose_it_is() {
    on_each(async |on| {
        let market = Market::open(on).await;
        market.registered().await;
        let bolt = Own::start(shape("acme-db"));
        let refused = market.ask("ben", "PUT", "/brokers/bolt", bolt.registration()).await;
        refused.refuses(409, "catalog_clash", "of another broker: register it with another `name_prefix`");
        assert!(!refused.body.to_string().contains("`acme`"), "{refused:?}");
        let mut prefixed = bolt.registration();
        prefixed["name_prefix"] = json!("bolt-");
        let made = market.ask("ben", "PUT", "/brokers/bolt", prefixed).await;
        assert_eq!(made.is(201)["offerings"][0]["name"], "bolt-acme-db");
        market.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_of_a_broker_of_that_name_before_publishes_nothing() {
    on_each(async |on| {
        let market = Market::open(on).await;
        // An operator's own, published as ever.
        market.ask("oz", "PUT", "/brokers/acme", market.own.registration()).await.is(201);
        let lifecycle = "/offerings/acme-db/lifecycle";
        market.ask("oz", "PUT", lifecycle, json!({"state": "published"})).await.is(200);
        assert!(market.shows("acme-db").await);
        market.ask("oz", "DELETE", "/brokers/acme", Value::Null).await.is(204);
        market.registered().await;
        assert!(!market.shows("acme-db").await, "it is another's broker now");
        market.ask("oz", "PUT", lifecycle, json!({"state": "published"})).await.refuses(409, "needs_review", "review");
        market.ask("oz", "PUT", lifecycle, json!({"state": "deprecated"})).await.refuses(409, "needs_review", "review");
        market.ask("oz", "PUT", lifecycle, json!({"state": "draft", "pilots": ["retail"]})).await.is(200);
        assert!(market.shows("acme-db").await, "an operator lets pilots try a draft");
        market.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_keeps_the_broker_that_it_has_registered() {
    on_each(async |on| {
        let market = Market::open(on).await;
        let new = json!({"name": "ci", "roles": ["provider:acme"]});
        let made = market.hub.admin(Method::POST, "/api/v1/service-accounts", Some(new)).await;
        assert_eq!(made.status, 201, "{made:?}");
        let token = made.body["token"].as_str().expect("a token").to_owned();
        let call = async |method: &str, path: &str, body: Value| ask(&market.hub.url, &token, method, path, body).await;
        let registered = call("PUT", "/brokers/acme", market.own.registration()).await;
        assert_eq!(registered.is(201)["provider"], "service-accounts/ci");
        call("GET", "/brokers/acme", Value::Null).await.is(200);
        // Another one of that name that somebody else has registered since is not its own.
        market.ask("oz", "DELETE", "/brokers/acme", Value::Null).await.is(204);
        market.registered().await;
        call("GET", "/brokers/acme", Value::Null).await.is(403);
        market.hub.stop().await;
    })
    .await;
}
