//! `brokers`: the registered service brokers, their last catalog, and how it was come by.

use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;

use super::db::column;
use super::{Error, Tx};
use crate::clock::Time;
use crate::domain::broker::{Settings, Status};
use crate::domain::catalog::Finding;

/// A broker without its catalog.
#[derive(Clone, Debug)]
pub struct BrokerRow {
    /// For ever the same.
    pub id: String,
    /// Unique among those that are registered.
    pub name: String,
    /// What stands before `/v2`.
    pub url: String,
    /// How it is treated.
    pub settings: Settings,
    /// Sealed [`crate::domain::broker::Access`].
    pub secrets: Vec<u8>,
    /// How it was when last asked.
    pub status: Status,
    /// Of the stored catalog.
    pub etag: Option<String>,
    /// What is wrong with its catalog as a whole.
    pub findings: Vec<Finding>,
    /// When the stored catalog came.
    pub fetched_at: Option<Time>,
    /// When it is to be asked for its catalog again.
    pub check_at: Time,
    /// Of this row.
    pub version: i64,
    /// When it was registered.
    pub created_at: Time,
    /// When it was removed.
    pub deleted_at: Option<Time>,
    /// Who registered it, where that was somebody who answers for it and not an operator: what it offers has to be reviewed.
    pub provider: Option<String>,
}

fn row(row: &AnyRow) -> Result<BrokerRow, Error> {
    Ok(BrokerRow {
        id: column(row, "id")?,
        name: column(row, "name")?,
        url: column(row, "url")?,
        settings: json(row, "settings")?,
        secrets: column(row, "secrets")?,
        status: status(row)?,
        etag: column(row, "etag")?,
        findings: json(row, "findings")?,
        fetched_at: column::<Option<i64>>(row, "fetched_at")?.map(Time),
        check_at: Time(column(row, "check_at")?),
        version: column(row, "version")?,
        created_at: Time(column(row, "created_at")?),
        deleted_at: column::<Option<i64>>(row, "deleted_at")?.map(Time),
        provider: column(row, "provider")?,
    })
}

fn status(row: &AnyRow) -> Result<Status, Error> {
    let text: String = column(row, "status")?;
    Status::parse(&text).ok_or_else(|| Error::Corrupt { column: "status", source: text.into() })
}

pub(super) fn json<T: DeserializeOwned>(row: &AnyRow, name: &'static str) -> Result<T, Error> {
    let text: String = column(row, name)?;
    serde_json::from_str(&text).map_err(|error| Error::Corrupt { column: name, source: Box::new(error) })
}

pub(super) fn text<T: serde::Serialize>(name: &'static str, value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Corrupt { column: name, source: Box::new(error) })
}

const INSERT: &str = "insert into brokers (id, name, url, settings, secrets, status, catalog, etag, findings, fetched_at, check_at, version, created_at, provider)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

/// Registers one. [`Error::Taken`] where the name is.
///
/// # Errors
/// [`Error`]
pub async fn insert(tx: &mut Tx<'_>, broker: &BrokerRow, catalog: &str) -> Result<(), Error> {
    let sql = sqlx::query(INSERT)
        .bind(broker.id.clone())
        .bind(broker.name.clone())
        .bind(broker.url.clone())
        .bind(text("settings", &broker.settings)?)
        .bind(broker.secrets.clone())
        .bind(broker.status.as_str())
        .bind(catalog.to_owned())
        .bind(broker.etag.clone())
        .bind(text("findings", &broker.findings)?)
        .bind(broker.fetched_at.map(|at| at.0))
        .bind(broker.check_at.0)
        .bind(broker.version)
        .bind(broker.created_at.0)
        .bind(broker.provider.clone());
    tx.execute(sql).await.map(drop)
}

const BY_NAME: &str = "select id, name, url, settings, secrets, status, etag, findings, fetched_at, check_at, version, created_at, deleted_at, provider
    from brokers where name = $1 and deleted_at is null";

/// The registered broker of that name.
///
/// # Errors
/// [`Error`]
pub async fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<BrokerRow>, Error> {
    let found = tx.fetch_optional(sqlx::query(BY_NAME).bind(name.to_owned())).await?;
    found.as_ref().map(row).transpose()
}

const PAGE: &str = "select id, name, url, settings, secrets, status, etag, findings, fetched_at, check_at, version, created_at, deleted_at, provider
    from brokers where deleted_at is null and name > $1 and ($3 is null or $3 like '%|' || id || '|%') order by name limit $2";

/// Registered brokers by name, from behind that one; of those ids only where some are given, as `|id|id|`.
///
/// # Errors
/// [`Error`]
pub async fn page(tx: &mut Tx<'_>, after: &str, limit: i64, only: Option<String>) -> Result<Vec<BrokerRow>, Error> {
    let rows = tx.fetch_all(sqlx::query(PAGE).bind(after.to_owned()).bind(limit).bind(only)).await?;
    rows.iter().map(row).collect()
}

const SERVING: &str = "select id, name, url, settings, secrets, status, etag, findings, fetched_at, check_at, version, created_at, deleted_at, provider
    from brokers where deleted_at is null
        or exists (select 1 from instances where instances.broker_id = brokers.id and instances.state <> 'gone')
    order by created_at, id";

/// All registered brokers, and those removed ones that have instances left, in the catalog's order: the oldest first.
///
/// # Errors
/// [`Error`]
pub async fn serving(tx: &mut Tx<'_>) -> Result<Vec<BrokerRow>, Error> {
    let rows = tx.fetch_all(sqlx::query(SERVING)).await?;
    rows.iter().map(row).collect()
}

const CATALOG: &str = "select catalog from brokers where id = $1";

/// The stored catalog, as the broker gave it.
///
/// # Errors
/// [`Error`]
pub async fn catalog(tx: &mut Tx<'_>, id: &str) -> Result<Option<String>, Error> {
    let row = tx.fetch_optional(sqlx::query(CATALOG).bind(id.to_owned())).await?;
    row.map_or(Ok(None), |row| column(&row, "catalog"))
}

/// A broker with something wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Troubled {
    /// Its name.
    pub name: String,
    /// How it was when last asked.
    pub status: Status,
    /// Whether its catalog as a whole has something wrong.
    pub findings: bool,
}

const TROUBLED: &str = "select name, status, cast(case when findings = '[]' then 0 else 1 end as bigint) as found from brokers \
    where deleted_at is null and (status <> 'available' or findings <> '[]') order by name limit 500";

/// Brokers that did not answer when last asked, or whose catalog has something wrong, the first 500.
///
/// # Errors
/// [`Error`]
pub async fn troubled(tx: &mut Tx<'_>) -> Result<Vec<Troubled>, Error> {
    let read = |row: &AnyRow| {
        let found: i64 = column(row, "found")?;
        Ok(Troubled { name: column(row, "name")?, status: status(row)?, findings: found != 0 })
    };
    tx.fetch_all(sqlx::query(TROUBLED)).await?.iter().map(read).collect()
}

const DUE: &str = "select name from brokers where deleted_at is null and check_at <= $1 order by check_at, id limit $2";

/// Names of brokers that are to be asked for their catalog, the longest due first.
///
/// # Errors
/// [`Error`]
pub async fn due(tx: &mut Tx<'_>, now: Time, limit: i64) -> Result<Vec<String>, Error> {
    let rows = tx.fetch_all(sqlx::query(DUE).bind(now.0).bind(limit)).await?;
    rows.iter().map(|row| column(row, "name")).collect()
}

const CLAIM: &str = "update brokers set check_at = $3 where name = $1 and deleted_at is null and check_at <= $2";

/// Sets out to ask a broker that is due, and says when it is due again; false where another process was first.
///
/// # Errors
/// [`Error`]
pub async fn claim(tx: &mut Tx<'_>, name: &str, now: Time, next: Time) -> Result<bool, Error> {
    let sql = sqlx::query(CLAIM).bind(name.to_owned()).bind(now.0).bind(next.0);
    tx.execute(sql).await.map(|touched| touched == 1)
}

const LOCK: &str = "update brokers set version = version + 1 where id = $1 and version = $2 and deleted_at is null";

/// Takes the row for this transaction; false where it is not that version any more.
///
/// # Errors
/// [`Error`]
pub async fn lock(tx: &mut Tx<'_>, id: &str, version: i64) -> Result<bool, Error> {
    let sql = sqlx::query(LOCK).bind(id.to_owned()).bind(version);
    tx.execute(sql).await.map(|touched| touched == 1)
}

const HOLD: &str = "update brokers set check_at = check_at where name = $1 and deleted_at is null returning id";

/// Takes the row for this transaction without changing it, and says its id.
///
/// # Errors
/// [`Error`]
pub async fn hold(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>, Error> {
    let row = tx.fetch_optional(sqlx::query(HOLD).bind(name.to_owned())).await?;
    row.map(|row| column(&row, "id")).transpose()
}

const STANDS: &str = "select id from brokers where id = $1 and deleted_at is null";
const STANDS_SHARED: &str = "select id from brokers where id = $1 and deleted_at is null for share";

/// Whether a broker is there, and stays there until this transaction ends.
///
/// # Errors
/// [`Error`]
pub async fn stands(tx: &mut Tx<'_>, id: &str) -> Result<bool, Error> {
    let sql = tx.shared(STANDS, STANDS_SHARED);
    Ok(tx.fetch_optional(sqlx::query(sql).bind(id.to_owned())).await?.is_some())
}

const CONFIGURE: &str = "update brokers set url = $2, settings = $3, secrets = $4, etag = $5 where id = $1";

/// How it is reached and treated. After [`lock`].
///
/// # Errors
/// [`Error`]
pub async fn configure(tx: &mut Tx<'_>, broker: &BrokerRow) -> Result<(), Error> {
    let sql = sqlx::query(CONFIGURE)
        .bind(broker.id.clone())
        .bind(broker.url.clone())
        .bind(text("settings", &broker.settings)?)
        .bind(broker.secrets.clone())
        .bind(broker.etag.clone());
    tx.execute(sql).await.map(drop)
}

const CHECKED: &str = "update brokers set status = $2, etag = $3, findings = $4, fetched_at = $5, check_at = $6
    where id = $1 and version = $7 and status = $8 and deleted_at is null";

/// How it was when asked for its catalog; false where it is not that version, or was not in that status, any more.
///
/// # Errors
/// [`Error`]
pub async fn checked(tx: &mut Tx<'_>, broker: &BrokerRow, was: Status) -> Result<bool, Error> {
    let sql = sqlx::query(CHECKED)
        .bind(broker.id.clone())
        .bind(broker.status.as_str())
        .bind(broker.etag.clone())
        .bind(text("findings", &broker.findings)?)
        .bind(broker.fetched_at.map(|at| at.0))
        .bind(broker.check_at.0)
        .bind(broker.version)
        .bind(was.as_str());
    tx.execute(sql).await.map(|touched| touched == 1)
}

const HASTEN: &str = "update brokers set check_at = $2 where id = $1 and deleted_at is null and check_at > $2";

/// Its catalog is due now, if it was due later.
///
/// # Errors
/// [`Error`]
pub async fn hasten(tx: &mut Tx<'_>, id: &str, now: Time) -> Result<(), Error> {
    tx.execute(sqlx::query(HASTEN).bind(id.to_owned()).bind(now.0)).await.map(drop)
}

const PROVIDED: &str = "select b.provider from offerings o join brokers b on b.id = o.broker_id where o.id = $1";

/// Whether an offering is of a broker that its provider has registered.
///
/// # Errors
/// [`Error`]
pub async fn is_provided(tx: &mut Tx<'_>, offering_id: &str) -> Result<bool, Error> {
    let row = tx.fetch_optional(sqlx::query(PROVIDED).bind(offering_id.to_owned())).await?;
    row.map_or(Ok(false), |row| Ok(column::<Option<String>>(&row, "provider")?.is_some()))
}

const BY_ID: &str = "select id, name, url, settings, secrets, status, etag, findings, fetched_at, check_at, version, created_at, deleted_at, provider
    from brokers where id = $1";

/// The broker with that id, registered or not.
///
/// # Errors
/// [`Error`]
pub async fn by_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<BrokerRow>, Error> {
    let found = tx.fetch_optional(sqlx::query(BY_ID).bind(id.to_owned())).await?;
    found.as_ref().map(row).transpose()
}

const KEEP_CATALOG: &str = "update brokers set catalog = $2 where id = $1";

/// The catalog as it came. After [`lock`].
///
/// # Errors
/// [`Error`]
pub async fn keep_catalog(tx: &mut Tx<'_>, id: &str, catalog: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(KEEP_CATALOG).bind(id.to_owned()).bind(catalog.to_owned())).await.map(drop)
}

const REMOVE: &str = "update brokers set deleted_at = $2 where id = $1";

/// Removes it; its row stays for what refers to it. After [`lock`].
///
/// # Errors
/// [`Error`]
pub async fn remove(tx: &mut Tx<'_>, id: &str, now: Time) -> Result<(), Error> {
    tx.execute(sqlx::query(REMOVE).bind(id.to_owned()).bind(now.0)).await.map(drop)
}

const INSTANCES: &str = "select count(*) as instances from instances where broker_id = $1 and (gone_at is null \
    or id in (select instance_id from operations where broker_id = $1 and state = 'in_progress'))";

/// How many instances it has of which something may be left.
///
/// # Errors
/// [`Error`]
pub async fn instances(tx: &mut Tx<'_>, id: &str) -> Result<i64, Error> {
    let row = tx.fetch_optional(sqlx::query(INSTANCES).bind(id.to_owned())).await?;
    row.map_or(Ok(0), |row| column(&row, "instances"))
}
