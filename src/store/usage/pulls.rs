//! Table `usage_pulls`: up to when a broker's readings were asked for, and when they are to be asked for again.

use crate::clock::Time;
use crate::store::Error;
use crate::store::db::{Tx, column};

const CLAIM: &str = "insert into usage_pulls (broker_id, since, next_at) select id, created_at, $3 from brokers where id = $1 \
    on conflict (broker_id) do update set next_at = excluded.next_at where usage_pulls.next_at <= $2 returning since";

/// Sets out to ask a broker that is due, says when it is due again, and gives the instant up to which it was asked; none where it is
/// not due, or another process was first.
///
/// # Errors
/// [`Error`]
pub async fn claim(tx: &mut Tx<'_>, broker_id: &str, now: Time, next: Time) -> Result<Option<Time>, Error> {
    let sql = sqlx::query(CLAIM).bind(broker_id.to_owned()).bind(now.0).bind(next.0);
    let row = tx.fetch_optional(sql).await?;
    row.map(|row| column(&row, "since").map(Time)).transpose()
}

const DUE: &str = "select next_at from usage_pulls where broker_id = $1 and next_at > $2";

/// Whether a broker is to be asked.
///
/// # Errors
/// [`Error`]
pub async fn is_due(tx: &mut Tx<'_>, broker_id: &str, now: Time) -> Result<bool, Error> {
    let later = tx.fetch_optional(sqlx::query(DUE).bind(broker_id.to_owned()).bind(now.0)).await?;
    Ok(later.is_none())
}

const ADVANCE: &str = "update usage_pulls set since = $2 where broker_id = $1 and since < $2";

/// All of a broker's readings up to that instant are here.
///
/// # Errors
/// [`Error`]
pub async fn advance(tx: &mut Tx<'_>, broker_id: &str, until: Time) -> Result<(), Error> {
    tx.execute(sqlx::query(ADVANCE).bind(broker_id.to_owned()).bind(until.0)).await.map(drop)
}
