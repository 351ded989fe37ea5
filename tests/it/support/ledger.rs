//! A hub whose past a test writes itself: instances that stood from and until when the test says, readings that were recorded when it says,
//! and a clock that goes where it is sent. What comes out is asked for over HTTP.

use std::time::Duration;

use bourse::clock::Time;
use bourse::config::Config;
use bourse::domain::period::{Month, Zone};
use bourse::store::db::column;
use reqwest::Method;
use serde_json::{Value, json};

use super::bare::On;
use super::hub::{CLIENT, Hub, World};

/// An hour, a day.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) struct Ledger {
    pub(crate) world: World,
    pub(crate) hub: Hub,
    /// The first month that is wholly to come when a test begins.
    pub(crate) month: Month,
}

/// A reading as a test writes it.
#[derive(Clone, Debug)]
pub(crate) struct Read<'a> {
    pub(crate) instance: &'a str,
    pub(crate) meter: &'a str,
    /// `delta`, `gauge` or `counter`, and how they add up.
    pub(crate) kind: (&'a str, &'a str),
    pub(crate) id: &'a str,
    pub(crate) at: Time,
    pub(crate) quantity: &'a str,
    pub(crate) recorded_at: Time,
}

impl Ledger {
    pub(crate) async fn new(on: On) -> Self {
        Self::with(on, |_| {}).await
    }

    pub(crate) async fn with(on: On, change: impl FnOnce(&mut Config)) -> Self {
        let world = World::new(on, change).await;
        let hub = world.hub().await;
        world.furnish(&hub).await;
        let month = Month::of(world.clock.now(), &Zone::utc()).next();
        Self { world, hub, month }
    }

    /// That day's beginning of a month, in UTC; the first is day 1.
    pub(crate) fn day(&self, month: Month, day: u32) -> Time {
        month.start(&Zone::utc()).plus(DAY * (day - 1))
    }

    /// Puts the clock there.
    pub(crate) fn go_to(&self, time: Time) {
        let now = self.world.clock.now();
        assert!(time > now, "a clock only goes on: {now} {time}");
        self.world.clock.advance(time.since(now));
    }

    /// Closes what is due, until nothing is.
    pub(crate) async fn close(&self) {
        while self.hub.app.close_due().await.expect("could not close") > 0 {}
    }

    /// Says of a tenant from now on.
    pub(crate) async fn tenant(&self, name: &str, document: Value) {
        let mut body = json!({"display_name": name});
        body.as_object_mut().expect("an object").extend(document.as_object().expect("an object").clone());
        let reply = self.hub.admin(Method::PUT, &format!("/api/v1/tenants/{name}"), Some(body)).await;
        assert!(matches!(reply.status, 200 | 201), "{reply:?}");
    }

    /// Adds a book of prices for the offering `faults`, which counts from the beginning of all.
    pub(crate) async fn book(&self, rules: Value) -> String {
        self.book_from(Time(0), rules).await
    }

    /// The same from a time on.
    pub(crate) async fn book_from(&self, from: Time, rules: Value) -> String {
        let mut rules = rules;
        for rule in rules.as_array_mut().expect("rules") {
            rule.as_object_mut().expect("a rule").insert("offering".to_owned(), json!("faults"));
        }
        let body = json!({"currency": "EUR", "effective_from": from, "rules": rules});
        let reply = self.hub.admin(Method::POST, "/api/v1/price-books", Some(body)).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.body["id"].as_str().expect("an id").to_owned()
    }

    /// An instance of the plan `ok` that is ready from a time on.
    pub(crate) async fn instance(&self, tenant: &str, name: &str, from: Time) -> String {
        let path = format!("/api/v1/tenants/{tenant}/instances/{name}");
        let reply = self.hub.admin(Method::PUT, &path, Some(json!({"offering": "faults", "plan": "ok"}))).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let id = reply.body["id"].as_str().expect("an id").to_owned();
        self.execute("update spans set started_at = $2 where instance_id = $1", (&id, from.0, 0)).await;
        id
    }

    /// The instance was deleted at a time, which became known at another.
    pub(crate) async fn ends(&self, instance: &str, at: Time, known_at: Time) {
        let sql = "update spans set ended_at = $2, closed_at = $3, closed_by = 'test' where instance_id = $1";
        self.execute(sql, (instance, at.0, known_at.0)).await;
    }

    pub(crate) async fn execute(&self, sql: &'static str, (text, one, other): (&str, i64, i64)) {
        let text = text.to_owned();
        let done = self.hub.db.write(move |tx| {
            let mut query = sqlx::query(sql).bind(text.clone()).bind(one);
            if sql.contains("$3") {
                query = query.bind(other);
            }
            Box::pin(async move { tx.execute(query).await })
        });
        assert!(done.await.expect("not written") > 0, "{sql}");
    }

    /// Writes a reading down as the hub does. One that is there already stays as it is.
    pub(crate) async fn read(&self, reading: Read<'_>) {
        self.read_of(reading, None).await;
    }

    /// The same of a counter with a `reset_id`.
    pub(crate) async fn read_of(&self, reading: Read<'_>, run: Option<&'static str>) {
        let Read { instance, meter, kind: (kind, aggregation), id, at, quantity, recorded_at } = reading;
        let texts = [instance, meter, kind, aggregation, id, quantity].map(str::to_owned);
        let done = self.hub.db.write(move |tx| {
            let [instance, meter, kind, aggregation, id, quantity] = texts.clone();
            Box::pin(async move {
                let source = "insert into usage_sources (broker_id, source) select broker_id, '/brokers/faults' from instances \
                    where id = $1 on conflict (broker_id, source) do nothing";
                tx.execute(sqlx::query(source).bind(instance.clone())).await?;
                let find = "select id from usage_series where instance_id = $1 and meter = $2 and kind = $3";
                let find = || sqlx::query(find).bind(instance.clone()).bind(meter.clone()).bind(kind.clone());
                if tx.fetch_optional(find()).await?.is_none() {
                    let series = "insert into usage_series (instance_id, meter, kind, aggregation, unit, unique_by) \
                        values ($1, $2, $3, $4, 'GB', '')";
                    let series = sqlx::query(series).bind(instance.clone()).bind(meter.clone());
                    tx.execute(series.bind(kind.clone()).bind(aggregation)).await?;
                }
                let series: i64 = column(&tx.fetch_optional(find()).await?.expect("a series"), "id")?;
                let event = "insert into usage_events (source_id, event_id, content, series_id, at, quantity, recorded_at, reset_id) \
                    select u.id, $2, i.attributes, $3, $4, $5, $6, $7 from instances i join usage_sources u on u.broker_id = i.broker_id \
                    where i.id = $1 on conflict (source_id, event_id) do nothing";
                let event = sqlx::query(event).bind(instance).bind(id).bind(series).bind(at.0);
                tx.execute(event.bind(quantity).bind(recorded_at.0).bind(run.map(str::to_owned))).await
            })
        });
        done.await.expect("not written");
    }

    /// A statement as JSON.
    pub(crate) async fn statement(&self, tenant: &str, month: Month) -> Value {
        let path = format!("/api/v1/statements?tenant={tenant}&period={month}");
        let reply = self.hub.admin(Method::GET, &path, None).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }

    /// A statement in any form: its bytes, its media type and what stands for them.
    pub(crate) async fn statement_as(&self, tenant: &str, month: Month, accept: &str) -> (String, String, String) {
        let url = format!("{}/api/v1/statements?tenant={tenant}&period={month}", self.hub.url);
        let request = CLIENT.get(url).basic_auth("admin", Some("pw")).header("accept", accept);
        let answer = request.send().await.expect("no answer");
        assert_eq!(answer.status().as_u16(), 200);
        let header = |name: &str| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let (kind, tag) = (header("content-type"), header("etag"));
        (answer.text().await.expect("no body"), kind, tag)
    }

    /// Costs.
    pub(crate) async fn costs(&self, query: &str) -> Value {
        let reply = self.hub.admin(Method::GET, &format!("/api/v1/costs?{query}"), None).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }
}

/// The lines of a statement as `(corrects, cost center, meter, quantity, amount)`.
pub(crate) fn lines(statement: &Value) -> Vec<[String; 5]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fields = ["corrects", "cost_center", "meter", "quantity", "amount"];
    let lines = statement["lines"].as_array().expect("lines");
    lines.iter().map(|line| fields.map(|field| text(&line[field]))).collect()
}
