//! Takes usage in: each event is read, judged by what is known of its instance, and written with the others of its batch in one
//! transaction. One event that is wrong takes nothing with it, and each gets its answer.
//!
//! An answer is given after the commit: whatever was accepted stays. Invariant: what becomes of an event follows from the
//! event, its instance and what has its key, not from the batch that it came in.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::commit::{Batch, Judged, Lapsed};
use super::plans::Plans;
use crate::app::{App, Error};
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::domain::meter::Meter;
use crate::domain::usage::judge::{Bounds, Standing, judge};
use crate::domain::usage::{Rejection, UsageEvent, Verdict, key_of};
use crate::store;
use crate::store::usage::SeriesKey;
use crate::store::usage::facts::{self, InstanceFacts, SpanFacts};

/// Events in one batch.
pub const EVENTS_MAX: usize = 1000;

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// Its source, as far as it could be read.
    pub source: Option<String>,
    /// Its id, as far as it could be read.
    pub id: Option<String>,
    /// What became of it.
    pub verdict: Verdict,
    /// Why it was not taken.
    pub rejection: Option<Rejection>,
}

/// What is known of all that a batch is about.
struct Facts {
    /// Ids of brokers by the names in sources.
    brokers: HashMap<String, String>,
    instances: HashMap<String, InstanceFacts>,
    spans: HashMap<String, Vec<SpanFacts>>,
}

impl App {
    /// Takes events in, each in its CloudEvents JSON form, and says what became of each, in their order.
    ///
    /// # Errors
    /// Where there are too many of them, or the database fails: then none was taken, or that is not known, and sending them
    /// again is right in either case.
    pub async fn report_usage(&self, caller: &Caller, documents: Vec<Value>) -> Result<Vec<Reported>, Error> {
        if documents.len() > EVENTS_MAX {
            return Err(Error::invalid("", format!("a batch may have at most {EVENTS_MAX} events")));
        }
        let read: Vec<_> = documents.iter().map(UsageEvent::read).collect();
        let facts = self.facts_of(read.iter().flatten()).await?;
        let plans = facts.instances.values().map(|instance| instance.plan_id.clone());
        let plans = plans.chain(facts.spans.values().flatten().map(|span| span.plan_id.clone()));
        let plans = self.meters_of(plans.collect::<BTreeSet<_>>()).await?;
        let billing = &self.config().billing;
        let bounds = Bounds { now: self.clock().now(), late: billing.accept_late, early: billing.accept_early };
        let mut outcomes = Vec::with_capacity(read.len());
        let (mut judged, mut lapsed) = (Vec::new(), Vec::new());
        for (index, (event, document)) in read.into_iter().zip(&documents).enumerate() {
            let (source, id) = key_of(document);
            let mut outcome = Reported {
                source: source.map(str::to_owned),
                id: id.map(str::to_owned),
                verdict: Verdict::Rejected,
                rejection: None,
            };
            match event.map_err(Refused::Now).and_then(|event| settle(caller, event, &facts, &plans, bounds)) {
                Ok((event, broker_id, series)) => {
                    judged.push(Judged { index, content: event.content(), event, broker_id, series });
                }
                Err(Refused::Now(rejection)) => outcome.rejection = Some(rejection),
                Err(Refused::ByNow(event, broker_id, rejection)) => {
                    lapsed.push(Lapsed { index, content: event.content(), event: *event, broker_id, rejection });
                }
            }
            outcomes.push(outcome);
        }
        if !judged.is_empty() || !lapsed.is_empty() {
            let batch = Arc::new(Batch { judged, lapsed, documents, bounds });
            let clock = self.clock().clone();
            let written = self.db().write::<_, store::Error, _>(move |tx| {
                let (batch, clock) = (Arc::clone(&batch), clock.clone());
                Box::pin(async move { batch.commit(tx, clock.now()).await })
            });
            for (index, verdict, rejection) in written.await? {
                if let Some(outcome) = outcomes.get_mut(index) {
                    (outcome.verdict, outcome.rejection) = (verdict, rejection);
                }
            }
        }
        for outcome in &outcomes {
            self.metrics().usage_event(outcome.verdict.as_str());
        }
        Ok(outcomes)
    }

    async fn facts_of(&self, events: impl Iterator<Item = &UsageEvent>) -> Result<Facts, Error> {
        let (mut brokers, mut instances) = (BTreeSet::new(), BTreeSet::new());
        for event in events {
            brokers.extend(event.broker());
            instances.insert(event.instance_id.as_str());
        }
        let (brokers, instances) = (json!(brokers).to_string(), json!(instances).to_string());
        let read = self.db().read::<_, store::Error, _>(|tx| {
            Box::pin(async move {
                let brokers = facts::brokers(tx, &brokers).await?;
                Ok((brokers, facts::instances(tx, &instances).await?, facts::spans(tx, &instances).await?))
            })
        });
        let (brokers, instances, listed) = read.await?;
        let mut spans: HashMap<String, Vec<SpanFacts>> = HashMap::new();
        for span in listed {
            spans.entry(span.instance_id.clone()).or_default().push(span);
        }
        Ok(Facts {
            brokers: brokers.into_iter().map(|(id, name)| (name, id)).collect(),
            instances: instances.into_iter().map(|instance| (instance.id.clone(), instance)).collect(),
            spans,
        })
    }
}

/// Why an event may not be taken.
enum Refused {
    /// Whatever has its key.
    Now(Rejection),
    /// Unless its key, with the id of the broker whose source it is, has been taken before.
    ByNow(Box<UsageEvent>, String, Rejection),
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self::Now(rejection)
    }
}

/// Whether an event may be taken, whose it is, and which series it belongs to.
fn settle(
    caller: &Caller,
    event: UsageEvent,
    facts: &Facts,
    plans: &Plans,
    bounds: Bounds,
) -> Result<(UsageEvent, String, SeriesKey), Refused> {
    let broker_id = event.broker().and_then(|name| facts.brokers.get(name));
    let broker_id = match (caller, broker_id) {
        (caller, Some(id)) if caller.is_administrator() => id,
        (Caller::Broker(own), Some(id)) if own == id => id,
        (caller, None) if caller.is_administrator() => {
            return Err(Rejection::new("unknown_source", "`source` must be /brokers/ and the name of a broker").into());
        }
        _ => {
            return Err(
                Rejection::new("not_your_source", "`source` must be /brokers/ and the name of the broker").into()
            );
        }
    };
    // That another broker's instance exists is nobody else's business.
    let instance = facts.instances.get(&event.instance_id).filter(|instance| instance.broker_id == *broker_id);
    let instance = instance
        .ok_or_else(|| Rejection::new("unknown_instance", "the broker has and had no instance with that id"))?;
    let spans = facts.spans.get(&instance.id).map(Vec::as_slice).unwrap_or_default();
    let standing = Standing { ended_at: ended_at(instance, spans), plans: meters(event.at, instance, spans, plans) };
    let meter = match judge(&event, &standing, bounds) {
        Ok(meter) => meter,
        Err(rejection) if rejection.may_be_known() => {
            return Err(Refused::ByNow(Box::new(event), broker_id.clone(), rejection));
        }
        Err(rejection) => return Err(rejection.into()),
    };
    let series = SeriesKey {
        instance_id: instance.id.clone(),
        meter: meter.key.clone(),
        kind: meter.kind,
        aggregation: meter.aggregation,
        unit: meter.unit.clone(),
        unique_by: meter.unique_by.clone().unwrap_or_default(),
    };
    Ok((event, broker_id.clone(), series))
}

/// When the instance ceased to count, if it has.
fn ended_at(instance: &InstanceFacts, spans: &[SpanFacts]) -> Option<Time> {
    match spans.iter().map(|span| span.ended_at).collect::<Option<Vec<_>>>() {
        // One is open.
        None => None,
        Some(ends) => ends.into_iter().max().or(instance.gone_at),
    }
}

/// The meters of the plan that it had then, before those of the others, the latest first.
fn meters<'a>(at: Time, instance: &InstanceFacts, spans: &[SpanFacts], plans: &'a Plans) -> Vec<&'a [Meter]> {
    // Listed latest first: what is before the first span counts at its start.
    let then = spans.iter().find(|span| span.started_at <= at).or(spans.last());
    let ids = then.into_iter().chain(spans).map(|span| span.plan_id.as_str()).chain([instance.plan_id.as_str()]);
    ids.filter_map(|id| plans.get(id)).map(AsRef::as_ref).collect()
}
