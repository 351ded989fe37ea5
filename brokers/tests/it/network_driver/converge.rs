//! From whatever there is to what shall be.

use std::sync::Arc;

use async_trait::async_trait;
use bourse_brokers::vnet_ipam::driver::linux::{Command, Ended, Execute, ExecuteError, Linux, Programs, StartError};
use bourse_brokers::vnet_ipam::driver::{Driver, DriverError, NetworkSpec};

use super::site::{Site, network, range, reaches, run, within, workload};

const V4: &str = "10.0.0.0/24";
const V6: &str = "fd00::/64";

fn dual() -> NetworkSpec {
    let mut network = network("dual", &[V4, V6], &[("web", "10.0.0.0/26"), ("db", "10.0.0.64/26")]);
    network.workloads.push(workload("one", &[("10.0.0.10", "10.0.0.0/26"), ("fd00::10", V6)]));
    network.workloads.push(workload("two", &[("10.0.0.70", "10.0.0.64/26"), ("fd00::70", V6)]));
    network
}

#[tokio::test]
async fn applying_again_changes_nothing_and_looking_never_does() {
    let site = Site::new();
    let network = dual();
    assert_eq!(site.driver.check(&network).await.unwrap().len(), 1, "all is missing");
    assert_eq!((site.programs.changes(), site.namespaces().len()), (0, 0));
    site.driver.apply(&network).await.unwrap();
    let changes = site.programs.changes();
    assert!(changes > 20, "{changes}");
    site.driver.apply(&network).await.unwrap();
    for workload in &network.workloads {
        site.driver.attach(&network, workload).await.unwrap();
    }
    site.is_as(&network).await;
    assert_eq!(site.programs.changes(), changes);
    // Another process with the same names finds all as it shall be.
    let other = Linux::new(Arc::new(Programs), &site.prefix).unwrap();
    assert_eq!(other.check(&network).await.unwrap(), Vec::<String>::new());
}

/// Repeats a call that dies after each single change, until it comes to its end. Where it begins with what it had done before,
/// it lives for one change more. Returns how often it died.
async fn dying<F: Future<Output = Result<(), DriverError>>>(site: &Site, call: impl Fn() -> F) -> usize {
    let (mut deaths, mut patience) = (0, 1);
    loop {
        let before = site.programs.last();
        site.programs.dies_after(patience);
        let ended = call().await;
        site.programs.lives();
        match ended {
            Ok(()) => return deaths,
            Err(DriverError::Failed { .. }) => deaths += 1,
            Err(error) => panic!("{error}"),
        }
        patience = if site.programs.last() == before { patience + 1 } else { 1 };
        assert!(deaths < 100, "no end in sight");
    }
}

#[tokio::test]
async fn a_crash_after_any_single_command_is_mended_by_the_next_call() {
    let site = Site::new();
    let mut network = dual();
    let workloads = std::mem::take(&mut network.workloads);
    let driver = &site.driver;
    let mut deaths = dying(&site, || driver.apply(&network)).await;
    site.is_as(&network).await;
    for workload in workloads {
        deaths += dying(&site, || async { driver.attach(&network, &workload).await.map(drop) }).await;
        network.workloads.push(workload);
        site.is_as(&network).await;
    }
    network.prefixes[0] = range("10.0.0.0/23");
    network.prefixes.push(range("172.16.0.0/24"));
    deaths += dying(&site, || driver.apply(&network)).await;
    site.is_as(&network).await;
    deaths += dying(&site, || driver.detach("dual", "one")).await;
    network.workloads.remove(0);
    site.is_as(&network).await;
    deaths += dying(&site, || driver.remove("dual")).await;
    assert_eq!(site.namespaces(), [""; 0]);
    assert!(deaths > 40, "it died {deaths} times");
}

#[tokio::test]
async fn whatever_is_altered_by_hand_is_found_and_mended() {
    let site = Site::new();
    let network = dual();
    site.driver.apply(&network).await.unwrap();
    let all = site.namespaces();
    let [own, one, two] = &all[..] else { panic!("{all:?}") };
    let links = within(own, &["ip", "-brief", "link", "show", "type", "veth"]);
    let port = links.split('@').next().unwrap();
    let alterations: &[(&str, &[&str])] = &[
        (own, &["nft", "flush", "chain", "inet", "vnet", "forward"]),
        (own, &["nft", "delete", "table", "inet", "vnet"]),
        (own, &["nft", "insert", "rule", "netdev", port, "ingress", "accept"]),
        (own, &["nft", "delete", "table", "netdev", port]),
        (own, &["ip", "link", "set", "dev", "br0", "alias", "rules of mine"]),
        (own, &["ip", "link", "set", "dev", "br0", "down"]),
        (own, &["ip", "link", "set", "dev", port, "nomaster"]),
        (own, &["ip", "link", "set", "dev", port, "down"]),
        (own, &["ip", "link", "delete", "dev", port]),
        (own, &["ip", "link", "delete", "dev", "br0"]),
        (own, &["ip", "link", "set", "dev", "br0", "type", "bridge", "mcast_snooping", "1"]),
        (own, &["ip", "addr", "add", "10.7.7.7/24", "dev", "br0"]),
        (own, &["ip", "addr", "flush", "dev", "br0"]),
        (own, &["sysctl", "-q", "-w", "net.ipv4.conf.all.forwarding=0"]),
        (own, &["sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=0"]),
        (one, &["ip", "link", "delete", "dev", "eth0"]),
        (one, &["ip", "link", "set", "dev", "eth0", "down"]),
        (one, &["ip", "link", "set", "dev", "lo", "down"]),
        (one, &["ip", "addr", "flush", "dev", "eth0"]),
        (one, &["ip", "route", "delete", "default"]),
        (one, &["ip", "-6", "route", "delete", "default"]),
        (own, &["ip", "addr", "add", "fe80::1/64", "dev", port]),
        (two, &["ip", "addr", "add", "fe80::1/64", "dev", "eth0"]),
    ];
    let rules = || {
        let mut tables: Vec<_> = within(own, &["nft", "-s", "list", "ruleset"])
            .split("\ntable ")
            .map(|table| table.trim().to_owned())
            .collect();
        tables.sort_by_key(|table| table.trim_start_matches("table ").to_owned());
        tables.join("\n").replace("table ", "")
    };
    let right = rules();
    for (namespace, command) in alterations {
        within(namespace, command);
        let findings = site.driver.check(&network).await.unwrap();
        assert!(!findings.is_empty(), "{command:?} was not found");
        site.driver.apply(&network).await.unwrap();
        assert_eq!(site.driver.check(&network).await.unwrap(), Vec::<String>::new(), "{command:?} was not mended");
        assert_eq!(rules(), right, "after {command:?}");
    }
    assert!(reaches(one, "10.0.0.70") && reaches(two, "fd00::10"));
    assert_eq!(site.namespaces(), all);
}

#[tokio::test]
async fn namespaces_that_are_lost_or_only_names_are_made_again() {
    let site = Site::new();
    let network = dual();
    site.driver.apply(&network).await.unwrap();
    let all = site.namespaces();
    for namespace in &all {
        run("ip", &["netns", "delete", namespace]);
        assert!(!site.driver.check(&network).await.unwrap().is_empty());
        site.driver.apply(&network).await.unwrap();
        site.is_as(&network).await;
    }
    for namespace in &all {
        run("ip", &["netns", "delete", namespace]);
        // What a machine leaves that lost its power between the two steps of `ip netns add`.
        std::fs::write(format!("/run/netns/{namespace}"), "").unwrap();
        assert!(!site.driver.check(&network).await.unwrap().is_empty());
        site.driver.apply(&network).await.unwrap();
        site.is_as(&network).await;
    }
    assert!(reaches(&all[1], "fd00::70") || reaches(&all[1], "fd00::10"));
    for namespace in &all {
        run("ip", &["netns", "delete", namespace]);
        std::fs::write(format!("/run/netns/{namespace}"), "").unwrap();
    }
    site.driver.detach("dual", "one").await.unwrap();
    site.driver.remove("dual").await.unwrap();
    assert_eq!(site.namespaces(), [""; 0]);
}

#[tokio::test]
async fn what_belongs_to_no_binding_is_said_but_left() {
    let site = Site::new();
    let mut network = dual();
    site.driver.apply(&network).await.unwrap();
    network.workloads.pop();
    let findings = site.driver.check(&network).await.unwrap();
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings.iter().all(|finding| finding.ends_with("belongs to no binding")), "{findings:?}");
    site.driver.apply(&network).await.unwrap();
    assert_eq!(site.namespaces().len(), 3);
}

#[tokio::test]
async fn a_network_that_does_not_fit_together_is_not_made() {
    let site = Site::new();
    let mut foreign_gateway = dual();
    foreign_gateway.prefixes[0].gateway = "10.1.0.1".parse().unwrap();
    let mut foreign_subnet = dual();
    foreign_subnet.subnets[0].range = range("10.1.0.0/26");
    let none = NetworkSpec { prefixes: Vec::new(), ..dual() };
    for network in [foreign_gateway, foreign_subnet, none] {
        site.driver.apply(&network).await.unwrap_err();
        site.driver.attach(&network, &network.workloads[0]).await.unwrap_err();
    }
    assert_eq!(site.namespaces(), [""; 0]);
    let stranger = workload("stranger", &[("10.1.0.9", "10.1.0.0/24")]);
    site.driver.attach(&dual(), &stranger).await.unwrap_err();
    assert_eq!(site.namespaces().len(), 1, "only the network's own");
}

/// A machine that lacks a program, or whose kernel lacks a part.
struct Lacking {
    program: &'static str,
    argument: &'static str,
}

#[async_trait]
impl Execute for Lacking {
    async fn execute(&self, command: &Command) -> Result<Ended, ExecuteError> {
        if command.program == self.program {
            return Err(ExecuteError::Start(command.program, std::io::ErrorKind::NotFound.into()));
        }
        if command.arguments.iter().any(|argument| argument == self.argument) {
            let complaint = "Error: Unknown device type.".to_owned();
            return Ok(Ended { success: false, output: String::new(), complaint });
        }
        Programs.execute(command).await
    }
}

#[tokio::test]
async fn this_machine_can_make_networks_and_the_trial_leaves_nothing() {
    let site = Site::new();
    site.driver.check_machine().await.unwrap();
    assert_eq!(site.namespaces(), [""; 0]);
    assert!(site.programs.changes() > 10);
}

#[tokio::test]
async fn what_a_machine_lacks_is_said_at_start() {
    let site = Site::new();
    for (program, package) in [("ip", "iproute2"), ("nft", "nftables"), ("sysctl", "procps")] {
        let driver = Linux::new(Arc::new(Lacking { program, argument: "" }), &site.prefix).unwrap();
        let error = driver.check_machine().await.unwrap_err();
        assert_eq!(error.to_string(), format!("the program `{program}` can't be run: install {package}"));
    }
    for argument in ["bridge", "veth"] {
        let driver = Linux::new(Arc::new(Lacking { program: "", argument }), &site.prefix).unwrap();
        let StartError::Trial(detail) = driver.check_machine().await.unwrap_err() else { panic!("the trial failed") };
        assert!(detail.contains("Unknown device type"), "{detail}");
        assert_eq!(site.namespaces(), [""; 0]);
    }
    for prefix in ["", "-x", "UPPER", "a/b", "a b", &"x".repeat(33)] {
        assert!(matches!(Linux::new(Arc::new(Programs), prefix), Err(StartError::Prefix(_))), "{prefix}");
    }
}
