//! The key that signs stamps, and the form in which its public half is published.
//!
//! A private key never appears in `Debug` nor in a key set. Where keys are stored and when they change is the hub's business.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::{ALGORITHM, Claims, MAX_BYTES, StampError, TYPE, base64url, sha256};

/// Signs stamps with one Ed25519 key.
pub struct Signer {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
    kid: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

impl Signer {
    /// A new key.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn generate() -> Result<Self, StampError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| StampError::SigningKey)?;
        Self::from_pkcs8(document.as_ref())
    }

    /// A key that was kept.
    ///
    /// # Errors
    /// Where the bytes are not an Ed25519 key in PKCS#8 with its public half.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, StampError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| StampError::SigningKey)?;
        let x = base64url(pair.public_key());
        // RFC 7638: the members that make up the key, in alphabetical order, without blanks.
        let kid = sha256(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#).as_bytes());
        Ok(Self { pair, pkcs8: pkcs8.to_vec(), kid })
    }

    /// The key to keep: secret.
    pub fn to_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The key's id: its thumbprint after RFC 7638.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half.
    pub fn jwk(&self) -> Jwk {
        Jwk {
            kty: "OKP".to_owned(),
            crv: Some("Ed25519".to_owned()),
            x: Some(base64url(self.pair.public_key())),
            kid: Some(self.kid.clone()),
            alg: Some(ALGORITHM.to_owned()),
            usage: Some("sig".to_owned()),
        }
    }

    /// A signature over other bytes than a stamp's, base64url. They must not be taken for a stamp: begin them with a word of their own.
    pub fn sign_bytes(&self, bytes: &[u8]) -> String {
        base64url(self.pair.sign(bytes))
    }

    /// The stamp for the header `X-Bourse-Stamp`.
    ///
    /// # Errors
    /// [`StampError::TooLarge`] where it would hold more than 6 KiB.
    pub fn sign(&self, claims: &Claims) -> Result<String, StampError> {
        let header = Header { alg: ALGORITHM, typ: TYPE, kid: &self.kid };
        let header = serde_json::to_vec(&header).map_err(|_| StampError::Malformed)?;
        let claims = serde_json::to_vec(claims).map_err(|_| StampError::Malformed)?;
        let signed = format!("{}.{}", base64url(header), base64url(claims));
        let signature = base64url(self.pair.sign(signed.as_bytes()));
        let stamp = format!("{signed}.{signature}");
        if stamp.len() > MAX_BYTES { Err(StampError::TooLarge) } else { Ok(stamp) }
    }
}

/// A set of public keys, as published under `/.well-known/jwks.json` (RFC 7517). Keys of other kinds are read and passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// A public key (RFC 7517, RFC 8037).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// The family; `OKP` is the only one that signs stamps.
    pub kty: String,
    /// The curve; `Ed25519` is the only one that signs stamps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// The key's bytes, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// The key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The algorithm it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// What it is for: `sig`.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
}

impl Jwks {
    /// The public halves of those signers: the one in use and the next one.
    pub fn of<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> Self {
        Self { keys: signers.into_iter().map(Signer::jwk).collect() }
    }

    /// Whether the key with that id has signed these bytes ([`Signer::sign_bytes`]).
    pub fn verifies(&self, kid: &str, bytes: &[u8], signature: &str) -> bool {
        let (Some(key), Some(signature)) = (self.public_key(kid), super::from_base64url(signature)) else {
            return false;
        };
        UnparsedPublicKey::new(&ED25519, key).verify(bytes, &signature).is_ok()
    }

    /// The bytes of the key with that id, if it is one that signs stamps.
    pub(super) fn public_key(&self, kid: &str) -> Option<Vec<u8>> {
        let key = self.keys.iter().find(|key| key.kid.as_deref() == Some(kid))?;
        let fits = key.kty == "OKP"
            && key.crv.as_deref() == Some("Ed25519")
            && key.usage.as_deref().is_none_or(|usage| usage == "sig")
            && key.alg.as_deref().is_none_or(|alg| alg == ALGORITHM);
        if fits { super::from_base64url(key.x.as_deref()?) } else { None }
    }
}
