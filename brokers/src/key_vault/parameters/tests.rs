//! What parameters mean, line by line.

use serde_json::json;

use super::*;

fn object(value: Value) -> Object {
    let Value::Object(object) = value else { panic!("an object") };
    object
}

#[track_caller]
fn check_refused(parameters: Value, plan: Plan, sentence: &str) {
    let refusal = order(&object(parameters), plan).unwrap_err();
    assert!(refusal.to_string().contains(sentence), "{refusal}");
}

#[track_caller]
fn check_access_refused(parameters: Value, sentence: &str) {
    let refusal = access(&object(parameters), Plan::Kv).unwrap_err();
    assert!(refusal.to_string().contains(sentence), "{refusal}");
}

#[test]
fn a_vault_without_parameters_has_the_defaults_that_its_schema_names() {
    for plan in Plan::ALL {
        let order = order(&Object::new(), plan).unwrap();
        assert_eq!((order.max_versions, order.rps, order.retention_days), (10, 1000, 30));
        let access = access(&Object::new(), plan).unwrap();
        assert_eq!((access.grant.role, access.auth, access.ttl), (Role::Write, Auth::AppRole, 3600));
    }
    let catalog: Value = serde_json::from_str(super::super::plan::CATALOG).unwrap();
    let plan = &catalog["services"][0]["plans"][1]["schemas"];
    let create = &plan["service_instance"]["create"]["parameters"]["properties"];
    assert_eq!(create["kv"]["properties"]["max_versions"]["default"], 10);
    assert_eq!(create["rate_limit"]["properties"]["rps"]["default"], 1000);
    assert_eq!(create["retention_days"]["default"], 30);
    assert_eq!(plan["service_binding"]["create"]["parameters"]["properties"]["ttl"]["default"], "PT1H");
    let names: Vec<_> = create.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(PROVISION.iter().all(|name| names.contains(name)) && names.len() == PROVISION.len());
}

#[test]
fn refusals_name_the_parameter_and_say_what_to_do() {
    check_refused(json!({"key": []}), Plan::KvTransit, "parameter `key` is not known here: use name,");
    check_refused(json!({"keys": []}), Plan::Kv, "plan kv has no keys: take plan kv-transit");
    check_refused(json!({"kv": {"max_versions": 0}}), Plan::Kv, "`kv.max_versions` must be a whole number from 1");
    check_refused(json!({"kv": {"delete_version_after": "1h"}}), Plan::Kv, "an ISO 8601 duration such as P90D");
    check_refused(json!({"kv": {"delete_version_after": "P1M"}}), Plan::Kv, "an ISO 8601 duration such as P90D");
    check_refused(json!({"keys": [{"name": "A"}]}), Plan::KvTransit, "`keys[0].name` must be 1 to 63");
    check_refused(json!({"keys": [{"name": "a"}, {"name": "a"}]}), Plan::KvTransit, "named twice");
    check_refused(json!({"keys": [{"name": "a", "type": "rsa"}]}), Plan::KvTransit, "must be aes256-gcm96,");
    check_refused(json!({"keys": [{"name": "a", "exportable": true}]}), Plan::KvTransit, "can't be exported");
    check_refused(json!({"bound_cidrs": ["10.0.0.0"]}), Plan::Kv, "as in 10.0.0.0/24");
    check_refused(json!({"retention_days": 6}), Plan::Kv, "from 7 to 90");
    check_access_refused(json!({"role": "encrypt"}), "plan kv has no keys");
    check_access_refused(json!({"auth": "jwt"}), "`bound_claims.sub` is needed");
    check_access_refused(json!({"bound_claims": {"sub": "a"}}), "for `auth` jwt only");
    check_access_refused(json!({"paths": ["a/*/b"]}), "is no path");
    check_access_refused(json!({"paths": ["../b"]}), "is no path");
    check_access_refused(json!({"ttl": "PT5S"}), "from 60 to");
}

#[test]
fn durations_are_counted_in_days_and_smaller_units() {
    let parameters = json!({"kv": {"delete_version_after": "P1W1DT1H1M1S"}});
    let order = order(&object(parameters), Plan::Kv).unwrap();
    assert_eq!(order.delete_version_after, Some(8 * DAY + 3661));
}

#[test]
fn upd_14_an_update_adds_keys_and_never_changes_what_a_key_is() {
    let before = object(json!({"keys": [{"name": "a"}], "name": "n"}));
    let asked = object(json!({"keys": [{"name": "b", "type": "ed25519"}], "rotate": ["a"]}));
    let merged = merge(&before, &asked);
    assert_eq!(rotation(&asked, Plan::KvTransit).unwrap(), ["a"]);
    assert!(rotation(&asked, Plan::Kv).is_err());
    assert!(rotation(&object(json!({"rotate": ["a/b"]})), Plan::KvTransit).is_err());
    assert_eq!(merged["keys"], json!([{"name": "a"}, {"name": "b", "type": "ed25519"}]));
    assert!(merged.get("rotate").is_none(), "a rotation is done once");
    let order_of = |parameters: &Object| order(parameters, Plan::KvTransit).unwrap();
    assert_eq!(check_change(&order_of(&before), &order_of(&merged)), Ok(()));
    let changed = merge(&before, &object(json!({"keys": [{"name": "a", "type": "ed25519"}]})));
    assert!(matches!(check_change(&order_of(&before), &order_of(&changed)), Err(Refusal::Unchangeable(_))));
}
