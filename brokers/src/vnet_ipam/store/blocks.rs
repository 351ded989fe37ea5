//! Blocks: what is not free. Every row that comes or goes is written to the log in the same transaction.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{Error, bytes, prefix_of, version_of};
use crate::vnet_ipam::import::Kind;
use crate::vnet_ipam::prefix::Prefix;

/// What a new block is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder<'a> {
    /// One of a network's prefixes.
    Network { resource: &'a str, number: usize },
    /// A range that was there before.
    Imported(&'a Imported),
}

/// A range that was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Where it must not overlap.
    pub routing_domain: String,
    /// The range.
    pub prefix: Prefix,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Who may take it over; `None`: whoever asks for it.
    pub tenant: Option<String>,
    /// For people.
    pub description: String,
}

impl Holder<'_> {
    fn kind(self) -> &'static str {
        match self {
            Self::Network { .. } => "network",
            Self::Imported(imported) => kind_word(imported.kind),
        }
    }
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::External => "external",
        Kind::Network => "waiting",
    }
}

impl Imported {
    /// Reads a row of `block` that was imported.
    pub(super) fn of(row: &SqliteRow) -> Result<Self, Error> {
        let kind = if row.try_get::<&str, _>("kind")? == "external" { Kind::External } else { Kind::Network };
        Ok(Self {
            routing_domain: row.try_get("routing_domain")?,
            prefix: prefix_of(row, version_of(row)?)?,
            name: row.try_get("name")?,
            kind,
            tenant: row.try_get("tenant")?,
            description: row.try_get::<Option<_>, _>("description")?.unwrap_or_default(),
        })
    }
}

/// Takes a block.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    now: i64,
    domain: &str,
    prefix: Prefix,
    holder: Holder<'_>,
) -> Result<(), Error> {
    let (resource, number, imported) = match holder {
        Holder::Network { resource, number } => (Some(resource), Some(number), None),
        Holder::Imported(imported) => (None, None, Some(imported)),
    };
    sqlx::query(
        "insert into block (routing_domain, ip_version, first, last, length, kind, network, number, name, tenant, description)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(domain)
    .bind(i64::from(prefix.version().number()))
    .bind(bytes(prefix.first()))
    .bind(bytes(prefix.last()))
    .bind(i64::from(prefix.length()))
    .bind(holder.kind())
    .bind(resource)
    .bind(number.and_then(|number| i64::try_from(number).ok()))
    .bind(imported.map(|imported| imported.name.as_str()))
    .bind(imported.and_then(|imported| imported.tenant.as_deref()))
    .bind(imported.map(|imported| imported.description.as_str()))
    .execute(&mut *connection)
    .await?;
    log(connection, now, domain, prefix, true, imported.is_some()).await
}

/// Frees a block.
pub(super) async fn delete(
    connection: &mut SqliteConnection,
    now: i64,
    domain: &str,
    prefix: Prefix,
    imported: bool,
) -> Result<(), Error> {
    let deleted =
        sqlx::query("delete from block where routing_domain = $1 and ip_version = $2 and first = $3 and length = $4")
            .bind(domain)
            .bind(i64::from(prefix.version().number()))
            .bind(bytes(prefix.first()))
            .bind(i64::from(prefix.length()))
            .execute(&mut *connection)
            .await?;
    if deleted.rows_affected() == 0 {
        return Err(Error::Corrupt("a block that is missing"));
    }
    log(connection, now, domain, prefix, false, imported).await
}

async fn log(
    connection: &mut SqliteConnection,
    now: i64,
    domain: &str,
    prefix: Prefix,
    taken: bool,
    imported: bool,
) -> Result<(), Error> {
    sqlx::query(
        "insert into block_log (at, routing_domain, ip_version, first, length, taken, imported)
        values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(now)
    .bind(domain)
    .bind(i64::from(prefix.version().number()))
    .bind(bytes(prefix.first()))
    .bind(i64::from(prefix.length()))
    .bind(taken)
    .bind(imported)
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether a quarantine or a reservation has run out.
pub(super) async fn is_any_due(connection: &mut SqliteConnection, now: i64) -> Result<bool, Error> {
    let due = "select exists (select 1 from block where quarantined_until <= $1)
        or exists (select 1 from network where reserved_until <= $1)";
    Ok(sqlx::query_scalar(due).bind(now).fetch_one(connection).await?)
}

/// Frees the prefixes whose quarantine is over.
pub(super) async fn end_quarantine(connection: &mut SqliteConnection, now: i64) -> Result<(), Error> {
    let due = "select routing_domain, ip_version, first, length from block where quarantined_until <= $1";
    for row in sqlx::query(due).bind(now).fetch_all(&mut *connection).await? {
        let prefix = prefix_of(&row, version_of(&row)?)?;
        delete(&mut *connection, now, row.try_get("routing_domain")?, prefix, false).await?;
    }
    Ok(())
}

/// Puts the prefixes of a network into quarantine.
pub(super) async fn rest(connection: &mut SqliteConnection, network: &str, until: i64) -> Result<(), Error> {
    sqlx::query(
        "update block set kind = 'quarantine', network = null, number = null, quarantined_until = $2 where network = $1",
    )
    .bind(network)
    .bind(until)
    .execute(connection)
    .await?;
    Ok(())
}
