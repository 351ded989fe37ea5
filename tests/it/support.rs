//! What the tests share: ports, waiting, child processes, private services, foreign brokers and their environment.
//!
//! It knows no behaviour of the hub. Its invariant: whatever a test starts listens on loopback only and ends with the
//! test process, however that ends (`guard`).

pub(crate) mod bare;
pub(crate) mod bench;
pub(crate) mod command;
pub(crate) mod controls;
pub(crate) mod dump;
pub(crate) mod foreign;
pub(crate) mod guard;
pub(crate) mod home;
pub(crate) mod hub;
pub(crate) mod ledger;
pub(crate) mod management;
pub(crate) mod oidc;
pub(crate) mod pair;
pub(crate) mod portal;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod python;
pub(crate) mod raw;
pub(crate) mod recorder;
pub(crate) mod scripted;
pub(crate) mod services;
pub(crate) mod site;
pub(crate) mod wait;
