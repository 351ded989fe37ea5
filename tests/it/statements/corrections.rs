//! What becomes known of a closed month is a line of the next statement, at the price and for the cost center of the time of use.

use std::time::Duration;

use bourse::domain::decimal::{Exact, read, rounded, zero};
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

/// A number that follows from another one and looks like none (SplitMix64).
fn drawn(seed: u64) -> u64 {
    let mixed = (seed.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 20
}

#[tokio::test(flavor = "multi_thread")]
async fn all_statements_together_say_of_each_month_what_its_facts_say() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        let priced = |meter: &str| json!({"model": "per_unit", "meter": meter, "amount": "0.5"});
        ledger.book(json!([priced("gb"), priced("calls"), priced("level")])).await;
        let id = ledger.instance("retail", "one", ledger.day(ledger.month, 1)).await;
        let months = [ledger.month, ledger.month.next(), ledger.month.next().next()];
        let meters = [
            ("gb", ("delta", "sum"), None),
            ("calls", ("counter", "sum"), Some("a")),
            ("calls", ("counter", "sum"), Some("b")),
            ("level", ("gauge", "time_weighted"), None),
        ];
        for number in 0..120_u64 {
            let (meter, kind, run) = meters[usize::try_from(number % 4).expect("a place")];
            let hour = u32::try_from(drawn(number) % (89 * 24)).expect("an hour");
            let at = ledger.day(ledger.month, 1).plus(HOUR * hour);
            // A counter grows, but for what a run may have missed; every third reading is late, by up to two months.
            let quantity = if kind.0 == "counter" { u64::from(hour) } else { drawn(number + 500) % 50 }.to_string();
            let late = if number % 3 == 0 { drawn(number + 900) % 1400 } else { 1 };
            let recorded_at = at.plus(HOUR * u32::try_from(late).expect("hours"));
            let event = format!("e{number}");
            ledger
                .read_of(Read { instance: &id, meter, kind, id: &event, at, quantity: &quantity, recorded_at }, run)
                .await;
        }
        let mut all = Vec::new();
        let mut month = ledger.month;
        for _ in 0..6 {
            ledger.go_to(ledger.day(month.next(), 5));
            ledger.close().await;
            all.push((month, ledger.statement("retail", month).await));
            month = month.next();
        }
        assert!(
            all.iter().filter(|(_, statement)| !corrections(statement).is_empty()).count() >= 3,
            "nothing was late"
        );
        for about in months {
            let mut stated = std::collections::BTreeMap::<String, Exact>::new();
            for (month, statement) in &all {
                for [corrects, _, meter, _, amount] in lines(statement) {
                    let of = if corrects.is_empty() { month.to_string() } else { corrects };
                    if of == about.to_string() {
                        *stated.entry(meter).or_insert_with(zero) += read(&amount).expect("an amount");
                    }
                }
            }
            let range = format!("from={}&to={}", ledger.day(about, 1), ledger.day(about.next(), 1));
            let costs = ledger.costs(&format!("{range}&group_by=tenant")).await;
            for line in costs["items"][0]["lines"].as_array().expect("lines") {
                let known = rounded(&read(line["amount"].as_str().expect("an amount")).expect("a number"), 2);
                let meter = line["meter"].as_str().expect("a meter");
                let said = stated.get(meter).map(|amount| rounded(amount, 2)).unwrap_or_else(|| "0.00".to_owned());
                assert_eq!(said, known, "{meter} in {about}");
            }
        }
        let closed: Vec<_> = all.iter().map(|(month, _)| *month).collect();
        is_the_same_again(&ledger, &closed).await;
        ledger.hub.stop().await;
    })
    .await;
}
