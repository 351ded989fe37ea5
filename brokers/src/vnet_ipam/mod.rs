//! `vnet-ipam`: virtual networks. An instance is a network whose prefixes overlap no other, a binding an address inside it.
//!
//! Pools of addresses, routing domains, IPv4 and IPv6, subnets, reservations, growth, quarantine before a prefix is used
//! again, ranges that were there before, and a forecast of when a pool is full. What OSB asks of all brokers is the kit's; what
//! makes a network real is a [`driver`]'s. Invariant: inside a routing domain no address is handed out twice (see `store`).

mod answer;
pub mod driver;
pub mod forecast;
pub mod free_space;
pub mod import;
mod parameters;
pub mod plan;
pub mod pool;
pub mod prefix;
mod ranges;
mod report;
mod service;
mod store;
pub mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use osb::kit::clock::Clock;
use osb::kit::{Broker, Db, Sealer, Setup};

use self::driver::Driver;
use self::driver::record_only::RecordOnly;
use self::pool::Pool;
pub use self::ranges::Ranges;
use self::store::Store;
pub use self::store::{Error as StoreError, Imported, OpenError, Outcome};

/// How long a prefix that was given back stays out of use: 7 days.
pub const QUARANTINE_SECONDS: u32 = 7 * 24 * 60 * 60;
/// How often meters are read.
const MEASURE_EVERY: Duration = Duration::from_secs(3_600);

/// What a [`VnetIpam`] works with.
#[derive(Clone)]
pub struct Config {
    /// The SQLite file; made where it is not there. The key that seals credentials lies beside it.
    pub file: PathBuf,
    /// Where prefixes are taken from. An IPv6 pool `default-v6` is added where there is none.
    pub pools: Vec<Pool>,
    /// How long a prefix that was given back stays out of use.
    pub quarantine_seconds: u32,
    /// The time.
    pub clock: Clock,
    /// What makes networks real.
    pub driver: Arc<dyn Driver>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("file", &self.file).field("pools", &self.pools).finish_non_exhaustive()
    }
}

impl Config {
    /// The built-in pools, seven days of quarantine, the system's time, and nothing but a record of each network.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        let pools = vec![Pool::built_in()];
        let driver = Arc::new(RecordOnly);
        Self { file: file.into(), pools, quarantine_seconds: QUARANTINE_SECONDS, clock: Clock::System, driver }
    }
}

/// The service.
pub struct VnetIpam {
    store: Store,
    driver: Arc<dyn Driver>,
    /// When the pools were looked at last, in seconds since 1970.
    looked_at: AtomicI64,
}

impl std::fmt::Debug for VnetIpam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VnetIpam").field("store", &self.store).finish_non_exhaustive()
    }
}

impl VnetIpam {
    /// Opens the file, or makes it, and offers networks.
    ///
    /// # Errors
    /// Where the pools or the file can't be used.
    pub async fn open(config: Config) -> Result<Broker<Self>, OpenError> {
        let clock = config.clock.clone();
        let (service, db, sealer) = Self::prepare(config).await?;
        let setup = Setup { name: "vnet-ipam".to_owned(), db, sealer, clock, measure_every: MEASURE_EVERY };
        Ok(Broker::new(service, setup)?)
    }

    /// The service with its file and its key, for whoever offers it under another name.
    ///
    /// # Errors
    /// Where the pools or the file can't be used.
    pub async fn prepare(config: Config) -> Result<(Arc<Self>, Db, Sealer), OpenError> {
        let Config { file, pools, quarantine_seconds, clock, driver } = config;
        let db = store::open(&file).await?;
        let sealer = Sealer::from_file(&file.with_extension("key"))?;
        let store = Store::new(db.clone(), pools, quarantine_seconds, clock).await?;
        Ok((Arc::new(Self { store, driver, looked_at: AtomicI64::new(0) }), db, sealer))
    }
}
