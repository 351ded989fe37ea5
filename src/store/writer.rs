//! SQLite's one writer: it runs whatever is waiting, each in a savepoint, under one `BEGIN IMMEDIATE … COMMIT`, and answers after
//! the commit. So a flush is shared by all that came together, and nobody waits for a busy lock.
//!
//! Once queued a write is carried out even if whoever asked has gone.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::{AnyConnection, Connection as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::db::{Kind, Tx};

/// Writes that may wait for SQLite's writer; more than that is [`Error::Busy`].
const QUEUE_MAX: usize = 4096;
/// Writes under one commit, and how long the first of them may wait for the others.
const BATCH_MAX: usize = 128;
const BATCH_TIME_MAX: Duration = Duration::from_millis(20);
/// How long a write may take with its turn in the queue.
const QUEUED_MAX: Duration = Duration::from_secs(30);

/// The writer, while it runs.
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    closing: CancellationToken,
    /// Counts batches that may have taken an access away or changed one.
    access: Arc<AtomicU64>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts on a connection that nobody else writes on.
    pub(super) fn start(connection: AnyConnection) -> Self {
        let ((queue, receiver), closing) = (mpsc::channel(QUEUE_MAX), CancellationToken::new());
        let access = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(run_writer(connection, receiver, closing.clone(), Arc::clone(&access)));
        Self { queue, closing, access, task: Mutex::new(Some(task)) }
    }

    /// Has a write carried out.
    ///
    /// # Errors
    /// Whatever the body gives; [`Error::Busy`] where too many wait; [`Error::CommitUnknown`] where it takes too long.
    pub(super) async fn write<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: for<'a> Fn(&'a mut Tx<'_>) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Write { body, outcome: None, reply });
        self.queue.try_send(job).map_err(|_| Error::Busy)?;
        timeout(QUEUED_MAX, answer).await.ok().and_then(Result::ok).ok_or(Error::CommitUnknown)?
    }

    /// As [`super::Db::access_epoch`].
    pub(super) fn access_epoch(&self) -> u64 {
        self.access.load(Ordering::SeqCst)
    }

    /// Finishes what waits and ends.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It ends by itself; had it panicked, there would be nothing left to close.
            drop(task.await);
        }
    }
}

/// One write that waits for SQLite's writer.
trait Job: Send {
    /// Runs it; true where its changes are to be kept.
    fn run<'a>(&'a mut self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, bool>;
    /// Tells whoever asked how it ended.
    fn finish(self: Box<Self>, commit: Result<(), Error>);
}

struct Write<F, T, E> {
    body: F,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Write<F, T, E>
where
    F: for<'a> Fn(&'a mut Tx<'_>) -> BoxFuture<'a, Result<T, E>> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run<'a>(&'a mut self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            // A panic is its caller's trouble alone; it must not end the one who writes for all.
            let outcome = AssertUnwindSafe((self.body)(tx)).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| Err(Error::Lost("the write panicked".to_owned()).into()));
            let keep = outcome.is_ok();
            self.outcome = Some(outcome);
            keep
        })
    }

    fn finish(self: Box<Self>, commit: Result<(), Error>) {
        let outcome = match (commit, self.outcome) {
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(Error::Busy.into()),
            // What the body itself refused was rolled back anyway; its reason says more than the commit's failure.
            (Err(_), Some(Err(refused))) => Err(refused),
            (Err(error), _) => Err(error.into()),
        };
        // Whoever asked may have gone; the write stands all the same.
        drop(self.reply.send(outcome));
    }
}

async fn run_writer(
    mut connection: AnyConnection,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    closing: CancellationToken,
    access: Arc<AtomicU64>,
) {
    loop {
        let first = tokio::select! {
            biased;
            () = closing.cancelled(), if !queue.is_closed() => {
                // What waits is still handed out, then there is no more.
                queue.close();
                continue;
            }
            first = queue.recv() => first,
        };
        let Some(first) = first else { break };
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let outcome = run_batch(&mut connection, &mut queue, first, &mut batch).await;
        let lost = match &outcome {
            Ok(_) => None,
            // What can still be rolled back was not committed.
            Err(Broken { begun: false, .. }) => Some(false),
            Err(_) => Some(sqlx::query("rollback").execute(&mut connection).await.is_err()),
        };
        // Before anybody hears of it. Where the commit may have been lost, it may have been done.
        if outcome.as_ref().map_or(true, |changed| *changed) {
            access.fetch_add(1, Ordering::SeqCst);
        }
        let reason = outcome.err().map(|broken| broken.error.to_string()).unwrap_or_default();
        for job in batch {
            job.finish(match lost {
                None => Ok(()),
                Some(false) => Err(Error::Lost(reason.clone())),
                Some(true) => Err(Error::CommitUnknown),
            });
        }
    }
    drop(connection.close().await);
}

/// A batch that came to nothing, or is not known to have come to something.
struct Broken {
    begun: bool,
    error: sqlx::Error,
}

impl From<sqlx::Error> for Broken {
    fn from(error: sqlx::Error) -> Self {
        Self { begun: true, error }
    }
}

/// Runs what waits under one commit, and says whether an access was changed. All jobs taken are in `batch`, whatever happened.
async fn run_batch(
    connection: &mut AnyConnection,
    queue: &mut mpsc::Receiver<Box<dyn Job>>,
    first: Box<dyn Job>,
    batch: &mut Vec<Box<dyn Job>>,
) -> Result<bool, Broken> {
    batch.push(first);
    let begun = sqlx::query("begin immediate").execute(&mut *connection).await;
    begun.map_err(|error| Broken { begun: false, error })?;
    let started = Instant::now();
    // The first needs no savepoint: nothing is before it that would have to stay.
    let mut tx = Tx::on(&mut *connection, Kind::Sqlite);
    if let Some(first) = batch.first_mut()
        && !first.run(&mut tx).await
    {
        sqlx::query("rollback").execute(connection).await?;
        return Ok(false);
    }
    let mut access_changed = tx.access_changed();
    let mut next = 1;
    batch.extend(queue.try_recv().ok());
    while let Some(job) = batch.get_mut(next) {
        sqlx::query("savepoint job").execute(&mut *connection).await?;
        let mut tx = Tx::on(&mut *connection, Kind::Sqlite);
        let keep = job.run(&mut tx).await;
        access_changed |= tx.access_changed();
        if !keep {
            sqlx::query("rollback to job").execute(&mut *connection).await?;
        }
        sqlx::query("release job").execute(&mut *connection).await?;
        next += 1;
        if batch.len() < BATCH_MAX
            && started.elapsed() < BATCH_TIME_MAX
            && let Ok(job) = queue.try_recv()
        {
            batch.push(job);
        }
    }
    sqlx::query("commit").execute(&mut *connection).await?;
    Ok(access_changed)
}
