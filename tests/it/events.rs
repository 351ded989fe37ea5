//! The feed: every committed event gets one number, nothing is skipped, and each instance's events keep their order,
//! however many write at once and whoever numbers.

mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bourse::app::Error;
use bourse::app::feed::FeedQuery;
use bourse::store::{self, events};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::bare::{Bare, On, Workers, event, on_each};
use crate::support::wait::wait_for;

const BOUND: Duration = Duration::from_secs(30);
const INSTANCES: i64 = 12;
const EACH: i64 = 20;

/// Reads on from a cursor as a consumer does, until it has seen that many.
async fn follow(hub: &Bare, count: usize) -> Vec<Value> {
    let mut seen = Vec::new();
    let mut after = None;
    wait_for("all events are in the feed", BOUND, async || {
        let query = FeedQuery { after: after.clone(), limit: 7, ..FeedQuery::default() };
        let page = hub.app.feed(query).await.expect("no page");
        after = Some(page.next);
        seen.extend(page.items);
        (seen.len() >= count).then_some(())
    })
    .await;
    seen
}

fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    event[name].as_str().unwrap_or_default()
}

fn assert_complete_and_in_order(seen: &[Value]) {
    let ids: BTreeSet<_> = seen.iter().map(|event| text(event, "id")).collect();
    assert_eq!(ids.len(), seen.len(), "an event was given out twice");
    assert_eq!(seen.len() as i64, INSTANCES * EACH);
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for event in seen {
        let number: i64 = text(event, "sequence").parse().expect("a decimal string");
        let before = last.insert(text(event, "instanceid"), number).unwrap_or(0);
        assert_eq!(number, before + 1, "{} is out of order", text(event, "subject"));
    }
}

async fn append_from_many_tasks(hubs: &[Arc<Bare>]) {
    let mut tasks = JoinSet::new();
    for instance in 0..INSTANCES {
        let hub = Arc::clone(&hubs[instance as usize % hubs.len()]);
        tasks.spawn(async move {
            for number in 1..=EACH {
                hub.append(&format!("i-{instance}"), number).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a writer failed");
    }
}

async fn check_nothing_is_skipped(on: On) {
    let one = Arc::new(Bare::on(on, |_| {}).await);
    let two = Arc::new(one.another().await);
    // Nobody beats, so each takes the lease from the other as often as it can: the worst case.
    let workers = Workers::new().sequence(&one).sequence(&two);
    let hubs = [Arc::clone(&one), two];
    let ((), seen) = tokio::join!(append_from_many_tasks(&hubs), follow(&one, (INSTANCES * EACH) as usize));
    workers.stop().await;
    assert_complete_and_in_order(&seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sequencers_skip_nothing_and_keep_each_instances_order_on_sqlite() {
    on_each(async |on| {
        check_nothing_is_skipped(on).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sequencers_skip_nothing_and_keep_each_instances_order_on_postgres() {
    check_nothing_is_skipped(On::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_transaction_commits_late_is_not_passed_over_on_postgres() {
    let hub = Bare::on(On::Postgres, |_| {}).await;
    let (inserted, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let late = {
        let (db, inserted, release) = (hub.db.clone(), Arc::clone(&inserted), Arc::clone(&release));
        let now = hub.clock.now();
        tokio::spawn(async move {
            db.write(move |tx| {
                let (inserted, release) = (Arc::clone(&inserted), Arc::clone(&release));
                Box::pin(async move {
                    events::append(tx, "bourse", &event("late", 1), now).await?;
                    inserted.notify_one();
                    release.notified().await;
                    Ok::<_, store::Error>(())
                })
            })
            .await
        })
    };
    inserted.notified().await;
    hub.append("early", 1).await;
    assert_eq!(hub.app.number_events().await.expect("could not number"), 1);
    let page = hub.app.feed(FeedQuery::default()).await.expect("no page");
    assert_eq!(page.items.iter().map(|event| text(event, "instanceid")).collect::<Vec<_>>(), ["early"]);

    release.notify_one();
    late.await.expect("it panicked").expect("could not commit");
    assert_eq!(hub.app.number_events().await.expect("could not number"), 1);
    let query = FeedQuery { after: Some(page.next), ..FeedQuery::default() };
    let page = hub.app.feed(query).await.expect("no page");
    assert_eq!(page.items.iter().map(|event| text(event, "instanceid")).collect::<Vec<_>>(), ["late"]);
}

#[tokio::test]
async fn a_living_process_keeps_the_lease_and_a_gone_one_loses_it() {
    on_each(async |on| {
        let one = Bare::on(on, |_| {}).await;
        let two = one.another().await;
        one.beat().await;
        one.append("i", 1).await;
        assert_eq!(one.app.number_events().await.expect("could not number"), 1);
        one.append("i", 2).await;
        assert_eq!(two.app.number_events().await.expect("could not number"), 0, "the lease was not respected");
        one.leave().await;
        assert_eq!(two.app.number_events().await.expect("could not number"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_replayed_transition_makes_no_second_event() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        hub.append("i", 1).await;
        hub.append("i", 1).await;
        assert_eq!(hub.app.number_events().await.expect("could not number"), 1);
        hub.append("i", 1).await;
        assert_eq!(hub.app.number_events().await.expect("could not number"), 0);
    })
    .await;
}

#[tokio::test]
async fn pages_follow_each_other_and_the_cursor_is_there_also_when_nothing_is_new_on_sqlite() {
    on_each(async |on| {
        check_pages(on).await;
    })
    .await;
}

#[tokio::test]
async fn pages_follow_each_other_and_the_cursor_is_there_also_when_nothing_is_new_on_postgres() {
    check_pages(On::Postgres).await;
}

async fn check_pages(on: On) {
    let hub = Bare::on(on, |_| {}).await;
    let empty = hub.app.feed(FeedQuery::default()).await.expect("no page");
    assert_eq!((empty.items.len(), empty.next.as_str()), (0, "0"));
    for number in 1..=5 {
        hub.append("a", number).await;
        hub.append("b", number).await;
    }
    hub.app.number_events().await.expect("could not number");

    let first = hub.app.feed(FeedQuery { after: Some(empty.next), limit: 4, ..FeedQuery::default() });
    let first = first.await.expect("no page");
    assert_eq!(first.items.len(), 4);
    let rest = hub.app.feed(FeedQuery { after: Some(first.next), ..FeedQuery::default() }).await.expect("no page");
    assert_eq!(rest.items.len(), 6);
    let end =
        hub.app.feed(FeedQuery { after: Some(rest.next.clone()), ..FeedQuery::default() }).await.expect("no page");
    assert_eq!((end.items.len(), end.next), (0, rest.next));

    let mine = FeedQuery { tenant_id: Some("tenant-of-b".into()), limit: 5, ..FeedQuery::default() };
    let mine = hub.app.feed(mine).await.expect("no page");
    assert!(mine.items.iter().all(|event| text(event, "instanceid") == "b"));
    assert_eq!(mine.items.len(), 5);
    let other = FeedQuery { kind: Some("io.bourse.tenant.changed".into()), ..FeedQuery::default() };
    let other = hub.app.feed(other).await.expect("no page");
    assert_eq!((other.items.len(), other.next.as_str()), (0, "10"), "a filter looks at everything only once");
    let both = FeedQuery {
        kind: Some("io.bourse.instance.updated".into()),
        tenant_id: Some("tenant-of-a".into()),
        ..FeedQuery::default()
    };
    assert_eq!(hub.app.feed(both).await.expect("no page").items.len(), 5);
}

#[tokio::test]
async fn a_cursor_of_another_feed_is_malformed() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        for after in ["", "x", "-1", "1.5", "1"] {
            let outcome = hub.app.feed(FeedQuery { after: Some(after.into()), ..FeedQuery::default() }).await;
            assert!(matches!(outcome, Err(Error::Malformed(_))), "{after:?}: {outcome:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_older_than_the_retention_is_gone_and_numbers_go_on_on_sqlite() {
    on_each(async |on| {
        check_retention(on).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_older_than_the_retention_is_gone_and_numbers_go_on_on_postgres() {
    check_retention(On::Postgres).await;
}

async fn check_retention(on: On) {
    let hub = Bare::on(on, |_| {}).await;
    for number in 1..=3 {
        hub.append("old", number).await;
    }
    hub.app.number_events().await.expect("could not number");
    let first = hub.app.feed(FeedQuery { limit: 1, ..FeedQuery::default() }).await.expect("no page");
    assert_eq!(hub.app.prune_events().await.expect("could not prune"), 0);

    hub.clock.advance(Duration::from_secs(401 * 86_400));
    assert_eq!(hub.app.prune_events().await.expect("could not prune"), 2, "the last one keeps the number");
    let outcome = hub.app.feed(FeedQuery { after: Some(first.next), ..FeedQuery::default() }).await;
    assert!(matches!(outcome, Err(Error::Gone(_))), "{outcome:?}");

    hub.append("new", 1).await;
    hub.app.number_events().await.expect("could not number");
    let query = FeedQuery { after: Some("3".into()), ..FeedQuery::default() };
    let page = hub.app.feed(query).await.expect("no page");
    assert_eq!((page.items.len(), page.next.as_str()), (1, "4"));
    let whole = hub.app.feed(FeedQuery::default()).await.expect("the beginning is always there");
    assert_eq!(whole.items.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_in_the_feed_soon_after_its_commit() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let workers = Workers::new().sequence(&hub);
        let mut after = "0".to_owned();
        for number in 1..=15 {
            hub.append("i", number).await;
            after = wait_for("the event is in the feed", BOUND, async || {
                let query = FeedQuery { after: Some(after.clone()), ..FeedQuery::default() };
                let page = hub.app.feed(query).await.expect("no page");
                (!page.items.is_empty()).then_some(page.next)
            })
            .await;
        }
        workers.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_write_that_panics_leaves_nothing_and_takes_nobody_elses_with_it() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let (db, now) = (hub.db.clone(), hub.clock.now());
        let panicked = tokio::spawn(async move {
            db.write(move |tx| {
                Box::pin(async move {
                    events::append(tx, "bourse", &event("lost", 1), now).await?;
                    if now.0 > 0 {
                        panic!("on purpose");
                    }
                    Ok::<_, store::Error>(())
                })
            })
            .await
        });
        assert!(!matches!(panicked.await, Ok(Ok(()))), "a panic is no success");
        hub.append("kept", 1).await;
        assert_eq!(hub.app.number_events().await.expect("could not number"), 1, "the one after it, and only that");
    })
    .await;
}
