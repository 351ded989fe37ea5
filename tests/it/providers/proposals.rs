//! Prices that a provider proposes: who decides, what comes of it for books that stand and that are to come.

use serde_json::{Value, json};

use super::{Market, proposal};
use crate::support::bare::on_each;

/// What the book in force, or one by its id, says of an offering.
fn amount(book: &Value, offering: &str) -> Value {
    let rules = book["rules"].as_array().expect("rules");
    rules.iter().find(|rule| rule["offering"] == offering).map_or(Value::Null, |rule| rule["amount"].clone())
}

async fn proposed(market: &Market, who: &str, body: Value) -> String {
    market.post(who, "/price-proposals", body).await.is(201)["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_of_finance_decides_once_and_a_no_has_a_reason() {
    on_each(async |on| {
        let market = Market::open(on).await;
        market.registered().await;
        let place = |id: &str, verb: &str| format!("/price-proposals/{id}/{verb}");
        // Finance may propose, too, and then another one decides.
        let own = proposed(&market, "fin", proposal("1")).await;
        market.post("fin", &place(&own, "accept"), json!({})).await.refuses(403, "forbidden", "proposed it yourself");
        let first = proposed(&market, "ann", proposal("2")).await;
        let superseded = market.get("fin", &format!("/price-proposals/{own}")).await;
        assert_eq!(superseded.is(200)["state"], "superseded", "one of a broker waits at a time");
        market.post("fin", &place(&own, "refuse"), json!({"reason": "x"})).await.refuses(
            409,
            "already_decided",
            "superseded",
        );
        for who in ["ann", "oz", "ben"] {
            market.post(who, &place(&first, "accept"), json!({})).await.is(403);
        }
        market.post("kim", &place(&first, "accept"), json!({})).await.refuses(
            403,
            "forbidden",
            "you answer for its broker",
        );
        market.post("fin", &place(&first, "refuse"), json!({})).await.refuses(422, "invalid", "/reason");
        market.post("fin", &place(&first, "refuse"), json!({"reason": "too dear"})).await.is(200);
        let seen = market.get("ann", &format!("/price-proposals/{first}")).await.is(200).clone();
        assert_eq!(
            (&seen["state"], &seen["reason"], &seen["price_books"]),
            (&json!("refused"), &json!("too dear"), &json!([]))
        );
        assert_eq!(market.get("fin", "/price-books").await.is(200)["items"], json!([]));
        let second = proposed(&market, "ann", proposal("3")).await;
        let accept = place(&second, "accept");
        let (one, other) = tokio::join!(market.post("fin", &accept, json!({})), market.post("flo", &accept, json!({})));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{one:?} {other:?}");
        let books = market.get("fin", "/price-books").await.is(200)["items"].clone();
        assert_eq!((books.as_array().map(Vec::len), amount(&books[0], "acme-db")), (Some(1), json!("3")));
        let kinds = market.events().await;
        let prices: Vec<_> = kinds.iter().filter(|kind| kind.starts_with("prices.")).collect();
        assert_eq!(
            prices,
            [
                "prices.proposed",
                "prices.decided",
                "prices.proposed",
                "prices.decided",
                "prices.proposed",
                "prices.decided"
            ]
        );
        market.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_is_in_the_books_to_come_and_leaves_all_else_as_it_was() {
    on_each(async |on| {
        let market = Market::open(on).await;
        market.registered().await;
        let others = |amount: &str| json!([{"offering": "others", "model": "flat", "amount": amount, "per": "month"}]);
        let book = |from: &str, rules: Value| json!({"currency": "EUR", "effective_from": from, "rules": rules});
        market.post("fin", "/price-books", book("2026-01-01T00:00:00Z", others("1"))).await.is(201);
        market.post("fin", "/price-books", book("2090-01-01T00:00:00Z", others("2"))).await.is(201);
        let francs = json!({"broker": "acme", "currency": "CHF", "rules": proposal("9")["rules"]});
        market.post("ann", "/price-proposals", francs).await.refuses(422, "invalid", "/currency");
        let broken = json!({"broker": "acme", "currency": "EUR", "rules": [{"offering": "acme-db", "model": "flat"}]});
        market.post("ann", "/price-proposals", broken).await.refuses(422, "invalid", "/rules/0");
        let none = json!({"broker": "acme", "currency": "EUR", "rules": []});
        market.post("ann", "/price-proposals", none).await.refuses(422, "invalid", "at least one rule");

        let past = {
            let mut past = proposal("9");
            past["effective_from"] = json!("2026-02-01T00:00:00Z");
            past
        };
        let id = proposed(&market, "ann", past).await;
        let month = json!({"period": "2026-10"});
        let simulated = market.post("fin", &format!("/price-proposals/{id}/simulate"), month.clone()).await;
        assert_eq!(simulated.is(200)["currency"], "EUR");
        market.post("ann", &format!("/price-proposals/{id}/simulate"), month).await.is(403);
        let before = market.hub.app.clock().now();
        let accepted = market.post("flo", &format!("/price-proposals/{id}/accept"), json!({})).await;
        let ids = accepted.is(200)["price_books"].as_array().expect("ids").clone();
        assert_eq!(ids.len(), 2);
        let mut books = Vec::new();
        for id in &ids {
            books.push(
                market.get("ann", &format!("/price-books/{}", id.as_str().expect("an id"))).await.is(200).clone(),
            );
        }
        let [now, then] = [&books[0], &books[1]];
        assert_eq!(
            (now["in_force"].clone(), amount(now, "acme-db"), amount(now, "others")),
            (json!(true), json!("9"), json!("1"))
        );
        let since: bourse::clock::Time = serde_json::from_value(now["effective_from"].clone()).expect("a time");
        assert!(since >= before, "never from before it was accepted: {since}");
        assert_eq!(then["effective_from"], "2090-01-01T00:00:00.000000Z");
        assert_eq!((amount(then, "acme-db"), amount(then, "others")), (json!("9"), json!("2")));
        market.hub.stop().await;
    })
    .await;
}
