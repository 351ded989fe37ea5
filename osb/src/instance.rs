//! Service instances: provision, fetch, update, deprovision ("Provisioning" to "Deprovisioning").
//!
//! In a request the ids of the path and the query's flags are skipped by serde; what serde reads and writes is the body.

use serde::{Deserialize, Serialize};

use crate::catalog::MaintenanceInfo;
use crate::{Accepted, Maybe, Object};

/// `PUT /v2/service_instances/{instance_id}` ("Provisioning").
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProvisionRequest {
    /// From the path: any non-empty string, not necessarily a UUID.
    #[serde(skip)]
    pub instance_id: String,
    /// From the query: whether the platform can poll. Without it a broker that cannot finish at once answers `AsyncRequired`.
    #[serde(skip)]
    pub accepts_incomplete: bool,
    /// The offering's id in the catalog.
    pub service_id: String,
    /// The plan's id in the catalog; it belongs to that offering.
    pub plan_id: String,
    /// Where the order comes from, as the platform puts it; see the profile.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub context: Maybe<Object>,
    /// Deprecated by OSB in favour of `context`, but still required.
    pub organization_guid: String,
    /// Deprecated by OSB in favour of `context`, but still required.
    pub space_guid: String,
    /// What the user asked for; the plan's schema describes it.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub parameters: Maybe<Object>,
    /// The version of the plan that the platform thinks it orders.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub maintenance_info: Maybe<MaintenanceInfo>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

/// The body of 200, 201 and 202 answers to a provision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProvisionResponse {
    /// A page where this instance is managed; it must be in the first answer, even a 202.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub dashboard_url: Maybe<String>,
    /// Only in a 202 answer: what the platform sends back when it polls.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub operation: Maybe<String>,
    /// `labels` and `attributes` of the instance.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub metadata: Maybe<Object>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

/// How a provision was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Provisioned {
    /// 201: it is there, made by this request.
    Created(ProvisionResponse),
    /// 200: it was there already, with the same attributes.
    Existed(ProvisionResponse),
    /// 202: it is being made; poll the last operation.
    Accepted(ProvisionResponse),
}

/// `GET /v2/service_instances/{instance_id}` ("Fetching a Service Instance").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FetchInstanceRequest {
    /// From the path.
    pub instance_id: String,
    /// A hint.
    pub service_id: Option<String>,
    /// A hint.
    pub plan_id: Option<String>,
}

/// The answer to fetching an instance. Every field is optional; parameters may be withheld.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FetchInstanceResponse {
    /// The offering's id.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub service_id: Maybe<String>,
    /// The plan's id.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub plan_id: Maybe<String>,
    /// A page where this instance is managed.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub dashboard_url: Maybe<String>,
    /// The parameters as they stand now.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub parameters: Maybe<Object>,
    /// The version of the plan that the instance runs.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub maintenance_info: Maybe<MaintenanceInfo>,
    /// `labels` and `attributes` of the instance.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub metadata: Maybe<Object>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

/// `PATCH /v2/service_instances/{instance_id}` ("Updating a Service Instance").
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UpdateRequest {
    /// From the path.
    #[serde(skip)]
    pub instance_id: String,
    /// From the query: whether the platform can poll.
    #[serde(skip)]
    pub accepts_incomplete: bool,
    /// Where the request comes from, as the platform puts it.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub context: Maybe<Object>,
    /// The offering's id.
    pub service_id: String,
    /// The plan to change to; absent means that the plan stays.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub plan_id: Maybe<String>,
    /// Parameters to change; absent means that they stay.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub parameters: Maybe<Object>,
    /// How the instance stood before.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub previous_values: Maybe<PreviousValues>,
    /// The version of the plan to upgrade to.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub maintenance_info: Maybe<MaintenanceInfo>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

/// `previous_values` of an update. Mind the names: `organization_id` here, `organization_guid` in a provision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PreviousValues {
    /// Deprecated; the offering's id.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub service_id: Maybe<String>,
    /// The plan before the update.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub plan_id: Maybe<String>,
    /// Deprecated; the organization.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub organization_id: Maybe<String>,
    /// Deprecated; the space.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub space_id: Maybe<String>,
    /// The version of the plan before the update.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub maintenance_info: Maybe<MaintenanceInfo>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

/// The body of 200 and 202 answers to an update.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UpdateResponse {
    /// The page from now on; absent or `null` means that the old one stays.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub dashboard_url: Maybe<String>,
    /// Only in a 202 answer: what the platform sends back when it polls.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub operation: Maybe<String>,
    /// `labels` and `attributes` of the instance.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub metadata: Maybe<Object>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

/// How an update was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Updated {
    /// 200: the change is made.
    Done(UpdateResponse),
    /// 202: it is being made; poll the last operation.
    Accepted(UpdateResponse),
}

/// `DELETE /v2/service_instances/{instance_id}` ("Deprovisioning").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeprovisionRequest {
    /// From the path.
    pub instance_id: String,
    /// From the query: required, the instance's own.
    pub service_id: String,
    /// From the query: required, the instance's current plan.
    pub plan_id: String,
    /// From the query: whether the platform can poll.
    pub accepts_incomplete: bool,
}

/// How a deprovision was answered. What does not exist is [`crate::Error::gone`].
#[derive(Clone, Debug, PartialEq)]
pub enum Deprovisioned {
    /// 200: nothing is left. Holds what stood in the body, usually nothing.
    Done(Object),
    /// 202: it is being deleted; poll the last operation.
    Accepted(Accepted),
}
