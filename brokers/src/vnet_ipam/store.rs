//! What vnet-ipam knows, in the broker's file beside what the kit keeps: every SQL string is here or in a module below.
//!
//! It deliberately knows nothing of OSB. Invariant: no two prefixes of a routing domain overlap; triggers in `schema.sql`
//! refuse it, and the free space kept in memory is only a quick way to find what they will accept.

mod address;
mod blocks;
mod free;
mod grow;
mod import;
mod levels;
mod network;
mod place;
mod reservation;
mod subnet;
mod work;

use std::path::Path;
use std::sync::Mutex;

use osb::kit::clock::Clock;
use osb::kit::db::is_busy;
use osb::kit::{Db, KeyError};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

pub use self::blocks::Imported;
use self::free::FreeCache;
pub use self::import::Outcome;
pub(crate) use self::levels::{Levels, Use};
pub(crate) use self::place::Placed;
use super::parameters::SUBNETS_MAX;
use super::pool::{self, DEFAULT_V6, Pool};
use super::prefix::{Prefix, Version};

const SCHEMA: &str = include_str!("store/schema.sql");

/// A network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) resource: String,
    pub(crate) routing_domain: String,
    pub(crate) version: Version,
    pub(crate) pool: String,
    /// The size that was asked for, as a prefix length.
    pub(crate) length: u8,
    pub(crate) status: Status,
    /// The first one first. Of an expired reservation: what it held.
    pub(crate) prefixes: Vec<Prefix>,
    pub(crate) subnets: Vec<Subnet>,
}

/// Whether a network is there to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Confirmed,
    /// Until then; afterwards it is expired.
    Reserved {
        until: i64,
    },
    /// Its prefixes are not its own any more.
    Expired,
}

/// A part of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) name: String,
    pub(crate) prefix: Prefix,
}

/// An address that a binding reserves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) binding: String,
    pub(crate) subnet: Option<String>,
    pub(crate) value: u128,
    /// The range that it is on-link in: the subnet, else the network's prefix.
    pub(crate) range: Prefix,
    pub(crate) hostname: Option<String>,
}

/// What did not work. Those that are about an order are sentences for the user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The instance or binding went, or is going.
    #[error("it is being deleted")]
    Gone,
    /// A pool that is not there.
    #[error("there is no pool `{name}` of IPv{version}: use one of {known}")]
    NoPool {
        /// What was asked for.
        name: String,
        /// Of which version.
        version: u8,
        /// What there is.
        known: String,
    },
    /// A prefix beyond all pools.
    #[error("{wanted} lies in no pool: use one of {known}")]
    OutsidePools {
        /// What was asked for.
        wanted: Prefix,
        /// What there is.
        known: String,
    },
    /// No block that large.
    #[error(
        "no free /{length} in pool {pool} ({range}); {}: ask for that or another pool",
        largest.map_or_else(|| "nothing is free".to_owned(), |largest| format!("the largest free prefix is /{largest}"))
    )]
    Full {
        /// What was asked for.
        length: u8,
        /// Where.
        pool: String,
        /// All that the pool holds.
        range: Prefix,
        /// The length of the largest free block.
        largest: Option<u8>,
    },
    /// A prefix that is not free.
    #[error("{wanted} is not free: it overlaps {other}, which {why}; ask for another prefix, or let one be chosen")]
    Taken {
        /// What was asked for.
        wanted: Prefix,
        /// What is in the way.
        other: Prefix,
        /// What that is.
        why: String,
    },
    /// No room for a subnet.
    #[error(
        "no free /{length} in {network} for subnet `{name}`; {}",
        largest.map_or_else(|| "nothing is free".to_owned(), |largest| format!("the largest free prefix is /{largest}"))
    )]
    SubnetFull {
        /// The subnet.
        name: String,
        /// What was asked for.
        length: u8,
        /// The network's prefixes.
        network: String,
        /// The length of the largest free block.
        largest: Option<u8>,
    },
    /// A subnet that is there with another size.
    #[error("subnet `{name}` is {prefix} and can't become a /{length}: addresses in use would move")]
    SubnetDiffers {
        /// The subnet.
        name: String,
        /// What it is.
        prefix: Prefix,
        /// What was asked for.
        length: u8,
    },
    /// Too many subnets.
    #[error("a network has at most {SUBNETS_MAX} subnets")]
    SubnetsMany,
    /// Grown too often.
    #[error("a network has at most {} prefixes: order another network", super::driver::PREFIXES_MAX)]
    PrefixesMany,
    /// A subnet that is not there.
    #[error("there is no subnet `{name}` in this network: {known}")]
    NoSubnet {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// No address.
    #[error("no address is free in {0}: unbind what is not used, or add a subnet")]
    NoAddress(String),
    /// The reservation ran out.
    #[error(
        "the reservation has expired: update the network with `confirm` true to get the same prefix, if it is still free"
    )]
    Expired,
    /// A name that is there for something else.
    #[error(
        "`{name}` is {present} in routing domain {routing_domain} already: forget that first, or take another name"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Where.
        routing_domain: String,
        /// What it stands for.
        present: String,
    },
    /// Others hold the file.
    #[error("too many orders are waiting")]
    Busy,
    /// A row that this program did not write.
    #[error("the file holds what can't be read: {0}")]
    Corrupt(&'static str),
    /// SQLite failed.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        // SQLITE_CONSTRAINT_FOREIGNKEY: the kit's row that this one belongs to is not there any more.
        let gone = error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "787");
        match error {
            _ if gone => Self::Gone,
            error if is_busy(&error) => Self::Busy,
            error => Self::Database(error),
        }
    }
}

/// Why the store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The pools are not usable.
    #[error("the pools can't be used")]
    Pools(#[from] pool::Error),
    /// The file is not usable.
    #[error(transparent)]
    File(#[from] osb::kit::OpenError),
    /// It was written before instances were kept as those of all brokers are; that was never released.
    #[error("the file was written by an early version of this program that was never released: start with another one")]
    Early,
    /// The key that seals what may hold secrets.
    #[error("could not use the key")]
    Key(#[from] KeyError),
    /// A first statement failed.
    #[error("could not use the file")]
    Database(#[from] sqlx::Error),
    /// The catalog is not one.
    #[error("could not offer networks")]
    Setup(#[from] osb::kit::SetupError),
}

/// The store.
#[derive(Debug)]
pub(crate) struct Store {
    db: Db,
    free: Mutex<Option<FreeCache>>,
    pools: Vec<Pool>,
    quarantine_seconds: u32,
    clock: Clock,
}

/// Opens the file with the tables of the kit and of this broker.
pub(crate) async fn open(file: &Path) -> Result<Db, OpenError> {
    let db = Db::open(file, SCHEMA).await?;
    let early = "select 1 from sqlite_schema where type = 'table' and name = 'instance'";
    let early: Option<i64> = sqlx::query_scalar(early).fetch_optional(db.reader()).await?;
    if early.is_some() {
        db.close().await;
        return Err(OpenError::Early);
    }
    Ok(db)
}

impl Store {
    pub(crate) async fn new(
        db: Db,
        mut pools: Vec<Pool>,
        quarantine_seconds: u32,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        if !pools.iter().any(|pool| pool.name == DEFAULT_V6) {
            let mut writer = db.writer().await?;
            pools.push(unique_local_pool(writer.connection()?).await?);
        }
        pool::check(&pools)?;
        Ok(Self { db, free: Mutex::new(None), pools, quarantine_seconds, clock })
    }

    pub(crate) fn pools(&self) -> &[Pool] {
        &self.pools
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.seconds()
    }
}

/// The built-in pool of IPv6: a /48 of unique local addresses whose global id is drawn once and kept (RFC 4193, 3.2).
async fn unique_local_pool(connection: &mut SqliteConnection) -> Result<Pool, OpenError> {
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
    .fetch_one(connection)
    .await?;
    Ok(Pool::new(DEFAULT_V6, &kept)?)
}

/// An address as it is stored.
fn bytes(address: u128) -> Vec<u8> {
    address.to_be_bytes().to_vec()
}

/// A stored address.
fn address_of(row: &SqliteRow, column: &str) -> Result<u128, Error> {
    let bytes: &[u8] = row.try_get(column)?;
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
