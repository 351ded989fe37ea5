//! Pools: the ranges that networks are taken from, by name.
//!
//! Pools may overlap: what is taken from one is taken in all of them, as long as the routing domain is the same. A file of
//! pools adds to the built-in ones; a pool with a built-in name takes its place.

use std::path::Path;

use serde::Deserialize;

use super::parameters::is_name;
use super::prefix::{ParseError, Prefix, Version};

/// The pool of IPv4 networks that name none.
pub const DEFAULT_V4: &str = "default";
/// The pool of IPv6 networks that name none.
pub const DEFAULT_V6: &str = "default-v6";
/// How many pools there may be.
const POOLS_MAX: usize = 1_000;

/// A named range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// What orders call it.
    pub name: String,
    /// All that it holds.
    pub range: Prefix,
}

/// Why pools can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("could not read the pools in `{0}`")]
    File(String, #[source] std::io::Error),
    /// The file is not what it should be.
    #[error("the pools in `{0}` are not a JSON array of {{\"name\", \"cidr\"}}")]
    Json(String, #[source] serde_json::Error),
    /// A range is not a prefix.
    #[error("pool `{0}` has no valid `cidr`")]
    Cidr(String, #[source] ParseError),
    /// A name can't be typed, or is there twice.
    #[error("pool name `{0}` is taken twice or is not made of 1 to 63 of a-z, 0-9 and -")]
    Name(String),
    /// A default pool of the wrong version.
    #[error("pool `{0}` must be of IP version {1}: it serves networks that name no pool")]
    Version(String, u8),
    /// More than are kept in memory.
    #[error("there are more than {POOLS_MAX} pools")]
    Many,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    cidr: String,
}

impl Pool {
    /// A pool.
    ///
    /// # Errors
    /// Where the range is not a prefix.
    pub fn new(name: &str, cidr: &str) -> Result<Self, Error> {
        let range = cidr.parse().map_err(|source| Error::Cidr(name.to_owned(), source))?;
        Ok(Self { name: name.to_owned(), range })
    }

    /// The built-in pool: 10.0.0.0/8.
    pub fn built_in() -> Self {
        Self { name: DEFAULT_V4.to_owned(), range: Prefix::containing(Version::V4, 10 << 24, 8) }
    }

    /// The pools of a JSON file, `[{"name": "dmz", "cidr": "172.16.0.0/20"}]`, and the built-in one unless it is among them.
    ///
    /// # Errors
    /// Where the file can't be read or holds something else.
    pub fn from_file(path: &Path) -> Result<Vec<Self>, Error> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| Error::File(shown.clone(), source))?;
        let entries: Vec<Entry> = serde_json::from_str(&text).map_err(|source| Error::Json(shown, source))?;
        let mut pools =
            entries.iter().map(|entry| Self::new(&entry.name, &entry.cidr)).collect::<Result<Vec<_>, _>>()?;
        if !pools.iter().any(|pool| pool.name == DEFAULT_V4) {
            pools.insert(0, Self::built_in());
        }
        Ok(pools)
    }
}

/// Checks pools against each other.
pub(super) fn check(pools: &[Pool]) -> Result<(), Error> {
    if pools.len() > POOLS_MAX {
        return Err(Error::Many);
    }
    for (at, pool) in pools.iter().enumerate() {
        if !is_name(&pool.name) || pools[..at].iter().any(|other| other.name == pool.name) {
            return Err(Error::Name(pool.name.clone()));
        }
        for (name, version) in [(DEFAULT_V4, Version::V4), (DEFAULT_V6, Version::V6)] {
            if pool.name == name && pool.range.version() != version {
                return Err(Error::Version(pool.name.clone(), version.number()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_names(pools: &[(&str, &str)], fine: bool) {
        let pools: Vec<_> = pools.iter().map(|(name, cidr)| Pool::new(name, cidr).unwrap()).collect();
        assert_eq!(check(&pools).is_ok(), fine);
    }

    #[test]
    fn names_are_unique_and_default_pools_are_of_their_version() {
        check_names(&[("default", "10.0.0.0/8"), ("dmz", "10.1.0.0/16")], true);
        check_names(&[("dmz", "10.0.0.0/8"), ("dmz", "10.1.0.0/16")], false);
        check_names(&[("D M Z", "10.0.0.0/8")], false);
        check_names(&[("default", "fd00::/48")], false);
        check_names(&[("default-v6", "fd00::/48")], true);
    }
}
