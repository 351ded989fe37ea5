//! What holds for every route of the management API: credentials first, problem documents, limits, pages, traces.

use bourse::http::routes::{API, Permission, ROUTES};
use serde_json::{Value, json};

use crate::support::management::{Answer, Hub, on_both, send};

/// A path of the table with something in place of its names.
fn path(pattern: &str) -> String {
    pattern.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_every_route_asks_for_credentials_before_it_reads_anything() {
    on_both(async |hub| {
        let platform = hub.call("POST", "/platforms", json!({ "name": "cf", "kind": "other" })).await.is(201);
        let username = platform["credentials"]["username"].as_str().expect("a name").to_owned();
        let password = platform["credentials"]["password"].as_str().expect("a password").to_owned();
        let closed: Vec<_> = ROUTES.iter().filter(|route| route.permission != Permission::Open).collect();
        assert!(closed.len() >= 12 && closed.iter().all(|route| route.path.starts_with(API)));
        for route in closed {
            let request = || {
                let path = format!("{}?limit=%FF&nonsense", path(route.path));
                hub.request(route.method.as_str(), &path).header("content-type", "application/json").body("{{{")
            };
            let name = format!("{} {}", route.method.as_str(), route.path);
            let unknown = send(request().bearer_auth("token")).await;
            unknown.refuses(401, "invalid_token");
            assert!(unknown.header("www-authenticate").contains("error=\"invalid_token\""), "{name}: {unknown:?}");
            for nobody in [
                request(),
                request().basic_auth("admin", Some("wrong")),
                request().basic_auth("nobody", Some("wrong")),
                request().header("authorization", "Basic !!!"),
            ] {
                let answer = send(nobody).await;
                answer.refuses(401, "unauthorized");
                assert!(answer.header("www-authenticate").starts_with("Basic "), "{name}: {answer:?}");
            }
            send(request().basic_auth(&username, Some(&password))).await.refuses(403, "forbidden");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_to_those_who_may_know() {
    on_both(async |hub| {
        send(hub.request("GET", "/api/v1/nothing")).await.refuses(401, "unauthorized");
        hub.get("/nothing").await.refuses(404, "no_such_path");
        send(hub.request("GET", "/nothing")).await.refuses(404, "no_such_path");
        let wrong = hub.call("POST", "/tenants", json!({})).await;
        wrong.refuses(405, "no_such_method");
        assert_eq!(wrong.header("allow"), "GET");
        send(hub.request("POST", "/healthz")).await.refuses(405, "no_such_method");
    })
    .await;
}

async fn put(hub: &Hub, body: impl Into<reqwest::Body>) -> Answer {
    send(hub.admin("PUT", "/api/v1/tenants/x").body(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_json_is_malformed_and_one_that_does_not_fit_is_invalid() {
    on_both(async |hub| {
        let deep = format!(r#"{{"display_name":"x","labels":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        for body in ["", "{", "{}}", "{\"display_name\":\"x\",}", "\u{feff}{}", "{\"unknown\":1,oops}", deep.as_str()] {
            let answer = put(hub, body.to_owned()).await;
            assert!(matches!(answer.status, 400 | 422), "{body}: {answer:?}");
            if body != deep {
                answer.refuses(400, "malformed");
            }
        }
        put(hub, vec![b'"', 0xff, b'"']).await.refuses(400, "malformed");
        put(hub, format!("{{\"x\":{}{}}}", "[".repeat(64), "]".repeat(64)).into_bytes())
            .await
            .refuses(400, "malformed");
        put(hub, format!("{{\"x\":{}{}}}", "[".repeat(63), "]".repeat(63)).into_bytes()).await.refuses(422, "invalid");
        for (body, pointer) in [
            ("[]", ""),
            (r#"{"display_name":7}"#, "/display_name"),
            (r#"{"display_name":"a","display_name":"b"}"#, "/display_name"),
            (r#"{"display_name":"a","x":{"y":[1]}}"#, "/x"),
        ] {
            let problem = put(hub, body).await.refuses(422, "invalid");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
        }
        hub.get("/tenants/x").await.refuses(404, "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_is_refused_whether_it_is_announced_or_not() {
    on_both(async |hub| {
        let large = vec![b' '; 1024 * 1024 + 1];
        put(hub, large.clone()).await.refuses(413, "too_large");
        let chunks = large.chunks(64 * 1024).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>();
        let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
        put(hub, stream).await.refuses(413, "too_large");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_bounded_and_cover_everything_once() {
    on_both(async |hub| {
        for name in ["a", "b", "c", "d", "e"] {
            hub.call("PUT", &format!("/tenants/{name}"), json!({ "display_name": name })).await.is(201);
        }
        let mut names = Vec::new();
        let mut cursor = String::new();
        for page in 0..3 {
            let answer = hub.get(&format!("/tenants?limit=2&cursor={cursor}")).await.is(200);
            let items = answer["items"].as_array().expect("items").clone();
            names.extend(items.iter().map(|item| item["name"].as_str().unwrap_or_default().to_owned()));
            assert_eq!(answer["next"].is_null(), page == 2);
            answer["next"].as_str().unwrap_or_default().clone_into(&mut cursor);
        }
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
        assert_eq!(hub.get("/tenants?limit=1000").await.is(200)["items"].as_array().map(Vec::len), Some(5));
        assert_eq!(hub.get("/tenants?limit=5").await.is(200)["next"], Value::Null, "nothing comes after the last");
        for outside in ["0", "1001"] {
            hub.get(&format!("/tenants?limit={outside}")).await.refuses(422, "invalid");
        }
        for nonsense in ["limit=x", "limit=-1", "cursor=!!", "limit=1&limit=2", "tenat=x"] {
            hub.get(&format!("/tenants?{nonsense}")).await.refuses(400, "malformed");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_names_its_request() {
    on_both(async |hub| {
        let ours = send(hub.request("GET", "/healthz")).await;
        assert_eq!(ours.header("x-request-id").len(), 36);
        let theirs = send(hub.request("GET", "/api/v1/tenants").header("x-request-id", "mine-1")).await;
        assert_eq!((theirs.status, theirs.header("x-request-id")), (401, "mine-1"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_changes_nothing_with_a_browsers_credentials() {
    on_both(async |hub| {
        let request = hub.admin("PUT", "/api/v1/tenants/x").header("sec-fetch-site", "cross-site");
        send(request.body(r#"{"display_name":"x"}"#)).await.refuses(403, "forbidden");
        hub.get("/tenants/x").await.refuses(404, "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_hub_says_so_without_credentials() {
    on_both(async |hub| {
        assert_eq!(send(hub.request("GET", "/healthz")).await.status, 200);
        let ready = send(hub.request("GET", "/readyz")).await.is(200);
        assert_eq!(ready, json!({ "status": "ready", "reasons": [] }));
    })
    .await;
}
