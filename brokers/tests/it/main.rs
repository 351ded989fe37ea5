//! The reference brokers, tested at their edges: through the trait, over HTTP, and as a process.

mod catalog;
mod faults;
mod http;
mod process;
mod stamps;
mod support;
mod vnet_ipam;
