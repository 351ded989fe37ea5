//! Runs of the conformance suite by the hub: one at a time, and what becomes of one that is cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bourse::app::Points;
use osb::kit::Stamps;
use osb::stamp::Verifier;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Market, Own, RUN_WITHIN, plan_of_faults, shape};
use crate::support::bare::on_each;
use crate::support::hub::{BOUND, Hub};
use crate::support::wait::{wait_for, wait_until};

/// The latest run as the administrator of that hub sees it, once it is as it should be.
async fn run(hub: &Hub, state: &str) -> Value {
    wait_for(&format!("the run to be {state}"), RUN_WITHIN, async || {
        let run = hub.admin(Method::GET, "/api/v1/brokers/acme/conformance", None).await.body["run"].clone();
        (run["state"] == state).then_some(run)
    })
    .await
}

/// A market with a run under way: there is something at the broker.
async fn under_way(market: &Market) {
    // Slow enough that a run is never over before it is cut off.
    market.own.offers(|catalog| catalog["services"][0]["plans"] = json!([plan_of_faults("async")]));
    market.registered().await;
    let asked = json!({"makes_instances": true, "parameters": {"polls": 5, "note": "hunter2-of-the-run"}});
    market.post("ann", "/brokers/acme/conformance", asked.clone()).await.is(202);
    market.post("ann", "/brokers/acme/conformance", asked).await.refuses(409, "conformance_running", "wait");
    let faults = &market.own.broker.faults;
    wait_until("something to be made", BOUND, async || !faults.instances().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_the_end_of_its_hub_cuts_off_is_said_to_be_interrupted_and_cleaned_up_after() {
    on_each(async |on| {
        let market = Market::open(on).await;
        under_way(&market).await;
        let Market { world, hub, own, .. } = market;
        hub.stop().await;
        assert!(!own.broker.faults.instances().is_empty(), "nobody has cleaned up yet");
        let hub = world.hub_with(Points::default()).await;
        let over = run(&hub, "interrupted").await;
        assert!(over["reason"].as_str().is_some_and(|reason| reason.contains("ask for another run")), "{over}");
        assert_eq!((&over["outcome"], &over["judgement"]["left_behind"]), (&Value::Null, &json!([])));
        wait_until("all to be deleted", BOUND, async || own.broker.faults.instances().is_empty()).await;
        let checks = hub.admin(Method::GET, "/api/v1/offerings/acme-db/checks", None).await.body;
        let verdict = checks["checks"].as_array().expect("checks").iter().find(|check| check["check"] == "conformance");
        assert_eq!(verdict.expect("it")["state"], "failed", "an interrupted run is no verdict");
        let again = json!({"makes_instances": true});
        let asked = hub.admin(Method::POST, "/api/v1/brokers/acme/conformance", Some(again)).await;
        assert_eq!(asked.status, 202, "another one may be asked for: {asked:?}");
        hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_broker_could_not_be_read_at_first_comes_to_a_verdict() {
    on_each(async |on| {
        let mut market = Market::open(on).await;
        let failed = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&failed);
        let points = Points::unreadable(Arc::new(move || counted.fetch_add(1, Ordering::SeqCst) < 1));
        let hub = market.world.hub_with(points).await;
        std::mem::replace(&mut market.hub, hub).stop().await;
        market.registered().await;
        let run = market.judged().await;
        assert_eq!((&run["state"], &run["outcome"]), (&json!("finished"), &json!("conforms")), "{run}");
        assert!(failed.load(Ordering::SeqCst) >= 2, "nothing failed");
        market.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_wants_each_call_stamped_is_judged_under_stamps_that_hold() {
    on_each(async |on| {
        let mut market = Market::open(on).await;
        let verifier = Verifier::from_jwks_url(&market.hub.url, "acme");
        market.own = Own::stamped(shape("acme-db"), Stamps::Required(verifier));
        let own = &market.own.broker.faults;
        market.registered().await;
        let run = market.judged().await;
        assert_eq!((&run["state"], &run["outcome"]), (&json!("finished"), &json!("conforms")), "{run}");
        assert!(!own.calls().is_empty() && own.instances().is_empty(), "it was really asked, and nothing is left");

        // The same broker, asked for the stamps of a broker of another name, takes none of them.
        let other = Verifier::from_jwks_url(&market.hub.url, "bolt");
        let closed = Own::stamped(shape("bolt-db"), Stamps::Required(other));
        let refused = market.ask("ann", "PATCH", "/brokers/acme", json!({"url": closed.url})).await;
        assert_eq!(refused.status, 422, "a stamp for `acme` is none for `bolt`: {refused:?}");
        market.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_run_left_at_a_broker_that_is_gone_is_named() {
    on_each(async |on| {
        let market = Market::open(on).await;
        under_way(&market).await;
        let Market { world, hub, own, .. } = market;
        // It says good-bye to nobody.
        hub.abandon().await;
        world.bury_the_dead().await;
        let held = own.broker.faults.instances().first().expect("something is left").id.clone();
        own.running.stop().await;
        let hub = world.hub_with(Points::default()).await;
        let over = run(&hub, "interrupted").await;
        let left = over["judgement"]["left_behind"].to_string();
        assert!(left.contains(&format!("instance {held}")), "{held} is not named: {over}");
        hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_breaks_the_rules_is_told_which_and_parameters_are_not_shown() {
    on_each(async |on| {
        let market = Market::open(on).await;
        market.own.offers(|catalog| catalog["services"][0]["plans"] = json!([plan_of_faults("garbage")]));
        market.registered().await;
        let asked = json!({"makes_instances": true, "plan": "garbage", "parameters": {"note": "hunter2-of-the-run"}});
        let wrong = json!({"makes_instances": true, "plan": "none"});
        market.post("ann", "/brokers/acme/conformance", wrong).await.refuses(422, "invalid", "garbage");
        market.post("ann", "/brokers/acme/conformance", asked).await.is(202);
        let run = market.over().await;
        assert_eq!((&run["state"], &run["outcome"]), (&json!("finished"), &json!("fails")), "{run}");
        let rows = run["judgement"]["rows"].as_array().expect("rows");
        let row = rows.iter().find(|row| row["id"] == "PRV-07").expect("PRV-07");
        assert_eq!(row["verdict"], "failed");
        assert!(row["findings"][0].as_str().is_some_and(|finding| finding.contains("expected")), "{row}");
        assert!(!run.to_string().contains("hunter2"), "{run}");
        let found = market.get("ann", "/offerings/acme-db/checks").await.is(200).clone();
        let check = found["checks"].as_array().expect("checks").iter().find(|check| check["check"] == "conformance");
        assert!(check.expect("it")["message"].as_str().is_some_and(|text| text.contains("PRV-07")), "{found}");
        assert!(market.events().await.contains(&"broker.judged".to_owned()));
        market.hub.stop().await;
    })
    .await;
}
