//! Table `leases`: work that one process at a time does. A lease belongs to a process for as long as it beats
//! (`processes`); ten seconds of silence by the database's own clock make it free.
//!
//! Invariant: whoever took or kept a lease in a transaction holds its row until the commit, so nobody else does that work
//! in between.

use super::db::column;
use super::{Error, Tx};

const TAKE: &str = "insert into leases (name, owner) values ($1, $2) on conflict (name) do update \
     set owner = excluded.owner where leases.owner = excluded.owner or leases.owner not in ( \
       select id from processes where heartbeat_at > (select now from database_clock) - 10000000)";

/// Takes the lease where it is free or one's own already, and holds its row; false where another living process has it.
///
/// # Errors
/// Where the database fails.
pub async fn take(tx: &mut Tx<'_>, name: &str, owner: &str) -> Result<bool, Error> {
    let touched = tx.execute(sqlx::query(TAKE).bind(name.to_owned()).bind(owner.to_owned())).await?;
    Ok(touched > 0)
}

const KEEP: &str = "update leases set owner = owner where name = $1 and owner = $2";

/// Holds the lease's row where the lease is still one's own; false where somebody took it over meanwhile.
///
/// # Errors
/// Where the database fails.
pub async fn keep(tx: &mut Tx<'_>, name: &str, owner: &str) -> Result<bool, Error> {
    let touched = tx.execute(sqlx::query(KEEP).bind(name.to_owned()).bind(owner.to_owned())).await?;
    Ok(touched > 0)
}

const LOCK: &str = "insert into leases (name, owner) values ($1, $2) on conflict (name) do update \
     set owner = excluded.owner";

/// Holds the lease's row until the commit, whoever had it: for what is done in one transaction, by one process at a time.
///
/// # Errors
/// Where the database fails.
pub async fn lock(tx: &mut Tx<'_>, name: &str, owner: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(LOCK).bind(name.to_owned()).bind(owner.to_owned())).await.map(drop)
}

/// Who has a lease, as far as a reader can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The one who asks.
    Asking,
    /// Another living process.
    Other,
    /// Nobody, or a process that is silent.
    Nobody,
}

const HOLDER: &str = "select owner, case when owner in ( \
       select id from processes where heartbeat_at > (select now from database_clock) - 10000000) then cast(1 as bigint) else 0 end \
     as alive from leases where name = $1";

/// Who has the lease.
///
/// # Errors
/// Where the database fails.
pub async fn holder(tx: &mut Tx<'_>, name: &str, asking: &str) -> Result<Holder, Error> {
    let Some(row) = tx.fetch_optional(sqlx::query(HOLDER).bind(name.to_owned())).await? else {
        return Ok(Holder::Nobody);
    };
    let owner: String = column(&row, "owner")?;
    let alive: i64 = column(&row, "alive")?;
    Ok(match (owner == asking, alive) {
        (true, _) => Holder::Asking,
        (false, 1) => Holder::Other,
        (false, _) => Holder::Nobody,
    })
}
