//! Thousands of random orders through the store, by two processes' worth of services on one file, against a slow oracle: one bit
//! for each /28 of a small pool.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bourse_brokers::vnet_ipam::pool::Pool;
use bourse_brokers::vnet_ipam::prefix::{Prefix, Version};
use bourse_brokers::vnet_ipam::{Config, VnetIpam};
use osb::kit::{Clock, Fault, Instance, Service};
use serde_json::{Value, json};
use sqlx::SqlitePool;

use super::crash::{cidrs, instance, known};
use crate::support::{Ipam, object};

const STEPS: u32 = 3_000;
const QUARANTINE: i64 = 100;
const RESERVED: i64 = 60;
const STRATEGIES: [&str; 4] = ["best_fit", "first_fit", "last_fit", "sparse"];

fn range() -> Prefix {
    "172.16.0.0/22".parse().unwrap()
}

/// A small deterministic generator (xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    fn length(&mut self) -> u8 {
        // Small ones more often, so that there are many.
        28 - u8::try_from(self.below(7) * self.below(7) / 6).unwrap()
    }
}

fn units(prefix: Prefix) -> u64 {
    let (at, count) = ((prefix.first() - range().first()) / 16, prefix.size() / 16);
    (u64::MAX >> (64 - count)) << at
}

fn blocks(length: u8) -> impl Iterator<Item = Prefix> {
    let step = usize::try_from(Prefix::containing(Version::V4, 0, length).size()).unwrap();
    (range().first()..=range().last()).step_by(step).map(move |first| Prefix::containing(Version::V4, first, length))
}

struct Network {
    instance: Instance,
    prefixes: Vec<Prefix>,
    length: u8,
    reserved_until: Option<i64>,
}

#[derive(Default)]
struct Oracle {
    networks: Vec<Network>,
    resting: Vec<(Prefix, i64)>,
    now: i64,
}

impl Oracle {
    fn is_expired(&self, network: &Network) -> bool {
        network.reserved_until.is_some_and(|until| until <= self.now)
    }

    fn taken(&self) -> u64 {
        let held =
            self.networks.iter().filter(|network| !self.is_expired(network)).flat_map(|network| &network.prefixes);
        let resting = self.resting.iter().filter(|(_, until)| *until > self.now).map(|(prefix, _)| prefix);
        held.chain(resting).fold(0, |taken, prefix| taken | units(*prefix))
    }

    fn around(&self, mut block: Prefix) -> u8 {
        while block.length() > range().length() && self.taken() & units(block.parent().unwrap()) == 0 {
            block = block.parent().unwrap();
        }
        block.length()
    }

    fn find(&self, length: u8, strategy: &str) -> Option<Prefix> {
        let taken = self.taken();
        let mut free: Vec<Prefix> = blocks(length).filter(|block| taken & units(*block) == 0).collect();
        match strategy {
            "first_fit" => {}
            "last_fit" => free.reverse(),
            "best_fit" => free.sort_by_key(|block| (u8::MAX - self.around(*block), block.first())),
            _ => free.sort_by_key(|block| (self.around(*block), block.first())),
        }
        free.first().copied()
    }

    /// What the prefixes of a network become when it grows.
    fn grown(&self, network: &Network, length: u8, strategy: &str) -> Option<Vec<Prefix>> {
        let size = |length: u8| Prefix::containing(Version::V4, 0, length).size();
        let held: u128 = network.prefixes.iter().map(|prefix| prefix.size()).sum();
        let mut grown = network.prefixes.clone();
        if held >= size(length) {
            return Some(grown);
        }
        let lacking = size(length) - held;
        let taken = self.taken();
        for (at, prefix) in network.prefixes.iter().enumerate() {
            let Some(enough) = (22..prefix.length()).rev().find(|length| size(*length) - prefix.size() >= lacking)
            else {
                continue;
            };
            let wanted = Prefix::containing(Version::V4, prefix.first(), enough);
            if wanted.first() == prefix.first() && taken & units(wanted) & !units(*prefix) == 0 {
                grown[at] = wanted;
                return Some(grown);
            }
        }
        let block = (0..=28).rev().find(|length| size(*length) >= lacking).unwrap();
        if block < range().length() {
            return None;
        }
        let beside =
            network.prefixes.iter().filter(|prefix| prefix.length() == block).find_map(|prefix| prefix.buddy());
        let beside = beside.filter(|beside| range().contains(*beside) && taken & units(*beside) == 0);
        grown.push(beside.or_else(|| self.find(block, strategy))?);
        Some(grown)
    }
}

/// Two services on one file, as two processes have them.
async fn services(ipam: &Ipam) -> ([Arc<VnetIpam>; 2], SqlitePool) {
    let file = ipam.directory.path().join("vnet-ipam.db");
    let mut config = Config::new(&file);
    config.pools.push(Pool::new("tight", &range().to_string()).unwrap());
    config.clock = Clock::Manual(Arc::clone(&ipam.now));
    config.quarantine_seconds = u32::try_from(QUARANTINE).unwrap();
    let first = VnetIpam::prepare(config.clone()).await.unwrap().0;
    let second = VnetIpam::prepare(config).await.unwrap().0;
    ([first, second], SqlitePool::connect(&format!("sqlite:{}", file.display())).await.unwrap())
}

async fn update(service: &VnetIpam, network: &mut Network, asked: Value) -> Result<(), Fault> {
    let asked = object(asked);
    let parameters = service.merge(&network.instance.parameters, &asked);
    let after = Instance { parameters, ..network.instance.clone() };
    service.change(&network.instance, &after, &asked).await?;
    network.instance = after;
    Ok(())
}

struct Run {
    services: [Arc<VnetIpam>; 2],
    file: SqlitePool,
    oracle: Oracle,
    random: Random,
}

impl Run {
    fn service(&mut self) -> Arc<VnetIpam> {
        Arc::clone(&self.services[self.random.below(2)])
    }

    async fn order(&mut self, number: u32) {
        let (length, strategy) = (self.random.length(), STRATEGIES[self.random.below(4)]);
        let reserve = self.random.below(4) == 0;
        let mut wanted = json!({"pool": "tight", "prefix_length": length, "strategy": strategy});
        if reserve {
            wanted["reserve"] = true.into();
            wanted["reserve_ttl"] = RESERVED.into();
        }
        let made = instance(&format!("n{number}"), wanted);
        known(&self.file, &made.resource).await;
        let expected = self.oracle.find(length, strategy);
        let outcome = self.service().create(&made).await;
        assert_eq!(outcome.is_ok(), expected.is_some(), "/{length} {strategy}: {outcome:?} {expected:?}");
        let Some(expected) = expected else { return };
        assert_eq!(cidrs(&self.service(), &made).await, [expected], "/{length} {strategy}");
        let reserved_until = reserve.then_some(self.oracle.now + RESERVED);
        self.oracle.networks.push(Network { instance: made, prefixes: vec![expected], length, reserved_until });
    }

    async fn grow(&mut self, at: usize) {
        let (length, strategy) = (self.random.length(), STRATEGIES[self.random.below(4)]);
        let service = self.service();
        let network = &self.oracle.networks[at];
        if length >= network.length || self.oracle.is_expired(network) {
            return;
        }
        let expected = self.oracle.grown(network, length, strategy);
        let network = &mut self.oracle.networks[at];
        let outcome = update(&service, network, json!({"prefix_length": length, "strategy": strategy})).await;
        assert_eq!(outcome.is_ok(), expected.is_some(), "to /{length} {strategy}: {outcome:?} {expected:?}");
        if let Some(expected) = expected {
            assert_eq!(cidrs(&service, &network.instance).await, expected, "to /{length} {strategy}");
            (network.prefixes, network.length) = (expected, length);
        }
    }

    async fn confirm(&mut self, at: usize) {
        let service = self.service();
        let network = &self.oracle.networks[at];
        let taken = self.oracle.taken();
        let free =
            !self.oracle.is_expired(network) || network.prefixes.iter().all(|prefix| taken & units(*prefix) == 0);
        let network = &mut self.oracle.networks[at];
        let outcome = update(&service, network, json!({"confirm": true})).await;
        assert_eq!(outcome.is_ok(), free, "{outcome:?}");
        if free {
            network.reserved_until = None;
        }
    }

    async fn release(&mut self, at: usize) {
        let network = self.oracle.networks.swap_remove(at);
        self.service().retire(&network.instance).await.unwrap();
        if network.reserved_until.is_none() {
            let until = self.oracle.now + QUARANTINE;
            self.oracle.resting.extend(network.prefixes.iter().map(|prefix| (*prefix, until)));
        }
    }
}

#[tokio::test]
async fn thousands_of_random_orders_through_the_store_agree_with_a_slow_oracle() {
    let ipam = Ipam::new();
    let (services, file) = services(&ipam).await;
    let now = ipam.now.load(Ordering::SeqCst);
    let oracle = Oracle { now, ..Oracle::default() };
    let mut run = Run { services, file, oracle, random: Random(0x9e37_79b9_7f4a_7c15) };
    for number in 0..STEPS {
        let at = run.random.below(run.oracle.networks.len().max(1));
        match run.random.below(10) {
            0..=3 => run.order(number).await,
            _ if run.oracle.networks.is_empty() => {}
            4 | 5 => run.grow(at).await,
            6 => run.confirm(at).await,
            7 | 8 => run.release(at).await,
            _ => {
                run.oracle.now += i64::try_from(run.random.below(60)).unwrap();
                ipam.now.store(run.oracle.now, Ordering::SeqCst);
            }
        }
        run.oracle.resting.retain(|(_, until)| *until > run.oracle.now);
    }
    for network in std::mem::take(&mut run.oracle.networks) {
        run.service().retire(&network.instance).await.unwrap();
    }
    ipam.now.fetch_add(QUARANTINE, Ordering::SeqCst);
    run.services[0].tend().await.unwrap();
    let pool = run.services[1].pool("tight").await.unwrap().unwrap();
    assert_eq!(
        pool["routing_domains"][0]["free_blocks"],
        json!([{"prefix_length": 22, "count": "1"}]),
        "nothing is lost"
    );
}
