//! `bourse-brokers vnet-ipam`: the broker, and what operators do with the ranges that were there before it.

mod driver;
mod ranges;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;

use super::{Common, Error, serve_behind};
use crate::vnet_ipam::pool::Pool;
use crate::vnet_ipam::{Config, QUARANTINE_SECONDS, VnetIpam, wire};

const NAME: &str = "vnet-ipam";
/// What the broker keeps, in its directory.
const FILE: &str = "vnet-ipam.db";

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(flatten)]
    serve: Serve,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Args)]
struct Serve {
    #[command(flatten)]
    common: Common,
    /// A JSON file of further pools, [{"name": "dmz", "cidr": "172.16.0.0/20"}]; one named `default` replaces 10.0.0.0/8.
    #[arg(long, value_name = "FILE", env = "BOURSE_BROKERS_POOLS")]
    pools: Option<PathBuf>,
    /// How long a prefix that was given back stays out of use.
    #[arg(long, value_name = "SECONDS", env = "BOURSE_BROKERS_QUARANTINE_SECONDS", default_value_t = QUARANTINE_SECONDS)]
    quarantine_seconds: u32,
    #[command(flatten)]
    driver: driver::Options,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Takes ranges that are there already from a CSV file: all of it or nothing, as often as one likes.
    Import(ranges::Import),
    /// Lists the ranges that were imported, as CSV.
    Ranges(ranges::List),
    /// Frees a range that was imported.
    Forget(ranges::Forget),
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    match args.action {
        None => serve(args.serve).await,
        Some(Action::Import(import)) => ranges::import(import).await,
        Some(Action::Ranges(list)) => ranges::list(list).await,
        Some(Action::Forget(forget)) => ranges::forget(forget).await,
    }
}

async fn serve(args: Serve) -> Result<(), Error> {
    let Serve { common, pools, quarantine_seconds, driver } = args;
    common.make_data()?;
    let (driver, repairs) = driver::start(driver).await?;
    let mut config = Config { quarantine_seconds, driver, ..Config::new(common.data.join(FILE)) };
    if let Some(pools) = pools {
        config.pools = Pool::from_file(&pools).map_err(|source| Error::Broker(NAME, source.into()))?;
    }
    let listener = common.listener()?;
    let parts = VnetIpam::prepare(config).await.map_err(|source| Error::Broker(NAME, source.into()))?;
    let service = Arc::clone(&parts.0);
    if repairs {
        let repaired = service.repair().await.map_err(|source| Error::Broker(NAME, source.into()))?;
        tracing::info!(repaired, "{repaired} networks were made again");
    }
    serve_behind(&common, NAME, listener, parts, |server| wire::routes(service, server)).await
}
