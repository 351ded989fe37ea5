//! The free space of each pool in each routing domain that is in use, kept between allocations.
//!
//! A cache, never the truth: it is read from the table where it is missing, and thrown away when another connection has
//! written (SQLite's `data_version` says so) or when a transaction did not end well.

use std::collections::HashMap;

use sqlx::SqliteConnection;

use super::{Error, prefix_of, version_of};
use crate::vnet_ipam::free_space::FreeSpace;
use crate::vnet_ipam::pool::Pool;
use crate::vnet_ipam::prefix::Prefix;

/// How many routing domains are kept; users name them, so there must be a bound.
const DOMAINS_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct FreeCache {
    data_version: i64,
    /// For each routing domain one space a pool, in the order of the pools.
    domains: HashMap<String, Vec<FreeSpace>>,
}

impl FreeCache {
    /// Forgets everything if another connection has written since the last call.
    pub(super) async fn refresh(&mut self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let version: i64 = sqlx::query_scalar("pragma data_version").fetch_one(connection).await?;
        if self.data_version != version {
            *self = Self { data_version: version, domains: HashMap::new() };
        }
        Ok(())
    }

    /// The spaces of a routing domain, one a pool.
    pub(super) async fn domain(
        &mut self,
        connection: &mut SqliteConnection,
        pools: &[Pool],
        domain: &str,
    ) -> Result<&[FreeSpace], Error> {
        if !self.domains.contains_key(domain) {
            if self.domains.len() >= DOMAINS_MAX {
                self.domains.clear();
            }
            let spaces = load(connection, pools, domain).await?;
            self.domains.insert(domain.to_owned(), spaces);
        }
        Ok(self.domains.get(domain).map_or(&[], Vec::as_slice))
    }

    /// Notes that a prefix is in use in a routing domain.
    pub(super) fn take(&mut self, domain: &str, prefix: Prefix) -> bool {
        self.domains.get_mut(domain).is_none_or(|spaces| spaces.iter_mut().all(|space| space.take(prefix)))
    }

    /// Notes that a prefix has become free in a routing domain.
    pub(super) fn give_back(&mut self, domain: &str, prefix: Prefix) {
        for space in self.domains.get_mut(domain).into_iter().flatten() {
            space.give_back(prefix);
        }
    }
}

async fn load(connection: &mut SqliteConnection, pools: &[Pool], domain: &str) -> Result<Vec<FreeSpace>, Error> {
    let rows = sqlx::query("select ip_version, first, length from prefix where routing_domain = $1")
        .bind(domain)
        .fetch_all(connection)
        .await?;
    let mut spaces: Vec<_> = pools.iter().map(|pool| FreeSpace::new(pool.range)).collect();
    for row in &rows {
        let prefix = prefix_of(row, version_of(row)?)?;
        if !spaces.iter_mut().all(|space| space.take(prefix)) {
            return Err(Error::Corrupt("prefixes that overlap"));
        }
    }
    Ok(spaces)
}
