//! The use cases, one file a verb: they open and close transactions and decide who may do what. They know no status codes
//! and no SQL text. Everything that comes in, over OSB, the management API or a worker, goes through here.

mod access;
pub mod adopt;
pub mod approvals;
mod ask_again;
pub mod attention;
pub mod audit;
mod auth;
mod bind;
pub mod budgets;
pub mod close;
pub mod conformance;
mod context;
pub mod context_updates;
pub mod costs;
pub mod dead_letters;
mod decide;
mod deprovision;
mod drive;
pub mod error;
pub mod estimates;
pub mod feed;
mod fetch;
pub mod focus;
pub mod forms;
pub mod grants;
pub mod health;
pub mod identity;
pub mod import;
pub mod instances;
mod intent;
pub mod keys;
mod last_operation;
pub mod laws;
pub mod limits;
mod lookup;
pub mod measure;
mod members;
pub mod offboard;
pub mod operations;
pub mod order;
pub mod page;
pub mod pairs;
pub mod people;
pub mod platforms;
pub mod points;
pub mod preview;
pub mod prices;
pub mod proposals;
mod provision;
pub mod quotas;
pub mod rating;
pub mod reconcile;
pub mod references;
pub mod registry;
pub mod relay;
pub mod resolve;
pub mod reviews;
mod rotate;
mod rows;
mod sealed;
pub mod sequence;
pub mod services;
pub mod sessions;
mod settle;
pub mod simulate;
pub mod stamps;
pub mod statements;
mod suspend;
pub mod tenants;
mod unbind;
mod update;
mod upstream;
pub mod usage;
pub mod view;
pub mod visibility;
pub mod work;

use std::sync::Arc;

use tokio::sync::watch;

use crate::backend::{Backends, Outgoing};
use crate::clock::{Clock, fresh_id};
use crate::config::Config;
use crate::domain::catalog::Merged;
use crate::metrics::Metrics;
use crate::secret::Sealer;
use crate::store::Db;

pub use error::{Error, Issue};
pub use order::Orderer;
pub use page::{Listed, Page};
pub use points::{Point, Points};
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
    process: String,
    metrics: Metrics,
    points: Points,
    registry: registry::Registry,
    stamp_keys: stamps::Cache,
    work: work::Work,
    logins: auth::Logins,
    budgets: budgets::Cache,
    verifiers: upstream::Verifiers,
    approval_rules: approvals::Cache,
    laws: laws::Cache,
    attempts: audit::logins::Attempts,
    limits: limits::Limits,
    visibility: visibility::Cache,
    lookups: lookup::Lookups,
    provider: identity::Provider,
    followers: services::live::Followers,
}

impl App {
    /// Builds the hub on an open, migrated database.
    pub fn new(config: Config, db: Db, clock: Clock, sealer: Sealer) -> Self {
        Self::with_points(config, db, clock, sealer, Points::default())
    }

    /// Builds a hub that a test may stop at failure points.
    pub fn with_points(config: Config, db: Db, clock: Clock, sealer: Sealer, points: Points) -> Self {
        let inner = Inner {
            process: fresh_id(),
            metrics: Metrics::new(),
            points,
            registry: registry::Registry::new(&config.egress),
            stamp_keys: stamps::Cache::default(),
            work: work::Work::default(),
            logins: auth::Logins::new(),
            budgets: budgets::Cache::default(),
            verifiers: upstream::Verifiers::default(),
            approval_rules: approvals::Cache::default(),
            laws: laws::Cache::default(),
            attempts: audit::logins::Attempts::default(),
            limits: limits::Limits::new(&config.limits),
            visibility: visibility::Cache::default(),
            lookups: lookup::Lookups::default(),
            provider: identity::Provider::default(),
            followers: services::live::Followers::default(),
            config,
            db,
            clock,
            sealer,
        };
        Self { inner: Arc::new(inner) }
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

    pub(in crate::app) fn points(&self) -> &Points {
        &self.inner.points
    }

    pub(in crate::app) fn work(&self) -> &work::Work {
        &self.inner.work
    }

    pub(in crate::app) fn budget_cache(&self) -> &budgets::Cache {
        &self.inner.budgets
    }

    pub(in crate::app) fn attempts(&self) -> &audit::logins::Attempts {
        &self.inner.attempts
    }

    fn followers(&self) -> &services::live::Followers {
        &self.inner.followers
    }

    fn logins(&self) -> &auth::Logins {
        &self.inner.logins
    }
}
