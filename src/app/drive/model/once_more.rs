//! What a repeat has made and somebody has deleted at once, while the request before it is still on its way: nothing is
//! left of it in the end, and nobody is told twice.

use super::*;

impl World {
    /// As `App::intend_deprovision` and `App::intend_unbind`, of what was made.
    fn delete(&mut self) {
        let binding_id = self.rows.operation.binding_id.clone();
        let kind = if binding_id.is_some() { OperationKind::Unbind } else { OperationKind::Deprovision };
        match &mut self.rows.binding {
            Some(binding) => binding.state = BindingState::Unbinding,
            None => self.rows.instance.state = InstanceState::Deprovisioning,
        }
        self.rows.operation = OperationRow {
            id: "deletion".into(),
            binding_id,
            accepts_incomplete: true,
            created_at: self.backend.now,
            next_at: self.backend.now,
            give_up_at: self.backend.now.plus(Duration::from_secs(7 * 24 * 3600)),
            ..operation(kind)
        };
        self.ended.clear();
    }

    /// As `App::record_outcome` where a deletion may have been too early.
    pub(super) fn delete_once_more(&mut self, at: Time) {
        self.rows.operation = OperationRow {
            id: "once more".into(),
            accepts_incomplete: true,
            final_not_before: Some(at),
            give_up_at: Time(i64::MAX),
            next_at: self.backend.now.max(at),
            binding_id: self.rows.operation.binding_id.clone(),
            ..operation(OperationKind::OrphanMitigation)
        };
    }
}

/// What loses an answer, or all of it, but never refuses.
fn loss() -> impl Strategy<Value = Fault> {
    prop_oneof![
        2 => Just(Fault::None),
        2 => (0..6_u64).prop_map(|seconds| Fault::Works { seconds, fails: false }),
        2 => any::<bool>().prop_map(|timeout| Fault::RequestLost { timeout }),
        4 => (1..WINDOW.as_secs()).prop_map(|seconds| Fault::Late { seconds }),
    ]
}

fn disturbed() -> impl Strategy<Value = Turn> {
    let end = prop_oneof![4 => Just(End::Recorded), 1 => any::<bool>().prop_map(|sent| End::Crashed { sent })];
    ([loss(), loss(), loss()], end).prop_map(|(faults, end)| Turn { faults, told: None, end })
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn what_a_late_request_makes_after_its_deletion_is_deleted_once_more(
        order in order(),
        binds in any::<bool>(),
        making in prop::collection::vec(disturbed(), 1..5),
        deleting in prop::collection::vec(disturbed(), 0..4),
    ) {
        let kind = if binds { OperationKind::Bind } else { OperationKind::Provision };
        let [_, retrievable, remembers, _] = order.broker;
        let order =
            Order { kind, accepts_incomplete: true, broker: [false, retrievable, remembers, false], ..order };
        let mut world = World::new(&order);
        for turn in &making {
            if !world.over() {
                world.drive(turn);
            }
        }
        world.finish();
        if world.ended[0].1 == OperationState::Succeeded {
            world.delete();
            for turn in &deleting {
                if !world.over() {
                    world.drive(turn);
                }
            }
        }
        world.run_out();
        prop_assert!(!world.backend.there, "something is left: {:?}", world.ended);
        world.check_gone();
    }
}
