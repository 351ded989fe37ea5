//! A platform: who may call the OSB endpoint.

use serde::{Deserialize, Serialize};

/// What kind of platform it is: some need the catalog in a particular shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlatformKind {
    /// Cloud Foundry's Cloud Controller.
    CloudFoundry,
    /// Kubernetes with a service catalog.
    Kubernetes,
    /// Another hub of this kind.
    Bourse,
    /// Anything else that speaks OSB.
    Other,
}
