//! All brokers' offerings put together: what orders look plans up in, and the documents that platforms fetch.
//!
//! A [`Part`] is one broker's share; it is made again only when that broker changes. Documents are rendered once, when first
//! asked for, and then handed out as bytes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use osb::{CatalogDocument, ServiceOffering};
use serde_json::Value;

use super::plan::{PlanEntry, Schemas};
use super::views::{self, Seen, View, Views};
use super::{Offering, Plan, State, Wait, cloudfoundry, hubs, wait};
use crate::clock::Time;
use crate::domain::meter::Meter;
use crate::domain::parameters::ParameterRules;
use crate::domain::platform::PlatformKind;
use crate::domain::search::Terms;
use crate::domain::tariff::Tariffs;

/// One broker's share of the catalog.
#[derive(Debug)]
pub struct Part {
    /// The broker.
    pub broker_id: String,
    /// The broker.
    pub broker_name: String,
    /// Of the broker's row: tells whether this is still what is stored.
    pub version: i64,
    /// Deleted, but with instances left: serves them and is in no catalog.
    pub deleted: bool,
    /// In the broker's order.
    pub offerings: Vec<Offering>,
    plans: Vec<Arc<PlanEntry>>,
    /// Made when somebody searches for the first time.
    terms: OnceLock<Vec<Terms>>,
}

impl Part {
    /// Makes ready what is stored of one broker.
    pub fn new(broker_id: String, broker_name: String, version: i64, deleted: bool, offerings: Vec<Offering>) -> Self {
        let mut plans = Vec::new();
        for offering in &offerings {
            plans.extend(entries(&broker_id, &broker_name, deleted, offering));
        }
        Self { broker_id, broker_name, version, deleted, offerings, plans, terms: OnceLock::new() }
    }

    /// The words that lead to each of the offerings, in their order.
    pub fn terms(&self) -> &[Terms] {
        self.terms
            .get_or_init(|| self.offerings.iter().map(|offering| Terms::of(&self.broker_name, offering)).collect())
    }

    /// What platforms may see.
    fn visible(&self) -> impl Iterator<Item = &Offering> {
        self.offerings.iter().filter(|offering| !self.deleted && offering.state == State::Available)
    }
}

/// An offering that can't even be read has no entries: it never had an instance.
fn entries(broker_id: &str, broker_name: &str, deleted: bool, offering: &Offering) -> Vec<Arc<PlanEntry>> {
    let Ok(mut read) = osb::from_value::<ServiceOffering>(&offering.document) else { return Vec::new() };
    let plans: Vec<_> = offering
        .plans
        .iter()
        .filter_map(|plan| Some((plan, osb::from_value::<osb::ServicePlan>(&plan.document).ok()?)))
        .collect();
    read.plans =
        plans.iter().filter(|(plan, _)| plan.state == State::Available).map(|(_, read)| read.clone()).collect();
    let read = Arc::new(read);
    let entry = |(plan, document): (&Plan, osb::ServicePlan)| {
        Arc::new(PlanEntry {
            plan_id: plan.id.clone(),
            plan_name: plan.name.clone(),
            plan_backend_id: plan.backend_id.clone(),
            offering_id: offering.id.clone(),
            offering_name: offering.name.clone(),
            offering_backend_id: offering.backend_id.clone(),
            broker_id: broker_id.to_owned(),
            broker_name: broker_name.to_owned(),
            orderable: !deleted && offering.state == State::Available && plan.state == State::Available,
            offering: Arc::clone(&read),
            maximum_polling: document.maximum_polling_duration.as_option().copied().map(Duration::from_secs),
            plan: document,
            schemas: Schemas::default(),
        })
    };
    plans.into_iter().map(entry).collect()
}

/// Which shape of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shape {
    CloudFoundry,
    Hub,
    Plain,
}

impl From<PlatformKind> for Shape {
    fn from(kind: PlatformKind) -> Self {
        match kind {
            PlatformKind::CloudFoundry => Self::CloudFoundry,
            PlatformKind::Bourse => Self::Hub,
            PlatformKind::Kubernetes | PlatformKind::Other => Self::Plain,
        }
    }
}

/// Documents rendered so far.
#[derive(Debug, Default)]
pub(super) struct Documents {
    cloud_foundry: OnceLock<CatalogDocument>,
    hub: OnceLock<CatalogDocument>,
    plain: OnceLock<CatalogDocument>,
}

impl Documents {
    fn of(&self, shape: Shape) -> &OnceLock<CatalogDocument> {
        match shape {
            Shape::CloudFoundry => &self.cloud_foundry,
            Shape::Hub => &self.hub,
            Shape::Plain => &self.plain,
        }
    }
}

/// The catalog of all brokers. Never changes: another one takes its place.
#[derive(Debug, Default)]
pub struct Merged {
    parts: Vec<Arc<Part>>,
    plans: HashMap<String, Arc<PlanEntry>>,
    names: HashMap<String, HashMap<String, Arc<PlanEntry>>>,
    whole: Documents,
    /// By broker: its place in `parts`, its documents.
    brokers: HashMap<String, (usize, Documents)>,
    /// Offerings whose `dashboard_client` is the first with its id in the hub.
    dashboards: HashSet<String>,
    /// This hub's name.
    hub: String,
    shown: Shown,
    prices: Prices,
    seen: Seen,
    views: Views,
    /// When it was put together.
    at: Time,
}

/// What operators say that a catalog shows.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Which plans' orders may wait, and how long.
    pub waits: Vec<Wait>,
    /// What is said about parameters, by the names of offering and plan.
    pub parameters: Arc<HashMap<(String, String), ParameterRules>>,
}

/// The prices that a catalog shows.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    /// Those in force.
    pub tariffs: Option<Arc<Tariffs>>,
    /// When others come into force, by time alone.
    pub until: Option<Time>,
}

impl Merged {
    /// Puts parts together, in that order; `hub` is this hub's name.
    pub fn new(parts: Vec<Arc<Part>>, hub: String) -> Self {
        let mut merged = Self { hub, ..Self::default() };
        let mut clients = HashSet::new();
        for (index, part) in parts.iter().enumerate() {
            for plan in &part.plans {
                merged.plans.insert(plan.plan_id.clone(), Arc::clone(plan));
                if plan.orderable {
                    let offering = merged.names.entry(plan.offering_name.clone()).or_default();
                    offering.insert(plan.plan_name.clone(), Arc::clone(plan));
                }
            }
            for offering in part.visible() {
                let client = offering.document.pointer("/dashboard_client/id").and_then(Value::as_str);
                if client.is_some_and(|client| clients.insert(client.to_owned())) {
                    merged.dashboards.insert(offering.id.clone());
                }
            }
            if !part.deleted {
                merged.brokers.insert(part.broker_name.clone(), (index, Documents::default()));
            }
        }
        merged.parts = parts;
        merged
    }

    /// The same catalog with prices. To be said before any document is asked for.
    #[must_use]
    pub fn priced(self, prices: Prices) -> Self {
        Self { prices, ..self }
    }

    /// The same where not everybody sees everything. To be said before any document is asked for.
    #[must_use]
    pub fn seen(self, seen: Seen, now: Time) -> Self {
        let views = Views::new(&self.parts, &seen, now);
        Self { seen, views, at: now, ..self }
    }

    /// Who may see what.
    pub fn audience(&self) -> &Seen {
        &self.seen
    }

    /// When time alone makes another catalog of it: other prices, or an offering's sunset.
    pub fn until(&self) -> Option<Time> {
        self.prices.until.into_iter().chain(self.seen.rules.next_change(self.at)).min()
    }

    /// The prices that it shows.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// The same with what operators say of orders. To be said before any document is asked for.
    #[must_use]
    pub fn showing(self, shown: Shown) -> Self {
        Self { shown, ..self }
    }

    /// What operators say of orders.
    pub fn shown(&self) -> &Shown {
        &self.shown
    }

    /// The plan with those ids, as platforms send them. Holds what can't be ordered any more, too.
    pub fn plan(&self, offering_id: &str, plan_id: &str) -> Option<&Arc<PlanEntry>> {
        self.plan_by_id(plan_id).filter(|plan| plan.offering_id == offering_id)
    }

    /// The plan with that id.
    pub fn plan_by_id(&self, plan_id: &str) -> Option<&Arc<PlanEntry>> {
        self.plans.get(plan_id)
    }

    /// All plans, also those that can't be ordered any more.
    pub fn plans(&self) -> impl Iterator<Item = &Arc<PlanEntry>> {
        self.plans.values()
    }

    /// The plan with those names, among what can be ordered.
    pub fn plan_by_name(&self, offering: &str, plan: &str) -> Option<&Arc<PlanEntry>> {
        self.names.get(offering)?.get(plan)
    }

    /// The names of what can be ordered.
    pub fn offering_names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The names of the plans of an offering that can be ordered, in the order of its catalog.
    pub fn plan_names(&self, offering: &str) -> impl Iterator<Item = &str> {
        let named = self.names.get(offering);
        let can_be = move |entry: &&Arc<PlanEntry>| {
            named.and_then(|named| named.get(&entry.plan_name)).is_some_and(|one| one.plan_id == entry.plan_id)
        };
        self.parts.iter().flat_map(|part| &part.plans).filter(can_be).map(|entry| entry.plan_name.as_str())
    }

    /// A plan of a broker by the offering's and the plan's names or the backend's ids of them, also one that can't be ordered
    /// any more; what can is preferred.
    pub fn plan_of_broker(&self, broker: &str, offering: &str, plan: &str) -> Option<&Arc<PlanEntry>> {
        let (index, _) = self.brokers.get(broker)?;
        let called = |entry: &&Arc<PlanEntry>| {
            (entry.offering_name == offering || entry.offering_backend_id == offering)
                && (entry.plan_name == plan || entry.plan_backend_id == plan)
        };
        self.parts.get(*index)?.plans.iter().filter(called).max_by_key(|entry| entry.orderable)
    }

    /// Each broker's share, in the catalog's order.
    pub fn parts(&self) -> &[Arc<Part>] {
        &self.parts
    }

    /// Whether a broker of that name is registered.
    pub fn has_broker(&self, name: &str) -> bool {
        self.brokers.contains_key(name)
    }

    /// What a platform of that kind gets: of all brokers, or of one (empty where there is none of that name).
    pub fn document(&self, broker: Option<&str>, kind: PlatformKind) -> CatalogDocument {
        let shape = Shape::from(kind);
        let document = match broker {
            None => Some(self.whole.of(shape).get_or_init(|| self.render(&self.parts, shape, None))),
            Some(name) => self.brokers.get(name).map(|(index, documents)| {
                let part = self.parts.get(*index..=*index).unwrap_or_default();
                documents.of(shape).get_or_init(|| self.render(part, shape, None))
            }),
        };
        document.cloned().unwrap_or_else(|| finish(b"{\"services\":[]}".to_vec()))
    }

    /// What one platform gets, which may not see everything.
    pub fn document_for(&self, broker: Option<&str>, platform: &str, kind: PlatformKind) -> CatalogDocument {
        let Some(view) = self.views.of(platform) else { return self.document(broker, kind) };
        let shape = Shape::from(kind);
        let document = match broker {
            None => Some(view.whole.of(shape).get_or_init(|| self.render(&self.parts, shape, Some(view)))),
            Some(name) => self.brokers.get(name).zip(view.brokers.get(name)).map(|((index, _), documents)| {
                let part = self.parts.get(*index..=*index).unwrap_or_default();
                documents.of(shape).get_or_init(|| self.render(part, shape, Some(view)))
            }),
        };
        document.cloned().unwrap_or_else(|| finish(b"{\"services\":[]}".to_vec()))
    }

    /// Whether a plan is in no document that a platform gets, although it is in the catalog.
    pub fn hides(&self, platform: &str, plan_id: &str) -> bool {
        self.views.of(platform).is_some_and(|view| view.hidden.contains(plan_id))
    }

    /// Renders what platforms ask for, so that no request has to.
    pub fn render_all(&self) {
        if self.views.is_empty() {
            for kind in [PlatformKind::CloudFoundry, PlatformKind::Other] {
                self.document(None, kind);
            }
            return;
        }
        for (platform, kind) in &*self.seen.platforms {
            self.document_for(None, platform, *kind);
        }
    }

    fn render(&self, parts: &[Arc<Part>], shape: Shape, view: Option<&View>) -> CatalogDocument {
        let mut json = b"{\"services\":[".to_vec();
        let mut first = true;
        for offering in parts.iter().flat_map(|part| part.visible()) {
            let Some(rendered) = self.render_offering(offering, shape, view) else { continue };
            if !first {
                json.push(b',');
            }
            first = false;
            json.extend_from_slice(rendered.to_string().as_bytes());
        }
        json.extend_from_slice(b"]}");
        finish(json)
    }

    /// `None` for an offering that is left without a plan (SVC-13), or that the platform would refuse all others for.
    fn render_offering(&self, offering: &Offering, shape: Shape, view: Option<&View>) -> Option<Value> {
        let mut rendered = offering.document.clone();
        let fields = rendered.as_object_mut()?;
        let plans: Vec<Value> = offering
            .plans
            .iter()
            .filter(|plan| plan.state == State::Available)
            .filter(|plan| view.is_none_or(|view| !view.hidden.contains(&plan.id)))
            .filter_map(|plan| self.render_plan(offering, plan))
            .collect();
        if plans.is_empty() {
            return None;
        }
        fields.insert("id".to_owned(), offering.id.clone().into());
        fields.insert("name".to_owned(), offering.name.clone().into());
        fields.insert("plans".to_owned(), plans.into());
        views::mark(fields, self.seen.rules.offerings.get(&offering.id), self.at);
        match shape {
            // It holds a secret that only Cloud Foundry has a use for.
            Shape::Plain => drop(fields.shift_remove("dashboard_client")),
            Shape::Hub => {
                fields.shift_remove("dashboard_client");
                hubs::mark(&mut rendered, &self.hub);
            }
            Shape::CloudFoundry => {
                if !cloudfoundry::fit(fields) {
                    return None;
                }
                if !self.dashboards.contains(&offering.id) {
                    fields.shift_remove("dashboard_client");
                }
            }
        }
        Some(rendered)
    }

    /// Shows what is said about the plan's parameters in its schemas.
    fn show_parameters(&self, plan: &mut osb::Object, offering: &Offering, named: &Plan) {
        if self.shown.parameters.is_empty() {
            return;
        }
        let Some(rules) = self.shown.parameters.get(&(offering.name.clone(), named.name.clone())) else { return };
        let schemas = plan.get_mut("schemas").and_then(|schemas| schemas.get_mut("service_instance"));
        let Some(schemas) = schemas else { return };
        for verb in ["create", "update"] {
            if let Some(schema) = schemas.get_mut(verb).and_then(|schema| schema.get_mut("parameters")) {
                rules.show(schema);
            }
        }
    }

    /// Where the price book in force says what a plan costs, that takes the place of what its broker says.
    fn render_plan(&self, offering: &Offering, plan: &Plan) -> Option<Value> {
        let mut rendered = plan.document.clone();
        let fields = rendered.as_object_mut()?;
        fields.insert("id".to_owned(), plan.id.clone().into());
        wait::lengthen(fields, &self.shown.waits, &offering.name, &plan.name);
        self.show_parameters(fields, offering, plan);
        let tariffs = self.prices.tariffs.as_deref();
        let costs =
            tariffs.and_then(|tariffs| tariffs.costs(&offering.name, &plan.name, &Meter::declared(&plan.document).0));
        if let Some(costs) = costs {
            let metadata = fields.entry("metadata").or_insert_with(|| Value::Object(osb::Object::new()));
            if metadata.is_null() {
                *metadata = Value::Object(osb::Object::new());
            }
            if let Some(metadata) = metadata.as_object_mut() {
                metadata.insert("costs".to_owned(), costs);
            }
        }
        Some(rendered)
    }
}

fn finish(json: Vec<u8>) -> CatalogDocument {
    use base64::Engine as _;
    let digest = ring::digest::digest(&ring::digest::SHA256, &json);
    let tag = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest.as_ref());
    CatalogDocument { json: json.into(), etag: Some(format!("\"{tag}\"")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::catalog::Ids;
    use crate::domain::catalog::import::{Source, import, removed};

    const CATALOG: &str = r#"{"services":[{"x-first":1,"id":"o","name":"db","description":"d","bindable":true,"metadata":{"price":99.0,"big":123456789012345678901234567890,"null":null},"dashboard_client":{"id":"client","secret":"s","redirect_uri":"http://r"},"plans":[{"id":"p","name":"small","description":"d","free":false,"x-last":{"a":[1.50]}},{"id":"q","name":"large","description":"d"}]}]}"#;

    fn part(broker: &str, prefix: &str) -> Part {
        let catalog = serde_json::from_str(CATALOG).unwrap();
        let offerings = import(
            Source { broker, name_prefix: prefix, ids: Ids::Mapped, hub: "bourse", terms: Default::default() },
            &catalog,
            &[],
        )
        .unwrap();
        Part::new(format!("id-of-{broker}"), broker.to_owned(), 1, false, offerings)
    }

    fn merged(parts: Vec<Part>) -> Merged {
        Merged::new(parts.into_iter().map(Arc::new).collect(), "bourse".to_owned())
    }

    fn json(document: &CatalogDocument) -> Value {
        serde_json::from_slice(&document.json).unwrap()
    }

    #[test]
    fn ext_02_svc_10_pln_04_05_only_ids_and_names_are_replaced_the_rest_is_as_it_came() {
        let merged = merged(vec![part("acme", "acme-")]);
        let document = merged.document(None, PlatformKind::CloudFoundry);
        let (offering, small, large) = {
            let plan = |name| merged.plan_by_name("acme-db", name).unwrap();
            (plan("small").offering_id.clone(), plan("small").plan_id.clone(), plan("large").plan_id.clone())
        };
        let expected = CATALOG
            .replace(r#""id":"o","name":"db""#, &format!(r#""id":"{offering}","name":"acme-db""#))
            .replace(r#""id":"p""#, &format!(r#""id":"{small}""#))
            .replace(r#""id":"q""#, &format!(r#""id":"{large}""#));
        assert_eq!(std::str::from_utf8(&document.json).unwrap(), expected);
        assert_eq!(merged.plan_names("acme-db").collect::<Vec<_>>(), ["small", "large"]);
    }

    #[test]
    fn plans_that_the_price_book_knows_show_its_prices_and_the_others_what_their_broker_says() {
        let mut catalog: Value = serde_json::from_str(CATALOG).unwrap();
        let said = json!([{"amount": {"eur": 1.0}, "unit": "YEARLY"}, {"amount": {"usd": 2.50}, "unit": "SETUP FEE"}]);
        for plan in 0..2 {
            catalog["services"][0]["plans"][plan]["metadata"] = json!({"costs": said, "bullets": ["b"]});
        }
        let source =
            Source { broker: "a", name_prefix: "", ids: Ids::Mapped, hub: "bourse", terms: Default::default() };
        let offerings = import(source, &catalog, &[]).unwrap();
        let part = Arc::new(Part::new("1".to_owned(), "a".to_owned(), 1, false, offerings));
        let rules = json!([{"offering": "db", "plan": "small", "model": "flat", "amount": "99", "per": "month"}]);
        let document = json!({"currency": "EUR", "effective_from": "2026-01-01T00:00:00Z", "rules": rules});
        let document = serde_json::from_value(document).unwrap();
        let book = crate::domain::price::PriceBook { id: "b".to_owned(), document, created_at: Time(0) };
        let prices = Prices { tariffs: Some(Arc::new(Tariffs::new(&book))), until: None };
        let without = Merged::new(vec![Arc::clone(&part)], "bourse".to_owned());
        let with = Merged::new(vec![part], "bourse".to_owned()).priced(prices);
        for kind in [PlatformKind::CloudFoundry, PlatformKind::Kubernetes, PlatformKind::Bourse] {
            let (before, after) = (without.document(None, kind), with.document(None, kind));
            assert_ne!(before.etag, after.etag);
            let mut expected = json(&before);
            assert_eq!(expected["services"][0]["plans"][0]["metadata"]["costs"], said);
            let priced: Value = serde_json::from_str(r#"[{"amount":{"eur":99.0},"unit":"MONTHLY"}]"#).unwrap();
            expected["services"][0]["plans"][0]["metadata"]["costs"] = priced;
            assert_eq!(json(&after), expected, "{kind:?}");
        }
    }

    #[test]
    fn svc_11_only_cloud_foundry_gets_the_dashboard_client_and_each_only_once() {
        let merged = merged(vec![part("a", "a-"), part("b", "b-")]);
        for kind in [PlatformKind::Kubernetes, PlatformKind::Bourse, PlatformKind::Other] {
            let text = merged.document(None, kind).json;
            assert!(!String::from_utf8_lossy(&text).contains("dashboard_client"), "{kind:?}");
        }
        let whole = json(&merged.document(None, PlatformKind::CloudFoundry));
        assert!(whole["services"][0].get("dashboard_client").is_some());
        assert!(whole["services"][1].get("dashboard_client").is_none());
        // One broker's own document agrees with the whole one.
        let second = json(&merged.document(Some("b"), PlatformKind::CloudFoundry));
        assert_eq!(second["services"][0], whole["services"][1]);
    }

    #[test]
    fn the_same_broker_twice_has_other_ids_and_other_names() {
        let merged = merged(vec![part("a", "a-"), part("b", "b-")]);
        let whole = json(&merged.document(None, PlatformKind::Other));
        let ids: HashSet<_> =
            (0..2).flat_map(|i| ["/id", "/name", "/plans/0/id"].map(|p| whole["services"][i].pointer(p))).collect();
        assert_eq!(ids.len(), 6);
    }

    #[test]
    fn svc_13_what_can_not_be_ordered_is_in_no_document_but_serves_its_instances() {
        let mut gone = part("a", "");
        let offerings = gone.offerings.into_iter().map(removed).collect();
        gone = Part::new(gone.broker_id, gone.broker_name, 2, false, offerings);
        let id = gone.offerings[0].plans[0].id.clone();
        let merged = merged(vec![gone]);
        assert_eq!(json(&merged.document(None, PlatformKind::Other)), json!({"services": []}));
        let plan = merged.plan_by_id(&id).unwrap();
        assert!(!plan.orderable);
        assert_eq!(plan.plan_backend_id, "p");
        assert!(merged.plan_by_name("db", "small").is_none());
        assert!(merged.plan(&plan.offering_id, &id).is_some());
        assert!(merged.plan("another", &id).is_none());
    }

    #[test]
    fn a_removed_broker_with_instances_serves_them_and_is_in_no_document() {
        let part = part("a", "");
        let deleted = Part::new(part.broker_id, part.broker_name, 2, true, part.offerings);
        let id = deleted.offerings[0].plans[0].id.clone();
        let merged = merged(vec![deleted]);
        assert!(!merged.has_broker("a"));
        assert_eq!(json(&merged.document(Some("a"), PlatformKind::Other)), json!({"services": []}));
        assert!(!merged.plan_by_id(&id).unwrap().orderable);
    }

    #[test]
    fn cat_06_the_entity_tag_follows_from_the_bytes() {
        let tag = |merged: &Merged, kind| merged.document(None, kind).etag.unwrap();
        let (one, two) = (merged(vec![part("a", "")]), merged(vec![part("a", "")]));
        assert_eq!(tag(&one, PlatformKind::Other), tag(&two, PlatformKind::Other));
        assert_ne!(tag(&one, PlatformKind::Other), tag(&one, PlatformKind::CloudFoundry));
        assert!(tag(&one, PlatformKind::Other).starts_with('"'));
    }

    #[test]
    fn parameters_are_checked_against_the_plans_schema() {
        let mut catalog: Value = serde_json::from_str(CATALOG).unwrap();
        let schema = json!({"$schema": "http://json-schema.org/draft-04/schema#", "required": ["size"]});
        catalog["services"][0]["plans"][0]["schemas"] = json!({
            "service_instance": {"create": {"parameters": schema}, "update": {"parameters": {"$ref": "http://x/"}}},
        });
        let source =
            Source { broker: "a", name_prefix: "", ids: Ids::Mapped, hub: "bourse", terms: Default::default() };
        let offerings = import(source, &catalog, &[]).unwrap();
        let merged = merged(vec![Part::new("1".to_owned(), "a".to_owned(), 1, false, offerings)]);
        let plan = merged.plan_by_name("db", "small").unwrap();
        assert_eq!(plan.check_create(&json!({})).len(), 1);
        assert!(plan.check_create(&json!({"size": 1})).is_empty());
        assert!(plan.check_update(&json!({})).is_empty(), "one that can't be read is not enforced");
        assert!(plan.check_bind(&json!({})).is_empty());
    }
}
