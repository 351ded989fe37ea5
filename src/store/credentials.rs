//! Table `credentials`: user names and hashes of passwords, of administrators, platforms and brokers.

use sqlx::any::AnyRow;

use super::db::{Tx, column};
use super::{Error, platforms};
use crate::clock::Time;
use crate::domain::platform::Platform;

/// Whose credential it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerKind {
    /// An administrator; the owner's id is the user name.
    Admin,
    /// A platform, by id.
    Platform,
    /// A broker that reports usage, by id.
    Broker,
}

impl OwnerKind {
    /// Its word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Platform => "platform",
            Self::Broker => "broker",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Admin, Self::Platform, Self::Broker].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A credential.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialRow {
    /// Unique among all owners.
    pub username: String,
    /// Whose kind.
    pub owner_kind: OwnerKind,
    /// Whose.
    pub owner_id: String,
    /// What the password is compared with.
    pub secret_hash: String,
    /// Since when.
    pub created_at: Time,
}

impl std::fmt::Debug for CredentialRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialRow").field("username", &self.username).finish_non_exhaustive()
    }
}

fn row(row: &AnyRow) -> Result<CredentialRow, Error> {
    let kind: String = column(row, "owner_kind")?;
    let corrupt = || Error::Corrupt { column: "owner_kind", source: kind.clone().into() };
    Ok(CredentialRow {
        username: column(row, "username")?,
        owner_kind: OwnerKind::parse(&kind).ok_or_else(corrupt)?,
        owner_id: column(row, "owner_id")?,
        secret_hash: column(row, "secret_hash")?,
        created_at: Time(column(row, "created_at")?),
    })
}

const INSERT: &str =
    "insert into credentials (username, owner_kind, owner_id, secret_hash, created_at) values ($1, $2, $3, $4, $5)";

/// Adds a credential.
///
/// # Errors
/// [`Error::Taken`] where the user name exists.
pub async fn insert(tx: &mut Tx<'_>, new: &CredentialRow) -> Result<(), Error> {
    let CredentialRow { username, owner_kind, owner_id, secret_hash, created_at } = new;
    let sql = sqlx::query(INSERT).bind(username.clone()).bind(owner_kind.as_str()).bind(owner_id.clone());
    tx.execute(sql.bind(secret_hash.clone()).bind(created_at.0)).await?;
    Ok(())
}

const INSERT_FIRST_ADMIN: &str = "insert into credentials (username, owner_kind, owner_id, secret_hash, created_at) \
    select $1, 'admin', $1, $2, $3 from database_clock \
    where not exists (select 1 from credentials where owner_kind = 'admin') on conflict (username) do nothing";

/// Adds an administrator where there is none; false where there is.
///
/// # Errors
/// [`Error`].
pub async fn insert_first_admin(tx: &mut Tx<'_>, username: &str, hash: &str, now: Time) -> Result<bool, Error> {
    let sql = sqlx::query(INSERT_FIRST_ADMIN).bind(username.to_owned()).bind(hash.to_owned()).bind(now.0);
    Ok(tx.execute(sql).await? == 1)
}

const FIND: &str = "select c.username, c.owner_kind, c.owner_id, c.secret_hash, c.created_at, \
    p.id, p.name, p.kind, p.default_tenant_id, p.trust \
    from credentials c left join platforms p on c.owner_kind = 'platform' and p.id = c.owner_id where c.username = $1";

/// The credential of a user name, with the platform where it is one's: each of a platform's requests needs both.
///
/// # Errors
/// [`Error`].
pub async fn find(tx: &mut Tx<'_>, username: &str) -> Result<Option<(CredentialRow, Option<Platform>)>, Error> {
    let Some(found) = tx.fetch_optional(sqlx::query(FIND).bind(username.to_owned())).await? else { return Ok(None) };
    let is_one = column::<Option<String>>(&found, "id")?.is_some();
    Ok(Some((row(&found)?, is_one.then(|| platforms::platform(&found)).transpose()?)))
}

const OF_OWNER: &str = "select username, owner_kind, owner_id, secret_hash, created_at from credentials \
    where owner_kind = $1 and owner_id = $2 order by created_at, username limit 100";

/// The credentials of one owner, oldest first.
///
/// # Errors
/// [`Error`].
pub async fn of_owner(tx: &mut Tx<'_>, kind: OwnerKind, id: &str) -> Result<Vec<CredentialRow>, Error> {
    let rows = tx.fetch_all(sqlx::query(OF_OWNER).bind(kind.as_str()).bind(id.to_owned())).await?;
    rows.iter().map(row).collect()
}

const ANY_ADMIN: &str = "select username from credentials where owner_kind = 'admin' limit 1";

/// Whether there is an administrator.
///
/// # Errors
/// [`Error`].
pub async fn any_admin(tx: &mut Tx<'_>) -> Result<bool, Error> {
    Ok(tx.fetch_optional(sqlx::query(ANY_ADMIN)).await?.is_some())
}

const DELETE: &str = "delete from credentials where owner_kind = $1 and owner_id = $2 and username = $3";

/// Deletes one credential of an owner; false where it has none of that name.
///
/// # Errors
/// [`Error`].
pub async fn delete(tx: &mut Tx<'_>, kind: OwnerKind, id: &str, username: &str) -> Result<bool, Error> {
    tx.changes_access();
    let sql = sqlx::query(DELETE).bind(kind.as_str()).bind(id.to_owned()).bind(username.to_owned());
    Ok(tx.execute(sql).await? == 1)
}

const DELETE_ALL: &str = "delete from credentials where owner_kind = $1 and owner_id = $2";

/// Deletes all credentials of an owner.
///
/// # Errors
/// [`Error`].
pub async fn delete_all(tx: &mut Tx<'_>, kind: OwnerKind, id: &str) -> Result<u64, Error> {
    tx.changes_access();
    tx.execute(sqlx::query(DELETE_ALL).bind(kind.as_str()).bind(id.to_owned())).await
}
