//! Four processes on one file and one pool: a thousand orders at once.

use std::sync::Arc;

use bourse_brokers::vnet_ipam::prefix::Prefix;
use futures_util::future::join_all;
use osb::client::Client;
use osb::{Call, Error, Provisioned, ServiceBroker};
use serde_json::{Value, json};

use crate::process::{start, stop};
use crate::support::{binding, cidr, get, order, removal};

const PROCESSES: usize = 4;
const ORDERS: usize = 1_000;
/// How often an order that finds the file too busy is sent again.
const TRIES: usize = 60;

fn wanted(at: usize) -> Value {
    let strategy = ["best_fit", "first_fit", "last_fit", "sparse"][at % 4];
    json!({"pool": "one", "prefix_length": 26 + at % 4, "strategy": strategy})
}

/// Sends an order until it isn't answered 503.
async fn patiently<T>(send: impl AsyncFn() -> Result<T, Error>) -> T {
    let mut tried = 0;
    loop {
        match send().await {
            Ok(done) => return done,
            Err(error) if error.status == 503 && tried < TRIES => tried += 1,
            Err(error) => panic!("after {tried} tries: {error}"),
        }
    }
}

async fn allocate(client: &Client, at: usize) -> Prefix {
    let order = order(&format!("n{at}"), "small", wanted(at));
    let made = patiently(async || client.provision(&Call::default(), order.clone()).await).await;
    let (Provisioned::Created(made) | Provisioned::Existed(made)) = made else { panic!("synchronous") };
    cidr(&made).parse().unwrap()
}

async fn release(client: &Client, at: usize) {
    let removal = removal(&format!("n{at}"), "small");
    patiently(async || match client.deprovision(&Call::default(), removal.clone()).await {
        Err(error) if error.status == 410 => Ok(()),
        other => other.map(drop),
    })
    .await;
}

#[tokio::test]
async fn processes_that_start_at_once_on_a_new_file_all_serve_from_it_and_with_one_key() {
    for round in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        let started = join_all((0..PROCESSES).map(|_| start(&["vnet-ipam"], directory.path()))).await;
        let clients: Vec<_> = started.iter().map(|(_, url)| Client::builder(url).build().unwrap()).collect();
        let order = order("a", "small", json!({"description": format!("round {round}")}));
        for client in &clients {
            // State and credentials are sealed: who had another key could not read them.
            patiently(async || client.provision(&Call::default(), order.clone()).await).await;
            let binding = binding("a", "b", "small", Value::Null);
            patiently(async || client.bind(&Call::default(), binding.clone()).await).await;
        }
        for (child, _) in started {
            assert_eq!(stop(child).await, Some(0));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_orders_at_once_over_four_processes_never_overlap_and_lose_no_block() {
    let directory = tempfile::tempdir().unwrap();
    let pools = directory.path().join("pools.json");
    std::fs::write(&pools, r#"[{"name": "one", "cidr": "172.16.0.0/16"}]"#).unwrap();
    let arguments = ["vnet-ipam", "--quarantine-seconds", "0", "--pools", pools.to_str().unwrap()];
    let started = join_all((0..PROCESSES).map(|_| start(&arguments, directory.path()))).await;
    let urls: Vec<String> = started.iter().map(|(_, url)| url.clone()).collect();
    let clients: Vec<_> = urls.iter().map(|url| Arc::new(Client::builder(url).build().unwrap())).collect();
    let orders = (0..ORDERS).map(|at| {
        let (here, there) = (Arc::clone(&clients[at % PROCESSES]), Arc::clone(&clients[(at / 3) % PROCESSES]));
        async move {
            let prefix = allocate(&here, at).await;
            // Every other one goes again while the rest is still coming, by whichever process.
            if at % 2 == 0 {
                return Some(prefix);
            }
            release(&there, at).await;
            None
        }
    });
    let held: Vec<Prefix> = join_all(orders).await.into_iter().flatten().collect();
    assert_eq!(held.len(), ORDERS / 2);
    let mut sorted = held.clone();
    sorted.sort_unstable();
    for pair in sorted.windows(2) {
        assert!(pair[0].last() < pair[1].first(), "{} and {} overlap", pair[0], pair[1]);
    }
    let size: u128 = held.iter().map(|prefix| prefix.size()).sum();
    let address = urls[0].strip_prefix("http://").unwrap().parse().unwrap();
    let pool: Value = serde_json::from_str(&get(address, "/pools/one", None).await.1).unwrap();
    assert_eq!(pool["routing_domains"][0]["addresses"]["in_use"], size.to_string());
    join_all((0..ORDERS).step_by(2).map(|at| release(&clients[(at / 2) % PROCESSES], at))).await;
    let whole = order("whole", "large", json!({"pool": "one", "prefix_length": 16}));
    let whole = patiently(async || clients[0].provision(&Call::default(), whole.clone()).await).await;
    let Provisioned::Created(whole) = whole else { panic!("it was not there") };
    assert_eq!(cidr(&whole), "172.16.0.0/16", "no block is lost");
    for (child, _) in started {
        assert_eq!(stop(child).await, Some(0));
    }
}
