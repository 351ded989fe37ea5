//! States in plain words: what each means, what comes next, and who has to do something.

use maud::{Markup, html};

use super::super::kit::{self, Tone};
use super::super::shown;
use crate::app::operations::OperationView;
use crate::app::services::one::Service;
use crate::domain::approval::ApprovalState;
use crate::domain::instance::{BindingState, InstanceState};
use crate::domain::operation::{OperationKind, OperationState, Phase};

/// The state of a service as a badge.
pub(super) fn state(state: InstanceState) -> Markup {
    let (tone, text) = in_words(state);
    kit::badge(tone, text)
}

/// The state of a service.
pub(super) fn in_words(state: InstanceState) -> (Tone, &'static str) {
    match state {
        InstanceState::WaitingApproval => (Tone::Busy, "waiting for approval"),
        InstanceState::Provisioning => (Tone::Busy, "being made"),
        InstanceState::Ready => (Tone::Good, "ready"),
        InstanceState::Updating => (Tone::Busy, "being changed"),
        InstanceState::Deprovisioning => (Tone::Busy, "being deleted"),
        InstanceState::Unresolved => (Tone::Warn, "outcome not known yet"),
        InstanceState::Failed => (Tone::Bad, "failed"),
        InstanceState::Gone => (Tone::Plain, "deleted"),
    }
}

/// The state of a binding as a badge.
pub(super) fn binding_state(state: BindingState) -> Markup {
    let (tone, text) = match state {
        BindingState::Binding => (Tone::Busy, "being made"),
        BindingState::Ready => (Tone::Good, "ready"),
        BindingState::Unbinding => (Tone::Busy, "being revoked"),
        BindingState::Unresolved => (Tone::Warn, "outcome not known yet"),
        BindingState::Failed => (Tone::Bad, "failed"),
        BindingState::Gone => (Tone::Plain, "revoked"),
    };
    kit::badge(tone, text)
}

/// Whether something goes on, so that its page is worth loading again soon. Who waits for an approval waits for hours.
pub(super) fn goes_on(service: &Service) -> bool {
    let under_way = |operation: &OperationView| {
        operation.state == OperationState::InProgress && operation.phase != Phase::WaitingApproval
    };
    service.operations.iter().any(|operation| under_way(operation) && seen(operation))
}

/// Whether people hear of an operation: what a broker is told of a tenant changes nothing of a service.
pub(super) fn seen(operation: &OperationView) -> bool {
    operation.kind != OperationKind::ContextUpdate
}

/// What the state means, and what to do.
pub(super) fn explained(service: &Service) -> Markup {
    let row = &service.instance.row;
    match row.state {
        InstanceState::WaitingApproval => waiting(service),
        InstanceState::Provisioning => notice(
            Tone::Busy,
            &html! {
                p { (service.instance.broker) " makes it now. There is nothing to do: this page follows by itself." }
                (description(last(service, &[OperationKind::Provision])))
            },
        ),
        InstanceState::Updating => notice(
            Tone::Busy,
            &html! {
                p { "It is being changed and may not be usable meanwhile. There is nothing to do." }
                (description(last(service, &[OperationKind::Update])))
            },
        ),
        InstanceState::Deprovisioning => notice(
            Tone::Busy,
            &html! {
                p { "It is being deleted, and its bindings before it. What was used until the deletion was asked for is charged; nothing after that." }
                (description(last(service, &[OperationKind::Deprovision])))
            },
        ),
        InstanceState::Unresolved => unresolved(service),
        InstanceState::Failed => failed(service),
        InstanceState::Gone => gone(service),
        InstanceState::Ready => ready(service),
    }
}

fn notice(tone: Tone, text: &Markup) -> Markup {
    kit::notice(tone, text)
}

/// The latest operation of one of these kinds on the instance itself.
fn last<'a>(service: &'a Service, kinds: &[OperationKind]) -> Option<&'a OperationView> {
    let own = |operation: &&OperationView| operation.binding_id.is_none() && kinds.contains(&operation.kind);
    service.operations.iter().find(own)
}

fn description(operation: Option<&OperationView>) -> Markup {
    let text = operation.and_then(|operation| operation.description.as_deref()).filter(|text| !text.is_empty());
    html! { @if let Some(text) = text { p { "Its broker says: " q { (text) } } } }
}

fn waiting(service: &Service) -> Markup {
    let pending = service.approvals.iter().filter(|approval| approval.state == ApprovalState::Pending);
    let pending: Vec<_> = pending.collect();
    notice(
        Tone::Busy,
        &html! {
            p {
                "Somebody has to agree before anything happens. Its broker has not heard of the order, and nothing is charged."
            }
            @if !pending.is_empty() { ul {
                @for approval in &pending {
                    li {
                        @if approval.approvers.is_empty() { "Any approver" } @else { (approval.approvers.join(" or ")) }
                        " has to agree until " (shown::time(approval.expires_at))
                        @let causes: Vec<&str> = approval.causes.iter().map(crate::domain::approval::Why::name).collect();
                        @if !causes.is_empty() { " (asked for by " (causes.join(", ")) ")" }
                        "."
                    }
                }
            } }
            p { "You need do nothing. If nobody decides in time, the order ends. To take it back, delete it." }
        },
    )
}

fn unresolved(service: &Service) -> Markup {
    let operation = service.operations.iter().find(|operation| operation.state == OperationState::InProgress);
    notice(
        Tone::Warn,
        &html! {
            p {
                "Its broker did not say clearly what came of the last request. The hub asks again"
                @if let Some(operation) = operation { ", next at " (shown::time(operation.next_at)) }
                ", and then either takes what is there or undoes it. Nothing is lost, and you need do nothing."
            }
            p {
                "If it stays like this for long, ask whoever runs this marketplace"
                @if let Some(operation) = operation { ", and tell them the operation " code { (operation.id) } }
                ": they can find out at the broker what is there, call the order off, or forget it where the broker is gone for good."
            }
        },
    )
}

fn failed(service: &Service) -> Markup {
    let cleaning = service.instance.row.operation_id.is_some();
    let order = last(service, &[OperationKind::Provision, OperationKind::Deprovision]);
    notice(
        Tone::Bad,
        &html! {
            p {
                "The order failed"
                @if let Some(text) = order.and_then(|operation| operation.description.as_deref()) { ": " (text) }
                @else { "." }
            }
            p {
                @if cleaning { "What it may have left at its broker is being cleaned up; that goes on until the broker says that nothing is there. " }
                @else { "Nothing of it is left at its broker. " }
                "It is not charged. Put right what was wrong and order it again"
                @if !cleaning { ", under the same name if you like" }
                ". If you can't tell what was wrong, ask whoever runs the service."
            }
        },
    )
}

/// A deletion that its broker carried out, of which nothing is left.
fn deletion(service: &Service) -> Option<&OperationView> {
    last(service, &[OperationKind::Deprovision, OperationKind::OrphanMitigation])
        .filter(|operation| operation.state == OperationState::Succeeded)
}

fn gone(service: &Service) -> Markup {
    let row = &service.instance.row;
    let when = row.gone_at.map(|at| html! { " on " (shown::time(at)) });
    match (row.ready_at.is_some(), deletion(service)) {
        (_, Some(operation)) if operation.kind == OperationKind::Deprovision => notice(
            Tone::Plain,
            &html! {
                p { "It was deleted" (when.unwrap_or_default()) " by " (who(&operation.actor))
                    ". Nothing of it is left; this page remembers it. Its name is free again." }
            },
        ),
        (true, None) => notice(
            Tone::Warn,
            &html! {
                p { "An operator forgot it (purged)" (when.unwrap_or_default()) ", because its broker could not delete it any more"
                    @if let Some(reason) = reason(service) { ": " q { (reason) } } "." }
                p { "It is not charged from then on. If something of it is still at its broker, nobody deletes it from here: ask whoever runs the broker." }
            },
        ),
        _ => notice(
            Tone::Plain,
            &html! {
                p { "The order came to nothing" (when.unwrap_or_default())
                    @if let Some(text) = last(service, &[OperationKind::Provision]).and_then(|operation| operation.description.as_deref()) { ": " (text) } }
                p { "Nothing of it is left, and it was not charged. Its name is free again." }
            },
        ),
    }
}

/// Why the last event about it happened.
fn reason(service: &Service) -> Option<String> {
    let (_, _, document) = service.events.first()?;
    let document: serde_json::Value = serde_json::from_str(document).ok()?;
    document.pointer("/data/reason").and_then(serde_json::Value::as_str).map(str::to_owned)
}

fn ready(service: &Service) -> Markup {
    let latest = last(service, &[OperationKind::Provision, OperationKind::Update, OperationKind::Deprovision]);
    let Some(latest) = latest else { return html! {} };
    let said = latest.description.as_deref().unwrap_or("its broker gave no reason");
    match (latest.kind, latest.state) {
        (OperationKind::Update, OperationState::Failed | OperationState::Cancelled) => notice(
            Tone::Warn,
            &html! {
                p { "The last change did not happen: " (said) }
                p { "It stands as before and can be used. Put right what was wrong and change it again." }
            },
        ),
        (OperationKind::Deprovision, OperationState::Failed | OperationState::Cancelled) => notice(
            Tone::Warn,
            &html! {
                p { "The last deletion did not happen: " (said) }
                p { "It stands and is charged as before. Delete it again; if that fails, too, ask whoever runs this marketplace." }
            },
        ),
        (OperationKind::Provision, OperationState::Succeeded) if latest.description.as_deref() == Some("adopted") => {
            notice(
                Tone::Plain,
                &html! {
                    p { "It stood at its broker before this marketplace knew of it, and was taken over (adopted) on " (shown::time(latest.created_at))
                        ". It is charged from then on. From here on it is changed and deleted here." }
                },
            )
        }
        _ => html! {},
    }
}

/// What waits, in a list: a few words, and what to do.
pub(super) fn waits(
    state: InstanceState,
    under_way: Option<&crate::app::services::list::UnderWay>,
) -> Option<&'static str> {
    Some(match (state, under_way.map(|under_way| under_way.phase)) {
        (InstanceState::WaitingApproval, _) => "An approver has to agree",
        (InstanceState::Unresolved, _) => "The hub finds out what its broker did; nothing to do",
        (InstanceState::Failed, Some(_)) => "Being cleaned up; then order it again",
        (InstanceState::Failed, None) => "Look why, and order it again",
        (_, Some(Phase::Unresolved)) => "The hub finds out what its broker did; nothing to do",
        (InstanceState::Provisioning | InstanceState::Updating | InstanceState::Deprovisioning, _) => {
            "Its broker works on it"
        }
        _ => return None,
    })
}

/// Who did something, for people: `users/ada` is ada.
pub(super) fn who(actor: &str) -> String {
    match actor.split_once('/') {
        Some(("users" | "administrators", name)) => name.to_owned(),
        Some(("service-accounts", name)) => format!("service account {name}"),
        Some(("platforms", name)) => format!("platform {name}"),
        Some(("brokers", name)) => format!("broker {name}"),
        _ if actor.is_empty() => "the hub".to_owned(),
        _ => actor.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_words_of_its_own() {
        let words: std::collections::BTreeSet<_> = InstanceState::ALL.map(|state| in_words(state).1).into();
        assert_eq!(words.len(), InstanceState::ALL.len());
        assert_eq!(
            (who("users/ada"), who("platforms/p"), who("bourse")),
            ("ada".into(), "platform p".into(), "bourse".into())
        );
    }
}
