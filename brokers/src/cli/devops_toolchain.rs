//! `bourse-brokers devops-toolchain`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use ipnet::IpNet;
use osb::kit::{Clock, Db, Sealer};

use super::{Common, Error, serve_kit};
use crate::devops_toolchain::forgejo::{self, Flavour};
use crate::devops_toolchain::{BuildKey, Buildbot, Config, DevopsToolchain, Limits, SCHEMA};

const NAME: &str = "devops-toolchain";
const DAY_SECONDS: u64 = 24 * 3600;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Where repositories are kept.
    #[arg(long, value_enum, env = "BOURSE_BROKERS_TOOLCHAIN_DRIVER", default_value_t = Driver::Embedded)]
    driver: Driver,
    /// For how many days a deleted toolchain is kept.
    #[arg(long, value_name = "DAYS", env = "BOURSE_BROKERS_RETENTION_DAYS", default_value_t = 30)]
    retention_days: u32,
    #[command(flatten)]
    embedded: Embedded,
    #[command(flatten)]
    forgejo: Forgejo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Driver {
    /// Bare repositories in the data directory, served by this process.
    Embedded,
    /// An organisation's repositories in Forgejo.
    Forgejo,
    /// The same in Gitea.
    Gitea,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Driver embedded")]
struct Embedded {
    /// How large a repository may become, in MiB.
    #[arg(long, value_name = "MIB", env = "BOURSE_BROKERS_REPOSITORY_MIB", default_value_t = 1024)]
    repository_mib: u32,
    /// How much one push may bring, in MiB.
    #[arg(long, value_name = "MIB", env = "BOURSE_BROKERS_PUSH_MIB", default_value_t = 256)]
    push_mib: u32,
    /// A network that web hooks may reach although it is loopback or link-local; may be given several times.
    #[arg(long, value_name = "CIDR", env = "BOURSE_BROKERS_WEBHOOK_ALLOW", value_delimiter = ',')]
    webhook_allow: Vec<IpNet>,
    /// The URL of a Buildbot that builds what is pushed. Without one, nothing is built.
    #[arg(long, value_name = "URL", env = "BOURSE_BROKERS_BUILDBOT_URL", requires = "buildbot_key_file")]
    buildbot_url: Option<String>,
    /// The force scheduler of that Buildbot that starts builds.
    #[arg(long, value_name = "NAME", env = "BOURSE_BROKERS_BUILDBOT_SCHEDULER", default_value = "toolchain")]
    buildbot_scheduler: String,
    /// A file with the key that its configuration knows, too: with it builds prove which they are.
    #[arg(long, value_name = "FILE", env = "BOURSE_BROKERS_BUILDBOT_KEY_FILE")]
    buildbot_key_file: Option<PathBuf>,
    /// The user name that it wants.
    #[arg(long, env = "BOURSE_BROKERS_BUILDBOT_USERNAME", requires = "buildbot_password")]
    buildbot_username: Option<String>,
    /// The password to it; better in the environment than on the command line.
    #[arg(long, env = "BOURSE_BROKERS_BUILDBOT_PASSWORD", hide_env_values = true)]
    buildbot_password: Option<String>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("buildbot_url", &self.buildbot_url).finish_non_exhaustive()
    }
}

#[derive(clap::Args)]
#[command(next_help_heading = "Drivers forgejo and gitea")]
struct Forgejo {
    /// Its URL, without /api/v1.
    #[arg(long, value_name = "URL", env = "BOURSE_BROKERS_FORGEJO_URL", required_if_eq_any([("driver", "forgejo"), ("driver", "gitea")]))]
    forgejo_url: Option<String>,
    /// A token of an administrator, with all scopes; better in the environment than on the command line.
    #[arg(long, env = "BOURSE_BROKERS_FORGEJO_TOKEN", hide_env_values = true, required_if_eq_any([("driver", "forgejo"), ("driver", "gitea")]))]
    forgejo_token: Option<String>,
    /// The user or organisation that has a template repository for each template: empty, rust-service, static-site.
    #[arg(long, value_name = "OWNER", env = "BOURSE_BROKERS_FORGEJO_TEMPLATES", default_value = "templates")]
    forgejo_templates: String,
    /// What the names of organisations begin with.
    #[arg(long, value_name = "PREFIX", env = "BOURSE_BROKERS_FORGEJO_PREFIX", default_value = "bourse-")]
    forgejo_prefix: String,
    /// The name of the status check that `required_status` asks for.
    #[arg(long, value_name = "CONTEXT", env = "BOURSE_BROKERS_FORGEJO_STATUS", default_value = "ci")]
    forgejo_status: String,
    /// More root certificates to trust, in PEM.
    #[arg(long, value_name = "FILE", env = "BOURSE_BROKERS_FORGEJO_CA_FILE")]
    forgejo_ca_file: Option<PathBuf>,
}

impl std::fmt::Debug for Forgejo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forgejo").field("forgejo_url", &self.forgejo_url).finish_non_exhaustive()
    }
}

fn failed(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Broker(NAME, source.into())
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let Args { common, driver, retention_days, embedded, forgejo } = args;
    common.make_data()?;
    let db = Db::open(&common.data.join("devops-toolchain.db"), SCHEMA).await.map_err(failed)?;
    let sealer = Sealer::from_file(&common.data.join("devops-toolchain.key")).map_err(failed)?;
    let listener = common.listener()?;
    let retention = Duration::from_secs(u64::from(retention_days) * DAY_SECONDS);
    let flavour = match driver {
        Driver::Embedded => None,
        Driver::Forgejo => Some(Flavour::Forgejo),
        Driver::Gitea => Some(Flavour::Gitea),
    };
    let service = match flavour {
        None => {
            let config = Config {
                data: common.data.clone(),
                public_url: common.public_url(&listener)?,
                db: db.clone(),
                sealer: sealer.clone(),
                clock: Clock::System,
                limits: Limits {
                    repository_bytes: u64::from(embedded.repository_mib) << 20,
                    push_bytes: u64::from(embedded.push_mib) << 20,
                    ..Limits::default()
                },
                retention,
                builds: buildbot(&embedded)?,
                webhook_allow: embedded.webhook_allow,
            };
            DevopsToolchain::embedded(config).await.map_err(failed)?
        }
        Some(flavour) => {
            let ca_pem = forgejo.forgejo_ca_file.map(std::fs::read_to_string).transpose()?;
            let config = forgejo::Config {
                flavour,
                url: forgejo.forgejo_url.unwrap_or_default(),
                token: forgejo.forgejo_token.unwrap_or_default(),
                templates: forgejo.forgejo_templates,
                prefix: forgejo.forgejo_prefix,
                status_context: forgejo.forgejo_status,
                ca_pem,
                timeout: forgejo::TIMEOUT,
                db: db.clone(),
                clock: Clock::System,
            };
            DevopsToolchain::forgejo(config, retention).map_err(failed)?
        }
    };
    let service = Arc::new(service);
    let working = service.spawn_work();
    let routes = service.routes();
    serve_kit(&common, NAME, listener, (service, db, sealer), |_| routes, async move { drop(working) }).await
}

fn buildbot(args: &Embedded) -> Result<Option<Buildbot>, Error> {
    let (Some(url), Some(file)) = (&args.buildbot_url, &args.buildbot_key_file) else { return Ok(None) };
    let key = BuildKey::new(&std::fs::read(file)?);
    let login = args.buildbot_username.clone().zip(args.buildbot_password.clone());
    Ok(Some(Buildbot { url: url.clone(), scheduler: args.buildbot_scheduler.clone(), login, key }))
}
