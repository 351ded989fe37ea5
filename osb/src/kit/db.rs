//! A broker's file: SQLite, one writer at a time under `begin immediate`, a few readers, and what was committed is on disk
//! (synchronous = full). The kit's tables and the service's own lie side by side in it.
//!
//! Several processes may share a file; each waits for the other's write.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::{Mutex, MutexGuard};

const SCHEMA: &str = include_str!("schema.sql");
/// The version of the kit's tables; a file of a newer program is refused.
const SCHEMA_VERSION: i64 = 1;
/// How long a write waits for those before it in this process.
const WRITER_WAIT: Duration = Duration::from_secs(10);
/// How long it waits for another process that writes to the file.
const FILE_WAIT: Duration = Duration::from_secs(10);
/// After what time the first connection is tried again.
const FIRST_AGAIN: Duration = Duration::from_millis(20);
/// Readers beside the one writer.
const READERS: u32 = 4;

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It was written by a newer program.
    #[error("the file was written by a newer version of this program (schema {0}): use that one")]
    Newer(i64),
    /// It can't be opened.
    #[error("could not open the file")]
    Database(#[from] sqlx::Error),
    /// It can't be made.
    #[error("could not make the file")]
    File(#[from] std::io::Error),
}

/// An open file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// None once it is closed.
    writer: Mutex<Option<SqliteConnection>>,
    readers: SqlitePool,
}

/// The one connection that writes, for as long as this is held.
#[derive(Debug)]
pub struct Writer<'a> {
    guard: MutexGuard<'a, Option<SqliteConnection>>,
}

impl Db {
    /// Opens the file, makes it where it is not there, and the tables of the kit and of the service (`schema`: statements
    /// that may run at each start, such as `create table if not exists`).
    ///
    /// # Errors
    /// Where it can't be opened, or a newer program wrote it.
    pub async fn open(file: &Path, schema: &'static str) -> Result<Self, OpenError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(FILE_WAIT);
        // For the owner's eyes only, like what SQLite puts beside it.
        OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
        let mut connection = first_connection(&options).await?;
        let version: i64 = sqlx::query_scalar("pragma user_version").fetch_one(&mut connection).await?;
        if version > SCHEMA_VERSION {
            return Err(OpenError::Newer(version));
        }
        let mut transaction = connection.begin_with("begin immediate").await?;
        sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
        sqlx::raw_sql(schema).execute(&mut *transaction).await?;
        sqlx::raw_sql("pragma user_version = 1").execute(&mut *transaction).await?;
        transaction.commit().await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(WRITER_WAIT)
            .connect_with(options.create_if_missing(false).read_only(true))
            .await?;
        Ok(Self { shared: Arc::new(Shared { writer: Mutex::new(Some(connection)), readers }) })
    }

    /// For reading what is committed.
    pub fn reader(&self) -> &SqlitePool {
        &self.shared.readers
    }

    /// The writer, once those before have finished.
    ///
    /// # Errors
    /// [`sqlx::Error::PoolTimedOut`] where they take too long, or the file is closed.
    pub async fn writer(&self) -> Result<Writer<'_>, sqlx::Error> {
        let waiting = tokio::time::timeout(WRITER_WAIT, self.shared.writer.lock());
        Ok(Writer { guard: waiting.await.map_err(|_| sqlx::Error::PoolTimedOut)? })
    }

    /// Closes all connections: the last one brings what SQLite keeps beside the file into it. Later calls fail.
    pub async fn close(&self) {
        self.shared.readers.close().await;
        if let Some(connection) = self.shared.writer.lock().await.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the file could not be closed");
        }
    }
}

impl Writer<'_> {
    /// The connection itself, for what a transaction isn't needed for.
    ///
    /// # Errors
    /// [`sqlx::Error::PoolClosed`] after [`Db::close`].
    pub fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        self.guard.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// A transaction that holds the file from its start; dropped without a commit it has done nothing.
    ///
    /// # Errors
    /// Where another process holds the file for too long.
    pub async fn begin(&mut self) -> Result<Transaction<'_, Sqlite>, sqlx::Error> {
        self.connection()?.begin_with("begin immediate").await
    }
}

/// The first connection makes the file's log; SQLite waits for nobody while several processes do that at once.
async fn first_connection(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let deadline = tokio::time::Instant::now() + FILE_WAIT;
    loop {
        match options.clone().connect().await {
            Err(error) if is_busy(&error) && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(FIRST_AGAIN).await;
            }
            connected => return connected,
        }
    }
}

/// Whether a statement failed because others held the file for too long: then asking again later is right.
pub fn is_busy(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY, SQLITE_BUSY_RECOVERY and SQLITE_BUSY_SNAPSHOT.
    let code = error.as_database_error().and_then(|error| error.code());
    let locked = code.is_some_and(|code| matches!(&*code, "5" | "261" | "517"));
    locked || matches!(error, sqlx::Error::PoolTimedOut)
}
