//! One plan of the merged catalog, as orders see it: whose it is, under which ids the backend knows it, what its parameters
//! must look like.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use osb::{ServiceOffering, ServicePlan};
use serde_json::Value;

use super::schema::{Problem, Schema};
use crate::domain::meter::Meter;
use crate::domain::reference::References;

/// A plan and all that an order of it needs to know.
#[derive(Debug)]
pub struct PlanEntry {
    /// What platforms know it by.
    pub plan_id: String,
    /// Its name within the offering.
    pub plan_name: String,
    /// What the backend knows it by.
    pub plan_backend_id: String,
    /// What platforms know the offering by.
    pub offering_id: String,
    /// With the broker's prefix.
    pub offering_name: String,
    /// What the backend knows the offering by.
    pub offering_backend_id: String,
    /// The broker.
    pub broker_id: String,
    /// The broker.
    pub broker_name: String,
    /// Whether it is in the catalog. Where not, it still serves the instances it has.
    pub orderable: bool,
    /// As the backend gave it: its ids, its names.
    pub offering: Arc<ServiceOffering>,
    /// As the backend gave it.
    pub plan: ServicePlan,
    /// How long an operation may be polled, by the plan's word.
    pub maximum_polling: Option<Duration>,
    /// Read when first needed: a hub with many catalogs starts at once.
    pub(super) schemas: Schemas,
}

/// The schemas of a plan; `None` inside where it has none that can be read.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    create: OnceLock<Option<Schema>>,
    update: OnceLock<Option<Schema>>,
    bind: OnceLock<Option<Schema>>,
    /// What takes the name of an instance, at a provision and at an update.
    references: OnceLock<(References, References)>,
    /// What is measured of it.
    meters: OnceLock<Arc<[Meter]>>,
}

impl PlanEntry {
    /// What is wrong with the parameters of a provision.
    pub fn check_create(&self, parameters: &Value) -> Vec<Problem> {
        check(&self.schemas.create, self.plan.create_schema(), parameters)
    }

    /// What is wrong with the parameters of an update.
    pub fn check_update(&self, parameters: &Value) -> Vec<Problem> {
        check(&self.schemas.update, self.plan.update_schema(), parameters)
    }

    /// What is wrong with the parameters of a bind.
    pub fn check_bind(&self, parameters: &Value) -> Vec<Problem> {
        check(&self.schemas.bind, self.plan.bind_schema(), parameters)
    }

    /// Which parameters of a provision take the name of an instance.
    pub fn references_at_create(&self) -> &References {
        &self.references().0
    }

    /// The same of an update: what was a reference in the order is one in its update, too, whether or not the schema of updates
    /// says so again.
    pub fn references_at_update(&self) -> &References {
        &self.references().1
    }

    fn references(&self) -> &(References, References) {
        self.schemas.references.get_or_init(|| {
            let read = |schema: Option<&Value>| schema.map(References::read).unwrap_or_default();
            let create = read(self.plan.create_schema());
            let update = read(self.plan.update_schema()).or(&create);
            (create, update)
        })
    }

    /// The meters that it declares; those that can't be read are left out.
    pub fn meters(&self) -> Arc<[Meter]> {
        let read = || {
            let metadata = self.plan.metadata.as_option().cloned().unwrap_or_default();
            Meter::declared(&serde_json::json!({ "metadata": metadata })).0.into()
        };
        Arc::clone(self.schemas.meters.get_or_init(read))
    }

    /// Whether its instances can be bound to.
    pub fn bindable(&self) -> bool {
        self.offering.bindable(&self.plan)
    }

    /// Whether its instances may change to another plan.
    pub fn plan_updateable(&self) -> bool {
        self.offering.plan_updateable(&self.plan)
    }
}

fn check(kept: &OnceLock<Option<Schema>>, schema: Option<&Value>, parameters: &Value) -> Vec<Problem> {
    let schema = kept.get_or_init(|| schema.and_then(|schema| Schema::read(schema).ok()));
    schema.as_ref().map(|schema| schema.check(parameters)).unwrap_or_default()
}
