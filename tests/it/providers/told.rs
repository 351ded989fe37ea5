//! The page for providers, run as it stands: by curl, and by the command line.

use std::process::Command;

use serde_json::{Value, json};

use super::Market;
use crate::support::bare::On;
use crate::support::command::finish;
use crate::support::process::hub_binary;

/// The blocks of the page that are marked as tested, one after the other.
fn documented(kind: &str) -> String {
    let page = include_str!("../../../docs/providers.md");
    let mark = format!("<!-- tested: {kind} -->\n```sh\n");
    let blocks: Vec<_> = page.split(mark.as_str()).skip(1).collect();
    assert!(!blocks.is_empty(), "no block of {kind}");
    blocks.iter().map(|block| block.split_once("```").expect("its end").0).collect()
}

async fn as_written(kind: &str) {
    let market = Market::open(On::Sqlite).await;
    let now = market.hub.app.clock().now().seconds();
    let token = |who: &str| market.forger.token(now, json!({"sub": who}));
    let folder = tempfile::tempdir().expect("no temporary directory");
    let binaries = hub_binary().parent().expect("a folder").to_path_buf();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-e", "-u", "-c", &documented(kind)]).current_dir(folder.path());
    shell.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", binaries.display()));
    shell.envs([("HUB", market.hub.url.as_str()), ("BOURSE_URL", &market.hub.url), ("BROKER_URL", &market.own.url)]);
    shell.env("BOURSE_BROKER_PASSWORD", "s3cret").env("HOME", folder.path());
    shell.envs([("PROVIDER_TOKEN", token("ann")), ("FINANCE_TOKEN", token("fin")), ("OPERATOR_TOKEN", token("oz"))]);
    let done = finish(shell).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!format!("{done:?}").contains("s3cret"), "{done:?}");
    let seen = market.get("ann", "/offerings/acme-db/checks").await.is(200).clone();
    assert_eq!(seen["lifecycle"], "published", "{seen} {done:?}");
    assert!(market.shows("acme-db").await);
    let seen: Value = market.get("ann", "/price-proposals").await.is(200)["items"].clone();
    assert_eq!(seen[0]["state"], "accepted");
    market.hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_leads_to_a_published_offering_on_the_command_line() {
    as_written("bourse").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_leads_to_a_published_offering_by_curl() {
    as_written("curl").await;
}
