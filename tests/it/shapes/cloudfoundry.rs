//! Cloud Controller: version 2.15, `maintenance_info`, `bind_resource`, service keys, renames.

use serde_json::json;

use super::replay;

const IDENTITY: &str = "cloudfoundry eyJ1c2VyX2lkIjoiNjgzZWE3NDgtMzA5Mi00ZmY0LWI2NTYtMzljYWNjNGQ1MzYwIn0=";
const REQUEST: &str = "e26cee84-6b38-4456-b34e-d1a9f002c956";
pub(super) const HEADERS: &str = "Accept: application/json
    User-Agent: HTTPClient/1.0 (2.8.3, ruby 3.2.2 (2023-03-30))
    X-Api-Info-Location: api.cf.example/v2/info
    X-Broker-Api-Version: 2.15
    X-Vcap-Request-Id: 1dd35cc5-6f59-4fd5-9a0d-3ef1ba0a6c27::a5c4b2e8
    X-Broker-Api-Request-Identity: e26cee84-6b38-4456-b34e-d1a9f002c956
    X-Broker-Api-Originating-Identity: cloudfoundry eyJ1c2VyX2lkIjoiNjgzZWE3NDgtMzA5Mi00ZmY0LWI2NTYtMzljYWNjNGQ1MzYwIn0=
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
    X-Bourse-Stamp: eyJhbGciOiJub25lIn0.e30.
    X-Bourse-Tenant: finance
    X-Bourse-Anything: else
    X-Forwarded-For: 10.1.2.3
    Proxy-Authorization: Basic eDp5
    TE: trailers
    Cookie: session=of-the-platform
    Content-Type: application/json";
const ID: &str = "48d3d5d7-3e35-4f3b-8a5b-2a1c7d7d0d11";

#[tokio::test]
async fn cloud_foundrys_requests_are_replayed() {
    replay("cloudfoundry", HEADERS, async |cf| {
        let catalog = cf.send("GET /v2/catalog", "").await;
        assert_eq!((catalog.status, catalog.header("x-broker-api-request-identity")), (200, Some(REQUEST)));

        // cf create-service, with a context that claims another tenant.
        cf.bench.recorder.say(
            "provision",
            201,
            &json!({"dashboard_url": "https://d.example/1", "metadata": {"labels": {"a": "b"}}, "x-answer": [99.0]}),
        );
        let made = cf
            .send(
                &format!("PUT /v2/service_instances/{ID}?accepts_incomplete=true"),
                r#"{"service_id":"{service}","plan_id":"{small}","organization_guid":"org-guid","space_guid":"space-guid",
                "maintenance_info":{},"x-sent":{"n":99.0,"big":12345678901234567890123},
                "context":{"platform":"cloudfoundry","organization_guid":"org-guid","space_guid":"space-guid",
                "organization_name":"org","space_name":"space","instance_name":"db","organization_annotations":{},
                "instance_annotations":{"x.example/y":"z"},"bourse":{"version":1,"tenant":{"name":"finance"}}},
                "parameters":{"size":99.0,"rate":1.50,"nested":{"bourse":"mine"}}}"#,
            )
            .await;
        assert_eq!(made.status, 201, "SYN-02: {}", made.text);
        assert!(made.text.contains(r#""x-answer":[99.0]"#), "EXT-02: {}", made.text);
        assert_eq!(made.json()["dashboard_url"], "https://d.example/1", "PRV-13");
        assert_eq!(made.json()["metadata"], json!({"labels": {"a": "b"}}), "PRV-15");
        assert_eq!(made.header("x-broker-api-request-identity"), Some(REQUEST), "RID-02");
        let seen = cf.received("provision").await;
        assert_eq!(seen.header("x-broker-api-originating-identity"), Some(IDENTITY), "OID-01 OID-04 OID-06 CF-05 word for word");
        assert_eq!(seen.header("x-broker-api-request-identity"), Some(REQUEST), "RID-04");
        let trace = seen.header("traceparent").expect("it continues");
        assert!(trace.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{trace}");
        let (body, text) = (seen.json(), seen.text());
        assert_eq!((&body["service_id"], &body["plan_id"]), (&json!("b-recorded"), &json!("b-small")));
        assert_eq!((&body["organization_guid"], &body["space_guid"]), (&json!("org-guid"), &json!("space-guid")), "PRV-03");
        assert_eq!(body["context"]["bourse"]["instance_id"], ID, "the platform's id is told");
        assert_eq!(body["context"]["instance_annotations"], json!({"x.example/y": "z"}));
        assert!(text.contains(r#""parameters":{"size":99.0,"rate":1.50,"nested":{"bourse":"mine"}}"#), "{text}");
        assert!(text.contains(r#""x-sent":{"n":99.0,"big":12345678901234567890123}"#), "{text}");
        assert!(text.contains(r#""maintenance_info":{}"#) && !text.contains("finance"), "{text}");
        assert!(seen.target.ends_with("?accepts_incomplete=true"), "{}", seen.target);
        let instance = seen.instance_id();
        assert_ne!(instance, ID);

        // A service key has an empty bind_resource; an application's binding has more.
        let line = format!("PUT /v2/service_instances/{ID}/service_bindings/key-1?accepts_incomplete=true");
        let key = r#"{"service_id":"{service}","plan_id":"{small}","bind_resource":{},
            "context":{"platform":"cloudfoundry","organization_guid":"org-guid","space_guid":"space-guid"}}"#;
        let credentials = json!({"credentials": {"password": "of-the-binding"}});
        cf.check(&line, key, 201, &credentials).await;
        let seen = cf.received("bind").await;
        assert_eq!((seen.json()["bind_resource"].clone(), seen.instance_id()), (json!({}), instance.clone()));
        cf.check(&line, key, 200, &credentials).await;
        let application = r#"{"service_id":"{service}","plan_id":"{small}","app_guid":"app-guid",
            "bind_resource":{"app_guid":"app-guid","space_guid":"space-guid","app_annotations":{}},
            "context":{"platform":"cloudfoundry","organization_guid":"org-guid","space_guid":"space-guid"}}"#;
        cf.check(&line, application, 409, &cf.send(&line, application).await.json()).await;
        let line = format!("PUT /v2/service_instances/{ID}/service_bindings/app-1");
        cf.check(&line, application, 201, &credentials).await;
        let seen = cf.received("bind").await.json();
        assert_eq!(seen["bind_resource"]["app_annotations"], json!({}), "BND-06 CF-06");
        assert_eq!(seen["app_guid"], "app-guid");
        let line = format!("GET /v2/service_instances/{ID}/service_bindings/app-1?service_id={{service}}&plan_id={{small}}");
        let fetched = cf.send(&line, "").await;
        assert_eq!((fetched.status, &fetched.json()["credentials"]), (200, &credentials["credentials"]));

        // cf rename-service, then cf update-service -p large --upgrade.
        let line = format!("PATCH /v2/service_instances/{ID}?accepts_incomplete=true");
        let renamed = r#"{"service_id":"{service}","plan_id":"{small}","previous_values":{},"context":
            {"platform":"cloudfoundry","organization_guid":"org-guid","space_guid":"space-guid","instance_name":"new"}}"#;
        cf.check(&line, renamed, 200, &json!({})).await;
        cf.bench.recorder.say("update", 202, &json!({"operation": "task/1?x=y z"}));
        cf.bench.recorder.say("last_operation", 200, &json!({"state": "in progress", "description": "10%"}));
        let upgraded = cf
            .send(
                &line,
                r#"{"service_id":"{service}","plan_id":"{large}","parameters":{"size":100.00},
                "previous_values":{"plan_id":"{small}","service_id":"{service}","organization_id":"org-guid",
                "space_id":"space-guid","maintenance_info":{"version":"1.2.0"}},"maintenance_info":{"version":"2.0.0"},
                "context":{"platform":"cloudfoundry","organization_guid":"org-guid","space_guid":"space-guid",
                "instance_name":"new"}}"#,
            )
            .await;
        assert_eq!(upgraded.status, 202, "{}", upgraded.text);
        let seen = cf.received("update").await;
        assert_eq!(seen.json()["previous_values"]["plan_id"], "b-small", "UPD-07");
        assert!(seen.text().contains(r#""size":100.00"#), "{}", seen.text());
        let operation = upgraded.json()["operation"].as_str().expect("an operation").to_owned();
        let poll = format!("GET /v2/service_instances/{ID}/last_operation?plan_id={{small}}&service_id={{service}}&operation=");
        let running = cf.send(&format!("{poll}{operation}"), "").await;
        assert_eq!((running.status, &running.json()["state"]), (200, &json!("in progress")));
        cf.bench.recorder.usual("last_operation");
        crate::support::wait::wait_until("the update is over", crate::support::hub::BOUND, async || {
            cf.send(&poll, "").await.json()["state"] == "succeeded"
        })
        .await;
        assert!(cf.received("last_operation").await.target.contains("operation=task%2F1%3Fx%3Dy%20z"));

        // cf unbind-service, cf delete-service-key, cf delete-service: Cloud Controller sorts the query.
        let query = "accepts_incomplete=true&plan_id={large}&service_id={service}";
        for binding in ["key-1", "app-1"] {
            let line = format!("DELETE /v2/service_instances/{ID}/service_bindings/{binding}?{query}");
            cf.check(&line, "", 200, &json!({})).await;
            assert!(cf.received("unbind").await.target.contains("plan_id=b-large"));
            assert_eq!(cf.send(&line, "").await.status, 410);
        }
        let line = format!("DELETE /v2/service_instances/{ID}?{query}");
        cf.check(&line, "{}", 200, &json!({})).await;
        let seen = cf.received("deprovision").await;
        assert!(seen.body.is_empty() && seen.instance_id() == instance, "{seen:?}");
        assert_eq!(seen.header("x-broker-api-originating-identity"), Some(IDENTITY));
        assert_eq!(cf.send(&line, "").await.status, 410);
        cf.check_all().await;
    })
    .await;
}
