//! Compares what is charged for with what is there: asks the brokers whose instances can be fetched, a few questions at once, and opens a
//! case where hub and broker say different things.
//!
//! It changes nothing at a broker and no instance; what to do about a case is for people. Invariant: a broker that does not answer is no
//! reason for a case, and is left alone for the rest of the round.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use osb::client::Failure;
use osb::{Call, FetchInstanceRequest};

use super::{App, Error, Listed, Page};
use crate::clock::Time;
use crate::domain::instance::InstanceState;
use crate::store::billing_cases::{self, Filter, GHOST, LEAK};
use crate::store::instances::InstanceRow;
use crate::store::{self, leases};

pub use crate::store::billing_cases::{CaseRow, Filter as CaseFilter};

const LEASE: &str = "reconciler";
/// Instances that are read together, and questions under way at once.
const PAGE: i64 = 100;
const AT_ONCE: usize = 4;
/// Questions of a round that a broker may leave without an answer.
const SILENT_MAX: u32 = 3;
/// For how long it is asked whether what is gone is really gone.
const GONE_FOR: Duration = Duration::from_secs(2 * 86_400);

/// What a round has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Instances that were asked about.
    pub asked: u64,
    /// Cases that were opened.
    pub opened: u64,
}

/// What a broker says of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    There,
    NotThere,
    Nothing,
}

impl App {
    /// Cases in the order in which they were opened.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn billing_cases(&self, filter: Filter, page: &Page) -> Result<Listed<CaseRow>, Error> {
        let (after, rows) = (page.after.clone(), page.rows());
        let read = self.db().read(|tx| Box::pin(async move { billing_cases::list(tx, &filter, &after, rows).await }));
        Ok(page.cut(read.await?, |row| row.id.clone()))
    }

    /// One round over all instances. Does nothing where another living process has the lease.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn reconcile(&self) -> Result<Reconciled, Error> {
        let (process, now) = (self.process().to_owned(), self.clock().now());
        let ours = self.db().write::<_, store::Error, _>(move |tx| {
            let process = process.clone();
            Box::pin(async move {
                let ours = leases::take(tx, LEASE, &process).await?;
                if ours {
                    billing_cases::close_gone(tx, now).await?;
                }
                Ok(ours)
            })
        });
        let (mut round, mut after) = (Reconciled::default(), String::new());
        if !ours.await? {
            return Ok(round);
        }
        let gone_since = Time(now.0.saturating_sub(i64::try_from(GONE_FOR.as_micros()).unwrap_or(0)));
        let silent = Mutex::<HashMap<String, u32>>::default();
        loop {
            let from = after.clone();
            let page = self
                .db()
                .read(|tx| Box::pin(async move { billing_cases::to_look_at(tx, &from, gone_since, PAGE).await }));
            let page = page.await?;
            let Some(last) = page.last() else { return Ok(round) };
            after.clone_from(&last.id);
            let looks =
                futures_util::stream::iter(page).map(|row| self.compare(row, &silent)).buffer_unordered(AT_ONCE);
            for found in looks.collect::<Vec<_>>().await {
                let (asked, opened) = found?;
                round.asked += u64::from(asked);
                round.opened += u64::from(opened);
            }
        }
    }

    /// Looks at one instance: whether it was asked about, and whether a case was opened.
    async fn compare(&self, row: InstanceRow, silent: &Mutex<HashMap<String, u32>>) -> Result<(bool, bool), Error> {
        let is_silent = |broker: &str| {
            let silent = silent.lock().unwrap_or_else(PoisonError::into_inner);
            silent.get(broker).is_some_and(|times| *times >= SILENT_MAX)
        };
        if is_silent(&row.broker_id) {
            return Ok((false, false));
        }
        let said = match self.said_of(&row).await? {
            None => return Ok((false, false)),
            Some(Said::Nothing) => {
                *silent.lock().unwrap_or_else(PoisonError::into_inner).entry(row.broker_id.clone()).or_default() += 1;
                return Ok((true, false));
            }
            Some(said) => said,
        };
        let kind = match (row.state, said) {
            (InstanceState::Ready, Said::NotThere) => Some(LEAK),
            (InstanceState::Gone, Said::There) => Some(GHOST),
            _ => None,
        };
        let now = self.clock().now();
        let opened = self.db().write::<_, store::Error, _>(move |tx| {
            let row = row.clone();
            Box::pin(async move {
                match kind {
                    Some(kind) => billing_cases::open(tx, kind, &row, now).await,
                    None => billing_cases::close(tx, &row.id, now).await.map(|()| false),
                }
            })
        });
        Ok((true, opened.await?))
    }

    /// What the broker says of an instance; none where it can't be asked.
    async fn said_of(&self, row: &InstanceRow) -> Result<Option<Said>, Error> {
        let plan = match self.plan_of(row).await {
            // Its broker is no longer registered, or no longer has the plan.
            Err(Error::Answer(_) | Error::NotFound { .. }) => return Ok(None),
            plan => plan?,
        };
        if plan.offering.instances_retrievable.as_option() != Some(&true)
            || self.backends().get(&plan.broker_id).is_none()
        {
            return Ok(None);
        }
        let question = osb::WireRequest::from(&FetchInstanceRequest {
            instance_id: row.id.clone(),
            service_id: Some(plan.offering_backend_id.clone()),
            plan_id: Some(plan.plan_backend_id.clone()),
        });
        Ok(Some(match self.ask_backend(row, &plan, None, &Call::default(), &question).await {
            Ok(Ok(answer)) if answer.status == 200 => Said::There,
            Ok(Ok(answer)) if matches!(answer.status, 404 | 410) => Said::NotThere,
            Ok(Err(Failure::Rejected(error))) if matches!(error.status, 404 | 410) => Said::NotThere,
            // 422 is an instance that is being changed; anything else says nothing either.
            Ok(_) | Err(Error::Answer(_) | Error::Unavailable(_)) => Said::Nothing,
            Err(error) => return Err(error),
        }))
    }
}
