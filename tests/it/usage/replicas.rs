//! Several processes, and processes that die: what was acknowledged stays, and counts once.

use std::collections::BTreeSet;

use bourse::store::fuse::Fuse;
use serde_json::{Value, json};

use super::desk::{Desk, correction, requests, results, verdict};
use crate::support::bare::{On, on_each};
use crate::support::hub::try_request;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_with_the_same_events_at_once_accept_each_once() {
    let desk = Desk::new(On::Postgres).await;
    let id = desk.order("metered", "shop", "basic").await;
    let second = desk.world.hub().await;
    let (then, later) = (desk.at(-60), desk.at(-30));
    for round in 0..5 {
        let name = |n: usize| format!("{round}-{n}");
        let batch: Vec<Value> = (0..200)
            .map(|n| match n % 10 {
                // Corrections among them, and keys that the other one uses otherwise.
                0 => correction(&id, (&name(n), &name(n + 1)), &later, Some("2")),
                _ => requests(&id, &name(n), &then, "1"),
            })
            .collect();
        let mut backwards = batch.clone();
        backwards.reverse();
        backwards[0]["data"]["quantity"] = json!("9");
        let (forth, back) = (json!(batch), json!(backwards));
        let (one, two) = tokio::join!(desk.post(&desk.hub, &forth), desk.post(&second, &back));
        let (one, two) = (results(&one), results(&two));
        let accepted = |results: &[Value]| -> BTreeSet<String> {
            let mine = results.iter().filter(|result| result["status"] == "accepted");
            mine.map(|result| result["id"].as_str().expect("an id").to_owned()).collect()
        };
        let (first, other) = (accepted(&one), accepted(&two));
        assert!(first.is_disjoint(&other), "accepted twice");
        assert_eq!(first.len() + other.len(), 200);
        let conflicts = one.iter().chain(&two).filter(|result| verdict(result) == "conflict").count();
        let duplicates = one.iter().chain(&two).filter(|result| verdict(result) == "duplicate").count();
        assert_eq!((conflicts, duplicates), (1, 199));
    }
    assert_eq!(desk.get("/usage/events?limit=1000").await["items"].as_array().map(Vec::len), Some(1000));
    assert_eq!(desk.get("/usage/conflicts").await["items"].as_array().map(Vec::len), Some(5));
    second.stop().await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_a_crash_and_what_was_not_can_be_sent_again() {
    on_each(async |on| {
        for after in [false, true] {
            let desk = Desk::new(on).await;
            let id = desk.order("metered", "shop", "basic").await;
            let time = desk.at(-60);
            let batch = |from: usize| -> Vec<Value> {
                (from..from + 20).map(|n| requests(&id, &n.to_string(), &time, "1")).collect()
            };
            assert!(desk.report(&batch(0)).await.iter().all(|result| result["status"] == "accepted"));
            let Desk { world, hub, recorder, pair } = desk;
            hub.stop().await;

            // It dies before or after the commit of a batch, and nobody is told.
            let fuse = Fuse::new(after);
            let hub = world.hub_with_fuse(fuse.clone()).await;
            let url = format!("{}/api/v1/usage", hub.url);
            fuse.arm(1);
            let body = Some(json!(batch(10)));
            let reply = try_request(reqwest::Method::POST, &url, Some((&pair.0, &pair.1)), body).await;
            assert!(reply.is_none_or(|reply| reply.status >= 500), "nothing is acknowledged");
            hub.abandon().await;

            world.bury_the_dead().await;
            let hub = world.hub().await;
            let desk = Desk { world, hub, recorder, pair };
            let again = desk.verdicts(&batch(10)).await;
            assert!(again[..10].iter().all(|verdict| verdict == "duplicate"), "{again:?}");
            assert!(again[10..].windows(2).all(|pair| pair[0] == pair[1]), "all of a batch or nothing: {again:?}");
            assert!(desk.verdicts(&batch(0)).await.iter().all(|verdict| verdict == "duplicate"));
            assert_eq!(desk.get("/usage/events?limit=1000").await["items"].as_array().map(Vec::len), Some(30));
            desk.stop().await;
        }
    })
    .await;
}
