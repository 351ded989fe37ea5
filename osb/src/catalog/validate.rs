//! What can be wrong with a catalog ("Catalog Management"), found before a platform finds it.
//!
//! Errors are what OSB forbids with MUST: such an offering can't be served. Warnings are against a SHOULD, or known to trouble
//! a platform. It looks at plain JSON, so that a field of the wrong type is a finding with a place, and one bad offering
//! never hides the others. It fetches nothing and compiles no schema.

use std::collections::HashMap;

use serde_json::Value;

use super::plan::check_plan;
use super::{Catalog, Finding, ServiceOffering, Severity};
use crate::{Object, from_value};

/// What a platform knows to do for an offering (SVC-05).
const REQUIRES: [&str; 3] = ["syslog_drain", "route_forwarding", "volume_mount"];
/// CAT-05: strings longer than that may be cut off by a platform.
const SHORT_CHARS: usize = 255;

/// Everything that is wrong with a catalog, in the order of its offerings.
pub fn validate(catalog: &Catalog) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, offering) in catalog.services.iter().enumerate() {
        findings.extend(validate_offering(offering, &format!("/services/{index}")).1);
    }
    repeated(catalog, &mut findings);
    findings
}

/// One offering on its own, at that place of its catalog: what it says, unless an error was found, and the findings. Whether its
/// ids and names are taken elsewhere in the catalog is for [`validate`] to say.
pub fn validate_offering(value: &Value, pointer: &str) -> (Option<ServiceOffering>, Vec<Finding>) {
    let mut check = Check { findings: Vec::new() };
    match value {
        Value::Object(offering) => check_offering(&mut check, offering, pointer),
        _ => check.error(pointer, "a service offering must be a JSON object"),
    }
    let mut findings = check.findings;
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return (None, findings);
    }
    match from_value::<ServiceOffering>(value) {
        Ok(offering) => (Some(offering), findings),
        Err(error) => {
            let message = format!("the service offering can't be read: {error}");
            findings.push(Finding { severity: Severity::Error, pointer: pointer.to_owned(), message });
            (None, findings)
        }
    }
}

fn check_offering(check: &mut Check, offering: &Object, at: &str) {
    for name in ["name", "id", "description"] {
        check.required_string(offering, name, at);
    }
    check.friendly_name(offering, at);
    check.strings(offering, "tags", at);
    check.strings(offering, "requires", at);
    unknown_requires(check, offering, at);
    match offering.get("bindable") {
        None => check.error(format!("{at}/bindable"), "`bindable` is required: true or false (SVC-06)"),
        Some(Value::Bool(_)) => {}
        Some(_) => check.error(format!("{at}/bindable"), "`bindable` must be true or false"),
    }
    for name in ["instances_retrievable", "bindings_retrievable", "allow_context_updates", "plan_updateable"] {
        check.optional_bool(offering, name, at);
    }
    if offering.contains_key("plan_updatable") {
        check
            .warning(format!("{at}/plan_updatable"), "OSB spells this field `plan_updateable`; this one has no effect");
    }
    check.optional_object(offering, "metadata", at);
    offering_metadata(check, offering, at);
    check.optional_object(offering, "dashboard_client", at);
    dashboard_client(check, offering, at);
    let bindable = offering.get("bindable").and_then(Value::as_bool);
    plans(check, offering, bindable, at);
}

fn unknown_requires(check: &mut Check, offering: &Object, at: &str) {
    for (index, word) in array(offering, "requires").iter().enumerate() {
        if word.as_str().is_some_and(|word| !REQUIRES.contains(&word)) {
            let message = format!("{word} is not known to platforms; Cloud Foundry refuses the catalog (SVC-05)");
            check.warning(format!("{at}/requires/{index}"), message);
        }
    }
}

/// META-01: known keys that a platform reads.
fn offering_metadata(check: &mut Check, offering: &Object, at: &str) {
    let Some(metadata) = offering.get("metadata").and_then(Value::as_object) else { return };
    let at = format!("{at}/metadata");
    if metadata.get("shareable").is_some_and(|value| !value.is_boolean()) {
        check.warning(
            format!("{at}/shareable"),
            "`shareable` should be true or false; Cloud Foundry refuses the catalog (META-01)",
        );
    }
    let texts = ["displayName", "imageUrl", "longDescription", "providerDisplayName", "documentationUrl", "supportUrl"];
    for name in texts {
        if metadata.get(name).is_some_and(|value| !value.is_string()) {
            check.warning(format!("{at}/{name}"), format!("`{name}` should be a string (META-01)"));
        }
    }
}

/// SVC-11: Cloud Foundry makes an OAuth client of it. Other platforms have no use for it, so that an incomplete one doesn't
/// keep the offering from them.
fn dashboard_client(check: &mut Check, offering: &Object, at: &str) {
    let Some(client) = offering.get("dashboard_client").and_then(Value::as_object) else { return };
    for name in ["id", "secret", "redirect_uri"] {
        if client.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
            let message = format!("`{name}` must be a non-empty string; Cloud Foundry refuses the catalog (SVC-11)");
            check.warning(format!("{at}/dashboard_client/{name}"), message);
        }
    }
}

fn plans(check: &mut Check, offering: &Object, bindable: Option<bool>, at: &str) {
    let at = format!("{at}/plans");
    match offering.get("plans") {
        Some(Value::Array(plans)) if !plans.is_empty() => {
            let mut names = HashMap::new();
            for (index, plan) in plans.iter().enumerate() {
                let at = format!("{at}/{index}");
                let Value::Object(plan) = plan else {
                    check.error(at, "a service plan must be a JSON object");
                    continue;
                };
                check_plan(check, plan, bindable, &at);
                check.unique(&mut names, plan, "name", &at, "the offering (PLN-02)");
            }
        }
        Some(Value::Array(_)) => check.error(at, "an offering needs at least one plan (SVC-13)"),
        Some(_) => check.error(at, "`plans` must be an array"),
        None => check.error(at, "`plans` is required (SVC-13)"),
    }
}

/// SVC-01, SVC-02, PLN-01: names and ids that are there twice. The later one is at fault.
fn repeated(catalog: &Catalog, findings: &mut Vec<Finding>) {
    let mut check = Check { findings: Vec::new() };
    let (mut names, mut ids, mut dashboards) = (HashMap::new(), HashMap::new(), HashMap::new());
    for (index, offering) in catalog.services.iter().enumerate() {
        let at = format!("/services/{index}");
        let Some(offering) = offering.as_object() else { continue };
        check.unique(&mut names, offering, "name", &at, "the catalog (SVC-01)");
        check.unique(&mut ids, offering, "id", &at, "the catalog, over offerings and plans (SVC-02)");
        for (index, plan) in array(offering, "plans").iter().enumerate() {
            if let Some(plan) = plan.as_object() {
                let at = format!("{at}/plans/{index}");
                check.unique(&mut ids, plan, "id", &at, "the catalog, over offerings and plans (PLN-01)");
            }
        }
        if let Some(client) = offering.get("dashboard_client").and_then(Value::as_object) {
            let at = format!("{at}/dashboard_client");
            check.repeated(Severity::Warning, &mut dashboards, client, "id", &at, "the catalog (SVC-11)");
        }
    }
    findings.extend(check.findings);
}

fn array<'a>(object: &'a Object, name: &str) -> &'a [Value] {
    object.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Findings in the making, and the checks that are the same everywhere.
pub(super) struct Check {
    findings: Vec<Finding>,
}

impl Check {
    pub(super) fn error(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.findings.push(Finding { severity: Severity::Error, pointer: pointer.into(), message: message.into() });
    }

    pub(super) fn warning(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.findings.push(Finding { severity: Severity::Warning, pointer: pointer.into(), message: message.into() });
    }

    pub(super) fn required_string(&mut self, object: &Object, name: &str, at: &str) {
        let pointer = format!("{at}/{name}");
        match object.get(name) {
            None => self.error(pointer, format!("`{name}` is required")),
            Some(Value::String(text)) if text.is_empty() => self.error(pointer, format!("`{name}` must not be empty")),
            Some(Value::String(text)) if text.chars().count() > SHORT_CHARS => {
                let message = format!("`{name}` should have at most {SHORT_CHARS} characters (CAT-05)");
                self.warning(pointer, message);
            }
            Some(Value::String(_)) => {}
            Some(_) => self.error(pointer, format!("`{name}` must be a string")),
        }
    }

    /// CAT-07: letters, digits, points and dashes.
    pub(super) fn friendly_name(&mut self, object: &Object, at: &str) {
        let Some(name) = object.get("name").and_then(Value::as_str) else { return };
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-') {
            self.warning(format!("{at}/name"), "a name should hold letters, digits, `.` and `-` alone (CAT-07)");
        }
    }

    pub(super) fn optional_bool(&mut self, object: &Object, name: &str, at: &str) {
        if !matches!(object.get(name), None | Some(Value::Null | Value::Bool(_))) {
            self.error(format!("{at}/{name}"), format!("`{name}` must be true or false"));
        }
    }

    pub(super) fn optional_object(&mut self, object: &Object, name: &str, at: &str) {
        if !matches!(object.get(name), None | Some(Value::Null | Value::Object(_))) {
            self.error(format!("{at}/{name}"), format!("`{name}` must be a JSON object"));
        }
    }

    fn strings(&mut self, object: &Object, name: &str, at: &str) {
        if !matches!(object.get(name), None | Some(Value::Null | Value::Array(_))) {
            self.error(format!("{at}/{name}"), format!("`{name}` must be an array of strings"));
        }
        for (index, word) in array(object, name).iter().enumerate() {
            if !word.is_string() {
                self.error(format!("{at}/{name}/{index}"), "this must be a string");
            }
        }
    }

    fn unique<'a>(&mut self, taken: &mut Taken<'a>, object: &'a Object, name: &str, at: &str, within: &str) {
        self.repeated(Severity::Error, taken, object, name, at, within);
    }

    fn repeated<'a>(
        &mut self,
        severity: Severity,
        taken: &mut Taken<'a>,
        object: &'a Object,
        name: &str,
        at: &str,
        within: &str,
    ) {
        let Some(word) = object.get(name).and_then(Value::as_str).filter(|word| !word.is_empty()) else { return };
        let pointer = format!("{at}/{name}");
        if let Some(first) = taken.get(word) {
            let message = format!("`{name}` must be unique within {within}: `{word}` stands at {first} too");
            self.findings.push(Finding { severity, pointer, message });
        } else {
            taken.insert(word, pointer);
        }
    }
}

/// Words, and where each stood first.
type Taken<'a> = HashMap<&'a str, String>;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn offering() -> Value {
        json!({
            "name": "db", "id": "o-1", "description": "a database", "bindable": true,
            "plans": [{"id": "p-1", "name": "small", "description": "a small one"}],
        })
    }

    /// Changes the value at a pointer, whose parent exists.
    fn with(pointer: &str, value: Value) -> Value {
        let mut offering = offering();
        if let Some(place) = offering.pointer_mut(pointer) {
            *place = value;
        } else {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            offering.pointer_mut(parent).unwrap()[key] = value;
        }
        offering
    }

    fn catalog(services: Vec<Value>) -> Catalog {
        Catalog { services, extra: Object::new() }
    }

    #[track_caller]
    fn check(pointer: &str, value: Value, severity: Severity, at: &str) {
        let offering = with(pointer, value);
        let (read, findings) = validate_offering(&offering, "/services/3");
        let found: Vec<_> = findings.iter().map(|finding| (finding.severity, finding.pointer.as_str())).collect();
        assert_eq!(found, [(severity, format!("/services/3{at}").as_str())], "{findings:?}");
        assert_eq!(read.is_some(), severity == Severity::Warning);
    }

    #[test]
    fn a_good_offering_has_no_findings_and_is_read() {
        let (read, findings) = validate_offering(&offering(), "");
        assert_eq!((read.unwrap().name.as_str(), findings), ("db", vec![]));
        assert_eq!(validate(&catalog(vec![])), vec![]);
    }

    #[test]
    fn svc_01_02_03_06_13_pln_01_02_03_what_is_required_is_there_and_not_empty() {
        for pointer in ["/name", "/id", "/description", "/plans/0/id", "/plans/0/name", "/plans/0/description"] {
            for value in [json!(""), json!(null), json!(7)] {
                check(pointer, value, Severity::Error, pointer);
            }
        }
        for name in ["name", "id", "description", "bindable", "plans"] {
            let mut offering = offering();
            offering.as_object_mut().unwrap().remove(name);
            let (read, findings) = validate_offering(&offering, "");
            assert!(read.is_none());
            assert_eq!(findings[0].pointer, format!("/{name}"));
        }
    }

    #[test]
    fn svc_04_05_06_07_08_09_10_12_13_pln_04_05_06_07_08_09_10_fields_of_another_type_are_errors_at_their_place() {
        for (pointer, value, at) in [
            ("/bindable", json!("true"), "/bindable"),
            ("/bindings_retrievable", json!(1), "/bindings_retrievable"),
            ("/instances_retrievable", json!("no"), "/instances_retrievable"),
            ("/allow_context_updates", json!([]), "/allow_context_updates"),
            ("/plan_updateable", json!("yes"), "/plan_updateable"),
            ("/plans/0/bindable", json!(0), "/plans/0/bindable"),
            ("/plans/0/plan_updateable", json!(1), "/plans/0/plan_updateable"),
            ("/plans/0/binding_rotatable", json!("true"), "/plans/0/binding_rotatable"),
            ("/tags", json!("sql"), "/tags"),
            ("/tags", json!(["sql", 7]), "/tags/1"),
            ("/requires", json!({}), "/requires"),
            ("/metadata", json!([]), "/metadata"),
            ("/dashboard_client", json!("x"), "/dashboard_client"),
            ("/plans", json!({}), "/plans"),
            ("/plans", json!([]), "/plans"),
            ("/plans/0", json!("small"), "/plans/0"),
            ("/plans/0/free", json!("yes"), "/plans/0/free"),
            ("/plans/0/metadata", json!(1), "/plans/0/metadata"),
            ("/plans/0/maximum_polling_duration", json!("60"), "/plans/0/maximum_polling_duration"),
            ("/plans/0/maximum_polling_duration", json!(1.5), "/plans/0/maximum_polling_duration"),
            ("/plans/0/schemas", json!([]), "/plans/0/schemas"),
        ] {
            check(pointer, value, Severity::Error, at);
        }
        assert_eq!(validate(&catalog(vec![json!("x")]))[0].pointer, "/services/0");
    }

    #[test]
    fn svc_05_11_12_cat_05_07_meta_01_what_troubles_a_platform_is_a_warning_and_served_all_the_same() {
        let long = "x".repeat(256);
        for (pointer, value, at) in [
            ("/requires", json!(["syslog_drain", "magic"]), "/requires/1"),
            ("/description", json!(long), "/description"),
            ("/name", json!("my db"), "/name"),
            ("/metadata", json!({"shareable": "yes"}), "/metadata/shareable"),
            ("/metadata", json!({"displayName": 7}), "/metadata/displayName"),
            ("/dashboard_client", json!({"id": "i", "secret": "s"}), "/dashboard_client/redirect_uri"),
            ("/plan_updatable", json!(true), "/plan_updatable"),
        ] {
            check(pointer, value, Severity::Warning, at);
        }
    }

    #[test]
    fn svc_11_an_incomplete_or_repeated_dashboard_client_troubles_cloud_foundry_alone() {
        let at = |name: &str| format!("/dashboard_client/{name}");
        let client = |id: &str| json!({"id": id, "secret": "s", "redirect_uri": "u"});
        check("/dashboard_client", client(""), Severity::Warning, &at("id"));
        check("/dashboard_client", json!({"id": "i", "redirect_uri": "u"}), Severity::Warning, &at("secret"));
        let mut other = with("/dashboard_client", client("i"));
        other["id"] = json!("o-2");
        other["name"] = json!("other");
        other["plans"][0]["id"] = json!("p-2");
        let findings = validate(&catalog(vec![with("/dashboard_client", client("i")), other]));
        assert_eq!((findings.len(), findings[0].severity), (1, Severity::Warning));
        assert_eq!(findings[0].pointer, "/services/1/dashboard_client/id");
    }

    #[test]
    fn svc_01_02_pln_01_02_ids_and_names_are_there_once() {
        let other = json!({
            "name": "db", "id": "p-1", "description": "another", "bindable": false,
            "plans": [
                {"id": "p-2", "name": "small", "description": "x"},
                {"id": "o-1", "name": "small", "description": "y"},
            ],
        });
        let findings = validate(&catalog(vec![offering(), other]));
        let mut found: Vec<_> = findings.iter().map(|finding| finding.pointer.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, ["/services/1/id", "/services/1/name", "/services/1/plans/1/id", "/services/1/plans/1/name"]);
        assert!(findings.iter().all(|finding| finding.severity == Severity::Error));
    }
}
