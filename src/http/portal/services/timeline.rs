//! What was done to a service and decided about it, the newest first: when, what, who, and what came of it.

use maud::{Markup, html};

use super::super::kit::{self, Tone};
use super::super::shown;
use super::words::{seen, who};
use crate::app::operations::OperationView;
use crate::app::services::one::Service;
use crate::clock::Time;
use crate::domain::approval::{ApprovalState, Why};
use crate::domain::operation::{OperationKind, OperationState, Phase};

/// One thing that happened.
struct Entry {
    at: Time,
    what: String,
    by: String,
    outcome: Markup,
    said: Option<String>,
}

/// The timeline.
pub(super) fn timeline(service: &Service) -> Markup {
    let mut entries: Vec<Entry> =
        service.operations.iter().filter(|operation| seen(operation)).map(|row| operation(service, row)).collect();
    for approval in &service.approvals {
        let causes: Vec<&str> = approval.causes.iter().map(Why::name).collect();
        entries.push(Entry {
            at: approval.decided_at.unwrap_or(approval.created_at),
            what: match causes.is_empty() {
                true => "Approval".to_owned(),
                false => format!("Approval (asked for by {})", causes.join(", ")),
            },
            by: approval.decided_by.as_deref().map_or_else(|| asked(&approval.approvers), who),
            outcome: decided(approval.state),
            said: approval.reason.clone(),
        });
    }
    // What happened in one instant stays in the order in which it was read.
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    html! {
        @if entries.is_empty() { p.under { "Nothing has happened yet." } }
        ol.timeline {
            @for entry in &entries {
                li {
                    p.timeline-head { (shown::time(entry.at)) " " (entry.outcome) }
                    p.timeline-what { strong { (entry.what) } " by " (entry.by) }
                    @if let Some(said) = &entry.said { p.under { (said) } }
                }
            }
        }
    }
}

fn asked(approvers: &[String]) -> String {
    if approvers.is_empty() { "any approver".to_owned() } else { approvers.join(" or ") }
}

fn decided(state: ApprovalState) -> Markup {
    match state {
        ApprovalState::Pending => kit::badge(Tone::Busy, "waiting"),
        ApprovalState::Approved => kit::badge(Tone::Good, "approved"),
        ApprovalState::Denied => kit::badge(Tone::Bad, "denied"),
        ApprovalState::Expired => kit::badge(Tone::Warn, "nobody decided in time"),
        ApprovalState::Cancelled => kit::badge(Tone::Plain, "taken back"),
    }
}

fn operation(service: &Service, row: &OperationView) -> Entry {
    let binding = row.binding_id.as_ref().map(|id| {
        let known = service.bindings.iter().find(|binding| binding.id == *id);
        known.map_or("a binding that is gone", |binding| binding.platform_binding_id.as_str())
    });
    let what = match (row.kind, binding) {
        (OperationKind::Provision, _) if row.description.as_deref() == Some("adopted") => "Taken over".to_owned(),
        (OperationKind::Provision, _) => "Ordered".to_owned(),
        (OperationKind::Update, _) => "Change".to_owned(),
        (OperationKind::Deprovision, _) => "Deletion".to_owned(),
        (OperationKind::ContextUpdate, _) => "Broker told about the tenant".to_owned(),
        (OperationKind::Bind, name) => format!("Binding {}", name.unwrap_or_default()),
        (OperationKind::Unbind, name) => format!("Revoking of binding {}", name.unwrap_or_default()),
        (OperationKind::OrphanMitigation, None) => "Clean-up at the broker".to_owned(),
        (OperationKind::OrphanMitigation, Some(name)) => format!("Clean-up of binding {name} at the broker"),
    };
    let by = if row.kind == OperationKind::OrphanMitigation { "the hub".to_owned() } else { who(&row.actor) };
    let took = row.finished_at.map(|at| at.since(row.created_at).as_secs()).filter(|seconds| *seconds > 0);
    let outcome = match (row.state, row.phase) {
        (OperationState::InProgress, Phase::WaitingApproval) => kit::badge(Tone::Busy, "waits for approval"),
        (OperationState::InProgress, Phase::Unresolved) => kit::badge(Tone::Warn, "outcome not known yet"),
        (OperationState::InProgress, _) => kit::badge(Tone::Busy, "under way"),
        (OperationState::Succeeded, _) => kit::badge(Tone::Good, "done"),
        (OperationState::Failed, _) => kit::badge(Tone::Bad, "failed"),
        (OperationState::Cancelled, _) => kit::badge(Tone::Plain, "called off"),
    };
    let outcome = html! {
        (outcome) @if let Some(seconds) = took { span.under { " after " (shown::duration(seconds)) } }
    };
    let said = row.description.clone().filter(|text| !text.is_empty() && text != "adopted");
    Entry { at: row.created_at, what, by, outcome, said }
}
