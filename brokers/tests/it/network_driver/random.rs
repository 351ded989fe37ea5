//! Few but long random sequences: after each step there is exactly what a small model says.

use std::collections::{BTreeMap, BTreeSet};

use bourse_brokers::vnet_ipam::driver::{Driver as _, DriverError, NetworkSpec};

use super::site::{Site, is_cut_off, network, range, reaches, workload};

/// A small deterministic generator (xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

const GROWTHS: [&str; 3] = ["10.1.0.0/24", "fd00:1::/64", "10.2.0.0/24"];
const NETWORKS: usize = 2;

/// What there shall be.
#[derive(Default)]
struct Model {
    networks: BTreeMap<usize, NetworkSpec>,
    next: usize,
}

impl Model {
    /// One step. Its call is repeated with the same arguments until it comes to its end, dying after `patience` changes, then after one more, and so on.
    async fn step(&mut self, site: &Site, random: &mut Random) {
        let at = random.below(NETWORKS);
        let driver = &site.driver;
        let patience = 1 + random.below(6);
        let Some(spec) = self.networks.get_mut(&at) else {
            let spec = network(&format!("network {at} {}", self.next), &["10.0.0.0/24"], &[]);
            self.next += 1;
            persist(site, patience, || driver.apply(&spec)).await;
            self.networks.insert(at, spec);
            return;
        };
        match random.below(10) {
            0..=4 => {
                let number = self.next;
                self.next += 1;
                let address = format!("10.0.0.{}", 2 + number % 250);
                let workload = workload(&format!("binding {number}"), &[(&address, "10.0.0.0/24")]);
                persist(site, patience, || async { driver.attach(spec, &workload).await.map(drop) }).await;
                spec.workloads.push(workload);
            }
            5 | 6 if !spec.workloads.is_empty() => {
                let gone = spec.workloads.remove(random.below(spec.workloads.len()));
                persist(site, patience, || driver.detach(&spec.resource, &gone.binding_resource)).await;
            }
            7 => {
                spec.prefixes.extend(GROWTHS.get(spec.prefixes.len() - 1).map(|prefix| range(prefix)));
                persist(site, patience, || driver.apply(spec)).await;
            }
            8 => {
                persist(site, patience, || driver.remove(&spec.resource)).await;
                self.networks.remove(&at);
            }
            _ => persist(site, patience, || driver.apply(spec)).await,
        }
    }

    /// There is what shall be, and no more.
    async fn holds(&self, site: &Site) {
        let mut expected = 0;
        for spec in self.networks.values() {
            site.is_as(spec).await;
            expected += 1 + spec.workloads.len();
        }
        assert_eq!(site.namespaces().len(), expected);
    }

    /// Those of a network reach each other, and not those of the other.
    async fn is_isolated(&self, site: &Site) {
        let mut all = BTreeMap::new();
        for (at, spec) in &self.networks {
            for workload in &spec.workloads {
                let credentials = site.driver.attach(spec, workload).await.unwrap();
                let address = workload.addresses[0].address.to_string();
                all.insert((*at, address), credentials["namespace"].as_str().unwrap().to_owned());
            }
        }
        let addresses = |of: usize| all.keys().filter(|(at, _)| *at == of).map(|(_, to)| to).collect::<BTreeSet<_>>();
        for ((at, from), namespace) in &all {
            if let Some(to) = addresses(*at).into_iter().find(|to| *to != from) {
                assert!(reaches(namespace, to), "{from} to {to}");
            }
            if let Some(to) = addresses(1 - *at).into_iter().find(|to| !addresses(*at).contains(to)) {
                assert!(is_cut_off(namespace, to), "{from} to {to} of the other network");
            }
        }
    }
}

async fn persist<F: Future<Output = Result<(), DriverError>>>(site: &Site, patience: usize, call: impl Fn() -> F) {
    for more in 0..20 {
        site.programs.dies_after(patience + more);
        let ended = call().await;
        site.programs.lives();
        match ended {
            Ok(()) => return,
            Err(DriverError::Failed { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no end in sight");
}

async fn check_sequence(seed: u64) {
    let site = Site::new();
    let mut random = Random(seed);
    let mut model = Model::default();
    for _ in 0..30 {
        model.step(&site, &mut random).await;
        model.holds(&site).await;
    }
    model.is_isolated(&site).await;
    for spec in model.networks.values() {
        site.driver.remove(&spec.resource).await.unwrap();
    }
    assert_eq!(site.namespaces(), [""; 0]);
}

#[tokio::test]
async fn after_random_orders_and_crashes_there_is_what_shall_be_and_no_more() {
    check_sequence(0x9e37_79b9_7f4a_7c15).await;
}

#[tokio::test]
async fn after_other_random_orders_and_crashes_there_is_what_shall_be_and_no_more() {
    check_sequence(0x2545_f491_4f6c_dd1d).await;
}
