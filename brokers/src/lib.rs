//! The reference brokers: real software behind the Open Service Broker API, each a [`osb::ServiceBroker`].
//!
//! [`vnet_ipam`] hands out networks, [`bastion`] signs SSH certificates, [`faults`] fails on purpose. They deliberately know nothing of the hub: any
//! platform can use them.

pub mod bastion;
pub mod cli;
pub mod devops_toolchain;
pub mod faults;
pub mod vnet_ipam;
