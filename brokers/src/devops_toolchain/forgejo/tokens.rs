//! Access: a user of its own for each deploy token, web hooks, and runners.
//!
//! A token of Forgejo or Gitea opens all that its user may see, and never ends. So each token has a user that is in one team
//! of one repository, and that is deleted when the token's time is over. Invariant: a user is written down before it is made.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use osb::kit::seal::random;
use osb::kit::{Binding, Fault, Issued};
use serde_json::{Value, json};

use super::api::{As, part, unexpected};
use super::{Flavour, Forgejo, Place, short};
use crate::devops_toolchain::driver::Project;
use crate::devops_toolchain::embedded::{database, object};
use crate::devops_toolchain::parameters::Role;
use crate::devops_toolchain::time;

/// How many expired users one round deletes.
pub(super) const ROUND: u32 = 50;
/// The query parameter by which a web hook's own URL is known again.
const MARK: &str = "bourse_binding";

fn secret() -> Result<String, Fault> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random::<32>().map_err(Fault::failed)?))
}

fn username(binding: &Binding) -> String {
    format!("token-{}", short(&binding.resource))
}

impl Forgejo {
    pub(super) async fn token(
        &self,
        project: &Project<'_>,
        place: &Place,
        binding: &Binding,
        role: Role,
        ttl_seconds: i64,
    ) -> Result<Issued, Fault> {
        let (username, password) = (username(binding), secret()?);
        let expires_at = self.clock.seconds().saturating_add(ttl_seconds);
        self.tokens
            .put(&binding.resource, &project.instance.resource, &username, expires_at)
            .await
            .map_err(database)?;
        self.user(&username, &password).await?;
        let id = self.team_id(place, role).await?.ok_or_else(|| Fault::failed("the team is not there"))?;
        self.api.expect("PUT", &format!("/teams/{id}/members/{}", part(&username)), None, &[204]).await?;
        let scope = if role == Role::Read { "read:repository" } else { "write:repository" };
        let path = format!("/users/{}/tokens", part(&username));
        let body = json!({"name": "binding", "scopes": [scope]});
        let made = self.api.call(As::User(&username, &password), "POST", &path, Some(body)).await?;
        let token = match (made.status, made.json()["sha1"].as_str()) {
            (201, Some(token)) => token.to_owned(),
            _ => return Err(unexpected("POST", &path, &made)),
        };
        let found = self.api.expect("GET", &place.path(), None, &[200]).await?.json();
        let clone_url = found["clone_url"].as_str().unwrap_or_default();
        let mut url = reqwest::Url::parse(clone_url).map_err(Fault::failed)?;
        let unfit = || Fault::failed("the clone URL can hold no credentials");
        url.set_username(&username).and_then(|()| url.set_password(Some(&token))).map_err(|()| unfit())?;
        let credentials = json!({
            "clone_url": clone_url,
            "git_url": url.as_str(),
            "web_url": found["html_url"],
            "username": username,
            "token": token,
            "role": role.word(),
            "default_branch": project.order.default_branch,
            "expires_at": time(expires_at),
        });
        Ok(Issued {
            credentials: object(credentials),
            expires_at: Some(expires_at),
            renew_before: Some(expires_at - ttl_seconds / 5),
            endpoints: Vec::new(),
        })
    }

    /// Makes a user that can do nothing yet. One that is there is left from a try whose answer nobody has.
    async fn user(&self, username: &str, password: &str) -> Result<(), Fault> {
        let body = json!({
            "username": username,
            "email": format!("{username}@tokens.invalid"),
            "password": password,
            "must_change_password": false,
            "send_notify": false,
            "restricted": true,
            "visibility": "private",
        });
        let made = self.api.expect("POST", "/admin/users", Some(body.clone()), &[201, 422]).await?;
        if made.status == 422 {
            self.delete_user(username).await?;
            self.api.expect("POST", "/admin/users", Some(body), &[201]).await?;
        }
        Ok(())
    }

    async fn delete_user(&self, username: &str) -> Result<(), Fault> {
        self.api.remove(&format!("/admin/users/{}?purge=true", part(username))).await
    }

    /// Deletes the user of a token: from then on it opens nothing.
    pub(super) async fn end_user(&self, username: &str) -> Result<(), Fault> {
        self.delete_user(username).await?;
        self.tokens.end(username).await.map_err(database)
    }

    /// The URL is marked with the binding, so that a hook whose answer got lost is found again.
    pub(super) async fn webhook(&self, place: &Place, binding: &Binding, url: &str) -> Result<Issued, Fault> {
        self.remove_webhook(place, binding).await?;
        let secret = secret()?;
        let mut marked = reqwest::Url::parse(url).map_err(Fault::failed)?;
        marked.query_pairs_mut().append_pair(MARK, &short(&binding.resource));
        let kind = match self.flavour {
            Flavour::Forgejo => "forgejo",
            Flavour::Gitea => "gitea",
        };
        let body = json!({
            "type": kind,
            "active": true,
            "events": ["push", "status"],
            "config": {"url": marked.as_str(), "content_type": "json", "secret": secret},
        });
        self.api.expect("POST", &format!("{}/hooks", place.path()), Some(body), &[201]).await?;
        let credentials = object(json!({"url": marked.as_str(), "secret": secret, "events": ["push", "status"]}));
        Ok(Issued { credentials, ..Issued::default() })
    }

    async fn remove_webhook(&self, place: &Place, binding: &Binding) -> Result<(), Fault> {
        let mark = format!("{MARK}={}", short(&binding.resource));
        let marked = |hook: &Value| hook["config"]["url"].as_str().is_some_and(|url| url.contains(&mark));
        let hooks = format!("{}/hooks", place.path());
        for id in self.find(&hooks, "", marked).await? {
            self.api.remove(&format!("{hooks}/{id}")).await?;
        }
        Ok(())
    }

    pub(super) async fn runner(&self, place: &Place, binding: &Binding) -> Result<Issued, Fault> {
        self.remove_runner(place, binding).await?;
        let path = format!("{}/actions/runners", place.path());
        let name = username(binding);
        let body = json!({"name": name, "description": "registered by a service broker"});
        let made = self.api.expect("POST", &path, Some(body), &[201]).await?.json();
        let credentials = object(json!({"name": name, "uuid": made["uuid"], "token": made["token"]}));
        Ok(Issued { credentials, ..Issued::default() })
    }

    async fn remove_runner(&self, place: &Place, binding: &Binding) -> Result<(), Fault> {
        let (path, name) = (format!("{}/actions/runners", place.path()), username(binding));
        for id in self.find(&path, "runners", |runner| runner["name"] == name.as_str()).await? {
            self.api.remove(&format!("{path}/{id}")).await?;
        }
        Ok(())
    }

    /// Ids of what is listed there and fits; at most a thousand are looked at.
    async fn find(&self, path: &str, within: &str, fits: impl Fn(&Value) -> bool) -> Result<Vec<i64>, Fault> {
        let mut ids = Vec::new();
        for page in 1..=20 {
            let answer = self.api.expect("GET", &format!("{path}?page={page}&limit=50"), None, &[200, 404]).await?;
            let listed = answer.json();
            let listed = if listed.is_array() { &listed } else { &listed[within] };
            let Some(listed) = listed.as_array().filter(|listed| !listed.is_empty()) else { break };
            ids.extend(listed.iter().filter(|item| fits(item)).filter_map(|item| item["id"].as_i64()));
            if listed.len() < 50 {
                break;
            }
        }
        Ok(ids)
    }

    /// Whatever the binding gave.
    pub(super) async fn take_away(&self, place: &Place, binding: &Binding) -> Result<(), Fault> {
        match binding.parameters.get("kind").and_then(Value::as_str) {
            Some("webhook") => self.remove_webhook(place, binding).await,
            Some("runner") => self.remove_runner(place, binding).await,
            _ => self.end_user(&username(binding)).await,
        }
    }
}
