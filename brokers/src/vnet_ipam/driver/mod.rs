//! Drivers: what makes networks real, besides the record that the broker keeps of them.
//!
//! A driver is told what shall be and brings it about; it keeps no record of its own, so that nothing can get out of step
//! with the broker's. It deliberately knows nothing of OSB. Invariant: every method may be called again after a crash or a
//! lost answer, and then comes to the same end; what is not there any more has been removed.

pub mod linux;
pub mod netbox;
pub mod record_only;

use std::net::IpAddr;

use async_trait::async_trait;
use osb::Object;
use osb::kit::{Fault, Tenant};

use super::prefix::{Prefix, Version};

/// How many prefixes one network can have: its first and those that it has grown by.
pub const PREFIXES_MAX: usize = 16;

/// A prefix that a network asks for.
#[derive(Clone, Debug)]
pub struct AllocationRequest {
    /// The network, by an id that no other one ever has.
    pub resource: String,
    /// Which of the network's prefixes: 0 is its first, then one more at each growth, below [`PREFIXES_MAX`].
    pub number: usize,
    /// The pool that it shall come from.
    pub pool: String,
    /// The routing domain; `None` where the network has one of its own, in which all addresses are free.
    pub routing_domain: Option<String>,
    /// The version of its addresses.
    pub version: Version,
    /// How many leading bits shall be fixed.
    pub length: u8,
    /// The very prefix that was asked for, if one was.
    pub wanted: Option<Prefix>,
    /// Who it is for.
    pub tenant: Option<Tenant>,
    /// What people shall read beside it.
    pub description: String,
}

/// A range of addresses and the address in it that leads out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The range.
    pub prefix: Prefix,
    /// The gateway's address, which lies in the range.
    pub gateway: IpAddr,
}

impl Range {
    /// A range whose gateway is the first address behind the network's own, as the broker's answers have it.
    pub fn new(prefix: Prefix) -> Self {
        let gateway = (prefix.first() + 1).min(prefix.last());
        Self { prefix, gateway: prefix.version().address(gateway) }
    }
}

/// A named part of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its name, unique in the network.
    pub name: String,
    /// Its range, which lies in one of the network's.
    pub range: Range,
}

/// A network, as it shall be.
#[derive(Clone, Debug)]
pub struct NetworkSpec {
    /// The network, by an id that no other one ever has.
    pub resource: String,
    /// Its prefixes, in the order of their [`AllocationRequest::number`].
    pub prefixes: Vec<Range>,
    /// Its subnets.
    pub subnets: Vec<Subnet>,
    /// The routing domain; `None` where it has one of its own.
    pub routing_domain: Option<String>,
    /// Who it is for.
    pub tenant: Option<Tenant>,
    /// All that is bound now. [`Driver::apply`] makes what is missing of these again; it takes none away.
    pub workloads: Vec<Workload>,
}

/// An address of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The address.
    pub address: IpAddr,
    /// The length of the range that it is on-link in: the subnet's, else the prefix's.
    pub prefix_length: u8,
    /// The gateway of that range.
    pub gateway: IpAddr,
}

/// What a binding attaches to a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The binding, by an id that no other one ever has.
    pub binding_resource: String,
    /// Its addresses: one, or one of each version.
    pub addresses: Vec<Assigned>,
    /// What it is called.
    pub hostname: Option<String>,
}

/// Why a driver did not do what it was told to.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// It can't be had; a sentence for who ordered. Nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// Something that it needs can't be reached or is too busy, or its answer was lost: whether it was done shows when the
    /// same is asked again.
    #[error("{what}")]
    Unavailable {
        /// A sentence for who ordered, without host names and secrets.
        what: String,
        /// After how many seconds asking again is right, where somebody said so.
        retry_after_seconds: Option<u64>,
        /// For the log only.
        detail: Option<String>,
    },
    /// It may be half done; the operator must look.
    #[error("{what}")]
    Failed {
        /// What could not be done.
        what: String,
        /// For the log only.
        detail: Option<String>,
    },
}

impl From<DriverError> for Fault {
    fn from(error: DriverError) -> Self {
        match error {
            DriverError::Refused(sentence) => Self::invalid(sentence),
            DriverError::Unavailable { what, detail, .. } => Self::Unavailable { what, source: detail.map(Into::into) },
            DriverError::Failed { what, detail } => match detail {
                Some(detail) => Self::failed(format!("{what}: {detail}")),
                None => Self::failed(what),
            },
        }
    }
}

/// What makes networks real. Calls about one network must not run beside one another, but for [`Driver::check`].
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// Where a prefix comes from: `None`, the broker's own pools decide. The same request, by resource and number, is always
    /// given the same prefix.
    ///
    /// # Errors
    /// See [`DriverError`].
    async fn allocate(&self, request: &AllocationRequest) -> Result<Option<Prefix>, DriverError>;

    /// Makes the network what it shall be, from whatever there is of it; also after it has grown or got subnets.
    ///
    /// # Errors
    /// See [`DriverError`].
    async fn apply(&self, network: &NetworkSpec) -> Result<(), DriverError>;

    /// Takes the network out of use while its prefixes rest: [`Driver::remove`] follows when they may be used again. A driver
    /// that has nothing to rest removes it now.
    ///
    /// # Errors
    /// See [`DriverError`].
    async fn retire(&self, network: &NetworkSpec) -> Result<(), DriverError> {
        self.remove(&network.resource).await
    }

    /// Removes all of it. What is not there is removed.
    ///
    /// # Errors
    /// See [`DriverError`].
    async fn remove(&self, resource: &str) -> Result<(), DriverError>;

    /// Attaches a workload to a network that [`Driver::apply`] made. Returns what the binding's credentials say besides.
    ///
    /// # Errors
    /// See [`DriverError`].
    async fn attach(&self, network: &NetworkSpec, workload: &Workload) -> Result<Object, DriverError>;

    /// Takes a workload away. What is not there is taken away.
    ///
    /// # Errors
    /// See [`DriverError`].
    async fn detach(&self, resource: &str, binding_resource: &str) -> Result<(), DriverError>;

    /// What is not as it shall be: one sentence each, for the operator. Changes nothing.
    ///
    /// # Errors
    /// See [`DriverError`].
    async fn check(&self, network: &NetworkSpec) -> Result<Vec<String>, DriverError>;
}
