//! The driver `linux` of vnet-ipam, with the real kernel: each test makes namespaces under a prefix of its own and removes
//! them. Nothing outside of those is touched.

mod converge;
mod random;
mod reach;
pub(crate) mod site;
mod spoof;
