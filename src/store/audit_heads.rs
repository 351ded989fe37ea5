//! Tables `audit_heads` and `audit_keys`: what was signed of the audit, and the keys that signed it. A key's public half stays for as
//! long as there are heads: for ever. Private halves are sealed before they come here.

use sqlx::any::AnyRow;

use super::db::column;
use super::{Error, Tx};
use crate::clock::Time;
use crate::domain::audit::Head;

/// A key that signs heads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditKey {
    /// Its id.
    pub kid: String,
    /// The private half, sealed; empty once another key has taken its place.
    pub private_key: Vec<u8>,
    /// The public half, a JWK as JSON text.
    pub public_key: String,
    /// When it was made.
    pub created_at: Time,
}

/// Keys that are read at once.
const KEYS_AT_ONCE: i64 = 1000;
const KEYS: &str = "select kid, private_key, public_key, created_at from audit_keys where (created_at, kid) > ($1, $2) \
     order by created_at, kid limit $3";

fn key(row: &AnyRow) -> Result<AuditKey, Error> {
    Ok(AuditKey {
        kid: column(row, "kid")?,
        private_key: column(row, "private_key")?,
        public_key: column(row, "public_key")?,
        created_at: Time(column(row, "created_at")?),
    })
}

/// All keys, however many there are by now; the last one signs.
///
/// # Errors
/// Where the database fails.
pub async fn keys(tx: &mut Tx<'_>) -> Result<Vec<AuditKey>, Error> {
    let mut all: Vec<AuditKey> = Vec::new();
    loop {
        let (at, kid) = all.last().map_or((i64::MIN, String::new()), |last| (last.created_at.0, last.kid.clone()));
        let rows = tx.fetch_all(sqlx::query(KEYS).bind(at).bind(kid).bind(KEYS_AT_ONCE)).await?;
        if rows.is_empty() {
            return Ok(all);
        }
        for row in &rows {
            all.push(key(row)?);
        }
    }
}

const SIGNING: &str =
    "select kid, private_key, public_key, created_at from audit_keys order by created_at desc, kid desc limit 1";

/// The key that signs.
///
/// # Errors
/// Where the database fails.
pub async fn signing(tx: &mut Tx<'_>) -> Result<Option<AuditKey>, Error> {
    tx.fetch_optional(sqlx::query(SIGNING)).await?.as_ref().map(key).transpose()
}

const INSERT_KEY: &str = "insert into audit_keys (kid, private_key, public_key, created_at) values ($1, $2, $3, $4)";

/// Adds a key.
///
/// # Errors
/// Where the database fails.
pub async fn insert_key(tx: &mut Tx<'_>, key: &AuditKey) -> Result<(), Error> {
    let AuditKey { kid, private_key, public_key, created_at } = key.clone();
    let sql = sqlx::query(INSERT_KEY).bind(kid).bind(private_key).bind(public_key).bind(created_at.0);
    tx.execute(sql).await.map(drop)
}

const FORGET_PRIVATE: &str = "update audit_keys set private_key = $2 where kid <> $1";

/// Forgets the private halves of all other keys: nobody signs with them any more.
///
/// # Errors
/// Where the database fails.
pub async fn retire_others(tx: &mut Tx<'_>, kid: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(FORGET_PRIVATE).bind(kid.to_owned()).bind(Vec::<u8>::new())).await.map(drop)
}

const INSERT: &str = "insert into audit_heads (position, hash, at, signature, kid) values ($1, $2, $3, $4, $5) \
     on conflict (position) do nothing";

/// Keeps a head. One of the same place stays as it is.
///
/// # Errors
/// Where the database fails.
pub async fn insert(tx: &mut Tx<'_>, head: &Head) -> Result<(), Error> {
    let Head { position, hash, at, signature, kid } = head.clone();
    let sql = sqlx::query(INSERT).bind(position).bind(hash).bind(at.0).bind(signature).bind(kid);
    tx.execute(sql).await.map(drop)
}

const PAGE: &str = "select position, hash, at, signature, kid from audit_heads where position > $1 \
     order by position limit $2";

/// Heads that are kept, of places above `after`.
///
/// # Errors
/// Where the database fails.
pub async fn page(tx: &mut Tx<'_>, after: i64, limit: i64) -> Result<Vec<Head>, Error> {
    tx.fetch_all(sqlx::query(PAGE).bind(after).bind(limit)).await?.iter().map(head).collect()
}

const LAST: &str = "select position, hash, at, signature, kid from audit_heads order by position desc limit 1";

/// The head that is kept of the highest place.
///
/// # Errors
/// Where the database fails.
pub async fn last(tx: &mut Tx<'_>) -> Result<Option<Head>, Error> {
    tx.fetch_optional(sqlx::query(LAST)).await?.as_ref().map(head).transpose()
}

fn head(row: &AnyRow) -> Result<Head, Error> {
    Ok(Head {
        position: column(row, "position")?,
        hash: column(row, "hash")?,
        at: Time(column(row, "at")?),
        signature: column(row, "signature")?,
        kid: column(row, "kid")?,
    })
}
