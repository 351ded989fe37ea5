//! The use cases, one file a verb: they open and close transactions and decide who may do what. They know no status codes
//! and no SQL text. Everything that comes in, over OSB, the management API or a worker, goes through here.

pub mod dead_letters;
pub mod error;
pub mod feed;
pub mod measure;
pub mod relay;
pub mod sequence;
pub mod stamps;

use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::{Clock, fresh_id};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::secret::Sealer;
use crate::store::Db;

pub use error::{Error, Issue};

/// The hub: every long-lived dependency, built once. Cloning shares it.
#[derive(Clone, Debug)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    db: Db,
    clock: Clock,
    sealer: Sealer,
    process: String,
    metrics: Metrics,
    stamp_keys: stamps::Cache,
}

impl App {
    /// Builds the hub on an open, migrated database.
    pub fn new(config: Config, db: Db, clock: Clock, sealer: Sealer) -> Self {
        let (process, metrics, stamp_keys) = (fresh_id(), Metrics::new(), stamps::Cache::default());
        Self { inner: Arc::new(Inner { config, db, clock, sealer, process, metrics, stamp_keys }) }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The clock that everything here goes by.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The metrics of this process.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// The id under which this process takes leases and beats.
    pub fn process(&self) -> &str {
        &self.inner.process
    }

    /// Changes after each commit of a write in this process: workers wake up by it.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.inner.db.commits()
    }

    pub(in crate::app) fn db(&self) -> &Db {
        &self.inner.db
    }

    pub(in crate::app) fn sealer(&self) -> &Sealer {
        &self.inner.sealer
    }
}
