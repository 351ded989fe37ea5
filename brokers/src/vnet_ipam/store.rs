//! What vnet-ipam knows, in an SQLite file of its own: every SQL string is here or in a module below.
//!
//! One writer at a time, under `begin immediate` and synchronous = full: what was answered is on disk. It deliberately knows
//! nothing of OSB. Invariant: no two prefixes of a routing domain overlap; triggers in `schema.sql` refuse it, and the
//! free space kept in memory is only a quick way to find what they will accept.

mod address;
mod free;
mod network;

use std::path::Path;
use std::time::Duration;

use osb::Object;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use self::free::FreeCache;
pub(crate) use self::network::NewInstance;
use super::pool::{self, DEFAULT_V6, Pool};
use super::prefix::{Prefix, Version};
use osb::kit::clock::Clock;
use osb::kit::stamped::Tenant;

const SCHEMA: &str = include_str!("store/schema.sql");
/// The version of the schema; a file of a newer program is refused.
const SCHEMA_VERSION: i64 = 1;
/// How long a write waits for those before it.
const WRITER_WAIT: Duration = Duration::from_secs(10);
/// How long it waits for another process that writes to the file.
const FILE_WAIT: Duration = Duration::from_secs(2);
/// Readers beside the one writer.
const READERS: u32 = 2;

/// A network.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) id: String,
    pub(crate) service_id: String,
    pub(crate) plan_id: String,
    pub(crate) organization_guid: String,
    pub(crate) space_guid: String,
    pub(crate) parameters: Object,
    pub(crate) tenant: Option<Tenant>,
    pub(crate) routing_domain: String,
    pub(crate) pool: String,
    pub(crate) prefix: Prefix,
    pub(crate) subnets: Vec<Subnet>,
}

/// A part of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) name: String,
    pub(crate) prefix: Prefix,
}

/// An address that a binding reserves.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) subnet: Option<String>,
    pub(crate) value: u128,
    pub(crate) hostname: Option<String>,
    pub(crate) parameters: Object,
}

/// What did not work. Those that are about an order are sentences for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is such an id already")]
    Exists,
    #[error("there is no such id")]
    NotFound,
    #[error("there is no pool `{name}` of IPv{version}: use one of {known}")]
    NoPool { name: String, version: u8, known: String },
    #[error("{wanted} lies in no pool: use one of {known}")]
    OutsidePools { wanted: Prefix, known: String },
    #[error(
        "no free /{length} in pool {pool} ({range}); {}: ask for that or another pool",
        largest.map_or_else(|| "nothing is free".to_owned(), |largest| format!("the largest free prefix is /{largest}"))
    )]
    Full { length: u8, pool: String, range: Prefix, largest: Option<u8> },
    #[error(
        "{wanted} is not free: it overlaps {other}, which {}; ask for another prefix, or let one be chosen",
        until.as_deref().map_or_else(|| "is in use".to_owned(), |until| format!("was given back and rests until {until}"))
    )]
    Taken { wanted: Prefix, other: Prefix, until: Option<String> },
    #[error(
        "no free /{length} in {network} for subnet `{name}`; {}",
        largest.map_or_else(|| "nothing is free".to_owned(), |largest| format!("the largest free prefix is /{largest}"))
    )]
    SubnetFull { name: String, length: u8, network: Prefix, largest: Option<u8> },
    #[error("subnet `{name}` is {prefix} and can't become a /{length}: addresses in use would move")]
    SubnetDiffers { name: String, prefix: Prefix, length: u8 },
    #[error("a network has at most {} subnets", super::parameters::SUBNETS_MAX)]
    SubnetsMany,
    #[error("there is no subnet `{name}` in this network: {known}")]
    NoSubnet { name: String, known: String },
    #[error("no address is free in {0}: unbind what is not used, or add a subnet")]
    NoAddress(Prefix),
    #[error("too many orders are waiting")]
    Busy,
    #[error("the file holds what can't be read: {0}")]
    Corrupt(&'static str),
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        // SQLITE_BUSY: another process held the file for too long.
        let locked = error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "5");
        if locked || matches!(error, sqlx::Error::PoolTimedOut) { Self::Busy } else { Self::Database(error) }
    }
}

impl Error {
    /// Whether it is an answer rather than a fault of this program or its file.
    pub(crate) fn is_refusal(&self) -> bool {
        !matches!(self, Self::Busy | Self::Corrupt(_) | Self::Database(_))
    }
}

/// Why the store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The pools are not usable.
    #[error("the pools can't be used")]
    Pools(#[from] pool::Error),
    /// The file was written by a newer program.
    #[error("the file was written by a newer version of this program (schema {0}): use that one")]
    Newer(i64),
    /// The file can't be opened.
    #[error("could not open the file")]
    Database(#[from] sqlx::Error),
}

/// The store.
#[derive(Debug)]
pub(crate) struct Store {
    writer: Mutex<Writer>,
    readers: SqlitePool,
    pools: Vec<Pool>,
    quarantine_seconds: u32,
    clock: Clock,
}

/// The one connection that writes. The cache is taken out while a transaction runs and put back once it is committed, so a
/// future that is dropped half-way leaves no cache rather than a wrong one.
#[derive(Debug)]
struct Writer {
    /// None once the store is closed.
    connection: Option<SqliteConnection>,
    free: Option<FreeCache>,
}

impl Writer {
    fn connection(&mut self) -> Result<&mut SqliteConnection, Error> {
        self.connection.as_mut().ok_or(Error::Busy)
    }
}

impl Store {
    pub(crate) async fn open(
        file: &Path,
        mut pools: Vec<Pool>,
        quarantine_seconds: u32,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(FILE_WAIT);
        let mut connection = options.clone().connect().await?;
        let version: i64 = sqlx::query_scalar("pragma user_version").fetch_one(&mut connection).await?;
        if version > SCHEMA_VERSION {
            return Err(OpenError::Newer(version));
        }
        let mut transaction = connection.begin_with("begin immediate").await?;
        sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
        sqlx::raw_sql("pragma user_version = 1").execute(&mut *transaction).await?;
        if !pools.iter().any(|pool| pool.name == DEFAULT_V6) {
            pools.push(unique_local_pool(&mut transaction).await?);
        }
        transaction.commit().await?;
        pool::check(&pools)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(WRITER_WAIT)
            .connect_with(options.create_if_missing(false).read_only(true))
            .await?;
        Ok(Self {
            writer: Mutex::new(Writer { connection: Some(connection), free: None }),
            readers,
            pools,
            quarantine_seconds,
            clock,
        })
    }

    /// Closes all connections: the last one brings what SQLite keeps beside the file into it. Orders that come later fail.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        let mut writer = self.writer.lock().await;
        writer.free = None;
        if let Some(connection) = writer.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the file could not be closed");
        }
    }

    async fn writer(&self) -> Result<MutexGuard<'_, Writer>, Error> {
        tokio::time::timeout(WRITER_WAIT, self.writer.lock()).await.map_err(|_| Error::Busy)
    }
}

/// The built-in pool of IPv6: a /48 of unique local addresses whose global id is drawn once and kept (RFC 4193, 3.2).
async fn unique_local_pool(transaction: &mut Transaction<'_, Sqlite>) -> Result<Pool, OpenError> {
    // The first six bytes of a random UUID are random throughout.
    let drawn = Uuid::new_v4().into_bytes();
    let mut address = [0_u8; 16];
    address[0] = 0xfd;
    address[1..6].copy_from_slice(&drawn[..5]);
    let drawn = Prefix::containing(Version::V6, u128::from_be_bytes(address), 48);
    let kept: String = sqlx::query_scalar(
        "insert into setting (name, value) values ($1, $2) on conflict (name) do update set value = value returning value",
    )
    .bind(DEFAULT_V6)
    .bind(drawn.to_string())
    .fetch_one(&mut **transaction)
    .await?;
    Ok(Pool::new(DEFAULT_V6, &kept)?)
}

/// An address as it is stored.
fn bytes(address: u128) -> Vec<u8> {
    address.to_be_bytes().to_vec()
}

/// A stored address.
fn address_of(row: &SqliteRow, column: &str) -> Result<u128, Error> {
    let bytes: Vec<u8> = row.try_get(column)?;
    Ok(u128::from_be_bytes(bytes.try_into().map_err(|_| Error::Corrupt("an address"))?))
}

/// A stored prefix, of a known version.
fn prefix_of(row: &SqliteRow, version: Version) -> Result<Prefix, Error> {
    let length: u8 = row.try_get("length")?;
    Ok(Prefix::containing(version, address_of(row, "first")?, length))
}

fn version_of(row: &SqliteRow) -> Result<Version, Error> {
    match row.try_get::<i64, _>("ip_version")? {
        4 => Ok(Version::V4),
        6 => Ok(Version::V6),
        _ => Err(Error::Corrupt("an IP version")),
    }
}

fn object_of(row: &SqliteRow, column: &str) -> Result<Object, Error> {
    serde_json::from_str(row.try_get(column)?).map_err(|_| Error::Corrupt("parameters"))
}

/// Parameters as they are stored. A map of JSON values always serializes: its keys are strings.
fn json(object: &Object) -> String {
    serde_json::to_string(object).unwrap_or_default()
}
