//! Tells when a meter falls silent: a ready instance of whose meter nothing has come for longer than its plan's `max_silence`.
//! One event and one open case for each silence; the case is closed when a reading comes, or the instance is gone.
//!
//! One process at a time does it, a page in one transaction. It stops nothing and charges nothing: the last level goes on.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use crate::app::{App, Error};
use crate::clock::Time;
use crate::domain::event::{Event, EventKind, event_id};
use crate::domain::meter::Meter;
use crate::store::usage::silence::{self, ReadyRow};
use crate::store::{self, Tx, events, leases, tenants};

const LEASE: &str = "silence";
/// Instances, and cases, that one transaction looks at.
pub const SILENCE_PAGE: i64 = 200;

/// The latest reading of each meter, by instance and meter.
type Latest = HashMap<(String, String), Time>;

/// What a page needs besides the rows.
#[derive(Clone, Debug)]
struct Watch {
    process: String,
    hub: String,
    now: Time,
    /// Meters that may not be silent, by plan.
    meters: HashMap<String, Vec<Meter>>,
    /// Names of offering and plan, by plan.
    names: HashMap<String, (String, String)>,
}

impl App {
    /// Looks at one page of ready instances, after the instance with that id, and gives where to go on; none where this was the
    /// last, or where another process does it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn watch_silence(&self, after: &str) -> Result<Option<String>, Error> {
        let watch = self.watch();
        if watch.meters.is_empty() {
            return Ok(None);
        }
        let after = after.to_owned();
        let done = self.db().write::<_, store::Error, _>(move |tx| {
            let (watch, after) = (watch.clone(), after.clone());
            Box::pin(async move {
                if !leases::take(tx, LEASE, &watch.process).await? {
                    return Ok(None);
                }
                watch.page(tx, &after).await
            })
        });
        Ok(done.await?)
    }

    /// Looks at one page of open cases, after the case with that id, and closes those that are over; as [`App::watch_silence`].
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn close_silence(&self, after: &str) -> Result<Option<String>, Error> {
        let (watch, after) = (self.watch(), after.to_owned());
        let done = self.db().write::<_, store::Error, _>(move |tx| {
            let (watch, after) = (watch.clone(), after.clone());
            Box::pin(async move {
                if !leases::take(tx, LEASE, &watch.process).await? {
                    return Ok(None);
                }
                watch.close(tx, &after).await
            })
        });
        Ok(done.await?)
    }

    fn watch(&self) -> Watch {
        let catalog = self.catalog();
        let (mut meters, mut names) = (HashMap::new(), HashMap::new());
        for plan in catalog.plans() {
            let heard: Vec<Meter> = plan.meters().iter().filter(|meter| meter.max_silence.is_some()).cloned().collect();
            if !heard.is_empty() {
                names.insert(plan.plan_id.clone(), (plan.offering_name.clone(), plan.plan_name.clone()));
                meters.insert(plan.plan_id.clone(), heard);
            }
        }
        let (process, hub) = (self.process().to_owned(), self.config().server.hub.clone());
        Watch { process, hub, now: self.clock().now(), meters, names }
    }
}

impl Watch {
    async fn page(&self, tx: &mut Tx<'_>, after: &str) -> Result<Option<String>, store::Error> {
        let plans = json!(self.meters.keys().collect::<Vec<_>>()).to_string();
        let rows = silence::ready(tx, after, &plans, SILENCE_PAGE).await?;
        let latest = latest(tx, rows.iter().map(|row| row.id.as_str())).await?;
        for row in &rows {
            for meter in self.meters.get(&row.plan_id).map(Vec::as_slice).unwrap_or_default() {
                if let Some(since) = self.silent(row, meter, &latest)
                    && silence::open(tx, &row.id, &meter.key, self.now).await?
                {
                    let event = self.event(tx, row, meter, since).await?;
                    events::append(tx, &self.hub, &event, self.now).await?;
                }
            }
        }
        let full = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= SILENCE_PAGE;
        Ok(rows.last().filter(|_| full).map(|last| last.id.clone()))
    }

    async fn close(&self, tx: &mut Tx<'_>, after: &str) -> Result<Option<String>, store::Error> {
        let cases = silence::open_cases(tx, after, SILENCE_PAGE).await?;
        let ids: HashSet<&str> = cases.iter().map(|case| case.instance_id.as_str()).collect();
        let latest = latest(tx, ids.iter().copied()).await?;
        let standing = silence::standing(tx, &json!(ids).to_string()).await?;
        for case in &cases {
            let silent = standing.iter().filter(|row| row.id == case.instance_id).any(|row| {
                let meters = self.meters.get(&row.plan_id).map(Vec::as_slice).unwrap_or_default();
                let meter = meters.iter().find(|meter| meter.key == case.meter);
                meter.is_some_and(|meter| self.silent(row, meter, &latest).is_some())
            });
            if !silent {
                silence::close(tx, &case.id, self.now).await?;
            }
        }
        let full = i64::try_from(cases.len()).unwrap_or(i64::MAX) >= SILENCE_PAGE;
        Ok(cases.last().filter(|_| full).map(|last| last.id.clone()))
    }

    /// Since when a meter has been silent for too long, if it has.
    fn silent(&self, row: &ReadyRow, meter: &Meter, latest: &Latest) -> Option<Time> {
        let heard = latest.get(&(row.id.clone(), meter.key.clone())).copied();
        let since = heard.map_or(row.since, |heard| heard.max(row.since));
        (self.now.since(since) > meter.max_silence?).then_some(since)
    }

    async fn event(&self, tx: &mut Tx<'_>, row: &ReadyRow, meter: &Meter, since: Time) -> Result<Event, store::Error> {
        let tenant = tenants::by_id(tx, &row.tenant_id).await?;
        let (offering, plan) = self.names.get(&row.plan_id).cloned().unwrap_or_default();
        let kind = EventKind::UsageMissing;
        Ok(Event {
            id: event_id(&format!("{}\0{}\0{}", row.id, meter.key, since.0), kind),
            kind,
            subject: format!("instances/{}", row.id),
            time: self.now,
            tenant_id: Some(row.tenant_id.clone()),
            platform_id: Some(row.platform_id.clone()),
            broker_id: Some(row.broker_id.clone()),
            service_id: Some(row.offering_id.clone()),
            plan_id: Some(row.plan_id.clone()),
            instance_id: Some(row.id.clone()),
            sequence: None,
            correlation_id: None,
            traceparent: None,
            data: json!({
                "platform_instance_id": row.platform_instance_id,
                "tenant": tenant.map(|tenant| crate::domain::stamp::told(&tenant)),
                "offering": offering,
                "plan": plan,
                "meter": meter.key,
                "since": since,
            }),
        })
    }
}

async fn latest(tx: &mut Tx<'_>, instances: impl Iterator<Item = &str>) -> Result<Latest, store::Error> {
    let ids = json!(instances.collect::<HashSet<_>>()).to_string();
    let mut all = Latest::new();
    for (instance, meter, at) in silence::latest(tx, &ids).await? {
        let known = all.entry((instance, meter)).or_insert(at);
        *known = at.max(*known);
    }
    Ok(all)
}
