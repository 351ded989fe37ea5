//! The network's own part: its namespace, the bridge in it, the gateways' addresses, and the rules.
//!
//! The namespace holds nothing else, and no interface of it leads anywhere but to the network's workloads: that no other
//! network and not the machine can be reached follows from that, whatever the rules say. Invariant: the rules stand before
//! the bridge is up.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use super::execute::Command;
use super::names::{BRIDGE, Names};
use super::observe::{Forwarding, Link};
use super::rules;
use super::work::{Work, change, look};
use crate::vnet_ipam::driver::{DriverError, NetworkSpec};
use crate::vnet_ipam::prefix::Version;

/// Looks at the network's own part, or mends it. False where a pass that only looks found nothing to look at.
pub(super) async fn converge(work: &mut Work<'_>, names: &Names, network: &NetworkSpec) -> Result<bool, DriverError> {
    let namespace = names.namespace.as_str();
    let Some(links) = work.ensure_namespace(namespace, "the network's namespace").await? else { return Ok(false) };
    let mac = names.mac();
    let mut links = links;
    let right = |link: &Link| link.is_kind("bridge") && link.address == mac;
    if !links.named(BRIDGE).is_some_and(right) {
        let add = ["-n", namespace, "link", "add", "name", BRIDGE, "address", &mac, "type", "bridge"];
        let add = change("ip", add);
        match links.named(BRIDGE) {
            None => work.mend(format!("the bridge in `{namespace}` is missing"), &[add]).await?,
            Some(_) => {
                let delete = change("ip", ["-n", namespace, "link", "delete", "dev", BRIDGE]);
                work.mend(format!("`{BRIDGE}` in `{namespace}` is not the network's bridge"), &[delete, add]).await?;
            }
        }
        if !work.mends() {
            return Ok(false);
        }
        links = work.links(namespace).await?;
    }
    let Some(bridge) = links.named(BRIDGE) else { return Err(vanished(namespace)) };
    work.ensure_table(namespace, bridge, &rules::of_network(network)).await?;
    settings(work, namespace, bridge).await?;
    forwarding(work, namespace, network).await?;
    if !bridge.is_up() {
        work.mend(format!("the bridge in `{namespace}` is down"), &up(namespace, BRIDGE)).await?;
    }
    addresses(work, namespace, bridge, gateways(network)).await?;
    Ok(true)
}

fn vanished(namespace: &str) -> DriverError {
    DriverError::Failed {
        what: "what was just made is gone: somebody else changes it".to_owned(),
        detail: Some(format!("the bridge in `{namespace}`")),
    }
}

async fn settings(work: &mut Work<'_>, namespace: &str, bridge: &Link) -> Result<(), DriverError> {
    if !bridge.is_plain_bridge() {
        let plain = ["type", "bridge", "stp_state", "0", "mcast_snooping", "0"];
        let mut set = change("ip", ["-n", namespace, "link", "set", "dev", BRIDGE]);
        set.arguments.extend(plain.map(str::to_owned));
        work.mend(format!("the bridge in `{namespace}` holds multicast back"), &[set]).await?;
    }
    Ok(())
}

/// What brings an interface up, without an IPv6 address that the kernel gives it of its own accord. Both go together: what is
/// up has been told so.
pub(super) fn up(namespace: &str, name: &str) -> [Command; 2] {
    [
        change("ip", ["-n", namespace, "link", "set", "dev", name, "addrgenmode", "none"]),
        change("ip", ["-n", namespace, "link", "set", "dev", name, "up"]),
    ]
}

/// The namespace routes between the prefixes of its network.
async fn forwarding(work: &mut Work<'_>, namespace: &str, network: &NetworkSpec) -> Result<(), DriverError> {
    let all: Vec<Forwarding> = work.json(&look("ip", ["-n", namespace, "-json", "netconf", "show"])).await?;
    let settings = [
        (Version::V4, "inet", "net.ipv4.conf.all.forwarding=1"),
        (Version::V6, "inet6", "net.ipv6.conf.all.forwarding=1"),
    ];
    for (version, family, setting) in settings {
        let needed = network.prefixes.iter().any(|range| range.prefix.version() == version);
        if needed && !Forwarding::is_on(&all, family) {
            let set = change("ip", ["netns", "exec", namespace, "sysctl", "-q", "-w", setting]);
            work.mend(format!("`{namespace}` does not route IPv{}", version.number()), &[set]).await?;
        }
    }
    Ok(())
}

/// The gateways' addresses: that of a prefix with its length, so that all of it is on-link; those of subnets alone, since
/// they lie in it.
fn gateways(network: &NetworkSpec) -> BTreeSet<(IpAddr, u8)> {
    let mut gateways: BTreeSet<_> =
        network.prefixes.iter().map(|range| (range.gateway, range.prefix.length())).collect();
    if network.prefixes.iter().any(|range| range.gateway.is_ipv6()) {
        // A router asks for its neighbours under a link-local address, and without one not at all.
        gateways.insert((IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)), 64));
    }
    for subnet in &network.subnets {
        let gateway = subnet.range.gateway;
        if !network.prefixes.iter().any(|range| range.gateway == gateway) {
            gateways.insert((gateway, subnet.range.prefix.version().bits()));
        }
    }
    gateways
}

/// Takes away addresses that an interface shall not have and adds those that it shall, in this order: an IPv6 address can't
/// be there with two lengths.
pub(super) async fn addresses(
    work: &mut Work<'_>,
    namespace: &str,
    link: &Link,
    wanted: BTreeSet<(IpAddr, u8)>,
) -> Result<(), DriverError> {
    let name = &link.ifname;
    let held: BTreeSet<_> = link.addresses().collect();
    for (address, length) in held.difference(&wanted) {
        let address = format!("{address}/{length}");
        let delete = change("ip", ["-n", namespace, "addr", "delete", &address, "dev", name]);
        work.mend(format!("`{name}` in `{namespace}` has the address {address}, which it shall not"), &[delete])
            .await?;
    }
    for (address, length) in wanted.difference(&held) {
        let text = format!("{address}/{length}");
        let mut add = change("ip", ["-n", namespace, "addr", "add", &text, "dev", name]);
        if address.is_ipv6() {
            // Nobody else can have it: there is no need to wait a second to find that out.
            add.arguments.push("nodad".to_owned());
        }
        work.mend(format!("`{name}` in `{namespace}` lacks the address {text}"), &[add]).await?;
    }
    Ok(())
}
