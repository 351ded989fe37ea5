//! The driver `embedded`: bare repositories on this machine, served over smart HTTP by Git itself.
//!
//! It deliberately has no web pages and no people: who gets in has a token. Invariant: what a push did is looked at after it,
//! or after the next start; a push waits for no CI server and no web hook.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use osb::Object;
use osb::kit::db::is_busy;
use osb::kit::{Binding, Clock, Fault, Issued, Reading, Refusal};
use ring::digest;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore};

use super::access::{BuildKey, Guest, new_token};
use super::cgi::Bounds;
use super::ci::Ci;
use super::driver::{Driver, Project};
use super::parameters::{AccessOrder, ProjectOrder, Role};
use super::repository::{REFS_PUSHED_MAX, Repositories, RepositoryError};
use super::shared::Shared;
use super::store::{BuildRow, RepositoryRow, Store, TokenRow};
use super::webhook::Webhooks;
use super::{Limits, time};

/// How long a clone or push waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(30);
/// Which part of all turns one repository may take.
const TURNS_PART: usize = 4;
/// How much of each kind one round takes on.
const ROUND: u32 = 50;

/// Repositories on this machine.
pub(super) struct Embedded {
    pub(super) store: Store,
    pub(super) repositories: Repositories,
    pub(super) clock: Clock,
    pub(super) public_url: String,
    pub(super) limits: Limits,
    pub(super) ci: Option<Ci>,
    pub(super) webhooks: Webhooks,
    turns: Arc<Semaphore>,
    /// Those of one repository: nobody takes everybody's.
    own_turns: Shared<Semaphore>,
    /// Whoever lists branches writes down what it saw before the next one lists them.
    looking: Shared<Mutex<()>>,
    /// How many pushes are under way, by repository.
    pushes: Mutex<HashMap<String, usize>>,
    /// One round at a time.
    round: Mutex<()>,
    /// There is something to do.
    pub(super) wake: Notify,
}

/// What an [`Embedded`] is made of.
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) repositories: Repositories,
    pub(super) clock: Clock,
    pub(super) public_url: String,
    pub(super) limits: Limits,
    pub(super) ci: Option<Ci>,
    pub(super) webhooks: Webhooks,
}

pub(super) fn database(error: sqlx::Error) -> Fault {
    if is_busy(&error) {
        Fault::Unavailable { what: "the broker is busy: try again".to_owned(), source: Some(error.into()) }
    } else {
        Fault::failed(error)
    }
}

fn repository(error: RepositoryError) -> Fault {
    Fault::failed(error)
}

/// The address of a repository: its name, and what tells it from others of that name.
fn slug(name: &str, resource: &str) -> String {
    let hash = digest::digest(&digest::SHA256, resource.as_bytes());
    let tail: String = hash.as_ref().iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    format!("{name}-{tail}")
}

impl Embedded {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { store, repositories, clock, public_url, limits, ci, webhooks } = parts;
        let turns = Arc::new(Semaphore::new(limits.exchanges));
        let (pushes, round, wake) = (Mutex::default(), Mutex::default(), Notify::new());
        let (own_turns, looking) = (Shared::default(), Shared::default());
        Self {
            store,
            repositories,
            clock,
            public_url,
            limits,
            ci,
            webhooks,
            turns,
            own_turns,
            looking,
            pushes,
            round,
            wake,
        }
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.seconds()
    }

    pub(super) fn build_key(&self) -> Option<&BuildKey> {
        self.ci.as_ref().map(|ci| &ci.key)
    }

    pub(super) fn clone_url(&self, slug: &str) -> String {
        format!("{}/git/{slug}.git", self.public_url)
    }

    /// A turn to clone or push, of the repository's own and of all; `None` where there was none for long.
    pub(super) async fn turn(&self, resource: &str) -> Option<[OwnedSemaphorePermit; 2]> {
        let own = self.own_turns.of(resource, || Semaphore::new((self.limits.exchanges / TURNS_PART).max(1)));
        let both = async {
            // Its own first: who waits for that takes none of the others'.
            let own = own.acquire_owned().await.ok()?;
            Some([own, Arc::clone(&self.turns).acquire_owned().await.ok()?])
        };
        tokio::time::timeout(TURN_WAIT, both).await.ok()?
    }

    /// How many bytes may still be pushed, this time.
    pub(super) async fn room(&self, repository: &RepositoryRow) -> Result<u64, RepositoryError> {
        let there = self.repositories.bytes(&repository.resource).await?;
        Ok(self.limits.repository_bytes.saturating_sub(there).min(self.limits.push_bytes))
    }

    /// The name of its directory.
    pub(super) fn directory(&self, repository: &RepositoryRow) -> String {
        let path = self.repositories.path(&repository.resource);
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Git's program for one exchange. `room` is there where something may be pushed.
    pub(super) fn backend(&self, repository: &RepositoryRow, guest: &Guest, room: Option<u64>) -> Command {
        let config = [
            ("http.uploadpack", "true".to_owned()),
            ("http.getanyfile", "false".to_owned()),
            ("http.receivepack", room.is_some().to_string()),
            ("receive.maxInputSize", room.unwrap_or(1).to_string()),
            ("receive.fsckObjects", "true".to_owned()),
            ("receive.autogc", "false".to_owned()),
            ("uploadpack.allowFilter", "true".to_owned()),
            ("core.hooksPath", self.repositories.hooks().to_string_lossy().into_owned()),
        ];
        let mut command = self.repositories.git.command(&self.repositories.git.backend(), &config);
        let rules = repository.rules;
        let flag = |on: bool| if on { "1" } else { "0" };
        command
            .env("GIT_PROJECT_ROOT", self.repositories.project_root())
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REMOTE_USER", &guest.username)
            .env("BOURSE_ROLE", guest.role.word())
            .env("BOURSE_REFS_MAX", REFS_PUSHED_MAX.to_string())
            .env("BOURSE_BRANCH", &repository.branch)
            .env("BOURSE_PROTECTED", flag(rules.protected))
            .env("BOURSE_FORCE", flag(rules.allow_force_push))
            .env("BOURSE_LINEAR", flag(rules.linear_history))
            .env("BOURSE_STATUS", flag(rules.required_status))
            .env("BOURSE_PUSH", rules.push.word());
        command
    }

    pub(super) fn bounds(&self, push: bool) -> Bounds {
        // Pkt-lines and the list of commands come on top of the pack.
        let body_bytes = if push { self.limits.push_bytes.saturating_add(1 << 20) } else { 16 << 20 };
        Bounds { body_bytes, time: self.limits.exchange, idle: self.limits.idle, outlasts: push }
    }

    /// Writes down that a push begins.
    pub(super) async fn begin_push(&self, resource: &str) -> Result<(), sqlx::Error> {
        let mut pushes = self.pushes.lock().await;
        self.store.set_pushed(resource, true).await?;
        *pushes.entry(resource.to_owned()).or_default() += 1;
        Ok(())
    }

    /// Looks at what a push did. What fails here is for the next round.
    pub(super) async fn after_push(&self, resource: &str, pusher: Option<&str>) {
        let seen = self.look(resource, pusher).await;
        let mut pushes = self.pushes.lock().await;
        let left = pushes.get_mut(resource).map_or(0, |count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == 0 {
            pushes.remove(resource);
        }
        let noted = match seen {
            Ok(()) if left == 0 => self.store.set_pushed(resource, false).await.map_err(database),
            other => other,
        };
        if let Err(fault) = noted {
            tracing::warn!(error = ?fault, "what a push did is looked at later");
        }
        self.wake.notify_one();
    }

    async fn look(&self, resource: &str, pusher: Option<&str>) -> Result<(), Fault> {
        let lock = self.looking.of(resource, Mutex::default);
        let _alone = lock.lock().await;
        let Some(row) = self.store.repository(resource).await.map_err(database)?.filter(|row| !row.archived) else {
            return Ok(());
        };
        let branches = self.repositories.branches(resource).await.map_err(repository)?;
        let builds = row.builds.enabled && self.ci.is_some();
        self.store.see_branches(&row, &branches, pusher, builds, self.now()).await.map_err(database)
    }

    /// What was pushed before this process began, or could not be looked at. One that fails is in nobody else's way.
    async fn catch_up(&self) -> Result<(), Fault> {
        for resource in self.store.pushed(ROUND).await.map_err(database)? {
            if self.pushes.lock().await.contains_key(&resource) {
                continue;
            }
            if let Err(fault) = self.look(&resource, None).await {
                tracing::error!(error = ?fault, repository = resource, "what was pushed can't be looked at");
                continue;
            }
            let pushes = self.pushes.lock().await;
            if !pushes.contains_key(&resource) {
                self.store.set_pushed(&resource, false).await.map_err(database)?;
            }
        }
        Ok(())
    }

    async fn token(
        &self,
        row: &RepositoryRow,
        binding: &Binding,
        role: Role,
        ttl_seconds: i64,
    ) -> Result<Issued, Fault> {
        let (token, hash) = new_token().map_err(Fault::failed)?;
        let username = format!("t{}", binding.resource.replace('-', ""));
        let expires_at = self.now().saturating_add(ttl_seconds);
        let kept = TokenRow {
            resource: binding.resource.clone(),
            repository: row.resource.clone(),
            username: username.clone(),
            hash,
            role,
            expires_at,
        };
        self.store.put_token(&kept).await.map_err(database)?;
        let clone_url = self.clone_url(&row.slug);
        let mut url = reqwest::Url::parse(&clone_url).map_err(Fault::failed)?;
        let unfit = || Fault::failed("the public URL can hold no credentials");
        url.set_username(&username).and_then(|()| url.set_password(Some(&token))).map_err(|()| unfit())?;
        let credentials = json!({
            "clone_url": clone_url,
            "git_url": url.as_str(),
            "username": username,
            "token": token,
            "role": role.word(),
            "default_branch": row.branch,
            "expires_at": time(expires_at),
        });
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80).to_string();
        Ok(Issued {
            credentials: object(credentials),
            expires_at: Some(expires_at),
            renew_before: Some(expires_at - ttl_seconds / 5),
            endpoints: vec![json!({"host": host, "ports": [port], "protocol": "tcp"})],
        })
    }

    async fn row(&self, resource: &str) -> Result<RepositoryRow, Fault> {
        let row = self.store.repository(resource).await.map_err(database)?;
        row.ok_or_else(|| Fault::failed("the repository is not there"))
    }
}

pub(super) fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}

/// A build as users see it.
fn build(row: &BuildRow) -> Value {
    let mut shown = json!({
        "number": row.number,
        "revision": row.revision,
        "branch": row.branch,
        "state": row.state,
        "started_at": row.started_at.map(time),
        "finished_at": row.finished_at.map(time),
        "url": row.url,
        "reason": row.reason,
    });
    if let Value::Object(shown) = &mut shown {
        shown.retain(|_, value| !value.is_null());
    }
    shown
}

#[async_trait]
impl Driver for Embedded {
    fn check(&self, order: &ProjectOrder) -> Result<(), Refusal> {
        if order.rules.required_status && !(self.ci.is_some() && order.builds.enabled) {
            return Err(Refusal::Invalid(
                "parameter `branch_rules.required_status` needs builds: leave it out, or enable `ci` where the operator has connected a CI server"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    fn check_access(&self, access: &AccessOrder) -> Result<(), Refusal> {
        match access {
            AccessOrder::DeployToken { .. } => Ok(()),
            AccessOrder::Webhook { url } => self.webhooks.check(url),
            AccessOrder::Runner => Err(Refusal::Invalid(
                "parameter `kind`: runners can be registered where toolchains are kept in Forgejo, not here".to_owned(),
            )),
        }
    }

    async fn create(&self, project: &Project<'_>) -> Result<Object, Fault> {
        let (resource, order, now) = (project.instance.resource.as_str(), &project.order, project.instance.created_at);
        let slug = slug(&order.name, resource);
        self.repositories
            .make(resource, order.template, &order.default_branch, &order.name, now)
            .await
            .map_err(repository)?;
        self.store.put_repository(resource, &slug, order, now).await.map_err(database)?;
        let branches = self.repositories.branches(resource).await.map_err(repository)?;
        self.store.begin_branches(resource, &branches).await.map_err(database)?;
        Ok(object(json!({"slug": slug})))
    }

    async fn change(&self, project: &Project<'_>) -> Result<Object, Fault> {
        let (resource, order) = (project.instance.resource.as_str(), &project.order);
        let slug = slug(&order.name, resource);
        self.store.put_repository(resource, &slug, order, project.instance.created_at).await.map_err(database)?;
        Ok(object(json!({"slug": slug})))
    }

    async fn retire(&self, project: &Project<'_>) -> Result<(), Fault> {
        let resource = &project.instance.resource;
        self.store.archive(resource).await.map_err(database)?;
        // The repository itself is kept until it is purged: a bundle that can't be made must not keep it in use.
        if let Err(error) = self.repositories.bundle(resource).await {
            tracing::error!(error = ?error, repository = resource, "a retired toolchain has no bundle");
        }
        Ok(())
    }

    async fn revive(&self, project: &Project<'_>) -> Result<Object, Fault> {
        let resource = &project.instance.resource;
        let row = self.row(resource).await?;
        self.repositories.drop_bundle(resource).map_err(repository)?;
        self.store.unarchive(resource).await.map_err(database)?;
        Ok(object(json!({"slug": row.slug})))
    }

    async fn purge(&self, project: &Project<'_>) -> Result<(), Fault> {
        let resource = &project.instance.resource;
        self.store.forget(resource).await.map_err(database)?;
        self.repositories.destroy(resource).map_err(repository)
    }

    async fn issue(&self, project: &Project<'_>, binding: &Binding, access: &AccessOrder) -> Result<Issued, Fault> {
        let row = self.row(&project.instance.resource).await?;
        match access {
            AccessOrder::DeployToken { role, ttl_seconds } => self.token(&row, binding, *role, *ttl_seconds).await,
            AccessOrder::Webhook { url } => self.webhooks.make(&self.store, &row, binding, url).await,
            AccessOrder::Runner => Err(Fault::invalid("runners can't be registered here")),
        }
    }

    async fn revoke(&self, _project: &Project<'_>, binding: &Binding) -> Result<(), Fault> {
        self.store.revoke(&binding.resource).await.map_err(database)
    }

    async fn show(&self, project: &Project<'_>) -> Result<Object, Fault> {
        let row = self.row(&project.instance.resource).await?;
        let last = self.store.last_build(&row.resource, &row.branch).await.map_err(database)?;
        let newest = self.store.newest_builds(&row.resource, 10).await.map_err(database)?;
        let builds = match (&self.ci, row.builds.enabled) {
            (None, _) => "no CI server is connected to this broker: nothing is built",
            (Some(_), false) => "off",
            (Some(_), true) => "on",
        };
        let mut shown = object(json!({
            "driver": "embedded",
            "clone_url": self.clone_url(&row.slug),
            "repo_bytes": self.repositories.bytes(&row.resource).await.map_err(repository)?,
            "repo_bytes_max": self.limits.repository_bytes,
            "push_bytes_max": self.limits.push_bytes,
            "live_tokens": self.store.live_tokens(&row.resource, self.now()).await.map_err(database)?,
            "builds": builds,
        }));
        if let Some(last) = last {
            shown.insert("last_build".to_owned(), build(&last));
            shown.insert("newest_builds".to_owned(), newest.iter().map(build).collect());
        }
        Ok(shown)
    }

    async fn measure(&self, project: &Project<'_>) -> Result<Vec<Reading>, Fault> {
        let row = self.row(&project.instance.resource).await?;
        if let Err(error) = self.repositories.tidy(&row.resource).await {
            tracing::warn!(error = ?error, repository = row.slug, "a repository could not be packed");
        }
        let bytes = self.repositories.bytes(&row.resource).await.map_err(repository)?;
        Ok(vec![
            Reading::new("repo_bytes", bytes),
            Reading::new("ci_seconds", row.ci_seconds),
            Reading::new("tokens_issued", row.tokens_issued),
        ])
    }

    async fn work(&self) -> Result<(), Fault> {
        let _round = self.round.lock().await;
        self.catch_up().await?;
        if let Some(ci) = &self.ci {
            ci.round(&self.store, &self.repositories, |slug| self.clone_url(slug), self.now(), ROUND).await?;
        }
        self.webhooks.round(&self.store, self.now(), ROUND).await.map_err(database)
    }
}
