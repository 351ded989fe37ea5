//! Stamps, good and bad, and what a verifier must make of them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use osb::stamp::{Claims, Signer};
use osb::{Call, WireRequest};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// The broker's name at the hub.
pub(super) const AUDIENCE: &str = "vnet-ipam";

const TARGET: &str = "/v2/service_instances/0198?accepts_incomplete=true";
const BODY: &str = r#"{"service_id":"s","plan_id":"p","context":{"name":"Zürich"}}"#;

/// One request with its stamp.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) expected: Expected,
    stamp: String,
    method: &'static str,
    target: &'static str,
    body: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    /// For the tenant with this name.
    AcceptedFor(&'static str),
    /// With a reason that holds one of these words.
    Refused(&'static [&'static str]),
}

impl Case {
    pub(super) fn to_json(&self) -> Value {
        let Self { name, stamp, method, target, body, expected: _ } = self;
        json!({"name": name, "stamp": stamp, "method": method, "target": target, "body": body})
    }

    /// The call as `osb::server` hands it to a broker.
    pub(super) fn to_call(&self) -> Call {
        Call {
            stamp: (!self.stamp.is_empty()).then(|| self.stamp.clone()),
            wire: Some(Arc::new(request(self.method, self.target, self.body))),
            ..Call::default()
        }
    }

    /// Fails the test unless `said` is what was expected of `verifier`.
    pub(super) fn check(&self, verifier: &str, said: &str) {
        let right = match self.expected {
            Expected::AcceptedFor(tenant) => said == format!("accepted for {tenant}"),
            Expected::Refused(words) => said.starts_with("refused: ") && words.iter().any(|word| said.contains(word)),
        };
        assert!(right, "{verifier}: {}: {said}, but {:?} was expected", self.name, self.expected);
    }
}

/// The hub's keys (one in use, one that follows, one in the hands of `osb`'s own signer), and one of a stranger.
pub(super) struct Keys {
    hub: Signer,
    current: Ed25519KeyPair,
    next: Ed25519KeyPair,
    stranger: Ed25519KeyPair,
}

impl Keys {
    pub(super) fn generate() -> Self {
        let key = || {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("no randomness");
            Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("its own format")
        };
        Self { hub: Signer::generate().expect("no randomness"), current: key(), next: key(), stranger: key() }
    }

    /// What the hub publishes. A key of another kind is passed over by readers.
    pub(super) fn published(&self) -> Value {
        let jwk = |kid: &str, key: &Ed25519KeyPair| json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": encode(key.public_key())});
        let foreign = json!({"kty": "oct", "kid": "foreign", "k": "c2VjcmV0"});
        json!({"keys": [foreign, jwk("current", &self.current), jwk("next", &self.next), self.hub.jwk()]})
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn header(kid: &str) -> Value {
    json!({"alg": "EdDSA", "typ": "bourse-stamp+jwt", "kid": kid})
}

fn claims(issuer: &str, method: &str, target: &str, body: &str) -> Value {
    let now = now();
    json!({
        "iss": issuer, "aud": AUDIENCE, "sub": "0198-retail", "jti": "0198-stamp", "iat": now, "exp": now + 300,
        "htm": method, "htu": target, "bh": encode(digest(&SHA256, body.as_bytes())),
        "inst": "0198", "svc": "s", "plan": "p",
        "tenant": {"id": "0198-retail", "name": "retail", "display_name": "Retail \"Zürich\"", "cost_center": "4711",
            "groups": [], "labels": {"size": "L"}},
        "platform": {"id": "0198-cf", "name": "cf", "kind": "cloudfoundry"},
    })
}

/// In seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the verifiers under test read the machine's clock")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn request(method: &str, target: &str, body: &'static str) -> WireRequest {
    let body = bytes::Bytes::from_static(body.as_bytes());
    WireRequest { method: method.to_owned(), path_and_query: target.to_owned(), body }
}

/// A stamp as the hub makes it.
fn sign_as_the_hub(keys: &Keys, issuer: &str) -> String {
    let tenant = osb::stamp::Tenant { id: "0198-retail".to_owned(), name: "retail".to_owned(), ..Default::default() };
    let claims = Claims {
        iss: issuer.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: tenant.id.clone(),
        tenant,
        ..Claims::for_request(&request("PUT", TARGET, BODY), "", now().unsigned_abs())
    };
    keys.hub.sign(&claims).expect("a stamp of the usual size")
}

/// A compact JWS of whatever is given.
fn sign(key: &Ed25519KeyPair, header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let signature = encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// Stamps that every verifier accepts, if it gets the keys.
pub(super) fn good(keys: &Keys, issuer: &str) -> Vec<Case> {
    let get = "/v2/service_instances/0198/last_operation?operation=a%2Fb&plan_id=p";
    let mut catalog = claims(issuer, "GET", "/v2/catalog", "");
    catalog["sub"] = json!("");
    catalog["tenant"] = json!({"id": "", "name": "nobody", "groups": [], "labels": {}});
    let put = claims(issuer, "PUT", TARGET, BODY);
    let accepted = |name: &str, tenant, stamp, (method, target, body)| {
        let expected = Expected::AcceptedFor(tenant);
        Case { name: name.to_owned(), expected, stamp, method, target, body }
    };
    vec![
        accepted("an order", "retail", sign(&keys.current, &header("current"), &put), ("PUT", TARGET, BODY)),
        accepted("the hub's own stamp", "retail", sign_as_the_hub(keys, issuer), ("PUT", TARGET, BODY)),
        accepted("the next key", "retail", sign(&keys.next, &header("next"), &put), ("PUT", TARGET, BODY)),
        accepted(
            "no body",
            "retail",
            sign(&keys.current, &header("current"), &claims(issuer, "GET", get, "")),
            ("GET", get, ""),
        ),
        accepted("no tenant", "nobody", sign(&keys.current, &header("current"), &catalog), ("GET", "/v2/catalog", "")),
    ]
}

/// All cases: the good ones, and each way to be bad.
pub(super) fn all(keys: &Keys, issuer: &str) -> Vec<Case> {
    let mut cases = good(keys, issuer);
    cases.extend(malformed(keys, issuer));
    cases.extend(wrong_claims(keys, issuer));
    cases.extend(other_requests(keys, issuer));
    cases
}

fn refused(name: impl Into<String>, words: &'static [&'static str], stamp: String) -> Case {
    let expected = Expected::Refused(words);
    Case { name: name.into(), expected, stamp, method: "PUT", target: TARGET, body: BODY }
}

/// Not a stamp, or not signed by the hub.
fn malformed(keys: &Keys, issuer: &str) -> Vec<Case> {
    let put = claims(issuer, "PUT", TARGET, BODY);
    let signed = |header: &Value| sign(&keys.current, header, &put);
    let with = |name: &str, value: &str| {
        let mut header = header("current");
        header[name] = json!(value);
        signed(&header)
    };
    let good = signed(&header("current"));
    let parts: Vec<&str> = good.split('.').collect();
    let mut forged = put.clone();
    forged["tenant"]["name"] = json!("victim");
    let none = json!({"alg": "none", "typ": "bourse-stamp+jwt", "kid": "current"});
    let hmac_key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, keys.current.public_key().as_ref());
    let hmac_head = encode(json!({"alg": "HS256", "typ": "bourse-stamp+jwt", "kid": "current"}).to_string());
    let hmac_tag = encode(ring::hmac::sign(&hmac_key, format!("{hmac_head}.{}", parts[1]).as_bytes()));
    let mut large = put.clone();
    large["tenant"]["labels"] = json!({"size": "L".repeat(6000)});
    let invalid: &[&str] = &["not valid", "malformed", "type"];
    let mut cases = vec![
        refused("missing", &["no stamp"], String::new()),
        refused("no token", &["not valid", "malformed"], "retail".to_owned()),
        refused("three empty parts", invalid, "..".to_owned()),
        refused("no JSON", invalid, format!("{}.{}.{}", encode("x"), parts[1], parts[2])),
        refused("JSON that is no object", invalid, format!("{}.{}.{}", encode("null"), parts[1], parts[2])),
        refused("unsigned", &["type"], format!("{}.{}.", encode(none.to_string()), parts[1])),
        refused("the public key as a shared secret", &["type"], format!("{hmac_head}.{}.{hmac_tag}", parts[1])),
        refused("another kind of token", &["type"], with("typ", "JWT")),
        refused("an extension", &["type", "crit"], with("crit", "exp")),
        refused("signature left out", &["signature"], format!("{}.{}.", parts[0], parts[1])),
        refused("claims altered", &["signature"], format!("{}.{}.{}", parts[0], encode(forged.to_string()), parts[2])),
        refused("a stranger's signature", &["signature"], sign(&keys.stranger, &header("current"), &put)),
        refused("signed with the other key", &["signature"], sign(&keys.next, &header("current"), &put)),
        refused("too large", &["too large", "larger"], sign(&keys.current, &header("current"), &large)),
        refused("a key of another kind", &["unknown", "not among"], with("kid", "foreign")),
    ];
    cases.extend((0..5).map(|number| {
        refused(format!("unknown key {number}"), &["unknown", "not among"], with("kid", &number.to_string()))
    }));
    cases
}

/// Signed by the hub, but not for this broker or not for now.
fn wrong_claims(keys: &Keys, issuer: &str) -> Vec<Case> {
    let put = claims(issuer, "PUT", TARGET, BODY);
    let now = put["iat"].as_i64().expect("seconds");
    let changed = |changes: &[(&str, Value)]| {
        let mut claims = put.clone();
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        sign(&keys.current, &header("current"), &claims)
    };
    let times = |iat: i64, exp: i64| changed(&[("iat", json!(now + iat)), ("exp", json!(now + exp))]);
    vec![
        refused("another hub", &["issuer"], changed(&[("iss", json!("https://elsewhere.example"))])),
        refused("another broker", &["audience", "another service broker"], changed(&[("aud", json!("bastion"))])),
        refused("expired", &["expired"], times(-400, -100)),
        refused("from the future", &["not yet valid", "times"], times(200, 500)),
        refused("good for too long", &["times"], times(0, 86_400)),
    ]
}

/// The hub's stamp for one request on another.
fn other_requests(keys: &Keys, issuer: &str) -> Vec<Case> {
    let stamp = sign(&keys.current, &header("current"), &claims(issuer, "PUT", TARGET, BODY));
    let other = |name: &str, words, method, target, body| Case {
        name: name.to_owned(),
        expected: Expected::Refused(words),
        stamp: stamp.clone(),
        method,
        target,
        body,
    };
    vec![
        other("another method", &["htm", "method"], "PATCH", TARGET, BODY),
        other("another path", &["htu", "path"], "PUT", "/v2/service_instances/0199?accepts_incomplete=true", BODY),
        other("another query", &["htu", "path"], "PUT", "/v2/service_instances/0198", BODY),
        other("body altered", &["bh", "body"], "PUT", TARGET, "{\"service_id\":\"s\"}"),
        other("body left out", &["bh", "body"], "PUT", TARGET, ""),
    ]
}
