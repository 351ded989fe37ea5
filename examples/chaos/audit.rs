//! The audit from outside: brokers, hub, events, spans and orderers must all tell the same story.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bourse::store::Db;
use bourse::store::db::column;
use bourse_brokers::faults::{Faults, Standing};
use serde_json::Value;
use tokio::time::{Instant, interval};

use super::Fallible;
use super::hubs::Site;
use super::load::{Expect, Told};

/// What the audit found.
pub(crate) struct Found {
    pub(crate) summary: String,
    pub(crate) wrong: Vec<String>,
}

/// Waits until nothing is under way and all events are numbered; how long that took, or `None`.
pub(crate) async fn settled(site: &Site, within: Duration) -> Option<Duration> {
    let (started, mut ticks) = (Instant::now(), interval(Duration::from_millis(500)));
    // What a broker creates late comes within its delay.
    let least = Duration::from_secs(6);
    while started.elapsed() < within {
        ticks.tick().await;
        let open = site.items("operations?state=in_progress&limit=1").await;
        if open.is_ok_and(|open| open.is_empty()) && started.elapsed() > least {
            return Some(started.elapsed());
        }
    }
    None
}

/// Compares all of it.
pub(crate) async fn audit(
    site: &Site,
    database: &str,
    brokers: &[Faults],
    told: &Told,
    settled: Option<Duration>,
) -> Fallible<Found> {
    let mut wrong = told.wrong.clone();
    if settled.is_none() {
        for open in site.items("operations?state=in_progress").await? {
            wrong.push(format!("still under way: {open}"));
        }
    }
    let mut instances = site.items("instances").await?;
    instances.extend(site.items("instances?state=gone").await?);
    let db = Db::open(database, 2).await?;
    let (spans, unnumbered) = (spans(&db).await?, unnumbered(&db).await?);
    db.close().await;
    if unnumbered != 0 {
        wrong.push(format!("{unnumbered} events are not in the feed"));
    }
    let events = site.events().await?;
    let bindings = details(site, &instances).await?;

    let mut check = Check { wrong, instances: &instances, bindings: &bindings };
    check.brokers_and_hub(brokers);
    check.orderers(told, brokers);
    check.stories(&events, &spans);
    let wrong = check.wrong;
    let count = |state: &str| instances.iter().filter(|instance| instance["state"] == state).count();
    let summary = format!(
        "{} instances: {} ready, {} failed, {} gone; {} bindings; {} events; {} spans; quiet after {} s",
        instances.len(),
        count("ready"),
        count("failed"),
        count("gone"),
        bindings.values().map(Vec::len).sum::<usize>(),
        events.len(),
        spans.values().map(Vec::len).sum::<usize>(),
        settled.map_or(u64::MAX, |settled| settled.as_secs()),
    );
    Ok(Found { summary, wrong })
}

/// The bindings of each instance, by the hub's id of it.
async fn details(site: &Site, instances: &[Value]) -> Fallible<HashMap<String, Vec<Value>>> {
    let mut bindings = HashMap::new();
    for instance in instances {
        let id = text(&instance["id"]);
        let detail = site.admin_ok("GET", &format!("instances/{id}"), None).await?;
        bindings.insert(id, detail["bindings"].as_array().cloned().unwrap_or_default());
    }
    Ok(bindings)
}

/// A span: when it began and ended, in microseconds.
type Spans = HashMap<String, Vec<(i64, Option<i64>)>>;

async fn spans(db: &Db) -> Fallible<Spans> {
    const SPANS: &str = "select instance_id, started_at, ended_at from spans order by instance_id, started_at, id";
    let rows = db.read(|tx| Box::pin(async move { tx.fetch_all(sqlx::query(SPANS)).await })).await?;
    let mut spans = Spans::new();
    for row in &rows {
        let id: String = column(row, "instance_id")?;
        spans.entry(id).or_default().push((column(row, "started_at")?, column(row, "ended_at")?));
    }
    Ok(spans)
}

async fn unnumbered(db: &Db) -> Fallible<i64> {
    const UNNUMBERED: &str = "select count(*) as number from events where sequence is null";
    // The last ones are numbered within a moment.
    let mut ticks = interval(Duration::from_millis(100));
    let mut left = 0;
    for _ in 0..100 {
        ticks.tick().await;
        let row = db.read(|tx| Box::pin(async move { tx.fetch_optional(sqlx::query(UNNUMBERED)).await })).await?;
        left = row.map(|row| column(&row, "number")).transpose()?.unwrap_or_default();
        if left == 0 {
            break;
        }
    }
    Ok(left)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

struct Check<'a> {
    wrong: Vec<String>,
    instances: &'a [Value],
    /// By the hub's id of the instance.
    bindings: &'a HashMap<String, Vec<Value>>,
}

impl Check<'_> {
    fn compare(&mut self, what: &str, hub: &BTreeSet<String>, brokers: &BTreeSet<String>) {
        for id in hub.difference(brokers) {
            self.wrong.push(format!("{what} {id} is ready at the hub, and no broker has it"));
        }
        for id in brokers.difference(hub) {
            self.wrong.push(format!("a broker has {what} {id}, which is not ready at the hub"));
        }
    }

    /// Ready at the hub is there at the broker, and nothing else is.
    fn brokers_and_hub(&mut self, brokers: &[Faults]) {
        let ready = |list: &[Value]| -> BTreeSet<String> {
            list.iter().filter(|one| one["state"] == "ready").map(|one| text(&one["id"])).collect()
        };
        for instance in self.instances {
            if !["ready", "failed", "gone"].iter().any(|state| instance["state"] == *state) {
                self.wrong.push(format!("nothing is under way, but {} is {}", instance["id"], instance["state"]));
            }
        }
        let held: Vec<_> = brokers.iter().flat_map(Faults::instances).collect();
        for one in held.iter().filter(|one| one.state != Standing::Ready) {
            self.wrong.push(format!("nothing is under way, but a broker has {one:?}"));
        }
        let bound: Vec<_> = brokers.iter().flat_map(Faults::bindings).collect();
        for one in bound.iter().filter(|one| one.state != Standing::Ready) {
            self.wrong.push(format!("nothing is under way, but a broker has {one:?}"));
        }
        let instances = ready(self.instances);
        let bindings = self.bindings.values().flat_map(|list| ready(list)).collect();
        self.compare("instance", &instances, &held.iter().map(|held| held.id.clone()).collect());
        self.compare("binding", &bindings, &bound.iter().map(|held| held.id.clone()).collect());
    }

    /// What orderers were told is so.
    fn orderers(&mut self, told: &Told, brokers: &[Faults]) {
        let held: HashMap<_, _> =
            brokers.iter().flat_map(Faults::instances).map(|held| (held.id.clone(), held)).collect();
        let mut known: HashMap<String, &Value> = HashMap::new();
        for instance in self.instances {
            // The current one last: an id may have been used before by an order that left nothing.
            let id = text(&instance["platform_instance_id"]);
            if known.get(&id).is_none_or(|other| text(&other["created_at"]) <= text(&instance["created_at"])) {
                known.insert(id, instance);
            }
        }
        for life in &told.lives {
            let instance = known.get(&life.id);
            let state = instance.map(|instance| text(&instance["state"]));
            let good = match (life.expect, state.as_deref()) {
                (Expect::Stands, state) => state == Some("ready"),
                (Expect::Gone, state) => matches!(state, None | Some("gone")),
                (Expect::Refused, state) => state != Some("ready"),
                (Expect::Open, _) => true,
            };
            if !good {
                self.wrong.push(format!("{} was told {:?}, and it is {state:?}", life.id, life.expect));
            }
            let id = instance.map(|instance| text(&instance["id"])).unwrap_or_default();
            if let (Expect::Stands, Some(x), Some(held)) = (life.expect, life.x, held.get(&id))
                && held.parameters.get("x").and_then(Value::as_u64) != Some(x)
            {
                self.wrong.push(format!("{} was told x = {x}, and the broker has {:?}", life.id, held.parameters));
            }
            if life.expect != Expect::Stands {
                continue;
            }
            let none = Vec::new();
            let bindings = self.bindings.get(&id).unwrap_or(&none);
            for (binding, expect) in &life.bindings {
                let ready =
                    bindings.iter().any(|one| one["platform_binding_id"] == **binding && one["state"] == "ready");
                let good = match expect {
                    Expect::Stands => ready,
                    Expect::Gone | Expect::Refused => !ready,
                    Expect::Open => true,
                };
                if !good {
                    self.wrong.push(format!("{}/{binding} was told {expect:?}, and it is ready: {ready}", life.id));
                }
            }
        }
    }

    /// Events are numbered without a gap and tell each step once; spans cover the time in which an instance stood.
    fn stories(&mut self, events: &[Value], spans: &Spans) {
        let ids: BTreeSet<_> = events.iter().map(|event| text(&event["id"])).collect();
        if ids.len() != events.len() {
            self.wrong.push("an event is in the feed twice".to_owned());
        }
        let mut own: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for event in events.iter().filter(|event| event["instanceid"].is_string()) {
            let step = (text(&event["sequence"]), text(&event["type"]));
            own.entry(text(&event["instanceid"])).or_default().push(step);
        }
        for instance in self.instances {
            let id = text(&instance["id"]);
            let steps = own.remove(&id).unwrap_or_default();
            let spans = spans.get(&id).cloned().unwrap_or_default();
            if let Err(what) = story(&text(&instance["state"]), &steps, &spans) {
                self.wrong.push(format!("{id} ({}): {what}: {steps:?} {spans:?}", instance["state"]));
            }
        }
        for id in own.keys() {
            self.wrong.push(format!("events of {id}, which is no instance"));
        }
        for id in spans.keys().filter(|id| !self.bindings.contains_key(*id)) {
            self.wrong.push(format!("spans of {id}, which is no instance"));
        }
    }
}

/// One instance's events and spans against its state.
fn story(state: &str, steps: &[(String, String)], spans: &[(i64, Option<i64>)]) -> Result<(), String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, (sequence, kind)) in steps.iter().enumerate() {
        if *sequence != (at + 1).to_string() {
            return Err(format!("event {} has the number {sequence}", at + 1));
        }
        *counts.entry(kind.trim_start_matches("io.bourse.")).or_default() += 1;
    }
    let count = |kind: &str| counts.get(kind).copied().unwrap_or_default();
    if count("instance.requested") != 1 {
        return Err("it was not requested once".to_owned());
    }
    let ends = (count("instance.provisioned"), count("instance.failed"), count("instance.deprovisioned"));
    let right = match state {
        "ready" => ends == (1, 0, 0),
        "failed" => matches!(ends, (0, 1, 0)),
        _ => matches!(ends, (1, 0, 1) | (0, 1, 0)),
    };
    if !right {
        return Err("its events end otherwise".to_owned());
    }
    let open = spans.iter().filter(|(_, end)| end.is_none()).count();
    let stood = ends.0 == 1;
    if open != usize::from(state == "ready") || spans.is_empty() == stood {
        return Err(format!("{open} open spans of {}", spans.len()));
    }
    let touching = spans.windows(2).all(|pair| matches!(pair, [(_, Some(end)), (start, _)] if end == start));
    if touching { Ok(()) } else { Err("its spans leave a gap or overlap".to_owned()) }
}
