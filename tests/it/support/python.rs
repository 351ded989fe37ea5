//! The environment of the tests: packages for Python and Node.js, pinned with hashes in `requirements.txt` and
//! `package-lock.json` of `sap_sbf`, `oidc_provider` and `axe`, put by `tests/run.sh` into `target/it-env`. `BOURSE_IT_ENV` names another place.

use std::path::PathBuf;

/// The environment's program `name` (`python`, `nats-server`, …), or the reason why it isn't there.
pub(crate) fn program(name: &str) -> Result<PathBuf, String> {
    let path = root().join("bin").join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{} is missing: `bash tests/run.sh` installs it", path.display()))
    }
}

/// The environment's interpreter of Python.
pub(crate) fn python() -> PathBuf {
    program("python").unwrap_or_else(|reason| panic!("{reason}"))
}

/// The environment's Node.js.
pub(crate) fn node() -> PathBuf {
    program("node").unwrap_or_else(|reason| panic!("{reason}"))
}

/// The folder with the npm packages that `sap_sbf/package-lock.json` pins.
pub(crate) fn sap_sbf_packages() -> PathBuf {
    packages("sap_sbf")
}

/// The folder with the npm packages that `oidc_provider/package-lock.json` pins.
pub(crate) fn oidc_provider_packages() -> PathBuf {
    packages("oidc_provider")
}

/// The script of axe-core, which says what of a page not everybody can use.
pub(crate) fn axe() -> PathBuf {
    packages("axe").join("axe-core/axe.min.js")
}

fn packages(name: &str) -> PathBuf {
    let path = root().join(name).join("node_modules");
    assert!(path.is_dir(), "{} is missing: `bash tests/run.sh` installs it", path.display());
    path
}

fn root() -> PathBuf {
    match std::env::var_os("BOURSE_IT_ENV") {
        Some(place) => PathBuf::from(place),
        // Cargo's scratch folder for this binary is `tmp` in the target directory, wherever that lies.
        None => PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("it-env"),
    }
}
