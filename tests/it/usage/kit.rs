//! A broker of the kit reports what its meters read to a real hub; and the lines of docs/usage.md, as they stand there.

use std::process::Command;
use std::sync::Arc;

use bourse_brokers::vnet_ipam::{Config, VnetIpam};
use osb::kit::{Broker, Clock, Reporter, Setup};
use osb::server::{BasicAuth, Server};
use reqwest::Method;
use serde_json::{Value, json};

use super::desk::Desk;
use crate::support::bare::on_each;
use crate::support::hub::TIMEOUT_MS;

const PAGE: &str = include_str!("../../../docs/usage.md");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broker_of_the_kit_reads_arrives_once() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let folder = tempfile::tempdir().expect("no temporary directory");
        let config = Config::new(folder.path().join("vnet-ipam.db"));
        let (service, db, sealer) = VnetIpam::prepare(config).await.expect("a broker");
        let measure_every = std::time::Duration::from_secs(3600);
        let setup = Setup { name: "ipam".into(), db: db.clone(), sealer, clock: Clock::System, measure_every };
        let broker = Broker::new(service, setup).expect("a broker");
        let running = Server::new(BasicAuth::new(Arc::new(broker.clone()), "hub", "secret")).bind("127.0.0.1:0");
        let running = running.expect("could not listen");
        let body = json!({
            "name": "ipam", "url": running.url(), "timeout_ms": TIMEOUT_MS,
            "credentials": {"basic": {"username": "hub", "password": "secret"}},
        });
        let made = desk.hub.admin(Method::POST, "/api/v1/brokers", Some(body)).await;
        assert_eq!(made.status, 201, "{made:?}");
        let pair = desk.hub.admin(Method::POST, "/api/v1/brokers/ipam/credentials", None).await.body;
        let text = |field: &str| pair[field].as_str().expect("credentials").to_owned();
        let pair = (text("username"), text("password"));
        let id = desk.order("virtual-network", "net", "small").await;

        let reporter = Reporter::new(db, &desk.hub.url, (&pair.0, &pair.1), None).expect("a reporter");
        let taken = reporter.report().await.expect("a report");
        assert!(taken >= 2, "a first reading of each meter, not {taken}");
        assert_eq!(reporter.report().await.ok(), Some(0), "nothing is left");
        let listed = desk.get(&format!("/usage/events?instance={id}")).await;
        let items = listed["items"].as_array().expect("items");
        assert_eq!(items.len(), taken, "{listed}");
        let addresses = items.iter().find(|item| item["meter"] == "prefix_addresses").expect("a reading");
        assert_eq!((&addresses["source"], &addresses["counted"]), (&json!("/brokers/ipam"), &addresses["quantity"]));
        running.stop().await;
        broker.close().await;
        desk.stop().await;
    })
    .await;
}

/// The lines of the page's blocks behind a mark.
fn blocks() -> Vec<&'static str> {
    let blocks = PAGE.split("<!-- tested -->\n```sh\n").skip(1);
    blocks.map(|block| block.split("\n```").next().expect("a block")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lines_of_the_page_report_and_correct_usage() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        let mut answers = Vec::new();
        for block in blocks() {
            let (block, hub, instance) = (block.to_owned(), desk.hub.url.clone(), id.clone());
            let (username, password) = desk.pair.clone();
            let shell = tokio::task::spawn_blocking(move || {
                let mut command = Command::new("sh");
                command.args(["-ec", &block]).env("BOURSE", hub).env("INSTANCE", instance);
                command.env("PAIR", format!("{username}:{password}")).env("ADMIN", "admin:pw");
                let output = command.output().expect("no shell");
                assert!(output.status.success(), "{block}: {}", String::from_utf8_lossy(&output.stderr));
                output.stdout
            });
            answers.push(serde_json::from_slice::<Value>(&shell.await.expect("a shell")).expect("JSON"));
        }
        let [reported, corrected, seen] = answers.as_slice() else { panic!("other blocks: {answers:?}") };
        assert_eq!(reported["results"][0]["status"], "accepted", "{reported}");
        assert_eq!(corrected["results"][0]["status"], "accepted", "{corrected}");
        let counted: Vec<_> = seen["items"].as_array().expect("items").iter().map(|item| &item["counted"]).collect();
        assert_eq!(counted, [&json!("40"), &Value::Null]);
        desk.stop().await;
    })
    .await;
}
