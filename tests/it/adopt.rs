//! Adopting what a backend has already: nothing is sent that changes it, each item gets its verdict, and from then on the
//! instances are like any other.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::on_each;
use crate::support::bench::Bench;
use crate::support::dump::spans;
use crate::support::hub::Reply;
use crate::support::recorder::Recorder;

async fn adopt(b: &Bench, body: Value) -> Reply {
    b.hub.admin(Method::POST, "/api/v1/instances/adopt", Some(body)).await
}

/// The only verdict, as `verdict` and `message`.
fn only(reply: &Reply) -> (String, String) {
    assert_eq!(reply.status, 200, "{reply:?}");
    let items = reply.body["items"].as_array().expect("items");
    assert_eq!(items.len(), 1, "{reply:?}");
    let text = |field: &str| items[0][field].as_str().expect("text").to_owned();
    (text("verdict"), text("message"))
}

/// The backend has the instance, under that plan.
fn has(recorder: &Recorder) {
    recorder.say(
        "fetch",
        200,
        &json!({"service_id": "b-readable", "plan_id": "b-one", "parameters": {"a": 1.50}, "dashboard_url": "https://old.example/1"}),
    );
}

fn legacy(more: Value) -> Value {
    let mut item = json!({
        "backend_instance_id": "legacy-1", "offering": "readable", "plan": "one",
        "organization_guid": "o", "space_guid": "s",
        "bindings": [{"backend_binding_id": "legacy-b"}],
    });
    item.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    item
}

fn to_platform(item: Value, dry_run: bool) -> Value {
    json!({"broker": "recorder", "platform": "p", "instances": [item], "dry_run": dry_run})
}

/// Nothing but questions reached the backend.
fn is_untouched(b: &Bench) {
    let seen = b.recorder.seen();
    assert!(
        seen.iter().all(|seen| seen.method == "GET"),
        "{:?}",
        seen.iter().map(|seen| seen.verb).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn what_is_adopted_is_an_instance_like_any_other_under_the_ids_it_had() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        has(&b.recorder);
        let dry = adopt(&b, to_platform(legacy(json!({})), true)).await;
        assert_eq!(only(&dry), ("adopted".into(), "would be adopted".into()));
        assert_eq!((&dry.body["dry_run"], &dry.body["items"][0]["verified"]), (&json!(true), &json!(true)));
        let list = b.hub.admin(Method::GET, "/api/v1/instances", None).await.body;
        assert_eq!(list["items"], json!([]), "a dry run adopts nothing");
        assert!(b.hub.event_types().await.is_empty() && spans(&b.hub.db).await.is_empty());

        let done = adopt(&b, to_platform(legacy(json!({})), false)).await;
        assert_eq!(only(&done), ("adopted".into(), String::new()));
        assert_eq!(done.body["items"][0]["tenant"], "retail", "the platform's own rules decide");
        is_untouched(&b);
        assert_eq!(only(&adopt(&b, to_platform(legacy(json!({})), false)).await).0, "already");
        assert_eq!(b.hub.event_types().await, ["instance.provisioned", "binding.created"]);
        assert_eq!(spans(&b.hub.db).await["legacy-1"], (1, 0), "it is metered from now on");

        let shown = b.call("GET legacy-1", None).await;
        assert_eq!(shown.status, 200, "{}", shown.text);
        assert_eq!(b.call("GET legacy-1/last_operation", None).await.json()["state"], "succeeded");
        let order = b.order("readable/one", json!({"parameters": {"a": 1.50}}));
        let repeated = b.call("PUT legacy-1", Some(&order)).await;
        assert_eq!((repeated.status, &repeated.json()["dashboard_url"]), (200, &json!("https://old.example/1")));
        let other = b.order("readable/one", json!({"parameters": {"a": 2}}));
        assert_eq!(b.call("PUT legacy-1", Some(&other)).await.status, 409);
        let bind = b.bind_body("readable/one", json!({}));
        let bound = b.call("PUT legacy-1/service_bindings/legacy-b", Some(&bind)).await;
        assert_eq!((bound.status, &bound.json()["credentials"]["password"]), (200, &json!("of-the-binding")));
        is_untouched(&b);

        let query = b.query("readable/one");
        assert_eq!(b.call(&format!("DELETE legacy-1?{query}"), None).await.status, 200);
        let gone = [b.recorder.last("unbind"), b.recorder.last("deprovision")];
        assert_eq!((gone[0].instance_id(), gone[0].binding_id()), ("legacy-1".into(), "legacy-b".into()));
        assert_eq!(gone[1].instance_id(), "legacy-1");
        assert_eq!(spans(&b.hub.db).await["legacy-1"], (0, 1));
        let events = b.hub.event_types().await;
        assert_eq!(events[2..], ["binding.deleted", "instance.deprovisioned"]);
        assert_eq!(only(&adopt(&b, to_platform(legacy(json!({})), false)).await).0, "refused", "it had that id before");
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_not_as_it_is_said_to_be_is_refused_with_the_reason() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        has(&b.recorder);
        let cases = [
            (json!({"offering": "nothing"}), "no plan one of nothing"),
            (json!({"plan": "two"}), "no plan two of readable"),
            (json!({"backend_instance_id": ".."}), "ids must be"),
            (json!({"backend_instance_id": ""}), "ids must be"),
            (json!({"platform_instance_id": "x".repeat(513)}), "ids must be"),
            (json!({"bindings": [{"backend_binding_id": ""}]}), "ids must be"),
            (json!({"context": {"organization_guid": "other"}}), "organization_guid"),
        ];
        for (more, says) in cases {
            let (verdict, message) = only(&adopt(&b, to_platform(legacy(more.clone()), false)).await);
            assert_eq!(verdict, "refused", "{more}");
            assert!(message.contains(says), "{more}: {message}");
        }
        for (verb, status, body, verdict, says) in [
            ("fetch", 404, json!({}), "refused", "does not have the service instance"),
            ("fetch", 200, json!({"plan_id": "b-other"}), "refused", "another service offering or plan"),
            ("fetch", 500, json!({}), "unknown", "could not be asked"),
            ("fetch", 422, json!({"error": "ConcurrencyError", "description": "busy"}), "unknown", "busy"),
            ("fetch_binding", 404, json!({}), "refused", "does not have the service binding legacy-b"),
            ("fetch_binding", 503, json!({}), "unknown", "could not be asked"),
        ] {
            has(&b.recorder);
            b.recorder.say(verb, status, &body);
            let (found, message) = only(&adopt(&b, to_platform(legacy(json!({})), false)).await);
            assert_eq!(found, verdict, "{verb} {status}: {message}");
            assert!(message.contains(says), "{verb} {status}: {message}");
            b.recorder.usual(verb);
        }
        let list = b.hub.admin(Method::GET, "/api/v1/instances", None).await.body;
        assert_eq!(list["items"], json!([]), "nothing is half done");
        assert!(spans(&b.hub.db).await.is_empty());
        is_untouched(&b);

        for (body, pointer) in [
            (json!({"broker": "none", "platform": "p", "instances": [legacy(json!({}))]}), "/broker"),
            (json!({"broker": "recorder", "platform": "none", "instances": [legacy(json!({}))]}), "/platform"),
            (json!({"broker": "recorder", "tenant": "none", "instances": [legacy(json!({}))]}), "/tenant"),
            (json!({"broker": "recorder", "instances": [legacy(json!({}))]}), ""),
            (json!({"broker": "recorder", "platform": "p", "instances": []}), "/instances"),
            (json!({"broker": "recorder", "platform": "p", "instances": vec![legacy(json!({})); 201]}), "/instances"),
        ] {
            let refused = adopt(&b, body).await;
            assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (422, &json!(pointer)), "{refused:?}");
        }
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn people_order_on_with_what_was_adopted_for_their_tenant() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        has(&b.recorder);
        let body = |name: Option<&str>| {
            let item = legacy(json!({"platform_instance_id": name, "backend_instance_id": "Legacy_1"}));
            json!({"broker": "recorder", "tenant": "retail", "instances": [item]})
        };
        let (verdict, message) = only(&adopt(&b, body(None)).await);
        assert_eq!(verdict, "refused", "Legacy_1 is no name");
        assert!(message.contains("the name that people order by"), "{message}");
        assert_eq!(only(&adopt(&b, body(Some("books"))).await).0, "adopted");
        let path = "/api/v1/tenants/retail/instances/books";
        let shown = b.hub.admin(Method::GET, path, None).await;
        assert_eq!((shown.status, &shown.body["id"], &shown.body["name"]), (200, &json!("Legacy_1"), &json!("books")));
        let again = b.hub.admin(Method::PUT, path, Some(json!({"offering": "readable", "plan": "one"}))).await;
        assert_eq!((again.status, &again.body["state"]), (200, &json!("ready")), "{again:?}");
        let bound = b.hub.admin(Method::GET, &format!("{path}/bindings/legacy-b?credentials=true"), None).await;
        assert_eq!(bound.body["credentials"]["password"], "of-the-binding", "{bound:?}");
        is_untouched(&b);
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn where_nothing_can_be_fetched_the_operator_is_believed_and_credentials_are_asked_for_again() {
    on_each(async |on| {
    let b = Bench::new(on).await;
    let item = json!({
        "backend_instance_id": "blind-1", "platform_instance_id": "i-1", "offering": "b-recorded", "plan": "b-small",
        "organization_guid": "o", "space_guid": "s", "parameters": {"x": 1},
        "bindings": [{"backend_binding_id": "blind-b", "platform_binding_id": "b-1", "parameters": {"role": "reader"}}],
    });
    let done = adopt(&b, to_platform(item, false)).await;
    assert_eq!((only(&done).0.as_str(), &done.body["items"][0]["verified"]), ("adopted", &json!(false)));
    assert!(b.recorder.seen().iter().all(|seen| seen.verb == "catalog"), "nothing was asked");
    b.recorder.say("bind", 200, &json!({"credentials": {"password": "as-before"}}));
    let bind = b.bind_body("small", json!({"parameters": {"role": "reader"}}));
    let bound = b.call("PUT i-1/service_bindings/b-1", Some(&bind)).await;
    assert_eq!((bound.status, &bound.json()["credentials"]["password"]), (200, &json!("as-before")), "{}", bound.text);
    let asked = b.recorder.last("bind");
    assert_eq!((asked.instance_id(), asked.binding_id()), ("blind-1".into(), "blind-b".into()));
    assert_eq!(asked.json()["parameters"], json!({"role": "reader"}));
    b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_instance_whose_bindings_id_is_taken_is_not_half_adopted() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        has(&b.recorder);
        assert_eq!(only(&adopt(&b, to_platform(legacy(json!({})), false)).await).0, "adopted");
        let second = legacy(json!({"backend_instance_id": "legacy-2", "organization_guid": "o2"}));
        assert_eq!(only(&adopt(&b, to_platform(second, false)).await).0, "refused", "legacy-b is another's");
        let list = b.hub.admin(Method::GET, "/api/v1/instances", None).await.body;
        assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
        assert_eq!(b.hub.event_types().await.len(), 2);
        b.hub.stop().await;
    })
    .await;
}
