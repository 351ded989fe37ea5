//! Previews: what they say is what an order is told, and they change nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::hub::{Hub, Platform, World, polling, sync};

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

/// How many rows each table has that an order writes to.
async fn rows(shop: &Shop) -> BTreeMap<&'static str, i64> {
    const TABLES: [(&str, &str); 8] = [
        ("instances", "select count(*) as number from instances"),
        ("operations", "select count(*) as number from operations"),
        ("events", "select count(*) as number from events"),
        ("approvals", "select count(*) as number from approvals"),
        ("uses", "select count(*) as number from quota_uses"),
        ("used", "select cast(coalesce(sum(used), 0) as bigint) as number from quotas"),
        ("told", "select count(*) as number from quotas where told_at is not null"),
        ("unmapped", "select count(*) as number from unmapped_identities"),
    ];
    let mut found = BTreeMap::new();
    for (table, statement) in TABLES {
        found.insert(table, crate::support::dump::count(&shop.hub.db, statement).await);
    }
    found
}

/// What a preview says; it changes nothing and calls nobody.
async fn preview(shop: &Shop, more: Value) -> Value {
    let before = (rows(shop).await, shop.world.faults.calls().len());
    let mut body = json!({"offering": "faults", "plan": "ok"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let reply = shop.hub.admin(Method::POST, "/api/v1/orders/preview", Some(body)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!((rows(shop).await, shop.world.faults.calls().len()), before, "{reply:?}");
    reply.body
}

async fn put(shop: &Shop, path: &str, body: Value) {
    let reply = shop.hub.admin(Method::PUT, &format!("/api/v1/{path}"), Some(body)).await;
    assert!(matches!(reply.status, 200 | 201), "{reply:?}");
}

#[tokio::test]
async fn a_preview_shows_the_request_that_the_broker_then_gets() {
    on_both(async |shop| {
        let shown = preview(shop, json!({"tenant": "retail", "instance": "mine", "parameters": {"a": 1.50}})).await;
        assert_eq!(
            (&shown["visible"], &shown["allowed"], &shown["refused"]),
            (&json!(true), &json!(true), &Value::Null)
        );
        let request = &shown["request"];
        assert_eq!((&request["method"], &request["stamp"]["aud"]), (&json!("PUT"), &json!("faults")), "{request}");
        assert_eq!(request["stamp"]["tenant"]["name"], "retail");
        let order = json!({"offering": "faults", "plan": "ok", "parameters": {"a": 1.50}});
        let placed = shop.hub.admin(Method::PUT, "/api/v1/tenants/retail/instances/mine", Some(order)).await;
        assert_eq!(placed.status, 201, "{placed:?}");
        let calls = shop.world.faults.calls();
        let sent = calls.iter().find(|call| call.method == "PUT").expect("a call");
        let without_ids = |body: &Value| {
            let mut body = body.clone();
            body["context"]["bourse"]["request_id"] = Value::Null;
            body
        };
        assert_eq!(without_ids(&request["body"]), without_ids(&sent.body));
        let query = |path: &str| path.split_once('?').map(|(_, query)| query.to_owned());
        assert_eq!(request["path"].as_str().map(query), Some(query(&sent.path_and_query)));
        let change = preview(shop, json!({"tenant": "retail", "instance": "mine", "plan": "async"})).await;
        assert_eq!((&change["allowed"], &change["request"]["method"]), (&json!(true), &json!("PATCH")), "{change}");
        for parameters in [Value::Null, json!({"a": 1.50})] {
            let same = preview(shop, json!({"tenant": "retail", "instance": "mine", "parameters": parameters})).await;
            assert_eq!((&same["allowed"], &same["request"]), (&json!(true), &Value::Null), "it stands so: {same}");
        }
        let moved =
            preview(shop, json!({"tenant": "retail", "instance": "mine", "plan": "async", "parameters": {"a": 1.50}}));
        let moved = moved.await;
        assert_eq!(moved["request"]["body"].get("parameters"), None, "only the plan changes: {moved}");
        let more = preview(shop, json!({"tenant": "retail", "instance": "mine", "parameters": {"b": 2}})).await;
        assert_eq!(more["request"]["body"]["parameters"], json!({"b": 2}), "{more}");
    })
    .await;
}

#[tokio::test]
async fn a_preview_is_refused_in_the_words_of_the_order() {
    on_both(async |shop| {
        put(shop, "quotas/few", json!({"tenant": "retail", "limit": "1"})).await;
        let free = preview(shop, json!({"platform": "p"})).await;
        let quota = &free["quota"][0];
        assert_eq!((&free["allowed"], &quota["used"], &quota["needs"]), (&json!(true), &json!("0"), &json!("1")));
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", sync()).await.status, 201);
        let refused = preview(shop, json!({"platform": "p"})).await;
        let order = shop.hub.provision(&shop.p, "j", "ok", sync()).await;
        assert_eq!((order.status, &refused["refused"]["reason"]), (400, &order.body["description"]));
        assert_eq!((&refused["allowed"], &refused["quota"][0]["exceeded"]), (&json!(false), &json!(true)));
        assert_eq!((&refused["visible"], &refused["request"]), (&json!(true), &Value::Null));
        // Nobody is mapped: neither an order nor a preview is for anybody, but only orders are counted.
        let lonely = json!({"name": "lonely", "kind": "other"});
        assert_eq!(shop.hub.admin(Method::POST, "/api/v1/platforms", Some(lonely)).await.status, 201);
        let nobody = preview(shop, json!({"platform": "lonely", "context": {"organization_guid": "o"}})).await;
        assert_eq!((&nobody["allowed"], &nobody["refused"]["code"]), (&json!(false), &json!("tenant_unmapped")));
        for (body, status) in [
            (json!({"offering": "faults", "plan": "ok"}), 422),
            (json!({"offering": "faults", "plan": "nothing", "tenant": "retail"}), 422),
            (json!({"offering": "faults", "plan": "ok", "tenant": "nobody"}), 404),
            (json!({"offering": "faults", "plan": "ok", "tenant": "retail", "platform": "p"}), 422),
        ] {
            let reply = shop.hub.admin(Method::POST, "/api/v1/orders/preview", Some(body)).await;
            assert_eq!(reply.status, status, "{reply:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_that_is_refused_early_is_still_of_a_plan_that_can_be_seen_or_not() {
    on_both(async |shop| {
        let order = json!({"offering": "faults", "plan": "ok"});
        let placed = shop.hub.admin(Method::PUT, "/api/v1/tenants/retail/instances/mine", Some(order)).await;
        assert_eq!(placed.status, 201, "{placed:?}");
        for plan in ["ok", "async"] {
            put(shop, &format!("offerings/faults/plans/{plan}/parameters"), json!({"forbid": ["/admin"]})).await;
        }
        let asked =
            |plan: &str| json!({"tenant": "retail", "instance": "mine", "plan": plan, "parameters": {"admin": 1}});
        for plan in ["ok", "async"] {
            let shown = preview(shop, asked(plan)).await;
            assert_eq!((&shown["visible"], &shown["allowed"]), (&json!(true), &json!(false)), "{plan}: {shown}");
            assert_eq!(shown["tenant"], "retail", "{shown}");
        }
        let nobody = json!({"access": "restricted", "tenants": [], "platforms": []});
        put(shop, "offerings/faults/plans/async/visibility", nobody).await;
        assert_eq!(preview(shop, asked("async")).await["visible"], false);
    })
    .await;
}

#[tokio::test]
async fn a_preview_says_who_would_have_to_agree() {
    on_both(async |shop| {
        put(shop, "approval-rules/all", json!({"expires_after": "PT1H"})).await;
        let shown = preview(shop, json!({"platform": "p"})).await;
        assert_eq!(shown["approval"], json!({"causes": [{"rule": "all"}], "expires_after_seconds": 3600}), "{shown}");
        assert_eq!(shown["allowed"], true);
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", polling()).await.status, 202);
    })
    .await;
}

#[tokio::test]
async fn parameters_are_defaulted_forced_and_forbidden_for_orders_previews_and_catalogs() {
    on_both(async |shop| {
        let path = "offerings/faults/plans/ok/parameters";
        put(shop, path, json!({"default": {"size": 5}, "force": {"region": "eu"}, "forbid": ["/admin"]})).await;
        put(shop, &format!("{path}?tenant=retail"), json!({"default": {"size": 7}})).await;
        let shown = preview(shop, json!({"platform": "p", "parameters": {"name": "n"}})).await;
        let expected = json!({"name": "n", "size": 7, "region": "eu"});
        assert_eq!(shown["request"]["body"]["parameters"], expected, "{shown}");
        let order = sync().with(json!({"name": "n"}));
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", order.clone()).await.status, 201);
        let sent = |method: &str| {
            let calls = shop.world.faults.calls();
            calls.iter().rfind(|call| call.method == method).expect("a call").body["parameters"].clone()
        };
        assert_eq!(sent("PUT"), expected);
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", order).await.status, 200, "the same order again");
        let other = sync().with(expected.clone());
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", other).await.status, 409, "what was ordered counts");
        for (parameters, words) in [
            (json!({"region": "us"}), "/region is always \"eu\" for this service plan: leave it out"),
            (json!({"admin": 1}), "/admin may not be given for this service plan: leave it out"),
        ] {
            let refused = shop.hub.provision(&shop.p, "j", "ok", sync().with(parameters.clone())).await;
            let description = refused.body["description"].as_str().unwrap_or_default();
            assert!(refused.status == 400 && description.contains(words), "{refused:?}");
            let order = json!({"offering": "faults", "plan": "ok", "parameters": parameters});
            let refused = shop.hub.admin(Method::PUT, "/api/v1/tenants/retail/instances/x", Some(order)).await;
            assert_eq!(refused.status, 422, "{refused:?}");
            assert!(refused.body["errors"][0]["pointer"].as_str().is_some_and(|at| at.starts_with("/parameters/")));
        }
        put(shop, path, json!({"force": {"region": "us"}})).await;
        let (service_id, _) = shop.hub.ids("ok");
        let change = json!({"service_id": service_id, "parameters": {"name": "m"}});
        let changed = shop.hub.osb(&shop.p, Method::PATCH, "/v2/service_instances/i", Some(change)).await;
        assert_eq!((changed.status, sent("PATCH")), (200, json!({"name": "m", "region": "us"})), "{changed:?}");
        let again = sync().with(json!({"name": "m"}));
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", again).await.status, 200, "as it stands now");
        let gone = shop.hub.admin(Method::DELETE, &format!("/api/v1/{path}"), None).await;
        assert_eq!(gone.status, 204, "{gone:?}");
        let gone = shop.hub.admin(Method::GET, &format!("/api/v1/{path}?tenant=retail"), None).await;
        assert_eq!((gone.status, &gone.body["default"]), (200, &json!({"size": 7})), "{gone:?}");
    })
    .await;
}
