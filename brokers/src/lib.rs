//! The reference brokers: real software behind the Open Service Broker API, each a [`osb::ServiceBroker`].
//!
//! [`vnet_ipam`] hands out networks, [`bastion`] signs SSH certificates, [`key_vault`] keeps secrets and keys, [`devops_toolchain`]
//! makes Git repositories with builds, [`faults`] fails on purpose. They deliberately know nothing of the hub: any platform can use them.

pub mod bastion;
pub mod cli;
pub mod devops_toolchain;
pub mod faults;
pub mod key_vault;
pub mod vnet_ipam;
