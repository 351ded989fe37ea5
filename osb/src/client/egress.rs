//! Where a client may connect to, enforced where it can't be gone round: on each address that a name resolves to, and on
//! addresses written into a URL.
//!
//! Through a proxy the proxy resolves names; then only the literal addresses can be judged here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Decides which addresses may be connected to.
pub trait EgressPolicy: Send + Sync + 'static {
    /// Whether that address may be connected to. IPv4 addresses mapped into IPv6 are asked about in both forms.
    fn permits(&self, ip: IpAddr) -> bool;
}

fn permits(policy: &dyn EgressPolicy, ip: IpAddr) -> bool {
    policy.permits(ip) && policy.permits(ip.to_canonical())
}

/// True unless the URL's host is an address that the policy refuses. Names are judged when they are resolved.
pub fn permits_literal(policy: &dyn EgressPolicy, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.parse().map_or(true, |ip| permits(policy, ip))
}

/// Resolves names with the system and leaves out what the policy refuses.
pub struct EgressResolver {
    /// What decides.
    pub policy: Arc<dyn EgressPolicy>,
    /// A name that is resolved whatever the policy says: the proxy's own, which the operator chose.
    pub exempt: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("the egress policy refuses this host")]
struct Refused;

impl Resolve for EgressResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        let exempt = self.exempt.as_deref() == Some(name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            if exempt {
                let addresses: Addrs = Box::new(found.collect::<Vec<_>>().into_iter());
                return Ok(addresses);
            }
            Ok(permitted(policy.as_ref(), found)?)
        })
    }
}

/// Of what a name resolves to, that which may be connected to.
fn permitted(policy: &dyn EgressPolicy, found: impl Iterator<Item = SocketAddr>) -> Result<Addrs, Refused> {
    let permitted: Vec<SocketAddr> = found.filter(|address| permits(policy, address.ip())).collect();
    if permitted.is_empty() {
        return Err(Refused);
    }
    Ok(Box::new(permitted.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Egress;

    #[test]
    fn a_name_that_resolves_to_a_metadata_address_leads_nowhere_in_whatever_form_it_is_told() {
        let of = |texts: &[&str]| {
            let found = texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect::<Vec<_>>();
            permitted(&Egress::default(), found.into_iter()).map(|left| left.map(|at| at.ip().to_string()).collect())
        };
        for alone in ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::a9fe:a9fe"] {
            assert!(of(&[alone]).is_err_and(|error| error.to_string().contains("egress policy")), "{alone}");
        }
        let left: Vec<String> = of(&["169.254.169.254", "192.0.2.1", "::ffff:169.254.169.254"]).unwrap();
        assert_eq!(left, ["192.0.2.1"], "one that changes its mind in between gains nothing");
    }

    #[test]
    fn names_are_judged_when_they_are_resolved_and_addresses_at_once() {
        let egress = Egress::default();
        assert!(permits_literal(&egress, &Url::parse("http://hooks.example/").unwrap()));
        assert!(!permits_literal(&egress, &Url::parse("http://[::1]/").unwrap()));
        assert!(!permits_literal(&egress, &Url::parse("http://0x7f.1/").unwrap()), "the URL parser knows such forms");
    }
}
