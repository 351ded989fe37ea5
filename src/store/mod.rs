//! Everything that is kept, and every SQL string: one file a table. It knows no HTTP and no policy.
//!
//! The same SQL runs on SQLite and PostgreSQL: ids are `text`, times `bigint` microseconds, flags `bigint` 0 or 1, structured
//! values `text` JSON, secrets sealed bytes; `$1` placeholders, `on conflict`, `returning`, leases instead of `skip locked`.
//! Functions take a [`Tx`]: transactions are opened and closed in `app`.

pub mod approval_rules;
pub mod approvals;
pub mod attention;
pub mod audit;
pub mod audit_heads;
pub mod billing_cases;
pub mod bindings;
pub mod brokers;
pub mod budgets;
pub mod changes;
pub mod conformance;
pub mod context_updates;
pub mod credentials;
pub mod db;
pub mod dead_letters;
pub mod events;
pub mod fuse;
pub mod gauges;
pub mod identities;
pub mod instance_grants;
pub mod instances;
pub mod leases;
pub mod members;
pub mod migrations;
pub mod offboardings;
pub mod offerings;
pub mod operations;
pub mod plan_parameters;
pub mod platforms;
pub mod policies;
pub mod price_books;
pub mod price_proposals;
pub mod processes;
pub mod quotas;
pub mod references;
pub mod reviews;
pub mod sealed;
pub mod service_accounts;
pub mod services;
pub mod sessions;
pub mod sinks;
pub mod spans;
pub mod stamp_keys;
pub mod statements;
pub mod tenants;
pub mod usage;
pub mod users;
pub mod versions;
pub mod visibility;
mod writer;

pub use db::{Db, Kind, Tx};

/// What the database can say besides yes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL names no database that is spoken here.
    #[error("the database URL must be sqlite:FILE or postgres://user:password@host/database")]
    Url,
    /// A uniqueness was broken. A statement has only one that it can break, and says which.
    #[error("the row exists already")]
    Taken,
    /// A row is still referred to, or refers to one that is not there.
    #[error("a row that belongs to it is missing or still there")]
    Reference,
    /// Two transactions met; the same one may be run again.
    #[error("the transaction met another one")]
    Serialization,
    /// Nobody answers at the database's address.
    #[error("no connection could be had within 10 s; is its server running, and is `database.url` right?")]
    Unreachable,
    /// The database did not answer in time. Nothing was written.
    #[error("the database did not answer in time")]
    Late,
    /// Too many writes wait.
    #[error("the database is busy: too many writes are waiting")]
    Busy,
    /// The connection was lost at the commit: it may have happened.
    #[error("the connection to the database was lost at the commit: it may have happened")]
    CommitUnknown,
    /// The shared commit failed: nothing was written.
    #[error("the commit failed: {0}")]
    Lost(String),
    /// A stored value is not what the schema promises.
    #[error("column `{column}` holds a value that cannot be read")]
    Corrupt {
        /// The column.
        column: &'static str,
        /// Why it can't be read.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The schema can't be brought to this version.
    #[error("the database schema could not be migrated")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// Anything else.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => Self::Taken,
            sqlx::Error::Database(database) if database.is_foreign_key_violation() => Self::Reference,
            sqlx::Error::Database(database) if matches!(database.code().as_deref(), Some("40001" | "40P01")) => {
                Self::Serialization
            }
            // A lock or a statement that took too long.
            sqlx::Error::Database(database) if matches!(database.code().as_deref(), Some("55P03" | "57014")) => {
                Self::Late
            }
            sqlx::Error::PoolTimedOut => Self::Busy,
            _ => Self::Database(error),
        }
    }
}

impl Error {
    /// Reads an error that came from a commit: a lost connection there leaves the outcome open.
    fn at_commit(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => Self::CommitUnknown,
            other => Self::from(other),
        }
    }
}
