//! A broker's catalog, from its bytes to what platforms are shown. The rules of a catalog are written down once more, so that
//! what is shown isn't judged by what made it.

use std::collections::HashSet;
use std::sync::Arc;

use bourse::domain::catalog::import::{Source, import};
use bourse::domain::catalog::{Ids, Merged, Offering, Part, State, same};
use bourse::domain::platform::PlatformKind;
use osb::catalog::Severity;
use serde_json::{Value, json};

/// One bad offering is put aside and takes nothing with it; reading the same again changes nothing; what is shown is always in
/// order, for Cloud Foundry by its own rules too.
pub fn catalog(data: &[u8]) {
    let Ok(catalog) = serde_json::from_slice::<Value>(data) else { return };
    for ids in [Ids::Mapped, Ids::Passthrough] {
        let terms = Default::default();
        let source = Source { broker: "broker", name_prefix: "x-", ids, hub: "hub", terms };
        match import(source, &catalog, &[]) {
            Err(findings) => assert!(!findings.is_empty(), "refused without a reason"),
            Ok(offerings) => {
                let again = import(source, &catalog, &offerings).expect("it was read before");
                assert!(same(&offerings, &again), "read again, it is another one");
                read(&offerings);
                shown(offerings);
            }
        }
    }
}

fn read(offerings: &[Offering]) {
    let mut ids = HashSet::new();
    for offering in offerings {
        let errors = offering.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        assert_eq!(offering.state == State::Quarantined, errors > 0, "{:?}", offering.findings);
        assert!(ids.insert(offering.id.as_str()), "two offerings have the id {}", offering.id);
        assert!(offering.plans.iter().all(|plan| ids.insert(plan.id.as_str())), "a plan's id is there twice");
    }
}

fn shown(offerings: Vec<Offering>) {
    let available = offerings.iter().filter(|offering| offering.state == State::Available).count();
    let part = Part::new("id".to_owned(), "broker".to_owned(), 1, false, offerings);
    let merged = Merged::new(vec![Arc::new(part)], "hub".to_owned());
    for kind in [PlatformKind::CloudFoundry, PlatformKind::Kubernetes, PlatformKind::Bourse, PlatformKind::Other] {
        let document = merged.document(None, kind);
        let parsed = document.parse().expect("a catalog that is shown can be read");
        assert_eq!(parsed.services.len(), available, "{kind:?}");
        let wrong: Vec<_> =
            osb::catalog::validate(&parsed).into_iter().filter(|finding| finding.severity == Severity::Error).collect();
        assert!(wrong.is_empty(), "{kind:?} is shown {wrong:?}");
        if kind == PlatformKind::CloudFoundry {
            parsed.services.iter().for_each(cloud_foundry_takes);
        }
        parsed.services.iter().for_each(|offering| can_be_ordered(&merged, offering));
    }
}

/// What Cloud Controller refuses a whole catalog for.
fn cloud_foundry_takes(offering: &Value) {
    for client in offering.get("dashboard_client").into_iter().filter(|client| !client.is_null()) {
        for name in ["id", "secret", "redirect_uri"] {
            assert!(client[name].as_str().is_some_and(|text| !text.is_empty()), "{client}");
        }
    }
    for word in offering["requires"].as_array().into_iter().flatten() {
        assert!(["syslog_drain", "route_forwarding", "volume_mount"].map(Some).contains(&word.as_str()), "{word}");
    }
    let tags = offering["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
    assert!(tags.map(|tag| tag.chars().count()).sum::<usize>() <= 2048);
    let shareable = &offering["metadata"]["shareable"];
    assert!(shareable.is_null() || shareable.is_boolean(), "{shareable}");
    for plan in offering["plans"].as_array().into_iter().flatten() {
        for place in ["service_instance/create", "service_instance/update", "service_binding/create"] {
            let Some(schema) = plan.pointer(&format!("/schemas/{place}/parameters")) else { continue };
            assert!(schema.get("$schema").is_some(), "{schema}");
            assert!(schema.to_string().len() <= 64 * 1024);
        }
    }
}

/// Each plan that is shown leads to its entry, whose schemas take any parameters without a panic and never repeat them.
fn can_be_ordered(merged: &Merged, offering: &Value) {
    let id = offering["id"].as_str().expect("checked");
    for plan in offering["plans"].as_array().into_iter().flatten() {
        let entry = merged.plan(id, plan["id"].as_str().expect("checked")).expect("what is shown can be ordered");
        assert!(entry.orderable);
        let parameters = json!({"size": "hunter2", "a": [{"b": 1.50}], "n": null});
        let problems =
            [entry.check_create(&parameters), entry.check_update(&parameters), entry.check_bind(&parameters)];
        let schemas = plan["schemas"].to_string();
        assert!(schemas.contains("hunter2") || !format!("{problems:?}").contains("hunter2"), "{problems:?}");
    }
}
