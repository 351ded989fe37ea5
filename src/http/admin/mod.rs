//! Handlers of the management API, one file a noun: they read the request, call one use case and write its answer.

pub mod adoption;
pub mod approval_rules;
pub mod approvals;
pub mod brokers;
pub mod budgets;
pub mod cases;
pub mod costs;
pub mod estimates;
pub mod events;
pub mod exports;
pub mod identities;
pub mod instances;
pub mod offerings;
pub mod orders;
pub mod parameters;
pub mod platforms;
pub mod policies;
pub mod preview;
pub mod prices;
pub mod quotas;
pub mod service_accounts;
pub mod statements;
pub mod tenants;
pub mod usage;
pub mod users;
