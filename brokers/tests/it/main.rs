//! The reference brokers, tested at their edges: through the trait, over HTTP, and as a process.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail the test, too; only functions marked as tests are exempt"
)]

mod bastion;
mod catalog;
mod devops_toolchain;
mod faults;
mod gateway;
mod http;
mod key_vault;
mod manual;
mod netbox;
mod network_driver;
mod process;
mod stamps;
mod support;
mod vnet_ipam;
