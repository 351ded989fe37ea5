//! Subnets: named parts of a network that never overlap and never move.

use sqlx::SqliteConnection;

use super::work::Work;
use super::{Error, Network, SUBNETS_MAX, Subnet, address_of, bytes};
use crate::vnet_ipam::free_space::{FreeSpace, Strategy};
use crate::vnet_ipam::parameters::SubnetOrder;
use crate::vnet_ipam::prefix::Prefix;

impl Work<'_> {
    /// Adds subnets to a network; those that are there with the same size stay.
    pub(super) async fn add_subnets(&mut self, network: &Network, orders: &[SubnetOrder]) -> Result<(), Error> {
        let missing = missing(&network.subnets, orders)?;
        if missing.is_empty() {
            return Ok(());
        }
        if network.subnets.len() + missing.len() > SUBNETS_MAX {
            return Err(Error::SubnetsMany);
        }
        let mut spaces: Vec<_> = network.prefixes.iter().map(|prefix| FreeSpace::new(*prefix)).collect();
        for prefix in occupied(&mut self.transaction, network).await? {
            if !spaces.iter_mut().all(|space| space.take(prefix)) {
                return Err(Error::Corrupt("subnets that overlap"));
            }
        }
        for SubnetOrder { name, length } in missing {
            // The prefix that has the smallest block which fits.
            let fitting = spaces
                .iter()
                .filter_map(|space| space.find(*length, Strategy::BestFit).map(|found| (space.fit(*length), found)));
            let found =
                fitting.max_by_key(|(fit, found)| (*fit, std::cmp::Reverse(found.first()))).map(|(_, found)| found);
            let found = found.ok_or_else(|| Error::SubnetFull {
                name: name.clone(),
                length: *length,
                network: network.prefixes.iter().map(Prefix::to_string).collect::<Vec<_>>().join(" and "),
                largest: spaces.iter().filter_map(FreeSpace::largest).min(),
            })?;
            for space in &mut spaces {
                space.take(found);
            }
            sqlx::query("insert into subnet (network, name, first, last, length) values ($1, $2, $3, $4, $5)")
                .bind(&network.resource)
                .bind(name)
                .bind(bytes(found.first()))
                .bind(bytes(found.last()))
                .bind(i64::from(found.length()))
                .execute(&mut *self.transaction)
                .await?;
        }
        Ok(())
    }
}

fn missing<'a>(present: &[Subnet], orders: &'a [SubnetOrder]) -> Result<Vec<&'a SubnetOrder>, Error> {
    let mut missing = Vec::with_capacity(orders.len());
    for order in orders {
        match present.iter().find(|subnet| subnet.name == order.name) {
            None => missing.push(order),
            Some(subnet) if subnet.prefix.length() == order.length => {}
            Some(Subnet { name, prefix }) => {
                return Err(Error::SubnetDiffers { name: name.clone(), prefix: *prefix, length: order.length });
            }
        }
    }
    Ok(missing)
}

/// What of a network is in use: its subnets, and addresses reserved while it had none.
async fn occupied(connection: &mut SqliteConnection, network: &Network) -> Result<Vec<Prefix>, Error> {
    let rows = sqlx::query("select address from address where network = $1 and subnet is null")
        .bind(&network.resource)
        .fetch_all(connection)
        .await?;
    let version = network.version;
    let mut occupied: Vec<_> = network.subnets.iter().map(|subnet| subnet.prefix).collect();
    for row in &rows {
        occupied.push(Prefix::containing(version, address_of(row, "address")?, version.bits()));
    }
    Ok(occupied)
}
