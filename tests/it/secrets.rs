//! Secrets stay secret: planted ones go in everywhere, a life with failures runs through a real process that logs all it can,
//! and then whatever the hub wrote or answered is searched for them, in every form that one might come out in. The same
//! process must do it in little memory.

mod planted;

use std::sync::Mutex;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::{On, on_each};
use crate::support::bench;
use crate::support::home::Home;
use crate::support::hub::{BOUND, TIMEOUT_MS, request};
use crate::support::process::Process;
use crate::support::recorder::Recorder;
use crate::support::wait::wait_until;

use planted::Planted;

/// A `bourse serve` with everything that it answered so far.
struct Served {
    process: Process,
    url: String,
    home: Home,
    admin: String,
    answers: Mutex<Vec<(String, String)>>,
}

impl Served {
    async fn start(on: On, level: &str, admin: &str, encryption_key: &str, sinks: &str) -> Self {
        let home = Home::new(on).await;
        let config = home.folder().join("bourse.toml");
        let text = format!(
            "[server]\npublic_url = \"http://127.0.0.1:0\"\n\
             [egress]\nallow = [\"127.0.0.0/8\"]\n[backends]\nbreaker_failures = 100000\n\
             [log]\nformat = \"json\"\nlevel = \"{level}\"\n{sinks}"
        );
        std::fs::write(&config, text.replace("FOLDER", &home.folder().display().to_string())).expect("not written");
        let arguments = ["serve", "--config", config.to_str().expect("a path of text")];
        let environment = [("BOURSE__ADMIN__PASSWORD", admin), ("BOURSE__SECURITY__ENCRYPTION_KEY", encryption_key)];
        let (process, url) = home.serve_as(&arguments, &environment).await;
        std::fs::remove_file(&config).expect("the file that the test itself wrote");
        Self { process, url, home, admin: admin.to_owned(), answers: Mutex::default() }
    }

    /// A request whose answer is remembered, but for one that gives a secret to whom it belongs.
    async fn call(
        &self,
        who: (&str, &str),
        method: Method,
        path: &str,
        body: Option<Value>,
        given: bool,
    ) -> (u16, Value) {
        let url = format!("{}{path}", self.url);
        let reply = request(method.clone(), &url, Some(who), body).await;
        if !given {
            let mut answers = self.answers.lock().expect("no panic");
            answers.push((format!("the answer to {method} {path}"), reply.body.to_string()));
        }
        (reply.status, reply.body)
    }

    async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.call(("admin", &self.admin), method, path, body, false).await
    }

    /// A platform's credentials and a tenant for whatever it orders.
    async fn platform(&self) -> (String, String) {
        let tenant = json!({"display_name": "Retail", "cost_center": "4711"});
        assert_eq!(self.admin(Method::PUT, "/api/v1/tenants/retail", Some(tenant)).await.0, 201);
        let body = json!({"name": "p", "kind": "other", "default_tenant": "retail"});
        let (status, made) =
            self.call(("admin", &self.admin), Method::POST, "/api/v1/platforms", Some(body), true).await;
        assert_eq!(status, 201, "{made}");
        let text = |name: &str| made["credentials"][name].as_str().expect("credentials").to_owned();
        (text("username"), text("password"))
    }

    async fn broker(&self, name: &str, recorder: &Recorder, credentials: Value) {
        let body = json!({"name": name, "url": recorder.url(), "name_prefix": format!("{name}-"), "timeout_ms": TIMEOUT_MS,
            "credentials": credentials});
        let (status, made) = self.admin(Method::POST, "/api/v1/brokers", Some(body)).await;
        assert_eq!(status, 201, "{made}");
    }

    /// The ids of a plan by offering and plan.
    async fn ids(&self, who: (&str, &str), offering: &str, plan: &str) -> (String, String) {
        let (_, catalog) = self.call(who, Method::GET, "/v2/catalog", None, false).await;
        let named = |list: &Value, name: &str| {
            list.as_array().expect("a list").iter().find(|one| one["name"] == name).expect("no such name").clone()
        };
        let offering = named(&catalog["services"], offering);
        let text = |value: &Value| value["id"].as_str().expect("an id").to_owned();
        (text(&offering), text(&named(&offering["plans"], plan)))
    }
}

#[tokio::test]
async fn no_planted_secret_is_found_in_anything_that_the_hub_writes_or_answers_on_sqlite() {
    no_planted_secret_is_found(On::Sqlite).await;
}

#[tokio::test]
async fn no_planted_secret_is_found_in_anything_that_the_hub_writes_or_answers_on_postgres() {
    no_planted_secret_is_found(On::Postgres).await;
}

async fn no_planted_secret_is_found(on: On) {
    let mut planted = Planted::default();
    let recorder = Recorder::start(&bench::catalog());
    recorder.say(
        "nothing",
        200,
        &json!({"access_token": planted.plant("the OAuth token"), "token_type": "bearer",
        "expires_in": 3600}),
    );
    let (admin, key, webhook) = (planted.plant("the administrator's password"), planted.key(), planted.webhook());
    let sinks = format!(
        "[[events.sinks]]\nkind = \"webhook\"\nname = \"hook\"\nurl = \"{}/hook\"\nsecret = \"{webhook}\"\n\
         [[events.sinks]]\nkind = \"file\"\nname = \"file\"\npath = \"FOLDER/events.jsonl\"\n",
        recorder.url()
    );
    let hub = Served::start(on, "trace", &admin, &key, &sinks).await;
    let (username, password) = hub.platform().await;
    planted.know("the platform's password", &password);
    let who = (username.as_str(), password.as_str());

    let basic = json!({"basic": {"username": "hub", "password": planted.plant("the broker's password")}});
    let bearer = json!({"bearer": {"token": planted.plant("the broker's token")}});
    let token_url = format!("{}/token", recorder.url());
    let oauth = json!({"oauth2": {"token_url": token_url, "client_id": "hub", "client_secret": planted.plant("the client secret")}});
    for (name, credentials) in [("basic", basic), ("bearer", bearer), ("oauth", oauth)] {
        hub.broker(name, &recorder, credentials).await;
    }
    // Registrations and requests that are refused hold secrets, too.
    for body in [
        json!({"name": "x", "url": recorder.url(), "credentials": {"basic": planted.plant("misplaced credentials")}}),
        json!({"name": "x", "url": recorder.url(), "credentials": {"bearer": {"token": 1, "more": planted.plant("more")}}}),
        json!({"name": "x", "url": format!("http://u:{}@127.0.0.1:1", "pw-in-url-4711-4711"), "credentials": {"none": {}}}),
        json!({"name": "Bad Name", "url": "x", "credentials": {"basic": {"username": "u", "password": planted.plant("refused")}}}),
    ] {
        let (status, answer) = hub.admin(Method::POST, "/api/v1/brokers", Some(body)).await;
        assert!((400..500).contains(&status), "{status} {answer}");
    }
    planted.know("a password in a URL", "pw-in-url-4711-4711");
    let wrong = planted.plant("a wrong password");
    assert_eq!(hub.call((&username, &wrong), Method::GET, "/v2/catalog", None, false).await.0, 401);
    assert_eq!(hub.call(("admin", &wrong), Method::GET, "/api/v1/brokers", None, false).await.0, 401);

    recorder.say(
        "bind",
        201,
        &json!({"credentials": {"password": planted.plant("a binding's password"), "uri":
        format!("postgres://u:{}@db/x", planted.plant("a binding's URI"))}}),
    );
    for broker in ["basic", "bearer", "oauth"] {
        life(&hub, who, &recorder, &mut planted, broker).await;
    }
    look(&hub).await;

    wait_until("the file sink has all events", BOUND, async || {
        let (_, events) = hub.admin(Method::GET, "/api/v1/events?limit=1000", None).await;
        let written = std::fs::read_to_string(hub.home.folder().join("events.jsonl")).unwrap_or_default();
        let count = events["items"].as_array().map_or(0, Vec::len);
        count > 20 && written.lines().count() >= count
    })
    .await;
    hub.process.assert_modest();
    let Served { mut process, home, answers, .. } = hub;
    // While it runs SQLite's journal holds what is newest; afterwards the database does.
    let mut searched = home.contents().await;
    assert!(process.terminate().await.success());
    searched.extend(home.contents().await);
    check_places(on, &searched);
    searched.push(("standard output".into(), process.stdout().into_bytes()));
    let log = process.stderr();
    assert!(log.contains("\"level\":\"TRACE\""), "the log holds all there is");
    searched.push(("the log".into(), log.into_bytes()));
    searched.extend(answers.into_inner().expect("no panic").into_iter().map(|(what, text)| (what, text.into_bytes())));
    for seen in recorder.seen().iter().filter(|seen| seen.target.ends_with("/hook")) {
        searched.push(("a webhook's event".into(), format!("{:?} {}", seen.headers, seen.text()).into_bytes()));
    }
    assert!(searched.iter().any(|(what, _)| what == "a webhook's event"));
    assert_eq!(planted.found_in(&searched), Vec::<String>::new());
}

/// Whether what was gathered is what the hub keeps: what is no secret is found in it.
fn check_places(on: On, searched: &[(String, Vec<u8>)]) {
    let places: &[&str] = match on {
        On::Sqlite => &["bourse.db", "bourse.db-wal"],
        On::Postgres => &["the rows of tenants", "tenants.name", "the rows of operations", "operations.request"],
    };
    for place in places {
        let (_, content) = searched.iter().find(|(what, _)| what.ends_with(place)).expect(place);
        assert!(!content.is_empty(), "{place} was looked at");
    }
    let kept = |content: &[u8]| content.windows(6).any(|window| window == b"retail");
    assert!(searched.iter().any(|(what, content)| what.contains(places[0]) && kept(content)), "a tenant's name");
}

/// Orders that come true and orders that fail in each way, with secrets in all they bring.
async fn life(hub: &Served, who: (&str, &str), recorder: &Recorder, planted: &mut Planted, broker: &str) {
    let (service, plan) = hub.ids(who, &format!("{broker}-recorded"), "small").await;
    let (_, checked) = hub.ids(who, &format!("{broker}-recorded"), "checked").await;
    let secret = planted.plant("a parameter");
    let order = |plan: &str, parameters: Value| {
        Some(json!({"service_id": service, "plan_id": plan, "organization_guid": "o", "space_guid": "s",
            "parameters": parameters}))
    };
    let path = |id: &str| format!("/v2/service_instances/{broker}-{id}");
    let put = async |path: &str, body| hub.call(who, Method::PUT, path, body, false).await.0;
    let parameters = || json!({"password": secret, "deep": [{"key": secret}]});
    assert_eq!(put(&path("i"), order(&plan, parameters())).await, 201);
    assert_eq!(put(&path("i"), order(&plan, json!({}))).await, 409);
    assert_eq!(put(&path("c"), order(&checked, json!({"size": secret}))).await, 400, "the schema");
    assert_eq!(put(&path("c"), order(&plan, json!(secret))).await, 400, "malformed");
    let change = Some(json!({"service_id": service, "parameters": {"other": planted.plant("a changed parameter")}}));
    assert_eq!(hub.call(who, Method::PATCH, &path("i"), change, false).await.0, 200);
    let bind = Some(json!({"service_id": service, "plan_id": plan, "parameters": {"x": planted.plant("of a bind")}}));
    let binding = format!("{}/service_bindings/b", path("i"));
    for status in [201, 200] {
        assert_eq!(
            hub.call(who, Method::PUT, &binding, bind.clone(), true).await.0,
            status,
            "credentials, to their owner"
        );
    }
    for (said, body, expected) in [
        (400, "{}".to_owned(), 400),
        (500, json!({"description": planted.plant("in a 500")}).to_string(), 502),
        (201, format!("{{\"credentials\":\"{}", planted.plant("in garbage")), 502),
        (203, json!({"x": planted.plant("in a wrong status")}).to_string(), 502),
    ] {
        recorder.say_text("provision", said, &body);
        assert_eq!(put(&path(&format!("f-{said}")), order(&plan, parameters())).await, expected, "{said}");
    }
    recorder.usual("provision");
    let query = format!("?service_id={service}&plan_id={plan}");
    for path in [format!("{binding}{query}"), format!("{}{query}", path("i"))] {
        assert_eq!(hub.call(who, Method::DELETE, &path, None, false).await.0, 200);
    }
}

/// Looks at everything that there is to see.
async fn look(hub: &Served) {
    for path in [
        "brokers",
        "brokers/basic",
        "brokers/bearer",
        "brokers/oauth",
        "platforms",
        "platforms/p",
        "tenants",
        "tenants/retail",
        "identities/unmapped",
        "offerings",
        "instances?state=gone",
        "instances?state=failed",
        "instances",
        "operations",
        "events?limit=1000",
        "nothing",
    ] {
        let (status, body) = hub.admin(Method::GET, &format!("/api/v1/{path}"), None).await;
        assert_eq!(status, if path == "nothing" { 404 } else { 200 }, "{path}: {body}");
        for item in body["items"].as_array().into_iter().flatten() {
            let noun = path.split('?').next().unwrap_or_default();
            if let (true, Some(id)) = (matches!(noun, "instances" | "operations"), item["id"].as_str()) {
                hub.admin(Method::GET, &format!("/api/v1/{noun}/{id}"), None).await;
            }
        }
    }
    for path in ["/metrics", "/healthz", "/readyz", "/.well-known/jwks.json"] {
        let client = reqwest::Client::builder().no_proxy().build().expect("no client");
        let text =
            client.get(format!("{}{path}", hub.url)).send().await.expect("an answer").text().await.expect("text");
        hub.answers.lock().expect("no panic").push((path.to_owned(), text));
    }
}

#[tokio::test]
async fn hundreds_of_orders_are_served_in_100_mib() {
    on_each(async |on| {
        let recorder = Recorder::start(&bench::catalog());
        let (admin, key) = ("pw".to_owned(), Planted::default().key());
        let hub = Served::start(on, "info", &admin, &key, "").await;
        let (username, password) = hub.platform().await;
        let who = (username.as_str(), password.as_str());
        hub.broker("one", &recorder, json!({"none": {}})).await;
        let (service, plan) = hub.ids(who, "one-recorded", "small").await;
        let one = async |number: usize| {
            let path = format!("/v2/service_instances/i-{number}");
            let body = json!({"service_id": service, "plan_id": plan, "organization_guid": "o", "space_guid": "s",
            "parameters": {"filler": "x".repeat(2000)}});
            let made = hub.call(who, Method::PUT, &path, Some(body.clone()), true).await.0;
            let bound = hub.call(who, Method::PUT, &format!("{path}/service_bindings/b"), Some(body), true).await.0;
            let polled = hub.call(who, Method::GET, &format!("{path}/last_operation"), None, true).await.0;
            assert_eq!((made, bound, polled), (201, 201, 200), "{number}");
        };
        for round in 0..15 {
            futures_util::future::join_all((0..20).map(|number| one(round * 20 + number))).await;
        }
        assert_eq!((recorder.count("provision"), recorder.count("bind")), (300, 300));
        hub.process.assert_modest();
    })
    .await;
}
