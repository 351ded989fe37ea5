//! The use cases, one file a verb: they open and close transactions and decide who may do what. They know no status codes
//! and no SQL text. Everything that comes in, over OSB, the management API or a worker, goes through here.

mod audit;
pub mod error;
pub mod page;
pub mod registry;

use std::sync::Arc;

use crate::backend::{Backends, Outgoing};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::catalog::Merged;
use crate::secret::Sealer;
use crate::store::Db;

pub use error::{Error, Issue};
pub use page::{Listed, Page};

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
    registry: registry::Registry,
}

impl App {
    /// Builds the hub on an open, migrated database.
    pub fn new(config: Config, db: Db, clock: Clock, sealer: Sealer) -> Self {
        let registry = registry::Registry::new(&config.egress);
        Self { inner: Arc::new(Inner { config, db, clock, sealer, registry }) }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The clock that everything here goes by.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The merged catalog as this process knows it.
    pub fn catalog(&self) -> Arc<Merged> {
        self.inner.registry.catalog()
    }

    /// The brokers behind it.
    pub fn backends(&self) -> &Backends {
        self.inner.registry.backends()
    }

    /// How everything goes out: egress policy, roots, proxy.
    pub fn outgoing(&self) -> &Outgoing {
        self.inner.registry.outgoing()
    }

    pub(in crate::app) fn db(&self) -> &Db {
        &self.inner.db
    }

    pub(in crate::app) fn sealer(&self) -> &Sealer {
        &self.inner.sealer
    }
}
