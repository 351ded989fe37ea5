//! The catalog: its answer, its offerings, ids and names over all of it, and that it stays the same.
//!
//! Every rule is looked at for every offering and plan (plans in `catalog_plan`), not only for those that are ordered from.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::super::exchange::Exchange;
use super::super::probe::Probe;
use super::super::request::Request;
use super::catalog_plan;
use crate::Object;

/// What the catalog's cases judge.
pub(super) const ROWS: &[&str] = &[
    "CAT-01", "CAT-03", "CAT-05", "CAT-06", "CAT-07", "SVC-01", "SVC-02", "SVC-03", "SVC-04", "SVC-05", "SVC-06",
    "SVC-07", "SVC-08", "SVC-09", "SVC-10", "SVC-11", "SVC-12", "SVC-13", "PLN-01", "PLN-02", "PLN-03", "PLN-04",
    "PLN-05", "PLN-06", "PLN-07", "PLN-08", "PLN-09", "PLN-10", "PLN-11", "SCH-01", "META-01", "META-02", "META-03",
];

const REQUIRES: [&str; 3] = ["syslog_drain", "route_forwarding", "volume_mount"];
const SHORT_CHARS: usize = 255;

/// Looks at rules of one catalog: where something is, whether it holds.
pub(super) struct Rules<'a> {
    pub(super) probe: &'a Probe,
}

impl Rules<'_> {
    /// The rule is kept at that place, or broken.
    pub(super) fn see(&self, row: &'static str, at: &str, holds: bool, expected: &str) {
        self.probe.check(row, holds, expected, &format!("{at} of the catalog"));
    }

    /// A field that must be a non-empty string.
    pub(super) fn text(&self, row: &'static str, object: &Object, name: &str, at: &str) {
        let given = object.get(name).and_then(Value::as_str);
        self.see(row, &format!("{at}/{name}"), given.is_some_and(|text| !text.is_empty()), "a non-empty string");
        if let Some(given) = given {
            let short = given.chars().count() <= SHORT_CHARS;
            self.see("CAT-05", &format!("{at}/{name}"), short, "at most 255 characters");
        }
    }

    /// A field that, where it is there, has a type.
    pub(super) fn typed(&self, row: &'static str, object: &Object, name: &str, at: &str, is: Type) {
        if let Some(value) = object.get(name).filter(|value| !value.is_null()) {
            let (holds, expected) = match is {
                Type::Boolean => (value.is_boolean(), "true or false"),
                Type::Object => (value.is_object(), "an object"),
                Type::Strings => (strings(value), "an array of strings"),
                Type::Text => (value.is_string(), "a string"),
            };
            self.see(row, &format!("{at}/{name}"), holds, expected);
        }
    }

    /// A name that is easy to type.
    pub(super) fn friendly(&self, object: &Object, at: &str) {
        if let Some(name) = object.get("name").and_then(Value::as_str) {
            let holds = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
            self.see("CAT-07", &format!("{at}/name"), holds, "letters, digits, points and hyphens");
        }
    }

    /// A value that stands nowhere else.
    pub(super) fn unique(&self, row: &'static str, found: &mut HashSet<String>, object: &Object, name: &str, at: &str) {
        if let Some(value) = object.get(name).and_then(Value::as_str).filter(|value| !value.is_empty()) {
            let first = found.insert(value.to_owned());
            self.see(row, &format!("{at}/{name}"), first, &format!("a value that nothing else has, unlike {value}"));
        }
    }
}

/// The type of a field.
#[derive(Clone, Copy)]
pub(super) enum Type {
    Boolean,
    Object,
    Strings,
    Text,
}

fn strings(value: &Value) -> bool {
    value.as_array().is_some_and(|entries| entries.iter().all(Value::is_string))
}

/// Judges the catalog that was answered, and fetches it again.
pub(in super::super) async fn judge(probe: &Probe, seen: &Arc<Exchange>) {
    probe.begin("the catalog");
    let services = seen.field("services").and_then(Value::as_array);
    let answered = probe.expect_status("CAT-01", seen, &[200]);
    if !answered {
        return;
    }
    let Some(services) = services else {
        probe.expect("CAT-01", seen, false, "an object with an array services");
        return;
    };
    let rules = Rules { probe };
    let (mut names, mut ids) = (HashSet::new(), HashSet::new());
    for (index, offering) in services.iter().enumerate() {
        let at = format!("/services/{index}");
        let Some(offering) = offering.as_object() else {
            rules.see("CAT-01", &at, false, "an object");
            continue;
        };
        rules.unique("SVC-01", &mut names, offering, "name", &at);
        rules.unique("SVC-02", &mut ids, offering, "id", &at);
        self::offering(&rules, offering, &at);
        plans(&rules, offering, &mut ids, &at);
    }
    if !services.is_empty() {
        absent(probe);
    }
    again(probe, seen, services).await;
}

fn offering(rules: &Rules<'_>, offering: &Object, at: &str) {
    rules.text("SVC-01", offering, "name", at);
    rules.text("SVC-02", offering, "id", at);
    rules.text("SVC-03", offering, "description", at);
    rules.friendly(offering, at);
    rules.typed("SVC-04", offering, "tags", at, Type::Strings);
    rules.typed("SVC-05", offering, "requires", at, Type::Strings);
    for word in offering.get("requires").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        rules.see("SVC-05", &format!("{at}/requires"), REQUIRES.contains(&word), "one of the words that there are");
    }
    let bindable = offering.get("bindable").is_some_and(Value::is_boolean);
    rules.see("SVC-06", &format!("{at}/bindable"), bindable, "true or false");
    for (row, name) in [
        ("SVC-07", "instances_retrievable"),
        ("SVC-08", "bindings_retrievable"),
        ("SVC-09", "allow_context_updates"),
        ("SVC-12", "plan_updateable"),
    ] {
        rules.typed(row, offering, name, at, Type::Boolean);
    }
    if offering.contains_key("plan_updatable") {
        rules.see(
            "SVC-12",
            &format!("{at}/plan_updatable"),
            false,
            "the name plan_updateable, as the specification has it",
        );
    }
    rules.typed("SVC-10", offering, "metadata", at, Type::Object);
    if let Some(metadata) = offering.get("metadata").and_then(Value::as_object) {
        let at = format!("{at}/metadata");
        for name in
            ["displayName", "imageUrl", "longDescription", "providerDisplayName", "documentationUrl", "supportUrl"]
        {
            rules.typed("META-01", metadata, name, &at, Type::Text);
        }
        rules.typed("META-01", metadata, "shareable", &at, Type::Boolean);
    }
    if let Some(client) = offering.get("dashboard_client").filter(|client| !client.is_null()) {
        dashboard_client(rules, client, &format!("{at}/dashboard_client"));
    }
}

fn dashboard_client(rules: &Rules<'_>, client: &Value, at: &str) {
    let Some(client) = client.as_object() else {
        rules.see("SVC-11", at, false, "an object");
        return;
    };
    for name in ["id", "secret"] {
        rules.text("SVC-11", client, name, at);
    }
    rules.typed("SVC-11", client, "redirect_uri", at, Type::Text);
}

fn plans(rules: &Rules<'_>, offering: &Object, ids: &mut HashSet<String>, at: &str) {
    let at = format!("{at}/plans");
    let plans = offering.get("plans").and_then(Value::as_array);
    rules.see("SVC-13", &at, plans.is_some_and(|plans| !plans.is_empty()), "an array with at least one plan");
    let mut names = HashSet::new();
    for (index, plan) in plans.into_iter().flatten().enumerate() {
        let at = format!("{at}/{index}");
        let Some(plan) = plan.as_object() else {
            rules.see("SVC-13", &at, false, "an object");
            continue;
        };
        rules.unique("PLN-01", ids, plan, "id", &at);
        rules.unique("PLN-02", &mut names, plan, "name", &at);
        catalog_plan::judge(rules, plan, &at);
    }
}

/// What is optional and nowhere there.
fn absent(probe: &Probe) {
    for row in ROWS {
        if !probe.knows(row) {
            probe.not_applicable(&[row], "nothing in the catalog has it");
        }
    }
}

/// CAT-03: the same ids a moment later; CAT-06: nothing again for whoever has it already, where there is an entity tag.
async fn again(probe: &Probe, first: &Arc<Exchange>, services: &[Value]) {
    let second = probe.send(Request::catalog()).await;
    let ids = |services: &[Value]| {
        let of = |object: &Value| object.get("id").cloned().unwrap_or_default();
        let plans = |offering: &Value| {
            let plans = offering.get("plans").and_then(Value::as_array);
            plans.into_iter().flatten().map(of).collect::<Vec<_>>()
        };
        services.iter().map(|offering| (of(offering), plans(offering))).collect::<Vec<_>>()
    };
    let named = |services: &[Value]| {
        let mut found: Vec<_> = ids(services).into_iter().map(|found| format!("{found:?}")).collect();
        found.sort();
        found
    };
    let same = second.field("services").and_then(Value::as_array).is_some_and(|again| named(again) == named(services));
    probe.expect("CAT-03", &second, same, "the ids of a moment ago");
    let Some(etag) = first.header("ETag") else {
        probe.not_applicable(&["CAT-06"], "the catalog has no ETag");
        return;
    };
    let third = probe.send(Request::catalog().header("If-None-Match", etag)).await;
    let holds = third.is(200) || (third.is(304) && third.body.is_empty());
    probe.expect("CAT-06", &third, holds, "304 without a body, or 200");
    let fourth = probe.send(Request::catalog().header("If-None-Match", "\"conformance\"")).await;
    probe.expect("CAT-06", &fourth, fourth.is(200), "status 200 to a tag that the catalog doesn't have");
}
