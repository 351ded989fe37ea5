//! `bastion`: orders through the trait, what OpenSSH makes of what it gives, and the authority as a gateway sees it.

mod conformance;
mod gateway;
mod krl;
mod login;
mod orders;
mod page;
mod process;
mod site;
mod sshd;
mod wire;
