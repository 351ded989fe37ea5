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
        // As text, since that is searched by code of the standard library, which is optimised in a test's build, too.
        let places: Vec<_> = places.iter().map(|(place, content)| (place, String::from_utf8_lossy(content))).collect();
        let mut found = Vec::new();
        for (what, secret) in &self.secrets {
            for (form, wanted) in forms(secret) {
                for (place, text) in &places {
                    if let Some((before, after)) = text.split_once(&wanted) {
                        let around: String = before.chars().skip(before.chars().count().saturating_sub(200)).collect();
                        let after: String = after.chars().take(60).collect();
                        found.push(format!("{what} ({form}) in {place}: {around}{wanted}{after}"));
                    }
                }
            }
        }
        found
    }
}

/// As it is, as JSON in JSON, percent-encoded, and in Base64 wherever it begins in what was encoded.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let quoted = |text: &str| serde_json::to_string(text).expect("text").trim_matches('"').to_owned();
    let once = quoted(secret);
    let mut forms = vec![
        ("as it is", secret.to_owned()),
        ("as JSON", once.clone()),
        ("as JSON in JSON", quoted(&once)),
        ("percent-encoded", osb::wire::encode(secret)),
    ];
    for offset in 0..3 {
        let padded = [vec![0; offset], secret.as_bytes().to_vec()].concat();
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&padded);
            // The first and last characters also depend on what stands beside it.
            forms.push(("in Base64", encoded[4..encoded.len() - 2].to_owned()));
        }
    }
    forms
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
        // Whatever stands around it, text or not.
        let bytes = [&[0xe2, 0xff], content.as_bytes(), &[0xc3]].concat();
        let found = planted.found_in(&[("here".into(), bytes)]);
        assert!(!found.is_empty() && found[0].contains("the one"), "{content}: {found:?}");
    }
    assert_eq!(planted.found_in(&[("here".into(), b"pl/nt+".to_vec())]), Vec::<String>::new());
}
