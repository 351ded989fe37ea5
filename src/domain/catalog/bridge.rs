//! What the hub makes of a broker's offering before it shows it to anybody: flags are promises, and only those stand that the
//! broker, as it is spoken to, and the hub keep together.
//!
//! A broker that is spoken to in an older version of OSB isn't asked for what that version does not know, whatever its
//! catalog says. Where the hub rotates bindings itself, its plans say so.

use serde_json::Value;

use crate::domain::broker::Rotation;

/// Fields of an offering, and of its plans, by the minor version of OSB 2 that brought them (the release notes of OSB).
const OFFERING_SINCE: [(&str, u16); 3] =
    [("instances_retrievable", 14), ("bindings_retrievable", 14), ("allow_context_updates", 15)];
const PLAN_SINCE: [(&str, u16); 2] = [("maintenance_info", 15), ("binding_rotatable", 17)];

/// How a broker is spoken to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// `X-Broker-API-Version` towards it; the newest where absent.
    pub api_version: Option<&'a str>,
    /// Who makes the successor of a binding.
    pub rotation: Option<Rotation>,
}

/// Takes from an offering what can't be kept, and adds what the hub does itself.
pub fn fit(offering: &mut Value, terms: Terms<'_>) {
    let minor = terms.api_version.and_then(|version| version.split_once('.')?.1.parse::<u16>().ok());
    let minor = minor.unwrap_or(u16::MAX);
    drop_newer(offering, &OFFERING_SINCE, minor);
    let bindable = offering.get("bindable").and_then(Value::as_bool).unwrap_or(false);
    for plan in offering.get_mut("plans").and_then(Value::as_array_mut).into_iter().flatten() {
        drop_newer(plan, &PLAN_SINCE, minor);
        let bindable = plan.get("bindable").and_then(Value::as_bool).unwrap_or(bindable);
        if let (Some(Rotation::Emulated), true, Some(plan)) = (terms.rotation, bindable, plan.as_object_mut()) {
            plan.insert("binding_rotatable".to_owned(), true.into());
        }
    }
}

fn drop_newer(of: &mut Value, since: &[(&str, u16)], minor: u16) {
    let Some(fields) = of.as_object_mut() else { return };
    for (field, _) in since.iter().filter(|(_, since)| *since > minor) {
        fields.shift_remove(*field);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn offering() -> Value {
        json!({
            "bindable": true, "instances_retrievable": true, "bindings_retrievable": true, "allow_context_updates": true,
            "plans": [
                {"id": "a", "maintenance_info": {"version": "1.0.0"}, "binding_rotatable": true},
                {"id": "b", "bindable": false},
            ],
        })
    }

    fn fitted(api_version: Option<&str>, rotation: Option<Rotation>) -> Value {
        let mut fitted = offering();
        fit(&mut fitted, Terms { api_version, rotation });
        fitted
    }

    #[test]
    fn ver_05_an_older_broker_is_not_asked_for_what_its_version_does_not_know() {
        assert_eq!(fitted(None, None), offering());
        assert_eq!(fitted(Some("2.17"), None), offering());
        let check = |version: &str, kept: &[&str]| {
            let fitted = fitted(Some(version), None);
            for pointer in [
                "/instances_retrievable",
                "/bindings_retrievable",
                "/allow_context_updates",
                "/plans/0/maintenance_info",
                "/plans/0/binding_rotatable",
            ] {
                assert_eq!(fitted.pointer(pointer).is_some(), kept.contains(&pointer), "{version}: {pointer}");
            }
        };
        let (fetched, context) = (["/instances_retrievable", "/bindings_retrievable"], "/allow_context_updates");
        check("2.13", &[]);
        check("2.14", &fetched);
        check("2.15", &[fetched[0], fetched[1], context, "/plans/0/maintenance_info"]);
        check("2.16", &[fetched[0], fetched[1], context, "/plans/0/maintenance_info"]);
        // Two integers, not a decimal number.
        check("2.9", &[]);
    }

    #[test]
    fn pln_07_plans_whose_bindings_the_hub_rotates_say_so() {
        let emulated = fitted(Some("2.13"), Some(Rotation::Emulated));
        assert_eq!(emulated.pointer("/plans/0/binding_rotatable"), Some(&json!(true)));
        assert_eq!(emulated.pointer("/plans/1/binding_rotatable"), None, "nothing can be bound there");
        assert_eq!(fitted(Some("2.13"), Some(Rotation::Native)).pointer("/plans/0/binding_rotatable"), None);
    }

    #[test]
    fn what_is_no_offering_is_left_alone() {
        for strange in [json!(null), json!([1]), json!({"plans": 7}), json!({"plans": [null]})] {
            let mut fitted = strange.clone();
            fit(&mut fitted, Terms { api_version: Some("2.13"), rotation: Some(Rotation::Emulated) });
            assert_eq!(fitted, strange);
        }
    }
}
