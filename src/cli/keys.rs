//! The keys that seal secrets at rest: from the settings, from a file, or, with SQLite, from a file of its own beside the
//! database. Several processes on one PostgreSQL must share a key, so there it has to be given.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::secret::keyfile::KeyFile;
use crate::secret::{self, Sealer};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "PostgreSQL needs an encryption key that all processes share: set security.encryption_key or \
        security.encryption_key_file (make one with `openssl rand -base64 32`)"
    )]
    Missing,
    #[error("could not keep a new encryption key in {0}")]
    Write(PathBuf, #[source] io::Error),
    #[error("the encryption keys cannot be used")]
    Key(#[source] secret::Error),
}

/// Makes the sealer that the settings mean. It follows the file, where there is one.
pub(super) fn sealer(config: &Config) -> Result<Sealer, Error> {
    let keys = config.security.encryption_key.clone();
    let file = match &config.security.encryption_key_file {
        Some(file) => Some(KeyFile::given(file)),
        None if keys.is_empty() => {
            let database = sqlite_file(config.database.url.expose()).ok_or(Error::Missing)?;
            Some(beside(&database)?)
        }
        None => None,
    };
    Sealer::following(keys, file).map_err(Error::Key)
}

/// The file of a SQLite URL; none where it is another database.
pub(super) fn sqlite_file(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("sqlite:")?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    Some(PathBuf::from(path.split('?').next().unwrap_or_default()))
}

/// The file of keys beside a database, which is made where there is none.
fn beside(database: &Path) -> Result<KeyFile, Error> {
    let mut name = database.as_os_str().to_owned();
    name.push(".key");
    let file = KeyFile::own(Path::new(&name));
    let key = Sealer::generate_key().map_err(Error::Key)?;
    file.make(&key).map_err(|error| Error::Write(file.path().to_owned(), error))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::secret::Secret;

    fn config(pairs: &[(&str, &str)]) -> Config {
        let environment: BTreeMap<_, _> =
            pairs.iter().map(|(key, value)| (format!("BOURSE__{key}"), (*value).to_owned())).collect();
        Config::load(None, &environment).unwrap()
    }

    #[test]
    fn sqlite_keeps_a_key_beside_it_that_only_its_owner_reads_and_that_stays() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("hub.db").display());
        let config = config(&[("DATABASE__URL", &url)]);
        let sealed = sealer(&config).unwrap().seal("p", b"x").unwrap();
        assert_eq!(sealer(&config).unwrap().open("p", &sealed).unwrap(), b"x");
        let mode = folder.path().join("hub.db.key").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn postgres_without_a_key_is_refused() {
        let error = sealer(&config(&[("DATABASE__URL", "postgres://u@h/d")])).unwrap_err();
        assert!(error.to_string().contains("security.encryption_key"), "{error}");
    }

    #[test]
    fn keys_of_a_file_follow_those_of_the_settings() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        let (old, new) = (Sealer::generate_key().unwrap(), Sealer::generate_key().unwrap());
        std::fs::write(&file, format!("\n{old}\n\n")).unwrap();
        let sealed = Sealer::new(&[Secret::new(old)]).unwrap().seal("p", b"x").unwrap();
        let path = file.display().to_string();
        let both = config(&[
            ("DATABASE__URL", "postgres://u@h/d"),
            ("SECURITY__ENCRYPTION_KEY", &new),
            ("SECURITY__ENCRYPTION_KEY_FILE", &path),
        ]);
        assert_eq!(sealer(&both).unwrap().open("p", &sealed).unwrap(), b"x");
    }
}
