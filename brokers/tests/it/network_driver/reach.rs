//! Who reaches whom.

use std::process::{Command, Stdio};

use bourse_brokers::vnet_ipam::driver::Driver as _;

use super::site::{Site, is_cut_off, network, range, reaches, run, within, workload};

#[tokio::test]
async fn workloads_of_a_network_ping_each_other_in_both_versions_and_their_gateway() {
    let site = Site::new();
    let mut both = network("both", &["10.0.0.0/24", "fd00:1::/64"], &[]);
    site.driver.apply(&both).await.unwrap();
    let one = workload("one", &[("10.0.0.10", "10.0.0.0/24"), ("fd00:1::10", "fd00:1::/64")]);
    let one = site.attach(&mut both, one).await;
    let two = workload("two", &[("10.0.0.11", "10.0.0.0/24"), ("fd00:1::11", "fd00:1::/64")]);
    let two = site.attach(&mut both, two).await;
    for (from, to) in [(&one, ["10.0.0.11", "fd00:1::11"]), (&two, ["10.0.0.10", "fd00:1::10"])] {
        for address in [to[0], to[1], "10.0.0.1", "fd00:1::1"] {
            assert!(reaches(from, address), "{address}");
        }
    }
    site.is_as(&both).await;
}

#[tokio::test]
async fn subnets_and_grown_prefixes_of_a_network_reach_each_other_by_their_gateways() {
    let site = Site::new();
    let subnets = [("web", "10.0.0.0/26"), ("db", "10.0.0.64/26")];
    let mut spread = network("spread", &["10.0.0.0/24"], &subnets);
    let web = site.attach(&mut spread, workload("web", &[("10.0.0.10", "10.0.0.0/26")])).await;
    let db = site.attach(&mut spread, workload("db", &[("10.0.0.70", "10.0.0.64/26")])).await;
    assert!(reaches(&web, "10.0.0.70") && reaches(&db, "10.0.0.10") && reaches(&db, "10.0.0.65"));

    spread.prefixes.push(range("172.16.5.0/24"));
    spread.prefixes.push(range("fd00:2::/64"));
    site.driver.apply(&spread).await.unwrap();
    let far = workload("far", &[("172.16.5.9", "172.16.5.0/24"), ("fd00:2::9", "fd00:2::/64")]);
    let far = site.attach(&mut spread, far).await;
    assert!(reaches(&web, "172.16.5.9") && reaches(&far, "10.0.0.70"));
    site.is_as(&spread).await;
}

#[tokio::test]
async fn growing_in_place_keeps_workloads_reachable_and_reaches_new_ones() {
    let site = Site::new();
    let mut grown = network("grown", &["10.0.0.0/25", "fd00:3::/65"], &[]);
    let old = workload("old", &[("10.0.0.10", "10.0.0.0/25"), ("fd00:3::10", "fd00:3::/65")]);
    let old = site.attach(&mut grown, old).await;
    grown.prefixes = vec![range("10.0.0.0/24"), range("fd00:3::/64")];
    site.driver.apply(&grown).await.unwrap();
    let new = workload("new", &[("10.0.0.200", "10.0.0.0/24"), ("fd00:3::ffff:0:0:1", "fd00:3::/64")]);
    let new = site.attach(&mut grown, new).await;
    assert!(reaches(&old, "10.0.0.200") && reaches(&new, "10.0.0.10"));
    assert!(reaches(&old, "fd00:3::ffff:0:0:1") && reaches(&new, "fd00:3::10"));
    // One in a subnet and one that is not take each other for neighbours or not.
    grown.subnets = network("", &[], &[("sub", "fd00:3::8000:0:0:0/66")]).subnets;
    site.driver.apply(&grown).await.unwrap();
    let sub = site.attach(&mut grown, workload("sub", &[("fd00:3::8000:0:0:9", "fd00:3::8000:0:0:0/66")])).await;
    assert!(reaches(&sub, "fd00:3::10") && reaches(&old, "fd00:3::8000:0:0:9") && reaches(&new, "fd00:3::8000:0:0:9"));
    site.is_as(&grown).await;
}

#[tokio::test]
async fn other_networks_are_not_reached_whether_their_addresses_overlap_or_not() {
    let site = Site::new();
    let mut red = network("red", &["10.0.0.0/24"], &[]);
    let mut blue = network("blue", &["10.0.0.0/24"], &[]);
    let mut green = network("green", &["10.9.0.0/24"], &[]);
    let from_red = site.attach(&mut red, workload("r1", &[("10.0.0.10", "10.0.0.0/24")])).await;
    let in_blue = site.attach(&mut blue, workload("b1", &[("10.0.0.77", "10.0.0.0/24")])).await;
    let also_blue = site.attach(&mut blue, workload("b2", &[("10.0.0.10", "10.0.0.0/24")])).await;
    let in_green = site.attach(&mut green, workload("g1", &[("10.9.0.5", "10.9.0.0/24")])).await;
    let also_green = site.attach(&mut green, workload("g2", &[("10.9.0.6", "10.9.0.0/24")])).await;
    // They are there.
    assert!(reaches(&also_blue, "10.0.0.77") && reaches(&also_green, "10.9.0.5"));
    // But not from elsewhere.
    assert!(is_cut_off(&from_red, "10.0.0.77"));
    assert!(is_cut_off(&from_red, "10.9.0.5") && is_cut_off(&from_red, "10.9.0.1"));
    assert!(is_cut_off(&in_green, "10.0.0.10") && is_cut_off(&in_blue, "10.9.0.6"));
    // And the machine: nothing in a network's namespace leads out of it, nothing of it lies in the machine's own.
    let links = within(&site.namespace(&from_red), &["ip", "-brief", "link", "show"]);
    let names: Vec<_> = links.lines().filter_map(|line| line.split(['@', ' ']).next()).collect();
    assert!(matches!(names[..], ["lo", "br0", port] if port.starts_with('w')), "{names:?}");
    let port = names[2];
    assert!(!run("ip", &["link", "show", "dev", port]).status.success(), "the port is not the machine's");
}

#[tokio::test]
async fn what_is_detached_reaches_nobody_even_while_a_process_holds_its_namespace() {
    let site = Site::new();
    let mut network = network("left", &["10.0.0.0/24"], &[]);
    let stays = site.attach(&mut network, workload("stays", &[("10.0.0.10", "10.0.0.0/24")])).await;
    let goes = site.attach(&mut network, workload("goes", &[("10.0.0.11", "10.0.0.0/24")])).await;
    assert!(reaches(&stays, "10.0.0.11"));
    let mut held = Command::new("ip");
    let held = held.args(["netns", "exec", &goes, "ping", "-n", "-i", "0.2", "10.0.0.10"]);
    let mut held = held.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = held.id().to_string();
    let from_held = |address: &str| {
        let ping = ["-t", &pid, "-n", "ping", "-n", "-c", "1", "-W", "1", address];
        run("nsenter", &ping).status.success()
    };
    crate::support::wait_until(|| from_held("10.0.0.10")).await;

    site.driver.detach("left", "goes").await.unwrap();
    network.workloads.pop();
    assert!(!from_held("10.0.0.10"));
    assert!(is_cut_off(&stays, "10.0.0.11") && reaches(&stays, "10.0.0.1"));
    held.kill().unwrap();
    held.wait().unwrap();
    site.is_as(&network).await;
    assert_eq!(site.namespaces().len(), 2);
    // Once more, and what never was.
    site.driver.detach("left", "goes").await.unwrap();
    site.driver.detach("left", "never").await.unwrap();
    site.driver.detach("never", "never").await.unwrap();
    site.is_as(&network).await;
}

#[tokio::test]
async fn after_remove_nothing_is_left_and_removing_again_is_success() {
    let site = Site::new();
    let mut gone = network("gone", &["10.0.0.0/24", "fd00::/64"], &[]);
    let mut stays = network("stays", &["10.0.0.0/24"], &[]);
    site.attach(&mut gone, workload("one", &[("10.0.0.10", "10.0.0.0/24")])).await;
    site.attach(&mut gone, workload("two", &[("fd00::2", "fd00::/64")])).await;
    let left = site.attach(&mut stays, workload("one", &[("10.0.0.10", "10.0.0.0/24")])).await;
    assert_eq!(site.namespaces().len(), 5);
    for _ in 0..2 {
        site.driver.remove("gone").await.unwrap();
        assert_eq!(site.namespaces(), [site.namespace(&left), left.clone()]);
    }
    site.is_as(&stays).await;
    site.driver.remove("stays").await.unwrap();
    assert_eq!(site.namespaces(), [""; 0]);
}
