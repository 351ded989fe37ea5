//! Statements: what they say while a month is open, that it stands once it is closed, and how what is known later is told.

mod closing;
mod corrections;
mod forms;

use serde_json::{Value, json};

use crate::support::bare::{On, on_each};
use crate::support::ledger::{DAY, HOUR, Ledger, Read, lines};

/// A day costs 1, a unit of `gb` 0.5; `calls` have no price.
pub(crate) fn rules() -> Value {
    json!([
        {"model": "flat", "amount": "1", "per": "day"},
        {"model": "per_unit", "meter": "gb", "amount": "0.5"},
    ])
}

/// A tenant whose instance stands from the first day of [`Ledger::month`] on, with prices.
pub(crate) async fn standing(on: On) -> (Ledger, String) {
    let ledger = Ledger::new(on).await;
    ledger.book(rules()).await;
    let id = ledger.instance("retail", "one", ledger.day(ledger.month, 1)).await;
    (ledger, id)
}

/// So much of `gb` on a day of the month, at 10 o'clock, recorded within a second.
pub(crate) async fn used(ledger: &Ledger, instance: &str, id: &str, day: u32, quantity: &str) {
    let at = ledger.day(ledger.month, day).plus(10 * HOUR);
    let recorded_at = at.plus(std::time::Duration::from_secs(1));
    let kind = ("delta", "sum");
    ledger.read(Read { instance, meter: "gb", kind, id, at, quantity, recorded_at }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_a_preview_then_in_grace_then_closed() {
    on_each(async |on| {
        let (ledger, id) = standing(on).await;
        let (month, next) = (ledger.month, ledger.month.next());
        used(&ledger, &id, "e1", 2, "3").await;
        ledger.go_to(ledger.day(month, 11));
        let preview = ledger.statement("retail", month).await;
        assert_eq!((&preview["state"], &preview["currency"]), (&json!("preview"), &json!("EUR")));
        let amount = |meter: &str, statement: &Value| {
            lines(statement).into_iter().find(|line| line[2] == meter).map(|line| line[4].clone())
        };
        assert_eq!(amount("gb", &preview).as_deref(), Some("1.50"));
        assert_eq!(amount("instance", &preview).as_deref(), Some("10.00"), "ten days and a moment");
        ledger.go_to(ledger.day(next, 1).plus(HOUR));
        ledger.close().await;
        let grace = ledger.statement("retail", month).await;
        assert_eq!(grace["state"], "grace");
        ledger.go_to(ledger.day(next, 4).plus(HOUR));
        ledger.close().await;
        let closed = ledger.statement("retail", month).await;
        assert_eq!(closed["state"], "closed");
        assert_eq!((&closed["lines"], &closed["total"]), (&grace["lines"], &grace["total"]));
        let future = format!("/api/v1/statements?tenant=retail&period={}", next.next());
        assert_eq!(ledger.hub.admin(reqwest::Method::GET, &future, None).await.status, 422);
        let past = "/api/v1/statements?tenant=retail&period=2001-01";
        assert_eq!(ledger.hub.admin(reqwest::Method::GET, past, None).await.status, 404);
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_cost_center_splits_lines_and_costs_nobody_a_day() {
    on_each(async |on| {
        let (ledger, id) = standing(on).await;
        let (month, next) = (ledger.month, ledger.month.next());
        used(&ledger, &id, "e1", 2, "3").await;
        used(&ledger, &id, "e2", 12, "4").await;
        ledger.go_to(ledger.day(month, 11));
        ledger.tenant("retail", json!({"cost_center": "0815", "labels": {"tier": "gold"}})).await;
        ledger.go_to(ledger.day(next, 5));
        ledger.close().await;
        let statement = ledger.statement("retail", month).await;
        let lines = lines(&statement);
        let amounts = |center: &str, meter: &str| -> Vec<&str> {
            lines.iter().filter(|line| line[1] == center && line[2] == meter).map(|line| line[4].as_str()).collect()
        };
        assert_eq!((amounts("4711", "gb"), amounts("0815", "gb")), (vec!["1.50"], vec!["2.00"]));
        assert_eq!(amounts("4711", "instance"), ["10.00"]);
        let days = ledger.day(next, 1).since(ledger.day(month, 1)).as_secs() / 86_400;
        assert_eq!(amounts("0815", "instance"), [format!("{}.00", days - 10)]);
        let total: u64 = days;
        assert_eq!(statement["total"], format!("{}.50", total + 3));
        let centers = statement["subtotals"].as_array().expect("subtotals").iter();
        assert_eq!(
            centers.map(|one| one["cost_center"].as_str().unwrap_or_default()).collect::<Vec<_>>(),
            ["0815", "4711"]
        );
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_ends_at_midnight_where_the_tenant_lives() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        ledger.book(rules()).await;
        let (month, next) = (ledger.month, ledger.month.next());
        ledger.tenant("kolkata", json!({"time_zone": "Asia/Kolkata"})).await;
        let id = ledger.instance("kolkata", "one", ledger.day(month, 1)).await;
        let midnight = ledger.day(next, 1).plus(18 * HOUR + HOUR / 2);
        let midnight = bourse::clock::Time(midnight.0 - i64::try_from(DAY.as_micros()).expect("a day"));
        for (name, at) in [("before", bourse::clock::Time(midnight.0 - 1)), ("at", midnight)] {
            let (kind, recorded_at) = (("delta", "sum"), midnight.plus(HOUR));
            let read = Read { instance: &id, meter: "gb", kind, id: name, at, quantity: "1", recorded_at };
            ledger.read(read).await;
        }
        ledger.go_to(ledger.day(next.next(), 5));
        ledger.close().await;
        for month in [month, next] {
            let statement = ledger.statement("kolkata", month).await;
            let gb: Vec<_> = lines(&statement).into_iter().filter(|line| line[2] == "gb").collect();
            assert_eq!(gb.len(), 1, "{statement}");
            assert_eq!((gb[0][3].as_str(), gb[0][4].as_str()), ("1", "0.50"));
            assert_eq!(statement["time_zone"], "Asia/Kolkata");
            assert!(statement["from"].as_str().is_some_and(|from| from.contains("T18:30:00")), "{statement}");
        }
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_price_is_told_and_never_0() {
    on_each(async |on| {
        let (ledger, id) = standing(on).await;
        let (month, next) = (ledger.month, ledger.month.next());
        let at = ledger.day(month, 2);
        let (kind, recorded_at) = (("delta", "sum"), at.plus(HOUR));
        let read = Read { instance: &id, meter: "calls", kind, id: "c1", at, quantity: "7", recorded_at };
        ledger.read(read).await;
        ledger.go_to(ledger.day(next, 5));
        ledger.close().await;
        let statement = ledger.statement("retail", month).await;
        assert!(lines(&statement).iter().all(|line| line[2] != "calls"), "{statement}");
        assert_eq!(statement["unpriced"][0]["meter"], "calls");
        assert_eq!(statement["unpriced"][0]["quantity"], "7");
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tenant_gets_its_last_statement() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        ledger.book(rules()).await;
        ledger.tenant("short", json!({"cost_center": "1"})).await;
        let tenant = ledger.hub.admin(reqwest::Method::GET, "/api/v1/tenants/short", None).await;
        let (month, next) = (ledger.month, ledger.month.next());
        ledger.instance("short", "one", ledger.day(month, 1)).await;
        ledger.go_to(ledger.day(month, 3));
        for path in ["/api/v1/tenants/short/instances/one", "/api/v1/tenants/short"] {
            assert_eq!(ledger.hub.admin(reqwest::Method::DELETE, path, None).await.status, 204, "{path}");
        }
        ledger.go_to(ledger.day(next, 5));
        ledger.close().await;
        let id = tenant.body["id"].as_str().expect("an id");
        let statement = ledger.statement(id, month).await;
        assert_eq!((&statement["state"], &statement["tenant"]["name"]), (&json!("closed"), &json!("short")));
        assert_eq!(statement["total"], "2.00", "{statement}");
        ledger.hub.stop().await;
    })
    .await;
}
