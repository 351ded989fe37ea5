//! The audit: each change adds a row, rows are chained as they are committed whoever dies meanwhile, and whatever is done to them in the
//! database afterwards is found.

mod chain;
mod routes;
mod tamper;

use bourse::clock::Time;
use bourse::store::audit::{AuditRow, append};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::Bare;
use crate::support::hub::request;

/// A row that a use case could have written.
fn row(number: usize) -> AuditRow {
    AuditRow {
        at: Time(1_763_769_600_000_000),
        actor: "administrators/admin".to_owned(),
        origin: json!({"channel": "hub"}),
        action: "tenant.put".to_owned(),
        subject: format!("tenants/t-{number}"),
        before: None,
        after: Some(json!({"display_name": "Ü\n\"", "number": number})),
        detail: json!({}),
    }
}

/// Adds rows, each in a transaction of its own.
async fn write(bare: &Bare, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let done = bare.db.write(move |tx| Box::pin(async move { append(tx, &row(number)).await }));
        done.await.expect("could not append");
    }
}

/// Chains all that waits.
async fn chain_all(bare: &Bare) {
    while bare.app.chain_audit().await.expect("could not chain") > 0 {}
}

/// The whole audit over HTTP.
async fn rows(url: &str) -> Vec<Value> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let page = format!("{url}/api/v1/audit?limit=7{after}");
        let reply = request(Method::GET, &page, Some(("admin", "pw")), None).await;
        let items = reply.body["items"].as_array().expect("items");
        if items.is_empty() {
            return rows;
        }
        rows.extend(items.iter().cloned());
        after = format!("&after={}", reply.body["next"].as_str().expect("a cursor"));
    }
}
