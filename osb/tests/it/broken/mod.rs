//! Broken brokers: the exemplar with one fault each, and what the conformance suite has to find in it.
//!
//! A fault names the rows that must fail (or be warned of, where they don't bind) and those that may follow, because the fault
//! shows there, too. Nothing else may be blamed. The exemplar itself is blamed for nothing, whichever plan is judged.

mod bind;
mod catalog;
mod choices;
mod deletion;
mod errors;
mod fetch;
mod forms;
mod headers;
mod judge;
mod polling;
mod provision;
mod strictness;
mod update;

use crate::exemplar::wire::{Answer, Endpoint, Request, Site};

/// The plan that does everything at once, and the one that does nothing at once.
const SMALL: &str = "small";
const PATIENT: &str = "patient";

/// One fault.
pub(crate) struct Fault {
    /// What the broker does wrong: a sentence whose subject is the broker.
    pub(crate) name: &'static str,
    /// The plan that the suite is pointed at.
    pub(crate) plan: &'static str,
    pub(crate) site: Site,
    /// What must be found.
    pub(crate) must_fail: &'static [&'static str],
    /// What may be found besides.
    pub(crate) may_follow: &'static [&'static str],
    /// Whether an operation never ends, or isn't seen to, so that the suite has to give up soon.
    pub(crate) endless: bool,
}

const fn fault(
    name: &'static str,
    plan: &'static str,
    site: Site,
    must_fail: &'static [&'static str],
    may_follow: &'static [&'static str],
) -> Fault {
    Fault { name, plan, site, must_fail, may_follow, endless: false }
}

/// All faults.
fn table() -> impl Iterator<Item = &'static Fault> {
    let groups = [
        headers::FAULTS,
        strictness::FAULTS,
        errors::FAULTS,
        catalog::FAULTS,
        provision::FAULTS,
        fetch::FAULTS,
        update::FAULTS,
        bind::FAULTS,
        deletion::FAULTS,
        polling::FAULTS,
    ];
    groups.into_iter().flatten()
}

/// Another status for that answer of that endpoint.
fn restatus(endpoint: Endpoint, request: &Request, answer: &mut Answer, status: u16, other: u16) {
    if request.is(endpoint) && answer.status == status {
        answer.status = other;
    }
}

/// Rows of brokers that no fault breaks, and why.
const UNBROKEN: [(&str, &str); 18] = [
    ("AMB-08", "either order of two refusals is right"),
    ("AMB-09", "the catalog would have to change while it is judged"),
    ("AUTH-04", "a choice"),
    ("CAT-02", "a choice"),
    ("CAT-04", "the catalog would have to change while it is judged"),
    ("DEP-02", "a choice"),
    ("DEP-08", "a platform's duty"),
    ("ERR-01", "broken by each wrong status, under the row of its endpoint"),
    ("GSB-05", "a choice"),
    ("GSI-07", "a choice"),
    ("LOB-03", "a choice"),
    ("LOI-05", "nothing in a poll is mandatory"),
    ("OID-03", "a platform's duty"),
    ("OM-25", "a choice"),
    ("RID-03", "nobody sees a log from outside"),
    ("ROT-05", "broken by what breaks a bind"),
    ("SYN-02", "nobody sees from outside what could have been done at once"),
    ("VER-06", "a choice"),
];

#[test]
fn every_row_of_brokers_is_broken_by_a_fault_or_says_why_not() {
    use osb::conformance::{Side, rows};
    let broken: std::collections::HashSet<&str> = table().flat_map(|fault| fault.must_fail).copied().collect();
    for row in rows().iter().filter(|row| row.sides.contains(&Side::Broker)) {
        let excused = UNBROKEN.iter().any(|(id, _)| *id == row.id);
        assert!(broken.contains(row.id) != excused, "{}: broken by a fault, or excused, not both", row.id);
    }
}

#[test]
fn every_fault_has_a_name_of_its_own_and_rows_that_exist() {
    let mut names = std::collections::HashSet::new();
    for fault in table() {
        assert!(names.insert(fault.name), "{} is there twice", fault.name);
        assert!(!fault.must_fail.is_empty(), "{} must fail nowhere", fault.name);
        for id in fault.must_fail.iter().chain(fault.may_follow) {
            assert!(osb::conformance::row(id).is_some(), "there is no row {id}");
        }
    }
    assert!(names.len() >= 50, "{} faults", names.len());
}
