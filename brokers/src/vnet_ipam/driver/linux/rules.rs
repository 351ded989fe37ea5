//! The rules of the packet filter, as text that `nft -f` replaces a whole table by, at once.
//!
//! Two kinds of table. The network's own lets its gateways be pinged and routes between its prefixes, and nothing else. A
//! workload's hangs on its port, outside of its namespace, and lets through only what bears its addresses. Pure. Invariant:
//! what no rule accepts is dropped, and nothing that somebody typed gets into the text: only parsed addresses and hashes.

use std::net::IpAddr;

use super::names::{BRIDGE, WorkloadNames, hash};
use crate::vnet_ipam::driver::{NetworkSpec, Workload};
use crate::vnet_ipam::prefix::Version;

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// `inet` or `netdev`.
    pub(super) family: &'static str,
    /// Its name.
    pub(super) name: String,
    body: String,
}

impl Table {
    /// What makes it so, whatever stands there: one transaction.
    pub(super) fn text(&self) -> String {
        let Self { family, name, body } = self;
        format!("{}table {family} {name} {{\nchain {} {{ }}\n{body}}}\n", removal(family, name), self.mark())
    }

    /// The name of an empty chain that says which text a table was made of: `nft` lists rules in its own words, so that the
    /// text can't be compared with them.
    pub(super) fn mark(&self) -> String {
        format!("of_{}", hash(&self.body, 16))
    }
}

/// What removes a table, there or not.
pub(super) fn removal(family: &str, name: &str) -> String {
    format!("table {family} {name}\ndelete table {family} {name}\n")
}

/// The table of a workload's port.
pub(super) const PORT_FAMILY: &str = "netdev";

/// The network's own table. Frames between workloads don't come here, except where the kernel was told to show bridged
/// packets to it (`br_netfilter`): therefore it lets pass what a network says to all of itself.
pub(super) fn of_network(network: &NetworkSpec) -> Table {
    let prefixes = |version: Version| {
        let of_it = network.prefixes.iter().map(|range| range.prefix).filter(|prefix| prefix.version() == version);
        join(of_it)
    };
    let set = |name: &str, kind: &str, elements: &str| {
        let elements = if elements.is_empty() { String::new() } else { format!("elements = {{ {elements} }}; ") };
        format!("set {name} {{ type {kind}; flags interval; auto-merge; {elements}}}\n")
    };
    let body = format!(
        "{v4}{v6}\
         chain forward {{ type filter hook forward priority 0; policy drop;\n\
         iifname \"{BRIDGE}\" oifname \"{BRIDGE}\" ip saddr @v4 ip daddr @v4 accept\n\
         iifname \"{BRIDGE}\" oifname \"{BRIDGE}\" ip saddr @v4 ip daddr {{ 224.0.0.0/24, 255.255.255.255 }} accept\n\
         iifname \"{BRIDGE}\" oifname \"{BRIDGE}\" ip6 saddr @v6 ip6 daddr @v6 accept\n\
         iifname \"{BRIDGE}\" oifname \"{BRIDGE}\" ip6 saddr @v6 ip6 daddr ff02::/16 accept\n}}\n\
         chain input {{ type filter hook input priority 0; policy drop;\n\
         icmp type echo-request accept\n\
         icmpv6 type {{ echo-request, nd-neighbor-solicit, nd-neighbor-advert }} accept\n}}\n\
         chain output {{ type filter hook output priority 0; policy accept;\n\
         icmp type redirect drop\n\
         icmpv6 type nd-redirect drop\n}}\n",
        v4 = set("v4", "ipv4_addr", &prefixes(Version::V4)),
        v6 = set("v6", "ipv6_addr", &prefixes(Version::V6)),
    );
    Table { family: "inet", name: "vnet".to_owned(), body }
}

/// The table of a workload's port: its hardware address, its addresses, ARP and neighbour discovery for those, and no word
/// of a router.
pub(super) fn of_workload(names: &WorkloadNames, workload: &Workload) -> Table {
    let WorkloadNames { port, mac, .. } = names;
    let addresses = || workload.addresses.iter().map(|assigned| assigned.address);
    let v4 = join(addresses().filter(IpAddr::is_ipv4));
    let v6 = join(addresses().filter(IpAddr::is_ipv6));
    let mut body = format!(
        "chain ingress {{ type filter hook ingress device \"{port}\" priority 0; policy drop;\n\
         ether saddr != {mac} drop\n"
    );
    if !v4.is_empty() {
        body += &format!("ether type arp arp saddr ether {mac} arp saddr ip {{ {v4} }} accept\n");
        body += &format!("ether type ip ip saddr {{ {v4} }} accept\n");
    }
    if !v6.is_empty() {
        // The target of an advertisement, 8 bytes into ICMPv6; older versions of nft have no name for it.
        let targets = addresses().filter_map(|address| match address {
            IpAddr::V6(address) => Some(format!("{:#034x}", u128::from(address))),
            IpAddr::V4(_) => None,
        });
        let targets = join(targets);
        body += "icmpv6 type { nd-router-solicit, nd-router-advert, nd-redirect } drop\n";
        body += &format!("icmpv6 type nd-neighbor-advert @th,64,128 != {{ {targets} }} drop\n");
        body += &format!("ether type ip6 ip6 saddr {{ {v6} }} accept\n");
    }
    body += "}\n";
    Table { family: PORT_FAMILY, name: port.clone(), body }
}

fn join(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
