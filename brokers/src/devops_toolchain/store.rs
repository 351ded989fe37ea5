//! What the drivers keep in the broker's file: every SQL string of theirs, one file a subject.
//!
//! It deliberately decides nothing. Invariant: no token is in it, only its SHA-256, and the secret of a web hook only sealed.

mod build;
mod hook;
mod remote;
mod token;

use osb::kit::{Db, Sealer};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

pub(super) use build::{BuildRow, NewBuild};
pub(super) use hook::DeliveryRow;
pub(super) use remote::RemoteTokens;
pub(super) use token::TokenRow;

use super::parameters::{Builds, ProjectOrder, Role, Rules};

/// The statements that make the tables, for [`Db::open`].
pub const SCHEMA: &str = include_str!("store/schema.sql");

/// A repository as it stands.
#[derive(Clone, Debug)]
pub(super) struct RepositoryRow {
    pub(super) resource: String,
    pub(super) slug: String,
    pub(super) branch: String,
    pub(super) rules: Rules,
    pub(super) builds: Builds,
    pub(super) archived: bool,
    pub(super) tokens_issued: u64,
    pub(super) ci_seconds: u64,
}

/// The tables. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) db: Db,
    pub(super) sealer: Sealer,
}

/// Seconds and counts are never negative.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn corrupt(column: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(format!("column {column} holds what was never written").into())
}

fn role(word: &str) -> Result<Role, sqlx::Error> {
    Role::from_word(word).ok_or_else(|| corrupt("role"))
}

fn repository(row: &SqliteRow) -> Result<RepositoryRow, sqlx::Error> {
    Ok(RepositoryRow {
        resource: row.try_get("resource")?,
        slug: row.try_get("slug")?,
        branch: row.try_get("branch")?,
        rules: Rules {
            protected: row.try_get("protected")?,
            allow_force_push: row.try_get("allow_force_push")?,
            linear_history: row.try_get("linear_history")?,
            required_status: row.try_get("required_status")?,
            push: role(row.try_get("push_role")?)?,
        },
        builds: Builds {
            enabled: row.try_get("builds")?,
            minutes_month: row.try_get::<Option<i64>, _>("minutes_month")?.map(unsigned),
        },
        archived: row.try_get("archived")?,
        tokens_issued: unsigned(row.try_get("tokens_issued")?),
        ci_seconds: unsigned(row.try_get("ci_seconds")?),
    })
}

/// A row for a new repository, or what was ordered now for one that is there.
const PUT_REPOSITORY: &str = "\
insert into repository (resource, slug, name, branch, protected, allow_force_push, linear_history, required_status, push_role,
 builds, minutes_month, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict (resource) do update set protected = excluded.protected, allow_force_push = excluded.allow_force_push,
 linear_history = excluded.linear_history, required_status = excluded.required_status, push_role = excluded.push_role,
 builds = excluded.builds, minutes_month = excluded.minutes_month";

const REPOSITORY: &str = "\
select resource, slug, branch, protected, allow_force_push, linear_history, required_status, push_role, builds,
 minutes_month, archived, tokens_issued, ci_seconds
from repository where resource = $1";

const PUSHED: &str = "select resource from repository where pushed = 1 and archived = 0 order by resource limit $1";

impl Store {
    pub(super) async fn put_repository(
        &self,
        resource: &str,
        slug: &str,
        order: &ProjectOrder,
        now: i64,
    ) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        let minutes = order.builds.minutes_month.map(|minutes| i64::try_from(minutes).unwrap_or(i64::MAX));
        sqlx::query(PUT_REPOSITORY)
            .bind(resource)
            .bind(slug)
            .bind(&order.name)
            .bind(&order.default_branch)
            .bind(order.rules.protected)
            .bind(order.rules.allow_force_push)
            .bind(order.rules.linear_history)
            .bind(order.rules.required_status)
            .bind(order.rules.push.word())
            .bind(order.builds.enabled)
            .bind(minutes)
            .bind(now)
            .execute(writer.connection()?)
            .await?;
        Ok(())
    }

    pub(super) async fn repository(&self, resource: &str) -> Result<Option<RepositoryRow>, sqlx::Error> {
        let row = sqlx::query(REPOSITORY).bind(resource).fetch_optional(self.db.reader()).await?;
        row.as_ref().map(repository).transpose()
    }

    /// Writes down whether a push is under way, or was when this process died.
    pub(super) async fn set_pushed(&self, resource: &str, pushed: bool) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        let statement = "update repository set pushed = $2 where resource = $1";
        sqlx::query(statement).bind(resource).bind(pushed).execute(writer.connection()?).await?;
        Ok(())
    }

    /// Repositories whose branches may not have been looked at since a push.
    pub(super) async fn pushed(&self, limit: u32) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(PUSHED).bind(limit).fetch_all(self.db.reader()).await
    }

    /// Nobody gets in any more and nothing is built or told.
    pub(super) async fn archive(&self, resource: &str) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        empty(&mut transaction, resource).await?;
        let statement = "update repository set archived = 1 where resource = $1";
        sqlx::query(statement).bind(resource).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// Who gets a token gets in again.
    pub(super) async fn unarchive(&self, resource: &str) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        let statement = "update repository set archived = 0 where resource = $1";
        sqlx::query(statement).bind(resource).execute(writer.connection()?).await?;
        Ok(())
    }

    /// Nothing is known of it any more.
    pub(super) async fn forget(&self, resource: &str) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        empty(&mut transaction, resource).await?;
        for statement in [
            "delete from build where repository = $1",
            "delete from branch where repository = $1",
            "delete from repository where resource = $1",
        ] {
            sqlx::query(statement).bind(resource).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}

/// Takes all access away, and what was still to be done.
async fn empty(connection: &mut SqliteConnection, resource: &str) -> Result<(), sqlx::Error> {
    for statement in [
        "delete from delivery where webhook in (select resource from webhook where repository = $1)",
        "delete from webhook where repository = $1",
        "delete from token where repository = $1",
        "update build set state = 'exception', reason = 'the toolchain was deleted' where repository = $1 and state in ('pending', 'running')",
    ] {
        sqlx::query(statement).bind(resource).execute(&mut *connection).await?;
    }
    Ok(())
}
