//! What became known of a month after it was closed: the end of a span, a reading, a correction. Whoever closes a later month
//! computes again only what one of these may have changed.
//!
//! It may name an instance too many, never one too few. Price books are no part of it: whoever asks has them all in hand.

use super::db::column;
use super::{Error, Tx};
use crate::clock::Time;

// A counter's growth counts at the reading before of the same run: the first reading after the month counts in it, and none that follows
// one that was known already and stands. What a correction corrects may lie anywhere.
const OF_MONTH: &str = "select i.id from (select distinct instance_id as id from spans \
        where tenant_id = $1 and instance_id >= $2 and instance_id <= $3) i \
    where exists (select 1 from spans s where s.instance_id = i.id and s.closed_at > $4 and s.closed_at <= $5 and s.ended_at < $6) \
    or exists (select 1 from usage_series u join usage_events e on e.series_id = u.id \
        where u.instance_id = i.id and e.corrects is not null and e.recorded_at > $4 and e.recorded_at <= $5) \
    or exists (select 1 from usage_series u join usage_events e on e.series_id = u.id \
        where u.instance_id = i.id and e.recorded_at > $4 and e.recorded_at <= $5 and e.at < $6) \
    or exists (select 1 from usage_series u join usage_events e on e.series_id = u.id \
        where u.instance_id = i.id and u.kind = 'counter' and e.recorded_at > $4 and e.recorded_at <= $5 and not exists ( \
            select 1 from usage_events b where b.series_id = u.id and b.at >= $6 and b.at < e.at and b.recorded_at <= $4 \
            and b.corrects is null and coalesce(b.reset_id, '') = coalesce(e.reset_id, '') and not exists ( \
                select 1 from usage_events c where c.source_id = b.source_id and c.corrects = b.event_id))) \
    order by i.id";

/// Of a tenant's instances from one id to another those of which something became known, after the first time and up to the
/// second, that may change what they were charged before `end`. In the order of their ids.
///
/// # Errors
/// [`Error`].
pub async fn of_month(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    (first, last): (&str, &str),
    (since, until): (Time, Time),
    end: Time,
) -> Result<Vec<String>, Error> {
    let sql = sqlx::query(OF_MONTH)
        .bind(tenant_id.to_owned())
        .bind(first.to_owned())
        .bind(last.to_owned())
        .bind(since.0)
        .bind(until.0)
        .bind(end.0);
    tx.fetch_all(sql).await?.iter().map(|row| column(row, "id")).collect()
}
