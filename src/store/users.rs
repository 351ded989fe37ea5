//! Tables `users` and `user_identities`: what this hub knows of people besides what their identity provider says, and what platforms
//! call them.

use sqlx::any::AnyRow;

use super::Error;
use super::db::{Tx, column};
use crate::clock::Time;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// As the identity provider names them. Immutable.
    pub name: String,
    /// Groups besides those of the identity provider.
    pub groups: Vec<String>,
    /// Since when.
    pub created_at: Time,
}

fn read(row: &AnyRow) -> Result<UserRow, Error> {
    let groups: String = column(row, "groups")?;
    let groups = serde_json::from_str(&groups);
    Ok(UserRow {
        name: column(row, "name")?,
        groups: groups.map_err(|source| Error::Corrupt { column: "groups", source: source.into() })?,
        created_at: Time(column(row, "created_at")?),
    })
}

const PUT: &str = "insert into users (name, groups, version, created_at) values ($1, $2, 1, $3) \
    on conflict (name) do update set groups = excluded.groups, version = users.version + 1 returning name, groups, created_at, version";

/// Writes a user, whose row is locked from then on; says whether they are new.
///
/// # Errors
/// [`Error`].
pub async fn put(tx: &mut Tx<'_>, name: &str, groups: &[String], now: Time) -> Result<(bool, UserRow), Error> {
    let sql = sqlx::query(PUT).bind(name.to_owned()).bind(serde_json::json!(groups).to_string()).bind(now.0);
    let row = tx.fetch_optional(sql).await?.ok_or(Error::Serialization)?;
    Ok((column::<i64>(&row, "version")? == 1, read(&row)?))
}

const BY_NAME: &str = "select name, groups, created_at from users where name = $1";

/// The user of a name.
///
/// # Errors
/// [`Error`].
pub async fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<UserRow>, Error> {
    tx.fetch_optional(sqlx::query(BY_NAME).bind(name.to_owned())).await?.as_ref().map(read).transpose()
}

const LIST: &str = "select name, groups, created_at from users where name > $1 order by name limit $2";

/// Users by name, after a name.
///
/// # Errors
/// [`Error`].
pub async fn list(tx: &mut Tx<'_>, after: &str, limit: u32) -> Result<Vec<UserRow>, Error> {
    tx.fetch_all(sqlx::query(LIST).bind(after.to_owned()).bind(i64::from(limit))).await?.iter().map(read).collect()
}

const DELETE: &str = "delete from users where name = $1";

/// Deletes a user whose identities are deleted; false where there is none.
///
/// # Errors
/// [`Error`].
pub async fn delete(tx: &mut Tx<'_>, name: &str) -> Result<bool, Error> {
    tx.changes_access();
    Ok(tx.execute(sqlx::query(DELETE).bind(name.to_owned())).await? == 1)
}

const FORGET_IDENTITIES: &str = "delete from user_identities where user_name = $1";

/// Deletes what platforms call a user.
///
/// # Errors
/// [`Error`].
pub async fn forget_identities(tx: &mut Tx<'_>, name: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(FORGET_IDENTITIES).bind(name.to_owned())).await.map(drop)
}

const ADD_IDENTITY: &str = "insert into user_identities (platform_id, platform_user, user_name) values ($1, $2, $3) \
    on conflict (platform_id, platform_user) do nothing";

/// Says that a platform calls a user so; false where it calls another one so.
///
/// # Errors
/// [`Error`].
pub async fn add_identity(tx: &mut Tx<'_>, platform_id: &str, user: &str, name: &str) -> Result<bool, Error> {
    let sql = sqlx::query(ADD_IDENTITY).bind(platform_id.to_owned()).bind(user.to_owned()).bind(name.to_owned());
    Ok(tx.execute(sql).await? == 1)
}

const WHO: &str = "select user_name from user_identities where platform_id = $1 and platform_user = $2";

/// Whom a platform calls so.
///
/// # Errors
/// [`Error`].
pub async fn who(tx: &mut Tx<'_>, platform_id: &str, user: &str) -> Result<Option<String>, Error> {
    let row = tx.fetch_optional(sqlx::query(WHO).bind(platform_id.to_owned()).bind(user.to_owned())).await?;
    row.as_ref().map(|row| column(row, "user_name")).transpose()
}

const IDENTITIES: &str = "select i.user_name, p.name as platform, i.platform_user from user_identities i \
    join platforms p on p.id = i.platform_id and p.deleted_at is null \
    where i.user_name >= $1 and i.user_name <= $2 order by i.user_name, p.name, i.platform_user";

/// What platforms call users from one name to another: user, platform, and the name there.
///
/// # Errors
/// [`Error`].
pub async fn identities(tx: &mut Tx<'_>, first: &str, last: &str) -> Result<Vec<(String, String, String)>, Error> {
    let rows = tx.fetch_all(sqlx::query(IDENTITIES).bind(first.to_owned()).bind(last.to_owned())).await?;
    let one = |row: &AnyRow| Ok((column(row, "user_name")?, column(row, "platform")?, column(row, "platform_user")?));
    rows.iter().map(one).collect()
}

const FORGET_PLATFORM: &str = "delete from user_identities where platform_id = $1";

/// Deletes what a platform calls people: it is being deleted.
///
/// # Errors
/// [`Error`].
pub(super) async fn forget_platform(tx: &mut Tx<'_>, platform_id: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(FORGET_PLATFORM).bind(platform_id.to_owned())).await.map(drop)
}
