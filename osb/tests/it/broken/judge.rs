//! Runs the conformance suite over brokers and compares what it blames with what the table says.

use std::time::Duration;

use futures_util::StreamExt as _;
use osb::conformance::{Options, Report, Target, Verdict, row, run, silent};

use super::{
    Fault, bind, catalog, choices, deletion, errors, fault, fetch, forms, headers, polling, provision, strictness,
    update,
};
use crate::exemplar::wire::{Running, Site, serve};
use crate::exemplar::{OFFERING_DRAIN, OFFERING_STORE, PASSWORD, USERNAME};

/// How many brokers are judged at a time.
const AT_ONCE: usize = 6;

/// The time for a run over a broker, which none needs.
const WHOLE: Duration = Duration::from_secs(300);
/// What takes longer hangs.
const HANGING: Duration = Duration::from_secs(30);
/// How long what never ends is looked at.
const ENDLESS: Duration = Duration::from_secs(1);
/// What is wrong with a catalog shows in the catalog: no order is tried.
const CATALOG: Duration = Duration::ZERO;

async fn judged(fault: &Fault, overall: Duration) -> (Running, Report) {
    let (running, plan) = (serve(fault.site), fault.plan);
    let target = Target::new(running.url()).with_credentials(USERNAME, PASSWORD);
    let limit = if fault.endless { ENDLESS } else { HANGING };
    // By its id, since a fault may lie in its name.
    let offering = if plan == "drain" { OFFERING_DRAIN } else { OFFERING_STORE };
    let options = Options {
        offering: Some(offering.to_owned()),
        plan: Some(plan.to_owned()),
        exchange: HANGING,
        polling: limit,
        overall,
        cleanup: limit,
        ..Options::default()
    };
    let report = run(&target, options, silent(), std::future::pending()).await.unwrap();
    (running, report)
}

/// What is wrong with the suite's verdict on that broker.
fn complaints(fault: &Fault, report: &Report) -> Vec<String> {
    let mut complaints = Vec::new();
    for id in fault.must_fail {
        let expected = if row(id).unwrap().level.binds() { Verdict::Failed } else { Verdict::Warned };
        let judged = report.row(id).unwrap();
        if judged.verdict != expected {
            let why = judged.reason.as_deref().unwrap_or("it was kept");
            complaints.push(format!("{id} is {}, not {expected}: {why}", judged.verdict));
        }
    }
    let expected = |id: &str| fault.must_fail.contains(&id) || fault.may_follow.contains(&id);
    for id in [report.with(Verdict::Failed), report.with(Verdict::Warned)].concat() {
        if !expected(id) {
            complaints.push(format!("{id} is blamed: {}", first_finding(report, id)));
        }
    }
    complaints
}

fn first_finding(report: &Report, id: &str) -> String {
    let finding = report.row(id).and_then(|judged| judged.findings.first());
    finding.map_or_else(String::new, |finding| {
        let asked = finding.exchange.as_ref();
        let asked = asked.map(|seen| format!("{} {}", seen.method, seen.path)).unwrap_or_default();
        format!("in {:?}, {asked}: expected {}, came {}", finding.case, finding.expected, finding.came)
    })
}

/// Judges each broker of the table, several at a time, and fails with all complaints of all.
#[track_caller]
fn check(faults: &'static [Fault], overall: Duration) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let found: Vec<String> = runtime.block_on(async {
        let each = futures_util::stream::iter(faults).map(|fault| async move {
            let (running, report) = judged(fault, overall).await;
            let mut complaints = complaints(fault, &report);
            if fault.must_fail.is_empty() {
                complaints.extend(unfinished(&running, &report));
            }
            let text = complaints.iter().map(|complaint| format!("\n    {complaint}")).collect::<String>();
            (!text.is_empty()).then(|| format!("\n  a broker that {} ({}):{text}", fault.name, fault.plan))
        });
        each.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
    });
    assert!(found.is_empty(), "{} of {} brokers are misjudged:{}", found.len(), faults.len(), found.concat());
}

/// What a run over a correct broker leaves undone.
fn unfinished(running: &Running, report: &Report) -> Vec<String> {
    let mut complaints = Vec::new();
    if let Some(reason) = &report.incomplete {
        complaints.push(format!("the run is incomplete: {reason}"));
    }
    let left = running.broker.left();
    if left > 0 || !report.left_behind.is_empty() {
        complaints.push(format!("{left} are left behind; the suite knows of {:?}", report.left_behind));
    }
    complaints
}

#[test]
fn faults_around_every_request_are_found() {
    check(headers::FAULTS, WHOLE);
}

#[test]
fn faults_of_strictness_are_found() {
    check(strictness::FAULTS, WHOLE);
}

#[test]
fn faults_in_errors_are_found() {
    check(errors::FAULTS, WHOLE);
}

#[test]
fn faults_in_catalogs_are_found() {
    check(catalog::FAULTS, CATALOG);
}

#[test]
fn faults_in_provisioning_are_found() {
    check(provision::FAULTS, WHOLE);
}

#[test]
fn faults_in_fetching_are_found() {
    check(fetch::FAULTS, WHOLE);
}

#[test]
fn faults_in_updating_are_found() {
    check(update::FAULTS, WHOLE);
}

#[test]
fn faults_in_binding_are_found() {
    check(bind::FAULTS, WHOLE);
}

#[test]
fn faults_in_deleting_are_found() {
    check(deletion::FAULTS, WHOLE);
}

#[test]
fn faults_in_polling_are_found() {
    check(polling::FAULTS, WHOLE);
}

#[test]
fn choices_that_osb_leaves_are_not_blamed() {
    check(choices::CHOICES, WHOLE);
}

#[test]
fn forms_that_osb_leaves_are_not_blamed() {
    check(forms::FORMS, WHOLE);
}

/// The least that a correct broker of each plan is seen to keep.
const PASSED_MIN: [(&str, usize); 6] =
    [("small", 125), ("large", 120), ("patient", 155), ("either", 145), ("archive", 95), ("drain", 110)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_correct_broker_is_blamed_for_nothing_whichever_plan_is_judged() {
    for (plan, least) in PASSED_MIN {
        let correct = fault("is correct", plan, Site::Nowhere, &[], &[]);
        let (running, report) = judged(&correct, WHOLE).await;
        let complaints = [complaints(&correct, &report), unfinished(&running, &report)].concat();
        assert!(complaints.is_empty(), "{plan}:\n  {}", complaints.join("\n  "));
        let unjudged = report.with(Verdict::NotJudged);
        assert!(unjudged.len() <= usize::from(plan == "drain"), "{plan}: {unjudged:?}");
        let passed = report.with(Verdict::Passed).len();
        assert!(passed >= least, "{plan}: {passed} rows passed");
    }
}
