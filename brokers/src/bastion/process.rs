//! A bastion broker as it runs in a process: the authority, its gateway where there is one, and a host to try it with.
//!
//! What it keeps lies in one directory: the database, the key that opens what is sealed in it, and, sealed with that, the host
//! key of the gateway, the key that signs recordings, and the host key of the host to try it with.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use osb::kit::seal::{Broken, KeyError, random};
use osb::kit::{Clock, Db, OpenError, Sealer};
use russh::keys::PublicKey;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::ssh_key::{self, PrivateKey};

use super::access::{Access, Target};
use super::gateway::local::{Authorities, LocalConfig, LocalError, LocalHost, LocalRunning};
use super::gateway::{BadSeed, Gateway, GatewayConfig, Limits, Running, SealKey, StartError};
use super::store::Kind;
use super::{Bastion, Config, GatewayAddress, SCHEMA};

/// As whom one may log in at the host to try it with: what bastions without targets and principals allow.
const TRY_PRINCIPAL: &str = "deploy";
/// What that host is called.
const TRY_NAME: &str = "try";

/// What is started.
#[derive(Debug)]
pub struct ProcessConfig {
    /// The directory; it must be there.
    pub data: PathBuf,
    /// Where hosts reach what is served beside `/v2`.
    pub public_url: String,
    /// The socket of the gateway; without one there is none.
    pub gateway: Option<TcpListener>,
    /// Under which address users reach the gateway, where that is not the socket's.
    pub gateway_public: Option<(String, u16)>,
    /// The socket of a host to try it with, on loopback: where bastions behind the gateway lead to that name no targets.
    pub try_host: Option<TcpListener>,
    /// The time.
    pub clock: Clock,
}

/// What runs.
#[derive(Debug)]
pub struct Process {
    /// The authority.
    pub service: Arc<Bastion>,
    /// Its file.
    pub db: Db,
    /// What seals in it.
    pub sealer: Sealer,
    gateway: Option<Running>,
    try_host: Option<LocalRunning>,
}

/// Why it can't start.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The database can't be opened.
    #[error("could not open bastion.db")]
    Open(#[from] OpenError),
    /// The key file can't be used.
    #[error("could not use bastion.key")]
    Key(#[from] KeyError),
    /// The file of host keys was sealed with another key, or was changed.
    #[error(
        "bastion.hosts can't be opened with bastion.key: put the right key there, or remove bastion.hosts for new host keys"
    )]
    Hosts(#[from] Broken),
    /// It can't be read or written.
    #[error("could not use bastion.hosts")]
    File(#[source] io::Error),
    /// What it holds is no key.
    #[error("bastion.hosts holds no keys")]
    Malformed,
    /// A socket can't be used.
    #[error("could not use a socket")]
    Socket(#[source] io::Error),
    /// The gateway can't start.
    #[error("could not start the gateway")]
    Gateway(#[from] StartError),
    /// The host to try it with can't start.
    #[error("could not start the host to try it with")]
    TryHost(#[from] LocalError),
}

impl From<ssh_key::Error> for ProcessError {
    fn from(_: ssh_key::Error) -> Self {
        Self::Malformed
    }
}

impl From<BadSeed> for ProcessError {
    fn from(_: BadSeed) -> Self {
        Self::Malformed
    }
}

impl Process {
    /// Opens the directory and starts what is asked for. Nobody can log in before that is done.
    ///
    /// # Errors
    /// See [`ProcessError`].
    pub async fn start(config: ProcessConfig) -> Result<Self, ProcessError> {
        let ProcessConfig { data, public_url, gateway, gateway_public, try_host, clock } = config;
        let db = Db::open(&data.join("bastion.db"), SCHEMA).await?;
        let sealer = Sealer::from_file(&data.join("bastion.key"))?;
        let seeds = Seeds::open(&data, &sealer)?;
        let address = match &gateway {
            Some(listener) => Some(address_of(listener, gateway_public, &seeds.gateway()?)?),
            None => None,
        };
        let target = match &try_host {
            Some(listener) => Some(try_target(listener, &seeds.try_host()?)?),
            None => None,
        };
        let (gateway_clock, try_clock) = (clock.clone(), clock.clone());
        let service = Arc::new(Bastion::new(Config {
            db: db.clone(),
            sealer: sealer.clone(),
            clock,
            data: data.clone(),
            public_url,
            gateway: address,
            try_host: target,
        }));
        let try_host = match try_host {
            Some(listener) => {
                let config = LocalConfig {
                    host_key: seeds.try_host()?,
                    host_certificate: None,
                    authorities: Arc::<Bastion>::clone(&service),
                    principals: vec![TRY_PRINCIPAL.to_owned()],
                    clock: try_clock,
                };
                Some(LocalHost::start(listener, config)?)
            }
            None => None,
        };
        let gateway = match gateway {
            Some(listener) => {
                let config = GatewayConfig {
                    host_key: seeds.gateway()?,
                    host_certificate: None,
                    seal_key: SealKey::from_seed(&seeds.0[1])?,
                    data,
                    clock: gateway_clock,
                    limits: Limits::default(),
                };
                Some(Gateway::start(listener, Arc::<Bastion>::clone(&service) as Arc<dyn Access>, config)?)
            }
            None => None,
        };
        Ok(Self { service, db, sealer, gateway, try_host })
    }

    /// Where the gateway listens, if there is one.
    pub fn gateway(&self) -> Option<SocketAddr> {
        self.gateway.as_ref().map(Running::address)
    }

    /// Ends sessions, the gateway, and the host to try it with.
    pub async fn stop(self) {
        if let Some(gateway) = self.gateway {
            gateway.stop().await;
        }
        if let Some(host) = self.try_host {
            host.stop().await;
        }
    }
}

/// Secrets that last: of the gateway's host key, of the key of recordings, of the host key of the host to try it with.
struct Seeds([[u8; 32]; 3]);

impl Seeds {
    /// Reads them, or draws and keeps them.
    fn open(data: &std::path::Path, sealer: &Sealer) -> Result<Self, ProcessError> {
        let file = data.join("bastion.hosts");
        let clear = match std::fs::read(&file) {
            Ok(sealed) => sealer.open("hosts", &sealed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let drawn = [random::<32>()?, random::<32>()?, random::<32>()?].concat();
                let aside = data.join("bastion.hosts.new");
                std::fs::write(&aside, sealer.seal("hosts", &drawn)?).map_err(ProcessError::File)?;
                let synced = std::fs::File::open(&aside).and_then(|file| file.sync_all());
                synced.and_then(|()| std::fs::rename(&aside, &file)).map_err(ProcessError::File)?;
                drawn
            }
            Err(error) => return Err(ProcessError::File(error)),
        };
        let (seeds, []) = clear.as_chunks::<32>() else { return Err(ProcessError::Malformed) };
        Ok(Self(seeds.try_into().map_err(|_| ProcessError::Malformed)?))
    }

    fn gateway(&self) -> Result<PrivateKey, ProcessError> {
        key(&self.0[0])
    }

    fn try_host(&self) -> Result<PrivateKey, ProcessError> {
        key(&self.0[2])
    }
}

fn key(seed: &[u8; 32]) -> Result<PrivateKey, ProcessError> {
    Ok(PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(seed)), "")?)
}

fn address_of(
    listener: &TcpListener,
    public: Option<(String, u16)>,
    key: &PrivateKey,
) -> Result<GatewayAddress, ProcessError> {
    let (host, port) = match public {
        Some(public) => public,
        None => {
            let address = listener.local_addr().map_err(ProcessError::Socket)?;
            (address.ip().to_string(), address.port())
        }
    };
    Ok(GatewayAddress { host, port, host_key: key.public_key().to_openssh()? })
}

fn try_target(listener: &TcpListener, key: &PrivateKey) -> Result<Target, ProcessError> {
    let address = listener.local_addr().map_err(ProcessError::Socket)?;
    Ok(Target {
        name: TRY_NAME.to_owned(),
        host: address.ip().to_string(),
        port: address.port(),
        principals: vec![TRY_PRINCIPAL.to_owned()],
        host_key: Some(key.public_key().to_openssh()?),
    })
}

/// The host to try it with trusts every bastion of its broker.
#[async_trait]
impl Authorities for Bastion {
    async fn trusts(&self, authority: &PublicKey) -> bool {
        match self.store.authority(authority).await {
            Ok(found) => found.is_some_and(|ca| ca.kind == Kind::User && ca.signs),
            Err(error) => {
                tracing::error!(%error, "it could not be found out whose key signed a certificate");
                false
            }
        }
    }
}
