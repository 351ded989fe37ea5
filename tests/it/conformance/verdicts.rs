//! Each broker is judged by the same suite directly and through the hub, and the verdicts are compared row by row with the table
//! of `listed`. Whole runs are of plans that are carried out at once; of those that take their time, the cases in which that
//! shows: a hub asks its broker once a second.

use serde_json::{Value, json};

use super::listed::{LISTED, Listed};
use super::subject::{Subject, complaints};
use crate::support::bare::On;
use crate::support::command::{Reference, Vnet};
use crate::support::foreign::Foreign;
use crate::support::hub::{TIMEOUT_MS, World};

/// Every plan that is judged here, as the table names it.
const SUBJECTS: &[&str] = &[
    "faults/ok",
    "faults/async-required",
    "faults/ok behind two hubs",
    "vnet-ipam/small",
    "bastion/ca-only",
    "key-vault/kv-transit",
    "devops-toolchain/basic",
    "buckets/at-once",
    "buckets/later",
    "queues/at-once",
    "queues/later",
];

/// The rows whose cases look at what is asked while an operation goes on.
const WHILE: &[&str] = &["PRV-09", "DEP-04", "BND-09", "UNB-03", "PRV-12", "LOI-06"];

fn registration(name: &str, url: &str, password: &str) -> Value {
    json!({
        "name": name, "url": url, "timeout_ms": TIMEOUT_MS,
        "credentials": {"basic": {"username": "hub", "password": password}},
    })
}

/// A plan of a reference broker.
fn plan_of(name: &'static str, offering: &'static str, plan: &'static str, registration: &Value) -> Subject {
    Subject { name, offering, plan, rows: &[], parameters: json!({}), registration: registration.clone() }
}

/// The same with the cases only that look at what takes its time.
fn later(subject: Subject, parameters: Value) -> Subject {
    Subject { rows: WHILE, parameters, ..subject }
}

/// Judges it directly and through the hub on each of these databases, all at the same time.
async fn compared(subject: &Subject, on: &[On]) -> Vec<String> {
    let through = futures_util::future::join_all(on.iter().map(|on| subject.through_the_hub(*on)));
    let (direct, through) = tokio::join!(subject.direct(), through);
    assert_judges(subject, &direct);
    through.iter().flat_map(|through| complaints(subject.name, LISTED, &direct, through)).collect()
}

/// That the run has looked: a suite that says nothing says the same of everybody.
fn assert_judges(subject: &Subject, direct: &osb::conformance::Report) {
    use osb::conformance::Verdict::Passed;
    let least = if subject.rows.is_empty() { 85 } else { 45 };
    let passed = direct.with(Passed).len();
    assert!(passed >= least, "{}: {passed} rows passed", subject.name);
    assert!(direct.subject.asynchronous || subject.rows.is_empty(), "{}", subject.name);
}

fn assert_none(complaints: impl IntoIterator<Item = Vec<String>>) {
    let found = complaints.into_iter().flatten().collect::<Vec<_>>();
    assert!(found.is_empty(), "{} verdicts are not as `listed` says:\n  {}", found.len(), found.join("\n  "));
}

#[tokio::test]
async fn reference_brokers_are_judged_through_the_hub_as_they_are_directly() {
    let world = World::new(On::Sqlite, |_| {}).await;
    let vnet = Vnet::start("s3cret").await;
    let faults = registration("faults", world.broker_url(), "secret");
    let at_once = plan_of("faults/ok", "faults", "ok", &faults);
    let polls = json!({"create": {"polls": 1}, "bind": {"polls": 1}});
    let slow = later(plan_of("faults/async-required", "faults", "async-required", &faults), polls);
    let networks = registration("vnet", &vnet.url, "s3cret");
    let networks = plan_of("vnet-ipam/small", "virtual-network", "small", &networks);
    let both = [On::Sqlite, On::Postgres];
    let (one, two, three) = tokio::join!(
        compared(&at_once, &both),
        compared(&networks, &both),
        // One database: nothing but polling is new, and it takes half a minute.
        compared(&slow, &[On::Sqlite]),
    );
    assert_none([one, two, three]);
    assert!(world.faults.instances().is_empty() && world.faults.bindings().is_empty());
}

#[tokio::test]
async fn reference_brokers_with_software_of_their_own_are_judged_through_the_hub_as_they_are_directly() {
    const NAMES: [(&str, &str, &str, &str); 3] = [
        ("bastion/ca-only", "bastion", "managed-bastion", "ca-only"),
        ("key-vault/kv-transit", "key-vault", "managed-key-vault", "kv-transit"),
        ("devops-toolchain/basic", "devops-toolchain", "devops-toolchain", "basic"),
    ];
    let each = NAMES.map(|(subject, name, offering, plan)| async move {
        let broker = Reference::start(name, "s3cret").await;
        let registration = registration(name, &broker.url, "s3cret");
        compared(&plan_of(subject, offering, plan, &registration), &[On::Sqlite, On::Postgres]).await
    });
    assert_none(futures_util::future::join_all(each).await);
}

#[tokio::test]
async fn brokers_on_frameworks_of_others_are_judged_through_the_hub_as_they_are_directly() {
    let (buckets, queues) = (Foreign::openbrokerapi().await, Foreign::sap_sbf().await);
    let of_buckets = |name, plan| plan_of(name, "buckets", plan, &buckets.registration());
    let of_queues = |name, plan| plan_of(name, "queues", plan, &queues.registration());
    let subjects = [of_buckets("buckets/at-once", "at-once"), of_queues("queues/at-once", "at-once")];
    let slow =
        [of_buckets("buckets/later", "later"), of_queues("queues/later", "later")].map(|one| later(one, json!({})));
    let both = [On::Sqlite, On::Postgres];
    let (one, two, three, four) = tokio::join!(
        compared(&subjects[0], &both),
        compared(&subjects[1], &both),
        // One database: nothing but polling is new, and it takes half a minute.
        compared(&slow[0], &[On::Sqlite]),
        compared(&slow[1], &[On::Sqlite]),
    );
    assert_none([one, two, three, four]);
    for broker in [&buckets, &queues] {
        assert_eq!(broker.state().await, json!({"instances": {}, "bindings": {}}));
    }
}

#[tokio::test]
async fn a_broker_is_judged_through_a_hub_behind_a_hub_as_it_is_directly() {
    let world = World::new(On::Sqlite, |_| {}).await;
    let faults = registration("faults", world.broker_url(), "secret");
    let subject = plan_of("faults/ok behind two hubs", "faults", "ok", &faults);
    // One database: both hubs are on both, each as a hub of its own.
    let (direct, through) = tokio::join!(subject.direct(), subject.through_two_hubs(On::Sqlite));
    assert_none([complaints(subject.name, LISTED, &direct, &through)]);
    assert!(world.faults.instances().is_empty() && world.faults.bindings().is_empty());
}

#[test]
fn what_is_listed_is_of_a_plan_that_is_judged_and_is_a_fault_or_a_difference() {
    use std::collections::BTreeSet;

    use osb::conformance::Verdict::{Failed, Warned};
    let mut seen = BTreeSet::new();
    for listed in LISTED {
        let line = listed.line();
        for plan in listed.plans {
            assert!(SUBJECTS.contains(plan), "{plan} is judged nowhere: {line}");
            for row in listed.rows {
                assert!(
                    osb::conformance::row(row).is_some_and(|row| row.is_for_brokers()),
                    "{row} is no row of brokers: {line}"
                );
                assert!(seen.insert((plan, row)), "{plan} has {row} twice: {line}");
            }
        }
        let blamed = matches!(listed.direct, Failed | Warned);
        assert!(blamed || listed.direct != listed.through, "neither a fault nor a difference: {line}");
        assert!(
            blamed || !matches!(listed.through, Failed | Warned),
            "the hub's own fault is repaired, not listed: {line}"
        );
        assert!(listed.why.ends_with('.') && !listed.why.contains('|'), "no sentence for a table: {line}");
    }
}

#[test]
fn the_page_shows_the_table() {
    let page = include_str!("../../../docs/conformance.md");
    let head = "| plan | rows | directly | through the hub | why |\n|---|---|---|---|---|";
    let table: Vec<String> = LISTED.iter().map(Listed::line).collect();
    let table = format!("\n{head}\n{}\n\n", table.join("\n"));
    assert!(page.contains(&table), "docs/conformance.md has to show:\n{table}");
}

#[test]
fn an_unlisted_difference_a_shared_fault_and_a_listed_one_that_is_gone_are_found() {
    use osb::conformance::Verdict::{Failed, Passed, Warned};
    use osb::conformance::{Judged, Report, Verdict, row};

    const TABLE: &[Listed] =
        &[Listed { plans: &["a/b"], rows: &["PRV-08"], direct: Warned, through: Passed, why: "Because." }];
    let report = |verdicts: [(&str, Verdict); 2]| {
        let rows = verdicts.map(|(id, verdict)| {
            let row = row(id).expect("a row");
            Judged {
                id: id.to_owned(),
                sides: row.sides.clone(),
                level: row.level,
                requirement: String::new(),
                link: String::new(),
                verdict,
                observations: 1,
                reason: None,
                because: None,
                findings: Vec::new(),
            }
        });
        let text = json!({"specification": "", "suite": "", "subject": {"url": "", "asynchronous": false}, "summary": {},
            "rows": rows, "requests": 0, "milliseconds": 0});
        serde_json::from_value::<Report>(text).expect("a report")
    };
    let found = |plan: &str, direct: [Verdict; 2], through: [Verdict; 2]| {
        let [direct, through] = [direct, through].map(|[a, b]| report([("PRV-07", a), ("PRV-08", b)]));
        complaints(plan, TABLE, &direct, &through).len()
    };
    assert_eq!(found("a/b", [Passed, Warned], [Passed, Passed]), 0);
    assert_eq!(found("a/c", [Passed, Passed], [Passed, Passed]), 0);
    assert_eq!(found("a/c", [Passed, Warned], [Passed, Passed]), 1, "listed for another plan");
    assert_eq!(found("a/b", [Passed, Passed], [Passed, Passed]), 1, "no fault any more");
    assert_eq!(found("a/b", [Passed, Warned], [Passed, Warned]), 1, "no difference any more");
    assert_eq!(found("a/b", [Passed, Warned], [Failed, Passed]), 1, "a difference");
    assert_eq!(found("a/b", [Failed, Warned], [Failed, Passed]), 1, "a fault both ways");
}
