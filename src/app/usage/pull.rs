//! Asks brokers for readings that they don't report: those whose registration says so, each in its own time, by one process at a
//! time. What comes is taken in as if the broker had reported it.
//!
//! The place in the database moves on only when all that was asked for is here. A little is asked for twice: the broker's clock may
//! be behind, and what is here already is a duplicate.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use osb::WireRequest;
use serde_json::Value;

use super::report::EVENTS_MAX;
use crate::app::drive::Origin;
use crate::app::{App, Error};
use crate::backend::{Backend, Purpose};
use crate::clock::{Time, fresh_id};
use crate::domain::caller::Caller;
use crate::domain::meter::{Kind, Meter};
use crate::domain::stamp::StampFacts;
use crate::domain::usage::pull::{Pulled, path, question, read};
use crate::domain::usage::{SOURCE_PREFIX, Verdict};
use crate::store::usage::pulls;

/// How far a broker's clock may be behind.
const OVERLAP: Duration = Duration::from_secs(300);
/// Pages of one offering and kind in one round.
const PAGES_MAX: usize = 100;

impl App {
    /// Brokers whose readings are to be asked for now, by id.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn usage_pulls_due(&self) -> Result<Vec<String>, Error> {
        let now = self.clock().now();
        let mut due = Vec::new();
        for (id, backend) in self.backends().all().iter() {
            if backend.settings().usage_pull.is_none() {
                continue;
            }
            let id = id.clone();
            let read = self.db().read(|tx| {
                let id = id.clone();
                Box::pin(async move { pulls::is_due(tx, &id, now).await })
            });
            if read.await? {
                due.push(id);
            }
        }
        Ok(due)
    }

    /// Asks a broker for its readings since it was last asked, if it is due, and says how many were new.
    ///
    /// # Errors
    /// Where the database fails, or the broker doesn't answer as it should: then it is asked for the same again when it is due.
    pub async fn pull_usage(&self, broker_id: &str) -> Result<usize, Error> {
        let Some(backend) = self.backends().get(broker_id) else { return Ok(0) };
        let Some(every) = backend.settings().usage_pull.as_ref().and_then(|pull| pull.period()) else { return Ok(0) };
        let (id, now) = (broker_id.to_owned(), self.clock().now());
        let claimed = self.db().write(move |tx| {
            let id = id.clone();
            Box::pin(async move { pulls::claim(tx, &id, now, now.plus(every)).await })
        });
        let Some(since) = claimed.await? else { return Ok(0) };
        let overlap = i64::try_from(OVERLAP.as_micros()).unwrap_or(i64::MAX);
        let from = Time(since.0.saturating_sub(overlap));
        let mut taken = 0;
        for (offering, meters) in self.metered(broker_id) {
            for kind in [Kind::Gauge, Kind::Delta, Kind::Counter] {
                if meters.iter().any(|meter| meter.kind == kind) {
                    let first = question(kind, &offering, from, now);
                    taken += self.pull_pages(&backend, first, (kind, now), &meters).await?;
                }
            }
        }
        let id = broker_id.to_owned();
        let advanced = self.db().write(move |tx| {
            let id = id.clone();
            Box::pin(async move { pulls::advance(tx, &id, now).await })
        });
        advanced.await?;
        Ok(taken)
    }

    /// The backend's ids of a broker's offerings, with the meters of all their plans.
    fn metered(&self, broker_id: &str) -> BTreeMap<String, Vec<Meter>> {
        let mut offerings: BTreeMap<String, Vec<Meter>> = BTreeMap::new();
        // In a path, one dot or two are no id.
        let askable = |id: &str| id != "." && id != "..";
        for plan in
            self.catalog().plans().filter(|plan| plan.broker_id == broker_id && askable(&plan.offering_backend_id))
        {
            offerings.entry(plan.offering_backend_id.clone()).or_default().extend(plan.meters().iter().cloned());
        }
        offerings
    }

    async fn pull_pages(
        &self,
        backend: &Backend,
        first: String,
        (kind, now): (Kind, Time),
        meters: &[Meter],
    ) -> Result<usize, Error> {
        let (mut place, mut taken) = (first, 0);
        for _ in 0..PAGES_MAX {
            let page = self.pull_page(backend, &place).await?;
            let source = format!("{SOURCE_PREFIX}{}", backend.name());
            let pages = read(&page, kind, &source, meters, now);
            if pages.skipped > 0 {
                tracing::warn!(broker.name = backend.name(), skipped = pages.skipped, "readings that can't be used");
            }
            for values in pages.values.chunks(EVENTS_MAX) {
                taken += self.take_pulled(backend, &source, values).await?;
            }
            match pages.next {
                None => return Ok(taken),
                Some(next) => {
                    place = behind(&next, backend.path_prefix(), path(kind)).ok_or_else(|| elsewhere(backend))?
                }
            }
        }
        Err(Error::Unavailable(format!("broker `{}` has more than {PAGES_MAX} pages of readings", backend.name())))
    }

    async fn pull_page(&self, backend: &Backend, place: &str) -> Result<Value, Error> {
        let request =
            WireRequest { method: "GET".to_owned(), path_and_query: place.to_owned(), body: bytes::Bytes::new() };
        let origin = Origin { originating_identity: None, request_identity: fresh_id(), traceparent: None };
        let facts = StampFacts { via: self.via(Vec::new()), ..StampFacts::default() };
        let call = self.backend_call(backend, &request, &facts, &origin).await?;
        let failed = |why: &dyn std::fmt::Display| {
            Error::Unavailable(format!("broker `{}` gave no readings: {why}", backend.name()))
        };
        let answer = backend.send(&call, &request, Purpose::Ask).await.map_err(|error| failed(&error))?;
        if answer.status != 200 {
            return Err(failed(&format!("it answered with status {}", answer.status)));
        }
        serde_json::from_slice(&answer.body).map_err(|error| failed(&error))
    }

    /// Takes values in; one that replaces another becomes a correction.
    async fn take_pulled(&self, backend: &Backend, source: &str, values: &[Pulled]) -> Result<usize, Error> {
        let caller = Caller::Broker(backend.id().to_owned());
        let events = values.iter().map(|value| value.event.clone()).collect();
        let results = self.report_usage(&caller, events).await?;
        let mut taken = accepted(backend, &results);
        let known = results.iter().zip(values).filter(|(result, _)| {
            // A value may be again what it was at first: then its event stands, and so do corrections of it.
            matches!(result.verdict, Verdict::Conflict | Verdict::Duplicate)
        });
        let known: Vec<&Pulled> = known.map(|(_, value)| value).collect();
        if known.is_empty() {
            return Ok(taken);
        }
        // Of several without a date the last one in the page holds.
        let last: HashMap<&str, &Pulled> = known.iter().map(|value| (value.id(), *value)).collect();
        let about = Arc::new((backend.id().to_owned(), source.to_owned()));
        let ids: Arc<[String]> = known.iter().map(|value| value.id().to_owned()).collect();
        let read = self.db().read(|tx| {
            let (about, ids) = (Arc::clone(&about), Arc::clone(&ids));
            Box::pin(async move { pulls::counting(tx, (&about.0, &about.1), &ids).await })
        });
        let counting = read.await?;
        let replaces = |value: &Pulled| {
            let stands = counting.get(value.id());
            let holds = value.dated || last.get(value.id()).is_some_and(|last| std::ptr::eq(*last, value));
            holds && stands.is_some_and(|stands| value.replaces(stands.quantity, stands.corrected_by.as_deref()))
        };
        let replacing = known.into_iter().filter(|value| replaces(value));
        let corrections: Vec<Value> = replacing.map(|value| value.correction.clone()).collect();
        if !corrections.is_empty() {
            taken += accepted(backend, &self.report_usage(&caller, corrections).await?);
        }
        Ok(taken)
    }
}

fn accepted(backend: &Backend, results: &[super::Reported]) -> usize {
    for result in results.iter().filter(|result| result.verdict == Verdict::Rejected) {
        let reason = result.rejection.as_ref().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(
            broker.name = backend.name(),
            usage.id = result.id,
            reason,
            "a reading that was asked for was refused"
        );
    }
    results.iter().filter(|result| result.verdict == Verdict::Accepted).count()
}

/// What stands behind the broker's URL in a link of its own; none where it leads anywhere else. Only path and query count: whoever
/// is asked is the broker.
fn behind(link: &str, prefix: &str, under: &str) -> Option<String> {
    let path = match link.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|slash| rest.get(slash..))?,
        None => link,
    };
    let path = path.strip_prefix(prefix).unwrap_or(path);
    let steps = path.split('?').next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
    let climbs = steps.split(['/', '\\']).any(|step| step == "..");
    (path.starts_with(under) && !climbs && !path.contains('#')).then(|| path.to_owned())
}

fn elsewhere(backend: &Backend) -> Error {
    Error::Unavailable(format!("broker `{}` says that its readings go on somewhere else", backend.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_on_at_the_same_broker_only() {
        let under = path(Kind::Gauge);
        let check = |link: &str, expected: Option<&str>| {
            assert_eq!(behind(link, "/base", under).as_deref(), expected, "{link}")
        };
        check("http://b/base/metrics/gauges/s?page=2", Some("/metrics/gauges/s?page=2"));
        check("/metrics/gauges/s?page=2", Some("/metrics/gauges/s?page=2"));
        check("http://elsewhere/metrics/gauges/s?page=2", Some("/metrics/gauges/s?page=2"));
        check("http://b/base/v2/catalog", None);
        check("http://b/base/metrics/gauges/../../v2/catalog", None);
        check("http://b/base/metrics/gauges/%2E./../v2/catalog", None);
        check("http://b/base/metrics/gauges/s?from=..", Some("/metrics/gauges/s?from=.."));
        check("http://b", None);
    }
}
