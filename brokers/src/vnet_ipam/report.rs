//! How full the pools are, and when they will be: for operators.
//!
//! Counts may be larger than JSON's numbers are everywhere, so they are decimal strings. What was imported takes room but is no
//! growth.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::VnetIpam;
use super::forecast::{self, Trend};
use super::free_space::FreeSpace;
use super::parameters::DEFAULT_DOMAIN;
use super::pool::Pool;
use super::prefix::{Prefix, Version};
use super::store::{Error, Imported, Levels, Use};

/// How many days the forecast looks back.
const WINDOW_DAYS: i64 = 30;
/// How many days the history is kept.
const KEPT_DAYS: i64 = 90;
/// From how many days on a pool is no reason to worry.
const WARN_DAYS: u64 = 30;
/// How often the pools are looked at, in seconds.
const LOOK_EVERY: i64 = 3_600;
/// How many ranges are shown with a pool.
const IMPORTED_MAX: i64 = 1_000;

impl VnetIpam {
    /// All pools.
    ///
    /// # Errors
    /// Where the file can't be used.
    pub async fn pools(&self) -> Result<Value, Error> {
        let mut pools = Vec::new();
        let domains = self.domains().await?;
        for pool in self.store.pools() {
            pools.push(shown(pool, &domains));
        }
        Ok(json!({"pools": pools}))
    }

    /// One pool, with the ranges in it that were imported. `None` where there is no such pool.
    ///
    /// # Errors
    /// Where the file can't be used.
    pub async fn pool(&self, name: &str) -> Result<Option<Value>, Error> {
        let Some(pool) = self.store.pools().iter().find(|pool| pool.name == name) else { return Ok(None) };
        let mut shown = shown(pool, &self.domains().await?);
        let imported = self.store.imported(IMPORTED_MAX).await?;
        let inside = imported.iter().filter(|range| pool.range.intersection(range.prefix).is_some());
        shown["imported"] = inside.map(imported_shown).collect();
        Ok(Some(shown))
    }

    async fn domains(&self) -> Result<Vec<(String, Levels)>, Error> {
        let mut names = self.store.domains().await?;
        if !names.iter().any(|name| name == DEFAULT_DOMAIN) {
            names.insert(0, DEFAULT_DOMAIN.to_owned());
        }
        let mut domains = Vec::with_capacity(names.len());
        for name in names {
            let levels = self.store.levels(&name, WINDOW_DAYS).await?;
            domains.push((name, levels));
        }
        Ok(domains)
    }

    /// Logs which pools will be full soon, and forgets history that is too old, once an hour.
    pub(super) async fn look_at_pools(&self) -> Result<(), Error> {
        let now = self.store.now();
        let last = self.looked_at.load(Ordering::Relaxed);
        if now.saturating_sub(last) < LOOK_EVERY {
            return Ok(());
        }
        self.looked_at.store(now, Ordering::Relaxed);
        self.store.trim(KEPT_DAYS).await?;
        let domains = self.domains().await?;
        for pool in self.store.pools() {
            for (domain, levels) in &domains {
                if let Some(warning) = Filling::of(pool, levels).and_then(|filling| filling.warning()) {
                    tracing::warn!(pool = pool.name, routing_domain = domain, "pool {}: {warning}", pool.name);
                }
            }
        }
        Ok(())
    }
}

fn shown(pool: &Pool, domains: &[(String, Levels)]) -> Value {
    let filled = domains.iter().filter_map(|(name, levels)| {
        let filling = Filling::of(pool, levels)?;
        (filling.is_used() || name == DEFAULT_DOMAIN).then(|| filling.shown(name))
    });
    json!({
        "name": pool.name,
        "cidr": pool.range.to_string(),
        "ip_version": pool.range.version().number(),
        "routing_domains": filled.collect::<Value>(),
    })
}

fn imported_shown(range: &Imported) -> Value {
    json!({
        "name": range.name,
        "cidr": range.prefix.to_string(),
        "kind": range.kind.word(),
        "routing_domain": range.routing_domain,
        "tenant": range.tenant,
        "description": range.description,
    })
}

/// How full a pool is in one routing domain.
struct Filling {
    range: Prefix,
    space: FreeSpace,
    used: BTreeMap<Use, u128>,
    trend: Option<Trend>,
}

impl Filling {
    /// `None` where the rows contradict each other.
    fn of(pool: &Pool, levels: &Levels) -> Option<Self> {
        let range = pool.range;
        let inside = |prefix: Prefix| range.intersection(prefix).map_or(0, Prefix::size);
        let mut used = BTreeMap::new();
        for (prefix, of) in &levels.blocks {
            *used.entry(*of).or_insert(0_u128) += inside(*prefix);
        }
        let taken = levels.blocks.iter().filter(|(prefix, _)| prefix.version() == range.version());
        let space = FreeSpace::without(range, taken.map(|(prefix, _)| *prefix))?;
        let ours = used.iter().filter(|(of, _)| **of != Use::Imported).map(|(_, size)| size).sum();
        let change = |(day, prefix, taken): &(i64, Prefix, bool)| match (inside(*prefix), taken) {
            (size, true) => (*day, size, 0),
            (size, false) => (*day, 0, size),
        };
        let changes: Vec<_> = levels.changes.iter().map(change).collect();
        let trend = Trend::of(&forecast::levels(ours, levels.first_day, levels.today, &changes));
        Some(Self { range, space, used, trend })
    }

    fn is_used(&self) -> bool {
        self.used.values().any(|size| *size > 0)
    }

    /// The usual size of a network, which a pool should be able to serve.
    fn usual(&self) -> u8 {
        let usual = if self.range.version() == Version::V4 { 24 } else { 64 };
        self.range.length().max(usual)
    }

    /// Days until no network of the usual size fits.
    fn days(&self) -> Option<u64> {
        let room = self.space.room(self.usual());
        let each = Prefix::containing(self.range.version(), 0, self.usual()).size();
        if room == 0 { Some(0) } else { self.trend?.days_until(room.saturating_mul(each)) }
    }

    fn warning(&self) -> Option<String> {
        match self.days()? {
            0 => Some(format!("no /{} is free", self.usual())),
            days if days <= WARN_DAYS => Some(format!("no /{} will be free in {days} days", self.usual())),
            _ => None,
        }
    }

    fn shown(&self, domain: &str) -> Value {
        let used = |of: Use| self.used.get(&of).copied().unwrap_or_default();
        let free = self.space.blocks().fold(0_u128, |free, block| free.saturating_add(block.size()));
        let total = self.range.size();
        let blocks =
            self.space.lengths().map(|(length, count)| json!({"prefix_length": length, "count": count.to_string()}));
        json!({
            "name": domain,
            "addresses": {
                "total": total.to_string(),
                "in_use": used(Use::Network).to_string(),
                "reserved": used(Use::Reserved).to_string(),
                "quarantine": used(Use::Quarantine).to_string(),
                "imported": used(Use::Imported).to_string(),
                "free": free.to_string(),
            },
            "utilisation_percent": percent(total.saturating_sub(free), total),
            "free_blocks": blocks.collect::<Value>(),
            "forecast": {
                "prefix_length": self.usual(),
                "free": self.space.room(self.usual()).to_string(),
                "addresses_per_day": self.trend.map(|trend| trend.per_day().to_string()),
                "days": self.days(),
            },
            "warning": self.warning(),
        })
    }
}

/// Hundredths of a percent, rounded down.
fn percent(part: u128, whole: u128) -> String {
    // The lowest bits of numbers that can't be multiplied don't change the hundredths.
    let shift = (128 - whole.leading_zeros()).saturating_sub(100);
    let hundredths = (part >> shift) * 10_000 / (whole >> shift).max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
