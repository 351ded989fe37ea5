//! The keys that seal secrets at rest: from the settings, from a file, or, with SQLite, from a file of its own beside the
//! database. Several processes on one PostgreSQL must share a key, so there it has to be given.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::secret::{self, Sealer, Secret};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "PostgreSQL needs an encryption key that all processes share: set security.encryption_key or \
        security.encryption_key_file (make one with `openssl rand -base64 32`)"
    )]
    Missing,
    #[error("could not read the encryption keys in {0}")]
    Read(PathBuf, #[source] io::Error),
    #[error("could not keep a new encryption key in {0}")]
    Write(PathBuf, #[source] io::Error),
    #[error("the encryption keys cannot be used")]
    Key(#[source] secret::Error),
}

/// Makes the sealer that the settings mean.
pub(super) fn sealer(config: &Config) -> Result<Sealer, Error> {
    let mut keys = config.security.encryption_key.clone();
    if let Some(file) = &config.security.encryption_key_file {
        keys.extend(read(file)?);
    }
    if keys.is_empty() {
        let url = config.database.url.expose();
        let file = sqlite_file(url).ok_or(Error::Missing)?;
        keys = beside(&file)?;
    }
    Sealer::new(&keys).map_err(Error::Key)
}

/// The file of a SQLite URL; none where it is another database.
pub(super) fn sqlite_file(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("sqlite:")?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    Some(PathBuf::from(path.split('?').next().unwrap_or_default()))
}

/// One key a line, newest first.
fn read(file: &Path) -> Result<Vec<Secret<String>>, Error> {
    let text = std::fs::read_to_string(file).map_err(|error| Error::Read(file.to_owned(), error))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| Secret::new(line.to_owned())).collect())
}

/// The keys in the file beside a database, which is made where there is none.
fn beside(database: &Path) -> Result<Vec<Secret<String>>, Error> {
    let mut name = database.as_os_str().to_owned();
    name.push(".key");
    let file = PathBuf::from(name);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file) {
        Ok(mut made) => {
            let key = Sealer::generate_key().map_err(Error::Key)?;
            let written = made.write_all(format!("{key}\n").as_bytes()).and_then(|()| made.sync_all());
            written.map_err(|error| Error::Write(file.clone(), error))?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::Write(file, error)),
    }
    read(&file)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

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
