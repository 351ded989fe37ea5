//! Secrets: values that never print ([`Secret`]), sealing of what is kept at rest ([`Sealer`], AES-256-GCM), generated
//! passwords and their hashes. Nothing else in the hub touches a key or a random number.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Deserializer};

/// A value that is masked wherever it might be printed and can't be serialized. [`Secret::expose`] opens it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Opens it. Whoever calls this must not log, store in clear or send on what it gets without a reason.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// What sealing and opening can meet.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key in the configuration is not 32 bytes of base64.
    #[error("an encryption key must be base64 of exactly 32 bytes; make one with `openssl rand -base64 32`")]
    Key,
    /// No key at hand opens it: the key is missing, or the bytes were changed or moved.
    #[error("sealed value of {0} cannot be opened with the configured encryption keys")]
    Open(String),
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes")]
    Random,
}

/// Seals values at rest. The newest key seals; every configured key opens.
pub struct Sealer {
    keys: Vec<([u8; 4], LessSafeKey)>,
    random: SystemRandom,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// The layout's version, so that another can follow.
const SEALED_V1: u8 = 1;

impl Sealer {
    /// Makes a sealer from keys in base64, newest first.
    ///
    /// # Errors
    /// Where there is no key, or one is not 32 bytes.
    pub fn new(keys: &[Secret<String>]) -> Result<Self, Error> {
        let mut made = Vec::with_capacity(keys.len());
        for key in keys {
            let bytes = STANDARD.decode(key.expose().trim()).map_err(|_| Error::Key)?;
            let unbound = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| Error::Key)?;
            let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
            let mut id = [0; 4];
            id.copy_from_slice(digest.as_ref().get(..4).ok_or(Error::Key)?);
            made.push((id, LessSafeKey::new(unbound)));
        }
        if made.is_empty() {
            return Err(Error::Key);
        }
        Ok(Self { keys: made, random: SystemRandom::new() })
    }

    /// A new key, in base64.
    ///
    /// # Errors
    /// Where the operating system gives no randomness.
    pub fn generate_key() -> Result<String, Error> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
        Ok(STANDARD.encode(bytes))
    }

    /// Seals bytes for a place. `place` names the row and column, so that a sealed value can't be moved to another.
    ///
    /// # Errors
    /// Where the operating system gives no randomness.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let (id, key) = self.keys.first().ok_or(Error::Key)?;
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| Error::Random)?;
        let mut body = plain.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.as_bytes()), &mut body)
            .map_err(|_| Error::Random)?;
        let mut sealed = Vec::with_capacity(1 + id.len() + nonce.len() + body.len());
        sealed.push(SEALED_V1);
        sealed.extend_from_slice(id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens what [`Sealer::seal`] sealed for the same place.
    ///
    /// # Errors
    /// Where no key fits or the bytes were changed or moved.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let unreadable = || Error::Open(place.to_owned());
        let (&version, rest) = sealed.split_first().ok_or_else(unreadable)?;
        let (id, rest) = rest.split_at_checked(4).ok_or_else(unreadable)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or_else(unreadable)?;
        if version != SEALED_V1 {
            return Err(unreadable());
        }
        let (_, key) = self.keys.iter().find(|(known, _)| known == id).ok_or_else(unreadable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unreadable())?;
        let mut body = body.to_vec();
        let plain = key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut body).map_err(|_| unreadable())?;
        Ok(plain.to_vec())
    }
}

/// A password of 256 random bits, URL-safe: too long to guess, so a plain SHA-256 of it may be stored.
///
/// # Errors
/// Where the operating system gives no randomness.
pub fn generate_password() -> Result<Secret<String>, Error> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// The SHA-256 of a generated password, as stored.
pub fn hash_password(password: &str) -> String {
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, password.as_bytes()))
}

/// Compares a password with a stored hash in constant time.
pub fn password_matches(password: &str, stored: &str) -> bool {
    constant_time_eq(hash_password(password).as_bytes(), stored.as_bytes())
}

/// Compares without telling by its duration where the difference is: both are hashed with a key of the moment.
fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    let mut bytes = [0; 32];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        return false;
    }
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &bytes);
    ring::hmac::verify(&key, left, ring::hmac::sign(&key, right).as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(keys: &[&str]) -> Sealer {
        let keys: Vec<_> = keys.iter().map(|key| Secret::new((*key).to_owned())).collect();
        Sealer::new(&keys).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_only() {
        let key = Sealer::generate_key().unwrap();
        let sealer = sealer(&[&key]);
        let sealed = sealer.seal("brokers/1/secrets", b"hunter2").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        assert_eq!(sealer.open("brokers/1/secrets", &sealed).unwrap(), b"hunter2");
        assert!(sealer.open("brokers/2/secrets", &sealed).is_err());
    }

    #[test]
    fn an_older_key_still_opens_and_an_unknown_one_does_not() {
        let (old, new) = (Sealer::generate_key().unwrap(), Sealer::generate_key().unwrap());
        let sealed = sealer(&[&old]).seal("p", b"x").unwrap();
        assert_eq!(sealer(&[&new, &old]).open("p", &sealed).unwrap(), b"x");
        assert!(sealer(&[&new]).open("p", &sealed).is_err());
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let sealer = sealer(&[&Sealer::generate_key().unwrap()]);
        let mut sealed = sealer.seal("p", b"x").unwrap();
        for index in 0..sealed.len() {
            sealed[index] ^= 1;
            assert!(sealer.open("p", &sealed).is_err(), "byte {index}");
            sealed[index] ^= 1;
        }
    }

    #[test]
    fn a_secret_never_prints() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    }

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let password = generate_password().unwrap();
        let hash = hash_password(password.expose());
        assert!(password_matches(password.expose(), &hash));
        assert!(!password_matches("other", &hash));
    }
}
