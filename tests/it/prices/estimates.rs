//! What an order would cost, against numbers worked out by hand.

use serde_json::{Value, json};

use super::{Shop, book};
use crate::support::bare::on_each;

const PAST: &str = "2026-01-01T00:00:00Z";

async fn estimate(shop: &Shop, body: Value) -> Value {
    shop.call("POST", "/estimates", body).await.is(200)
}

fn lines(estimate: &Value) -> Vec<[String; 3]> {
    let lines = estimate["lines"].as_array().expect("lines").iter();
    lines
        .map(|line| ["meter", "model", "amount"].map(|field| line[field].as_str().expect("a text").to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_months_price_is_that_of_the_next_whole_month() {
    on_each(async |on| {
        let shop = Shop::on(on).await;
        let order = json!({"offering": "db", "plan": "small"});
        let none = estimate(&shop, order.clone()).await;
        assert_eq!((&none["currency"], &none["monthly"], &none["setup"]), (&Value::Null, &Value::Null, &Value::Null));
        assert_eq!(none["unpriced"][0]["meter"], "instance", "{none}");

        let made = shop.call("POST", "/price-books", book(PAST, "99.005")).await.is(201);
        let bare = estimate(&shop, order).await;
        // Rounded half-even, once.
        assert_eq!((&bare["monthly"], &bare["setup"]), (&json!("99.00"), &json!("20.00")));
        assert_eq!(lines(&bare), [["instance", "flat", "99.005"].map(str::to_owned)]);
        assert_eq!((&bare["lines"][0]["price_book"], &bare["lines"][0]["rule"]), (&made["id"], &made["rules"][0]));
        assert_eq!(bare["not_expected"], json!(["storage", "queries", "peak", "exports"]));

        let usage = json!({"storage": "25", "queries": "2001", "peak": "3.5", "exports": "11"});
        let full =
            estimate(&shop, json!({"offering": "db", "plan": "small", "tenant": "retail", "expected_usage": usage}))
                .await;
        // (25 - 5) × 0.1; three packages; 2 × 3 + 1.5 × 2; 11 × 0.4.
        let expected = [
            ["instance", "flat", "99.005"],
            ["storage", "per_unit", "2"],
            ["queries", "package", "3"],
            ["peak", "graduated", "9"],
            ["exports", "volume", "4.4"],
        ];
        assert_eq!(lines(&full), expected.map(|line| line.map(str::to_owned)));
        // 117.405
        assert_eq!(
            (&full["monthly"], &full["unpriced"], &full["not_expected"]),
            (&json!("117.40"), &json!([]), &json!([]))
        );
        assert_eq!(estimate(&shop, json!({"offering": "queue", "plan": "one"})).await["monthly"], "0.00");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_are_those_of_the_tenants_month() {
    on_each(async |on| {
        let shop = Shop::on(on).await;
        shop.call("POST", "/price-books", book(PAST, "1")).await.is(201);
        let tenant = json!({"display_name": "Berlin", "time_zone": "Europe/Berlin"});
        shop.call("PUT", "/tenants/berlin", tenant).await.is(201);
        // To the middle of a September: the next month is one in which Berlin's clocks are put back.
        let now: jiff::Timestamp = shop.in_days(0).parse().expect("a time");
        let then = jiff::civil::date(
            i16::try_from(now.strftime("%Y").to_string().parse::<i32>().expect("a year") + 1).expect("a year"),
            9,
            15,
        );
        let then = then.to_zoned(jiff::tz::TimeZone::UTC).expect("a time").timestamp();
        let ahead = std::time::Duration::try_from(then - now).expect("later");
        shop.bare.clock.advance(ahead);
        let amount = async |tenant: Value| {
            let estimate = estimate(&shop, json!({"offering": "db", "plan": "large", "tenant": tenant})).await;
            assert!(estimate["month"].as_str().is_some_and(|month| month.ends_with("-10")), "{estimate}");
            estimate["monthly"].clone()
        };
        assert_eq!(amount(json!("berlin")).await, "372.50", "745 hours at 0.5");
        assert_eq!(amount(json!("retail")).await, "372.00", "744 hours at 0.5");
        assert_eq!(amount(Value::Null).await, "372.00");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_mean_nothing_are_refused_with_what_was_probably_meant() {
    on_each(async |on| {
        let shop = Shop::on(on).await;
        let refused = async |body: Value, pointer: &str, hint: &str| {
            let problem = shop.call("POST", "/estimates", body).await.refuses(422, "invalid");
            let error = &problem["errors"][0];
            assert_eq!(error["pointer"], pointer, "{problem}");
            assert!(error["detail"].as_str().is_some_and(|detail| detail.contains(hint)), "{problem}");
        };
        refused(json!({"offering": "dbx", "plan": "small"}), "/offering", "did you mean `db`?").await;
        refused(json!({"offering": "mainframe", "plan": "small"}), "/offering", "there is no offering `mainframe`")
            .await;
        refused(json!({"offering": "db", "plan": "smal"}), "/plan", "did you mean `small`?").await;
        refused(json!({"offering": "db", "plan": "small", "tenant": "nobody"}), "/tenant", "nobody").await;
        let used = |usage: Value| json!({"offering": "db", "plan": "small", "expected_usage": usage});
        refused(used(json!({"storag": "1"})), "/expected_usage/storag", "did you mean `storage`?").await;
        refused(used(json!({"storage": "-1"})), "/expected_usage/storage", "negative").await;
        refused(used(json!({"storage": 1})), "/expected_usage/storage", "").await;
        refused(used(json!({"instance": "1"})), "/expected_usage/instance", "measured by Bourse").await;
        refused(
            json!({"offering": "queue", "plan": "one", "expected_usage": {"storage": "1"}}),
            "/expected_usage/storage",
            "no meter",
        )
        .await;
    })
    .await;
}
