//! Each route that changes something adds a row in the same transaction: by whom, from where, before and after. The cases are held
//! against the table of routes, so that a new route without a case fails.

use std::collections::BTreeSet;

use bourse::http::routes::{Method as Verb, ROUTES};
use reqwest::Method;
use serde_json::{Value, json};

use crate::providers::{Own, RUN_WITHIN, shape};
use crate::support::bare::on_each;
use crate::support::dump::count;
use crate::support::hub::{CLIENT, Hub, World, polling, request, sync};
use crate::support::site::order;
use crate::support::wait::{wait_for, wait_until};

const ROWS: &str = "select count(*) as number from audit";

/// Routes that change nothing, or whose record is another.
const WITHOUT: &[(&str, &str)] = &[
    // They compute.
    ("POST", "/api/v1/price-books/simulate"),
    ("POST", "/api/v1/estimates"),
    ("POST", "/api/v1/statements/verify"),
    ("POST", "/api/v1/orders/preview"),
    ("POST", "/api/v1/policies/simulate"),
    ("POST", "/api/v1/price-proposals/{id}/simulate"),
    // Readings say themselves who reported them, and none is ever changed or removed.
    ("POST", "/api/v1/usage"),
];

struct Walk {
    hub: Hub,
    seen: BTreeSet<(&'static str, &'static str)>,
}

impl Walk {
    /// Calls a route with these names in its path, which must succeed and add one row of that action with these documents.
    async fn does(
        &mut self,
        route: (&'static str, &'static str),
        names: &[&str],
        body: Value,
        expected: (&str, bool, bool),
    ) -> Value {
        let (method, pattern) = route;
        let mut names = names.iter();
        let path: Vec<_> = pattern
            .split('/')
            .map(|part| if part.starts_with('{') { *names.next().expect("a name") } else { part })
            .collect();
        let before = count(&self.hub.db, ROWS).await;
        let body = Some(body).filter(|body| !body.is_null());
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let reply = self.hub.admin(method, &path.join("/"), body).await;
        assert!((200..300).contains(&reply.status), "{route:?}: {reply:?}");
        assert_eq!(count(&self.hub.db, ROWS).await, before + 1, "{route:?} adds one row");
        self.seen.insert(route);
        let row = self.last().await;
        let (action, was, is) = expected;
        assert_eq!(row["action"], action, "{route:?}: {row}");
        assert_eq!((!row["before"].is_null(), !row["after"].is_null()), (was, is), "{route:?}: {row}");
        assert_eq!((&row["actor"], &row["from"]["channel"]), (&json!("administrators/admin"), &json!("api")), "{row}");
        assert_eq!(row["from"]["address"], "127.0.0.1", "{row}");
        assert_eq!(row["from"]["request_id"].as_str().map(str::len), Some(36), "{row}");
        reply.body
    }

    /// The same of a route after which workers go on by themselves: there is such a row, among others.
    async fn begins(
        &mut self,
        route: (&'static str, &'static str),
        name: &str,
        body: Option<Value>,
        (action, was, is): (&str, bool, bool),
    ) {
        let method = Method::from_bytes(route.0.as_bytes()).expect("a method");
        let reply = self.hub.admin(method, &route.1.replace("{name}", name), body).await;
        assert!((200..300).contains(&reply.status), "{route:?}: {reply:?}");
        self.seen.insert(route);
        let row = wait_for("the row to be chained", crate::support::hub::BOUND, async || {
            let page = self.hub.admin(Method::GET, "/api/v1/audit?limit=1000", None).await.body;
            page["items"].as_array().expect("items").iter().find(|row| row["action"] == action).cloned()
        })
        .await;
        assert_eq!((!row["before"].is_null(), !row["after"].is_null()), (was, is), "{route:?}: {row}");
        assert_eq!(row["actor"], "administrators/admin", "{row}");
    }

    /// The row that was added last, once it is chained.
    async fn last(&self) -> Value {
        let all = count(&self.hub.db, ROWS).await;
        wait_until("the row to be chained", crate::support::hub::BOUND, async || {
            let head = self.hub.admin(Method::GET, "/api/v1/audit/head", None).await.body;
            head["position"].as_i64() == Some(all)
        })
        .await;
        let page = self.hub.admin(Method::GET, &format!("/api/v1/audit?after={}", all - 1), None).await.body;
        page["items"][0].clone()
    }
}

async fn brokers_platforms_and_tenants(walk: &mut Walk, broker_url: &str) {
    let (name, pair) = ("/api/v1/brokers/{name}", json!({"basic": {"username": "hub", "password": "secret"}}));
    let new = json!({"name": "twin", "url": broker_url, "name_prefix": "twin-", "credentials": pair});
    walk.does(("POST", "/api/v1/brokers"), &[], new, ("broker.register", false, true)).await;
    walk.does(("PATCH", name), &["twin"], json!({"timeout_ms": 9000}), ("broker.patch", true, true)).await;
    walk.does(("POST", "/api/v1/brokers/{name}/refresh"), &["twin"], Value::Null, ("broker.refresh", true, true)).await;
    let route = ("POST", "/api/v1/brokers/{name}/credentials");
    let made = walk.does(route, &["twin"], Value::Null, ("broker.credentials.create", true, true)).await;
    let username = made["username"].as_str().expect("a name").to_owned();
    let route = ("DELETE", "/api/v1/brokers/{name}/credentials/{username}");
    walk.does(route, &["twin", &username], Value::Null, ("broker.credentials.delete", true, true)).await;
    walk.does(("DELETE", name), &["twin"], Value::Null, ("broker.delete", true, false)).await;

    let name = "/api/v1/platforms/{name}";
    let new = json!({"name": "cf", "kind": "cloudfoundry"});
    walk.does(("POST", "/api/v1/platforms"), &[], new, ("platform.create", false, true)).await;
    let change = json!({"default_tenant": "retail"});
    walk.does(("PATCH", name), &["cf"], change, ("platform.change", true, true)).await;
    let route = ("POST", "/api/v1/platforms/{name}/credentials");
    let made = walk.does(route, &["cf"], Value::Null, ("platform.credentials.create", true, true)).await;
    let username = made["username"].as_str().expect("a name").to_owned();
    let route = ("DELETE", "/api/v1/platforms/{name}/credentials/{username}");
    walk.does(route, &["cf", &username], Value::Null, ("platform.credentials.delete", true, true)).await;
    walk.does(("DELETE", name), &["cf"], Value::Null, ("platform.delete", true, false)).await;

    let name = "/api/v1/tenants/{name}";
    walk.does(("PUT", name), &["books"], json!({"display_name": "Books"}), ("tenant.put", false, true)).await;
    walk.does(("PUT", name), &["books"], json!({"display_name": "Read"}), ("tenant.put", true, true)).await;
    let row = walk.last().await;
    assert_eq!((&row["before"]["display_name"], &row["after"]["display_name"]), (&json!("Books"), &json!("Read")));
    let member = "/api/v1/tenants/{name}/members/{kind}/{member}";
    let (ann, owner) = (["books", "users", "ann"], json!({"role": "owner"}));
    walk.does(("PUT", member), &ann, owner, ("tenant.member.put", false, true)).await;
    walk.does(("DELETE", member), &ann, Value::Null, ("tenant.member.delete", true, false)).await;
    walk.does(("DELETE", name), &["books"], Value::Null, ("tenant.delete", true, false)).await;
}

async fn orders(walk: &mut Walk) {
    let (name, binding) =
        ("/api/v1/tenants/{tenant}/instances/{name}", "/api/v1/tenants/{tenant}/instances/{name}/bindings/{binding}");
    let order = json!({"offering": "faults", "plan": "ok", "parameters": {"secret": "s3cret"}});
    let made = walk.does(("PUT", name), &["retail", "one"], order, ("instance.order", false, true)).await;
    let bind = json!({"parameters": {"secret": "s3cret"}});
    walk.does(("PUT", binding), &["retail", "one", "b"], bind.clone(), ("binding.order", false, true)).await;
    let again = walk.hub.admin(Method::PUT, "/api/v1/tenants/retail/instances/one/bindings/b", Some(bind)).await;
    assert!(again.body["credentials"].is_object(), "{again:?}");
    assert_eq!(walk.last().await["action"], "binding.credentials", "a repeat reads them again");
    let path = "/api/v1/tenants/retail/instances/one/bindings/b?credentials=true";
    assert_eq!(walk.hub.admin(Method::GET, path, None).await.status, 200);
    assert_eq!(walk.last().await["action"], "binding.credentials");
    walk.does(("DELETE", binding), &["retail", "one", "b"], Value::Null, ("binding.delete", true, false)).await;
    let change = json!({"offering": "faults", "plan": "ok", "parameters": {"secret": "other"}});
    walk.does(("PUT", name), &["retail", "one"], change, ("instance.update", true, true)).await;
    let purge = json!({"reason": "gone"});
    let id = made["id"].as_str().expect("an id").to_owned();
    walk.does(("POST", "/api/v1/instances/{id}/purge"), &[&id], purge, ("instance.purge", true, true)).await;
    let order = json!({"offering": "faults", "plan": "ok"});
    walk.does(("PUT", name), &["retail", "two"], order, ("instance.order", false, true)).await;
    walk.does(("DELETE", name), &["retail", "two"], Value::Null, ("instance.delete", true, false)).await;
}

async fn operations_and_approvals(walk: &mut Walk, broker_url: &str) {
    let p = walk.hub.platform("p", "other").await;
    let slow = polling().with(json!({"polls": 1000}));
    assert_eq!(walk.hub.provision(&p, "slow", "async", slow).await.status, 202);
    let running = walk.hub.admin(Method::GET, "/api/v1/operations?state=in_progress", None).await.body;
    let id = running["items"][0]["id"].as_str().expect("an operation").to_owned();
    let cancel = ("POST", "/api/v1/operations/{id}/cancel");
    walk.does(cancel, &[&id], Value::Null, ("operation.cancel", true, true)).await;

    let quota = "/api/v1/quotas/{name}";
    let body = json!({"tenant": "retail", "limit": "1000"});
    walk.does(("PUT", quota), &["q"], body, ("quota.put", false, true)).await;
    walk.does(("DELETE", quota), &["q"], Value::Null, ("quota.delete", true, false)).await;
    let policy = "/api/v1/policies/{name}";
    let text = "@remedy(\"r\") forbid(principal, action, resource);";
    let body = json!({"text": text, "mode": "warn"});
    walk.does(("PUT", policy), &["p"], body, ("policy.put", false, true)).await;
    walk.does(("DELETE", policy), &["p"], Value::Null, ("policy.delete", true, false)).await;
    let parameters = "/api/v1/offerings/{offering}/plans/{plan}/parameters";
    let (plan, body) = (["faults", "ok"], json!({"forbid": ["/admin"]}));
    walk.does(("PUT", parameters), &plan, body, ("parameters.put", false, true)).await;
    walk.does(("DELETE", parameters), &plan, Value::Null, ("parameters.delete", true, false)).await;
    let rule = "/api/v1/approval-rules/{name}";
    let body = json!({"offering": "faults", "on": ["provision"]});
    walk.does(("PUT", rule), &["all"], body, ("approval_rule.put", false, true)).await;
    for (id, verb, action) in [("yes", "approve", "approval.approve"), ("no", "deny", "approval.deny")] {
        assert_eq!(walk.hub.provision(&p, id, "async", polling()).await.status, 202);
        let pending = walk.hub.admin(Method::GET, "/api/v1/approvals?state=pending", None).await.body;
        let approval = pending["items"][0]["id"].as_str().expect("an approval").to_owned();
        let route = match verb {
            "approve" => ("POST", "/api/v1/approvals/{id}/approve"),
            _ => ("POST", "/api/v1/approvals/{id}/deny"),
        };
        walk.does(route, &[&approval], json!({"reason": "so"}), (action, true, true)).await;
    }
    walk.does(("DELETE", rule), &["all"], Value::Null, ("approval_rule.delete", true, false)).await;

    // What the broker has and the hub does not know.
    let there = format!("{broker_url}/v2/service_instances/legacy");
    let made =
        request(Method::PUT, &there, Some(("hub", "secret")), Some(order("ok", &json!({"secret": "s3cret"})))).await;
    assert_eq!(made.status, 201, "{made:?}");
    let item = json!({"backend_instance_id": "legacy", "offering": "faults", "plan": "ok", "parameters": {"secret": "s3cret"}});
    let body = json!({"broker": "faults", "tenant": "retail", "instances": [item]});
    walk.does(("POST", "/api/v1/instances/adopt"), &[], body, ("instance.adopt", false, true)).await;
}

async fn money_and_events(walk: &mut Walk) {
    let book = json!({"currency": "EUR", "effective_from": "2030-01-01T00:00:00Z", "rules": [
        {"offering": "faults", "plan": "ok", "meter": "instance", "model": "free", "reason": "a test"}
    ]});
    walk.does(("POST", "/api/v1/price-books"), &[], book, ("price_book.create", false, true)).await;
    let name = "/api/v1/budgets/{name}";
    let budget = |amount: &str| json!({"tenant": "retail", "amount": amount, "currency": "EUR"});
    walk.does(("PUT", name), &["b"], budget("10"), ("budget.put", false, true)).await;
    walk.does(("PUT", name), &["b"], budget("20"), ("budget.put", true, true)).await;
    walk.does(("DELETE", name), &["b"], Value::Null, ("budget.delete", true, false)).await;
    let route = ("POST", "/api/v1/events/dead-letters/redeliver");
    walk.does(route, &[], json!({"sink": "file"}), ("event.redeliver", false, false)).await;
}

async fn visibility_and_access(walk: &mut Walk) {
    let plan = "/api/v1/offerings/{name}/plans/{plan}/visibility";
    let body = json!({"access": "restricted", "tenants": ["retail"], "platforms": []});
    walk.does(("PUT", plan), &["faults", "rejects"], body, ("plan.visibility", true, true)).await;
    let row = walk.last().await;
    assert_eq!((&row["before"]["access"], &row["after"]["access"]), (&json!("public"), &json!("restricted")));
    let lifecycle = "/api/v1/offerings/{name}/lifecycle";
    let body = json!({"state": "deprecated", "sunset": "2099-01-01T00:00:00Z"});
    walk.does(("PUT", lifecycle), &["faults"], body, ("offering.lifecycle", true, true)).await;

    let order = json!({"offering": "faults", "plan": "ok"});
    let path = "/api/v1/tenants/retail/instances/granted";
    let made = walk.hub.admin(Method::PUT, path, Some(order)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].as_str().expect("an id").to_owned();
    let grant = "/api/v1/instances/{id}/grants/{user}";
    let body = json!({"role": "reader", "expires_at": "2099-01-01T00:00:00Z"});
    walk.does(("PUT", grant), &[&id, "ann"], body, ("instance.grant", false, true)).await;
    walk.does(("DELETE", grant), &[&id, "ann"], Value::Null, ("instance.grant.delete", true, false)).await;

    let suspend = json!({"reason": "a test"});
    let (pause, resume) = (("POST", "/api/v1/tenants/{name}/suspend"), ("POST", "/api/v1/tenants/{name}/resume"));
    walk.does(pause, &["retail"], suspend, ("tenant.suspend", true, true)).await;
    walk.does(resume, &["retail"], Value::Null, ("tenant.resume", true, true)).await;
    let list = json!({"tenants": [{"name": "leaver", "display_name": "Leaver"}]});
    walk.does(("POST", "/api/v1/tenants/import"), &[], list, ("tenant.put", false, true)).await;
}

/// Proposed, submitted and decided: what one may not decide oneself is asked for by a service account.
async fn self_service(walk: &mut Walk) {
    let own = Own::start(shape("acme-db"));
    let broker = "/api/v1/brokers/{name}";
    walk.does(("PUT", broker), &["acme"], own.registration(), ("broker.register", false, true)).await;
    let judge = ("POST", "/api/v1/brokers/{name}/conformance");
    walk.does(judge, &["acme"], json!({"makes_instances": true}), ("broker.judge", false, true)).await;
    wait_until("the run to be over", RUN_WITHIN, async || {
        let shown = walk.hub.admin(Method::GET, "/api/v1/brokers/acme/conformance", None).await.body;
        shown["run"]["outcome"] == "conforms"
    })
    .await;
    let account = json!({"name": "second", "roles": ["finance", "operator"]});
    let made = walk.hub.admin(Method::POST, "/api/v1/service-accounts", Some(account)).await;
    let token = made.body["token"].as_str().expect("a token").to_owned();
    let second = async |hub: &Hub, path: &str, body: Value| {
        let request = CLIENT.post(format!("{}/api/v1{path}", hub.url)).bearer_auth(&token).body(body.to_string());
        let text = request.send().await.expect("no answer").text().await.expect("no text");
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    let prices = json!({"broker": "acme", "currency": "EUR", "rules": [
        {"offering": "acme-db", "model": "free", "reason": "a test"}]});
    let proposals = ("POST", "/api/v1/price-proposals");
    let made = walk.does(proposals, &[], prices.clone(), ("price_proposal.create", false, true)).await;
    let id = made["id"].as_str().expect("an id").to_owned();
    let refuse = ("POST", "/api/v1/price-proposals/{id}/refuse");
    walk.does(refuse, &[&id], json!({"reason": "no"}), ("price_proposal.refuse", true, true)).await;
    let made = second(&walk.hub, "/price-proposals", prices).await;
    let id = made["id"].as_str().expect("an id").to_owned();
    let accept = ("POST", "/api/v1/price-proposals/{id}/accept");
    walk.does(accept, &[&id], json!({}), ("price_proposal.accept", true, true)).await;
    let draft = Some(json!({"state": "draft"}));
    let lifecycle = "/api/v1/offerings/acme-db/lifecycle";
    assert_eq!(walk.hub.admin(Method::PUT, lifecycle, draft).await.status, 200);
    let submit = ("POST", "/api/v1/offerings/{name}/submit");
    walk.does(submit, &["acme-db"], json!({}), ("offering.submit", true, true)).await;
    let back = ("POST", "/api/v1/offerings/{name}/send-back");
    walk.does(back, &["acme-db"], json!({"reason": "no"}), ("offering.send_back", true, true)).await;
    let submitted = second(&walk.hub, "/offerings/acme-db/submit", json!({})).await;
    assert_eq!(submitted["state"], "submitted", "{submitted}");
    let publish = ("POST", "/api/v1/offerings/{name}/publish");
    walk.does(publish, &["acme-db"], json!({}), ("offering.publish", true, true)).await;
    let row = walk.last().await;
    assert_eq!((&row["before"]["state"], &row["after"]["state"]), (&json!("submitted"), &json!("published")));
}

/// The broker is gone, so that what is taken down stays under way.
async fn leaving(walk: &mut Walk) {
    let route = "/api/v1/tenants/{name}/offboard";
    walk.begins(("POST", route), "leaver", Some(json!({"reason": "over"})), ("tenant.offboard", true, true)).await;
    walk.begins(("DELETE", route), "leaver", None, ("tenant.offboard.cancel", true, true)).await;
}

async fn people(walk: &mut Walk) {
    let name = "/api/v1/users/{name}";
    walk.does(("PUT", name), &["ann"], json!({"groups": ["net"]}), ("user.put", false, true)).await;
    walk.does(("PUT", name), &["ann"], json!({"groups": []}), ("user.put", true, true)).await;
    let row = walk.last().await;
    assert_eq!((&row["before"]["groups"], &row["after"]["groups"]), (&json!(["net"]), &json!([])));
    walk.does(("DELETE", name), &["ann"], Value::Null, ("user.delete", true, false)).await;
    let new = json!({"name": "ci", "roles": ["auditor"]});
    let route = ("POST", "/api/v1/service-accounts");
    let made = walk.does(route, &[], new, ("service_account.create", false, true)).await;
    let token = made["token"].as_str().expect("a token").to_owned();
    assert!(!walk.last().await.to_string().contains(&token), "the token is in the audit");
    let route = ("POST", "/api/v1/service-accounts/{name}/token");
    walk.does(route, &["ci"], Value::Null, ("service_account.token", true, true)).await;
    let route = ("DELETE", "/api/v1/service-accounts/{name}");
    walk.does(route, &["ci"], Value::Null, ("service_account.delete", true, false)).await;
}

async fn keys(walk: &mut Walk) {
    walk.does(("POST", "/api/v1/keys/rotate"), &[], json!({}), ("keys.rotate", true, true)).await;
    walk.does(("POST", "/api/v1/keys/stamps/rotate"), &[], json!({}), ("keys.stamps.rotate", true, true)).await;
    walk.does(("POST", "/api/v1/keys/audit/rotate"), &[], json!({}), ("keys.audit.rotate", true, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_changes_something_adds_a_row_with_what_was_and_what_is() {
    on_each(async |on| {
        let folder = tempfile::tempdir().expect("no temporary directory");
        let path = folder.path().join("events.jsonl");
        let sink = bourse::config::Sink::File { name: "file".to_owned(), path };
        let mut world = World::new(on, |config| config.events.sinks.push(sink)).await;
        let hub = world.hub().await;
        world.register(&hub, json!({})).await;
        let tenant = json!({"display_name": "Retail"});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/retail", Some(tenant)).await.status, 201);
        let mut walk = Walk { hub, seen: BTreeSet::new() };
        brokers_platforms_and_tenants(&mut walk, world.broker_url()).await;
        orders(&mut walk).await;
        operations_and_approvals(&mut walk, world.broker_url()).await;
        money_and_events(&mut walk).await;
        people(&mut walk).await;
        keys(&mut walk).await;
        visibility_and_access(&mut walk).await;
        self_service(&mut walk).await;
        let order = json!({"offering": "faults", "plan": "ok"});
        let path = "/api/v1/tenants/leaver/instances/last";
        assert_eq!(walk.hub.admin(Method::PUT, path, Some(order)).await.status, 201);
        world.stop_broker().await;
        leaving(&mut walk).await;
        let changing = ROUTES.iter().filter(|route| route.method != Verb::Get);
        let all: BTreeSet<_> = changing.map(|route| (route.method.as_str(), route.path)).collect();
        walk.seen.extend(WITHOUT);
        assert_eq!(walk.seen, all, "each route that changes something has a case here, or a reason in WITHOUT");

        let page = walk.hub.admin(Method::GET, "/api/v1/audit?limit=1000", None).await.body.to_string();
        assert!(page.contains("keys.rotate"), "the page holds all of it");
        for secret in ["s3cret", "\"secret\"", "\"pw\""] {
            assert!(!page.contains(secret), "{secret} is in {page}");
        }
        walk.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_fail_are_one_row_for_an_address_and_orders_by_platforms_are_none() {
    on_each(async |on| {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        let before = count(&hub.db, ROWS).await;
        assert_eq!(hub.provision(&p, "i", "ok", sync()).await.status, 201);
        assert_eq!(count(&hub.db, ROWS).await, before, "its operation says who ordered it");
        let api = format!("{}/api/v1/tenants", hub.url);
        for wrong in [("admin", "wrong"), ("nobody", "x"), (p.username.as_str(), "x"), ("admin", "again")] {
            assert_eq!(request(Method::GET, &api, Some(wrong), None).await.status, 401);
        }
        assert_eq!(count(&hub.db, ROWS).await, before, "not one for each request");
        assert_eq!(hub.app.write_failed_logins().await.expect("they are written"), 1);
        assert_eq!(hub.app.write_failed_logins().await.expect("nothing is left"), 0);
        let walk = Walk { hub, seen: BTreeSet::new() };
        let row = walk.last().await;
        assert_eq!((&row["action"], &row["subject"]), (&json!("login.failed"), &json!("logins/127.0.0.1")));
        assert_eq!(
            (&row["detail"]["times"], &row["detail"]["accounts"]["administrators/admin"]),
            (&json!(4), &json!(2))
        );
        assert!(!row.to_string().contains("nobody\":"), "a name that nobody has is not kept: {row}");
        walk.hub.stop().await;
    })
    .await;
}
