//! What needs somebody now, for the first page of operators: counts of what is stuck, and how far sinks are.

use std::time::Duration;

use super::operations::SLOW;
use super::{App, Error};
use crate::backend::BreakerState;
use crate::clock::Time;
use crate::domain::broker::Status;
use crate::store::{self, attention, gauges, sinks};

pub use crate::store::attention::Counts;

/// An approval that expires within this is worth a look.
const SOON: Duration = Duration::from_secs(24 * 3600);

/// A sink and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkView {
    /// Its name in the settings.
    pub name: String,
    /// Events that it has not been given.
    pub behind: i64,
    /// When the oldest of them was recorded.
    pub oldest_at: Option<Time>,
    /// Events that it did not take.
    pub dead_letters: i64,
    /// How often the next event was tried.
    pub attempts: i64,
    /// When it is tried again.
    pub next_at: Option<Time>,
    /// Why it took nothing the last time.
    pub error: Option<String>,
}

/// What needs somebody.
#[derive(Clone, Debug, Default)]
pub struct Attention {
    /// From the database.
    pub counts: Counts,
    /// Brokers that are spared orders just now, by this process.
    pub breakers: Vec<(String, BreakerState)>,
    /// Brokers that did not answer when they were last asked, or have nothing that could be served.
    pub away: Vec<(String, Status)>,
    /// Offerings and brokers whose catalogs have something wrong.
    pub findings: usize,
    /// All sinks of the settings.
    pub sinks: Vec<SinkView>,
}

impl App {
    /// How far each sink is.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn sink_views(&self) -> Result<Vec<SinkView>, Error> {
        let names: Vec<String> = self.config().events.sinks.iter().map(|sink| sink.name().to_owned()).collect();
        let read = self.db().read::<_, store::Error, _>(move |tx| {
            let names = names.clone();
            Box::pin(async move {
                let mut views = Vec::with_capacity(names.len());
                for name in names {
                    let (gauge, cursor) = (gauges::sink(tx, &name).await?, sinks::cursor(tx, &name).await?);
                    let error = sinks::why(tx, &name).await?;
                    views.push(SinkView {
                        behind: gauge.behind.max(0),
                        oldest_at: gauge.oldest_at,
                        dead_letters: gauge.dead_letters,
                        attempts: cursor.attempts,
                        next_at: (cursor.attempts > 0).then_some(cursor.next_at),
                        error: error.filter(|_| cursor.attempts > 0),
                        name,
                    });
                }
                Ok(views)
            })
        });
        Ok(read.await?)
    }

    /// What needs somebody now. Who may is decided where it is called: it is all of the hub.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn attention(&self) -> Result<Attention, Error> {
        let now = self.clock().now();
        let read = self.db().read(|tx| {
            Box::pin(async move {
                let counts = attention::counts(tx, now.minus(SLOW), now.plus(SOON)).await?;
                Ok::<_, store::Error>((counts, store::brokers::troubled(tx).await?))
            })
        });
        let (counts, troubled) = read.await?;
        let backends = self.backends().all();
        let open = backends.values().map(|backend| (backend.name().to_owned(), backend.breaker_state()));
        let mut breakers: Vec<_> = open.filter(|(_, state)| *state != BreakerState::Closed).collect();
        breakers.sort_by(|one, other| one.0.cmp(&other.0));
        let catalog = self.catalog();
        let live = catalog.parts().iter().filter(|part| !part.deleted);
        let offerings = live.flat_map(|part| &part.offerings).filter(|offering| !offering.findings.is_empty()).count();
        let findings = offerings + troubled.iter().filter(|broker| broker.findings).count();
        let away = troubled.into_iter().filter(|broker| broker.status != Status::Available);
        let away = away.map(|broker| (broker.name, broker.status)).collect();
        Ok(Attention { counts, breakers, away, findings, sinks: self.sink_views().await? })
    }
}
