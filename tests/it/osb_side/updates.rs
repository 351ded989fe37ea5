//! PATCH: changes of plan, parameters and context.

use serde_json::{Value, json};

use super::on_both;

#[tokio::test]
async fn upd_01_to_14_what_may_change_and_what_may_not() {
    on_both(async |b| {
        for (id, plan) in [("i", "small"), ("stuck", "stuck"), ("checked", "checked")] {
            let more = if plan == "checked" { json!({"parameters": {"size": 1}}) } else { json!({}) };
            b.check("an order", &format!("PUT {id}"), Some(b.order(plan, more)), (201, "")).await;
        }
        let small = |more| b.bind_body("small", more);
        let (readable, one) = b.ids("readable/one");
        let (recorded, large) = b.ids("large");
        for (what, line, body, status, says) in [
            ("UPD-21", "PATCH none", small(json!({})), 404, "does not exist"),
            ("UPD-01", "PATCH i", json!({}), 400, "service_id"),
            ("UPD-01 empty", "PATCH i", json!({"service_id": ""}), 400, "service_id"),
            ("UPD-01 another", "PATCH i", json!({"service_id": readable}), 400, "service_id"),
            ("UPD-02 unknown", "PATCH i", small(json!({"plan_id": "x"})), 400, "plan"),
            ("UPD-02 of another offering", "PATCH i", small(json!({"plan_id": one})), 400, "plan"),
            ("UPD-02 empty", "PATCH i", small(json!({"plan_id": ""})), 400, "plan_id"),
            ("parameters", "PATCH i", small(json!({"parameters": []})), 400, "parameters"),
            ("UPD-05", "PATCH stuck", b.bind_body("large", json!({})), 422, "PlanChangeNotSupported"),
            ("UPD-09", "PATCH i", small(json!({"maintenance_info": {"version": "2.0.0"}})), 422, "MaintenanceInfoConflict"),
            ("UPD-09 of the plan before", "PATCH i",
             b.bind_body("large", json!({"maintenance_info": {"version": "1.2.0"}})), 422, "MaintenanceInfoConflict"),
            ("schema", "PATCH checked", b.bind_body("checked", json!({"parameters": {"size": "x"}})), 400, "/size"),
        ] {
            b.check(what, line, Some(body), (status, says)).await;
        }
        assert_eq!(b.recorder.count("update"), 0, "none of it went on");

        // UPD-03: absent, null and empty are three things to the backend.
        for (parameters, sent) in [(json!({}), Some(json!({}))), (json!({"a": 99.0}), Some(json!({"a": 99.0})))] {
            b.check("parameters", "PATCH i", Some(small(json!({"parameters": parameters}))), (200, "{}")).await;
            assert_eq!(b.recorder.last("update").json().get("parameters").cloned(), sent);
        }
        let previous = json!({"plan_id": b.ids("small").1, "service_id": recorded, "organization_id": "o", "space_id": "s",
            "maintenance_info": {"version": "1.2.0"}});
        let more = json!({"previous_values": previous, "maintenance_info": {"version": "2.0.0"}, "x-unknown": [99.0]});
        b.check("UPD-07", "PATCH i", Some(b.bind_body("large", more)), (200, "")).await;
        let sent = b.recorder.last("update");
        let body = sent.json();
        assert_eq!((&body["service_id"], &body["plan_id"]), (&json!("b-recorded"), &json!("b-large")));
        assert_eq!(body["previous_values"]["plan_id"], "b-small");
        assert_eq!(body["previous_values"]["service_id"], "b-recorded");
        assert_eq!(body["previous_values"]["organization_id"], "o");
        assert!(body.get("parameters").is_none(), "UPD-04: nothing is sent that nobody said");
        assert!(sent.text().contains(r#""x-unknown":[99.0]"#), "{}", sent.text());
        b.check("DEP-01 the plan before", &format!("DELETE i?{}", b.query("small")), None, (400, "plan_id")).await;
        b.check("a plan by its id alone", "PATCH i", Some(json!({"service_id": recorded, "plan_id": large})), (200, ""))
            .await;
        b.check("stuck, same plan", "PATCH stuck", Some(b.bind_body("stuck", json!({"parameters": {"x": 1}}))), (200, ""))
            .await;
    })
    .await;
}

#[tokio::test]
async fn upd_06_a_context_alone_goes_only_to_who_takes_it() {
    on_both(async |b| {
        b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
        b.check("an order", "PUT r", Some(b.order("readable/one", json!({}))), (201, "")).await;
        let (recorded, _) = b.ids("small");
        let (readable, _) = b.ids("readable/one");
        let renamed = json!({"platform": "cloudfoundry", "instance_name": "renamed"});
        let only = |service: &str| Some(json!({"service_id": service, "context": renamed, "previous_values": {}}));
        b.check("absorbed", "PATCH i", only(&recorded), (200, "{}")).await;
        let same_plan = b.bind_body("small", json!({"context": renamed}));
        b.check("rule 18: with the plan that it has", "PATCH i", Some(same_plan), (200, "{}")).await;
        assert_eq!(b.recorder.count("update"), 0);
        b.check("forwarded", "PATCH r", only(&readable), (200, "{}")).await;
        let sent = b.recorder.last("update").json();
        assert_eq!(sent["context"]["instance_name"], "renamed");
        assert!(sent.get("plan_id").is_none() && sent.get("parameters").is_none(), "{sent}");
        b.check(
            "a change later carries it",
            "PATCH i",
            Some(b.bind_body("small", json!({"parameters": {"x": 1}}))),
            (200, ""),
        )
        .await;
        assert_eq!(b.recorder.last("update").json()["context"]["instance_name"], "renamed");
    })
    .await;
}

#[tokio::test]
async fn upd_11_while_a_change_runs_the_instance_is_busy() {
    on_both(async |b| {
        for id in ["i", "r"] {
            let plan = if id == "i" { "small" } else { "readable/one" };
            b.check("an order", &format!("PUT {id}"), Some(b.order(plan, json!({}))), (201, "")).await;
        }
        b.check("a binding", "PUT i/service_bindings/b", Some(b.bind_body("small", json!({}))), (201, "")).await;
        b.recorder.say("update", 202, &json!({"operation": "u-1"}));
        b.recorder.say("last_operation", 200, &json!({"state": "in progress"}));
        let change = || Some(b.bind_body("large", json!({"parameters": {"x": 1}})));
        let first = b.check("UPD-11", "PATCH i?accepts_incomplete=true", change(), (202, "operation")).await;
        let operation = first.json()["operation"].as_str().expect("an operation").to_owned();
        let (query, large) = (b.query("small"), b.query("large"));
        let other = || Some(b.bind_body("small", json!({"parameters": {"y": 1}})));
        for (what, line, body, status, says) in [
            ("the same", "PATCH i?accepts_incomplete=true".to_owned(), change(), 202, operation.as_str()),
            ("another", "PATCH i?accepts_incomplete=true".into(), other(), 422, "ConcurrencyError"),
            ("GSI-05", "GET i".into(), None, 422, "ConcurrencyError"),
            ("DEP-07", format!("DELETE i?{query}&accepts_incomplete=true"), None, 422, "ConcurrencyError"),
            ("not yet its plan", format!("DELETE i?{large}"), None, 400, "plan_id"),
            (
                "CON-03",
                "PUT i/service_bindings/c".into(),
                Some(b.bind_body("small", json!({}))),
                422,
                "ConcurrencyError",
            ),
            ("UNB-06", format!("DELETE i/service_bindings/b?{query}"), None, 422, "ConcurrencyError"),
            ("it is there", "PUT i".into(), Some(b.order("small", json!({}))), 200, ""),
            ("LOI-01", format!("GET i/last_operation?{query}&operation={operation}"), None, 200, "in progress"),
        ] {
            b.check(what, &line, body, (status, says)).await;
        }
        assert_eq!(b.recorder.count("update"), 1);
        b.recorder.usual("last_operation");
        assert_eq!(b.outcome("i").await, "succeeded");
        b.check("the new plan", "GET i", None, (200, &b.ids("large").1)).await;

        b.recorder.say(
            "last_operation",
            200,
            &json!({"state": "failed", "description": "no room", "instance_usable": true, "update_repeatable": false}),
        );
        b.check("one that fails", "PATCH i?accepts_incomplete=true", other(), (202, "operation")).await;
        assert_eq!(b.outcome("i").await, "failed");
        let told = b.check("LOI-10", "GET i/last_operation", None, (200, "no room")).await.json();
        assert_eq!((&told["instance_usable"], &told["update_repeatable"]), (&json!(true), &json!(false)));
        b.check("UPD-17 nothing changed", "GET i", None, (200, &b.ids("large").1)).await;
        let stands: Value = b.order("large", json!({"parameters": {"x": 1}}));
        b.check("UPD-17 nothing changed", "PUT i", Some(stands), (200, "")).await;
    })
    .await;
}
