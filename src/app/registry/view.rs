//! A broker as an administrator sees it: how it is, what it offers, what is wrong. Never its credentials.

use std::sync::Arc;

use crate::app::{App, Error};
use crate::backend::BreakerState;
use crate::domain::catalog::{Offering, Part};
use crate::store::brokers::BrokerRow;
use crate::store::{brokers, offerings};

/// A broker and what it offers.
#[derive(Clone, Debug)]
pub struct BrokerView {
    /// As stored.
    pub row: BrokerRow,
    /// In this process.
    pub breaker: BreakerState,
    /// In the broker's order; those that left the catalog come last.
    pub part: Arc<Part>,
}

impl BrokerView {
    /// What it offers.
    pub fn offerings(&self) -> &[Offering] {
        &self.part.offerings
    }
}

impl App {
    pub(in crate::app) async fn broker_row(&self, name: &str) -> Result<BrokerRow, Error> {
        let wanted = name.to_owned();
        let row = self.db().read(|tx| Box::pin(async move { brokers::by_name(tx, &wanted).await })).await?;
        row.ok_or_else(|| Error::not_found("broker", name))
    }

    pub(super) async fn broker_view(&self, row: BrokerRow) -> Result<BrokerView, Error> {
        let breaker = self.backends().get(&row.id).map_or(BreakerState::Closed, |backend| backend.breaker_state());
        let catalog = self.catalog();
        let kept = catalog.parts().iter().find(|part| part.broker_id == row.id && part.version == row.version);
        if let Some(part) = kept {
            return Ok(BrokerView { row, breaker, part: Arc::clone(part) });
        }
        let id = row.id.clone();
        let offerings = self.db().read(|tx| Box::pin(async move { offerings::of_broker(tx, &id).await })).await?;
        let part = Part::new(row.id.clone(), row.name.clone(), row.version, row.deleted_at.is_some(), offerings);
        Ok(BrokerView { row, breaker, part: Arc::new(part) })
    }
}
