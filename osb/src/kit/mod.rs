//! A kit for writing service brokers: what every broker needs besides its service, once and tested.
//!
//! An author implements [`Service`]: make it, change it, take it away, give access to it. [`Broker`] turns that into a
//! [`crate::ServiceBroker`]: repeats and conflicts, ids of the catalog, an intent on disk before anything is made, bindings
//! that expire and rotate, sealed credentials, deletion in two steps, meters, and the tenant of a verified stamp
//! ([`Stamped`]). It is for services whose calls end within a request; it deliberately has no asynchronous operations.
//!
//! Invariants: what was answered is on disk; a service is only asked to do what is written down; each of its methods may be
//! called again after a crash and must come to the same end; no credential and no state lies on disk in clear.

mod bindings;
mod broker;
pub mod clock;
pub mod db;
pub mod http;
mod instances;
mod janitor;
mod locks;
pub mod meter;
mod report;
mod retained;
mod rows;
pub mod seal;
mod service;
pub mod stamped;

pub use broker::{Broker, Setup, SetupError};
pub use clock::Clock;
pub use db::{Db, OpenError};
pub use http::Http;
pub use janitor::Janitor;
pub use meter::{Meter, Reading, Window};
pub use report::{ReportError, Reporter, Reporting};
pub use retained::RetainedInstance;
pub use seal::{KeyError, Sealer};
pub use service::{Binding, Fault, Instance, Issued, Refusal, Secret, Service};
pub use stamped::{Stamped, Stamps, Tenant, tenant_of};
