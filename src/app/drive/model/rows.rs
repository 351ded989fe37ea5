//! Rows as the first transaction leaves them; the model fills in what a case is about.

use crate::clock::Time;
use crate::domain::instance::{BindingState, InstanceState};
use crate::domain::operation::{OperationKind, OperationState, Phase, Told};
use crate::store::bindings::BindingRow;
use crate::store::instances::InstanceRow;
use crate::store::operations::OperationRow;

pub(super) fn operation(kind: OperationKind) -> OperationRow {
    OperationRow {
        id: "operation".into(),
        kind,
        state: OperationState::InProgress,
        phase: Phase::Calling,
        instance_id: "instance".into(),
        binding_id: None,
        broker_id: "broker".into(),
        accepts_incomplete: false,
        told: Told::Nothing,
        maybe_sent: false,
        request: Vec::new(),
        target: None,
        backend_operation: None,
        attempts: 0,
        final_not_before: None,
        give_up_at: Time(0),
        next_at: Time(0),
        lease_token: None,
        answer: None,
        description: None,
        warnings: None,
        correlation_id: String::new(),
        traceparent: None,
        actor: String::new(),
        created_at: Time(0),
        finished_at: None,
    }
}

pub(super) fn instance() -> InstanceRow {
    InstanceRow {
        id: "instance".into(),
        platform_id: "platform".into(),
        platform_instance_id: "id".into(),
        name: None,
        tenant_id: "tenant".into(),
        broker_id: "broker".into(),
        offering_id: "offering".into(),
        plan_id: "plan".into(),
        state: InstanceState::Ready,
        attributes: Vec::new(),
        answer: "{}".into(),
        operation_id: Some("operation".into()),
        event_sequence: 0,
        version: 1,
        created_at: Time(0),
        ready_at: None,
        gone_at: None,
        late_until: None,
        reserved: false,
    }
}

pub(super) fn binding() -> BindingRow {
    BindingRow {
        id: "binding".into(),
        instance_id: "instance".into(),
        platform_binding_id: "id".into(),
        state: BindingState::Ready,
        attributes: Vec::new(),
        answer: None,
        answer_until: None,
        operation_id: Some("operation".into()),
        asked_until: None,
        version: 1,
        created_at: Time(0),
        ready_at: None,
        gone_at: None,
        late_until: None,
    }
}
