//! Tenants come from verified stamps and from nowhere else.

use std::sync::Arc;

use actix_web::{App, HttpResponse, HttpServer, web};
use osb::client::Client;
use osb::kit::clock::Clock;
use osb::kit::stamped::{Stamped, Stamps};
use osb::server::{Open, Running, Server};
use osb::stamp::{Claims, Jwks, Signer, Tenant, Verifier};
use osb::{Call, Maybe, ProvisionRequest, WireRequest};
use serde_json::{Value, json};

use crate::support::{Ipam, object, order};

/// A hub's key set, published on loopback.
fn publish(signer: &Signer) -> (String, actix_web::dev::ServerHandle) {
    let keys = serde_json::to_value(Jwks::of([signer])).unwrap();
    let server = HttpServer::new(move || {
        let keys = keys.clone();
        let answer = move || std::future::ready(HttpResponse::Ok().json(&keys));
        App::new().route("/.well-known/jwks.json", web::get().to(answer))
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    drop(tokio::spawn(server));
    (issuer, handle)
}

async fn serve(ipam: &Ipam, stamps: Stamps) -> Running {
    let broker = Stamped::new(Arc::new(ipam.open(&[]).await), stamps);
    Server::new(Open::new(Arc::new(broker))).bind("127.0.0.1:0").unwrap()
}

fn forged(id: &str) -> ProvisionRequest {
    let context = json!({"platform": "x", "bourse": {"version": 1, "tenant": {"id": "forged", "name": "forged"}}});
    ProvisionRequest { context: Maybe::Present(object(context)), ..order(id, "small", Value::Null) }
}

fn stamp(signer: &Signer, issuer: &str, audience: &str, request: &WireRequest) -> Call {
    let tenant = Tenant { id: "t-1".into(), name: "retail".into(), ..Tenant::default() };
    let (iss, aud, sub) = (issuer.to_owned(), audience.to_owned(), tenant.id.clone());
    let now = u64::try_from(Clock::System.seconds()).unwrap();
    let claims = Claims { iss, aud, sub, tenant, ..Claims::for_request(request, "", now) };
    Call { stamp: Some(signer.sign(&claims).unwrap()), ..Call::default() }
}

/// Status and the tenant that the broker kept.
async fn provision(running: &Running, call: &Call, request: &ProvisionRequest) -> (u16, Value) {
    let client = Client::builder(&running.url()).build().unwrap();
    let answer = client.send(call, &WireRequest::from(request)).await.unwrap();
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    (answer.status, body["metadata"]["attributes"]["tenant"].clone())
}

#[tokio::test]
async fn without_an_issuer_nobody_can_say_who_a_network_is_for() {
    let ipam = Ipam::new();
    let running = serve(&ipam, Stamps::Ignored).await;
    assert_eq!(provision(&running, &Call::default(), &forged("a")).await, (201, Value::Null));
}

#[tokio::test]
async fn a_verified_stamp_decides_and_a_bad_one_is_refused() {
    let signer = Signer::generate().unwrap();
    let (issuer, keys) = publish(&signer);
    let ipam = Ipam::new();
    let running = serve(&ipam, Stamps::Verified(Verifier::from_jwks_url(&issuer, "ipam"))).await;
    let request = forged("a");
    let call = stamp(&signer, &issuer, "ipam", &WireRequest::from(&request));
    assert_eq!(provision(&running, &call, &request).await, (201, json!({"id": "t-1", "name": "retail"})));
    assert_eq!(provision(&running, &Call::default(), &forged("b")).await, (201, Value::Null), "no stamp, no tenant");
    let elsewhere = forged("c");
    let call = stamp(&signer, &issuer, "another-broker", &WireRequest::from(&elsewhere));
    assert_eq!(provision(&running, &call, &elsewhere).await.0, 401);
    let stranger = Signer::generate().unwrap();
    let call = stamp(&stranger, &issuer, "ipam", &WireRequest::from(&elsewhere));
    assert_eq!(provision(&running, &call, &elsewhere).await.0, 401);
    keys.stop(false).await;
}

#[tokio::test]
async fn where_stamps_are_required_a_call_without_one_is_refused() {
    let signer = Signer::generate().unwrap();
    let (issuer, keys) = publish(&signer);
    let ipam = Ipam::new();
    let running = serve(&ipam, Stamps::Required(Verifier::from_jwks_url(&issuer, "ipam"))).await;
    assert_eq!(provision(&running, &Call::default(), &forged("a")).await.0, 401);
    let request = forged("a");
    let call = stamp(&signer, &issuer, "ipam", &WireRequest::from(&request));
    assert_eq!(provision(&running, &call, &request).await.0, 201);
    keys.stop(false).await;
}
