//! What makes networks real: the flags of the drivers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;

use super::NAME;
use crate::cli::Error;
use crate::vnet_ipam::driver::Driver;
use crate::vnet_ipam::driver::linux::{self, Linux};
use crate::vnet_ipam::driver::netbox::{Config, Mark, NetBox, Parent};
use crate::vnet_ipam::driver::record_only::RecordOnly;

/// How long one exchange with NetBox may take.
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(clap::Args)]
pub(super) struct Options {
    /// What makes networks real: nothing but a record, namespaces and bridges of this machine, or NetBox.
    #[arg(long, value_enum, env = "BOURSE_BROKERS_DRIVER", default_value_t = Kind::RecordOnly)]
    driver: Kind,
    /// What the names of namespaces begin with, for `--driver linux`; two brokers on one machine need two.
    #[arg(long, value_name = "PREFIX", env = "BOURSE_BROKERS_LINUX_NAMES", default_value = linux::NAMES)]
    linux_names: String,
    /// NetBox's URL, without /api.
    #[arg(long, value_name = "URL", env = "BOURSE_BROKERS_NETBOX_URL", required_if_eq("driver", "netbox"))]
    netbox_url: Option<String>,
    /// An API token of NetBox; better in the environment than on the command line.
    #[arg(long, env = "BOURSE_BROKERS_NETBOX_TOKEN", hide_env_values = true, required_if_eq("driver", "netbox"))]
    netbox_token: Option<String>,
    /// Which prefix of NetBox a pool is, such as default=10.0.0.0/8, default=10.0.0.0/8@3 (in the VRF of that id) or dmz=17 (its
    /// id); lab/dmz=18 for a routing domain other than default.
    #[arg(long = "netbox-pool", value_name = "POOL=PREFIX", env = "BOURSE_BROKERS_NETBOX_POOLS", value_delimiter = ',',
        value_parser = parent, required_if_eq("driver", "netbox"))]
    netbox_pools: Vec<(String, Parent)>,
    /// Where NetBox's objects bear the mark of what they are for: `description`, or `custom_field:NAME`.
    #[arg(long, value_name = "WHERE", env = "BOURSE_BROKERS_NETBOX_MARK", default_value = "description")]
    netbox_mark: Mark,
    /// Whether NetBox gets the addresses of bindings, too.
    #[arg(long, env = "BOURSE_BROKERS_NETBOX_ADDRESSES")]
    netbox_addresses: bool,
    /// A file of further roots to trust at NetBox, in PEM.
    #[arg(long, value_name = "FILE", env = "BOURSE_BROKERS_NETBOX_CA")]
    netbox_ca: Option<PathBuf>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("driver", &self.driver).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The broker's record is all there is of a network.
    RecordOnly,
    /// Network namespaces, bridges and nftables on this machine.
    Linux,
    /// Prefixes come from NetBox.
    Netbox,
}

fn parent(text: &str) -> Result<(String, Parent), String> {
    let (pool, parent) = text.split_once('=').ok_or_else(|| format!("`{text}` is not POOL=PREFIX"))?;
    Ok((pool.to_owned(), parent.parse()?))
}

/// The driver, found able to work, and whether what it made may be gone after a restart of the machine.
pub(super) async fn start(options: Options) -> Result<(Arc<dyn Driver>, bool), Error> {
    let repairs = options.driver == Kind::Linux;
    Ok((driver(options).await?, repairs))
}

async fn driver(options: Options) -> Result<Arc<dyn Driver>, Error> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Broker(NAME, source);
    Ok(match options.driver {
        Kind::RecordOnly => Arc::new(RecordOnly),
        Kind::Linux => Arc::new(Linux::start(&options.linux_names).await.map_err(|source| failed(source.into()))?),
        Kind::Netbox => {
            let ca_pem = options.netbox_ca.map(std::fs::read_to_string).transpose();
            let config = Config {
                url: options.netbox_url.unwrap_or_default(),
                token: options.netbox_token.unwrap_or_default(),
                parents: options.netbox_pools.into_iter().collect::<BTreeMap<_, _>>(),
                mark: options.netbox_mark,
                addresses: options.netbox_addresses,
                timeout: TIMEOUT,
                ca_pem: ca_pem.map_err(|source| failed(source.into()))?,
            };
            let netbox = NetBox::new(config).map_err(|source| failed(source.into()))?;
            let version = netbox.check_start().await.map_err(|source| failed(source.into()))?;
            tracing::info!(version, "prefixes come from NetBox {version}");
            Arc::new(netbox)
        }
    })
}
