//! The operation's rules against a model: any order of answers, lost answers, late requests, crashes, refusals at the deadline
//! and calls-off, with a broker that may or may not have acted ([`backend`]). What the hub concludes is then held against
//! what the broker really holds.
//!
//! The rules under test are the real ones (`domain::operation::next`, `transition::apply`, `record::late_news`); only who asks
//! what, in which order (`drive::ask`), and what the store's conditions let through are written down here once more.

mod backend;
mod once_more;
mod rows;

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use self::backend::{Backend, Effect, Fault, TIMEOUT, WINDOW, fault};
use self::rows::{binding, instance, operation};
use super::record::{hand_on, late_news};
use super::transition::{self, Effects, News, Rows, SpanChange};
use crate::clock::Time;
use crate::domain::event::EventKind;
use crate::domain::instance::{BindingState, InstanceState};
use crate::domain::operation::{Answer, OperationKind, OperationState, Phase, Situation, Step, Told, next};
use crate::store::bindings::BindingRow;
use crate::store::instances::InstanceRow;
use crate::store::operations::OperationRow;

/// One drive of the operation.
#[derive(Clone, Debug)]
struct Turn {
    /// What becomes of its exchanges; an order that is looked for needs three.
    faults: [Fault; 3],
    /// What whoever ordered is told while the broker is being called.
    told: Option<Told>,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Recorded,
    /// The process dies with the broker's answer in its hands, or before it sent anything.
    Crashed {
        sent: bool,
    },
    /// An operator calls it off while the broker is being called, or before.
    CalledOff {
        sent: bool,
    },
    /// Something else has to be over first.
    NotYet,
}

fn turn() -> impl Strategy<Value = Turn> {
    let told = prop_oneof![
        6 => Just(None),
        1 => Just(Some(Told::Accepted)),
        1 => Just(Some(Told::Refused)),
    ];
    let end = prop_oneof![
        12 => Just(End::Recorded),
        3 => any::<bool>().prop_map(|sent| End::Crashed { sent }),
        1 => any::<bool>().prop_map(|sent| End::CalledOff { sent }),
        1 => Just(End::NotYet),
    ];
    ([fault(), fault(), fault()], told, end).prop_map(|(faults, told, end)| Turn { faults, told, end })
}

/// What is ordered, and of whom.
#[derive(Clone, Debug)]
struct Order {
    kind: OperationKind,
    accepts_incomplete: bool,
    polling_max: Duration,
    broker: [bool; 4],
}

fn order() -> impl Strategy<Value = Order> {
    let kinds = prop::sample::select(vec![
        OperationKind::Provision,
        OperationKind::Bind,
        OperationKind::Update,
        OperationKind::Deprovision,
        OperationKind::Unbind,
    ]);
    let polling_max = prop::sample::select(vec![30_u64, 600, 7 * 24 * 3600]).prop_map(Duration::from_secs);
    (kinds, any::<bool>(), polling_max, any::<[bool; 4]>()).prop_map(
        |(kind, accepts_incomplete, polling_max, broker)| Order { kind, accepts_incomplete, polling_max, broker },
    )
}

/// The hub's rows and the broker, from the first transaction on.
struct World {
    rows: Rows,
    backend: Backend,
    /// Ends of operations, in their order, with whether something was to be undone.
    ended: Vec<(OperationKind, OperationState, bool)>,
    events: HashSet<(String, EventKind)>,
    spans: i32,
    /// Whether whoever ordered heard a 5xx.
    refused: bool,
}

impl World {
    fn new(order: &Order) -> Self {
        let makes = order.kind == OperationKind::Provision;
        let binds = matches!(order.kind, OperationKind::Bind | OperationKind::Unbind);
        let ready_at = (!makes).then_some(Time(0));
        let state = match order.kind {
            OperationKind::Provision => InstanceState::Provisioning,
            OperationKind::Update => InstanceState::Updating,
            OperationKind::Deprovision => InstanceState::Deprovisioning,
            _ => InstanceState::Ready,
        };
        let instance = InstanceRow { state, ready_at, ..instance() };
        let state = if order.kind == OperationKind::Bind { BindingState::Binding } else { BindingState::Unbinding };
        let ready_at = (order.kind == OperationKind::Unbind).then_some(Time(0));
        let binding = binds.then(|| BindingRow { state, ready_at, ..binding() });
        let mut operation = operation(order.kind);
        operation.accepts_incomplete = order.accepts_incomplete;
        operation.give_up_at = Time(0).plus(order.polling_max);
        operation.binding_id = binding.as_ref().map(|binding| binding.id.clone());
        Self {
            rows: Rows { instance, instance_current: true, binding, binding_current: true, operation },
            backend: Backend::new(!order.kind.creates(), order.broker),
            ended: Vec::new(),
            events: HashSet::new(),
            spans: i32::from(!makes && !binds),
            refused: false,
        }
    }

    fn over(&self) -> bool {
        self.rows.operation.state != OperationState::InProgress
    }

    /// One drive, as `App::drive`, with what may come between.
    fn drive(&mut self, turn: &Turn) {
        let before = self.rows.operation.clone();
        self.backend.pass(self.backend.now.max(before.next_at));
        let sent_at = self.backend.now;
        let unsent = matches!(turn.end, End::Crashed { sent: false } | End::CalledOff { sent: false } | End::NotYet);
        let answer = if unsent { Answer::NotYet } else { self.attempt(&turn.faults) };
        if let Some(told) = turn.told {
            self.tell(told);
        }
        match turn.end {
            End::Crashed { .. } => {
                self.rows.operation.maybe_sent = true;
                self.backend.pass(self.backend.now.plus(Duration::from_secs(10)));
                return;
            }
            End::CalledOff { sent } if before.kind.creates() => return self.call_off(sent),
            // Only an instance's deletion waits for others, and only before it is sent.
            End::NotYet if before.kind != OperationKind::Deprovision || before.phase != Phase::Calling => return,
            End::CalledOff { .. } if unsent => return,
            End::Recorded | End::NotYet | End::CalledOff { .. } => {}
        }
        let situation = Situation {
            kind: before.kind,
            phase: before.phase,
            accepts_incomplete: before.accepts_incomplete,
            told: before.told,
            maybe_sent: before.maybe_sent,
            attempts: u32::try_from(before.attempts).unwrap(),
            give_up_at: before.give_up_at,
            final_not_before: before.final_not_before,
            sent_at,
            now: self.backend.now,
        };
        self.record(&situation, answer);
    }

    /// As `App::record_outcome`.
    fn record(&mut self, situation: &Situation, answer: Answer) {
        let unknown = matches!(answer, Answer::Unknown { .. });
        let step = next(situation, answer);
        if unknown && situation.kind.deletes() {
            let forgets = matches!(step, Step::Succeed | Step::Fail { undo: false, .. });
            assert!(!forgets, "an unknown deletion was settled: {step:?} in {situation:?}");
        }
        let step = late_news(&self.rows.operation, situation, &step).unwrap_or(step);
        let news = News { late_until: Some(situation.now.plus(WINDOW)), ..News::default() };
        let effects = transition::apply(&mut self.rows, situation, &step, news);
        let after = self.rows.operation.clone();
        if self.over() {
            self.ended.push((after.kind, after.state, effects.undo));
        }
        self.tally(&after, &effects);
        if effects.undo {
            self.clean_up(situation.now.plus(WINDOW));
        } else if let Some(at) = effects.delete_again {
            self.delete_once_more(at);
        }
    }

    fn tally(&mut self, operation: &OperationRow, effects: &Effects) {
        if let Some(event) = effects.event {
            assert!(self.events.insert((operation.id.clone(), event)), "{event:?} is told twice of one operation");
        }
        self.spans += match effects.span {
            Some(SpanChange::Open) => 1,
            Some(SpanChange::Close(_)) => -1,
            Some(SpanChange::Split) | None => 0,
        };
    }

    /// As `App::clean_up_after`.
    fn clean_up(&mut self, final_not_before: Time) {
        let clean_up = OperationRow {
            id: format!("{}-clean-up", self.rows.operation.id),
            accepts_incomplete: true,
            final_not_before: Some(final_not_before),
            give_up_at: Time(i64::MAX),
            next_at: self.backend.now,
            binding_id: self.rows.operation.binding_id.clone(),
            ..operation(OperationKind::OrphanMitigation)
        };
        hand_on(&mut self.rows, &clean_up);
        self.rows.operation = clean_up;
    }

    /// As `store::operations::tell`.
    fn tell(&mut self, told: Told) {
        let operation = &mut self.rows.operation;
        if operation.kind == OperationKind::OrphanMitigation
            || (operation.told == Told::Refused && operation.kind.creates())
        {
            return;
        }
        operation.told = told;
        self.refused |= told == Told::Refused;
    }

    /// As `App::cancel` of something that is being made; a call that is under way may last.
    fn call_off(&mut self, sent: bool) {
        transition::finish(&mut self.rows.operation, OperationState::Cancelled, self.backend.now);
        self.ended.push((self.rows.operation.kind, OperationState::Cancelled, true));
        match &mut self.rows.binding {
            Some(binding) => binding.state = BindingState::Failed,
            None => self.rows.instance.state = InstanceState::Failed,
        }
        let lasts = if sent { TIMEOUT * 6 } else { Duration::ZERO };
        self.clean_up(self.backend.now.plus(WINDOW).plus(lasts));
    }

    /// As `App::attempt`, `App::poll` and `App::ask`.
    fn attempt(&mut self, faults: &[Fault; 3]) -> Answer {
        let (kind, phase) = (self.rows.operation.kind, self.rows.operation.phase);
        let look = phase == Phase::Unresolved || (phase == Phase::Calling && self.rows.operation.maybe_sent);
        match phase {
            Phase::Polling => self.poll(faults),
            _ if look && kind.creates() => {
                if self.backend.fetch(&faults[0]) == Answer::Done {
                    return Answer::Done;
                }
                let (answer, _) = self.backend.last_operation(&faults[1], false);
                match answer {
                    Answer::InProgress { .. } | Answer::Failed(_) => answer,
                    _ => self.call(&faults[2]),
                }
            }
            _ => self.call(&faults[0]),
        }
    }

    fn poll(&mut self, faults: &[Fault; 3]) -> Answer {
        let deletes = self.rows.operation.kind.deletes();
        let (answer, not_found) = self.backend.last_operation(&faults[0], deletes);
        if not_found && deletes && self.rows.operation.attempts >= 2 {
            return self.call(&faults[1]);
        }
        answer
    }

    fn call(&mut self, fault: &Fault) -> Answer {
        let effect = match self.rows.operation.kind {
            OperationKind::Provision | OperationKind::Bind => Effect::Create,
            OperationKind::Update => Effect::Change,
            _ => Effect::Delete,
        };
        self.backend.request(effect, fault)
    }

    /// Nothing goes wrong any more, and whatever may still be on its way arrives.
    fn run_out(&mut self) {
        self.finish();
        self.backend.pass(self.backend.now.plus(Duration::from_secs(3600)));
    }

    /// Nothing goes wrong any more until it is over.
    fn finish(&mut self) {
        let calm = Turn { faults: [const { Fault::None }; 3], told: None, end: End::Recorded };
        self.backend.refuses_deletions = false;
        let mut turns = 0;
        while !self.over() {
            turns += 1;
            assert!(turns <= 40, "it does not end: {:?}", self.rows.operation);
            self.drive(&calm);
        }
    }

    /// What the hub concluded, held against what is there.
    fn check(&self) {
        let (ordered, outcome, undone) = self.ended[0];
        let (last, end, _) = *self.ended.last().unwrap();
        let backend = &self.backend;
        assert!(self.ended.len() <= 2 && (self.ended.len() == 2) == undone, "{:?}", self.ended);
        if undone {
            assert_eq!((last, end), (OperationKind::OrphanMitigation, OperationState::Succeeded));
            assert!(!backend.there, "something is left after the clean-up");
            self.check_gone();
            return;
        }
        match (ordered, outcome) {
            (OperationKind::Provision | OperationKind::Bind, OperationState::Succeeded) => {
                assert!(backend.there, "what was made is not there");
                assert!(!self.refused, "an order that was answered 5xx came true");
            }
            (OperationKind::Provision | OperationKind::Bind, _) => {
                assert!(!backend.there, "a failed order left something, and nothing deletes it");
            }
            (OperationKind::Update, OperationState::Succeeded) => assert!(backend.changed, "the update is not made"),
            (OperationKind::Update, _) => {}
            (_, OperationState::Succeeded) => {
                assert!(!backend.there, "what was deleted is there");
                self.check_gone();
            }
            // A request that was late may come after the refusal of its repeat.
            (_, _) => assert!(backend.there || backend.was_late, "a deletion that failed has deleted"),
        }
        let instance = &self.rows.instance;
        let there = matches!(instance.state, InstanceState::Ready);
        let spans = i32::from(there && self.rows.binding.is_none());
        assert_eq!(self.spans, spans, "spans of an instance that is {:?}", instance.state);
    }

    fn check_gone(&self) {
        match &self.rows.binding {
            Some(binding) => {
                assert!(matches!(binding.state, BindingState::Gone | BindingState::Failed));
                assert!(binding.gone_at.is_some() && binding.operation_id.is_none());
            }
            None => {
                let instance = &self.rows.instance;
                assert!(matches!(instance.state, InstanceState::Gone | InstanceState::Failed));
                assert!(instance.gone_at.is_some() && instance.operation_id.is_none());
                assert_eq!(self.spans, 0, "what is gone is metered on");
            }
        }
    }
}

fn config(cases: u32) -> ProptestConfig {
    let given = ProptestConfig::default();
    let rng_seed = match given.rng_seed {
        prop::test_runner::RngSeed::Random => prop::test_runner::RngSeed::Fixed(22),
        fixed => fixed,
    };
    ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { given.cases } else { cases },
        failure_persistence: None,
        rng_seed,
        ..given
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn what_the_hub_concludes_is_what_the_broker_holds(
        order in order(),
        turns in prop::collection::vec(turn(), 0..14),
    ) {
        run(&order, &turns);
    }

    #[test]
    fn a_creation_that_is_late_is_gone_after_its_clean_up(
        order in order(),
        binds in any::<bool>(),
        late in 1..WINDOW.as_secs(),
        faults in prop::collection::vec([fault_while_cleaning(), fault_while_cleaning()], 0..8),
    ) {
        let kind = if binds { OperationKind::Bind } else { OperationKind::Provision };
        let order = Order { kind, accepts_incomplete: false, broker: [false, order.broker[1], order.broker[2], false], ..order };
        let late = [const { Fault::None }; 3].map(|_| Fault::Late { seconds: late });
        let mut turns = vec![Turn { faults: late, told: None, end: End::Recorded }];
        turns.extend(faults.into_iter().map(|[first, second]| Turn {
            faults: [first, second, Fault::None],
            told: None,
            end: End::Recorded,
        }));
        run(&order, &turns);
    }
}

fn run(order: &Order, turns: &[Turn]) {
    let mut world = World::new(order);
    for turn in turns {
        if !world.over() {
            world.drive(turn);
        }
    }
    world.run_out();
    world.check();
}

/// Short work, and answers that are lost: what a late request needs to slip in between.
fn fault_while_cleaning() -> impl Strategy<Value = Fault> {
    prop_oneof![
        1 => Just(Fault::None),
        2 => (0..6_u64).prop_map(|seconds| Fault::Works { seconds, fails: false }),
        2 => any::<bool>().prop_map(|timeout| Fault::RequestLost { timeout }),
    ]
}
