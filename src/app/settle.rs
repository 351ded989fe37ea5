//! Waiting for an operation under a deadline, and writing down what whoever waits is told: 202 means that it goes on, a 5xx
//! that it must never come true.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::approvals;
use super::drive::{Ended, Ordered};
use super::points::Point;
use super::sealed::error_from_text;
use super::work::News;
use super::{App, Error};
use crate::domain::operation::{OperationState, Phase, Told};
use crate::store;
use crate::store::operations::{self, OperationRow};

/// How often a waiting request looks whether another process has finished its operation.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(250);

/// Who waits.
#[derive(Clone, Copy, Debug)]
enum Waiter<'a> {
    /// Whoever ordered the operation, which began like this: the answer is the order's outcome.
    Orderer(&'a OperationRow),
    /// Whoever sent the same order again while it was under way.
    Joiner,
}

/// What there is to tell.
#[derive(Debug)]
pub(in crate::app) enum Settled {
    /// It is over.
    Over(Arc<Ended>),
    /// It goes on: 202.
    Pending(Box<OperationRow>),
}

/// Waits for news of an operation in this process. Whoever waits last clears up behind them: nothing is kept for what nobody
/// waits for.
struct Watching<'a> {
    app: &'a App,
    id: String,
    /// Dropped first, so that the last one to leave sees that nobody is left.
    news: Option<watch::Receiver<News>>,
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.news = None;
        self.app.waiters().remove_if(&self.id, |_, sender| sender.receiver_count() == 0);
    }
}

impl Watching<'_> {
    /// How it ended, where it did so in this process.
    fn ended(&self) -> Option<Arc<Ended>> {
        self.news.as_ref()?.borrow().ended.clone()
    }

    /// Either there is news, or it is time to look: both lead to the same look.
    async fn until(&mut self, time: Instant) {
        if let Some(news) = &mut self.news {
            drop(tokio::time::timeout_at(time, news.changed()).await);
        }
    }
}

impl App {
    /// Gives a fresh order to the driver and waits for what comes of it.
    ///
    /// # Errors
    /// As [`App::join_operation`].
    pub(in crate::app) async fn carry_out(
        &self,
        ordered: Ordered,
        accepts_incomplete: bool,
        deadline: Instant,
    ) -> Result<Settled, Error> {
        let operation = ordered.operation.clone();
        if operation.phase == Phase::WaitingApproval {
            // It is nobody's to work on, and whoever ordered can poll.
            self.points().pass(Point::IntentWritten, operation.kind)?;
            return Ok(Settled::Pending(Box::new(operation)));
        }
        // Before anybody works on it, so that no news is missed.
        let mut watching = self.watching(&operation.id);
        self.points().pass(Point::IntentWritten, operation.kind)?;
        self.hand_over(ordered).await;
        watching.until(deadline.min(Instant::now() + LOOK_EVERY)).await;
        self.settle(watching, accepts_incomplete, Waiter::Orderer(&operation), deadline).await
    }

    /// Waits for an operation that somebody else ordered.
    ///
    /// # Errors
    /// [`Error::Answer`] or [`Error::Broker`] with what whoever cannot poll is told instead: 502, 503, 504, or 422 for a joiner.
    pub(in crate::app) async fn join_operation(
        &self,
        id: &str,
        accepts_incomplete: bool,
        deadline: Instant,
    ) -> Result<Settled, Error> {
        self.settle(self.watching(id), accepts_incomplete, Waiter::Joiner, deadline).await
    }

    /// Waits until an operation is over, is known to take longer, or the deadline comes.
    async fn settle(
        &self,
        mut watching: Watching<'_>,
        accepts_incomplete: bool,
        waiter: Waiter<'_>,
        deadline: Instant,
    ) -> Result<Settled, Error> {
        let id = watching.id.clone();
        loop {
            if let Some(ended) = watching.ended() {
                return Ok(Settled::Over(ended));
            }
            let row = match self.awaited_row(&id).await {
                // The order goes on whatever the database says to this question: it is asked again.
                Err(Error::Store(error)) if Instant::now() < deadline => {
                    tracing::warn!(operation.id = id, %error, "an operation that is waited for could not be read");
                    watching.until(deadline.min(Instant::now() + LOOK_EVERY)).await;
                    continue;
                }
                Err(Error::Store(error)) => return self.tell_unread(error, accepts_incomplete, waiter),
                read => read?,
            };
            if row.state != OperationState::InProgress {
                return Ok(Settled::Over(Arc::new(row.into())));
            }
            if row.phase == Phase::WaitingApproval && !accepts_incomplete {
                return Err(approvals::needs_time());
            }
            // In `calling` more than once: something else has to be over first, such as the unbinding of what is bound.
            let takes_longer = row.phase != Phase::Calling || row.attempts > 0;
            if takes_longer && accepts_incomplete {
                return self.tell_pending(row).await;
            }
            let unresolved = row.phase == Phase::Unresolved && matches!(waiter, Waiter::Orderer(_));
            if unresolved || Instant::now() >= deadline {
                return match (accepts_incomplete, waiter) {
                    (true, _) => self.tell_pending(row).await,
                    (false, Waiter::Joiner) => {
                        Err(osb::Error::concurrency("the operation is still under way; try again later").into())
                    }
                    (false, Waiter::Orderer(_)) => self.tell_refused(row).await,
                };
            }
            watching.until(deadline.min(Instant::now() + LOOK_EVERY)).await;
        }
    }

    /// The deadline came and the database does not say how the operation stands: it goes on, or is refused when it does.
    fn tell_unread(&self, error: store::Error, accepts_incomplete: bool, waiter: Waiter<'_>) -> Result<Settled, Error> {
        match (accepts_incomplete, waiter) {
            (true, Waiter::Orderer(ordered)) => Ok(Settled::Pending(Box::new(ordered.clone()))),
            (false, Waiter::Orderer(ordered)) => {
                self.refuse_later(ordered.clone());
                Err(error.into())
            }
            (_, Waiter::Joiner) => Err(error.into()),
        }
    }

    /// The operation as whoever waits for it reads it, which a test may make fail.
    async fn awaited_row(&self, id: &str) -> Result<OperationRow, Error> {
        self.points().read()?;
        self.operation_row(id).await
    }

    async fn tell_pending(&self, row: OperationRow) -> Result<Settled, Error> {
        if row.told == Told::Accepted {
            return Ok(Settled::Pending(Box::new(row)));
        }
        match self.tell(&row.id, Told::Accepted).await {
            Ok(true) => Ok(Settled::Pending(Box::new(row))),
            Ok(false) => self.over(&row.id).await,
            Err(error) => {
                // It goes on, and that is all that 202 says.
                tracing::warn!(operation.id = row.id, %error, "that an order was accepted could not be written down");
                Ok(Settled::Pending(Box::new(row)))
            }
        }
    }

    /// What became of an operation that could not be told about as it stood.
    async fn over(&self, id: &str) -> Result<Settled, Error> {
        let row = self.operation_row(id).await?;
        if row.state == OperationState::InProgress {
            return Err(
                osb::Error::concurrency("an earlier order that was refused is being undone; try again later").into()
            );
        }
        Ok(Settled::Over(Arc::new(row.into())))
    }

    async fn tell_refused(&self, row: OperationRow) -> Result<Settled, Error> {
        match self.tell(&row.id, Told::Refused).await {
            Ok(true) => {}
            Ok(false) => return self.over(&row.id).await,
            Err(error) => {
                tracing::warn!(operation.id = row.id, %error, "that an order was refused could not be written down yet");
                self.refuse_later(row.clone());
            }
        }
        let trouble = row.answer.as_deref().map(|text| error_from_text(Some(text)));
        Err(Error::Broker(
            trouble.unwrap_or_else(|| osb::Error::gateway_timeout("the service broker did not answer in time")),
        ))
    }

    pub(in crate::app) async fn tell(&self, id: &str, told: Told) -> Result<bool, Error> {
        let id = id.to_owned();
        self.db()
            .write(move |tx| {
                let id = id.clone();
                Box::pin(async move { Ok::<_, Error>(operations::tell(tx, &id, told).await?) })
            })
            .await
    }

    pub(in crate::app) async fn operation_row(&self, id: &str) -> Result<OperationRow, Error> {
        let key = id.to_owned();
        let row = self
            .db()
            .read(move |tx| Box::pin(async move { Ok::<_, Error>(operations::by_id(tx, &key).await?) }))
            .await?;
        row.ok_or_else(|| Error::not_found("operation", id))
    }

    /// Begins to wait for news of an operation.
    fn watching(&self, id: &str) -> Watching<'_> {
        let news =
            self.waiters().entry(id.to_owned()).or_insert_with(|| watch::Sender::new(News::default())).subscribe();
        Watching { app: self, id: id.to_owned(), news: Some(news) }
    }

    /// When an order that begins now must be answered.
    pub(in crate::app) fn answer_deadline(&self) -> Instant {
        Instant::now() + self.config().server.answer_within
    }
}
