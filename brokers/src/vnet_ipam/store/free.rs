//! The free space of each pool in each routing domain that is in use, kept between allocations.
//!
//! A copy, never the truth: it is read from the table where it is missing, and brought up to date from the log of what became
//! taken and free, whichever process did that.

use std::collections::HashMap;

use sqlx::{Row, SqliteConnection};

use super::{Error, bytes, prefix_of, version_of};
use crate::vnet_ipam::free_space::FreeSpace;
use crate::vnet_ipam::pool::Pool;
use crate::vnet_ipam::prefix::{Prefix, Version};

/// How many routing domains are kept; users name them, so there must be a bound.
const DOMAINS_MAX: usize = 64;
/// From how many entries of the log on reading anew is quicker.
const ENTRIES_MAX: i64 = 20_000;
/// How many prefixes come as one text, and how long one is in it: 16 bytes and a length, in hexadecimal.
const CHUNK: i64 = 8_192;
const ENTRY: usize = 34;

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

/// What is taken in a routing domain, lowest first. A row costs far more than what stands in it, so many come as one text.
pub(super) async fn taken(
    connection: &mut SqliteConnection,
    domain: &str,
    version: Version,
) -> Result<Vec<Prefix>, Error> {
    let chunk = "select group_concat(hex(first) || printf('%02x', length), '') from (
        select first, length from block where routing_domain = $1 and ip_version = $2 and first >= $3
        order by first limit $4)";
    let mut taken: Vec<Prefix> = Vec::new();
    let mut next = Some(0_u128);
    while let Some(first) = next {
        let text: Option<String> = sqlx::query_scalar(chunk)
            .bind(domain)
            .bind(i64::from(version.number()))
            .bind(bytes(first))
            .bind(CHUNK)
            .fetch_one(&mut *connection)
            .await?;
        let text = text.unwrap_or_default();
        let before = taken.len();
        for entry in text.as_bytes().chunks(ENTRY) {
            taken.push(entry_of(entry, version).ok_or(Error::Corrupt("a prefix"))?);
        }
        // SQLite keeps the order of the inner statement, but does not promise to.
        taken[before..].sort_unstable();
        let full = i64::try_from(taken.len() - before).is_ok_and(|count| count == CHUNK);
        next = taken.last().filter(|_| full).and_then(|last| last.last().checked_add(1));
    }
    Ok(taken)
}

/// A prefix as the text above has it.
fn entry_of(entry: &[u8], version: Version) -> Option<Prefix> {
    let (first, length) = std::str::from_utf8(entry).ok()?.split_at_checked(ENTRY - 2)?;
    let first = u128::from_str_radix(first, 16).ok()?;
    Some(Prefix::containing(version, first, u8::from_str_radix(length, 16).ok()?))
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
