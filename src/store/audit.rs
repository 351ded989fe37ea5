//! Table `audit`: who changed what, append-only.

use serde_json::Value;

use super::Error;
use super::db::Tx;
use crate::clock::{Time, fresh_id};

/// One entry. `detail` holds no credential and no parameter value.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// When.
    pub at: Time,
    /// Who, as [`crate::domain::caller::Caller::actor`] names it.
    pub actor: String,
    /// What was done, such as `tenant.put`.
    pub action: String,
    /// To what, such as `tenants/retail`.
    pub subject: String,
    /// More about it.
    pub detail: Value,
}

const APPEND: &str = "insert into audit (id, at, actor, action, subject, detail) values ($1, $2, $3, $4, $5, $6)";

/// Adds an entry, in the transaction of what it tells of.
///
/// # Errors
/// [`Error`].
pub async fn append(tx: &mut Tx<'_>, row: &AuditRow) -> Result<(), Error> {
    let AuditRow { at, actor, action, subject, detail } = row;
    let sql = sqlx::query(APPEND).bind(fresh_id()).bind(at.0).bind(actor.clone()).bind(action.clone());
    tx.execute(sql.bind(subject.clone()).bind(detail.to_string())).await?;
    Ok(())
}
