//! Table `bindings`: one row for each bind that Bourse took on.

use sqlx::any::AnyRow;

use super::db::{Tx, column};
use super::{Error, operations};
use crate::clock::Time;
use crate::domain::instance::BindingState;

/// A row.
#[derive(Clone, Debug)]
pub struct BindingRow {
    /// Bourse's own id, which the backend gets.
    pub id: String,
    /// The instance that it binds to.
    pub instance_id: String,
    /// The platform's id of it, unique within its instance.
    pub platform_binding_id: String,
    /// Where it stands.
    pub state: BindingState,
    /// `BindingAttributes`, sealed.
    pub attributes: Vec<u8>,
    /// The backend's answer with the credentials, sealed.
    pub answer: Option<Vec<u8>>,
    /// Until when the answer is kept.
    pub answer_until: Option<Time>,
    /// The operation that is under way.
    pub operation_id: Option<String>,
    /// Until when a repeat of its bind may be on its way to the backend.
    pub asked_until: Option<Time>,
    /// Counts changes.
    pub version: i64,
    /// When it was asked for.
    pub created_at: Time,
    /// When it became ready.
    pub ready_at: Option<Time>,
    /// When nothing was left of it.
    pub gone_at: Option<Time>,
    /// Until when a request that makes it, and whose answer was lost, may still reach the backend.
    pub late_until: Option<Time>,
}

pub(super) fn read(row: &AnyRow) -> Result<BindingRow, Error> {
    let state: String = column(row, "state")?;
    Ok(BindingRow {
        id: column(row, "id")?,
        instance_id: column(row, "instance_id")?,
        platform_binding_id: column(row, "platform_binding_id")?,
        state: BindingState::parse(&state).ok_or_else(|| operations::unreadable("state", &state))?,
        attributes: column(row, "attributes")?,
        answer: column(row, "answer")?,
        answer_until: column::<Option<i64>>(row, "answer_until")?.map(Time),
        operation_id: column(row, "operation_id")?,
        asked_until: column::<Option<i64>>(row, "asked_until")?.map(Time),
        version: column(row, "version")?,
        created_at: Time(column(row, "created_at")?),
        ready_at: column::<Option<i64>>(row, "ready_at")?.map(Time),
        gone_at: column::<Option<i64>>(row, "gone_at")?.map(Time),
        late_until: column::<Option<i64>>(row, "late_until")?.map(Time),
    })
}

const RETIRE: &str = "update bindings set current = 0 \
    where instance_id = $1 and platform_binding_id = $2 and current = 1 \
    and (state = 'gone' or (state = 'failed' and operation_id is null))";

const INSERT: &str = "insert into bindings (id, instance_id, platform_binding_id, current, state, attributes, operation_id, \
    version, created_at) values ($1, $2, $3, 1, $4, $5, $6, 1, $7) on conflict do nothing";

/// Inserts a new binding under a platform's id; a row that is only a memory makes way. False where the id is taken.
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, row: &BindingRow) -> Result<bool, Error> {
    tx.execute(sqlx::query(RETIRE).bind(row.instance_id.clone()).bind(row.platform_binding_id.clone())).await?;
    let query = sqlx::query(INSERT)
        .bind(row.id.clone())
        .bind(row.instance_id.clone())
        .bind(row.platform_binding_id.clone())
        .bind(row.state.as_str())
        .bind(row.attributes.clone())
        .bind(row.operation_id.clone())
        .bind(row.created_at.0);
    Ok(tx.execute(query).await? == 1)
}

const CURRENT: &str = "select * from bindings where instance_id = $1 and platform_binding_id = $2 and current = 1";

/// What a platform's id means now within that instance, be it only a memory.
///
/// # Errors
/// [`Error`].
pub async fn current(tx: &mut Tx<'_>, instance_id: &str, id: &str) -> Result<Option<BindingRow>, Error> {
    let query = sqlx::query(CURRENT).bind(instance_id.to_owned()).bind(id.to_owned());
    tx.fetch_optional(query).await?.as_ref().map(read).transpose()
}

const LOCK: &str = "update bindings set version = version + 1 where id = $1 returning *";

/// Locks the row for this transaction and reads it; the instance is locked before.
///
/// # Errors
/// [`Error`].
pub async fn lock(tx: &mut Tx<'_>, id: &str) -> Result<Option<BindingRow>, Error> {
    tx.fetch_optional(sqlx::query(LOCK).bind(id.to_owned())).await?.as_ref().map(read).transpose()
}

const BY_ID: &str = "select * from bindings where id = $1";

/// The row with Bourse's own id.
///
/// # Errors
/// [`Error`].
pub async fn by_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<BindingRow>, Error> {
    tx.fetch_optional(sqlx::query(BY_ID).bind(id.to_owned())).await?.as_ref().map(read).transpose()
}

const SAVE: &str = "update bindings set state = $2, answer = $3, answer_until = $4, operation_id = $5, ready_at = $6, \
    gone_at = $7, current = current * $8, late_until = $9 where id = $1";

/// Writes a row that this transaction has locked. `current` is false where the platform's id means nothing any more; an id
/// that means another row by now never comes back to this one.
///
/// # Errors
/// [`Error`].
pub async fn save(tx: &mut Tx<'_>, row: &BindingRow, current: bool) -> Result<(), Error> {
    let query = sqlx::query(SAVE)
        .bind(row.id.clone())
        .bind(row.state.as_str())
        .bind(row.answer.clone())
        .bind(row.answer_until.map(|time| time.0))
        .bind(row.operation_id.clone())
        .bind(row.ready_at.map(|time| time.0))
        .bind(row.gone_at.map(|time| time.0))
        .bind(i64::from(current))
        .bind(row.late_until.map(|time| time.0));
    tx.execute(query).await?;
    Ok(())
}

const ASK: &str = "update bindings set asked_until = $2, version = version + 1 \
    where id = $1 and state = 'ready' and (asked_until is null or asked_until <= $3)";

/// Keeps a ready binding as it is until then, because its bind is sent once more. False where it is not ready, or another
/// repeat may still be on its way.
///
/// # Errors
/// [`Error`].
pub async fn ask(tx: &mut Tx<'_>, id: &str, until: Time, now: Time) -> Result<bool, Error> {
    Ok(tx.execute(sqlx::query(ASK).bind(id.to_owned()).bind(until.0).bind(now.0)).await? == 1)
}

const ASKED: &str = "update bindings set asked_until = $3 where id = $1 and state = 'ready' and asked_until = $2";

/// Says how long a repeat that was begun with [`ask`] may still be on its way: `None` where it has been answered. False where
/// the binding was not kept for it any more.
///
/// # Errors
/// [`Error`].
pub async fn asked(tx: &mut Tx<'_>, id: &str, until: Time, still: Option<Time>) -> Result<bool, Error> {
    let query = sqlx::query(ASKED).bind(id.to_owned()).bind(until.0).bind(still.map(|time| time.0));
    Ok(tx.execute(query).await? == 1)
}

const FORGET_FAILED: &str = "update bindings set state = 'gone', version = version + 1 \
    where id = $1 and state = 'failed' and operation_id is null";

/// A failed bind of which nothing is left is only a memory from now on; its id may mean another one by then.
///
/// # Errors
/// [`Error`].
pub async fn forget_failed(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(FORGET_FAILED).bind(id.to_owned())).await?;
    Ok(())
}

const OF_INSTANCE: &str = "select * from (select * from bindings where instance_id = $1 order by id desc limit 1000) latest \
    order by id";

/// The latest 1000 bindings of an instance, those that are gone too, the newest last.
///
/// # Errors
/// [`Error`].
pub async fn of_instance(tx: &mut Tx<'_>, instance_id: &str) -> Result<Vec<BindingRow>, Error> {
    tx.fetch_all(sqlx::query(OF_INSTANCE).bind(instance_id.to_owned())).await?.iter().map(read).collect()
}

const STANDING: &str = "select * from bindings where instance_id = $1 and state <> 'gone' \
    and not (state = 'failed' and operation_id is null) order by id limit 100";

/// Bindings of which something is left, at most 100: whoever clears them asks again until there are none.
///
/// # Errors
/// [`Error`].
pub async fn standing(tx: &mut Tx<'_>, instance_id: &str) -> Result<Vec<BindingRow>, Error> {
    tx.fetch_all(sqlx::query(STANDING).bind(instance_id.to_owned())).await?.iter().map(read).collect()
}

const FORGET: &str = "update bindings set answer = null, answer_until = null where id in \
    (select id from bindings where answer_until < $1 limit $2)";

/// Forgets credentials whose time is over, at most so many at once; says how many.
///
/// # Errors
/// [`Error`].
pub async fn forget_answers(tx: &mut Tx<'_>, now: Time, limit: i64) -> Result<u64, Error> {
    tx.execute(sqlx::query(FORGET).bind(now.0).bind(limit)).await
}
