//! Events about brokers: what changed in the catalog, who came and went.

use serde_json::{Value, json};

use crate::clock::Time;
use crate::domain::catalog::{Offering, State};
use crate::domain::event::{Event, EventKind, event_id};
use crate::store::brokers::BrokerRow;

/// An event about a broker. `transition` tells one change of its kind from the next.
pub(in crate::app) fn event(row: &BrokerRow, kind: EventKind, transition: &str, time: Time, data: Value) -> Event {
    Event {
        id: event_id(&format!("brokers/{transition}"), kind),
        kind,
        subject: format!("brokers/{}", row.name),
        time,
        tenant_id: None,
        platform_id: None,
        broker_id: Some(row.id.clone()),
        service_id: None,
        plan_id: None,
        instance_id: None,
        sequence: None,
        correlation_id: None,
        traceparent: None,
        data,
    }
}

/// What can be ordered that could not be before, and the other way round, and what is another than before.
pub(super) fn data(row: &BrokerRow, before: &[Offering], after: &[Offering]) -> Value {
    let available = |offering: &&Offering| offering.state == State::Available;
    let find = |list: &'_ [Offering], id: &str| list.iter().filter(available).any(|offering| offering.id == id);
    let names = |list: &[&Offering]| list.iter().map(|offering| offering.name.clone()).collect::<Vec<_>>();
    let added: Vec<_> = after.iter().filter(available).filter(|offering| !find(before, &offering.id)).collect();
    let removed: Vec<_> = before.iter().filter(available).filter(|offering| !find(after, &offering.id)).collect();
    let changed: Vec<_> = after
        .iter()
        .filter(available)
        .filter(|offering| before.iter().any(|old| available(&old) && old.id == offering.id && old != *offering))
        .collect();
    json!({
        "broker": row.name,
        "offerings": { "added": names(&added), "removed": names(&removed), "changed": names(&changed) },
    })
}
