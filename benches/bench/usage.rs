//! A month of usage: a thousand instances with four meters that are read each hour, brought by their broker over HTTP; then what
//! it costs, and the month's close. On either database, with the hub's settings as delivered.
//!
//! The month is the last one of the calendar. Instances are ordered over HTTP and made older in the database, and what arrives
//! is made an hour older before the close, since a statement counts what had arrived five minutes before. Invariant:
//! every event that was sent lies in the database afterwards, else the run fails.

use std::path::Path;
use std::time::{Duration, Instant};

use bourse::clock::{Clock, Time};
use bourse::domain::period::{Month, Zone};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use crate::broker::{Brokers, METERED};
use crate::http::Door;
use crate::hub::Hub;
use crate::load::{self, Request};
use crate::page::{Page, row};
use crate::process;
use crate::stand::{On, Stand};
use crate::stats::{Series, number, time};
use crate::{Outcome, Pace, say};

/// Key, kind and unit of the meters that the broker `metered` declares.
pub(crate) const METERS: [(&str, &str, &str); 4] = [
    ("storage", "gauge", "GB"),
    ("addresses", "gauge", "address"),
    ("requests", "delta", "request"),
    ("traffic", "counter", "MB"),
];
/// Events of a batch: as many as the hub takes.
const BATCH: usize = 1000;
/// Batches at once.
const BATCHES_AT_ONCE: usize = 4;
/// Single events at once.
const SINGLES_AT_ONCE: usize = 32;
/// What one PostgreSQL takes by Lago's own word.
const LAGO: f64 = 10_000.0;
/// How long the close may take altogether before the run fails.
const CLOSED_WITHIN: Duration = Duration::from_secs(600);
/// A close may not keep the month in memory: what it may add to the hub's peak.
const CLOSE_ADDS_MAX: f64 = 64.0;

/// A month of events.
struct Load {
    door: Door,
    instances: Vec<String>,
    from: Time,
    hours: usize,
}

impl Load {
    fn count(&self) -> usize {
        self.instances.len() * METERS.len() * self.hours
    }

    /// The event of a number; hour by hour, as brokers report.
    fn event(&self, index: usize) -> String {
        let (hour, rest) =
            (index / (self.instances.len() * METERS.len()), index % (self.instances.len() * METERS.len()));
        let (instance, (meter, kind, unit)) = (rest / METERS.len(), METERS[rest % METERS.len()]);
        let at = |hours: usize| self.from.plus(Duration::from_secs(3600 * hours as u64));
        let quantity = match kind {
            "counter" => (hour + 1) * (instance + 1),
            _ => (index * 7919) % 1000,
        };
        let window = match kind {
            "delta" => format!(r#","window":{{"start":"{}","end":"{}"}}"#, at(hour), at(hour + 1)),
            _ => String::new(),
        };
        format!(
            r#"{{"specversion":"1.0","id":"{id}/{meter}/{hour}","source":"/brokers/b-{METERED}","type":"io.bourse.usage.{kind}","time":"{time}","data":{{"instance_id":"{id}","meter":"{meter}","quantity":"{quantity}.25","unit":"{unit}"{window}}}}}"#,
            id = self.instances[instance],
            time = at(hour + usize::from(kind == "delta")),
        )
    }

    fn post(&self, kind: &str, body: &str) -> Request {
        let head = format!("Content-Length: {}\r\nContent-Type: application/{kind}+json\r\n", body.len());
        let mut bytes = self.door.request_with("POST", "/api/v1/usage", &head, None);
        bytes.extend_from_slice(body.as_bytes());
        Request { bytes, status: 200 }
    }

    fn single(&self, index: usize) -> Option<Request> {
        (index < self.count()).then(|| self.post("cloudevents", &self.event(index)))
    }

    /// A batch of those from `first` on.
    fn batch(&self, first: usize, batch: usize) -> Option<Request> {
        let from = first + batch * BATCH;
        let until = (from + BATCH).min(self.count());
        let events: Vec<String> = (from..until).map(|index| self.event(index)).collect();
        (from < until).then(|| self.post("cloudevents-batch", &format!("[{}]", events.join(","))))
    }
}

/// Runs it.
pub(crate) async fn run(top: &Path, brokers: &Brokers, pace: &Pace, page: &mut Page) -> Outcome<()> {
    page.heading("A month of usage");
    let mut sent = vec![row([
        "",
        "events",
        "one at a time, each durable",
        "p50",
        "p99",
        "in batches of 1,000",
        "p50",
        "p99",
        "bytes an event",
    ])];
    let mut asked = vec![row([
        "",
        "cost of one instance",
        "costs of all by plan",
        "month closed in",
        "hub's memory before",
        "and at its peak",
    ])];
    for on in On::BOTH {
        one(top, brokers, on, pace, page, [&mut sent, &mut asked]).await?;
    }
    page.text(format!(
        "{} instances with {} meters, read hourly for a month, sent by their broker over HTTP and acknowledged when they are committed: \
         {SINGLES_AT_ONCE} single events or {BATCHES_AT_ONCE} batches at once. The load runs on the same cores. Bytes are those that the database grew by, indexes included.",
        number(pace.metered as f64),
        METERS.len(),
    ));
    page.table(sent);
    page.text("Each asked three times, the median; the close rates everything and writes the statement:".into());
    page.table(asked);
    Ok(())
}

async fn one(
    top: &Path,
    brokers: &Brokers,
    on: On,
    pace: &Pace,
    page: &mut Page,
    [sent, asked]: [&mut Vec<Vec<String>>; 2],
) -> Outcome<()> {
    let stand = Stand::start(top, on, brokers, None).await?;
    let (mut place, hub) = (stand.place, stand.hub);
    let postgres = stand.postgres;
    let plans = hub.register(brokers, METERED).await?;
    let orders = crate::orders::Batch::new(&place.door(&hub)?, &plans, 70);
    for number in 0..pace.metered {
        orders.send(&orders.provision(number)).await?;
    }
    let pair = hub.manage("POST", &format!("/brokers/b-{METERED}/credentials"), None, 201).await?;
    hub.manage("POST", "/price-books", Some(prices()), 201).await?;
    let instances = instances(&hub).await?;
    hub.stop().await?;

    let utc = Zone::utc();
    let month = Month::of(Clock::system().now(), &utc).previous();
    let (from, until) = (month.start(&utc), month.next().start(&utc));
    for statement in [
        format!("update instances set created_at = {0}, ready_at = {0}", from.0),
        format!("update spans set started_at = {}", from.0),
    ] {
        execute(&place.database, &statement).await?;
    }
    let before = size(on, &place.database).await?;
    // Nothing is closed while it is sent.
    place.settings = vec![("BOURSE__BILLING__GRACE", "P300D".to_owned())];
    let (hub, _) = place.start().await?;
    let word = |name: &str| pair[name].as_str().ok_or("no credentials");
    let door = hub.door(word("username")?, word("password")?)?;
    let hours = usize::try_from(until.since(from).as_secs() / 3600)?;
    let load = Load { door, instances, from, hours };

    say(format!("{}: single events", on.name()));
    let singles =
        load::closed(load.door.address, SINGLES_AT_ONCE, pace.lasting * 2, &|index| load.single(index)).await?;
    say(format!("{}: {} events in batches", on.name(), number((load.count() - singles.count()) as f64)));
    let started = Instant::now();
    let first = singles.count();
    let batches =
        load::closed(load.door.address, BATCHES_AT_ONCE, Duration::from_secs(3600), &|batch| load.batch(first, batch))
            .await?;
    let rate = (load.count() - first) as f64 / started.elapsed().as_secs_f64();
    let ingesting = process::memory(hub.pid());

    say(format!("{}: costs", on.name()));
    let range = format!("from={from}&to={until}");
    let instance = three(&hub, &format!("/costs?{range}&group_by=instance&instance={}", load.instances[0])).await?;
    let all = three(&hub, &format!("/costs?{range}&group_by=plan")).await?;
    hub.stop().await?;
    let bytes = size(on, &place.database).await?.saturating_sub(before) as f64 / load.count() as f64;
    let kept = count(&place.database).await?;
    if kept != load.count() {
        return Err(format!("{kept} events are in the database, {} were sent", load.count()).into());
    }

    say(format!("{}: closing", on.name()));
    for table in ["usage_events", "price_books"] {
        let column = if table == "price_books" { "created_at" } else { "recorded_at" };
        execute(&place.database, &format!("update {table} set {column} = {column} - 3600000000")).await?;
    }
    place.settings = vec![("BOURSE__BILLING__GRACE", "PT0S".to_owned())];
    let (hub, _) = place.start().await?;
    let idle = process::memory(hub.pid());
    let (closed, lines) = closed(&hub, &month.to_string()).await?;
    let peak = process::memory(hub.pid());
    hub.stop().await?;
    drop(postgres);

    sent.push(row([
        on.name(),
        &number(load.count() as f64),
        &format!("{}/s", number(singles.per_second())),
        &time(singles.p50()),
        &time(singles.p99()),
        &format!("{}/s", number(rate)),
        &time(batches.p50()),
        &time(batches.p99()),
        &number(bytes),
    ]));
    asked.push(row([
        on.name(),
        &time(instance.p50()),
        &time(all.p50()),
        &time(closed),
        &idle.to_string(),
        &peak.to_string(),
    ]));
    let target =
        format!("usage in batches, durable: at least Lago's {}/s on one PostgreSQL ({})", number(LAGO), on.name());
    page.target(target, format!("{}/s", number(rate)), rate >= LAGO);
    let adds = peak.peak.unwrap_or(peak.now) - idle.now;
    let target = format!("closing a month adds at most {CLOSE_ADDS_MAX} MiB to the hub's memory ({})", on.name());
    page.target(
        target,
        format!("{adds:+.1} MiB for {lines} lines; while usage came in its peak was {ingesting}"),
        adds <= CLOSE_ADDS_MAX,
    );
    Ok(())
}

fn prices() -> Value {
    let rule = |meter: &str, more: Value| {
        let mut rule = json!({"offering": format!("service-{METERED}"), "plan": "prompt", "meter": meter});
        if let (Some(rule), Value::Object(more)) = (rule.as_object_mut(), more) {
            rule.extend(more);
        }
        rule
    };
    let tiers = json!([{"up_to": "100000", "unit_price": "0.0001"}, {"up_to": null, "unit_price": "0.00005"}]);
    json!({"currency": "EUR", "effective_from": "2020-01-01T00:00:00Z", "rules": [
        rule("instance", json!({"model": "flat", "amount": "49.90", "per": "month"})),
        rule("storage", json!({"model": "per_unit", "amount": "0.12", "per": "month"})),
        rule("addresses", json!({"model": "per_unit", "amount": "0.0005", "per": "hour", "free_quantity": "100"})),
        rule("requests", json!({"model": "graduated", "tiers": tiers})),
        rule("traffic", json!({"model": "package", "amount": "0.5", "package_size": "1000"})),
    ]})
}

async fn instances(hub: &Hub) -> Outcome<Vec<String>> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = hub.manage("GET", &format!("/instances?limit=1000{cursor}"), None, 200).await?;
        let items = page["items"].as_array().ok_or("no items")?;
        ids.extend(items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(ids),
        }
    }
}

/// Asks three times.
async fn three(hub: &Hub, path: &str) -> Outcome<Series> {
    let mut each = Vec::new();
    for _ in 0..3 {
        let started = Instant::now();
        hub.manage("GET", path, None, 200).await?;
        each.push(started.elapsed());
    }
    Ok(Series::new(each.iter().sum(), each))
}

/// Waits until the month is closed, and says how long that took since the hub was ready, and how many lines there are.
async fn closed(hub: &Hub, period: &str) -> Outcome<(Duration, usize)> {
    let started = Instant::now();
    while started.elapsed() < CLOSED_WITHIN {
        // A list is asked for, not the statement itself: that would be computed each time.
        let listed = hub.manage("GET", "/statements/closed?tenant=bench", None, 200).await?;
        let found = listed["items"].as_array().into_iter().flatten().any(|item| item["period"] == period);
        if found {
            let took = started.elapsed();
            let statement = hub.manage("GET", &format!("/statements?tenant=bench&period={period}"), None, 200).await?;
            return Ok((took, statement["lines"].as_array().map_or(0, Vec::len)));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the month was not closed in time".into())
}

async fn connect(url: &str) -> Outcome<AnyConnection> {
    sqlx::any::install_default_drivers();
    Ok(AnyConnection::connect(url).await?)
}

async fn execute(url: &str, statement: &str) -> Outcome<()> {
    let mut connection = connect(url).await?;
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

async fn count(url: &str) -> Outcome<usize> {
    let mut connection = connect(url).await?;
    let found = sqlx::query("select count(*) as found from usage_events").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(usize::try_from(found.try_get::<i64, _>("found")?)?)
}

/// How large a database is that no hub uses.
async fn size(on: On, url: &str) -> Outcome<u64> {
    let mut connection = connect(url).await?;
    let asked = match on {
        On::Sqlite => "select page_count * page_size as size from pragma_page_count, pragma_page_size",
        On::Postgres => "select pg_database_size(current_database()) as size",
    };
    let size: i64 = sqlx::query(asked).fetch_one(&mut connection).await?.try_get("size")?;
    connection.close().await?;
    Ok(u64::try_from(size)?)
}
