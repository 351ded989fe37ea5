//! eden, a client for the command line: names as ids, no context, no identity, empty and null fields, guids made up.

use serde_json::json;

use super::replay;

pub(super) const HEADERS: &str = "User-Agent: Go-http-client/1.1
    X-Broker-API-Version: 2.14
    Content-Type: application/json; charset=utf-8
    Accept-Encoding: gzip";

#[tokio::test]
async fn edens_requests_are_replayed() {
    replay("other", HEADERS, async |eden| {
        assert_eq!(eden.send("GET /v2/catalog", "").await.status, 200);
        let dashboard = json!({"dashboard_url": "https://dashboard.example/1"});
        let provision = r#"{"service_id":"{service}","plan_id":"{small}","organization_guid":"eden-unknown-guid",
            "space_guid":"eden-unknown-space","context":null,"parameters":null,"maintenance_info":null}"#;
        eden.check("PUT /v2/service_instances/my-db?accepts_incomplete=true", provision, 201, &dashboard).await;
        let seen = eden.received("provision").await.json();
        assert_eq!(seen["context"]["platform"], "other", "made where there is none, from the platform's kind");
        assert_eq!(seen["context"]["bourse"]["instance_id"], "my-db");
        assert!(seen["parameters"].is_null() && seen.get("maintenance_info").is_none_or(serde_json::Value::is_null));
        // The same with nothing in those places is the same order.
        let bare = r#"{"service_id":"{service}","plan_id":"{small}","organization_guid":"eden-unknown-guid",
            "space_guid":"eden-unknown-space","parameters":{}}"#;
        eden.check("PUT /v2/service_instances/my-db?accepts_incomplete=false", bare, 200, &dashboard).await;

        let bind = r#"{"service_id":"{service}","plan_id":"{small}","app_guid":"","bind_resource":null}"#;
        let credentials = json!({"credentials": {"password": "of-the-binding"}});
        let line = "PUT /v2/service_instances/my-db/service_bindings/my-db-creds";
        eden.check(line, bind, 201, &credentials).await;
        let seen = eden.received("bind").await;
        assert_ne!(seen.binding_id(), "my-db-creds");
        eden.check(line, bind, 200, &credentials).await;

        let update = r#"{"service_id":"{service}","plan_id":"{large}","parameters":{},"previous_values":{"plan_id":"{small}",
            "service_id":"","organization_id":"","space_id":""}}"#;
        eden.check("PATCH /v2/service_instances/my-db?accepts_incomplete=true", update, 200, &json!({})).await;
        assert_eq!(eden.received("update").await.json()["parameters"], json!({}));

        // It asks without knowing of any operation, and with what nobody gave it.
        for query in ["", "?operation=", "?operation=task:42", "?service_id=&plan_id=&operation="] {
            let reply = eden.send(&format!("GET /v2/service_instances/my-db/last_operation{query}"), "").await;
            assert_eq!((reply.status, &reply.json()["state"]), (200, &json!("succeeded")), "{query}: {}", reply.text);
        }
        let query = "service_id={service}&plan_id={large}";
        let line = format!("DELETE /v2/service_instances/my-db/service_bindings/my-db-creds?{query}");
        eden.check(&line, r#"{"service_id":"x","plan_id":"y"}"#, 200, &json!({})).await;
        assert!(eden.received("unbind").await.body.is_empty());
        let line = format!("DELETE /v2/service_instances/my-db?{query}&accepts_incomplete=true&accepts_incomplete=false");
        eden.check(&line, "", 200, &json!({})).await;
        assert!(eden.received("deprovision").await.target.contains("accepts_incomplete=true"), "the first counts");
        assert_eq!(eden.send(&line, "").await.status, 410);
        eden.check_all().await;
    })
    .await;
}
