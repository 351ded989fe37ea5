//! From where a request comes: decided by the connection. What a header says of it counts only where the connection is a proxy's that
//! the settings trust.

use std::net::IpAddr;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, USER_AGENT};
use ipnet::IpNet;

use super::observe::Trace;
use super::routes::API;
use crate::app::audit::Origin;

/// Characters of a user agent that are kept.
const USER_AGENT_MAX: usize = 200;
const FORWARDED_FOR: &str = "x-forwarded-for";
/// Hops of a chain of proxies that are looked at.
const HOPS_MAX: usize = 32;

/// Where a request comes from.
pub(in crate::http) fn of(request: &ServiceRequest, trace: &Trace, trusted: &[IpNet]) -> Origin {
    let headers = request.headers();
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    let decent = |text: &str| text.chars().filter(|sign| !sign.is_control()).take(USER_AGENT_MAX).collect::<String>();
    Origin {
        address: request.peer_addr().map(|peer| client(peer.ip().to_canonical(), headers, trusted)),
        request_id: Some(trace.request_id.clone()),
        user_agent: agent.map(decent).filter(|agent| !agent.is_empty()),
        channel: channel(request.path()),
    }
}

fn channel(path: &str) -> &'static str {
    if path.starts_with(API) {
        "api"
    } else if path.starts_with("/v2/") || path.starts_with("/brokers/") {
        "osb"
    } else {
        "portal"
    }
}

/// The nearest address that is no trusted proxy's. Each proxy appends whom it heard from, so the list is read from its end; what
/// stands before an untrusted address is only what that one claims.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let trusts = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let values: Vec<&str> = headers.get_all(FORWARDED_FOR).filter_map(|value| value.to_str().ok()).collect();
    let mut nearest = peer;
    let hops = values.iter().rev().flat_map(|value| value.rsplit(','));
    for hop in hops.take(HOPS_MAX) {
        if !trusts(&nearest) {
            break;
        }
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        nearest = address.to_canonical();
    }
    nearest
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[track_caller]
    fn check(peer: &str, forwarded: &[&str], trusted: &[&str], expected: &str) {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(HeaderName::from_static(FORWARDED_FOR), HeaderValue::from_str(value).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        assert_eq!(client(peer.parse().unwrap(), &headers, &trusted).to_string(), expected, "{peer} {forwarded:?}");
    }

    #[test]
    fn a_header_counts_only_behind_a_trusted_proxy() {
        check("192.0.2.1", &["198.51.100.7"], &[], "192.0.2.1");
        check("192.0.2.1", &["198.51.100.7"], &["10.0.0.0/8"], "192.0.2.1");
        check("10.0.0.1", &["198.51.100.7"], &["10.0.0.0/8"], "198.51.100.7");
        check("10.0.0.1", &[], &["10.0.0.0/8"], "10.0.0.1");
    }

    #[test]
    fn what_a_client_says_of_itself_is_not_believed() {
        check("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"], &["10.0.0.0/8"], "198.51.100.7");
        check("10.0.0.1", &["203.0.113.9", "198.51.100.7"], &["10.0.0.0/8"], "198.51.100.7");
        check("10.0.0.1", &["nonsense"], &["10.0.0.0/8"], "10.0.0.1");
    }
}
