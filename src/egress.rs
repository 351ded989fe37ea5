//! Where the hub may connect to: everything but loopback, link-local (where clouds keep their metadata), multicast and
//! unspecified addresses, and what the operator allows beyond that.
//!
//! It connects to nothing itself. Invariant: an IPv4 address is judged as such in whatever IPv6 form it comes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The settings `[egress] allow`, as a policy for everything that goes out.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    allow: Vec<IpNet>,
}

impl Policy {
    /// Allows those networks beside what is allowed anyway.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }
}

impl osb::client::EgressPolicy for Policy {
    fn permits(&self, ip: IpAddr) -> bool {
        let plain = unwrapped(ip);
        let special = match plain {
            IpAddr::V4(ip) => {
                ip.is_loopback()
                    || ip.is_link_local()
                    || ip.is_multicast()
                    || ip.is_broadcast()
                    || ip.octets().first() == Some(&0)
            }
            IpAddr::V6(ip) => {
                ip.is_loopback() || ip.is_unicast_link_local() || ip.is_multicast() || ip.is_unspecified()
            }
        };
        !special || self.allow.iter().any(|net| net.contains(&plain) || net.contains(&ip))
    }
}

/// The IPv4 address inside an IPv4-mapped, IPv4-compatible, NAT64 or 6to4 address; else the address itself.
fn unwrapped(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let low = |ip: Ipv6Addr| {
        let [.., a, b, c, d] = ip.octets();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0 | 1, ..] => low(v6),
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => low(v6),
        [0x2002, ab, cd, ..] => {
            let ([a, b], [c, d]) = (ab.to_be_bytes(), cd.to_be_bytes());
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => ip,
    }
}

#[cfg(test)]
mod tests {
    use osb::client::EgressPolicy as _;

    use super::*;

    fn check(allow: &[&str], ip: &str, expected: bool) {
        let policy = Policy::new(allow.iter().map(|net| net.parse().unwrap()).collect());
        assert_eq!(policy.permits(ip.parse().unwrap()), expected, "{ip} with {allow:?}");
    }

    #[test]
    fn special_addresses_are_refused_in_every_form_and_others_are_not() {
        for ip in ["10.1.2.3", "192.0.2.1", "2001:db8::1", "::ffff:10.0.0.1"] {
            check(&[], ip, true);
        }
        let special =
            ["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1"];
        let wrapped =
            ["::ffff:127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::7f00:1", "::127.0.0.1", "2002:7f00:1::"];
        for ip in special.into_iter().chain(wrapped).chain(["ff02::1"]) {
            check(&[], ip, false);
        }
    }

    #[test]
    fn an_allowed_network_is_allowed_in_every_form() {
        check(&["127.0.0.0/8"], "127.0.0.1", true);
        check(&["127.0.0.0/8"], "::ffff:127.0.0.1", true);
        check(&["127.0.0.0/8"], "169.254.169.254", false);
        check(&["::1/128"], "::1", true);
    }
}
