//! How much a vault holds, and that it is no more than it may.
//!
//! The bytes are counted by triggers of the file (schema.sql), so no statement can forget them. Invariant: what would make a
//! vault larger than it may be is not committed; what takes away, or moves an end, always is.

use std::sync::atomic::Ordering;

use sqlx::SqliteConnection;

use super::{Store, StoreError};

/// How many bytes a vault may hold unless somebody says otherwise.
pub(super) const BYTES_MAX: i64 = 1024 * 1024 * 1024;

const SELECT: &str = "select bytes from vault_bytes where vault = $1";

impl Store {
    /// How many bytes each vault may hold from now on.
    pub(in crate::key_vault::embedded) fn hold_at_most(&self, bytes: u64) {
        self.bytes_max.store(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Refuses where a vault holds too much with what the transaction has written.
    pub(super) async fn check_room(&self, tx: &mut SqliteConnection, vault: &str) -> Result<(), StoreError> {
        let bytes: Option<i64> = sqlx::query_scalar(SELECT).bind(vault).fetch_optional(tx).await?;
        let most = self.bytes_max.load(Ordering::Relaxed);
        if bytes.unwrap_or(0) > most { Err(StoreError::OutOfRoom(most)) } else { Ok(()) }
    }

    /// How many bytes a vault holds.
    pub(in crate::key_vault::embedded) async fn stored_bytes(&self, vault: &str) -> Result<u64, StoreError> {
        let bytes: Option<i64> = sqlx::query_scalar(SELECT).bind(vault).fetch_optional(self.db.reader()).await?;
        Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
    }
}
