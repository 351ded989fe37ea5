//! A transaction that changes what is free, with the free space in memory beside it.
//!
//! Invariant: the free space is put back only where it agrees with what is committed; a future that is dropped half-way leaves
//! none rather than a wrong one.

use std::sync::{Mutex, PoisonError};

use osb::kit::db::Writer;
use sqlx::{Sqlite, Transaction};

use super::free::FreeCache;
use super::{Error, Store, blocks, reservation};
use crate::vnet_ipam::pool::Pool;

/// The transaction, begun and tidied: quarantines and reservations that have run out are over.
pub(super) struct Work<'w> {
    pub(super) transaction: Transaction<'w, Sqlite>,
    pub(super) free: Borrowed<'w>,
    pub(super) pools: &'w [Pool],
    pub(super) now: i64,
}

/// The free space, on loan.
pub(super) struct Borrowed<'w> {
    cache: FreeCache,
    /// What it agreed with when it was last known to be right.
    right_at: i64,
    home: &'w Mutex<Option<FreeCache>>,
}

impl std::ops::Deref for Borrowed<'_> {
    type Target = FreeCache;

    fn deref(&self) -> &FreeCache {
        &self.cache
    }
}

impl std::ops::DerefMut for Borrowed<'_> {
    fn deref_mut(&mut self) -> &mut FreeCache {
        &mut self.cache
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if self.cache.seq() == self.right_at {
            *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::mem::take(&mut self.cache));
        }
    }
}

impl Store {
    /// Begins. What was dropped before its commit has done nothing.
    pub(super) async fn begin<'w>(&'w self, writer: &'w mut Writer<'_>) -> Result<Work<'w>, Error> {
        let now = self.now();
        let cache = self.free.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        let mut free = Borrowed { right_at: cache.seq(), cache, home: &self.free };
        // What is over is tidied away for good, whatever becomes of the order.
        if blocks::is_any_due(writer.connection()?, now).await? {
            let mut transaction = writer.begin().await?;
            blocks::end_quarantine(&mut transaction, now).await?;
            reservation::lapse(&mut transaction, now).await?;
            transaction.commit().await?;
        }
        let mut transaction = writer.begin().await?;
        free.cache.refresh(&mut transaction).await?;
        free.right_at = free.cache.seq();
        Ok(Work { transaction, free, pools: &self.pools, now })
    }
}

impl Work<'_> {
    /// Makes it last.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        self.free.cache.refresh(&mut self.transaction).await?;
        self.transaction.commit().await?;
        self.free.right_at = self.free.cache.seq();
        Ok(())
    }
}
