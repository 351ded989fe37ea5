//! What the exemplar offers: plans that are synchronous, asynchronous and both, with and without each optional feature.

use osb::{Catalog, ServiceOffering, ServicePlan};
use serde_json::{Value, json};

pub(crate) const OFFERING_STORE: &str = "6c1f6f0e-3a52-4d43-9b0f-2d1c7a9e0001";
pub(crate) const OFFERING_DRAIN: &str = "6c1f6f0e-3a52-4d43-9b0f-2d1c7a9e0002";
/// Synchronous, with everything that a plan can have.
pub(crate) const SMALL: &str = "6c1f6f0e-3a52-4d43-9b0f-2d1c7a9e0011";
/// Synchronous, what `SMALL` can be updated to.
pub(crate) const LARGE: &str = "6c1f6f0e-3a52-4d43-9b0f-2d1c7a9e0012";
/// Asynchronous only.
pub(crate) const PATIENT: &str = "6c1f6f0e-3a52-4d43-9b0f-2d1c7a9e0013";
/// Asynchronous for those who accept it.
const EITHER: &str = "6c1f6f0e-3a52-4d43-9b0f-2d1c7a9e0014";
/// Can neither be bound to nor change its plan.
pub(crate) const ARCHIVE: &str = "6c1f6f0e-3a52-4d43-9b0f-2d1c7a9e0015";
/// Retrieves nothing, changes no plan, and binds applications only.
pub(crate) const DRAIN: &str = "6c1f6f0e-3a52-4d43-9b0f-2d1c7a9e0021";

/// All plans, by name, each with its offering's name.
pub(crate) const PLANS: [(&str, &str); 6] = [
    ("exemplar-store", "small"),
    ("exemplar-store", "large"),
    ("exemplar-store", "patient"),
    ("exemplar-store", "either"),
    ("exemplar-store", "archive"),
    ("exemplar-drain", "drain"),
];

/// Which plans need, or allow, an asynchronous operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    AtOnce,
    Either,
    Patient,
}

pub(super) fn pace(plan: &ServicePlan) -> Pace {
    match plan.id.as_str() {
        PATIENT => Pace::Patient,
        EITHER => Pace::Either,
        _ => Pace::AtOnce,
    }
}

pub(super) fn requires_app(offering: &ServiceOffering) -> bool {
    offering.id == OFFERING_DRAIN
}

pub(super) fn catalog() -> Catalog {
    serde_json::from_value(json!({"services": [store(), drain()], "x-exemplar-edition": 1.0})).unwrap()
}

fn store() -> Value {
    json!({
        "name": "exemplar-store",
        "id": OFFERING_STORE,
        "description": "A store with every feature.",
        "tags": ["store", "exemplar"],
        "bindable": true,
        "instances_retrievable": true,
        "bindings_retrievable": true,
        "allow_context_updates": true,
        "plan_updateable": true,
        "metadata": {
            "displayName": "Store", "longDescription": "A store.", "providerDisplayName": "Exemplar",
            "documentationUrl": "https://docs.example/store", "supportUrl": "https://support.example",
            "imageUrl": "data:image/png;base64,AA==", "shareable": true, "x-exemplar": {"deep": [1, null]}
        },
        "dashboard_client": {
            "id": "exemplar-dashboard", "secret": "not-so-secret", "redirect_uri": "https://dashboard.example/"
        },
        "plans": [
            plan(SMALL, "small", json!({
                "free": true, "binding_rotatable": true, "maximum_polling_duration": 600,
                "schemas": schemas(&[]), "maintenance_info": {"version": "2.1.1+abcdef", "description": "A patch."},
                "metadata": {"displayName": "Small", "bullets": ["1 GB"],
                    "costs": [{"amount": {"usd": 99.0, "eur": 89.50}, "unit": "MONTHLY"}, {"amount": {"usd": 1}, "unit": "1GB"}]}
            })),
            plan(LARGE, "large", json!({
                "free": false, "schemas": schemas(&[]), "maintenance_info": {"version": "3.0.0-rc.1"}
            })),
            plan(PATIENT, "patient", json!({
                "free": false, "bindable": true, "binding_rotatable": true, "plan_updateable": true,
                "maximum_polling_duration": 86400,
                "schemas": schemas(&["size"]), "maintenance_info": {"version": "0.0.1"}
            })),
            plan(EITHER, "either", json!({"binding_rotatable": true})),
            plan(ARCHIVE, "archive", json!({
                "bindable": false, "plan_updateable": false,
                "schemas": {"service_instance": {"create": {"parameters": parameters(&[])}}}
            })),
        ]
    })
}

fn drain() -> Value {
    json!({
        "name": "exemplar-drain",
        "id": OFFERING_DRAIN,
        "description": "Drains logs, forwards routes and mounts volumes.",
        "requires": ["syslog_drain", "route_forwarding", "volume_mount"],
        "bindable": true,
        "plans": [plan(DRAIN, "drain", json!({}))]
    })
}

fn plan(id: &str, name: &str, rest: Value) -> Value {
    let mut plan = json!({"id": id, "name": name, "description": format!("The plan {name}.")});
    plan.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    plan
}

fn schemas(required: &[&str]) -> Value {
    json!({
        "service_instance": {"create": {"parameters": parameters(required)}, "update": {"parameters": parameters(&[])}},
        "service_binding": {"create": {"parameters": {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "type": "object",
            "properties": {"role": {"type": "string", "enum": ["reader", "writer"], "default": "reader"}},
            "additionalProperties": false
        }}}
    })
}

fn parameters(required: &[&str]) -> Value {
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 100},
            "label": {"$ref": "#/definitions/label"}
        },
        "definitions": {"label": {"type": "string", "maxLength": 63}},
        "additionalProperties": false
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}
