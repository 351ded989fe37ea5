//! What there is, as `ip` shows it in JSON.
//!
//! Pure reading of text. It deliberately takes only what is compared with what shall be. Invariant: a field that a version of
//! `ip` leaves out reads as "not so", so that it is set again rather than believed.

use std::net::IpAddr;

use serde::Deserialize;

/// A namespace.
#[derive(Debug)]
pub(super) enum Namespace {
    /// There is none of that name.
    Absent,
    /// There is a name that leads nowhere, as after a machine lost its power while one was made.
    Broken,
    /// Its interfaces.
    Standing(Links),
}

/// The interfaces of a namespace.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Links(Vec<Link>);

impl Links {
    pub(super) fn named(&self, name: &str) -> Option<&Link> {
        self.0.iter().find(|link| link.ifname == name)
    }

    /// Those that belong to a bridge.
    pub(super) fn ports(&self) -> impl Iterator<Item = &Link> {
        self.0.iter().filter(|link| link.master.is_some())
    }
}

/// An interface.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Link {
    pub(super) ifindex: u64,
    pub(super) ifname: String,
    /// The index of the other end, in its namespace.
    pub(super) link_index: Option<u64>,
    /// The hardware address.
    pub(super) address: String,
    pub(super) master: Option<String>,
    pub(super) ifalias: Option<String>,
    flags: Vec<String>,
    linkinfo: LinkInfo,
    addr_info: Vec<Address>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LinkInfo {
    info_kind: String,
    info_data: InfoData,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InfoData {
    mcast_snooping: Option<u8>,
    stp_state: Option<u8>,
}

#[derive(Debug, Deserialize)]
struct Address {
    local: IpAddr,
    prefixlen: u8,
}

impl Link {
    pub(super) fn is_kind(&self, kind: &str) -> bool {
        self.linkinfo.info_kind == kind
    }

    pub(super) fn is_up(&self) -> bool {
        self.flags.iter().any(|flag| flag == "UP")
    }

    /// Whether this bridge forwards multicast to all, without waiting for reports that the rules drop, and speaks no STP.
    pub(super) fn is_plain_bridge(&self) -> bool {
        let InfoData { mcast_snooping, stp_state } = &self.linkinfo.info_data;
        *mcast_snooping == Some(0) && *stp_state == Some(0)
    }

    /// Its addresses with their prefix lengths.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (IpAddr, u8)> + '_ {
        self.addr_info.iter().map(|address| (address.local, address.prefixlen))
    }
}

/// A route, as far as it is compared.
#[derive(Debug, Deserialize)]
pub(super) struct Route {
    pub(super) gateway: Option<IpAddr>,
    pub(super) dev: Option<String>,
}

/// What a namespace does with packets for others.
#[derive(Debug, Deserialize)]
pub(super) struct Forwarding {
    family: String,
    interface: String,
    #[serde(default)]
    forwarding: bool,
}

impl Forwarding {
    /// Whether packets of that family (`inet`, `inet6`) are forwarded.
    pub(super) fn is_on(all: &[Self], family: &str) -> bool {
        all.iter().any(|one| one.family == family && one.interface == "all" && one.forwarding)
    }
}

/// The names in `ip netns list`: each line begins with one.
pub(super) fn names(listing: &str) -> impl Iterator<Item = &str> {
    listing.lines().filter_map(|line| line.split_whitespace().next())
}
