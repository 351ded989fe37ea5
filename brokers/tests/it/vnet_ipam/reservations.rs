//! Reserve, confirm, expire.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bourse_brokers::vnet_ipam::driver::{AllocationRequest, Driver, DriverError, NetworkSpec, Workload};
use bourse_brokers::vnet_ipam::prefix::Prefix;
use osb::{Call, Object, ServiceBroker};
use serde_json::{Value, json};

use super::{address, call, check_refused, delete, fetch};
use crate::support::{Ipam, change, network};

const DAY: i64 = 24 * 60 * 60;

async fn shown(broker: &dyn ServiceBroker, id: &str) -> Value {
    let fetched = broker.fetch_instance(&Call::default(), fetch(id)).await.unwrap();
    fetched.metadata.as_option().unwrap()["attributes"].clone()
}

#[tokio::test]
async fn a_reservation_holds_its_prefix_for_a_day_and_then_it_is_free_again() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[("one", "172.16.0.0/28")]).await;
    assert_eq!(network(&broker, "a", "small", json!({"pool": "one", "reserve": true})).await.unwrap(), "172.16.0.0/28");
    let held = shown(&broker, "a").await;
    assert_eq!((&held["state"], &held["reserved_until"]), (&json!("reserved"), &json!("2023-11-15T22:13:20Z")));
    assert!(held["reservation_tag"].as_str().is_some_and(|tag| tag.len() == 36), "{held}");
    check_refused(network(&broker, "b", "small", json!({"pool": "one"})).await, 400, "nothing is free");
    ipam.now.fetch_add(DAY, Ordering::SeqCst);
    let expired = shown(&broker, "a").await;
    assert_eq!((&expired["state"], &expired["cidrs"]), (&json!("expired"), &json!([])));
    assert_eq!((&expired["cidr"], &expired["lapsed_cidrs"]), (&Value::Null, &json!(["172.16.0.0/28"])));
    check_refused(address(&broker, "a", "x", "small", Value::Null).await, 400, "the reservation has expired");
    check_refused(broker.update(&call(), change("a", json!({"prefix_length": 27}))).await, 400, "has expired");
    broker.update(&call(), change("a", json!({"description": "still mine"}))).await.unwrap();
    assert_eq!(network(&broker, "b", "small", json!({"pool": "one"})).await.unwrap(), "172.16.0.0/28", "no quarantine");
    let again = broker.update(&call(), change("a", json!({"confirm": true}))).await;
    check_refused(again, 400, "172.16.0.0/28 is not free: it overlaps 172.16.0.0/28, which is in use");
    delete(&broker, "a", "small").await;
    assert_eq!(shown(&broker, "b").await["state"], "confirmed");
}

#[tokio::test]
async fn what_is_confirmed_or_bound_in_time_stays() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    for id in ["confirmed", "bound", "forgotten"] {
        network(&broker, id, "small", json!({"reserve": true, "reserve_ttl": 600})).await.unwrap();
    }
    broker.update(&call(), change("confirmed", json!({"confirm": true}))).await.unwrap();
    address(&broker, "bound", "b", "small", Value::Null).await.unwrap();
    ipam.now.fetch_add(600, Ordering::SeqCst);
    for (id, state) in [("confirmed", "confirmed"), ("bound", "confirmed"), ("forgotten", "expired")] {
        assert_eq!(shown(&broker, id).await["state"], state);
    }
    let fetched = broker.fetch_instance(&call(), fetch("confirmed")).await.unwrap();
    let kept = fetched.parameters.into_option().unwrap();
    assert_eq!(Value::Object(kept), json!({"reserve": true, "reserve_ttl": 600}), "a confirmation is an act");
}

#[tokio::test]
async fn an_expired_reservation_gets_its_prefixes_and_subnets_again_while_they_are_free() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    let wanted = json!({"reserve": true, "prefix_length": 25, "subnets": [{"name": "web", "new_bits": 1}]});
    network(&broker, "a", "medium", wanted).await.unwrap();
    network(&broker, "beside", "medium", json!({"prefix_length": 25})).await.unwrap();
    broker.update(&call(), change("a", json!({"prefix_length": 24}))).await.unwrap();
    let before = shown(&broker, "a").await;
    assert_eq!(before["cidrs"], json!(["10.0.0.0/25", "10.0.1.0/25"]));
    ipam.now.fetch_add(DAY, Ordering::SeqCst);
    broker.tend().await;
    assert_eq!(shown(&broker, "a").await["state"], "expired");
    broker.update(&call(), change("a", json!({"confirm": true}))).await.unwrap();
    let after = shown(&broker, "a").await;
    assert_eq!((&after["cidrs"], &after["subnets"]), (&before["cidrs"], &before["subnets"]));
    assert_eq!(after["state"], "confirmed");
    broker.update(&call(), change("a", json!({"confirm": true}))).await.unwrap();
    assert_eq!(shown(&broker, "a").await, after, "again is the same");
}

#[tokio::test]
async fn a_reservation_that_is_given_up_leaves_no_quarantine_and_a_network_does() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[("one", "172.16.0.0/28")]).await;
    network(&broker, "a", "small", json!({"pool": "one", "reserve": true})).await.unwrap();
    delete(&broker, "a", "small").await;
    network(&broker, "b", "small", json!({"pool": "one", "reserve": true})).await.unwrap();
    broker.update(&call(), change("b", json!({"confirm": true}))).await.unwrap();
    delete(&broker, "b", "small").await;
    check_refused(network(&broker, "c", "small", json!({"pool": "one"})).await, 400, "nothing is free");
}

/// A driver that can't remove one network.
#[derive(Default)]
struct Stuck {
    /// As the driver says it, by whether the answer is lost.
    lost: bool,
    /// The first one that it was asked to remove.
    stuck: Mutex<Option<String>>,
    asked: Mutex<Vec<String>>,
    mended: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Driver for Stuck {
    async fn allocate(&self, _: &AllocationRequest) -> Result<Option<Prefix>, DriverError> {
        Ok(None)
    }

    async fn apply(&self, _: &NetworkSpec) -> Result<(), DriverError> {
        Ok(())
    }

    async fn remove(&self, resource: &str) -> Result<(), DriverError> {
        self.asked.lock().unwrap().push(resource.to_owned());
        let stuck = self.stuck.lock().unwrap().get_or_insert_with(|| resource.to_owned()).clone();
        if stuck != resource || self.mended.load(Ordering::SeqCst) {
            return Ok(());
        }
        let what = "it is held".to_owned();
        Err(if self.lost {
            DriverError::Unavailable { what, retry_after_seconds: None, detail: None }
        } else {
            DriverError::Failed { what, detail: None }
        })
    }

    async fn attach(&self, _: &NetworkSpec, _: &Workload) -> Result<Object, DriverError> {
        Ok(Object::new())
    }

    async fn detach(&self, _: &str, _: &str) -> Result<(), DriverError> {
        Ok(())
    }

    async fn check(&self, _: &NetworkSpec) -> Result<Vec<String>, DriverError> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn a_network_that_can_not_be_removed_is_put_off_and_stops_no_other() {
    for lost in [false, true] {
        let ipam = Ipam::new();
        let driver = Arc::new(Stuck { lost, ..Stuck::default() });
        let broker = ipam.open_with(&[], Arc::clone(&driver) as Arc<dyn Driver>).await;
        for id in ["a", "b", "c"] {
            network(&broker, id, "small", json!({"reserve": true})).await.unwrap();
        }
        ipam.now.fetch_add(DAY, Ordering::SeqCst);
        broker.tend().await;
        let asked = || driver.asked.lock().unwrap().len();
        assert_eq!(asked(), 3, "the others are removed in the same round");
        broker.tend().await;
        assert_eq!(asked(), 3, "it is put off");
        ipam.now.fetch_add(300, Ordering::SeqCst);
        broker.tend().await;
        assert_eq!(asked(), 4, "and tried again");
        let mut waiting = 0;
        for id in ["a", "b", "c"] {
            match broker.update(&call(), change(id, json!({"confirm": true}))).await {
                Ok(_) => assert_eq!(shown(&broker, id).await["state"], "confirmed"),
                Err(error) => {
                    assert_eq!(error.status, 503, "{error:?}");
                    waiting += 1;
                }
            }
        }
        assert_eq!(waiting, usize::from(lost), "only what may still be under way is waited for");
        driver.mended.store(true, Ordering::SeqCst);
        ipam.now.fetch_add(300, Ordering::SeqCst);
        broker.tend().await;
        assert_eq!(asked(), 4 + usize::from(lost), "what is in use again is not removed");
        for id in ["a", "b", "c"] {
            broker.update(&call(), change(id, json!({"confirm": true}))).await.unwrap();
        }
    }
}
