//! `linux`: networks of network namespaces, bridges and nftables, made by the programs `ip` and `nft`.
//!
//! A network is a namespace with one bridge in it, which bears the gateways' addresses; a workload is a namespace whose one
//! interface leads to a port of that bridge. It keeps no record: names follow from the resources, everything else is looked
//! up. It deliberately leads nowhere out of a network: no interface of the machine is ever touched. Invariant: what a
//! method does is the difference between what there is and what shall be, so stopping anywhere and beginning again is right.

mod execute;
mod names;
mod network;
mod observe;
mod rules;
mod start;
mod work;
mod workload;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use osb::Object;

pub use self::execute::{Command, Ended, Execute, ExecuteError, Programs};
use self::names::{BRIDGE, INTERFACE, Names};
use self::observe::{Links, Namespace};
pub use self::start::StartError;
use self::work::{Work, change};
use super::{AllocationRequest, Driver, DriverError, NetworkSpec, PREFIXES_MAX, Workload};
use crate::vnet_ipam::prefix::Prefix;

/// What the names of namespaces begin with, unless told otherwise.
pub const NAMES: &str = "vnet-";
/// How long that may be.
const NAMES_MAX: usize = 32;

/// The driver.
#[derive(Clone)]
pub struct Linux {
    execute: Arc<dyn Execute>,
    prefix: String,
}

impl fmt::Debug for Linux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linux").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Linux {
    /// A driver whose namespaces have names that begin with `prefix` ([`NAMES`]): two brokers on one machine need two.
    ///
    /// # Errors
    /// Where the prefix is not made of 1 to 32 of a-z, 0-9 and -.
    pub fn new(execute: Arc<dyn Execute>, prefix: &str) -> Result<Self, StartError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if prefix.is_empty() || prefix.len() > NAMES_MAX || prefix.starts_with('-') || !prefix.bytes().all(plain) {
            return Err(StartError::Prefix(prefix.to_owned()));
        }
        Ok(Self { execute, prefix: prefix.to_owned() })
    }

    fn names(&self, resource: &str) -> Names {
        Names::new(&self.prefix, resource)
    }

    async fn mended(&self, network: &NetworkSpec, more: Option<&Workload>) -> Result<(), DriverError> {
        check_network(network)?;
        let names = self.names(&network.resource);
        let mut work = Work::mending(&*self.execute);
        network::converge(&mut work, &names, network).await?;
        let workloads: Vec<&Workload> = match more {
            Some(one) => vec![one],
            None => network.workloads.iter().collect(),
        };
        let mut outside = work.links(&names.namespace).await?;
        for workload in workloads {
            check_workload(network, workload)?;
            workload::converge(&mut work, &names, &mut outside, workload).await?;
        }
        let mended = work.into_findings();
        if !mended.is_empty() {
            tracing::info!(namespace = names.namespace, mended = mended.len(), "the network was made as it shall be");
        }
        Ok(())
    }
}

/// Namespaces of a network's workloads.
async fn workloads(work: &mut Work<'_>, names: &Names) -> Result<Vec<String>, DriverError> {
    let all = work.namespaces().await?;
    Ok(all.iter().filter(|name| names.port_of(name).is_some()).cloned().collect())
}

#[async_trait]
impl Driver for Linux {
    async fn allocate(&self, _request: &AllocationRequest) -> Result<Option<Prefix>, DriverError> {
        Ok(None)
    }

    async fn apply(&self, network: &NetworkSpec) -> Result<(), DriverError> {
        self.mended(network, None).await
    }

    async fn remove(&self, resource: &str) -> Result<(), DriverError> {
        let names = self.names(resource);
        let mut work = Work::mending(&*self.execute);
        let own = work.namespace(&names.namespace).await?;
        if let Namespace::Standing(links) = &own
            && links.named(BRIDGE).is_some()
        {
            // Without the bridge nobody reaches anybody, from now on.
            let delete = change("ip", ["-n", &names.namespace, "link", "delete", "dev", BRIDGE]);
            work.mend("the bridge is still there".to_owned(), &[delete]).await?;
        }
        for workload in workloads(&mut work, &names).await? {
            let delete = change("ip", ["netns", "delete", &workload]);
            work.mend(format!("`{workload}` is still there"), &[delete]).await?;
        }
        if !matches!(own, Namespace::Absent) {
            let delete = change("ip", ["netns", "delete", &names.namespace]);
            work.mend(format!("`{}` is still there", names.namespace), &[delete]).await?;
        }
        Ok(())
    }

    async fn attach(&self, network: &NetworkSpec, workload: &Workload) -> Result<Object, DriverError> {
        self.mended(network, Some(workload)).await?;
        let names = self.names(&network.resource).workload(&workload.binding_resource);
        let mut credentials = Object::new();
        credentials.insert("namespace".to_owned(), names.namespace.into());
        credentials.insert("interface".to_owned(), INTERFACE.into());
        credentials.insert("mac_address".to_owned(), names.mac.into());
        Ok(credentials)
    }

    async fn detach(&self, resource: &str, binding_resource: &str) -> Result<(), DriverError> {
        let mut work = Work::mending(&*self.execute);
        workload::detach(&mut work, &self.names(resource), binding_resource).await
    }

    async fn check(&self, network: &NetworkSpec) -> Result<Vec<String>, DriverError> {
        let names = self.names(&network.resource);
        let mut work = Work::looking(&*self.execute);
        if network::converge(&mut work, &names, network).await? {
            let mut outside = work.links(&names.namespace).await?;
            for workload in &network.workloads {
                workload::converge(&mut work, &names, &mut outside, workload).await?;
            }
            strays(&mut work, &names, &outside, network);
        }
        let bound: BTreeSet<_> =
            network.workloads.iter().map(|workload| names.workload(&workload.binding_resource).namespace).collect();
        for namespace in workloads(&mut work, &names).await? {
            if !bound.contains(&namespace) {
                work.note(format!("the namespace `{namespace}` belongs to no binding"));
            }
        }
        Ok(work.into_findings())
    }
}

/// Ports of the bridge that no binding has.
fn strays(work: &mut Work<'_>, names: &Names, outside: &Links, network: &NetworkSpec) {
    let bound: BTreeSet<_> =
        network.workloads.iter().map(|workload| names.workload(&workload.binding_resource).port).collect();
    for port in outside.ports().filter(|port| !bound.contains(&port.ifname)) {
        work.note(format!("the port `{}` in `{}` belongs to no binding", port.ifname, names.namespace));
    }
}

/// The broker never asks for such a network; a mistake of it must not become a hole.
fn check_network(network: &NetworkSpec) -> Result<(), DriverError> {
    let inside = |prefix: Prefix| network.prefixes.iter().any(|range| range.prefix.contains(prefix));
    let right = (1..=PREFIXES_MAX).contains(&network.prefixes.len())
        && network.prefixes.iter().all(|range| holds(range.prefix, range.gateway))
        && network
            .subnets
            .iter()
            .all(|subnet| inside(subnet.range.prefix) && holds(subnet.range.prefix, subnet.range.gateway));
    right.then_some(()).ok_or_else(|| malformed("the network's ranges and gateways don't fit together"))
}

fn check_workload(network: &NetworkSpec, workload: &Workload) -> Result<(), DriverError> {
    let right = (1..=2 * PREFIXES_MAX).contains(&workload.addresses.len())
        && workload.addresses.iter().all(|assigned| {
            let range = range(assigned.address, assigned.prefix_length);
            range.is_some_and(|range| holds(range, assigned.gateway))
                && network.prefixes.iter().any(|one| holds(one.prefix, assigned.address))
        });
    right.then_some(()).ok_or_else(|| malformed("the workload's addresses don't lie in the network"))
}

fn malformed(what: &str) -> DriverError {
    DriverError::Failed { what: what.to_owned(), detail: None }
}

fn range(address: IpAddr, length: u8) -> Option<Prefix> {
    let net = ipnet::IpNet::new(address, length).ok()?;
    net.trunc().to_string().parse().ok()
}

fn holds(prefix: Prefix, address: IpAddr) -> bool {
    range(address, prefix.version().bits()).is_some_and(|address| prefix.contains(address))
}
