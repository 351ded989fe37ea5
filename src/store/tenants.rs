//! Table `tenants`. A deleted tenant's row stays for the bills of its past; its name is free again. Identities have a
//! table of their own ([`super::identities`]) and are not in the document here; members are in both ([`super::members`]).

use sqlx::any::AnyRow;

use super::db::{Tx, column};
use super::{Error, members};
use crate::clock::Time;
use crate::domain::tenant::{Tenant, TenantDocument};

/// A tenant as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRow {
    /// The tenant, without identities.
    pub tenant: Tenant,
    /// Since when.
    pub created_at: Time,
}

fn tenant(row: &AnyRow) -> Result<Tenant, Error> {
    read(row, ["id", "name", "document", "suspended"])
}

fn read(row: &AnyRow, [id, name, document, suspended]: [&'static str; 4]) -> Result<Tenant, Error> {
    let document: String = column(row, document)?;
    let document = serde_json::from_str(&document);
    Ok(Tenant {
        id: column(row, id)?,
        name: column(row, name)?,
        suspended: column(row, suspended)?,
        document: document.map_err(|source| Error::Corrupt { column: "document", source: source.into() })?,
    })
}

/// A tenant beside the row of what is its own: `tenant_id`, `tenant_name`, `tenant_document` and `tenant_suspended`.
pub(super) fn owner(row: &AnyRow) -> Result<Tenant, Error> {
    read(row, ["tenant_id", "tenant_name", "tenant_document", "tenant_suspended"])
}

fn row(row: &AnyRow) -> Result<TenantRow, Error> {
    Ok(TenantRow { tenant: tenant(row)?, created_at: Time(column(row, "created_at")?) })
}

/// The document as it is stored.
fn stored(document: &TenantDocument) -> String {
    let without = TenantDocument { identities: Vec::new(), ..document.clone() };
    serde_json::json!(without).to_string()
}

const INSERT: &str = "insert into tenants (id, name, document, version, created_at, deleted_at) \
    values ($1, $2, $3, 1, $4, null) on conflict (name) where deleted_at is null do nothing";

/// Adds a tenant; false where the name is taken.
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, new: &Tenant, now: Time) -> Result<bool, Error> {
    let sql = sqlx::query(INSERT).bind(new.id.clone()).bind(new.name.clone()).bind(stored(&new.document)).bind(now.0);
    if tx.execute(sql).await? == 0 {
        return Ok(false);
    }
    members::replace(tx, &new.id, &new.document.members).await?;
    Ok(true)
}

const LOCK: &str = "update tenants set version = version + 1 where name = $1 and deleted_at is null \
    returning id, name, document, suspended, created_at";

/// Locks the tenant of a name for this transaction and reads it.
///
/// # Errors
/// [`Error`].
pub async fn lock(tx: &mut Tx<'_>, name: &str) -> Result<Option<TenantRow>, Error> {
    tx.fetch_optional(sqlx::query(LOCK).bind(name.to_owned())).await?.as_ref().map(row).transpose()
}

const SAVE: &str = "update tenants set document = $2 where id = $1";

/// Writes the document of a tenant that this transaction has locked.
///
/// # Errors
/// [`Error`].
pub async fn save(tx: &mut Tx<'_>, tenant: &Tenant) -> Result<(), Error> {
    tx.execute(sqlx::query(SAVE).bind(tenant.id.clone()).bind(stored(&tenant.document))).await?;
    members::replace(tx, &tenant.id, &tenant.document.members).await
}

const SUSPEND: &str = "update tenants set suspended = $2 where id = $1";

/// Says why a tenant that this transaction has locked may order nothing, or that it may again.
///
/// # Errors
/// [`Error`].
pub async fn suspend(tx: &mut Tx<'_>, id: &str, reason: Option<&str>) -> Result<(), Error> {
    tx.execute(sqlx::query(SUSPEND).bind(id.to_owned()).bind(reason.map(str::to_owned))).await?;
    Ok(())
}

const ADD_VERSION: &str = "insert into tenant_versions (tenant_id, since, document) values ($1, $2, $3) \
    on conflict (tenant_id, since) do update set document = excluded.document";

/// Keeps what is said about a tenant from now on; what was said before stays for the charges before. Where it names no time zone it is
/// the hub's of today for ever: another one in the settings moves no month that has begun.
///
/// # Errors
/// [`Error`].
pub async fn add_version(tx: &mut Tx<'_>, tenant: &Tenant, zone: &str, since: Time) -> Result<(), Error> {
    let time_zone = tenant.document.time_zone.clone().or_else(|| Some(zone.to_owned()));
    let document = TenantDocument { time_zone, ..tenant.document.clone() };
    let sql = sqlx::query(ADD_VERSION).bind(tenant.id.clone()).bind(since.0).bind(stored(&document));
    tx.execute(sql).await.map(drop)
}

const VERSIONS: &str =
    "select since, document from tenant_versions where tenant_id = $1 and since <= $2 order by since";

/// What was said about a tenant from when on, earliest first, as far as it was known at `known_at`.
///
/// # Errors
/// [`Error`].
pub async fn versions(tx: &mut Tx<'_>, id: &str, known_at: Time) -> Result<Vec<(Time, TenantDocument)>, Error> {
    let rows = tx.fetch_all(sqlx::query(VERSIONS).bind(id.to_owned()).bind(known_at.0)).await?;
    let version = |row: &AnyRow| {
        let document: String = column(row, "document")?;
        let document = serde_json::from_str(&document);
        let document = document.map_err(|source| Error::Corrupt { column: "document", source: source.into() })?;
        Ok((Time(column(row, "since")?), document))
    };
    rows.iter().map(version).collect()
}

/// A tenant that was charged for something, be it deleted since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargedRow {
    /// For ever the same.
    pub id: String,
    /// Its name; a deleted tenant's may be another's by now.
    pub name: String,
    /// When it was deleted.
    pub deleted_at: Option<Time>,
}

fn charged_row(row: &AnyRow) -> Result<ChargedRow, Error> {
    Ok(ChargedRow {
        id: column(row, "id")?,
        name: column(row, "name")?,
        deleted_at: column::<Option<i64>>(row, "deleted_at")?.map(Time),
    })
}

const CHARGED: &str = "select id, name, deleted_at from tenants t where id > $1 \
    and exists (select 1 from spans s where s.tenant_id = t.id) order by id limit $2";

/// Tenants that ever had an instance, by id, after one; those that are deleted, too.
///
/// # Errors
/// [`Error`].
pub async fn charged(tx: &mut Tx<'_>, after: &str, limit: i64) -> Result<Vec<ChargedRow>, Error> {
    let rows = tx.fetch_all(sqlx::query(CHARGED).bind(after.to_owned()).bind(limit)).await?;
    rows.iter().map(charged_row).collect()
}

const CHARGED_ONE: &str = "select id, name, deleted_at from tenants where id = $1";

/// The tenant of an id, be it deleted, as one that is charged.
///
/// # Errors
/// [`Error`].
pub async fn charged_one(tx: &mut Tx<'_>, id: &str) -> Result<Option<ChargedRow>, Error> {
    tx.fetch_optional(sqlx::query(CHARGED_ONE).bind(id.to_owned())).await?.as_ref().map(charged_row).transpose()
}

const STANDS: &str = "select id, name, document, suspended, quotas from tenants where id = $1 and deleted_at is null";
const STANDS_SHARED: &str =
    "select id, name, document, suspended, quotas from tenants where id = $1 and deleted_at is null for share";

/// The tenant of an id, if it is there; it stays there, and as it is, until this transaction ends.
///
/// # Errors
/// [`Error`].
pub async fn hold(tx: &mut Tx<'_>, id: &str) -> Result<Option<Tenant>, Error> {
    Ok(hold_and_count(tx, id).await?.map(|(tenant, _)| tenant))
}

/// The same with the number of its quotas: whoever makes or deletes one waits until this transaction ends.
///
/// # Errors
/// [`Error`].
pub async fn hold_and_count(tx: &mut Tx<'_>, id: &str) -> Result<Option<(Tenant, i64)>, Error> {
    let sql = tx.shared(STANDS, STANDS_SHARED);
    let row = tx.fetch_optional(sqlx::query(sql).bind(id.to_owned())).await?;
    row.as_ref().map(|row| Ok((tenant(row)?, column(row, "quotas")?))).transpose()
}

const COUNT_QUOTAS: &str =
    "update tenants set quotas = (select count(*) from quotas where tenant_id = $1) where id = $1";

/// Counts the quotas of a tenant that this transaction has locked.
///
/// # Errors
/// [`Error`].
pub async fn count_quotas(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(COUNT_QUOTAS).bind(id.to_owned())).await.map(drop)
}

const BY_ID: &str = "select id, name, document, suspended from tenants where id = $1";

/// The tenant of an id, also where it was deleted.
///
/// # Errors
/// [`Error`].
pub async fn by_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<Tenant>, Error> {
    tx.fetch_optional(sqlx::query(BY_ID).bind(id.to_owned())).await?.as_ref().map(tenant).transpose()
}

const BY_NAME: &str =
    "select id, name, document, suspended, created_at from tenants where name = $1 and deleted_at is null";

/// The tenant of a name.
///
/// # Errors
/// [`Error`].
pub async fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<TenantRow>, Error> {
    tx.fetch_optional(sqlx::query(BY_NAME).bind(name.to_owned())).await?.as_ref().map(row).transpose()
}

const LIST: &str = "select id, name, document, suspended, created_at from tenants \
    where deleted_at is null and name > $1 and ($3 is null or $3 like '%|' || id || '|%') order by name limit $2";

/// Tenants by name, after a name; of those ids only where some are given, as `|id|id|`.
///
/// # Errors
/// [`Error`].
pub async fn list(tx: &mut Tx<'_>, after: &str, limit: u32, only: Option<String>) -> Result<Vec<TenantRow>, Error> {
    let sql = sqlx::query(LIST).bind(after.to_owned()).bind(i64::from(limit)).bind(only);
    let rows = tx.fetch_all(sql).await?;
    rows.iter().map(row).collect()
}

const NAMED: &str = "select name from tenants where deleted_at is null and ($1 = '' or name like '%' || $1 || '%') \
    and ($3 is null or $3 like '%|' || id || '|%') order by name limit $2";

/// The names of tenants that have `part` in them; of those ids only where some are given, as `|id|id|`.
///
/// # Errors
/// [`Error`].
pub async fn named(tx: &mut Tx<'_>, part: &str, limit: u32, only: Option<String>) -> Result<Vec<String>, Error> {
    // What no name has would mean something to `like`.
    let plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !plain {
        return Ok(Vec::new());
    }
    let sql = sqlx::query(NAMED).bind(part.to_ascii_lowercase()).bind(i64::from(limit)).bind(only);
    tx.fetch_all(sql).await?.iter().map(|row| column(row, "name")).collect()
}

const LIVE_INSTANCES: &str = "select count(*) as live from instances where tenant_id = $1 and gone_at is null";

/// How many instances of a tenant are not gone.
///
/// # Errors
/// [`Error`].
pub async fn live_instances(tx: &mut Tx<'_>, id: &str) -> Result<i64, Error> {
    let row = tx.fetch_optional(sqlx::query(LIVE_INSTANCES).bind(id.to_owned())).await?;
    row.as_ref().map_or(Ok(0), |row| column(row, "live"))
}

const DELETE: &str = "update tenants set deleted_at = $2 where id = $1";

/// Marks a tenant as deleted.
///
/// # Errors
/// [`Error`].
pub async fn delete(tx: &mut Tx<'_>, id: &str, now: Time) -> Result<(), Error> {
    tx.execute(sqlx::query(DELETE).bind(id.to_owned()).bind(now.0)).await?;
    members::replace(tx, id, &[]).await
}
