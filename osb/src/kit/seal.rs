//! Keeps secrets unreadable on disk: AES-256-GCM with a random nonce, and what a secret belongs to as associated data, so
//! that one can't be put in the place of another.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};

const KEY_LEN: usize = 32;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file can't be read or made.
    #[error("could not use the key file `{0}`")]
    File(String, #[source] io::Error),
    /// It is not 32 bytes in base64.
    #[error("a key must be 32 bytes in base64")]
    Malformed,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

/// A sealed value can't be opened: another key, another owner, or it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value can't be opened with this key")]
pub struct Broken;

/// Seals and opens. Cheap to clone.
#[derive(Clone)]
pub struct Sealer {
    key: Arc<LessSafeKey>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// The key that a file holds in base64. Where there is no such file, a key is drawn and kept in it, for the owner's eyes.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_file(file: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File(file.display().to_string(), source);
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                draw(file)?;
                // Another process may have been quicker; its key is the key.
                std::fs::read_to_string(file).map_err(failed)?
            }
            Err(error) => return Err(failed(error)),
        };
        Self::from_base64(&text)
    }

    /// A key in base64.
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let bytes = BASE64_STANDARD.decode(text.trim()).map_err(|_| KeyError::Malformed)?;
        let bytes: [u8; KEY_LEN] = bytes.try_into().map_err(|_| KeyError::Malformed)?;
        Self::new(&bytes)
    }

    /// A key.
    ///
    /// # Errors
    /// Never in practice: the length is right.
    pub fn new(key: &[u8; KEY_LEN]) -> Result<Self, KeyError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| KeyError::Malformed)?;
        Ok(Self { key: Arc::new(LessSafeKey::new(key)) })
    }

    /// Seals `clear` for `owner`: nonce, ciphertext and tag, one after the other.
    ///
    /// # Errors
    /// [`KeyError::Random`]; then nothing may be written.
    pub fn seal(&self, owner: &str, clear: &[u8]) -> Result<Vec<u8>, KeyError> {
        let nonce = random::<NONCE_LEN>()?;
        let mut body = clear.to_vec();
        let sealing = Nonce::assume_unique_for_key(nonce);
        let sealed = self.key.seal_in_place_append_tag(sealing, Aad::from(owner.as_bytes()), &mut body);
        sealed.map_err(|_| KeyError::Malformed)?;
        Ok([&nonce[..], &body].concat())
    }

    /// Opens what was sealed for that owner.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn open(&self, owner: &str, sealed: &[u8]) -> Result<Vec<u8>, Broken> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Broken)?;
        let mut body = body.to_vec();
        let clear = self.key.open_in_place(nonce, Aad::from(owner.as_bytes()), &mut body).map_err(|_| Broken)?;
        Ok(clear.to_vec())
    }
}

/// Draws a key and puts it where there is none. It gets its name once it is whole, so nobody ever reads half of one.
fn draw(file: &Path) -> Result<(), KeyError> {
    let drawn = BASE64_STANDARD.encode(random::<KEY_LEN>()?);
    let failed = |source| KeyError::File(file.display().to_string(), source);
    let beside = file.with_extension(format!("{}.new", uuid::Uuid::now_v7()));
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    let written = made.write_all(drawn.as_bytes()).and_then(|()| made.sync_all());
    let named = written.and_then(|()| match std::fs::hard_link(&beside, file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    std::fs::remove_file(&beside).and(named).map_err(failed)
}

/// SHA-256: how a token of 256 random bits is kept that only has to be known again.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    hash
}

/// Random bytes of the system.
///
/// # Errors
/// [`KeyError::Random`].
pub fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_owner_only_and_never_changed() {
        let sealer = Sealer::new(&[7; KEY_LEN]).unwrap();
        let sealed = sealer.seal("a", b"s3cret").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"s3cret"));
        assert_ne!(sealed, sealer.seal("a", b"s3cret").unwrap(), "each time under another nonce");
        assert_eq!(sealer.open("a", &sealed), Ok(b"s3cret".to_vec()));
        assert_eq!(sealer.open("b", &sealed), Err(Broken));
        assert_eq!(Sealer::new(&[8; KEY_LEN]).unwrap().open("a", &sealed), Err(Broken));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(sealer.open("a", &changed), Err(Broken), "byte {at}");
        }
        assert_eq!(sealer.open("a", &sealed[..11]), Err(Broken));
    }

    #[test]
    fn a_key_file_is_made_once_for_the_owner_and_a_bad_one_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let sealed = Sealer::from_file(&file).unwrap().seal("a", b"x").unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Sealer::from_file(&file).unwrap().open("a", &sealed), Ok(b"x".to_vec()));
        std::fs::write(&file, "c2hvcnQ=").unwrap();
        assert!(matches!(Sealer::from_file(&file), Err(KeyError::Malformed)));
    }
}
