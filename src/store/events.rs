//! Table `events`: the outbox and the feed in one. Whoever changes a fact appends its event in the same transaction;
//! numbers come later, to committed rows only, from the one process that holds the lease (`app::sequence`).
//!
//! Invariant: numbers have no gap and never change, and the row with the highest one is never removed, so that the next
//! number follows from the table alone.

use std::collections::BTreeSet;

use sqlx::any::AnyRow;

use super::db::column;
use super::{Error, Tx};
use crate::clock::Time;
use crate::domain::event::{Event, Numbered};
use crate::domain::permission::Sight;

/// Which events a page holds; all must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The CloudEvents type.
    pub kind: Option<String>,
    /// The tenant's id, which is in sight.
    pub tenant_id: Option<String>,
    /// Whose events are seen.
    pub sight: Sight,
}

impl Default for Filter {
    fn default() -> Self {
        Self { kind: None, tenant_id: None, sight: Sight::everything() }
    }
}

/// Where the feed begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The lowest number that is kept; 0 where there is none.
    pub first: i64,
    /// The highest number given; 0 where there is none.
    pub last: i64,
}

const APPEND: &str = "insert into events (id, type, subject, tenant_id, instance_id, recorded_at, document, broker_id) \
     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (id) do nothing";

/// Records an event, without a number. One that is there already stays as it is: a replayed transition has the same id.
///
/// # Errors
/// Where the database fails.
pub async fn append(tx: &mut Tx<'_>, hub: &str, event: &Event, now: Time) -> Result<(), Error> {
    let sql = sqlx::query(APPEND)
        .bind(event.id.clone())
        .bind(event.kind.as_str())
        .bind(event.subject.clone())
        .bind(event.tenant_id.clone())
        .bind(event.instance_id.clone())
        .bind(now.0)
        .bind(event.document(hub).to_string())
        .bind(event.seen_by_broker().map(str::to_owned));
    tx.execute(sql).await.map(drop)
}

const UNNUMBERED: &str = "select position from events where sequence is null limit 1";

/// Whether some event waits for its number.
///
/// # Errors
/// Where the database fails.
pub async fn any_unnumbered(tx: &mut Tx<'_>) -> Result<bool, Error> {
    tx.fetch_optional(sqlx::query(UNNUMBERED)).await.map(|row| row.is_some())
}

const NUMBER: &str = "update events set sequence = numbered.sequence from ( \
       select waiting.position, \
         (select coalesce(max(sequence), 0) from events) + row_number() over (order by waiting.position) as sequence \
       from (select position from events where sequence is null order by position limit $1) as waiting \
     ) as numbered where events.position = numbered.position";

/// Gives the next numbers to at most `limit` events, in the order in which they were inserted. The caller holds the
/// lease's row in the same transaction, so that nobody else does it meanwhile.
///
/// # Errors
/// Where the database fails.
pub async fn number(tx: &mut Tx<'_>, limit: i64) -> Result<u64, Error> {
    tx.execute(sqlx::query(NUMBER).bind(limit)).await
}

const PAGE: &str = "select sequence, id, document from events where sequence > $1 order by sequence limit $2";
const PAGE_TYPE: &str = "select sequence, id, document from events where sequence > $1 and type = $3 \
     order by sequence limit $2";
const PAGE_TENANT: &str = "select sequence, id, document from events where sequence > $1 and tenant_id = $3 \
     order by sequence limit $2";
const PAGE_BOTH: &str = "select sequence, id, document from events where sequence > $1 and type = $3 \
     and tenant_id = $4 order by sequence limit $2";

// Of each tenant and broker the first numbers only, each list from its index: what is read is bounded by the limit and by how many they are,
// not by what the feed holds. One type has statements and indexes of its own: it may be rare among very many.
const PAGE_OWN_SQLITE: &str = "select sequence, id, document from events where sequence in (select sequence from ( \
       select found.value as sequence from json_each($3) as wanted join json_each((select json_group_array(sequence) from ( \
         select sequence from events where tenant_id = wanted.value and sequence > $1 \
         order by sequence limit $2))) as found \
       union select found.value as sequence from json_each($4) as wanted join json_each((select json_group_array(sequence) from ( \
         select sequence from events where broker_id = wanted.value and sequence > $1 \
         order by sequence limit $2))) as found \
     ) as own order by sequence limit $2) order by sequence";
const PAGE_OWN_POSTGRES: &str = "select sequence, id, document from events where sequence in (select sequence from ( \
       select found.sequence from json_array_elements_text($3::json) as wanted cross join lateral ( \
         select sequence from events where tenant_id = wanted.value and sequence > $1 \
         order by sequence limit $2) as found \
       union select found.sequence from json_array_elements_text($4::json) as wanted cross join lateral ( \
         select sequence from events where broker_id = wanted.value and sequence > $1 \
         order by sequence limit $2) as found \
     ) as own order by sequence limit $2) order by sequence";
const PAGE_OWN_TYPE_SQLITE: &str = "select sequence, id, document from events where sequence in (select sequence from ( \
       select found.value as sequence from json_each($3) as wanted join json_each((select json_group_array(sequence) from ( \
         select sequence from events where tenant_id = wanted.value and type = $5 and sequence > $1 \
         order by sequence limit $2))) as found \
       union select found.value as sequence from json_each($4) as wanted join json_each((select json_group_array(sequence) from ( \
         select sequence from events where broker_id = wanted.value and type = $5 and sequence > $1 \
         order by sequence limit $2))) as found \
     ) as own order by sequence limit $2) order by sequence";
const PAGE_OWN_TYPE_POSTGRES: &str = "select sequence, id, document from events where sequence in (select sequence from ( \
       select found.sequence from json_array_elements_text($3::json) as wanted cross join lateral ( \
         select sequence from events where tenant_id = wanted.value and type = $5 and sequence > $1 \
         order by sequence limit $2) as found \
       union select found.sequence from json_array_elements_text($4::json) as wanted cross join lateral ( \
         select sequence from events where broker_id = wanted.value and type = $5 and sequence > $1 \
         order by sequence limit $2) as found \
     ) as own order by sequence limit $2) order by sequence";

/// Events with a number above `after`, lowest first, at most `limit`.
///
/// # Errors
/// Where the database fails.
pub async fn page(tx: &mut Tx<'_>, after: i64, limit: i64, filter: &Filter) -> Result<Vec<Numbered>, Error> {
    if let (None, Some((tenants, brokers))) = (&filter.tenant_id, filter.sight.reach()) {
        let list = |ids: &BTreeSet<String>| serde_json::json!(ids).to_string();
        let statement = match filter.kind {
            None => tx.shared(PAGE_OWN_SQLITE, PAGE_OWN_POSTGRES),
            Some(_) => tx.shared(PAGE_OWN_TYPE_SQLITE, PAGE_OWN_TYPE_POSTGRES),
        };
        let mut sql = sqlx::query(statement).bind(after).bind(limit).bind(list(tenants)).bind(list(brokers));
        if let Some(kind) = &filter.kind {
            sql = sql.bind(kind.clone());
        }
        return tx.fetch_all(sql).await?.iter().map(numbered).collect();
    }
    let sql = match (&filter.kind, &filter.tenant_id) {
        (None, None) => sqlx::query(PAGE).bind(after).bind(limit),
        (Some(kind), None) => sqlx::query(PAGE_TYPE).bind(after).bind(limit).bind(kind.clone()),
        (None, Some(tenant)) => sqlx::query(PAGE_TENANT).bind(after).bind(limit).bind(tenant.clone()),
        (Some(kind), Some(tenant)) => {
            sqlx::query(PAGE_BOTH).bind(after).bind(limit).bind(kind.clone()).bind(tenant.clone())
        }
    };
    tx.fetch_all(sql).await?.iter().map(numbered).collect()
}

const BY_ID: &str = "select sequence, id, document from events where id = $1 and sequence is not null";

/// The numbered event with that id.
///
/// # Errors
/// Where the database fails.
pub async fn by_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<Numbered>, Error> {
    let row = tx.fetch_optional(sqlx::query(BY_ID).bind(id.to_owned())).await?;
    row.as_ref().map(numbered).transpose()
}

const BOUNDS: &str = "select (select min(sequence) from events) as first, (select max(sequence) from events) as last";

/// Where the feed begins and ends.
///
/// # Errors
/// Where the database fails.
pub async fn bounds(tx: &mut Tx<'_>) -> Result<Bounds, Error> {
    let Some(row) = tx.fetch_optional(sqlx::query(BOUNDS)).await? else { return Ok(Bounds::default()) };
    let first: Option<i64> = column(&row, "first")?;
    let last: Option<i64> = column(&row, "last")?;
    Ok(Bounds { first: first.unwrap_or(0), last: last.unwrap_or(0) })
}

const PRUNE: &str = "delete from events where sequence < (select min(sequence) from events) + $2 \
     and sequence < (select coalesce( \
       (select min(sequence) from events where recorded_at >= $1), (select max(sequence) from events)))";

/// Removes events that were recorded before that time, at most `limit`, from the lowest number up to the first event that
/// is young enough. The one with the highest number stays.
///
/// # Errors
/// Where the database fails.
pub async fn prune(tx: &mut Tx<'_>, before: Time, limit: i64) -> Result<u64, Error> {
    tx.execute(sqlx::query(PRUNE).bind(before.0).bind(limit)).await
}

fn numbered(row: &AnyRow) -> Result<Numbered, Error> {
    Ok(Numbered { sequence: column(row, "sequence")?, id: column(row, "id")?, document: column(row, "document")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Db;

    /// How SQLite would find the rows of a statement. What PostgreSQL does depends on what it has counted.
    async fn plan(statement: &'static str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite:{}", folder.path().join("plan.db").display()), 1).await.unwrap();
        db.migrate().await.unwrap();
        let sql = format!("explain query plan {statement}");
        let read = db.read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(0_i64).bind(10_i64);
                for _ in (3..10).filter(|number| statement.contains(&format!("${number}"))) {
                    query = query.bind("[]");
                }
                let rows = tx.fetch_all(query).await?;
                rows.iter().map(|row| column::<String>(row, "detail")).collect::<Result<Vec<_>, _>>()
            })
        });
        let lines = read.await.unwrap().join("\n");
        db.close().await;
        lines
    }

    #[tokio::test]
    async fn of_a_type_that_is_rare_nothing_else_is_read() {
        for (statement, index) in [
            (PAGE_BOTH, "events_tenant_type (tenant_id=? AND type=? AND sequence>?)"),
            (PAGE_OWN_TYPE_SQLITE, "events_tenant_type (tenant_id=? AND type=? AND sequence>?)"),
            (PAGE_OWN_TYPE_SQLITE, "events_broker_type (broker_id=? AND type=? AND sequence>?)"),
            (PAGE_OWN_SQLITE, "events_tenant (tenant_id=? AND sequence>?)"),
            (PAGE_OWN_SQLITE, "events_broker (broker_id=? AND sequence>?)"),
            (PAGE_TENANT, "events_tenant (tenant_id=? AND sequence>?)"),
            (PAGE_TYPE, "events_type (type=? AND sequence>?)"),
        ] {
            let plan = plan(statement).await;
            assert!(plan.contains(index), "{index}:\n{plan}");
            assert!(!plan.contains("SCAN events"), "{plan}");
        }
    }
}
