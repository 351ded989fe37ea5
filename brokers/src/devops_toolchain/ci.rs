//! Builds on a CI server: Buildbot, over its REST API. A queue on disk, and rounds that ask for builds and follow them.
//!
//! It deliberately runs nothing itself, and sends no credential of a repository: both sides know a key, and a build proves with
//! it which build it is (see `access`). Invariant: a push never waits for the CI server; a build that could not be asked for
//! stays queued, and each commit is built at least once.

mod buildbot;

pub use buildbot::{Buildbot, BuildbotError};
use buildbot::{Client, Found};
use osb::kit::Fault;

use super::access::BuildKey;
use super::embedded::database;
use super::repository::Repositories;
use super::store::{BuildRow, NewBuild, RepositoryRow, Store};

/// How long a build may take from being asked for.
const BUILD_MAX: i64 = 2 * 3600;
/// How often a CI server is asked that can't be reached, with up to five minutes in between: about a week.
const ATTEMPTS_MAX: u32 = 2000;
const LONGEST_WAIT: i64 = 300;
/// After which time a build looks again that waits for another one of its repository.
const ONE_BY_ONE_WAIT: i64 = 5;
/// How often a build that runs is asked for while the server can't be reached.
const LOST_AFTER: u32 = 500;

/// The queue and the server.
pub(super) struct Ci {
    client: Client,
    pub(super) key: BuildKey,
}

impl Ci {
    pub(super) fn new(buildbot: Buildbot) -> Result<Self, reqwest::Error> {
        Ok(Self { key: buildbot.key.clone(), client: Client::new(buildbot)? })
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
            if outcome.state == "success"
                && let Err(error) = repositories.note_passed(&row.repository, &row.revision)
            {
                tracing::error!(error = ?error, build = row.number, "a success could not be noted");
                continue;
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
            let used = store.build_seconds_since(&row.repository, begin, now).await.map_err(database)?;
            if used >= i64::try_from(minutes.saturating_mul(60)).unwrap_or(i64::MAX) {
                let reason = "the minutes of this month are used up: it waits for the next one, or for more minutes";
                // Looked at again in an hour, since an update may bring more minutes.
                let next_at = next.min(now.saturating_add(3600));
                return Ok(Outcome { reason: Some(reason.to_owned()), next_at, ..Outcome::of(row) });
            }
            // What many at once will use is only known afterwards.
            if store.other_runs(row).await.map_err(database)? {
                let reason = "another build of this repository runs: with a limit of minutes they go one by one";
                let next_at = now.saturating_add(ONE_BY_ONE_WAIT);
                return Ok(Outcome { reason: Some(reason.to_owned()), next_at, ..Outcome::of(row) });
            }
        }
        Ok(match self.client.force(repository, row, clone_url).await {
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
        match self.client.look(request).await {
            Ok(Found::Over { state, reason, url, started_at, finished_at }) => {
                Outcome { state, reason, url, started_at, finished_at, ..kept }
            }
            Ok(Found::Nothing) => {
                Outcome { state: "exception", reason: Some("the CI server lost the build".to_owned()), ..kept }
            }
            Ok(_) if late => {
                if let Err(error) = self.client.cancel(request).await {
                    tracing::warn!(error = ?error, build = row.number, "a build that took too long could not be cancelled");
                }
                Outcome { state: "exception", reason: Some("it took too long".to_owned()), ..kept }
            }
            Ok(Found::Waiting) => kept,
            Ok(Found::Running { url, started_at }) => Outcome { url: Some(url), started_at, ..kept },
            Err(error) => put_off(row, &error, now, LOST_AFTER),
        }
    }
}

/// The beginning of the month that holds that moment, and that of the next one (UTC).
fn month(now: i64) -> (i64, i64) {
    let begin = || {
        let zoned = jiff::Timestamp::from_second(now).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
        let first = zoned.date().first_of_month();
        let next = first.checked_add(jiff::Span::new().months(1)).ok()?;
        let seconds =
            |date: jiff::civil::Date| Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second());
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
        return Outcome {
            state: "exception",
            reason: Some("the CI server could not be reached".to_owned()),
            ..Outcome::of(row)
        };
    }
    let wait = (1_i64 << attempts.min(20)).min(LONGEST_WAIT);
    Outcome { reason, attempts, next_at: now.saturating_add(wait), ..Outcome::of(row) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_at_the_first_in_utc() {
        // 2026-02-15 and 2026-12-31.
        assert_eq!(month(1_771_113_600), (1_769_904_000, 1_772_323_200));
        assert_eq!(month(1_798_675_200), (1_796_083_200, 1_798_761_600));
    }
}
