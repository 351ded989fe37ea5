//! A proxy: `osb::server` over an `osb::Client` over the exemplar. What a broker is judged to be does not depend on how many of
//! them stand in front of it.

use std::sync::Arc;
use std::time::Duration;

use osb::client::{Client, Credentials};
use osb::conformance::{Options, Report, Target, Verdict, run, silent};
use osb::server::{BasicAuth, Running, Server};

use crate::exemplar::wire::{Endpoint, Site, serve};
use crate::exemplar::{PASSWORD, PLANS, USERNAME};

/// A proxy in front of the broker at that URL, for the same credentials.
fn proxy(url: &str) -> Running {
    let credentials = Credentials::Basic { username: USERNAME.to_owned(), password: PASSWORD.to_owned() };
    let client = Client::builder(url).credentials(credentials).build().unwrap();
    Server::new(BasicAuth::new(Arc::new(client), USERNAME, PASSWORD)).bind("127.0.0.1:0").unwrap()
}

async fn judged(url: &str, offering: &str, plan: &str) -> Report {
    let options = Options {
        offering: Some(offering.to_owned()),
        plan: Some(plan.to_owned()),
        polling: Duration::from_secs(30),
        ..Options::default()
    };
    let target = Target::new(url).with_credentials(USERNAME, PASSWORD);
    run(&target, options, silent(), std::future::pending()).await.unwrap()
}

/// Every row of which another thing is said, with what came.
fn differences(direct: &Report, through: &Report) -> Vec<String> {
    let pairs = direct.rows.iter().zip(&through.rows);
    let differ = pairs.filter(|(one, other)| (&one.id, one.verdict) != (&other.id, other.verdict));
    let show = |row: &osb::conformance::Judged| {
        let finding = row.findings.first().map(|finding| format!("{}: {}", finding.case, finding.came));
        format!("{} ({:?})", row.verdict, finding.or_else(|| row.reason.clone()))
    };
    differ.map(|(one, other)| format!("{}: {} directly, {}", one.id, show(one), show(other))).collect()
}

/// Each plan of the exemplar is judged directly and through so many proxies.
async fn check(plans: &[(&str, &str)], proxies: usize) {
    let each = plans.iter().map(|(offering, plan)| async move {
        let exemplar = serve(Site::Nowhere);
        let mut chain: Vec<Running> = Vec::new();
        for _ in 0..proxies {
            let url = chain.last().map_or_else(|| exemplar.url(), Running::url);
            chain.push(proxy(&url));
        }
        let first = chain.last().expect("a proxy").url();
        let direct = judged(&exemplar.url(), offering, plan).await;
        let through = judged(&first, offering, plan).await;
        assert_eq!(differences(&direct, &through), [""; 0], "{plan}, {proxies} proxies");
        assert!(direct.with(Verdict::Passed).len() > 90, "{plan}: {:?}", direct.summary);
        for report in [&direct, &through] {
            assert_eq!((&report.incomplete, report.left_behind.len()), (&None, 0), "{plan}");
        }
        assert_eq!(exemplar.broker.left(), 0, "{plan}");
    });
    futures_util::future::join_all(each).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_over_a_client_is_judged_as_the_broker_behind_them() {
    check(&PLANS, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_proxies_is_judged_as_the_broker_behind_them() {
    check(&[("exemplar-store", "patient")], 3).await;
}

#[tokio::test]
async fn a_proxy_that_changed_an_answer_would_be_seen() {
    let (offering, plan) = PLANS[0];
    let (correct, changed) = (
        serve(Site::Nowhere),
        serve(Site::Answer(|request, answer| {
            if request.is(Endpoint::Bind) && answer.status == 201 {
                answer.status = 202;
            }
        })),
    );
    let (direct, through) =
        (judged(&correct.url(), offering, plan).await, judged(&changed.url(), offering, plan).await);
    let found = differences(&direct, &through);
    assert!(found.iter().any(|difference| difference.contains("passed (None) directly, failed")), "{found:?}");
}
