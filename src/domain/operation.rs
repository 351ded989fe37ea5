//! Operations: what is being done to an instance or binding, and what a backend's answer makes of it ([`next`]).
//!
//! The invariant: an outcome that is not known is never taken for failure and never for success. It is asked about, and
//! where it stays unknown it is undone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Time;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// An instance is made.
    Provision,
    /// An instance changes plan or parameters.
    Update,
    /// An instance is deleted.
    Deprovision,
    /// A binding is made.
    Bind,
    /// A binding is deleted.
    Unbind,
    /// An instance's broker is told what changed about its tenant. No platform sees it, and it changes nothing of the instance.
    ContextUpdate,
    /// What a failed provision or bind, or a late request, may have left at the backend is deleted, for as long as it takes.
    OrphanMitigation,
}

impl OperationKind {
    /// Its word in the API, in metrics and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Update => "update",
            Self::Deprovision => "deprovision",
            Self::Bind => "bind",
            Self::Unbind => "unbind",
            Self::ContextUpdate => "context_update",
            Self::OrphanMitigation => "orphan_mitigation",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<Self> {
        let changes = [Self::Provision, Self::Update, Self::Deprovision, Self::ContextUpdate];
        let others = [Self::Bind, Self::Unbind, Self::OrphanMitigation];
        changes.into_iter().chain(others).find(|kind| kind.as_str() == word)
    }

    /// Whether it ends with nothing being there, so that asking for it again does no harm.
    pub fn deletes(self) -> bool {
        matches!(self, Self::Deprovision | Self::Unbind | Self::OrphanMitigation)
    }

    /// Whether it makes something that would have to be undone.
    pub fn creates(self) -> bool {
        matches!(self, Self::Provision | Self::Bind)
    }
}

/// Whether it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// Not over.
    InProgress,
    /// Over, as ordered.
    Succeeded,
    /// Over, without success.
    Failed,
    /// Over, because somebody called it off.
    Cancelled,
}

impl OperationState {
    /// Its word in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::InProgress, Self::Succeeded, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// What an operation in progress is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Somebody has to agree first; the backend has not heard of it.
    WaitingApproval,
    /// The backend is being called.
    Calling,
    /// The backend works on it and is asked now and then.
    Polling,
    /// What the backend made of it is not known; it is being found out.
    Unresolved,
}

impl Phase {
    /// Its word in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WaitingApproval => "waiting_approval",
            Self::Calling => "calling",
            Self::Polling => "polling",
            Self::Unresolved => "unresolved",
        }
    }

    /// The phase of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::WaitingApproval, Self::Calling, Self::Polling, Self::Unresolved]
            .into_iter()
            .find(|phase| phase.as_str() == word)
    }
}

/// What whoever ordered has been told so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// Nothing yet: the answer is still open, or the process died before it gave one.
    Nothing,
    /// 202: they poll.
    Accepted,
    /// 5xx: for them it failed, so it must never come true.
    Refused,
}

impl Told {
    /// Its word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }

    /// The value of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Nothing, Self::Accepted, Self::Refused].into_iter().find(|told| told.as_str() == word)
    }
}

/// What a backend's answer amounts to, whatever was asked of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is done (or, for a deletion, nothing is there).
    Done,
    /// The backend works on it.
    InProgress {
        /// The word to poll with, if it gave one.
        operation: Option<String>,
        /// Seconds it asks to be left alone.
        retry_after_seconds: Option<u64>,
    },
    /// The backend says that the operation it worked on has failed.
    Failed(osb::Error),
    /// Refused as OSB has it: nothing was changed.
    Rejected(osb::Error),
    /// Refused in a way that is the hub's own problem (its credentials, its URL): nothing was changed.
    Misfit(osb::Error),
    /// It may have happened.
    Unknown {
        /// Why, without host names or secrets.
        reason: String,
        /// Whether the time ran out.
        timeout: bool,
    },
    /// Nothing was sent.
    NotSent {
        /// Why, without host names or secrets.
        reason: String,
    },
    /// Asked about it, the backend knows of nothing.
    NotThere,
    /// Something else has to be over first; the backend has not been called.
    NotYet,
}

/// What [`next`] needs to know of the operation.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// What is being done.
    pub kind: OperationKind,
    /// What it is at.
    pub phase: Phase,
    /// Whether whoever ordered can poll.
    pub accepts_incomplete: bool,
    /// What they have been told.
    pub told: Told,
    /// Whether an earlier try may have reached the backend without an answer being recorded.
    pub maybe_sent: bool,
    /// Tries in this phase before this one.
    pub attempts: u32,
    /// When it must be over.
    pub give_up_at: Time,
    /// Only a deletion that was sent after this settles that nothing is left.
    pub final_not_before: Option<Time>,
    /// When the call that was answered was sent.
    pub sent_at: Time,
    /// Now.
    pub now: Time,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It is over, as ordered.
    Succeed,
    /// It is over, without success. Where `undo` is set the backend may hold something, and orphan mitigation follows.
    Fail {
        /// What whoever ordered is told.
        error: osb::Error,
        /// Whether something may have to be undone.
        undo: bool,
    },
    /// Go on in that phase, at that time.
    Continue {
        /// The phase from now on.
        phase: Phase,
        /// When to go on.
        at: Time,
        /// The backend's word for the operation, where it gave one now.
        operation: Option<String>,
        /// What is wrong, where something is: the answer for whoever ordered and cannot poll.
        trouble: Option<osb::Error>,
    },
}

/// Rounds of asking before a provision or bind whose outcome stays unknown is undone.
pub const RESOLVE_ROUNDS_MAX: u32 = 4;
/// How long the outcome of a provision or bind is looked for while the backend can't be asked.
pub const RESOLVE_WITHIN: Duration = Duration::from_secs(15 * 60);
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What a backend may ask for with `Retry-After` at most.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// The pause before the next try: 1 s, doubling, at most 30 s.
pub fn pause(attempts: u32) -> Duration {
    PAUSE_FIRST.saturating_mul(1_u32.checked_shl(attempts.min(16)).unwrap_or(u32::MAX)).min(PAUSE_MAX)
}

/// What an answer makes of an operation.
pub fn next(situation: &Situation, answer: Answer) -> Step {
    match answer {
        Answer::Done => done(situation),
        Answer::NotThere if situation.kind.deletes() => done(situation),
        Answer::InProgress { operation, retry_after_seconds } => in_progress(situation, operation, retry_after_seconds),
        Answer::Failed(error) if situation.kind == OperationKind::OrphanMitigation => delete_again(situation, error),
        Answer::Failed(error) => Step::Fail { error, undo: situation.kind.creates() },
        Answer::Rejected(error) => rejected(situation, error),
        Answer::Misfit(error) => misfit(situation, error),
        Answer::Unknown { reason, timeout } => unknown(situation, &reason, timeout),
        Answer::NotSent { reason } => not_sent(situation, &reason),
        Answer::NotYet if situation.now >= situation.give_up_at => give_up(situation),
        Answer::NotYet => Step::Continue {
            phase: situation.phase,
            at: situation.now.plus(PAUSE_FIRST),
            operation: None,
            trouble: None,
        },
        Answer::NotThere => unknown(situation, "the service broker does not know of it", false),
    }
}

fn done(situation: &Situation) -> Step {
    // What is polled was sent earlier than the poll: a deletion sent late enough has no `final_not_before` any more.
    if let Some(not_before) = situation.final_not_before
        && (situation.sent_at < not_before || situation.phase == Phase::Polling)
    {
        let at = not_before.max(situation.now);
        return Step::Continue { phase: Phase::Unresolved, at, operation: None, trouble: None };
    }
    if situation.told == Told::Refused && situation.kind.creates() {
        // They were told that it failed: what is there now must go.
        return Step::Fail {
            error: osb::Error::gateway_timeout("the service broker did not answer in time"),
            undo: true,
        };
    }
    Step::Succeed
}

fn in_progress(situation: &Situation, operation: Option<String>, retry_after_seconds: Option<u64>) -> Step {
    if situation.phase == Phase::Calling && !situation.accepts_incomplete && !situation.kind.deletes() {
        // Nobody offered to poll, so this answer is against the protocol and settles nothing.
        return unknown(situation, "the service broker answered 202 although it was not offered", false);
    }
    if situation.now >= situation.give_up_at && situation.kind != OperationKind::OrphanMitigation {
        return give_up(situation);
    }
    let attempts = if situation.phase == Phase::Polling { situation.attempts } else { 0 };
    let wait =
        retry_after_seconds.map_or(pause(attempts), |s| Duration::from_secs(s).clamp(PAUSE_FIRST, RETRY_AFTER_MAX));
    Step::Continue { phase: Phase::Polling, at: situation.now.plus(wait), operation, trouble: None }
}

fn rejected(situation: &Situation, error: osb::Error) -> Step {
    let first = situation.phase == Phase::Calling && !situation.maybe_sent;
    let busy = error.code() == Some(osb::error::CONCURRENCY_ERROR);
    match situation.kind {
        OperationKind::OrphanMitigation => again(situation, error),
        // The backend may still be busy with the try whose answer was lost.
        _ if busy && !first => again(situation, error),
        // The first try may have made it, whatever the backend thinks of the second.
        kind if kind.creates() => Step::Fail { error, undo: !first },
        _ if situation.phase == Phase::Polling => again(situation, error),
        _ => Step::Fail { error, undo: false },
    }
}

fn misfit(situation: &Situation, error: osb::Error) -> Step {
    let reported = osb::Error::bad_gateway(format!(
        "the service broker answered {}: the operator of this marketplace has to look at its registration",
        error.status
    ));
    let first = situation.phase == Phase::Calling && !situation.maybe_sent;
    if first && situation.kind != OperationKind::OrphanMitigation {
        return Step::Fail { error: reported, undo: false };
    }
    again(situation, reported)
}

fn unknown(situation: &Situation, reason: &str, timeout: bool) -> Step {
    let trouble = match (timeout, situation.kind.creates()) {
        (true, true) => osb::Error::gateway_timeout(format!("the service broker did not answer in time; {UNDOING}")),
        (true, false) => {
            osb::Error::gateway_timeout(format!("the service broker did not answer in time; {FINDING_OUT}"))
        }
        (false, true) => osb::Error::bad_gateway(format!("{reason}; {UNDOING}")),
        (false, false) => osb::Error::bad_gateway(format!("{reason}; {FINDING_OUT}")),
    };
    let can_wait = situation.accepts_incomplete || situation.told == Told::Accepted || situation.maybe_sent;
    if situation.kind.creates() && !can_wait {
        return Step::Fail { error: trouble, undo: true };
    }
    again(situation, trouble)
}

const UNDOING: &str = "what it may have made is being deleted";
const FINDING_OUT: &str = "what became of it is being found out";

fn not_sent(situation: &Situation, reason: &str) -> Step {
    let trouble = osb::Error::unavailable(reason, 10);
    let first = situation.phase == Phase::Calling && !situation.maybe_sent;
    if first && situation.kind != OperationKind::OrphanMitigation {
        return Step::Fail { error: trouble, undo: false };
    }
    let mut step = again(situation, trouble);
    if let Step::Continue { .. } = step {
        return step;
    }
    // A backend that can't be reached tells nothing: only time ends this, not the number of tries.
    if situation.now < situation.give_up_at {
        let at = situation.now.plus(pause(situation.attempts));
        step = Step::Continue { phase: Phase::Unresolved, at, operation: None, trouble: None };
    }
    step
}

/// Another try later, or the end of trying.
fn again(situation: &Situation, trouble: osb::Error) -> Step {
    let phase = if situation.phase == Phase::Polling { Phase::Polling } else { Phase::Unresolved };
    let attempts = if phase == situation.phase { situation.attempts } else { 0 };
    let hopeless = phase == Phase::Unresolved && situation.kind.creates() && attempts >= RESOLVE_ROUNDS_MAX;
    if situation.kind != OperationKind::OrphanMitigation {
        if hopeless {
            return Step::Fail { error: trouble, undo: true };
        }
        if situation.now >= situation.give_up_at {
            return give_up(situation);
        }
    }
    Step::Continue { phase, at: situation.now.plus(pause(attempts)), operation: None, trouble: Some(trouble) }
}

/// The deletion itself is sent again: a poll would only hear once more that the last one failed.
fn delete_again(situation: &Situation, trouble: osb::Error) -> Step {
    let at = situation.now.plus(PAUSE_MAX);
    Step::Continue { phase: Phase::Unresolved, at, operation: None, trouble: Some(trouble) }
}

fn give_up(situation: &Situation) -> Step {
    let error = osb::Error::gateway_timeout("the operation took longer than its plan allows and was given up");
    Step::Fail { error, undo: situation.kind.creates() || situation.kind.deletes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(kind: OperationKind, phase: Phase) -> Situation {
        Situation {
            kind,
            phase,
            accepts_incomplete: true,
            told: Told::Nothing,
            maybe_sent: false,
            attempts: 0,
            give_up_at: Time(1_000_000_000_000),
            final_not_before: None,
            sent_at: Time(0),
            now: Time(1_000_000),
        }
    }

    fn unknown_answer() -> Answer {
        Answer::Unknown { reason: "no answer".into(), timeout: true }
    }

    #[test]
    fn om_19_a_provision_that_timed_out_is_undone_where_nobody_can_poll() {
        let mut now = situation(OperationKind::Provision, Phase::Calling);
        now.accepts_incomplete = false;
        let Step::Fail { error, undo } = next(&now, unknown_answer()) else { panic!() };
        assert_eq!((error.status, undo), (504, true));
    }

    #[test]
    fn a_provision_that_timed_out_is_looked_for_where_somebody_polls() {
        let now = situation(OperationKind::Provision, Phase::Calling);
        let Step::Continue { phase, .. } = next(&now, unknown_answer()) else { panic!() };
        assert_eq!(phase, Phase::Unresolved);
    }

    #[test]
    fn om_15_a_rejected_provision_leaves_nothing_to_undo() {
        let now = situation(OperationKind::Provision, Phase::Calling);
        let step = next(&now, Answer::Rejected(osb::Error::bad_request("no")));
        assert_eq!(step, Step::Fail { error: osb::Error::bad_request("no"), undo: false });
    }

    #[test]
    fn a_repeat_that_is_rejected_after_a_lost_answer_is_undone() {
        let mut now = situation(OperationKind::Provision, Phase::Calling);
        now.maybe_sent = true;
        let Step::Fail { undo, .. } = next(&now, Answer::Rejected(osb::Error::bad_request("no"))) else { panic!() };
        assert!(undo);
    }

    #[test]
    fn nothing_sent_is_unavailable_only_on_the_first_try() {
        let answer = || Answer::NotSent { reason: "refused".into() };
        let mut now = situation(OperationKind::Provision, Phase::Calling);
        let Step::Fail { error, undo } = next(&now, answer()) else { panic!() };
        assert_eq!((error.status, undo), (503, false));
        now.maybe_sent = true;
        assert!(matches!(next(&now, answer()), Step::Continue { phase: Phase::Unresolved, .. }));
    }

    #[test]
    fn an_order_that_was_answered_5xx_never_comes_true() {
        let mut now = situation(OperationKind::Provision, Phase::Calling);
        now.told = Told::Refused;
        let Step::Fail { undo, .. } = next(&now, Answer::Done) else { panic!() };
        assert!(undo);
    }

    #[test]
    fn a_clean_up_never_gives_up() {
        for answer in [
            unknown_answer(),
            Answer::NotSent { reason: "refused".into() },
            Answer::Rejected(osb::Error::bad_request("no")),
            Answer::Misfit(osb::Error::new(401)),
            Answer::Failed(osb::Error::internal("no")),
            Answer::InProgress { operation: None, retry_after_seconds: None },
        ] {
            for phase in [Phase::Calling, Phase::Polling, Phase::Unresolved] {
                let mut now = situation(OperationKind::OrphanMitigation, phase);
                now.attempts = 1_000_000;
                now.give_up_at = Time(0);
                assert!(matches!(next(&now, answer.clone()), Step::Continue { .. }), "{answer:?} in {phase:?}");
            }
        }
    }

    #[test]
    fn a_clean_up_whose_deletion_the_broker_failed_at_is_sent_again_rather_than_polled() {
        let now = situation(OperationKind::OrphanMitigation, Phase::Polling);
        let Step::Continue { phase, at, .. } = next(&now, Answer::Failed(osb::Error::internal("no"))) else { panic!() };
        assert_eq!((phase, at), (Phase::Unresolved, now.now.plus(PAUSE_MAX)));
    }

    #[test]
    fn a_deletion_that_was_sent_too_early_does_not_settle_it() {
        let mut now = situation(OperationKind::OrphanMitigation, Phase::Unresolved);
        now.final_not_before = Some(Time(5_000_000));
        now.sent_at = Time(4_000_000);
        let Step::Continue { at, .. } = next(&now, Answer::NotThere) else { panic!() };
        assert_eq!(at, Time(5_000_000));
        now.sent_at = Time(5_000_000);
        assert_eq!(next(&now, Answer::NotThere), Step::Succeed);
    }

    #[test]
    fn pol_01_pln_10_om_24_polling_ends_at_the_plans_maximum_and_is_undone() {
        let mut now = situation(OperationKind::Provision, Phase::Polling);
        now.now = now.give_up_at;
        let Step::Fail { undo, .. } = next(&now, Answer::InProgress { operation: None, retry_after_seconds: None })
        else {
            panic!()
        };
        assert!(undo);
    }

    #[test]
    fn a_clean_up_that_is_polled_is_final_only_where_its_deletion_was_sent_late_enough() {
        let mut now = situation(OperationKind::OrphanMitigation, Phase::Polling);
        now.final_not_before = Some(now.now.plus(Duration::from_secs(5)));
        now.sent_at = now.now.plus(Duration::from_secs(7));
        now.now = now.sent_at;
        let Step::Continue { phase, at, .. } = next(&now, Answer::Done) else { panic!() };
        assert_eq!((phase, at), (Phase::Unresolved, now.now), "the poll is late enough, the deletion was not");
        now.phase = Phase::Unresolved;
        assert_eq!(next(&now, Answer::NotThere), Step::Succeed);
        now.phase = Phase::Polling;
        now.final_not_before = None;
        assert_eq!(next(&now, Answer::Done), Step::Succeed);
    }

    #[test]
    fn loi_08_any_odd_answer_while_polling_means_polling_on() {
        for answer in [unknown_answer(), Answer::Misfit(osb::Error::new(401)), Answer::NotThere] {
            let now = situation(OperationKind::Provision, Phase::Polling);
            assert!(matches!(next(&now, answer), Step::Continue { phase: Phase::Polling, .. }));
        }
    }

    #[test]
    fn loi_09_retry_after_is_followed_and_bounded() {
        let now = situation(OperationKind::Provision, Phase::Calling);
        let at = |seconds| {
            let answer = Answer::InProgress { operation: None, retry_after_seconds: Some(seconds) };
            let Step::Continue { at, .. } = next(&now, answer) else { panic!() };
            at.since(now.now).as_secs()
        };
        assert_eq!((at(0), at(7), at(1_000_000)), (1, 7, 600));
    }

    #[test]
    fn pauses_double_to_half_a_minute() {
        let seconds: Vec<_> = (0..7).map(|attempts| pause(attempts).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn om_13_18_21_an_unknown_update_is_asked_about_and_never_undone() {
        let mut now = situation(OperationKind::Update, Phase::Calling);
        now.accepts_incomplete = false;
        assert!(matches!(next(&now, unknown_answer()), Step::Continue { phase: Phase::Unresolved, .. }));
        now.phase = Phase::Unresolved;
        now.now = now.give_up_at;
        let Step::Fail { undo, .. } = next(&now, unknown_answer()) else { panic!() };
        assert!(!undo);
    }
}
