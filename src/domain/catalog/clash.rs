//! Ids and names that two brokers claim. Nobody loses what they have: the newcomer is refused, or its offering put aside.

use std::collections::HashMap;

use super::{Offering, State};

/// What another broker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The other broker; empty where it is not to be named.
    pub broker: String,
    /// What is held: an offering's id, an offering's name, a plan's id.
    pub what: What,
    /// The id or the name.
    pub value: String,
}

/// What can be claimed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// An offering's id.
    OfferingId,
    /// An offering's name.
    OfferingName,
    /// A plan's id.
    PlanId,
}

/// What an offering that can be ordered claims.
pub fn claims(offering: &Offering) -> impl Iterator<Item = (What, &str)> {
    let wanted = offering.state == State::Available;
    let own = [(What::OfferingId, offering.id.as_str()), (What::OfferingName, offering.name.as_str())];
    let plans = offering.plans.iter().map(|plan| (What::PlanId, plan.id.as_str()));
    own.into_iter().chain(plans).filter(move |_| wanted)
}

/// For each offering that claims what another broker holds: its place, and a sentence that names both brokers.
pub fn clashes(broker: &str, offerings: &[Offering], held: &[Held]) -> Vec<(usize, String)> {
    let held: HashMap<_, _> =
        held.iter().map(|held| ((held.what, held.value.as_str()), held.broker.as_str())).collect();
    let found = offerings.iter().enumerate().filter_map(|(place, offering)| {
        let (what, value, other) =
            claims(offering).find_map(|claim| held.get(&claim).map(|other| (claim.0, claim.1, *other)))?;
        Some((place, sentence(what, value, broker, other)))
    });
    found.collect()
}

fn sentence(what: What, value: &str, broker: &str, other: &str) -> String {
    let other = if other.is_empty() { "another broker".to_owned() } else { format!("broker `{other}`") };
    match what {
        What::OfferingName => format!(
            "the offering name `{value}` of broker `{broker}` is already that of an offering of {other}: register it with another `name_prefix`"
        ),
        What::OfferingId => format!(
            "the offering id `{value}` of broker `{broker}` is already that of an offering of {other}: register it with `\"ids\":\"mapped\"`"
        ),
        What::PlanId => format!(
            "the plan id `{value}` of broker `{broker}` is already that of a plan of {other}: register it with `\"ids\":\"mapped\"`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::catalog::Ids;
    use crate::domain::catalog::import::{Source, import};

    fn offerings() -> Vec<Offering> {
        let catalog = json!({"services": [{
            "id": "1", "name": "db", "description": "d", "bindable": true,
            "plans": [{"id": "p", "name": "small", "description": "d"}],
        }]});
        import(
            Source { broker: "new", name_prefix: "", ids: Ids::Passthrough, hub: "bourse", terms: Default::default() },
            &catalog,
            &[],
        )
        .unwrap()
    }

    #[track_caller]
    fn check(what: What, value: &str, expected: bool) {
        let held = [Held { broker: "old".to_owned(), what, value: value.to_owned() }];
        let found = clashes("new", &offerings(), &held);
        assert_eq!(!found.is_empty(), expected, "{what:?} {value}");
        for (place, sentence) in found {
            assert_eq!(place, 0);
            assert!(sentence.contains("`new`") && sentence.contains("`old`"), "{sentence}");
        }
    }

    #[test]
    fn a_clash_names_both_brokers() {
        check(What::OfferingId, "1", true);
        check(What::OfferingName, "db", true);
        check(What::PlanId, "p", true);
    }

    #[test]
    fn only_equal_things_clash() {
        check(What::OfferingId, "p", false);
        check(What::OfferingName, "DB", false);
        check(What::PlanId, "small", false);
    }

    #[test]
    fn what_can_not_be_ordered_claims_nothing() {
        let mut offering = offerings().remove(0);
        offering.state = State::Quarantined;
        assert_eq!(claims(&offering).count(), 0);
    }
}
