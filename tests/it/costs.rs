//! Costs: what they are grouped by, whose midnights they are cut at, and what a question may not ask.

use bourse::domain::period::{Month, Zone};
use reqwest::Method;
use serde_json::{Value, json};

use crate::statements::{rules, standing, used};
use crate::support::bare::{On, on_each};
use crate::support::command::Terminal;
use crate::support::ledger::{DAY, HOUR, Ledger};

/// The amounts of an answer, by what a key of their group says.
fn amounts(costs: &Value, key: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = costs["items"].as_array().expect("items");
    items.iter().map(|item| (text(&item["group"][key]), text(&item["amount"]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, amount)| ((*key).to_owned(), (*amount).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_are_grouped_by_what_was_so_at_the_time_of_use() {
    on_each(async |on| {
        let (ledger, one) = standing(on).await;
        let month = ledger.month;
        ledger.tenant("lab", json!({"cost_center": "9"})).await;
        let two = ledger.instance("lab", "two", ledger.day(month, 3)).await;
        used(&ledger, &one, "e1", 2, "3").await;
        ledger.go_to(ledger.day(month, 6));
        ledger.tenant("retail", json!({"cost_center": "0815", "labels": {"tier": "silver"}})).await;
        used(&ledger, &two, "e2", 7, "0.5").await;
        ledger.go_to(ledger.day(month, 11).plus(HOUR));
        let (from, to) = (ledger.day(month, 1), ledger.day(month, 11));
        let ask = async |more: &str| ledger.costs(&format!("from={from}&to={to}&{more}")).await;
        // Retail: ten days and 1.50; from the sixth on elsewhere, at the very moment that it was said. Lab: eight days and 0.25.
        assert_eq!(amounts(&ask("group_by=tenant").await, "tenant"), pairs(&[("lab", "8.25"), ("retail", "11.5")]));
        let all = ask("").await;
        assert_eq!((&all["currency"], amounts(&all, "")), (&json!("EUR"), pairs(&[("", "19.75")])));
        let by_center = amounts(&ask("group_by=cost_center&tenant=retail").await, "cost_center");
        let centers: Vec<&str> = by_center.iter().map(|(center, _)| center.as_str()).collect();
        assert_eq!(centers, ["0815", "4711"]);
        let by_label = ask("group_by=label:tier").await;
        let labels: Vec<String> = amounts(&by_label, "label:tier").into_iter().map(|(label, _)| label).collect();
        assert_eq!(labels, ["", "gold", "silver"]);
        assert_eq!(by_label["items"][0]["group"]["label:tier"], Value::Null, "lab has no such label");
        let by_instance = ask("group_by=instance&offering=faults").await;
        assert_eq!(by_instance["items"][0]["group"]["instance_name"], "one");
        assert_eq!(amounts(&by_instance, "instance"), pairs(&[(&one, "11.5"), (&two, "8.25")]));
        let by_plan = ask(&format!("group_by=plan,tenant&instance={two}")).await;
        assert_eq!(by_plan["items"][0]["group"], json!({"offering": "faults", "plan": "ok", "tenant": "lab"}));
        assert_eq!(amounts(&ask("cost_center=9").await, ""), pairs(&[("", "8.25")]));
        assert!(ask("offering=other").await["items"].as_array().is_some_and(Vec::is_empty));
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_and_hours_add_up_to_the_month_and_begin_where_the_tenant_lives() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        ledger.book(rules()).await;
        let month = ledger.month;
        ledger.tenant("kolkata", json!({"time_zone": "Asia/Kolkata"})).await;
        ledger.instance("kolkata", "one", ledger.day(month, 2)).await;
        ledger.go_to(ledger.day(month, 6));
        let (from, to) = (ledger.day(month, 1), ledger.day(month, 5));
        let ask = async |granularity: &str| {
            ledger.costs(&format!("tenant=kolkata&from={from}&to={to}&granularity={granularity}")).await
        };
        let days = ask("day").await;
        let items = days["items"].as_array().expect("items");
        let whole: Vec<&str> = items.iter().filter_map(|item| item["amount"].as_str()).collect();
        assert_eq!(whole.len(), 4, "{days}");
        assert_eq!(whole[1..3], ["1", "1"], "{days}");
        assert!(items[1]["from"].as_str().is_some_and(|from| from.contains("T18:30:00")), "{days}");
        for granularity in ["day", "hour", "month"] {
            let answer = ask(granularity).await;
            let items = answer["items"].as_array().expect("items");
            let seconds: u64 = items
                .iter()
                .map(|item| item["lines"][0]["quantity"].as_str().expect("a quantity").parse::<u64>().expect("seconds"))
                .sum();
            assert_eq!(seconds, 3 * DAY.as_secs(), "{granularity}: {answer}");
        }
        assert_eq!(ask("hour").await["items"].as_array().map(Vec::len), Some(73), "half hours at both ends");
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_shows_what_it_has_cost_and_null_where_nothing_has_a_price() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        let month = ledger.month;
        let id = ledger.instance("retail", "one", ledger.day(month, 1)).await;
        ledger.go_to(ledger.day(month, 3));
        let paths = [format!("/api/v1/instances/{id}"), "/api/v1/tenants/retail/instances/one".to_owned()];
        let cost = async |path: &str| ledger.hub.admin(Method::GET, path, None).await.body["cost"].clone();
        for path in &paths {
            assert_eq!(cost(path).await, Value::Null, "there is no price book: {path}");
        }
        let costs = ledger.costs(&format!("from={}", ledger.day(month, 1))).await;
        assert_eq!((&costs["currency"], &costs["items"]), (&Value::Null, &json!([])));
        assert_eq!(costs["unpriced"][0]["instance_id"], id.as_str());
        ledger.book(rules()).await;
        for path in &paths {
            let cost = cost(path).await;
            assert_eq!(cost["currency"], "EUR");
            assert!(cost["amount"].as_str().is_some_and(|amount| amount.starts_with("2.0")), "{cost}");
        }
        // Seconds old: what is asked for again is more.
        let first = cost(&paths[0]).await["amount"].as_str().map(str::to_owned);
        ledger.go_to(ledger.day(month, 4));
        assert_ne!(cost(&paths[0]).await["amount"].as_str().map(str::to_owned), first);
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_too_large_or_makes_no_sense_is_refused() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        for (query, status) in [
            ("from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", 422),
            ("from=2025-01-01T00:00:00Z&to=2025-03-01T00:00:00Z&granularity=hour", 422),
            ("from=2025-02-01T00:00:00Z&to=2025-01-01T00:00:00Z", 422),
            ("from=yesterday", 422),
            ("granularity=week", 422),
            ("group_by=colour", 422),
            ("group_by=label:", 422),
            ("tenant=nobody", 404),
            ("instance=nothing", 404),
            ("colour=red", 400),
            ("from=2025-02-01T00:00:00Z&to=2025-01-01T00:00:00Z&group_by=a,b", 422),
        ] {
            let reply = ledger.hub.admin(Method::GET, &format!("/api/v1/costs?{query}"), None).await;
            assert_eq!(reply.status, status, "{query}: {reply:?}");
        }
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_shows_costs_statements_and_budgets() {
    let terminal = Terminal::new(On::Sqlite).await;
    terminal.ok(&["tenant", "put", "retail", "--display-name", "Retail", "--cost-center", "4711"]).await;
    assert_eq!(terminal.ok(&["cost"]).await.out, "nothing that has a price\n");
    let costs = terminal.json(&["cost", "--tenant", "retail", "--granularity", "day"]).await;
    assert_eq!(costs, json!({"currency": null, "items": [], "unpriced": []}));
    let month = Month::of(terminal.hub.app.clock().now(), &Zone::utc()).to_string();
    let which = ["--tenant", "retail", "--period", month.as_str()];
    let shown = terminal.ok(&[&["statement", "show"], &which[..]].concat()).await.out;
    assert!(shown.contains("preview") && shown.contains(&month), "{shown}");
    let csv = terminal.ok(&[&["statement", "show", "--form", "csv"], &which[..]].concat()).await.out;
    assert!(csv.starts_with("period,corrects,state,tenant,") && csv.ends_with("\r\n"), "{csv}");
    let html = terminal.ok(&[&["statement", "show", "--form", "html"], &which[..]].concat()).await.out;
    assert!(html.starts_with("<!DOCTYPE html>"), "{html}");
    assert_eq!(terminal.json(&["statement", "list"]).await["items"], json!([]));
    let budget = ["budget", "put", "shop", "--tenant", "retail", "--amount", "12.5", "--currency", "EUR"];
    let put = terminal.json(&[&budget[..], &["--threshold", "90", "--action", "block"]].concat()).await;
    assert_eq!((&put["amount"], &put["thresholds"], &put["action"]), (&json!("12.5"), &json!(["90"]), &json!("block")));
    assert!(terminal.ok(&["budget", "list"]).await.out.contains("shop"));
    assert_eq!(terminal.json(&["budget", "show", "shop"]).await["now"]["spent"], "0");
    terminal.ok(&["budget", "delete", "shop"]).await;
}
