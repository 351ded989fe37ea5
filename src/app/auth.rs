//! Who calls: user names and passwords become a [`Caller`]; the first administrator.
//!
//! What one process takes away is gone in all at once: the credential is read from the database at each request, or is in memory and
//! known to be unchanged, where no other process can change it (SQLite).
//! Generated passwords are compared by SHA-256. A password that a person chose is derived slowly (PBKDF2, at most two at a
//! time); that a password fits a stored hash is remembered for a minute, never that a user name exists.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{hmac, pbkdf2};
use tokio::sync::Semaphore;

use super::{App, Error};
use crate::domain::caller::Caller;
use crate::domain::platform::Platform;
use crate::secret::{self, Secret};
use crate::store;
use crate::store::credentials::{CredentialRow, OwnerKind};

/// Rounds of a new derivation; a stored hash says its own.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(599_999);
/// Rounds that a stored hash may ask for.
const ROUNDS_MAX: u32 = 10_000_000;
const SCHEME: &str = "pbkdf2-sha256";
const SALT_LEN: usize = 16;
const DERIVATIONS_AT_ONCE: usize = 2;
/// How long a derivation may wait for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(5);
const REMEMBER: Duration = Duration::from_secs(60);
const REMEMBERED_MAX: usize = 256;
/// Credentials in memory.
const KNOWN_MAX: usize = 1024;
/// Bytes of a user name, and of a password.
const CREDENTIAL_MAX: usize = 1024;

/// What is remembered of slow passwords: keyed digests, nothing that could be read.
pub(in crate::app) struct Logins {
    key: Option<hmac::Key>,
    fits: Mutex<HashMap<Vec<u8>, Instant>>,
    turns: Arc<Semaphore>,
    /// What was read and whose password fitted, by user name, with the epoch of the database that it is good for.
    known: Mutex<HashMap<String, (u64, Arc<Known>)>>,
}

/// A credential, and the platform where it is one's.
struct Known {
    credential: CredentialRow,
    platform: Option<Platform>,
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logins").finish_non_exhaustive()
    }
}

impl Logins {
    pub(in crate::app) fn new() -> Self {
        // Without randomness nothing is remembered: slower, and still right.
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok();
        Self {
            key,
            fits: Mutex::default(),
            turns: Arc::new(Semaphore::new(DERIVATIONS_AT_ONCE)),
            known: Mutex::default(),
        }
    }

    /// Whether the password fits the stored hash.
    async fn fits(&self, password: &str, stored: &str) -> Result<bool, Error> {
        let digest = self.key.as_ref().map(|key| {
            let mut context = hmac::Context::with_key(key);
            context.update(stored.as_bytes());
            context.update(&[0]);
            context.update(password.as_bytes());
            context.sign().as_ref().to_vec()
        });
        if digest.as_ref().is_some_and(|digest| self.remembered(digest)) {
            return Ok(true);
        }
        let turn = tokio::time::timeout(TURN_WITHIN, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| Error::busy())?.map_err(|_| Error::busy())?;
        let (password, stored) = (password.to_owned(), stored.to_owned());
        let derived = tokio::task::spawn_blocking(move || {
            let fits = derived_matches(&password, &stored);
            drop(turn);
            fits
        });
        let fits = derived.await.unwrap_or(false);
        if let Some(digest) = digest.filter(|_| fits) {
            self.remember(digest);
        }
        Ok(fits)
    }

    fn known(&self, username: &str, epoch: u64) -> Option<Arc<Known>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(username).filter(|(good_for, _)| *good_for == epoch).map(|(_, known)| Arc::clone(known))
    }

    fn keep(&self, username: &str, epoch: u64, found: &Arc<Known>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.retain(|_, (good_for, _)| *good_for == epoch);
        }
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(username.to_owned(), (epoch, Arc::clone(found)));
    }

    fn remembered(&self, digest: &[u8]) -> bool {
        let fits = self.fits.lock().unwrap_or_else(PoisonError::into_inner);
        fits.get(digest).is_some_and(|since| since.elapsed() < REMEMBER)
    }

    fn remember(&self, digest: Vec<u8>) {
        let mut fits = self.fits.lock().unwrap_or_else(PoisonError::into_inner);
        fits.retain(|_, since| since.elapsed() < REMEMBER);
        if fits.len() < REMEMBERED_MAX {
            fits.insert(digest, Instant::now());
        }
    }
}

fn caller_of(credential: &CredentialRow) -> Caller {
    let id = credential.owner_id.clone();
    match credential.owner_kind {
        OwnerKind::Admin => Caller::Admin(id),
        OwnerKind::Platform => Caller::Platform(id),
        OwnerKind::Broker => Caller::Broker(id),
    }
}

/// Derives a password that a person chose, for storing: `pbkdf2-sha256$rounds$salt$hash`.
fn derive(password: &str) -> Result<String, secret::Error> {
    let mut salt = [0; SALT_LEN];
    SystemRandom::new().fill(&mut salt).map_err(|_| secret::Error::Random)?;
    let mut hash = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt, password.as_bytes(), &mut hash);
    Ok(format!("{SCHEME}${ROUNDS}${}${}", URL_SAFE_NO_PAD.encode(salt), URL_SAFE_NO_PAD.encode(hash)))
}

fn derived_matches(password: &str, stored: &str) -> bool {
    let mut parts = stored.split('$');
    let (Some(SCHEME), Some(rounds), Some(salt), Some(hash), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let rounds = rounds.parse().ok().filter(|rounds: &NonZeroU32| rounds.get() <= ROUNDS_MAX);
    let (Some(rounds), Ok(salt), Ok(hash)) = (rounds, URL_SAFE_NO_PAD.decode(salt), URL_SAFE_NO_PAD.decode(hash))
    else {
        return false;
    };
    pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &hash).is_ok()
}

impl App {
    /// Who has this user name and password.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] where nobody has, whatever the reason.
    pub async fn authenticate(&self, username: &str, password: &str) -> Result<Caller, Error> {
        Ok(self.admitted(username, password).await?.0)
    }

    /// The platform that has this user name and password.
    ///
    /// # Errors
    /// As [`App::authenticate`]; also where somebody else has them.
    pub async fn authenticate_platform(&self, username: &str, password: &str) -> Result<Platform, Error> {
        self.admitted(username, password).await?.1.ok_or(Error::Unauthorized)
    }

    /// Who has them, and the platform where it is one: read at once, since each of its requests needs both.
    async fn admitted(&self, username: &str, password: &str) -> Result<(Caller, Option<Platform>), Error> {
        let epoch = self.db().access_epoch();
        // Each request of a platform comes here. A password that is in memory and fits was tried before.
        if let Some(known) = epoch.and_then(|epoch| self.logins().known(username, epoch))
            && secret::password_matches(password, &known.credential.secret_hash)
        {
            self.known_login()?;
            return Ok((caller_of(&known.credential), known.platform.clone()));
        }
        let attempt = self.try_login().await?;
        let found = self.found_login(username, password, epoch).await;
        if matches!(found, Err(Error::Unauthorized)) {
            attempt.failed();
        }
        found
    }

    async fn found_login(
        &self,
        username: &str,
        password: &str,
        epoch: Option<u64>,
    ) -> Result<(Caller, Option<Platform>), Error> {
        if username.len() > CREDENTIAL_MAX || password.len() > CREDENTIAL_MAX || username.contains('\0') {
            return Err(self.wrong(None));
        }
        // One that does not fit what is in memory is answered as late as one of nobody: after a look into the database.
        let found = self.looked_up(username, password, epoch).await?;
        Ok((caller_of(&found.credential), found.platform.clone()))
    }

    /// Counts a login that failed, for the audit.
    fn wrong(&self, credential: Option<&CredentialRow>) -> Error {
        self.note_failed_login(credential.map(|credential| caller_of(credential).actor()));
        Error::Unauthorized
    }

    /// The credential of a user name, if the password fits it. One whose password is generated is kept in memory then.
    async fn looked_up(&self, username: &str, password: &str, epoch: Option<u64>) -> Result<Arc<Known>, Error> {
        let name = username.to_owned();
        let read = self.db().read(|tx| Box::pin(async move { store::credentials::find(tx, &name).await }));
        let (credential, platform) = read.await?.ok_or_else(|| self.wrong(None))?;
        let slow = credential.secret_hash.starts_with(SCHEME);
        let fits = if slow {
            self.logins().fits(password, &credential.secret_hash).await?
        } else {
            secret::password_matches(password, &credential.secret_hash)
        };
        if !fits {
            return Err(self.wrong(Some(&credential)));
        }
        let found = Arc::new(Known { credential, platform });
        if let (Some(epoch), false) = (epoch, slow) {
            self.logins().keep(username, epoch, &found);
        }
        Ok(found)
    }

    /// Makes the administrator of the settings where there is none yet, and gives the password where it had to be made:
    /// whoever started the process prints it, once.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn first_administrator(&self) -> Result<Option<Secret<String>>, Error> {
        let exists = self.db().read(|tx| Box::pin(async move { store::credentials::any_admin(tx).await })).await?;
        if exists {
            return Ok(None);
        }
        let (hash, made) = match &self.config().admin.password {
            Some(chosen) => {
                let chosen = chosen.clone();
                let derived = tokio::task::spawn_blocking(move || derive(chosen.expose())).await;
                (derived.map_err(|_| secret::Error::Random)??, None)
            }
            None => {
                let made = secret::generate_password()?;
                (secret::hash_password(made.expose()), Some(made))
            }
        };
        let (username, now) = (self.config().admin.username.clone(), self.clock().now());
        let caller = Caller::Admin(username.clone());
        let audit = self.audit_row(&caller, "administrator.create", caller.actor(), serde_json::json!({}));
        let first = self.db().write::<_, Error, _>(move |tx| {
            let (username, hash, audit) = (username.clone(), hash.clone(), audit.clone());
            Box::pin(async move {
                let first = store::credentials::insert_first_admin(tx, &username, &hash, now).await?;
                if first {
                    store::audit::append(tx, &audit).await?;
                }
                Ok(first)
            })
        });
        Ok(if first.await? { made } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_password_fits_its_own_derivation_only() {
        let stored = derive("correct horse").unwrap();
        assert!(stored.starts_with("pbkdf2-sha256$600000$"), "{stored}");
        assert!(derived_matches("correct horse", &stored));
        assert!(!derived_matches("correct horsf", &stored));
        assert_ne!(stored, derive("correct horse").unwrap(), "each has a salt of its own");
    }

    #[test]
    fn a_hash_that_cannot_be_read_fits_nothing() {
        for stored in ["", "pbkdf2-sha256", "pbkdf2-sha256$0$AA$AA", "pbkdf2-sha256$4000000000$AA$AA", "a$1$AA$AA$x"] {
            assert!(!derived_matches("", stored), "{stored}");
        }
    }

    #[tokio::test]
    async fn what_is_remembered_belongs_to_one_stored_hash() {
        let logins = Logins::new();
        let stored = derive("p").unwrap();
        assert!(logins.fits("p", &stored).await.unwrap());
        assert_eq!(logins.fits.lock().unwrap().len(), 1);
        assert!(logins.fits("p", &stored).await.unwrap(), "from memory");
        assert!(!logins.fits("p", &derive("q").unwrap()).await.unwrap(), "another hash");
        assert!(!logins.fits("q", &stored).await.unwrap());
        assert_eq!(logins.fits.lock().unwrap().len(), 1, "what does not fit is not remembered");
    }
}
