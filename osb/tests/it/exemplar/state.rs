//! What the exemplar remembers: instances with their bindings, and every operation there ever was, also of what is gone.
//!
//! The verbs are in files of their own; here are the look-ups that they share.

use std::collections::{BTreeMap, HashMap, HashSet};

use osb::*;
use serde_json::{Value, json};

use super::offerings::{self, Pace};
use super::{Quirk, schema};

/// How many polls an operation takes: one that finds it in progress, and one that finds it done.
const POLLS: u32 = 2;

/// An instance, or a binding of one.
pub(super) type Key = (String, Option<String>);

#[derive(Clone)]
pub(super) struct Instance {
    pub(super) service_id: String,
    pub(super) plan_id: String,
    pub(super) organization: String,
    pub(super) space: String,
    pub(super) parameters: Object,
    pub(super) context: Object,
    pub(super) ready: bool,
    pub(super) bindings: BTreeMap<String, Binding>,
}

#[derive(Clone)]
pub(super) struct Binding {
    /// What a repeat is compared with.
    pub(super) order: Value,
    pub(super) parameters: Object,
    pub(super) answer: BindResponse,
    pub(super) ready: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Provision,
    Update,
    Deprovision,
    Bind,
    Unbind,
}

pub(super) struct Operation {
    pub(super) word: String,
    pub(super) kind: Kind,
    /// What a repeat is compared with.
    pub(super) order: Value,
    /// The plans that a poll may name.
    pub(super) plans: Vec<String>,
    pub(super) polls_left: u32,
    pub(super) state: OperationState,
    pub(super) becomes: Option<Box<Instance>>,
}

pub(super) struct State {
    pub(super) quirk: Option<Quirk>,
    pub(super) catalog: Catalog,
    pub(super) offerings: Vec<ServiceOffering>,
    pub(super) instances: HashMap<String, Instance>,
    pub(super) operations: HashMap<Key, Vec<Operation>>,
    /// What a quirk keeps from being read, once.
    pub(super) lagging: HashSet<String>,
    /// What was deleted.
    pub(super) deleted: HashSet<String>,
    /// Counts whatever must be unique.
    pub(super) made: u64,
}

impl State {
    pub(super) fn new(quirk: Option<Quirk>) -> Self {
        let catalog = offerings::catalog();
        let offerings = catalog.offerings().map(|offering| offering.unwrap()).collect();
        Self {
            quirk,
            catalog,
            offerings,
            instances: HashMap::new(),
            operations: HashMap::new(),
            lagging: HashSet::new(),
            deleted: HashSet::new(),
            made: 0,
        }
    }

    pub(super) fn has(&self, quirk: Quirk) -> bool {
        self.quirk == Some(quirk)
    }

    pub(super) fn left(&self) -> usize {
        self.instances.values().map(|instance| 1 + instance.bindings.len()).sum()
    }

    pub(super) fn catalog_document(&self) -> CatalogDocument {
        CatalogDocument::from(&self.catalog)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    pub(super) fn offering(&self, service_id: &str) -> Result<&ServiceOffering, Error> {
        let found = self.offerings.iter().find(|offering| offering.id == service_id);
        found.ok_or_else(|| Error::bad_request("there is no service offering with this service_id"))
    }

    pub(super) fn plan(&self, service_id: &str, plan_id: &str) -> Result<(&ServiceOffering, &ServicePlan), Error> {
        let offering = self.offering(service_id)?;
        let any = |id| self.offerings.iter().find_map(|offering: &ServiceOffering| offering.plan(id));
        let plan = if self.has(Quirk::PlanOfAnyOffering) { any(plan_id) } else { offering.plan(plan_id) };
        let plan = plan.ok_or_else(|| Error::bad_request("this service offering has no plan with this plan_id"))?;
        Ok((offering, plan))
    }

    /// Whether to do it asynchronously, or the refusal of who can't wait.
    pub(super) fn paced(&self, plan: &ServicePlan, kind: Kind, accepts_incomplete: bool) -> Result<bool, Error> {
        if self.has(Quirk::BindsAtOnce) && kind == Kind::Bind {
            return Ok(false);
        }
        let slow = match self.quirk {
            Some(Quirk::BindsSlowly) => kind == Kind::Bind,
            Some(Quirk::DeprovisionsSlowly) => kind == Kind::Deprovision,
            _ => false,
        };
        let pace = if slow { Pace::Patient } else { offerings::pace(plan) };
        match (pace, accepts_incomplete) {
            (Pace::AtOnce, _) | (Pace::Either, false) => Ok(false),
            (Pace::Patient, false) if !self.has(Quirk::NeverAsksForPatience(kind)) => Err(Error::async_required()),
            _ => Ok(true),
        }
    }

    /// The last operation, where it is under way.
    pub(super) fn running(&self, key: &Key) -> Option<&Operation> {
        self.operations.get(key)?.last().filter(|operation| operation.state == OperationState::InProgress)
    }

    pub(super) fn binding_running(&self, instance_id: &str) -> bool {
        let keys = self.operations.keys().filter(|(id, binding)| id == instance_id && binding.is_some());
        keys.into_iter().any(|key| self.running(key).is_some())
    }

    /// Writes down a new operation and gives its word, which needs encoding in a query.
    pub(super) fn start(&mut self, key: Key, kind: Kind, order: Value, plans: Vec<String>) -> String {
        let word = format!("{kind:?} no. {}&what=é/50%+", self.next());
        let polls_left = if self.has(Quirk::EndsBeforeItIsPolled) { 1 } else { POLLS };
        let state = OperationState::InProgress;
        let operation = Operation { word: word.clone(), kind, order, plans, polls_left, state, becomes: None };
        self.operations.entry(key).or_default().push(operation);
        word
    }

    /// The word of the operation under way, for whoever asks for the same again.
    pub(super) fn word_again(&mut self, key: &Key) -> String {
        let number = self.next();
        let repeats_another = self.has(Quirk::RepeatsUnderAnotherWord);
        let operation = self.operations.get_mut(key).and_then(|operations| operations.last_mut()).unwrap();
        if repeats_another {
            operation.word = format!("another {number}");
        }
        operation.word.clone()
    }

    /// 422 where `maintenance_info` names another version than the catalog (PRV-06, UPD-09).
    pub(super) fn maintained(&self, plan: &ServicePlan, given: &Maybe<catalog::MaintenanceInfo>) -> Result<(), Error> {
        let version = given.as_option().and_then(|info| info.version.as_option()).map(String::as_str);
        if version.is_none() || version == plan.maintenance_version() {
            return Ok(());
        }
        Err(Error::maintenance_info_conflict("the plan's maintenance_info has changed: fetch the catalog again"))
    }

    /// 400 for those that name the plan or offering of something else.
    pub(super) fn belongs(
        instance: &Instance,
        service_id: Option<&str>,
        plans: &[String],
        plan: Option<&str>,
    ) -> Result<(), Error> {
        let offering_fits = service_id.is_none_or(|id| id == instance.service_id);
        if offering_fits && plan.is_none_or(|id| plans.iter().any(|known| known == id)) {
            return Ok(());
        }
        Err(Error::bad_request("service_id or plan_id are not those of this service instance"))
    }

    /// The same for deletions, of which some brokers look at the path only.
    pub(super) fn belongs_to_deleted(&self, instance: &Instance, service_id: &str, plan_id: &str) -> Result<(), Error> {
        if self.has(Quirk::IgnoresIdsOfDeletions) {
            return Ok(());
        }
        Self::belongs(instance, Some(service_id), std::slice::from_ref(&instance.plan_id), Some(plan_id))
    }

    pub(super) fn fits(schema: Option<&Value>, parameters: &Object) -> Result<(), Error> {
        match schema.and_then(|schema| schema::complaint(schema, parameters)) {
            None => Ok(()),
            Some(complaint) => Err(Error::bad_request(complaint)),
        }
    }
}

impl Instance {
    /// What a repeated provision is compared with: the attributes as they stand now.
    pub(super) fn order(&self) -> Value {
        json!([self.service_id, self.plan_id, self.organization, self.space, self.parameters])
    }
}

pub(super) fn instance_key(instance_id: &str) -> Key {
    (instance_id.to_owned(), None)
}

pub(super) fn binding_key(instance_id: &str, binding_id: &str) -> Key {
    (instance_id.to_owned(), Some(binding_id.to_owned()))
}

pub(super) fn parameters_of(parameters: &Maybe<Object>) -> Object {
    parameters.as_option().cloned().unwrap_or_default()
}

pub(super) fn busy() -> Error {
    Error::concurrency("another operation on this service instance is in progress")
}
