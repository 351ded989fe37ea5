//! The server's rules, over raw sockets: order of checks, statuses, headers, odd paths and bodies.

use std::sync::Arc;

use actix_web::{App, HttpServer, web};
use async_trait::async_trait;
use osb::server::{BasicAuth, Door, Head, Limits, Running, Server};
use osb::*;
use serde_json::json;

use crate::support::{Answer, Scripted, Seen, raw, request, serve};

const INSTANCE: &str = "/v2/service_instances/i";
const BINDING: &str = "/v2/service_instances/i/service_bindings/b";
const PROVISION: &str = r#"{"service_id":"s","plan_id":"p","organization_guid":"o","space_guid":"sp"}"#;
const JSON: &str = "Content-Type: application/json\r\n";

fn locked(broker: &Arc<Scripted>) -> Running {
    let broker: Arc<dyn ServiceBroker> = Arc::<Scripted>::clone(broker);
    let door = BasicAuth::new(broker, "user", "pass:word");
    Server::new(door).realm("a \"b\"").bind("127.0.0.1:0").unwrap()
}

/// "user:pass:word"
const CREDENTIALS: &str = "Authorization: Basic dXNlcjpwYXNzOndvcmQ=\r\n";

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, word: &str) {
    assert_eq!(answer.status, status, "{}", answer.head);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.description().contains(word), "{:?} has no {word:?}", answer.description());
}

#[tokio::test]
async fn auth_02_wrong_credentials_are_401_before_everything_else() {
    let broker = Scripted::new();
    let server = locked(&broker);
    let wrong = [
        "",
        "Authorization: Basic dXNlcjp3cm9uZw==\r\n",
        "Authorization: Basic dXNlcjpwYXNz\r\n",
        "Authorization: Basic !\r\n",
        "Authorization: Bearer dXNlcjpwYXNzOndvcmQ=\r\n",
    ];
    let lines = [
        "GET /v2/catalog",
        "PUT /v2/service_instances/..",
        "POST /v2/catalog",
        "GET /v2/nothing",
        "GET /elsewhere",
        "DELETE /v2/service_instances/i",
    ];
    for headers in wrong {
        for line in lines {
            let text = format!(
                "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Type: text/plain\r\n\
                 X-Broker-API-Request-Identity: r-1\r\nContent-Length: 9999999\r\n\r\n{{"
            );
            let answer = raw(server.address(), text).await;
            assert_refused(&answer, 401, "credentials");
            assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"a b\""));
            assert_eq!(answer.header("x-broker-api-request-identity"), Some("r-1"));
        }
    }
    assert_eq!(broker.count(), 0);
}

#[tokio::test]
async fn auth_01_the_password_may_hold_a_colon() {
    let broker = Scripted::new();
    let server = locked(&broker);
    broker.reply(Ok(CatalogDocument::from(&Catalog::default())));
    let answer = request(server.address(), "GET /v2/catalog", CREDENTIALS, "").await;
    assert_eq!((answer.status, answer.json()), (200, json!({"services": []})));
}

#[tokio::test]
async fn ver_02_to_04_a_version_that_is_absent_empty_or_not_2_x_is_412_before_the_body() {
    let broker = Scripted::new();
    let server = serve(&broker);
    for version in ["", "X-Broker-API-Version:\r\n", "X-Broker-API-Version: 3.0\r\n", "X-Broker-API-Version: 2\r\n"] {
        for line in ["GET /v2/catalog", "PUT /v2/service_instances/i", "GET /v2/nothing"] {
            let text = format!(
                "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Broker-API-Request-Identity: r\r\n{version}\r\n"
            );
            let answer = raw(server.address(), text).await;
            assert_refused(&answer, 412, "X-Broker-API-Version");
            assert_eq!(answer.header("x-broker-api-request-identity"), Some("r"));
        }
    }
    assert_eq!(broker.count(), 0);
}

#[tokio::test]
async fn rid_02_the_request_identity_is_echoed_on_errors_of_every_kind() {
    let broker = Scripted::new();
    let server = serve(&broker);
    let identity = "X-Broker-API-Request-Identity: e26c\u{e9}\r\n";
    let check = |line: &'static str, body: &'static str, status: u16| {
        let address = server.address();
        async move {
            let answer = request(address, line, &format!("{identity}{JSON}"), body).await;
            assert_eq!(answer.status, status, "{line}");
            assert!(answer.head.contains("x-broker-api-request-identity: e26c\u{e9}"), "{}", answer.head);
        }
    };
    check("GET /v2/nothing", "", 404).await;
    check("GET /elsewhere", "", 404).await;
    check("POST /v2/catalog", "", 405).await;
    check("PUT /v2/service_instances/i", "{", 400).await;
    check("PUT /v2/service_instances/..", PROVISION, 400).await;
    // Nothing is scripted, so that the broker panics.
    check("PUT /v2/service_instances/i", PROVISION, 500).await;
}

#[tokio::test]
async fn a_broker_that_panics_is_a_500_and_the_server_goes_on() {
    let broker = Scripted::new();
    let server = serve(&broker);
    for _ in 0..5 {
        assert_refused(&request(server.address(), "GET /v2/catalog", "", "").await, 500, "unexpectedly");
    }
    broker.reply(Ok(CatalogDocument::from(&Catalog::default())));
    assert_eq!(request(server.address(), "GET /v2/catalog", "", "").await.status, 200);
}

#[tokio::test]
async fn err_02_wrong_paths_and_methods_are_answered_in_json() {
    let broker = Scripted::new();
    let server = serve(&broker);
    for path in [
        "/v2",
        "/v2/",
        "/v2/catalog/",
        "/v2/service_instances",
        "/v2/service_instances/i/x",
        "/v2x",
        "/v1/catalog",
        "/",
    ] {
        assert_refused(&request(server.address(), &format!("GET {path}"), "", "").await, 404, "no such path");
    }
    let answer = request(server.address(), "POST /v2/service_instances/i", "", "").await;
    assert_refused(&answer, 405, "PATCH");
    assert_eq!(answer.header("allow"), Some("GET, PUT, PATCH, DELETE"));
    for line in ["PATCH /v2/service_instances/i/service_bindings/b", "BREW /v2/catalog"] {
        assert_eq!(request(server.address(), line, "", "").await.status, 405, "{line}");
    }
    assert_eq!(broker.count(), 0);
}

#[tokio::test]
async fn url_01_ids_are_decoded_exactly_once() {
    let broker = Scripted::new();
    let server = serve(&broker);
    for (sent, id) in [
        ("a%2Fb%20c", "a/b c"),
        ("a%252Fb%2520c", "a%2Fb%20c"),
        ("%25252F", "%252F"),
        ("%C3%BC%F0%9F%98%80", "ü😀"),
        ("a+b", "a+b"),
        ("%2B%26%3D", "+&="),
        ("%2e%2e%2e", "..."),
        ("%61", "a"),
        ("%0A%00", "\n\0"),
        ("catalog", "catalog"),
    ] {
        broker.reply(Err::<LastOperation, _>(Error::gone()));
        let path = format!("/v2/service_instances/{sent}/service_bindings/{sent}/last_operation?operation={sent}");
        assert_eq!(request(server.address(), &format!("GET {path}"), "", "").await.status, 410, "{sent}");
        let (call, seen) = broker.only_call();
        let Seen::BindingOperation(seen) = seen else { panic!("{seen:?}") };
        assert_eq!((seen.instance_id.as_str(), seen.binding_id.as_str()), (id, id));
        assert_eq!(seen.operation, Some(id.replace("a+b", "a b")));
        assert_eq!(call.wire.unwrap().path_and_query, path);
    }
}

#[tokio::test]
async fn ids_that_are_empty_dots_or_no_utf_8_are_400() {
    let broker = Scripted::new();
    let server = serve(&broker);
    for id in ["", ".", "..", "%2e", "%2E%2e", "%ff", "%zz", "a%2"] {
        for path in [format!("/v2/service_instances/{id}"), format!("{INSTANCE}/service_bindings/{id}")] {
            let answer = request(server.address(), &format!("GET {path}"), "", "").await;
            assert_refused(&answer, 400, "_id");
        }
    }
    assert_eq!(broker.count(), 0);
}

#[tokio::test]
async fn prv_02_and_bnd_03_a_required_field_that_is_missing_null_empty_or_no_string_is_400_and_named() {
    let broker = Scripted::new();
    let server = serve(&broker);
    let whole = json!({"service_id": "s", "plan_id": "p", "organization_guid": "o", "space_guid": "sp"});
    let provision = format!("PUT {INSTANCE}");
    let update = format!("PATCH {INSTANCE}");
    let bind = format!("PUT {BINDING}");
    let required: [(&str, &[&str]); 3] = [
        (&provision, &["service_id", "plan_id", "organization_guid", "space_guid"]),
        (&update, &["service_id"]),
        (&bind, &["service_id", "plan_id"]),
    ];
    for (line, names) in required {
        for name in names {
            let mut missing = whole.clone();
            missing.as_object_mut().unwrap().remove(*name);
            assert_refused(&request(server.address(), line, JSON, &missing.to_string()).await, 400, name);
            for value in [json!(null), json!(""), json!(7), json!({}), json!([])] {
                let mut body = whole.clone();
                body[*name] = value;
                assert_refused(&request(server.address(), line, JSON, &body.to_string()).await, 400, name);
            }
        }
    }
    let objects: [(&str, &[&str]); 3] = [
        (&provision, &["context", "parameters", "maintenance_info"]),
        (&update, &["context", "parameters", "maintenance_info", "previous_values"]),
        (&bind, &["context", "parameters", "bind_resource"]),
    ];
    for (line, names) in objects {
        for name in names {
            for value in [json!([]), json!("{}"), json!(1), json!(true)] {
                let mut body = whole.clone();
                body[*name] = value;
                assert_refused(&request(server.address(), line, JSON, &body.to_string()).await, 400, name);
            }
        }
    }
    assert_eq!(broker.count(), 0);
}

#[tokio::test]
async fn rot_01_a_rotation_may_name_its_predecessor_alone() {
    let broker = Scripted::new();
    let server = serve(&broker);
    broker.reply(Ok(Bound::Created(BindResponse::default())));
    let line = format!("PUT {BINDING}");
    let answer = request(server.address(), &line, JSON, r#"{"predecessor_binding_id":"old"}"#).await;
    assert_eq!(answer.status, 201);
    let (_, Seen::Bind(seen)) = broker.only_call() else { panic!("no bind") };
    assert_eq!(seen.predecessor_binding_id, Maybe::Present("old".into()));
    for body in [r#"{"predecessor_binding_id":""}"#, r#"{"predecessor_binding_id":null}"#] {
        assert_refused(&request(server.address(), &line, JSON, body).await, 400, "_id");
    }
}

#[tokio::test]
async fn amb_11_empty_objects_and_nulls_are_fine_where_a_field_is_optional() {
    let broker = Scripted::new();
    let server = serve(&broker);
    broker.reply(Ok(Updated::Done(UpdateResponse::default())));
    let body = r#"{"service_id":"s","plan_id":null,"parameters":null,"maintenance_info":{},
                   "previous_values":{"maintenance_info":{}},"context":null}"#;
    let answer = request(server.address(), &format!("PATCH {INSTANCE}?accepts_incomplete=True"), "", body).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"{}".as_slice()));
    let (call, Seen::Update(seen)) = broker.only_call() else { panic!("no update") };
    assert_eq!((seen.plan_id, seen.parameters, seen.accepts_incomplete), (Maybe::Null, Maybe::Null, false));
    assert_eq!(call.wire.unwrap().body, body);
}

#[tokio::test]
async fn ct_02_other_or_several_content_types_and_broken_json_are_400() {
    let broker = Scripted::new();
    let server = serve(&broker);
    let line = format!("PUT {INSTANCE}");
    let several = "Content-Type: application/json\r\nContent-Type: application/json\r\n";
    for headers in ["Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n", several] {
        assert_refused(&request(server.address(), &line, headers, PROVISION).await, 400, "content type");
    }
    let deep = format!("{{\"parameters\":{}1{}}}", "[".repeat(70), "]".repeat(70));
    let twice = PROVISION.replace("\"plan_id\"", "\"service_id\":\"t\",\"plan_id\"");
    for (body, word) in [
        ("", "required"),
        ("{", "JSON"),
        ("[]", "object"),
        ("\u{feff}{}", "JSON"),
        (&deep, "deeper"),
        (&twice, "duplicate"),
    ] {
        assert_refused(&request(server.address(), &line, "", body).await, 400, word);
    }
    for headers in ["", "Content-Type: APPLICATION/JSON; charset=utf-8\r\n"] {
        broker.reply(Ok(Provisioned::Created(ProvisionResponse::default())));
        assert_eq!(request(server.address(), &line, headers, PROVISION).await.status, 201);
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_in_json() {
    let broker = Scripted::new();
    let broker_dyn: Arc<dyn ServiceBroker> = Arc::<Scripted>::clone(&broker);
    let limits = Limits { body_bytes: 100, path_bytes: 200, query_bytes: 50, header_bytes: 300, ..Limits::default() };
    let server = Server::new(osb::server::Open::new(broker_dyn)).limits(limits).bind("127.0.0.1:0").unwrap();
    let line = format!("PUT {INSTANCE}");
    assert_refused(&request(server.address(), &line, JSON, &" ".repeat(101)).await, 413, "100 bytes");
    let chunk = format!("65\r\n{}\r\n0\r\n\r\n", " ".repeat(101));
    let text = format!(
        "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Broker-API-Version: 2.17\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
    );
    assert_refused(&raw(server.address(), text).await, 413, "100 bytes");
    let long = format!("GET /v2/service_instances/{}", "x".repeat(200));
    assert_refused(&request(server.address(), &long, "", "").await, 414, "longer");
    let long = format!("GET {INSTANCE}?service_id={}", "x".repeat(50));
    assert_refused(&request(server.address(), &long, "", "").await, 414, "longer");
    let headers = format!("X-Other: {}\r\n", "x".repeat(300));
    assert_refused(&request(server.address(), "GET /v2/catalog", &headers, "").await, 431, "headers");
    assert_eq!(broker.count(), 0);
}

#[tokio::test]
async fn unb_01_and_dep_01_a_delete_needs_both_ids_in_its_query_and_ignores_a_body() {
    let broker = Scripted::new();
    let server = serve(&broker);
    for path in [INSTANCE, BINDING] {
        for (query, name) in [
            ("", "service_id"),
            ("?service_id=s", "plan_id"),
            ("?service_id=&plan_id=p", "service_id"),
            ("?service_id=s&plan_id=", "plan_id"),
        ] {
            let body = r#"{"service_id":"s","plan_id":"p"}"#;
            assert_refused(&request(server.address(), &format!("DELETE {path}{query}"), JSON, body).await, 400, name);
        }
    }
    broker.reply(Ok(Unbound::Done(Object::new())));
    let line = format!("DELETE {BINDING}?service_id=s&service_id=t&plan_id=p&accepts_incomplete=true");
    let answer = request(server.address(), &line, "Content-Type: text/plain\r\n", "not json").await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"{}".as_slice()));
    let (_, Seen::Unbind(seen)) = broker.only_call() else { panic!("no unbind") };
    assert_eq!((seen.service_id.as_str(), seen.accepts_incomplete), ("s", true), "AMB-10");
}

#[tokio::test]
async fn amb_14_an_empty_operation_counts_as_absent() {
    let broker = Scripted::new();
    let server = serve(&broker);
    broker.reply(Ok(LastOperation {
        retry_after_seconds: Some(9),
        ..LastOperation::new(OperationState::InProgress, "")
    }));
    let line = format!("GET {INSTANCE}/last_operation?operation=&service_id=");
    let answer = request(server.address(), &line, "", "").await;
    assert_eq!((answer.status, answer.json()), (200, json!({"state": "in progress"})));
    assert_eq!(answer.header("retry-after"), Some("9"));
    let (_, Seen::InstanceOperation(seen)) = broker.only_call() else { panic!("no poll") };
    assert_eq!((seen.operation, seen.service_id), (None, None));
}

#[tokio::test]
async fn oid_02_a_malformed_originating_identity_is_400_and_a_lenient_one_travels_verbatim() {
    let broker = Scripted::new();
    let server = serve(&broker);
    for value in ["cloudfoundry", " e30=", "cloudfoundry ", "cloudfoundry !!!", "cloudfoundry e30= e30="] {
        let header = format!("X-Broker-API-Originating-Identity: {value}\r\n");
        let answer = request(server.address(), "GET /v2/catalog", &header, "").await;
        assert_refused(&answer, 400, "Originating-Identity");
    }
    for value in ["cloudfoundry eyJ1c2VyX2lkIjoiMSJ9", "kubernetes e30", "x e30="] {
        broker.reply(Ok(CatalogDocument::from(&Catalog::default())));
        let header = format!("X-Broker-API-Originating-Identity: {value}\r\n");
        assert_eq!(request(server.address(), "GET /v2/catalog", &header, "").await.status, 200, "{value}");
        assert_eq!(broker.only_call().0.originating_identity, Some(OriginatingIdentity(value.to_owned())));
    }
}

#[tokio::test]
async fn err_02_words_that_are_empty_are_left_out_and_a_body_is_always_an_object() {
    let broker = Scripted::new();
    let server = serve(&broker);
    let mut empty = Error::with(409, "", "");
    empty.retry_after_seconds = Some(4);
    for (error, status) in [(empty, 409), (Error::gone(), 410), (Error::new(200), 500), (Error::new(77), 500)] {
        broker.reply(Err::<CatalogDocument, _>(error));
        let answer = request(server.address(), "GET /v2/catalog", "", "").await;
        assert_eq!((answer.status, answer.body.as_slice()), (status, b"{}".as_slice()));
        assert_eq!(answer.header("retry-after"), (status == 409).then_some("4"));
    }
    let long = Provisioned::Accepted(ProvisionResponse {
        operation: Maybe::Present("x".repeat(10_001)),
        ..Default::default()
    });
    broker.reply(Ok(long));
    assert_refused(&request(server.address(), &format!("PUT {INSTANCE}"), "", PROVISION).await, 500, "10,000");
    broker.reply(Ok(Deprovisioned::Accepted(Accepted::operation(""))));
    let line = format!("DELETE {INSTANCE}?service_id=s&plan_id=p");
    let answer = request(server.address(), &line, "", "").await;
    assert_eq!((answer.status, answer.body.as_slice()), (202, b"{}".as_slice()));
}

#[tokio::test]
async fn cat_06_an_unchanged_catalog_is_304_without_a_body() {
    let broker = Scripted::new();
    let server = serve(&broker);
    let reply = || broker.reply(Ok(CatalogDocument::from(&Catalog::default())));
    reply();
    let answer = request(server.address(), "GET /v2/catalog", "", "").await;
    let etag = answer.header("etag").unwrap().to_owned();
    for (tags, status) in
        [(etag.clone(), 304), (format!("\"x\", W/{etag}"), 304), ("*".to_owned(), 304), ("\"x\"".to_owned(), 200)]
    {
        reply();
        let answer = request(server.address(), "GET /v2/catalog", &format!("If-None-Match: {tags}\r\n"), "").await;
        assert_eq!(answer.status, status, "{tags}");
        assert_eq!(answer.body.is_empty(), status == 304);
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
    }
}

/// Lets in only who asks for one particular broker.
struct ByName(Arc<Scripted>);

#[async_trait]
impl Door for ByName {
    async fn open(&self, head: &Head<'_>) -> Result<Arc<dyn ServiceBroker>, Error> {
        assert_eq!((head.method(), head.header("x-broker-api-version")), ("GET", Some("2.17")));
        match (head.param("broker"), head.bearer()) {
            (Some("a/b%20c"), Some("token")) => Ok(Arc::<Scripted>::clone(&self.0)),
            _ => Err(Error::unauthorized("not for you")),
        }
    }
}

#[tokio::test]
async fn a_mount_in_a_scope_hands_its_parameters_to_the_door_and_keeps_the_path_as_sent() {
    let broker = Scripted::new();
    let inner = Server::new(ByName(Arc::clone(&broker)));
    let server =
        HttpServer::new(move || App::new().service(web::scope("/brokers/{broker}").configure(inner.configure())))
            .workers(1)
            .disable_signals()
            .bind("127.0.0.1:0")
            .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let task = tokio::spawn(server);

    broker.reply(Ok(FetchInstanceResponse::default()));
    let path = "/brokers/a%2Fb%2520c/v2/service_instances/i%2F%61?plan_id=p";
    let token = "Authorization: bearer token\r\n";
    let answer = request(address, &format!("GET {path}"), token, "").await;
    assert_eq!(answer.status, 200, "{}", answer.head);
    let (call, Seen::FetchInstance(seen)) = broker.only_call() else { panic!("no fetch") };
    assert_eq!(seen.instance_id, "i/a");
    assert_eq!(call.wire.unwrap().path_and_query, path);
    assert_eq!(request(address, "GET /brokers/other/v2/catalog", token, "").await.status, 401);

    handle.stop(false).await;
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stopped_server_ends_and_can_be_awaited() {
    let broker = Scripted::new();
    let server = serve(&broker);
    let address = server.address();
    // An idle connection of a client doesn't hold it up.
    let client = Client::builder(&server.url()).build().unwrap();
    broker.reply(Ok(CatalogDocument::from(&Catalog::default())));
    client.catalog(&Call::default()).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(5), server.stop()).await.expect("stops in time");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
