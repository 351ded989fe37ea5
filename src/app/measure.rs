//! `/metrics`: what this process counted, and what the database holds at this moment.

use std::time::Duration;

use osb::WireResponse;
use osb::client::Failure;

use super::{App, Error};
use crate::backend::BreakerState;
use crate::clock::Time;
use crate::metrics::{Breaker, Scrape, ScrapedOperations, ScrapedSink};
use crate::store::{self, gauges};

impl App {
    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn render_metrics(&self) -> Result<String, Error> {
        let names: Vec<String> = self.config().events.sinks.iter().map(|sink| sink.name().to_owned()).collect();
        let (operations, outbox, sinks) = self
            .db()
            .read(move |tx| {
                let names = names.clone();
                Box::pin(async move {
                    let operations = gauges::operations(tx).await?;
                    let outbox = gauges::outbox(tx).await?;
                    let mut sinks = Vec::with_capacity(names.len());
                    for name in names {
                        let found = gauges::sink(tx, &name).await?;
                        sinks.push((name, found));
                    }
                    Ok::<_, store::Error>((operations, outbox, sinks))
                })
            })
            .await?;
        let now = self.clock().now();
        let age = |oldest: Option<Time>| oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
        let operations = operations.into_iter().map(|found| ScrapedOperations {
            age: age(Some(found.oldest_at)),
            kind: found.kind,
            phase: found.phase,
            count: found.count,
        });
        let sinks = sinks.into_iter().map(|(name, found)| ScrapedSink {
            name,
            behind: found.behind.max(0),
            age: age(found.oldest_at),
            dead_letters: found.dead_letters,
        });
        let backends = self.backends().all();
        let breakers = backends.values().map(|backend| {
            let state = match backend.breaker_state() {
                BreakerState::Closed => Breaker::Closed,
                BreakerState::HalfOpen => Breaker::HalfOpen,
                BreakerState::Open => Breaker::Open,
            };
            (backend.name().to_owned(), state)
        });
        let scrape = Scrape {
            breakers: breakers.collect(),
            operations: operations.collect(),
            outbox: outbox.unnumbered,
            outbox_age: age(outbox.oldest_at),
            sinks: sinks.collect(),
        };
        Ok(self.metrics().render(&scrape))
    }
}

/// How a call to a broker ended, in one word of a closed set.
pub(in crate::app) fn outcome_word(answer: &Result<WireResponse, Failure>) -> &'static str {
    match answer {
        Ok(answer) => match answer.status {
            200..=299 => "succeeded",
            400..=499 => "refused",
            _ => "failed",
        },
        Err(Failure::NotSent { .. }) => "not_sent",
        Err(_) => "unknown",
    }
}
