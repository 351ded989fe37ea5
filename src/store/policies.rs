//! Table `policies`. Every change bumps `versions::APPROVAL_RULES`, by which processes know whether what they keep in memory is what
//! stands here.

use sqlx::any::AnyRow;

use super::Error;
use super::db::{Tx, column};
use crate::clock::Time;
use crate::domain::policy::PolicyDocument;

/// A policy with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRow {
    /// Immutable.
    pub name: String,
    /// What it says.
    pub document: PolicyDocument,
    /// Since when.
    pub created_at: Time,
}

fn read(row: &AnyRow) -> Result<PolicyRow, Error> {
    let document: String = column(row, "document")?;
    let document = serde_json::from_str(&document);
    Ok(PolicyRow {
        name: column(row, "name")?,
        document: document.map_err(|source| Error::Corrupt { column: "document", source: source.into() })?,
        created_at: Time(column(row, "created_at")?),
    })
}

const LIST: &str = "select * from policies where name > $1 order by name limit $2";

/// Policies by name, after a name.
///
/// # Errors
/// [`Error`].
pub async fn list(tx: &mut Tx<'_>, after: &str, limit: i64) -> Result<Vec<PolicyRow>, Error> {
    tx.fetch_all(sqlx::query(LIST).bind(after.to_owned()).bind(limit)).await?.iter().map(read).collect()
}

const ONE: &str = "select * from policies where name = $1";

/// The policy of a name.
///
/// # Errors
/// [`Error`].
pub async fn one(tx: &mut Tx<'_>, name: &str) -> Result<Option<PolicyRow>, Error> {
    tx.fetch_optional(sqlx::query(ONE).bind(name.to_owned())).await?.as_ref().map(read).transpose()
}

const COUNT: &str = "select count(*) as number from policies";

/// How many there are.
///
/// # Errors
/// [`Error`].
pub async fn count(tx: &mut Tx<'_>) -> Result<i64, Error> {
    let row = tx.fetch_optional(sqlx::query(COUNT)).await?;
    row.as_ref().map_or(Ok(0), |row| column(row, "number"))
}

const PUT: &str = "insert into policies (name, document, created_at) values ($1, $2, $3) \
    on conflict (name) do update set document = excluded.document";

/// Creates or replaces a policy.
///
/// # Errors
/// [`Error`].
pub async fn put(tx: &mut Tx<'_>, row: &PolicyRow) -> Result<(), Error> {
    let document = serde_json::json!(row.document).to_string();
    tx.execute(sqlx::query(PUT).bind(row.name.clone()).bind(document).bind(row.created_at.0)).await.map(drop)
}

const DELETE: &str = "delete from policies where name = $1";

/// Deletes a policy; false where there is none.
///
/// # Errors
/// [`Error`].
pub async fn delete(tx: &mut Tx<'_>, name: &str) -> Result<bool, Error> {
    Ok(tx.execute(sqlx::query(DELETE).bind(name.to_owned())).await? == 1)
}
