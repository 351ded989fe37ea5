//! Addresses that bindings reserve inside a network.
//!
//! The lowest free host is taken. Never handed out: the network address, the gateway (the first after it), and in IPv4 the
//! broadcast address. An address is free again at once when its binding goes; only prefixes rest in quarantine.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{Address, Error, Network, Status, Store, address_of, bytes};
use crate::vnet_ipam::parameters::AddressOrder;
use crate::vnet_ipam::prefix::{Prefix, Version};

/// The first host behind the gateway.
const FIRST_HOST: i64 = 2;

impl Store {
    /// Reserves an address for a binding, unless it has one. What was only reserved is a network to stay from now on.
    pub(crate) async fn assign(
        &self,
        resource: &str,
        binding: &str,
        order: &AddressOrder,
    ) -> Result<(Network, Address), Error> {
        let mut writer = self.db.writer().await?;
        let mut work = self.begin(&mut writer).await?;
        let mut network = work.read(resource).await?;
        if let Some(address) = find(&mut work.transaction, &network, binding).await? {
            return Ok((network, address));
        }
        match network.status {
            Status::Confirmed => {}
            Status::Reserved { .. } => network = work.confirm(network, None).await?,
            Status::Expired => return Err(Error::Expired),
        }
        let (subnet, range, host) = free_host(&mut work.transaction, &network, order.subnet.as_deref()).await?;
        let value = range.first() + u128::from(host.unsigned_abs());
        sqlx::query(
            "insert into address (binding, network, subnet, base, host, address, length, hostname)
            values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(binding)
        .bind(resource)
        .bind(&subnet)
        .bind(bytes(range.first()))
        .bind(host)
        .bind(bytes(value))
        .bind(i64::from(range.length()))
        .bind(&order.hostname)
        .execute(&mut *work.transaction)
        .await?;
        work.commit().await?;
        let (binding, hostname) = (binding.to_owned(), order.hostname.clone());
        Ok((network, Address { binding, subnet, value, range, hostname }))
    }

    /// All addresses of a network.
    pub(crate) async fn addresses(&self, network: &Network) -> Result<Vec<Address>, Error> {
        let rows = sqlx::query("select binding, subnet, address, length, hostname from address where network = $1")
            .bind(&network.resource)
            .fetch_all(self.db.reader())
            .await?;
        rows.iter().map(|row| address(row, network)).collect()
    }

    /// How many addresses of a network are reserved.
    pub(crate) async fn address_count(&self, resource: &str) -> Result<u64, Error> {
        let count = "select count(*) from address where network = $1";
        let count: i64 = sqlx::query_scalar(count).bind(resource).fetch_one(self.db.reader()).await?;
        Ok(count.unsigned_abs())
    }

    /// Frees the address of a binding, if it has one.
    pub(crate) async fn unassign(&self, binding: &str) -> Result<(), Error> {
        let mut writer = self.db.writer().await?;
        sqlx::query("delete from address where binding = $1").bind(binding).execute(writer.connection()?).await?;
        Ok(())
    }
}

async fn find(connection: &mut SqliteConnection, network: &Network, binding: &str) -> Result<Option<Address>, Error> {
    let row = sqlx::query("select binding, subnet, address, length, hostname from address where binding = $1")
        .bind(binding)
        .fetch_optional(connection)
        .await?;
    row.map(|row| address(&row, network)).transpose()
}

fn address(row: &SqliteRow, network: &Network) -> Result<Address, Error> {
    let value = address_of(row, "address")?;
    Ok(Address {
        binding: row.try_get("binding")?,
        subnet: row.try_get("subnet")?,
        value,
        range: Prefix::containing(network.version, value, row.try_get("length")?),
        hostname: row.try_get("hostname")?,
    })
}

/// The lowest free host of the subnet that is named, else of the first subnet with room, else of a network without subnets.
async fn free_host(
    connection: &mut SqliteConnection,
    network: &Network,
    subnet: Option<&str>,
) -> Result<(Option<String>, Prefix, i64), Error> {
    let candidates: Vec<(Option<String>, Prefix)> = match subnet {
        None if network.subnets.is_empty() => network.prefixes.iter().map(|prefix| (None, *prefix)).collect(),
        wanted => {
            let fitting = network.subnets.iter().filter(|subnet| wanted.is_none_or(|wanted| wanted == subnet.name));
            fitting.map(|subnet| (Some(subnet.name.clone()), subnet.prefix)).collect()
        }
    };
    if let (Some(name), true) = (subnet, candidates.is_empty()) {
        let names: Vec<_> = network.subnets.iter().map(|subnet| subnet.name.as_str()).collect();
        let known = if names.is_empty() { "it has none".to_owned() } else { format!("use {}", names.join(", ")) };
        return Err(Error::NoSubnet { name: name.to_owned(), known });
    }
    for (name, range) in &candidates {
        let host: i64 = sqlx::query_scalar(
            "select case
            when not exists (select 1 from address where network = $1 and base = $2 and host = $3) then $3
            else (
                select a.host + 1 from address a where a.network = $1 and a.base = $2 and not exists (
                    select 1 from address b where b.network = $1 and b.base = $2 and b.host = a.host + 1
                )
                order by a.host limit 1
            ) end",
        )
        .bind(&network.resource)
        .bind(bytes(range.first()))
        .bind(FIRST_HOST)
        .fetch_one(&mut *connection)
        .await?;
        if host <= last_host(*range) {
            return Ok((name.clone(), *range, host));
        }
    }
    let searched = match subnet {
        Some(_) => candidates.iter().map(|(_, range)| *range).collect(),
        None => network.prefixes.clone(),
    };
    Err(Error::NoAddress(searched.iter().map(Prefix::to_string).collect::<Vec<_>>().join(" and ")))
}

/// The last host that may be handed out, counted from the beginning of the range.
fn last_host(range: Prefix) -> i64 {
    let last = range.last() - range.first() - u128::from(range.version() == Version::V4);
    i64::try_from(last).unwrap_or(i64::MAX)
}
