//! Ranges that were there before, for operators: imported, listed, forgotten. It works on the broker's file, whether the broker
//! runs or not.

use std::path::Path;

use osb::kit::clock::Clock;

use super::import::Row;
use super::store::{self, Error, Imported, OpenError, Outcome, Store};

/// How many ranges are listed.
const LISTED_MAX: i64 = 100_000;

/// The ranges of a file.
#[derive(Debug)]
pub struct Ranges {
    store: Store,
    db: osb::kit::Db,
}

impl Ranges {
    /// Opens the broker's file, or makes it.
    ///
    /// # Errors
    /// Where it can't be used.
    pub async fn open(file: &Path, clock: Clock) -> Result<Self, OpenError> {
        let db = store::open(file).await?;
        Ok(Self { store: Store::new(db.clone(), Vec::new(), 0, clock).await?, db })
    }

    /// Adds ranges, all or nothing; with `dry_run` only says what would become of them.
    ///
    /// # Errors
    /// Where the file can't be used.
    pub async fn import(&self, rows: &[Row], dry_run: bool) -> Result<Outcome, Error> {
        self.store.import(rows, dry_run).await
    }

    /// All of them that nobody has taken over.
    ///
    /// # Errors
    /// Where the file can't be used.
    pub async fn list(&self) -> Result<Vec<Imported>, Error> {
        self.store.imported(LISTED_MAX).await
    }

    /// Frees one. `None` where there is none of that name.
    ///
    /// # Errors
    /// Where the file can't be used.
    pub async fn forget(&self, routing_domain: &str, name: &str) -> Result<Option<Imported>, Error> {
        self.store.forget(routing_domain, name).await
    }

    /// Closes the file.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
