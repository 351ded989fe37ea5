//! `record-only`: the broker's record is all there is of a network.
//!
//! For sites where somebody else makes networks from what the bindings say. It deliberately does nothing at all.

use async_trait::async_trait;
use osb::Object;

use super::{AllocationRequest, Driver, DriverError, NetworkSpec, Workload};
use crate::vnet_ipam::prefix::Prefix;

/// The driver that makes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordOnly;

#[async_trait]
impl Driver for RecordOnly {
    async fn allocate(&self, _request: &AllocationRequest) -> Result<Option<Prefix>, DriverError> {
        Ok(None)
    }

    async fn apply(&self, _network: &NetworkSpec) -> Result<(), DriverError> {
        Ok(())
    }

    async fn remove(&self, _resource: &str) -> Result<(), DriverError> {
        Ok(())
    }

    async fn attach(&self, _network: &NetworkSpec, _workload: &Workload) -> Result<Object, DriverError> {
        Ok(Object::new())
    }

    async fn detach(&self, _resource: &str, _binding_resource: &str) -> Result<(), DriverError> {
        Ok(())
    }

    async fn check(&self, _network: &NetworkSpec) -> Result<Vec<String>, DriverError> {
        Ok(Vec::new())
    }
}
