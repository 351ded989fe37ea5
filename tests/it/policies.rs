//! Policies: what they refuse and say, that a change holds at once, and that each example of the manual does what it says.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::dump::items;
use crate::support::hub::{Hub, Platform, Reply, World, polling, request, sync};
use crate::support::site::{Site, admin, order};

struct Shop {
    world: World,
    hub: Hub,
    p: Platform,
}

async fn on_both(case: impl AsyncFn(&Shop)) {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on, |config| config.server.drain = Duration::ZERO).await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        let shop = Shop { world, hub, p };
        case(&shop).await;
        shop.hub.stop().await;
    }
}

impl Shop {
    async fn put(&self, name: &str, text: &str, mode: &str) -> Reply {
        let body = json!({"text": text, "mode": mode});
        self.hub.admin(Method::PUT, &format!("/api/v1/policies/{name}"), Some(body)).await
    }

    async fn tenant(&self, more: Value) {
        let mut body = json!({"display_name": "Retail"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        assert_eq!(self.hub.admin(Method::PUT, "/api/v1/tenants/retail", Some(body)).await.status, 200);
    }

    /// What an order of a plan with parameters would be told; empty where it would be placed.
    async fn told(&self, plan: &str, parameters: Value) -> String {
        let body = json!({"platform": "p", "offering": "faults", "plan": plan, "parameters": parameters});
        let shown = self.hub.admin(Method::POST, "/api/v1/orders/preview", Some(body)).await;
        assert_eq!(shown.status, 200, "{shown:?}");
        shown.body["refused"]["reason"].as_str().unwrap_or_default().to_owned()
    }
}

const REGION: &str = r#"@reason("data stays in the EU") @remedy("order it in eu-1")
    forbid(principal, action in [Bourse::Action::"order", Bourse::Action::"update"], resource)
    when { context.parameters has region && context.parameters.region != "eu-1" };"#;

#[tokio::test]
async fn an_order_is_refused_with_policy_reason_and_remedy_and_a_warning_refuses_nothing() {
    on_both(async |shop| {
        assert_eq!(shop.put("region", REGION, "warn").await.status, 201);
        let us = || sync().with(json!({"region": "us-1"}));
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", us()).await.status, 201, "it only warns");
        let body = json!({"platform": "p", "offering": "faults", "plan": "ok", "parameters": {"region": "us-1"}});
        let shown = shop.hub.admin(Method::POST, "/api/v1/orders/preview", Some(body)).await.body;
        assert_eq!((&shown["allowed"], &shown["policies"][0]["mode"]), (&json!(true), &json!("warn")), "{shown}");
        assert_eq!(shop.put("region", REGION, "enforce").await.status, 200);
        let refused = shop.hub.provision(&shop.p, "j", "ok", us()).await;
        let expected = "policy `region` forbids it: data stays in the EU; order it in eu-1";
        assert_eq!((refused.status, &refused.body["description"]), (400, &json!(expected)), "{refused:?}");
        let calls = shop.world.faults.calls().iter().filter(|call| call.method == "PUT").count();
        assert_eq!(calls, 1, "the broker never heard of it");
        let change = json!({"service_id": shop.hub.ids("ok").0, "parameters": {"a": 1}});
        let changed = shop.hub.osb(&shop.p, Method::PATCH, "/v2/service_instances/i", Some(change)).await;
        assert_eq!((changed.status, &changed.body["description"]), (400, &json!(expected)), "what it is then counts");
        let person = json!({"offering": "faults", "plan": "ok", "parameters": {"region": "us-1"}});
        let refused = shop.hub.admin(Method::PUT, "/api/v1/tenants/retail/instances/x", Some(person)).await;
        assert_eq!((refused.status, &refused.body["code"]), (422, &json!("policy")), "{refused:?}");
        let gone = shop.hub.admin(Method::DELETE, "/api/v1/policies/region", None).await;
        assert_eq!(gone.status, 204);
        assert_eq!(shop.hub.provision(&shop.p, "j", "ok", us()).await.status, 201);
    })
    .await;
}

#[tokio::test]
async fn binds_and_deletions_are_judged_too_and_what_fails_refuses() {
    on_both(async |shop| {
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", sync()).await.status, 201);
        for (action, name) in [("bind", "no-bind"), ("delete", "no-delete")] {
            let text = format!("@remedy(\"ask\") forbid(principal, action == Bourse::Action::\"{action}\", resource);");
            assert_eq!(shop.put(name, &text, "enforce").await.status, 201);
        }
        let bound = shop.hub.bind(&shop.p, ("i", "b"), "ok", sync()).await;
        assert_eq!((bound.status, &bound.body["description"]), (400, &json!("policy `no-bind` forbids it; ask")));
        let gone = shop.hub.delete(&shop.p, "i", "ok", false).await;
        assert_eq!((gone.status, &gone.body["description"]), (400, &json!("policy `no-delete` forbids it; ask")));
        let text = "@remedy(\"say a size\") forbid(principal, action, resource) when { context.parameters.size > 9 };";
        assert_eq!(shop.put("size", text, "enforce").await.status, 201);
        let refused = shop.hub.provision(&shop.p, "j", "ok", sync()).await;
        let said = refused.body["description"].as_str().unwrap_or_default();
        assert!(refused.status == 400 && said.starts_with("policy `size` could not be evaluated"), "{refused:?}");
        assert!(said.ends_with("; say a size"), "{said}");
        let small = sync().with(json!({"size": 9}));
        assert_eq!(shop.hub.provision(&shop.p, "j", "ok", small).await.status, 201);
        for name in ["no-bind", "no-delete"] {
            assert_eq!(shop.hub.admin(Method::DELETE, &format!("/api/v1/policies/{name}"), None).await.status, 204);
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_policy_only_warns_of_is_in_the_events_of_the_order_without_what_was_ordered() {
    on_both(async |shop| {
        let text = "@reason(\"be careful\") @remedy(\"ask\") forbid(principal, action, resource);";
        let kinds = ["requested", "provisioned", "created", "updated", "deleted", "deprovisioned"];
        for id in ["calm", "warned"] {
            assert_eq!(shop.hub.provision(&shop.p, id, "ok", sync()).await.status, 201);
            assert_eq!(shop.hub.bind(&shop.p, (id, "b"), "ok", sync()).await.status, 201);
            let change = json!({"service_id": shop.hub.ids("ok").0, "parameters": {"a": "secret"}});
            let path = format!("/v2/service_instances/{id}");
            assert_eq!(shop.hub.osb(&shop.p, Method::PATCH, &path, Some(change)).await.status, 200);
            assert_eq!(shop.hub.delete(&shop.p, id, "ok", false).await.status, 200);
            if id == "calm" {
                assert_eq!(shop.put("careful", text, "warn").await.status, 201);
                let fails =
                    "@remedy(\"say it\") forbid(principal, action, resource) when { context.parameters.a > 1 };";
                assert_eq!(shop.put("fails", fails, "warn").await.status, 201);
            }
        }
        shop.hub.app.number_events().await.expect("could not number");
        let events = crate::support::dump::events(&shop.hub.url).await;
        let mut told = BTreeMap::new();
        for event in events.iter().filter(|event| event["instanceid"].is_string()) {
            let kind = event["type"].as_str().and_then(|kind| kind.rsplit('.').next()).expect("a type");
            let data = &event["data"];
            told.insert((data["platform_instance_id"].as_str().expect("an id"), kind), data["warnings"].clone());
        }
        let expected = json!([
            {"policy": "careful", "reason": "be careful", "remedy": "ask"},
            {"policy": "fails", "failed": true, "remedy": "say it"},
        ]);
        for kind in kinds {
            assert_eq!(told[&("calm", kind)], Value::Null, "{kind}");
            // What goes with an instance was not ordered by itself.
            let expected = if kind == "deleted" { &Value::Null } else { &expected };
            assert_eq!(&told[&("warned", kind)], expected, "{kind}");
        }
        assert!(!json!(events).to_string().contains("secret"), "no value of the order");
    })
    .await;
}

#[tokio::test]
async fn a_deletion_is_judged_by_what_the_instance_has_and_one_that_is_refused_changes_nothing() {
    on_both(async |shop| {
        let rule = json!({"on": ["update"]});
        assert_eq!(shop.hub.admin(Method::PUT, "/api/v1/approval-rules/changes", Some(rule)).await.status, 201);
        let text = "@remedy(\"ask\") forbid(principal, action == Bourse::Action::\"delete\", resource) \
            when { context.parameters has keep && context.parameters.keep == true };";
        assert_eq!(shop.put("keep", text, "enforce").await.status, 201);
        for (id, keep) in [("kept", true), ("loose", false)] {
            let order = sync().with(json!({"keep": keep}));
            assert_eq!(shop.hub.provision(&shop.p, id, "ok", order).await.status, 201);
            let change = json!({"service_id": shop.hub.ids("ok").0, "parameters": {"a": 1}});
            let path = format!("/v2/service_instances/{id}?accepts_incomplete=true");
            assert_eq!(shop.hub.osb(&shop.p, Method::PATCH, &path, Some(change)).await.status, 202);
        }
        let refused = shop.hub.delete(&shop.p, "kept", "ok", false).await;
        assert_eq!((refused.status, &refused.body["description"]), (400, &json!("policy `keep` forbids it; ask")));
        assert_eq!(items(&shop.hub.url, "approvals?state=pending").await.len(), 2, "the change goes on waiting");
        assert_eq!(shop.hub.last_operation(&shop.p, "kept").await.body["state"], "in progress");
        assert_eq!(shop.hub.delete(&shop.p, "loose", "ok", false).await.status, 200);
        assert_eq!(items(&shop.hub.url, "approvals?state=pending").await.len(), 1);
        // An order that waits is nothing yet that could be deleted.
        let all = json!({"on": ["provision"]});
        assert_eq!(shop.hub.admin(Method::PUT, "/api/v1/approval-rules/orders", Some(all)).await.status, 201);
        let waits = polling().with(json!({"keep": true}));
        assert_eq!(shop.hub.provision(&shop.p, "waits", "ok", waits).await.status, 202);
        assert_eq!(shop.hub.delete(&shop.p, "waits", "ok", true).await.status, 200);
        // For the end of the case: nothing is under way.
        assert_eq!(shop.hub.admin(Method::DELETE, "/api/v1/policies/keep", None).await.status, 204);
        assert_eq!(shop.hub.delete(&shop.p, "kept", "ok", false).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_text_that_is_wrong_is_refused_with_its_place() {
    on_both(async |shop| {
        for (text, words) in [
            ("@remedy(\"r\")\nforbid(principal, action, resource)\nwhen { context. };", "line 3, column 17: "),
            ("@remedy(\"r\") forbid(principal, action, resource) when { resource.nme == 1 };", "attribute `nme`"),
            ("permit(principal, action, resource);", "policies are `forbid`"),
        ] {
            let refused = shop.put("p", text, "enforce").await;
            let detail = refused.body["errors"][0]["detail"].as_str().unwrap_or_default();
            assert!(refused.status == 422 && detail.contains(words), "{refused:?}");
        }
        assert_eq!(items(&shop.hub.url, "policies").await.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn an_order_that_waits_is_held_against_the_policies_of_the_day_it_is_approved() {
    on_both(async |shop| {
        let rule = shop.hub.admin(Method::PUT, "/api/v1/approval-rules/all", Some(json!({}))).await;
        assert_eq!(rule.status, 201);
        let waits = polling().with(json!({"region": "us-1"}));
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", waits).await.status, 202);
        assert_eq!(shop.put("region", REGION, "enforce").await.status, 201);
        let asked = items(&shop.hub.url, "approvals?state=pending").await[0].clone();
        let url = format!("{}/api/v1/approvals/{}/approve", shop.hub.url, asked["id"].as_str().expect("an id"));
        let reply = request(Method::POST, &url, Some(("admin", "pw")), Some(json!({"reason": ""}))).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let ended = shop.hub.last_operation(&shop.p, "i").await.body;
        assert_eq!(ended["state"], "failed", "{ended}");
        assert!(
            ended["description"].as_str().is_some_and(|said| said.contains("policy `region` forbids it")),
            "{ended}"
        );
        assert!(shop.world.faults.calls().iter().all(|call| call.method != "PUT"), "the broker never heard of it");
    })
    .await;
}

#[tokio::test]
async fn a_simulation_says_page_by_page_what_stands_and_would_be_refused() {
    on_both(async |shop| {
        for (id, region) in [("a", "us-1"), ("b", "eu-1"), ("c", "us-1"), ("d", "eu-1"), ("e", "us-1")] {
            let order = sync().with(json!({"region": region}));
            assert_eq!(shop.hub.provision(&shop.p, id, "ok", order).await.status, 201);
        }
        let (mut found, mut looked_at, mut cursor) = (0, 0, String::new());
        loop {
            let path = format!("/api/v1/policies/simulate?limit=2{cursor}");
            let page = shop.hub.admin(Method::POST, &path, Some(json!({"text": REGION}))).await;
            assert_eq!(page.status, 200, "{page:?}");
            let items = page.body["items"].as_array().expect("items");
            assert!(items.iter().all(|item| item["policies"][0]["remedy"] == "order it in eu-1"), "{page:?}");
            found += items.len();
            looked_at += page.body["looked_at"].as_u64().expect("a number");
            match page.body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!((found, looked_at), (3, 5));
        assert_eq!(items(&shop.hub.url, "policies").await.len(), 0, "nothing is switched on");
    })
    .await;
}

#[tokio::test]
async fn a_policy_that_is_put_or_deleted_through_one_process_holds_at_once_in_the_other() {
    let site = Site::new(On::Postgres).await;
    let (mut a, a_url) = site.start().await;
    let p = site.furnish(&a_url).await;
    let (mut b, b_url) = site.start().await;
    let put = async |url: &str, id: &str| {
        let url = format!("{url}/v2/service_instances/{id}");
        request(Method::PUT, &url, Some((&p.username, &p.password)), Some(order("ok", &json!({})))).await.status
    };
    for round in 0..6 {
        let (one, other) = if round % 2 == 0 { (&a_url, &b_url) } else { (&b_url, &a_url) };
        assert_eq!(put(other, &format!("before-{round}")).await, 201);
        let none = json!({"text": "@remedy(\"r\") forbid(principal, action, resource);", "mode": "enforce"});
        assert_eq!(admin(one, Method::PUT, "policies/none", Some(none)).await.status, 201);
        assert_eq!(put(other, &format!("while-{round}")).await, 400);
        assert_eq!(admin(one, Method::DELETE, "policies/none", None).await.status, 204);
        assert_eq!(put(other, &format!("while-{round}")).await, 201);
    }
    for process in [&mut a, &mut b] {
        process.assert_modest();
        assert!(process.terminate().await.success());
    }
}

/// The examples of the manual, by the names that it gives them.
fn examples() -> BTreeMap<String, String> {
    let manual = include_str!("../../docs/policies.md");
    let mut found = BTreeMap::new();
    for part in manual.split("\n### `").skip(1) {
        let (name, rest) = part.split_once('`').expect("a name");
        let text = rest.split_once("```cedar\n").and_then(|(_, text)| text.split_once("```")).expect("a policy").0;
        found.insert(name.to_owned(), text.to_owned());
    }
    found
}

#[tokio::test]
async fn each_example_of_the_manual_refuses_what_it_says_and_nothing_else() {
    on_both(async |shop| {
        let mut examples = examples();
        let mut example = async |name: &str| {
            let text = examples.remove(name).unwrap_or_else(|| panic!("no example {name}"));
            let put = shop.put("example", &text, "enforce").await;
            assert!(matches!(put.status, 200 | 201), "{name}: {put:?}");
            examples.len()
        };
        example("regions").await;
        assert_eq!(shop.told("ok", json!({"region": "eu-central"})).await, "");
        assert!(shop.told("ok", json!({"region": "us-east"})).await.contains("order it in one of"));
        assert_eq!(shop.told("ok", json!({})).await, "");
        example("tags").await;
        assert!(shop.told("ok", json!({})).await.contains("cost-center"));
        assert!(shop.told("ok", json!({"tags": {"cost-center": "1"}})).await.contains("cost-center"));
        assert_eq!(shop.told("ok", json!({"tags": {"cost-center": "1", "owner": "ada"}})).await, "");
        example("price-ceiling").await;
        assert_eq!(shop.told("ok", json!({})).await, "", "what has no price is not refused");
        let rule = |amount: &str| json!([{"offering": "faults", "plan": "ok", "meter": "instance", "model": "flat", "amount": amount, "per": "month"}]);
        let book = |amount: &str, from: &str| json!({"currency": "EUR", "effective_from": from, "rules": rule(amount)});
        for (amount, from, refused) in [("500", "2020-01-01T00:00:00Z", false), ("500.01", "2020-02-01T00:00:00Z", true)] {
            let made = shop.hub.admin(Method::POST, "/api/v1/price-books", Some(book(amount, from))).await;
            assert_eq!(made.status, 201, "{made:?}");
            shop.tenant(json!({"environment": "sandbox"})).await;
            assert_eq!(!shop.told("ok", json!({})).await.is_empty(), refused, "{amount}");
        }
        shop.tenant(json!({"environment": "prod"})).await;
        assert_eq!(shop.told("ok", json!({})).await, "", "a ceiling of sandboxes only");
        let left = example("secured-in-prod").await;
        assert!(shop.told("ok", json!({})).await.contains("a plan that is secured"));
        shop.tenant(json!({"environment": "dev"})).await;
        assert_eq!(shop.told("ok", json!({})).await, "");
        assert_eq!(left, 0, "each example of the manual is tried here");
    })
    .await;
}
