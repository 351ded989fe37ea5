//! Passwords and keys that outlive a start: one JSON file beside the database.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// What is kept beside the database from one start to the next, readable by its owner only.
pub(crate) struct Kept {
    file: PathBuf,
    pub(crate) values: BTreeMap<String, String>,
}

impl Kept {
    pub(crate) fn open(file: PathBuf) -> Result<Self, Box<dyn Error>> {
        let values = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { file, values })
    }

    pub(crate) fn get(&self, key: &str) -> Result<String, Box<dyn Error>> {
        let missing = || format!("{} holds no `{key}`: choose another directory with --data", self.file.display());
        Ok(self.values.get(key).cloned().ok_or_else(missing)?)
    }

    pub(crate) fn or_make<E: Error + 'static>(
        &mut self,
        key: &str,
        make: impl Fn() -> Result<String, E>,
    ) -> Result<String, Box<dyn Error>> {
        if !self.values.contains_key(key) {
            self.keep(key, make()?)?;
        }
        self.get(key)
    }

    pub(crate) fn keep(&mut self, key: &str, value: String) -> Result<(), Box<dyn Error>> {
        self.values.insert(key.to_owned(), value);
        // Written aside and moved, so that a crash leaves the old file or the new one.
        let aside = self.file.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(&serde_json::to_vec_pretty(&self.values)?)?;
        file.sync_all()?;
        Ok(std::fs::rename(&aside, &self.file)?)
    }
}
