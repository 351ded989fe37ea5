//! Calls to the API of Forgejo or Gitea, one function a call: what counts as done, and what as already done.
//!
//! It deliberately knows no orders. Invariant: taking away what is not there is success, making what is there is found out,
//! and no error tells a host name or a token.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use osb::client::BuildError;
use osb::kit::Fault;
use osb::kit::http::{Answer, CallError, Http};
use serde_json::Value;

/// How a call authenticates.
#[derive(Clone, Copy)]
pub(super) enum As<'a> {
    /// As the administrator whose token the operator gave.
    Administrator,
    /// As a user that was just made: only with its password it can make a token.
    User(&'a str, &'a str),
}

/// The server.
pub(super) struct Api {
    http: Http,
    base: String,
    token: String,
}

/// Percent-encodes what is one part of a path.
pub(super) fn part(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

impl Api {
    pub(super) fn new(url: &str, token: String, timeout: Duration, ca_pem: Option<String>) -> Result<Self, BuildError> {
        let base = format!("{}/api/v1", url.trim_end_matches('/'));
        Ok(Self { http: Http::new(timeout, ca_pem)?, base, token })
    }

    /// Sends a call once. What is no answer is "try again later", since every step here may run again.
    pub(super) async fn call(
        &self,
        who: As<'_>,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, Fault> {
        let authorization = match who {
            As::Administrator => format!("token {}", self.token),
            As::User(name, password) => format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}"))),
        };
        let headers = [("authorization", authorization.as_str()), ("accept", "application/json")];
        let answer = self.http.send(method, &format!("{}{path}", self.base), &headers, body.as_ref()).await;
        let unavailable = |source: Box<dyn std::error::Error + Send + Sync>| Fault::Unavailable {
            what: "the Git server can't be reached or is busy: try again".to_owned(),
            source: Some(source),
        };
        match answer {
            Ok(answer) if answer.status >= 500 || answer.status == 429 => {
                Err(unavailable(format!("{method} {path} was answered {}", answer.status).into()))
            }
            Ok(answer) => Ok(answer),
            Err(error @ (CallError::NotSent(_) | CallError::Unknown(_))) => Err(unavailable(error.into())),
        }
    }

    /// As the administrator; each status that isn't listed is a fault.
    pub(super) async fn expect(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        statuses: &[u16],
    ) -> Result<Answer, Fault> {
        let answer = self.call(As::Administrator, method, path, body).await?;
        if statuses.contains(&answer.status) { Ok(answer) } else { Err(unexpected(method, path, &answer)) }
    }

    /// Takes something away; not there is as good.
    pub(super) async fn remove(&self, path: &str) -> Result<(), Fault> {
        self.expect("DELETE", path, None, &[200, 204, 404]).await.map(drop)
    }
}

/// An answer that no step knows.
pub(super) fn unexpected(method: &str, path: &str, answer: &Answer) -> Fault {
    let said: String = answer.json()["message"].as_str().unwrap_or_default().chars().take(200).collect();
    Fault::failed(format!("{method} {path} was answered {} {said}", answer.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_paths_are_encoded() {
        assert_eq!(part("release/1.0 ä"), "release%2F1.0%20%C3%A4");
        assert_eq!(part(".."), "..", "no name that gets here has only dots");
    }
}
