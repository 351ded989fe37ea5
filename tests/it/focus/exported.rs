//! What a hub exports: the statements' amounts, for every tenant, of open and closed months, by the rules of both versions.

use bourse::clock::Time;
use bourse::domain::decimal::{Exact, read};
use reqwest::Method;
use serde_json::{Value, json};

use super::checker::{invoices, number, violations};
use super::csv::{self, File};
use super::table::{is, value};
use super::validator;
use crate::support::bare::{On, on_each};
use crate::support::hub::CLIENT;
use crate::support::ledger::{HOUR, Ledger, Read};

/// An export as it is answered: the text, and the two headers that say what it is.
async fn export(ledger: &Ledger, query: &str) -> (String, String, String) {
    let url = format!("{}/api/v1/exports/focus?{query}", ledger.hub.url);
    let answer = CLIENT.get(url).basic_auth("admin", Some("pw")).send().await.expect("no answer");
    assert_eq!(answer.status().as_u16(), 200);
    let header =
        |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (kind, name) = (header("content-type"), header("content-disposition"));
    (answer.text().await.expect("no body"), kind, name)
}

/// An export of 1.2, which breaks no rule.
async fn exported(ledger: &Ledger, query: &str) -> File {
    let (text, ..) = export(ledger, &format!("{query}&version=1.2")).await;
    let file = csv::read(&text).expect("no CSV");
    assert_eq!(violations(&file), Vec::<String>::new());
    file
}

fn billed(file: &File) -> Exact {
    file.rows.iter().map(|row| value(row, "BilledCost").and_then(number).expect("an amount")).sum()
}

async fn read_on(ledger: &Ledger, instance: &str, meter: &str, (id, at, quantity): (&str, Time, &str)) {
    let kind = if meter == "store" { ("gauge", "time_weighted") } else { ("delta", "sum") };
    let recorded_at = ledger.world.clock.now();
    ledger.read(Read { instance, meter, kind, id, at, quantity, recorded_at }).await;
}

/// Two tenants with all kinds of charges; the first day of the month after [`Ledger::month`] has come.
async fn used(on: On) -> (Ledger, [String; 2]) {
    let ledger = Ledger::new(on).await;
    ledger
        .book(json!([
            {"model": "flat", "amount": "0.999", "per": "day"},
            {"model": "one_time", "amount": "20"},
            {"model": "per_unit", "meter": "gb", "amount": "0.333"},
            {"model": "per_unit", "meter": "store", "amount": "3", "per": "month"},
            {"model": "package", "meter": "calls", "amount": "2", "package_size": "10"},
        ]))
        .await;
    let said =
        json!({"display_name": "Smith, Jones & \"Sons\" 東京", "labels": {"a,b": "\"c\""}, "cost_center": "0815"});
    ledger.tenant("smith", said).await;
    ledger.tenant("retail", json!({"time_zone": "Asia/Kolkata"})).await;
    let month = ledger.month;
    let one = ledger.instance("smith", "one", ledger.day(month, 2)).await;
    let two = ledger.instance("retail", "two", ledger.day(month, 9).plus(HOUR / 3)).await;
    ledger.go_to(ledger.day(month, 20));
    for (number, instance) in [&one, &two].into_iter().enumerate() {
        for (meter, quantity) in [("gb", "7.7"), ("store", "100.1"), ("calls", "11"), ("mystery", "4")] {
            let id = format!("{meter}-{number}");
            read_on(&ledger, instance, meter, (&id, ledger.day(month, 10), quantity)).await;
        }
    }
    ledger.go_to(ledger.day(month.next(), 1).plus(HOUR));
    (ledger, [one, two])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_a_month_add_up_to_its_statements_while_it_is_open_and_when_it_is_closed() {
    on_each(async |on| {
        let (ledger, [one, _]) = used(on).await;
        let month = ledger.month;
        let total = async |tenant: &str, month| {
            let statement = ledger.statement(tenant, month).await;
            (
                statement["tenant"]["id"].as_str().unwrap().to_owned(),
                read(statement["total"].as_str().unwrap()).unwrap(),
            )
        };
        let query = format!("period={month}");
        let open = exported(&ledger, &query).await;
        assert_eq!(billed(&open), total("smith", month).await.1 + total("retail", month).await.1);
        assert!(invoices(&open).is_empty(), "nothing has been invoiced");
        assert!(open.rows.iter().any(|row| is(row, "x_Unpriced", "true") && is(row, "SkuMeter", "mystery")));
        for frequency in ["One-Time", "Recurring", "Usage-Based"] {
            assert!(open.rows.iter().any(|row| is(row, "ChargeFrequency", frequency)), "{frequency}");
        }
        let store = open.rows.iter().find(|row| is(row, "SkuMeter", "store")).expect("a row");
        assert_eq!((value(store, "ConsumedUnit"), value(store, "PricingUnit")), (Some("GB-Hours"), Some("GB-Months")));

        ledger.go_to(ledger.day(month.next(), 6));
        ledger.close().await;
        let (closed, kind, name) = export(&ledger, &query).await;
        assert_eq!(kind, "text/csv; charset=utf-8; header=present");
        assert_eq!(name, format!("attachment; filename=\"focus-1.2-{month}.csv\""));
        let file = exported(&ledger, &query).await;
        let stated: std::collections::BTreeMap<String, Exact> =
            [total("smith", month).await, total("retail", month).await]
                .map(|(id, sum)| (format!("{id}/{month}"), sum))
                .into();
        assert_eq!(invoices(&file), stated);

        let late = ledger.day(month, 11);
        read_on(&ledger, &one, "gb", ("late", late, "5")).await;
        ledger.go_to(ledger.day(month.next().next(), 6));
        ledger.close().await;
        assert_eq!(export(&ledger, &query).await.0, closed, "what is closed stays as it is");
        let next = exported(&ledger, &format!("period={}&tenant=smith", month.next())).await;
        let corrections: Vec<_> = next.rows.iter().filter(|row| is(row, "ChargeClass", "Correction")).collect();
        assert_eq!(corrections.len(), 1);
        assert_eq!(value(corrections[0], "x_CorrectsPeriod"), Some(month.to_string().as_str()));
        let (id, sum) = total("smith", month.next()).await;
        assert_eq!(invoices(&next), [(format!("{id}/{}", month.next()), sum)].into());
        for month in [month, month.next()] {
            let (text, ..) = export(&ledger, &format!("period={month}&version=1.0")).await;
            let verdict = validator::judge(&text, "1.0");
            assert_eq!((verdict.checks, verdict.failed), (133, Vec::new()), "{text}");
        }
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_many_rows_and_tenants_leaves_nothing_out() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        ledger.book(json!([{"model": "flat", "amount": "1", "per": "day"}])).await;
        let (month, mut first) = (ledger.month, String::new());
        // One more than a page of tenants, and of one of them more rows than a chunk has.
        for number in 0..101 {
            let name = format!("tenant-{number}");
            ledger.tenant(&name, json!({})).await;
            first = ledger.instance(&name, "one", ledger.day(month, 1)).await;
        }
        ledger.go_to(ledger.day(month, 3));
        for number in 0..501 {
            let (meter, at) = (format!("meter-{number}"), ledger.day(month, 2));
            read_on(&ledger, &first, &meter, (&meter, at, "1")).await;
        }
        let file = exported(&ledger, &format!("period={month}")).await;
        let tenants: std::collections::BTreeSet<_> = file.rows.iter().map(|row| value(row, "SubAccountId")).collect();
        assert_eq!((tenants.len(), file.rows.len()), (101, 101 + 501));
        let skus: std::collections::BTreeSet<_> = file.rows.iter().map(|row| value(row, "SkuId")).collect();
        assert_eq!(skus.len(), 1 + 501);
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_exported_is_refused_before_a_row_is_written() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        let month = ledger.month.previous();
        let refused = async |query: String, status: u16, says: &str| {
            let path = format!("/api/v1/exports/focus?{query}");
            let reply = ledger.hub.admin(Method::GET, &path, None).await;
            assert_eq!(reply.status, status, "{query}: {reply:?}");
            assert!(reply.body.to_string().contains(says), "{query}: {reply:?}");
        };
        refused(format!("period={month}"), 422, "no_price_book").await;
        ledger.book(json!([{"model": "flat", "amount": "1", "per": "day"}])).await;
        refused("version=1.2".to_owned(), 400, "missing field `period`").await;
        refused("period=november".to_owned(), 422, "period must be a year and a month").await;
        refused(format!("period={month}&version=1.1"), 422, "version must be 1.0 or 1.2").await;
        refused(format!("period={}", ledger.month.next()), 422, "has not begun").await;
        refused(format!("period={month}&tenant=nobody"), 404, "nobody").await;
        let (text, ..) = export(&ledger, &format!("period={month}&version=1.0")).await;
        assert_eq!(csv::read(&text).map(|file| (file.columns.len(), file.rows.len())), Ok((57, 0)));
        let (strict, ..) = export(&ledger, &format!("period={month}&version=1.0&strict=true")).await;
        assert_eq!(csv::read(&strict).map(|file| file.columns.len()), Ok(52));
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offering_says_what_it_is_and_who_makes_it() {
    on_each(async |on| {
        let (ledger, _) = used(on).await;
        let row = |file: File| file.rows.first().expect("a row").clone();
        let plain = row(exported(&ledger, &format!("period={}", ledger.month)).await);
        assert_eq!(value(&plain, "ServiceCategory"), Some("Other"));
        assert_eq!(value(&plain, "ServiceName"), Some("faults"));
        assert_eq!(value(&plain, "PublisherName"), Some("Bourse"), "as its metadata say");
        assert_eq!((value(&plain, "ProviderName"), value(&plain, "RegionId")), (Some("bourse"), None));
        let _: Value = serde_json::from_str(value(&plain, "SkuPriceDetails").unwrap_or("null")).expect("JSON");
        ledger.hub.stop().await;
    })
    .await;
}
