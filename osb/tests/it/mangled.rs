//! Mangled input: whatever comes in, parsers answer with a verdict, and what they take in they give out unchanged. The
//! mangling is pseudo-random from a fixed seed, so that a failure can be seen again.

use osb::client::{Failure, UnknownReason, decode};
use osb::stamp::{Claims, Expected, Jwks, Signer, verify_with};
use osb::*;

use crate::support::{INSTANCE, Scripted, free, request, serve};

/// Xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(below).unwrap()).unwrap()
    }

    /// Changes, removes, doubles or inserts a few bytes.
    fn mangle(&mut self, text: &[u8]) -> Vec<u8> {
        const BYTES: &[u8] = b"{}[]\",:0-9eEtfn\\u%./ \0\xff";
        let mut bytes = text.to_vec();
        for _ in 0..=self.roll(3) {
            let place = self.roll(bytes.len());
            match self.roll(4) {
                0 => bytes[place] = BYTES[self.roll(BYTES.len())],
                1 if bytes.len() > 1 => drop(bytes.remove(place)),
                2 => bytes.insert(place, bytes[place]),
                _ => bytes.insert(place, BYTES[self.roll(BYTES.len())]),
            }
        }
        bytes
    }
}

const ROUNDS: usize = 20_000;

fn answer(status: u16, body: Vec<u8>) -> WireResponse {
    WireResponse { status, retry_after_seconds: None, etag: None, body: body.into() }
}

#[test]
fn a_mangled_answer_is_read_faithfully_or_is_garbage() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut full = free();
    full.extend(support_fields());
    let text = serde_json::to_vec(&full).unwrap();
    let (mut read, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        match decode::provision(&answer(201, dice.mangle(&text))) {
            Ok(Provisioned::Created(response)) => {
                let again = decode::provision(&answer(201, serde_json::to_vec(&response).unwrap()));
                assert_eq!(again, Ok(Provisioned::Created(response)));
                read += 1;
            }
            Err(Failure::Unknown { reason: UnknownReason::Garbage, error: None }) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}

fn support_fields() -> Object {
    crate::support::object(r#"{"dashboard_url":"https://d","operation":"op","metadata":{"labels":{"a":"b"}}}"#)
}

#[test]
fn a_mangled_stamp_is_never_let_through() {
    let mut dice = Dice(42);
    let signer = Signer::generate().unwrap();
    let wire = WireRequest { method: "GET".into(), path_and_query: "/v2/catalog".into(), body: bytes::Bytes::new() };
    let claims = Claims { iss: "i".into(), aud: "a".into(), ..Claims::for_request(&wire, "", 1000) };
    let stamp = signer.sign(&claims).unwrap();
    let expected = Expected { issuer: "i", audience: Some("a"), path_prefix: "" };
    let verify = |stamp: &str| verify_with(&Jwks::of([&signer]), stamp, &wire, expected, 1000);
    assert!(verify(&stamp).is_ok());
    for _ in 0..ROUNDS / 10 {
        let mangled = String::from_utf8_lossy(&dice.mangle(stamp.as_bytes())).into_owned();
        assert!(mangled == stamp || verify(&mangled).is_err(), "{mangled}");
    }
}

#[test]
fn a_mangled_catalog_has_findings_or_is_read_as_it_stands() {
    let mut dice = Dice(7);
    let text = br##"{"name":"db","id":"o","description":"d","bindable":true,"tags":["a"],"metadata":{"x":99.0},
        "plans":[{"id":"p","name":"small","description":"d","free":false,"maintenance_info":{"version":"1.0.0"},
        "schemas":{"service_instance":{"create":{"parameters":{"$schema":"s","$ref":"#/a"}}}}}]}"##;
    let mut read = 0;
    for _ in 0..ROUNDS {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(&dice.mangle(text)) else { continue };
        match catalog::validate_offering(&value, "/services/0") {
            (Some(offering), _) => {
                assert_eq!(serde_json::to_value(&offering).unwrap(), value);
                read += 1;
            }
            (None, findings) => assert!(findings.iter().any(|finding| finding.pointer.starts_with("/services/0"))),
        }
    }
    assert!(read > 100, "{read}");
}

#[tokio::test]
async fn mangled_paths_and_bodies_are_never_a_500() {
    let mut dice = Dice(99);
    let broker = Scripted::new();
    let server = serve(&broker);
    let body =
        br#"{"service_id":"s","plan_id":"p","organization_guid":"o","space_guid":"sp","parameters":{"a":[1,2.50]}}"#;
    for round in 0..300 {
        broker.reply(Ok(Provisioned::Created(ProvisionResponse::default())));
        let mangled = if round % 3 == 0 { body.to_vec() } else { dice.mangle(body) };
        let text = String::from_utf8_lossy(&mangled).into_owned();
        let path: String = String::from_utf8_lossy(&dice.mangle(b"a%2Fb%20c"))
            .chars()
            .filter(|c| c.is_ascii_graphic() && !"\"\\{}".contains(*c))
            .collect();
        let answer = request(server.address(), &format!("PUT {INSTANCE}{path}"), "", &text).await;
        assert!(matches!(answer.status, 201 | 400 | 404), "{} for {path} {text}", answer.status);
        if answer.status != 201 {
            broker.unreply();
        }
    }
    assert!(broker.count() > 20, "{}", broker.count());
}
