//! Whoever is root in a workload's namespace can change all that is in it. What leaves it is judged outside.

use bourse_brokers::vnet_ipam::driver::Driver as _;
use bourse_brokers::vnet_ipam::driver::NetworkSpec;

use super::site::{Site, is_cut_off, network, reaches, within, workload};

const V4: &str = "10.0.0.0/24";
const V6: &str = "fd00::/64";

/// A network of an honest workload and one that is not.
async fn two(site: &Site) -> (NetworkSpec, String, String) {
    let mut network = network("spoofed", &[V4, V6], &[]);
    let honest = site.attach(&mut network, workload("honest", &[("10.0.0.10", V4), ("fd00::10", V6)])).await;
    let evil = site.attach(&mut network, workload("evil", &[("10.0.0.66", V4), ("fd00::66", V6)])).await;
    (network, honest, evil)
}

/// Counts what arrives at a workload from an address.
fn count(namespace: &str, address: &str) {
    let family = if address.contains(':') { "ip6" } else { "ip" };
    let rule = format!(
        "table inet seen {{ counter c {{ }};\nchain in {{ type filter hook input priority -10; {family} saddr {address} counter name c; }};\n}}"
    );
    within(namespace, &["nft", &rule]);
}

fn counted(namespace: &str) -> u64 {
    let listed = within(namespace, &["nft", "-j", "list", "counter", "inet", "seen", "c"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let counters = listed["nftables"].as_array().unwrap();
    counters.iter().find_map(|one| one["counter"]["packets"].as_u64()).unwrap()
}

async fn check_source(own: &str, stolen: &str, honest_address: &str) {
    let site = Site::new();
    let (network, honest, evil) = two(&site).await;
    count(&honest, own);
    assert!(reaches(&evil, honest_address));
    assert!(counted(&honest) > 0, "packets from {own} arrive");
    within(&honest, &["nft", "delete", "table", "inet", "seen"]);

    count(&honest, stolen);
    let length = if stolen.contains(':') { 64 } else { 24 };
    let mut add = vec!["ip", "addr", "add"];
    let with_length = format!("{stolen}/{length}");
    add.extend([with_length.as_str(), "dev", "eth0"]);
    if length == 64 {
        add.push("nodad");
    }
    within(&evil, &add);
    let ping =
        ["netns", "exec", &evil, "ping", "-n", "-I", stolen, "-c", "2", "-i", "0.2", "-W", "0.4", honest_address];
    assert!(!super::site::run("ip", &ping).status.success());
    assert_eq!(counted(&honest), 0, "packets from {stolen} are dropped");
    // With its own address it still works; and the theft is found, and undone.
    assert!(reaches(&evil, honest_address));
    let findings = site.driver.check(&network).await.unwrap();
    assert!(matches!(&findings[..], [one] if one.contains(stolen)), "{findings:?}");
    site.driver.apply(&network).await.unwrap();
    site.is_as(&network).await;
}

#[tokio::test]
async fn a_spoofed_source_address_is_dropped() {
    check_source("10.0.0.66", "10.0.0.99", "10.0.0.10").await;
}

#[tokio::test]
async fn a_spoofed_ipv6_source_address_is_dropped() {
    check_source("fd00::66", "fd00::99", "fd00::10").await;
}

#[tokio::test]
async fn a_spoofed_hardware_address_gets_nowhere_and_is_found() {
    let site = Site::new();
    let (network, honest, evil) = two(&site).await;
    assert!(reaches(&evil, "10.0.0.10"));
    within(&evil, &["ip", "link", "set", "dev", "eth0", "address", "02:00:00:00:00:99"]);
    assert!(is_cut_off(&evil, "10.0.0.10") && is_cut_off(&evil, "fd00::10") && is_cut_off(&honest, "10.0.0.66"));
    assert_eq!(site.driver.check(&network).await.unwrap().len(), 1);
    site.driver.apply(&network).await.unwrap();
    site.is_as(&network).await;
    within(&honest, &["ip", "neigh", "flush", "all"]);
    assert!(reaches(&evil, "10.0.0.10") && reaches(&honest, "fd00::66"));
}

/// The hardware address that a namespace has learnt for an address.
fn learnt(namespace: &str, address: &str) -> Option<String> {
    let shown = within(namespace, &["ip", "-json", "neigh", "show", "to", address]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    shown[0]["lladdr"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_workload_is_not_believed_to_have_an_address_that_nobody_has() {
    let site = Site::new();
    let (_, honest, evil) = two(&site).await;
    let evil_mac = within(&evil, &["cat", "/sys/class/net/eth0/address"]);
    // Those that it has are learnt: by its neighbours, with IPv6 by the gateway.
    let gateway = site.namespace(&evil);
    for (from, address, stolen) in [(&honest, "10.0.0.66", "10.0.0.50"), (&gateway, "fd00::66", "fd00::50")] {
        assert!(reaches(&honest, address));
        assert_eq!(learnt(from, address).as_deref(), Some(evil_mac.trim()));
        let with_length = format!("{stolen}/{}", if stolen.contains(':') { 128 } else { 32 });
        within(&evil, &["ip", "addr", "add", &with_length, "dev", "eth0"]);
        assert!(is_cut_off(&honest, stolen));
        assert_eq!(learnt(from, stolen), None, "{stolen}");
    }
}

#[tokio::test]
async fn a_workload_can_not_pass_itself_off_as_the_gateway() {
    let site = Site::new();
    let (network, honest, evil) = two(&site).await;
    let gateway = within(&site.namespace(&evil), &["cat", "/sys/class/net/br0/address"]);
    let evil_mac = within(&evil, &["cat", "/sys/class/net/eth0/address"]);
    assert!(reaches(&honest, "10.0.0.66") && learnt(&honest, "10.0.0.66").as_deref() == Some(evil_mac.trim()));
    within(&evil, &["ip", "addr", "add", "10.0.0.1/24", "dev", "eth0"]);
    within(&evil, &["ip", "addr", "add", "fd00::1/64", "dev", "eth0", "nodad"]);
    for (address, other) in [("10.0.0.1", "10.0.0.10"), ("fd00::1", "fd00::10")] {
        // It says so unasked, too: whoever adds an address announces it, and asks in its name.
        let ping = ["netns", "exec", &evil, "ping", "-n", "-I", address, "-c", "2", "-i", "0.2", "-W", "0.3", other];
        assert!(!super::site::run("ip", &ping).status.success());
        for _ in 0..3 {
            within(&honest, &["ip", "neigh", "flush", "all"]);
            assert!(reaches(&honest, address));
            assert_eq!(learnt(&honest, address).as_deref(), Some(gateway.trim()), "{address}");
        }
    }
    assert_eq!(site.driver.check(&network).await.unwrap().len(), 2);
}
