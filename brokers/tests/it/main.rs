//! The reference brokers, tested at their edges: through the trait, over HTTP, and as a process.

mod catalog;
mod support;
mod vnet_ipam;
