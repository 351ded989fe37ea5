//! The conformance suite judges the broker, strictly: each plan, reservations, and each driver that can run here. And what a
//! driver makes of an order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bourse_brokers::vnet_ipam::driver::Driver;
use bourse_brokers::vnet_ipam::driver::linux::Linux;
use bourse_brokers::vnet_ipam::driver::record_only::RecordOnly;
use bourse_brokers::vnet_ipam::{Ranges, import};
use osb::ServiceBroker;
use osb::conformance::{Options, Outcome, Parameters, Target, Verdict, run, silent};
use osb::kit::Clock;
use osb::server::{BasicAuth, Server};
use serde_json::{Value, json};

use super::{address, call, check_refused, delete};
use crate::netbox::contract::site;
use crate::network_driver::site::{Site, run as on_the_machine, within};
use crate::support::{Ipam, change, network, object};

async fn judge(plan: &str, provision: Value, driver: Arc<dyn Driver>) {
    let ipam = Ipam::new();
    let broker = ipam.open_with(&[], driver).await;
    let running = Server::new(BasicAuth::new(Arc::new(broker), "u", "p")).bind("127.0.0.1:0").unwrap();
    let parameters = Parameters { create: Some(object(provision)), ..Parameters::default() };
    let options = Options { plan: Some(plan.to_owned()), parameters, ..Options::default() };
    let target = Target::new(running.url()).with_credentials("u", "p");
    let report = run(&target, options, silent(), std::future::pending()).await.unwrap();
    let found = |verdict| report.with(verdict).into_iter().map(|id| report.row(id)).collect::<Vec<_>>();
    assert_eq!(report.outcome(true), Outcome::Conforms, "{:?} {:?}", found(Verdict::Failed), found(Verdict::Warned));
    assert_eq!((found(Verdict::Failed).len(), found(Verdict::Warned).len()), (0, 0));
    assert!(report.with(Verdict::Passed).len() >= 85, "{}", report.with(Verdict::Passed).len());
}

#[tokio::test]
async fn the_plan_small_conforms_without_a_warning() {
    judge("small", json!({}), Arc::new(RecordOnly)).await;
}

#[tokio::test]
async fn the_plan_medium_conforms_without_a_warning() {
    judge("medium", json!({}), Arc::new(RecordOnly)).await;
}

#[tokio::test]
async fn reservations_conform_without_a_warning() {
    judge("small", json!({"reserve": true}), Arc::new(RecordOnly)).await;
}

#[tokio::test]
async fn networks_of_ipv6_conform_without_a_warning() {
    judge("large", json!({"ip_version": 6}), Arc::new(RecordOnly)).await;
}

#[tokio::test]
async fn networks_that_are_made_on_this_machine_conform_without_a_warning() {
    let site = Site::new();
    judge("small", json!({}), Arc::new(Linux::start(&site.prefix).await.unwrap())).await;
    assert_eq!(site.namespaces(), Vec::<String>::new(), "nothing is left");
}

#[tokio::test]
async fn networks_that_netbox_gives_out_conform_without_a_warning() {
    let (server, driver) = site().await;
    judge("small", json!({}), Arc::new(driver)).await;
    assert!(server.additions() > 10, "NetBox was asked");
}

#[tokio::test]
async fn netbox_gives_out_grows_and_gets_back_what_the_broker_orders() {
    let (ipam, (server, driver)) = (Ipam::new(), site().await);
    let broker = ipam.open_with(&[], Arc::new(driver)).await;
    let held = || {
        let rows = server
            .with(|model| model.prefixes.iter().map(|row| format!("{} {}", row.range, row.status)).collect::<Vec<_>>());
        rows[1..].join(", ")
    };
    assert_eq!(network(&broker, "a", "medium", Value::Null).await.unwrap(), "10.0.0.0/24");
    broker.update(&call(), change("a", json!({"prefix_length": 23}))).await.unwrap();
    assert_eq!(held(), "10.0.0.0/24 active, 10.0.1.0/24 active");
    network(&broker, "b", "medium", json!({"reserve": true})).await.unwrap();
    assert_eq!(held(), "10.0.0.0/24 active, 10.0.1.0/24 active, 10.0.2.0/24 reserved");
    delete(&broker, "a", "medium").await;
    assert_eq!(held(), "10.0.0.0/24 deprecated, 10.0.1.0/24 deprecated, 10.0.2.0/24 reserved");
    ipam.now.fetch_add(24 * 60 * 60, Ordering::SeqCst);
    broker.tend().await;
    assert_eq!(held(), "10.0.0.0/24 deprecated, 10.0.1.0/24 deprecated", "the reservation has expired");
    broker.update(&call(), change("b", json!({"confirm": true}))).await.unwrap();
    assert_eq!(held(), "10.0.0.0/24 deprecated, 10.0.1.0/24 deprecated, 10.0.2.0/24 active");
    ipam.now.fetch_add(7 * 24 * 60 * 60, Ordering::SeqCst);
    broker.tend().await;
    assert_eq!(held(), "10.0.2.0/24 active", "the quarantine is over");
    // What the broker knows to be somebody else's is given back to NetBox.
    let ranges = Ranges::open(&ipam.directory.path().join("vnet-ipam.db"), Clock::System).await.unwrap();
    ranges.import(&import::read("cidr,name\n10.0.0.0/24,hq\n").unwrap(), false).await.unwrap();
    check_refused(network(&broker, "c", "medium", Value::Null).await, 400, "which is external (hq)");
    assert_eq!(held(), "10.0.2.0/24 active");
}

#[tokio::test]
async fn workloads_that_are_bound_reach_each_other_also_after_their_network_has_grown() {
    let (ipam, site) = (Ipam::new(), Site::new());
    let broker = ipam.open_with(&[], Arc::new(site.driver.clone())).await;
    network(&broker, "a", "small", json!({"prefix_length": 29, "reserve": true})).await.unwrap();
    assert_eq!(site.namespaces(), Vec::<String>::new(), "a reservation is only in the books");
    let web = address(&broker, "a", "web", "small", Value::Null).await.unwrap();
    broker.update(&call(), change("a", json!({"prefix_length": 27}))).await.unwrap();
    for at in 0..5 {
        address(&broker, "a", &format!("b{at}"), "small", Value::Null).await.unwrap();
    }
    let db = address(&broker, "a", "db", "small", Value::Null).await.unwrap();
    assert_eq!((&web["ip"], &db["ip"]), (&json!("10.0.0.2"), &json!("10.0.0.8")), "beyond what it was");
    let namespace = db["namespace"].as_str().unwrap();
    let ping = ["ping", "-c", "1", "-W", "5", web["ip"].as_str().unwrap()];
    within(namespace, &ping);
    // As after a restart of the machine: nothing is left, and all of it is made again.
    for namespace in site.namespaces() {
        assert!(on_the_machine("ip", &["netns", "delete", &namespace]).status.success());
    }
    assert_eq!(broker.service().repair().await.unwrap(), 1);
    within(namespace, &ping);
    assert_eq!(broker.service().repair().await.unwrap(), 0, "once is enough");
    delete(&broker, "a", "small").await;
    ipam.now.fetch_add(7 * 24 * 60 * 60, Ordering::SeqCst);
    broker.tend().await;
    assert_eq!(site.namespaces(), Vec::<String>::new(), "nothing is left");
}
