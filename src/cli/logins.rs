//! What `bourse login` keeps: for each hub a token, and what it is renewed with, in one file that only its owner reads
//! (`bourse/logins.json` in the user's configuration directory, or `BOURSE_LOGIN_FILE`).
//!
//! Invariant: whoever reads meanwhile sees the old file or the new one, whole; a token is in no message.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::client::Error;
use super::files;

/// Bytes of the file.
const FILE_MAX: u64 = 1024 * 1024;

/// What is known of one hub.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Login {
    /// Who made the tokens.
    pub(super) issuer: String,
    /// The client that they were made for.
    pub(super) client_id: String,
    /// Where they are renewed.
    pub(super) token_endpoint: String,
    /// The resource that they are for; empty where none was named.
    pub(super) resource: String,
    /// What the hub is shown.
    pub(super) access_token: String,
    /// What a new one is had with, where the provider gave one.
    pub(super) refresh_token: Option<String>,
    /// Until when the token is good, in seconds since 1970.
    pub(super) expires_at: i64,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// The file.
#[derive(Clone, Debug)]
pub(super) struct Logins(PathBuf);

impl Logins {
    /// The file of that path, or that of the user.
    pub(super) fn at(path: Option<PathBuf>) -> Result<Self, Error> {
        if let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) {
            return Ok(Self(path));
        }
        let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")));
        let config = config
            .ok_or_else(|| Error::Usage("there is no HOME to keep a login in: set BOURSE_LOGIN_FILE".to_owned()))?;
        Ok(Self(config.join("bourse").join("logins.json")))
    }

    fn read(&self) -> Result<BTreeMap<String, Login>, Error> {
        let failed = |error| Error::Read(self.0.display().to_string(), error);
        match std::fs::metadata(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            found if found.as_ref().is_ok_and(|found| found.len() > FILE_MAX) => {
                return Err(Error::Usage(format!("{} is too large for logins", self.0.display())));
            }
            _ => {}
        }
        let text = std::fs::read(&self.0).map_err(failed)?;
        let broken = |_| Error::Usage(format!("{} holds no logins: delete it and log in again", self.0.display()));
        serde_json::from_slice(&text).map_err(broken)
    }

    fn write(&self, logins: &BTreeMap<String, Login>) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(logins).unwrap_or_default();
        files::keep(Path::new(&self.0), &text)
    }

    /// What is kept for a hub.
    pub(super) fn of(&self, hub: &str) -> Result<Option<Login>, Error> {
        Ok(self.read()?.remove(hub))
    }

    /// Keeps it in the place of what was kept.
    pub(super) fn keep(&self, hub: &str, login: Login) -> Result<(), Error> {
        let mut logins = self.read()?;
        logins.insert(hub.to_owned(), login);
        self.write(&logins)
    }

    /// Forgets what is kept; whether there was something.
    pub(super) fn forget(&self, hub: &str) -> Result<bool, Error> {
        let mut logins = self.read()?;
        let there = logins.remove(hub).is_some();
        if there {
            self.write(&logins)?;
        }
        Ok(there)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_login_is_kept_for_its_owner_alone_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new").join("logins.json");
        let logins = Logins::at(Some(file.clone())).unwrap();
        assert_eq!(logins.of("http://h").unwrap(), None);
        let login = Login {
            issuer: "i".to_owned(),
            client_id: "c".to_owned(),
            token_endpoint: "t".to_owned(),
            resource: String::new(),
            access_token: "hunter2".to_owned(),
            refresh_token: None,
            expires_at: 7,
        };
        logins.keep("http://h", login.clone()).unwrap();
        assert_eq!(logins.of("http://h").unwrap(), Some(login.clone()));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{login:?}").contains("hunter2"));
        assert!(logins.forget("http://h").unwrap());
        assert!(!logins.forget("http://h").unwrap());
    }
}
