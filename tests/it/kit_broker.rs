//! The broker of `examples/kit_broker.rs`, judged, registered and ordered from with the very lines of `brokers/README.md`.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::hub::{BOUND, World, try_request};
use crate::support::ports::free_port;
use crate::support::process::{Process, hub_binary};
use crate::support::wait::wait_until;

const PAGE: &str = include_str!("../../brokers/README.md");
const EXAMPLE: &str = include_str!("../../examples/kit_broker.rs");

/// The lines of the page's blocks behind a mark.
fn lines() -> Vec<&'static str> {
    let blocks = PAGE.split("<!-- walkthrough -->\n```sh\n").skip(1);
    blocks.flat_map(|block| block.split("\n```").next().expect("a block").lines()).collect()
}

#[test]
fn what_the_page_quotes_is_in_the_example() {
    let quoted: Vec<_> =
        PAGE.split("```rust\n").skip(1).map(|rest| rest.split("```").next().expect("a block")).collect();
    assert!(quoted.len() >= 5, "{} blocks", quoted.len());
    for block in quoted {
        assert!(EXAMPLE.contains(block), "not in the example:\n{block}");
    }
}

/// Runs a line in a shell of its own; gives what it printed.
async fn run(line: String, hub: String) -> String {
    let shell = tokio::task::spawn_blocking(move || {
        let output = Command::new("sh").args(["-c", &line]).env("BOURSE", hub).env("ADMIN", "admin:pw").output();
        let output = output.expect("no shell");
        let said = String::from_utf8(output.stdout).expect("no text");
        assert!(output.status.success(), "{line}: {said} {}", String::from_utf8_lossy(&output.stderr));
        said
    });
    shell.await.expect("a shell")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_of_the_kit_is_judged_registered_ordered_and_rotated_with_the_lines_of_the_page() {
    let path = hub_binary().with_file_name("examples").join("kit_broker");
    assert!(path.is_file(), "{} is missing: `cargo build --example kit_broker` makes it", path.display());
    // One database will do: it is the page and the example that are looked at.
    let world = World::new(On::Sqlite, |_| {}).await;
    let hub = world.hub().await;
    world.furnish(&hub).await;
    let folder = tempfile::tempdir().expect("no temporary directory");
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(path);
    command.arg(&address).arg(folder.path()).arg(&hub.url);
    let mut broker = Process::start("kit-broker", command);
    let catalog = format!("http://{address}/v2/catalog");
    wait_until("the example answers", BOUND, async || {
        broker.assert_running();
        try_request(Method::GET, &catalog, Some(("admin", "secret")), None).await.is_some()
    })
    .await;

    let judge = hub_binary().display().to_string();
    let mut said = Vec::new();
    for line in lines() {
        let line = line.replace("127.0.0.1:8082", &address).replace("cargo run -q --bin bourse --", &judge);
        said.push(run(line, hub.url.clone()).await);
    }
    let [verdicts, registered, made, bound, shown] = said.as_slice() else { panic!("other lines: {said:?}") };
    assert!(verdicts.contains("0 failed, 0 warned"), "{verdicts}");
    let [registered, made, bound, shown] =
        [registered, made, bound, shown].map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
    assert_eq!(registered["status"], "available");
    assert_eq!((&made["state"], &shown["state"]), (&json!("ready"), &json!("ready")));
    let key = bound["credentials"]["api_key"].as_str().expect("a key");
    assert_eq!(key.len(), 64);

    let calls = std::fs::read(folder.path().join("api-access.db-wal")).expect("the broker's file");
    assert!(!calls.windows(64).any(|part| part == key.as_bytes()), "the key lies in the file");
    let tenant = br#""name":"retail""#;
    assert!(calls.windows(tenant.len()).any(|part| part == tenant), "the stamp's tenant was not kept");
    let instance = "/api/v1/tenants/retail/instances/checkout";
    for path in [format!("{instance}/bindings/default"), instance.to_owned()] {
        assert_eq!(hub.admin(Method::DELETE, &path, None).await.status, 204, "{path}");
    }
}
