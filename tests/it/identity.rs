//! Who calls and what they may do: tokens of an identity provider, service accounts, users, roles; and the table of all routes and roles.

mod accounts;
mod forged;
mod login;
mod namesake;
mod oidc;
mod table;

use bourse::config::Grants;
use reqwest::Method;
use serde_json::Value;

use crate::support::bare::On;
use crate::support::hub::{CLIENT, Hub, World};
use crate::support::oidc::AUDIENCE;

/// An answer to somebody with a token.
#[derive(Debug)]
struct Answer {
    status: u16,
    challenge: String,
    retry_after: String,
    body: Value,
}

impl Answer {
    /// That it is 401 for that reason, told as RFC 6750 wants it.
    #[track_caller]
    fn refuses(&self, reason: &str) {
        assert_eq!((self.status, self.body["code"].as_str()), (401, Some("invalid_token")), "{self:?}");
        let detail = self.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(reason), "{reason}: {self:?}");
        let told = self.challenge.starts_with("Bearer ") && self.challenge.contains("error=\"invalid_token\"");
        assert!(told && self.challenge.contains("error_description=\""), "{self:?}");
    }
}

/// One request with a bearer token.
async fn with_token(hub: &Hub, method: Method, path: &str, token: &str, body: Option<Value>) -> Answer {
    let request = CLIENT.request(method, format!("{}/api/v1{path}", hub.url)).bearer_auth(token);
    let request = match body {
        Some(body) => request.body(body.to_string()),
        None => request,
    };
    let answer = request.send().await.expect("no answer");
    let header =
        |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (status, challenge, retry_after) =
        (answer.status().as_u16(), header("www-authenticate"), header("retry-after"));
    let text = answer.text().await.expect("no text");
    Answer { status, challenge, retry_after, body: serde_json::from_str(&text).unwrap_or_default() }
}

async fn me(hub: &Hub, token: &str) -> Answer {
    with_token(hub, Method::GET, "/me", token, None).await
}

/// A world whose hubs believe that issuer.
async fn believing(on: On, issuer: &str) -> World {
    World::new(on, |config| {
        config.oidc.issuer = issuer.to_owned();
        config.oidc.audience = AUDIENCE.to_owned();
        config.oidc.login_client_id = "bourse-cli".to_owned();
        config.oidc.login_scope = "openid offline_access api".to_owned();
        config.oidc.login_resource = AUDIENCE.to_owned();
        let roles = |roles: &[&str]| roles.iter().map(|role| (*role).to_owned()).collect();
        config.auth.grants = vec![
            Grants { group: Some("platform-team".to_owned()), user: None, roles: roles(&["operator"]) },
            Grants { group: None, user: Some("bob".to_owned()), roles: roles(&["finance", "provider:faults"]) },
        ];
    })
    .await
}
