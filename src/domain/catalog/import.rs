//! Reads one broker's catalog, offering by offering: one that is not in order is put aside with what is wrong with it, and
//! the rest is served. What is known already is carried on: a plan that left keeps serving its instances, an offering that
//! is no longer in order keeps its last good form.

use std::collections::HashSet;

use osb::ServiceOffering;
use serde::Deserialize as _;
use serde_json::Value;

use super::schema::{self, Schema};
use super::{Finding, Ids, Offering, Plan, Severity, State, ids};

/// Offerings of one broker, and plans of all of them: more is refused as a whole.
const OFFERINGS_MAX: usize = 1000;
const PLANS_MAX: usize = 10_000;

/// Whose catalog is read, and how its names and ids become the hub's.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The broker's name, part of derived ids.
    pub broker: &'a str,
    /// Stands before each offering's name.
    pub name_prefix: &'a str,
    /// Which ids platforms see.
    pub ids: Ids,
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
    let mut seen = Seen::default();
    let mut offerings: Vec<_> = services
        .iter()
        .enumerate()
        .map(|(position, service)| {
            let offering = read(source, position, service, &mut seen);
            carry_on(known, stay_in_place(known, offering))
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
pub fn quarantine(source: Source<'_>, known: &[Offering], mut offering: Offering, message: String) -> Offering {
    let pointer = format!("/services/{}", offering.position);
    offering.state = State::Quarantined;
    offering.findings.push(error(&pointer, message));
    offering.plans.clear();
    if known.iter().all(|before| before.id != offering.id) {
        // The id may be somebody else's.
        offering.id = ids::unusable(source.broker, usize::try_from(offering.position).unwrap_or_default());
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
fn stay_in_place(known: &[Offering], mut offering: Offering) -> Offering {
    let others = || known.iter().filter(|before| before.id != offering.id).flat_map(|before| &before.plans);
    let moved = offering.plans.iter().find(|plan| others().any(|other| other.id == plan.id));
    if let Some(plan) = moved {
        let pointer = format!("/services/{}/plans/{}/id", offering.position, plan.position);
        offering.findings.push(error(&pointer, "a plan of another offering has this id: it can't move".to_owned()));
        offering.state = State::Quarantined;
        offering.plans.clear();
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

/// Ids that stood in the catalog before.
#[derive(Default)]
struct Seen {
    offerings: HashSet<String>,
    names: HashSet<String>,
    plans: HashSet<String>,
}

fn read(source: Source<'_>, position: usize, service: &Value, seen: &mut Seen) -> Offering {
    let at = format!("/services/{position}");
    let mut findings = Vec::new();
    let parsed = match ServiceOffering::deserialize(service) {
        Ok(parsed) => {
            judge(&at, &parsed, seen, &mut findings);
            Some(parsed)
        }
        Err(wrong) => {
            findings.push(error(&at, format!("can't be read as a service offering: {wrong}")));
            None
        }
    };
    let good = findings.iter().all(|finding| finding.severity != Severity::Error);
    let text = |name| service.get(name).and_then(Value::as_str).unwrap_or_default();
    let backend_id = text("id").to_owned();
    // A repeated id is the first one's.
    let own = !backend_id.is_empty() && seen.offerings.insert(backend_id.clone());
    let id = if own {
        ids::offering(source.ids, source.broker, &backend_id)
    } else {
        ids::unusable(source.broker, position)
    };
    let plans = if good { read_plans(source, service, &backend_id) } else { Vec::new() };
    if let Some(parsed) = parsed.filter(|_| good) {
        seen.names.insert(parsed.name.clone());
        seen.plans.extend(parsed.plans.into_iter().map(|plan| plan.id));
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

/// What keeps an offering from being served, and what its author should know besides.
fn judge(at: &str, offering: &ServiceOffering, seen: &Seen, findings: &mut Vec<Finding>) {
    let fields = [("id", &offering.id), ("name", &offering.name), ("description", &offering.description)];
    findings.extend(fields.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| empty(at, name)));
    if seen.offerings.contains(&offering.id) {
        findings.push(error(&format!("{at}/id"), "another offering of this catalog has this id".to_owned()));
    }
    if seen.names.contains(&offering.name) {
        findings.push(error(&format!("{at}/name"), "another offering of this catalog has this name".to_owned()));
    }
    if offering.plans.is_empty() {
        findings.push(error(&format!("{at}/plans"), "must hold at least one plan".to_owned()));
    }
    let (mut plan_ids, mut names) = (HashSet::new(), HashSet::new());
    for (index, plan) in offering.plans.iter().enumerate() {
        let at = format!("{at}/plans/{index}");
        let fields = [("id", &plan.id), ("name", &plan.name), ("description", &plan.description)];
        findings.extend(fields.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| empty(&at, name)));
        if seen.plans.contains(&plan.id) || !plan_ids.insert(&plan.id) {
            findings.push(error(&format!("{at}/id"), "another plan of this catalog has this id".to_owned()));
        }
        if !names.insert(&plan.name) {
            findings.push(error(&format!("{at}/name"), "another plan of this offering has this name".to_owned()));
        }
        let schemas = [
            ("service_instance/create", plan.create_schema()),
            ("service_instance/update", plan.update_schema()),
            ("service_binding/create", plan.bind_schema()),
        ];
        for (place, schema) in schemas {
            let Some(schema) = schema else { continue };
            judge_schema(&format!("{at}/schemas/{place}/parameters"), schema, findings);
        }
    }
}

fn judge_schema(at: &str, schema: &Value, findings: &mut Vec<Finding>) {
    if schema::refers_elsewhere(schema) {
        findings.push(warning(at, "must not refer to something outside itself, so it is not enforced".to_owned()));
    } else if let Err(why) = Schema::read(schema) {
        findings.push(warning(at, why));
    }
}

fn empty(at: &str, name: &str) -> Finding {
    error(&format!("{at}/{name}"), "must not be empty".to_owned())
}

fn error(pointer: &str, message: String) -> Finding {
    Finding { severity: Severity::Error, pointer: pointer.to_owned(), message }
}

fn warning(pointer: &str, message: String) -> Finding {
    Finding { severity: Severity::Warning, pointer: pointer.to_owned(), message }
}
