//! Numbering and chaining: without gaps and in commit order, whoever writes at once, dies in the middle or does it, too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bourse::app::points::Step;
use bourse::domain::audit::verify::Verifier;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{chain_all, row, rows, write};
use crate::support::bare::{Bare, On, on_each};

/// Fails where the chain is not whole, or does not hold each of these rows once.
#[track_caller]
fn assert_whole(rows: &[Value], numbers: std::ops::Range<usize>) {
    let mut verifier = Verifier::new([]);
    rows.iter().for_each(|row| verifier.take(row));
    let report = verifier.finish();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let ours: Vec<_> = rows.iter().filter_map(|row| row["after"]["number"].as_u64()).collect();
    let once: BTreeSet<_> = ours.iter().copied().collect();
    assert_eq!((ours.len(), once.len()), (numbers.len(), numbers.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_many_writers_are_chained_once_each_while_two_processes_chain() {
    on_each(async |on| {
        let one = Bare::on(on, |_| {}).await;
        let url = one.serve().await;
        let two = one.another().await;
        one.beat().await;
        two.beat().await;
        let mut tasks = JoinSet::new();
        for writer in 0..8 {
            let db = one.db.clone();
            tasks.spawn(async move {
                for number in writer * 20..writer * 20 + 20 {
                    let done = db
                        .write(move |tx| Box::pin(async move { bourse::store::audit::append(tx, &row(number)).await }));
                    done.await.expect("could not append");
                }
            });
        }
        for app in [one.app.clone(), two.app.clone()] {
            tasks.spawn(async move {
                for _ in 0..100 {
                    app.chain_audit().await.expect("could not chain");
                    tokio::task::yield_now().await;
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("a task panicked");
        }
        chain_all(&one).await;
        chain_all(&two).await;
        assert_whole(&rows(&url).await, 0..160);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_commits_late_is_chained_behind_those_that_were_seen_and_never_passed_over() {
    let bare = Bare::on(On::Postgres, |_| {}).await;
    let url = bare.serve().await;
    chain_all(&bare).await;
    let before = rows(&url).await.len();
    let (begun, mut has_begun) = tokio::sync::mpsc::channel::<()>(1);
    let (go, may_go) = tokio::sync::watch::channel(false);
    let db = bare.db.clone();
    let late = tokio::spawn(async move {
        let done = db.write(move |tx| {
            let (begun, mut may_go) = (begun.clone(), may_go.clone());
            Box::pin(async move {
                bourse::store::audit::append(tx, &row(0)).await?;
                begun.send(()).await.expect("somebody waits");
                may_go.wait_for(|go| *go).await.expect("the sender lives");
                Ok::<_, bourse::store::Error>(())
            })
        });
        done.await.expect("could not append");
    });
    has_begun.recv().await.expect("it began");
    write(&bare, 1..3).await;
    chain_all(&bare).await;
    let numbers = |rows: &[Value]| -> Vec<u64> {
        rows[before..].iter().map(|row| row["after"]["number"].as_u64().expect("a number")).collect()
    };
    assert_eq!(numbers(&rows(&url).await), [1, 2]);
    go.send(true).expect("it waits");
    late.await.expect("it ended");
    chain_all(&bare).await;
    assert_eq!(numbers(&rows(&url).await), [1, 2, 0]);
    assert_whole(&rows(&url).await, 0..3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_in_the_middle_of_chaining_leaves_a_chain_that_another_goes_on_with() {
    on_each(async |on| {
        for step in [Step::AuditHashed, Step::AuditChained] {
            let bare = Bare::on(on, |_| {}).await;
            let url = bare.serve().await;
            let armed = Arc::new(AtomicBool::new(true));
            let fires = Arc::clone(&armed);
            let dies = bare.halting(Arc::new(move |at| at == step && fires.swap(false, Ordering::SeqCst))).await;
            write(&bare, 0..5).await;
            dies.beat().await;
            dies.app.chain_audit().await.expect_err("it dies");
            assert!(!armed.load(Ordering::SeqCst));
            dies.leave().await;
            write(&bare, 5..9).await;
            bare.beat().await;
            chain_all(&bare).await;
            assert_whole(&rows(&url).await, 0..9);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_hashed_before_another_process_chained_is_not_written() {
    on_each(async |on| {
        let bare = Bare::on(on, |_| {}).await;
        let url = bare.serve().await;
        write(&bare, 0..5).await;
        let rival = bare.another().await;
        let slow = bare
            .halting(Arc::new(move |at| {
                if at == Step::AuditHashed {
                    // In between: the other one chains, and writes and chains one more.
                    let rival = rival.app.clone();
                    let handle = tokio::runtime::Handle::current();
                    tokio::task::block_in_place(|| {
                        handle.block_on(async { rival.chain_audit().await.expect("it chains") })
                    });
                }
                false
            }))
            .await;
        assert_eq!(slow.app.chain_audit().await.expect("no failure"), 0, "its hashes are of no use any more");
        chain_all(&bare).await;
        assert_whole(&rows(&url).await, 0..5);
    })
    .await;
}
