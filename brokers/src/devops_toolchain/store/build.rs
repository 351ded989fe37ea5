//! Pushes and builds: what each branch last was, what is to be built, and what became of it.

use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::{RepositoryRow, Store, hook};
use crate::devops_toolchain::repository::Branch;

/// A build of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::devops_toolchain) struct BuildRow {
    pub(in crate::devops_toolchain) number: i64,
    pub(in crate::devops_toolchain) repository: String,
    pub(in crate::devops_toolchain) revision: String,
    pub(in crate::devops_toolchain) branch: String,
    pub(in crate::devops_toolchain) state: String,
    pub(in crate::devops_toolchain) reason: Option<String>,
    /// The CI server's number of the request.
    pub(in crate::devops_toolchain) request: Option<i64>,
    pub(in crate::devops_toolchain) url: Option<String>,
    pub(in crate::devops_toolchain) attempts: u32,
    pub(in crate::devops_toolchain) deadline: Option<i64>,
    pub(in crate::devops_toolchain) started_at: Option<i64>,
    pub(in crate::devops_toolchain) finished_at: Option<i64>,
}

/// What became of a build, or how far it is.
#[derive(Clone, Debug, Default)]
pub(in crate::devops_toolchain) struct NewBuild<'a> {
    pub(in crate::devops_toolchain) state: &'a str,
    pub(in crate::devops_toolchain) reason: Option<&'a str>,
    pub(in crate::devops_toolchain) request: Option<i64>,
    pub(in crate::devops_toolchain) url: Option<&'a str>,
    pub(in crate::devops_toolchain) next_at: i64,
    pub(in crate::devops_toolchain) attempts: u32,
    pub(in crate::devops_toolchain) deadline: Option<i64>,
    pub(in crate::devops_toolchain) started_at: Option<i64>,
    pub(in crate::devops_toolchain) finished_at: Option<i64>,
}

const KNOWN: &str = "select name, revision from branch where repository = $1";

const SEE: &str = "\
insert into branch (repository, name, revision) values ($1, $2, $3)
on conflict (repository, name) do update set revision = excluded.revision";

const MISS: &str = "delete from branch where repository = $1 and name = $2";

const QUEUE: &str = "\
insert into build (repository, revision, branch, state, queued_at, next_at) values ($1, $2, $3, 'pending', $4, $4)
on conflict (repository, revision) do nothing";

const DUE: &str = "\
select number, repository, revision, branch, state, reason, request, url, attempts, deadline, started_at, finished_at
from build where state in ('pending', 'running') and next_at <= $1 order by next_at, number limit $2";

/// The newest of the default branch, or of any branch where that has none.
const LAST: &str = "\
select number, repository, revision, branch, state, reason, request, url, attempts, deadline, started_at, finished_at
from build where repository = $1 order by branch = $2 desc, number desc limit 1";

const NEWEST: &str = "\
select number, repository, revision, branch, state, reason, request, url, attempts, deadline, started_at, finished_at
from build where repository = $1 order by number desc limit $2";

const BY_NUMBER: &str = "\
select number, repository, revision, branch, state, reason, request, url, attempts, deadline, started_at, finished_at
from build where number = $1";

/// Only one that is under way changes: what has ended stays as it is, whoever else looked at it.
const UPDATE: &str = "\
update build set state = $2, reason = $3, request = $4, url = $5, next_at = $6, attempts = $7, deadline = $8, started_at = $9,
 finished_at = $10
where number = $1 and state in ('pending', 'running')";

const COUNT_SECONDS: &str = "update repository set ci_seconds = ci_seconds + $2 where resource = $1";

const SECONDS_SINCE: &str = "\
select coalesce(sum(coalesce(finished_at, max($3, started_at)) - started_at), 0) from build
where repository = $1 and started_at is not null and (finished_at >= $2 or (finished_at is null and state = 'running'))";

const OTHER_RUNS: &str = "\
select exists (select 1 from build where repository = $1 and number <> $2 and state = 'running')";

fn build(row: &SqliteRow) -> Result<BuildRow, sqlx::Error> {
    Ok(BuildRow {
        number: row.try_get("number")?,
        repository: row.try_get("repository")?,
        revision: row.try_get("revision")?,
        branch: row.try_get("branch")?,
        state: row.try_get("state")?,
        reason: row.try_get("reason")?,
        request: row.try_get("request")?,
        url: row.try_get("url")?,
        attempts: row.try_get("attempts")?,
        deadline: row.try_get("deadline")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
    })
}

impl Store {
    /// Compares the branches with those that were last seen: each that moved is told to web hooks and, where `builds`, its
    /// commit is queued. In one transaction, so that after a crash the same comparison finds the same.
    pub(in crate::devops_toolchain) async fn see_branches(
        &self,
        repository: &RepositoryRow,
        branches: &[Branch],
        pusher: Option<&str>,
        builds: bool,
        now: i64,
    ) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        let known = sqlx::query(KNOWN).bind(&repository.resource).fetch_all(&mut *transaction).await?;
        let mut known: std::collections::HashMap<String, String> = known
            .iter()
            .map(|row| Ok((row.try_get("name")?, row.try_get("revision")?)))
            .collect::<Result<_, sqlx::Error>>()?;
        for branch in branches {
            let before = known.remove(&branch.name);
            if before.as_deref() == Some(branch.revision.as_str()) {
                continue;
            }
            let seen = sqlx::query(SEE).bind(&repository.resource).bind(&branch.name).bind(&branch.revision);
            seen.execute(&mut *transaction).await?;
            if builds {
                let queued = sqlx::query(QUEUE).bind(&repository.resource).bind(&branch.revision);
                queued.bind(&branch.name).bind(now).execute(&mut *transaction).await?;
            }
            let moved =
                Moved { branch: &branch.name, before: before.as_deref(), after: Some(&branch.revision), pusher };
            tell_push(&mut transaction, repository, &moved, now).await?;
        }
        for (name, before) in known {
            sqlx::query(MISS).bind(&repository.resource).bind(&name).execute(&mut *transaction).await?;
            let moved = Moved { branch: &name, before: Some(&before), after: None, pusher };
            tell_push(&mut transaction, repository, &moved, now).await?;
        }
        transaction.commit().await
    }

    /// Takes the branches for seen as they are: what a repository begins with is no push.
    pub(in crate::devops_toolchain) async fn begin_branches(
        &self,
        repository: &str,
        branches: &[Branch],
    ) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        for branch in branches {
            let seen = sqlx::query(SEE).bind(repository).bind(&branch.name).bind(&branch.revision);
            seen.execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    pub(in crate::devops_toolchain) async fn due_builds(
        &self,
        now: i64,
        limit: u32,
    ) -> Result<Vec<BuildRow>, sqlx::Error> {
        let rows = sqlx::query(DUE).bind(now).bind(limit).fetch_all(self.db.reader()).await?;
        rows.iter().map(build).collect()
    }

    pub(in crate::devops_toolchain) async fn build(&self, number: i64) -> Result<Option<BuildRow>, sqlx::Error> {
        let row = sqlx::query(BY_NUMBER).bind(number).fetch_optional(self.db.reader()).await?;
        row.as_ref().map(build).transpose()
    }

    pub(in crate::devops_toolchain) async fn last_build(
        &self,
        repository: &str,
        branch: &str,
    ) -> Result<Option<BuildRow>, sqlx::Error> {
        let row = sqlx::query(LAST).bind(repository).bind(branch).fetch_optional(self.db.reader()).await?;
        row.as_ref().map(build).transpose()
    }

    pub(in crate::devops_toolchain) async fn newest_builds(
        &self,
        repository: &str,
        limit: u32,
    ) -> Result<Vec<BuildRow>, sqlx::Error> {
        let rows = sqlx::query(NEWEST).bind(repository).bind(limit).fetch_all(self.db.reader()).await?;
        rows.iter().map(build).collect()
    }

    /// Writes down how far a build is. One that has ended is told to web hooks, and its seconds are counted, once.
    pub(in crate::devops_toolchain) async fn update_build(
        &self,
        repository: &RepositoryRow,
        row: &BuildRow,
        new: &NewBuild<'_>,
        now: i64,
    ) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        let changed = sqlx::query(UPDATE)
            .bind(row.number)
            .bind(new.state)
            .bind(new.reason)
            .bind(new.request)
            .bind(new.url)
            .bind(new.next_at)
            .bind(new.attempts)
            .bind(new.deadline)
            .bind(new.started_at)
            .bind(new.finished_at)
            .execute(&mut *transaction)
            .await?;
        let over = !matches!(new.state, "pending" | "running");
        if over && changed.rows_affected() == 1 {
            if let (Some(started), Some(finished)) = (new.started_at, new.finished_at) {
                let counted = sqlx::query(COUNT_SECONDS).bind(&row.repository).bind((finished - started).max(0));
                counted.execute(&mut *transaction).await?;
            }
            let id = format!("build-{}", row.number);
            let body = json!({
                "type": "build",
                "repository": repository.slug,
                "branch": row.branch,
                "revision": row.revision,
                "build": row.number,
                "state": new.state,
                "reason": new.reason,
                "url": new.url,
            });
            hook::tell(&mut transaction, &row.repository, &id, &body.to_string(), now).await?;
        }
        transaction.commit().await
    }

    /// Whether another build of that repository has been asked for and is not over.
    pub(in crate::devops_toolchain) async fn other_runs(&self, row: &BuildRow) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(OTHER_RUNS).bind(&row.repository).bind(row.number).fetch_one(self.db.reader()).await
    }

    /// How long was built since then, up to now where it still goes on.
    pub(in crate::devops_toolchain) async fn build_seconds_since(
        &self,
        repository: &str,
        since: i64,
        now: i64,
    ) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(SECONDS_SINCE).bind(repository).bind(since).bind(now).fetch_one(self.db.reader()).await
    }
}

/// What became of a branch.
struct Moved<'a> {
    branch: &'a str,
    before: Option<&'a str>,
    after: Option<&'a str>,
    pusher: Option<&'a str>,
}

async fn tell_push(
    connection: &mut SqliteConnection,
    repository: &RepositoryRow,
    moved: &Moved<'_>,
    now: i64,
) -> Result<(), sqlx::Error> {
    let id = format!("push-{}", uuid::Uuid::new_v4());
    let body = json!({
        "type": "push",
        "repository": repository.slug,
        "branch": moved.branch,
        "before": moved.before,
        "after": moved.after,
        "pusher": moved.pusher,
    });
    hook::tell(connection, &repository.resource, &id, &body.to_string(), now).await
}
