//! What becomes known of a closed month is a line of the next statement, at the price and for the cost center of the time of use.

use std::time::Duration;

use serde_json::json;

use super::{rules, standing, used};
use crate::support::bare::on_each;
use crate::support::ledger::{HOUR, Ledger, Read, lines};

/// The corrections of a statement: month, cost center, meter, quantity, amount.
fn corrections(statement: &serde_json::Value) -> Vec<[String; 5]> {
    lines(statement).into_iter().filter(|line| !line[0].is_empty()).collect()
}

/// Both months give the same bytes again.
async fn is_the_same_again(ledger: &Ledger, months: &[bourse::domain::period::Month]) {
    for month in months {
        let restated = ledger.hub.app.restate("retail", *month).await.expect("not restated");
        let (kept, ..) = ledger.statement_as("retail", *month, "application/json").await;
        assert_eq!(restated.restated, kept, "{month}");
        assert_eq!(restated.digest, restated.restated_digest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_comes_after_the_close_is_a_correction_in_the_next_statement() {
    on_each(async |on| {
        let (ledger, id) = standing(on).await;
        let (month, next) = (ledger.month, ledger.month.next());
        used(&ledger, &id, "e1", 2, "3").await;
        ledger.go_to(ledger.day(next, 5));
        ledger.close().await;
        let (before, ..) = ledger.statement_as("retail", month, "application/json").await;
        ledger.tenant("retail", json!({"cost_center": "0815", "labels": {"tier": "gold"}})).await;
        let at = ledger.day(month, 20);
        let (kind, recorded_at) = (("delta", "sum"), ledger.world.clock.now().plus(HOUR));
        let late = Read { instance: &id, meter: "gb", kind, id: "late", at, quantity: "5", recorded_at };
        ledger.read(late).await;
        ledger.go_to(ledger.day(next.next(), 5));
        ledger.close().await;
        let (after, ..) = ledger.statement_as("retail", month, "application/json").await;
        assert_eq!(before, after, "a closed month never changes");
        let statement = ledger.statement("retail", next).await;
        let expected = [month.to_string().as_str(), "4711", "gb", "5", "2.50"].map(str::to_owned);
        assert_eq!(corrections(&statement), [expected]);
        is_the_same_again(&ledger, &[month, next]).await;
        // Told once.
        ledger.go_to(ledger.day(next.next().next(), 5));
        ledger.close().await;
        assert!(corrections(&ledger.statement("retail", next.next()).await).is_empty());
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_becomes_known_late_takes_back_what_was_charged_too_much() {
    on_each(async |on| {
        let (ledger, id) = standing(on).await;
        let (month, next) = (ledger.month, ledger.month.next());
        ledger.go_to(ledger.day(next, 5));
        ledger.close().await;
        // It had been deleted on the 21st, as is known only now.
        ledger.ends(&id, ledger.day(month, 21), ledger.world.clock.now().plus(Duration::from_secs(1))).await;
        ledger.go_to(ledger.day(next.next(), 5));
        ledger.close().await;
        let statement = ledger.statement("retail", next).await;
        let days = ledger.day(next, 1).since(ledger.day(month, 21)).as_secs() / 86_400;
        let (seconds, amount) = (format!("-{}", days * 86_400), format!("-{days}.00"));
        let expected = [month.to_string(), "4711".to_owned(), "instance".to_owned(), seconds, amount.clone()];
        assert_eq!(corrections(&statement), [expected]);
        assert_eq!((lines(&statement).len(), &statement["total"]), (1, &json!(amount)));
        is_the_same_again(&ledger, &[month, next]).await;
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_that_counts_from_earlier_on_takes_back_the_old_lines_and_adds_new_ones() {
    on_each(async |on| {
        let (ledger, id) = standing(on).await;
        let (month, next) = (ledger.month, ledger.month.next());
        used(&ledger, &id, "e1", 2, "4").await;
        ledger.go_to(ledger.day(next, 5));
        ledger.close().await;
        let mut dearer = rules();
        dearer[1]["amount"] = json!("0.75");
        let book = ledger.book_from(ledger.day(month, 1), dearer).await;
        ledger.go_to(ledger.day(next.next(), 5));
        ledger.close().await;
        let statement = ledger.statement("retail", next).await;
        let of_gb: Vec<_> = corrections(&statement).into_iter().filter(|line| line[2] == "gb").collect();
        let mut amounts: Vec<_> = of_gb.iter().map(|line| (line[3].as_str(), line[4].as_str())).collect();
        amounts.sort_unstable();
        assert_eq!(amounts, [("-4", "-2.00"), ("4", "3.00")]);
        let all = statement["lines"].as_array().expect("lines");
        assert!(all.iter().any(|line| line["price"]["book"] == book.as_str() && line["amount"] == "3.00"));
        is_the_same_again(&ledger, &[month, next]).await;
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_is_priced_afterwards_is_charged_afterwards() {
    on_each(async |on| {
        let (ledger, id) = standing(on).await;
        let (month, next) = (ledger.month, ledger.month.next());
        let at = ledger.day(month, 2);
        let (kind, recorded_at) = (("delta", "sum"), at.plus(HOUR));
        let read = Read { instance: &id, meter: "calls", kind, id: "c1", at, quantity: "7", recorded_at };
        ledger.read(read).await;
        ledger.go_to(ledger.day(next, 5));
        ledger.close().await;
        let mut more = rules();
        let calls = json!({"model": "per_unit", "meter": "calls", "amount": "2"});
        more.as_array_mut().expect("rules").push(calls);
        ledger.book_from(ledger.day(month, 1), more).await;
        ledger.go_to(ledger.day(next.next(), 5));
        ledger.close().await;
        let statement = ledger.statement("retail", next).await;
        let calls: Vec<_> = corrections(&statement).into_iter().filter(|line| line[2] == "calls").collect();
        assert_eq!(calls.len(), 1, "{statement}");
        assert_eq!((calls[0][3].as_str(), calls[0][4].as_str()), ("7", "14.00"));
        assert_eq!(statement["unpriced"][0]["quantity"], "-7", "it is taken back where it was told");
        is_the_same_again(&ledger, &[month, next]).await;
        ledger.hub.stop().await;
    })
    .await;
}
