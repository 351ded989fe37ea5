//! Addresses that bindings reserve inside a network.
//!
//! The lowest free host is taken. Never handed out: the network address, the gateway (the first after it), and in IPv4 the
//! broadcast address. An address is free again at once when its binding goes; only prefixes rest in quarantine.

use osb::Object;
use sqlx::{Connection, Row, SqliteConnection};

use super::network::read;
use super::{Address, Error, Network, Store, address_of, bytes, json, object_of};
use crate::vnet_ipam::parameters::AddressOrder;
use crate::vnet_ipam::prefix::{Prefix, Version};

/// The first host behind the gateway.
const FIRST_HOST: i64 = 2;

impl Store {
    /// Reserves an address for a new binding. [`Error::Exists`] where the id is there, whatever it is.
    pub(crate) async fn reserve(
        &self,
        instance_id: &str,
        binding_id: &str,
        parameters: &Object,
        order: &AddressOrder,
    ) -> Result<(Network, Address), Error> {
        let mut writer = self.writer().await?;
        let mut transaction = writer.connection()?.begin_with("begin immediate").await?;
        let network = read(&mut transaction, instance_id).await?.ok_or(Error::NotFound)?;
        if find(&mut transaction, instance_id, binding_id).await?.is_some() {
            return Err(Error::Exists);
        }
        let (subnet, range, host) = free_host(&mut transaction, &network, order.subnet.as_deref()).await?;
        let value = range.first() + u128::from(host.unsigned_abs());
        sqlx::query(
            "insert into address (instance_id, binding_id, subnet, host, address, hostname, parameters)
            values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(instance_id)
        .bind(binding_id)
        .bind(&subnet)
        .bind(host)
        .bind(bytes(value))
        .bind(&order.hostname)
        .bind(json(parameters))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let address = Address { subnet, value, hostname: order.hostname.clone(), parameters: parameters.clone() };
        Ok((network, address))
    }

    /// The address of a binding.
    pub(crate) async fn address(&self, instance_id: &str, binding_id: &str) -> Result<Option<Address>, Error> {
        let mut reader = self.readers.acquire().await?;
        find(&mut reader, instance_id, binding_id).await
    }

    /// Frees the address of a binding.
    pub(crate) async fn free(&self, instance_id: &str, binding_id: &str) -> Result<(), Error> {
        let mut writer = self.writer().await?;
        let deleted = sqlx::query("delete from address where instance_id = $1 and binding_id = $2")
            .bind(instance_id)
            .bind(binding_id)
            .execute(writer.connection()?)
            .await?;
        if deleted.rows_affected() == 0 { Err(Error::NotFound) } else { Ok(()) }
    }
}

async fn find(
    connection: &mut SqliteConnection,
    instance_id: &str,
    binding_id: &str,
) -> Result<Option<Address>, Error> {
    let row = sqlx::query(
        "select subnet, address, hostname, parameters from address where instance_id = $1 and binding_id = $2",
    )
    .bind(instance_id)
    .bind(binding_id)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Address {
        subnet: row.try_get("subnet")?,
        value: address_of(&row, "address")?,
        hostname: row.try_get("hostname")?,
        parameters: object_of(&row, "parameters")?,
    }))
}

/// The lowest free host of the subnet that is named, else of the first subnet with room, else of a network without subnets.
async fn free_host(
    connection: &mut SqliteConnection,
    network: &Network,
    subnet: Option<&str>,
) -> Result<(Option<String>, Prefix, i64), Error> {
    let candidates: Vec<(Option<String>, Prefix)> = match subnet {
        None if network.subnets.is_empty() => vec![(None, network.prefix)],
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
    let full = candidates.first().map_or(network.prefix, |(_, prefix)| *prefix);
    for (name, range) in candidates {
        let host: i64 = sqlx::query_scalar(
            "select case
            when not exists (select 1 from address where instance_id = $1 and subnet is $2 and host = $3) then $3
            else (
                select a.host + 1 from address a where a.instance_id = $1 and a.subnet is $2 and not exists (
                    select 1 from address b where b.instance_id = $1 and b.subnet is $2 and b.host = a.host + 1
                )
                order by a.host limit 1
            ) end",
        )
        .bind(&network.id)
        .bind(&name)
        .bind(FIRST_HOST)
        .fetch_one(&mut *connection)
        .await?;
        if host <= last_host(range) {
            return Ok((name, range, host));
        }
    }
    Err(Error::NoAddress(if subnet.is_some() { full } else { network.prefix }))
}

/// The last host that may be handed out, counted from the beginning of the range.
fn last_host(range: Prefix) -> i64 {
    let last = range.last() - range.first() - u128::from(range.version() == Version::V4);
    i64::try_from(last).unwrap_or(i64::MAX)
}
