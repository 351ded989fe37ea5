//! Networks: take a prefix, read, change, give back.

use jiff::Timestamp;
use osb::Object;
use sqlx::{Connection, Row, SqliteConnection};

use super::{Error, FreeCache, Network, Store, Subnet, Writer, bytes, json, object_of, prefix_of, version_of};
use crate::vnet_ipam::free_space::{FreeSpace, Strategy};
use crate::vnet_ipam::parameters::{NetworkOrder, SUBNETS_MAX, SubnetOrder, Wanted};
use crate::vnet_ipam::pool::{DEFAULT_V4, DEFAULT_V6, Pool};
use crate::vnet_ipam::prefix::{Prefix, Version};
use osb::kit::stamped::Tenant;

/// What is kept of an order besides the network itself.
pub(crate) struct NewInstance<'a> {
    pub(crate) id: &'a str,
    pub(crate) service_id: &'a str,
    pub(crate) plan_id: &'a str,
    pub(crate) organization_guid: &'a str,
    pub(crate) space_guid: &'a str,
    pub(crate) parameters: &'a Object,
    pub(crate) tenant: Option<&'a Tenant>,
}

impl Store {
    /// Takes a prefix for a new instance. [`Error::Exists`] where the id is there, whatever it is.
    pub(crate) async fn create(&self, new: &NewInstance<'_>, order: &NetworkOrder) -> Result<Network, Error> {
        let now = self.clock.seconds();
        let mut writer = self.writer().await?;
        let Writer { connection, free } = &mut *writer;
        let mut cache = free.take().unwrap_or_default();
        let mut transaction = connection.as_mut().ok_or(Error::Busy)?.begin_with("begin immediate").await?;
        cache.refresh(&mut transaction).await?;
        let freed = end_quarantine(&mut transaction, &mut cache, now).await?;
        match self.insert(&mut transaction, &mut cache, new, order, now).await {
            Ok(prefix) => {
                if !cache.take(&order.routing_domain, prefix) {
                    return Err(Error::Corrupt("prefixes that overlap"));
                }
                transaction.commit().await?;
                *free = Some(cache);
            }
            Err(error) => {
                transaction.rollback().await?;
                // The quarantines that ended are back in the table, so the cache is right only if there were none.
                *free = (freed == 0 && error.is_refusal()).then_some(cache);
                return Err(error);
            }
        }
        drop(writer);
        self.network(new.id).await?.ok_or(Error::NotFound)
    }

    async fn insert(
        &self,
        connection: &mut SqliteConnection,
        cache: &mut FreeCache,
        new: &NewInstance<'_>,
        order: &NetworkOrder,
        now: i64,
    ) -> Result<Prefix, Error> {
        insert_instance(connection, new, now).await?;
        let (pool, prefix) = place(connection, cache, &self.pools, order).await?;
        insert_prefix(connection, new.id, order, pool, prefix).await?;
        add_subnets(connection, new.id, prefix, &[], &order.subnets).await?;
        Ok(prefix)
    }

    /// The network of an instance.
    pub(crate) async fn network(&self, id: &str) -> Result<Option<Network>, Error> {
        let mut reader = self.readers.acquire().await?;
        read(&mut reader, id).await
    }

    /// Adds subnets and keeps what `merge` makes of the parameters, all or nothing.
    pub(crate) async fn change(
        &self,
        id: &str,
        merge: impl FnOnce(Object) -> Object + Send,
        subnets: &[SubnetOrder],
        tenant: Option<&Tenant>,
    ) -> Result<(), Error> {
        let mut writer = self.writer().await?;
        let mut transaction = writer.connection()?.begin_with("begin immediate").await?;
        let network = read(&mut transaction, id).await?.ok_or(Error::NotFound)?;
        add_subnets(&mut transaction, id, network.prefix, &network.subnets, subnets).await?;
        sqlx::query(
            "update instance set parameters = $2, tenant_id = coalesce($3, tenant_id), tenant_name = coalesce($4, tenant_name)
            where id = $1",
        )
        .bind(id)
        .bind(json(&merge(network.parameters)))
        .bind(tenant.map(|tenant| &tenant.id))
        .bind(tenant.map(|tenant| &tenant.name))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Gives the prefix back, into quarantine, and forgets the instance with its subnets and addresses.
    pub(crate) async fn delete(&self, id: &str) -> Result<(), Error> {
        let until = self.clock.seconds().saturating_add(i64::from(self.quarantine_seconds));
        let mut writer = self.writer().await?;
        let mut transaction = writer.connection()?.begin_with("begin immediate").await?;
        sqlx::query("update prefix set instance_id = null, quarantined_until = $2 where instance_id = $1")
            .bind(id)
            .bind(until)
            .execute(&mut *transaction)
            .await?;
        let deleted = sqlx::query("delete from instance where id = $1").bind(id).execute(&mut *transaction).await?;
        if deleted.rows_affected() == 0 {
            return Err(Error::NotFound);
        }
        Ok(transaction.commit().await?)
    }
}

/// Frees the prefixes whose quarantine is over, and says how many.
async fn end_quarantine(connection: &mut SqliteConnection, cache: &mut FreeCache, now: i64) -> Result<usize, Error> {
    let rows = sqlx::query(
        "delete from prefix where quarantined_until <= $1 returning routing_domain, ip_version, first, length",
    )
    .bind(now)
    .fetch_all(connection)
    .await?;
    for row in &rows {
        cache.give_back(row.try_get("routing_domain")?, prefix_of(row, version_of(row)?)?);
    }
    Ok(rows.len())
}

async fn insert_instance(connection: &mut SqliteConnection, new: &NewInstance<'_>, now: i64) -> Result<(), Error> {
    let inserted = sqlx::query(
        "insert into instance
        (id, service_id, plan_id, organization_guid, space_guid, parameters, tenant_id, tenant_name, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (id) do nothing",
    )
    .bind(new.id)
    .bind(new.service_id)
    .bind(new.plan_id)
    .bind(new.organization_guid)
    .bind(new.space_guid)
    .bind(json(new.parameters))
    .bind(new.tenant.map(|tenant| &tenant.id))
    .bind(new.tenant.map(|tenant| &tenant.name))
    .bind(now)
    .execute(connection)
    .await?;
    if inserted.rows_affected() == 1 { Ok(()) } else { Err(Error::Exists) }
}

/// Chooses pool and prefix.
async fn place<'a>(
    connection: &mut SqliteConnection,
    cache: &mut FreeCache,
    pools: &'a [Pool],
    order: &NetworkOrder,
) -> Result<(&'a Pool, Prefix), Error> {
    let (at, pool) = pool_of(pools, order)?;
    match order.wanted {
        Wanted::Exactly(wanted) => {
            if let Some((other, until)) = overlapping(connection, &order.routing_domain, wanted).await? {
                let until = until.map(|until| {
                    Timestamp::from_second(until).map_or_else(|_| "later".to_owned(), |until| until.to_string())
                });
                return Err(Error::Taken { wanted, other, until });
            }
            cache.domain(connection, pools, &order.routing_domain).await?;
            Ok((pool, wanted))
        }
        Wanted::Length(length) => {
            let spaces = cache.domain(connection, pools, &order.routing_domain).await?;
            let space = spaces.get(at).ok_or(Error::Corrupt("the pools"))?;
            let found = space.find(length, order.strategy).ok_or_else(|| Error::Full {
                length,
                pool: pool.name.clone(),
                range: pool.range,
                largest: space.largest(),
            })?;
            Ok((pool, found))
        }
    }
}

/// The pool that the order names, else the one that holds the prefix it names, else the default one.
fn pool_of<'a>(pools: &'a [Pool], order: &NetworkOrder) -> Result<(usize, &'a Pool), Error> {
    let known = || {
        let of_version = pools.iter().filter(|pool| pool.range.version() == order.version);
        of_version.map(|pool| format!("{} ({})", pool.name, pool.range)).collect::<Vec<_>>().join(", ")
    };
    let fits = |pool: &Pool| match order.wanted {
        Wanted::Exactly(wanted) => pool.range.contains(wanted),
        Wanted::Length(_) => pool.range.version() == order.version,
    };
    let name = match (&order.pool, order.version, order.wanted) {
        (Some(name), ..) => name.as_str(),
        (None, _, Wanted::Exactly(wanted)) => {
            let holding = pools.iter().enumerate().find(|(_, pool)| fits(pool));
            return holding.ok_or_else(|| Error::OutsidePools { wanted, known: known() });
        }
        (None, Version::V4, _) => DEFAULT_V4,
        (None, Version::V6, _) => DEFAULT_V6,
    };
    let named = pools.iter().enumerate().find(|(_, pool)| pool.name == name && pool.range.version() == order.version);
    let named = named.ok_or_else(|| Error::NoPool {
        name: name.to_owned(),
        version: order.version.number(),
        known: known(),
    })?;
    match order.wanted {
        Wanted::Exactly(wanted) if !fits(named.1) => {
            Err(Error::OutsidePools { wanted, known: format!("{} ({})", named.1.name, named.1.range) })
        }
        _ => Ok(named),
    }
}

/// A prefix of the routing domain that overlaps the wanted one, and until when it rests if it is not in use.
async fn overlapping(
    connection: &mut SqliteConnection,
    domain: &str,
    wanted: Prefix,
) -> Result<Option<(Prefix, Option<i64>)>, Error> {
    let row = sqlx::query(
        "select first, last, length, quarantined_until from prefix
        where routing_domain = $1 and ip_version = $2 and first <= $3 order by first desc limit 1",
    )
    .bind(domain)
    .bind(i64::from(wanted.version().number()))
    .bind(bytes(wanted.last()))
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let other = prefix_of(&row, wanted.version())?;
    Ok(if other.last() < wanted.first() { None } else { Some((other, row.try_get("quarantined_until")?)) })
}

async fn insert_prefix(
    connection: &mut SqliteConnection,
    id: &str,
    order: &NetworkOrder,
    pool: &Pool,
    prefix: Prefix,
) -> Result<(), Error> {
    sqlx::query(
        "insert into prefix (routing_domain, ip_version, first, last, length, pool, instance_id)
        values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&order.routing_domain)
    .bind(i64::from(prefix.version().number()))
    .bind(bytes(prefix.first()))
    .bind(bytes(prefix.last()))
    .bind(i64::from(prefix.length()))
    .bind(&pool.name)
    .bind(id)
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds subnets to a network; those that are there with the same size stay.
async fn add_subnets(
    connection: &mut SqliteConnection,
    id: &str,
    network: Prefix,
    present: &[Subnet],
    orders: &[SubnetOrder],
) -> Result<(), Error> {
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
    if missing.is_empty() {
        return Ok(());
    }
    if present.len() + missing.len() > SUBNETS_MAX {
        return Err(Error::SubnetsMany);
    }
    let mut space = FreeSpace::new(network);
    for prefix in occupied(connection, id, network, present).await? {
        if !space.take(prefix) {
            return Err(Error::Corrupt("subnets that overlap"));
        }
    }
    for SubnetOrder { name, length } in missing {
        let found = space.find(*length, Strategy::BestFit).filter(|found| space.take(*found));
        let found = found.ok_or_else(|| Error::SubnetFull {
            name: name.clone(),
            length: *length,
            network,
            largest: space.largest(),
        })?;
        sqlx::query("insert into subnet (instance_id, name, first, last, length) values ($1, $2, $3, $4, $5)")
            .bind(id)
            .bind(name)
            .bind(bytes(found.first()))
            .bind(bytes(found.last()))
            .bind(i64::from(found.length()))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// What of a network is in use: its subnets, and addresses reserved while it had none.
async fn occupied(
    connection: &mut SqliteConnection,
    id: &str,
    network: Prefix,
    subnets: &[Subnet],
) -> Result<Vec<Prefix>, Error> {
    let rows = sqlx::query("select address from address where instance_id = $1 and subnet is null")
        .bind(id)
        .fetch_all(connection)
        .await?;
    let version = network.version();
    let mut occupied: Vec<_> = subnets.iter().map(|subnet| subnet.prefix).collect();
    for row in &rows {
        occupied.push(Prefix::containing(version, super::address_of(row, "address")?, version.bits()));
    }
    Ok(occupied)
}

/// Reads a network.
pub(super) async fn read(connection: &mut SqliteConnection, id: &str) -> Result<Option<Network>, Error> {
    let row = sqlx::query(
        "select i.service_id, i.plan_id, i.organization_guid, i.space_guid, i.parameters, i.tenant_id, i.tenant_name,
        p.routing_domain, p.pool, p.ip_version, p.first, p.length
        from instance i join prefix p on p.instance_id = i.id where i.id = $1",
    )
    .bind(id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let version = version_of(&row)?;
    let subnets = sqlx::query("select name, first, length from subnet where instance_id = $1 order by first")
        .bind(id)
        .fetch_all(connection)
        .await?;
    let tenant = match (row.try_get("tenant_id")?, row.try_get::<Option<String>, _>("tenant_name")?) {
        (Some(id), Some(name)) => Some(Tenant { id, name, ..Tenant::default() }),
        _ => None,
    };
    Ok(Some(Network {
        id: id.to_owned(),
        service_id: row.try_get("service_id")?,
        plan_id: row.try_get("plan_id")?,
        organization_guid: row.try_get("organization_guid")?,
        space_guid: row.try_get("space_guid")?,
        parameters: object_of(&row, "parameters")?,
        tenant,
        routing_domain: row.try_get("routing_domain")?,
        pool: row.try_get("pool")?,
        prefix: prefix_of(&row, version)?,
        subnets: subnets
            .iter()
            .map(|row| Ok(Subnet { name: row.try_get("name")?, prefix: prefix_of(row, version)? }))
            .collect::<Result<_, Error>>()?,
    }))
}
