//! Table `sessions`: who is signed in at the portal. Of the secret that a browser keeps only the hash is known here.

use std::collections::BTreeSet;

use sqlx::any::AnyRow;

use super::Error;
use super::db::{Tx, column};
use crate::clock::Time;

/// How somebody was found to be who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By the user name and password of the administrator.
    Admin,
    /// By the identity provider.
    User,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User => "user",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Admin, Self::User].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// How they signed in.
    pub kind: Kind,
    /// Their name.
    pub name: String,
    /// The groups that the identity provider named at that moment.
    pub groups: BTreeSet<String>,
    /// When they signed in.
    pub created_at: Time,
    /// When they were last seen, to within the interval of [`touch`].
    pub seen_at: Time,
    /// When it ends unless they are seen again.
    pub expires_at: Time,
}

fn read(row: &AnyRow) -> Result<SessionRow, Error> {
    let (kind, groups): (String, String) = (column(row, "kind")?, column(row, "groups")?);
    let corrupt = |column, source: String| Error::Corrupt { column, source: source.into() };
    Ok(SessionRow {
        kind: Kind::parse(&kind).ok_or_else(|| corrupt("kind", kind.clone()))?,
        name: column(row, "name")?,
        groups: serde_json::from_str(&groups).map_err(|error| corrupt("groups", error.to_string()))?,
        created_at: Time(column(row, "created_at")?),
        seen_at: Time(column(row, "seen_at")?),
        expires_at: Time(column(row, "expires_at")?),
    })
}

const INSERT: &str = "insert into sessions (id_hash, kind, name, groups, created_at, seen_at, expires_at) \
    values ($1, $2, $3, $4, $5, $6, $7)";

/// Opens one.
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, hash: &str, row: &SessionRow) -> Result<(), Error> {
    let groups = serde_json::json!(row.groups).to_string();
    let sql = sqlx::query(INSERT).bind(hash.to_owned()).bind(row.kind.as_str()).bind(row.name.clone()).bind(groups);
    tx.execute(sql.bind(row.created_at.0).bind(row.seen_at.0).bind(row.expires_at.0)).await?;
    Ok(())
}

const FIND: &str =
    "select kind, name, groups, created_at, seen_at, expires_at from sessions where id_hash = $1 and expires_at > $2";

/// The one of this hash, where it has not ended.
///
/// # Errors
/// [`Error`].
pub async fn find(tx: &mut Tx<'_>, hash: &str, now: Time) -> Result<Option<SessionRow>, Error> {
    tx.fetch_optional(sqlx::query(FIND).bind(hash.to_owned()).bind(now.0)).await?.as_ref().map(read).transpose()
}

const TOUCH: &str = "update sessions set seen_at = $2, expires_at = $3 where id_hash = $1 and expires_at > $2";

/// Says that its owner was seen, and until when it goes on.
///
/// # Errors
/// [`Error`].
pub async fn touch(tx: &mut Tx<'_>, hash: &str, now: Time, expires_at: Time) -> Result<(), Error> {
    tx.execute(sqlx::query(TOUCH).bind(hash.to_owned()).bind(now.0).bind(expires_at.0)).await?;
    Ok(())
}

const DELETE: &str = "delete from sessions where id_hash = $1";

/// Ends one; false where there is none.
///
/// # Errors
/// [`Error`].
pub async fn delete(tx: &mut Tx<'_>, hash: &str) -> Result<bool, Error> {
    Ok(tx.execute(sqlx::query(DELETE).bind(hash.to_owned())).await? == 1)
}

const PRUNE: &str = "delete from sessions where id_hash in \
    (select id_hash from sessions where expires_at <= $1 order by expires_at limit 200)";
const PRUNE_PERSON: &str = "delete from sessions where kind = $1 and name = $2 and id_hash not in \
    (select id_hash from sessions where kind = $1 and name = $2 order by created_at desc, id_hash limit $3)";

/// Forgets some of those that have ended, and of one person the oldest beyond `keep`.
///
/// # Errors
/// [`Error`].
pub async fn prune(tx: &mut Tx<'_>, now: Time, (kind, name): (Kind, &str), keep: u32) -> Result<(), Error> {
    tx.execute(sqlx::query(PRUNE).bind(now.0)).await?;
    let sql = sqlx::query(PRUNE_PERSON).bind(kind.as_str()).bind(name.to_owned()).bind(i64::from(keep));
    tx.execute(sql).await?;
    Ok(())
}
