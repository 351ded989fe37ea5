//! Table `stamp_keys`: the keys that sign stamps. Private halves are sealed before they come here.

use super::db::column;
use super::{Error, Tx};
use crate::clock::Time;

/// A key that signs stamps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StampKey {
    /// Its id.
    pub kid: String,
    /// The private half, sealed.
    pub private_key: Vec<u8>,
    /// The public half, a JWK as JSON text.
    pub public_key: String,
    /// When it was made.
    pub created_at: Time,
    /// From when on it signs, until the next one does.
    pub signs_from: Time,
}

const ALL: &str = "select kid, private_key, public_key, created_at, signs_from from stamp_keys \
     order by signs_from, kid limit 100";

/// All keys, the one that signs first first.
///
/// # Errors
/// Where the database fails.
pub async fn all(tx: &mut Tx<'_>) -> Result<Vec<StampKey>, Error> {
    let rows = tx.fetch_all(sqlx::query(ALL)).await?;
    let read = |row| {
        Ok(StampKey {
            kid: column(row, "kid")?,
            private_key: column(row, "private_key")?,
            public_key: column(row, "public_key")?,
            created_at: Time(column(row, "created_at")?),
            signs_from: Time(column(row, "signs_from")?),
        })
    };
    rows.iter().map(read).collect()
}

const KIDS: &str = "select kid from stamp_keys order by signs_from, kid limit 100";

/// Ids of all keys, as [`all`] gives them.
///
/// # Errors
/// Where the database fails.
pub async fn kids(tx: &mut Tx<'_>) -> Result<Vec<String>, Error> {
    tx.fetch_all(sqlx::query(KIDS)).await?.iter().map(|row| column(row, "kid")).collect()
}

const INSERT: &str = "insert into stamp_keys (kid, private_key, public_key, created_at, signs_from) \
     values ($1, $2, $3, $4, $5)";

/// Adds a key.
///
/// # Errors
/// [`Error::Taken`] where its id is there already.
pub async fn insert(tx: &mut Tx<'_>, key: &StampKey) -> Result<(), Error> {
    let sql = sqlx::query(INSERT)
        .bind(key.kid.clone())
        .bind(key.private_key.clone())
        .bind(key.public_key.clone())
        .bind(key.created_at.0)
        .bind(key.signs_from.0);
    tx.execute(sql).await.map(drop)
}

const DELETE: &str = "delete from stamp_keys where kid = $1";

/// Removes a key, for good.
///
/// # Errors
/// Where the database fails.
pub async fn delete(tx: &mut Tx<'_>, kid: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(DELETE).bind(kid.to_owned())).await.map(drop)
}
