//! The drivers `forgejo` and `gitea`: a repository of an organisation per tenant, with teams, branch protection, users for
//! tokens, web hooks and runners.
//!
//! It deliberately keeps nothing of a repository here, but which tokens it gave and when they end: neither server lets a token
//! expire. Invariant: each step can run again, and finds out what is there already.

mod api;
mod tokens;

use std::time::Duration;

use async_trait::async_trait;
use osb::Object;
use osb::client::BuildError;
use osb::kit::{Binding, Clock, Db, Fault, Issued, Reading, Refusal};
use ring::digest;
use serde_json::{Value, json};

use super::driver::{Driver, Project};
use super::embedded::{database, object};
use super::parameters::{AccessOrder, ProjectOrder, Role};
use super::store::RemoteTokens;
use api::{Api, part, unexpected};

/// How long a call may take, unless configured otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest name of an organisation.
const ORGANISATION_MAX: usize = 39;

/// Which of the two it is. They differ in little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Forgejo, from version 15 on.
    Forgejo,
    /// Gitea, from version 1.22 on.
    Gitea,
}

/// What the driver works with.
pub struct Config {
    /// Which server it is.
    pub flavour: Flavour,
    /// Its URL, without `/api/v1`.
    pub url: String,
    /// A token of an administrator, with all scopes.
    pub token: String,
    /// Who owns a template repository for each template.
    pub templates: String,
    /// What the names of organisations begin with.
    pub prefix: String,
    /// The status check that `required_status` asks for.
    pub status_context: String,
    /// More root certificates to trust.
    pub ca_pem: Option<String>,
    /// How long a call may take.
    pub timeout: Duration,
    /// The broker's file.
    pub db: Db,
    /// The time.
    pub clock: Clock,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("flavour", &self.flavour).field("url", &self.url).finish_non_exhaustive()
    }
}

/// Repositories elsewhere.
pub(super) struct Forgejo {
    flavour: Flavour,
    api: Api,
    templates: String,
    prefix: String,
    status_context: String,
    tokens: RemoteTokens,
    clock: Clock,
}

/// Where a toolchain is.
struct Place {
    organisation: String,
    repository: String,
}

impl Place {
    fn path(&self) -> String {
        format!("/repos/{}/{}", part(&self.organisation), part(&self.repository))
    }

    fn team(&self, role: Role) -> String {
        let people = match role {
            Role::Read => "readers",
            Role::Write => "writers",
            Role::Maintain => "maintainers",
        };
        format!("{}-{people}", self.repository)
    }
}

const ROLES: [Role; 3] = [Role::Read, Role::Write, Role::Maintain];

/// A short name that follows from an id.
fn short(id: &str) -> String {
    let hash = digest::digest(&digest::SHA256, id.as_bytes());
    hash.as_ref().iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

impl Forgejo {
    pub(super) fn new(config: Config) -> Result<Self, BuildError> {
        let Config { flavour, url, token, templates, prefix, status_context, ca_pem, timeout, db, clock } = config;
        let api = Api::new(&url, token, timeout, ca_pem)?;
        Ok(Self { flavour, api, templates, prefix, status_context, tokens: RemoteTokens { db }, clock })
    }

    /// Where it is, or will be: both follow from ids that never change.
    fn place(&self, project: &Project<'_>) -> Place {
        let kept = |name: &str| project.instance.state.0.get(name).and_then(Value::as_str).map(str::to_owned);
        let organisation = kept("organisation").unwrap_or_else(|| match &project.instance.tenant {
            None => format!("{}shared", self.prefix),
            Some(tenant) => {
                let id = short(&tenant.id);
                let room = ORGANISATION_MAX.saturating_sub(self.prefix.len() + id.len() + 1);
                let plain = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-';
                let name: String = tenant.name.chars().filter(plain).take(room).collect();
                format!("{}{}-{id}", self.prefix, name.trim_matches('-'))
            }
        });
        let repository = kept("repository")
            .unwrap_or_else(|| format!("{}-{}", project.order.name, short(&project.instance.resource)));
        Place { organisation, repository }
    }

    async fn organisation(&self, place: &Place, project: &Project<'_>) -> Result<(), Fault> {
        let name = project.instance.tenant.as_ref().map_or("Toolchains without a tenant", |tenant| &tenant.name);
        let body = json!({
            "username": place.organisation,
            "full_name": name,
            "visibility": "private",
            "repo_admin_change_team_access": false,
        });
        let made = self.api.expect("POST", "/orgs", Some(body), &[201, 422]).await?;
        if made.status == 422 {
            // There already, or not allowed: that tells the two apart.
            self.api.expect("GET", &format!("/orgs/{}", part(&place.organisation)), None, &[200]).await?;
        }
        Ok(())
    }

    async fn repository(&self, place: &Place, order: &ProjectOrder) -> Result<(), Fault> {
        let body = json!({
            "owner": place.organisation,
            "name": place.repository,
            "private": true,
            "git_content": true,
            "default_branch": order.default_branch,
            "description": order.name,
        });
        let path = format!("/repos/{}/{}/generate", part(&self.templates), part(order.template.name()));
        let made = self.api.expect("POST", &path, Some(body), &[201, 404, 409]).await?;
        match made.status {
            404 => Err(Fault::invalid(format!(
                "parameter `template`: the operator has no template repository `{}` yet: take another one, or ask for it",
                order.template.name()
            ))),
            409 => self.api.expect("GET", &place.path(), None, &[200]).await.map(drop),
            _ => Ok(()),
        }
    }

    /// The id of a team; made where it isn't there.
    async fn team(&self, place: &Place, role: Role, groups: &[&str]) -> Result<i64, Fault> {
        let access = if role == Role::Read { "read" } else { "write" };
        let units = ["repo.code", "repo.issues", "repo.pulls", "repo.releases", "repo.actions"];
        let body = json!({
            "name": place.team(role),
            "description": format!("Groups: {}", groups.join(", ")),
            "permission": access,
            "units_map": units.iter().map(|unit| ((*unit).to_owned(), Value::from(access))).collect::<Object>(),
            "includes_all_repositories": false,
            "can_create_org_repo": false,
        });
        let teams = format!("/orgs/{}/teams", part(&place.organisation));
        let made = self.api.expect("POST", &teams, Some(body.clone()), &[201, 422]).await?;
        if made.status == 201 {
            return made.json()["id"].as_i64().ok_or_else(|| unexpected("POST", &teams, &made));
        }
        let Some(id) = self.team_id(place, role).await? else { return Err(unexpected("POST", &teams, &made)) };
        self.api.expect("PATCH", &format!("/teams/{id}"), Some(body), &[200]).await?;
        Ok(id)
    }

    async fn team_id(&self, place: &Place, role: Role) -> Result<Option<i64>, Fault> {
        let name = place.team(role);
        let path = format!("/orgs/{}/teams/search?q={}&limit=50", part(&place.organisation), part(&name));
        let found = self.api.expect("GET", &path, None, &[200, 404]).await?.json();
        let teams = found["data"].as_array().cloned().unwrap_or_default();
        Ok(teams.iter().find(|team| team["name"] == name.as_str()).and_then(|team| team["id"].as_i64()))
    }

    async fn teams(&self, place: &Place, order: &ProjectOrder) -> Result<(), Fault> {
        for role in ROLES {
            let members = order.members.iter().filter(|member| member.role == role);
            let groups: Vec<_> = members.map(|member| member.group.as_str()).collect();
            let id = self.team(place, role, &groups).await?;
            let path = format!("/teams/{id}/repos/{}/{}", part(&place.organisation), part(&place.repository));
            self.api.expect("PUT", &path, None, &[204]).await?;
        }
        Ok(())
    }

    /// Merge styles and builds.
    async fn settings(&self, place: &Place, order: &ProjectOrder) -> Result<(), Fault> {
        let linear = order.rules.linear_history;
        let body = json!({
            "has_actions": order.builds.enabled,
            "has_pull_requests": true,
            "allow_merge_commits": !linear,
            "allow_rebase_explicit": !linear,
            "allow_rebase": true,
            "allow_squash_merge": true,
            "default_merge_style": if linear { "rebase" } else { "merge" },
        });
        self.api.expect("PATCH", &place.path(), Some(body), &[200]).await.map(drop)
    }

    /// A linear history can only be kept where nobody pushes past the pull requests.
    async fn protection(&self, place: &Place, order: &ProjectOrder) -> Result<(), Fault> {
        let rules = &order.rules;
        let all = format!("{}/branch_protections", place.path());
        let one = format!("{all}/{}", part(&order.default_branch));
        if !rules.protected {
            return self.api.remove(&one).await;
        }
        let only_maintainers = rules.push == Role::Maintain;
        let maintainers = if only_maintainers { vec![place.team(Role::Maintain)] } else { Vec::new() };
        let contexts = if rules.required_status { vec![self.status_context.as_str()] } else { Vec::new() };
        let mut body = object(json!({
            "rule_name": order.default_branch,
            "enable_push": !rules.linear_history,
            "enable_push_whitelist": only_maintainers && !rules.linear_history,
            "push_whitelist_teams": maintainers,
            "enable_merge_whitelist": only_maintainers,
            "merge_whitelist_teams": maintainers,
            "enable_status_check": rules.required_status,
            "status_check_contexts": contexts,
        }));
        // The word for it differs.
        match self.flavour {
            Flavour::Forgejo => body.insert("apply_to_admins".to_owned(), true.into()),
            Flavour::Gitea => body.insert("block_admin_merge_override".to_owned(), true.into()),
        };
        let made = self.api.expect("POST", &all, Some(Value::Object(body.clone())), &[201, 403, 422]).await?;
        if made.status != 201 {
            // Both say 403 where there is one already.
            self.api.expect("PATCH", &one, Some(Value::Object(body)), &[200]).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Driver for Forgejo {
    fn check(&self, order: &ProjectOrder) -> Result<(), Refusal> {
        if order.rules.protected && order.rules.allow_force_push {
            return Err(Refusal::Invalid(
                "parameter `branch_rules.allow_force_push`: this Git server never lets a protected branch be rewritten: set `protected` to false instead"
                    .to_owned(),
            ));
        }
        if order.builds.minutes_month.is_some() {
            return Err(Refusal::Invalid(
                "parameter `ci.minutes_month` can't be kept on this Git server: leave it out".to_owned(),
            ));
        }
        Ok(())
    }

    fn check_access(&self, access: &AccessOrder) -> Result<(), Refusal> {
        match access {
            AccessOrder::Runner if self.flavour == Flavour::Gitea => Err(Refusal::Invalid(
                "parameter `kind`: Gitea's registration tokens can't be taken away again, so none is given out: ask the operator for a runner"
                    .to_owned(),
            )),
            _ => Ok(()),
        }
    }

    async fn create(&self, project: &Project<'_>) -> Result<Object, Fault> {
        let place = self.place(project);
        self.organisation(&place, project).await?;
        self.repository(&place, &project.order).await?;
        self.change(project).await
    }

    async fn change(&self, project: &Project<'_>) -> Result<Object, Fault> {
        let (place, order) = (self.place(project), &project.order);
        self.settings(&place, order).await?;
        self.teams(&place, order).await?;
        self.protection(&place, order).await?;
        Ok(object(json!({"organisation": place.organisation, "repository": place.repository})))
    }

    async fn retire(&self, project: &Project<'_>) -> Result<(), Fault> {
        let place = self.place(project);
        for username in self.tokens.of(&project.instance.resource).await.map_err(database)? {
            self.end_user(&username).await?;
        }
        self.api.expect("PATCH", &place.path(), Some(json!({"archived": true})), &[200, 404]).await.map(drop)
    }

    async fn revive(&self, project: &Project<'_>) -> Result<Object, Fault> {
        let path = self.place(project).path();
        // Alone and first: what is archived takes no other change.
        self.api.expect("PATCH", &path, Some(json!({"archived": false})), &[200]).await?;
        self.change(project).await
    }

    async fn purge(&self, project: &Project<'_>) -> Result<(), Fault> {
        let place = self.place(project);
        self.api.remove(&place.path()).await?;
        for role in ROLES {
            if let Some(id) = self.team_id(&place, role).await? {
                self.api.remove(&format!("/teams/{id}")).await?;
            }
        }
        self.tokens.forget(&project.instance.resource).await.map_err(database)
    }

    async fn issue(&self, project: &Project<'_>, binding: &Binding, access: &AccessOrder) -> Result<Issued, Fault> {
        let place = self.place(project);
        match access {
            AccessOrder::DeployToken { role, ttl_seconds } => {
                self.token(project, &place, binding, *role, *ttl_seconds).await
            }
            AccessOrder::Webhook { url } => self.webhook(&place, binding, url).await,
            AccessOrder::Runner => self.runner(&place, binding).await,
        }
    }

    async fn revoke(&self, project: &Project<'_>, binding: &Binding) -> Result<(), Fault> {
        self.take_away(&self.place(project), binding).await
    }

    async fn show(&self, project: &Project<'_>) -> Result<Object, Fault> {
        let place = self.place(project);
        let found = self.api.expect("GET", &place.path(), None, &[200]).await?.json();
        let groups = |role: Role| {
            let members = project.order.members.iter().filter(move |member| member.role == role);
            members.map(|member| member.group.as_str()).collect::<Vec<_>>()
        };
        let teams = ROLES.map(|role| json!({"team": place.team(role), "role": role.word(), "groups": groups(role)}));
        let mut shown = object(json!({
            "driver": match self.flavour { Flavour::Forgejo => "forgejo", Flavour::Gitea => "gitea" },
            "clone_url": found["clone_url"],
            "web_url": found["html_url"],
            "repo_bytes": found["size"].as_u64().unwrap_or(0).saturating_mul(1024),
            "organisation": place.organisation,
            "teams": teams,
            "builds": if project.order.builds.enabled { "on" } else { "off" },
        }));
        let path = format!("{}/commits/{}/status", place.path(), part(&project.order.default_branch));
        let status = self.api.expect("GET", &path, None, &[200, 404]).await?.json();
        if let Some(last) = last_build(&status) {
            shown.insert("last_build".to_owned(), last);
        }
        Ok(shown)
    }

    async fn measure(&self, project: &Project<'_>) -> Result<Vec<Reading>, Fault> {
        let place = self.place(project);
        let found = self.api.expect("GET", &place.path(), None, &[200]).await?.json();
        let bytes = found["size"].as_u64().unwrap_or(0).saturating_mul(1024);
        let tokens = self.tokens.issued(&project.instance.resource).await.map_err(database)?;
        Ok(vec![Reading::new("repo_bytes", bytes), Reading::new("tokens_issued", tokens)])
    }

    async fn work(&self) -> Result<(), Fault> {
        for username in self.tokens.expired(self.clock.seconds(), tokens::ROUND).await.map_err(database)? {
            self.end_user(&username).await?;
        }
        Ok(())
    }
}

/// The combined status of the newest commit, where something has reported one.
fn last_build(status: &Value) -> Option<Value> {
    if status["total_count"].as_i64().unwrap_or(0) == 0 {
        return None;
    }
    let state = match status["state"].as_str()? {
        "pending" => "running",
        "success" | "warning" => "success",
        "failure" => "failure",
        _ => "exception",
    };
    let url = status["statuses"].get(0).and_then(|first| first["target_url"].as_str());
    Some(json!({"revision": status["sha"], "state": state, "url": url}))
}
