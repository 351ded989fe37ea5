//! A key of transit with its versions: encrypts, decrypts, signs, verifies.
//!
//! Pure but for random bytes. Ciphertexts and signatures are Vault's: `vault:v{version}:{base64}`, for ciphers of a nonce of
//! 12 bytes, the ciphertext and the tag. Invariant: a version below `min_decryption` opens nothing, and the material of a
//! key leaves only sealed.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use osb::kit::seal::{KeyError, random};
use ring::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};

use crate::key_vault::parameters::KeyKind;

/// How many versions a key may have.
const VERSIONS_MAX: usize = 1000;
/// What stands before the point in a public key of P-256 (RFC 5480).
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why a key can't do something; a sentence in Vault's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CipherError {
    #[error("key type {0} does not support {1}")]
    Unsupported(&'static str, &'static str),
    #[error("invalid ciphertext: no prefix")]
    NoPrefix,
    #[error("invalid ciphertext: version is too new")]
    TooNew,
    #[error("ciphertext or signature version is disallowed by policy (too old)")]
    TooOld,
    #[error("cannot encrypt with key version {0}: it is not there or too old")]
    NoVersion(u64),
    #[error("invalid ciphertext: unable to decrypt")]
    Undecryptable,
    #[error("this key has {VERSIONS_MAX} versions and can't have more")]
    Full,
    #[error("the system gave no random bytes")]
    Random,
    #[error("a stored key can't be used")]
    Broken,
}

impl From<KeyError> for CipherError {
    fn from(_: KeyError) -> Self {
        Self::Random
    }
}

/// A key with its versions. Holds secrets: only ever written sealed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Ring {
    pub(super) name: String,
    pub(super) kind: KeyKind,
    /// How often a version is made, in seconds; 0: never.
    pub(super) auto_rotate: i64,
    pub(super) min_decryption: u64,
    /// 0: the newest.
    pub(super) min_encryption: u64,
    pub(super) deletion_allowed: bool,
    pub(super) versions: BTreeMap<u64, Material>,
}

/// One version.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Material {
    pub(super) created: i64,
    /// The key itself, a seed, or PKCS#8, in base64.
    key: String,
    /// The key for `hmac`, in base64.
    mac: String,
}

impl Material {
    fn draw(kind: KeyKind, now: i64) -> Result<Self, CipherError> {
        let key = match kind {
            KeyKind::Aes256Gcm | KeyKind::ChaCha20Poly1305 | KeyKind::Ed25519 => random::<32>()?.to_vec(),
            KeyKind::EcdsaP256 => {
                let drawn = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
                drawn.map_err(|_| CipherError::Random)?.as_ref().to_vec()
            }
        };
        let mac = BASE64_STANDARD.encode(random::<32>()?);
        Ok(Self { created: now, key: BASE64_STANDARD.encode(key), mac })
    }

    fn key(&self) -> Result<Vec<u8>, CipherError> {
        BASE64_STANDARD.decode(&self.key).map_err(|_| CipherError::Broken)
    }

    fn cipher(&self, kind: KeyKind) -> Result<LessSafeKey, CipherError> {
        let algorithm = match kind {
            KeyKind::Aes256Gcm => &AES_256_GCM,
            KeyKind::ChaCha20Poly1305 => &CHACHA20_POLY1305,
            KeyKind::Ed25519 | KeyKind::EcdsaP256 => return Err(CipherError::Unsupported(kind.name(), "encryption")),
        };
        let key = UnboundKey::new(algorithm, &self.key()?).map_err(|_| CipherError::Broken)?;
        Ok(LessSafeKey::new(key))
    }

    fn ed25519(&self) -> Result<Ed25519KeyPair, CipherError> {
        Ed25519KeyPair::from_seed_unchecked(&self.key()?).map_err(|_| CipherError::Broken)
    }

    fn ecdsa(&self) -> Result<EcdsaKeyPair, CipherError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.key()?, &SystemRandom::new());
        pair.map_err(|_| CipherError::Broken)
    }

    fn sign(&self, kind: KeyKind, input: &[u8]) -> Result<Vec<u8>, CipherError> {
        match kind {
            KeyKind::Ed25519 => Ok(self.ed25519()?.sign(input).as_ref().to_vec()),
            KeyKind::EcdsaP256 => {
                let signature = self.ecdsa()?.sign(&SystemRandom::new(), input).map_err(|_| CipherError::Random)?;
                Ok(signature.as_ref().to_vec())
            }
            KeyKind::Aes256Gcm | KeyKind::ChaCha20Poly1305 => Err(CipherError::Unsupported(kind.name(), "signing")),
        }
    }

    fn verify(&self, kind: KeyKind, input: &[u8], signature: &[u8]) -> Result<bool, CipherError> {
        let valid = match kind {
            KeyKind::Ed25519 => UnparsedPublicKey::new(&ED25519, self.ed25519()?.public_key()).verify(input, signature),
            KeyKind::EcdsaP256 => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.ecdsa()?.public_key()).verify(input, signature)
            }
            KeyKind::Aes256Gcm | KeyKind::ChaCha20Poly1305 => {
                return Err(CipherError::Unsupported(kind.name(), "verification"));
            }
        };
        Ok(valid.is_ok())
    }

    /// As Vault shows it: base64 of the 32 bytes for Ed25519, PEM for P-256.
    pub(super) fn public_key(&self, kind: KeyKind) -> Result<Option<String>, CipherError> {
        match kind {
            KeyKind::Ed25519 => Ok(Some(BASE64_STANDARD.encode(self.ed25519()?.public_key()))),
            KeyKind::EcdsaP256 => {
                let der = [&P256_SPKI[..], self.ecdsa()?.public_key().as_ref()].concat();
                let text = BASE64_STANDARD.encode(der);
                let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
                for line in text.as_bytes().chunks(64) {
                    pem.extend(line.iter().copied().map(char::from));
                    pem.push('\n');
                }
                pem.push_str("-----END PUBLIC KEY-----\n");
                Ok(Some(pem))
            }
            KeyKind::Aes256Gcm | KeyKind::ChaCha20Poly1305 => Ok(None),
        }
    }
}

/// `vault:v3:…` apart.
fn parse(text: &str) -> Result<(u64, Vec<u8>), CipherError> {
    let rest = text.strip_prefix("vault:v").ok_or(CipherError::NoPrefix)?;
    let (version, body) = rest.split_once(':').ok_or(CipherError::NoPrefix)?;
    let version = version.parse().map_err(|_| CipherError::NoPrefix)?;
    let body = BASE64_STANDARD.decode(body).map_err(|_| CipherError::Undecryptable)?;
    Ok((version, body))
}

fn format(version: u64, body: &[u8]) -> String {
    format!("vault:v{version}:{}", BASE64_STANDARD.encode(body))
}

impl Ring {
    /// A new key with its first version.
    pub(super) fn draw(name: &str, kind: KeyKind, auto_rotate: i64, now: i64) -> Result<Self, CipherError> {
        let mut ring = Self {
            name: name.to_owned(),
            kind,
            auto_rotate,
            min_decryption: 1,
            min_encryption: 0,
            deletion_allowed: false,
            versions: BTreeMap::new(),
        };
        ring.rotate(now)?;
        Ok(ring)
    }

    /// The newest version.
    pub(super) fn latest(&self) -> u64 {
        self.versions.last_key_value().map_or(0, |(version, _)| *version)
    }

    /// Adds a version.
    pub(super) fn rotate(&mut self, now: i64) -> Result<(), CipherError> {
        if self.versions.len() >= VERSIONS_MAX {
            return Err(CipherError::Full);
        }
        self.versions.insert(self.latest() + 1, Material::draw(self.kind, now)?);
        Ok(())
    }

    /// Whether its time has come to rotate by itself.
    pub(super) fn is_due(&self, now: i64) -> bool {
        let created = self.versions.last_key_value().map_or(now, |(_, newest)| newest.created);
        self.auto_rotate > 0 && created.saturating_add(self.auto_rotate) <= now
    }

    /// The version to encrypt, sign or authenticate with: the newest where none is asked for.
    fn forward(&self, asked: u64) -> Result<(u64, &Material), CipherError> {
        let version = if asked == 0 { self.latest() } else { asked };
        let allowed = version >= self.min_encryption;
        let material = self.versions.get(&version).filter(|_| allowed).ok_or(CipherError::NoVersion(version))?;
        Ok((version, material))
    }

    /// The version that something was made with.
    fn backward(&self, version: u64) -> Result<&Material, CipherError> {
        if version > self.latest() {
            return Err(CipherError::TooNew);
        }
        self.versions.get(&version).filter(|_| version >= self.min_decryption).ok_or(CipherError::TooOld)
    }

    /// Encrypts, with data that must be the same for decrypting.
    pub(super) fn encrypt(&self, asked: u64, clear: &[u8], with: &[u8]) -> Result<(u64, String), CipherError> {
        let (version, material) = self.forward(asked)?;
        let cipher = material.cipher(self.kind)?;
        let nonce = random::<NONCE_LEN>()?;
        let mut body = clear.to_vec();
        let sealed = cipher.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(with), &mut body);
        sealed.map_err(|_| CipherError::Broken)?;
        Ok((version, format(version, &[&nonce[..], &body].concat())))
    }

    /// Decrypts.
    pub(super) fn decrypt(&self, text: &str, with: &[u8]) -> Result<Vec<u8>, CipherError> {
        if !self.kind.encrypts() {
            return Err(CipherError::Unsupported(self.kind.name(), "decryption"));
        }
        let (version, mut body) = parse(text)?;
        let cipher = self.backward(version)?.cipher(self.kind)?;
        let (nonce, body) = body.split_at_mut_checked(NONCE_LEN).ok_or(CipherError::Undecryptable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CipherError::Undecryptable)?;
        let clear = cipher.open_in_place(nonce, Aad::from(with), body).map_err(|_| CipherError::Undecryptable)?;
        Ok(clear.to_vec())
    }

    /// Signs.
    pub(super) fn sign(&self, asked: u64, input: &[u8]) -> Result<(u64, String), CipherError> {
        let (version, material) = self.forward(asked)?;
        Ok((version, format(version, &material.sign(self.kind, input)?)))
    }

    /// Whether that is a signature of the input.
    pub(super) fn verify(&self, input: &[u8], signature: &str) -> Result<bool, CipherError> {
        let (version, signature) = parse(signature)?;
        self.backward(version)?.verify(self.kind, input, &signature)
    }

    /// Authenticates the input with the version's own key for that.
    pub(super) fn hmac(&self, asked: u64, input: &[u8], with: hmac::Algorithm) -> Result<(u64, String), CipherError> {
        let (version, material) = self.forward(asked)?;
        let key = BASE64_STANDARD.decode(&material.mac).map_err(|_| CipherError::Broken)?;
        let tag = hmac::sign(&hmac::Key::new(with, &key), input);
        Ok((version, format(version, tag.as_ref())))
    }

    /// Whether that is what [`Ring::hmac`] gives, compared in constant time.
    pub(super) fn verify_hmac(&self, input: &[u8], tag: &str, with: hmac::Algorithm) -> Result<bool, CipherError> {
        let (version, tag) = parse(tag)?;
        let key = BASE64_STANDARD.decode(&self.backward(version)?.mac).map_err(|_| CipherError::Broken)?;
        Ok(hmac::verify(&hmac::Key::new(with, &key), input, &tag).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encrypted_before_a_rotation_opens_until_the_policy_says_otherwise() {
        for kind in [KeyKind::Aes256Gcm, KeyKind::ChaCha20Poly1305] {
            let mut ring = Ring::draw("k", kind, 0, 5).unwrap();
            let (version, old) = ring.encrypt(0, b"hello", b"aad").unwrap();
            assert!(version == 1 && old.starts_with("vault:v1:"));
            ring.rotate(6).unwrap();
            assert_eq!(ring.encrypt(0, b"hello", b"").unwrap().0, 2);
            assert_eq!(ring.decrypt(&old, b"aad").unwrap(), b"hello");
            assert_eq!(ring.decrypt(&old, b"other"), Err(CipherError::Undecryptable));
            assert_eq!(ring.decrypt("vault:v3:AAAA", b""), Err(CipherError::TooNew));
            ring.min_decryption = 2;
            assert_eq!(ring.decrypt(&old, b"aad"), Err(CipherError::TooOld));
            assert!(ring.sign(0, b"x").is_err());
        }
    }

    #[test]
    fn signatures_hold_for_their_input_and_their_key_only() {
        for kind in [KeyKind::Ed25519, KeyKind::EcdsaP256] {
            let ring = Ring::draw("k", kind, 0, 5).unwrap();
            let (_, signature) = ring.sign(0, b"input").unwrap();
            assert_eq!(ring.verify(b"input", &signature), Ok(true));
            assert_eq!(ring.verify(b"other", &signature), Ok(false));
            assert_eq!(Ring::draw("k", kind, 0, 5).unwrap().verify(b"input", &signature), Ok(false));
            assert!(ring.encrypt(0, b"x", b"").is_err());
            let (_, tag) = ring.hmac(0, b"input", hmac::HMAC_SHA256).unwrap();
            assert_eq!(ring.verify_hmac(b"input", &tag, hmac::HMAC_SHA256), Ok(true));
            assert_eq!(ring.verify_hmac(b"other", &tag, hmac::HMAC_SHA256), Ok(false));
        }
    }
}
