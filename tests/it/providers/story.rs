//! From a role and nothing else to a published offering that is ordered, with a certified identity provider.

use std::sync::Arc;

use bourse::app::Points;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Own, RUN_WITHIN, ask, people, proposal, shape};
use crate::support::bare::on_each;
use crate::support::hub::World;
use crate::support::oidc::{AUDIENCE, Provider};
use crate::support::wait::wait_for;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_registers_is_judged_prices_and_publishes_after_a_review() {
    let provider = Provider::start(json!({"ann": [], "fin": [], "oz": [], "mem": []})).await;
    on_each(async |on| {
        let world = World::new(on, |config| people(config, &provider.url)).await;
        let hub = world.hub_with(Points::default()).await;
        let tenant = json!({"display_name": "Retail"});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/retail", Some(tenant)).await.status, 201);
        let platform = hub.platform("p", "other").await;
        let own = Own::start(shape("acme-db"));
        let mut tokens = std::collections::BTreeMap::new();
        for user in ["ann", "fin", "oz", "mem"] {
            tokens.insert(user, provider.token(user, AUDIENCE).await);
        }
        let tokens = Arc::new(tokens);
        let call = async |who: &str, method: &str, path: &str, body: Value| {
            ask(&hub.url, &tokens[who], method, path, body).await
        };
        let get = async |who: &str, path: &str| call(who, "GET", path, Value::Null).await;

        // Nothing is there but the role.
        assert_eq!(get("ann", "/me").await.is(200)["brokers_to_register"], json!(["acme"]));
        assert_eq!(get("ann", "/brokers").await.is(200)["items"], json!([]));

        // The broker comes, and all it offers is a draft.
        own.offers(|catalog| catalog["services"][0]["metadata"] = json!({"displayName": "Acme DB"}));
        let made = call("ann", "PUT", "/brokers/acme", own.registration()).await;
        assert_eq!(made.is(201)["provider"], "users/ann");
        assert_eq!(made.body["stamp"]["fields"][0], "tenant.name", "it is told little of tenants: {}", made.body);
        assert_eq!(get("ann", "/me").await.is(200)["brokers"], json!(["acme"]));
        let listed = get("ann", "/offerings").await.is(200)["items"].clone();
        assert_eq!((&listed[0]["name"], &listed[0]["lifecycle"]), (&json!("acme-db"), &json!("draft")));
        assert_eq!(get("mem", "/offerings").await.is(200)["items"], json!([]), "a draft is nobody else's");
        let catalog = hub.osb(&platform, Method::GET, "/v2/catalog", None).await.body;
        assert_eq!(catalog["services"], json!([]));
        let order = json!({"offering": "acme-db", "plan": "ok"});
        call("mem", "PUT", "/tenants/retail/instances/one", order.clone()).await.is(422);

        // What is missing is said, each with what to do.
        let found = get("ann", "/offerings/acme-db/checks").await.is(200).clone();
        assert_eq!((&found["fit"], &found["lifecycle"]), (&json!(false), &json!("draft")));
        let failed = |found: &Value| -> Vec<String> {
            let checks = found["checks"].as_array().expect("checks").iter();
            let failed = checks.filter(|check| check["state"] == "failed" && check["required"] == true);
            failed
                .inspect(|check| assert!(check["remedy"].is_string(), "{check}"))
                .map(|check| check["check"].as_str().expect("a name").to_owned())
                .collect()
        };
        assert_eq!(failed(&found), ["conformance", "price", "support", "documentation"]);
        let refused = call("ann", "POST", "/offerings/acme-db/submit", json!({})).await;
        refused.refuses(422, "checks_failed", "have the broker judged");

        // The catalog is put right, the broker is judged, prices are proposed and accepted.
        own.offers(|catalog| *catalog = shape("acme-db"));
        call("ann", "POST", "/brokers/acme/refresh", Value::Null).await.is(200);
        assert_eq!(failed(get("ann", "/offerings/acme-db/checks").await.is(200)), ["conformance", "price"]);
        assert_eq!(get("ann", "/brokers/acme/conformance").await.is(200)["run"], Value::Null);
        call("ann", "POST", "/brokers/acme/conformance", json!({})).await.refuses(422, "invalid", "really made");
        let asked = call("ann", "POST", "/brokers/acme/conformance", json!({"makes_instances": true})).await;
        assert_eq!((&asked.is(202)["state"], &asked.body["requested_by"]), (&json!("waiting"), &json!("users/ann")));
        let run = wait_for("the run to be over", RUN_WITHIN, async || {
            let run = get("ann", "/brokers/acme/conformance").await.is(200)["run"].clone();
            (run["state"] == "finished").then_some(run)
        })
        .await;
        assert_eq!((&run["outcome"], &run["failed"], &run["current"]), (&json!("conforms"), &json!(0), &json!(true)));
        assert_eq!(run["judgement"]["left_behind"], json!([]));
        let rows = run["judgement"]["rows"].as_array().expect("rows");
        let row = rows.iter().find(|row| row["id"] == "PRV-07").expect("PRV-07");
        assert_eq!((&row["verdict"], &row["level"]), (&json!("passed"), &json!("MUST")), "{row}");
        assert!(own.broker.faults.calls().len() > 100 && own.broker.faults.instances().is_empty());
        let proposed = call("ann", "POST", "/price-proposals", proposal("9")).await;
        let place = format!("/price-proposals/{}", proposed.is(201)["id"].as_str().expect("an id"));
        call("ann", "POST", &format!("{place}/accept"), json!({})).await.is(403);
        let accepted = call("fin", "POST", &format!("{place}/accept"), json!({"reason": "fair"})).await;
        assert_eq!(accepted.is(200)["state"], "accepted");
        let seen = get("ann", &place).await.is(200).clone();
        assert_eq!((&seen["decided_by"], &seen["reason"]), (&json!("users/fin"), &json!("fair")));
        let book = format!("/price-books/{}", seen["price_books"][0].as_str().expect("a book"));
        assert_eq!(get("ann", &book).await.is(200)["in_force"], true);

        // Submitted, seen, published by somebody else, ordered.
        assert_eq!(get("ann", "/offerings/acme-db/checks").await.is(200)["fit"], true);
        let note = json!({"note": "our first one"});
        assert_eq!(call("ann", "POST", "/offerings/acme-db/submit", note).await.is(200)["state"], "submitted");
        call("ann", "POST", "/offerings/acme-db/submit", json!({})).await.refuses(409, "submitted_already", "waits");
        call("ann", "POST", "/offerings/acme-db/publish", json!({})).await.is(403);
        let waiting = get("oz", "/reviews?state=submitted").await.is(200)["items"].clone();
        assert_eq!((&waiting[0]["offering"], &waiting[0]["note"]), (&json!("acme-db"), &json!("our first one")));
        let published = call("oz", "POST", "/offerings/acme-db/publish", json!({})).await;
        assert_eq!(
            (&published.is(200)["state"], &published.body["decided_by"]),
            (&json!("published"), &json!("users/oz"))
        );
        assert_eq!(get("mem", "/offerings").await.is(200)["items"][0]["lifecycle"], "published");
        let catalog = hub.osb(&platform, Method::GET, "/v2/catalog", None).await.body;
        assert_eq!(catalog["services"][0]["name"], "acme-db");
        call("mem", "PUT", "/tenants/retail/instances/one", order).await.is(201);
        let seen = get("ann", "/offerings/acme-db/checks").await.is(200).clone();
        assert_eq!((&seen["lifecycle"], &seen["review"]["state"]), (&json!("published"), &json!("published")));
        hub.stop().await;
    })
    .await;
}
