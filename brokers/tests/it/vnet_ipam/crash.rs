//! A process that dies at any point of an order: the service's own futures, dropped at each place where they wait.

use std::collections::HashSet;
use std::sync::Arc;

use bourse_brokers::vnet_ipam::prefix::Prefix;
use bourse_brokers::vnet_ipam::{Config, VnetIpam, plan};
use osb::Object;
use osb::kit::{Clock, Instance, Secret, Service};
use serde_json::{Value, json};
use sqlx::SqlitePool;

use super::go;
use crate::support::{Ipam, object, plan_id};

pub(crate) fn instance(resource: &str, parameters: Value) -> Instance {
    Instance {
        resource: resource.to_owned(),
        id: resource.to_owned(),
        service_id: plan::SERVICE_ID.to_owned(),
        plan_id: plan_id("medium"),
        parameters: object(parameters),
        tenant: None,
        state: Secret(Object::new()),
        created_at: 0,
    }
}

impl Ipam {
    /// The service without the kit around it, and its file.
    async fn bare(&self, pool: &str) -> (Arc<VnetIpam>, SqlitePool) {
        let file = self.directory.path().join("vnet-ipam.db");
        let mut config = Config::new(&file);
        config.pools.push(bourse_brokers::vnet_ipam::pool::Pool::new("tight", pool).unwrap());
        config.clock = Clock::Manual(Arc::clone(&self.now));
        let (service, _, _) = VnetIpam::prepare(config).await.unwrap();
        (service, SqlitePool::connect(&format!("sqlite:{}", file.display())).await.unwrap())
    }
}

/// The row of the kit that a network belongs to.
pub(crate) async fn known(file: &SqlitePool, resource: &str) {
    let row =
        "insert into kit_instance (resource, id, service_id, plan_id, organization_guid, space_guid, parameters, phase,
        created_at, measured_at, look_at) values ($1, $1, 's', 'p', 'o', 's', '{}', 'creating', 0, 0, 0)";
    sqlx::query(row).bind(resource).execute(file).await.unwrap();
}

pub(crate) async fn cidrs(service: &VnetIpam, instance: &Instance) -> Vec<Prefix> {
    let shown = service.show(instance).await.unwrap();
    shown["cidrs"].as_array().unwrap().iter().map(|cidr| cidr.as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn wherever_it_dies_nothing_overlaps_and_the_next_try_ends_it() {
    let ipam = Ipam::new();
    let (service, file) = ipam.bare("172.16.0.0/20").await;
    let small = json!({"pool": "tight", "prefix_length": 28});
    let mut steps = 0;
    let (mut interrupted, mut held) = (0, HashSet::new());
    for at in 0..40 {
        let before = instance(&format!("n{at}"), small.clone());
        known(&file, &before.resource).await;
        let done = go(steps, service.create(&before)).await;
        // The order comes again, and gets the same.
        service.create(&before).await.unwrap();
        let asked = object(json!({"prefix_length": 27}));
        let after = Instance { parameters: service.merge(&before.parameters, &asked), ..before.clone() };
        let grown = go(steps, service.change(&before, &after, &asked)).await;
        service.change(&before, &after, &asked).await.unwrap();
        let prefixes = cidrs(&service, &after).await;
        assert_eq!(prefixes.iter().map(|prefix| prefix.size()).sum::<u128>(), 32, "it grew once: {prefixes:?}");
        for prefix in prefixes {
            assert!(held.iter().all(|other: &Prefix| other.intersection(prefix).is_none()), "{prefix} overlaps");
            held.insert(prefix);
        }
        let gone = go(steps, service.retire(&before)).await;
        service.retire(&before).await.unwrap();
        assert!(service.show(&before).await.is_err());
        interrupted += usize::from(!done) + usize::from(!grown) + usize::from(!gone);
        steps = if done && grown && gone { 0 } else { steps + 1 };
    }
    assert!(interrupted > 10, "{interrupted} were interrupted");
    ipam.now.fetch_add(8 * 24 * 60 * 60, std::sync::atomic::Ordering::SeqCst);
    service.tend().await.unwrap();
    let pool = service.pool("tight").await.unwrap().unwrap();
    assert_eq!(
        pool["routing_domains"][0]["free_blocks"],
        json!([{"prefix_length": 20, "count": "1"}]),
        "nothing is lost"
    );
    let resting: i64 = sqlx::query_scalar("select count(*) from resting").fetch_one(&file).await.unwrap();
    assert_eq!(resting, 0);
}

#[tokio::test]
async fn an_order_that_comes_after_its_deletion_takes_nothing() {
    let ipam = Ipam::new();
    let (service, file) = ipam.bare("172.16.0.0/20").await;
    let late = instance("late", json!({}));
    service.retire(&late).await.unwrap();
    assert!(service.create(&late).await.is_err(), "the kit knows no such instance any more");
    let blocks: i64 = sqlx::query_scalar("select count(*) from block").fetch_one(&file).await.unwrap();
    assert_eq!(blocks, 0);
}
