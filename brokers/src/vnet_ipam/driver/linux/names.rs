//! Names of what is made: each follows from the resource that it is made for, so that nothing has to be remembered.
//!
//! Pure. Invariant: what belongs to a network can be found by the names alone, and a name never holds what somebody typed.

use ring::digest::{SHA256, digest};

/// The bridge, in the network's namespace.
pub(super) const BRIDGE: &str = "br0";
/// The one interface of a workload, in its namespace.
pub(super) const INTERFACE: &str = "eth0";

/// The names of a network.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The namespace that holds its bridge.
    pub(super) namespace: String,
}

/// The names of a workload of it.
#[derive(Clone, Debug)]
pub(super) struct WorkloadNames {
    /// The namespace that is the workload's.
    pub(super) namespace: String,
    /// The interface in the network's namespace that leads there: at most 15 characters. Its table of rules has this name, too.
    pub(super) port: String,
    /// The hardware address of the interface in its namespace.
    pub(super) mac: String,
}

impl Names {
    pub(super) fn new(prefix: &str, resource: &str) -> Self {
        Self { namespace: format!("{prefix}{}", hash(resource, 8)) }
    }

    pub(super) fn workload(&self, binding_resource: &str) -> WorkloadNames {
        let hash = hash(binding_resource, 6);
        WorkloadNames {
            namespace: format!("{}-{hash}", self.namespace),
            port: port(&hash),
            mac: mac(b"workload", binding_resource),
        }
    }

    /// The port of a workload's namespace; `None` where the namespace is not one of this network's workloads.
    pub(super) fn port_of(&self, namespace: &str) -> Option<String> {
        let hash = namespace.strip_prefix(&self.namespace)?.strip_prefix('-')?;
        Some(port(hash))
    }

    /// The hardware address of the bridge.
    pub(super) fn mac(&self) -> String {
        mac(b"bridge", &self.namespace)
    }
}

fn port(hash: &str) -> String {
    format!("w{hash}")
}

/// Some hexadecimal digits, two a byte, that follow from the text.
pub(super) fn hash(text: &str, bytes: usize) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

/// A locally administered unicast address.
fn mac(kind: &[u8], of: &str) -> String {
    let digest = digest(&SHA256, &[kind, b"\0", of.as_bytes()].concat());
    let rest: String = digest.as_ref().iter().take(5).map(|byte| format!(":{byte:02x}")).collect();
    format!("02{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_plain_and_lead_back_to_the_network() {
        let names = Names::new("vnet-", "a resource; rm -rf / \u{1f4a5}");
        let workload = names.workload("../../etc\nbinding");
        assert_eq!((names.namespace.len(), workload.port.len(), workload.mac.len()), (21, 13, 17));
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == ':');
        assert!(plain(&names.namespace) && plain(&workload.namespace) && plain(&workload.port) && plain(&workload.mac));
        assert_eq!(names.port_of(&workload.namespace), Some(workload.port));
        assert_eq!(names.port_of(&names.namespace), None);
        assert_eq!(Names::new("vnet-", "another").port_of(&workload.namespace), None);
    }
}
