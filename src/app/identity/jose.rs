//! Signed tokens (RFC 7515) and the keys that they are checked with (RFC 7517): the parts of a token, and whether its signature fits
//! a key. By *ring*, as all cryptography here; four algorithms, each with one kind of key.
//!
//! Invariant: the algorithm has to be one of those that the settings name, and the key of its kind: a public key is never taken for
//! a shared secret, and `none` signs nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::Algorithm;
use crate::domain::token::Refusal;

/// Keys of one provider that are looked at.
const KEYS_MAX: usize = 64;

/// The head of a token.
#[derive(Clone, Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// A token that was taken apart; nothing about it is believed yet.
#[derive(Debug)]
pub(super) struct Token<'a> {
    algorithm: Algorithm,
    /// Which key, where it says so.
    pub(super) kid: Option<String>,
    signed: &'a str,
    signature: Vec<u8>,
    claims: Vec<u8>,
}

/// A public key.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Key {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a document; those that can't be read are left out.
pub(super) fn keys(document: &Value) -> Option<Vec<Key>> {
    let listed = document.get("keys")?.as_array()?;
    let readable = listed.iter().take(KEYS_MAX).filter_map(|key| serde_json::from_value::<Key>(key.clone()).ok());
    Some(readable.filter(|key| key.usage.as_ref().is_none_or(|usage| usage == "sig")).collect())
}

/// Takes a token apart.
///
/// # Errors
/// [`Refusal`] where it is none, or of an algorithm or a kind that is not accepted.
pub(super) fn token<'a>(text: &'a str, accepted: &[Algorithm]) -> Result<Token<'a>, Refusal> {
    let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(Refusal::Malformed)?;
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed);
    let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| Refusal::Malformed)?;
    // What it asks to be understood isn't.
    if header.crit.is_some() {
        return Err(Refusal::Kind);
    }
    let kind = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    if !matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt") {
        return Err(Refusal::Kind);
    }
    let algorithm = accepted.iter().copied().find(|algorithm| algorithm.as_str() == header.alg);
    Ok(Token {
        algorithm: algorithm.ok_or(Refusal::Algorithm)?,
        kid: header.kid,
        signed,
        signature: decoded(signature)?,
        claims: decoded(claims)?,
    })
}

impl Token<'_> {
    /// What it says, where one of the keys signed it. Without the name of a key each that fits its algorithm may have.
    ///
    /// # Errors
    /// [`Refusal::Key`] where none of the keys is meant, [`Refusal::Signature`] where it was signed by another.
    pub(super) fn claims(&self, keys: &[Key]) -> Result<Map<String, Value>, Refusal> {
        let mut meant = keys.iter().filter(|key| self.means(key)).peekable();
        if meant.peek().is_none() {
            return Err(Refusal::Key);
        }
        if !meant.any(|key| self.signed_by(key)) {
            return Err(Refusal::Signature);
        }
        serde_json::from_slice(&self.claims).map_err(|_| Refusal::Malformed)
    }

    fn means(&self, key: &Key) -> bool {
        let (kty, crv) = match self.algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => ("RSA", None),
            Algorithm::Es256 => ("EC", Some("P-256")),
            Algorithm::EdDsa => ("OKP", Some("Ed25519")),
        };
        key.kty == kty
            && crv.is_none_or(|crv| key.crv.as_deref() == Some(crv))
            && key.alg.as_ref().is_none_or(|alg| alg == self.algorithm.as_str())
            && (self.kid.is_none() || self.kid == key.kid)
    }

    fn signed_by(&self, key: &Key) -> bool {
        let part = |part: &Option<String>| URL_SAFE_NO_PAD.decode(part.as_deref()?.trim_end_matches('=')).ok();
        let (message, signature) = (self.signed.as_bytes(), self.signature.as_slice());
        let rsa = |how| {
            let (Some(n), Some(e)) = (part(&key.n), part(&key.e)) else { return false };
            RsaPublicKeyComponents { n: &n, e: &e }.verify(how, message, signature).is_ok()
        };
        match self.algorithm {
            Algorithm::Rs256 => rsa(&RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Ps256 => rsa(&RSA_PSS_2048_8192_SHA256),
            Algorithm::Es256 => {
                let (Some(x), Some(y)) = (part(&key.x), part(&key.y)) else { return false };
                // An uncompressed point: SEC 1, section 2.3.3.
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                x.len() == 32
                    && y.len() == 32
                    && UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            Algorithm::EdDsa => {
                let Some(x) = part(&key.x) else { return false };
                UnparsedPublicKey::new(&ED25519, x).verify(message, signature).is_ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    const ALL: [Algorithm; 4] = [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa];

    fn encoded(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn signed(header: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let text = format!("{}.{}", encoded(header.to_string()), encoded(r#"{"sub":"ada"}"#));
        let signature = sign(text.as_bytes());
        format!("{text}.{}", encoded(signature))
    }

    fn ed25519() -> (Ed25519KeyPair, Value) {
        let pair =
            Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap();
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": encoded(pair.public_key()) });
        (pair, jwk)
    }

    fn check(text: &str, jwks: &[Value]) -> Result<(), Refusal> {
        token(text, &ALL)?.claims(&keys(&json!({ "keys": jwks })).unwrap()).map(drop)
    }

    #[test]
    fn a_signature_fits_its_own_key_only() {
        let ((pair, jwk), (_, other)) = (ed25519(), ed25519());
        let text = signed(&json!({ "alg": "EdDSA", "kid": "k" }), |bytes| pair.sign(bytes).as_ref().to_vec());
        assert_eq!(check(&text, std::slice::from_ref(&jwk)), Ok(()));
        assert_eq!(check(&text, std::slice::from_ref(&other)), Err(Refusal::Signature));
        let nameless = signed(&json!({ "alg": "EdDSA", "typ": "at+JWT" }), |bytes| pair.sign(bytes).as_ref().to_vec());
        assert_eq!(check(&nameless, &[other, jwk.clone()]), Ok(()), "either may be meant");
        let unknown = signed(&json!({ "alg": "EdDSA", "kid": "l" }), |bytes| pair.sign(bytes).as_ref().to_vec());
        assert_eq!(check(&unknown, &[jwk]), Err(Refusal::Key));
    }

    #[test]
    fn a_point_of_p_256_is_read_from_its_coordinates() {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y), "use": "sig" });
        let text = signed(&json!({ "alg": "ES256" }), |bytes| pair.sign(&random, bytes).unwrap().as_ref().to_vec());
        assert_eq!(check(&text, std::slice::from_ref(&jwk)), Ok(()));
        let mut for_secrecy = jwk;
        for_secrecy["use"] = json!("enc");
        assert_eq!(check(&text, &[for_secrecy]), Err(Refusal::Key));
    }

    #[test]
    fn none_shared_secrets_and_other_kinds_are_refused_before_any_key_is_looked_at() {
        let (pair, jwk) = ed25519();
        let sign = |bytes: &[u8]| pair.sign(bytes).as_ref().to_vec();
        for algorithm in ["none", "None", "HS256", "RS512", "ES256K", ""] {
            let text = signed(&json!({ "alg": algorithm, "kid": "k" }), sign);
            assert_eq!(check(&text, std::slice::from_ref(&jwk)), Err(Refusal::Algorithm), "{algorithm}");
        }
        for kind in ["bourse-stamp+jwt", "logout+jwt", "dpop+jwt"] {
            let text = signed(&json!({ "alg": "EdDSA", "kid": "k", "typ": kind }), sign);
            assert_eq!(check(&text, std::slice::from_ref(&jwk)), Err(Refusal::Kind), "{kind}");
        }
        let critical = signed(&json!({ "alg": "EdDSA", "kid": "k", "crit": ["exp"] }), sign);
        assert_eq!(check(&critical, std::slice::from_ref(&jwk)), Err(Refusal::Kind));
        // The key is of another kind than the algorithm.
        let text = signed(&json!({ "alg": "RS256", "kid": "k" }), sign);
        assert_eq!(check(&text, std::slice::from_ref(&jwk)), Err(Refusal::Key));
        for nonsense in ["", "a", "a.b", "a.b.c", "....", "e30.e30.e30.e30"] {
            assert_eq!(check(nonsense, std::slice::from_ref(&jwk)), Err(Refusal::Malformed), "{nonsense}");
        }
    }
}
