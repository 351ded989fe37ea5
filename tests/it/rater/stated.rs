//! The hub's statements against the reference rater: the same facts at random, written into the database, asked for over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use bourse::clock::Time;
use bourse::domain::decimal::{plain, rounded};
use bourse::store::db::column;
use bourse::store::{Error, versions};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRng, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};

use super::worlds::{World, worlds};
use super::{Facts, Fraction, lines};
use crate::support::bare::on_each;
use crate::support::ledger::{DAY, Ledger};

/// Worlds on each database.
const WORLDS: usize = 8;

/// Offering, plan, meter, book and rule, as a statement tells them; quantity and amount as it rounds them.
type Lines = BTreeMap<[String; 5], [String; 2]>;

/// What no broker could have reported is left out, and everything is over.
fn drawn(runner: &mut TestRunner) -> World {
    let mut world = worlds().new_tree(runner).expect("a world").current();
    world.facts.events.retain(|event| event.quantity.as_ref().is_none_or(|quantity| !quantity.starts_with('-')));
    world
}

async fn write(ledger: &Ledger, instance: &str, facts: &Facts) {
    let (instance, facts) = (instance.to_owned(), facts.clone());
    let done = ledger.hub.db.write::<_, Error, _>(move |tx| {
        let (instance, facts) = (instance.clone(), facts.clone());
        Box::pin(async move {
            let owner = "select i.tenant_id, i.broker_id, i.offering_id, i.plan_id, i.platform_id, t.document \
                from instances i join tenants t on t.id = i.tenant_id where i.id = $1";
            let owner = tx.fetch_optional(sqlx::query(owner).bind(instance.clone())).await?.expect("an instance");
            let text = |name: &'static str| column::<String>(&owner, name);
            let (tenant, broker, said) = (text("tenant_id")?, text("broker_id")?, text("document")?);
            tx.execute(sqlx::query("delete from spans where instance_id = $1").bind(instance.clone())).await?;
            for (number, span) in facts.spans.iter().enumerate() {
                let sql = "insert into spans (id, instance_id, broker_id, offering_id, plan_id, platform_id, offering, plan, \
                    tenant_id, tenant, setup, started_at, ended_at, opened_by, closed_at) \
                    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, '{}', $10, $11, $12, $1, $12)";
                let sql = sqlx::query(sql).bind(format!("s{number}")).bind(instance.clone()).bind(broker.clone());
                let sql = sql.bind(text("offering_id")?).bind(text("plan_id")?).bind(text("platform_id")?);
                let sql = sql.bind(span.offering.clone()).bind(span.plan.clone()).bind(tenant.clone());
                tx.execute(sql.bind(i64::from(span.setup)).bind(span.from).bind(span.until)).await?;
            }
            tx.execute(sqlx::query("delete from tenant_versions where tenant_id = $1").bind(tenant.clone())).await?;
            for (since, zone) in &facts.zones {
                let mut document: Value = serde_json::from_str(&said).expect("a document");
                document["time_zone"] = json!(zone);
                let sql = "insert into tenant_versions (tenant_id, since, document) values ($1, $2, $3)";
                let sql = sqlx::query(sql).bind(tenant.clone()).bind((*since).max(0)).bind(document.to_string());
                tx.execute(sql).await?;
            }
            for book in &facts.books {
                let from: Time = serde_json::from_value(book.document["effective_from"].clone()).expect("a time");
                let sql = "insert into price_books (id, currency, effective_from, document, created_at, created_by) \
                    values ($1, 'EUR', $2, $3, $4, 'test')";
                let sql = sqlx::query(sql).bind(book.id.clone()).bind(from.0).bind(book.document.to_string());
                tx.execute(sql.bind(book.made)).await?;
            }
            versions::bump(tx, versions::PRICES).await?;
            for source in 1..3_i64 {
                let sql = "insert into usage_sources (broker_id, source) values ($1, $2)";
                tx.execute(sqlx::query(sql).bind(broker.clone()).bind(source.to_string())).await?;
            }
            for meter in &facts.meters {
                let sql = "insert into usage_series (instance_id, meter, kind, aggregation, unit, unique_by) \
                    values ($1, $2, $3, $4, 'u', $5)";
                let unique_by = if meter.aggregation == "unique" { "who" } else { "" };
                let sql = sqlx::query(sql).bind(instance.clone()).bind(meter.key).bind(meter.kind);
                tx.execute(sql.bind(meter.aggregation).bind(unique_by)).await?;
            }
            for event in &facts.events {
                let sql = "insert into usage_events (source_id, event_id, content, series_id, at, quantity, reset_id, dimensions, \
                    corrects, recorded_at) select u.id, $1, i.attributes, s.id, $4, $5, $6, $7, $8, $4 from usage_sources u, \
                    usage_series s, instances i where u.source = $2 and s.meter = $3 and i.id = s.instance_id \
                    on conflict (source_id, event_id) do nothing";
                let at = event.window.filter(|_| event.corrects.is_none()).unwrap_or(event.time);
                let dimensions = event.value.as_ref().map(|value| json!({"who": value}).to_string());
                let sql = sqlx::query(sql).bind(event.id.clone()).bind(event.source.to_string());
                let sql = sql.bind(event.meter.clone()).bind(at).bind(event.quantity.clone());
                tx.execute(sql.bind(event.reset_id.clone()).bind(dimensions).bind(event.corrects.clone())).await?;
            }
            Ok(())
        })
    });
    done.await.expect("not written");
}

/// What the reference says, added up and rounded as a statement's lines are.
fn expected(facts: &Facts, month: &str, now: Time) -> Lines {
    let mut sums = BTreeMap::<[String; 5], (Fraction, Fraction)>::new();
    for line in lines(facts, month, now.0, &[]) {
        let span = &facts.spans[line.span];
        let price = line.price.map(|(book, rule)| (&facts.books[book], rule));
        let [book, rule] = price.map_or([String::new(), String::new()], |(book, rule)| {
            [book.id.clone(), sorted(&book.document["rules"][rule])]
        });
        let key = [span.offering.clone(), span.plan.clone(), line.meter, book, rule];
        let sum = sums.entry(key).or_default();
        sum.0 += line.quantity;
        sum.1 += line.amount;
    }
    let rounded = |(quantity, amount): (Fraction, Fraction)| [plain(&quantity), rounded(&amount, 2)];
    let lines = sums.into_iter().map(|(key, sum)| (key, rounded(sum)));
    lines.filter(|(_, sum)| sum[0] != "0" || sum[1] != "0.00").collect()
}

/// A rule whose fields come in the order of their names.
fn sorted(rule: &Value) -> String {
    let fields: BTreeMap<_, _> = rule.as_object().expect("a rule").iter().collect();
    json!(fields).to_string()
}

fn told(statement: &Value) -> Lines {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = Lines::new();
    for (list, priced) in [("lines", true), ("unpriced", false)] {
        for line in statement[list].as_array().expect("a list") {
            let rule = if priced { sorted(&line["price"]["rule"]) } else { String::new() };
            let key = [
                text(&line["offering"]),
                text(&line["plan"]),
                text(&line["meter"]),
                text(&line["price"]["book"]),
                rule,
            ];
            let amount = if priced { text(&line["amount"]) } else { "0.00".to_owned() };
            assert_eq!(lines.insert(key, [text(&line["quantity"]), amount]), None, "one line for each: {line}");
        }
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_say_what_the_reference_rater_says_to_the_last_digit() {
    on_each(async |on| {
        let config = Config { failure_persistence: None, rng_seed: RngSeed::Fixed(5), ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let mut said = 0;
        for _ in 0..WORLDS {
            let world = drawn(&mut runner);
            // Nothing is closed: what is compared is what all facts say.
            let ledger = Ledger::with(on, |config| config.billing.grace = Duration::from_secs(400 * 86_400)).await;
            let instance = ledger.instance("retail", "one", Time(0)).await;
            write(&ledger, &instance, &world.facts).await;
            let after = ledger.day(world.month.parse().expect("a month"), 1).plus(DAY * 60);
            if after > ledger.world.clock.now() {
                ledger.go_to(after);
            }
            let now = ledger.world.clock.now();
            let path = format!("/api/v1/statements?tenant=retail&period={}", world.month);
            let reply = ledger.hub.admin(Method::GET, &path, None).await;
            let expected = expected(&world.facts, world.month, now);
            if reply.status == 404 {
                assert!(expected.is_empty(), "{expected:?}");
            } else {
                assert_eq!(reply.status, 200, "{reply:?}");
                assert_eq!(told(&reply.body), expected, "{world:#?}");
            }
            said += expected.len();
            ledger.hub.stop().await;
        }
        assert!(said > 3 * WORLDS, "most worlds say something: {said}");
    })
    .await;
}
