//! What has to be done without an order: data whose time has come, deletions that stopped half-way, meters.
//!
//! Each round is bounded; what it does not reach is for the next. Several processes may tend one file.

use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use super::broker::{Broker, Core};
use super::meter::{About, Meter, Window};
use super::rows::{InstanceRow, Phase};
use super::service::Service;
use crate::Error;

/// How much of each kind one round takes on.
const ROUND: i64 = 200;
/// After how many seconds a purge that failed is tried again.
const PURGE_AGAIN: i64 = 300;
/// How often the rounds come.
const EVERY: Duration = Duration::from_secs(30);

/// The rounds, until this is dropped.
#[derive(Debug)]
pub struct Janitor {
    task: JoinHandle<()>,
}

impl Drop for Janitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<S: Service> Broker<S> {
    /// Goes round every 30 seconds.
    pub fn spawn_janitor(&self) -> Janitor {
        let broker = self.clone();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                broker.tend().await;
            }
        });
        Janitor { task }
    }

    /// One round: purges what is due, finishes deletions that stopped half-way, reads meters. What fails is logged, and left
    /// for another round.
    pub async fn tend(&self) {
        let core = &self.core;
        if let Err(fault) = core.service.tend().await {
            tracing::warn!(error = ?fault, "a service could not be tended");
        }
        if let Err(error) = core.purge_due().await {
            tracing::warn!(%error, "purging stopped");
        }
        if let Err(error) = core.finish_deletions().await {
            tracing::warn!(%error, "finishing deletions stopped");
        }
        if let Err(error) = core.measure_due().await {
            tracing::warn!(%error, "reading meters stopped");
        }
    }
}

impl<S: Service> Core<S> {
    async fn purge_due(&self) -> Result<(), Error> {
        let now = self.clock.seconds();
        for due in self.rows.retained(self.db.reader(), now, ROUND).await? {
            let Some(_held) = self.lock(&due.instance.id).await else { continue };
            // It may have been taken into use again while the lock was waited for.
            let row = self.rows.retained_one(self.db.reader(), &due.instance.resource).await?;
            let Some(instance) = row.map(|row| row.instance) else { continue };
            let again_at = match self.service.purge(&instance).await {
                Ok(()) => None,
                Err(fault) => {
                    tracing::warn!(instance.id = instance.id, error = ?fault, "data could not be purged yet");
                    Some(now.saturating_add(PURGE_AGAIN))
                }
            };
            let mut writer = self.db.writer().await?;
            let mut transaction = writer.begin().await?;
            self.rows.purged(&mut transaction, &instance.resource, again_at).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    async fn finish_deletions(&self) -> Result<(), Error> {
        for row in self.rows.instances(self.db.reader(), true, i64::MAX, ROUND).await? {
            let Some(_held) = self.lock(&row.instance.id).await else { continue };
            // It may have ended while the lock was waited for.
            if let Some(row) = self.found(&row.instance.id).await?.filter(|row| row.phase == Phase::Retiring)
                && let Err(error) = self.take_away(&row).await
            {
                tracing::warn!(instance.id = row.instance.id, %error, "a deletion could not be finished yet");
            }
        }
        for id in self.rows.revoking(self.db.reader(), ROUND).await? {
            let Some(_held) = self.lock(&id).await else { continue };
            let Some(row) = self.found(&id).await? else { continue };
            for binding in self.rows.bindings(self.db.reader(), &row.instance.resource).await? {
                if binding.revoking
                    && let Err(error) = self.revoke(&row.instance, &binding).await
                {
                    tracing::warn!(instance.id = id, %error, "access could not be taken away yet");
                }
            }
        }
        Ok(())
    }

    async fn measure_due(&self) -> Result<(), Error> {
        let now = self.clock.seconds();
        let every = i64::try_from(self.measure_every.as_secs()).unwrap_or(i64::MAX);
        for row in self.rows.instances(self.db.reader(), false, now.saturating_sub(every), ROUND).await? {
            self.measure(&row, now).await?;
        }
        Ok(())
    }

    /// Reads the meters of an instance and keeps what they say.
    pub(super) async fn measure(&self, row: &InstanceRow, now: i64) -> Result<(), Error> {
        let Some(events) = self.readings(row, now).await else { return Ok(()) };
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        self.rows.measured(&mut transaction, (&row.instance.resource, row.measured), now, &events).await?;
        Ok(transaction.commit().await?)
    }

    /// What the meters say as usage events. `None` where they can't be read: the window grows.
    pub(super) async fn readings(&self, row: &InstanceRow, now: i64) -> Option<Vec<Value>> {
        let instance = &row.instance;
        let (_, plan) = self.plan(&instance.service_id, &instance.plan_id).ok()?;
        let meters = Meter::of(plan);
        if meters.is_empty() {
            return Some(Vec::new());
        }
        let window = Window { start: row.measured_at.min(now), end: now };
        match self.service.measure(instance, window).await {
            Ok(readings) => {
                let (broker, resource) = (self.name.as_str(), instance.resource.as_str());
                let about = About { broker, instance_id: &instance.id, resource, number: row.measured };
                let event = |reading: &super::Reading| {
                    let meter = meters.iter().find(|meter| meter.key == reading.meter)?;
                    Some(reading.event(meter, &about, window))
                };
                Some(readings.iter().filter_map(event).collect())
            }
            Err(fault) => {
                tracing::warn!(instance.id = instance.id, error = ?fault, "meters can't be read");
                None
            }
        }
    }
}
