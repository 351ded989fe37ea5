//! The client against servers that misbehave: what counts as not sent, what as unknown, and what it sends at all.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use osb::client::{BuildError, Credentials, EgressPolicy, Failure, TlsOptions, UnknownReason, encode};
use osb::*;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::backend::{
    SHORT, assert_not_sent, client, closed_port, header, impatient, ok, order, read_request, scripted, send, status,
};
use crate::support::{Scripted, serve};

#[tokio::test]
async fn a_refused_connection_is_certain_not_to_have_been_sent() {
    let client = client(closed_port().await);
    assert_not_sent(send(&client).await, "refused");
    let error = client.provision(&Call::default(), order()).await.unwrap_err();
    assert_eq!((error.status, error.retry_after_seconds), (503, Some(10)));
    assert!(!error.to_string().contains("127.0.0.1"));
}

#[tokio::test]
async fn a_tls_handshake_that_fails_or_never_ends_was_not_sent() {
    let (plain, mut requests) = scripted(&[]).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_address = silent.local_addr().unwrap();
    for address in [plain, silent_address] {
        let client = Client::builder(&format!("https://{address}")).connect_timeout(SHORT).build().unwrap();
        assert!(matches!(send(&client).await, Err(Failure::NotSent { .. })), "{address}");
    }
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn om_19_a_connection_that_closes_without_an_answer_is_unknown() {
    let (address, mut requests) = scripted(&["", "", ""]).await;
    let client = client(address);
    assert_eq!(send(&client).await, Err(Failure::Unknown { reason: UnknownReason::Dropped, error: None }));
    assert!(requests.recv().await.unwrap().starts_with("PUT "));
    assert!(requests.try_recv().is_err(), "it was sent twice");
    assert_eq!(client.provision(&Call::default(), order()).await.unwrap_err().status, 502);
}

#[tokio::test]
async fn om_19_silence_is_unknown() {
    let (address, _requests) = scripted(&[]).await;
    let client = impatient(address);
    assert_eq!(send(&client).await, Err(Failure::Unknown { reason: UnknownReason::Timeout, error: None }));
    assert_eq!(client.provision(&Call::default(), order()).await.unwrap_err().status, 504);
}

#[tokio::test]
async fn half_an_answer_is_unknown() {
    let half_body = "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{";
    let half_head = "HTTP/1.1 201 Cre";
    let no_http = "hello\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(listener.local_addr().unwrap());
    for text in [half_body, half_head, no_http] {
        let (result, ()) = tokio::join!(send(&client), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
        });
        assert_eq!(result, Err(Failure::Unknown { reason: UnknownReason::Dropped, error: None }), "{text}");
    }
    let (address, _requests) = scripted(&[half_body]).await;
    let slow = impatient(address);
    assert_eq!(send(&slow).await, Err(Failure::Unknown { reason: UnknownReason::Timeout, error: None }));
}

#[tokio::test]
async fn a_put_on_a_pooled_connection_that_closes_is_never_sent_twice() {
    let first = ok("{}");
    for _ in 0..20 {
        let (address, mut requests) = scripted(&[&first, "", &first]).await;
        let client = client(address);
        assert_eq!(send(&client).await.unwrap().status, 200);
        // The same connection is used again, takes the request and closes.
        assert_eq!(send(&client).await, Err(Failure::Unknown { reason: UnknownReason::Dropped, error: None }));
        requests.recv().await.unwrap();
        requests.recv().await.unwrap();
        assert!(requests.try_recv().is_err(), "it was sent twice");
    }
}

#[tokio::test]
async fn prv_16_a_redirect_is_not_followed_and_settles_nothing() {
    let (other, mut elsewhere) = scripted(&[]).await;
    let redirect = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{other}/\r\nContent-Length: 0\r\n\r\n");
    let (address, _requests) = scripted(&[&redirect, &redirect]).await;
    let client = client(address);
    assert_eq!(send(&client).await.unwrap().status, 307);
    assert_eq!(client.provision(&Call::default(), order()).await.unwrap_err().status, 502);
    assert!(elsewhere.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_larger_than_the_limit_is_unknown() {
    let announced = ok(&" ".repeat(101));
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n{}\r\n0\r\n\r\n", " ".repeat(101));
    let fitting = ok(&" ".repeat(100));
    let (address, _requests) = scripted(&[&fitting, &announced, &chunked]).await;
    let client = Client::builder(&format!("http://{address}")).max_answer_bytes(100).build().unwrap();
    assert_eq!(send(&client).await.unwrap().body.len(), 100);
    for _ in 0..2 {
        assert_eq!(send(&client).await, Err(Failure::Unknown { reason: UnknownReason::TooLarge, error: None }));
    }
}

#[tokio::test]
async fn ver_01_rid_01_auth_01_ct_01_every_call_carries_version_identities_stamp_and_credentials() {
    let answer = ok("{}");
    let (address, mut requests) = scripted(&[&answer, &answer, &answer]).await;
    let credentials = Credentials::Basic { username: "user".into(), password: "pass:word".into() };
    let url = format!("http://{address}/brokers/one/");
    let client = Client::builder(&url).credentials(credentials).build().unwrap();
    assert_eq!(client.path_prefix(), "/brokers/one");
    let call = Call {
        originating_identity: Some(OriginatingIdentity("kubernetes e30=".into())),
        request_identity: Some("r-1".into()),
        traceparent: Some("t-1".into()),
        stamp: Some("a.b.c".into()),
        ..Call::default()
    };
    client.send(&call, &WireRequest::from(&order())).await.unwrap();
    let request = requests.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("PUT /brokers/one/v2/service_instances/i HTTP/1.1\r\n"), "{head}");
    for (name, value) in [
        ("x-broker-api-version", "2.17"),
        ("x-broker-api-originating-identity", "kubernetes e30="),
        ("x-broker-api-request-identity", "r-1"),
        ("traceparent", "t-1"),
        ("x-bourse-stamp", "a.b.c"),
        ("authorization", "Basic dXNlcjpwYXNzOndvcmQ="),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("user-agent", concat!("bourse-osb/", env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(header(head, name), Some(value), "{name}");
    }
    assert_eq!(body, r#"{"service_id":"s","plan_id":"p","organization_guid":"o","space_guid":"sp"}"#);

    // Without a call's own, a request identity is made; without a body there is no content type.
    client.send(&Call::default(), &encode::catalog()).await.unwrap();
    let request = requests.recv().await.unwrap();
    assert_eq!(header(&request, "x-broker-api-request-identity").map(str::len), Some(36));
    for name in ["content-type", "x-bourse-stamp", "traceparent", "x-broker-api-originating-identity"] {
        assert_eq!(header(&request, name), None);
    }
    let call = Call { request_identity: Some("a\r\nb".into()), ..Call::default() };
    assert_not_sent(client.send(&call, &encode::catalog()).await, "x-broker-api-request-identity");
}

#[tokio::test]
async fn ver_05_the_configured_version_goes_before_the_calls_own() {
    let answer = ok("{}");
    let (address, mut requests) = scripted(&[&answer, &answer]).await;
    let call = Call { api_version: Some("2.14".into()), ..Call::default() };
    let url = format!("http://{address}");
    let plain = Client::builder(&url).build().unwrap();
    let configured = Client::builder(&url).api_version("2.13").build().unwrap();
    for (client, version) in [(plain, "2.14"), (configured, "2.13")] {
        client.send(&call, &encode::catalog()).await.unwrap();
        assert_eq!(header(&requests.recv().await.unwrap(), "x-broker-api-version"), Some(version));
    }
}

#[tokio::test]
async fn url_01_a_path_that_would_arrive_otherwise_is_not_sent() {
    let (address, mut requests) = scripted(&[]).await;
    let client = client(address);
    for path in
        ["/v2/service_instances/..", "/v2/service_instances/%2e%2E", "/v2/a#b", "/v2/a b", "v2", "/v2/a\\b", "@evil/v2"]
    {
        let request = WireRequest { method: "GET".into(), path_and_query: path.into(), body: bytes::Bytes::new() };
        assert_not_sent(client.send(&Call::default(), &request).await, "exactly");
    }
    assert!(requests.try_recv().is_err());
}

/// Refuses everything, or all but loopback by IPv4.
struct Policy(fn(IpAddr) -> bool);

impl EgressPolicy for Policy {
    fn permits(&self, ip: IpAddr) -> bool {
        (self.0)(ip)
    }
}

#[tokio::test]
async fn the_egress_policy_holds_for_literal_addresses_and_for_names() {
    let (address, mut requests) = scripted(&[&ok("{}")]).await;
    let nothing: Arc<dyn EgressPolicy> = Arc::new(Policy(|_| false));
    let all_but_ipv4_loopback: Arc<dyn EgressPolicy> = Arc::new(Policy(|ip| ip != IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let port = address.port();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433"] {
        let builder = Client::builder(&format!("http://{host}:{port}")).egress(Arc::clone(&all_but_ipv4_loopback));
        assert_eq!(builder.build().err(), Some(BuildError::Egress), "{host}");
    }
    let named = Client::builder(&format!("http://localhost:{port}")).egress(nothing).build().unwrap();
    assert_not_sent(send(&named).await, "egress");
    assert!(requests.try_recv().is_err());
    let loopback: Arc<dyn EgressPolicy> = Arc::new(Policy(|ip| ip.is_loopback()));
    let named = Client::builder(&format!("http://localhost:{port}")).egress(loopback).build().unwrap();
    assert_eq!(send(&named).await.unwrap().status, 200);
}

fn oauth(address: SocketAddr, token: SocketAddr) -> Client {
    let credentials = Credentials::OAuth2 {
        token_url: format!("http://{token}/token"),
        client_id: "id:1".into(),
        client_secret: "secret".into(),
        scope: Some("a b".into()),
    };
    Client::builder(&format!("http://{address}")).credentials(credentials).build().unwrap()
}

#[tokio::test]
async fn an_oauth2_token_is_fetched_once_kept_and_fetched_again_after_one_401() {
    let one = ok(r#"{"access_token":"one","token_type":"bearer","expires_in":3600}"#);
    let two = ok(r#"{"access_token":"two"}"#);
    let (token_address, mut tokens) = scripted(&[&one, &two]).await;
    let (good, refused) = (ok("{}"), status("401 Unauthorized"));
    let (address, mut requests) = scripted(&[&good, &good, &refused, &good, &good]).await;
    let client = oauth(address, token_address);
    for _ in 0..4 {
        assert_eq!(send(&client).await.unwrap().status, 200);
    }
    let mut bearers = Vec::new();
    while let Ok(request) = requests.try_recv() {
        bearers.push(header(&request, "authorization").unwrap().to_owned());
    }
    assert_eq!(bearers, ["Bearer one", "Bearer one", "Bearer one", "Bearer two", "Bearer two"]);
    let fetch = tokens.recv().await.unwrap();
    assert!(fetch.starts_with("POST /token ") && fetch.ends_with("\r\n\r\ngrant_type=client_credentials&scope=a%20b"));
    assert_eq!(header(&fetch, "authorization"), Some("Basic aWQlM0ExOnNlY3JldA=="), "id%3A1:secret");
    tokens.recv().await.unwrap();
    assert!(tokens.try_recv().is_err());
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let broken = [status("500 Oops"), ok("[]"), String::new()];
    let (token_address, _tokens) = scripted(&[&broken[0], &broken[1], &broken[2]]).await;
    let (address, mut requests) = scripted(&[]).await;
    let client = oauth(address, token_address);
    for _ in 0..3 {
        assert_not_sent(send(&client).await, "token");
    }
    assert_not_sent(send(&oauth(address, closed_port().await)).await, "token");
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn two_401_in_a_row_are_an_answer() {
    let token = ok(r#"{"access_token":"one"}"#);
    let (token_address, _tokens) = scripted(&[&token, &token]).await;
    let refused = status("401 Unauthorized");
    let (address, mut requests) = scripted(&[&refused, &refused, &refused]).await;
    assert_eq!(send(&oauth(address, token_address)).await.unwrap().status, 401);
    requests.recv().await.unwrap();
    requests.recv().await.unwrap();
    assert!(requests.try_recv().is_err());
}

#[test]
fn what_is_malformed_is_found_when_the_client_is_built() {
    for url in ["", "broker", "ftp://x/", "http://", "http://user:pw@host/", "http://h/?a=1", "http://h/#x"] {
        assert_eq!(Client::builder(url).build().err(), Some(BuildError::Url), "{url}");
    }
    let build = |tls| Client::builder("https://host").tls(tls).build().err();
    let tls = TlsOptions { ca_pem: Some("not pem".into()), ..Default::default() };
    assert_eq!(build(tls), Some(BuildError::Ca));
    let tls = TlsOptions { client_cert_pem: Some("x".into()), ..Default::default() };
    assert_eq!(build(tls), Some(BuildError::ClientCertificate));
    let proxied = Client::builder("http://host").proxy(Some("::".into())).build().err();
    assert_eq!(proxied, Some(BuildError::Proxy));
    let basic = Credentials::Basic { username: "a:b".into(), password: "x".into() };
    assert_eq!(Client::builder("http://host").credentials(basic).build().err(), Some(BuildError::Credentials));
}

#[test]
fn no_secret_shows_in_debug() {
    let secret = "hunter2";
    let basic = Credentials::Basic { username: "u".into(), password: secret.into() };
    let tls = TlsOptions { client_key_pem: Some(secret.into()), ..Default::default() };
    let client = Client::builder("http://host").credentials(basic.clone()).build().unwrap();
    let shown = format!("{basic:?} {:?} {tls:?} {client:?}", Credentials::Bearer { token: secret.into() });
    assert!(!shown.contains(secret), "{shown}");
}

#[tokio::test]
async fn many_calls_at_once_over_pooled_connections_all_arrive_once() {
    let broker = Scripted::new();
    let server = serve(&broker);
    let client = Client::builder(&server.url()).build().unwrap();
    for _ in 0..200 {
        broker.reply(Ok(Provisioned::Created(ProvisionResponse::default())));
    }
    let calls =
        (0..200).map(|n| {
            let client = client.clone();
            async move {
                client.provision(&Call::default(), ProvisionRequest { instance_id: n.to_string(), ..order() }).await
            }
        });
    for result in futures_util::future::join_all(calls).await {
        assert_eq!(result, Ok(Provisioned::Created(ProvisionResponse::default())));
    }
    assert_eq!(broker.count(), 200);
}
