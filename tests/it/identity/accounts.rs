//! Service accounts, users, and that a tenant's people and a provider see their own only.

use reqwest::Method;
use serde_json::{Value, json};

use super::{me, with_token};
use crate::support::bare::on_each;
use crate::support::hub::{Hub, Platform, World, polling, request};

async fn account(hub: &Hub, name: &str, role: &str) -> String {
    let body = json!({"name": name, "roles": [role]});
    let made = hub.admin(Method::POST, "/api/v1/service-accounts", Some(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.body["token"].as_str().expect("a token").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_accounts_token_is_given_once_and_works_until_it_is_renewed_or_deleted() {
    on_each(async |on| {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        let first = account(&hub, "ci", "operator").await;
        assert!(first.starts_with("bourse_sa_") && first.len() == 53, "{}", first.len());
        let found = me(&hub, &first).await.body;
        assert_eq!((&found["kind"], &found["roles"]), (&json!("service_account"), &json!(["operator"])));
        let shown = hub.admin(Method::GET, "/api/v1/service-accounts/ci", None).await.body;
        assert_eq!((shown["token"].is_null(), &shown["created_by"]), (true, &json!("administrators/admin")));
        let again = json!({"name": "ci", "roles": ["auditor"]});
        assert_eq!(hub.admin(Method::POST, "/api/v1/service-accounts", Some(again)).await.status, 409);
        for roles in [
            json!([]),
            json!(["root"]),
            json!(["tenant-member:nobody"]),
            json!(["tenant-owner"]),
            json!(["operator:x"]),
        ] {
            let body = json!({"name": "other", "roles": roles});
            assert_eq!(hub.admin(Method::POST, "/api/v1/service-accounts", Some(body)).await.status, 422, "{roles}");
        }
        let renewed = hub.admin(Method::POST, "/api/v1/service-accounts/ci/token", None).await;
        let second = renewed.body["token"].as_str().expect("a token").to_owned();
        me(&hub, &first).await.refuses("no service account");
        assert_eq!(me(&hub, &second).await.status, 200);
        assert_eq!(hub.admin(Method::DELETE, "/api/v1/service-accounts/ci", None).await.status, 204);
        me(&hub, &second).await.refuses("no service account");
        assert_eq!(hub.admin(Method::DELETE, "/api/v1/service-accounts/ci", None).await.status, 404);
        // It opens nothing of OSB.
        let osb = request(Method::GET, &format!("{}/v2/catalog", hub.url), Some(("ci", &second)), None).await;
        assert_eq!(osb.status, 401);
        hub.stop().await;
    })
    .await;
}

fn names(page: &Value, field: &str) -> Vec<String> {
    let items = page["items"].as_array().unwrap_or_else(|| panic!("{page}"));
    items.iter().map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_hold_what_is_the_callers_own_and_pages_of_it_are_full() {
    on_each(async |on| {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        world.furnish(&hub).await;
        world.register(&hub, json!({"name": "others", "name_prefix": "x-"})).await;
        let smith = json!({"display_name": "Smith"});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/smith", Some(smith)).await.status, 201);
        for (tenant, offering) in [("retail", "faults"), ("smith", "x-faults")] {
            for number in 0..3 {
                let path = format!("/api/v1/tenants/{tenant}/instances/n{number}");
                let order = json!({"offering": offering, "plan": "ok"});
                assert_eq!(hub.admin(Method::PUT, &path, Some(order)).await.status, 201);
            }
        }
        for (role, field, own) in [
            ("tenant-member:retail", "tenant", "retail"),
            ("tenant-owner:smith", "tenant", "smith"),
            ("provider:others", "broker", "others"),
        ] {
            let token = account(&hub, &role.replace(':', "-"), role).await;
            let get = async |path: &str| with_token(&hub, Method::GET, path, &token, None).await;
            let page = get("/instances?limit=2").await.body;
            assert_eq!(names(&page, field), [own; 2], "{role}");
            let next = page["next"].as_str().expect("there is one more").to_owned();
            let rest = get(&format!("/instances?limit=2&cursor={next}")).await.body;
            assert_eq!((names(&rest, field), rest["next"].is_null()), (vec![own.to_owned()], true), "{role}");
            assert_eq!(names(&get("/operations").await.body, "kind").len(), 3, "{role}");
            let usage = get("/usage?meter=instance").await.body;
            assert_eq!(names(&usage, "meter").len(), 3, "{role}");
        }
        let member = account(&hub, "m", "tenant-member:retail").await;
        let provider = account(&hub, "p", "provider:faults").await;
        let get = async |token: &str, path: &str| with_token(&hub, Method::GET, path, token, None).await;
        assert_eq!(names(&get(&member, "/tenants").await.body, "name"), ["retail"]);
        assert_eq!(get(&member, "/tenants/smith").await.status, 404);
        assert_eq!(get(&member, "/brokers").await.status, 403);
        assert_eq!(names(&get(&provider, "/brokers").await.body, "name"), ["faults"]);
        assert_eq!(get(&provider, "/brokers/others").await.status, 404);
        assert_eq!(get(&provider, "/tenants").await.status, 403);
        // What an operator entered is not sent to wherever a provider likes.
        let elsewhere = Some(json!({"url": "http://127.0.0.1:9"}));
        let refused = with_token(&hub, Method::PATCH, "/brokers/faults", &provider, elsewhere).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (422, &json!("/credentials")));
        assert_eq!(get(&member, "/costs?tenant=smith").await.status, 404);
        assert_eq!(get(&member, "/statements?tenant=smith&period=2026-11").await.status, 404);
        hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_for_a_tenant_is_none_for_another_one_of_that_name() {
    on_each(async |on| {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        let path = "/api/v1/tenants/brief";
        let put = async || hub.admin(Method::PUT, path, Some(json!({"display_name": "Brief"}))).await.status;
        assert_eq!(put().await, 201);
        let token = account(&hub, "ci", "tenant-owner:brief").await;
        let seen = async || with_token(&hub, Method::GET, "/tenants/brief", &token, None).await.status;
        assert_eq!(seen().await, 200);
        assert_eq!(hub.admin(Method::DELETE, path, None).await.status, 204);
        assert_eq!(put().await, 201);
        assert_eq!(seen().await, 403);
        hub.stop().await;
    })
    .await;
}

async fn order(hub: &Hub, p: &Platform, id: &str, originating: &Value) -> u16 {
    use base64::Engine as _;
    let (service_id, plan_id) = hub.ids("ok");
    let body = json!({
        "service_id": service_id, "plan_id": plan_id, "organization_guid": "o", "space_guid": "s",
        "context": {"platform": "other"}, "parameters": polling().parameters,
    });
    let value = base64::engine::general_purpose::STANDARD.encode(originating.to_string());
    let url = format!("{}/v2/service_instances/{id}?accepts_incomplete=true", hub.url);
    let request = crate::support::hub::CLIENT.put(url).basic_auth(&p.username, Some(&p.password));
    let request = request
        .header("X-Broker-API-Version", "2.17")
        .header("X-Broker-API-Originating-Identity", format!("other {value}"))
        .body(body.to_string());
    request.send().await.expect("no answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_a_platform_calls_so_is_that_user_and_decides_no_order_of_their_own() {
    on_each(async |on| {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        let rule = json!({});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/approval-rules/all", Some(rule)).await.status, 201);
        let identity = json!({"platform_identities": [{"platform": "p", "user": "u-1"}], "groups": ["g"]});
        let put = hub.admin(Method::PUT, "/api/v1/users/admin", Some(identity.clone())).await;
        assert_eq!((put.status, &put.body["groups"]), (201, &json!(["g"])), "{put:?}");
        assert_eq!(hub.admin(Method::PUT, "/api/v1/users/admin", Some(identity.clone())).await.status, 200);
        let taken = hub.admin(Method::PUT, "/api/v1/users/eve", Some(identity.clone())).await;
        assert_eq!((taken.status, &taken.body["code"]), (409, &json!("identity_taken")), "{taken:?}");
        let unknown = json!({"platform_identities": [{"platform": "nowhere", "user": "u"}]});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/users/eve", Some(unknown)).await.status, 422);
        let shown = hub.admin(Method::GET, "/api/v1/users/admin", None).await.body;
        assert_eq!(shown["platform_identities"], identity["platform_identities"]);

        for (id, user, expected) in [("i-1", "u-1", 403), ("i-2", "u-2", 200)] {
            assert_eq!(order(&hub, &p, id, &json!({"user_id": user})).await, 202);
            let pending = hub.admin(Method::GET, "/api/v1/approvals?state=pending", None).await.body;
            let own = pending["items"]
                .as_array()
                .and_then(|items| items.iter().find(|item| item["platform_instance_id"] == id));
            let approval = own.expect("one is asked for")["id"].as_str().expect("an id").to_owned();
            let path = format!("/api/v1/approvals/{approval}/approve");
            let decided = hub.admin(Method::POST, &path, Some(json!({}))).await;
            assert_eq!(decided.status, expected, "{user}: {decided:?}");
            // Who is not asked doesn't know of it; a service account is nobody who decides.
            let member = account(&hub, &format!("m-{id}"), "tenant-member:retail").await;
            let path = format!("/approvals/{approval}/approve");
            assert_eq!(with_token(&hub, Method::POST, &path, &member, Some(json!({}))).await.status, 403);
            let approver = account(&hub, &format!("a-{id}"), "approver").await;
            assert_eq!(with_token(&hub, Method::POST, &path, &approver, Some(json!({}))).await.status, 403);
        }
        assert_eq!(hub.admin(Method::DELETE, "/api/v1/users/admin", None).await.status, 204);
        assert_eq!(hub.admin(Method::GET, "/api/v1/users/admin", None).await.status, 404);
        assert_eq!(hub.admin(Method::DELETE, "/api/v1/platforms/p", None).await.status, 409, "it has instances");
        hub.stop().await;
    })
    .await;
}
