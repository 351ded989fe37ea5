//! Offerings on their way to publication: what is found of one ([`look`]), submitting it ([`submit`]), and what somebody else decides
//! ([`decide`]).
//!
//! It publishes nothing by itself. Invariant: what is published is what was submitted, looked at once more, and by another person than the
//! one who submitted it or answers for its broker.

mod decide;
mod look;
mod submit;

use serde_json::json;

use super::Error;
use crate::clock::Time;
use crate::domain::catalog::Offering;
use crate::domain::event::{Event, EventKind, event_id};
use crate::domain::review::{ReviewState, digest};
use crate::store::brokers::BrokerRow;
use crate::store::reviews::{Decided, ReviewRow};
use crate::store::{Tx, events, reviews};

pub use crate::store::reviews::ReviewRow as ReviewView;
pub use decide::Verb;
pub use look::{Looked, ReviewFilter};

/// Voids what waits of a broker and is not what was submitted any more, in the transaction that changes it.
pub(in crate::app) async fn void_changed(
    tx: &mut Tx<'_>,
    hub: &str,
    broker: &BrokerRow,
    offerings: &[Offering],
    now: Time,
) -> Result<(), Error> {
    for review in reviews::waiting(tx, &broker.id).await? {
        let form = offerings.iter().find(|offering| offering.id == review.offering_id);
        if form.is_some_and(|offering| digest(&broker.url, offering) == review.digest) {
            continue;
        }
        let reason = Some("the offering changed after it was submitted: submit it again".to_owned());
        let decided = Decided { state: ReviewState::Void, by: None, at: now, reason };
        if let Some(review) = reviews::decide(tx, &review.id, &decided).await? {
            tell(tx, hub, &broker.name, &review, EventKind::ReviewDecided, now).await?;
        }
    }
    Ok(())
}

/// Writes a submission's event.
async fn tell(
    tx: &mut Tx<'_>,
    hub: &str,
    broker: &str,
    review: &ReviewRow,
    kind: EventKind,
    now: Time,
) -> Result<(), Error> {
    let event = Event {
        id: event_id(&review.id, kind),
        kind,
        subject: format!("offerings/{}", review.offering),
        time: now,
        tenant_id: None,
        platform_id: None,
        broker_id: Some(review.broker_id.clone()),
        service_id: Some(review.offering_id.clone()),
        plan_id: None,
        instance_id: None,
        sequence: None,
        correlation_id: None,
        traceparent: None,
        data: json!({
            "review_id": review.id, "broker": broker, "offering": review.offering, "state": review.state.as_str(),
            "submitted_by": review.submitted_by, "decided_by": review.decided_by, "reason": review.reason,
        }),
    };
    Ok(events::append(tx, hub, &event, now).await?)
}

/// What the audit says of one.
fn document(review: &ReviewRow) -> serde_json::Value {
    json!({
        "review_id": review.id, "state": review.state.as_str(), "digest": review.digest,
        "submitted_by": review.submitted_by, "reason": review.reason, "note": review.note,
    })
}
