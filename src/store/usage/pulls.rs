//! Table `usage_pulls`: up to when a broker's readings were asked for, and when they are to be asked for again. And what counts
//! of readings that were taken before, to tell which of those that come again replace it.

use std::collections::HashMap;

use serde_json::json;

use super::quantity;
use crate::clock::Time;
use crate::domain::decimal::Decimal;
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

/// Which correction counts is said once more in `readings`.
macro_rules! counting {
    ($ids:literal) => {
        concat!(
            "select e.event_id, k.event_id as corrected_by, case when k.position is null then e.quantity \
                else coalesce(k.quantity, '') end as counted from ( \
            select e.event_id, e.quantity, (select c.position from usage_events c join usage_series o on o.id = c.series_id \
                    where c.source_id = e.source_id and c.corrects = e.event_id \
                    and o.instance_id = s.instance_id and o.meter = s.meter and o.unit = s.unit \
                    order by c.at desc, c.event_id desc limit 1) as fixed \
            from usage_sources u join usage_events e on e.source_id = u.id join usage_series s on s.id = e.series_id \
            where u.broker_id = $1 and u.source = $2 and e.corrects is null and e.event_id in (",
            $ids,
            ")) e left join usage_events k on k.position = e.fixed"
        )
    };
}

const COUNTING_SQLITE: &str = counting!("select value from json_each($3)");
const COUNTING_POSTGRES: &str = counting!("select value from json_array_elements_text($3::json)");

/// What counts of a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counting {
    /// How much; nothing where it is void.
    pub quantity: Option<Decimal>,
    /// The id of the correction that says so, if one does.
    pub corrected_by: Option<String>,
}

/// What counts of a source's readings with these ids, by id.
///
/// # Errors
/// [`Error`]
pub async fn counting(
    tx: &mut Tx<'_>,
    (broker_id, source): (&str, &str),
    ids: &[String],
) -> Result<HashMap<String, Counting>, Error> {
    let sql = sqlx::query(tx.shared(COUNTING_SQLITE, COUNTING_POSTGRES));
    let sql = sql.bind(broker_id.to_owned()).bind(source.to_owned()).bind(json!(ids).to_string());
    let rows = tx.fetch_all(sql).await?;
    let read = |row| {
        let counting = Counting { quantity: quantity(row, "counted")?, corrected_by: column(row, "corrected_by")? };
        Ok((column(row, "event_id")?, counting))
    };
    rows.iter().map(read).collect()
}
