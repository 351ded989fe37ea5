//! The events of approvals. Their ids follow from the approval and the kind, so a transition that is replayed makes the same event.

use serde_json::{Value, json};

use super::super::Error;
use super::super::drive::{Names, event};
use crate::clock::Time;
use crate::domain::approval::ApprovalState;
use crate::domain::event::{Event, EventKind, event_id};
use crate::domain::tenant::Tenant;
use crate::store::approvals::ApprovalRow;
use crate::store::instances::InstanceRow;
use crate::store::operations::OperationRow;
use crate::store::{Tx, events};

/// Writes an approval's event with the instance's next number. The instance is locked and saved by the caller.
#[expect(clippy::too_many_arguments, reason = "an event is made of just these, and no two of them belong together")]
pub(super) async fn tell(
    tx: &mut Tx<'_>,
    hub: &str,
    instance: &mut InstanceRow,
    operation: &OperationRow,
    row: &ApprovalRow,
    kind: EventKind,
    tenant: Option<&Tenant>,
    now: Time,
) -> Result<(), Error> {
    instance.event_sequence = instance.event_sequence.saturating_add(1);
    let mut names = names(hub, row);
    names.previous_plan.clone_from(&row.previous_plan);
    names.plan.clone_from(&row.plan);
    let told = event(instance, operation, None, kind, row.reason.clone(), tenant, &names, now);
    let told = Event { id: event_id(&row.id, kind), data: with_approval(told.data, row), ..told };
    Ok(events::append(tx, hub, &told, now).await?)
}

/// Names for what becomes of the instance itself: one that fails to change has the plan that it had.
pub(super) fn names(hub: &str, row: &ApprovalRow) -> Names {
    Names {
        hub: hub.to_owned(),
        offering: row.offering.clone(),
        plan: row.previous_plan.clone().unwrap_or_else(|| row.plan.clone()),
        previous_plan: None,
    }
}

fn with_approval(mut data: Value, row: &ApprovalRow) -> Value {
    if let Value::Object(fields) = &mut data {
        let more = json!({
            "approval_id": row.id, "kind": row.kind.as_str(), "causes": row.causes, "approvers": row.approvers,
            "requested_by": row.requested_by, "expires_at": row.expires_at,
        });
        fields.extend(more.as_object().cloned().unwrap_or_default());
        if row.state != ApprovalState::Pending {
            fields.insert("decision".to_owned(), row.state.as_str().into());
            fields.insert("decided_by".to_owned(), json!(row.decided_by));
        }
    }
    data
}
