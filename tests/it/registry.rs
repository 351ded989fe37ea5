//! The registry: brokers come, change and go; what they offer is imported with care, kept, and served while they are away.

use std::time::Duration;

use bourse::app::registry::{BrokerChange, BrokerView, NewBroker};
use bourse::app::{Error, Page};
use bourse::backend::{BreakerState, Purpose};
use bourse::domain::broker::Status;
use bourse::domain::caller::Caller;
use bourse::domain::catalog::State;
use bourse::domain::permission::Sight;
use bourse::domain::platform::PlatformKind;
use osb::client::{Failure, encode};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::bare::{Bare, On, on_each};
use crate::support::scripted::{PASSWORD, Script, Scripted, USERNAME, catalog, offering};
use crate::support::wait::wait_until;

const BOUND: Duration = Duration::from_secs(20);

fn admin() -> Caller {
    Caller::Admin("root".to_owned())
}

fn page() -> Page {
    Page { limit: 100, after: String::new() }
}

fn new_broker(name: &str, url: &str, more: Value) -> NewBroker {
    let mut body = json!({
        "name": name, "url": url, "credentials": {"basic": {"username": USERNAME, "password": PASSWORD}},
    });
    for (field, value) in more.as_object().expect("fields") {
        body[field] = value.clone();
    }
    serde_json::from_value(body).expect("a broker")
}

async fn register(hub: &Bare, name: &str, broker: &Scripted, more: Value) -> Result<BrokerView, Error> {
    hub.app.register_broker(&admin(), new_broker(name, &broker.url(), more)).await
}

fn served(hub: &Bare, broker: Option<&str>) -> Value {
    let document = hub.app.catalog().document(broker, PlatformKind::Other);
    serde_json::from_slice(&document.json).expect("JSON")
}

fn names(catalog: &Value) -> Vec<&str> {
    let services = catalog["services"].as_array().expect("an array");
    services.iter().map(|service| service["name"].as_str().expect("a name")).collect()
}

/// The types of the events that were recorded of brokers, in order.
async fn happened(hub: &Bare) -> Vec<String> {
    while hub.app.number_events().await.expect("could not number") > 0 {}
    let feed = hub.app.feed(bourse::app::feed::FeedQuery { limit: 100, ..Default::default() }).await;
    let items = feed.expect("no feed").items;
    let kind = |event: &Value| event["type"].as_str().expect("a type").replace("io.bourse.broker.", "");
    items.iter().map(kind).collect()
}

async fn whole_life(on: On) {
    let hub = Bare::on(on, |_| {}).await;
    let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small", "large"]), ("mq", &["one"])])));
    let view = register(&hub, "acme", &broker, json!({"name_prefix": "acme-"})).await.expect("registered");
    assert_eq!((view.row.status, view.breaker), (Status::Available, BreakerState::Closed));
    assert_eq!(names(&served(&hub, None)), ["acme-db", "acme-mq"]);
    assert_eq!(served(&hub, None), served(&hub, Some("acme")));
    assert!(broker.last_call().stamp.is_some(), "calls for a catalog are stamped, too");
    let ids = served(&hub, None);

    // A plan leaves, an offering leaves, one comes: what left serves on, under its ids.
    let plan = hub.app.catalog().plan_by_name("acme-db", "large").expect("a plan").plan_id.clone();
    broker.play(Script::Catalog(catalog(&[("db", &["small"]), ("kv", &["one"])])));
    let view = hub.app.refresh_broker(&admin(), "acme").await.expect("refreshed");
    assert_eq!(view.offerings().len(), 3);
    assert_eq!(names(&served(&hub, None)), ["acme-db", "acme-kv"]);
    assert_eq!(served(&hub, None)["services"][0]["id"], ids["services"][0]["id"]);
    let merged = hub.app.catalog();
    let left = merged.plan_by_id(&plan).expect("it still serves its instances");
    assert!(!left.orderable);

    // Nothing changed: nothing happens.
    hub.app.refresh_broker(&admin(), "acme").await.expect("refreshed");

    // Away and back: what is stored is served.
    broker.play(Script::Status(500));
    let view = hub.app.refresh_broker(&admin(), "acme").await.expect("no error");
    assert_eq!(view.row.status, Status::Unavailable);
    assert!(!view.row.findings.is_empty());
    assert_eq!(names(&served(&hub, None)), ["acme-db", "acme-kv"]);
    broker.play(Script::Catalog(catalog(&[("db", &["small"]), ("kv", &["one"])])));
    let view = hub.app.refresh_broker(&admin(), "acme").await.expect("refreshed");
    assert_eq!(view.row.status, Status::Available);
    assert!(view.row.findings.is_empty());

    assert_eq!(happened(&hub).await, ["registered", "catalog_changed", "unavailable", "available"]);

    hub.app.delete_broker(&admin(), "acme").await.expect("deleted");
    assert!(names(&served(&hub, None)).is_empty());
    assert!(matches!(hub.app.broker(&Sight::everything(), "acme").await, Err(Error::NotFound { .. })));
    assert!(hub.app.brokers(&Sight::everything(), page()).await.expect("a list").items.is_empty());

    // Registered anew its offerings are what platforms knew.
    broker.play(Script::Catalog(catalog(&[("db", &["small", "large"]), ("mq", &["one"])])));
    register(&hub, "acme", &broker, json!({"name_prefix": "acme-"})).await.expect("registered again");
    assert_eq!(served(&hub, None), ids);
}

#[tokio::test]
async fn a_brokers_whole_life_on_sqlite() {
    on_each(async |on| {
        whole_life(on).await;
    })
    .await;
}

#[tokio::test]
async fn a_brokers_whole_life_on_postgres() {
    whole_life(On::Postgres).await;
}

#[tokio::test]
async fn a_restarted_hub_serves_the_stored_catalog_while_every_broker_is_down() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"])])));
        register(&hub, "acme", &broker, json!({})).await.expect("registered");
        let before = served(&hub, None);
        broker.stop().await;
        let again = hub.another().await;
        again.app.reload_catalog().await.expect("loaded");
        assert_eq!(served(&again, None), before);
        let view = again.app.refresh_broker(&admin(), "acme").await.expect("no error");
        assert_eq!(view.row.status, Status::Unavailable);
        assert_eq!(served(&again, None), before);
    })
    .await;
}

#[track_caller]
fn assert_invalid(outcome: Result<BrokerView, Error>, pointer: &str, words: &str) {
    let Err(Error::Invalid(issues)) = outcome else { panic!("{outcome:?}") };
    assert!(
        issues.iter().any(|issue| issue.pointer == pointer && issue.message.contains(words)),
        "no `{words}` at {pointer} in {issues:?}"
    );
}

#[tokio::test]
async fn a_registration_that_can_not_work_is_refused_with_every_reason() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"])])));
        let url = broker.url();
        let attempt = |name: &str, url: &str, more: Value| {
            let (app, new) = (hub.app.clone(), new_broker(name, url, more));
            async move { app.register_broker(&admin(), new).await }
        };
        assert_invalid(attempt("No Name", &url, json!({"timeout_ms": 1})).await, "/timeout_ms", "milliseconds");
        assert_invalid(attempt("No Name", &url, json!({"timeout_ms": 1})).await, "/name", "a-z");
        assert_invalid(attempt("acme", "ftp://example.com", json!({})).await, "/url", "http");
        assert_invalid(attempt("acme", "http://u:p@127.0.0.1/", json!({})).await, "/url", "credentials");
        assert_invalid(attempt("acme", "http://127.0.0.1/?a=b", json!({})).await, "/url", "query");
        assert_invalid(attempt("acme", "http://169.254.169.254/", json!({})).await, "/url", "egress");
        assert_invalid(attempt("acme", "http://[::1]:1/", json!({})).await, "/url", "egress");
        assert_invalid(attempt("acme", "http://127.0.0.1:1/", json!({})).await, "", "reached");
        let wrong = json!({"credentials": {"basic": {"username": USERNAME, "password": "wrong-one"}}});
        assert_invalid(attempt("acme", &url, wrong).await, "", "credentials");
        assert_invalid(attempt("acme", &format!("{url}/elsewhere"), json!({})).await, "", "404");
        broker.play(Script::Catalog(json!({"services": {}})));
        assert_invalid(attempt("acme", &url, json!({})).await, "/services", "");
        let mut bad = offering("db", &["small"]);
        bad["description"] = json!(7);
        broker.play(Script::Catalog(json!({"services": [bad, {"id": "x"}]})));
        assert_invalid(attempt("acme", &url, json!({})).await, "/services/0/description", "string");
        assert_invalid(attempt("acme", &url, json!({})).await, "/services/1/name", "required");
        assert!(
            hub.app.brokers(&Sight::everything(), page()).await.expect("a list").items.is_empty(),
            "nothing is half registered"
        );
        assert!(happened(&hub).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn one_bad_offering_is_quarantined_and_the_rest_is_served() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let mut bad = offering("mq", &["one"]);
        bad["bindable"] = json!("yes");
        let broker = Scripted::start(Script::Catalog(json!({"services": [offering("db", &["small"]), bad]})));
        let view = register(&hub, "acme", &broker, json!({})).await.expect("registered");
        assert_eq!(names(&served(&hub, None)), ["db"]);
        let aside = view.offerings().iter().find(|offering| offering.name == "mq").expect("shown");
        assert_eq!(aside.state, State::Quarantined);
        assert_eq!(aside.findings[0].pointer, "/services/1/bindable");
        // Repaired, it comes in.
        broker.play(Script::Catalog(catalog(&[("db", &["small"]), ("mq", &["one"])])));
        hub.app.refresh_broker(&admin(), "acme").await.expect("refreshed");
        assert_eq!(names(&served(&hub, None)), ["db", "mq"]);
        // A catalog of which nothing is left in order takes nothing away that was stored.
        broker.play(Script::Catalog(json!({"services": [{"id": "db"}, {"id": "mq"}]})));
        let view = hub.app.refresh_broker(&admin(), "acme").await.expect("refreshed");
        assert_eq!(view.row.status, Status::Quarantined);
        assert!(view.offerings().iter().all(|offering| !offering.plans.is_empty()));
    })
    .await;
}

#[track_caller]
fn assert_clash(outcome: Result<BrokerView, Error>) {
    let Err(Error::Conflict { message, .. }) = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("`one`") && message.contains("`two`"), "{message}");
}

#[tokio::test]
async fn a_clash_of_names_or_ids_is_refused_naming_both_brokers() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"])])));
        register(&hub, "one", &broker, json!({"ids": "passthrough"})).await.expect("registered");
        assert_eq!(served(&hub, None)["services"][0]["id"], "db");
        assert_eq!(served(&hub, None)["services"][0]["plans"][0]["id"], "db-small");
        assert_clash(register(&hub, "two", &broker, json!({})).await);
        assert_clash(register(&hub, "two", &broker, json!({"ids": "passthrough", "name_prefix": "x-"})).await);
        let taken = register(&hub, "one", &broker, json!({})).await;
        assert!(matches!(taken, Err(Error::Conflict { code: "name_taken", .. })));
        register(&hub, "two", &broker, json!({"name_prefix": "x-"})).await.expect("mapped ids and a prefix");
        assert_eq!(names(&served(&hub, None)), ["db", "x-db"]);
        // One that comes to clash later gives way, and comes in once there is room.
        let other = Scripted::start(Script::Catalog(catalog(&[("kv", &["small"])])));
        register(&hub, "three", &other, json!({})).await.expect("registered");
        other.play(Script::Catalog(catalog(&[("kv", &["small"]), ("db", &["tiny"])])));
        let view = hub.app.refresh_broker(&admin(), "three").await.expect("refreshed");
        let aside = view.offerings().iter().find(|offering| offering.name == "db").expect("shown");
        assert!(aside.findings[0].message.contains("`one`") && aside.findings[0].message.contains("`three`"));
        assert_eq!(names(&served(&hub, Some("three"))), ["kv"]);
        hub.app.delete_broker(&admin(), "one").await.expect("deleted");
        hub.app.refresh_broker(&admin(), "three").await.expect("refreshed, although the broker answers 304");
        assert_eq!(names(&served(&hub, Some("three"))), ["kv", "db"]);
    })
    .await;
}

async fn race(on: On) {
    let hub = Bare::on(on, |_| {}).await;
    let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"])])));
    let attempts = ["one", "two", "three", "four"].map(|name| register(&hub, name, &broker, json!({})));
    let outcomes = futures_util::future::join_all(attempts).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    for outcome in outcomes.into_iter().filter(Result::is_err) {
        assert!(matches!(outcome, Err(Error::Conflict { code: "catalog_clash", .. })), "{outcome:?}");
    }
    assert_eq!(names(&served(&hub, None)), ["db"]);
}

#[tokio::test]
async fn of_four_that_clash_at_once_one_wins_on_sqlite() {
    on_each(async |on| {
        race(on).await;
    })
    .await;
}

#[tokio::test]
async fn of_four_that_clash_at_once_one_wins_on_postgres() {
    race(On::Postgres).await;
}

fn change(body: Value) -> BrokerChange {
    serde_json::from_value(body).expect("a change")
}

#[tokio::test]
async fn a_patch_changes_how_a_broker_is_reached_and_nothing_that_ids_follow_from() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"])])));
        let more = json!({"timeout_ms": 1500, "stamp": {"header": false}});
        let view = register(&hub, "acme", &broker, more).await.expect("registered");
        assert!(broker.last_call().stamp.is_none(), "its registration says so");
        let backend = hub.app.backends().get(&view.row.id).expect("a backend");
        assert_eq!(backend.timeout(), Duration::from_millis(1500));

        let patch = |body: Value, expected: Option<i64>| {
            let app = hub.app.clone();
            async move { app.patch_broker(&admin(), "acme", change(body), expected).await }
        };
        assert_invalid(patch(json!({"name_prefix": "x-"}), None).await, "/name_prefix", "changed");
        assert_invalid(patch(json!({"ids": "passthrough"}), None).await, "/ids", "changed");
        assert_invalid(patch(json!({"url": "http://10.0.0.1:x/"}), None).await, "/url", "http");
        assert!(matches!(patch(json!({}), Some(view.row.version + 7)).await, Err(Error::Stale)));

        let moved = Scripted::start(Script::Catalog(catalog(&[("db", &["small", "large"])])));
        let body = json!({"url": moved.url(), "timeout_ms": null, "stamp": null, "name_prefix": ""});
        let view = patch(body, Some(view.row.version)).await.expect("patched");
        assert_eq!(view.row.url, moved.url());
        assert_eq!(served(&hub, None)["services"][0]["plans"].as_array().map(Vec::len), Some(2));
        assert!(moved.last_call().stamp.is_some());
        let backend = hub.app.backends().get(&view.row.id).expect("a backend");
        assert_eq!(backend.timeout(), hub.app.config().backends.timeout);

        let wrong = json!({"credentials": {"basic": {"username": USERNAME, "password": "wrong-one"}}});
        let view = patch(wrong, None).await.expect("it may be ahead of the broker");
        assert_eq!(view.row.status, Status::Unavailable);
        assert!(!format!("{view:?}").contains("wrong-one"));
    })
    .await;
}

#[tokio::test]
async fn a_broker_with_live_instances_stays() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"])])));
        let view = register(&hub, "acme", &broker, json!({})).await.expect("registered");
        let offering = view.offerings()[0].clone();
        let rows = [
            "insert into platforms (id, name, kind, version, created_at) values ('p', 'p', 'other', 1, 0)".to_owned(),
            "insert into tenants (id, name, document, version, created_at) values ('t', 't', '{}', 1, 0)".to_owned(),
            format!(
            "insert into instances (id, platform_id, platform_instance_id, current, tenant_id, broker_id, offering_id,
                plan_id, state, attributes, answer, event_sequence, version, created_at, updated_at)
             values ('i', 'p', 'i', 1, 't', '{}', '{}', '{}', 'ready', '', '{{}}', 0, 1, 0, 0)",
            view.row.id, offering.id, offering.plans[0].id
        ),
        ];
        for row in rows {
            execute(&hub, row).await;
        }
        let refused = hub.app.delete_broker(&admin(), "acme").await;
        let Err(Error::Conflict { code: "in_use", message }) = refused else { panic!("{refused:?}") };
        assert!(message.contains("1 instance"), "{message}");
        execute(&hub, "update instances set state = 'gone', gone_at = 1".to_owned()).await;
        hub.app.delete_broker(&admin(), "acme").await.expect("deleted");
    })
    .await;
}

async fn execute(hub: &Bare, sql: String) {
    let done = hub.db.write(move |tx| {
        let sql = sqlx::query(sqlx::AssertSqlSafe(sql.clone()));
        Box::pin(async move { tx.execute(sql).await })
    });
    done.await.map(drop).map_err(|error: bourse::store::Error| error.to_string()).expect("executed");
}

#[tokio::test]
async fn a_change_through_one_process_reaches_the_other() {
    let hub = Bare::on(On::Postgres, |_| {}).await;
    let other = hub.another().await;
    let stop = CancellationToken::new();
    let watching = tokio::spawn(bourse::worker::refresh::watch(other.app.clone(), stop.clone()));
    let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"])])));
    let view = register(&hub, "acme", &broker, json!({})).await.expect("registered");
    wait_until("the other process serves the broker", BOUND, async || {
        names(&served(&other, None)) == ["db"] && other.app.backends().get(&view.row.id).is_some()
    })
    .await;
    stop.cancel();
    watching.await.expect("it ends");
}

#[tokio::test]
async fn catalogs_are_fetched_again_when_they_are_due_by_one_process_only() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let other = hub.another().await;
        let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"])])));
        register(&hub, "acme", &broker, json!({})).await.expect("registered");
        assert!(hub.app.claim_due_brokers(10).await.expect("a claim").is_empty());
        hub.clock.advance(hub.app.config().catalog.refresh);
        let claims = [&hub, &other].map(|hub| hub.app.claim_due_brokers(10));
        let claims = futures_util::future::try_join_all(claims).await.expect("claims");
        assert_eq!(claims.concat(), ["acme"]);

        broker.play(Script::Catalog(catalog(&[("db", &["small"]), ("kv", &["one"])])));
        hub.clock.advance(hub.app.config().catalog.refresh);
        let stop = CancellationToken::new();
        let working = tokio::spawn(bourse::worker::refresh::run(hub.app.clone(), stop.clone()));
        wait_until("the new offering is served", BOUND, async || names(&served(&hub, None)) == ["db", "kv"]).await;
        stop.cancel();
        working.await.expect("it ends");
        assert_eq!(broker.asked(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_broken_broker_is_spared_orders_but_asked_and_cleaned_up() {
    on_each(async |on| {
        let hub = Bare::on(on, |config| config.backends.breaker_failures = 2).await;
        let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"])])));
        let view = register(&hub, "acme", &broker, json!({})).await.expect("registered");
        let backend = hub.app.backends().get(&view.row.id).expect("a backend");
        let send = |purpose| {
            let backend = backend.clone();
            async move { backend.send(&osb::Call::default(), &encode::catalog(), purpose).await }
        };
        let order = || Purpose::Order { deadline: Instant::now() + BOUND };
        broker.play(Script::Status(503));
        for _ in 0..2 {
            assert_eq!(send(order()).await.expect("an answer").status, 503);
        }
        assert_eq!(backend.breaker_state(), BreakerState::Open);
        let asked = broker.asked();
        assert!(matches!(send(order()).await, Err(Failure::NotSent { .. })));
        assert_eq!(broker.asked(), asked, "nothing was sent");
        assert_eq!(send(Purpose::Ask).await.expect("an answer").status, 503);
        assert_eq!(send(Purpose::CleanUp).await.expect("an answer").status, 503);
        assert_eq!(hub.app.broker(&Sight::everything(), "acme").await.expect("a broker").breaker, BreakerState::Open);

        hub.clock.advance(hub.app.config().backends.breaker_open);
        assert_eq!(
            hub.app.broker(&Sight::everything(), "acme").await.expect("a broker").breaker,
            BreakerState::HalfOpen
        );
        broker.play(Script::Status(400));
        assert_eq!(send(order()).await.expect("an answer").status, 400, "a refusal is no failure");
        assert_eq!(backend.breaker_state(), BreakerState::Closed);
    })
    .await;
}

#[tokio::test]
async fn offerings_are_found_by_words() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"]), ("mq", &["large"])])));
        register(&hub, "acme", &broker, json!({"name_prefix": "a-"})).await.expect("registered");
        let found = |query: &str, page: Page| {
            let listed = hub.app.offerings(&admin(), query, None, &page);
            (listed.items.into_iter().map(|item| item.offering().name.clone()).collect::<Vec<_>>(), listed.next)
        };
        assert_eq!(found("", page()).0, ["a-db", "a-mq"]);
        assert_eq!(found("ACME large", page()).0, ["a-mq"]);
        assert!(found("nothing", page()).0.is_empty());
        let (first, next) = found("", Page { limit: 1, after: String::new() });
        assert_eq!(first, ["a-db"]);
        assert_eq!(found("", Page { limit: 1, after: next.expect("more") }), (vec!["a-mq".to_owned()], None));
    })
    .await;
}

#[tokio::test]
async fn a_broker_gets_credentials_of_its_own_which_end_with_it() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"])])));
        let view = register(&hub, "acme", &broker, json!({})).await.expect("registered");
        let first = hub.app.add_broker_credentials(&admin(), "acme").await.expect("a pair");
        let second = hub.app.add_broker_credentials(&admin(), "acme").await.expect("a pair");
        let login = |pair: &bourse::app::pairs::Pair| {
            let (app, username, password) = (hub.app.clone(), pair.username.clone(), pair.password.expose().clone());
            async move { app.authenticate(&username, &password).await }
        };
        assert_eq!(login(&first).await.expect("known"), Caller::Broker(view.row.id.clone()));
        hub.app.delete_broker_credentials(&admin(), "acme", &first.username).await.expect("deleted");
        assert!(matches!(login(&first).await, Err(Error::Unauthorized)));
        assert!(login(&second).await.is_ok());
        let again = hub.app.delete_broker_credentials(&admin(), "acme", &first.username).await;
        assert!(matches!(again, Err(Error::NotFound { .. })));
        hub.app.delete_broker(&admin(), "acme").await.expect("deleted");
        assert!(matches!(login(&second).await, Err(Error::Unauthorized)));
    })
    .await;
}
