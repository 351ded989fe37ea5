//! The catalog: service offerings and their plans ("Catalog Management"), and what can be wrong with one ([`validate`]).
//!
//! An offering is read on its own ([`Catalog::offerings`]), so that one bad offering never hides the others.

mod plan;
mod validate;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use validate::{validate, validate_offering};

use crate::{Maybe, Object};

/// A catalog as it stands on the wire: the bytes, and their entity tag where there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogDocument {
    /// The JSON document `{"services": […]}`.
    pub json: Bytes,
    /// The `ETag`, with its quotes. A server makes one from the bytes where there is none.
    pub etag: Option<String>,
}

impl CatalogDocument {
    /// Reads the document.
    ///
    /// # Errors
    /// Where it is not JSON, or not an object with an array `services`.
    pub fn parse(&self) -> Result<Catalog, serde_json::Error> {
        serde_json::from_slice(&self.json)
    }
}

impl From<&Catalog> for CatalogDocument {
    fn from(catalog: &Catalog) -> Self {
        // A map of JSON values always serializes: its keys are strings.
        Self { json: serde_json::to_vec(catalog).unwrap_or_default().into(), etag: None }
    }
}

/// A catalog whose offerings are not read yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// The offerings, each as it came.
    pub services: Vec<Value>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

impl Catalog {
    /// Each offering, read, or the reason why it can't be.
    pub fn offerings(&self) -> impl Iterator<Item = Result<ServiceOffering, serde_json::Error>> + '_ {
        self.services.iter().map(crate::from_value)
    }
}

/// A service offering.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceOffering {
    /// Unique among all offerings of the catalog, friendly to a command line.
    pub name: String,
    /// Unique in the world, and for ever the same.
    pub id: String,
    /// One sentence.
    pub description: String,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub tags: Maybe<Vec<String>>,
    /// What the platform must do for it: `syslog_drain`, `route_forwarding`, `volume_mount`.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub requires: Maybe<Vec<String>>,
    /// Whether instances can be bound to; a plan may say otherwise.
    pub bindable: bool,
    /// Whether an instance can be fetched.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub instances_retrievable: Maybe<bool>,
    /// Whether a binding can be fetched, without which an asynchronous bind is of no use.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub bindings_retrievable: Maybe<bool>,
    /// Whether an update may carry a new context alone.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub allow_context_updates: Maybe<bool>,
    /// Free data for people and platforms: `displayName`, `documentationUrl`, `shareable`, …
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub metadata: Maybe<Object>,
    /// Cloud Foundry: the OAuth client of the dashboard. Holds a secret.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub dashboard_client: Maybe<Object>,
    /// Whether an instance may change its plan; a plan may say otherwise. The spelling is OSB's.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub plan_updateable: Maybe<bool>,
    /// At least one.
    pub plans: Vec<ServicePlan>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

impl ServiceOffering {
    /// The plan with that id.
    pub fn plan(&self, id: &str) -> Option<&ServicePlan> {
        self.plans.iter().find(|plan| plan.id == id)
    }

    /// Whether instances of that plan can be bound to: the plan's word, else the offering's.
    pub fn bindable(&self, plan: &ServicePlan) -> bool {
        plan.bindable.as_option().copied().unwrap_or(self.bindable)
    }

    /// Whether instances of that plan may change to another: the plan's word, else the offering's, else no.
    pub fn plan_updateable(&self, plan: &ServicePlan) -> bool {
        plan.plan_updateable.as_option().or(self.plan_updateable.as_option()).copied().unwrap_or(false)
    }
}

/// A service plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServicePlan {
    /// Unique in the world, and for ever the same.
    pub id: String,
    /// Unique within its offering.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// Free data for people and platforms: `bullets`, `costs`, `displayName`, …
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub metadata: Maybe<Object>,
    /// Whether it costs nothing. Absent means that it is free.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub free: Maybe<bool>,
    /// Overrides the offering's.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub bindable: Maybe<bool>,
    /// Whether bindings can be rotated. Absent means no.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub binding_rotatable: Maybe<bool>,
    /// Overrides the offering's.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub plan_updateable: Maybe<bool>,
    /// JSON schemas of parameters.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub schemas: Maybe<Schemas>,
    /// How long a platform should poll an operation, in seconds.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub maximum_polling_duration: Maybe<u64>,
    /// The version of what runs behind the plan.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub maintenance_info: Maybe<MaintenanceInfo>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

/// The schemas of a plan, each under the action whose parameters it describes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schemas {
    /// For provision (`create`) and update (`update`).
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub service_instance: Maybe<Actions>,
    /// For bind (`create`).
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub service_binding: Maybe<Actions>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

/// Schemas by action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Actions {
    /// The schema for making one.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub create: Maybe<InputParameters>,
    /// The schema for changing one.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub update: Maybe<InputParameters>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

/// One schema.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InputParameters {
    /// A JSON schema, draft 4 or later, without references to elsewhere, of at most 64 kB.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub parameters: Maybe<Value>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

impl ServicePlan {
    /// The schema of the parameters of a provision.
    pub fn create_schema(&self) -> Option<&Value> {
        self.schemas.as_option()?.service_instance.as_option()?.create.as_option()?.parameters.as_option()
    }

    /// The schema of the parameters of an update.
    pub fn update_schema(&self) -> Option<&Value> {
        self.schemas.as_option()?.service_instance.as_option()?.update.as_option()?.parameters.as_option()
    }

    /// The schema of the parameters of a bind.
    pub fn bind_schema(&self) -> Option<&Value> {
        self.schemas.as_option()?.service_binding.as_option()?.create.as_option()?.parameters.as_option()
    }

    /// The version of what runs behind the plan.
    pub fn maintenance_version(&self) -> Option<&str> {
        self.maintenance_info.as_option()?.version.as_option().map(String::as_str)
    }
}

/// `maintenance_info` of a plan or a request. Clients send `{}` for "nothing", so the version is optional here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceInfo {
    /// Semantic Versioning 2.0; compared as a string.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub version: Maybe<String>,
    /// What changed, for people.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub description: Maybe<String>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

/// How much a [`Finding`] weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Against a MUST: the offering can't be served.
    Error,
    /// Against a SHOULD or a recommendation: served all the same.
    Warning,
}

/// One thing that is wrong with a catalog, at a place, with what to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// A JSON pointer (RFC 6901) into the catalog.
    pub pointer: String,
    /// What is wrong and what to do about it.
    pub message: String,
}
