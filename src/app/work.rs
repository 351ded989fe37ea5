//! What workers do with operations: take leases, drive, beat, sweep. A worker takes no input but "wake up": what is to be done
//! stands in the database, and a fresh order is handed over only so that nobody has to look for it.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{mpsc, watch};

use super::drive::{Ended, Ordered};
use super::{App, Error};
use crate::clock::fresh_id;
use crate::store::operations::{self, OperationRow};
use crate::store::{Kind, bindings, processes};

pub use crate::store::operations::Share;

/// Orders that may wait for the driver of this process; more than that are found in the database.
const HANDED_OVER_MAX: usize = 1024;

/// What this process works on.
#[derive(Debug)]
pub(in crate::app) struct Work {
    /// Operations being driven here, with the tokens of their leases.
    running: DashMap<String, String>,
    /// Requests that wait for an operation.
    waiters: DashMap<String, watch::Sender<News>>,
    /// The driver of this process, while there is one.
    driver: std::sync::Mutex<Option<mpsc::Sender<Ordered>>>,
}

/// What is heard of an operation in this process.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct News {
    /// How it ended, once it has.
    pub(in crate::app) ended: Option<Arc<Ended>>,
}

impl Default for Work {
    fn default() -> Self {
        Self { running: DashMap::new(), waiters: DashMap::new(), driver: std::sync::Mutex::new(None) }
    }
}

/// Marks an operation as worked on here for as long as it lives, however the work ends: a panic included.
#[derive(Debug)]
pub(in crate::app) struct Working<'a> {
    running: &'a DashMap<String, String>,
    id: String,
    token: String,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.running.remove_if(&self.id, |_, token| *token == self.token);
    }
}

impl App {
    /// Keeps the sweep away from an operation while it is worked on.
    pub(in crate::app) fn working(&self, operation: &OperationRow) -> Working<'_> {
        let (id, token) = (operation.id.clone(), operation.lease_token.clone().unwrap_or_default());
        self.work().running.insert(id.clone(), token.clone());
        Working { running: &self.work().running, id, token }
    }

    pub(in crate::app) fn waiters(&self) -> &DashMap<String, watch::Sender<News>> {
        &self.work().waiters
    }

    /// Tells whoever waits in this process that there is news of an operation.
    pub(in crate::app) fn announce(&self, id: &str) {
        if let Some(sender) = self.waiters().get(id) {
            sender.send_modify(|_| {});
        }
    }

    /// The same for one that is over, as it was committed.
    pub(in crate::app) fn announce_end(&self, ended: Arc<Ended>) {
        if let Some(sender) = self.waiters().get(&ended.operation.id) {
            sender.send_modify(|news| {
                news.ended = Some(Arc::clone(&ended));
            });
        }
    }

    /// Opens the way by which orders reach this process's driver; it is closed again by dropping the receiver.
    pub fn driver(&self) -> mpsc::Receiver<Ordered> {
        let (sender, receiver) = mpsc::channel(HANDED_OVER_MAX);
        if let Ok(mut driver) = self.work().driver.lock() {
            *driver = Some(sender);
        }
        receiver
    }

    /// Gives a leased operation to this process's driver; where there is none, or it has too much to do, gives the lease
    /// back, so that any process finds it.
    pub(in crate::app) async fn hand_over(&self, ordered: Ordered) {
        let operation = &ordered.operation;
        let driver = self.work().driver.lock().ok().and_then(|driver| driver.clone());
        let (id, token) = (operation.id.clone(), operation.lease_token.clone().unwrap_or_default());
        self.work().running.insert(id.clone(), token.clone());
        let taken = driver.is_some_and(|driver| driver.try_send(ordered).is_ok());
        if !taken {
            self.work().running.remove(&id);
            if let Err(error) = self.release(&id, &token, false).await {
                tracing::warn!(operation.id = id, %error, "a lease could not be given back; the sweep will");
            }
        }
    }

    /// Drives an operation that was leased to this process, and lets go of it.
    pub async fn work_on(&self, ordered: impl Into<Ordered>) {
        let ordered = ordered.into();
        let (id, working) = (ordered.operation.id.clone(), self.working(&ordered.operation));
        match self.drive(ordered).await {
            Ok(()) | Err(Error::Stopped) => {}
            Err(Error::LeaseLost) => tracing::info!(operation.id = id, "somebody else works on the operation now"),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(operation.id = id, %error, cause, "an operation could not be driven; it is tried again");
            }
        }
        drop(working);
        self.announce(&id);
    }

    /// Leases operations that are due, each broker's share of them.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn lease_due(&self, share: Share) -> Result<Vec<OperationRow>, Error> {
        let (owner, token, now) = (self.process().to_owned(), fresh_id(), self.clock().now());
        self.db()
            .write(move |tx| {
                let (owner, token, share) = (owner.clone(), token.clone(), share.clone());
                Box::pin(async move { Ok(operations::lease_due(tx, &owner, &token, now, &share).await?) })
            })
            .await
    }

    /// Whether any operation is due that no process works on, of brokers other than those whose ids stand in `without`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn anything_due(&self, without: String) -> Result<bool, Error> {
        let now = self.clock().now();
        self.db().read(move |tx| Box::pin(async move { Ok(operations::anything_due(tx, now, &without).await?) })).await
    }

    /// Says that this process is alive, and forgets those that are long dead.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn beat(&self) -> Result<(), Error> {
        let owner = self.process().to_owned();
        self.db()
            .write(move |tx| {
                let owner = owner.clone();
                Box::pin(async move {
                    processes::beat(tx, &owner).await?;
                    processes::bury(tx).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Announces this process. On a database that only one process can have, whoever was there before is dead.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn join(&self) -> Result<(), Error> {
        let (owner, alone) = (self.process().to_owned(), self.db().kind() == Kind::Sqlite);
        self.db()
            .write(move |tx| {
                let owner = owner.clone();
                Box::pin(async move {
                    if alone {
                        processes::leave_all(tx).await?;
                    }
                    processes::beat(tx, &owner).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Takes this process off the list: what it still holds is free at once.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn leave(&self) -> Result<(), Error> {
        if let Err(error) = self.write_failed_logins().await {
            tracing::warn!(%error, "logins that failed could not be written to the audit");
        }
        let owner = self.process().to_owned();
        self.db()
            .write(move |tx| {
                let owner = owner.clone();
                Box::pin(async move { Ok(processes::leave(tx, &owner).await?) })
            })
            .await
    }

    /// Gives back leases that this process holds but does not work on: what a panic or a lost request left behind. Given the
    /// strays of the last sweep, it lets go of those that are strays still.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn sweep(&self, before: &[(String, String)]) -> Result<Vec<(String, String)>, Error> {
        let owner = self.process().to_owned();
        let held: Vec<(String, String)> =
            self.db().read(move |tx| Box::pin(async move { operations::leased_to(tx, &owner).await })).await?;
        let mut strays = Vec::new();
        for (id, token) in held {
            if self.work().running.get(&id).is_some_and(|running| *running == token) {
                continue;
            }
            if before.contains(&(id.clone(), token.clone())) {
                tracing::warn!(operation.id = id, "an operation was leased to this process but nobody worked on it");
                self.release(&id, &token, true).await?;
            } else {
                strays.push((id, token));
            }
        }
        Ok(strays)
    }

    /// Forgets credentials of bindings whose time is over, at most so many; says how many it forgot.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_credentials(&self, limit: i64) -> Result<u64, Error> {
        let now = self.clock().now();
        self.db().write(move |tx| Box::pin(async move { Ok(bindings::forget_answers(tx, now, limit).await?) })).await
    }

    async fn release(&self, id: &str, token: &str, maybe_sent: bool) -> Result<(), Error> {
        let (id, token) = (id.to_owned(), token.to_owned());
        self.db()
            .write(move |tx| {
                let (id, token) = (id.clone(), token.clone());
                Box::pin(async move { Ok(operations::release(tx, &id, &token, maybe_sent).await?) })
            })
            .await
    }
}
