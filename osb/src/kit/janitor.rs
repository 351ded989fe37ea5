//! What has to be done without an order: data whose time has come, deletions that stopped half-way, meters.
//!
//! Each round is bounded; what it does not reach is for the next. Several processes may tend one file.

use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use super::broker::{Broker, Core};
use super::meter::{About, Kind, Meter, Window};
use super::rows::{InstanceRow, Phase};
use super::service::Service;
use crate::Error;

/// How much of each kind one round takes on.
const ROUND: i64 = 200;
/// After how many seconds a purge that failed is tried again.
const PURGE_AGAIN: i64 = 300;
/// The same for a deletion that can't be finished, and for meters that can't be read.
pub(super) const LOOK_AGAIN: i64 = 60;
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
        // Beside the rest: what a service waits for holds up no deletion.
        let tended = core.service.tend();
        let (tended, ()) = tokio::join!(tended, self.see_to());
        if let Err(fault) = tended {
            tracing::warn!(error = ?fault, "a service could not be tended");
        }
    }

    async fn see_to(&self) {
        let core = &self.core;
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
            if !self.begin_purge(&instance.resource).await? {
                continue;
            }
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

    /// From then on it can't be taken into use again.
    pub(super) async fn begin_purge(&self, resource: &str) -> Result<bool, Error> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        let begun = self.rows.begin_purge(&mut transaction, resource).await?;
        transaction.commit().await?;
        Ok(begun)
    }

    /// When an instance whose meters have just been read is looked at again.
    pub(super) fn next_look(&self, now: i64) -> i64 {
        now.saturating_add(i64::try_from(self.measure_every.as_secs()).unwrap_or(i64::MAX))
    }

    async fn put_off(&self, resource: &str, until: i64) -> Result<(), Error> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        self.rows.look_at(&mut transaction, resource, until).await?;
        Ok(transaction.commit().await?)
    }

    async fn finish_deletions(&self) -> Result<(), Error> {
        let now = self.clock.seconds();
        for row in self.rows.due(self.db.reader(), true, now, ROUND).await? {
            let Some(_held) = self.lock(&row.instance.id).await else { continue };
            // It may have ended while the lock was waited for.
            if let Some(row) = self.found(&row.instance.id).await?.filter(|row| row.phase == Phase::Retiring)
                && let Err(error) = self.take_away(&row).await
            {
                tracing::warn!(instance.id = row.instance.id, %error, "a deletion could not be finished yet");
                self.put_off(&row.instance.resource, now.saturating_add(LOOK_AGAIN)).await?;
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
        for row in self.rows.due(self.db.reader(), false, now, ROUND).await? {
            self.measure(&row, now, Kind::ALL).await?;
        }
        Ok(())
    }

    /// Reads the meters of an instance and keeps what those of these kinds say.
    pub(super) async fn measure(&self, row: &InstanceRow, now: i64, kinds: &[Kind]) -> Result<(), Error> {
        let Some(events) = self.readings(row, now, kinds).await else {
            return self.put_off(&row.instance.resource, now.saturating_add(LOOK_AGAIN)).await;
        };
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        self.rows
            .measured(&mut transaction, (&row.instance.resource, row.measured), (now, self.next_look(now)), &events)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// What the meters of these kinds say as usage events. `None` where they can't be read: the window grows.
    pub(super) async fn readings(&self, row: &InstanceRow, now: i64, kinds: &[Kind]) -> Option<Vec<Value>> {
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
                    kinds.contains(&meter.kind).then(|| reading.event(meter, &about, window))
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
