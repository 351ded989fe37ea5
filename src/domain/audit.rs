//! The chain of audit rows, as pure rules: the bytes that a row's hash is made of, and what a signed head says. The bytes are laid
//! down in docs/adr/0013-audit.md and never change: whoever kept a head must be able to compute it again.
//!
//! It reads no database and holds no key. Looking through a whole chain is [`verify`]'s business.

pub mod verify;

use osb::stamp::Jwks;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Time;

/// What the first row follows.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The fields of a row that its hash is not made of: the hash itself, and the one before, which stands in front.
const OUTSIDE: [&str; 2] = ["hash", "previous"];

/// The hash of a row: SHA-256 over the previous hash, a line feed, and the row in canonical JSON without `previous` and `hash`.
pub fn hash(previous: &str, row: &Value) -> String {
    let mut bytes = String::with_capacity(512);
    bytes.push_str(previous);
    bytes.push('\n');
    match row.as_object() {
        Some(fields) => object(fields.iter().filter(|(name, _)| !OUTSIDE.contains(&name.as_str())), &mut bytes),
        None => canonical(row, &mut bytes),
    }
    sha256(bytes.as_bytes())
}

/// SHA-256 in lowercase hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Canonical JSON: no blanks, names of each object in the order of their bytes, numbers as they are written, and in strings only
/// `"`, `\` and the characters below U+0020 escaped, as serde_json, Python's `json` and JavaScript do it.
fn canonical(value: &Value, into: &mut String) {
    match value {
        Value::Array(items) => {
            into.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                canonical(item, into);
            }
            into.push(']');
        }
        Value::Object(fields) => object(fields.iter(), into),
        scalar => into.push_str(&scalar.to_string()),
    }
}

fn object<'a>(fields: impl Iterator<Item = (&'a String, &'a Value)>, into: &mut String) {
    let mut fields: Vec<_> = fields.collect();
    fields.sort_unstable_by_key(|(name, _)| name.as_bytes());
    into.push('{');
    for (index, (name, value)) in fields.into_iter().enumerate() {
        if index > 0 {
            into.push(',');
        }
        canonical(&Value::String(name.clone()), into);
        into.push(':');
        canonical(value, into);
    }
    into.push('}');
}

/// What the hub said of its audit at a moment: how many rows there were, and the hash of the last one. Whoever keeps one can
/// tell later whether anything up to it was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the last row; 0 where there was none.
    pub position: i64,
    /// Its hash.
    pub hash: String,
    /// When this was said.
    pub at: Time,
    /// Ed25519 over [`Head::signed`], base64url.
    pub signature: String,
    /// Which key of `/.well-known/audit-keys.json` it was signed with.
    pub kid: String,
}

impl Head {
    /// The bytes that are signed.
    pub fn signed(position: i64, hash: &str, at: Time) -> String {
        format!("bourse-audit-head-v1\n{position}\n{hash}\n{at}\n")
    }

    /// Whether one of these keys has signed it.
    pub fn is_signed_by(&self, keys: &Jwks) -> bool {
        keys.verifies(&self.kid, Self::signed(self.position, &self.hash, self.at).as_bytes(), &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use osb::stamp::Signer;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_bytes_of_a_row_are_those_that_the_decision_lays_down() {
        let row =
            json!({ "b": [1, 2.50, null], "a": { "z": "\u{1f}\"\\/ü\n", "B": true }, "hash": "x", "previous": "y" });
        let mut bytes = String::new();
        let fields = row.as_object().unwrap();
        object(fields.iter().filter(|(name, _)| !OUTSIDE.contains(&name.as_str())), &mut bytes);
        assert_eq!(bytes, r#"{"a":{"B":true,"z":"\u001f\"\\/ü\n"},"b":[1,2.5,null]}"#);
        // `printf '%s\n%s' "$previous" "$row" | sha256sum`
        let row = json!({ "position": 1 });
        assert_eq!(hash(GENESIS, &row), "9fdc8409dca4aacca73664c6b2775939d1ac908b92010959b72ddd37dc8d4085");
    }

    #[test]
    fn numbers_keep_their_digits() {
        let row: Value = serde_json::from_str(r#"{"a":1.50,"b":123456789012345678901234567890}"#).unwrap();
        let mut bytes = String::new();
        canonical(&row, &mut bytes);
        assert_eq!(bytes, r#"{"a":1.50,"b":123456789012345678901234567890}"#);
    }

    #[test]
    fn a_head_is_signed_as_a_whole() {
        let signer = Signer::generate().unwrap();
        let at = Time(1_763_769_600_000_001);
        let signature = signer.sign_bytes(Head::signed(7, GENESIS, at).as_bytes());
        let head = Head { position: 7, hash: GENESIS.into(), at, signature, kid: signer.kid().to_owned() };
        let keys = Jwks::of([&signer]);
        assert!(head.is_signed_by(&keys));
        for other in [
            Head { position: 8, ..head.clone() },
            Head { hash: GENESIS.replace('0', "1"), ..head.clone() },
            Head { at: Time(at.0 + 1), ..head.clone() },
            Head { kid: "another".into(), ..head.clone() },
            Head { signature: String::new(), ..head.clone() },
        ] {
            assert!(!other.is_signed_by(&keys), "{other:?}");
        }
        assert!(!head.is_signed_by(&Jwks::of([&Signer::generate().unwrap()])));
    }
}
