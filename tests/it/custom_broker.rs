//! The broker of `examples/custom_broker.rs`, registered and used with the very lines of `docs/brokers.md`.

use std::process::Command;

use reqwest::Method;
use serde_json::Value;

use crate::support::bare::On;
use crate::support::hub::{BOUND, World, try_request};
use crate::support::ports::free_port;
use crate::support::process::{Process, hub_binary};
use crate::support::wait::wait_until;

const PAGE: &str = include_str!("../../docs/brokers.md");

/// Runs a line in a shell of its own; gives what it printed.
async fn run(line: String, hub: String) -> Value {
    let shell = tokio::task::spawn_blocking(move || {
        let output = Command::new("sh").args(["-c", &line]).env("BOURSE", hub).env("ADMIN", "admin:pw").output();
        let output = output.expect("no shell");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}"))
    });
    shell.await.expect("a shell")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_is_registered_ordered_bound_unbound_and_deleted_with_the_lines_of_the_manual() {
    let path = hub_binary().with_file_name("examples").join("custom_broker");
    assert!(path.is_file(), "{} is missing: `cargo build --example custom_broker` makes it", path.display());
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(path);
    command.arg(&address);
    let mut broker = Process::start("custom-broker", command);
    let catalog = format!("http://{address}/v2/catalog");
    wait_until("the example answers", BOUND, async || {
        broker.assert_running();
        try_request(Method::GET, &catalog, Some(("admin", "secret")), None).await.is_some()
    })
    .await;

    // One database will do: it is the page and the example that are looked at.
    let world = World::new(On::Sqlite, |_| {}).await;
    let hub = world.hub().await;
    world.furnish(&hub).await;
    let lines =
        PAGE.lines().filter(|line| line.starts_with("curl ")).map(|line| line.replace("127.0.0.1:8081", &address));
    let mut said = Vec::new();
    for line in lines {
        said.push(run(line, hub.url.clone()).await);
    }
    let [catalog, broker_made, instance, binding] = said.as_slice() else { panic!("other lines: {said:?}") };
    assert_eq!(catalog["services"][0]["name"], "api-keys");
    assert_eq!((&broker_made["name"], &broker_made["status"]), (&"keys".into(), &"available".into()));
    assert_eq!(instance["state"], "ready", "{instance}");
    assert!(binding["credentials"]["api_key"].as_str().is_some_and(|key| !key.is_empty()), "{binding}");

    let instance = "/api/v1/tenants/retail/instances/my-keys";
    for path in [format!("{instance}/bindings/default"), instance.to_owned()] {
        assert_eq!(hub.admin(Method::DELETE, &path, None).await.status, 204, "{path}");
        assert_eq!(hub.admin(Method::GET, &path, None).await.status, 404, "{path}");
    }
    hub.stop().await;
}
