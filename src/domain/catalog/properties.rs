//! Properties of the merged catalog: several brokers, each with catalogs that change, break, clash and come back, in any order.
//! What platforms are shown is always in order, nobody's slip takes anything from anybody else, and what was once ordered is
//! served for ever under the same ids.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use super::clash::{Held, What, claims, clashes};
use super::import::{Source, import, quarantine};
use super::{Ids, Merged, Offering, Part, Severity, State, same};
use crate::domain::platform::PlatformKind;

/// Cases where `PROPTEST_CASES` asks for no other number.
const UNASKED: u32 = 256;

/// What is wrong with an offering, if anything.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    NoDescription,
    BindableIsText,
    NoPlans,
    PlanWithoutName,
    OwnHub,
    NoObject,
}

#[derive(Clone, Debug)]
struct Service {
    id: u8,
    name: u8,
    plans: Vec<u8>,
    flaw: Flaw,
}

impl Service {
    fn json(&self) -> Value {
        let plans: Vec<_> = self.plans.iter().map(|id| plan(*id)).collect();
        let mut service = json!({
            "id": self.id.to_string(), "name": format!("name-{}", self.name), "description": "d", "bindable": true,
            "x-price": {"amount": 99.0}, "requires": ["syslog_drain", "magic"], "metadata": {"shareable": "yes"},
            "dashboard_client": {"id": format!("client-{}", self.name)}, "plans": plans,
        });
        match self.flaw {
            Flaw::None => {}
            Flaw::NoDescription => service["description"] = json!(""),
            Flaw::BindableIsText => service["bindable"] = json!("yes"),
            Flaw::NoPlans => service["plans"] = json!([]),
            Flaw::PlanWithoutName => service["plans"][0]["name"] = json!(7),
            Flaw::OwnHub => service["metadata"] = json!({"bourse": {"via": ["hub"]}}),
            Flaw::NoObject => service = json!("nonsense"),
        }
        service
    }
}

/// Ids of plans are apart from those of offerings.
fn plan(id: u8) -> Value {
    json!({"id": format!("p{id}"), "name": format!("plan-{id}"), "description": "d", "maintenance_info": {"version": "1.0.0"}})
}

fn service() -> impl Strategy<Value = Service> {
    let flaw = prop_oneof![
        8 => Just(Flaw::None),
        1 => Just(Flaw::NoDescription),
        1 => Just(Flaw::BindableIsText),
        1 => Just(Flaw::NoPlans),
        1 => Just(Flaw::PlanWithoutName),
        1 => Just(Flaw::OwnHub),
        1 => Just(Flaw::NoObject),
    ];
    (0..4_u8, 0..4_u8, prop::collection::vec(0..5_u8, 1..3), flaw).prop_map(|(id, name, plans, flaw)| Service {
        id,
        name,
        plans,
        flaw,
    })
}

fn services() -> impl Strategy<Value = Vec<Service>> {
    prop::collection::vec(service(), 0..4)
}

/// A registered broker, as the database keeps it.
struct Broker {
    name: String,
    prefix: &'static str,
    ids: Ids,
    offerings: Vec<Offering>,
}

impl Broker {
    fn source(&self) -> Source<'_> {
        Source { broker: &self.name, name_prefix: self.prefix, ids: self.ids, hub: "hub", terms: Default::default() }
    }
}

/// What others hold of what is claimed anew: the store's three questions.
fn held(brokers: &[Broker], asking: usize, imported: &[Offering]) -> Vec<Held> {
    let known = &brokers[asking].offerings;
    let mut held = Vec::new();
    for offering in imported {
        let before = known.iter().find(|before| before.id == offering.id && before.state == State::Available);
        let before: Vec<_> = before.into_iter().flat_map(claims).collect();
        for (what, value) in claims(offering).filter(|claim| !before.contains(claim)) {
            let has = |other: &Offering| match what {
                What::OfferingId => other.id == value,
                What::OfferingName => other.state == State::Available && other.name == value,
                What::PlanId => other.plans.iter().any(|plan| plan.id == value),
            };
            let others = brokers.iter().enumerate().filter(|(place, _)| *place != asking);
            let holder = others.map(|(_, broker)| broker).find(|broker| broker.offerings.iter().any(has));
            held.extend(holder.map(|broker| Held { broker: broker.name.clone(), what, value: value.to_owned() }));
        }
    }
    held
}

/// As a refresh does it.
fn refreshed(brokers: &[Broker], place: usize, services: &[Service]) -> Vec<Offering> {
    let broker = &brokers[place];
    let catalog = json!({ "services": services.iter().map(Service::json).collect::<Vec<_>>() });
    let imported = import(broker.source(), &catalog, &broker.offerings).unwrap();
    let mut settled = imported.clone();
    for (at, sentence) in clashes(&broker.name, &imported, &held(brokers, place, &imported)) {
        settled[at] = quarantine(&broker.name, &broker.offerings, settled[at].clone(), sentence);
    }
    settled
}

fn merged(brokers: &[Broker]) -> Merged {
    let parts = brokers.iter().map(|broker| {
        Arc::new(Part::new(format!("id-of-{}", broker.name), broker.name.clone(), 1, false, broker.offerings.clone()))
    });
    Merged::new(parts.collect(), "hub".to_owned())
}

/// Every row has an id of its own, over all brokers; what can be ordered also has its name for itself.
fn all_apart(brokers: &[Broker]) {
    let (mut ids, mut names) = (HashSet::new(), HashSet::new());
    for offering in brokers.iter().flat_map(|broker| &broker.offerings) {
        assert!(ids.insert(&offering.id), "two offerings are stored under {}", offering.id);
        assert!(offering.plans.iter().all(|plan| ids.insert(&plan.id)), "a plan is stored twice");
        assert!(offering.state != State::Available || names.insert(&offering.name), "{} is there twice", offering.name);
    }
}

/// What is sound by itself, and claims what nobody else does, is served whatever stands beside it.
fn sound_is_served(brokers: &[Broker], place: usize, services: &[Service], moved: impl Fn(&str, &str) -> bool) {
    let broker = &brokers[place];
    for (at, service) in services.iter().enumerate() {
        let others = || services.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other);
        let plans: HashSet<_> = service.plans.iter().collect();
        let twice = plans.len() < service.plans.len()
            || others().any(|other| {
                other.id == service.id
                    || other.name == service.name
                    || other.plans.iter().any(|plan| plans.contains(plan))
            });
        let offering =
            broker.offerings.iter().find(|offering| offering.position == at as i64 && offering.state != State::Removed);
        let offering = offering.unwrap();
        let clash = offering.findings.iter().any(|finding| finding.message.contains("is already that of"));
        if service.flaw == Flaw::None && !twice && !clash && !moved(&service.id.to_string(), &offering.id) {
            let errors = offering.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
            assert_eq!((offering.state, errors), (State::Available, 0), "{:?}", offering.findings);
        }
        assert!(service.flaw == Flaw::None || offering.state == State::Quarantined, "{service:?} is served");
    }
}

/// What platforms of each kind are shown is a catalog in order.
fn shown_is_in_order(merged: &Merged) {
    for kind in [PlatformKind::CloudFoundry, PlatformKind::Kubernetes, PlatformKind::Bourse, PlatformKind::Other] {
        let catalog = merged.document(None, kind).parse().unwrap();
        let findings = osb::catalog::validate(&catalog);
        let wrong: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        assert!(wrong.is_empty(), "{kind:?}: {wrong:?}");
        if kind == PlatformKind::CloudFoundry {
            // Cloud Controller refuses the whole catalog for any of these.
            let refused = findings.iter().find(|finding| finding.message.contains("Cloud Foundry refuses"));
            assert_eq!(refused, None);
        }
        for offering in &catalog.services {
            assert_eq!(offering["x-price"].to_string(), r#"{"amount":99.0}"#, "unknown fields stay as they came");
        }
    }
}

fn config() -> ProptestConfig {
    let given = ProptestConfig::default();
    let rng_seed = if given.rng_seed == RngSeed::Random { RngSeed::Fixed(22) } else { given.rng_seed };
    let cases = if given.cases == UNASKED { 192 } else { given.cases };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..given }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn catalogs_of_several_brokers_in_any_order_are_always_one_that_is_in_order(
        modes in prop::collection::vec((any::<bool>(), any::<bool>()), 3),
        steps in prop::collection::vec((0..3_usize, services()), 1..7),
    ) {
        let mut brokers: Vec<_> = modes.iter().zip(["a-", "b-", "c-"]).map(|((passthrough, prefixed), prefix)| Broker {
            name: prefix.to_owned(),
            prefix: if *prefixed { prefix } else { "" },
            ids: if *passthrough { Ids::Passthrough } else { Ids::Mapped },
            offerings: Vec::new(),
        }).collect();
        // Plans that could once be ordered: whose, of which offering, under which id of the broker.
        let mut ordered: HashMap<String, (usize, String, String)> = HashMap::new();
        for (place, services) in &steps {
            let homes: HashMap<_, _> = brokers[*place].offerings.iter()
                .flat_map(|before| before.plans.iter().map(|plan| (plan.backend_id.clone(), before.backend_id.clone())))
                .collect();
            brokers[*place].offerings = refreshed(&brokers, *place, services);
            all_apart(&brokers);
            sound_is_served(&brokers, *place, services, |id, _| {
                let moves = |plan: &u8| homes.get(&format!("p{plan}")).is_some_and(|home| home != id);
                services.iter().any(|service| service.id.to_string() == id && service.plans.iter().any(moves))
            });
            let again = refreshed(&brokers, *place, services);
            prop_assert!(same(&brokers[*place].offerings, &again), "read again, it is another one");
            let merged = merged(&brokers);
            shown_is_in_order(&merged);
            for offering in brokers[*place].offerings.iter().filter(|offering| offering.state == State::Available) {
                for plan in &offering.plans {
                    let home = (*place, offering.id.clone(), plan.backend_id.clone());
                    let before = ordered.entry(plan.id.clone()).or_insert_with(|| home.clone());
                    prop_assert_eq!(&*before, &home, "a plan became another one");
                }
            }
            for (id, (place, offering, backend_id)) in &ordered {
                let entry = merged.plan(offering, id);
                prop_assert!(entry.is_some_and(|entry| entry.broker_name == brokers[*place].name
                    && entry.plan_backend_id == *backend_id), "plan {} of offering {} serves nobody any more", id, offering);
            }
        }
    }
}
