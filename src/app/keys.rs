//! Keys, for operators: which one seals how many values, sealing them anew under the newest, and the next key for stamps or for heads of
//! the audit. Nothing stops meanwhile: every configured key opens, and a value is replaced only where it is still the one that was read.
//!
//! A pass may be cut off anywhere and begun again: what is sealed under the newest key already is passed over.

mod reseal;
mod stamps;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{App, Error};
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::secret;
use crate::store::sealed::{self, COLUMNS};
use crate::store::{self, audit, audit_heads, stamp_keys};

pub use reseal::Resealed;

/// Rows that are counted at once.
const COUNT_AT_ONCE: i64 = 10_000;

/// Values of one column that are sealed under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedValues {
    /// Such as `instances.attributes`.
    pub column: String,
    /// The key's id.
    pub key: String,
    /// How many.
    pub values: u64,
}

/// A key that signs, signed, or will sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// Its id.
    pub kid: String,
    /// When it was made.
    pub created_at: Time,
    /// From when on it signs.
    pub signs_from: Time,
    /// Whether it signs now.
    pub signs: bool,
}

/// Which keys there are, and what they seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// Ids of the keys of this process; the first one seals.
    pub keys: Vec<String>,
    /// What is sealed under which.
    pub values: Vec<SealedValues>,
    /// Keys of stamps.
    pub stamps: Vec<SigningKey>,
    /// Keys of heads of the audit.
    pub audit: Vec<SigningKey>,
}

impl App {
    /// Which keys there are, and how many values each seals. A key under which nothing is sealed can be dropped.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn key_status(&self) -> Result<KeyStatus, Error> {
        let mut values = Vec::new();
        for column in COLUMNS {
            let mut counted: BTreeMap<String, u64> = BTreeMap::new();
            let mut after = String::new();
            loop {
                let begin = after.clone();
                let read = self
                    .db()
                    .read(|tx| Box::pin(async move { sealed::prefixes(tx, column, &begin, COUNT_AT_ONCE).await }));
                let rows = read.await?;
                for prefix in rows.iter().filter_map(|(_, prefix)| secret::key_of(prefix)) {
                    *counted.entry(prefix).or_default() += 1;
                }
                match rows.last() {
                    Some((id, _)) => after.clone_from(id),
                    None => break,
                }
            }
            values.extend(counted.into_iter().map(|(key, values)| SealedValues { column: column.name(), key, values }));
        }
        let (stamps, audit) = self.signing_keys().await?;
        Ok(KeyStatus { keys: self.sealer().key_ids(), values, stamps, audit })
    }

    async fn signing_keys(&self) -> Result<(Vec<SigningKey>, Vec<SigningKey>), Error> {
        let now = self.clock().now();
        let read = self.db().read(|tx| {
            Box::pin(async move { Ok::<_, store::Error>((stamp_keys::all(tx).await?, audit_heads::keys(tx).await?)) })
        });
        let (stamps, heads) = read.await?;
        let signing = stamps.iter().rev().find(|key| key.signs_from <= now).map(|key| key.kid.clone());
        let stamps = stamps.into_iter().map(|key| SigningKey {
            signs: signing.as_ref() == Some(&key.kid),
            kid: key.kid,
            created_at: key.created_at,
            signs_from: key.signs_from,
        });
        let last = heads.last().map(|key| key.kid.clone());
        let heads = heads.into_iter().map(|key| SigningKey {
            signs: last.as_ref() == Some(&key.kid),
            kid: key.kid,
            created_at: key.created_at,
            signs_from: key.created_at,
        });
        Ok((stamps.collect(), heads.collect()))
    }

    /// Looks whether keys have changed: those of the file that the settings name, and those of stamps, which another process may have
    /// replaced.
    ///
    /// # Errors
    /// Where the file or the database can't be read: what is in memory stays.
    pub async fn refresh_keys(&self) -> Result<(), Error> {
        let app = self.clone();
        let reloaded = tokio::task::spawn_blocking(move || app.sealer().reload()).await;
        if reloaded.map_err(|_| secret::Error::Random)?? {
            tracing::info!(keys = ?self.sealer().key_ids(), "the encryption keys have changed");
        }
        self.forget_changed_stamp_keys().await
    }

    /// Makes another key sign heads of the audit from now on.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn rotate_audit_key(&self, caller: &Caller) -> Result<String, Error> {
        self.next_audit_key(self.audit_row(caller, "keys.audit.rotate", "keys".to_owned(), json!({}))).await
    }

    async fn tell_keys(&self, caller: &Caller, action: &str, before: Value, after: Value) -> Result<(), Error> {
        let row = self.audit_row(caller, action, "keys".to_owned(), json!({})).changed(Some(before), Some(after));
        let written = self.db().write::<_, store::Error, _>(move |tx| {
            let row = row.clone();
            Box::pin(async move { audit::append(tx, &row).await })
        });
        Ok(written.await?)
    }
}
