//! What the tests of the driver share: names of their own, programs that stop at a given step, networks, and `ping`.

use std::net::IpAddr;
use std::process::{Command as Process, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bourse_brokers::vnet_ipam::driver::linux::{Command, Ended, Execute, ExecuteError, Linux, Programs};
use bourse_brokers::vnet_ipam::driver::{Assigned, Driver, NetworkSpec, Range, Subnet, Workload};
use bourse_brokers::vnet_ipam::prefix::Prefix;
use osb::Object;
use uuid::Uuid;

/// The real programs, of which only so many may change something: the one that is the last is run, and its answer lost.
#[derive(Debug)]
pub(crate) struct Mortal {
    left: AtomicUsize,
    changes: AtomicUsize,
    last: Mutex<Option<Command>>,
}

impl Mortal {
    /// The command after which it died last.
    pub(crate) fn last(&self) -> Option<Command> {
        self.last.lock().unwrap().clone()
    }

    /// From now on this many commands may change something.
    pub(crate) fn dies_after(&self, changes: usize) {
        self.left.store(changes, Ordering::SeqCst);
    }

    pub(crate) fn lives(&self) {
        self.dies_after(usize::MAX);
    }

    /// How many commands have changed something so far.
    pub(crate) fn changes(&self) -> usize {
        self.changes.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Execute for Mortal {
    async fn execute(&self, command: &Command) -> Result<Ended, ExecuteError> {
        let ended = Programs.execute(command).await?;
        if command.changes {
            self.changes.fetch_add(1, Ordering::SeqCst);
            if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.left.store(1, Ordering::SeqCst);
                *self.last.lock().unwrap() = Some(command.clone());
                return Err(ExecuteError::Timeout(command.program));
            }
        }
        Ok(ended)
    }
}

/// Names of a test's own, and the driver that uses them. What is left at the end is removed.
pub(crate) struct Site {
    pub(crate) prefix: String,
    pub(crate) driver: Linux,
    pub(crate) programs: Arc<Mortal>,
}

impl Site {
    pub(crate) fn new() -> Self {
        let random = Uuid::new_v4().simple().to_string();
        let prefix = format!("it-{}-", &random[..8]);
        let programs = Arc::new(Mortal {
            left: AtomicUsize::new(usize::MAX),
            changes: AtomicUsize::new(0),
            last: Mutex::new(None),
        });
        let driver = Linux::new(Arc::clone(&programs) as Arc<dyn Execute>, &prefix).unwrap();
        Self { prefix, driver, programs }
    }

    /// The namespaces of this test.
    pub(crate) fn namespaces(&self) -> Vec<String> {
        namespaces(&self.prefix)
    }

    /// The namespace of a network that has a workload.
    pub(crate) fn namespace(&self, workload: &str) -> String {
        workload.rsplit_once('-').unwrap().0.to_owned()
    }

    /// Attaches, and says which namespace the workload has.
    pub(crate) async fn attach(&self, network: &mut NetworkSpec, workload: Workload) -> String {
        let credentials: Object = self.driver.attach(network, &workload).await.unwrap();
        network.workloads.push(workload);
        assert_eq!(credentials["interface"], "eth0");
        credentials["namespace"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn is_as(&self, network: &NetworkSpec) -> impl Future<Output = ()> {
        let (driver, network) = (self.driver.clone(), network.clone());
        async move { assert_eq!(driver.check(&network).await.unwrap(), Vec::<String>::new()) }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for namespace in namespaces(&self.prefix) {
            run("ip", &["netns", "delete", &namespace]);
        }
    }
}

fn namespaces(prefix: &str) -> Vec<String> {
    let listed = run("ip", &["netns", "list"]);
    let names = std::str::from_utf8(&listed.stdout).unwrap().lines().filter_map(|line| line.split(' ').next());
    let mut names: Vec<_> = names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect();
    names.sort();
    names
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    Process::new(program).args(arguments).output().unwrap()
}

/// Runs a program that must succeed, in a namespace. Returns what it says.
#[track_caller]
pub(crate) fn within(namespace: &str, arguments: &[&str]) -> String {
    let ended = run("ip", &[&["netns", "exec", namespace], arguments].concat());
    assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

/// Whether one answer comes within five seconds.
pub(crate) fn reaches(namespace: &str, address: &str) -> bool {
    run("ip", &["netns", "exec", namespace, "ping", "-n", "-c", "1", "-w", "5", address]).status.success()
}

/// Whether two questions are left without an answer. What is cut off must have been [`reaches`] before, or be so by way of
/// another, for this to mean anything.
pub(crate) fn is_cut_off(namespace: &str, address: &str) -> bool {
    let ping = ["netns", "exec", namespace, "ping", "-n", "-c", "2", "-i", "0.2", "-W", "0.4", address];
    !run("ip", &ping).status.success()
}

pub(crate) fn range(text: &str) -> Range {
    Range::new(text.parse::<Prefix>().unwrap())
}

pub(crate) fn network(resource: &str, prefixes: &[&str], subnets: &[(&str, &str)]) -> NetworkSpec {
    NetworkSpec {
        resource: resource.to_owned(),
        prefixes: prefixes.iter().map(|prefix| range(prefix)).collect(),
        subnets: subnets
            .iter()
            .map(|(name, prefix)| Subnet { name: (*name).to_owned(), range: range(prefix) })
            .collect(),
        routing_domain: Some("default".to_owned()),
        tenant: None,
        workloads: Vec::new(),
    }
}

/// A workload with addresses, each in the range given with it.
pub(crate) fn workload(binding: &str, addresses: &[(&str, &str)]) -> Workload {
    let assigned = |(address, within): &(&str, &str)| {
        let range = range(within);
        let address: IpAddr = address.parse().unwrap();
        Assigned { address, prefix_length: range.prefix.length(), gateway: range.gateway }
    };
    Workload {
        binding_resource: binding.to_owned(),
        addresses: addresses.iter().map(assigned).collect(),
        hostname: Some(format!("{binding}.example")),
    }
}
