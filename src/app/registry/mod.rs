//! The registry of service brokers: register, list, patch, refresh, remove; and what this process keeps in memory of it.
//!
//! What is in memory is a copy: the database's counter `catalog` says when it is old, and [`App::reload_catalog`] puts
//! another in its place as a whole.

mod check;
mod fetch;
mod list;
mod load;
mod notice;
mod offerings;
mod patch;
mod refresh;
mod register;
mod remove;
mod schedule;
mod view;

use std::sync::{Arc, PoisonError, RwLock};

use crate::backend::{Backends, Outgoing};
use crate::config;
use crate::domain::catalog::Merged;

pub use offerings::{OfferingView, PlanView};
pub use patch::BrokerChange;
pub use register::NewBroker;
pub use view::BrokerView;

/// How often a transaction that met another one is tried again.
const ATTEMPTS_MAX: u32 = 3;

/// What this process keeps in memory of the registry.
#[derive(Debug)]
pub(in crate::app) struct Registry {
    backends: Backends,
    outgoing: Outgoing,
    catalog: RwLock<(i64, Arc<Merged>)>,
    /// One loads at a time, so that an older state never replaces a newer one.
    loading: tokio::sync::Mutex<()>,
}

impl Registry {
    pub(in crate::app) fn new(egress: &config::Egress) -> Self {
        let outgoing = Outgoing::new(egress).unwrap_or_else(|error| {
            tracing::error!(%error, "the root certificates of `egress.ca_file` can't be read: going on without them");
            Outgoing::without_roots(egress)
        });
        Self {
            backends: Backends::default(),
            outgoing,
            catalog: RwLock::default(),
            loading: tokio::sync::Mutex::default(),
        }
    }

    pub(in crate::app) fn catalog(&self) -> Arc<Merged> {
        Arc::clone(&self.current().1)
    }

    pub(in crate::app) fn backends(&self) -> &Backends {
        &self.backends
    }

    pub(in crate::app) fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    fn current(&self) -> std::sync::RwLockReadGuard<'_, (i64, Arc<Merged>)> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, version: i64, catalog: Arc<Merged>) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = (version, catalog);
    }
}
