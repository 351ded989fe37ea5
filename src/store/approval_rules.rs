//! Table `approval_rules`: which orders wait for somebody's yes. Every change bumps `versions::APPROVAL_RULES`, by which processes know
//! whether what they keep in memory is what stands here.

use sqlx::any::AnyRow;

use super::Error;
use super::db::{Tx, column};
use crate::clock::Time;
use crate::domain::approval::ApprovalRule;

/// A rule with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRow {
    /// Immutable.
    pub name: String,
    /// What it says.
    pub rule: ApprovalRule,
    /// Since when it is there.
    pub created_at: Time,
}

fn read(row: &AnyRow) -> Result<RuleRow, Error> {
    let document: String = column(row, "document")?;
    let rule = serde_json::from_str(&document);
    Ok(RuleRow {
        name: column(row, "name")?,
        rule: rule.map_err(|source| Error::Corrupt { column: "document", source: source.into() })?,
        created_at: Time(column(row, "created_at")?),
    })
}

const ALL: &str = "select name, document, created_at from approval_rules order by name limit $1";

/// The first `limit` rules by their names.
///
/// # Errors
/// [`Error`].
pub async fn all(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<RuleRow>, Error> {
    tx.fetch_all(sqlx::query(ALL).bind(limit)).await?.iter().map(read).collect()
}

const LIST: &str = "select name, document, created_at from approval_rules where name > $1 order by name limit $2";

/// Rules by name, after a name.
///
/// # Errors
/// [`Error`].
pub async fn list(tx: &mut Tx<'_>, after: &str, limit: i64) -> Result<Vec<RuleRow>, Error> {
    tx.fetch_all(sqlx::query(LIST).bind(after.to_owned()).bind(limit)).await?.iter().map(read).collect()
}

const BY_NAME: &str = "select name, document, created_at from approval_rules where name = $1";

/// The rule of a name.
///
/// # Errors
/// [`Error`].
pub async fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<RuleRow>, Error> {
    tx.fetch_optional(sqlx::query(BY_NAME).bind(name.to_owned())).await?.as_ref().map(read).transpose()
}

const COUNT: &str = "select count(*) as number from approval_rules";

/// How many there are.
///
/// # Errors
/// [`Error`].
pub async fn count(tx: &mut Tx<'_>) -> Result<i64, Error> {
    let row = tx.fetch_optional(sqlx::query(COUNT)).await?;
    row.as_ref().map_or(Ok(0), |row| column(row, "number"))
}

const PUT: &str = "insert into approval_rules (name, document, created_at) values ($1, $2, $3) \
    on conflict (name) do update set document = excluded.document";

/// Writes a rule, which the caller has locked out others from by [`super::versions::bump`] before.
///
/// # Errors
/// [`Error`].
pub async fn put(tx: &mut Tx<'_>, name: &str, rule: &ApprovalRule, now: Time) -> Result<(), Error> {
    let document = serde_json::json!(rule).to_string();
    tx.execute(sqlx::query(PUT).bind(name.to_owned()).bind(document).bind(now.0)).await.map(drop)
}

const DELETE: &str = "delete from approval_rules where name = $1";

/// Deletes a rule; false where there is none.
///
/// # Errors
/// [`Error`].
pub async fn delete(tx: &mut Tx<'_>, name: &str) -> Result<bool, Error> {
    Ok(tx.execute(sqlx::query(DELETE).bind(name.to_owned())).await? == 1)
}
