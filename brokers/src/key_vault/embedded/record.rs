//! A secret without its values: which versions there are and which of them can be read, by the rules of Vault's KV v2.
//!
//! Pure: no file, no clock. Invariant: `oldest..=current` are the versions that there ever were and were not dropped, and a
//! destroyed one never comes back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a secret has besides its values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) path: String,
    pub(super) created: i64,
    pub(super) updated: i64,
    /// The newest version; 0 where none was written yet.
    pub(super) current: u64,
    /// The oldest that is kept; 0 while none was dropped.
    pub(super) oldest: u64,
    /// How many versions are kept, where that is more than the vault says.
    pub(super) max_versions: u64,
    pub(super) cas_required: bool,
    /// How long after it was written a version is deleted, in seconds; 0: as the vault says.
    pub(super) delete_version_after: i64,
    pub(super) custom: Option<BTreeMap<String, String>>,
    pub(super) versions: BTreeMap<u64, Version>,
}

/// One version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) created: i64,
    /// When it was deleted, or will be.
    pub(super) deleted: Option<i64>,
    pub(super) destroyed: bool,
}

/// What a vault says about all its secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) max_versions: u64,
    pub(super) delete_version_after: i64,
    pub(super) cas_required: bool,
}

/// Why a version can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WriteError {
    #[error("check-and-set parameter required for this call")]
    CasMissing,
    #[error("check-and-set parameter did not match the current version")]
    CasMismatch,
}

impl Version {
    /// Whether it can be read.
    pub(super) fn is_live(&self, now: i64) -> bool {
        !self.destroyed && self.deleted.is_none_or(|at| at > now)
    }
}

impl Record {
    /// Adds a version. Returns its number and those that are dropped for it.
    pub(super) fn write(&mut self, cas: Option<u64>, now: i64, rules: Rules) -> Result<(u64, Vec<u64>), WriteError> {
        match cas {
            None if self.cas_required || rules.cas_required => return Err(WriteError::CasMissing),
            Some(cas) if cas != self.current => return Err(WriteError::CasMismatch),
            _ => {}
        }
        let after = match (self.delete_version_after, rules.delete_version_after) {
            (0, after) | (after, 0) => after,
            (own, vault) => own.min(vault),
        };
        let deleted = (after > 0).then(|| now.saturating_add(after));
        self.current += 1;
        self.updated = now;
        if self.created == 0 {
            self.created = now;
        }
        self.versions.insert(self.current, Version { created: now, deleted, destroyed: false });
        Ok((self.current, self.drop_old(rules)))
    }

    /// The larger of both bounds holds, as it does in Vault.
    fn drop_old(&mut self, rules: Rules) -> Vec<u64> {
        let keep = self.max_versions.max(rules.max_versions).max(1);
        if self.current - self.oldest >= keep {
            self.oldest = self.current + 1 - keep;
        }
        let dropped: Vec<_> = self.versions.keys().copied().take_while(|version| *version < self.oldest).collect();
        for version in &dropped {
            self.versions.remove(version);
        }
        dropped
    }

    /// The version of that number, or the newest for none or 0.
    pub(super) fn version(&self, number: Option<u64>) -> Option<(u64, Version)> {
        let number = number.filter(|number| *number != 0).unwrap_or(self.current);
        self.versions.get(&number).map(|version| (number, *version))
    }

    /// Deletes versions so that they can be brought back.
    pub(super) fn delete(&mut self, versions: &[u64], now: i64) {
        for number in versions {
            if let Some(version) = self.versions.get_mut(number).filter(|version| version.is_live(now)) {
                version.deleted = Some(now);
            }
        }
    }

    /// Brings deleted versions back.
    pub(super) fn undelete(&mut self, versions: &[u64]) {
        for number in versions {
            if let Some(version) = self.versions.get_mut(number).filter(|version| !version.destroyed) {
                version.deleted = None;
            }
        }
    }

    /// Marks versions whose values are destroyed. Returns those that there are.
    pub(super) fn destroy(&mut self, versions: &[u64]) -> Vec<u64> {
        let mut destroyed = Vec::new();
        for number in versions {
            if let Some(version) = self.versions.get_mut(number) {
                version.destroyed = true;
                destroyed.push(*number);
            }
        }
        destroyed
    }

    /// When its last readable version ends by itself; `Some(0)` where none can be read, `None` where it doesn't.
    pub(super) fn ends_at(&self, now: i64) -> Option<i64> {
        let mut ends = Some(0);
        for version in self.versions.values().filter(|version| version.is_live(now)) {
            ends = match (ends, version.deleted) {
                (Some(latest), Some(at)) => Some(latest.max(at)),
                _ => None,
            };
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { max_versions: 2, delete_version_after: 0, cas_required: false };

    #[test]
    fn check_and_set_lets_only_the_expected_version_through() {
        let mut record = Record::default();
        assert_eq!(record.write(Some(1), 5, RULES), Err(WriteError::CasMismatch));
        assert_eq!(record.write(Some(0), 5, RULES), Ok((1, vec![])));
        assert_eq!(record.write(Some(0), 5, RULES), Err(WriteError::CasMismatch));
        record.cas_required = true;
        assert_eq!(record.write(None, 5, RULES), Err(WriteError::CasMissing));
        assert_eq!(record.write(Some(1), 5, RULES), Ok((2, vec![])));
        assert_eq!(record.write(Some(2), 5, RULES), Ok((3, vec![1])), "two are kept");
        assert_eq!((record.oldest, record.created), (2, 5));
    }

    #[test]
    fn deleted_versions_come_back_and_destroyed_ones_never() {
        let mut record = Record::default();
        record.write(None, 5, RULES).unwrap();
        record.delete(&[1, 7], 6);
        assert!(!record.version(None).unwrap().1.is_live(6));
        assert_eq!(record.ends_at(6), Some(0));
        record.undelete(&[1]);
        assert!(record.version(Some(1)).unwrap().1.is_live(6));
        assert_eq!(record.destroy(&[1, 9]), [1]);
        record.undelete(&[1]);
        assert!(!record.version(Some(1)).unwrap().1.is_live(6));
    }

    #[test]
    fn versions_end_by_themselves_where_the_secret_or_the_vault_says_so() {
        let mut record = Record { delete_version_after: 10, ..Record::default() };
        record.write(None, 100, Rules { delete_version_after: 60, ..RULES }).unwrap();
        let (_, version) = record.version(None).unwrap();
        assert!(version.is_live(109) && !version.is_live(110));
        assert_eq!((record.ends_at(100), record.ends_at(110)), (Some(110), Some(0)));
    }
}
