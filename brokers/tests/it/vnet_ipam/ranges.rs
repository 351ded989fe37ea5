//! Ranges that were there before: imported, in nobody's way twice, taken over, forgotten. And how full the pools are.

use std::process::Output;
use std::sync::atomic::Ordering;

use bourse_brokers::vnet_ipam::import::{self, Kind, Row};
use bourse_brokers::vnet_ipam::prefix::Prefix;
use bourse_brokers::vnet_ipam::{Outcome, Ranges};
use osb::ServiceBroker;
use osb::kit::Clock;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::{call, check_refused, delete};
use crate::process::{PATIENCE, start, stop};
use crate::support::{Ipam, get, network, order};

const DAY: i64 = 24 * 60 * 60;

impl Ipam {
    async fn ranges(&self) -> Ranges {
        let clock = Clock::Manual(std::sync::Arc::clone(&self.now));
        Ranges::open(&self.directory.path().join("vnet-ipam.db"), clock).await.unwrap()
    }

    async fn import(&self, text: &str) -> Outcome {
        self.ranges().await.import(&import::read(text).unwrap(), false).await.unwrap()
    }
}

fn outcome(added: usize, updated: usize, unchanged: usize) -> Outcome {
    Outcome { added, updated, unchanged, findings: Vec::new() }
}

#[tokio::test]
async fn external_ranges_are_never_handed_out_and_importing_them_again_changes_nothing() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    let file = "cidr,name,description\n10.0.0.0/9,campus,old\n10.128.0.0/24,lab,\n192.168.0.0/16,office,\n";
    assert_eq!(ipam.import(file).await, outcome(3, 0, 0));
    assert_eq!(ipam.import(file).await, outcome(0, 0, 3));
    assert_eq!(ipam.import(&file.replace("old", "new")).await, outcome(0, 1, 2));
    // The broker that runs learns of it at once.
    assert_eq!(network(&broker, "a", "medium", json!({"strategy": "first_fit"})).await.unwrap(), "10.128.1.0/24");
    let inside = network(&broker, "b", "medium", json!({"cidr": "10.3.0.0/24"})).await;
    check_refused(inside, 400, "it overlaps 10.0.0.0/9, which is external (campus)");
    let ranges = ipam.ranges().await;
    assert_eq!(ranges.list().await.unwrap().len(), 3);
    assert_eq!(ranges.forget("default", "lab").await.unwrap().unwrap().prefix, "10.128.0.0/24".parse().unwrap());
    assert_eq!(ranges.forget("default", "lab").await.unwrap(), None);
    assert_eq!(network(&broker, "b", "medium", Value::Null).await.unwrap(), "10.128.0.0/24");
}

#[tokio::test]
async fn a_file_that_overlaps_what_is_there_is_refused_as_a_whole_and_each_overlap_is_named() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    network(&broker, "a", "medium", json!({"cidr": "10.1.0.0/24"})).await.unwrap();
    network(&broker, "gone", "medium", json!({"cidr": "10.1.1.0/24"})).await.unwrap();
    delete(&broker, "gone", "medium").await;
    ipam.import("cidr,name\n10.2.0.0/16,hq\n").await;
    let file = "cidr,name,routing_domain\n10.1.0.0/16,x,\n10.2.3.0/24,y,\n10.4.0.0/15,hq,\n10.1.0.0/16,z,lab\n";
    let told = ipam.import(file).await.findings;
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("line 2: 10.1.0.0/16 (x) overlaps 10.1.0.0/24 (in use by network "), "{told:?}");
    assert!(told[0].ends_with(", 10.1.1.0/24 (given back, and resting)"), "{told:?}");
    assert_eq!(told[1], "line 3: 10.2.3.0/24 (y) overlaps 10.2.0.0/16 (external hq)");
    assert!(told[2].contains("line 4: `hq` is external 10.2.0.0/16 in routing domain default already"), "{told:?}");
    assert_eq!(ipam.ranges().await.list().await.unwrap().len(), 1, "all or nothing");
}

#[tokio::test]
async fn a_network_that_was_there_is_taken_over_by_an_order_for_just_its_prefix() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[]).await;
    let file = "cidr,name,kind,tenant\n10.1.0.0/24,shop,network,\n10.2.0.0/24,bank,network,retail\n";
    ipam.import(file).await;
    let part = network(&broker, "a", "small", json!({"cidr": "10.1.0.0/28"})).await;
    check_refused(part, 400, "it overlaps 10.1.0.0/24, which is a network that waits for its owner (shop)");
    let stranger = network(&broker, "a", "medium", json!({"cidr": "10.2.0.0/24"})).await;
    check_refused(stranger, 400, "which is a network that waits for its owner (bank)");
    assert_eq!(network(&broker, "a", "medium", json!({"cidr": "10.1.0.0/24"})).await.unwrap(), "10.1.0.0/24");
    let context = json!({"bourse": {"version": 1, "tenant": {"id": "t", "name": "retail"}}});
    let owner = osb::ProvisionRequest {
        context: osb::Maybe::Present(crate::support::object(context)),
        ..order("b", "medium", json!({"cidr": "10.2.0.0/24"}))
    };
    broker.provision(&call(), owner).await.unwrap();
    assert_eq!(ipam.import(file).await, outcome(0, 0, 2), "what was taken over is not in the way of its own file");
}

#[tokio::test]
async fn pools_show_what_is_in_use_and_when_they_will_be_full() {
    let ipam = Ipam::new();
    let broker = ipam.open(&[("tight", "172.16.0.0/20")]).await;
    ipam.import("cidr,name\n172.16.8.0/21,office\n").await;
    let shown = async || broker.service().pool("tight").await.unwrap().unwrap()["routing_domains"][0].clone();
    let empty = shown().await;
    assert_eq!(empty["forecast"], json!({"prefix_length": 24, "free": "8", "addresses_per_day": null, "days": null}));
    for at in 0..3 {
        network(&broker, &format!("n{at}"), "medium", json!({"pool": "tight"})).await.unwrap();
        ipam.now.fetch_add(DAY, Ordering::SeqCst);
    }
    let wanted = json!({"pool": "tight", "reserve": true, "prefix_length": 28});
    network(&broker, "held", "small", wanted).await.unwrap();
    delete(&broker, "n0", "medium").await;
    let full = shown().await;
    let addresses = json!({
        "total": "4096", "in_use": "512", "reserved": "16", "quarantine": "256", "imported": "2048", "free": "1264"
    });
    assert_eq!((&full["addresses"], &full["utilisation_percent"]), (&addresses, &json!("69.14")));
    assert_eq!(sum(&full["free_blocks"]), 1264, "{full}");
    // 256, 512, 768, 784: by least squares 184 a day, and four /24 are left.
    assert_eq!(full["forecast"], json!({"prefix_length": 24, "free": "4", "addresses_per_day": "184", "days": 5}));
    assert_eq!(full["warning"], "no /24 will be free in 5 days");
    assert_eq!(broker.service().pool("none").await.unwrap(), None);
    let all = broker.service().pools().await.unwrap();
    let names: Vec<_> = all["pools"].as_array().unwrap().iter().map(|pool| pool["name"].clone()).collect();
    assert_eq!(names, ["default", "tight", "default-v6"]);
}

/// All addresses of free blocks of IPv4.
fn sum(blocks: &Value) -> u64 {
    let size = |block: &Value| {
        let count: u64 = block["count"].as_str().unwrap().parse().unwrap();
        count << (32 - block["prefix_length"].as_u64().unwrap())
    };
    blocks.as_array().unwrap().iter().map(size).sum()
}

async fn run(arguments: &[&str], data: &std::path::Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bourse-brokers"));
    command.arg("vnet-ipam").args(arguments).arg("--data").arg(data).kill_on_drop(true);
    timeout(PATIENCE, command.output()).await.unwrap().unwrap()
}

fn said(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

#[tokio::test]
async fn operators_import_list_and_forget_ranges_and_look_at_pools_behind_the_lock() {
    let directory = tempfile::tempdir().unwrap();
    let (data, file) = (directory.path().join("data"), directory.path().join("ranges.csv"));
    let (child, url) = start(&["vnet-ipam", "--username", "u", "--password", "p"], &data).await;
    std::fs::write(&file, "cidr,name,description\n10.0.0.0/9,campus,\"Berlin, \"\"Mitte\"\"\"\n").unwrap();
    let path = file.to_str().unwrap();
    let dry = run(&["import", path, "--dry-run"], &data).await;
    assert_eq!(said(&dry.stdout), "1 added, 0 updated, 0 unchanged (dry run: nothing was changed)\n");
    assert_eq!(said(&run(&["import", path], &data).await.stdout), "1 added, 0 updated, 0 unchanged\n");
    let listed = said(&run(&["ranges"], &data).await.stdout);
    assert!(listed.ends_with("10.0.0.0/9,campus,external,default,,\"Berlin, \"\"Mitte\"\"\"\n"), "{listed}");
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    assert_eq!(get(address, "/pools", None).await.0, 401);
    assert_eq!(get(address, "/pools/default", Some("dTpx")).await.0, 401);
    let (status, body) = get(address, "/pools/default", Some("dTpw")).await;
    let pool: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &pool["imported"][0]["name"]), (200, &json!("campus")));
    assert_eq!(pool["routing_domains"][0]["utilisation_percent"], "50.00");
    assert_eq!(get(address, "/pools", Some("dTpw")).await.0, 200);
    assert_eq!(get(address, "/pools/none", Some("dTpw")).await.0, 404);
    std::fs::write(&file, "cidr,name\n10.1.0.0/16,inner\n").unwrap();
    let refused = run(&["import", path], &data).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused.stderr).contains("line 2: 10.1.0.0/16 (inner) overlaps 10.0.0.0/9 (external campus)"));
    assert_eq!(said(&run(&["forget", "campus"], &data).await.stdout), "10.0.0.0/9 is free\n");
    assert_eq!(run(&["forget", "campus"], &data).await.status.code(), Some(1));
    assert_eq!(stop(child).await, Some(0));
}

/// A row that may clash with others: few addresses, few names.
fn row() -> impl Strategy<Value = (u32, u8, u8, bool)> {
    (0..16_u32, 26..=30_u8, 0..12_u8, any::<bool>())
}

async fn check(files: Vec<Vec<(u32, u8, u8, bool)>>) {
    let ipam = Ipam::new();
    let ranges = ipam.ranges().await;
    let mut held: Vec<(String, Prefix)> = Vec::new();
    for file in files {
        let rows: Vec<Row> = file
            .iter()
            .enumerate()
            .map(|(line, (at, length, name, network))| {
                let address = u128::from((10 << 24) + at * 16);
                let prefix = Prefix::containing(bourse_brokers::vnet_ipam::prefix::Version::V4, address, *length);
                let kind = if *network { Kind::Network } else { Kind::External };
                let (name, routing_domain) = (format!("r{name}-{length}"), "default".to_owned());
                Row { line, prefix, name, kind, routing_domain, tenant: None, description: String::new() }
            })
            .collect();
        let before = ranges.list().await.unwrap();
        let dry = ranges.import(&rows, true).await.unwrap();
        assert_eq!(ranges.list().await.unwrap(), before, "a dry run changes nothing");
        let done = ranges.import(&rows, false).await.unwrap();
        assert_eq!(done, dry, "a dry run says what would become of it");
        let after = ranges.list().await.unwrap();
        if !done.findings.is_empty() {
            assert_eq!(after, before, "all or nothing");
            continue;
        }
        assert_eq!(after.len(), before.len() + done.added);
        assert_eq!(ranges.import(&rows, false).await.unwrap().added, 0, "again is the same");
        held = after.iter().map(|range| (range.name.clone(), range.prefix)).collect();
        for (at, (_, prefix)) in held.iter().enumerate() {
            assert!(held[..at].iter().all(|(_, other)| prefix.intersection(*other).is_none()), "{held:?}");
        }
    }
    for (name, _) in &held {
        assert!(ranges.forget("default", name).await.unwrap().is_some());
    }
    ranges.close().await;
    let broker = ipam.open(&[]).await;
    let all = network(&broker, "all", "small", json!({"cidr": "10.0.0.0/26"})).await;
    assert_eq!(all.unwrap(), "10.0.0.0/26", "what was forgotten is free");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_files_say_ranges_never_overlap_and_a_file_is_taken_whole_or_not(
        files in prop::collection::vec(prop::collection::vec(row(), 1..5), 1..8)
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(check(files));
    }
}
