//! The same statement as CSV for a spreadsheet and as a page to print: all of its lines, and nothing that its texts could start.

use serde_json::json;

use super::{standing, used};
use crate::support::bare::{On, on_each};

#[tokio::test(flavor = "multi_thread")]
async fn the_three_forms_say_the_same() {
    on_each(async |on| {
        let (ledger, id) = standing(on).await;
        let (month, next) = (ledger.month, ledger.month.next());
        used(&ledger, &id, "e1", 2, "3").await;
        ledger.go_to(ledger.day(next, 5));
        ledger.close().await;
        let statement = ledger.statement("retail", month).await;
        let (csv, kind, csv_tag) = ledger.statement_as("retail", month, "text/csv").await;
        assert!(kind.starts_with("text/csv"), "{kind}");
        let rows: Vec<&str> = csv.split_terminator("\r\n").collect();
        assert_eq!(rows.len(), 1 + statement["lines"].as_array().expect("lines").len(), "{csv}");
        assert!(rows[1..].iter().all(|row| row.starts_with(&format!("{month},,closed,retail,4711,"))), "{csv}");
        assert!(csv.contains(",gb,GB,3,1.50,EUR,"), "{csv}");
        let (html, kind, html_tag) = ledger.statement_as("retail", month, "text/html").await;
        assert!(kind.starts_with("text/html"), "{kind}");
        let total = format!("{} EUR", statement["total"].as_str().expect("a total"));
        for text in [total.as_str(), ">1.50<", "one", &id, "4711", "Retail"] {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
        assert!(csv_tag != html_tag && !csv_tag.is_empty());
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_others_start_nothing_in_a_page_or_a_spreadsheet() {
    let (ledger, id) = standing(On::Sqlite).await;
    let document = json!({"display_name": "<script>alert(1)</script>", "cost_center": "=cmd|' /C calc'!A0",
        "business_unit": "\"><img src=x>", "labels": {}});
    ledger.tenant("retail", document).await;
    used(&ledger, &id, "e1", 2, "3").await;
    ledger.go_to(ledger.day(ledger.month, 11));
    let (html, ..) = ledger.statement_as("retail", ledger.month, "text/html").await;
    assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    assert!(html.contains("&lt;script&gt;"), "{html}");
    let (csv, ..) = ledger.statement_as("retail", ledger.month, "text/csv").await;
    assert!(csv.contains(",'=cmd|' /C calc'!A0,"), "{csv}");
    ledger.hub.stop().await;
}
