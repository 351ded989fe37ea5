//! `bourse-brokers vnet-ipam`.

use std::path::PathBuf;
use std::sync::Arc;

use osb::server::Server;

use super::{Common, Error, serve};
use crate::vnet_ipam::pool::Pool;
use crate::vnet_ipam::{Config, QUARANTINE_SECONDS, VnetIpam};

const NAME: &str = "vnet-ipam";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// A JSON file of further pools, [{"name": "dmz", "cidr": "172.16.0.0/20"}]; one named `default` replaces 10.0.0.0/8.
    #[arg(long, value_name = "FILE", env = "BOURSE_BROKERS_POOLS")]
    pools: Option<PathBuf>,
    /// How long a prefix that was given back stays out of use.
    #[arg(long, value_name = "SECONDS", env = "BOURSE_BROKERS_QUARANTINE_SECONDS", default_value_t = QUARANTINE_SECONDS)]
    quarantine_seconds: u32,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let Args { common, pools, quarantine_seconds } = args;
    common.make_data()?;
    let mut config = Config { quarantine_seconds, ..Config::new(common.data.join("vnet-ipam.db")) };
    if let Some(pools) = pools {
        config.pools = Pool::from_file(&pools).map_err(|source| Error::Broker(NAME, source.into()))?;
    }
    let listener = common.listener()?;
    let broker = VnetIpam::open(config).await.map_err(|source| Error::Broker(NAME, source.into()))?;
    let broker = Arc::new(broker);
    let server = Server::new(common.door(Arc::<VnetIpam>::clone(&broker), NAME)?).realm(NAME);
    let mounted = server.clone();
    let running = server.listen_with(listener, move |config| mounted.configure()(config));
    serve(running.map_err(|source| common.failed_to_listen(source))?).await?;
    broker.close().await;
    Ok(())
}
