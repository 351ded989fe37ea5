//! PUT and GET of a binding: what it means to bind twice, and where credentials come from.

use std::time::Duration;

use serde_json::{Value, json};

use super::on_both;

#[tokio::test]
async fn bnd_01_to_13_what_may_be_bound() {
    on_both(async |b| {
        for (id, plan, parameters) in
            [("i", "small", json!({})), ("u", "unbindable", json!({})), ("c", "checked", json!({"size": 1}))]
        {
            let order = b.order(plan, json!({"parameters": parameters}));
            b.check("an order", &format!("PUT {id}"), Some(order), (201, "")).await;
        }
        let bind = |plan: &str, more| b.bind_body(plan, more);
        for (what, line, body, status, says) in [
            ("BND-02", "PUT none/service_bindings/b", bind("small", json!({})), 404, "does not exist"),
            ("BND-01", "PUT u/service_bindings/b", bind("unbindable", json!({})), 400, "bound"),
            ("BND-03", "PUT i/service_bindings/b", json!({}), 400, "service_id"),
            ("BND-03 empty", "PUT i/service_bindings/b", bind("small", json!({"plan_id": ""})), 400, "plan_id"),
            ("BND-03 another plan", "PUT i/service_bindings/b", bind("large", json!({})), 400, "plan_id"),
            ("BND-03 another offering", "PUT i/service_bindings/b", bind("readable/one", json!({})), 400, "service_id"),
            ("BND-04", "PUT i/service_bindings/b", bind("small", json!({"bind_resource": []})), 400, "bind_resource"),
            ("BND-04", "PUT i/service_bindings/b", bind("small", json!({"parameters": 1})), 400, "parameters"),
            ("schema", "PUT c/service_bindings/b", bind("checked", json!({"parameters": {"size": "x"}})), 400, "/size"),
            ("ROT-02", "PUT i/service_bindings/b", json!({"predecessor_binding_id": "a"}), 400, "rotated"),
        ] {
            b.check(what, line, Some(body), (status, says)).await;
        }
        assert_eq!(b.recorder.count("bind"), 0, "none of it went on");
        for (number, more) in [
            json!({}),
            json!({"bind_resource": {}}),
            json!({"bind_resource": null, "parameters": null, "context": null}),
            json!({"app_guid": ""}),
            json!({"app_guid": "app", "bind_resource": {"app_guid": "app", "space_guid": "s", "app_annotations": {}}}),
        ]
        .into_iter()
        .enumerate()
        {
            let line = format!("PUT i/service_bindings/b-{number}");
            b.check("BND-07", &line, Some(bind("small", more)), (201, "of-the-binding")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn bnd_08_bound_twice_the_same_credentials_and_otherwise_409() {
    on_both(async |b| {
        b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
        b.check("another", "PUT j", Some(b.order("small", json!({}))), (201, "")).await;
        let bind = |more| Some(b.bind_body("small", more));
        let line = "PUT i/service_bindings/b";
        let answer = json!({"credentials": {"password": "first", "port": 1.0}, "x-unknown": 99.0,
            "syslog_drain_url": "syslog://x", "volume_mounts": [], "endpoints": [{"host": "h", "ports": ["1"]}],
            "metadata": {"expires_at": "2030-01-01T00:00:00.0Z"}});
        b.recorder.say("bind", 201, &answer);
        let first = b.check("a bind", line, bind(json!({"app_guid": "a"})), (201, "first")).await;
        assert_eq!(first.json(), answer, "all of it, numbers as they are");
        b.recorder.say("bind", 201, &json!({"credentials": {"password": "second"}}));
        for (what, more, status) in [
            ("the same", json!({"app_guid": "a"}), 200),
            ("with empty objects", json!({"app_guid": "a", "parameters": {}, "bind_resource": {}}), 200),
            ("with a context", json!({"app_guid": "a", "context": {"platform": "x"}}), 200),
            ("BND-10 another application", json!({"app_guid": "c"}), 409),
            ("BND-10 no application", json!({}), 409),
            ("BND-10 parameters", json!({"app_guid": "a", "parameters": {"x": 1}}), 409),
            ("BND-10 a resource", json!({"app_guid": "a", "bind_resource": {"route": "x"}}), 409),
        ] {
            let reply = b.check(what, line, bind(more), (status, "")).await;
            assert_eq!(reply.json() == answer, status == 200, "{what}: {}", reply.text);
        }
        assert_eq!(b.recorder.count("bind"), 1);
        b.check("GET", "GET i/service_bindings/b", None, (200, "first")).await;
        b.check("of another instance", "PUT j/service_bindings/b", bind(json!({})), (201, "second")).await;
        let (one, two) = (b.recorder.seen(), b.recorder.last("bind"));
        let one = one.iter().find(|seen| seen.verb == "bind").expect("a bind");
        assert_ne!(one.binding_id(), two.binding_id(), "each has an id of its own");
    })
    .await;
}

#[tokio::test]
async fn after_credentials_ttl_they_are_asked_for_again() {
    on_both(async |b| {
        for (id, plan, verb) in [("i", "small", "bind"), ("r", "readable/one", "fetch_binding")] {
            b.check("an order", &format!("PUT {id}"), Some(b.order(plan, json!({}))), (201, "")).await;
            let line = format!("PUT {id}/service_bindings/b");
            let bind = || Some(b.bind_body(plan, json!({"parameters": {"n": 1}})));
            b.check("a bind", &line, bind(), (201, "of-the-binding")).await;
            b.world.clock.advance(Duration::from_secs(3599));
            b.check("within the hour", &line, bind(), (200, "of-the-binding")).await;
            let first = b.recorder.last("bind");
            let before = (b.recorder.count("bind"), b.recorder.count("fetch_binding"));
            b.world.clock.advance(Duration::from_secs(2));
            b.recorder.say(verb, 200, &json!({"credentials": {"password": "asked-again"}}));
            b.check("after the hour", &line, bind(), (200, "asked-again")).await;
            b.check("GET", &format!("GET {id}/service_bindings/b"), None, (200, "asked-again")).await;
            let last = b.recorder.last(verb);
            assert_eq!((last.instance_id(), last.binding_id()), (first.instance_id(), first.binding_id()));
            if verb == "bind" {
                assert_eq!((&last.target, &last.body), (&first.target, &first.body), "the very same bytes");
                assert_eq!(b.recorder.count("bind"), before.0 + 2);
            } else {
                assert_eq!((b.recorder.count("bind"), b.recorder.count(verb)), (before.0, before.1 + 2));
            }
            b.recorder.usual(verb);
        }
    })
    .await;
}

#[tokio::test]
async fn bnd_09_asynchronous_only_where_bindings_can_be_fetched() {
    on_both(async |b| {
        b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
        b.check("an order", "PUT r", Some(b.order("readable/one", json!({}))), (201, "")).await;
        let line = "PUT i/service_bindings/b?accepts_incomplete=true";
        b.check("not retrievable", line, Some(b.bind_body("small", json!({}))), (201, "of-the-binding")).await;
        assert!(!b.recorder.last("bind").target.contains("accepts_incomplete=true"), "it was not offered");

        b.recorder.say("bind", 202, &json!({"operation": "b 1"}));
        b.recorder.say("binding_last_operation", 200, &json!({"state": "in progress"}));
        let bind = |more: Value| Some(b.bind_body("readable/one", more));
        let line = "PUT r/service_bindings/b?accepts_incomplete=true";
        let first = b.check("BND-09", line, bind(json!({})), (202, "operation")).await;
        let operation = first.json()["operation"].as_str().expect("an operation").to_owned();
        let query = b.query("readable/one");
        for (what, line, body, status, says) in [
            ("the same", line.to_owned(), bind(json!({})), 202, operation.as_str()),
            (
                "BND-10",
                line.to_owned(),
                bind(json!({"parameters": {"x": 1}})),
                409,
                "service binding b exists with other attributes; use another id",
            ),
            ("GSB-03", "GET r/service_bindings/b".into(), None, 404, ""),
            ("UNB-06", format!("DELETE r/service_bindings/b?{query}"), None, 422, "ConcurrencyError"),
            ("DEP-07 without polling it waits for it", "GET r".into(), None, 200, ""),
            ("LOB-01", "GET r/service_bindings/b/last_operation?operation=".into(), None, 200, "in progress"),
            ("LOB-01", "GET r/service_bindings/b/last_operation?operation=x".into(), None, 200, "in progress"),
            ("LOB-02", "GET r/service_bindings/none/last_operation".into(), None, 404, ""),
        ] {
            b.check(what, &line, body, (status, says)).await;
        }
        b.recorder.usual("binding_last_operation");
        assert_eq!(b.outcome("r/service_bindings/b").await, "succeeded");
        b.check("LOB-04", "GET r/service_bindings/b", None, (200, "of-the-binding")).await;
        b.check("done", line, bind(json!({})), (200, "of-the-binding")).await;
        assert_eq!(b.recorder.count("bind"), 2);
    })
    .await;
}
