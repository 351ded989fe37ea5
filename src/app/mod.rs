//! The use cases, one file a verb: they open and close transactions and decide who may do what. They know no status codes
//! and no SQL text. Everything that comes in, over OSB, the management API or a worker, goes through here.

mod audit;
mod auth;
pub mod error;
pub mod health;
pub mod page;
pub mod platforms;
pub mod resolve;
pub mod tenants;

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Config;
use crate::secret::Sealer;
use crate::store::Db;

pub use error::{Error, Issue};
pub use page::{Listed, Page};
pub use resolve::IdentityClaims;

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
    logins: auth::Logins,
}

impl App {
    /// Builds the hub on an open, migrated database.
    pub fn new(config: Config, db: Db, clock: Clock, sealer: Sealer) -> Self {
        Self { inner: Arc::new(Inner { config, db, clock, sealer, logins: auth::Logins::new() }) }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The clock that everything here goes by.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(in crate::app) fn db(&self) -> &Db {
        &self.inner.db
    }

    pub(in crate::app) fn sealer(&self) -> &Sealer {
        &self.inner.sealer
    }

    fn logins(&self) -> &auth::Logins {
        &self.inner.logins
    }
}
