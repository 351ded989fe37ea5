//! A stamp as a broker verifies it: a line with the stamp, an empty line, and a key set as published (RFC 7517).
//!
//! Keys are made anew in each process, so an input says `HEADER`, `CLAIMS`, `SIGNATURE`, `KEY` and `KID` for the parts of
//! a good stamp and the published key.

use std::sync::OnceLock;

use bytes::Bytes;
use osb::WireRequest;
use osb::stamp::{Claims, Expected, Jwks, Signer, verify_with};

use super::head_and_rest;

struct Good {
    parts: [String; 3],
    claims: Claims,
    key: String,
    kid: String,
    request: WireRequest,
}

const NOW: u64 = 1_000_000;

fn good() -> &'static Good {
    static GOOD: OnceLock<Good> = OnceLock::new();
    GOOD.get_or_init(|| {
        let signer = Signer::generate().expect("the system gives randomness");
        let request = WireRequest { method: "GET".into(), path_and_query: "/v2/catalog".into(), body: Bytes::new() };
        let claims = Claims { iss: "i".into(), aud: "a".into(), ..Claims::for_request(&request, "", NOW) };
        let stamp = signer.sign(&claims).expect("it is small");
        let mut parts = stamp.split('.').map(str::to_owned);
        let parts = [(); 3].map(|()| parts.next().expect("a stamp has three parts"));
        let jwk = signer.jwk();
        Good { parts, claims, key: jwk.x.unwrap_or_default(), kid: signer.kid().to_owned(), request }
    })
}

/// A stamp is let through only where it is the very one that was signed, with a key set that holds its key.
pub fn stamp(data: &[u8]) {
    let good = good();
    let text = String::from_utf8_lossy(data);
    let [header, claims, signature] = &good.parts;
    let (stamp, jwks) = head_and_rest(&text);
    let stamp = stamp.replace("HEADER", header).replace("CLAIMS", claims).replace("SIGNATURE", signature);
    let jwks = jwks.replace("KEY", &good.key).replace("KID", &good.kid);
    let keys = serde_json::from_str::<Jwks>(&jwks).unwrap_or_default();
    let expected = Expected { issuer: "i", audience: Some("a"), path_prefix: "" };
    let verify = |expected, now| verify_with(&keys, &stamp, &good.request, expected, now);
    let Ok(verified) = verify(expected, NOW) else { return };
    assert_eq!(*verified, good.claims);
    assert_eq!(stamp, good.parts.join("."));
    assert!(jwks.contains(&good.key), "verified without the key");
    assert!(verify(expected, NOW + 361).is_err(), "good for ever");
    assert!(verify(Expected { audience: Some("b"), ..expected }, NOW).is_err(), "good for another broker");
    let other = WireRequest { method: "PUT".into(), ..good.request.clone() };
    assert!(verify_with(&keys, &stamp, &other, expected, NOW).is_err(), "good for another request");
}
