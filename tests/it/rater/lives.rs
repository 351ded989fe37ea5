//! Whole lives against the reference rater: instances ordered, changed and deleted, usage that comes late and is corrected, prices
//! that reach back, a tenant that moves to another time zone, months that are closed, all by drawn lots, over HTTP, while the
//! hub's database dies under it again and again. Whatever happened, its statements together say what the reference says.
//!
//! What is drawn is the same in each run; at which write a hub dies depends on what its workers do at that moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bourse::clock::Time;
use bourse::domain::decimal::plain;
use bourse::store::Error;
use bourse::store::db::column;
use bourse::store::fuse::Fuse;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRng, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};

use super::worlds::rule;
use super::{Book, Event, Facts, Fraction, Instant, Metered, Stood, lines, number};
use crate::support::bare::{On, on_each};
use crate::support::hub::BOUND;
use crate::support::wait::wait_for;
use crate::usage::desk::{Desk, event};

/// Lives on each database, and what happens in one.
const LIVES: u64 = 3;
const STEPS: usize = 45;
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
const PLANS: [&str; 3] = ["basic", "large", "plain"];
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata"];
/// What the plans of the desk declare; with the units.
const METERS: [(Metered, &str, &str); 5] = [
    (Metered { key: "gb", kind: "gauge", aggregation: "time_weighted" }, "basic", "GB"),
    (Metered { key: "requests", kind: "delta", aggregation: "sum" }, "basic", "request"),
    (Metered { key: "cpu", kind: "counter", aggregation: "sum" }, "basic", "s"),
    (Metered { key: "users", kind: "delta", aggregation: "unique" }, "basic", "user"),
    (Metered { key: "tb", kind: "gauge", aggregation: "max" }, "large", "TB"),
];

/// Draws lots.
struct Dice(TestRunner);

impl Dice {
    fn new(seed: u64) -> Self {
        let config = Config { failure_persistence: None, rng_seed: RngSeed::Fixed(seed), ..Config::default() };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)))
    }

    /// One of `0..n`.
    fn below(&mut self, n: i64) -> i64 {
        (0..n).new_tree(&mut self.0).expect("a number").current()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(i64::try_from(of.len()).unwrap())).unwrap()]
    }
}

/// A change of what stands, and between which instants it came about: the plan from then on, if any.
struct Change {
    not_before: Instant,
    not_after: Instant,
    plan: Option<&'static str>,
}

struct Life {
    desk: Desk,
    fuse: Fuse,
    dice: Dice,
    deaths: usize,
    /// The plan that stands, and Bourse's id of the instance.
    stands: Option<(&'static str, String)>,
    changes: Vec<Change>,
    /// What was acknowledged, by instance.
    events: BTreeMap<String, Vec<Event>>,
    sent: usize,
}

impl Life {
    async fn begin(on: On, seed: u64) -> Self {
        let mut desk = Desk::new(on).await;
        let fuse = Fuse::new(false);
        let hub = desk.world.hub_with_fuse(fuse.clone()).await;
        std::mem::replace(&mut desk.hub, hub).stop().await;
        let dice = Dice::new(seed);
        Self { desk, fuse, dice, deaths: 0, stands: None, changes: Vec::new(), events: BTreeMap::new(), sent: 0 }
    }

    fn now(&self) -> Time {
        self.desk.world.clock.now()
    }

    /// Does something that may be done twice, until it is done; now and then the hub dies meanwhile and another takes over.
    async fn survives<T>(&mut self, action: impl AsyncFn(&Desk) -> Option<T>) -> T {
        if self.dice.below(3) == 0 {
            let number = self.dice.below(5) + 1;
            self.fuse.arm(u64::try_from(number).unwrap());
        }
        loop {
            let tried = tokio::time::timeout(BOUND, action(&self.desk));
            let done = tokio::select! {
                done = tried => done.ok().flatten(),
                () = blown(&self.fuse) => None,
            };
            if self.fuse.has_blown() {
                self.dies().await;
            } else {
                self.fuse.arm(u64::MAX);
                return done.expect("it is not done, and nobody died");
            }
        }
    }

    async fn dies(&mut self) {
        self.deaths += 1;
        self.desk.world.bury_the_dead().await;
        self.fuse = Fuse::new(self.dice.below(2) == 0);
        let hub = self.desk.world.hub_with_fuse(self.fuse.clone()).await;
        std::mem::replace(&mut self.desk.hub, hub).abandon().await;
    }

    async fn step(&mut self) {
        let hours = self.dice.one(&[0, 1, 5, 30, 100]);
        self.desk.world.clock.advance(Duration::from_secs(hours * 3600 + 1));
        match self.dice.below(12) {
            0 if self.stands.is_some() => self.delete().await,
            0..3 => {
                let plan = self.dice.one(&PLANS);
                self.order(plan).await;
            }
            3 => self.book().await,
            4 => self.moves().await,
            5 => self.close().await,
            _ => self.report().await,
        }
    }

    async fn order(&mut self, plan: &'static str) {
        let not_before = self.now().0;
        let id = self
            .survives(async |desk| {
                let body = json!({"offering": "metered", "plan": plan});
                let path = "/api/v1/tenants/retail/instances/one";
                let id = wait_for("the order to be carried out", BOUND, async || {
                    let reply = desk.hub.admin(Method::PUT, path, Some(body.clone())).await;
                    let ready = reply.body["state"] == "ready" && reply.body["plan"] == plan;
                    (matches!(reply.status, 200 | 201) && ready).then(|| reply.body["id"].as_str().map(str::to_owned))
                });
                id.await
            })
            .await;
        if self.stands.as_ref().is_none_or(|(stood, _)| *stood != plan) {
            self.changes.push(Change { not_before, not_after: self.now().0, plan: Some(plan) });
        }
        self.stands = Some((plan, id));
    }

    async fn delete(&mut self) {
        let not_before = self.now().0;
        self.survives(async |desk| {
            let path = "/api/v1/tenants/retail/instances/one";
            wait_for("the instance to be gone", BOUND, async || {
                let status = desk.hub.admin(Method::DELETE, path, None).await.status;
                matches!(status, 204 | 404).then_some(())
            })
            .await;
            Some(())
        })
        .await;
        self.changes.push(Change { not_before, not_after: self.now().0, plan: None });
        self.stands = None;
    }

    /// A batch of readings and corrections, many of them late.
    async fn report(&mut self) {
        let instances: Vec<String> = self.stands.iter().map(|(_, id)| id).chain(self.events.keys()).cloned().collect();
        let Some(instance) = instances.first().cloned() else { return };
        let batch: Vec<(Event, Value)> = (0..=self.dice.below(6)).map(|_| self.reading(&instance)).collect();
        let documents: Vec<Value> = batch.iter().map(|(_, document)| document.clone()).collect();
        let statuses = self
            .survives(async |desk| {
                let reply = desk.post(&desk.hub, &json!(documents)).await;
                let results = reply.body["results"].as_array().filter(|_| reply.status == 200)?;
                Some(results.iter().map(|result| result["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
            })
            .await;
        for ((event, document), status) in batch.into_iter().zip(statuses) {
            match status.as_str() {
                "accepted" | "duplicate" => self.events.entry(instance.clone()).or_default().push(event),
                "rejected" => {}
                other => panic!("{other}: {document}"),
            }
        }
    }

    fn reading(&mut self, instance: &str) -> (Event, Value) {
        self.sent += 1;
        let late = self.dice.one(&[0, 0, HOUR, 30 * HOUR, 12 * DAY, 40 * DAY]);
        // Whole seconds, as in the text.
        let time = (self.now().0 - late - self.dice.below(HOUR)) / 1_000_000 * 1_000_000;
        let (id, quantity) = (format!("e{:03}", self.sent * 37 % 997), self.dice.below(5000));
        let quantity = format!("{}.{}", quantity / 10, quantity % 10);
        let to_correct: Vec<String> = self
            .events
            .get(instance)
            .into_iter()
            .flatten()
            .filter(|event| event.meter == "requests" && event.corrects.is_none())
            .map(|event| event.id.clone())
            .collect();
        if self.dice.below(5) == 0 && !to_correct.is_empty() {
            let corrects =
                to_correct[usize::try_from(self.dice.below(i64::try_from(to_correct.len()).unwrap())).unwrap()].clone();
            let quantity = Some(quantity).filter(|_| self.dice.below(3) > 0);
            let data = json!({"instance_id": instance, "meter": "requests", "unit": "request", "quantity": quantity,
                "corrects": corrects});
            let document = event("correction", &id, &Time(time).to_string(), data);
            let event = Event {
                meter: "requests".to_owned(),
                source: 1,
                id,
                time,
                window: None,
                quantity,
                reset_id: None,
                value: None,
                corrects: Some(corrects),
            };
            return (event, document);
        }
        let (meter, _, unit) = &METERS[usize::try_from(self.dice.below(5)).unwrap()];
        let mut data = json!({"instance_id": instance, "meter": meter.key, "quantity": quantity, "unit": unit});
        let window = Some(time - self.dice.below(2 * DAY) / 1_000_000 * 1_000_000).filter(|_| meter.kind == "delta");
        let window = window.filter(|start| *start < time && self.dice.below(2) == 0);
        if let Some(start) = window {
            data["window"] = json!({"start": Time(start), "end": Time(time)});
        }
        let reset_id = Some(self.dice.one(&["a", "b"]).to_owned()).filter(|_| meter.kind == "counter");
        if let Some(run) = &reset_id {
            data["reset_id"] = json!(run);
        }
        let value = Some(self.dice.one(&["ann", "bob", "cy"]).to_owned()).filter(|_| meter.aggregation == "unique");
        if let Some(user) = &value {
            data["dimensions"] = json!({"user": user});
        }
        let document = event(meter.kind, &id, &Time(time).to_string(), data);
        let event = Event {
            meter: meter.key.to_owned(),
            source: 1,
            id,
            time,
            window,
            quantity: Some(quantity),
            reset_id,
            value,
            corrects: None,
        };
        (event, document)
    }

    /// Prices from some day on, be it to come or long ago.
    async fn book(&mut self) {
        let shift = (self.dice.below(50) - 40) * DAY;
        let from = Time((self.now().0 + shift) / 1_000_000 * 1_000_000).to_string();
        let mut rules: Vec<Value> = Vec::new();
        for key in ["instance", "setup", "gb", "requests", "cpu", "users", "tb"] {
            let plan = self.dice.one(&[None, None, Some("basic"), Some("large")]);
            let dice = u16::try_from(self.dice.below(i64::from(u16::MAX))).unwrap();
            if dice % 5 > 0 {
                let mut rule = rule(plan, key, dice);
                rule["offering"] = json!("metered");
                rules.push(rule);
            }
        }
        let body = json!({"currency": "EUR", "effective_from": from, "rules": rules});
        self.survives(async |desk| {
            let listed = desk.hub.admin(Method::GET, "/api/v1/price-books?limit=1000", None).await;
            let listed = listed.body["items"].as_array()?.clone();
            if listed.iter().any(|book| book["effective_from"] == body["effective_from"]) {
                return Some(());
            }
            let reply = desk.hub.admin(Method::POST, "/api/v1/price-books", Some(body.clone())).await;
            assert!(reply.status == 201 || reply.status >= 500, "{reply:?}");
            (reply.status == 201).then_some(())
        })
        .await;
    }

    async fn moves(&mut self) {
        let zone = self.dice.one(&ZONES);
        self.survives(async |desk| {
            let body = json!({"display_name": "Retail", "time_zone": zone});
            let reply = desk.hub.admin(Method::PUT, "/api/v1/tenants/retail", Some(body)).await;
            (reply.status == 200).then_some(())
        })
        .await;
    }

    async fn close(&mut self) {
        self.survives(async |desk| {
            while desk.hub.app.close_due().await.ok()? > 0 {}
            Some(())
        })
        .await;
    }
}

async fn blown(fuse: &Fuse) {
    wait_for("ever", Duration::from_secs(3600), async || fuse.has_blown().then_some(())).await;
}

/// What lies in the database, as the reference wants it: each instance with its spans, and what was acknowledged of it.
async fn facts(life: &Life) -> BTreeMap<String, Facts> {
    let read = life.desk.hub.db.read::<_, Error, _>(|tx| {
        Box::pin(async move {
            let mut spans = BTreeMap::<String, Vec<Stood>>::new();
            let sql =
                "select instance_id, offering, plan, setup, started_at, ended_at from spans order by started_at, id";
            for row in &tx.fetch_all(sqlx::query(sql)).await? {
                let stood = Stood {
                    offering: column(row, "offering")?,
                    plan: column(row, "plan")?,
                    from: column(row, "started_at")?,
                    until: column(row, "ended_at")?,
                    setup: column::<i64>(row, "setup")? != 0,
                };
                spans.entry(column(row, "instance_id")?).or_default().push(stood);
            }
            let mut books = Vec::new();
            let sql = "select id, document, created_at from price_books order by created_at, id";
            for row in &tx.fetch_all(sqlx::query(sql)).await? {
                let document = serde_json::from_str(&column::<String>(row, "document")?).expect("a document");
                books.push(Book { id: column(row, "id")?, made: column(row, "created_at")?, document });
            }
            let (mut zones, mut tenant) = (Vec::new(), Vec::new());
            for row in &tx.fetch_all(sqlx::query("select since, document from tenant_versions order by since")).await? {
                let (since, said) = (column::<i64>(row, "since")?, column::<String>(row, "document")?);
                let said: Value = serde_json::from_str(&said).expect("a document");
                zones.push((since, said["time_zone"].as_str().expect("a zone").to_owned()));
                tenant.push(since);
            }
            Ok((spans, books, zones, tenant))
        })
    });
    let (spans, books, zones, tenant) = read.await.expect("not read");
    let of = |(id, spans): (String, Vec<Stood>)| {
        let events = life.events.get(&id).cloned().unwrap_or_default();
        let meters = METERS.iter().map(|(meter, ..)| meter.clone()).collect();
        let (books, zones, tenant) = (books.clone(), zones.clone(), tenant.clone());
        (id, Facts { spans, meters, events, books, zones, tenant })
    };
    spans.into_iter().map(of).collect()
}

/// Each change of what stands is an edge between spans, and there is no other: no second of a ready instance is in none, or in two.
fn covers(life: &Life, facts: &BTreeMap<String, Facts>) {
    let mut edges: Vec<(Instant, Option<&str>)> = Vec::new();
    let mut spans: Vec<&Stood> = facts.values().flat_map(|facts| &facts.spans).collect();
    spans.sort_by_key(|span| (span.from, span.until.unwrap_or(Instant::MAX)));
    for span in spans {
        match edges.last() {
            Some((end, None)) if *end == span.from => _ = edges.pop(),
            Some((end, None)) => assert!(*end < span.from, "two spans at once"),
            Some((_, Some(_))) => panic!("two spans at once"),
            None => {}
        }
        edges.push((span.from, Some(&span.plan)));
        edges.extend(span.until.map(|until| (until, None)));
    }
    assert_eq!(edges.len(), life.changes.len(), "{edges:?}");
    for ((at, plan), change) in edges.iter().zip(&life.changes) {
        assert_eq!(*plan, change.plan);
        assert!((change.not_before..=change.not_after).contains(at), "{at}: {plan:?}");
    }
}

/// Month, instance, offering, plan, meter, book and rule: quantity and amount.
type Sums = BTreeMap<[String; 7], (Fraction, Fraction)>;

fn add(sums: &mut Sums, key: [String; 7], quantity: Fraction, amount: Fraction) {
    let sum = sums.entry(key).or_default();
    sum.0 += quantity;
    sum.1 += amount;
}

/// A rule whose fields come in the order of their names.
fn sorted(rule: &Value) -> String {
    json!(rule.as_object().expect("a rule").iter().collect::<BTreeMap<_, _>>()).to_string()
}

fn expected(facts: &BTreeMap<String, Facts>, month: &str, known: Instant) -> Sums {
    let mut sums = Sums::new();
    for (instance, facts) in facts {
        let mut own = Sums::new();
        for line in lines(facts, month, known, &[]) {
            let span = &facts.spans[line.span];
            let [book, rule] = line.price.map_or([String::new(), String::new()], |(book, rule)| {
                let book = &facts.books[book];
                [book.id.clone(), sorted(&book.document["rules"][rule])]
            });
            let [offering, plan] = [span.offering.clone(), span.plan.clone()];
            let key = [month.to_owned(), instance.clone(), offering, plan, line.meter, book, rule];
            add(&mut own, key, line.quantity, line.amount);
        }
        for (key, (quantity, amount)) in own {
            let amount = bourse::domain::decimal::rounded(&amount, 2);
            add(&mut sums, key, quantity, number(&amount));
        }
    }
    sums
}

/// What a statement adds to what was stated of each month.
fn stated(statement: &Value, month: &str, sums: &mut Sums) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for (list, priced) in [("lines", true), ("unpriced", false)] {
        for line in statement[list].as_array().expect("a list") {
            let rule = if priced { sorted(&line["price"]["rule"]) } else { String::new() };
            let of = line["corrects"].as_str().unwrap_or(month).to_owned();
            let [instance, offering, plan] = ["instance_id", "offering", "plan"].map(|field| text(&line[field]));
            let key = [of, instance, offering, plan, text(&line["meter"]), text(&line["price"]["book"]), rule];
            let amount = if priced { number(&text(&line["amount"])) } else { Fraction::default() };
            add(sums, key, number(&text(&line["quantity"])), amount);
        }
    }
}

/// As text, without what comes to nothing.
fn told(sums: Sums) -> BTreeMap<[String; 7], [String; 2]> {
    let plain = sums.into_iter().map(|(key, (quantity, amount))| (key, [plain(&quantity), plain(&amount)]));
    plain.filter(|(_, sum)| sum != &["0".to_owned(), "0".to_owned()]).collect()
}

/// How many lines there were to compare, and how many of them were closed.
async fn compare(life: &Life, first: Time) -> (usize, usize) {
    let facts = facts(life).await;
    covers(life, &facts);
    let (mut all, mut should, mut closed) = (Sums::new(), Sums::new(), 0);
    let zone = bourse::domain::period::Zone::utc();
    let mut month = bourse::domain::period::Month::of(first, &zone).previous();
    let last = bourse::domain::period::Month::of(life.now(), &zone).next();
    while month <= last {
        let path = format!("/api/v1/statements?tenant=retail&period={month}");
        let reply = life.desk.hub.admin(Method::GET, &path, None).await;
        if reply.status == 200 {
            let known: Time = serde_json::from_value(reply.body["known_at"].clone()).expect("a time");
            let is_closed = reply.body["state"] == "closed";
            let known = if is_closed { life.now() } else { known };
            stated(&reply.body, &month.to_string(), &mut all);
            should.append(&mut expected(&facts, &month.to_string(), known.0));
            if is_closed {
                closed += 1;
                let again = life.desk.hub.app.restate("retail", month).await.expect("not restated");
                assert_eq!(again.digest, again.restated_digest, "{month}");
            }
        } else {
            // It has not begun, or nothing stood in it.
            assert!(matches!(reply.status, 404 | 422), "{reply:?}");
        }
        month = month.next();
    }
    let (all, should) = (told(all), told(should));
    let keys: BTreeSet<_> = all.keys().chain(should.keys()).collect();
    for key in keys {
        assert_eq!(all.get(key), should.get(key), "{key:?}");
    }
    (should.len(), closed)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happened_and_however_often_the_hub_died_its_statements_say_what_the_reference_rater_says() {
    on_each(async |on| {
        let (mut lines, mut closed, mut deaths) = (0, 0, 0);
        for seed in 0..LIVES {
            let mut life = Life::begin(on, seed).await;
            let first = life.now();
            life.order("basic").await;
            life.book().await;
            for _ in 0..STEPS {
                life.step().await;
            }
            let (compared, stated) = compare(&life, first).await;
            lines += compared;
            closed += stated;
            deaths += life.deaths;
            life.desk.stop().await;
        }
        assert!(lines > 60 && closed > 3 && deaths > 8, "{lines} lines, {closed} closed months, {deaths} deaths");
    })
    .await;
}
