//! The Open Service Broker API v2.17, once: what travels on the wire ([`catalog`], [`instance`], [`binding`], [`operation`],
//! [`error`]), what a broker is ([`ServiceBroker`]), a server that puts any broker on HTTP ([`server`]), a client that is
//! a broker itself ([`client`]), the signed tenant stamp that Bourse adds to each call ([`stamp`]), and, behind features,
//! the suite that judges any broker from outside (`conformance`) and a kit for writing one (`kit`).
//!
//! The crate knows nothing of Bourse's hub. A broker author needs only the trait and [`server`]; see
//! `examples/custom_broker.rs`. Section numbers in the docs are those of the specification's own headings.
//!
//! Three rules hold for every type here: fields that we do not know are kept and sent on, a field that was absent stays
//! apart from one that was `null` ([`Maybe`]), and numbers keep their value and scale (`99.0` never becomes `99`).

pub mod binding;
pub mod broker;
pub mod catalog;
pub mod client;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod error;
pub mod instance;
#[cfg(feature = "kit")]
pub mod kit;
pub mod maybe;
pub mod operation;
pub mod server;
pub mod stamp;
pub mod wire;

pub use binding::{
    BindRequest, BindResponse, Bound, FetchBindingRequest, FetchBindingResponse, UnbindRequest, Unbound,
};
pub use broker::{Call, OriginatingIdentity, ServiceBroker};
pub use catalog::{Catalog, CatalogDocument, Finding, ServiceOffering, ServicePlan};
pub use client::Client;
pub use error::Error;
pub use instance::{
    DeprovisionRequest, Deprovisioned, FetchInstanceRequest, FetchInstanceResponse, ProvisionRequest,
    ProvisionResponse, Provisioned, UpdateRequest, UpdateResponse, Updated,
};
pub use maybe::Maybe;
pub use operation::{Accepted, BindingOperationRequest, InstanceOperationRequest, LastOperation, OperationState};
pub use wire::{WireRequest, WireResponse, from_value};

/// A JSON object whose content is opaque to OSB: parameters, context, metadata, unknown fields. Key order is kept.
pub type Object = serde_json::Map<String, serde_json::Value>;

/// The version of the Open Service Broker API that this crate speaks ("API Version Header").
pub const API_VERSION: &str = "2.17";
