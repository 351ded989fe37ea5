//! A month is closed once, whoever closes it and whatever dies meanwhile, and its facts give the same bytes in whatever order they came.

use bourse::domain::period::Month;
use bourse::store::fuse::Fuse;
use reqwest::Method;

use super::{rules, standing, used};
use crate::support::bare::{On, on_each};
use crate::support::hub::{Hub, World};
use crate::support::ledger::{HOUR, Ledger, Read};

/// The events of closed months: of which, and for which bytes.
async fn told(hub: &Hub) -> Vec<(String, String)> {
    hub.app.number_events().await.expect("could not number");
    let path = "/api/v1/events?limit=1000&type=io.bourse.statement.closed";
    let reply = hub.admin(Method::GET, path, None).await;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let items = reply.body["items"].as_array().expect("items");
    items.iter().map(|event| (text(&event["data"]["period"]), text(&event["data"]["digest"]))).collect()
}

async fn kept(hub: &Hub) -> Vec<(String, String)> {
    let reply = hub.admin(Method::GET, "/api/v1/statements/closed?tenant=retail", None).await;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let items = reply.body["items"].as_array().expect("items");
    items.iter().map(|one| (text(&one["period"]), text(&one["digest"]))).collect()
}

/// Meter, kind and aggregation, id, time, quantity.
type Usage = (&'static str, (&'static str, &'static str), String, bourse::clock::Time, String);

#[tokio::test(flavor = "multi_thread")]
async fn closed_months_follow_each_other_and_each_is_told_once() {
    on_each(async |on| {
        let (ledger, id) = standing(on).await;
        let month = ledger.month;
        used(&ledger, &id, "e1", 2, "3").await;
        ledger.go_to(ledger.day(month.next().next(), 5));
        ledger.close().await;
        ledger.close().await;
        let (told, kept) = (told(&ledger.hub).await, kept(&ledger.hub).await);
        assert_eq!(
            kept.iter().map(|(month, _)| month.clone()).collect::<Vec<_>>(),
            [month.to_string(), month.next().to_string()]
        );
        assert_eq!(told, kept);
        let (bytes, kind, tag) = ledger.statement_as("retail", month, "application/json").await;
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes.as_bytes());
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((kind.as_str(), tag), ("application/json", format!("\"{digest}\"")));
        assert_eq!(kept[0].1, digest);
        let body = serde_json::json!({"tenant": "retail", "period": month});
        let verified = ledger.hub.admin(Method::POST, "/api/v1/statements/verify", Some(body)).await;
        assert_eq!((verified.status, &verified.body["same"]), (200, &serde_json::json!(true)));
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_usage_twice_and_in_another_order_gives_the_same_bytes() {
    on_each(async |on| {
        let (ledger, id) = standing(on).await;
        let (month, next) = (ledger.month, ledger.month.next());
        let kinds = [("gb", ("delta", "sum")), ("calls", ("counter", "sum")), ("level", ("gauge", "time_weighted"))];
        let mut month_of_usage = Vec::new();
        for hour in 0..24_u32 {
            for (meter, kind) in kinds {
                let at = ledger.day(month, 3).plus(hour * HOUR);
                month_of_usage.push((meter, kind, format!("{meter}-{hour}"), at, format!("{}.25", hour * 3)));
            }
        }
        let record = async |usage: &[Usage]| {
            for (meter, kind, event, at, quantity) in usage {
                let recorded_at = at.plus(HOUR);
                let read = Read { instance: &id, meter, kind: *kind, id: event, at: *at, quantity, recorded_at };
                ledger.read(read).await;
            }
        };
        record(&month_of_usage).await;
        ledger.go_to(ledger.day(next, 5));
        ledger.close().await;
        let (bytes, ..) = ledger.statement_as("retail", month, "application/json").await;
        assert!(bytes.contains("\"gb\"") && bytes.contains("\"calls\"") && bytes.contains("\"level\""), "{bytes}");
        for _ in 0..2 {
            ledger.execute("delete from usage_events where $1 <> '' and at > $2", ("x", 0, 0)).await;
            for _ in 0..2 {
                fastrand::shuffle(&mut month_of_usage);
                record(&month_of_usage).await;
            }
            let again = ledger.hub.app.restate("retail", month).await.expect("not restated");
            assert_eq!(again.restated, bytes);
        }
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_close_each_month_once_and_alike() {
    let (ledger, id) = standing(On::Postgres).await;
    used(&ledger, &id, "e1", 2, "3").await;
    let other = ledger.world.hub().await;
    ledger.go_to(ledger.day(ledger.month.next().next(), 5));
    let (one, two) = tokio::join!(ledger.hub.app.close_due(), other.app.close_due());
    let closed = one.expect("not closed") + two.expect("not closed");
    // The lease may have gone from a process that was silent for long to the other in between: whoever has it goes on.
    ledger.close().await;
    while other.app.close_due().await.expect("not closed") > 0 {}
    let kept = kept(&ledger.hub).await;
    assert_eq!(kept.len(), 2);
    assert!(closed <= 2, "{closed}");
    assert_eq!(told(&other).await, kept);
    for month in [ledger.month, ledger.month.next()] {
        let restated = other.app.restate("retail", month).await.expect("not restated");
        assert_eq!(restated.digest, restated.restated_digest);
    }
    other.stop().await;
    ledger.hub.stop().await;
}

/// The world after a process died at a write of its close, or just behind it.
async fn dies(world: &World, month: Month, number: u64, after: bool) {
    let fuse = Fuse::new(after);
    let hub = world.hub_with_fuse(fuse.clone()).await;
    fuse.arm(number);
    // Whether this one heard of its success is not the question.
    drop(hub.app.close_due().await);
    hub.abandon().await;
    world.bury_the_dead().await;
    let hub = world.hub().await;
    while hub.app.close_due().await.expect("not closed") > 0 {}
    let kept = kept(&hub).await;
    assert_eq!(told(&hub).await, kept, "write {number}, after it: {after}");
    assert_eq!(kept.last().map(|(last, _)| last.clone()), Some(month.to_string()));
    for (month, digest) in kept {
        let restated = hub.app.restate("retail", month.parse().expect("a month")).await.expect("not restated");
        assert_eq!(restated.restated_digest, digest, "{month}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_while_it_closes_leaves_a_month_closed_or_open_and_nothing_between() {
    on_each(async |on| {
        let Ledger { world, hub, month } = Ledger::new(on).await;
        let ledger = Ledger { world, hub, month };
        ledger.book(rules()).await;
        let id = ledger.instance("retail", "one", ledger.day(month, 1)).await;
        used(&ledger, &id, "e1", 2, "3").await;
        let Ledger { world, hub, .. } = ledger;
        hub.stop().await;
        let mut next = month;
        for (number, after) in [(1, false), (1, true), (2, false), (2, true)] {
            let due = next.next().start(&bourse::domain::period::Zone::utc()).plus(100 * HOUR);
            world.clock.advance(due.since(world.clock.now()));
            dies(&world, next, number, after).await;
            next = next.next();
        }
    })
    .await;
}
