//! Reads one broker's catalog, offering by offering: one that is not in order is put aside with what is wrong with it, and
//! the rest is served. What is known already is carried on: a plan that left keeps serving its instances, an offering that
//! is no longer in order keeps its last good form.

use std::collections::{HashMap, HashSet};

use osb::Catalog;
use serde_json::Value;

use super::bridge::{self, Terms};
use super::schema::{self, Schema};
use super::{Finding, Ids, Offering, Plan, Severity, State, hubs, ids};
use crate::domain::meter::Meter;
use crate::domain::reference;

/// Offerings of one broker, and plans of all of them: more is refused as a whole.
const OFFERINGS_MAX: usize = 1000;
const PLANS_MAX: usize = 10_000;
/// References shown of one schema that are not read.
const IGNORED_MAX: usize = 20;
/// Meters of one plan that are shown as wrong.
const METERS_SHOWN_MAX: usize = 20;
const IGNORED: &str = "is not read: it must be {\"offering\": NAME} or {\"tag\": TAG}, on a property, or on what `items` describes, of a provision or update";

/// Whose catalog is read, and how its names and ids become the hub's.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The broker's name, part of derived ids.
    pub broker: &'a str,
    /// Stands before each offering's name.
    pub name_prefix: &'a str,
    /// Which ids platforms see.
    pub ids: Ids,
    /// This hub's name: what it offers itself is not taken in again.
    pub hub: &'a str,
    /// How the broker is spoken to.
    pub terms: Terms<'a>,
}

/// Reads a catalog. `known` is what is stored of the same broker; what the catalog no longer has comes back as removed.
///
/// # Errors
/// Where it is no catalog at all: what is wrong with it.
pub fn import(source: Source<'_>, catalog: &Value, known: &[Offering]) -> Result<Vec<Offering>, Vec<Finding>> {
    let broken = |pointer: &str, message: String| Err(vec![error(pointer, message)]);
    if !catalog.is_object() {
        return broken("", "the catalog must be a JSON object".to_owned());
    }
    let Some(services) = catalog.get("services").and_then(Value::as_array) else {
        return broken("/services", "must be an array of service offerings; it may be empty".to_owned());
    };
    let plans = services.iter().filter_map(|service| service.get("plans")?.as_array()).map(Vec::len).sum::<usize>();
    if services.len() > OFFERINGS_MAX || plans > PLANS_MAX {
        let message = format!("more than {OFFERINGS_MAX} offerings or {PLANS_MAX} plans: split the broker");
        return broken("/services", message);
    }
    let Ok(parsed) = osb::from_value::<Catalog>(catalog) else {
        return broken("", "the catalog can't be read".to_owned());
    };
    let mut findings = by_offering(osb::catalog::validate(&parsed));
    let mut seen = HashSet::new();
    let homes = known.iter().flat_map(|before| before.plans.iter().map(|plan| (plan.id.as_str(), before.id.as_str())));
    let homes: HashMap<_, _> = homes.collect();
    let mut offerings: Vec<_> = services
        .iter()
        .enumerate()
        .map(|(position, service)| {
            let findings = findings.remove(&position).unwrap_or_default();
            let offering = read(source, position, service, findings, &mut seen);
            carry_on(known, unclaimed(source, known, stay_in_place(&homes, offering)))
        })
        .collect();
    let here: HashSet<String> = offerings.iter().map(|offering| offering.id.clone()).collect();
    // What never could be ordered leaves without a trace.
    let gone = known.iter().filter(|before| !here.contains(&before.id) && !before.plans.is_empty());
    offerings.extend(gone.map(|before| removed(before.clone())));
    Ok(offerings)
}

/// An offering that is out of order for one more reason. Its last good form serves on where there is one.
#[must_use]
pub fn quarantine(broker: &str, known: &[Offering], mut offering: Offering, message: String) -> Offering {
    let pointer = format!("/services/{}", offering.position);
    offering.state = State::Quarantined;
    offering.findings.push(error(&pointer, message));
    offering.plans.clear();
    if known.iter().all(|before| before.id != offering.id) {
        // The id may be somebody else's.
        offering.id = ids::unusable(broker, usize::try_from(offering.position).unwrap_or_default());
    }
    carry_on(known, offering)
}

/// An offering that the broker no longer has.
#[must_use]
pub fn removed(mut offering: Offering) -> Offering {
    offering.state = State::Removed;
    for plan in &mut offering.plans {
        plan.state = State::Removed;
    }
    offering
}

/// A plan belongs to one offering for ever (PLN-01): its instances would change their offering with it.
fn stay_in_place(homes: &HashMap<&str, &str>, mut offering: Offering) -> Offering {
    let moved = offering.plans.iter().find(|plan| homes.get(plan.id.as_str()).is_some_and(|home| *home != offering.id));
    if let Some(plan) = moved {
        let pointer = format!("/services/{}/plans/{}/id", offering.position, plan.position);
        offering.findings.push(error(&pointer, "a plan of another offering has this id: it can't move".to_owned()));
        offering.state = State::Quarantined;
        offering.plans.clear();
    }
    offering
}

/// What never could be ordered has no claim to the broker's own id: it may be that of another broker's offering, which a broken
/// one must not stand in the way of.
fn unclaimed(source: Source<'_>, known: &[Offering], mut offering: Offering) -> Offering {
    let new = known.iter().all(|before| before.id != offering.id);
    if source.ids == Ids::Passthrough && offering.state == State::Quarantined && new {
        offering.id = ids::unusable(source.broker, usize::try_from(offering.position).unwrap_or_default());
    }
    offering
}

fn carry_on(known: &[Offering], mut now: Offering) -> Offering {
    let Some(before) = known.iter().find(|before| before.id == now.id) else { return now };
    if now.state == State::Quarantined && !before.plans.is_empty() {
        // The last good form serves its instances.
        return Offering { state: now.state, findings: now.findings, position: now.position, ..before.clone() };
    }
    let gone: Vec<_> =
        before.plans.iter().filter(|plan| now.plans.iter().all(|current| current.id != plan.id)).cloned().collect();
    now.plans.extend(gone.into_iter().map(|plan| Plan { state: State::Removed, ..plan }));
    now
}

/// One offering, with what [`osb::catalog::validate`] found of it.
fn read(
    source: Source<'_>,
    position: usize,
    service: &Value,
    mut findings: Vec<Finding>,
    seen: &mut HashSet<String>,
) -> Offering {
    let mut fitted = service.clone();
    bridge::fit(&mut fitted, source.terms);
    let service = &fitted;
    if let Some(why) = hubs::refused(service, source.hub) {
        findings.push(error(&format!("/services/{position}"), why));
    }
    let good = findings.iter().all(|finding| finding.severity != Severity::Error);
    let text = |name| service.get(name).and_then(Value::as_str).unwrap_or_default();
    let backend_id = text("id").to_owned();
    // A repeated id is the first one's.
    let own = !backend_id.is_empty() && seen.insert(backend_id.clone());
    let id = if own {
        ids::offering(source.ids, source.broker, &backend_id)
    } else {
        ids::unusable(source.broker, position)
    };
    let plans = if good { read_plans(source, service, &backend_id) } else { Vec::new() };
    for plan in &plans {
        findings.extend(judge_schemas(position, plan));
        findings.extend(judge_meters(position, plan));
    }
    let mut document = service.clone();
    if let Some(plans) = document.get_mut("plans") {
        *plans = Value::Array(Vec::new());
    }
    Offering {
        id,
        backend_id,
        name: format!("{}{}", source.name_prefix, text("name")),
        state: if good { State::Available } else { State::Quarantined },
        document,
        findings,
        position: i64::try_from(position).unwrap_or(i64::MAX),
        plans,
    }
}

/// Schemas that OSB allows but that can't be enforced here.
fn judge_schemas(offering: usize, plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    for place in ["service_instance/create", "service_instance/update", "service_binding/create"] {
        let place = format!("/schemas/{place}/parameters");
        let Some(schema) = plan.document.pointer(&place).filter(|schema| !schema.is_null()) else { continue };
        let at = format!("/services/{offering}/plans/{}{place}", plan.position);
        // Parameters of a bind never name an instance.
        let binds = place.contains("service_binding");
        let ignored = if binds { reference::mentioned(schema) } else { reference::ignored(schema) };
        let ignored = ignored.into_iter().take(IGNORED_MAX).map(|pointer| Finding {
            severity: Severity::Warning,
            pointer: format!("{at}{pointer}"),
            message: IGNORED.to_owned(),
        });
        findings.extend(ignored);
        if schema::size(schema) > schema::BYTES_MAX || schema::refers_elsewhere(schema) {
            // Said already.
            continue;
        }
        if let Err(why) = Schema::read(schema) {
            findings.push(Finding { severity: Severity::Warning, pointer: at, message: why });
        }
    }
    findings
}

/// Meters that can't be measured: nobody can report usage of them.
fn judge_meters(offering: usize, plan: &Plan) -> Vec<Finding> {
    let (_, wrong) = Meter::declared(&plan.document);
    let finding = |(below, message): (String, String)| Finding {
        severity: Severity::Warning,
        pointer: format!("/services/{offering}/plans/{}{below}", plan.position),
        message,
    };
    wrong.into_iter().take(METERS_SHOWN_MAX).map(finding).collect()
}

/// Findings by the place of the offering that they are about.
fn by_offering(findings: Vec<Finding>) -> HashMap<usize, Vec<Finding>> {
    let mut sorted: HashMap<usize, Vec<Finding>> = HashMap::new();
    for finding in findings {
        let place = finding.pointer.strip_prefix("/services/").and_then(|rest| rest.split('/').next()?.parse().ok());
        if let Some(place) = place {
            sorted.entry(place).or_default().push(finding);
        }
    }
    sorted
}

fn read_plans(source: Source<'_>, service: &Value, offering: &str) -> Vec<Plan> {
    let plans = service.get("plans").and_then(Value::as_array).into_iter().flatten().enumerate();
    let text = |plan: &Value, name| plan.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    plans
        .map(|(position, plan)| {
            let backend_id = text(plan, "id");
            Plan {
                id: ids::plan(source.ids, source.broker, offering, &backend_id),
                backend_id,
                name: text(plan, "name"),
                state: State::Available,
                document: plan.clone(),
                position: i64::try_from(position).unwrap_or(i64::MAX),
            }
        })
        .collect()
}

fn error(pointer: &str, message: String) -> Finding {
    Finding { severity: Severity::Error, pointer: pointer.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SOURCE: Source<'_> = Source {
        broker: "acme",
        name_prefix: "acme-",
        ids: Ids::Mapped,
        hub: "bourse",
        terms: Terms { api_version: None, rotation: None },
    };

    fn plan(id: &str) -> Value {
        json!({"id": id, "name": id, "description": "A plan", "x-unknown": {"price": 99.0}})
    }

    fn service(id: &str, plans: &[&str]) -> Value {
        let plans: Vec<_> = plans.iter().map(|id| plan(id)).collect();
        json!({"id": id, "name": id, "description": "An offering", "bindable": true, "plans": plans})
    }

    fn catalog(services: &[Value]) -> Value {
        json!({ "services": services })
    }

    fn imported(services: &[Value], known: &[Offering]) -> Vec<Offering> {
        import(SOURCE, &catalog(services), known).unwrap()
    }

    fn states(offerings: &[Offering]) -> Vec<(&str, State)> {
        offerings.iter().map(|offering| (offering.backend_id.as_str(), offering.state)).collect()
    }

    #[track_caller]
    fn no_catalog(catalog: &Value, pointer: &str) {
        let findings = import(SOURCE, catalog, &[]).unwrap_err();
        assert_eq!(findings[0].pointer, pointer, "{catalog}");
    }

    #[test]
    fn what_is_no_catalog_is_refused_as_a_whole() {
        no_catalog(&json!([]), "");
        no_catalog(&json!({}), "/services");
        no_catalog(&json!({"services": {}}), "/services");
        no_catalog(&json!({"services": vec![json!({}); OFFERINGS_MAX + 1]}), "/services");
    }

    #[test]
    fn cat_01_an_empty_catalog_is_one() {
        assert!(imported(&[], &[]).is_empty());
    }

    #[test]
    fn one_bad_offering_is_put_aside_and_the_rest_served() {
        let mut bad = service("2", &["b"]);
        bad["description"] = json!("");
        let offerings = imported(&[service("1", &["a"]), bad, json!("nonsense"), service("3", &["c"])], &[]);
        let expected =
            [("1", State::Available), ("2", State::Quarantined), ("", State::Quarantined), ("3", State::Available)];
        assert_eq!(states(&offerings), expected);
        assert_eq!(offerings[1].findings[0].pointer, "/services/1/description");
        assert!(offerings[0].findings.is_empty());
        assert_eq!(offerings[0].name, "acme-1");
        assert_eq!(offerings[0].plans[0].name, "a", "plan names need no prefix");
    }

    #[test]
    fn svc_01_the_second_of_two_equal_ids_is_put_aside_under_an_id_of_its_own() {
        let offerings = imported(&[service("1", &["a"]), service("1", &["b"])], &[]);
        assert_eq!(states(&offerings), [("1", State::Available), ("1", State::Quarantined)]);
        assert_ne!(offerings[0].id, offerings[1].id);
    }

    #[test]
    fn a_plan_that_left_is_removed_and_comes_back_under_its_id() {
        let first = imported(&[service("1", &["a", "b"])], &[]);
        let second = imported(&[service("1", &["a"])], &first);
        let b = second[0].plans.iter().find(|plan| plan.backend_id == "b").unwrap();
        assert_eq!(b.state, State::Removed);
        assert_eq!(b.document, plan("b"));
        let third = imported(&[service("1", &["a", "b"])], &second);
        assert!(crate::domain::catalog::same(&first, &third));
    }

    #[test]
    fn an_offering_that_left_is_removed_with_its_plans() {
        let first = imported(&[service("1", &["a"]), service("2", &["b"])], &[]);
        let second = imported(&[service("2", &["b"])], &first);
        assert_eq!(states(&second), [("2", State::Available), ("1", State::Removed)]);
        assert_eq!(second[1].plans[0].state, State::Removed);
        let again = imported(&[service("2", &["b"])], &second);
        assert!(crate::domain::catalog::same(&second, &again));
    }

    #[test]
    fn an_offering_that_went_bad_keeps_its_last_good_form() {
        let first = imported(&[service("1", &["a"])], &[]);
        let mut bad = service("1", &["a"]);
        bad["bindable"] = json!("yes");
        let second = imported(&[bad], &first);
        assert_eq!(second[0].state, State::Quarantined);
        assert_eq!(second[0].document, first[0].document);
        assert_eq!(second[0].plans, first[0].plans);
        let third = imported(&[service("1", &["a"])], &second);
        assert!(crate::domain::catalog::same(&first, &third));
    }

    #[test]
    fn what_never_could_be_ordered_leaves_without_a_trace() {
        let first = imported(&[json!({"id": "1"}), service("2", &["b"])], &[]);
        assert_eq!(first.len(), 2);
        assert_eq!(states(&imported(&[service("2", &["b"])], &first)), [("2", State::Available)]);
    }

    #[test]
    fn a_broken_offering_never_stands_under_an_id_that_may_be_another_brokers() {
        let source = Source { ids: Ids::Passthrough, ..SOURCE };
        let broken = catalog(&[json!({"id": "1", "name": "broken"})]);
        let first = import(source, &broken, &[]).unwrap();
        assert_eq!(states(&first), [("1", State::Quarantined)]);
        assert_ne!(first[0].id, "1");
        let mended = import(source, &catalog(&[service("1", &["a"])]), &first).unwrap();
        assert_eq!((mended.len(), mended[0].id.as_str(), mended[0].state), (1, "1", State::Available));
        let broken_again = import(source, &broken, &mended).unwrap();
        assert_eq!((broken_again[0].id.as_str(), broken_again[0].plans.len()), ("1", 1), "it serves on");
    }

    #[test]
    fn pln_01_a_plan_does_not_move_to_another_offering() {
        let source = Source { ids: Ids::Passthrough, ..SOURCE };
        let first = import(source, &catalog(&[service("1", &["a", "b"])]), &[]).unwrap();
        let moved = catalog(&[service("1", &["a"]), service("2", &["b"])]);
        let second = import(source, &moved, &first).unwrap();
        assert_eq!(states(&second), [("1", State::Available), ("2", State::Quarantined)]);
        assert_eq!(second[1].findings.last().unwrap().pointer, "/services/1/plans/0/id");
    }

    #[test]
    fn a_schema_that_can_not_be_read_is_told_and_the_offering_served() {
        let mut service = service("1", &["a"]);
        let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "^(?!x)"});
        service["plans"][0]["schemas"] = json!({"service_instance": {"create": {"parameters": schema}}});
        let offerings = imported(&[service], &[]);
        assert_eq!(offerings[0].state, State::Available);
        let pointer = "/services/0/plans/0/schemas/service_instance/create/parameters";
        assert!(offerings[0].findings.iter().any(|finding| finding.pointer == pointer));
    }

    #[test]
    fn a_meter_that_can_not_be_measured_is_told_and_the_offering_served() {
        let mut service = service("1", &["a"]);
        let meters =
            json!([{"key": "gb", "kind": "gauge", "unit": "GB"}, {"key": "ops", "kind": "rate", "unit": "1/s"}]);
        service["plans"][0]["metadata"] = json!({ "x-meters": meters });
        let offerings = imported(&[service], &[]);
        assert_eq!(offerings[0].state, State::Available);
        let told: Vec<_> =
            offerings[0].findings.iter().map(|finding| (finding.severity, finding.pointer.as_str())).collect();
        assert_eq!(told, [(Severity::Warning, "/services/0/plans/0/metadata/x-meters/1/kind")]);
    }

    #[test]
    fn a_newcomer_that_clashes_gives_way_and_one_that_is_known_keeps_its_form() {
        let offerings = imported(&[service("1", &["a"])], &[]);
        let new = quarantine(SOURCE.broker, &[], offerings[0].clone(), "taken".to_owned());
        assert_ne!(new.id, offerings[0].id);
        assert!(new.plans.is_empty());
        let known = quarantine(SOURCE.broker, &offerings, offerings[0].clone(), "taken".to_owned());
        assert_eq!((known.id, known.plans), (offerings[0].id.clone(), offerings[0].plans.clone()));
        assert_eq!((known.state, known.findings[0].message.as_str()), (State::Quarantined, "taken"));
    }
}
