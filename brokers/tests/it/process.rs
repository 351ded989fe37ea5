//! The program itself: what it prints, how it ends, what it refuses, and what it keeps.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use osb::client::{Client, Credentials};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::{get, network};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bourse-brokers"));
    command.args(arguments).args(["--listen", "127.0.0.1:0"]).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts a broker and reads where it listens.
pub(crate) async fn start(arguments: &[&str], data: &Path) -> (Child, String) {
    let mut command = program(arguments);
    // Nobody reads what it logs, and a pipe that is full would stop it.
    let mut child = command.stderr(Stdio::null()).arg("--data").arg(data).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    let url = line.strip_prefix("listening on ").unwrap().to_owned();
    (child, url)
}

/// Sends SIGTERM and waits for the end.
pub(crate) async fn stop(mut child: Child) -> Option<i32> {
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    timeout(PATIENCE, child.wait()).await.unwrap().unwrap().code()
}

#[tokio::test]
async fn vnet_ipam_listens_keeps_its_networks_over_a_restart_and_ends_with_0() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["vnet-ipam", "--username", "u", "--password", "p"];
    for (id, expected) in [("a", "10.0.0.0/28"), ("b", "10.0.0.16/28")] {
        let (child, url) = start(&arguments, &directory.path().join("made")).await;
        let credentials = Credentials::Basic { username: "u".into(), password: "p".into() };
        let client = Client::builder(&url).credentials(credentials).build().unwrap();
        assert_eq!(network(&client, id, "small", Value::Null).await.unwrap(), expected);
        assert_eq!(stop(child).await, Some(0));
        let left: Vec<_> = std::fs::read_dir(directory.path().join("made")).unwrap().flatten().collect();
        let mut names: Vec<_> = left.iter().map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, ["vnet-ipam.db", "vnet-ipam.key"], "all of it is in the one file, but for the key to it");
    }
}

#[tokio::test]
async fn pools_of_a_file_can_be_used() {
    let directory = tempfile::tempdir().unwrap();
    let pools = directory.path().join("pools.json");
    std::fs::write(&pools, r#"[{"name": "dmz", "cidr": "172.16.0.0/24"}]"#).unwrap();
    let (child, url) = start(&["vnet-ipam", "--pools", pools.to_str().unwrap()], directory.path()).await;
    let client = Client::builder(&url).build().unwrap();
    let made = network(&client, "a", "small", serde_json::json!({"pool": "dmz"})).await.unwrap();
    assert_eq!(made, "172.16.0.0/28");
    assert_eq!(stop(child).await, Some(0));
}

#[tokio::test]
async fn faults_shows_its_state() {
    let directory = tempfile::tempdir().unwrap();
    let (child, url) = start(&["faults"], directory.path()).await;
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    let (status, body) = get(address, "/state", None).await;
    assert_eq!((status, body.contains("\"instances\":[]")), (200, true));
    assert_eq!(stop(child).await, Some(0));
}

async fn check_refused(arguments: &[&str], code: i32, sentence: &str) {
    let output = timeout(PATIENCE, program(arguments).output()).await.unwrap().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.contains(sentence)), (Some(code), true), "{said}");
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_a_sentence() {
    check_refused(&["vnet-ipam", "--pools", "no-such-file"], 1, "could not read the pools in `no-such-file`").await;
    check_refused(&["faults", "--username", "u"], 2, "--password").await;
    let published = ["devops-toolchain", "--public-url", "https://git.example.com"];
    check_refused(&published, 1, "`https://git.example.com` is how others reach it, so anybody could order").await;
    let aside = ["devops-toolchain", "--public-url", "http://127.0.0.1.example.com:80"];
    check_refused(&aside, 1, "give --username and --password").await;
    check_refused(&["faults", "--stamp", "required"], 2, "--stamp-issuer").await;
    check_refused(&["faults", "--stamp-issuer", "nonsense"], 1, "could not use the stamp issuer `nonsense`").await;
}

#[tokio::test]
async fn devops_toolchain_serves_repositories_beside_its_orders_and_ends_with_0() {
    let directory = tempfile::tempdir().unwrap();
    let (child, url) = start(&["devops-toolchain"], directory.path()).await;
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    assert_eq!(get(address, "/git/project.git/info/refs?service=git-upload-pack", None).await.0, 401);
    let (status, catalog) = get(address, "/v2/catalog", None).await;
    assert_eq!((status, catalog.contains("\"devops-toolchain\"")), (200, true));
    assert_eq!(stop(child).await, Some(0));
    check_refused(&["devops-toolchain", "--driver", "forgejo"], 2, "--forgejo-url").await;
    check_refused(&["devops-toolchain", "--buildbot-url", "http://127.0.0.1:1"], 2, "--buildbot-key-file").await;
}
