//! Tables `identities` (what platforms call tenants) and `unmapped_identities` (what they called somebody, and nobody knew).

use sqlx::any::AnyRow;

use super::Error;
use super::db::{Tx, column};
use crate::clock::Time;
use crate::domain::identity::{MatchKey, SHAPES_MAX};

/// Unmapped identities that are kept for one platform; what comes after is not counted.
pub const UNMAPPED_MAX: usize = 1000;

fn key(row: &AnyRow) -> Result<MatchKey, Error> {
    let text: String = column(row, "match_key")?;
    let corrupt = || Error::Corrupt { column: "match_key", source: text.clone().into() };
    MatchKey::parse(&text).ok_or_else(corrupt)
}

const INSERT: &str = "insert into identities (platform_id, match_key, shape, tenant_id) values ($1, $2, $3, $4) \
    on conflict (platform_id, match_key) do nothing";

/// Gives an identity to a tenant; false where it has one already.
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, platform_id: &str, key: &MatchKey, tenant_id: &str) -> Result<bool, Error> {
    let sql = sqlx::query(INSERT).bind(platform_id.to_owned()).bind(key.canonical()).bind(key.shape());
    Ok(tx.execute(sql.bind(tenant_id.to_owned())).await? == 1)
}

const OWNER: &str = "select tenant_id from identities where platform_id = $1 and match_key = $2";

/// Whose an identity is, by id.
///
/// # Errors
/// [`Error`].
pub async fn owner(tx: &mut Tx<'_>, platform_id: &str, key: &MatchKey) -> Result<Option<String>, Error> {
    let row = tx.fetch_optional(sqlx::query(OWNER).bind(platform_id.to_owned()).bind(key.canonical())).await?;
    row.as_ref().map(|row| column(row, "tenant_id")).transpose()
}

/// Jumps from one shape to the next in the index: as many steps as there are shapes, however many identities.
const SHAPES: &str = "with recursive shapes (shape) as (\
        select min(shape) from identities where platform_id = $1 \
        union all \
        select (select min(i.shape) from identities i where i.platform_id = $1 and i.shape > s.shape) \
        from shapes s where s.shape is not null) \
    select shape from shapes where shape is not null limit $2";

/// The shapes that a platform's identities have, at most one more than are allowed.
///
/// # Errors
/// [`Error`].
pub async fn shapes(tx: &mut Tx<'_>, platform_id: &str) -> Result<Vec<String>, Error> {
    let limit = i64::try_from(SHAPES_MAX + 1).unwrap_or(i64::MAX);
    let rows = tx.fetch_all(sqlx::query(SHAPES).bind(platform_id.to_owned()).bind(limit)).await?;
    rows.iter().map(|row| column(row, "shape")).collect()
}

const DELETE_OF_TENANT: &str = "delete from identities where tenant_id = $1";

/// Takes all identities from a tenant.
///
/// # Errors
/// [`Error`].
pub async fn delete_of_tenant(tx: &mut Tx<'_>, tenant_id: &str) -> Result<u64, Error> {
    tx.execute(sqlx::query(DELETE_OF_TENANT).bind(tenant_id.to_owned())).await
}

const DELETE_OF_PLATFORM: &str = "delete from identities where platform_id = $1";

/// Forgets all identities of a platform.
///
/// # Errors
/// [`Error`].
pub async fn delete_of_platform(tx: &mut Tx<'_>, platform_id: &str) -> Result<u64, Error> {
    tx.execute(sqlx::query(DELETE_OF_PLATFORM).bind(platform_id.to_owned())).await
}

const OF_TENANTS: &str = "select i.tenant_id, p.name as platform, i.match_key from identities i \
    join tenants t on t.id = i.tenant_id join platforms p on p.id = i.platform_id \
    where t.deleted_at is null and t.name >= $1 and t.name <= $2 order by p.name, i.match_key";

/// The identities of the tenants whose names lie between two, both included: (tenant's id, platform's name, key). A tenant
/// has at most [`crate::domain::tenant::LIST_MAX`].
///
/// # Errors
/// [`Error`].
pub async fn of_tenants(tx: &mut Tx<'_>, first: &str, last: &str) -> Result<Vec<(String, String, MatchKey)>, Error> {
    let rows = tx.fetch_all(sqlx::query(OF_TENANTS).bind(first.to_owned()).bind(last.to_owned())).await?;
    rows.iter().map(|row| Ok((column(row, "tenant_id")?, column(row, "platform")?, key(row)?))).collect()
}

const COUNT_AGAIN: &str = "update unmapped_identities set seen = seen + 1, last_seen_at = $3 \
    where platform_id = $1 and match_key = $2";

const COUNT_FIRST: &str = "insert into unmapped_identities (platform_id, match_key, seen, first_seen_at, last_seen_at) \
    select $1, $2, 1, $3, $3 from database_clock where not exists \
        (select 1 from unmapped_identities where platform_id = $1 limit 1 offset $4) \
    on conflict (platform_id, match_key) do update set seen = unmapped_identities.seen + 1, last_seen_at = excluded.last_seen_at";

/// Counts an identity that nobody knew.
///
/// # Errors
/// [`Error`].
pub async fn count_unmapped(tx: &mut Tx<'_>, platform_id: &str, key: &MatchKey, now: Time) -> Result<(), Error> {
    let again = sqlx::query(COUNT_AGAIN).bind(platform_id.to_owned()).bind(key.canonical()).bind(now.0);
    if tx.execute(again).await? == 0 {
        let most = i64::try_from(UNMAPPED_MAX - 1).unwrap_or(i64::MAX);
        let first = sqlx::query(COUNT_FIRST).bind(platform_id.to_owned()).bind(key.canonical()).bind(now.0).bind(most);
        tx.execute(first).await?;
    }
    Ok(())
}

/// An identity that nobody knew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmappedRow {
    /// The platform's name.
    pub platform: String,
    /// What it claimed.
    pub key: MatchKey,
    /// How often.
    pub seen: i64,
    /// Since when.
    pub first_seen_at: Time,
    /// And lately.
    pub last_seen_at: Time,
}

const UNMAPPED: &str = "select p.name as platform, u.match_key, u.seen, u.first_seen_at, u.last_seen_at \
    from unmapped_identities u join platforms p on p.id = u.platform_id \
    where p.name > $1 or (p.name = $1 and u.match_key > $2) order by p.name, u.match_key limit $3";

/// Unmapped identities by platform, after one of them.
///
/// # Errors
/// [`Error`].
pub async fn unmapped(tx: &mut Tx<'_>, platform: &str, key_text: &str, limit: u32) -> Result<Vec<UnmappedRow>, Error> {
    let sql = sqlx::query(UNMAPPED).bind(platform.to_owned()).bind(key_text.to_owned()).bind(i64::from(limit));
    let rows = tx.fetch_all(sql).await?;
    let read = |row| {
        Ok(UnmappedRow {
            platform: column(row, "platform")?,
            key: key(row)?,
            seen: column(row, "seen")?,
            first_seen_at: Time(column(row, "first_seen_at")?),
            last_seen_at: Time(column(row, "last_seen_at")?),
        })
    };
    rows.iter().map(read).collect()
}

const UNMAPPED_KEYS: &str = "select match_key from unmapped_identities where platform_id = $1 limit $2";
const FORGET: &str = "delete from unmapped_identities where platform_id = $1 and match_key = $2";

/// Forgets the unmapped identities of a platform that an identity covers now.
///
/// # Errors
/// [`Error`].
pub async fn forget_covered(tx: &mut Tx<'_>, platform_id: &str, keys: &[MatchKey]) -> Result<(), Error> {
    let most = i64::try_from(UNMAPPED_MAX).unwrap_or(i64::MAX);
    let rows = tx.fetch_all(sqlx::query(UNMAPPED_KEYS).bind(platform_id.to_owned()).bind(most)).await?;
    for row in &rows {
        let seen = key(row)?;
        if keys.iter().any(|key| key.covers(&seen)) {
            tx.execute(sqlx::query(FORGET).bind(platform_id.to_owned()).bind(seen.canonical())).await?;
        }
    }
    Ok(())
}

const FORGET_ALL: &str = "delete from unmapped_identities where platform_id = $1";

/// Forgets all unmapped identities of a platform: it is deleted, or has a default tenant now.
///
/// # Errors
/// [`Error`].
pub async fn forget_all(tx: &mut Tx<'_>, platform_id: &str) -> Result<u64, Error> {
    tx.execute(sqlx::query(FORGET_ALL).bind(platform_id.to_owned())).await
}
