//! The database: the one file that knows there are two kinds. Reads go to a pool; every write goes through [`Db::write`].
//!
//! On PostgreSQL a write is a transaction of its own, run again on a serialization failure. On SQLite it is handed to the
//! one [`Writer`].
//!
//! Nothing waits for a database that hangs: both are cut off on this side, and their connection is closed. A write that is cut
//! off before its commit was sent has not happened; after that it is [`Error::CommitUnknown`], and only reading tells.
//!
//! A closure given to [`Db::write`] may run more than once, so it touches nothing but the [`Tx`].

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::any::{AnyArguments, AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Row as _};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};

use super::fuse::{Fuse, Passage};
use super::writer::Writer;
use super::{Error, migrations};

/// How long a connection may take; [`Error::Unreachable`] says so.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection may have been idle and still be used without asking whether it lives.
const IDLE_UNTESTED_MAX: Duration = Duration::from_secs(5);
/// How long a read, or a transaction up to its commit, may take once it has a connection: longer than PostgreSQL itself gives
/// to a statement ([`set_limits`]), so that whoever still answers says why.
const ANSWER_MAX: Duration = Duration::from_secs(12);
/// How long a commit may take.
const COMMIT_MAX: Duration = Duration::from_secs(12);
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
    access_changed: bool,
}

/// A query without its connection.
pub type Sql = Query<'static, Any, AnyArguments>;

impl<'c> Tx<'c> {
    pub(super) fn on(connection: &'c mut AnyConnection, kind: Kind) -> Self {
        Self { connection, kind, rerun: false, access_changed: false }
    }
}

impl Tx<'_> {
    /// The one of two statements that fits the database: for reading a row such that nobody changes it before this
    /// transaction ends. SQLite's only writer needs nothing for that; PostgreSQL needs `for share`.
    pub fn shared(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self.kind {
            Kind::Sqlite => sqlite,
            Kind::Postgres => postgres,
        }
    }

    pub(super) fn access_changed(&self) -> bool {
        self.access_changed
    }

    /// Says that this transaction takes a credential away or changes what it opens: [`Db::access_epoch`].
    pub fn changes_access(&mut self) {
        self.access_changed = true;
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
        let writer = writer.map(Writer::start);
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

    /// What was read of credentials and of whom they belong to is as it was for as long as this number, taken before the read, does not
    /// change. `None` where other processes change them, too: then only reading tells.
    pub fn access_epoch(&self) -> Option<u64> {
        self.inner.writer.as_ref().map(Writer::access_epoch)
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
        let mut tx = Tx::on(used.get()?, self.inner.kind);
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
            Some(writer) => writer.write(body).await,
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
            let mut tx = Tx::on(&mut transaction, self.inner.kind);
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
        if let Some(writer) = &self.inner.writer {
            writer.close().await;
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
