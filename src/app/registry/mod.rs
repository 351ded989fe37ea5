//! The registry of service brokers: register, list, patch, refresh, remove; and what this process keeps in memory of it.
//!
//! What is in memory is a copy: the database's counters `catalog`, `prices` and `visibility` say when it is old, and [`App::reload_catalog`]
//! puts another in its place as a whole.

mod check;
mod fetch;
mod list;
mod load;
pub(in crate::app) mod notice;
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
use crate::domain::price::PriceBook;

pub use offerings::{OfferingView, PlanView, ReadyTimes};
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
    current: RwLock<Current>,
    /// One loads at a time, so that an older state never replaces a newer one.
    loading: tokio::sync::Mutex<()>,
}

/// A copy of what is stored.
#[derive(Clone, Debug, Default)]
struct Current {
    versions: Versions,
    merged: Arc<Merged>,
    /// In the order in which they were made.
    books: Arc<[PriceBook]>,
}

/// Which changes are in a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Versions {
    catalog: i64,
    prices: i64,
    visibility: i64,
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
            current: RwLock::default(),
            loading: tokio::sync::Mutex::default(),
        }
    }

    pub(in crate::app) fn catalog(&self) -> Arc<Merged> {
        Arc::clone(&self.current().merged)
    }

    pub(in crate::app) fn books(&self) -> Arc<[PriceBook]> {
        Arc::clone(&self.current().books)
    }

    pub(in crate::app) fn backends(&self) -> &Backends {
        &self.backends
    }

    pub(in crate::app) fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    fn current(&self) -> std::sync::RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, current: Current) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
    }
}
