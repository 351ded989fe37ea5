//! Between platforms and brokers that don't know the same: rotation of bindings, native or by the hub; versions; a plan's
//! maintenance that moved on; how long to wait before asking again.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::on_each;
use crate::support::bench::{Bench, catalog};
use crate::support::hub::BOUND;
use crate::support::recorder::Recorder;
use crate::support::wait::wait_until;

/// A broker of the name `second` with that catalog and registration; its offerings are named `second-…`.
async fn second(b: &Bench, catalog: &Value, more: Value) -> Recorder {
    let recorder = Recorder::start(catalog);
    let mut registration = json!({"name_prefix": "second-"});
    registration.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    b.register("second", &recorder, registration).await;
    recorder
}

/// The plan as platforms see it.
async fn shown(b: &Bench, offering: &str, plan: &str) -> (Value, Value) {
    let catalog = b.hub.osb(&b.platform, Method::GET, "/v2/catalog", None).await.body;
    let named = |list: &Value, name: &str| {
        list.as_array().expect("a list").iter().find(|one| one["name"] == name).expect("it is not there").clone()
    };
    let offering = named(&catalog["services"], offering);
    let plan = named(&offering["plans"], plan);
    (offering, plan)
}

async fn refresh(b: &Bench, broker: &str) {
    let path = format!("/api/v1/brokers/{broker}/refresh");
    assert_eq!(b.hub.admin(Method::POST, &path, None).await.status, 200);
}

const PLAN: &str = "second-recorded/small";

/// An instance `i` of the second broker, bound as `b-1` with everything that a successor inherits.
async fn bound(b: &Bench) {
    assert_eq!(b.call("PUT i", Some(&b.order(PLAN, json!({})))).await.status, 201);
    let context = json!({"platform": "cloudfoundry", "organization_guid": "o", "x": 1});
    let more = json!({"parameters": {"role": "reader"}, "bind_resource": {"app_guid": "a-1", "route": "r"}, "app_guid": "a-1", "context": context});
    assert_eq!(b.call("PUT i/service_bindings/b-1", Some(&b.bind_body(PLAN, more))).await.status, 201);
}

fn rotatable() -> Value {
    let mut rotatable = catalog();
    rotatable["services"][0]["plans"][0]["binding_rotatable"] = json!(true);
    rotatable
}

#[tokio::test]
async fn rot_01_03_04_06_a_broker_that_rotates_gets_its_own_id_of_the_predecessor() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        let recorder = second(&b, &rotatable(), json!({"rotation": "native"})).await;
        assert_eq!(shown(&b, "second-recorded", "small").await.1["binding_rotatable"], true);
        bound(&b).await;
        let first = recorder.last("bind").binding_id();
        // ROT-01: nothing else is needed.
        let rotation = json!({"predecessor_binding_id": "b-1"});
        let made = b.call("PUT i/service_bindings/b-2", Some(&rotation)).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let sent = recorder.last("bind");
        assert_ne!(sent.binding_id(), first);
        assert_eq!(sent.json()["predecessor_binding_id"], json!(first));
        assert_eq!((&sent.json()["service_id"], &sent.json()["plan_id"]), (&json!("b-recorded"), &json!("b-small")));
        assert_eq!(sent.json().get("parameters"), None, "the broker knows them");
        // ROT-06
        assert_eq!(b.call("PUT i/service_bindings/b-2", Some(&rotation)).await.status, 200);
        let other = json!({"predecessor_binding_id": "b-2"});
        assert_eq!(b.call("PUT i/service_bindings/b-2", Some(&other)).await.status, 409);
        // ROT-03
        let unknown = b.call("PUT i/service_bindings/b-3", Some(&json!({"predecessor_binding_id": "none"}))).await;
        assert_eq!(unknown.status, 400, "ROT-03: {}", unknown.text);
        // Both stand until they are unbound.
        for binding in ["b-1", "b-2"] {
            let line = format!("DELETE i/service_bindings/{binding}?{}", b.query(PLAN));
            assert_eq!(b.call(&line, None).await.status, 200);
        }
        assert_eq!(recorder.count("unbind"), 2);
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_successor_is_judged_by_what_the_first_in_its_line_was_asked_for_with() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        let recorder = second(&b, &rotatable(), json!({"rotation": "native"})).await;
        bound(&b).await;
        let rotation = |before: &str| json!({"predecessor_binding_id": before});
        assert_eq!(b.call("PUT i/service_bindings/b-2", Some(&rotation("b-1"))).await.status, 201);
        let text = "@remedy(\"ask\") forbid(principal, action == Bourse::Action::\"bind\", resource) \
            when { context.parameters has role && context.parameters.role == \"reader\" };";
        let policy = Some(json!({"text": text, "mode": "enforce"}));
        assert_eq!(b.hub.admin(Method::PUT, "/api/v1/policies/p", policy).await.status, 201);
        for before in ["b-1", "b-2"] {
            let refused = b.call("PUT i/service_bindings/b-3", Some(&rotation(before))).await;
            assert!(refused.status == 400 && refused.text.contains("policy `p` forbids it"), "{}", refused.text);
        }
        assert_eq!(recorder.count("bind"), 2, "the broker never heard of it");
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn rot_04_for_a_broker_that_cannot_rotate_the_hub_binds_anew_with_what_the_predecessor_had() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        let recorder = second(&b, &catalog(), json!({"rotation": "emulated"})).await;
        assert_eq!(shown(&b, "second-recorded", "small").await.1["binding_rotatable"], true);
        assert_eq!(shown(&b, "second-recorded", "unbindable").await.1.get("binding_rotatable"), None);
        bound(&b).await;
        let first = recorder.last("bind");
        for (predecessor, successor) in [("b-1", "b-2"), ("b-2", "b-3")] {
            let rotation = json!({"predecessor_binding_id": predecessor});
            let path = format!("PUT i/service_bindings/{successor}");
            let made = b.call(&path, Some(&rotation)).await;
            assert_eq!(made.status, 201, "{}", made.text);
            assert_eq!(made.json()["credentials"]["password"], "of-the-binding");
            let (sent, first) = (recorder.last("bind").json(), first.json());
            assert_eq!(sent.get("predecessor_binding_id"), None, "the broker would not know it");
            for field in ["parameters", "bind_resource", "app_guid", "service_id", "plan_id"] {
                assert_eq!(sent[field], first[field], "{successor}: {field}");
            }
            assert_eq!(
                (&sent["context"]["x"], &sent["context"]["bourse"]["tenant"]["name"]),
                (&json!(1), &json!("retail"))
            );
            assert_eq!(b.call(&path, Some(&rotation)).await.status, 200, "ROT-06");
        }
        assert_eq!(recorder.count("bind"), 3);
        // Native from now on, and the broker's own catalog does not say that it can.
        let change = json!({"rotation": "native"});
        assert_eq!(b.hub.admin(Method::PATCH, "/api/v1/brokers/second", Some(change)).await.status, 200);
        assert_eq!(shown(&b, "second-recorded", "small").await.1.get("binding_rotatable"), None);
        let refused = b.call("PUT i/service_bindings/b-4", Some(&json!({"predecessor_binding_id": "b-3"}))).await;
        assert_eq!(refused.status, 400, "ROT-02: {}", refused.text);
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn rot_04_a_successor_needs_no_parameters_whatever_the_schema_asks_for() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        let recorder = second(&b, &catalog(), json!({"rotation": "emulated"})).await;
        let plan = "second-recorded/checked";
        assert_eq!(b.call("PUT i", Some(&b.order(plan, json!({"parameters": {"size": 1}})))).await.status, 201);
        let bind = b.bind_body(plan, json!({"parameters": {"size": 2}}));
        assert_eq!(b.call("PUT i/service_bindings/b-1", Some(&bind)).await.status, 201);
        let made = b.call("PUT i/service_bindings/b-2", Some(&json!({"predecessor_binding_id": "b-1"}))).await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert_eq!(recorder.last("bind").json()["parameters"], json!({"size": 2}));
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn ver_05_a_broker_of_2_13_is_spoken_to_in_2_13_and_asked_for_nothing_newer() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        let recorder = second(&b, &catalog(), json!({"api_version": "2.13"})).await;
        let (offering, plan) = shown(&b, "second-readable", "one").await;
        for newer in ["instances_retrievable", "bindings_retrievable", "allow_context_updates"] {
            assert_eq!(offering.get(newer), None, "{newer}");
        }
        assert_eq!(plan["x-costs"]["amount"].to_string(), "99.0", "the rest is as it was");
        assert_eq!(shown(&b, "second-recorded", "small").await.1.get("maintenance_info"), None);

        let plan = "second-readable/one";
        assert_eq!(b.call("PUT i?accepts_incomplete=true", Some(&b.order(plan, json!({})))).await.status, 201);
        let bind = b.bind_body(plan, json!({}));
        assert_eq!(b.call("PUT i/service_bindings/b?accepts_incomplete=true", Some(&bind)).await.status, 201);
        let context = json!({"context": {"platform": "other", "name": "new"}, "service_id": b.ids(plan).0});
        assert_eq!(b.call("PATCH i", Some(&context)).await.status, 200);
        assert_eq!(b.call("GET i", None).await.status, 200);
        assert_eq!(b.call("GET i/service_bindings/b", None).await.status, 200);
        for seen in recorder.seen() {
            assert_eq!(seen.header("x-broker-api-version"), Some("2.13"), "{}", seen.target);
            assert!(["catalog", "provision", "bind"].contains(&seen.verb), "{} {}", seen.method, seen.target);
        }
        assert!(
            !recorder.last("bind").target.contains("accepts_incomplete=true"),
            "binds are never asynchronous in 2.13"
        );

        // The newest again, and all of it is there.
        let change = json!({"api_version": "2.17"});
        assert_eq!(b.hub.admin(Method::PATCH, "/api/v1/brokers/second", Some(change)).await.status, 200);
        assert_eq!(shown(&b, "second-readable", "one").await.0["bindings_retrievable"], true);
        assert_eq!(recorder.last("catalog").header("x-broker-api-version"), Some("2.17"));
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn err_08_a_backends_maintenance_info_conflict_is_relayed_and_its_catalog_fetched_again() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        b.recorder.say(
            "provision",
            422,
            &json!({"error": "MaintenanceInfoConflict", "description": "the plan is at 1.3.0 by now"}),
        );
        let mut moved = catalog();
        moved["services"][0]["plans"][0]["maintenance_info"]["version"] = json!("1.3.0");
        b.recorder.say("catalog", 200, &moved);
        let asked = b.recorder.count("catalog");
        let order = b.order("small", json!({"maintenance_info": {"version": "1.2.0"}}));
        let refused = b.call("PUT i", Some(&order)).await;
        assert_eq!((refused.status, &refused.json()["error"]), (422, &json!("MaintenanceInfoConflict")));
        assert!(refused.text.contains("1.3.0"), "{}", refused.text);
        wait_until("the catalog to be fetched again", BOUND, async || {
            b.recorder.count("catalog") > asked
                && shown(&b, "recorded", "small").await.1["maintenance_info"]["version"] == "1.3.0"
        })
        .await;
        // The old version is now the hub's to refuse.
        let sent = b.recorder.count("provision");
        let refused = b.call("PUT i", Some(&order)).await;
        assert_eq!((refused.status, &refused.json()["error"]), (422, &json!("MaintenanceInfoConflict")));
        assert_eq!(b.recorder.count("provision"), sent);
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn loi_09_a_platform_is_told_to_wait_as_long_as_the_backend_wants_to_be_left_alone() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        b.recorder.say("provision", 202, &json!({"operation": "o"}));
        b.recorder.say("last_operation", 200, &json!({"state": "in progress"}));
        b.recorder.pace("last_operation", Some("40"));
        assert_eq!(b.call("PUT i?accepts_incomplete=true", Some(&b.order("small", json!({})))).await.status, 202);
        let retry_after = async || -> u64 {
            let reply = b.call("GET i/last_operation", None).await;
            reply.header("retry-after").expect("Retry-After").parse().expect("seconds")
        };
        assert_eq!(retry_after().await, 1, "the first question comes after a second");
        wait_until("the backend to be asked", BOUND, async || {
            b.world.clock.advance(Duration::from_secs(1));
            b.recorder.count("last_operation") == 1
        })
        .await;
        wait_until("its answer to be recorded", BOUND, async || retry_after().await > 1).await;
        let wait = retry_after().await;
        assert!((30..=40).contains(&wait), "{wait}");
        b.world.clock.advance(Duration::from_secs(20));
        let later = retry_after().await;
        assert!((10..=20).contains(&later), "{later}");
        assert_eq!(b.recorder.count("last_operation"), 1, "nobody asks before");
        b.recorder.pace("last_operation", Some("99999"));
        b.world.clock.advance(Duration::from_secs(20));
        wait_until("the backend to be asked again", BOUND, async || retry_after().await == 300).await;
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn cat_06_a_catalog_that_has_not_changed_is_not_sent_again() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        b.recorder.tag("catalog", "\"v1\"");
        refresh(&b, "recorder").await;
        assert_eq!(b.recorder.last("catalog").header("if-none-match"), None, "it had no tag before");
        refresh(&b, "recorder").await;
        assert_eq!(b.recorder.last("catalog").header("if-none-match"), Some("\"v1\""));
        b.recorder.say_text("catalog", 304, "");
        refresh(&b, "recorder").await;
        let broker = b.hub.admin(Method::GET, "/api/v1/brokers/recorder", None).await.body;
        assert_eq!(broker["status"], "available", "{broker}");
        assert_eq!(shown(&b, "recorded", "small").await.1["name"], "small");
        b.hub.stop().await;
    })
    .await;
}
