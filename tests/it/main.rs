//! The hub's tests: one binary, one file a behaviour. What they share is in `support`; `docs/TESTING.md` says how the
//! suite is built. Nothing here skips: a test that lacks a component fails and names the command that installs it.

// All of this is test code, the helpers included: so said, they may `expect`, which tells a test's reader what is taken
// for granted.
#![cfg(test)]

mod adopt;
mod approvals;
mod ask_again;
mod audit;
mod bridge;
mod budgets;
mod cancel;
mod cases;
mod chaos;
mod cli;
mod concurrency;
mod conformance;
mod corpus;
mod costs;
mod crash;
mod custom_broker;
mod egress;
mod events;
mod events_http;
mod everywhere;
mod focus;
mod foreign;
mod hubs;
mod hung_database;
mod identity;
mod keys;
mod kit_broker;
mod late;
mod life;
mod limits;
mod management_api;
mod offboarding;
mod openapi;
mod osb_side;
mod outage;
mod platforms;
mod points;
mod policies;
mod portal;
mod preview;
mod prices;
mod quickstart;
mod quotas;
mod rater;
mod references;
mod registry;
mod registry_http;
mod registry_tls;
mod repeats;
mod replicas;
mod secrets;
mod serve;
mod shapes;
mod sinks;
mod stamp_docs;
mod stamps;
mod statements;
mod support;
mod support_self;
mod tenancy;
mod tenants;
mod tidy;
mod usage;
mod visibility;
