//! Answers that are lost, late or nonsense: whatever happens, a resource has one prefix, always the same.

use std::collections::BTreeMap;
use std::time::Duration;

use bourse_brokers::vnet_ipam::driver::netbox::{Config, NetBox};
use bourse_brokers::vnet_ipam::driver::{Driver, DriverError};
use bourse_brokers::vnet_ipam::prefix::Prefix;
use proptest::prelude::*;

use super::contract::{config, network, request, site};
use super::model::Model;
use super::server::{Fate, Server};

#[tokio::test]
async fn an_allocation_whose_answer_is_lost_is_found_again_and_not_repeated() {
    for fate in [Fate::DoneAndLost, Fate::DoneAndStatus(502), Fate::DoneAndStatus(504), Fate::DoneAndGarbage] {
        let (server, driver) = site().await;
        server.fates(&[fate]);
        let got = driver.allocate(&request("net", 24)).await.unwrap().unwrap();
        assert_eq!(got.to_string(), "10.0.0.0/24", "{fate:?}");
        assert_eq!((server.additions(), server.with(|model| model.prefixes.len())), (1, 2), "{fate:?}");
    }
}

#[tokio::test]
async fn an_allocation_that_never_answers_ends_in_time_and_is_found() {
    let (server, _) = site().await;
    let hasty = Config { timeout: Duration::from_millis(300), ..config(&server, &[("default", "1")]) };
    let driver = NetBox::new(hasty).unwrap();
    server.fates(&[Fate::DoneAndSilent]);
    assert!(driver.allocate(&request("net", 24)).await.unwrap().is_some());
    assert_eq!(server.additions(), 1);
}

#[tokio::test]
async fn an_allocation_that_was_not_made_is_asked_for_once_a_call() {
    let (server, driver) = site().await;
    server.fates(&[Fate::Lost]);
    let error = driver.allocate(&request("net", 24)).await.unwrap_err();
    assert!(matches!(error, DriverError::Unavailable { .. }), "{error:?}");
    assert_eq!(server.additions(), 1, "it may still be under way: asking again is the caller's next call");
    assert!(driver.allocate(&request("net", 24)).await.unwrap().is_some());
    assert_eq!(server.additions(), 2);
}

#[tokio::test]
async fn an_allocation_that_is_made_late_does_not_take_the_place_of_the_one_that_was_told() {
    let (server, driver) = site().await;
    server.fates(&[Fate::DoneLater]);
    driver.allocate(&request("net", 24)).await.unwrap_err();
    let got = driver.allocate(&request("net", 24)).await.unwrap().unwrap();
    server.catch_up();
    assert_eq!(driver.allocate(&request("net", 24)).await.unwrap(), Some(got));
    let network = network("net", &[got]);
    driver.apply(&network).await.unwrap();
    assert_eq!(server.with(|model| model.prefixes.len()), 2);
    assert_eq!(driver.check(&network).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn with_a_unique_custom_field_not_even_a_late_allocation_is_made_twice() {
    let mut model = Model::new();
    model.add("10.0.0.0/16", None, "container", "");
    model.field = Some(("bourse".into(), true));
    let server = Server::start(model).await;
    let marked = Config { mark: "custom_field:bourse".parse().unwrap(), ..config(&server, &[("default", "1")]) };
    let driver = NetBox::new(marked).unwrap();
    server.fates(&[Fate::DoneLater]);
    driver.allocate(&request("net", 24)).await.unwrap_err();
    let got = driver.allocate(&request("net", 24)).await.unwrap();
    server.catch_up();
    assert_eq!(server.with(|model| model.prefixes.len()), 2);
    assert_eq!(driver.allocate(&request("net", 24)).await.unwrap(), got);
}

#[tokio::test]
async fn questions_confirmations_and_deletions_are_repeated_when_their_answers_are_lost() {
    let (server, driver) = site().await;
    let got = driver.allocate(&request("net", 24)).await.unwrap().unwrap();
    server.fates(&[Fate::DoneAndLost, Fate::Status(502)]);
    server.state().fates_of_reads = [Fate::Lost, Fate::Status(500)].into();
    driver.apply(&network("net", &[got])).await.unwrap();
    server.fates(&[Fate::DoneAndLost]);
    driver.remove("net").await.unwrap();
    assert_eq!(server.with(|model| model.prefixes.len()), 1);
    // But not for ever.
    server.state().fates_of_reads = [Fate::Lost; 10].into();
    assert!(matches!(driver.remove("net").await, Err(DriverError::Unavailable { .. })));
    assert_eq!(server.state().fates_of_reads.len(), 7);
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Answered),
        1 => Just(Fate::Lost),
        2 => Just(Fate::DoneAndLost),
        2 => Just(Fate::DoneLater),
        1 => Just(Fate::Status(500)),
        1 => Just(Fate::Status(429)),
        1 => Just(Fate::DoneAndStatus(502)),
        1 => Just(Fate::DoneAndGarbage),
    ]
}

/// One order after the other, each asked for again when it has no good end or is simply repeated.
async fn check_orders(resources: Vec<usize>, fates: Vec<Fate>, fates_of_reads: Vec<Fate>, unique: bool) {
    let mut model = Model::new();
    model.add("10.0.0.0/16", None, "container", "");
    model.field = unique.then(|| ("bourse".to_owned(), true));
    let server = Server::start(model).await;
    let mark = if unique { "custom_field:bourse" } else { "description" }.parse().unwrap();
    let driver = NetBox::new(Config { mark, ..config(&server, &[("default", "1")]) }).unwrap();
    server.state().fates = fates.into();
    server.state().fates_of_reads = fates_of_reads.into();
    let mut told: BTreeMap<usize, Prefix> = BTreeMap::new();
    for resource in resources {
        match driver.allocate(&request(&format!("net-{resource}"), 24)).await {
            Ok(got) => {
                let got = got.unwrap();
                assert_eq!(*told.entry(resource).or_insert(got), got, "always the same");
            }
            Err(DriverError::Unavailable { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    server.catch_up();
    server.state().fates.clear();
    server.state().fates_of_reads.clear();
    for (resource, prefix) in &told {
        let network = network(&format!("net-{resource}"), &[*prefix]);
        driver.apply(&network).await.unwrap();
        assert_eq!(driver.check(&network).await.unwrap(), Vec::<String>::new());
    }
    // Those that nobody was told of are given back.
    for resource in (0..4).filter(|resource| !told.contains_key(resource)) {
        driver.remove(&format!("net-{resource}")).await.unwrap();
    }
    let rows = server.with(|model| model.prefixes.split_off(1));
    let mut held: Vec<_> = rows.iter().map(|row| row.range.clone()).collect();
    let mut expected: Vec<_> = told.values().map(ToString::to_string).collect();
    held.sort();
    expected.sort();
    assert_eq!(held, expected);
    expected.dedup();
    assert_eq!(held.len(), expected.len(), "no two have the same");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_answers_are_lost_each_resource_has_exactly_one_prefix(
        resources in prop::collection::vec(0_usize..4, 1..16),
        fates in prop::collection::vec(fate(), 0..24),
        fates_of_reads in prop::collection::vec(fate().prop_filter("a question is not asked late", |fate| *fate != Fate::DoneLater), 0..12),
        unique in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_orders(resources, fates, fates_of_reads, unique));
    }
}
