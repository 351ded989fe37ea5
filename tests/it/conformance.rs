//! `bourse conformance` as people and scripts use it: the built binary against reference brokers. What brokers are judged to be
//! directly and through the hub is in `verdicts`.

mod listed;
mod subject;
mod verdicts;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::command::{Done, Vnet, finish};
use crate::support::hub::World;
use crate::support::process::{Process, Signal, hub_binary};
use crate::support::wait::wait_until;

fn conformance(url: &str, username: &str, password: &str, more: &[&str]) -> Command {
    let mut command = Command::new(hub_binary());
    command.args(["conformance", "--url", url, "--username", username]).args(more);
    command.env("BOURSE_BROKER_PASSWORD", password);
    command
}

async fn judged(url: &str, pair: (&str, &str), more: &[&str]) -> (Done, Value) {
    let done = finish(conformance(url, pair.0, pair.1, &[more, &["--json"]].concat())).await;
    let report = serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("no report: {done:?}"));
    (done, report)
}

/// What is broken, each with the first finding.
fn broken(report: &Value) -> Vec<String> {
    let rows = report["rows"].as_array().expect("rows");
    let is = |row: &&Value| matches!(row["verdict"].as_str(), Some("failed" | "warned"));
    rows.iter().filter(is).map(|row| format!("{} {}", row["id"], row["findings"][0])).collect()
}

#[tokio::test]
async fn a_reference_broker_conforms_and_says_so_as_table_json_and_junit() {
    let vnet = Vnet::start("s3cret").await;
    let folder = tempfile::tempdir().expect("no temporary directory");
    let junit = folder.path().join("report.xml");
    let path = junit.to_str().expect("a path");
    let (done, report) = judged(&vnet.url, ("hub", "s3cret"), &["--strict", "--junit", path]).await;
    assert_eq!((done.code, broken(&report)), (0, Vec::<String>::new()), "{}", done.err);
    assert!(report["summary"]["passed"].as_u64() >= Some(100), "{}", report["summary"]);
    assert_eq!(report["subject"]["plan"], "small");
    assert_eq!(report["left_behind"], json!([]));
    assert!(!done.out.contains("s3cret"), "the password is in the report");
    let xml = std::fs::read_to_string(&junit).expect("no JUnit file");
    assert!(xml.contains("<testcase classname=\"osb.PRV\" name=\"PRV-07 ") && xml.contains("failures=\"0\""), "{xml}");

    let table = finish(conformance(&vnet.url, "hub", "s3cret", &["--plan", "medium"])).await;
    assert_eq!(table.code, 0, "{table:?}");
    assert!(table.out.contains("0 failed, 0 warned") && table.out.contains("judged with plan medium"), "{}", table.out);
    assert!(!table.out.contains("OM-01"), "the requirements of platforms are not listed");
    let all = finish(conformance(&vnet.url, "hub", "s3cret", &["--all"])).await;
    assert!(all.out.contains("OM-01"), "{}", all.out);
}

#[tokio::test]
async fn what_is_broken_is_named_first_and_ends_with_1() {
    // One database: the hub's is not used, only the broker beside it.
    let world = World::new(On::Sqlite, |_| {}).await;
    let url = world.broker_url().to_owned();
    let done = finish(conformance(&url, "hub", "secret", &["--plan", "garbage"])).await;
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.out.starts_with("failed ") && done.out.contains("failed PRV-07 (MUST)"), "{}", done.out);
    for part in
        ["sent:", "expected:", "came:", "https://github.com/openservicebrokerapi/servicebroker/blob/v2.17/spec.md#"]
    {
        assert!(done.out.contains(part), "{part} is not in {}", done.out);
    }
    assert!(done.err.starts_with("bourse: the service broker does not conform: "), "{}", done.err);
}

#[tokio::test]
async fn what_can_not_be_judged_ends_with_2() {
    let check = async |url: &str, password: &str, more: &[&str], sentence: &str| {
        let done = finish(conformance(url, "hub", password, more)).await;
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.err.contains(sentence), "{sentence:?} is not in {}", done.err);
    };
    // One database: the hub's is not used, only the broker beside it.
    let world = World::new(On::Sqlite, |_| {}).await;
    let url = world.broker_url().to_owned();
    check(&url, "secret", &["--plan", "rejects"], "refused a plain order").await;
    check(&url, "secret", &["--plan", "none"], "the catalog has no such offering or plan").await;
    check(&url, "secret", &["--params", "no-such-file"], "could not read no-such-file").await;
    check("http://127.0.0.1:1", "secret", &[], "no service broker answers there").await;
    check("ftp://127.0.0.1", "secret", &[], "the URL must begin with http").await;
}

#[tokio::test]
async fn parameters_and_a_context_are_taken_from_files() {
    let vnet = Vnet::start("s3cret").await;
    let folder = tempfile::tempdir().expect("no temporary directory");
    let file = |name: &str, text: &str| {
        let path: &Path = &folder.path().join(name);
        std::fs::write(path, text).expect("not written");
        path.to_str().expect("a path").to_owned()
    };
    let params = file("params.json", r#"{"create":{"prefix_length":27},"update":{"subnets":[]},"bind":{}}"#);
    let context =
        file("context.json", r#"{"platform":"kubernetes","namespace":"n","clusterid":"c","instance_name":"i"}"#);
    let more = ["--params", &params, "--context", &context, "--organization-guid", "o", "--space-guid", "s"];
    let (done, report) = judged(&vnet.url, ("hub", "s3cret"), &more).await;
    assert_eq!((done.code, broken(&report)), (0, Vec::<String>::new()), "{}", done.err);
    let wrong = file("wrong.json", "[1]");
    let done = finish(conformance(&vnet.url, "hub", "s3cret", &["--context", &wrong])).await;
    assert_eq!((done.code, done.out.as_str()), (2, ""));
    assert!(done.err.contains("holds no JSON object"), "{}", done.err);
}

#[tokio::test]
async fn who_stops_it_leaves_nothing_behind() {
    // One database: the hub's is not used, only the broker beside it.
    let world = World::new(On::Sqlite, |_| {}).await;
    let url = world.broker_url().to_owned();
    let command = conformance(&url, "hub", "secret", &["--plan", "async-slow", "--json"]);
    let mut process = Process::start("conformance", command);
    wait_until("an instance to be there", crate::support::hub::BOUND, async || !world.faults.instances().is_empty())
        .await;
    process.signal(Signal::Interrupt);
    let status = process.exit_status().await;
    assert_eq!(status.code(), Some(2), "{}", process.stderr());
    assert!(
        world.faults.instances().is_empty() && world.faults.bindings().is_empty(),
        "{:?}",
        world.faults.instances()
    );
    let report: Value = serde_json::from_str(&process.stdout()).expect("a report all the same");
    assert_eq!((&report["interrupted"], &report["left_behind"]), (&json!(true), &json!([])));
}
