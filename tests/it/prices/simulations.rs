//! What a month would have cost by another book, against numbers worked out by hand; and that nothing comes of it.

use bourse::clock::Time;
use bourse::domain::period::Month;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::on_each;
use crate::support::hub::Reply;
use crate::support::ledger::{Ledger, Read};

async fn simulate(ledger: &Ledger, month: Month, rules: Value, more: Value) -> Reply {
    let book = json!({"currency": "EUR", "effective_from": "2100-01-01T00:00:00Z", "rules": rules});
    let mut body = json!({"book": book, "period": month});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    ledger.hub.admin(Method::POST, "/api/v1/price-books/simulate", Some(body)).await
}

/// Fields of each entry of a list.
fn rows<const N: usize>(answer: &Value, list: &str, fields: [&str; N]) -> Vec<[String; N]> {
    let rows = answer[list].as_array().expect("a list").iter();
    rows.map(|row| fields.map(|field| row[field].as_str().unwrap_or_default().to_owned())).collect()
}

fn owned<const N: usize, const M: usize>(rows: [[&str; N]; M]) -> Vec<[String; N]> {
    rows.map(|row| row.map(str::to_owned)).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_priced_once_more_by_a_book_that_nobody_added() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        ledger.tenant("blue", json!({})).await;
        let rule = |meter: &str, amount: &str| json!({"offering": "faults", "meter": meter, "model": "per_unit", "amount": amount});
        let month = |amount: &str| json!({"offering": "faults", "model": "flat", "amount": amount, "per": "month"});
        ledger.book(json!([month("30"), rule("gb", "0.5"), rule("ops", "2")])).await;
        let (month_at, late) = (ledger.month, ledger.month.next());
        let retail = ledger.instance("retail", "a", Time(0)).await;
        ledger.instance("blue", "b", Time(0)).await;
        ledger.go_to(ledger.day(late, 2));
        for (id, meter, quantity) in [("1", "gb", "10"), ("2", "gb", "5"), ("3", "ops", "7"), ("4", "calls", "9")] {
            let (instance, at) = (retail.as_str(), ledger.day(month_at, 10));
            let kind = ("delta", "sum");
            ledger.read(Read { instance, meter, kind, id, at, quantity, recorded_at: at }).await;
        }
        let before = ledger.costs(&format!("tenant=retail&from={}", ledger.day(month_at, 1))).await;

        let rules = json!([month("20"), rule("gb", "0.7"), rule("calls", "1")]);
        let reply = simulate(&ledger, month_at, rules.clone(), json!({})).await;
        let answer = &reply.body;
        assert_eq!(reply.status, 200, "{reply:?}");
        // retail: 30 + 7.5 + 14 becomes 20 + 10.5 + 9; blue: 30 becomes 20.
        let changes = ["tenant", "old", "new", "difference"];
        assert_eq!(
            rows(answer, "tenants", changes),
            owned([["blue", "30.00", "20.00", "-10.00"], ["retail", "51.50", "39.50", "-12.00"]])
        );
        assert_eq!(["old", "new", "difference"].map(|field| answer[field].clone()), ["81.50", "59.50", "-22.00"]);
        let mut lines = rows(answer, "lines", ["tenant", "meter", "old", "new"]);
        assert_eq!(lines.remove(0), ["retail", "ops", "14.00", "0.00"], "what changes most");
        lines.sort();
        assert_eq!(
            lines,
            owned([
                ["blue", "instance", "30.00", "20.00"],
                ["retail", "calls", "0.00", "9.00"],
                ["retail", "gb", "7.50", "10.50"],
                ["retail", "instance", "30.00", "20.00"],
            ])
        );
        assert_eq!(rows(answer, "unpriced", ["tenant", "meter", "quantity", "old"]), owned([["retail", "ops", "7", "14.00"]]));
        assert_eq!(answer["findings"][0]["pointer"], "/rules/1/meter", "{answer}");

        let one = simulate(&ledger, month_at, rules, json!({"tenant": "blue"})).await;
        assert_eq!(rows(&one.body, "tenants", changes), owned([["blue", "30.00", "20.00", "-10.00"]]));
        let books = ledger.hub.admin(Method::GET, "/api/v1/price-books", None).await;
        assert_eq!(books.body["items"].as_array().map(Vec::len), Some(1), "nothing was added");
        assert_eq!(ledger.costs(&format!("tenant=retail&from={}", ledger.day(month_at, 1))).await["currency"], before["currency"]);
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_book_can_not_be_tried_out() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        ledger.book(json!([{"model": "free", "reason": "r"}])).await;
        let refused = async |rules: Value, more: Value, pointer: &str| {
            let reply = simulate(&ledger, ledger.month, rules, more).await;
            assert_eq!((reply.status, &reply.body["errors"][0]["pointer"]), (422, &json!(pointer)), "{reply:?}");
        };
        refused(json!([{"offering": "faults", "model": "free"}]), json!({}), "/book/rules/0/reason").await;
        refused(json!([]), json!({"period": "October", "tenant": "retail"}), "/period").await;
        let francs = json!({"currency": "CHF", "effective_from": "2026-01-01T00:00:00Z", "rules": []});
        refused(json!([]), json!({"book": francs}), "/book/currency").await;
        let nobody = simulate(&ledger, ledger.month, json!([]), json!({"tenant": "nobody"})).await;
        assert_eq!(nobody.status, 404);
        ledger.hub.stop().await;
    })
    .await;
}
