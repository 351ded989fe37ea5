//! Table `billing_cases`: where what is charged for and what is there are not the same. A case is opened and closed, never removed.
//! Those of meters that fell silent are written in [`super::usage::silence`].

use sqlx::any::AnyRow;

use super::db::column;
use super::instances::{self, InstanceRow};
use super::{Error, Tx};
use crate::clock::{Time, fresh_id};

/// An instance is charged for, and its broker knows nothing of it.
pub const LEAK: &str = "leak";
/// An instance is gone, and its broker still has it.
pub const GHOST: &str = "ghost";

/// A case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseRow {
    /// For ever the same.
    pub id: String,
    /// `leak`, `ghost` or `silent`.
    pub kind: String,
    /// The instance.
    pub instance_id: String,
    /// More about it: the meter that is silent.
    pub detail: String,
    /// Since when.
    pub opened_at: Time,
    /// Until when; none while it is so.
    pub closed_at: Option<Time>,
}

fn read(row: &AnyRow) -> Result<CaseRow, Error> {
    Ok(CaseRow {
        id: column(row, "id")?,
        kind: column(row, "kind")?,
        instance_id: column(row, "instance_id")?,
        detail: column(row, "detail")?,
        opened_at: Time(column(row, "opened_at")?),
        closed_at: column::<Option<i64>>(row, "closed_at")?.map(Time),
    })
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// By kind.
    pub kind: Option<String>,
    /// By instance.
    pub instance_id: Option<String>,
    /// Those that are open, or those that are not.
    pub open: Option<bool>,
}

const LIST: &str = "select * from billing_cases where id > $1 and ($2 is null or kind = $2) \
    and ($3 is null or instance_id = $3) \
    and ($4 < 0 or ($4 = 1 and closed_at is null) or ($4 = 0 and closed_at is not null)) order by id limit $5";

/// Cases in the order in which they were opened, after one.
///
/// # Errors
/// [`Error`].
pub async fn list(tx: &mut Tx<'_>, filter: &Filter, after: &str, limit: u32) -> Result<Vec<CaseRow>, Error> {
    let sql = sqlx::query(LIST)
        .bind(after.to_owned())
        .bind(filter.kind.clone())
        .bind(filter.instance_id.clone())
        .bind(filter.open.map_or(-1, i64::from))
        .bind(i64::from(limit));
    tx.fetch_all(sql).await?.iter().map(read).collect()
}

const OPEN: &str = "insert into billing_cases (id, kind, instance_id, detail, opened_at) \
    select $1, $2, id, '', $4 from instances where id = $3 and version = $5 \
    on conflict (instance_id, kind, detail) where closed_at is null do nothing";

/// Opens a case of an instance that is still as it was when it was looked at; false where it is not, or the case is open.
///
/// # Errors
/// [`Error`].
pub async fn open(tx: &mut Tx<'_>, kind: &str, instance: &InstanceRow, now: Time) -> Result<bool, Error> {
    let sql = sqlx::query(OPEN)
        .bind(fresh_id())
        .bind(kind.to_owned())
        .bind(instance.id.clone())
        .bind(now.0)
        .bind(instance.version);
    Ok(tx.execute(sql).await? > 0)
}

const CLOSE: &str = "update billing_cases set closed_at = $2 \
    where instance_id = $1 and closed_at is null and kind in ('leak', 'ghost')";

/// Closes what is open of an instance: its broker and the hub say the same.
///
/// # Errors
/// [`Error`].
pub async fn close(tx: &mut Tx<'_>, instance_id: &str, now: Time) -> Result<(), Error> {
    tx.execute(sqlx::query(CLOSE).bind(instance_id.to_owned()).bind(now.0)).await.map(drop)
}

const CLOSE_GONE: &str = "update billing_cases set closed_at = $1 where closed_at is null and kind = 'leak' \
    and instance_id in (select id from instances where state in ('gone', 'failed'))";

/// Closes leaks of instances that are not charged for any more.
///
/// # Errors
/// [`Error`].
pub async fn close_gone(tx: &mut Tx<'_>, now: Time) -> Result<(), Error> {
    tx.execute(sqlx::query(CLOSE_GONE).bind(now.0)).await.map(drop)
}

const TO_LOOK_AT: &str = "select i.* from instances i where i.id > $1 and i.operation_id is null and i.ready_at is not null \
    and (i.state = 'ready' or (i.state = 'gone' and (i.gone_at >= $2 or exists \
        (select 1 from billing_cases c where c.instance_id = i.id and c.kind = 'ghost' and c.closed_at is null)))) \
    order by i.id limit $3";

/// Instances that are charged for, and those that are gone since a time or may still be there; in the order of their ids, after one.
///
/// # Errors
/// [`Error`].
pub async fn to_look_at(tx: &mut Tx<'_>, after: &str, gone_since: Time, limit: i64) -> Result<Vec<InstanceRow>, Error> {
    let sql = sqlx::query(TO_LOOK_AT).bind(after.to_owned()).bind(gone_since.0).bind(limit);
    tx.fetch_all(sql).await?.iter().map(instances::read).collect()
}
