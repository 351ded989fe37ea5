//! Where a new network goes: which pool, which prefix, or why none.

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};

use super::work::Work;
use super::{Error, blocks, bytes, prefix_of};
use crate::vnet_ipam::free_space::Strategy;
use crate::vnet_ipam::parameters::{NetworkOrder, Wanted};
use crate::vnet_ipam::pool::Pool;
use crate::vnet_ipam::prefix::Prefix;

/// Who decides where a prefix lies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Placed {
    /// The pools here.
    Here,
    /// The driver did: its own pools are meant.
    Elsewhere(Prefix),
}

/// What is in the way of a prefix.
struct Obstacle {
    prefix: Prefix,
    kind: String,
    name: Option<String>,
    tenant: Option<String>,
    until: Option<i64>,
}

impl Obstacle {
    fn refuse(&self, wanted: Prefix) -> Error {
        let name = self.name.as_deref().unwrap_or_default();
        let why = match (self.kind.as_str(), self.until) {
            ("quarantine", Some(until)) => {
                let until =
                    Timestamp::from_second(until).map_or_else(|_| "later".to_owned(), |until| until.to_string());
                format!("was given back and rests until {until}")
            }
            ("external", _) => format!("is external ({name})"),
            ("waiting", _) => format!("is a network that waits for its owner ({name})"),
            _ => "is in use".to_owned(),
        };
        Error::Taken { wanted, other: self.prefix, why }
    }
}

impl Work<'_> {
    /// Chooses pool and prefix. A network that waited for this owner is not in the way any more.
    pub(super) async fn place(
        &mut self,
        order: &NetworkOrder,
        tenant: Option<&str>,
    ) -> Result<(String, Prefix), Error> {
        let (at, pool) = pool_of(self.pools, order)?;
        let name = pool.name.clone();
        match order.wanted {
            Wanted::Exactly(wanted) => {
                self.clear_for(&order.routing_domain, wanted, tenant).await?;
                Ok((name, wanted))
            }
            Wanted::Length(length) => {
                let found = self.find(at, &order.routing_domain, length, order.strategy).await?;
                Ok((name, found))
            }
        }
    }

    /// A free prefix of a pool.
    pub(super) async fn find(
        &mut self,
        pool: usize,
        domain: &str,
        length: u8,
        strategy: Strategy,
    ) -> Result<Prefix, Error> {
        let spaces = self.free.domain(&mut self.transaction, self.pools, domain).await?;
        let (space, pool) = spaces.get(pool).zip(self.pools.get(pool)).ok_or(Error::Corrupt("the pools"))?;
        space.find(length, strategy).ok_or_else(|| Error::Full {
            length,
            pool: pool.name.clone(),
            range: pool.range,
            largest: space.largest(),
        })
    }

    /// Makes sure that nothing is in the way; a network that waits for just this order gives way.
    pub(super) async fn clear_for(&mut self, domain: &str, wanted: Prefix, tenant: Option<&str>) -> Result<(), Error> {
        let Some(obstacle) = obstacle(&mut self.transaction, domain, wanted).await? else { return Ok(()) };
        let may = obstacle.tenant.as_deref().is_none_or(|owner| Some(owner) == tenant);
        if obstacle.kind == "waiting" && obstacle.prefix == wanted && may {
            return blocks::delete(&mut self.transaction, self.now, domain, wanted, true).await;
        }
        Err(obstacle.refuse(wanted))
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
    if let (None, Wanted::Exactly(wanted)) = (&order.pool, order.wanted) {
        let holding = pools.iter().enumerate().find(|(_, pool)| fits(pool));
        return holding.ok_or_else(|| Error::OutsidePools { wanted, known: known() });
    }
    let name = order.pool_name();
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

/// A block of the routing domain that overlaps the wanted one: the last that begins before its end.
async fn obstacle(connection: &mut SqliteConnection, domain: &str, wanted: Prefix) -> Result<Option<Obstacle>, Error> {
    let row = sqlx::query(
        "select first, length, kind, name, tenant, quarantined_until from block
        where routing_domain = $1 and ip_version = $2 and first <= $3 order by first desc limit 1",
    )
    .bind(domain)
    .bind(i64::from(wanted.version().number()))
    .bind(bytes(wanted.last()))
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let prefix = prefix_of(&row, wanted.version())?;
    if prefix.last() < wanted.first() {
        return Ok(None);
    }
    Ok(Some(Obstacle {
        prefix,
        kind: row.try_get("kind")?,
        name: row.try_get("name")?,
        tenant: row.try_get("tenant")?,
        until: row.try_get("quarantined_until")?,
    }))
}
