//! The free space of each pool in each routing domain that is in use, kept between allocations.
//!
//! A copy, never the truth: it is read from the table where it is missing, and brought up to date from the log of what became
//! taken and free, whichever process did that.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use sqlx::{Row, SqliteConnection};

use super::{Error, prefix_of, version_of};
use crate::vnet_ipam::free_space::FreeSpace;
use crate::vnet_ipam::pool::Pool;
use crate::vnet_ipam::prefix::{Prefix, Version};

/// How many routing domains are kept; users name them, so there must be a bound.
const DOMAINS_MAX: usize = 64;
/// From how many entries of the log on reading anew is quicker.
const ENTRIES_MAX: i64 = 20_000;

#[derive(Debug, Default)]
pub(super) struct FreeCache {
    /// The last entry of the log that is in it.
    seq: i64,
    /// For each routing domain one space a pool, in the order of the pools.
    domains: HashMap<String, Vec<FreeSpace>>,
}

impl FreeCache {
    /// The last entry of the log that is in it.
    pub(super) fn seq(&self) -> i64 {
        self.seq
    }

    /// Brings it up to date.
    pub(super) async fn refresh(&mut self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let ends = "select coalesce((select max(seq) from block_log), 0) as last, coalesce((select min(seq) from block_log), 0) as first";
        let ends = sqlx::query(ends).fetch_one(&mut *connection).await?;
        let (first, last): (i64, i64) = (ends.try_get("first")?, ends.try_get("last")?);
        if last == self.seq {
            return Ok(());
        }
        let missed = self.seq + 1 < first || last < self.seq || last - self.seq > ENTRIES_MAX;
        if missed || self.domains.is_empty() {
            *self = Self { seq: last, domains: HashMap::new() };
            return Ok(());
        }
        let entries =
            "select routing_domain, ip_version, first, length, taken from block_log where seq > $1 order by seq";
        let rows = sqlx::query(entries).bind(self.seq).fetch_all(connection).await?;
        for row in &rows {
            let domain: &str = row.try_get("routing_domain")?;
            let Some(spaces) = self.domains.get_mut(domain) else { continue };
            let prefix = prefix_of(row, version_of(row)?)?;
            if row.try_get("taken")? {
                if !spaces.iter_mut().all(|space| space.take(prefix)) {
                    return Err(Error::Corrupt("prefixes that overlap"));
                }
            } else {
                spaces.iter_mut().for_each(|space| space.give_back(prefix));
            }
        }
        self.seq = last;
        Ok(())
    }

    /// The spaces of a routing domain, one a pool, as they are now.
    pub(super) async fn domain(
        &mut self,
        connection: &mut SqliteConnection,
        pools: &[Pool],
        domain: &str,
    ) -> Result<&[FreeSpace], Error> {
        self.refresh(&mut *connection).await?;
        if !self.domains.contains_key(domain) {
            let spaces = load(connection, pools, domain).await?;
            if self.domains.len() >= DOMAINS_MAX {
                self.domains.clear();
            }
            self.domains.insert(domain.to_owned(), spaces);
        }
        Ok(self.domains.get(domain).map_or(&[], Vec::as_slice))
    }
}

/// What is taken in a routing domain, lowest first.
pub(super) async fn taken(
    connection: &mut SqliteConnection,
    domain: &str,
    version: Version,
) -> Result<Vec<Prefix>, Error> {
    let taken = "select first, length from block where routing_domain = $1 and ip_version = $2 order by first";
    let mut rows = sqlx::query(taken).bind(domain).bind(i64::from(version.number())).fetch(connection);
    let mut taken = Vec::new();
    while let Some(row) = rows.try_next().await? {
        taken.push(prefix_of(&row, version)?);
    }
    Ok(taken)
}

async fn load(connection: &mut SqliteConnection, pools: &[Pool], domain: &str) -> Result<Vec<FreeSpace>, Error> {
    let (v4, v6) =
        (taken(&mut *connection, domain, Version::V4).await?, taken(&mut *connection, domain, Version::V6).await?);
    let space = |pool: &Pool| {
        let taken = if pool.range.version() == Version::V4 { &v4 } else { &v6 };
        FreeSpace::without(pool.range, taken.iter().copied()).ok_or(Error::Corrupt("prefixes that overlap"))
    };
    pools.iter().map(space).collect()
}
