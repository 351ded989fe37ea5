//! What the suite may have made at the broker, so that it can be deleted whatever happens.
//!
//! Invariant: an id is written down before the first request that could make something under it is sent, and is struck out only
//! when the broker says that nothing is there. Kept in memory: who kills the suite outright cleans up by hand.

use std::collections::BTreeMap;

/// An instance or a binding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Thing {
    pub(super) instance: String,
    /// Empty for the instance itself; so a binding comes after its instance, and is deleted before it.
    pub(super) binding: String,
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// The plan that it was ordered or changed to last.
    pub(super) plan_id: String,
    /// Whether the broker ever said anything but no.
    pub(super) likely: bool,
}

/// All that may be there.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    things: BTreeMap<Thing, Held>,
}

impl Ledger {
    /// A request that may make it is about to be sent.
    pub(super) fn may_hold(&mut self, instance: &str, binding: &str, plan_id: &str) {
        let thing = Thing { instance: instance.to_owned(), binding: binding.to_owned() };
        self.things.entry(thing).or_insert(Held { plan_id: plan_id.to_owned(), likely: false });
    }

    /// A request that may have made it was not refused.
    pub(super) fn likely(&mut self, instance: &str, binding: &str) {
        if let Some(held) = self.find(instance, binding) {
            held.likely = true;
        }
    }

    /// It was changed to another plan.
    pub(super) fn moved(&mut self, instance: &str, plan_id: &str) {
        if let Some(held) = self.find(instance, "") {
            held.plan_id = plan_id.to_owned();
        }
    }

    /// The plan that an instance stands under, as far as is known.
    pub(super) fn plan_of(&self, instance: &str) -> Option<&str> {
        let thing = Thing { instance: instance.to_owned(), binding: String::new() };
        self.things.get(&thing).map(|held| held.plan_id.as_str()).filter(|plan| !plan.is_empty())
    }

    /// The broker says that it isn't there.
    pub(super) fn gone(&mut self, instance: &str, binding: &str) {
        self.things.retain(|thing, _| thing.instance != instance || (!binding.is_empty() && thing.binding != binding));
    }

    /// All that may be there, in the order in which it is to be deleted.
    pub(super) fn left(&self) -> Vec<(Thing, Held)> {
        self.things.iter().rev().map(|(thing, held)| (thing.clone(), held.clone())).collect()
    }

    fn find(&mut self, instance: &str, binding: &str) -> Option<&mut Held> {
        self.things.get_mut(&Thing { instance: instance.to_owned(), binding: binding.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(ledger: &Ledger) -> Vec<String> {
        ledger.left().into_iter().map(|(thing, _)| format!("{}/{}", thing.instance, thing.binding)).collect()
    }

    #[test]
    fn bindings_are_deleted_before_their_instance() {
        let mut ledger = Ledger::default();
        for (instance, binding) in [("i", ""), ("i", "b"), ("j", "")] {
            ledger.may_hold(instance, binding, "p");
        }
        assert_eq!(left(&ledger), ["j/", "i/b", "i/"]);
        ledger.gone("i", "b");
        assert_eq!(left(&ledger), ["j/", "i/"]);
    }

    #[test]
    fn with_an_instance_its_bindings_are_gone() {
        let mut ledger = Ledger::default();
        ledger.may_hold("i", "", "p");
        ledger.may_hold("i", "b", "p");
        ledger.moved("i", "q");
        ledger.likely("i", "");
        assert_eq!((ledger.plan_of("i"), ledger.plan_of("j")), (Some("q"), None));
        assert_eq!(ledger.left()[1].1, Held { plan_id: "q".into(), likely: true });
        ledger.gone("i", "");
        assert!(ledger.left().is_empty());
    }
}
