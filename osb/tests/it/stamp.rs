//! Stamps: what a verifier lets through, and everything that it doesn't.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use osb::stamp::{Claims, Expected, Jwks, Platform, Signer, Stamp, StampError, Tenant, Verifier, verify_with};
use osb::*;
use serde_json::{Value, json};

use crate::support::{Scripted, Seen, serve};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://bourse.example";
const EXPECTED: Expected<'_> = Expected { issuer: ISSUER, audience: Some("vnet-ipam"), path_prefix: "" };

fn request() -> WireRequest {
    WireRequest {
        method: "PUT".into(),
        path_and_query: "/v2/service_instances/a%2Fb?accepts_incomplete=true".into(),
        body: r#"{"service_id":"s"}"#.into(),
    }
}

fn claims(request: &WireRequest, prefix: &str, now: u64) -> Claims {
    Claims {
        iss: ISSUER.into(),
        aud: "vnet-ipam".into(),
        sub: "t-1".into(),
        inst: Some("i".into()),
        svc: Some("s".into()),
        tenant: Tenant {
            id: "t-1".into(),
            name: "retail".into(),
            groups: vec!["g".into()],
            labels: [("k".to_owned(), "v".to_owned())].into(),
            ..Tenant::default()
        },
        platform: Platform { id: "p".into(), name: "cf".into(), kind: "cloudfoundry".into() },
        ..Claims::for_request(request, prefix, now)
    }
}

fn verify(signer: &Signer, claims: &Claims) -> Result<Stamp, StampError> {
    let stamp = signer.sign(claims).unwrap();
    verify_with(&Jwks::of([signer]), &stamp, &request(), EXPECTED, NOW)
}

#[test]
fn a_stamp_tells_whom_the_call_is_for() {
    let signer = Signer::generate().unwrap();
    let claims = claims(&request(), "", NOW);
    let stamp = verify(&signer, &claims).unwrap();
    assert_eq!((stamp.tenant.name.as_str(), stamp.platform.kind.as_str()), ("retail", "cloudfoundry"));
    assert_eq!(stamp.into_claims(), claims);
}

#[test]
fn the_wire_form_is_that_of_the_contract() {
    let signer = Signer::generate().unwrap();
    let stamp = signer.sign(&claims(&request(), "/one", NOW)).unwrap();
    let parts: Vec<Value> = stamp
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts[0], json!({"alg": "EdDSA", "typ": "bourse-stamp+jwt", "kid": signer.kid()}));
    assert_eq!(parts[1]["htu"], "/one/v2/service_instances/a%2Fb?accepts_incomplete=true");
    assert_eq!((&parts[1]["htm"], &parts[1]["iat"], &parts[1]["exp"]), (&json!("PUT"), &json!(NOW), &json!(NOW + 300)));
    assert!(parts[1].get("bind").is_none());
    // SHA-256 of nothing.
    let empty = WireRequest { body: bytes::Bytes::new(), ..request() };
    assert_eq!(Claims::for_request(&empty, "", NOW).bh, "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
}

#[test]
fn rfc_8037_gives_the_key_its_thumbprint_and_the_private_half_is_not_published() {
    // Appendix A.1 and A.3, as PKCS#8 version 2.
    let secret = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let public = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    let pkcs8 = [
        b"\x30\x53\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".as_slice(),
        &secret,
        b"\xa1\x23\x03\x21\x00",
        &public,
    ]
    .concat();
    let signer = Signer::from_pkcs8(&pkcs8).unwrap();
    assert_eq!(signer.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let published = serde_json::to_value(Jwks::of([&signer])).unwrap();
    let expected = json!({"keys": [{
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "alg": "EdDSA", "use": "sig",
    }]});
    assert_eq!(published, expected);
    assert!(!format!("{signer:?}").contains("pkcs8"));
    assert_eq!(Signer::from_pkcs8(signer.to_pkcs8()).unwrap().kid(), signer.kid());
    assert_eq!(Signer::from_pkcs8(b"x").err(), Some(StampError::SigningKey));
}

#[track_caller]
fn check(change: impl FnOnce(&mut Claims), expected: StampError) {
    let mut claims = claims(&request(), "", NOW);
    change(&mut claims);
    assert_eq!(verify(&Signer::generate().unwrap(), &claims), Err(expected));
}

#[test]
fn a_stamp_for_anything_else_is_refused_by_name() {
    check(|claims| claims.iss = "https://other.example".into(), StampError::Issuer);
    check(|claims| claims.iss = String::new(), StampError::Issuer);
    check(|claims| claims.aud = "bastion".into(), StampError::Audience);
    check(|claims| claims.htm = "DELETE".into(), StampError::Method);
    check(|claims| claims.htu = "/v2/service_instances/other".into(), StampError::Target);
    check(|claims| claims.htu = "/v2/service_instances/a%2Fb".into(), StampError::Target);
    check(|claims| claims.htu = format!("/prefix{}", request().path_and_query), StampError::Target);
    check(|claims| claims.bh = Claims::default().bh, StampError::Body);
    check(|claims| claims.bh = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU".into(), StampError::Body);
}

#[test]
fn times_are_checked_with_a_minute_of_skew() {
    let at = |iat: u64| move |claims: &mut Claims| (claims.iat, claims.exp) = (iat, iat + 300);
    check(at(NOW - 361), StampError::Expired);
    check(at(NOW + 61), StampError::NotYetValid);
    check(|claims| claims.exp = claims.iat + 301, StampError::NotYetValid);
    check(|claims| claims.exp = claims.iat - 1, StampError::NotYetValid);
    check(|claims| (claims.iat, claims.exp) = (0, u64::MAX), StampError::NotYetValid);
    let signer = Signer::generate().unwrap();
    for iat in [NOW - 360, NOW - 300, NOW, NOW + 60] {
        assert!(verify(&signer, &claims(&request(), "", iat)).is_ok(), "{iat}");
    }
}

#[test]
fn what_is_tampered_with_or_signed_otherwise_is_refused() {
    let signer = Signer::generate().unwrap();
    let keys = Jwks::of([&signer]);
    let stamp = signer.sign(&claims(&request(), "", NOW)).unwrap();
    let parts: Vec<&str> = stamp.split('.').collect();
    let check = |stamp: &str, expected: StampError| {
        assert_eq!(verify_with(&keys, stamp, &request(), EXPECTED, NOW), Err(expected), "{stamp}");
    };
    let mut other = claims(&request(), "", NOW);
    other.tenant.name = "victim".into();
    let other = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&other).unwrap());
    check(&format!("{}.{other}.{}", parts[0], parts[2]), StampError::Signature);
    check(&format!("{}.{}.", parts[0], parts[1]), StampError::Signature);
    check(&format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([0; 64])), StampError::Signature);
    for text in ["", ".", "..", "a.b.c", &stamp.replace('.', ""), &format!("{stamp}=")] {
        check(text, StampError::Malformed);
    }
    check(&format!("{stamp}.{}", parts[2]), StampError::Signature);
    check(&"x".repeat(6 * 1024 + 1), StampError::TooLarge);

    let header = |value: Value| format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(value.to_string()), parts[1], parts[2]);
    let kid = signer.kid();
    for value in [
        json!({"alg": "none", "typ": "bourse-stamp+jwt", "kid": kid}),
        json!({"alg": "HS256", "typ": "bourse-stamp+jwt", "kid": kid}),
        json!({"alg": "EdDSA", "typ": "JWT", "kid": kid}),
        json!({"alg": "EdDSA", "typ": "bourse-stamp+jwt", "kid": kid, "crit": ["b64"]}),
    ] {
        check(&header(value), StampError::Kind);
    }
    check(&header(json!({"alg": "EdDSA", "typ": "bourse-stamp+jwt"})), StampError::Malformed);
    check(&header(json!({"alg": "EdDSA", "typ": "bourse-stamp+jwt", "kid": "other"})), StampError::UnknownKey);

    // Somebody else's key under the known id, and a key that is for something else.
    let forged = Signer::generate().unwrap().sign(&claims(&request(), "", NOW)).unwrap();
    let (_, rest) = forged.split_once('.').unwrap();
    check(&format!("{}.{rest}", parts[0]), StampError::Signature);
    let mut unfit = keys.clone();
    unfit.keys[0].usage = Some("enc".into());
    assert_eq!(verify_with(&unfit, &stamp, &request(), EXPECTED, NOW), Err(StampError::UnknownKey));
}

#[test]
fn a_prefix_that_a_proxy_cuts_off_is_part_of_what_was_signed() {
    let signer = Signer::generate().unwrap();
    let stamp = signer.sign(&claims(&request(), "/one", NOW)).unwrap();
    let verify = |path_prefix| {
        let expected = Expected { path_prefix, ..EXPECTED };
        verify_with(&Jwks::of([&signer]), &stamp, &request(), expected, NOW).map(|_| ())
    };
    assert_eq!(verify("/one"), Ok(()));
    for prefix in ["", "/on", "/one/", "/two"] {
        assert_eq!(verify(prefix), Err(StampError::Target), "{prefix}");
    }
}

#[test]
fn a_stamp_of_more_than_6_kib_is_not_made() {
    let mut claims = claims(&request(), "", NOW);
    claims.tenant.display_name = "x".repeat(6 * 1024);
    assert_eq!(Signer::generate().unwrap().sign(&claims), Err(StampError::TooLarge));
}

#[test]
fn every_stamp_error_is_a_401_without_host_names() {
    let error = Error::from(StampError::Keys("http://10.0.0.1/".into()));
    assert_eq!(error.status, 401);
    assert!(!error.to_string().contains("10.0.0.1"));
    assert_eq!(Error::from(StampError::Missing).description(), Some("the call carries no stamp"));
}

/// An issuer whose key set can change, and which counts how often it is asked.
struct Issuer {
    url: String,
    keys: Arc<std::sync::Mutex<Option<Jwks>>>,
    asked: Arc<AtomicUsize>,
    handle: ServerHandle,
}

impl Issuer {
    fn publishing<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> Self {
        let keys = Arc::new(std::sync::Mutex::new(Some(Jwks::of(signers))));
        let asked = Arc::new(AtomicUsize::new(0));
        let (served, counted) = (Arc::clone(&keys), Arc::clone(&asked));
        let server = HttpServer::new(move || {
            let (served, counted) = (Arc::clone(&served), Arc::clone(&counted));
            App::new().route(
                "/hub/.well-known/jwks.json",
                web::get().to(move || {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let keys = served.lock().unwrap().clone();
                    async move {
                        keys.map_or_else(
                            || HttpResponse::InternalServerError().finish(),
                            |keys| HttpResponse::Ok().json(keys),
                        )
                    }
                }),
            )
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let url = format!("http://{}/hub", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, keys, asked, handle }
    }

    fn publish(&self, keys: Option<Jwks>) {
        *self.keys.lock().unwrap() = keys;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn call(&self, signer: &Signer) -> Call {
        let now = clock::unix_now();
        let claims = Claims { iss: self.url.clone(), ..claims(&request(), "", now) };
        Call { stamp: Some(signer.sign(&claims).unwrap()), wire: Some(Arc::new(request())), ..Call::default() }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_when_the_issuer_rolls_over() {
    let (first, second) = (Signer::generate().unwrap(), Signer::generate().unwrap());
    let issuer = Issuer::publishing([&first]);
    let verifier = Verifier::from_jwks_url(&issuer.url, "vnet-ipam").fetch_interval(Duration::ZERO);
    for _ in 0..3 {
        assert_eq!(verifier.verify(&issuer.call(&first)).await.unwrap().tenant.name, "retail");
    }
    assert_eq!(issuer.asked(), 1);

    issuer.publish(Some(Jwks::of([&first, &second])));
    assert!(verifier.verify(&issuer.call(&second)).await.is_ok());
    assert!(verifier.verify(&issuer.call(&first)).await.is_ok());
    assert_eq!(issuer.asked(), 2);

    issuer.publish(Some(Jwks::of([&second])));
    let third = Signer::generate().unwrap();
    assert_eq!(verifier.verify(&issuer.call(&third)).await, Err(StampError::UnknownKey));
    assert_eq!(verifier.verify(&issuer.call(&first)).await, Err(StampError::UnknownKey), "retired");

    // A failing fetch leaves the known keys good.
    issuer.publish(None);
    assert_eq!(verifier.verify(&issuer.call(&third)).await, Err(StampError::UnknownKey));
    assert!(verifier.verify(&issuer.call(&second)).await.is_ok());
}

#[tokio::test]
async fn unknown_keys_do_not_make_a_verifier_fetch_without_end() {
    let (known, unknown) = (Signer::generate().unwrap(), Signer::generate().unwrap());
    let issuer = Issuer::publishing([&known]);
    let verifier = Verifier::from_jwks_url(format!("{}/.well-known/jwks.json", issuer.url), "vnet-ipam")
        .fetch_interval(Duration::from_secs(3600));
    let calls: Vec<Call> = (0..50).map(|_| issuer.call(&unknown)).collect();
    let results = futures_util::future::join_all(calls.iter().map(|call| verifier.verify(call))).await;
    assert!(results.into_iter().all(|result| result == Err(StampError::UnknownKey)));
    assert_eq!(issuer.asked(), 1);
    assert!(verifier.verify(&issuer.call(&known)).await.is_ok());
}

#[tokio::test]
async fn without_keys_nothing_is_let_through() {
    let signer = Signer::generate().unwrap();
    let issuer = Issuer::publishing([&signer]);
    issuer.publish(None);
    let verifier = Verifier::from_jwks_url(&issuer.url, "vnet-ipam").fetch_interval(Duration::ZERO);
    assert_eq!(verifier.verify(&issuer.call(&signer)).await, Err(StampError::Keys("status 500".into())));
    issuer.publish(Some(Jwks::of([&signer])));
    assert!(verifier.verify(&issuer.call(&signer)).await.is_ok());
    assert_eq!(verifier.verify(&Call::default()).await, Err(StampError::Missing));
    let call = Call { wire: None, ..issuer.call(&signer) };
    assert_eq!(verifier.verify(&call).await, Err(StampError::NoRequest));
    let unusable = Verifier::from_jwks_url("not a url", "x");
    assert!(matches!(unusable.check(), Err(StampError::Keys(_))));
    assert!(matches!(unusable.verify(&issuer.call(&signer)).await, Err(StampError::Keys(_))));
    assert!(Verifier::from_jwks_url(&issuer.url, "x").path_prefix("one").is_err());
}

#[tokio::test]
async fn a_stamp_made_from_a_stored_request_fits_what_arrives_at_the_broker() {
    let signer = Signer::generate().unwrap();
    let issuer = Issuer::publishing([&signer]);
    let verifier = Verifier::from_jwks_url(&issuer.url, "vnet-ipam").path_prefix("").unwrap();
    let broker = Scripted::new();
    let server = serve(&broker);
    let client = Client::builder(&format!("{}/", server.url())).build().unwrap();

    broker.reply(Ok(Unbound::Done(Object::new())));
    let unbind = UnbindRequest {
        instance_id: "a%2Fb ü".into(),
        binding_id: "b?".into(),
        service_id: "s&".into(),
        plan_id: "p+".into(),
        accepts_incomplete: true,
    };
    let stored = WireRequest::from(&unbind);
    let now = clock::unix_now();
    let claims = Claims { iss: issuer.url.clone(), ..claims(&stored, client.path_prefix(), now) };
    let call = Call { stamp: Some(signer.sign(&claims).unwrap()), ..Call::default() };
    assert_eq!(client.send(&call, &stored).await.unwrap().status, 200);

    let (call, seen) = broker.only_call();
    assert_eq!(seen, Seen::Unbind(unbind));
    assert_eq!(verifier.verify(&call).await.unwrap().into_claims(), claims);
}
