//! How much of a routing domain is in use, and how it came about.

use std::collections::BTreeSet;

use sqlx::Row;

use super::{Error, Store, prefix_of, version_of};
use crate::vnet_ipam::prefix::Prefix;

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;
/// How many routing domains are told.
const DOMAINS_MAX: i64 = 1_000;
/// How many entries the log keeps, besides those of the last days.
const LOG_MAX: i64 = 500_000;

/// What is in a routing domain.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    /// Lowest first: the prefix, and what it is.
    pub(crate) blocks: Vec<(Prefix, Use)>,
    /// The first day that the log tells all about, and today; days since 1970.
    pub(crate) first_day: i64,
    pub(crate) today: i64,
    /// What became taken or free on which day; what was imported is not among it.
    pub(crate) changes: Vec<(i64, Prefix, bool)>,
}

/// What a block is in use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    Network,
    Reserved,
    Quarantine,
    Imported,
}

impl Store {
    /// The routing domains with something in them.
    pub(crate) async fn domains(&self) -> Result<Vec<String>, Error> {
        let domains = "select distinct routing_domain from block order by routing_domain limit $1";
        Ok(sqlx::query_scalar(domains).bind(DOMAINS_MAX).fetch_all(self.db.reader()).await?)
    }

    /// What is in a routing domain, and what changed within the last `days` days, all as of one moment.
    pub(crate) async fn levels(&self, domain: &str, days: i64) -> Result<Levels, Error> {
        let mut transaction = self.db.reader().begin().await?;
        let blocks = sqlx::query(
            "select b.ip_version, b.first, b.length, b.kind, n.status from block b
            left join network n on n.resource = b.network where b.routing_domain = $1 order by b.ip_version, b.first",
        )
        .bind(domain)
        .fetch_all(&mut *transaction)
        .await?;
        let today = self.now().div_euclid(DAY);
        let oldest: Option<i64> =
            sqlx::query_scalar("select min(at) from block_log").fetch_one(&mut *transaction).await?;
        let first_day = oldest.map_or(today, |oldest| oldest.div_euclid(DAY)).max(today - days + 1).min(today);
        // What was taken before the first day is in all levels.
        let log = sqlx::query(
            "select at, ip_version, first, length, taken from block_log
            where routing_domain = $1 and at >= $2 and imported = 0 order by at",
        )
        .bind(domain)
        .bind(first_day * DAY)
        .fetch_all(&mut *transaction)
        .await?;
        let mut changes: BTreeSet<(i64, Prefix, bool)> = BTreeSet::new();
        let mut levels = Levels { first_day, today, ..Levels::default() };
        for row in &log {
            let day = row.try_get::<i64, _>("at")?.div_euclid(DAY);
            let prefix = prefix_of(row, version_of(row)?)?;
            let taken: bool = row.try_get("taken")?;
            // Taken and freed on one day is nothing.
            if !changes.remove(&(day, prefix, !taken)) {
                changes.insert((day, prefix, taken));
            }
        }
        levels.changes = changes.into_iter().collect();
        for row in &blocks {
            let of = match (row.try_get("kind")?, row.try_get::<Option<&str>, _>("status")?) {
                ("network", Some("reserved")) => Use::Reserved,
                ("network", _) => Use::Network,
                ("quarantine", _) => Use::Quarantine,
                _ => Use::Imported,
            };
            levels.blocks.push((prefix_of(row, version_of(row)?)?, of));
        }
        Ok(levels)
    }

    /// Forgets the log beyond those days, and beyond a number of entries; the newest always stays.
    pub(crate) async fn trim(&self, days: i64) -> Result<(), Error> {
        let mut writer = self.db.writer().await?;
        sqlx::query(
            "delete from block_log where seq < (select max(seq) from block_log)
            and (at < $1 or seq <= (select max(seq) from block_log) - $2)",
        )
        .bind(self.now().saturating_sub(days.saturating_mul(DAY)))
        .bind(LOG_MAX)
        .execute(writer.connection()?)
        .await?;
        Ok(())
    }
}
