//! The server's rules, over raw sockets: order of checks, statuses, headers, limits, mounts.

use std::sync::Arc;

use actix_web::{App, HttpServer, web};
use async_trait::async_trait;
use osb::server::{BasicAuth, Door, Head, Limits, Open, Running, Server};
use osb::*;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{INSTANCE, JSON, PROVISION, Scripted, Seen, assert_refused, raw, request, serve};

fn locked(broker: &Arc<Scripted>) -> Running {
    let broker: Arc<dyn ServiceBroker> = Arc::<Scripted>::clone(broker);
    let door = BasicAuth::new(broker, "user", "pass:word");
    Server::new(door).realm("a \"b\"").bind("127.0.0.1:0").unwrap()
}

/// "user:pass:word"
const CREDENTIALS: &str = "Authorization: Basic dXNlcjpwYXNzOndvcmQ=\r\n";

#[tokio::test]
async fn auth_02_amb_08_wrong_credentials_are_401_before_everything_else() {
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
async fn ver_02_03_04_amb_01_a_version_that_is_absent_empty_or_not_2_x_is_412_before_the_body() {
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
async fn what_is_too_large_is_refused_in_json() {
    let broker = Scripted::new();
    let broker_dyn: Arc<dyn ServiceBroker> = Arc::<Scripted>::clone(&broker);
    let limits = Limits { body_bytes: 100, path_bytes: 200, query_bytes: 50, header_bytes: 300, ..Limits::default() };
    let server = Server::new(Open::new(broker_dyn)).limits(limits).bind("127.0.0.1:0").unwrap();
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
async fn err_02_prv_14_upd_12_dep_09_words_that_are_empty_are_left_out_and_a_body_is_always_an_object() {
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
    assert!(TcpStream::connect(address).await.is_err());
}

/// Panics or never answers, where it is told so.
struct Capricious(Arc<Scripted>);

#[async_trait]
impl Door for Capricious {
    async fn open(&self, head: &Head<'_>) -> Result<Arc<dyn ServiceBroker>, Error> {
        assert_ne!(head.header("x-do"), Some("panic"), "as told");
        if head.header("x-do") == Some("hang") {
            std::future::pending::<()>().await;
        }
        Ok(Arc::<Scripted>::clone(&self.0))
    }
}

#[tokio::test]
async fn clients_that_go_away_and_doors_that_panic_do_not_stop_the_server() {
    let broker = Scripted::new();
    let server = Server::new(Capricious(Arc::clone(&broker))).bind("127.0.0.1:0").unwrap();
    let head = "GET /v2/catalog HTTP/1.1\r\nHost: x\r\nX-Broker-API-Version: 2.17\r\nX-Do: hang\r\n\r\n";
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        drop(stream);
        assert_eq!(request(server.address(), "GET /v2/catalog", "X-Do: panic\r\n", "").await.status, 500);
    }
    broker.reply(Ok(CatalogDocument::from(&Catalog::default())));
    assert_eq!(request(server.address(), "GET /v2/catalog", "", "").await.status, 200);
}
