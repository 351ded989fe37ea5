//! A binding's credentials as files: one for each of its top-level names, as programs read them that follow the Service Binding
//! Specification for Kubernetes. Whatever else lies in the directory is left alone.
//!
//! Invariant: nobody but the owner can read what is written, and whoever reads meanwhile sees the old file or the new one, whole.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::client::Error;

/// Bytes of a file's name: room is left for what is put around it while it is written.
const NAME_BYTES_MAX: usize = 200;

/// Writes them, and says which files it wrote. Nothing is written where a name is not fit for a file.
pub(super) fn write(folder: &Path, credentials: &Value) -> Result<Vec<PathBuf>, Error> {
    let contents = contents(credentials)?;
    make(folder).map_err(|error| failed(folder, error))?;
    let mut written = Vec::with_capacity(contents.len());
    for (name, content) in contents {
        let path = folder.join(&name);
        replace(folder, &name, content.as_bytes()).map_err(|error| failed(&path, error))?;
        written.push(path);
    }
    Ok(written)
}

/// Puts that into a file, and nobody but its owner reads it.
pub(super) fn keep(path: &Path, content: &[u8]) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::Usage(format!("{} is no name of a file", path.display())))?;
    make(folder).and_then(|()| replace(folder, name, content)).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::Write(path.display().to_string(), error)
}

/// What goes into which file: text as it is, anything else as JSON; what is null has no file.
fn contents(credentials: &Value) -> Result<BTreeMap<String, String>, Error> {
    let mut contents: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in credentials.as_object().into_iter().flatten() {
        let content = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !is_safe(name) {
            return Err(Error::Outcome(format!("a credential called {name:?} can't be a file; use -o json")));
        }
        if let Some(other) = contents.keys().find(|other| other.eq_ignore_ascii_case(name)) {
            // The same file where a file system does not tell them apart.
            return Err(Error::Outcome(format!("{other} and {name} differ in case only; use -o json")));
        }
        contents.insert(name.clone(), content);
    }
    Ok(contents)
}

/// The names that a key of a Kubernetes Secret may have, without those that are hidden.
fn is_safe(name: &str) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    plain && !name.is_empty() && !name.starts_with('.') && name.len() <= NAME_BYTES_MAX
}

/// A directory that is there stays as it is: it may be one that others have a part in.
fn make(folder: &Path) -> io::Result<()> {
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made,
    }
}

/// Puts a file in the place of another, or of none, such that it is never there in part.
fn replace(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let fresh = folder.join(format!(".{name}.{}", std::process::id()));
    // Left by a process of the same number that was killed in the middle of this.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&fresh, folder.join(name)));
    if replaced.is_err() {
        drop(fs::remove_file(&fresh));
    }
    replaced
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::json;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn each_credential_is_a_file_of_its_own_that_only_its_owner_reads() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("bindings/net");
        let credentials = json!({
            "ssh_config": "Host *\n  Port 22\n", "port": 22, "hosts": ["a", "b"], "tls.ca": {"a": 1.50}, "none": null, "empty": "",
        });
        let written = write(&folder, &credentials).unwrap();
        assert_eq!(mode(&folder), 0o700);
        let expected: Vec<_> =
            ["empty", "hosts", "port", "ssh_config", "tls.ca"].iter().map(|name| folder.join(name)).collect();
        assert_eq!(written, expected);
        assert!(written.iter().all(|path| mode(path) == 0o600));
        let content = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(content("ssh_config"), "Host *\n  Port 22\n");
        assert_eq!((content("port").as_str(), content("hosts").as_str()), ("22", r#"["a","b"]"#));
        assert_eq!((content("tls.ca").as_str(), content("empty").as_str()), (r#"{"a":1.5}"#, ""));
    }

    #[test]
    fn a_file_is_replaced_and_what_else_is_there_stays() {
        let top = tempfile::tempdir().unwrap();
        let (folder, elsewhere) = (top.path().join("net"), top.path().join("elsewhere"));
        write(&folder, &json!({"password": "old", "left": "x"})).unwrap();
        fs::write(&elsewhere, "mine").unwrap();
        fs::remove_file(folder.join("password")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.join("password")).unwrap();
        fs::set_permissions(folder.join("left"), fs::Permissions::from_mode(0o644)).unwrap();
        write(&folder, &json!({"password": "new", "left": "y"})).unwrap();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine", "a link is replaced, not followed");
        assert_eq!(fs::read_to_string(folder.join("password")).unwrap(), "new");
        assert_eq!(mode(&folder.join("left")), 0o600, "a new file with its own mode");
        let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["left", "password"], "nothing is left over");
    }

    #[test]
    fn names_that_are_no_file_names_are_refused_before_anything_is_written() {
        let top = tempfile::tempdir().unwrap();
        let long = "x".repeat(201);
        for name in ["", ".", "..", "../up", "/etc/x", "a/b", ".hidden", "a b", "a\0b", "ü", "a\n", long.as_str()] {
            let folder = top.path().join("net");
            let error = write(&folder, &json!({"a": "1", name: "x"})).unwrap_err();
            assert_eq!(error.exit_code(), 1);
            assert!(error.to_string().contains("use -o json"), "{error}");
            assert!(!folder.exists(), "{name:?}");
        }
        let error = write(&top.path().join("net"), &json!({"a": "1", "A": "2"})).unwrap_err();
        assert!(error.to_string().contains("in case only"), "{error}");
        let file = top.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(write(&file, &json!({"a": "1"})), Err(Error::Write(..))), "a file is no directory");
    }
}
