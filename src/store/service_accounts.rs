//! Table `service_accounts`: programs with a token of their own, of which only the hash is kept.

use sqlx::any::AnyRow;

use super::Error;
use super::db::{Tx, column};
use crate::clock::Time;

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// Immutable.
    pub name: String,
    /// What it is, as grants.
    pub roles: Vec<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Time,
    /// Since when its token is the one it has.
    pub token_at: Time,
}

fn read(row: &AnyRow) -> Result<AccountRow, Error> {
    let roles: String = column(row, "roles")?;
    let roles = serde_json::from_str(&roles);
    Ok(AccountRow {
        name: column(row, "name")?,
        roles: roles.map_err(|source| Error::Corrupt { column: "roles", source: source.into() })?,
        created_by: column(row, "created_by")?,
        created_at: Time(column(row, "created_at")?),
        token_at: Time(column(row, "token_at")?),
    })
}

const INSERT: &str = "insert into service_accounts (name, roles, token_hash, created_by, created_at, token_at) \
    values ($1, $2, $3, $4, $5, $6) on conflict (name) do nothing";

/// Adds one; false where the name is taken.
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, row: &AccountRow, token_hash: &str) -> Result<bool, Error> {
    let sql = sqlx::query(INSERT).bind(row.name.clone()).bind(serde_json::json!(row.roles).to_string());
    let sql = sql.bind(token_hash.to_owned()).bind(row.created_by.clone());
    Ok(tx.execute(sql.bind(row.created_at.0).bind(row.token_at.0)).await? == 1)
}

const BY_TOKEN: &str =
    "select name, roles, created_by, created_at, token_at from service_accounts where token_hash = $1";

/// The one whose token has that hash.
///
/// # Errors
/// [`Error`].
pub async fn by_token(tx: &mut Tx<'_>, token_hash: &str) -> Result<Option<AccountRow>, Error> {
    tx.fetch_optional(sqlx::query(BY_TOKEN).bind(token_hash.to_owned())).await?.as_ref().map(read).transpose()
}

const BY_NAME: &str = "select name, roles, created_by, created_at, token_at from service_accounts where name = $1";

/// The one of a name.
///
/// # Errors
/// [`Error`].
pub async fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<AccountRow>, Error> {
    tx.fetch_optional(sqlx::query(BY_NAME).bind(name.to_owned())).await?.as_ref().map(read).transpose()
}

const LIST: &str = "select name, roles, created_by, created_at, token_at from service_accounts \
    where name > $1 order by name limit $2";

/// Service accounts by name, after a name.
///
/// # Errors
/// [`Error`].
pub async fn list(tx: &mut Tx<'_>, after: &str, limit: u32) -> Result<Vec<AccountRow>, Error> {
    tx.fetch_all(sqlx::query(LIST).bind(after.to_owned()).bind(i64::from(limit))).await?.iter().map(read).collect()
}

const RENEW: &str = "update service_accounts set token_hash = $2, token_at = $3 where name = $1";

/// Puts another token in the place of the one that it has; false where there is no such account.
///
/// # Errors
/// [`Error`].
pub async fn renew(tx: &mut Tx<'_>, name: &str, token_hash: &str, now: Time) -> Result<bool, Error> {
    tx.changes_access();
    let sql = sqlx::query(RENEW).bind(name.to_owned()).bind(token_hash.to_owned()).bind(now.0);
    Ok(tx.execute(sql).await? == 1)
}

const DELETE: &str = "delete from service_accounts where name = $1";

/// Deletes one; false where there is none.
///
/// # Errors
/// [`Error`].
pub async fn delete(tx: &mut Tx<'_>, name: &str) -> Result<bool, Error> {
    tx.changes_access();
    Ok(tx.execute(sqlx::query(DELETE).bind(name.to_owned())).await? == 1)
}
