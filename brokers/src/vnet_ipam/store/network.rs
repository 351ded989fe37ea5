//! Networks: make, read, change, give back. Each method may come again and then finds it done.

use sqlx::{Row, SqliteConnection};

use super::blocks::{self, Holder};
use super::work::Work;
use super::{Error, Network, Placed, Status, Store, Subnet, prefix_of, version_of};
use crate::vnet_ipam::parameters::NetworkOrder;
use crate::vnet_ipam::parameters::update::Change;
use crate::vnet_ipam::prefix::Prefix;

impl Store {
    /// Takes a prefix for a new network, unless it is there already.
    pub(crate) async fn create(
        &self,
        resource: &str,
        order: &NetworkOrder,
        placed: Placed,
        tenant: Option<&str>,
    ) -> Result<Network, Error> {
        let mut writer = self.db.writer().await?;
        let mut work = self.begin(&mut writer).await?;
        if let Some(network) = read(&mut work.transaction, resource, work.now).await? {
            return Ok(network);
        }
        let (pool, prefix) = match placed {
            Placed::Here => work.place(order, tenant).await?,
            Placed::Elsewhere(prefix) => {
                work.clear_for(&order.routing_domain, prefix, tenant).await?;
                (order.pool_name().to_owned(), prefix)
            }
        };
        work.insert(resource, order, &pool, prefix).await?;
        let network = work.read(resource).await?;
        work.commit().await?;
        Ok(network)
    }

    /// The network, with what it was.
    pub(crate) async fn network(&self, resource: &str) -> Result<Option<Network>, Error> {
        let mut reader = self.db.reader().acquire().await?;
        read(&mut reader, resource, self.now()).await
    }

    /// All networks that are there to stay.
    pub(crate) async fn confirmed(&self) -> Result<Vec<Network>, Error> {
        let mut reader = self.db.reader().acquire().await?;
        let resources = "select resource from network where status = 'confirmed' order by resource";
        let resources: Vec<String> = sqlx::query_scalar(resources).fetch_all(&mut *reader).await?;
        let mut networks = Vec::with_capacity(resources.len());
        for resource in &resources {
            networks.extend(read(&mut reader, resource, self.now()).await?);
        }
        Ok(networks)
    }

    /// Confirms, grows and adds subnets, all or nothing. A prefix that was placed elsewhere is added if it is not there.
    pub(crate) async fn change(
        &self,
        resource: &str,
        change: &Change,
        placed: Placed,
        tenant: Option<&str>,
    ) -> Result<Network, Error> {
        let mut writer = self.db.writer().await?;
        let mut work = self.begin(&mut writer).await?;
        let network = work.read(resource).await?;
        let mut network = if change.confirm { work.confirm(network, tenant).await? } else { network };
        if change.length < network.length || !change.subnets.is_empty() {
            if network.status == Status::Expired {
                return Err(Error::Expired);
            }
            work.grow(&mut network, change, placed, tenant).await?;
            work.add_subnets(&network, &change.subnets).await?;
        }
        let network = work.read(resource).await?;
        work.commit().await?;
        Ok(network)
    }

    /// Gives the prefixes back, into quarantine if they may have been used, and forgets the network with its subnets and
    /// addresses. What is not there is given back.
    pub(crate) async fn release(&self, resource: &str) -> Result<(), Error> {
        let mut writer = self.db.writer().await?;
        let mut work = self.begin(&mut writer).await?;
        let Some(network) = read(&mut work.transaction, resource, work.now).await? else { return Ok(()) };
        let until = match network.status {
            Status::Confirmed => work.now.saturating_add(i64::from(self.quarantine_seconds)),
            // Nothing was ever in it.
            Status::Reserved { .. } | Status::Expired => work.now,
        };
        work.forget(&network, until).await?;
        work.commit().await
    }
}

impl Work<'_> {
    /// The network as it stands in this transaction.
    pub(super) async fn read(&mut self, resource: &str) -> Result<Network, Error> {
        read(&mut self.transaction, resource, self.now).await?.ok_or(Error::Gone)
    }

    async fn insert(&mut self, resource: &str, order: &NetworkOrder, pool: &str, prefix: Prefix) -> Result<(), Error> {
        let until = order.reserved_for.map(|seconds| self.now.saturating_add(i64::from(seconds)));
        sqlx::query(
            "insert into network (resource, routing_domain, ip_version, pool, length, status, reserved_until)
            values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(resource)
        .bind(&order.routing_domain)
        .bind(i64::from(prefix.version().number()))
        .bind(pool)
        .bind(i64::from(prefix.length()))
        .bind(if until.is_some() { "reserved" } else { "confirmed" })
        .bind(until)
        .execute(&mut *self.transaction)
        .await?;
        let holder = Holder::Network { resource, number: 0 };
        blocks::insert(&mut self.transaction, self.now, &order.routing_domain, prefix, holder).await?;
        let network = self.read(resource).await?;
        self.add_subnets(&network, &order.subnets).await
    }

    async fn forget(&mut self, network: &Network, until: i64) -> Result<(), Error> {
        let Network { resource, .. } = network;
        if network.status == Status::Confirmed {
            blocks::rest(&mut self.transaction, resource, until).await?;
        } else if network.status != Status::Expired {
            for prefix in &network.prefixes {
                blocks::delete(&mut self.transaction, self.now, &network.routing_domain, *prefix, false).await?;
            }
        }
        // What goes with the network: the statements in the order in which rows refer to each other.
        for statement in ["delete from address where network = $1", "delete from network where resource = $1"] {
            sqlx::query(statement).bind(resource).execute(&mut *self.transaction).await?;
        }
        sqlx::query(
            "insert into resting (resource, until) values ($1, $2) on conflict (resource) do update set until = excluded.until",
        )
        .bind(resource)
        .bind(until)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }
}

/// Reads a network, as it is at that time.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    resource: &str,
    now: i64,
) -> Result<Option<Network>, Error> {
    let row = sqlx::query(
        "select routing_domain, ip_version, pool, length, status, reserved_until, lapsed from network where resource = $1",
    )
    .bind(resource)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let version = version_of(&row)?;
    let status = match (row.try_get("status")?, row.try_get::<Option<i64>, _>("reserved_until")?) {
        ("reserved", Some(until)) if until > now => Status::Reserved { until },
        ("confirmed", _) => Status::Confirmed,
        _ => Status::Expired,
    };
    let prefixes = match row.try_get::<Option<String>, _>("lapsed")? {
        Some(lapsed) => {
            let prefix = |text: &str| text.parse().map_err(|_| Error::Corrupt("a prefix"));
            lapsed.split(' ').map(prefix).collect::<Result<_, _>>()?
        }
        None => {
            let held = "select first, length from block where network = $1 order by number";
            let rows = sqlx::query(held).bind(resource).fetch_all(&mut *connection).await?;
            rows.iter().map(|row| prefix_of(row, version)).collect::<Result<_, _>>()?
        }
    };
    let named = "select name, first, length from subnet where network = $1 order by first";
    let subnets = sqlx::query(named).bind(resource).fetch_all(connection).await?;
    Ok(Some(Network {
        resource: resource.to_owned(),
        routing_domain: row.try_get("routing_domain")?,
        version,
        pool: row.try_get("pool")?,
        length: row.try_get("length")?,
        status,
        prefixes,
        subnets: subnets
            .iter()
            .map(|row| Ok(Subnet { name: row.try_get("name")?, prefix: prefix_of(row, version)? }))
            .collect::<Result<_, Error>>()?,
    }))
}
