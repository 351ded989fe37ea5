//! What a machine must have before networks can be made on it, found out at start and said in sentences.
//!
//! The last check makes a small network with a workload and removes it: that finds what no version number tells.

use std::sync::Arc;

use uuid::Uuid;

use super::{Command, Linux, Programs};
use crate::vnet_ipam::driver::{Assigned, Driver, DriverError, NetworkSpec, Range, Workload};
use crate::vnet_ipam::prefix::{Prefix, Version};

/// Needed to make namespaces (they are mounted by name) and what is in them.
const CAPABILITIES: [(&str, u32); 2] = [("CAP_NET_ADMIN", 12), ("CAP_SYS_ADMIN", 21)];

/// Why networks can't be made on this machine.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The beginning of names.
    #[error("`{0}` can't begin names of namespaces: use 1 to {max} of a-z, 0-9 and -, not - first", max = super::NAMES_MAX)]
    Prefix(String),
    /// This process may not.
    #[error("this process lacks {0}: run it as root, or give it that capability")]
    Capability(&'static str),
    /// A program is missing.
    #[error("the program `{program}` can't be run: install {package}")]
    Program {
        /// The program.
        program: &'static str,
        /// What it comes with.
        package: &'static str,
    },
    /// The kernel, or what keeps this process in, refuses a part of it.
    #[error(
        "a network can't be made here: {0}; the kernel needs namespaces, bridge, veth and nftables with its netdev family, and /proc/sys must be writable"
    )]
    Trial(String),
}

impl Linux {
    /// A driver for this machine, which was found able to make networks.
    ///
    /// # Errors
    /// The sentence that says what is missing.
    pub async fn start(prefix: &str) -> Result<Self, StartError> {
        let driver = Self::new(Arc::new(Programs), prefix)?;
        driver.check_machine().await?;
        Ok(driver)
    }

    /// Finds out whether networks can be made here.
    ///
    /// # Errors
    /// The sentence that says what is missing.
    pub async fn check_machine(&self) -> Result<(), StartError> {
        let status = tokio::fs::read_to_string("/proc/self/status").await.unwrap_or_default();
        if let Some(missing) = missing_capability(&status) {
            return Err(StartError::Capability(missing));
        }
        let needed =
            [("ip", "-Version", "iproute2"), ("nft", "--version", "nftables"), ("sysctl", "--version", "procps")];
        for (program, argument, package) in needed {
            let command = Command { program, arguments: vec![argument.to_owned()], input: None, changes: false };
            let ended = self.execute.execute(&command).await;
            if !ended.is_ok_and(|ended| ended.success) {
                return Err(StartError::Program { program, package });
            }
        }
        let network = trial();
        let tried = self.try_out(&network).await;
        let removed = self.remove(&network.resource).await;
        let findings = tried.and_then(|findings| removed.map(|()| findings));
        match findings {
            Ok(findings) => match findings.into_iter().next() {
                None => Ok(()),
                Some(finding) => Err(StartError::Trial(finding)),
            },
            Err(DriverError::Failed { what, detail }) => Err(StartError::Trial(detail.unwrap_or(what))),
            Err(error) => Err(StartError::Trial(error.to_string())),
        }
    }

    async fn try_out(&self, network: &NetworkSpec) -> Result<Vec<String>, DriverError> {
        self.apply(network).await?;
        self.check(network).await
    }
}

/// A network of documentation addresses (RFC 5737) under a name that nobody else has. It has no IPv6: where the kernel has
/// none, IPv4 still works.
fn trial() -> NetworkSpec {
    let version = Version::V4;
    let prefix = Prefix::containing(version, u128::from(u32::from(std::net::Ipv4Addr::new(192, 0, 2, 0))), 24);
    let range = Range::new(prefix);
    let address = version.address(prefix.first() + 2);
    let assigned = Assigned { address, prefix_length: prefix.length(), gateway: range.gateway };
    let workload = Workload { binding_resource: "trial".to_owned(), addresses: vec![assigned], hostname: None };
    NetworkSpec {
        resource: format!("trial {}", Uuid::new_v4()),
        prefixes: vec![range],
        subnets: Vec::new(),
        routing_domain: None,
        tenant: None,
        workloads: vec![workload],
    }
}

/// The first capability that a process of that status lacks. A status that can't be read decides nothing: the trial does.
fn missing_capability(status: &str) -> Option<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let held = u64::from_str_radix(line.trim(), 16).ok()?;
    CAPABILITIES.iter().find(|(_, bit)| held & (1 << bit) == 0).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_capability_is_named() {
        let check = |held: &str, expected: Option<&str>| {
            assert_eq!(missing_capability(&format!("Name:\tx\nCapEff:\t{held}\nCapBnd:\t0\n")), expected, "{held}");
        };
        check("000001ffffffffff", None);
        check("0000000000201000", None);
        check("0000000000200000", Some("CAP_NET_ADMIN"));
        check("0000000000001000", Some("CAP_SYS_ADMIN"));
        check("0000000000000000", Some("CAP_NET_ADMIN"));
        assert_eq!(missing_capability("nothing of that kind"), None);
    }
}
