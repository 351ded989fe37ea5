//! Who comes in, and in which order that is decided.

use serde_json::json;

use crate::support::hub::Platform;
use crate::support::raw::{basic, send};

use super::on_both;

#[tokio::test]
async fn auth_02_amb_01_08_401_comes_first_then_412_then_the_rest() {
    on_both(async |b| {
        let (good, bad) = (basic(&b.platform), "Basic eDp5");
        let version = "X-Broker-API-Version: 2.17";
        let mut checked = 0;
        for (what, line, headers, body, status) in [
            ("no credentials, malformed body", "PUT /v2/service_instances/i", "".to_owned(), "{", 401),
            ("no credentials, no version", "GET /v2/catalog", "".to_owned(), "", 401),
            ("no credentials, no such path", "GET /v2/nothing", version.to_owned(), "", 401),
            ("no credentials, no such broker", "GET /brokers/none/v2/catalog", version.to_owned(), "", 401),
            ("wrong password", "GET /v2/catalog", format!("Authorization: {bad}\n{version}"), "", 401),
            ("another scheme", "GET /v2/catalog", format!("Authorization: Bearer x\n{version}"), "", 401),
            ("the administrator", "GET /v2/catalog", format!("Authorization: Basic YWRtaW46cHc=\n{version}"), "", 401),
            ("no version", "GET /v2/catalog", format!("Authorization: {good}"), "", 412),
            ("no version, malformed body", "PUT /v2/service_instances/i", format!("Authorization: {good}"), "{", 412),
            ("an empty one", "GET /v2/catalog", format!("Authorization: {good}\nX-Broker-API-Version:"), "", 412),
            ("version 3", "GET /v2/catalog", format!("Authorization: {good}\nX-Broker-API-Version: 3.0"), "", 412),
            ("version 1", "GET /v2/catalog", format!("Authorization: {good}\nX-Broker-API-Version: 1.17"), "", 412),
            ("no number", "GET /v2/catalog", format!("Authorization: {good}\nX-Broker-API-Version: 2.x"), "", 412),
            ("an older one", "GET /v2/catalog", format!("Authorization: {good}\nX-Broker-API-Version: 2.13"), "", 200),
            ("a newer one", "GET /v2/catalog", format!("Authorization: {good}\nX-Broker-API-Version: 2.99"), "", 200),
            ("malformed body", "PUT /v2/service_instances/i", format!("Authorization: {good}\n{version}"), "{", 400),
            ("no such path", "GET /v2/nothing", format!("Authorization: {good}\n{version}"), "", 404),
            ("no such method", "POST /v2/catalog", format!("Authorization: {good}\n{version}"), "{}", 405),
        ] {
            let head = format!("{line} HTTP/1.1\n{headers}\nX-Broker-API-Request-Identity: rid-{status}");
            let reply = send(&b.hub.url, &head, body).await;
            assert_eq!(reply.status, status, "{what}: {}", reply.text);
            assert_eq!(reply.header("x-broker-api-request-identity"), Some(format!("rid-{status}").as_str()), "{what}");
            assert_eq!(reply.header("www-authenticate").is_some(), status == 401, "{what}");
            checked += 1;
        }
        b.checked.fetch_add(checked, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(b.recorder.count("provision"), 0);
    })
    .await;
}

#[tokio::test]
async fn prv_01_url_01_amb_16_ids_that_no_path_can_carry_are_400_and_all_others_are_ids() {
    on_both(async |b| {
        let order = || Some(b.order("small", json!({})));
        let query = b.query("small");
        for id in [".", "..", "%2e", "%2E%2e", ".%2e"] {
            b.check("a dot as an id", &format!("PUT {id}"), order(), (400, "")).await;
            b.check("a dot as an id", &format!("DELETE {id}?{query}"), None, (400, "")).await;
            b.check("a dot as an id", &format!("GET {id}/last_operation"), None, (400, "")).await;
            b.check("a dot as a binding", &format!("PUT i/service_bindings/{id}"), order(), (400, "")).await;
        }
        assert_eq!(b.recorder.count("provision"), 0, "none of it went on");
        for id in ["no-uuid", "a%2Fb", "%25", "a%20b", "%C3%BC", "...", "a:b@c", "%2e%2fx", "UPPER", "upper"] {
            b.check("an id of any kind", &format!("PUT {id}"), order(), (201, "")).await;
            b.check("the same again", &format!("PUT {id}"), order(), (200, "")).await;
            let sent = b.recorder.last("provision").instance_id();
            assert!(sent.len() == 36 && !sent.contains('%'), "the broker gets an id of the hub: {sent}");
            b.check("and it goes", &format!("DELETE {id}?{query}"), None, (200, "{}")).await;
        }
        assert_eq!(b.recorder.count("provision"), 10);
    })
    .await;
}

#[tokio::test]
async fn auth_04_a_deleted_credential_is_401_at_once_and_another_platform_sees_nothing() {
    on_both(async |b| {
        let q = b.hub.platform("q", "other").await;
        let order = || Some(b.order("small", json!({})));
        b.check("ours", "PUT i", order(), (201, "")).await;
        let query = b.query("small");
        for (line, body, status) in [
            ("GET i".to_owned(), None, 404),
            ("GET i/last_operation".to_owned(), None, 404),
            (format!("DELETE i?{query}"), None, 410),
            ("PATCH i".to_owned(), Some(b.bind_body("small", json!({}))), 404),
            ("PUT i/service_bindings/b".to_owned(), Some(b.bind_body("small", json!({}))), 404),
            ("GET i/service_bindings/b".to_owned(), None, 404),
            (format!("DELETE i/service_bindings/b?{query}"), None, 410),
        ] {
            b.check_as(&q, "another platform sees nothing of it", &line, body, (status, "")).await;
        }
        let gone = Platform { password: "x".into(), ..q.clone() };
        assert_eq!(b.call_as(&gone, "GET /v2/catalog", None).await.status, 401);
        let path = format!("/api/v1/platforms/q/credentials/{}", q.username);
        assert_eq!(b.hub.admin(reqwest::Method::DELETE, &path, None).await.status, 204);
        assert_eq!(b.call_as(&q, "GET /v2/catalog", None).await.status, 401, "at once");
    })
    .await;
}
