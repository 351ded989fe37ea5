//! Telling that an order was refused for want of a quota. A tenant that orders in a loop must not flood those who listen: a quota is told
//! once an hour at most, and anew after it was changed.

use std::time::Duration;

use serde_json::json;

use super::super::{App, Error};
use crate::clock::Time;
use crate::domain::event::{Event, EventKind, event_id};
use crate::domain::quota::Exceeded;
use crate::store::{events, quotas};

/// Between two events of one quota.
const PAUSE: Duration = Duration::from_secs(3600);

impl App {
    /// The outcome of an order's transaction; where a quota refused it, that is told. It is refused whether or not that can be written.
    pub(in crate::app) async fn quota_told<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        let now = self.clock().now();
        if let Err(Error::OverQuota(exceeded)) = &outcome
            && exceeded.told_at.is_none_or(|told| now.since(told) >= PAUSE)
            && let Err(error) = self.tell_exceeded(exceeded, now).await
        {
            tracing::warn!(quota.name = exceeded.name, %error, "that a quota was exceeded could not be told");
        }
        outcome
    }

    async fn tell_exceeded(&self, exceeded: &Exceeded, now: Time) -> Result<(), Error> {
        let (hub, name, event) = (self.config().server.hub.clone(), exceeded.name.clone(), event(exceeded, now));
        let before = Time(now.0.saturating_sub(i64::try_from(PAUSE.as_micros()).unwrap_or(i64::MAX)));
        let told = self.db().write(move |tx| {
            let (hub, name, event) = (hub.clone(), name.clone(), event.clone());
            Box::pin(async move {
                if quotas::notice(tx, &name, now, before).await? {
                    events::append(tx, &hub, &event, now).await?;
                }
                Ok(())
            })
        });
        told.await
    }
}

fn event(exceeded: &Exceeded, now: Time) -> Event {
    let kind = EventKind::QuotaExceeded;
    Event {
        id: event_id(&format!("quotas/{}/{}", exceeded.name, now.0), kind),
        kind,
        subject: format!("quotas/{}", exceeded.name),
        time: now,
        tenant_id: Some(exceeded.tenant_id.clone()),
        platform_id: None,
        broker_id: None,
        service_id: None,
        plan_id: None,
        instance_id: None,
        sequence: None,
        correlation_id: None,
        traceparent: None,
        data: json!({
            "quota": exceeded.name,
            "tenant": { "name": exceeded.document.tenant },
            "limit": exceeded.document.limit,
            "used": exceeded.used.to_string(),
            "asked": exceeded.asked.to_string(),
            "offering": exceeded.offering,
            "plan": exceeded.plan,
            "reason": exceeded.to_string(),
        }),
    }
}
