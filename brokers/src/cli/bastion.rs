//! `bourse-brokers bastion`.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use osb::kit::{Clock, Db, Sealer};

use super::{Common, Error, serve_kit_and};
use crate::bastion::gateway::{Gateway as Server, GatewayConfig, Limits, SealKey};
use crate::bastion::{Bastion, Config, Gateway, GatewayKeys, SCHEMA, http};

const NAME: &str = "bastion";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Where the gateway listens; port 0 picks one. Without it, the plans with a gateway can't be ordered.
    #[arg(long, value_name = "ADDRESS", env = "BOURSE_BROKERS_GATEWAY_LISTEN")]
    gateway_listen: Option<SocketAddr>,
    /// How users reach the gateway, where that is not the address it listens on.
    #[arg(long, value_name = "HOST:PORT", env = "BOURSE_BROKERS_GATEWAY_PUBLIC", requires = "gateway_listen", value_parser = host_and_port)]
    gateway_public: Option<(String, u16)>,
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let must = || "must be a host and a port, such as ssh.example.com:2222".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(must)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(must)?;
    if host.is_empty() || !host.bytes().all(fine) {
        return Err(must());
    }
    Ok((host.to_owned(), port))
}

/// A gateway's socket and keys, before it starts.
struct Arriving {
    listener: TcpListener,
    keys: GatewayKeys,
    public: Gateway,
}

impl Args {
    async fn arriving(&self, db: &Db, sealer: &Sealer) -> Result<Option<Arriving>, Error> {
        let Some(address) = self.gateway_listen else { return Ok(None) };
        let failed = |source| Error::Listen(address.to_string(), source);
        let listener = TcpListener::bind(address).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let keys = GatewayKeys::open(db, sealer).await.map_err(|source| Error::Broker(NAME, source.into()))?;
        let (host, port) = self.gateway_public.clone().unwrap_or_else(|| (bound.ip().to_string(), bound.port()));
        let host_key = keys.host_line().map_err(|source| Error::Broker(NAME, source.into()))?;
        Ok(Some(Arriving { listener, keys, public: Gateway { host, port, host_key } }))
    }
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let common = &args.common;
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Broker(NAME, source);
    common.make_data()?;
    let listener = common.listener()?;
    let db = Db::open(&common.data.join("bastion.db"), SCHEMA).await.map_err(|source| failed(source.into()))?;
    let sealer = Sealer::from_file(&common.data.join("bastion.key")).map_err(|source| failed(source.into()))?;
    let arriving = args.arriving(&db, &sealer).await?;
    let service = Arc::new(Bastion::new(Config {
        db: db.clone(),
        sealer: sealer.clone(),
        clock: Clock::System,
        data: common.data.clone(),
        public_url: common.public_url(&listener)?,
        gateway: arriving.as_ref().map(|arriving| arriving.public.clone()),
    }));
    let gateway = match arriving {
        None => None,
        Some(Arriving { listener, keys, .. }) => {
            let config = GatewayConfig {
                host_key: keys.host_key,
                host_certificate: None,
                seal_key: SealKey::from_seed(&keys.seal_seed).map_err(|source| failed(source.into()))?,
                data: common.data.clone(),
                clock: Clock::System,
                limits: Limits::default(),
            };
            let access = Arc::<Bastion>::clone(&service);
            Some(Server::start(listener, access, config).map_err(|source| failed(source.into()))?)
        }
    };
    let routes = http::configure(Arc::clone(&service));
    // The last lines of the audit are written before the file is closed.
    let ending = async move {
        if let Some(gateway) = gateway {
            gateway.stop().await;
        }
    };
    serve_kit_and(common, NAME, listener, (service, db, sealer), routes, ending).await
}
