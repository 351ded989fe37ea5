//! Tenants from a list: in the body, as CSV or JSON, or at a URL.

use serde_json::{Value, json};

use crate::support::management::{Hub, on_both, send};

async fn import(hub: &Hub, csv: &str, dry_run: bool) -> Value {
    let path = format!("/api/v1/tenants/import?dry_run={dry_run}");
    send(hub.admin("POST", &path).header("content-type", "text/csv; charset=utf-8").body(csv.to_owned())).await.is(200)
}

fn verdicts(answer: &Value) -> Vec<(u64, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |row: &Value| (row["line"].as_u64().unwrap_or(0), text(&row["name"]), text(&row["verdict"]));
    answer["rows"].as_array().expect("rows").iter().map(row).collect()
}

fn expected(rows: &[(u64, &str, &str)]) -> Vec<(u64, String, String)> {
    rows.iter().map(|(line, name, verdict)| (*line, (*name).to_owned(), (*verdict).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_gets_its_verdict_and_what_a_list_does_not_say_stays() {
    on_both(async |hub| {
        hub.call("POST", "/platforms", json!({"name": "cf", "kind": "cloudfoundry"})).await.is(201);
        let identities = json!([{"platform": "cf", "organization_guid": "o"}]);
        let known = json!({"display_name": "Retail", "owner": "ada", "identities": identities});
        hub.call("PUT", "/tenants/retail", known).await.is(201);
        let list = "name,display_name,cost_center,label:tier\nretail,Retail,4711,gold\nbank,Bank,1,\nBad Name,x,1,\n\
            short,x\nempty,,1,\n";
        let rows = expected(&[
            (2, "retail", "changed"),
            (3, "bank", "created"),
            (4, "Bad Name", "error"),
            (5, "", "error"),
            (6, "empty", "error"),
        ]);
        let dry = import(hub, list, true).await;
        assert_eq!(verdicts(&dry), rows, "{dry}");
        hub.get("/tenants/bank").await.is(404);
        let done = import(hub, list, false).await;
        assert_eq!(verdicts(&done), rows, "{done}");
        assert_eq!([&done["created"], &done["changed"], &done["unchanged"], &done["errors"]], [1, 1, 0, 3]);
        let retail = hub.get("/tenants/retail").await.is(200);
        assert_eq!((&retail["owner"], &retail["cost_center"]), (&json!("ada"), &json!("4711")));
        assert_eq!((&retail["labels"], &retail["identities"]), (&json!({"tier": "gold"}), &identities));
        let again = import(hub, list, false).await;
        assert_eq!([&again["created"], &again["changed"], &again["unchanged"]], [0, 0, 2]);
        // An identity that is another's is the row's error, and nothing of the row is done.
        let taken = json!({"tenants": [
            {"name": "bank", "owner": "eve", "identities": identities},
            {"name": "shop", "display_name": "Shop", "salary": 1},
            {"name": "shop", "display_name": "Shop"},
            7,
        ]});
        let done = hub.call("POST", "/tenants/import", taken).await.is(200);
        let words: Vec<_> = verdicts(&done).into_iter().map(|(_, _, verdict)| verdict).collect();
        assert_eq!(words, ["error", "error", "created", "error"], "{done}");
        assert!(done["rows"][0]["error"].as_str().is_some_and(|said| said.contains("`retail`")), "{done}");
        assert_eq!(hub.get("/tenants/bank").await.is(200)["owner"], "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_list_is_refused_and_a_url_must_pass_the_egress_policy() {
    on_both(async |hub| {
        let bad =
            send(hub.admin("POST", "/api/v1/tenants/import").header("content-type", "text/csv").body("owner\nx\n"));
        bad.await.refuses(422, "invalid");
        hub.call("POST", "/tenants/import", json!({})).await.refuses(422, "invalid");
        hub.call("POST", "/tenants/import", json!({"url": "x", "tenants": []})).await.refuses(422, "invalid");
        // The default settings let nothing out to loopback or to a metadata address.
        for url in ["http://127.0.0.1:1/list", "http://169.254.169.254/list", "ftp://example.com/list"] {
            let refused = hub.call("POST", "/tenants/import", json!({"url": url})).await.refuses(422, "invalid");
            assert_eq!(refused["errors"][0]["pointer"], "/url", "{refused}");
        }
        let text = "name,display_name\nshop,Shop\n";
        let done = hub.call("POST", "/tenants/import", json!({"text": text, "dry_run": true})).await.is(200);
        assert_eq!((&done["created"], &done["dry_run"]), (&json!(1), &json!(true)));
    })
    .await;
}
