//! Properties of what travels: whatever a request or an answer holds, it is read as it was written, at any place and of any
//! form; what isn't in order is refused rather than read as something else.
//!
//! The cases are drawn from a fixed seed. `PROPTEST_RNG_SEED` and `PROPTEST_CASES` give others.

use base64::Engine as _;
use osb::client::decode;
use osb::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

fn config(cases: u32) -> ProptestConfig {
    let given = ProptestConfig::default();
    let rng_seed = if given.rng_seed == RngSeed::Random { RngSeed::Fixed(22) } else { given.rng_seed };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { given.cases } else { cases };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..given }
}

/// A number as JSON writes it, of any size and scale. Only `-0` is none: from a value that was parsed before it is read as `0`.
fn number() -> impl Strategy<Value = Value> {
    "(0|-?[1-9][0-9]{0,30})(\\.[0-9]{1,12})?(e-?[1-9][0-9]{0,2})?"
        .prop_map(|text| serde_json::from_str(&text).expect("a number of JSON"))
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            fields(inner).prop_map(Value::Object),
        ]
    })
}

fn fields(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Object> {
    prop::collection::vec((any::<String>(), value), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn object() -> impl Strategy<Value = Value> {
    fields(json()).prop_map(Value::Object)
}

fn text() -> impl Strategy<Value = Value> {
    any::<String>().prop_map(Value::from)
}

/// A body of those fields, each absent, null or of its form, among others that OSB does not name.
fn body(named: Vec<(&'static str, BoxedStrategy<Value>)>) -> impl Strategy<Value = Value> {
    let named: Vec<_> = named
        .into_iter()
        .map(|(name, value)| {
            let value = prop_oneof![Just(None), Just(Some(Value::Null)), value.prop_map(Some)];
            value.prop_map(move |value| value.map(|value| (name.to_owned(), value)))
        })
        .collect();
    (named, fields(json())).prop_map(|(named, others)| {
        let others = others.into_iter().map(|(name, value)| (format!("x-{name}"), value));
        Value::Object(others.chain(named.into_iter().flatten()).collect::<Map<_, _>>())
    })
}

fn with(body: Value, required: &[&str]) -> Value {
    let Value::Object(mut body) = body else { return body };
    for name in required {
        body.insert((*name).to_owned(), format!("{name} of ours").into());
    }
    Value::Object(body)
}

/// What is read of it is written as it was; and so it is read from a value that was parsed before.
fn kept<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(value: &Value) -> Result<(), TestCaseError> {
    let text = value.to_string();
    let read: T = serde_json::from_str(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
    prop_assert_eq!(&serde_json::to_value(&read).unwrap(), value);
    let again: T = from_value(value).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
    prop_assert_eq!(again, read);
    Ok(())
}

fn requests() -> impl Strategy<Value = Value> {
    let maintenance = fields(json()).prop_map(|others| {
        let others = others.into_iter().map(|(name, value)| (format!("x-{name}"), value));
        Value::Object(others.chain([("version".to_owned(), "1.0.0".into())]).collect())
    });
    body(vec![
        ("context", object().boxed()),
        ("parameters", object().boxed()),
        ("maintenance_info", maintenance.boxed()),
        ("bind_resource", object().boxed()),
        ("predecessor_binding_id", text().boxed()),
        ("app_guid", text().boxed()),
    ])
}

fn answers() -> impl Strategy<Value = Value> {
    body(vec![
        ("dashboard_url", text().boxed()),
        ("operation", "[^\0]{1,20}".prop_map(Value::from).boxed()),
        ("metadata", object().boxed()),
        ("parameters", object().boxed()),
        ("credentials", object().boxed()),
        ("endpoints", prop::collection::vec(json(), 0..3).prop_map(Value::from).boxed()),
        ("route_service_url", text().boxed()),
    ])
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn url_01_any_text_is_one_segment_and_comes_back(text in any::<String>()) {
        let encoded = wire::encode(&text);
        prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
        prop_assert_eq!(wire::decode(&encoded), Some(text));
    }

    #[test]
    fn decoding_takes_only_whole_escapes_of_utf_8(text in "([a-z%]|%[0-9a-fA-F]{1,2}|ü){0,12}") {
        let whole = |rest: &str| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
        match wire::decode(&text) {
            Some(decoded) => prop_assert_eq!(wire::decode(&wire::encode(&decoded)), Some(decoded)),
            None => {
                let broken = text.split('%').skip(1).any(|rest| !whole(rest));
                prop_assert!(broken || text.contains('%'), "{} is refused", text);
            }
        }
    }

    #[test]
    fn requests_are_written_as_they_were_read(body in requests()) {
        kept::<ProvisionRequest>(&with(body.clone(), &["service_id", "plan_id", "organization_guid", "space_guid"]))?;
        kept::<UpdateRequest>(&with(body.clone(), &["service_id"]))?;
        kept::<BindRequest>(&body)?;
    }

    #[test]
    fn answers_are_written_as_they_were_read(body in answers(), retry_after_seconds in any::<Option<u64>>()) {
        kept::<ProvisionResponse>(&body)?;
        kept::<UpdateResponse>(&body)?;
        kept::<FetchInstanceResponse>(&body)?;
        kept::<FetchBindingResponse>(&body)?;
        kept::<BindResponse>(&body)?;
        let response = WireResponse { status: 202, retry_after_seconds, etag: None, body: body.to_string().into() };
        let Ok(Provisioned::Accepted(read)) = decode::provision(&response) else {
            return Err(TestCaseError::fail("not accepted"));
        };
        prop_assert_eq!(serde_json::to_value(&read).unwrap(), body);
    }

    #[test]
    fn any_status_and_any_body_has_one_verdict(status in any::<u16>(), body in prop_oneof![
        any::<Vec<u8>>(), json().prop_map(|json| json.to_string().into_bytes()),
    ]) {
        let response = WireResponse { status, retry_after_seconds: None, etag: None, body: body.into() };
        let success = matches!(status, 200..=202);
        prop_assert!(success || decode::provision(&response).is_err());
        prop_assert!(success || decode::bind(&response).is_err());
        prop_assert!(matches!(status, 200 | 202) || decode::deprovision(&response).is_err());
        prop_assert!(status == 200 || decode::last_operation(&response).is_err());
    }

    #[test]
    fn oid_02_an_identity_is_read_with_and_without_padding_in_both_alphabets(
        platform in "[a-z]{1,12}", bytes in prop::collection::vec(any::<u8>(), 1..40), blanks in " {1,3}",
    ) {
        use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            let identity = OriginatingIdentity(format!("{platform}{blanks}{}", engine.encode(&bytes)));
            prop_assert_eq!(identity.decoded(), Some(bytes.clone()));
            prop_assert_eq!(identity.platform(), Some(platform.as_str()));
        }
    }

    #[test]
    fn an_identity_of_any_form_is_read_or_not_without_a_panic(text in any::<String>()) {
        let identity = OriginatingIdentity(text.clone());
        prop_assert!(identity.decoded().is_none() || text.contains(' '));
        prop_assert!(identity.value().is_none() || identity.decoded().is_some());
    }
}
