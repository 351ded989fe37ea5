//! Table `instance_grants`: who besides a tenant's members may read an instance, or get at its credentials, and until when.

use sqlx::any::AnyRow;

use super::db::column;
use super::{Error, Tx, operations};
use crate::clock::Time;
use crate::domain::grant::GrantRole;

/// A grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// Of which instance.
    pub instance_id: String,
    /// To whom.
    pub user: String,
    /// What they may do.
    pub role: GrantRole,
    /// Until when.
    pub expires_at: Time,
    /// Who granted it.
    pub granted_by: String,
    /// Since when.
    pub created_at: Time,
}

fn read(row: &AnyRow) -> Result<GrantRow, Error> {
    let role: String = column(row, "role")?;
    Ok(GrantRow {
        instance_id: column(row, "instance_id")?,
        user: column(row, "user_name")?,
        role: GrantRole::parse(&role).ok_or_else(|| operations::unreadable("role", &role))?,
        expires_at: Time(column(row, "expires_at")?),
        granted_by: column(row, "granted_by")?,
        created_at: Time(column(row, "created_at")?),
    })
}

const PUT: &str = "insert into instance_grants (instance_id, user_name, role, expires_at, granted_by, created_at) \
    values ($1, $2, $3, $4, $5, $6) on conflict (instance_id, user_name) do update set role = excluded.role, \
    expires_at = excluded.expires_at, granted_by = excluded.granted_by";

/// Grants it, or changes what was granted.
///
/// # Errors
/// [`Error`].
pub async fn put(tx: &mut Tx<'_>, row: &GrantRow) -> Result<(), Error> {
    let sql = sqlx::query(PUT)
        .bind(row.instance_id.clone())
        .bind(row.user.clone())
        .bind(row.role.as_str())
        .bind(row.expires_at.0)
        .bind(row.granted_by.clone())
        .bind(row.created_at.0);
    tx.execute(sql).await?;
    Ok(())
}

const ONE: &str = "select * from instance_grants where instance_id = $1 and user_name = $2";

/// What was granted to somebody.
///
/// # Errors
/// [`Error`].
pub async fn one(tx: &mut Tx<'_>, instance_id: &str, user: &str) -> Result<Option<GrantRow>, Error> {
    let sql = sqlx::query(ONE).bind(instance_id.to_owned()).bind(user.to_owned());
    tx.fetch_optional(sql).await?.as_ref().map(read).transpose()
}

const OF_INSTANCE: &str = "select * from instance_grants where instance_id = $1 and user_name > $2 \
    order by user_name limit $3";

/// The grants of an instance, after one user.
///
/// # Errors
/// [`Error`].
pub async fn of_instance(tx: &mut Tx<'_>, instance_id: &str, after: &str, limit: i64) -> Result<Vec<GrantRow>, Error> {
    let sql = sqlx::query(OF_INSTANCE).bind(instance_id.to_owned()).bind(after.to_owned()).bind(limit);
    tx.fetch_all(sql).await?.iter().map(read).collect()
}

const COUNT: &str = "select count(*) as number from instance_grants where instance_id = $1";

/// How many there are of an instance.
///
/// # Errors
/// [`Error`].
pub async fn count(tx: &mut Tx<'_>, instance_id: &str) -> Result<i64, Error> {
    let row = tx.fetch_optional(sqlx::query(COUNT).bind(instance_id.to_owned())).await?;
    row.as_ref().map_or(Ok(0), |row| column(row, "number"))
}

const DELETE: &str = "delete from instance_grants where instance_id = $1 and user_name = $2";

/// Takes it back; false where there was none.
///
/// # Errors
/// [`Error`].
pub async fn delete(tx: &mut Tx<'_>, instance_id: &str, user: &str) -> Result<bool, Error> {
    let sql = sqlx::query(DELETE).bind(instance_id.to_owned()).bind(user.to_owned());
    Ok(tx.execute(sql).await? == 1)
}
