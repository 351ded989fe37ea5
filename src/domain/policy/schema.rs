//! What policies can ask about: entities, actions and context, as a Cedar schema. Parameters, labels and metadata are open records: what
//! is in them depends on plan and tenant.

use cedar_policy::Schema;

const SCHEMA: &str = r#"{"Bourse": {
    "entityTypes": {
        "User": {"shape": {"type": "Record", "attributes": {"name": {"type": "String"}}}},
        "ServiceAccount": {"shape": {"type": "Record", "attributes": {"name": {"type": "String"}}}},
        "Platform": {"shape": {"type": "Record", "attributes": {"name": {"type": "String"}, "kind": {"type": "String"}}}},
        "Tenant": {"shape": {"type": "Record", "attributes": {
            "name": {"type": "String"}, "display_name": {"type": "String"}, "cost_center": {"type": "String"},
            "business_unit": {"type": "String"}, "environment": {"type": "String"}, "owner": {"type": "String"},
            "groups": {"type": "Set", "element": {"type": "String"}},
            "labels": {"type": "Record", "attributes": {}, "additionalAttributes": true}
        }}},
        "Offering": {"shape": {"type": "Record", "attributes": {"name": {"type": "String"}}}},
        "Plan": {"memberOfTypes": ["Offering"], "shape": {"type": "Record", "attributes": {
            "name": {"type": "String"}, "offering": {"type": "String"}, "broker": {"type": "String"},
            "free": {"type": "Boolean"}, "bindable": {"type": "Boolean"},
            "tags": {"type": "Set", "element": {"type": "String"}},
            "controls": {"type": "Set", "element": {"type": "String"}},
            "metadata": {"type": "Record", "attributes": {}, "additionalAttributes": true}
        }}}
    },
    "actions": {
        "order": {"appliesTo": CASE}, "update": {"appliesTo": CASE}, "bind": {"appliesTo": CASE}, "delete": {"appliesTo": CASE}
    }
}}"#;

const CASE: &str = r#"{"principalTypes": ["User", "ServiceAccount", "Platform"], "resourceTypes": ["Plan"], "context": {"type": "Record", "attributes": {
    "tenant": {"type": "Entity", "name": "Tenant"},
    "parameters": {"type": "Record", "attributes": {}, "additionalAttributes": true},
    "previous_plan": {"type": "String", "required": false},
    "price_per_month": {"type": "Extension", "name": "decimal", "required": false},
    "currency": {"type": "String", "required": false}
}}}"#;

/// The schema.
///
/// # Errors
/// Where it can't be read, which a test would see.
pub(super) fn schema() -> Result<Schema, String> {
    Schema::from_json_str(&SCHEMA.replace("CASE", CASE)).map_err(|error| error.to_string())
}
