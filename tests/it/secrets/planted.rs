//! Secrets to plant, and every form in which one could come out again.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What was planted, with what it is.
#[derive(Default)]
pub(super) struct Planted {
    secrets: Vec<(String, String)>,
}

impl Planted {
    /// A new secret, of characters that are written differently in JSON, URLs and Base64.
    pub(super) fn plant(&mut self, what: &str) -> String {
        let secret = format!("pl/nt+{}&=é\"{}", uuid::Uuid::new_v4().simple(), self.secrets.len());
        self.know(what, &secret);
        secret
    }

    /// A secret that came from elsewhere.
    pub(super) fn know(&mut self, what: &str, secret: &str) {
        self.secrets.push((what.to_owned(), secret.to_owned()));
    }

    /// An encryption key.
    pub(super) fn key(&mut self) -> String {
        let key = bourse::secret::Sealer::generate_key().expect("no key");
        self.know("the encryption key", &key);
        key
    }

    /// A webhook's secret, as Standard Webhooks write it.
    pub(super) fn webhook(&mut self) -> String {
        let bytes = uuid::Uuid::new_v4().simple().to_string();
        self.know("the webhook's secret, decoded", &bytes);
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        self.know("the webhook's secret", &text);
        format!("whsec_{text}")
    }

    /// Each secret that is found, with where.
    pub(super) fn found_in(&self, places: &[(String, Vec<u8>)]) -> Vec<String> {
        assert!(self.secrets.len() > 20, "few were planted");
        let mut found = Vec::new();
        for (what, secret) in &self.secrets {
            for (form, bytes) in forms(secret) {
                for (place, content) in places {
                    if let Some(at) = memchr(content, &bytes) {
                        let around = &content[at.saturating_sub(200)..(at + 60).min(content.len())];
                        found.push(format!("{what} ({form}) in {place}: {}", String::from_utf8_lossy(around)));
                    }
                }
            }
        }
        found
    }
}

/// As it is, as JSON in JSON, percent-encoded, and in Base64 wherever it begins in what was encoded.
fn forms(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let quoted = |text: &str| serde_json::to_string(text).expect("text").trim_matches('"').to_owned();
    let once = quoted(secret);
    let mut forms = vec![
        ("as it is", secret.as_bytes().to_vec()),
        ("as JSON", once.clone().into_bytes()),
        ("as JSON in JSON", quoted(&once).into_bytes()),
        ("percent-encoded", osb::wire::encode(secret).into_bytes()),
    ];
    for offset in 0..3 {
        let padded = [vec![0; offset], secret.as_bytes().to_vec()].concat();
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&padded);
            // The first and last characters also depend on what stands beside it.
            forms.push(("in Base64", encoded.as_bytes()[4..encoded.len() - 2].to_vec()));
        }
    }
    forms
}

fn memchr(content: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(step) = content.get(from..)?.iter().position(|byte| *byte == first) {
        let at = from + step;
        if content[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[test]
fn a_secret_is_found_in_each_form() {
    let mut planted = Planted::default();
    for _ in 0..21 {
        planted.plant("one of many");
    }
    let secret = planted.plant("the one");
    let json = serde_json::to_string(&secret).expect("text");
    for content in [
        format!("x{secret}y"),
        format!("{{\"a\":{json}}}"),
        serde_json::to_string(&json).expect("text"),
        format!("?a={}&b", osb::wire::encode(&secret)),
        STANDARD_NO_PAD.encode(format!("user:{secret}")),
        URL_SAFE_NO_PAD.encode(format!("u:{secret}:more")),
    ] {
        let found = planted.found_in(&[("here".into(), content.clone().into_bytes())]);
        assert!(!found.is_empty() && found[0].contains("the one"), "{content}: {found:?}");
    }
    assert_eq!(planted.found_in(&[("here".into(), b"pl/nt+".to_vec())]), Vec::<String>::new());
}
