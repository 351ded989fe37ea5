//! The database: the one file that knows there are two kinds. Reads go to a pool; every write goes through [`Db::write`].
//!
//! On PostgreSQL a write is a transaction of its own, run again on a serialization failure. On SQLite it is handed to the
//! one writer, which runs whatever is waiting, each in a savepoint, under one `BEGIN IMMEDIATE … COMMIT`, and answers after
//! the commit: a flush is shared by all that came together, and nobody waits for a busy lock. Once queued on SQLite a
//! write is carried out even if whoever asked has gone.
//!
//! Nothing waits for a database that hangs: both are cut off on this side, and their connection is closed. A write that is cut
//! off before its commit was sent has not happened; after that it is [`Error::CommitUnknown`], and only reading tells.
//!
//! A closure given to [`Db::write`] may run more than once, so it touches nothing but the [`Tx`].

use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sqlx::any::{AnyArguments, AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Row as _};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::fuse::{Fuse, Passage};
use super::{Error, migrations};

/// How long a connection may take; [`Error::Unreachable`] says so.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
/// Writes that may wait for SQLite's writer; more than that is [`Error::Busy`].
const QUEUE_MAX: usize = 4096;
/// Writes under one commit, and how long the first of them may wait for the others.
const BATCH_MAX: usize = 128;
const BATCH_TIME_MAX: Duration = Duration::from_millis(20);
/// How long a connection may have been idle and still be used without asking whether it lives.
const IDLE_UNTESTED_MAX: Duration = Duration::from_secs(5);
/// How long a read, or a transaction up to its commit, may take once it has a connection: longer than PostgreSQL itself gives
/// to a statement ([`set_limits`]), so that whoever still answers says why.
const ANSWER_MAX: Duration = Duration::from_secs(12);
/// How long a commit may take, and on SQLite a write with its turn in the queue.
const COMMIT_MAX: Duration = Duration::from_secs(12);
const QUEUED_MAX: Duration = Duration::from_secs(30);
/// Runs of one transaction on PostgreSQL before a serialization failure is given up on.
const ATTEMPTS_MAX: u32 = 5;

/// Which database a [`Db`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The embedded default: one file, one process.
    Sqlite,
    /// For several processes.
    Postgres,
}

/// The database.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
    /// Only in tests.
    fuse: Option<Fuse>,
}

struct Inner {
    kind: Kind,
    pool: AnyPool,
    writer: Option<Writer>,
    commits: watch::Sender<u64>,
    /// The runtime that all connections belong to. Threads that answer requests have runtimes of their own, which end
    /// first: a connection made on one of them would be dead while the rest of the process still needs it.
    home: Handle,
}

/// SQLite's one writer.
struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    closing: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("kind", &self.inner.kind).finish_non_exhaustive()
    }
}

/// A connection with a transaction open on it (in [`Db::write`]), or just a connection (in [`Db::read`]).
pub struct Tx<'c> {
    connection: &'c mut AnyConnection,
    kind: Kind,
    rerun: bool,
}

/// A query without its connection.
pub type Sql = Query<'static, Any, AnyArguments>;

impl Tx<'_> {
    /// The one of two statements that fits the database: for reading a row such that nobody changes it before this
    /// transaction ends. SQLite's only writer needs nothing for that; PostgreSQL needs `for share`.
    pub fn shared(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self.kind {
            Kind::Sqlite => sqlite,
            Kind::Postgres => postgres,
        }
    }

    /// Runs a statement and says how many rows it touched.
    ///
    /// # Errors
    /// [`Error`], with a broken uniqueness as [`Error::Taken`].
    pub async fn execute(&mut self, sql: Sql) -> Result<u64, Error> {
        let done = sql.execute(&mut *self.connection).await;
        done.map(|done| done.rows_affected()).map_err(|error| self.note(error))
    }

    /// Runs a statement that gives at most one row.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn fetch_optional(&mut self, sql: Sql) -> Result<Option<AnyRow>, Error> {
        let row = sql.fetch_optional(&mut *self.connection).await;
        row.map_err(|error| self.note(error))
    }

    /// Runs a statement that gives rows; the statement itself bounds their number.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn fetch_all(&mut self, sql: Sql) -> Result<Vec<AnyRow>, Error> {
        let rows = sql.fetch_all(&mut *self.connection).await;
        rows.map_err(|error| self.note(error))
    }

    fn note(&mut self, error: sqlx::Error) -> Error {
        let error = Error::from(error);
        self.rerun |= matches!(error, Error::Serialization);
        error
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
            let outcome = (self.body)(tx).await;
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

impl Db {
    /// Opens the database that the URL names: `sqlite:FILE` or `postgres://…`.
    ///
    /// # Errors
    /// Where the URL names neither, or the database can't be reached.
    pub async fn open(url: &str, connections: u32) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let kind = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Kind::Sqlite,
            Some("postgres" | "postgresql") => Kind::Postgres,
            _ => return Err(Error::Url),
        };
        let url = match kind {
            Kind::Sqlite if !url.contains('?') => format!("{url}?mode=rwc"),
            Kind::Sqlite | Kind::Postgres => url.to_owned(),
        };
        let options = AnyConnectOptions::from_str(&url).map_err(|_| Error::Url)?.disable_statement_logging();
        let writer = match kind {
            Kind::Sqlite => {
                make_private(&url)?;
                Some(open_sqlite(&options).await?)
            }
            Kind::Postgres => None,
        };
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(CONNECTED_WITHIN)
            // A ping before each use would double the cost of a read: only what lay idle may have died unnoticed.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > IDLE_UNTESTED_MAX {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    match kind {
                        Kind::Sqlite => set_pragmas(connection).await,
                        Kind::Postgres => set_limits(connection).await,
                    }
                })
            })
            .connect_with(options)
            .await
            .map_err(|error| match error {
                sqlx::Error::PoolTimedOut => Error::Unreachable,
                error => error.into(),
            })?;
        let writer = writer.map(|connection| {
            let ((queue, receiver), closing) = (mpsc::channel(QUEUE_MAX), CancellationToken::new());
            let task = tokio::spawn(run_writer(connection, receiver, closing.clone()));
            Writer { queue, closing, task: Mutex::new(Some(task)) }
        });
        let (commits, home) = (watch::Sender::new(0), Handle::current());
        Ok(Self { inner: Arc::new(Inner { kind, pool, writer, commits, home }), fuse: None })
    }

    /// The same database, until the fuse blows: for tests.
    #[must_use]
    pub fn with_fuse(self, fuse: Fuse) -> Self {
        Self { fuse: Some(fuse), ..self }
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// Brings the schema to this version.
    ///
    /// # Errors
    /// Where an applied migration was changed or the database refuses.
    pub async fn migrate(&self) -> Result<(), Error> {
        let mut connection = self.inner.pool.acquire().await?.detach();
        if self.inner.kind == Kind::Postgres {
            // The limits are those of requests; a step over a large table takes what it takes.
            sqlx::query("set statement_timeout = 0").execute(&mut connection).await?;
        }
        migrations::migrator(self.inner.kind).run_direct(None, &mut connection, false).await.map_err(Error::Migrate)?;
        Ok(connection.close().await?)
    }

    /// Changes after each commit of a write in this process: for workers that carry on what was written.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.inner.commits.subscribe()
    }

    /// Runs a read.
    ///
    /// # Errors
    /// Whatever the body gives, or [`Error`] where no connection can be had.
    pub async fn read<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Tx<'_>) -> BoxFuture<'a, Result<T, E>> + Send,
        E: From<Error>,
    {
        if self.fuse.as_ref().is_some_and(Fuse::has_blown) {
            return Err(Error::Unreachable.into());
        }
        let mut used = self.acquire().await?;
        let mut tx = Tx { connection: used.get()?, kind: self.inner.kind, rerun: false };
        let outcome = timeout(ANSWER_MAX, body(&mut tx)).await.map_err(|_| Error::Late)?;
        used.give_back();
        outcome
    }

    /// Runs a transaction: all of the body's changes, or none where it returns an error. The body may run more than once.
    ///
    /// # Errors
    /// Whatever the body gives; [`Error::Busy`] where too many writes wait; [`Error::CommitUnknown`] where the connection was
    /// lost at the commit, after which only reading tells.
    pub async fn write<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: for<'a> Fn(&'a mut Tx<'_>) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let passage = self.fuse.as_ref().map_or(Passage::Free, Fuse::write);
        if passage == Passage::Blown {
            return Err(Error::Unreachable.into());
        }
        let outcome = match &self.inner.writer {
            Some(writer) => {
                let (reply, answer) = oneshot::channel();
                let job = Box::new(Write { body, outcome: None, reply });
                writer.queue.try_send(job).map_err(|_| Error::Busy)?;
                timeout(QUEUED_MAX, answer).await.ok().and_then(Result::ok).ok_or(Error::CommitUnknown)?
            }
            None => self.write_here(body).await,
        };
        if passage == Passage::Last {
            return Err(Error::CommitUnknown.into());
        }
        if outcome.is_ok() {
            self.inner.commits.send_modify(|count| *count += 1);
        }
        outcome
    }

    /// Carries out what may open a connection, such that it belongs to the runtime on which the database was opened.
    async fn at_home<F: Future>(&self, opening: F) -> F::Output {
        let mut opening = std::pin::pin!(opening);
        let polled = std::future::poll_fn(|context| {
            let _home = self.inner.home.enter();
            opening.as_mut().poll(context)
        });
        polled.await
    }

    async fn write_here<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: for<'a> Fn(&'a mut Tx<'_>) -> BoxFuture<'a, Result<T, E>> + Send,
        E: From<Error>,
    {
        let (mut attempt, until) = (1, tokio::time::Instant::now() + ANSWER_MAX);
        loop {
            let mut used = self.acquire().await?;
            let beginning = timeout_at(until, used.get()?.begin()).await;
            let mut transaction = beginning.map_err(|_| Error::Late)?.map_err(Error::from)?;
            let mut tx = Tx { connection: &mut transaction, kind: self.inner.kind, rerun: false };
            let outcome = timeout_at(until, body(&mut tx)).await.map_err(|_| Error::Late)?;
            let again = tx.rerun && attempt < ATTEMPTS_MAX;
            match outcome {
                Ok(value) => {
                    let committed =
                        timeout(COMMIT_MAX, transaction.commit()).await.map_err(|_| Error::CommitUnknown)?;
                    match committed.map_err(Error::at_commit) {
                        Ok(()) => {
                            used.give_back();
                            return Ok(value);
                        }
                        Err(Error::Serialization) if attempt < ATTEMPTS_MAX => used.give_back(),
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => {
                    timeout(COMMIT_MAX, transaction.rollback()).await.map_err(|_| Error::Late)?.map_err(Error::from)?;
                    used.give_back();
                    if !again {
                        return Err(error);
                    }
                }
            }
            attempt += 1;
        }
    }

    async fn acquire(&self) -> Result<InUse, Error> {
        Ok(InUse(Some(self.at_home(self.inner.pool.acquire()).await?)))
    }

    /// Closes all connections; writes that wait are finished first. SQLite's last connection brings everything into the one
    /// file, so that after a clean stop a copy of it is a copy of all.
    pub async fn close(&self) {
        self.inner.pool.close().await;
        let Some(writer) = &self.inner.writer else { return };
        writer.closing.cancel();
        let task = writer.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It ends by itself; had it panicked, there would be nothing left to close.
            drop(task.await);
        }
    }
}

/// A connection of the pool in use. One that is let go in the middle of something is closed instead of going back: the pool
/// would wait for a database that hangs before it gives its place to another.
struct InUse(Option<PoolConnection<Any>>);

impl InUse {
    fn get(&mut self) -> Result<&mut AnyConnection, Error> {
        self.0.as_deref_mut().ok_or(Error::Late)
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

/// Makes SQLite's file before SQLite does, for its owner only; what SQLite puts beside it has the same mode.
fn make_private(url: &str) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    if path.is_empty() || path == ":memory:" {
        return Err(Error::Url);
    }
    // Only where it is not there: closing a file that SQLite has open would take SQLite's locks away (POSIX).
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::Database(sqlx::Error::Io(error))),
    }
}

async fn open_sqlite(options: &AnyConnectOptions) -> Result<AnyConnection, Error> {
    let mut connection = options.connect().await?;
    sqlx::query("pragma journal_mode = wal").execute(&mut connection).await?;
    set_pragmas(&mut connection).await?;
    Ok(connection)
}

/// No statement, no wait for a lock and no forgotten transaction lasts for ever.
async fn set_limits(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    for limit in
        ["set statement_timeout = '10s'", "set lock_timeout = '8s'", "set idle_in_transaction_session_timeout = '60s'"]
    {
        sqlx::query(limit).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn set_pragmas(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    for pragma in ["pragma synchronous = full", "pragma foreign_keys = on", "pragma busy_timeout = 5000"] {
        sqlx::query(pragma).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn run_writer(
    mut connection: AnyConnection,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    closing: CancellationToken,
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
        if outcome.is_err() {
            // Leaves the connection without a transaction whatever state it was in.
            drop(sqlx::query("rollback").execute(&mut connection).await);
        }
        let lost = outcome.err().map(|error| error.to_string());
        for job in batch {
            job.finish(lost.as_ref().map_or(Ok(()), |error| Err(Error::Lost(error.clone()))));
        }
    }
    drop(connection.close().await);
}

/// Runs what waits under one commit. All jobs taken are in `batch`, whatever happened.
async fn run_batch(
    connection: &mut AnyConnection,
    queue: &mut mpsc::Receiver<Box<dyn Job>>,
    first: Box<dyn Job>,
    batch: &mut Vec<Box<dyn Job>>,
) -> Result<(), Error> {
    batch.push(first);
    sqlx::query("begin immediate").execute(&mut *connection).await?;
    let started = Instant::now();
    // The first needs no savepoint: nothing is before it that would have to stay.
    if let Some(first) = batch.first_mut()
        && !first.run(&mut Tx { connection, kind: Kind::Sqlite, rerun: false }).await
    {
        sqlx::query("rollback").execute(&mut *connection).await?;
        return Ok(());
    }
    let mut next = 1;
    batch.extend(queue.try_recv().ok());
    while let Some(job) = batch.get_mut(next) {
        sqlx::query("savepoint job").execute(&mut *connection).await?;
        let keep = job.run(&mut Tx { connection, kind: Kind::Sqlite, rerun: false }).await;
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
    Ok(())
}

/// Reads a column; a wrong type is a fault of the schema, told as [`Error::Corrupt`].
///
/// # Errors
/// [`Error::Corrupt`] with the column's name.
pub fn column<'r, T>(row: &'r AnyRow, name: &'static str) -> Result<T, Error>
where
    T: sqlx::Decode<'r, Any> + sqlx::Type<Any>,
{
    row.try_get(name).map_err(|error| Error::Corrupt { column: name, source: Box::new(error) })
}
