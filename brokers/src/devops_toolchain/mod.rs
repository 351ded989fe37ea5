//! The broker `devops-toolchain`: a Git repository from a template, with rules, members, access that expires, and builds.
//!
//! This file turns orders of the kit into those of a driver: [`Driver`](driver::Driver) is `embedded` (repositories here) or
//! `forgejo` (an organisation's repository in Forgejo or Gitea). It deliberately knows neither Git nor HTTP. Invariant:
//! a toolchain that is being deleted lets nobody in from the first step on; its data is destroyed in the second, after the
//! retention.

mod access;
mod cgi;
mod ci;
mod driver;
mod embedded;
pub mod forgejo;
mod git;
mod group;
mod http;
mod parameters;
pub mod plan;
mod repository;
mod shared;
mod store;
mod template;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use ipnet::IpNet;
use osb::Object;
use osb::kit::{Binding, Clock, Db, Fault, Instance, Issued, Reading, Refusal, Sealer, Service, Window};
use serde_json::{Value, json};

pub use access::BuildKey;
pub use ci::{Buildbot, BuildbotError};
pub use git::GitError;
pub use parameters::Role;
pub use repository::RepositoryError;
pub use store::SCHEMA;

use driver::{Driver, Project};
use embedded::{Embedded, Parts};
use parameters::ProjectOrder;
use plan::Plan;

/// How long a retired toolchain is kept, unless configured otherwise.
pub const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often builds and web hooks are seen to where nothing wakes them earlier.
const WORK_EVERY: Duration = Duration::from_secs(2);

/// What clones and pushes may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How large a repository may become.
    pub repository_bytes: u64,
    /// How much one push may bring.
    pub push_bytes: u64,
    /// How many clones and pushes run at once, of one repository at most a quarter of that; more wait for half a minute.
    pub exchanges: usize,
    /// How long one may take.
    pub exchange: Duration,
    /// How long a client may neither send nor read.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            repository_bytes: 1 << 30,
            push_bytes: 256 << 20,
            exchanges: 16,
            exchange: Duration::from_secs(600),
            idle: Duration::from_secs(60),
        }
    }
}

/// What the driver `embedded` works with.
#[derive(Debug)]
pub struct Config {
    /// Where repositories are kept.
    pub data: PathBuf,
    /// How users reach this broker, without a slash at the end.
    pub public_url: String,
    /// The broker's file, opened with [`SCHEMA`].
    pub db: Db,
    /// Seals the secrets of web hooks.
    pub sealer: Sealer,
    /// The time.
    pub clock: Clock,
    /// What clones and pushes may use.
    pub limits: Limits,
    /// How long a retired toolchain is kept.
    pub retention: Duration,
    /// The CI server, where there is one.
    pub builds: Option<Buildbot>,
    /// Networks that web hooks may reach although they would be refused.
    pub webhook_allow: Vec<IpNet>,
}

/// Why the broker can't begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// Repositories can't be kept here.
    #[error("could not prepare the repositories")]
    Repositories(#[from] RepositoryError),
    /// The client for web hooks or for the CI server can't be made.
    #[error("could not make an HTTP client")]
    Client(#[from] reqwest::Error),
    /// The client of Forgejo can't be made.
    #[error("could not make a client of Forgejo")]
    Forgejo(#[from] osb::client::BuildError),
}

/// The service. Cheap to share in an `Arc`.
pub struct DevopsToolchain {
    driver: Arc<dyn Driver>,
    embedded: Option<Arc<Embedded>>,
    retention: Duration,
}

impl DevopsToolchain {
    /// Repositories on this machine.
    ///
    /// # Errors
    /// Where Git is not installed, or the directories can't be made.
    pub async fn embedded(config: Config) -> Result<Self, BeginError> {
        let Config { data, public_url, db, sealer, clock, limits, retention, builds, webhook_allow } = config;
        let embedded = Arc::new(Embedded::new(Parts {
            store: store::Store { db, sealer },
            repositories: repository::Repositories::open(&data).await?,
            clock,
            public_url,
            limits,
            ci: builds.map(ci::Ci::new).transpose()?,
            webhooks: webhook::Webhooks::new(webhook_allow)?,
        }));
        let driver: Arc<dyn Driver> = Arc::<Embedded>::clone(&embedded);
        Ok(Self { driver, embedded: Some(embedded), retention })
    }

    /// Repositories in Forgejo or Gitea.
    ///
    /// # Errors
    /// Where its URL or its root certificates can't be used.
    pub fn forgejo(config: forgejo::Config, retention: Duration) -> Result<Self, BeginError> {
        Ok(Self { driver: Arc::new(forgejo::Forgejo::new(config)?), embedded: None, retention })
    }

    /// What is served beside `/v2`: the repositories themselves, with the driver `embedded`.
    pub fn routes(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
        let configure = self.embedded.clone().map(http::configure);
        move |config| {
            if let Some(configure) = &configure {
                configure(config);
            }
        }
    }

    /// One round of what has to be done without an order: builds are asked for and followed, web hooks are called, tokens of
    /// Forgejo that have expired are taken away.
    ///
    /// # Errors
    /// See [`Fault`]. The next round comes.
    pub async fn work(&self) -> Result<(), Fault> {
        self.driver.work().await
    }

    /// Does that every two seconds, and at once after a push, until the returned task is aborted.
    pub fn spawn_work(self: &Arc<Self>) -> Working {
        let service = Arc::clone(self);
        let task = tokio::spawn(async move {
            loop {
                if let Err(fault) = service.work().await {
                    tracing::warn!(error = ?fault, "builds and web hooks could not be seen to");
                }
                match &service.embedded {
                    Some(embedded) => tokio::time::timeout(WORK_EVERY, embedded.wake.notified()).await.unwrap_or(()),
                    None => tokio::time::sleep(WORK_EVERY).await,
                }
            }
        });
        Working { task }
    }

    fn order(&self, instance: &Instance) -> Result<ProjectOrder, Refusal> {
        let plan = Plan::by_id(&instance.plan_id)
            .ok_or_else(|| Refusal::Invalid("plan_id must be that of a plan of the catalog".to_owned()))?;
        parameters::project(&instance.parameters, plan, instance.tenant.as_ref())
    }

    fn project<'a>(&self, instance: &'a Instance) -> Result<Project<'a>, Fault> {
        Ok(Project { instance, order: self.order(instance)? })
    }
}

/// The rounds, until this is dropped.
#[derive(Debug)]
pub struct Working {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// RFC 3339, UTC.
fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

#[async_trait]
impl Service for DevopsToolchain {
    fn catalog(&self) -> &'static str {
        plan::CATALOG
    }

    fn check(&self, wanted: &Instance, before: Option<&Instance>) -> Result<(), Refusal> {
        let order = self.order(wanted)?;
        if let Some(before) = before {
            parameters::check_unchanged(&self.order(before)?, &order)?;
        }
        self.driver.check(&order)
    }

    fn check_binding(&self, _instance: &Instance, binding: &Binding) -> Result<(), Refusal> {
        self.driver.check_access(&parameters::access(&binding.parameters)?)
    }

    fn merge(&self, current: &Object, asked: &Object) -> Object {
        parameters::merge(current, asked)
    }

    async fn create(&self, instance: &Instance) -> Result<Object, Fault> {
        self.driver.create(&self.project(instance)?).await
    }

    async fn change(&self, _before: &Instance, after: &Instance, _asked: &Object) -> Result<Object, Fault> {
        self.driver.change(&self.project(after)?).await
    }

    async fn retire(&self, instance: &Instance) -> Result<(), Fault> {
        self.driver.retire(&self.project(instance)?).await
    }

    fn retention(&self, _instance: &Instance) -> Option<Duration> {
        Some(self.retention)
    }

    async fn purge(&self, instance: &Instance) -> Result<(), Fault> {
        self.driver.purge(&self.project(instance)?).await
    }

    async fn revive(&self, instance: &Instance) -> Result<Object, Fault> {
        self.driver.revive(&self.project(instance)?).await
    }

    async fn issue(
        &self,
        instance: &Instance,
        binding: &Binding,
        _predecessor: Option<&Binding>,
    ) -> Result<Issued, Fault> {
        let access = parameters::access(&binding.parameters)?;
        self.driver.issue(&self.project(instance)?, binding, &access).await
    }

    async fn revoke(&self, instance: &Instance, binding: &Binding) -> Result<(), Fault> {
        self.driver.revoke(&self.project(instance)?, binding).await
    }

    async fn show(&self, instance: &Instance) -> Result<Object, Fault> {
        let project = self.project(instance)?;
        let order = &project.order;
        let member = |member: &parameters::Member| json!({"group": member.group, "role": member.role.word()});
        let mut shown = embedded::object(json!({
            "name": order.name,
            "template": order.template.name(),
            "default_branch": order.default_branch,
            "branch_rules": order.rules.to_json(),
            "members": order.members.iter().map(member).collect::<Vec<_>>(),
        }));
        if let Some(secrets) = &order.secrets {
            shown.insert("secrets".to_owned(), Value::from(secrets.as_str()));
        }
        shown.extend(self.driver.show(&project).await?);
        Ok(shown)
    }

    async fn measure(&self, instance: &Instance, _window: Window) -> Result<Vec<Reading>, Fault> {
        self.driver.measure(&self.project(instance)?).await
    }

    async fn tend(&self) -> Result<(), Fault> {
        self.driver.work().await
    }
}
