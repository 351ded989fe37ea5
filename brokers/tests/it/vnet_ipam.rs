//! `vnet-ipam` through the trait: no overlap, quarantine, repeats, subnets, addresses, and what a restart keeps.

mod conformance;
mod crash;
mod growth;
mod oracle;
mod processes;
mod ranges;
mod reservations;

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bourse_brokers::vnet_ipam::prefix::Prefix;
use futures_util::future::join_all;
use osb::{
    Bound, Call, Deprovisioned, Error, FetchBindingRequest, FetchInstanceRequest, Maybe, Object, Provisioned,
    ServiceBroker, Unbound, Updated,
};
use serde_json::{Value, json};

use crate::support::{Ipam, binding, change, cidr, network, order, plan_id, removal, unbinding};

fn call() -> Call {
    Call::default()
}

async fn delete(broker: &dyn ServiceBroker, id: &str, plan: &str) {
    assert_eq!(broker.deprovision(&call(), removal(id, plan)).await, Ok(Deprovisioned::Done(Object::new())));
}

async fn address(broker: &dyn ServiceBroker, id: &str, name: &str, plan: &str, with: Value) -> Result<Object, Error> {
    match broker.bind(&call(), binding(id, name, plan, with)).await? {
        Bound::Created(response) => Ok(response.credentials.into_option().unwrap()),
        other => panic!("{name} was not made now: {other:?}"),
    }
}

#[track_caller]
fn check_refused<T: std::fmt::Debug>(outcome: Result<T, Error>, status: u16, sentence: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.status, status, "{error}");
    assert!(error.description().is_some_and(|description| description.contains(sentence)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_and_fifty_six_orders_at_once_fill_a_20_with_28s_and_never_overlap() {
    let ipam = Ipam::new();
    let broker = Arc::new(ipam.open(&[("tight", "172.16.0.0/20")]).await);
    let orders = (0..256).map(|at| {
        let broker = Arc::clone(&broker);
        tokio::spawn(
            async move { network(broker.as_ref(), &format!("n{at}"), "small", json!({"pool": "tight"})).await },
        )
    });
    let prefixes: Vec<Prefix> =
        join_all(orders).await.into_iter().map(|made| made.unwrap().unwrap().parse().unwrap()).collect();
    for (at, prefix) in prefixes.iter().enumerate() {
        assert!(prefixes[..at].iter().all(|other| prefix.intersection(*other).is_none()), "{prefix} overlaps");
    }
    let one_more = network(broker.as_ref(), "one-more", "small", json!({"pool": "tight"})).await;
    check_refused(one_more, 400, "no free /28 in pool tight (172.16.0.0/20); nothing is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_on_one_file_never_overlap_either() {
    let ipam = Ipam::new();
    let brokers = [Arc::new(ipam.open(&[]).await), Arc::new(ipam.open(&[]).await)];
    let orders = (0..60).map(|at| {
        let broker = Arc::clone(&brokers[at % 2]);
        tokio::spawn(async move { network(broker.as_ref(), &format!("n{at}"), "small", Value::Null).await.unwrap() })
    });
    let made: HashSet<String> = join_all(orders).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(made.len(), 60);
}

/// Carries a future on until it has waited that many times, and drops it there. True where it came to its end.
pub(crate) async fn go(steps: usize, future: impl Future) -> bool {
    let (mut future, mut left) = (pin!(future), steps);
    poll_fn(|context| {
        if future.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        left = left.saturating_sub(1);
        if left == 0 { Poll::Ready(false) } else { Poll::Pending }
    })
    .await
}

#[tokio::test]
async fn a_caller_that_goes_away_half_way_leaves_no_overlap_and_loses_no_block() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[("tight", "172.16.0.0/22")]).await;
    let wanted = || json!({"pool": "tight"});
    let (mut steps, mut gone) = (0, 0);
    for at in 0..60 {
        let id = format!("n{at}");
        // Each caller goes one step further than the one before; one that has come to the end begins anew.
        let ended = go(steps, network(&broker, &id, "small", wanted())).await;
        gone += usize::from(!ended);
        steps = if ended { 0 } else { steps + 1 };
    }
    assert!(gone > 0, "some went away");
    // The orders of those who went away go on by themselves; who asks again gets what was made, or it is made now.
    let mut kept = HashSet::new();
    for at in 0..64 {
        let made = broker.provision(&call(), order(&format!("n{at}"), "small", wanted())).await.unwrap();
        let (Provisioned::Created(made) | Provisioned::Existed(made)) = made else { panic!("synchronous") };
        assert!(kept.insert(cidr(&made)));
    }
    check_refused(network(&broker, "one-more", "small", wanted()).await, 400, "nothing is free");
}

#[tokio::test]
async fn a_file_that_another_process_holds_is_503_and_changes_nothing() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    let url = format!("sqlite:{}", ipam.directory.path().join("vnet-ipam.db").display());
    let other = sqlx::SqlitePool::connect(&url).await.unwrap();
    let held = other.begin_with("begin immediate").await.unwrap();
    let refused = network(&broker, "a", "small", Value::Null).await.unwrap_err();
    assert_eq!((refused.status, refused.retry_after_seconds), (503, Some(1)));
    held.rollback().await.unwrap();
    assert_eq!(network(&broker, "a", "small", Value::Null).await.unwrap(), "10.0.0.0/28");
}

#[tokio::test]
async fn the_database_itself_refuses_an_overlap() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    network(&broker, "a", "medium", json!({"cidr": "10.1.0.0/24"})).await.unwrap();
    let url = format!("sqlite:{}", ipam.directory.path().join("vnet-ipam.db").display());
    let direct = sqlx::SqlitePool::connect(&url).await.unwrap();
    let smuggled = "insert into block (routing_domain, ip_version, first, last, length, kind, quarantined_until)
        select routing_domain, ip_version, last, last, 32, 'quarantine', 1 from block";
    let error = sqlx::query(smuggled).execute(&direct).await.unwrap_err();
    assert!(error.to_string().contains("never overlap"), "{error}");
    let error = sqlx::query("update block set last = first").execute(&direct).await.unwrap_err();
    assert!(error.to_string().contains("never moves"), "{error}");
}

#[tokio::test]
async fn a_prefix_rests_in_quarantine_before_it_is_used_again() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[("one", "172.16.0.0/28")]).await;
    let wanted = json!({"pool": "one"});
    assert_eq!(network(&broker, "a", "small", wanted.clone()).await.unwrap(), "172.16.0.0/28");
    delete(&broker, "a", "small").await;
    check_refused(network(&broker, "b", "small", wanted.clone()).await, 400, "nothing is free");
    let asked = network(&broker, "b", "small", json!({"cidr": "172.16.0.0/28"})).await;
    check_refused(asked, 400, "it overlaps 172.16.0.0/28, which was given back and rests until 2023-11-21T22:13:20Z");
    ipam.now.fetch_add(7 * 24 * 60 * 60 - 1, Ordering::SeqCst);
    check_refused(network(&broker, "b", "small", wanted.clone()).await, 400, "nothing is free");
    ipam.now.fetch_add(1, Ordering::SeqCst);
    assert_eq!(network(&broker, "b", "small", wanted).await.unwrap(), "172.16.0.0/28");
}

#[tokio::test]
async fn prv_08_10_a_repeat_is_answered_200_and_another_order_409() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    let first = network(&broker, "a", "small", json!({"description": "x", "ip_version": 4})).await.unwrap();
    let same = order("a", "small", json!({"ip_version": 4, "description": "x"}));
    let Provisioned::Existed(again) = broker.provision(&call(), same.clone()).await.unwrap() else { panic!("existed") };
    assert_eq!(cidr(&again), first);
    let others = [
        order("a", "medium", json!({"ip_version": 4, "description": "x"})),
        order("a", "small", Value::Null),
        order("a", "small", json!({"nonsense": true})),
        osb::ProvisionRequest { space_guid: "other".into(), ..same.clone() },
        osb::ProvisionRequest { organization_guid: "other".into(), ..same },
    ];
    for other in others {
        check_refused(broker.provision(&call(), other).await, 409, "other attributes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_order_many_times_at_once_makes_one_network() {
    let ipam = Ipam::new();
    let broker = Arc::new(ipam.open(&[]).await);
    let orders = (0..16).map(|_| {
        let broker = Arc::clone(&broker);
        tokio::spawn(async move { broker.provision(&Call::default(), order("a", "small", Value::Null)).await.unwrap() })
    });
    let outcomes: Vec<_> = join_all(orders).await.into_iter().map(Result::unwrap).collect();
    let made = outcomes.iter().filter(|outcome| matches!(outcome, Provisioned::Created(_))).count();
    assert_eq!((outcomes.len(), made), (16, 1));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_what_would() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[("small-pool", "172.16.0.0/23")]).await;
    let refused = network(&broker, "a", "large", json!({"pool": "small-pool"})).await;
    check_refused(refused, 400, "no free /20 in pool small-pool (172.16.0.0/23); the largest free prefix is /23: ask");
    check_refused(
        network(&broker, "a", "small", json!({"pool": "none"})).await,
        400,
        "no pool `none` of IPv4: use one of",
    );
    let outside = network(&broker, "a", "small", json!({"cidr": "192.168.0.0/28"})).await;
    check_refused(outside, 400, "lies in no pool: use one of default (10.0.0.0/8), small-pool");
    network(&broker, "a", "medium", json!({"cidr": "10.7.0.0/24"})).await.unwrap();
    let taken = network(&broker, "b", "small", json!({"cidr": "10.7.0.16/28"})).await;
    check_refused(taken, 400, "10.7.0.16/28 is not free: it overlaps 10.7.0.0/24, which is in use");
    let around = network(&broker, "b", "large", json!({"cidr": "10.7.0.0/20"})).await;
    check_refused(around, 400, "overlaps 10.7.0.0/24");
    let unknown = osb::ProvisionRequest { plan_id: "x".into(), ..order("b", "small", Value::Null) };
    check_refused(broker.provision(&call(), unknown).await, 400, "service_id and plan_id");
    let versioned = osb::catalog::MaintenanceInfo { version: Maybe::Present("1.0.0".into()), ..Default::default() };
    let versioned =
        osb::ProvisionRequest { maintenance_info: Maybe::Present(versioned), ..order("b", "small", Value::Null) };
    check_refused(broker.provision(&call(), versioned).await, 422, "send none");
    check_refused(broker.fetch_instance(&call(), fetch("b")).await, 404, "no service instance");
}

pub(crate) fn fetch(id: &str) -> FetchInstanceRequest {
    FetchInstanceRequest { instance_id: id.into(), ..FetchInstanceRequest::default() }
}

#[tokio::test]
async fn routing_domains_may_overlap_each_other_but_not_themselves() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    let wanted = json!({"cidr": "10.0.0.0/24", "routing_domain": "lab"});
    network(&broker, "a", "medium", json!({"cidr": "10.0.0.0/24"})).await.unwrap();
    network(&broker, "b", "medium", wanted.clone()).await.unwrap();
    check_refused(network(&broker, "c", "medium", wanted).await, 400, "in use");
}

#[tokio::test]
async fn overlapping_pools_share_what_is_taken() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[("part", "10.0.0.0/24")]).await;
    assert_eq!(network(&broker, "a", "medium", Value::Null).await.unwrap(), "10.0.0.0/24");
    check_refused(network(&broker, "b", "small", json!({"pool": "part"})).await, 400, "nothing is free");
    assert_eq!(network(&broker, "b", "medium", json!({"strategy": "last_fit"})).await.unwrap(), "10.255.255.0/24");
}

#[tokio::test]
async fn ipv6_networks_come_from_a_unique_local_48_that_a_restart_keeps() {
    let ipam = Ipam::new();
    let first = network(&ipam.open(&[]).await, "a", "large", json!({"ip_version": 6})).await.unwrap();
    let second = network(&ipam.open(&[]).await, "b", "small", json!({"ip_version": 6})).await.unwrap();
    let [first, second]: [Prefix; 2] = [first.parse().unwrap(), second.parse().unwrap()];
    assert_eq!((first.length(), second.length(), first.first() >> 120), (56, 64, 0xfd));
    assert_eq!(first.first() >> 80, second.first() >> 80, "the same /48");
    assert_eq!(first.intersection(second), None);
}

#[tokio::test]
async fn subnets_lie_in_the_network_and_can_be_added_but_not_changed() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    let subnets = json!({"subnets": [{"name": "web", "new_bits": 1}]});
    network(&broker, "a", "medium", subnets.clone()).await.unwrap();
    let added = json!({"subnets": [{"name": "db", "prefix_length": 26}], "description": "shop"});
    let Updated::Done(updated) = broker.update(&call(), change("a", added.clone())).await.unwrap() else {
        panic!("done")
    };
    let shown = &updated.metadata.as_option().unwrap()["attributes"]["subnets"];
    let expected = json!([
        {"name": "web", "cidr": "10.0.0.0/25", "gateway": "10.0.0.1"},
        {"name": "db", "cidr": "10.0.0.128/26", "gateway": "10.0.0.129"}
    ]);
    assert_eq!(*shown, expected);
    broker.update(&call(), change("a", added)).await.unwrap();
    let fetched = broker.fetch_instance(&call(), fetch("a")).await.unwrap();
    let expected = json!({"subnets": [{"name": "web", "new_bits": 1}, {"name": "db", "prefix_length": 26}], "description": "shop"});
    assert_eq!(Value::Object(fetched.parameters.into_option().unwrap()), expected);
    let full = json!({"subnets": [{"name": "fits", "new_bits": 2}, {"name": "too-much", "new_bits": 2}]});
    let refused = broker.update(&call(), change("a", full)).await;
    check_refused(refused, 400, "no free /26 in 10.0.0.0/24 for subnet `too-much`; nothing is free");
    let kept = broker.fetch_instance(&call(), fetch("a")).await.unwrap();
    assert_eq!(kept.metadata.as_option().unwrap()["attributes"]["subnets"].as_array().unwrap().len(), 2, "UPD-17");
    let shrunk = change("a", json!({"subnets": [{"name": "web", "new_bits": 2}]}));
    check_refused(broker.update(&call(), shrunk).await, 422, "subnet `web` is 10.0.0.0/25");
    let other_plan = osb::UpdateRequest { plan_id: Maybe::Present(plan_id("small")), ..change("a", Value::Null) };
    let refused = broker.update(&call(), other_plan).await.unwrap_err();
    assert_eq!((refused.status, refused.body.update_repeatable), (422, Maybe::Present(false)));
    check_refused(broker.update(&call(), change("a", json!({"cidr": "10.9.0.0/24"}))).await, 422, "`cidr`");
    check_refused(broker.update(&call(), change("b", Value::Null)).await, 404, "no service instance");
}

#[tokio::test]
async fn bnd_17_a_binding_reserves_an_address_until_it_is_unbound() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    network(&broker, "a", "small", json!({"prefix_length": 29})).await.unwrap();
    let credentials = address(&broker, "a", "b1", "small", Value::Null).await.unwrap();
    let expected = json!({
        "network_id": "a", "routing_domain": "default", "cidr": "10.0.0.0/29", "ip": "10.0.0.2", "prefix_length": 29,
        "gateway": "10.0.0.1", "subnets": [], "cidrs": ["10.0.0.0/29"], "reservation_tag": credentials["reservation_tag"]
    });
    assert_eq!(Value::Object(credentials.clone()), expected);
    for (at, ip) in [(2, "10.0.0.3"), (3, "10.0.0.4"), (4, "10.0.0.5"), (5, "10.0.0.6")] {
        assert_eq!(address(&broker, "a", &format!("b{at}"), "small", Value::Null).await.unwrap()["ip"], ip);
    }
    check_refused(address(&broker, "a", "b6", "small", Value::Null).await, 400, "no address is free in 10.0.0.0/29");
    assert_eq!(broker.unbind(&call(), unbinding("a", "b3", "small")).await, Ok(Unbound::Done(Object::new())));
    assert_eq!(address(&broker, "a", "b6", "small", Value::Null).await.unwrap()["ip"], "10.0.0.4");
    assert_eq!(broker.unbind(&call(), unbinding("a", "b3", "small")).await, Err(Error::gone()));
}

#[tokio::test]
async fn bindings_take_addresses_of_the_subnet_that_is_named_or_of_the_first_with_room() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    let subnets =
        json!({"prefix_length": 28, "subnets": [{"name": "web", "new_bits": 1}, {"name": "db", "new_bits": 1}]});
    network(&broker, "a", "small", subnets).await.unwrap();
    let credentials = address(&broker, "a", "b", "small", json!({"subnet": "db", "hostname": "db-1"})).await.unwrap();
    let seen = ["ip", "gateway", "subnet", "hostname"].map(|name| credentials[name].as_str().unwrap());
    assert_eq!(seen, ["10.0.0.10", "10.0.0.9", "db", "db-1"]);
    assert_eq!(credentials["prefix_length"], json!(29));
    for at in 0..5 {
        let credentials = address(&broker, "a", &format!("w{at}"), "small", Value::Null).await.unwrap();
        assert_eq!((&credentials["subnet"], &credentials["ip"]), (&json!("web"), &json!(format!("10.0.0.{}", 2 + at))));
    }
    assert_eq!(address(&broker, "a", "w5", "small", Value::Null).await.unwrap()["subnet"], "db");
    let unknown = address(&broker, "a", "w6", "small", json!({"subnet": "dmz"})).await;
    check_refused(unknown, 400, "there is no subnet `dmz` in this network: use web, db");
    let full = address(&broker, "a", "w6", "small", json!({"subnet": "web"})).await;
    check_refused(full, 400, "no address is free in 10.0.0.0/29");
}

#[tokio::test]
async fn a_subnet_that_is_added_avoids_addresses_that_are_reserved() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    network(&broker, "a", "small", Value::Null).await.unwrap();
    assert_eq!(address(&broker, "a", "b", "small", Value::Null).await.unwrap()["ip"], "10.0.0.2");
    broker.update(&call(), change("a", json!({"subnets": [{"name": "web", "new_bits": 1}]}))).await.unwrap();
    assert_eq!(address(&broker, "a", "c", "small", Value::Null).await.unwrap()["ip"], "10.0.0.10");
}

#[tokio::test]
async fn bnd_08_10_a_repeated_bind_gives_the_same_credentials_and_another_is_a_conflict() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    network(&broker, "a", "small", Value::Null).await.unwrap();
    let first = address(&broker, "a", "b", "small", json!({"hostname": "h"})).await.unwrap();
    let again = broker.bind(&call(), binding("a", "b", "small", json!({"hostname": "h"}))).await.unwrap();
    let Bound::Existed(again) = again else { panic!("existed") };
    assert_eq!(again.credentials, Maybe::Present(first));
    check_refused(broker.bind(&call(), binding("a", "b", "small", Value::Null)).await, 409, "other attributes");
    check_refused(broker.bind(&call(), binding("x", "b", "small", Value::Null)).await, 404, "no service instance");
    check_refused(broker.bind(&call(), binding("a", "c", "medium", Value::Null)).await, 400, "must be those of");
}

#[tokio::test]
async fn dep_05_10_deletion_takes_the_bindings_along_and_wants_the_right_plan() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    network(&broker, "a", "small", Value::Null).await.unwrap();
    address(&broker, "a", "b", "small", Value::Null).await.unwrap();
    check_refused(broker.deprovision(&call(), removal("a", "large")).await, 400, "must be those of");
    check_refused(broker.unbind(&call(), unbinding("a", "b", "large")).await, 400, "must be those of");
    delete(&broker, "a", "small").await;
    assert_eq!(broker.deprovision(&call(), removal("a", "small")).await, Err(Error::gone()));
    assert_eq!(broker.unbind(&call(), unbinding("a", "b", "small")).await, Err(Error::gone()));
    let binding = FetchBindingRequest { instance_id: "a".into(), binding_id: "b".into(), ..Default::default() };
    check_refused(broker.fetch_binding(&call(), binding).await, 404, "no service instance");
}

#[tokio::test]
async fn a_restart_on_the_same_file_keeps_networks_addresses_and_quarantine() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    network(&broker, "a", "medium", json!({"subnets": [{"name": "web", "new_bits": 1}]})).await.unwrap();
    network(&broker, "gone", "medium", Value::Null).await.unwrap();
    delete(&broker, "gone", "medium").await;
    let first = address(&broker, "a", "b", "medium", Value::Null).await.unwrap();
    let shown = broker.fetch_instance(&call(), fetch("a")).await.unwrap();
    drop(broker);
    let broker = ipam.open(&[]).await;
    assert_eq!(broker.fetch_instance(&call(), fetch("a")).await.unwrap(), shown);
    let binding = FetchBindingRequest { instance_id: "a".into(), binding_id: "b".into(), ..Default::default() };
    assert_eq!(broker.fetch_binding(&call(), binding).await.unwrap().binding.credentials, Maybe::Present(first));
    assert_eq!(network(&broker, "next", "medium", Value::Null).await.unwrap(), "10.0.2.0/24");
}
