//! Table `platforms`. A deleted platform's row stays for the instances that were ordered from it; its name is free again.

use sqlx::any::AnyRow;

use super::db::{Tx, column};
use super::{Error, users};
use crate::clock::Time;
use crate::domain::platform::{Platform, PlatformKind};

/// A platform as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformRow {
    /// The platform.
    pub platform: Platform,
    /// The name of its default tenant.
    pub default_tenant: Option<String>,
    /// Since when.
    pub created_at: Time,
}

pub(super) fn platform(row: &AnyRow) -> Result<Platform, Error> {
    let kind: String = column(row, "kind")?;
    let corrupt = || Error::Corrupt { column: "kind", source: kind.clone().into() };
    let trust: Option<String> = column(row, "trust")?;
    let trust = trust.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Platform {
        id: column(row, "id")?,
        name: column(row, "name")?,
        kind: PlatformKind::parse(&kind).ok_or_else(corrupt)?,
        default_tenant_id: column(row, "default_tenant_id")?,
        trust: trust.map_err(|source| Error::Corrupt { column: "trust", source: source.into() })?,
    })
}

fn row(row: &AnyRow) -> Result<PlatformRow, Error> {
    Ok(PlatformRow {
        platform: platform(row)?,
        default_tenant: column(row, "default_tenant")?,
        created_at: Time(column(row, "created_at")?),
    })
}

const INSERT: &str = "insert into platforms (id, name, kind, default_tenant_id, trust, version, created_at, deleted_at) \
    values ($1, $2, $3, $4, $5, 1, $6, null) on conflict (name) where deleted_at is null do nothing";

/// Adds a platform; false where the name is taken.
///
/// # Errors
/// [`Error::Reference`] where its default tenant does not exist.
pub async fn insert(tx: &mut Tx<'_>, new: &Platform, now: Time) -> Result<bool, Error> {
    let Platform { id, name, kind, default_tenant_id, trust } = new;
    let trust = trust.as_ref().map(|trust| serde_json::json!(trust).to_string());
    let sql = sqlx::query(INSERT).bind(id.clone()).bind(name.clone()).bind(kind.as_str());
    Ok(tx.execute(sql.bind(default_tenant_id.clone()).bind(trust).bind(now.0)).await? == 1)
}

const STANDS: &str = "select id from platforms where id = $1 and deleted_at is null";
const STANDS_SHARED: &str = "select id from platforms where id = $1 and deleted_at is null for share";

/// Whether a platform is there, and stays there until this transaction ends.
///
/// # Errors
/// [`Error`].
pub async fn hold(tx: &mut Tx<'_>, id: &str) -> Result<bool, Error> {
    let sql = tx.shared(STANDS, STANDS_SHARED);
    Ok(tx.fetch_optional(sqlx::query(sql).bind(id.to_owned())).await?.is_some())
}

const BY_ID: &str = "select id, name, kind, default_tenant_id, trust from platforms where id = $1";

/// The platform of an id, also where it was deleted: what was ordered from it is remembered. Its credentials are gone, so
/// nobody calls as it.
///
/// # Errors
/// [`Error`].
pub async fn by_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<Platform>, Error> {
    tx.fetch_optional(sqlx::query(BY_ID).bind(id.to_owned())).await?.as_ref().map(platform).transpose()
}

const BY_NAME: &str = "select p.id, p.name, p.kind, p.default_tenant_id, p.trust, p.created_at, \
    t.name as default_tenant from platforms p left join tenants t on t.id = p.default_tenant_id \
    where p.name = $1 and p.deleted_at is null";

/// The platform of a name.
///
/// # Errors
/// [`Error`].
pub async fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<PlatformRow>, Error> {
    tx.fetch_optional(sqlx::query(BY_NAME).bind(name.to_owned())).await?.as_ref().map(row).transpose()
}

const LIST: &str = "select p.id, p.name, p.kind, p.default_tenant_id, p.trust, p.created_at, \
    t.name as default_tenant from platforms p left join tenants t on t.id = p.default_tenant_id \
    where p.deleted_at is null and p.name > $1 order by p.name limit $2";

/// Platforms by name, after a name.
///
/// # Errors
/// [`Error`].
pub async fn list(tx: &mut Tx<'_>, after: &str, limit: u32) -> Result<Vec<PlatformRow>, Error> {
    let rows = tx.fetch_all(sqlx::query(LIST).bind(after.to_owned()).bind(i64::from(limit))).await?;
    rows.iter().map(row).collect()
}

const LOCK: &str = "update platforms set version = version + 1 where name = $1 and deleted_at is null returning id";

/// Locks a platform for this transaction and gives its id.
///
/// # Errors
/// [`Error`].
pub async fn lock(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>, Error> {
    let row = tx.fetch_optional(sqlx::query(LOCK).bind(name.to_owned())).await?;
    row.as_ref().map(|row| column(row, "id")).transpose()
}

const SAVE: &str = "update platforms set default_tenant_id = $2, trust = $3 where id = $1";

/// Writes what may change of a platform that this transaction has locked.
///
/// # Errors
/// [`Error`].
pub async fn save(tx: &mut Tx<'_>, platform: &Platform) -> Result<(), Error> {
    tx.changes_access();
    let trust = platform.trust.as_ref().map(|trust| serde_json::json!(trust).to_string());
    let sql = sqlx::query(SAVE).bind(platform.id.clone()).bind(platform.default_tenant_id.clone()).bind(trust);
    tx.execute(sql).await?;
    Ok(())
}

const LIVE_INSTANCES: &str =
    "select count(*) as live from instances where platform_id = $1 and current = 1 and gone_at is null";

/// How many instances of a platform are not gone.
///
/// # Errors
/// [`Error`].
pub async fn live_instances(tx: &mut Tx<'_>, id: &str) -> Result<i64, Error> {
    let row = tx.fetch_optional(sqlx::query(LIVE_INSTANCES).bind(id.to_owned())).await?;
    row.as_ref().map_or(Ok(0), |row| column(row, "live"))
}

const DELETE: &str = "update platforms set deleted_at = $2, default_tenant_id = null where id = $1";

/// Marks a platform as deleted.
///
/// # Errors
/// [`Error`].
pub async fn delete(tx: &mut Tx<'_>, id: &str, now: Time) -> Result<(), Error> {
    tx.changes_access();
    users::forget_platform(tx, id).await?;
    tx.execute(sqlx::query(DELETE).bind(id.to_owned()).bind(now.0)).await?;
    Ok(())
}

const WITH_DEFAULT: &str =
    "select name from platforms where default_tenant_id = $1 and deleted_at is null order by name limit 1";

/// The first platform whose default tenant that is.
///
/// # Errors
/// [`Error`].
pub async fn with_default_tenant(tx: &mut Tx<'_>, tenant_id: &str) -> Result<Option<String>, Error> {
    let row = tx.fetch_optional(sqlx::query(WITH_DEFAULT).bind(tenant_id.to_owned())).await?;
    row.as_ref().map(|row| column(row, "name")).transpose()
}
