//! Secrets: values that never print ([`Secret`]), sealing of what is kept at rest ([`Sealer`], AES-256-GCM), generated
//! passwords and their hashes. Nothing else in the hub touches a key or a random number.

pub mod keyfile;

use std::fmt::{self, Write as _};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Deserializer};

use self::keyfile::KeyFile;

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
    /// The file of keys can't be read or written.
    #[error("the encryption keys in {0} cannot be read or written")]
    File(PathBuf, #[source] io::Error),
    /// A key can be added only where the hub looks after the file.
    #[error("the encryption keys come from the settings: add the new one there, on every process, and rotate then")]
    NotOurs,
}

/// Seals values at rest. The newest key seals; every known key opens. Keys of a file are read again when it may have changed.
pub struct Sealer {
    given: Vec<Secret<String>>,
    file: Option<KeyFile>,
    ring: RwLock<Arc<Vec<Key>>>,
    /// Held from before the file is read until the keys are in memory: who reads first must not come last, and of two who add a key
    /// neither may lose the other's.
    turn: Mutex<()>,
    /// When the file was read last because of a value that no key opened.
    asked: Mutex<Option<Instant>>,
    random: SystemRandom,
}

#[derive(Clone)]
struct Key {
    id: [u8; KEY_ID],
    key: LessSafeKey,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("keys", &self.key_ids()).finish_non_exhaustive()
    }
}

/// Bytes of a key's id: the first of its SHA-256.
const KEY_ID: usize = 4;
/// How often the file is read because of values that no key opens.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The layout's version, so that another can follow.
const SEALED_V1: u8 = 1;

impl Sealer {
    /// Makes a sealer from keys in base64, newest first.
    ///
    /// # Errors
    /// Where there is no key, or one is not 32 bytes.
    pub fn new(keys: &[Secret<String>]) -> Result<Self, Error> {
        Self::following(keys.to_vec(), None)
    }

    /// Makes a sealer from keys and those of a file behind them, which is followed.
    ///
    /// # Errors
    /// As [`Sealer::new`]; where the file can't be read.
    pub fn following(given: Vec<Secret<String>>, file: Option<KeyFile>) -> Result<Self, Error> {
        let ring = RwLock::new(Arc::new(ring_of(&given, file.as_ref())?));
        Ok(Self { given, file, ring, turn: Mutex::default(), asked: Mutex::default(), random: SystemRandom::new() })
    }

    /// Reads the file again, and says whether the keys are others now.
    ///
    /// # Errors
    /// Where it can't be read or holds no keys: those that are known stay.
    pub fn reload(&self) -> Result<bool, Error> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.reload_in_turn()
    }

    fn reload_in_turn(&self) -> Result<bool, Error> {
        if self.file.is_none() {
            return Ok(false);
        }
        let fresh = ring_of(&self.given, self.file.as_ref())?;
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let changed = ids(&ring) != ids(&fresh);
        *ring = Arc::new(fresh);
        Ok(changed)
    }

    /// Makes a new key, which seals from now on, and keeps it in the file that the hub looks after.
    ///
    /// # Errors
    /// [`Error::NotOurs`] where there is no such file.
    pub fn add_key(&self) -> Result<(), Error> {
        let file = self.file.as_ref().filter(|file| file.is_own() && self.given.is_empty()).ok_or(Error::NotOurs)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // On disk first: what is sealed under a key that a crash takes away is lost.
        file.add(&Self::generate_key()?).map_err(|error| Error::File(file.path().to_owned(), error))?;
        self.reload_in_turn().map(drop)
    }

    /// Ids of all keys, the one that seals first.
    pub fn key_ids(&self) -> Vec<String> {
        ids(&self.ring())
    }

    /// The id of the key that seals.
    pub fn newest(&self) -> String {
        self.key_ids().into_iter().next().unwrap_or_default()
    }

    fn ring(&self) -> Arc<Vec<Key>> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The key of that id; where it is not known, it may have come into the file meanwhile.
    fn key(&self, id: &[u8]) -> Option<LessSafeKey> {
        let find = || self.ring().iter().find(|known| known.id == id).map(|known| known.key.clone());
        find().or_else(|| {
            self.file.as_ref()?;
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY) {
                *asked = Some(Instant::now());
                self.reload().ok();
            }
            drop(asked);
            find()
        })
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
        let ring = self.ring();
        let Key { id, key } = ring.first().ok_or(Error::Key)?;
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
        let (id, rest) = rest.split_at_checked(KEY_ID).ok_or_else(unreadable)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or_else(unreadable)?;
        if version != SEALED_V1 {
            return Err(unreadable());
        }
        let key = self.key(id).ok_or_else(unreadable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unreadable())?;
        let mut body = body.to_vec();
        let plain = key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut body).map_err(|_| unreadable())?;
        Ok(plain.to_vec())
    }
}

/// Under which key a value is sealed, from its first bytes; none where they are no sealed value's.
pub fn key_of(sealed: &[u8]) -> Option<String> {
    match sealed.split_first() {
        Some((&SEALED_V1, rest)) => rest.get(..KEY_ID).map(hex),
        _ => None,
    }
}

fn ring_of(given: &[Secret<String>], file: Option<&KeyFile>) -> Result<Vec<Key>, Error> {
    let mut keys = given.to_vec();
    if let Some(file) = file {
        keys.extend(file.read().map_err(|error| Error::File(file.path().to_owned(), error))?);
    }
    let key = |key: &Secret<String>| {
        let bytes = STANDARD.decode(key.expose().trim()).map_err(|_| Error::Key)?;
        let unbound = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| Error::Key)?;
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let mut id = [0; KEY_ID];
        id.copy_from_slice(digest.as_ref().get(..KEY_ID).ok_or(Error::Key)?);
        Ok(Key { id, key: LessSafeKey::new(unbound) })
    };
    let ring: Vec<Key> = keys.iter().map(key).collect::<Result<_, _>>()?;
    if ring.is_empty() { Err(Error::Key) } else { Ok(ring) }
}

fn ids(ring: &[Key]) -> Vec<String> {
    ring.iter().map(|key| hex(&key.id)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        write!(text, "{byte:02x}").ok();
        text
    })
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
    fn a_key_that_comes_into_the_file_later_opens_and_the_first_one_seals_after_a_reload() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::own(&folder.path().join("keys"));
        file.make(&Sealer::generate_key().unwrap()).unwrap();
        let (one, two) = (
            Sealer::following(Vec::new(), Some(file.clone())).unwrap(),
            Sealer::following(Vec::new(), Some(file)).unwrap(),
        );
        let old = one.seal("p", b"x").unwrap();
        one.add_key().unwrap();
        assert_eq!((one.key_ids().len(), two.key_ids().len()), (2, 1));
        let new = one.seal("p", b"y").unwrap();
        assert_ne!(key_of(&old), key_of(&new));
        assert_eq!(key_of(&new), Some(one.newest()));
        assert_eq!(two.open("p", &new).unwrap(), b"y", "unknown, and read again");
        assert_eq!(two.open("p", &old).unwrap(), b"x");
        assert_eq!(two.key_ids(), one.key_ids());
    }

    #[test]
    fn a_file_that_cannot_be_read_any_more_leaves_the_keys_that_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let file = KeyFile::given(&path);
        std::fs::write(&path, Sealer::generate_key().unwrap()).unwrap();
        let sealer = Sealer::following(Vec::new(), Some(file)).unwrap();
        let sealed = sealer.seal("p", b"x").unwrap();
        assert!(matches!(sealer.add_key(), Err(Error::NotOurs)));
        for content in ["", "nonsense"] {
            std::fs::write(&path, content).unwrap();
            assert!(sealer.reload().is_err());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(sealer.reload().is_err());
        assert_eq!(sealer.open("p", &sealed).unwrap(), b"x");
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
