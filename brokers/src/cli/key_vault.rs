//! `bourse-brokers key-vault`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use ipnet::IpNet;
use osb::kit::{Clock, Db, Sealer};

use super::{Common, Error, serve_kit};
use crate::key_vault::{Isolation, Issuer, KeyVault, OpenBaoConfig, SCHEMA, TokenSource};

const NAME: &str = "key-vault";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// What makes vaults: this broker itself, or an OpenBao or Vault server.
    #[arg(long, value_enum, env = "BOURSE_BROKERS_VAULT_DRIVER", default_value_t = DriverName::Embedded)]
    driver: DriverName,
    /// A network of proxies that are believed where a request to an embedded vault comes from (the last address of
    /// X-Forwarded-For that is not one of theirs). More than once, or in the environment with commas.
    #[arg(long, value_name = "CIDR", env = "BOURSE_BROKERS_TRUSTED_PROXY", value_delimiter = ',')]
    trusted_proxy: Vec<IpNet>,
    /// How many MiB an embedded vault may hold.
    #[arg(long, value_name = "MIB", env = "BOURSE_BROKERS_VAULT_MIB", default_value_t = 1024,
        value_parser = clap::value_parser!(u32).range(1..))]
    vault_mib: u32,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct ServerArgs {
    /// Where the broker reaches the server.
    #[arg(long, value_name = "URL", env = "BOURSE_BROKERS_VAULT_ADDRESS", required_if_eq("driver", "openbao"))]
    vault_address: Option<String>,
    /// Where consumers reach it, where that is somewhere else. It is part of credentials.
    #[arg(long, value_name = "URL", env = "BOURSE_BROKERS_VAULT_PUBLIC_ADDRESS")]
    vault_public_address: Option<String>,
    /// A file that holds the broker's token, read for each call.
    #[arg(long, value_name = "FILE", env = "BOURSE_BROKERS_VAULT_TOKEN_FILE")]
    vault_token_file: Option<PathBuf>,
    /// The broker's token, where it is in no file; better in the environment than on the command line.
    #[arg(long, value_name = "TOKEN", env = "BOURSE_BROKERS_VAULT_TOKEN", hide_env_values = true)]
    vault_token: Option<String>,
    /// What keeps vaults apart.
    #[arg(long, value_enum, env = "BOURSE_BROKERS_VAULT_ISOLATION", default_value_t = IsolationName::Namespaces)]
    vault_isolation: IsolationName,
    /// The namespace that all vaults lie in; the root where absent.
    #[arg(long, value_name = "PATH", env = "BOURSE_BROKERS_VAULT_NAMESPACE")]
    vault_namespace: Option<String>,
    /// Certificates of authorities that are trusted besides the usual ones, in PEM.
    #[arg(long, value_name = "FILE", env = "BOURSE_BROKERS_VAULT_CA_FILE")]
    vault_ca_file: Option<PathBuf>,
    /// A JSON file of issuers whose tokens may log in, [{"issuer": "https://issuer.example", "jwks_url": "https://…"}].
    #[arg(long, value_name = "FILE", env = "BOURSE_BROKERS_VAULT_ISSUERS")]
    vault_issuers: Option<PathBuf>,
}

impl std::fmt::Debug for ServerArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerArgs").field("vault_address", &self.vault_address).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DriverName {
    /// Vaults in this broker's own file, behind Vault's API on the same address.
    Embedded,
    /// Vaults on a server.
    Openbao,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum IsolationName {
    /// A namespace for each vault (OpenBao, Vault Enterprise).
    Namespaces,
    /// Mounts for each vault (any Vault).
    Mounts,
}

/// Why a driver can't be set up.
#[derive(Debug, thiserror::Error)]
enum ArgsError {
    #[error("give --vault-token-file or BOURSE_BROKERS_VAULT_TOKEN")]
    NoToken,
    #[error("give --vault-address")]
    NoAddress,
    #[error("could not read `{0}`")]
    File(String, #[source] std::io::Error),
    #[error(
        "`{0}` must be a JSON array of issuers such as [{{\"issuer\": \"https://issuer.example\", \"jwks_url\": \"https://…\"}}]"
    )]
    Issuers(String, #[source] serde_json::Error),
}

impl ServerArgs {
    fn config(self) -> Result<OpenBaoConfig, ArgsError> {
        let token = match (self.vault_token_file, self.vault_token) {
            (Some(file), _) => TokenSource::File(file),
            (None, Some(token)) => TokenSource::Fixed(token),
            (None, None) => return Err(ArgsError::NoToken),
        };
        let issuers = match &self.vault_issuers {
            None => Vec::new(),
            Some(file) => serde_json::from_str::<Vec<Issuer>>(&text(file)?)
                .map_err(|source| ArgsError::Issuers(file.display().to_string(), source))?,
        };
        let isolation = match self.vault_isolation {
            IsolationName::Namespaces => Isolation::Namespaces,
            IsolationName::Mounts => Isolation::Mounts,
        };
        Ok(OpenBaoConfig {
            address: self.vault_address.ok_or(ArgsError::NoAddress)?,
            public_address: self.vault_public_address,
            token,
            isolation,
            namespace: self.vault_namespace,
            ca_pem: self.vault_ca_file.as_deref().map(text).transpose()?,
            issuers,
        })
    }
}

fn text(file: &Path) -> Result<String, ArgsError> {
    std::fs::read_to_string(file).map_err(|source| ArgsError::File(file.display().to_string(), source))
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let Args { common, driver, trusted_proxy, vault_mib, server } = args;
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Broker(NAME, source);
    common.make_data()?;
    let listener = common.listener()?;
    let sealer = Sealer::from_file(&common.data.join("key-vault.key")).map_err(|source| failed(source.into()))?;
    let db = Db::open(&common.data.join("key-vault.db"), SCHEMA).await.map_err(|source| failed(source.into()))?;
    match driver {
        DriverName::Embedded => {
            let address = common.public_url(&listener)?;
            let (service, api) = KeyVault::embedded(db.clone(), sealer.clone(), Clock::System, &address);
            let api = api.behind(&trusted_proxy).holding(u64::from(vault_mib) * 1024 * 1024);
            let counted = api.clone();
            let ending = async move { counted.flush().await };
            let routes = move |config: &mut actix_web::web::ServiceConfig| api.configure()(config);
            serve_kit(&common, NAME, listener, (Arc::new(service), db, sealer), |_| routes, ending).await
        }
        DriverName::Openbao => {
            let config = server.config().map_err(|source| failed(source.into()))?;
            let nothing = std::future::ready(());
            let service = KeyVault::openbao(config, Clock::System).await.map_err(|source| failed(source.into()))?;
            serve_kit(&common, NAME, listener, (Arc::new(service), db, sealer), |_| |_: &mut _| {}, nothing).await
        }
    }
}
