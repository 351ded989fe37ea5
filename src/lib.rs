//! Bourse: a broker of brokers. ARCHITECTURE.md is the map.

pub mod app;
pub mod backend;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod domain;
pub mod http;
pub mod metrics;
pub mod secret;
pub mod store;
pub mod telemetry;
pub mod worker;
