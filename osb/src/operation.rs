//! Asynchronous operations: the 202 answer and the last-operation endpoints ("Polling Last Operation").

use serde::{Deserialize, Serialize};

use crate::{Maybe, Object};

/// The most that an `operation` may hold, in characters.
pub const OPERATION_CHARS: usize = 10_000;

/// `GET /v2/service_instances/{id}/last_operation` ("Polling Last Operation for Service Instances").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstanceOperationRequest {
    /// The instance's id, from the path.
    pub instance_id: String,
    /// A hint; where it is given it must be the instance's.
    pub service_id: Option<String>,
    /// A hint; during a plan change it is the plan before the change.
    pub plan_id: Option<String>,
    /// What the 202 answer gave, if it gave one. An empty value counts as absent.
    pub operation: Option<String>,
}

/// `GET /v2/service_instances/{id}/service_bindings/{id}/last_operation` ("Polling Last Operation for Service Bindings").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BindingOperationRequest {
    /// The instance's id, from the path.
    pub instance_id: String,
    /// The binding's id, from the path.
    pub binding_id: String,
    /// A hint; where it is given it must be the instance's.
    pub service_id: Option<String>,
    /// A hint; where it is given it must be the instance's.
    pub plan_id: Option<String>,
    /// What the 202 answer gave, if it gave one. An empty value counts as absent.
    pub operation: Option<String>,
}

/// The state of an operation as a broker reports it. Any other word is an invalid answer: go on polling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationState {
    /// Not finished; ask again.
    #[serde(rename = "in progress")]
    InProgress,
    /// Finished as ordered.
    #[serde(rename = "succeeded")]
    Succeeded,
    /// Finished without success; orphan mitigation may be due.
    #[serde(rename = "failed")]
    Failed,
}

/// The answer of both last-operation endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastOperation {
    /// Where the operation stands.
    pub state: OperationState,
    /// A sentence for the user; never empty on the wire.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub description: Maybe<String>,
    /// Only on a failed update or deprovision: whether the instance may still be used. Absent means it may.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub instance_usable: Maybe<bool>,
    /// Only on a failed update: whether the same update may be sent again. Absent means it may.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub update_repeatable: Maybe<bool>,
    /// Seconds after which to ask again: the `Retry-After` header, not part of the body.
    #[serde(skip)]
    pub retry_after_seconds: Option<u64>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

impl LastOperation {
    /// An answer with a state and a sentence for the user.
    pub fn new(state: OperationState, description: impl Into<String>) -> Self {
        let description = description.into();
        Self {
            state,
            description: if description.is_empty() { Maybe::Absent } else { Maybe::Present(description) },
            instance_usable: Maybe::Absent,
            update_repeatable: Maybe::Absent,
            retry_after_seconds: None,
            extra: Object::new(),
        }
    }
}

/// The body of a 202 answer to bind, unbind and deprovision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// An opaque word of at most 10,000 characters that the platform sends back when it polls.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub operation: Maybe<String>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

impl Accepted {
    /// An answer that names the operation to poll.
    pub fn operation(operation: impl Into<String>) -> Self {
        Self { operation: Maybe::Present(operation.into()), extra: Object::new() }
    }
}
