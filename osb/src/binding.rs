//! Service bindings: bind, rotate, fetch, unbind ("Binding", "Unbinding").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Accepted, Maybe, Object};

/// `PUT /v2/service_instances/{instance_id}/service_bindings/{binding_id}` ("Creating a Service Binding").
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BindRequest {
    /// From the path.
    #[serde(skip)]
    pub instance_id: String,
    /// From the path; unique within its instance.
    #[serde(skip)]
    pub binding_id: String,
    /// From the query: whether the platform can poll.
    #[serde(skip)]
    pub accepts_incomplete: bool,
    /// Where the request comes from, as the platform puts it.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub context: Maybe<Object>,
    /// The offering's id. Required, but for a rotation.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub service_id: Maybe<String>,
    /// The plan's id. Required, but for a rotation.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub plan_id: Maybe<String>,
    /// Deprecated in favour of `bind_resource.app_guid`.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub app_guid: Maybe<String>,
    /// What is bound to: an application, a route.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub bind_resource: Maybe<Object>,
    /// What the user asked for; the plan's schema describes it.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub parameters: Maybe<Object>,
    /// Rotation: the binding of the same instance whose parameters are inherited ("Binding Rotation").
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub predecessor_binding_id: Maybe<String>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

/// The body of 200 and 201 answers to a bind.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BindResponse {
    /// `expires_at` and `renew_before`.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub metadata: Maybe<Object>,
    /// What an application needs to get in. Masked in `Debug`.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub credentials: Maybe<Object>,
    /// Where logs are drained to; needs `requires: ["syslog_drain"]`.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub syslog_drain_url: Maybe<String>,
    /// What the platform proxies through; needs `requires: ["route_forwarding"]`.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub route_service_url: Maybe<String>,
    /// Volumes to mount; needs `requires: ["volume_mount"]`.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub volume_mounts: Maybe<Vec<Value>>,
    /// Hosts and ports that an application must be able to reach.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub endpoints: Maybe<Vec<Value>>,
    /// Fields that this version of OSB does not name. Masked in `Debug`.
    #[serde(flatten)]
    pub extra: Object,
}

impl std::fmt::Debug for BindResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BindResponse").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

/// How a bind was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// 201: made by this request.
    Created(BindResponse),
    /// 200: it was there already, with the same attributes.
    Existed(BindResponse),
    /// 202: it is being made; poll the last operation, then fetch the binding.
    Accepted(Accepted),
}

/// `GET /v2/service_instances/{instance_id}/service_bindings/{binding_id}` ("Fetching a Service Binding").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FetchBindingRequest {
    /// From the path.
    pub instance_id: String,
    /// From the path.
    pub binding_id: String,
    /// A hint.
    pub service_id: Option<String>,
    /// A hint.
    pub plan_id: Option<String>,
}

/// The answer to fetching a binding: that of a bind, and the parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FetchBindingResponse {
    /// The parameters of the bind; may be withheld.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub parameters: Maybe<Object>,
    /// All the rest.
    #[serde(flatten)]
    pub binding: BindResponse,
}

/// `DELETE /v2/service_instances/{instance_id}/service_bindings/{binding_id}` ("Unbinding").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnbindRequest {
    /// From the path.
    pub instance_id: String,
    /// From the path.
    pub binding_id: String,
    /// From the query: required, the instance's own.
    pub service_id: String,
    /// From the query: required, the instance's own.
    pub plan_id: String,
    /// From the query: whether the platform can poll.
    pub accepts_incomplete: bool,
}

/// How an unbind was answered. What does not exist is [`crate::Error::gone`].
#[derive(Clone, Debug, PartialEq)]
pub enum Unbound {
    /// 200: credentials are revoked. Holds what stood in the body, usually nothing.
    Done(Object),
    /// 202: it is being deleted; poll the last operation.
    Accepted(Accepted),
}
