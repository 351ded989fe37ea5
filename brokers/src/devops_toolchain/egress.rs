//! Where web hooks may be sent. Users choose their URLs, so loopback, link-local (where clouds keep their metadata), multicast
//! and unspecified addresses are refused, in whichever form they are written, unless the operator allows them.
//!
//! It is asked about literal addresses when a web hook is ordered and about every address that a name resolves to before each
//! connect, so a name that changes its mind in between gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Where one cloud has its metadata for IPv6, in an otherwise ordinary private range.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

/// Which addresses may be connected to.
#[derive(Clone, Debug, Default)]
pub(super) struct Egress {
    allow: Arc<[IpNet]>,
}

impl Egress {
    /// A rule that allows those networks whatever they are.
    pub(super) fn new(allow: Vec<IpNet>) -> Self {
        Self { allow: allow.into() }
    }

    pub(super) fn permits(&self, ip: IpAddr) -> bool {
        let allowed = |ip: IpAddr| self.allow.iter().any(|net| net.contains(&ip));
        match ip {
            IpAddr::V4(v4) => allowed(ip) || !refused_v4(v4),
            // An address that carries another one is as good as that.
            IpAddr::V6(v6) => match embedded(v6) {
                Some(v4) => allowed(ip) || allowed(v4.into()) || !refused_v4(v4),
                None => allowed(ip) || !refused_v6(v6),
            },
        }
    }

    /// Whether the URL holds a name, or an address that is permitted.
    pub(super) fn permits_literal(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        host.parse().map_or(true, |ip| self.permits(ip))
    }
}

fn refused_v4(ip: Ipv4Addr) -> bool {
    let [first, ..] = ip.octets();
    first == 0 || ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast()
}

fn refused_v6(ip: Ipv6Addr) -> bool {
    // The local NAT64 prefix can be cut in several ways; only the network knows, so nothing in it is permitted unasked.
    let [first, second, third, ..] = ip.segments();
    let local_nat64 = (first, second, third) == (0x0064, 0xff9b, 1);
    local_nat64
        || ip.is_unspecified()
        || ip.is_loopback()
        || ip.is_unicast_link_local()
        || ip.is_multicast()
        || ip == METADATA_V6
}

/// The IPv4 address inside an IPv6 address: mapped, compatible, translated, NAT64, 6to4.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x0064, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the egress rule refuses this host")]
struct Refused;

/// Resolves names with the system and leaves out what is refused.
pub(super) struct Resolver(pub(super) Egress);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let permitted: Vec<SocketAddr> = found.filter(|address| egress.permits(address.ip())).collect();
            if permitted.is_empty() {
                return Err(Refused.into());
            }
            let addresses: Addrs = Box::new(permitted.into_iter());
            Ok(addresses)
        })
    }
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

    #[test]
    fn what_is_near_is_refused_in_every_form_and_allowed_by_name_only() {
        let near = [
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "2002:7f00:1::",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "64:ff9b:1::7f00:1",
        ];
        check(&[], false, &near);
        check(&["127.0.0.0/8"], true, &["127.0.0.1", "::ffff:127.0.0.1"]);
        check(&["127.0.0.0/8"], false, &["169.254.169.254", "::1"]);
        check(&[], true, &["192.0.2.1", "10.1.2.3", "2001:db8::1", "fd00::1"]);
    }

    #[test]
    fn names_are_judged_when_they_are_resolved() {
        let egress = Egress::default();
        assert!(egress.permits_literal(&Url::parse("http://hooks.example/").unwrap()));
        assert!(!egress.permits_literal(&Url::parse("http://[::1]/").unwrap()));
        assert!(!egress.permits_literal(&Url::parse("http://0x7f.1/").unwrap()), "the URL parser knows such forms");
    }
}
