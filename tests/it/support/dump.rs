//! What a hub says that it holds, read from outside over the management API, and what the broker behind it really holds:
//! to compare one with the other, or the end of a disturbed run with that of an undisturbed one.

use std::collections::BTreeMap;

use bourse::store::Db;
use bourse::store::db::column;
use bourse_brokers::faults::Faults;
use reqwest::Method;
use serde_json::{Value, json};

use super::hub::request;

/// All items of a list, page after page.
pub(crate) async fn items(url: &str, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let joint = if path.contains('?') { '&' } else { '?' };
        let page = format!("{url}/api/v1/{path}{joint}limit=1000{cursor}");
        let reply = request(Method::GET, &page, Some(("admin", "pw")), None).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        items.extend(reply.body["items"].as_array().expect("items").iter().cloned());
        match reply.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

/// All instances, those that are gone too.
pub(crate) async fn instances(url: &str) -> Vec<Value> {
    let mut all = items(url, "instances").await;
    all.extend(items(url, "instances?state=gone").await);
    all
}

/// All events that are numbered, in the order of the feed.
pub(crate) async fn events(url: &str) -> Vec<Value> {
    let (mut events, mut after) = (Vec::new(), String::new());
    loop {
        let page = format!("{url}/api/v1/events?limit=1000{after}");
        let reply = request(Method::GET, &page, Some(("admin", "pw")), None).await;
        let items = reply.body["items"].as_array().expect("items");
        if items.is_empty() {
            return events;
        }
        events.extend(items.iter().cloned());
        after = format!("&after={}", reply.body["next"].as_str().expect("a cursor"));
    }
}

/// Whether nothing is under way.
pub(crate) async fn is_quiet(url: &str) -> bool {
    let page = format!("{url}/api/v1/operations?state=in_progress&limit=1");
    request(Method::GET, &page, Some(("admin", "pw")), None).await.body["items"] == json!([])
}

/// What a statement counts, in the column `number`.
pub(crate) async fn count(db: &Db, statement: &'static str) -> i64 {
    let row = db.read(|tx| Box::pin(async move { tx.fetch_optional(sqlx::query(statement)).await })).await;
    column(&row.expect("a count").expect("a row"), "number").expect("a number")
}

/// How many spans of each instance are open and closed, by Bourse's own ids.
pub(crate) async fn spans(db: &Db) -> BTreeMap<String, (i64, i64)> {
    const SPANS: &str =
        "select instance_id, count(*) as number, count(ended_at) as closed from spans group by instance_id";
    let rows = db.read(|tx| Box::pin(async move { tx.fetch_all(sqlx::query(SPANS)).await })).await.expect("spans");
    let read = |row| {
        let (number, closed): (i64, i64) =
            (column(row, "number").expect("number"), column(row, "closed").expect("closed"));
        (column(row, "instance_id").expect("id"), (number - closed, closed))
    };
    rows.iter().map(read).collect()
}

/// Everything that is to be the same however an end was reached, by the platform's ids of the instances.
pub(crate) async fn dump(url: &str, db: &Db, faults: &Faults) -> BTreeMap<String, Value> {
    let (events, spans) = (events(url).await, spans(db).await);
    let mut dump = BTreeMap::new();
    for instance in instances(url).await {
        let id = instance["id"].as_str().expect("an id");
        let page = format!("{url}/api/v1/instances/{id}");
        let detail = request(Method::GET, &page, Some(("admin", "pw")), None).await.body;
        let pairs = |list: &str, one: &str| -> Vec<Value> {
            let rows = detail[list].as_array().expect("a list");
            rows.iter().map(|row| json!([row[one], row["state"]])).collect()
        };
        let own: Vec<_> = events.iter().filter(|event| event["instanceid"] == id).collect();
        let (open, closed) = spans.get(id).copied().unwrap_or_default();
        let held = faults.instances().into_iter().find(|held| held.id == id);
        let bindings: Vec<_> = faults.bindings().into_iter().filter(|held| held.instance_id == id).collect();
        let told = json!({
            "state": instance["state"], "plan": instance["plan"],
            "bindings": pairs("bindings", "platform_binding_id"), "operations": pairs("operations", "kind"),
            "events": own.iter().map(|event| json!([event["sequence"], event["type"]])).collect::<Vec<_>>(),
            "spans": {"open": open, "closed": closed},
            "held": held.map(|held| json!([held.plan_id, held.state, held.parameters])),
            "held_bindings": bindings.iter().map(|held| json!(held.state)).collect::<Vec<_>>(),
        });
        dump.insert(instance["platform_instance_id"].as_str().expect("an id").to_owned(), told);
    }
    dump
}
