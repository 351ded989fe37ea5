//! Builds on a CI server: Buildbot, over its REST API. A queue on disk, and rounds that ask for builds and follow them.
//!
//! It deliberately runs nothing itself, and sends no credential of a repository: both sides know a key, and a build proves with
//! it which build it is (see `access`). Invariant: a push never waits for the CI server; a build that could not be asked for
//! stays queued, and each commit is built at least once.

use std::time::Duration;

use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{RequestBuilder, Response, Url};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::access::{BuildKey, build_user};
use super::embedded::database;
use super::repository::Repositories;
use super::store::{BuildRow, NewBuild, RepositoryRow, Store};
use osb::kit::Fault;

const TIMEOUT: Duration = Duration::from_secs(10);
/// How large an answer may be.
const ANSWER_MAX: usize = 1 << 20;
/// How long a build may take from being asked for.
const BUILD_MAX: i64 = 2 * 3600;
/// How often a CI server is asked that can't be reached, with up to five minutes in between: about a week.
const ATTEMPTS_MAX: u32 = 2000;
const LONGEST_WAIT: i64 = 300;
/// How often a build that runs is asked for while the server can't be reached.
const LOST_AFTER: u32 = 500;

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

/// The queue and the server.
pub(super) struct Ci {
    buildbot: Buildbot,
    pub(super) key: BuildKey,
    http: reqwest::Client,
    cookie: Mutex<Option<String>>,
}

/// What Buildbot knows of a build.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Waiting,
    Running { url: String, started_at: Option<i64> },
    Over { state: &'static str, reason: Option<String>, url: Option<String>, started_at: Option<i64>, finished_at: Option<i64> },
    /// It knows nothing of it.
    Nothing,
}

impl Ci {
    pub(super) fn new(buildbot: Buildbot) -> Result<Self, reqwest::Error> {
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
        Ok(Self { key: buildbot.key.clone(), buildbot, http, cookie: Mutex::default() })
    }

    /// Asks for builds that wait, and for what became of those that run; at most so many.
    pub(super) async fn round(
        &self,
        store: &Store,
        repositories: &Repositories,
        clone_url: impl Fn(&str) -> String,
        now: i64,
        limit: u32,
    ) -> Result<(), Fault> {
        for row in store.due_builds(now, limit).await.map_err(database)? {
            let Some(repository) = store.repository(&row.repository).await.map_err(database)? else { continue };
            let outcome = match row.request {
                None => self.ask(store, &repository, &row, &clone_url(&repository.slug), now).await?,
                Some(request) => self.follow(&row, request, now).await,
            };
            // For the hook first: where that fails, the build is looked at again.
            if outcome.state == "success" {
                repositories.note_passed(&row.repository, &row.revision).map_err(Fault::failed)?;
            }
            store.update_build(&repository, &row, &outcome.as_new(), now).await.map_err(database)?;
        }
        Ok(())
    }

    async fn ask(
        &self,
        store: &Store,
        repository: &RepositoryRow,
        row: &BuildRow,
        clone_url: &str,
        now: i64,
    ) -> Result<Outcome, Fault> {
        if let Some(minutes) = repository.builds.minutes_month {
            let (begin, next) = month(now);
            let used = store.build_seconds_since(&row.repository, begin).await.map_err(database)?;
            if used >= i64::try_from(minutes.saturating_mul(60)).unwrap_or(i64::MAX) {
                let reason = "the minutes of this month are used up: it waits for the next one, or for more minutes";
                // Looked at again in an hour, since an update may bring more minutes.
                let next_at = next.min(now.saturating_add(3600));
                return Ok(Outcome { reason: Some(reason.to_owned()), next_at, ..Outcome::of(row) });
            }
        }
        Ok(match self.force(repository, row, clone_url).await {
            Ok(request) => Outcome {
                state: "running",
                request: Some(request),
                next_at: now,
                attempts: 0,
                deadline: Some(now.saturating_add(BUILD_MAX)),
                reason: None,
                ..Outcome::of(row)
            },
            Err(error) => put_off(row, &error, now, ATTEMPTS_MAX),
        })
    }

    async fn follow(&self, row: &BuildRow, request: i64, now: i64) -> Outcome {
        let kept = Outcome { next_at: now, attempts: 0, reason: None, ..Outcome::of(row) };
        let late = row.deadline.is_some_and(|deadline| now >= deadline);
        match self.look(request).await {
            Ok(Found::Over { state, reason, url, started_at, finished_at }) => {
                Outcome { state, reason, url, started_at, finished_at, ..kept }
            }
            Ok(Found::Nothing) => Outcome {
                state: "exception",
                reason: Some("the CI server lost the build".to_owned()),
                ..kept
            },
            Ok(_) if late => {
                if let Err(error) = self.cancel(request).await {
                    tracing::warn!(error = ?error, build = row.number, "a build that took too long could not be cancelled");
                }
                Outcome { state: "exception", reason: Some("it took too long".to_owned()), ..kept }
            }
            Ok(Found::Waiting) => kept,
            Ok(Found::Running { url, started_at }) => Outcome { url: Some(url), started_at, ..kept },
            Err(error) => put_off(row, &error, now, LOST_AFTER),
        }
    }

    /// Asks for a build, and returns the number of the request.
    async fn force(&self, repository: &RepositoryRow, row: &BuildRow, clone_url: &str) -> Result<i64, BuildbotError> {
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

    async fn cancel(&self, request: i64) -> Result<(), BuildbotError> {
        let url = format!("{}/api/v2/buildrequests/{request}", self.buildbot.url);
        self.control(&url, "cancel", json!({"reason": "it took too long"})).await.map(drop)
    }

    /// What became of a request.
    async fn look(&self, request: i64) -> Result<Found, BuildbotError> {
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
        let cookies = answer.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookie = cookies.last().and_then(|value| value.split(';').next()).map(str::to_owned);
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

/// The beginning of the month that holds that moment, and that of the next one (UTC).
fn month(now: i64) -> (i64, i64) {
    let begin = || {
        let zoned = jiff::Timestamp::from_second(now).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
        let first = zoned.date().first_of_month();
        let next = first.checked_add(jiff::Span::new().months(1)).ok()?;
        let seconds = |date: jiff::civil::Date| {
            Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
        };
        Some((seconds(first)?, seconds(next)?))
    };
    begin().unwrap_or((0, now.saturating_add(3600)))
}

/// What a build becomes.
struct Outcome {
    state: &'static str,
    reason: Option<String>,
    request: Option<i64>,
    url: Option<String>,
    next_at: i64,
    attempts: u32,
    deadline: Option<i64>,
    started_at: Option<i64>,
    finished_at: Option<i64>,
}

impl Outcome {
    /// As it stands.
    fn of(row: &BuildRow) -> Self {
        Self {
            state: if row.request.is_some() { "running" } else { "pending" },
            reason: row.reason.clone(),
            request: row.request,
            url: row.url.clone(),
            next_at: 0,
            attempts: row.attempts,
            deadline: row.deadline,
            started_at: row.started_at,
            finished_at: row.finished_at,
        }
    }

    fn as_new(&self) -> NewBuild<'_> {
        NewBuild {
            state: self.state,
            reason: self.reason.as_deref(),
            request: self.request,
            url: self.url.as_deref(),
            next_at: self.next_at,
            attempts: self.attempts,
            deadline: self.deadline,
            started_at: self.started_at,
            finished_at: self.finished_at,
        }
    }
}

/// Later again, or never after so many attempts.
fn put_off(row: &BuildRow, error: &BuildbotError, now: i64, attempts_max: u32) -> Outcome {
    let attempts = row.attempts.saturating_add(1);
    tracing::warn!(error = ?error, build = row.number, attempts, "the CI server could not be asked");
    let reason = Some("the CI server can't be reached or refuses: it is asked again".to_owned());
    if attempts >= attempts_max {
        return Outcome { state: "exception", reason: Some("the CI server could not be reached".to_owned()), ..Outcome::of(row) };
    }
    let wait = (1_i64 << attempts.min(20)).min(LONGEST_WAIT);
    Outcome { reason, attempts, next_at: now.saturating_add(wait), ..Outcome::of(row) }
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
        for (results, expected) in [(0, "success"), (1, "success"), (2, "failure"), (3, "exception"), (4, "exception"), (6, "exception")] {
            let Found::Over { state, finished_at, .. } =
                found("http://b", &json!({"complete": true, "results": results}), Some(&build))
            else {
                panic!("it is over");
            };
            assert_eq!((state, finished_at), (expected, Some(130)), "{results}");
        }
    }

    #[test]
    fn months_begin_at_the_first_in_utc() {
        // 2026-02-15 and 2026-12-31.
        assert_eq!(month(1_771_113_600), (1_769_904_000, 1_772_323_200));
        assert_eq!(month(1_798_675_200), (1_796_083_200, 1_798_761_600));
    }
}
