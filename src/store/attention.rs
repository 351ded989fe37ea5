//! What needs somebody now: a few counts, each over a partial index or a table that is bounded.

use super::db::column;
use super::{Error, Tx};
use crate::clock::Time;

/// What there is of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations whose outcome is not known.
    pub unresolved: i64,
    /// Operations that were ordered long ago and are neither over nor wait for an approval.
    pub slow: i64,
    /// Approvals that expire soon.
    pub expiring: i64,
    /// Identities that no tenant has.
    pub unmapped: i64,
    /// Tenants that are being taken down.
    pub offboarding: i64,
    /// Offerings that were submitted for publication.
    pub submitted: i64,
    /// Open cases of what is charged for and what is there.
    pub cases: i64,
}

const COUNTS: &str = "select \
    (select count(*) from operations where state = 'in_progress' and phase = 'unresolved') as unresolved, \
    (select count(*) from operations where state = 'in_progress' and phase not in ('unresolved', 'waiting_approval') \
        and created_at <= $1) as slow, \
    (select count(*) from approvals where state = 'pending' and expires_at <= $2) as expiring, \
    (select count(*) from unmapped_identities) as unmapped, \
    (select count(*) from offboardings where state = 'running') as offboarding, \
    (select count(*) from offering_reviews where state = 'submitted') as submitted, \
    (select count(*) from billing_cases where closed_at is null) as cases";

/// Counts what was ordered before one instant, and what expires before another.
///
/// # Errors
/// Where the database fails.
pub async fn counts(tx: &mut Tx<'_>, ordered_before: Time, expires_before: Time) -> Result<Counts, Error> {
    let query = sqlx::query(COUNTS).bind(ordered_before.0).bind(expires_before.0);
    let Some(row) = tx.fetch_optional(query).await? else { return Ok(Counts::default()) };
    Ok(Counts {
        unresolved: column(&row, "unresolved")?,
        slow: column(&row, "slow")?,
        expiring: column(&row, "expiring")?,
        unmapped: column(&row, "unmapped")?,
        offboarding: column(&row, "offboarding")?,
        submitted: column(&row, "submitted")?,
        cases: column(&row, "cases")?,
    })
}
