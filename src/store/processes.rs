//! Table `processes`: who is alive. A process beats every two seconds by the database's time; ten seconds of silence void its
//! leases.

use super::Error;
use super::db::{Tx, column};

const BEAT: &str = "insert into processes (id, started_at, heartbeat_at) \
    select $1, now, now from database_clock where true \
    on conflict (id) do update set heartbeat_at = excluded.heartbeat_at";

/// Says that this process is alive.
///
/// # Errors
/// [`Error`].
pub async fn beat(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(BEAT).bind(id.to_owned())).await?;
    Ok(())
}

const BURY: &str = "delete from processes where heartbeat_at <= (select now from database_clock) - 60000000";

/// Forgets processes that have been silent for a minute.
///
/// # Errors
/// [`Error`].
pub async fn bury(tx: &mut Tx<'_>) -> Result<u64, Error> {
    tx.execute(sqlx::query(BURY)).await
}

const LEAVE: &str = "delete from processes where id = $1";

/// Takes a process off the list: it has stopped, and its leases are free at once.
///
/// # Errors
/// [`Error`].
pub async fn leave(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(LEAVE).bind(id.to_owned())).await?;
    Ok(())
}

const LEAVE_ALL: &str = "delete from processes";

/// Takes every process off the list: for a database that only one process can have, at its start.
///
/// # Errors
/// [`Error`].
pub async fn leave_all(tx: &mut Tx<'_>) -> Result<(), Error> {
    tx.execute(sqlx::query(LEAVE_ALL)).await?;
    Ok(())
}

const ALIVE: &str =
    "select count(*) as alive from processes where heartbeat_at > (select now from database_clock) - 10000000";

/// How many processes are alive.
///
/// # Errors
/// [`Error`].
pub async fn alive(tx: &mut Tx<'_>) -> Result<i64, Error> {
    match tx.fetch_optional(sqlx::query(ALIVE)).await? {
        Some(row) => column(&row, "alive"),
        None => Ok(0),
    }
}
