//! The program `bourse-brokers`: one reference broker as a process.
//!
//! Prints one line, `listening on http://ADDRESS`, and ends with 0 on SIGTERM or Ctrl-C once the requests under way are
//! answered. It deliberately has no configuration file: flags, or the environment variables that `--help` names.

use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use osb::ServiceBroker;
use osb::server::{BasicAuth, Door, Open, Server};
use osb::stamp::{StampError, Verifier};
use tokio::signal::unix::{SignalKind, signal};

use crate::faults::{self, Faults};
use crate::stamped::{Stamped, Stamps};
use crate::vnet_ipam::pool::{self, Pool};
use crate::vnet_ipam::{Config, OpenError, QUARANTINE_SECONDS, VnetIpam};

/// The reference service brokers of Bourse, each an Open Service Broker API of its own.
#[derive(Debug, Parser)]
#[command(name = "bourse-brokers", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    broker: Broker,
}

#[derive(Debug, Subcommand)]
enum Broker {
    /// Virtual networks: prefixes that never overlap, subnets, and addresses.
    VnetIpam(VnetIpamArgs),
    /// Fails on purpose, one plan a fault; GET /state shows what it really holds.
    Faults(Common),
}

#[derive(Debug, Args)]
struct VnetIpamArgs {
    #[command(flatten)]
    common: Common,
    /// A JSON file of further pools, [{"name": "dmz", "cidr": "172.16.0.0/20"}]; one named `default` replaces 10.0.0.0/8.
    #[arg(long, value_name = "FILE", env = "BOURSE_BROKERS_POOLS")]
    pools: Option<PathBuf>,
    /// How long a prefix that was given back stays out of use.
    #[arg(long, value_name = "SECONDS", env = "BOURSE_BROKERS_QUARANTINE_SECONDS", default_value_t = QUARANTINE_SECONDS)]
    quarantine_seconds: u32,
}

#[derive(Args)]
struct Common {
    /// Where to listen; port 0 picks one.
    #[arg(long, value_name = "ADDRESS", env = "BOURSE_BROKERS_LISTEN", default_value = "127.0.0.1:8090")]
    listen: String,
    /// The directory that holds what the broker keeps, made where it is not there. `faults` keeps nothing.
    #[arg(long, value_name = "DIR", env = "BOURSE_BROKERS_DATA", default_value = ".")]
    data: PathBuf,
    /// The user name that callers must give. Without one, only loopback may be listened on.
    #[arg(long, env = "BOURSE_BROKERS_USERNAME", requires = "password")]
    username: Option<String>,
    /// The password that callers must give; better in the environment than on the command line.
    #[arg(long, env = "BOURSE_BROKERS_PASSWORD", hide_env_values = true, requires = "username")]
    password: Option<String>,
    /// The public URL of the hub whose stamps are verified. Without one, stamps are ignored.
    #[arg(long, value_name = "URL", env = "BOURSE_BROKERS_STAMP_ISSUER")]
    stamp_issuer: Option<String>,
    /// Whether calls without a stamp are refused.
    #[arg(long, value_enum, default_value_t = StampMode::Optional, requires_if("required", "stamp_issuer"))]
    stamp: StampMode,
    /// This broker's name at the hub, for which stamps must be meant; `vnet-ipam` or `faults` where absent.
    #[arg(long, value_name = "NAME", env = "BOURSE_BROKERS_NAME")]
    name: Option<String>,
}

impl std::fmt::Debug for Common {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Common").field("listen", &self.listen).field("data", &self.data).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StampMode {
    /// A stamp that is there must be valid.
    Optional,
    /// A stamp must be there.
    Required,
}

/// Why a broker can't run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none, or is taken.
    #[error("could not listen on `{0}`")]
    Listen(String, #[source] io::Error),
    /// Anyone could order.
    #[error("`{0}` can be reached from elsewhere: give --username and --password, or listen on 127.0.0.1")]
    Unlocked(SocketAddr),
    /// The issuer's URL is none.
    #[error("could not use the stamp issuer `{0}`")]
    Issuer(String, #[source] StampError),
    /// The pools can't be read.
    #[error("could not read the pools")]
    Pools(#[from] pool::Error),
    /// The directory can't be made.
    #[error("could not make the directory `{0}`")]
    Data(String, #[source] io::Error),
    /// The file can't be used.
    #[error("could not open `{0}`")]
    Open(String, #[source] OpenError),
    /// The system refused something else.
    #[error("could not start")]
    System(#[from] io::Error),
}

/// Runs one broker until it is told to end.
///
/// # Errors
/// Why it can't start.
pub async fn run(cli: Cli) -> Result<(), Error> {
    match cli.broker {
        Broker::VnetIpam(VnetIpamArgs { common, pools, quarantine_seconds }) => {
            std::fs::create_dir_all(&common.data)
                .map_err(|source| Error::Data(common.data.display().to_string(), source))?;
            let file = common.data.join("vnet-ipam.db");
            let mut config = Config { quarantine_seconds, ..Config::new(&file) };
            if let Some(pools) = pools {
                config.pools = Pool::from_file(&pools)?;
            }
            let broker = VnetIpam::open(config).await;
            let broker = broker.map_err(|source| Error::Open(file.display().to_string(), source))?;
            let broker = Arc::new(broker);
            let (door, address) = common.door(Arc::<VnetIpam>::clone(&broker), "vnet-ipam")?;
            let running = Server::new(door).realm("vnet-ipam").bind(address);
            let running = running.map_err(|source| Error::Listen(common.listen.clone(), source))?;
            announce(&running.url())?;
            until_told().await?;
            running.stop().await;
            broker.close().await;
        }
        Broker::Faults(common) => {
            let broker = Faults::new();
            let (door, address) = common.door(Arc::new(broker.clone()), "faults")?;
            let running = faults::wire::bind(door, &broker, address);
            let running = running.map_err(|source| Error::Listen(common.listen.clone(), source))?;
            announce(&running.url())?;
            until_told().await?;
            running.stop().await;
        }
    }
    Ok(())
}

impl Common {
    /// The broker behind its stamps and its lock, and where it listens.
    fn door(&self, broker: Arc<dyn ServiceBroker>, name: &str) -> Result<(Lock, SocketAddr), Error> {
        let stamps = match &self.stamp_issuer {
            None => Stamps::Ignored,
            Some(issuer) => {
                let verifier = Verifier::from_jwks_url(issuer, self.name.as_deref().unwrap_or(name));
                verifier.check().map_err(|source| Error::Issuer(issuer.clone(), source))?;
                match self.stamp {
                    StampMode::Optional => Stamps::Verified(verifier),
                    StampMode::Required => Stamps::Required(verifier),
                }
            }
        };
        let broker: Arc<dyn ServiceBroker> = Arc::new(Stamped::new(broker, stamps));
        let not_one = || Error::Listen(self.listen.clone(), io::ErrorKind::AddrNotAvailable.into());
        let mut addresses =
            self.listen.to_socket_addrs().map_err(|source| Error::Listen(self.listen.clone(), source))?;
        let address = addresses.next().ok_or_else(not_one)?;
        let lock = match (&self.username, &self.password) {
            (Some(username), Some(password)) => Lock::Basic(BasicAuth::new(broker, username, password)),
            _ if address.ip().is_loopback() => Lock::None(Open::new(broker)),
            _ => return Err(Error::Unlocked(address)),
        };
        Ok((lock, address))
    }
}

/// A door with or without a lock.
enum Lock {
    Basic(BasicAuth),
    None(Open),
}

#[async_trait::async_trait]
impl Door for Lock {
    async fn open(&self, head: &osb::server::Head<'_>) -> Result<Arc<dyn ServiceBroker>, osb::Error> {
        match self {
            Self::Basic(door) => door.open(head).await,
            Self::None(door) => door.open(head).await,
        }
    }
}

fn announce(url: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {url}")?;
    out.flush()
}

async fn until_told() -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
