//! A policy for who calls URLs that others chose. Loopback, link-local (where clouds keep their metadata), multicast and unspecified addresses
//! are refused, in whichever form they are written, unless the configuration allows them.
//!
//! It is asked about literal addresses when a URL is taken and, by [`EgressResolver`](super::EgressResolver), about every address
//! that a name resolves to before each connect, so a name that changes its mind in between gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::EgressPolicy;

/// Which addresses may be connected to.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    allow: Vec<IpNet>,
}

/// The address at which one cloud has its metadata for IPv6; it lies in an otherwise ordinary private range.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

impl Egress {
    /// A policy that allows those networks whatever they are.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }
}

impl EgressPolicy for Egress {
    fn permits(&self, ip: IpAddr) -> bool {
        let allowed = |ip: IpAddr| self.allow.iter().any(|net| net.contains(&ip));
        if allowed(ip) {
            return true;
        }
        let IpAddr::V6(v6) = ip else { return !refused(ip) };
        // An address that carries another one is as good as that.
        embedded(v6).map_or(!refused(ip), |v4| allowed(v4.into()) || !refused(v4.into()))
    }
}

fn refused(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, ..] = ip.octets();
            first == 0 || ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast()
        }
        IpAddr::V6(ip) => {
            ip.is_unspecified()
                || ip.is_loopback()
                || ip.is_unicast_link_local()
                || ip.is_multicast()
                || ip == METADATA_V6
        }
    }
}

/// The IPv4 address inside an IPv6 address: mapped, compatible, NAT64 (the well-known and the local prefix), 6to4.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x0064, 0xff9b, 1, rest @ ..] => Some(local_nat64(rest)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// RFC 8215's prefix may be cut at 48, 56, 64 or 96 bits; only the network knows. A reading that is refused counts most.
fn local_nat64(rest: [u16; 5]) -> Ipv4Addr {
    let [[b0, b1], [_, b3], [b4, b5], [b6, b7], [b8, b9]] = rest.map(u16::to_be_bytes);
    // RFC 6052: the octet of bits 64 to 71, the third here, is zero and skipped.
    let cut_at_96 = Ipv4Addr::new(b6, b7, b8, b9);
    let others = [[b0, b1, b3, b4], [b1, b3, b4, b5], [b3, b4, b5, b6]].map(Ipv4Addr::from);
    // Zeros are what stands before the address when the prefix is longer.
    others.into_iter().find(|ip| ip.octets()[0] != 0 && refused((*ip).into())).unwrap_or(cut_at_96)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(allow: &[&str], permitted: bool, ips: &[&str]) {
        let egress = Egress::new(allow.iter().map(|net| net.parse().unwrap()).collect());
        for ip in ips {
            assert_eq!(egress.permits(ip.parse().unwrap()), permitted, "{ip} with {allow:?}");
        }
    }

    const LOOPBACK: &[&str] = &[
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::127.0.0.1",
        "64:ff9b:1:7f00:0:100::",
        "2002:7f00:1::",
    ];

    #[test]
    fn loopback_is_refused_in_every_form() {
        check(&[], false, LOOPBACK);
    }

    #[test]
    fn link_local_and_metadata_are_refused_in_every_form() {
        check(
            &[],
            false,
            &[
                "169.254.169.254",
                "169.254.0.1",
                "::ffff:169.254.169.254",
                "64:ff9b::a9fe:a9fe",
                "64:ff9b:1::a9fe:a9fe",
                "2002:a9fe:a9fe::1",
                "fe80::1",
                "febf::1",
                "fd00:ec2::254",
            ],
        );
    }

    #[test]
    fn multicast_broadcast_and_unspecified_are_refused_in_every_form() {
        check(
            &[],
            false,
            &[
                "224.0.0.1",
                "239.255.255.255",
                "255.255.255.255",
                "0.0.0.0",
                "0.1.2.3",
                "::",
                "::ffff:0.0.0.0",
                "::ffff:224.0.0.1",
                "64:ff9b::",
                "64:ff9b::e000:1",
                "ff02::1",
                "ff0e::1",
            ],
        );
    }

    #[test]
    fn all_else_is_permitted_private_networks_too() {
        check(
            &[],
            true,
            &[
                "10.0.0.1",
                "172.16.0.1",
                "192.168.1.1",
                "100.64.0.1",
                "93.184.216.34",
                "126.255.255.255",
                "128.0.0.1",
                "169.253.255.255",
                "169.255.0.0",
                "223.255.255.255",
                "2606:2800:220:1::1",
                "fd00::1",
                "fec0::1",
                "::ffff:10.0.0.1",
                "64:ff9b::10.0.0.1",
                "64:ff9b:1::10.0.0.1",
                "2002:a00:1::",
            ],
        );
    }

    #[test]
    fn what_the_configuration_allows_is_permitted_in_every_form_and_nothing_more() {
        check(&["127.0.0.0/8", "::1/128"], true, LOOPBACK);
        check(&["127.0.0.0/8"], false, &["::1", "169.254.169.254", "0.0.0.0", "fe80::1"]);
        check(&["127.0.0.1/32"], false, &["127.0.0.2", "::ffff:127.0.0.2"]);
        check(&["fe80::/10"], true, &["fe80::1"]);
        check(&["::ffff:127.0.0.1/128"], true, &["::ffff:127.0.0.1"]);
    }

    #[test]
    fn every_special_ipv4_network_is_refused_to_its_edges_and_not_beyond() {
        for first in 0..=255u8 {
            for second in [0, 1, 127, 128, 168, 169, 253, 254, 255] {
                let ip = Ipv4Addr::new(first, second, 1, 1);
                let special = matches!((first, second), (0 | 127 | 224..=239, _) | (169, 254));
                let egress = Egress::default();
                assert_eq!(egress.permits(ip.into()), !special, "{ip}");
                assert_eq!(egress.permits(ip.to_ipv6_mapped().into()), !special, "mapped {ip}");
            }
        }
    }
}
