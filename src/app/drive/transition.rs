//! What a step makes of the rows: new states, events, spans, and whether something is to be undone. Pure: the transaction
//! around it is in `record`.

use crate::clock::Time;
use crate::domain::event::EventKind;
use crate::domain::instance::{BindingState, InstanceState};
use crate::domain::operation::{OperationKind, OperationState, Phase, RESOLVE_WITHIN, Situation, Step, Told};
use crate::store::bindings::BindingRow;
use crate::store::instances::InstanceRow;
use crate::store::operations::OperationRow;

use super::super::sealed::error_to_text;

/// The locked rows.
pub(super) struct Rows {
    pub(super) instance: InstanceRow,
    /// Whether the platform's id means this row from now on.
    pub(super) instance_current: bool,
    pub(super) binding: Option<BindingRow>,
    /// Whether the platform's id means this row from now on.
    pub(super) binding_current: bool,
    pub(super) operation: OperationRow,
}

impl Rows {
    /// That of what the operation is done to.
    fn late_until(&mut self) -> &mut Option<Time> {
        match &mut self.binding {
            Some(binding) => &mut binding.late_until,
            None => &mut self.instance.late_until,
        }
    }
}

/// What an answer, or the want of one, brought: sealed and ready to be written.
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    /// The instance's answer from now on.
    pub(super) answer: Option<String>,
    /// What an update alone was answered: it is relayed as it is, without what is known from before.
    pub(super) update_answer: Option<String>,
    /// The binding's answer, sealed, and until when it is kept.
    pub(super) binding_answer: Option<(Vec<u8>, Time)>,
    /// The plan and the sealed attributes that an update leads to.
    pub(super) target: Option<(String, Vec<u8>)>,
    /// Until when a request whose answer is lost now may still reach the backend.
    pub(super) late_until: Option<Time>,
}

/// What else the transaction does.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Effects {
    pub(super) event: Option<EventKind>,
    pub(super) reason: Option<String>,
    pub(super) previous_plan_id: Option<String>,
    pub(super) span: Option<SpanChange>,
    pub(super) undo: bool,
    /// It is deleted, and a lost request may make it once more until then: it is deleted once more after that.
    pub(super) delete_again: Option<Time>,
}

/// What happens to the instance's span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanChange {
    /// It begins now.
    Open,
    /// One ends and the next begins now.
    Split,
    /// It ends at that time.
    Close(Time),
}

/// Applies a step.
pub(super) fn apply(rows: &mut Rows, situation: &Situation, step: &Step, news: News) -> Effects {
    let now = situation.now;
    // What is polled was answered: no request is lost any more.
    let lost = situation.phase != Phase::Polling
        && (situation.maybe_sent || matches!(step, Step::Continue { phase: Phase::Unresolved, .. }));
    if situation.kind.creates() && lost {
        let late_until = rows.late_until();
        *late_until = (*late_until).max(news.late_until);
    }
    match step {
        Step::Continue { phase, at, operation, trouble } => {
            if let Some(answer) = news.answer {
                rows.instance.answer = answer;
            }
            go_on(rows, situation, *phase, *at, operation.as_ref(), trouble.as_ref())
        }
        Step::Succeed => {
            finish(&mut rows.operation, OperationState::Succeeded, now);
            rows.operation.answer.clone_from(&news.update_answer);
            rows.operation.description = None;
            let late_until = *rows.late_until();
            // Its deletion was sent some time after it was ordered: which poll or repeat told of it does not say when.
            let late_until = late_until.filter(|until| rows.operation.created_at < *until);
            let mut effects = succeed(rows, news, now);
            if matches!(situation.kind, OperationKind::Deprovision | OperationKind::Unbind) {
                effects.delete_again = late_until;
            }
            effects
        }
        Step::Fail { error, undo } => {
            finish(&mut rows.operation, OperationState::Failed, now);
            rows.operation.answer = Some(error_to_text(error));
            rows.operation.description = error.description().map(str::to_owned);
            let mut effects = fail(rows, *undo, now);
            effects.reason = error.description().map(str::to_owned);
            effects.undo = *undo;
            effects
        }
    }
}

/// Ends an operation.
pub(super) fn finish(operation: &mut OperationRow, state: OperationState, now: Time) {
    operation.state = state;
    operation.finished_at = Some(now);
}

fn go_on(
    rows: &mut Rows,
    situation: &Situation,
    phase: Phase,
    at: Time,
    word: Option<&String>,
    trouble: Option<&osb::Error>,
) -> Effects {
    let operation = &mut rows.operation;
    let changed = operation.phase != phase;
    operation.attempts = if changed { 0 } else { operation.attempts.saturating_add(1) };
    operation.phase = phase;
    operation.next_at = at;
    if word.is_some() {
        operation.backend_operation = word.cloned();
    }
    if let Some(trouble) = trouble {
        operation.answer = Some(error_to_text(trouble));
        operation.description = trouble.description().map(str::to_owned);
    }
    if changed && phase == Phase::Polling && operation.final_not_before.is_some_and(|from| situation.sent_at >= from) {
        // The backend works on a deletion that was sent late enough: how that ends settles it.
        operation.final_not_before = None;
    }
    // Nobody ordered a clean-up: it is told only to whoever deletes meanwhile.
    let ordered = operation.accepts_incomplete && operation.kind != OperationKind::OrphanMitigation;
    if phase != Phase::Calling && ordered && operation.told == Told::Nothing {
        operation.told = Told::Accepted;
    }
    if phase == Phase::Calling || !changed {
        return Effects::default();
    }
    if phase == Phase::Unresolved && operation.kind.creates() {
        operation.give_up_at = situation.now.plus(RESOLVE_WITHIN);
    }
    if phase == Phase::Unresolved {
        return unresolved(rows);
    }
    Effects::default()
}

fn unresolved(rows: &mut Rows) -> Effects {
    match (rows.operation.kind, &mut rows.binding) {
        (OperationKind::OrphanMitigation | OperationKind::ContextUpdate, _) => Effects::default(),
        (_, Some(binding)) => {
            binding.state = BindingState::Unresolved;
            Effects::default()
        }
        (_, None) if rows.instance.state == InstanceState::Unresolved => Effects::default(),
        (_, None) => {
            rows.instance.state = InstanceState::Unresolved;
            Effects {
                event: Some(EventKind::InstanceUnresolved),
                reason: rows.operation.description.clone(),
                ..Effects::default()
            }
        }
    }
}

fn succeed(rows: &mut Rows, news: News, now: Time) -> Effects {
    let Rows { instance, instance_current: _, binding, binding_current: _, operation } = rows;
    if let Some(answer) = news.answer {
        instance.answer = answer;
    }
    match operation.kind {
        OperationKind::Provision => {
            instance.state = InstanceState::Ready;
            instance.operation_id = None;
            instance.ready_at = Some(now);
            Effects { event: Some(EventKind::InstanceProvisioned), span: Some(SpanChange::Open), ..Effects::default() }
        }
        OperationKind::Update => {
            instance.state = InstanceState::Ready;
            instance.operation_id = None;
            let mut effects = Effects { event: Some(EventKind::InstanceUpdated), ..Effects::default() };
            if let Some((plan_id, attributes)) = news.target {
                instance.attributes = attributes;
                if instance.plan_id != plan_id {
                    effects.previous_plan_id = Some(std::mem::replace(&mut instance.plan_id, plan_id));
                    effects.span = Some(SpanChange::Split);
                }
            }
            effects
        }
        OperationKind::Deprovision => {
            gone(instance, now);
            instance.state = InstanceState::Gone;
            deprovisioned(operation)
        }
        OperationKind::Bind => {
            if let Some(binding) = binding {
                binding.state = BindingState::Ready;
                binding.operation_id = None;
                binding.ready_at = Some(now);
                (binding.answer, binding.answer_until) = news.binding_answer.unzip();
            }
            Effects { event: Some(EventKind::BindingCreated), ..Effects::default() }
        }
        OperationKind::Unbind => {
            if let Some(binding) = binding {
                unbound(binding, now);
                binding.state = BindingState::Gone;
            }
            Effects { event: Some(EventKind::BindingDeleted), ..Effects::default() }
        }
        OperationKind::ContextUpdate => Effects::default(),
        OperationKind::OrphanMitigation => cleaned(instance, binding.as_mut(), operation, now),
    }
}

fn gone(instance: &mut InstanceRow, now: Time) {
    instance.operation_id = None;
    instance.gone_at = Some(now);
}

fn unbound(binding: &mut BindingRow, now: Time) {
    binding.operation_id = None;
    binding.gone_at = Some(now);
    binding.answer = None;
    binding.answer_until = None;
}

/// The instance stood until its deletion was accepted.
fn deprovisioned(operation: &OperationRow) -> Effects {
    Effects {
        event: Some(EventKind::InstanceDeprovisioned),
        span: Some(SpanChange::Close(operation.created_at)),
        ..Effects::default()
    }
}

/// A clean-up is over. What had once been ready (its deletion was given up on) is told and metered like any deletion.
fn cleaned(
    instance: &mut InstanceRow,
    binding: Option<&mut BindingRow>,
    operation: &OperationRow,
    now: Time,
) -> Effects {
    let told = operation.told == Told::Accepted;
    if let Some(binding) = binding {
        if binding.state == BindingState::Gone {
            // A bind that was sent once more had come too late: the platform heard of its end long ago.
            return Effects::default();
        }
        unbound(binding, now);
        if told || binding.ready_at.is_some() {
            binding.state = BindingState::Gone;
        }
        let event = binding.ready_at.map(|_| EventKind::BindingDeleted);
        return Effects { event, ..Effects::default() };
    }
    if instance.state == InstanceState::Gone {
        // It was deleted once more, because a request that made it might have come too late.
        return Effects::default();
    }
    gone(instance, now);
    if told || instance.ready_at.is_some() {
        instance.state = InstanceState::Gone;
    }
    if instance.ready_at.is_some() { deprovisioned(operation) } else { Effects::default() }
}

fn fail(rows: &mut Rows, undo: bool, now: Time) -> Effects {
    let Rows { instance, instance_current, binding, binding_current, operation } = rows;
    // Whoever got a refusal as the answer to the order itself sees nothing of it afterwards.
    let hidden = operation.kind.creates() && !undo && operation.told == Told::Nothing;
    let event = match (operation.kind, binding) {
        (OperationKind::Provision, _) => {
            instance.state = if hidden { InstanceState::Gone } else { InstanceState::Failed };
            *instance_current = !hidden;
            if undo {
                instance.operation_id = None
            } else {
                gone(instance, now)
            }
            EventKind::InstanceFailed
        }
        (OperationKind::Update, _) => {
            instance.state = InstanceState::Ready;
            instance.operation_id = None;
            EventKind::InstanceUpdateFailed
        }
        (OperationKind::Deprovision, _) => {
            instance.state = if undo { InstanceState::Failed } else { InstanceState::Ready };
            instance.operation_id = None;
            EventKind::InstanceDeprovisionFailed
        }
        (OperationKind::Bind, Some(binding)) => {
            binding.state = if hidden { BindingState::Gone } else { BindingState::Failed };
            *binding_current = !hidden;
            if undo {
                binding.operation_id = None
            } else {
                unbound(binding, now)
            }
            EventKind::BindingFailed
        }
        (OperationKind::Unbind, Some(binding)) => {
            binding.state = if undo { BindingState::Failed } else { BindingState::Ready };
            binding.operation_id = None;
            EventKind::BindingFailed
        }
        // A clean-up never fails, bind and unbind always have their binding, and a change of the context alone is nobody's state.
        (
            OperationKind::OrphanMitigation
            | OperationKind::ContextUpdate
            | OperationKind::Bind
            | OperationKind::Unbind,
            _,
        ) => {
            return Effects::default();
        }
    };
    Effects { event: Some(event), ..Effects::default() }
}
