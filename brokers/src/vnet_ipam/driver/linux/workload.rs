//! A workload's part: a namespace of its own, and a pair of interfaces from there to the network's bridge.
//!
//! What guards the network from the workload stands at the pair's other end, in the network's namespace, where whoever is in
//! the workload's can't get at it. Invariant: a port joins the bridge only when its rules stand.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::names::{BRIDGE, INTERFACE, Names, WorkloadNames};
use super::network::{addresses, up};
use super::observe::{Link, Links, Namespace, Route};
use super::rules;
use super::work::{Work, change, look};
use crate::vnet_ipam::driver::{Assigned, DriverError, Workload};

/// Looks at a workload, or mends it. The network's own part must stand; `outside` are the interfaces in its namespace.
pub(super) async fn converge(
    work: &mut Work<'_>,
    network: &Names,
    outside: &mut Links,
    workload: &Workload,
) -> Result<(), DriverError> {
    let names = network.workload(&workload.binding_resource);
    let inside = work.ensure_namespace(&names.namespace, "the workload's namespace").await?;
    let Some(inside) = inside else { return Ok(()) };
    let Some(inside) = pair(work, network, &names, outside, inside).await? else { return Ok(()) };
    let (Some(port), Some(interface)) = (outside.named(&names.port), inside.named(INTERFACE)) else {
        return Err(DriverError::Failed {
            what: "what was just made is gone: somebody else changes it".to_owned(),
            detail: Some(format!("the interfaces of `{}`", names.namespace)),
        });
    };
    guard(work, network, &names, port, workload).await?;
    furnish(work, &names, &inside, interface).await?;
    let wanted: BTreeSet<_> = workload.addresses.iter().map(borne).collect();
    addresses(work, &names.namespace, interface, wanted).await?;
    for assigned in &workload.addresses {
        route(work, &names.namespace, assigned).await?;
    }
    Ok(())
}

/// Connects the two ends. Returns the interfaces inside; `None` where a pass that only looks did not find them connected.
async fn pair(
    work: &mut Work<'_>,
    network: &Names,
    names: &WorkloadNames,
    outside: &mut Links,
    inside: Links,
) -> Result<Option<Links>, DriverError> {
    let WorkloadNames { namespace, port, mac } = names;
    let ends = (outside.named(port), inside.named(INTERFACE));
    if let (Some(port), Some(interface)) = ends
        && are_paired(port, interface)
    {
        return Ok(Some(inside));
    }
    let mut commands = Vec::new();
    if outside.named(port).is_some() {
        commands.push(change("ip", ["-n", &network.namespace, "link", "delete", "dev", port]));
    }
    // Its other end, if it has one at all, is not this port.
    if inside.named(INTERFACE).is_some() {
        commands.push(change("ip", ["-n", namespace, "link", "delete", "dev", INTERFACE]));
    }
    let mut add = change("ip", ["-n", &network.namespace, "link", "add", "name", port, "type", "veth"]);
    let peer = ["peer", "name", INTERFACE, "address", mac, "netns", namespace];
    add.arguments.extend(peer.map(str::to_owned));
    commands.push(add);
    work.mend(format!("`{namespace}` is not connected with its network"), &commands).await?;
    if !work.mends() {
        return Ok(None);
    }
    *outside = work.links(&network.namespace).await?;
    work.links(namespace).await.map(Some)
}

fn are_paired(port: &Link, interface: &Link) -> bool {
    let leads_to = |from: &Link, to: &Link| from.is_kind("veth") && from.link_index == Some(to.ifindex);
    leads_to(port, interface) && leads_to(interface, port)
}

/// The end that the workload can't get at.
async fn guard(
    work: &mut Work<'_>,
    network: &Names,
    names: &WorkloadNames,
    port: &Link,
    workload: &Workload,
) -> Result<(), DriverError> {
    let namespace = network.namespace.as_str();
    work.ensure_table(namespace, port, &rules::of_workload(names, workload)).await?;
    let name = names.port.as_str();
    if port.master.as_deref() != Some(BRIDGE) {
        let join = change("ip", ["-n", namespace, "link", "set", "dev", name, "master", BRIDGE]);
        work.mend(format!("`{name}` in `{namespace}` is no port of the bridge"), &[join]).await?;
    }
    if !port.is_up() {
        work.mend(format!("`{name}` in `{namespace}` is down"), &up(namespace, name)).await?;
    }
    addresses(work, namespace, port, BTreeSet::new()).await
}

/// The workload's end.
async fn furnish(
    work: &mut Work<'_>,
    names: &WorkloadNames,
    inside: &Links,
    interface: &Link,
) -> Result<(), DriverError> {
    let WorkloadNames { namespace, mac, .. } = names;
    if interface.address != *mac {
        let set = change("ip", ["-n", namespace, "link", "set", "dev", INTERFACE, "address", mac]);
        work.mend(format!("`{INTERFACE}` in `{namespace}` has another hardware address"), &[set]).await?;
    }
    if !inside.named("lo").is_some_and(Link::is_up) {
        let up = change("ip", ["-n", namespace, "link", "set", "dev", "lo", "up"]);
        work.mend(format!("`lo` in `{namespace}` is down"), &[up]).await?;
    }
    if !interface.is_up() {
        work.mend(format!("`{INTERFACE}` in `{namespace}` is down"), &up(namespace, INTERFACE)).await?;
    }
    Ok(())
}

/// An address as the workload's interface bears it. With IPv6 nothing but the gateway is on-link: two workloads of which only
/// one takes the other for a neighbour can't find each other, since an answer that went by way of a router is not believed
/// (RFC 4861, 7.1.2). That is so where one is in a subnet and the other is not. ARP does not mind.
fn borne(assigned: &Assigned) -> (IpAddr, u8) {
    match assigned.address {
        IpAddr::V4(_) => (assigned.address, assigned.prefix_length),
        IpAddr::V6(_) => (assigned.address, 128),
    }
}

async fn route(work: &mut Work<'_>, namespace: &str, assigned: &Assigned) -> Result<(), DriverError> {
    let gateway = assigned.gateway;
    if gateway == assigned.address {
        return Ok(());
    }
    let family = if gateway.is_ipv4() { "-4" } else { "-6" };
    let list = ["-n", namespace, "-json", family, "route", "show", "default"];
    let routes: Vec<Route> = work.json(&look("ip", list)).await?;
    let right = |route: &Route| route.gateway == Some(gateway) && route.dev.as_deref() == Some(INTERFACE);
    if routes.iter().any(right) {
        return Ok(());
    }
    let text = gateway.to_string();
    let replace = ["-n", namespace, family, "route", "replace", "default", "via", &text, "dev", INTERFACE, "onlink"];
    work.mend(format!("`{namespace}` has no default route by {gateway}"), &[change("ip", replace)]).await
}

/// Takes a workload away: first its connection, then what is left.
pub(super) async fn detach(work: &mut Work<'_>, network: &Names, binding_resource: &str) -> Result<(), DriverError> {
    let WorkloadNames { namespace, port, .. } = network.workload(binding_resource);
    if let Namespace::Standing(outside) = work.namespace(&network.namespace).await? {
        if outside.named(&port).is_some() {
            let delete = change("ip", ["-n", &network.namespace, "link", "delete", "dev", &port]);
            work.mend(format!("`{port}` is still there"), &[delete]).await?;
        }
        work.remove_table(&network.namespace, rules::PORT_FAMILY, &port).await?;
    }
    if !matches!(work.namespace(&namespace).await?, Namespace::Absent) {
        let delete = change("ip", ["netns", "delete", &namespace]);
        work.mend(format!("`{namespace}` is still there"), &[delete]).await?;
    }
    Ok(())
}
