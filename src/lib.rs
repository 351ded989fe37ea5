//! Bourse: a broker of brokers. ARCHITECTURE.md is the map.

pub mod app;
pub mod backend;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod domain;
pub mod egress;
pub mod metrics;
pub mod secret;
pub mod store;
pub mod worker;
