//! A Buildbot as a client sees it: log in, start a build, ask what became of it, cancel it.
//!
//! It deliberately knows no queue. Invariant: each call has a timeout and a bound, follows no redirect, and is sent once, or
//! once more after a new login.

use std::time::Duration;

use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{RequestBuilder, Response, Url};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::devops_toolchain::access::{BuildKey, build_user};
use crate::devops_toolchain::store::{BuildRow, RepositoryRow};

const TIMEOUT: Duration = Duration::from_secs(10);
/// How large an answer may be.
const ANSWER_MAX: usize = 1 << 20;

/// A Buildbot and how it is asked.
#[derive(Clone)]
pub struct Buildbot {
    /// Its URL.
    pub url: String,
    /// The force scheduler that starts builds.
    pub scheduler: String,
    /// User name and password, where it wants them.
    pub login: Option<(String, String)>,
    /// The key that its configuration knows, too.
    pub key: BuildKey,
}

impl std::fmt::Debug for Buildbot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buildbot").field("url", &self.url).field("scheduler", &self.scheduler).finish_non_exhaustive()
    }
}

/// Why the CI server did not do it.
#[derive(Debug, thiserror::Error)]
pub enum BuildbotError {
    /// It gave no answer.
    #[error("the CI server could not be reached")]
    Unreachable(#[source] reqwest::Error),
    /// It wants another user name or password.
    #[error("the CI server refuses the login")]
    Login,
    /// It answered something else than expected.
    #[error("the CI server answered {0}: {1}")]
    Answer(u16, String),
}

/// What Buildbot knows of a build.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Waiting,
    Running {
        url: String,
        started_at: Option<i64>,
    },
    Over {
        state: &'static str,
        reason: Option<String>,
        url: Option<String>,
        started_at: Option<i64>,
        finished_at: Option<i64>,
    },
    /// It knows nothing of it.
    Nothing,
}

/// A client, with the cookie of its session.
pub(super) struct Client {
    buildbot: Buildbot,
    http: reqwest::Client,
    cookie: Mutex<Option<String>>,
}

impl Client {
    pub(super) fn new(buildbot: Buildbot) -> Result<Self, reqwest::Error> {
        // Another part of the process may have installed the same provider already.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .build()?;
        let buildbot = Buildbot { url: buildbot.url.trim_end_matches('/').to_owned(), ..buildbot };
        Ok(Self { buildbot, http, cookie: Mutex::default() })
    }

    /// Asks for a build, and returns the number of the request.
    pub(super) async fn force(
        &self,
        repository: &RepositoryRow,
        row: &BuildRow,
        clone_url: &str,
    ) -> Result<i64, BuildbotError> {
        let url = format!("{}/api/v2/forceschedulers/{}", self.buildbot.url, self.buildbot.scheduler);
        let params = json!({
            "reason": format!("push to {}", row.branch),
            "repository": clone_url,
            "project": repository.slug,
            "branch": row.branch,
            "revision": row.revision,
            "build_user": build_user(row.number),
        });
        let answer = self.control(&url, "force", params).await?;
        let requests = answer.get("result").and_then(|result| result.get(1)).and_then(Value::as_object);
        let request = requests.and_then(|requests| requests.values().next()).and_then(Value::as_i64);
        request.ok_or_else(|| BuildbotError::Answer(200, "no build request".to_owned()))
    }

    pub(super) async fn cancel(&self, request: i64) -> Result<(), BuildbotError> {
        let url = format!("{}/api/v2/buildrequests/{request}", self.buildbot.url);
        self.control(&url, "cancel", json!({"reason": "it took too long"})).await.map(drop)
    }

    /// What became of a request.
    pub(super) async fn look(&self, request: i64) -> Result<Found, BuildbotError> {
        let url = format!("{}/api/v2/buildrequests/{request}", self.buildbot.url);
        let whole = match self.get(&url).await {
            Err(BuildbotError::Answer(404, _)) => return Ok(Found::Nothing),
            other => other?,
        };
        let whole = whole["buildrequests"][0].clone();
        let builds = self.get(&format!("{url}/builds")).await?;
        // After a retry, the newest counts.
        let builds = builds["builds"].as_array().cloned().unwrap_or_default();
        let last = builds.into_iter().max_by_key(|build| build["number"].as_i64());
        Ok(found(&self.buildbot.url, &whole, last.as_ref()))
    }

    async fn get(&self, url: &str) -> Result<Value, BuildbotError> {
        let answer = self.send(|| self.http.get(url)).await?;
        read(answer).await
    }

    async fn control(&self, url: &str, method: &str, params: Value) -> Result<Value, BuildbotError> {
        let body = json!({"id": 1, "jsonrpc": "2.0", "method": method, "params": params}).to_string();
        let ask = || self.http.post(url).header("content-type", "application/json").body(body.clone());
        read(self.send(ask).await?).await
    }

    /// Sends it, and once more after a new login where the old one does not count any more.
    async fn send(&self, ask: impl Fn() -> RequestBuilder) -> Result<Response, BuildbotError> {
        let mut cookie = self.cookie.lock().await.clone();
        for fresh in [false, true] {
            if self.buildbot.login.is_some() && (cookie.is_none() || fresh) {
                cookie = Some(self.log_in().await?);
                self.cookie.lock().await.clone_from(&cookie);
            }
            let request = match &cookie {
                Some(cookie) => ask().header(COOKIE, cookie),
                None => ask(),
            };
            let answer = request.send().await.map_err(unreachable)?;
            if !matches!(answer.status().as_u16(), 401 | 403) || cookie.is_none() {
                return Ok(answer);
            }
        }
        Err(BuildbotError::Login)
    }

    /// The cookie of a session.
    async fn log_in(&self) -> Result<String, BuildbotError> {
        let Some((username, password)) = &self.buildbot.login else { return Err(BuildbotError::Login) };
        let url = Url::parse(&format!("{}/auth/login", self.buildbot.url)).map_err(|_| BuildbotError::Login)?;
        let answer = self.http.get(url).basic_auth(username, Some(password)).send().await.map_err(unreachable)?;
        if !(answer.status().is_success() || answer.status().is_redirection()) {
            return Err(BuildbotError::Login);
        }
        // The last one is that of the user; the one before it that of nobody.
        let mut cookies = answer.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookie =
            cookies.rfind(|cookie| cookie.contains('=')).and_then(|value| value.split(';').next()).map(str::to_owned);
        cookie.ok_or(BuildbotError::Login)
    }
}

fn unreachable(error: reqwest::Error) -> BuildbotError {
    BuildbotError::Unreachable(error.without_url())
}

async fn read(mut response: Response) -> Result<Value, BuildbotError> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > ANSWER_MAX {
            return Err(BuildbotError::Answer(status, "too much".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        return Err(BuildbotError::Answer(status, error.to_string().chars().take(300).collect()));
    }
    if (200..300).contains(&status) && answer.is_object() {
        Ok(answer)
    } else {
        Err(BuildbotError::Answer(status, "not what was expected".to_owned()))
    }
}

/// Reads a build request and its newest build.
fn found(server: &str, request: &Value, build: Option<&Value>) -> Found {
    let url = build.and_then(|build| {
        let (builder, number) = (build["builderid"].as_i64()?, build["number"].as_i64()?);
        Some(format!("{server}/#/builders/{builder}/builds/{number}"))
    });
    let at = |name: &str| build.and_then(|build| build[name].as_i64());
    let started_at = at("started_at");
    if request["complete"].as_bool() != Some(true) {
        return match url {
            Some(url) => Found::Running { url, started_at },
            None => Found::Waiting,
        };
    }
    // Success, warnings, failure; then skipped, exception, retry, cancelled.
    let (state, reason) = match request["results"].as_i64() {
        Some(0 | 1) => ("success", None),
        Some(2) => ("failure", None),
        Some(6) => ("exception", Some("it was cancelled".to_owned())),
        _ => ("exception", Some("the CI server could not build it".to_owned())),
    };
    Found::Over { state, reason, url, started_at, finished_at: at("complete_at") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_buildbot_says_is_read_as_a_state() {
        let build = json!({"builderid": 1, "number": 7, "started_at": 100, "complete_at": 130, "results": 0});
        let open = json!({"complete": false, "results": -1});
        assert_eq!(found("http://b", &open, None), Found::Waiting);
        let url = "http://b/#/builders/1/builds/7".to_owned();
        assert_eq!(found("http://b", &open, Some(&build)), Found::Running { url, started_at: Some(100) });
        for (results, expected) in
            [(0, "success"), (1, "success"), (2, "failure"), (3, "exception"), (4, "exception"), (6, "exception")]
        {
            let Found::Over { state, finished_at, .. } =
                found("http://b", &json!({"complete": true, "results": results}), Some(&build))
            else {
                panic!("it is over");
            };
            assert_eq!((state, finished_at), (expected, Some(130)), "{results}");
        }
    }
}
