//! Networks that grow: where they stand, by another prefix, with their plan; and what never happens meanwhile.

use bourse_brokers::vnet_ipam::prefix::Prefix;
use osb::{Error, Maybe, Object, ServiceBroker, UpdateRequest, Updated};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{address, call, check_refused, delete, fetch};
use crate::support::{Ipam, change, network, plan_id};

async fn grow(broker: &dyn ServiceBroker, request: UpdateRequest) -> Result<Object, Error> {
    match broker.update(&call(), request).await? {
        Updated::Done(response) => {
            let Value::Object(shown) = response.metadata.into_option().unwrap()["attributes"].clone() else {
                panic!("attributes")
            };
            Ok(shown)
        }
        Updated::Accepted(_) => panic!("synchronous"),
    }
}

fn to_plan(id: &str, plan: &str, with: Value) -> UpdateRequest {
    UpdateRequest { plan_id: Maybe::Present(plan_id(plan)), ..change(id, with) }
}

#[tokio::test]
async fn a_network_grows_where_it_stands_and_keeps_its_addresses() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    network(&broker, "a", "medium", json!({"prefix_length": 28})).await.unwrap();
    for at in 0..13 {
        address(&broker, "a", &format!("b{at}"), "medium", Value::Null).await.unwrap();
    }
    check_refused(address(&broker, "a", "more", "medium", Value::Null).await, 400, "no address is free in 10.0.0.0/28");
    let shown = grow(&broker, change("a", json!({"prefix_length": 26}))).await.unwrap();
    assert_eq!((&shown["cidr"], &shown["cidrs"]), (&json!("10.0.0.0/26"), &json!(["10.0.0.0/26"])));
    // What was the broadcast address is one like any other now.
    let more = address(&broker, "a", "more", "medium", Value::Null).await.unwrap();
    assert_eq!(
        (&more["ip"], &more["cidr"], &more["prefix_length"]),
        (&json!("10.0.0.15"), &json!("10.0.0.0/26"), &json!(26))
    );
    let fetched = broker.fetch_instance(&call(), fetch("a")).await.unwrap();
    assert_eq!(fetched.parameters.as_option().unwrap()["prefix_length"], json!(26));
}

#[tokio::test]
async fn where_there_is_no_room_behind_it_a_network_gets_another_prefix() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    network(&broker, "a", "medium", json!({"prefix_length": 25})).await.unwrap();
    network(&broker, "b", "medium", json!({"prefix_length": 25})).await.unwrap();
    let shown = grow(&broker, change("a", json!({"prefix_length": 24}))).await.unwrap();
    assert_eq!(shown["cidrs"], json!(["10.0.0.0/25", "10.0.1.0/25"]));
    // The second one has room, and what is missing is no more than that.
    let shown =
        grow(&broker, change("a", json!({"prefix_length": 23, "subnets": [{"name": "new", "prefix_length": 26}]})))
            .await
            .unwrap();
    assert_eq!(shown["cidr"], "10.0.0.0/25");
    let cidrs: Vec<Prefix> =
        shown["cidrs"].as_array().unwrap().iter().map(|cidr| cidr.as_str().unwrap().parse().unwrap()).collect();
    assert!(cidrs.iter().map(|prefix| prefix.size()).sum::<u128>() >= 512, "{cidrs:?}");
    let subnet: Prefix = shown["subnets"][0]["cidr"].as_str().unwrap().parse().unwrap();
    assert!(cidrs.iter().any(|prefix| prefix.contains(subnet)), "{subnet} of {cidrs:?}");
    delete(&broker, "a", "medium").await;
    ipam.now.fetch_add(7 * 24 * 60 * 60, std::sync::atomic::Ordering::SeqCst);
    let all = network(&broker, "c", "medium", json!({"cidr": "10.0.1.0/24"})).await;
    assert_eq!(all.unwrap(), "10.0.1.0/24", "all that it had grown by is free again");
}

#[tokio::test]
async fn the_half_below_is_taken_where_it_is_free_so_that_both_are_one_route() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    network(&broker, "a", "medium", json!({"cidr": "10.0.1.0/24"})).await.unwrap();
    let shown = grow(&broker, change("a", json!({"prefix_length": 23}))).await.unwrap();
    assert_eq!(shown["cidrs"], json!(["10.0.1.0/24", "10.0.0.0/24"]));
}

#[tokio::test]
async fn upd_03_a_larger_plan_grows_the_network_to_its_size() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    assert_eq!(network(&broker, "a", "small", Value::Null).await.unwrap(), "10.0.0.0/28");
    let shown = grow(&broker, to_plan("a", "medium", Value::Null)).await.unwrap();
    assert_eq!(shown["cidrs"], json!(["10.0.0.0/24"]));
    let shown = grow(&broker, to_plan("a", "large", json!({"prefix_length": 21}))).await.unwrap();
    assert_eq!(shown["cidrs"], json!(["10.0.0.0/21"]));
    let refused = grow(&broker, to_plan("a", "medium", Value::Null)).await.unwrap_err();
    assert_eq!((refused.status, refused.body.update_repeatable), (422, Maybe::Present(false)));
    let fetched = broker.fetch_instance(&call(), fetch("a")).await.unwrap();
    assert_eq!(fetched.plan_id, Maybe::Present(plan_id("large")));
}

#[tokio::test]
async fn upd_17_a_network_that_cannot_grow_stays_as_it_was() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[("tight", "172.16.0.0/24")]).await;
    network(&broker, "a", "medium", json!({"pool": "tight", "prefix_length": 25})).await.unwrap();
    network(&broker, "b", "small", json!({"pool": "tight"})).await.unwrap();
    let before = broker.fetch_instance(&call(), fetch("a")).await.unwrap();
    let refused = grow(&broker, change("a", json!({"prefix_length": 24, "description": "x"}))).await;
    check_refused(refused, 400, "no free /25 in pool tight");
    check_refused(grow(&broker, change("a", json!({"prefix_length": 26}))).await, 422, "can't become a /26");
    assert_eq!(broker.fetch_instance(&call(), fetch("a")).await.unwrap(), before);
}

#[tokio::test]
async fn sparse_networks_lie_far_apart_and_so_can_grow() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[("tight", "172.16.0.0/22")]).await;
    for (id, expected) in [("a", "172.16.0.0/28"), ("b", "172.16.2.0/28"), ("c", "172.16.1.0/28")] {
        let wanted = json!({"pool": "tight", "strategy": "sparse", "prefix_length": 28});
        assert_eq!(network(&broker, id, "medium", wanted).await.unwrap(), expected);
    }
    for id in ["a", "b", "c"] {
        let shown = grow(&broker, change(id, json!({"prefix_length": 24}))).await.unwrap();
        assert_eq!(shown["cidrs"].as_array().unwrap().len(), 1, "{id}");
    }
}

#[tokio::test]
async fn meters_read_what_is_held_and_reserved_when_it_changes_and_no_level_at_the_end() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    network(&broker, "a", "small", Value::Null).await.unwrap();
    address(&broker, "a", "b", "small", Value::Null).await.unwrap();
    grow(&broker, change("a", json!({"prefix_length": 27}))).await.unwrap();
    delete(&broker, "a", "small").await;
    network(&broker, "six", "large", json!({"ip_version": 6})).await.unwrap();
    let url = format!("sqlite:{}", ipam.directory.path().join("vnet-ipam.db").display());
    let file = sqlx::SqlitePool::connect(&url).await.unwrap();
    let events: Vec<String> =
        sqlx::query_scalar("select event from kit_usage order by number").fetch_all(&file).await.unwrap();
    let read = |event: &String| {
        let event: Value = serde_json::from_str(event).unwrap();
        format!("{} {}", event["data"]["meter"].as_str().unwrap(), event["data"]["quantity"].as_str().unwrap())
    };
    let expected = [
        ["prefix_addresses 16", "prefix_64s 0", "reserved_addresses 0"],
        ["prefix_addresses 32", "prefix_64s 0", "reserved_addresses 1"],
        ["prefix_addresses 0", "prefix_64s 256", "reserved_addresses 0"],
    ];
    assert_eq!(events.iter().map(read).collect::<Vec<_>>(), expected.concat());
}

/// Everything that a pool of 128 addresses can be asked for, many times: nothing overlaps, sizes are as ordered, and what goes
/// is free again.
#[derive(Clone, Debug)]
enum Step {
    Order(u8),
    Grow(usize, u8),
    Delete(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (26..=29_u8).prop_map(Step::Order),
        (any::<usize>(), 26..=28_u8).prop_map(|(which, length)| Step::Grow(which, length)),
        any::<usize>().prop_map(Step::Delete),
    ]
}

async fn check(steps: Vec<Step>) {
    let ipam = Ipam::new();
    let broker = ipam.open(&[("tight", "172.16.0.0/25")]).await;
    let (mut held, mut number) = (Vec::<(String, Vec<Prefix>)>::new(), 0);
    for step in steps {
        match step {
            Step::Order(length) => {
                number += 1;
                let id = format!("n{number}");
                let wanted = json!({"pool": "tight", "prefix_length": length});
                if let Ok(made) = network(&broker, &id, "small", wanted).await {
                    held.push((id, vec![made.parse().unwrap()]));
                }
            }
            Step::Grow(which, length) if !held.is_empty() => {
                let at = which % held.len();
                let before = held[at].1.clone();
                let Ok(shown) = grow(&broker, change(&held[at].0, json!({"prefix_length": length}))).await else {
                    continue;
                };
                let cidrs = shown["cidrs"].as_array().unwrap().iter();
                held[at].1 = cidrs.map(|cidr| cidr.as_str().unwrap().parse().unwrap()).collect();
                let size: u128 = held[at].1.iter().map(|prefix| prefix.size()).sum();
                assert!(size >= 1 << (32 - length), "{step:?} made {:?}", held[at].1);
                assert_eq!(held[at].1[0].first(), before[0].first(), "it never moves");
                let kept = |old: &Prefix| held[at].1.iter().any(|new| new.contains(*old));
                assert!(before.iter().all(kept), "{step:?}: {before:?} became {:?}", held[at].1);
            }
            Step::Delete(which) if !held.is_empty() => {
                let (id, _) = held.swap_remove(which % held.len());
                delete(&broker, &id, "small").await;
                ipam.now.fetch_add(8 * 24 * 60 * 60, std::sync::atomic::Ordering::SeqCst);
            }
            _ => {}
        }
        let all: Vec<Prefix> = held.iter().flat_map(|(_, prefixes)| prefixes.iter().copied()).collect();
        for (at, prefix) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|other| prefix.intersection(*other).is_none()), "{all:?}");
        }
    }
    for (id, _) in held {
        delete(&broker, &id, "small").await;
    }
    ipam.now.fetch_add(8 * 24 * 60 * 60, std::sync::atomic::Ordering::SeqCst);
    let whole = network(&broker, "whole", "medium", json!({"pool": "tight", "prefix_length": 25})).await;
    assert_eq!(whole.unwrap(), "172.16.0.0/25", "nothing is lost");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_ordered_grown_and_deleted_nothing_overlaps_moves_or_is_lost(steps in prop::collection::vec(step(), 1..24)) {
        tokio::runtime::Runtime::new().unwrap().block_on(check(steps));
    }
}
