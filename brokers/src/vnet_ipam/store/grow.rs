//! Growth: a network gets more addresses and keeps those that it has.
//!
//! Where it stands if there is room behind one of its prefixes, else by another prefix: the other half of one of its own if that
//! is free, so that both are one route, else as the strategy says. No more is taken than the smallest block that suffices.

use super::blocks::{self, Holder};
use super::work::Work;
use super::{Error, Network, Placed};
use crate::vnet_ipam::driver::PREFIXES_MAX;
use crate::vnet_ipam::free_space::FreeSpace;
use crate::vnet_ipam::parameters::update::Change;
use crate::vnet_ipam::prefix::Prefix;

impl Network {
    /// How many addresses are missing where the network shall be as large as a prefix of that length.
    fn lacking(&self, length: u8) -> u128 {
        let held = self.prefixes.iter().fold(0_u128, |held, prefix| held.saturating_add(prefix.size()));
        self.size_of(length).saturating_sub(held)
    }

    /// The length of the smallest block that holds what is missing.
    pub(crate) fn missing(&self, length: u8) -> Option<u8> {
        let last = self.lacking(length).checked_sub(1)?;
        let bits = u8::try_from(128 - last.leading_zeros()).unwrap_or(u8::MAX);
        Some(self.version.bits().saturating_sub(bits))
    }

    fn size_of(&self, length: u8) -> u128 {
        Prefix::containing(self.version, 0, length).size()
    }

    /// One of its prefixes that can become large enough where it stands, and what it becomes.
    fn extension(&self, space: &FreeSpace, length: u8) -> Option<(usize, Prefix)> {
        let lacking = self.lacking(length);
        self.prefixes.iter().enumerate().find_map(|(number, prefix)| {
            let enough = |length: &u8| self.size_of(*length) - prefix.size() >= lacking;
            let length = (0..prefix.length()).rev().find(enough)?;
            Some((number, space.extension(*prefix, length)?))
        })
    }
}

impl Work<'_> {
    /// Makes a network at least as large as it shall be.
    pub(super) async fn grow(
        &mut self,
        network: &mut Network,
        change: &Change,
        placed: Placed,
        tenant: Option<&str>,
    ) -> Result<(), Error> {
        if change.length >= network.length {
            return Ok(());
        }
        if let Some(missing) = network.missing(change.length) {
            let now = self.now;
            let domain = network.routing_domain.clone();
            match self.growth(network, missing, change, placed, tenant).await? {
                Growth::InPlace { number, from, to } => {
                    blocks::delete(&mut self.transaction, now, &domain, from, false).await?;
                    let holder = Holder::Network { resource: &network.resource, number };
                    blocks::insert(&mut self.transaction, now, &domain, to, holder).await?;
                }
                Growth::Another(prefix) => {
                    let holder = Holder::Network { resource: &network.resource, number: network.prefixes.len() };
                    blocks::insert(&mut self.transaction, now, &domain, prefix, holder).await?;
                }
            }
        }
        sqlx::query("update network set length = $2 where resource = $1")
            .bind(&network.resource)
            .bind(i64::from(change.length))
            .execute(&mut *self.transaction)
            .await?;
        *network = self.read(&network.resource).await?;
        Ok(())
    }

    async fn growth(
        &mut self,
        network: &Network,
        missing: u8,
        change: &Change,
        placed: Placed,
        tenant: Option<&str>,
    ) -> Result<Growth, Error> {
        let domain = &network.routing_domain;
        let room = network.prefixes.len() < PREFIXES_MAX;
        if let Placed::Elsewhere(prefix) = placed {
            self.clear_for(domain, prefix, tenant).await?;
            return if room { Ok(Growth::Another(prefix)) } else { Err(Error::PrefixesMany) };
        }
        let pool = self.pools.iter().position(|pool| pool.name == network.pool);
        let pool = pool.ok_or_else(|| Error::NoPool {
            name: network.pool.clone(),
            version: network.version.number(),
            known: self.pools.iter().map(|pool| pool.name.as_str()).collect::<Vec<_>>().join(", "),
        })?;
        let spaces = self.free.domain(&mut self.transaction, self.pools, domain).await?;
        let space = spaces.get(pool).ok_or(Error::Corrupt("the pools"))?;
        if let Some((number, to)) = network.extension(space, change.length) {
            return Ok(Growth::InPlace { number, from: network.prefixes[number], to });
        }
        if !room {
            return Err(Error::PrefixesMany);
        }
        let beside =
            network.prefixes.iter().filter(|prefix| prefix.length() == missing).find_map(|prefix| prefix.buddy());
        if let Some(beside) = beside.filter(|beside| space.is_free(*beside)) {
            return Ok(Growth::Another(beside));
        }
        Ok(Growth::Another(self.find(pool, domain, missing, change.strategy).await?))
    }
}

/// How a network grows.
enum Growth {
    InPlace { number: usize, from: Prefix, to: Prefix },
    Another(Prefix),
}
