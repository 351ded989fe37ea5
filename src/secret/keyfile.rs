//! A file of encryption keys: one a line in base64, newest first. It may be replaced while processes run.
//!
//! Invariant: nobody but the owner can read a file that is made here, and whoever reads meanwhile sees the old file or the new one, whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Secret;

/// A file of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    path: PathBuf,
    own: bool,
}

impl KeyFile {
    /// A file that somebody else looks after: it is read and never written.
    pub fn given(path: &Path) -> Self {
        Self { path: path.to_owned(), own: false }
    }

    /// A file that the hub looks after: keys may be added.
    pub fn own(path: &Path) -> Self {
        Self { path: path.to_owned(), own: true }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether keys may be added.
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// The keys.
    ///
    /// # Errors
    /// Where the file can't be read.
    pub fn read(&self) -> io::Result<Vec<Secret<String>>> {
        let text = fs::read_to_string(&self.path)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(lines.map(|line| Secret::new(line.to_owned())).collect())
    }

    /// Makes the file with one key; nothing where it is there already.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn make(&self, key: &str) -> io::Result<()> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path) {
            Ok(mut made) => made.write_all(format!("{key}\n").as_bytes()).and_then(|()| made.sync_all()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts a key before the others.
    ///
    /// # Errors
    /// Where it can't be written: then the old file stands.
    pub fn add(&self, key: &str) -> io::Result<()> {
        let old = fs::read_to_string(&self.path)?;
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let beside = PathBuf::from(name);
        let mut made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        made.write_all(format!("{key}\n{old}").as_bytes()).and_then(|()| made.sync_all())?;
        fs::rename(&beside, &self.path)?;
        // The name is on disk only with the directory.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
    }
}
