//! The meters of plans by their ids: from the catalog in memory, or from the database for plans that are in none any more.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::{App, Error};
use crate::domain::meter::Meter;
use crate::store::usage::facts;

/// Meters of plans, by the plans' ids.
pub(super) type Plans = HashMap<String, Arc<[Meter]>>;

impl App {
    /// The meters of these plans. A plan that is nowhere has none.
    pub(super) async fn meters_of(&self, ids: impl IntoIterator<Item = String>) -> Result<Plans, Error> {
        let catalog = self.catalog();
        let mut plans = Plans::new();
        let mut missing = Vec::new();
        for id in ids {
            match catalog.plan_by_id(&id) {
                Some(plan) => drop(plans.insert(id, plan.meters())),
                None if !missing.contains(&id) => missing.push(id),
                None => {}
            }
        }
        if missing.is_empty() {
            return Ok(plans);
        }
        let ids = json!(missing).to_string();
        let documents = self.db().read(|tx| Box::pin(async move { facts::plans(tx, &ids).await })).await?;
        for (id, document) in documents {
            let document: Value = serde_json::from_str(&document).unwrap_or_default();
            plans.insert(id, Meter::declared(&document).0.into());
        }
        Ok(plans)
    }
}
