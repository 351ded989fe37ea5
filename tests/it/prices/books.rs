//! What a price book must be, what is said about one, and that it stays as it is.

use serde_json::{Value, json};

use super::{Shop, book};
use crate::support::bare::on_each;

const PAST: &str = "2026-01-01T00:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn a_book_is_kept_as_it_came_and_never_changes() {
    on_each(async |on| {
        let shop = Shop::on(on).await;
        let sent = book(PAST, "99.50");
        let answer = shop.call("POST", "/price-books", sent.clone()).await;
        let made = answer.is(201);
        assert_eq!(made["findings"], json!([]));
        assert_eq!(made["in_force"], true);
        assert_eq!(made["effective_from"], "2026-01-01T00:00:00.000000Z");
        assert_eq!(made["rules"][0]["amount"], "99.5", "{made}");
        assert_eq!(made["rules"].as_array().map(Vec::len), sent["rules"].as_array().map(Vec::len));
        let place = answer.header("location").trim_start_matches("/api/v1").to_owned();
        assert_eq!(shop.get(&place).await, made);
        for method in ["PUT", "PATCH", "DELETE"] {
            let refused = shop.call(method, &place, sent.clone()).await;
            assert_eq!((refused.status, refused.header("allow")), (405, "GET"), "{refused:?}");
        }
        shop.call("GET", "/price-books/none", Value::Null).await.refuses(404, "not_found");
        let audited = shop.bare.db.read(|tx| {
            let sql = "select subject from audit where action = 'price_book.create'";
            Box::pin(async move { tx.fetch_all(sqlx::query(sql)).await })
        });
        assert_eq!(audited.await.expect("an audit").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn books_are_listed_in_the_order_in_which_they_were_made() {
    on_each(async |on| {
        let shop = Shop::on(on).await;
        let mut made = Vec::new();
        for (days, amount) in [(-3, "1"), (30, "2"), (-1, "3")] {
            let answer = shop.call("POST", "/price-books", book(&shop.in_days(days), amount)).await.is(201);
            made.push(answer["id"].clone());
        }
        let ids = |page: &Value| -> Vec<Value> {
            page["items"].as_array().expect("items").iter().map(|item| item["id"].clone()).collect()
        };
        let all = shop.get("/price-books").await;
        assert_eq!((ids(&all), &all["next"]), (made.clone(), &Value::Null));
        let in_force: Vec<_> =
            all["items"].as_array().expect("items").iter().map(|item| item["in_force"].clone()).collect();
        assert_eq!(
            in_force,
            [json!(false), json!(false), json!(true)],
            "the one that began last, not the one made last"
        );
        let first = shop.get("/price-books?limit=2").await;
        let next = first["next"].as_str().expect("a cursor");
        let second = shop.get(&format!("/price-books?limit=2&cursor={next}")).await;
        assert_eq!(
            (ids(&first), ids(&second), &second["next"]),
            (made[..2].to_vec(), made[2..].to_vec(), &Value::Null)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_with_pointers_and_nothing_is_kept() {
    on_each(async |on| {
        let shop = Shop::on(on).await;
        let refused = async |body: Value, pointers: &[&str]| {
            let problem = shop.call("POST", "/price-books", body).await.refuses(422, "invalid");
            let found: Vec<_> =
                problem["errors"].as_array().expect("errors").iter().map(|error| error["pointer"].clone()).collect();
            assert_eq!(found, pointers, "{problem}");
        };
        let with = |rules: Value| json!({"currency": "EUR", "effective_from": PAST, "rules": rules});
        refused(json!({"currency": "euro", "effective_from": PAST, "rules": []}), &["/currency"]).await;
        refused(json!({"currency": "EUR", "effective_from": "soon", "rules": []}), &["/effective_from"]).await;
        refused(with(json!([{"offering": "db", "model": "flat", "amount": 99, "per": "month"}])), &["/rules/0/amount"])
            .await;
        refused(
            with(json!([{"offering": "db", "model": "flat", "amount": "1e3", "per": "month"}])),
            &["/rules/0/amount"],
        )
        .await;
        refused(with(json!([{"offering": "db", "model": "auction", "amount": "1"}])), &["/rules/0/model"]).await;
        refused(
            with(json!([{"offering": "db", "model": "flat", "amount": "-1"}, {"offering": "db", "model": "free"}])),
            &["/rules/0/amount", "/rules/0/per", "/rules/1/reason", "/rules/1"],
        )
        .await;
        shop.call("POST", "/price-books", Value::String("book".to_owned())).await.refuses(422, "invalid");
        assert_eq!(shop.get("/price-books").await, json!({"items": [], "next": null}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_has_one_currency_whoever_asks_at_once() {
    on_each(async |on| {
        let shop = Shop::on(on).await;
        let (other, currencies) = (shop.bare.another().await, ["EUR", "CHF"]);
        let caller = bourse::domain::caller::Caller::Admin("root".to_owned());
        let document = |currency: &str| {
            let mut book = book(PAST, "1");
            book["currency"] = json!(currency);
            serde_json::from_value(book).expect("a book")
        };
        let both = futures_util::future::join(
            shop.bare.app.create_price_book(&caller, document(currencies[0])),
            other.app.create_price_book(&caller, document(currencies[1])),
        );
        let (left, right) = both.await;
        assert!(left.is_ok() != right.is_ok(), "{left:?} {right:?}");
        let (kept, refused) = if left.is_ok() { ("EUR", "CHF") } else { ("CHF", "EUR") };
        let mut second = book(PAST, "2");
        second["currency"] = json!(refused);
        let problem = shop.call("POST", "/price-books", second.clone()).await.refuses(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/currency");
        let message = problem["errors"][0]["detail"].as_str().expect("a message");
        assert!(message.contains("one currency") && message.contains(kept), "{message}");
        second["currency"] = json!(kept);
        shop.call("POST", "/price-books", second).await.is(201);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_meets_nothing_in_the_catalog_is_told_and_does_not_refuse() {
    on_each(async |on| {
        let shop = Shop::on(on).await;
        let rules = json!([
            {"offering": "dbb", "model": "free", "reason": "r"},
            {"offering": "db", "plan": "smal", "model": "free", "reason": "r"},
            {"offering": "db", "meter": "querys", "model": "per_unit", "amount": "1"},
            {"offering": "db", "meter": "exports", "model": "per_unit", "amount": "1", "per": "month"},
            {"offering": "queue", "model": "free", "reason": "r"},
        ]);
        let made =
            shop.call("POST", "/price-books", json!({"currency": "EUR", "effective_from": PAST, "rules": rules}));
        let made = made.await.is(201);
        let found: Vec<_> =
            made["findings"].as_array().expect("findings").iter().map(|f| f["pointer"].clone()).collect();
        let unpriced = 2 * 3;
        assert_eq!(found[..4], ["/rules/0/offering", "/rules/1/plan", "/rules/2/meter", "/rules/3/per"], "{made}");
        assert_eq!(found.len(), 4 + unpriced, "meters of two plans without a price: {made}");
        assert!(made["findings"][2]["message"].as_str().is_some_and(|text| text.ends_with("did you mean `queries`?")));
        assert!(made["findings"].as_array().expect("findings").iter().all(|finding| finding["severity"] == "warning"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_added_through_one_process_is_read_by_another_at_once() {
    on_each(async |on| {
        let shop = Shop::on(on).await;
        let other = shop.bare.another().await;
        assert!(other.app.price_books(None).await.expect("books").is_empty());
        shop.call("POST", "/price-books", book(PAST, "1")).await.is(201);
        let before = shop.bare.clock.now();
        shop.bare.clock.advance(std::time::Duration::from_secs(1));
        shop.call("POST", "/price-books", book(PAST, "2")).await.is(201);
        let books = other.app.price_books(None).await.expect("books");
        assert_eq!(books.len(), 2);
        let known = other.app.price_books(Some(before)).await.expect("books");
        assert_eq!(known.iter().map(|book| &book.id).collect::<Vec<_>>(), [&books[0].id], "what was known then");
    })
    .await;
}
