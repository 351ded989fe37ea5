//! Small texts that others send in headers, paths and fields.

use bourse::config::parse_duration;
use bourse::domain::catalog::cloudfoundry::semantic_version;
use bourse::domain::identity::{Facts, Identity, MatchKey};
use osb::{OriginatingIdentity, wire};

/// Every parser of small texts reads it: what it takes stands for itself, in a form that is read the same again.
pub fn words(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let text = text.trim_end_matches('\n');
    encoding(text);
    identity(text);
    keys(text);
    if let Ok(duration) = parse_duration(text) {
        let again = parse_duration(&format!("PT{}.{:09}S", duration.as_secs(), duration.subsec_nanos()));
        assert!(again.is_err() || again == Ok(duration), "{text}: {duration:?} is read as {again:?}");
    }
    if semantic_version(text) {
        assert!(text.is_ascii() && text.split(['-', '+']).next().is_some_and(|core| core.matches('.').count() == 2));
    }
}

fn encoding(text: &str) {
    let encoded = wire::encode(text);
    assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{encoded}");
    assert_eq!(wire::decode(&encoded).as_deref(), Some(text));
    if let Some(decoded) = wire::decode(text) {
        assert_eq!(wire::decode(&wire::encode(&decoded)), Some(decoded));
    }
}

fn identity(text: &str) {
    let identity = OriginatingIdentity(text.to_owned());
    if identity.decoded().is_some() {
        let platform = identity.platform().expect("nothing is decoded without a platform");
        assert!(!platform.is_empty() && !platform.contains(' ') && text.starts_with(platform));
    }
    assert!(identity.value().is_none() || identity.decoded().is_some());
}

fn keys(text: &str) {
    if let Some(key) = MatchKey::parse(text) {
        assert_eq!(MatchKey::parse(&key.canonical()), Some(key));
    }
    if let Ok(identity) = serde_json::from_str::<Identity>(text)
        && let Ok(key) = identity.match_key()
    {
        assert_eq!(MatchKey::parse(&key.canonical()).as_ref(), Some(&key));
        let plain = Identity::from_key(identity.platform.clone(), key.clone());
        assert_eq!(plain.match_key().as_ref(), Ok(&key), "{identity:?} has another key as {plain:?}");
    }
    if let Ok(context) = serde_json::from_str::<osb::Object>(text)
        && let Ok(facts) = Facts::collect(Some(&context), "", "")
    {
        let primary = facts.primary();
        let found = facts.candidates(&[primary.shape()]);
        assert!(found.iter().all(|key| *key == primary), "{found:?} is not {primary:?}");
        // What a stamp alone may say is never claimed.
        assert!(facts.candidates(&["[]".to_owned()]).is_empty());
    }
}
