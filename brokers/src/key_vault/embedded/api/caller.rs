//! Where a request comes from: the other end of the connection, or who a trusted proxy says that it is.
//!
//! Pure. Invariant: what a peer says that is not trusted changes nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;

/// An address that lies in no bound network: of a socket of another kind, or where a proxy names no address.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The caller. `forwarded` are the lines of `X-Forwarded-For` as they came: proxies append, so only the end is theirs.
pub(super) fn caller<'a>(
    peer: Option<IpAddr>,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[IpNet],
) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut caller = peer.map_or(NOWHERE, |peer| peer.to_canonical());
    for hop in forwarded.rev().flat_map(|line| line.rsplit(',')) {
        if !is_trusted(&caller) {
            break;
        }
        caller = address(hop.trim()).unwrap_or(NOWHERE);
    }
    caller
}

/// An address as proxies write it, some with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        caller(Some(peer.parse().unwrap()), forwarded.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let proxies = ["10.0.0.0/8", "::1/128"];
        assert_eq!(from("10.0.0.1", &["192.0.2.7"], &[]), "10.0.0.1", "nobody is trusted");
        assert_eq!(from("192.0.2.9", &["192.0.2.7"], &proxies), "192.0.2.9", "not by a proxy");
        assert_eq!(from("10.0.0.1", &["192.0.2.7"], &proxies), "192.0.2.7");
        assert_eq!(from("::ffff:10.0.0.1", &["192.0.2.7"], &proxies), "192.0.2.7");
        assert_eq!(from("10.0.0.1", &[], &proxies), "10.0.0.1", "the proxy's own call");
        assert_eq!(caller(None, ["192.0.2.7"].into_iter(), &[]), NOWHERE);
    }

    #[test]
    fn what_a_caller_wrote_before_its_own_address_is_not_believed() {
        let proxies = ["10.0.0.0/8"];
        assert_eq!(from("10.0.0.1", &["198.51.100.1, 192.0.2.7"], &proxies), "192.0.2.7");
        assert_eq!(from("10.0.0.1", &["198.51.100.1", "192.0.2.7, 10.0.0.2"], &proxies), "192.0.2.7");
        assert_eq!(from("10.0.0.1", &["198.51.100.1, unknown"], &proxies), "0.0.0.0");
        assert_eq!(from("10.0.0.1", &["10.0.0.3, 10.0.0.2"], &proxies), "10.0.0.3");
        assert_eq!(from("10.0.0.1", &["192.0.2.7:4711"], &proxies), "192.0.2.7");
        assert_eq!(from("10.0.0.1", &["[2001:db8::1]:4711"], &proxies), "2001:db8::1");
        assert_eq!(from("10.0.0.1", &["[2001:db8::1]"], &proxies), "2001:db8::1");
    }
}
