//! The table of all routes and kinds of callers: as `docs/authorization.txt` has it, and each of its cells tried over HTTP, with what is
//! the caller's own and with what is somebody else's.

use std::collections::BTreeMap;
use std::path::Path;

use bourse::config::Grants;
use bourse::domain::role::Role;
use bourse::http::authorization::{Cell, Column, document};
use bourse::http::portal::pages::PAGES;
use bourse::http::routes::{Permission, ROUTES, Route};
use bourse::secret::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::hub::{CLIENT, Hub, World};
use crate::support::oidc::{AUDIENCE, Forger};
use crate::support::portal::{Browser, PORTAL};

#[test]
fn the_table_is_as_it_is_written_down() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/authorization.txt");
    let written = std::fs::read_to_string(file).expect("docs/authorization.txt");
    assert!(written == document(), "run `cargo run -q --bin bourse -- authorization > docs/authorization.txt`");
}

/// A market with two of everything: one's own, and somebody else's.
struct Market {
    hub: Hub,
    forger: Forger,
    broker: (String, String),
    platform: (String, String),
    own: BTreeMap<&'static str, String>,
    other: BTreeMap<&'static str, String>,
}

/// The user who has that role and no other.
fn user(role: Role) -> String {
    format!("u-{}", role.as_str())
}

fn grants() -> Vec<Grants> {
    let grant = |user: String, role: &str| Grants { user: Some(user), group: None, roles: vec![role.to_owned()] };
    let of_role = |role: Role| {
        let of = match role {
            Role::Provider => ":faults",
            Role::TenantOwner | Role::TenantMember => ":retail",
            _ => "",
        };
        grant(user(role), &format!("{}{of}", role.as_str()))
    };
    let mut grants: Vec<_> = Role::ALL.into_iter().map(of_role).collect();
    grants.push(grant("buyer".to_owned(), "tenant-member:retail"));
    grants.push(grant("smith".to_owned(), "tenant-member:smith"));
    grants
}

impl Market {
    async fn open(world: &World, forger: Forger) -> Self {
        let hub = world.hub().await;
        world.furnish(&hub).await;
        world.register(&hub, json!({"name": "others", "name_prefix": "x-"})).await;
        let put = async |path: &str, body: Value| {
            let reply = hub.admin(Method::PUT, &format!("/api/v1{path}"), Some(body)).await;
            assert!(matches!(reply.status, 200 | 201), "{path}: {reply:?}");
        };
        put("/tenants/smith", json!({"display_name": "Smith"})).await;
        let book = json!({"currency": "EUR", "effective_from": "2026-01-01T00:00:00Z", "rules": [
            {"offering": "faults", "plan": "ok", "meter": "instance", "model": "per_unit", "amount": "1", "per": "hour"}]});
        assert_eq!(hub.admin(Method::POST, "/api/v1/price-books", Some(book)).await.status, 201);
        let mut market = Self {
            broker: pair(&hub, "/brokers/faults/credentials", "").await,
            platform: pair(&hub, "/platforms", "/credentials").await,
            hub,
            forger,
            own: BTreeMap::new(),
            other: BTreeMap::new(),
        };
        let people: Vec<_> = Role::ALL.into_iter().map(user).chain(["person".to_owned()]).collect();
        for (tenant, broker, offering, who, approvers) in [
            ("retail", "faults", "faults", "buyer", json!(people)),
            ("smith", "others", "x-faults", "smith", json!([])),
        ] {
            let mut things = BTreeMap::from([("tenant", tenant.to_owned()), ("broker", broker.to_owned())]);
            things.insert("offering", offering.to_owned());
            let proposal = json!({"broker": broker, "currency": "EUR", "rules": [
                {"offering": offering, "model": "free", "reason": "a test"}]});
            let path = "/api/v1/price-proposals";
            let proposed = market.hub.admin(Method::POST, path, Some(proposal)).await;
            things.insert("proposal", text(&proposed.body["id"]));
            let order = json!({"offering": offering, "plan": "ok"});
            let one = market.buys(who, tenant, "one", &order, 201).await;
            things.insert("instance", text(&one["id"]));
            things.insert("operation", text(&one["operation"]["id"]));
            let budget = json!({"tenant": tenant, "period": "month", "amount": "9", "currency": "EUR", "thresholds": ["50"], "action": "notify"});
            let path = format!("/api/v1/budgets/b-{tenant}");
            assert_eq!(market.hub.admin(Method::PUT, &path, Some(budget)).await.status, 201);
            things.insert("budget", format!("b-{tenant}"));
            let path = format!("/api/v1/quotas/q-{tenant}");
            let quota = json!({"tenant": tenant, "limit": "9"});
            assert_eq!(market.hub.admin(Method::PUT, &path, Some(quota)).await.status, 201);
            things.insert("quota", format!("q-{tenant}"));
            let rule = json!({"tenant": tenant, "approvers": approvers});
            let path = format!("/api/v1/approval-rules/r-{tenant}");
            assert_eq!(market.hub.admin(Method::PUT, &path, Some(rule)).await.status, 201);
            let waits = market.buys(who, tenant, "waits", &order, 202).await;
            let pending = market.hub.admin(Method::GET, "/api/v1/approvals?state=pending", None).await.body;
            let pending = pending["items"].as_array().expect("items").clone();
            let approval = pending.iter().find(|item| item["instance_id"] == waits["id"]).expect("it waits");
            things.insert("approval", text(&approval["id"]));
            *(if tenant == "retail" { &mut market.own } else { &mut market.other }) = things;
        }
        for user in &people {
            let path = format!("/api/v1/instances/{}/grants/{user}", market.own["instance"]);
            let grant = json!({"role": "user", "expires_at": "2099-01-01T00:00:00Z"});
            assert_eq!(market.hub.admin(Method::PUT, &path, Some(grant)).await.status, 200);
        }
        market
    }

    fn token(&self, user: &str) -> String {
        let now = self.hub.app.clock().now().seconds();
        self.forger.token(now, json!({"sub": user}))
    }

    async fn buys(&self, who: &str, tenant: &str, name: &str, order: &Value, status: u16) -> Value {
        let path = format!("/tenants/{tenant}/instances/{name}");
        let answer = super::with_token(&self.hub, Method::PUT, &path, &self.token(who), Some(order.clone())).await;
        assert_eq!(answer.status, status, "{answer:?}");
        answer.body
    }

    /// What a caller of a kind gets from a route, done with these things.
    async fn ask(&self, column: Column, route: &Route, things: &BTreeMap<&str, String>) -> (u16, String) {
        let method = Method::from_bytes(route.method.as_str().as_bytes()).expect("a method");
        let url = format!("{}{}", self.hub.url, path(route, things));
        let request = CLIENT.request(method, url);
        let request = match column {
            Column::Role(role) => request.bearer_auth(self.token(&user(role))),
            Column::Person => request.bearer_auth(self.token("person")),
            Column::Broker => request.basic_auth(&self.broker.0, Some(&self.broker.1)),
            Column::Platform => request.basic_auth(&self.platform.0, Some(&self.platform.1)),
            Column::Nobody => request,
        };
        let request = if route.body.is_some() { request.body(body(route, things).to_string()) } else { request };
        let answer = request.send().await.expect("no answer");
        (answer.status().as_u16(), answer.text().await.expect("no text"))
    }

    /// What is wrong with a cell; nothing where it is as the table says.
    async fn wrong(&self, route: &Route, column: Column) -> Option<String> {
        let told = |why: &str, answer: &(u16, String)| {
            let (method, path) = (route.method.as_str(), route.path);
            Some(format!("{method} {path}, {}: {why}: {} {}", column.as_str(), answer.0, answer.1))
        };
        let cell = Cell::of(route.permission, column);
        let other = self.ask(column, route, &self.other).await;
        let own = self.ask(column, route, &self.own).await;
        let denied = if column == Column::Nobody { 401 } else { 403 };
        match cell {
            Cell::No if own.0 != denied => told("should be denied", &own),
            Cell::No if other.0 != denied => told("should be denied", &other),
            Cell::No => None,
            Cell::All if matches!(other.0, 401 | 403) || self.hides(&other, &self.other) => {
                told("should be allowed", &other)
            }
            Cell::All => None,
            Cell::Own | Cell::Named | Cell::Shared if matches!(own.0, 401 | 403) || self.hides(&own, &self.own) => {
                told("the own should be allowed", &own)
            }
            Cell::Own | Cell::Named | Cell::Shared if shows(&other, &self.other) => {
                told("somebody else's should be hidden", &other)
            }
            Cell::Own | Cell::Named | Cell::Shared => None,
        }
    }

    /// What a browser gets from a page, done with these things: status, where it is led, text.
    async fn visit(&self, page: &Route, things: &BTreeMap<&str, String>, cookies: &str, csrf: &str) -> (u16, String) {
        let method = Method::from_bytes(page.method.as_str().as_bytes()).expect("a method");
        let request = CLIENT.request(method, format!("{}{}", self.hub.url, page_path(page, things)));
        let request = request.header("cookie", cookies);
        let request = match page.method.as_str() {
            "POST" => {
                let form = "application/x-www-form-urlencoded";
                request.header("content-type", form).body(format!("csrf={csrf}"))
            }
            _ => request,
        };
        let answer = request.send().await.expect("no answer");
        let led = answer.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default().to_owned();
        (answer.status().as_u16(), led + "\n" + &read(answer).await)
    }

    /// What is wrong with a page's cell; nothing where it is as the table says.
    async fn wrong_page(&self, page: &Route, column: Column, (cookies, csrf): (&str, &str)) -> Option<String> {
        let told = |why: &str, answer: &(u16, String)| {
            let (method, path) = (page.method.as_str(), page.path);
            let text: String = crate::support::portal::words(&answer.1).chars().take(600).collect();
            Some(format!("{method} {path}, {}: {why}: {} {text}", column.as_str(), answer.0))
        };
        let own = self.visit(page, &self.own, cookies, csrf).await;
        let other = self.visit(page, &self.other, cookies, csrf).await;
        let to_sign_in = |answer: &(u16, String)| answer.0 == 303 && answer.1.starts_with("/sign-in");
        let by_role = |answer: &(u16, String)| answer.0 == 403 && answer.1.contains("this takes one of the roles");
        // Whoever has no session is nobody to the portal, whatever else they are.
        if matches!(column, Column::Nobody | Column::Broker | Column::Platform) {
            return if to_sign_in(&own) && to_sign_in(&other) { None } else { told("should be led to sign in", &own) };
        }
        let of_somebody = ["{tenant}", "{name}", "{id}"].iter().any(|part| page.path.contains(part));
        let shown = other.0 == 200 && (of_somebody || other.1.contains(&self.other["instance"]));
        match Cell::of(page.permission, column) {
            Cell::No if !by_role(&own) => told("should be denied", &own),
            Cell::No if !by_role(&other) => told("should be denied", &other),
            Cell::No => None,
            _ if by_role(&own) || to_sign_in(&own) => told("should be allowed", &own),
            Cell::All if by_role(&other) => told("should be allowed", &other),
            Cell::All => None,
            _ if shown => told("somebody else's should be hidden", &other),
            _ => None,
        }
    }

    /// Whether an answer says that one of these doesn't exist.
    fn hides(&self, (status, text): &(u16, String), things: &BTreeMap<&str, String>) -> bool {
        let said = |thing: &String| text.contains(&format!("`{thing}` does not exist"));
        *status == 404 && things.values().any(said)
    }
}

/// Whether an answer holds something of these, or did something to them.
fn shows((status, text): &(u16, String), things: &BTreeMap<&str, String>) -> bool {
    match status {
        403 | 404 => false,
        200 => ["tenant", "broker", "instance", "approval"]
            .iter()
            .any(|kind| text.contains(&format!("\"{}\"", things[kind]))),
        _ => true,
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

async fn pair(hub: &Hub, path: &str, at: &str) -> (String, String) {
    let body = json!({"name": "q", "kind": "other"});
    let body = if at.is_empty() { None } else { Some(body) };
    let made = hub.admin(Method::POST, &format!("/api/v1{path}"), body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let pair = made.body.pointer(at).expect("credentials");
    (text(&pair["username"]), text(&pair["password"]))
}

/// The text of an answer; nothing of one that goes on for minutes.
async fn read(answer: reqwest::Response) -> String {
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("text/event-stream") {
        return String::new();
    }
    answer.text().await.expect("no text")
}

/// A page's path with these things in the place of its names, where a form that is sent does no harm to those who come after.
fn page_path(page: &Route, things: &BTreeMap<&str, String>) -> String {
    let reads = page.method.as_str() == "GET";
    let mut parts: Vec<&str> = page.path.split('/').collect();
    let (part, kind) = (parts.get(1).copied().unwrap_or_default(), parts.get(2).copied().unwrap_or_default());
    for word in &mut parts {
        *word = match (*word, part, kind) {
            ("{offering}", ..) => "faults",
            ("{month}", ..) => "2026-11",
            ("{tenant}", ..) => &things["tenant"],
            ("{id}", "approvals", _) => &things["approval"],
            ("{name}", _, "brokers") => &things["broker"],
            ("{name}", _, "offerings" | "reviews") => &things["offering"],
            ("{id}", _, "proposals") => &things["proposal"],
            ("{name}", "services", _) if reads => "one",
            ("{name}", _, "tenants") if reads => &things["tenant"],
            ("{name}", _, "budgets") if reads => &things["budget"],
            ("{name}", _, "quotas") if reads => &things["quota"],
            ("{id}", _, "instances") if reads => &things["instance"],
            ("{id}", _, "operations") if reads => &things["operation"],
            (name, ..) if name.starts_with('{') => "none",
            (same, ..) => same,
        };
    }
    parts.join("/")
}

/// A route's path with these things in the place of its names, where doing it does no harm to those who come after.
fn path(route: &Route, things: &BTreeMap<&str, String>) -> String {
    let reads = route.method.as_str() == "GET";
    let mut parts: Vec<String> = route.path.split('/').map(str::to_owned).collect();
    let kind = parts.get(3).cloned().unwrap_or_default();
    for part in &mut parts {
        let word = match (part.as_str(), kind.as_str()) {
            ("{tenant}", _) => &things["tenant"],
            // Nobody is being taken down.
            ("{name}", "tenants") if route.path.ends_with("/offboard") => "none",
            ("{name}", "tenants") if reads && !route.path.contains("{tenant}") => &things["tenant"],
            ("{name}", "tenants") if reads => "one",
            ("{name}", "brokers") if route.method.as_str() != "DELETE" || route.path.contains("{username}") => {
                &things["broker"]
            }
            ("{name}", "budgets") if reads => &things["budget"],
            ("{name}", "quotas") if reads => &things["quota"],
            ("{id}", "instances") if reads => &things["instance"],
            ("{id}", "operations") if reads => &things["operation"],
            ("{id}", "approvals") => &things["approval"],
            ("{id}", "price-proposals") => &things["proposal"],
            ("{name}", "offerings") if of_reviews(route) => &things["offering"],
            (name, _) if name.starts_with('{') => "none",
            (same, _) => same,
        };
        *part = word.to_owned();
    }
    let query = match route.path {
        "/api/v1/costs" | "/api/v1/usage" | "/api/v1/usage/events" if reads => {
            format!("?instance={}", things["instance"])
        }
        "/api/v1/statements" => format!("?tenant={}&period=2026-11", things["tenant"]),
        "/api/v1/exports/focus" => "?period=2026-11".to_owned(),
        _ => String::new(),
    };
    parts.join("/") + &query
}

/// Whether it is about an offering on its way to publication.
fn of_reviews(route: &Route) -> bool {
    ["/checks", "/submit", "/publish", "/send-back"].iter().any(|end| route.path.ends_with(end))
}

/// A body that gets past the door and changes nothing, but for decisions.
fn body(route: &Route, things: &BTreeMap<&str, String>) -> Value {
    match (route.method.as_str(), route.path) {
        ("PUT", "/api/v1/tenants/{tenant}/instances/{name}") => json!({"offering": "none", "plan": "none"}),
        ("POST", "/api/v1/approvals/{id}/approve" | "/api/v1/approvals/{id}/deny") => json!({"reason": ""}),
        ("POST", "/api/v1/orders/preview") => {
            json!({"tenant": things["tenant"], "offering": "faults", "plan": "ok"})
        }
        ("PUT", "/api/v1/instances/{id}/grants/{user}") => {
            json!({"role": "reader", "expires_at": "2099-01-01T00:00:00Z"})
        }
        ("PUT", "/api/v1/tenants/{name}/members/{kind}/{member}") => json!({"role": "member"}),
        ("POST", "/api/v1/usage") => json!([]),
        ("PUT", "/api/v1/brokers/{name}") => json!({"url": "http://127.0.0.1:9", "credentials": {"none": {}}}),
        ("POST", "/api/v1/price-proposals") => json!({"broker": things["broker"], "currency": "EUR", "rules": []}),
        ("POST", "/api/v1/price-proposals/{id}/simulate") => json!({"period": "2026-10"}),
        ("PUT", "/api/v1/approval-rules/{name}") => json!({"on": []}),
        ("PUT", "/api/v1/users/{name}") => json!({"groups": [""]}),
        _ => json!({}),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_cell_of_the_table_is_as_it_says() {
    for on in [On::Sqlite, On::Postgres] {
        let forger = Forger::start().await;
        let issuer = forger.url.clone();
        let world = World::new(on, |config| {
            config.oidc.issuer = issuer;
            config.oidc.audience = AUDIENCE.to_owned();
            config.auth.grants = grants();
        })
        .await;
        let market = Market::open(&world, forger).await;
        let mut wrong = Vec::new();
        let mut tried = 0;
        for route in ROUTES.iter().filter(|route| route.permission != Permission::Open) {
            for column in Column::all() {
                wrong.extend(market.wrong(route, column).await);
                tried += 1;
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(tried % Column::all().count(), 0);
        market.hub.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_page_of_the_portal_is_for_whom_the_table_says() {
    for on in [On::Sqlite, On::Postgres] {
        let forger = Forger::start().await;
        let issuer = forger.url.clone();
        let world = World::new(on, |config| {
            config.oidc.issuer = issuer;
            config.oidc.audience = AUDIENCE.to_owned();
            config.oidc.portal_client_id = PORTAL.to_owned();
            config.oidc.portal_client_secret = Some(Secret::new("portal secret".to_owned()));
            config.auth.grants = grants();
        })
        .await;
        let market = Market::open(&world, forger).await;
        let mut wrong = Vec::new();
        let now = market.hub.app.clock().now().seconds();
        for column in Column::all() {
            let name = match column {
                Column::Role(role) => user(role),
                _ => "person".to_owned(),
            };
            let nobody = matches!(column, Column::Nobody | Column::Broker | Column::Platform);
            let keys = if nobody {
                (String::new(), String::new())
            } else {
                let mut browser = Browser::person(&market.hub.url, &name, now, &json!({})).await;
                browser.get("/account").await;
                (browser.cookies(), browser.csrf())
            };
            // Signing out is for everybody, and the end of the walk.
            let pages = PAGES.iter().filter(|page| page.permission != Permission::Open && page.path != "/sign-out");
            for page in pages {
                wrong.extend(market.wrong_page(page, column, (&keys.0, &keys.1)).await);
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        market.hub.stop().await;
    }
}
