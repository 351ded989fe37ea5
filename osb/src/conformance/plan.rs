//! Which offering and plan instances are made of, and what the catalog says of them.
//!
//! The catalog is read as plain JSON and leniently: one that breaks the specification elsewhere can still be tried out.

use std::time::Duration;

use serde_json::Value;

use super::parameters;
use super::{Options, Parameters};
use crate::Object;

/// A plan of the catalog, and what belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) service_id: String,
    pub(super) plan_id: String,
    pub(super) offering_name: String,
    pub(super) plan_name: String,
    pub(super) bindable: bool,
    pub(super) updateable: bool,
    pub(super) rotatable: bool,
    pub(super) instances_retrievable: bool,
    pub(super) bindings_retrievable: bool,
    pub(super) context_updates: bool,
    pub(super) maintenance: Option<String>,
    pub(super) maximum_polling: Option<Duration>,
    pub(super) requires: Vec<String>,
    pub(super) create_schema: Option<Value>,
    pub(super) update_schema: Option<Value>,
    pub(super) bind_schema: Option<Value>,
    /// The id of another plan of the same offering, one that needs no parameters where there is one.
    pub(super) sibling: Option<String>,
    /// Whether that plan needs parameters, so that a change to it without any may be refused as incomplete.
    pub(super) sibling_needs_parameters: bool,
    /// Offering and plan, by id, of another offering.
    pub(super) stranger: Option<(String, String)>,
}

/// Why nothing can be ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoPlan(pub(super) String);

/// The plan that was asked for, or else the first that can be bound to and whose parameters can be made, or else the first
/// whose parameters can be made.
pub(super) fn choose(services: &[Value], options: &Options) -> Result<(Plan, Parameters), NoPlan> {
    let named = |object: &Value, wanted: &Option<String>| {
        wanted.as_ref().is_none_or(|wanted| {
            ["name", "id"].iter().any(|field| object.get(field).and_then(Value::as_str) == Some(wanted))
        })
    };
    let mut reasons = Vec::new();
    let mut found: Option<(Plan, Parameters)> = None;
    for offering in services.iter().filter(|offering| named(offering, &options.offering)) {
        for plan in plans(offering).iter().filter(|plan| named(plan, &options.plan)) {
            let Some(plan) = read(services, offering, plan) else {
                reasons.push("an offering or plan has no id".to_owned());
                continue;
            };
            match parameters_of(&plan, &options.parameters) {
                Ok(parameters) if plan.bindable => return Ok((plan, parameters)),
                Ok(parameters) => found = found.or(Some((plan, parameters))),
                Err(reason) => reasons.push(format!("{} {}: {reason}", plan.offering_name, plan.plan_name)),
            }
        }
    }
    found.ok_or_else(|| {
        let reasons =
            if reasons.is_empty() { "the catalog has no such offering or plan".to_owned() } else { reasons.join("; ") };
        NoPlan(reasons)
    })
}

fn plans(offering: &Value) -> &[Value] {
    offering.get("plans").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn id(object: &Value) -> Option<String> {
    object.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned)
}

fn read(services: &[Value], offering: &Value, plan: &Value) -> Option<Plan> {
    let (service_id, plan_id) = (id(offering)?, id(plan)?);
    let text = |object: &Value, field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let flag = |object: &Value, field: &str| object.get(field).and_then(Value::as_bool);
    let of_offering = |field| flag(offering, field).unwrap_or(false);
    let schema = |pointer: &str| plan.pointer(pointer).filter(|schema| schema.is_object()).cloned();
    let mut siblings: Vec<&Value> =
        plans(offering).iter().filter(|other| id(other).is_some_and(|other| other != plan_id)).collect();
    siblings.sort_by_key(|plan| needs_parameters(plan));
    let sibling = siblings.first();
    let stranger = services.iter().filter_map(|other| {
        let other_id = id(other).filter(|other| *other != service_id)?;
        let foreign = |plan: &String| !plans(offering).iter().filter_map(id).any(|own| own == *plan);
        Some((other_id, plans(other).iter().filter_map(id).find(foreign)?))
    });
    let requires = offering.get("requires").and_then(Value::as_array);
    Some(Plan {
        offering_name: text(offering, "name"),
        plan_name: text(plan, "name"),
        bindable: flag(plan, "bindable").unwrap_or_else(|| of_offering("bindable")),
        updateable: flag(plan, "plan_updateable").unwrap_or_else(|| of_offering("plan_updateable")),
        rotatable: flag(plan, "binding_rotatable").unwrap_or(false),
        instances_retrievable: of_offering("instances_retrievable"),
        bindings_retrievable: of_offering("bindings_retrievable"),
        context_updates: of_offering("allow_context_updates"),
        maintenance: plan.pointer("/maintenance_info/version").and_then(Value::as_str).map(str::to_owned),
        maximum_polling: plan.get("maximum_polling_duration").and_then(Value::as_u64).map(Duration::from_secs),
        requires: requires.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        create_schema: schema("/schemas/service_instance/create/parameters"),
        update_schema: schema("/schemas/service_instance/update/parameters"),
        bind_schema: schema("/schemas/service_binding/create/parameters"),
        sibling_needs_parameters: sibling.is_some_and(|plan| needs_parameters(plan)),
        sibling: sibling.and_then(|plan| id(plan)),
        stranger: stranger.into_iter().next(),
        service_id,
        plan_id,
    })
}

/// Whether a plan's schemas require something of an instance.
fn needs_parameters(plan: &Value) -> bool {
    ["create", "update"].iter().any(|action| {
        let required = plan.pointer(&format!("/schemas/service_instance/{action}/parameters/required"));
        required.and_then(Value::as_array).is_some_and(|names| !names.is_empty())
    })
}

/// What was given, and made from the schemas where nothing was.
fn parameters_of(plan: &Plan, given: &Parameters) -> Result<Parameters, String> {
    let made = |given: &Option<Object>, schema: &Option<Value>| match given {
        Some(given) => Ok(given.clone()),
        None => parameters::required(schema.as_ref()),
    };
    let create = made(&given.create, &plan.create_schema)?;
    let bind = if plan.bindable { made(&given.bind, &plan.bind_schema)? } else { Object::new() };
    Ok(Parameters { create: Some(create), update: given.update.clone(), bind: Some(bind) })
}

impl Plan {
    /// Whether the offering says that it needs that of the platform.
    pub(super) fn requires(&self, what: &str) -> bool {
        self.requires.iter().any(|word| word == what)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn catalog() -> Vec<Value> {
        let hard = json!({"service_instance": {"create": {"parameters": {"required": ["p"], "properties":
            {"p": {"type": "string", "pattern": "(?=x)"}}}}}});
        json!([
            {"id": "s1", "name": "plain", "bindable": false, "plans": [{"id": "p1", "name": "a"}]},
            {"id": "s2", "name": "bound", "bindable": true, "plan_updateable": true, "plans": [
                {"id": "p2", "name": "hard", "schemas": hard},
                {"id": "p3", "name": "easy", "plan_updateable": false, "maintenance_info": {"version": "1.0.0"}},
            ]},
        ])
        .as_array()
        .cloned()
        .unwrap()
    }

    #[track_caller]
    fn check(options: Options, expected: Result<&str, &str>) {
        match (choose(&catalog(), &options), expected) {
            (Ok((plan, _)), Ok(id)) => assert_eq!(plan.plan_id, id),
            (Err(NoPlan(reason)), Err(word)) => assert!(reason.contains(word), "{reason}"),
            (found, _) => panic!("{found:?}"),
        }
    }

    #[test]
    fn the_first_usable_plan_is_taken_unless_one_is_named() {
        let named = |offering: &str, plan: Option<&str>| Options {
            offering: Some(offering.to_owned()),
            plan: plan.map(str::to_owned),
            ..Options::default()
        };
        check(Options::default(), Ok("p3"));
        check(named("plain", None), Ok("p1"));
        check(named("s2", Some("easy")), Ok("p3"));
        check(named("bound", Some("hard")), Err("bound hard: p: the pattern"));
        check(named("bound", Some("none")), Err("no such offering or plan"));
        let given = Parameters { create: Some(Object::new()), ..Parameters::default() };
        check(Options { parameters: given, ..named("bound", Some("hard")) }, Ok("p2"));
    }

    #[test]
    fn a_plan_overrides_its_offering_and_knows_others() {
        let (plan, _) = choose(&catalog(), &Options::default()).unwrap();
        assert!(plan.bindable && !plan.updateable);
        assert_eq!((plan.sibling.as_deref(), plan.sibling_needs_parameters), (Some("p2"), true));
        assert_eq!(plan.stranger, Some(("s1".to_owned(), "p1".to_owned())));
        assert_eq!(plan.maintenance.as_deref(), Some("1.0.0"));
    }
}
