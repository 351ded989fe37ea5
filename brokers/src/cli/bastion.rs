//! `bourse-brokers bastion`.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use osb::kit::Clock;

use super::{Common, Error, serve_kit};
use crate::bastion::http;
use crate::bastion::process::{Process, ProcessConfig};

const NAME: &str = "bastion";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Where the SSH gateway listens; port 0 picks one. Without it there is none, and its plans can't be ordered.
    #[arg(long, value_name = "ADDRESS", env = "BOURSE_BROKERS_GATEWAY_LISTEN")]
    gateway_listen: Option<SocketAddr>,
    /// Under which host and port users reach the gateway, where that is not the address it listens on.
    #[arg(long, value_name = "HOST:PORT", env = "BOURSE_BROKERS_GATEWAY_PUBLIC", value_parser = host_and_port, requires = "gateway_listen")]
    gateway_public: Option<(String, u16)>,
    /// Listens there, on loopback, as a host to try the gateway with: bastions without targets lead to it, and it runs commands
    /// as the user of this process.
    #[arg(long, value_name = "ADDRESS", requires = "gateway_listen")]
    try_host: Option<SocketAddr>,
}

fn host_and_port(text: &str) -> Result<(String, u16), &'static str> {
    let wrong = "it must be a host and a port, such as gateway.example.com:2222";
    let (host, port) = text.rsplit_once(':').ok_or(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err(wrong) } else { Ok((host.to_owned(), port.parse().map_err(|_| wrong)?)) }
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let Args { common, gateway_listen, gateway_public, try_host } = args;
    common.make_data()?;
    let bound = |address: Option<SocketAddr>| {
        let bind = |address: SocketAddr| {
            TcpListener::bind(address).map_err(|source| Error::Listen(address.to_string(), source))
        };
        address.map(bind).transpose()
    };
    let listener = common.listener()?;
    let config = ProcessConfig {
        data: common.data.clone(),
        public_url: common.public_url(&listener)?,
        gateway: bound(gateway_listen)?,
        gateway_public,
        try_host: bound(try_host)?,
        clock: Clock::System,
    };
    let process = Process::start(config).await.map_err(|source| Error::Broker(NAME, source.into()))?;
    let routes = http::configure(Arc::clone(&process.service));
    let kit = (Arc::clone(&process.service), process.db.clone(), process.sealer.clone());
    let served = serve_kit(&common, NAME, listener, kit, routes).await;
    process.stop().await;
    served
}
