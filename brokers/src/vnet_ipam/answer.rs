//! What vnet-ipam answers: networks and addresses as users see them, and what its errors mean.
//!
//! Sentences are made where the fault is found. A fault of the database is for the log alone.

use jiff::Timestamp;
use osb::Object;
use osb::kit::{Fault, Reading};
use serde_json::{Value, json};

use super::driver::{Assigned, Range, Workload};
use super::prefix::{Prefix, Version};
use super::store::{Address, Error, Network, Status};

/// How many bits of an IPv6 address a network of the usual size leaves.
const HOST_BITS_V6: u32 = 64;

/// What an instance shows.
pub(super) fn attributes(network: &Network) -> Object {
    let mut attributes = Object::new();
    let mut set = |name: &str, value: Value| attributes.insert(name.to_owned(), value);
    let (state, held) = match network.status {
        Status::Confirmed => ("confirmed", network.prefixes.as_slice()),
        Status::Reserved { .. } => ("reserved", network.prefixes.as_slice()),
        Status::Expired => ("expired", &[][..]),
    };
    if let Some(first) = held.first() {
        set("cidr", first.to_string().into());
        set("gateway", gateway(*first).into());
    } else {
        set("lapsed_cidrs", texts(&network.prefixes));
    }
    set("cidrs", texts(held));
    set("ip_version", network.version.number().into());
    set("pool", network.pool.as_str().into());
    set("routing_domain", network.routing_domain.as_str().into());
    set("subnets", if held.is_empty() { Value::Array(Vec::new()) } else { subnets(network) });
    set("state", state.into());
    set("reservation_tag", network.resource.as_str().into());
    if let Status::Reserved { until } = network.status {
        set("reserved_until", time(until).into());
    }
    attributes
}

/// What a binding gives.
pub(super) fn credentials(network_id: &str, network: &Network, address: &Address) -> Object {
    let ip = |value: u128| network.version.address(value).to_string();
    let mut credentials = Object::new();
    let mut set = |name: &str, value: Value| credentials.insert(name.to_owned(), value);
    set("network_id", network_id.into());
    set("routing_domain", network.routing_domain.as_str().into());
    set("cidr", network.prefixes.first().map(Prefix::to_string).into());
    set("cidrs", texts(&network.prefixes));
    set("ip", ip(address.value).into());
    set("prefix_length", address.range.length().into());
    set("gateway", gateway(address.range).into());
    if let Some(subnet) = &address.subnet {
        set("subnet", subnet.as_str().into());
    }
    if let Some(hostname) = &address.hostname {
        set("hostname", hostname.as_str().into());
    }
    set("subnets", subnets(network));
    set("reservation_tag", network.resource.as_str().into());
    credentials
}

fn texts(prefixes: &[Prefix]) -> Value {
    prefixes.iter().map(Prefix::to_string).collect()
}

fn subnets(network: &Network) -> Value {
    let shown = network.subnets.iter().map(
        |subnet| json!({"name": subnet.name, "cidr": subnet.prefix.to_string(), "gateway": gateway(subnet.prefix)}),
    );
    shown.collect()
}

/// The first address behind the network's own.
fn gateway(range: Prefix) -> String {
    Range::new(range).gateway.to_string()
}

/// RFC 3339, UTC.
fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// An address as the driver attaches it.
pub(super) fn workload(address: &Address) -> Workload {
    let range = Range::new(address.range);
    let ip = address.range.version().address(address.value);
    let assigned = Assigned { address: ip, prefix_length: address.range.length(), gateway: range.gateway };
    Workload {
        binding_resource: address.binding.clone(),
        addresses: vec![assigned],
        hostname: address.hostname.clone(),
    }
}

/// What the meters read: addresses of IPv4, networks of /64 of IPv6, and addresses that bindings reserve.
pub(super) fn readings(network: &Network, reserved: u64) -> Vec<Reading> {
    let held = match network.status {
        Status::Expired => 0,
        _ => network.prefixes.iter().fold(0_u128, |held, prefix| held.saturating_add(prefix.size())),
    };
    let (v4, v6) = match network.version {
        Version::V4 => (held, 0),
        Version::V6 => (0, held >> HOST_BITS_V6),
    };
    let whole = |quantity: u128| u64::try_from(quantity).unwrap_or(u64::MAX);
    vec![
        Reading::new("prefix_addresses", whole(v4)),
        Reading::new("prefix_64s", whole(v6)),
        Reading::new("reserved_addresses", reserved),
    ]
}

/// What the store's errors mean.
pub(super) fn from_store(error: Error) -> Fault {
    match error {
        Error::Busy | Error::Gone => Fault::unavailable(error.to_string()),
        Error::Corrupt(_) | Error::Database(_) => Fault::failed(error),
        Error::SubnetDiffers { .. } => Fault::unchangeable(error.to_string()),
        refusal => Fault::invalid(refusal.to_string()),
    }
}
