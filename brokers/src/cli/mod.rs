//! The program `bourse-brokers`: one reference broker as a process.
//!
//! Prints one line, `listening on http://ADDRESS`, and ends with 0 on SIGTERM or Ctrl-C once the requests under way are
//! answered. It deliberately has no configuration file: flags, or the environment variables that `--help` names. What all
//! brokers have in common is here; what one has alone is in the file of its name.

mod bastion;
mod devops_toolchain;
mod faults;
mod key_vault;
mod vnet_ipam;

use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use clap::{Parser, Subcommand, ValueEnum};
use osb::ServiceBroker;
use osb::kit::{Broker, Clock, Db, Reporter, Sealer, Service, Setup, Stamped, Stamps};
use osb::server::{BasicAuth, Door, Open, Running, Server};
use osb::stamp::{StampError, Verifier};
use tokio::signal::unix::{SignalKind, signal};

/// The reference service brokers of Bourse, each an Open Service Broker API of its own.
#[derive(Debug, Parser)]
#[command(name = "bourse-brokers", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    broker: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// Virtual networks: prefixes that never overlap, subnets, and addresses.
    VnetIpam(Box<vnet_ipam::Args>),
    /// Key vaults: secrets with versions, and keys that encrypt and sign, behind Vault's API.
    KeyVault(Box<key_vault::Args>),
    /// SSH access: a certificate authority for each bastion, signing for minutes.
    Bastion(bastion::Args),
    /// DevOps toolchains: Git repositories from templates, tokens that expire, builds.
    DevopsToolchain(Box<devops_toolchain::Args>),
    /// Fails on purpose, one plan a fault; GET /state shows what it really holds.
    Faults(faults::Args),
}

#[derive(clap::Args)]
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
    /// This broker's name at the hub, for which stamps must be meant and under which usage is reported; as the command is
    /// called, such as `vnet-ipam`, where absent.
    #[arg(long, value_name = "NAME", env = "BOURSE_BROKERS_NAME")]
    name: Option<String>,
    /// How users reach this broker, where that is not the address it listens on. It is part of credentials.
    #[arg(long, value_name = "URL", env = "BOURSE_BROKERS_PUBLIC_URL")]
    public_url: Option<String>,
    /// The public URL of the hub that usage is reported to. Without one, readings stay in the broker's file. `faults` has none.
    #[arg(long, value_name = "URL", env = "BOURSE_BROKERS_USAGE_HUB", requires = "usage_username")]
    usage_hub: Option<String>,
    /// The user name that the hub gave this broker (POST /api/v1/brokers/NAME/credentials).
    #[arg(long, env = "BOURSE_BROKERS_USAGE_USERNAME", requires = "usage_password")]
    usage_username: Option<String>,
    /// The password to it; better in the environment than on the command line.
    #[arg(long, env = "BOURSE_BROKERS_USAGE_PASSWORD", hide_env_values = true)]
    usage_password: Option<String>,
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
    /// The same, through what stands in front of it.
    #[error("`{0}` is how others reach it, so anybody could order: give --username and --password")]
    Published(String),
    /// The issuer's URL is none.
    #[error("could not use the stamp issuer `{0}`")]
    Issuer(String, #[source] StampError),
    /// The directory can't be made.
    #[error("could not make the directory `{0}`")]
    Data(String, #[source] io::Error),
    /// The broker itself can't start.
    #[error("could not start {0}")]
    Broker(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// Ranges of `vnet-ipam` can't be imported, listed or forgotten.
    #[error("could not work on the ranges")]
    Ranges(#[source] Box<dyn std::error::Error + Send + Sync>),
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
        Kind::VnetIpam(args) => vnet_ipam::run(*args).await,
        Kind::KeyVault(args) => key_vault::run(*args).await,
        Kind::Bastion(args) => bastion::run(args).await,
        Kind::DevopsToolchain(args) => devops_toolchain::run(*args).await,
        Kind::Faults(args) => faults::run(args).await,
    }
}

impl Common {
    /// Makes the directory for what is kept, for its owner only.
    fn make_data(&self) -> Result<(), Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.data);
        made.map_err(|source| Error::Data(self.data.display().to_string(), source))
    }

    /// The socket to listen on: before the broker is made, so that it can know its address.
    fn listener(&self) -> Result<TcpListener, Error> {
        let failed = |source| Error::Listen(self.listen.clone(), source);
        let mut addresses = self.listen.to_socket_addrs().map_err(failed)?;
        let address = addresses.next().ok_or_else(|| failed(io::ErrorKind::AddrNotAvailable.into()))?;
        if self.username.is_none() && !address.ip().is_loopback() {
            return Err(Error::Unlocked(address));
        }
        if let Some(url) = self.public_url.as_ref().filter(|url| self.username.is_none() && !is_loopback(url)) {
            return Err(Error::Published(url.clone()));
        }
        TcpListener::bind(address).map_err(failed)
    }

    /// The broker behind its stamps and its lock.
    fn door(&self, broker: Arc<dyn ServiceBroker>, name: &str) -> Result<Lock, Error> {
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
        Ok(match (&self.username, &self.password) {
            (Some(username), Some(password)) => Lock::Basic(BasicAuth::new(broker, username, password)),
            _ => Lock::None(Open::new(broker)),
        })
    }

    /// How users reach it.
    fn public_url(&self, listener: &TcpListener) -> io::Result<String> {
        match &self.public_url {
            Some(url) => Ok(url.trim_end_matches('/').to_owned()),
            None => Ok(format!("http://{}", listener.local_addr()?)),
        }
    }

    fn failed_to_listen(&self, source: io::Error) -> Error {
        Error::Listen(self.listen.clone(), source)
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

/// Whether only this machine can mean that URL.
fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// How often meters are read.
const MEASURE_EVERY: Duration = Duration::from_secs(3_600);

/// A service of the kit as a process: its door, its janitor, its reports, what it serves beside `/v2` (which may ask the server
/// who may come in), and what has to end before the file is closed.
async fn serve_kit<S: Service, R: Fn(&mut ServiceConfig) + Clone + Send + 'static>(
    common: &Common,
    name: &'static str,
    listener: TcpListener,
    (service, db, sealer): (Arc<S>, Db, Sealer),
    routes: impl FnOnce(&Server) -> R,
    ending: impl Future<Output = ()>,
) -> Result<(), Error> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Broker(name, source);
    let own_name = common.name.clone().unwrap_or_else(|| name.to_owned());
    let setup = Setup { name: own_name, db: db.clone(), sealer, clock: Clock::System, measure_every: MEASURE_EVERY };
    let broker = Broker::new(service, setup).map_err(|source| failed(source.into()))?;
    let janitor = broker.spawn_janitor();
    let reporting = match (&common.usage_hub, &common.usage_username, &common.usage_password) {
        (Some(hub), Some(username), Some(password)) => {
            let reporter =
                Reporter::new(db, hub, (username, password), None).map_err(|source| failed(source.into()))?;
            Some(reporter.spawn())
        }
        _ => None,
    };
    let server = Server::new(common.door(Arc::new(broker.clone()), name)?).realm(name);
    let (mounted, retained, routes) = (server.clone(), broker.retained_routes(&server), routes(&server));
    let running = server.listen_with(listener, move |config| {
        routes(config);
        retained(config);
        mounted.configure()(config);
    });
    serve(running.map_err(|source| common.failed_to_listen(source))?).await?;
    ending.await;
    drop((janitor, reporting));
    broker.close().await;
    Ok(())
}

/// Says where it listens, and serves until the process is told to end.
async fn serve(running: Running) -> Result<(), Error> {
    // Listened for before anybody knows that it runs: who is told can tell it to end.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    announce(&running.url())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    running.stop().await;
    Ok(())
}

fn announce(url: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {url}")?;
    out.flush()
}
