//! A service broker as the model has it: what it really holds, whatever the hub is told. It is honest: it does what it answers,
//! repeats do no harm, and it refuses every deletion or none until all is calm. All else may go wrong, as [`Fault`] says.
//!
//! It knows nothing of the hub's rules; that is what makes it worth asking.

use std::time::Duration;

use proptest::prelude::*;

use crate::clock::Time;
use crate::domain::operation::Answer;

/// A broker's timeout in the model, and for how long what was sent may be on its way: what `clean_up_after` waits for.
pub(super) const TIMEOUT: Duration = Duration::from_secs(4);
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Create,
    Change,
    Delete,
}

/// What becomes of one exchange.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The broker does it and says so.
    None,
    /// It says 202, works so many seconds, and then fails or not.
    Works { seconds: u64, fails: bool },
    /// It does it, at once or as after a 202, but its answer is lost, or a 5xx, or cannot be read.
    AnswerLost { timeout: bool, works: Option<u64> },
    /// Its answer is lost, and the request too.
    RequestLost { timeout: bool },
    /// No answer comes in time; the request arrives so many seconds later.
    Late { seconds: u64 },
    /// Nothing was sent.
    NotSent,
    /// It does not want to.
    Refused,
    /// The hub has no right to ask.
    Misfit,
}

pub(super) fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::None),
        3 => (0..90_u64, any::<bool>()).prop_map(|(seconds, fails)| Fault::Works { seconds, fails }),
        3 => (any::<bool>(), prop::option::of(0..90_u64))
            .prop_map(|(timeout, works)| Fault::AnswerLost { timeout, works }),
        2 => any::<bool>().prop_map(|timeout| Fault::RequestLost { timeout }),
        3 => (1..WINDOW.as_secs()).prop_map(|seconds| Fault::Late { seconds }),
        2 => Just(Fault::NotSent),
        2 => Just(Fault::Refused),
        1 => Just(Fault::Misfit),
    ]
}

/// What the broker works on after a 202.
#[derive(Clone, Copy, Debug)]
struct Work {
    effect: Effect,
    until: Time,
    fails: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Backend {
    pub(super) now: Time,
    /// Whether the instance or binding is there.
    pub(super) there: bool,
    /// Whether it is only what a creation that failed has left.
    broken: bool,
    leaves_remains: bool,
    /// Whether the update is made.
    pub(super) changed: bool,
    pub(super) refuses_deletions: bool,
    retrievable: bool,
    /// Whether what was done at once is known to its last operation, and a repeat of what it works on is welcome.
    remembers: bool,
    work: Option<Work>,
    last: Option<(Effect, bool)>,
    late: Vec<(Time, Effect)>,
    /// Whether a request was ever late.
    pub(super) was_late: bool,
}

impl Backend {
    pub(super) fn new(there: bool, [refuses_deletions, retrievable, remembers, leaves_remains]: [bool; 4]) -> Self {
        Self {
            now: Time(0),
            there,
            broken: false,
            leaves_remains,
            changed: false,
            refuses_deletions,
            retrievable,
            remembers,
            work: None,
            last: None,
            late: Vec::new(),
            was_late: false,
        }
    }

    /// Time goes on, and what was on its way or under way comes about.
    pub(super) fn pass(&mut self, until: Time) {
        loop {
            let arrival = self.late.iter().map(|(at, _)| *at).min();
            let done = self.work.map(|work| work.until);
            let Some(next) = arrival.into_iter().chain(done).min().filter(|at| *at <= until) else { break };
            self.now = self.now.max(next);
            if done == Some(next) {
                self.finish_work();
            } else if let Some(place) = self.late.iter().position(|(at, _)| *at == next) {
                let (_, effect) = self.late.remove(place);
                self.handle(effect, &Fault::None);
            }
        }
        self.now = self.now.max(until);
    }

    fn finish_work(&mut self) {
        if let Some(work) = self.work.take() {
            self.last = Some((work.effect, !work.fails));
            if !work.fails {
                self.comes_true(work.effect);
            } else if work.effect == Effect::Create && self.leaves_remains {
                (self.there, self.broken) = (true, true);
            }
        }
    }

    fn comes_true(&mut self, effect: Effect) {
        match effect {
            Effect::Create => (self.there, self.broken) = (true, false),
            Effect::Change => self.changed = true,
            Effect::Delete => self.there = false,
        }
    }

    /// One request that wants something, with what becomes of it.
    pub(super) fn request(&mut self, effect: Effect, fault: &Fault) -> Answer {
        let lost = |timeout| Answer::Unknown { reason: "the answer was lost".into(), timeout };
        match fault {
            Fault::NotSent => Answer::NotSent { reason: "refused".into() },
            Fault::Misfit => Answer::Misfit(osb::Error::new(401)),
            Fault::AnswerLost { timeout, works } => {
                let how = works.map_or(Fault::None, |seconds| Fault::Works { seconds, fails: false });
                self.handle(effect, &how);
                self.wait(*timeout);
                lost(*timeout)
            }
            Fault::RequestLost { timeout } => {
                self.wait(*timeout);
                lost(*timeout)
            }
            Fault::Late { seconds } => {
                self.was_late = true;
                self.late.push((self.now.plus(Duration::from_secs(*seconds)), effect));
                self.wait(true);
                lost(true)
            }
            _ => self.handle(effect, fault),
        }
    }

    fn wait(&mut self, timeout: bool) {
        if timeout {
            self.pass(self.now.plus(TIMEOUT));
        }
    }

    fn handle(&mut self, effect: Effect, fault: &Fault) -> Answer {
        let in_progress = Answer::InProgress { operation: None, retry_after_seconds: None };
        if let Some(work) = self.work {
            let same = work.effect == effect;
            let busy = Answer::Rejected(osb::Error::concurrency("busy"));
            return if same && self.remembers { in_progress } else { busy };
        }
        let refused = if effect == Effect::Delete { self.refuses_deletions } else { matches!(fault, Fault::Refused) };
        // A deletion of what is not there may be worked on, too.
        if effect == Effect::Delete && !self.there && !matches!(fault, Fault::Works { .. }) {
            return Answer::NotThere;
        }
        if effect == Effect::Create && self.there && self.broken {
            return Answer::Rejected(osb::Error::conflict("it is there, and broken"));
        }
        if refused && !(effect == Effect::Change && self.changed) {
            return Answer::Rejected(osb::Error::bad_request("no"));
        }
        let done = match effect {
            Effect::Create => self.there,
            Effect::Change => self.changed,
            Effect::Delete => false,
        };
        if let Fault::Works { seconds, fails } = fault
            && !done
        {
            // A broker that was not offered to be polled may do so against the protocol.
            let until = self.now.plus(Duration::from_secs(*seconds));
            let fails = *fails && (effect != Effect::Delete || self.there);
            self.work = Some(Work { effect, until, fails });
            return in_progress;
        }
        if self.remembers {
            self.last = Some((effect, true));
        }
        self.comes_true(effect);
        Answer::Done
    }

    /// A fetch: [`Answer::Done`] where it is there.
    pub(super) fn fetch(&mut self, fault: &Fault) -> Answer {
        if !self.retrievable {
            return Answer::NotThere;
        }
        self.question(fault).unwrap_or(if self.there && !self.broken { Answer::Done } else { Answer::NotThere })
    }

    /// A question about the last operation, as `drive::classify` reads its answer. The flag tells a 404.
    pub(super) fn last_operation(&mut self, fault: &Fault, deletes: bool) -> (Answer, bool) {
        if let Some(answer) = self.question(fault) {
            return (answer, false);
        }
        let answer = match (self.work, self.last) {
            (Some(_), _) => Answer::InProgress { operation: None, retry_after_seconds: None },
            (None, Some((Effect::Delete, true))) if !self.remembers && deletes => Answer::NotThere,
            (None, Some((_, true))) => Answer::Done,
            (None, Some((_, false))) => Answer::Failed(osb::Error::with(502, "OperationFailed", "it failed")),
            (None, None) if deletes => {
                return (Answer::Unknown { reason: "not known".into(), timeout: false }, true);
            }
            (None, None) => return (Answer::NotThere, true),
        };
        (answer, false)
    }

    /// What keeps a question from being answered.
    fn question(&mut self, fault: &Fault) -> Option<Answer> {
        let lost = |timeout| Some(Answer::Unknown { reason: "the answer was lost".into(), timeout });
        match fault {
            Fault::NotSent => Some(Answer::NotSent { reason: "refused".into() }),
            Fault::Misfit => Some(Answer::Misfit(osb::Error::new(401))),
            Fault::AnswerLost { timeout, .. } | Fault::RequestLost { timeout } => {
                self.wait(*timeout);
                lost(*timeout)
            }
            Fault::Late { .. } => {
                self.wait(true);
                lost(true)
            }
            Fault::None | Fault::Works { .. } | Fault::Refused => None,
        }
    }
}
