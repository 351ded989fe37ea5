//! Brings numbered events to sinks: in order, at least once, one process at a time for each sink (lease `sink/{name}`).
//!
//! An event that a sink does not take holds up those behind it while it is tried again; then it is a dead letter and the
//! others go on. Invariant: the cursor moves only with the lease held, and only after the sink has taken the event or the
//! dead letter is recorded in the same transaction.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;

use super::{App, Error};
use crate::backend::http::Outgoing;
use crate::clock::Time;
use crate::delivery::{self, Failure, Outcome, Post, Sink};
use crate::domain::event::Numbered;
use crate::metrics::Delivery;
use crate::store::dead_letters::{self, DeadLetter};
use crate::store::events::{self, Filter};
use crate::store::leases::{self, Holder};
use crate::store::sinks::{self, Cursor};
use crate::store::{self, Tx};

/// Events read at once.
const BATCH: i64 = 256;
/// Dead letters tried again at once.
const REDELIVER_BATCH: i64 = 16;
/// Refusals of one event after which it is a dead letter.
const REFUSALS_MAX: i64 = 3;
/// The pause after the first failure, and the longest.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// How a round of a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relayed {
    /// Something was delivered or given up: there may be more.
    Moved,
    /// Nothing is there to deliver.
    Idle,
    /// The sink failed: not before that time has passed.
    Wait(Duration),
    /// Another living process serves this sink.
    Elsewhere,
}

struct Work {
    holder: Holder,
    cursor: Cursor,
    events: Vec<Numbered>,
    redeliver: Vec<(DeadLetter, Option<Numbered>)>,
}

impl App {
    /// The sinks of the settings, ready to be delivered to. Each is served by one relay.
    ///
    /// # Errors
    /// [`Error::Malformed`] where one can't be made from its settings.
    pub fn sinks(&self) -> Result<Vec<Sink>, Error> {
        let wrong = |why: String| Error::Malformed(format!("egress: {why}"));
        let outgoing = Outgoing::new(&self.config().egress).map_err(|error| wrong(error.kind().to_string()))?;
        let http = outgoing.http(delivery::WEBHOOK_TIMEOUT).map_err(|error| wrong(error.to_string()))?;
        let post: Post = Arc::new(move |url| http.request(Method::POST, url).map_err(|error| error.to_string()));
        let made = self.config().events.sinks.iter().map(|settings| {
            Sink::new(settings, &post, self.clock().clone()).map_err(|error| Error::Malformed(error.to_string()))
        });
        made.collect()
    }

    /// One round for one sink: what is due is delivered, and how far it came is recorded.
    ///
    /// # Errors
    /// Where the database fails. A sink that fails is no error but [`Relayed::Wait`].
    pub async fn relay(&self, sink: &mut Sink) -> Result<Relayed, Error> {
        let work = self.work_for(sink.name()).await?;
        if work.holder == Holder::Other {
            return Ok(Relayed::Elsewhere);
        }
        let wait = work.cursor.next_at.since(self.clock().now());
        let due = !work.events.is_empty() && wait.is_zero();
        if !due && work.redeliver.is_empty() {
            return Ok(if work.events.is_empty() { Relayed::Idle } else { Relayed::Wait(wait) });
        }
        if work.holder == Holder::Nobody && !self.take_sink(sink.name()).await? {
            return Ok(Relayed::Elsewhere);
        }
        if due {
            self.relay_events(sink, work.cursor, &work.events).await
        } else {
            self.redeliver_now(sink, work.redeliver).await
        }
    }

    async fn work_for(&self, sink: &str) -> Result<Work, Error> {
        let (name, process) = (sink.to_owned(), self.process().to_owned());
        let work = self.db().read(move |tx| {
            let (name, process) = (name.clone(), process.clone());
            Box::pin(async move {
                let holder = leases::holder(tx, &lease(&name), &process).await?;
                let cursor = sinks::cursor(tx, &name).await?;
                let events = events::page(tx, cursor.delivered, BATCH, &Filter::default()).await?;
                let mut redeliver = Vec::new();
                for letter in dead_letters::waiting(tx, &name, REDELIVER_BATCH).await? {
                    let event = events::by_id(tx, &letter.event_id).await?;
                    redeliver.push((letter, event));
                }
                Ok::<_, store::Error>(Work { holder, cursor, events, redeliver })
            })
        });
        Ok(work.await?)
    }

    async fn take_sink(&self, sink: &str) -> Result<bool, Error> {
        let (lease, process) = (lease(sink), self.process().to_owned());
        let taken = self.db().write(move |tx| {
            let (lease, process) = (lease.clone(), process.clone());
            Box::pin(async move { leases::take(tx, &lease, &process).await })
        });
        Ok(taken.await?)
    }

    async fn relay_events(&self, sink: &mut Sink, cursor: Cursor, events: &[Numbered]) -> Result<Relayed, Error> {
        let outcome = sink.deliver(events).await;
        let delivered = events.get(..outcome.delivered).unwrap_or(events);
        self.metrics().delivery(sink.name(), Delivery::Delivered, delivered.len() as u64);
        // Attempts count for the first event that is not done with.
        let before = if delivered.is_empty() { cursor.attempts } else { 0 };
        let reached = delivered.last().map_or(cursor.delivered, |event| event.sequence);
        let mut next = Cursor { delivered: reached, attempts: 0, next_at: Time(0) };
        let (mut error, mut dead, mut wait) = (None, None, None);
        if let (Some(failure), Some(event)) = (&outcome.failure, events.get(outcome.delivered)) {
            next.attempts = before.saturating_add(1);
            error = Some(failure.to_string());
            let now = self.clock().now();
            if self.given_up(failure, next.attempts) {
                dead = Some(letter(sink.name(), event, next.attempts, failure, now));
                next = Cursor { delivered: event.sequence, attempts: 0, next_at: Time(0) };
            } else {
                let pause = pause(failure, next.attempts, &event.id);
                next.next_at = now.plus(pause);
                wait = Some(pause);
            }
            self.report(sink.name(), event, failure, dead.is_some());
        }
        if !self.record(sink.name(), next, error, dead).await? {
            return Ok(Relayed::Elsewhere);
        }
        Ok(wait.map_or(Relayed::Moved, Relayed::Wait))
    }

    fn given_up(&self, failure: &Failure, attempts: i64) -> bool {
        let most = i64::from(self.config().events.attempts_max.max(1));
        match failure {
            Failure::Refused(_) => attempts >= REFUSALS_MAX.min(most),
            Failure::Failed { .. } => attempts >= most,
        }
    }

    fn report(&self, sink: &str, event: &Numbered, failure: &Failure, dead: bool) {
        let word = if dead { Delivery::Dead } else { Delivery::Failed };
        self.metrics().delivery(sink, word, 1);
        if dead {
            tracing::error!(sink, event.id = %event.id, error = %failure, "gave up delivering an event to a sink");
        } else {
            tracing::warn!(sink, event.id = %event.id, error = %failure, "could not deliver an event to a sink yet");
        }
    }

    /// Writes how far the sink came; false where the lease was lost meanwhile, and nothing is written.
    async fn record(
        &self,
        sink: &str,
        cursor: Cursor,
        error: Option<String>,
        dead: Option<DeadLetter>,
    ) -> Result<bool, Error> {
        let (name, process) = (sink.to_owned(), self.process().to_owned());
        let recorded = self.db().write(move |tx| {
            let (name, process, cursor) = (name.clone(), process.clone(), cursor.clone());
            let (error, dead) = (error.clone(), dead.clone());
            Box::pin(async move {
                if !leases::keep(tx, &lease(&name), &process).await? {
                    return Ok(false);
                }
                if let Some(letter) = &dead {
                    dead_letters::put(tx, letter).await?;
                }
                sinks::set(tx, &name, &cursor, error.as_deref()).await?;
                Ok::<_, store::Error>(true)
            })
        });
        Ok(recorded.await?)
    }

    /// Tries dead letters once more. One that fails again stays one, until somebody asks again.
    async fn redeliver_now(
        &self,
        sink: &mut Sink,
        letters: Vec<(DeadLetter, Option<Numbered>)>,
    ) -> Result<Relayed, Error> {
        for (letter, event) in letters {
            let after = match event {
                Some(event) => self.redeliver_one(sink, &letter, event).await,
                // It has fallen out of the feed: there is nothing left to deliver.
                None => None,
            };
            let (name, process) = (sink.name().to_owned(), self.process().to_owned());
            let recorded = self.db().write(move |tx| {
                let (name, process) = (name.clone(), process.clone());
                let (letter, after) = (letter.clone(), after.clone());
                Box::pin(async move { settle(tx, &name, &process, &letter, after.as_ref()).await })
            });
            if !recorded.await? {
                return Ok(Relayed::Elsewhere);
            }
        }
        Ok(Relayed::Moved)
    }

    async fn redeliver_one(&self, sink: &mut Sink, letter: &DeadLetter, event: Numbered) -> Option<DeadLetter> {
        let Outcome { failure, .. } = sink.deliver(std::slice::from_ref(&event)).await;
        let Some(failure) = failure else {
            self.metrics().delivery(sink.name(), Delivery::Delivered, 1);
            return None;
        };
        self.report(sink.name(), &event, &failure, true);
        let attempts = letter.attempts.saturating_add(1);
        Some(self::letter(sink.name(), &event, attempts, &failure, self.clock().now()))
    }
}

async fn settle(
    tx: &mut Tx<'_>,
    sink: &str,
    process: &str,
    letter: &DeadLetter,
    after: Option<&DeadLetter>,
) -> Result<bool, store::Error> {
    if !leases::keep(tx, &lease(sink), process).await? {
        return Ok(false);
    }
    match after {
        Some(failed) => dead_letters::put(tx, failed).await?,
        None => dead_letters::remove(tx, sink, &letter.event_id).await?,
    }
    Ok(true)
}

fn lease(sink: &str) -> String {
    format!("sink/{sink}")
}

fn letter(sink: &str, event: &Numbered, attempts: i64, failure: &Failure, at: Time) -> DeadLetter {
    DeadLetter {
        sink: sink.to_owned(),
        event_id: event.id.clone(),
        sequence: event.sequence,
        attempts,
        error: failure.to_string(),
        at,
        redeliver: false,
    }
}

/// How long to wait before the next attempt: doubling, and up to a tenth more so that sinks don't all come at once; what the
/// other side asked for where that is longer.
fn pause(failure: &Failure, attempts: i64, event_id: &str) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 16)).unwrap_or(1).saturating_sub(1);
    let plain = PAUSE_MIN.saturating_mul(1 << doublings).min(PAUSE_MAX);
    let spread: u32 = event_id.bytes().fold(0, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let pause = plain + plain.saturating_mul(spread % 100) / 1000;
    match failure {
        Failure::Failed { retry_after: Some(asked), .. } => pause.max(*asked),
        Failure::Failed { .. } | Failure::Refused(_) => pause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attempts: i64, asked: Option<u64>, seconds: u64) {
        let failure = Failure::Failed { reason: String::new(), retry_after: asked.map(Duration::from_secs) };
        let pause = pause(&failure, attempts, "0191-e");
        let (low, high) = (Duration::from_secs(seconds), Duration::from_secs(seconds) * 11 / 10);
        assert!((low..=high).contains(&pause), "{attempts} {asked:?}: {pause:?}");
    }

    #[test]
    fn the_pause_doubles_from_a_second_to_five_minutes_unless_the_other_side_asks_for_more() {
        check(1, None, 1);
        check(2, None, 2);
        check(9, None, 256);
        check(10, None, 300);
        check(i64::MAX, None, 300);
        check(1, Some(77), 77);
    }
}
