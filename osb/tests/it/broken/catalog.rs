//! Faults in the catalog.

use serde_json::{Value, json};

use super::{Fault, SMALL, fault};
use crate::exemplar::wire::Endpoint::Catalog;
use crate::exemplar::wire::{Answer, Request, Site};

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "answers 201 to whoever wants the catalog",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Catalog) && answer.status == 200 {
                answer.status = 201;
            }
        }),
        &["CAT-01"],
        &["ERR-01", "CAT-06"],
    ),
    fault(
        "gives its plans other ids with every fetch",
        SMALL,
        Site::Answer(|request, answer| {
            edit(request, answer, |catalog| {
                catalog["services"][0]["plans"][4]["id"] = json!(uuid::Uuid::new_v4().to_string());
            });
        }),
        &["CAT-03"],
        &["CAT-06"],
    ),
    fault(
        "answers 304 to whatever tag is sent",
        SMALL,
        Site::Instead(|request| {
            let unchanged = request.is(Catalog) && request.header("if-none-match").is_some() && request.is_authorized();
            unchanged.then(|| Answer::text(304, ""))
        }),
        &["CAT-06"],
        &["CT-01"],
    ),
    fault(
        "has a name that no command line likes",
        SMALL,
        Site::Answer(|request, answer| {
            edit(request, answer, |catalog| catalog["services"][1]["name"] = json!("Exemplar's drain"));
        }),
        &["CAT-07"],
        &[],
    ),
    fault(
        "describes an offering in 300 characters",
        SMALL,
        Site::Answer(|request, answer| {
            edit(request, answer, |catalog| catalog["services"][0]["description"] = json!("x".repeat(300)));
        }),
        &["CAT-05"],
        &[],
    ),
    in_store("names two offerings alike", |store| store["name"] = json!("exemplar-drain"), &["SVC-01"], &[]),
    in_drain(
        "uses the id of an offering for another",
        |drain| drain["id"] = json!(crate::exemplar::OFFERING_STORE),
        &["SVC-02"],
        &[],
    ),
    in_store("describes an offering in no words", |store| store["description"] = json!(""), &["SVC-03"], &[]),
    in_store("writes tags as one string", |store| store["tags"] = json!("store,exemplar"), &["SVC-04"], &[]),
    in_drain(
        "requires what no platform knows",
        |drain| drain["requires"] = json!(["syslog_drain", "magic"]),
        &["SVC-05"],
        &["BND-18", "BND-19", "BND-20"],
    ),
    in_drain("leaves bindable out", |drain| remove(drain, "bindable"), &["SVC-06"], &[]),
    in_drain("writes bindable as a string", |drain| drain["bindable"] = json!("true"), &["SVC-06"], &[]),
    in_drain(
        "writes instances_retrievable as a number",
        |drain| drain["instances_retrievable"] = json!(0),
        &["SVC-07"],
        &[],
    ),
    in_drain(
        "writes bindings_retrievable as a word",
        |drain| drain["bindings_retrievable"] = json!("no"),
        &["SVC-08"],
        &[],
    ),
    in_drain(
        "writes allow_context_updates as a word",
        |drain| drain["allow_context_updates"] = json!("null"),
        &["SVC-09"],
        &[],
    ),
    in_store("writes an offering's metadata as a list", |store| store["metadata"] = json!([]), &["SVC-10"], &[]),
    in_store(
        "keeps the dashboard client's secret",
        |store| remove(&mut store["dashboard_client"], "secret"),
        &["SVC-11"],
        &[],
    ),
    in_drain("writes plan_updateable as a word", |drain| drain["plan_updateable"] = json!("no"), &["SVC-12"], &[]),
    in_drain(
        "spells plan_updateable as a dictionary does",
        |drain| drain["plan_updatable"] = json!(true),
        &["SVC-12"],
        &[],
    ),
    in_drain("has an offering without plans", |drain| drain["plans"] = json!([]), &["SVC-13"], &[]),
    in_drain(
        "uses the id of a plan for a plan of another offering",
        |drain| drain["plans"][0]["id"] = json!(crate::exemplar::ARCHIVE),
        &["PLN-01"],
        &["PRV-04", "UPD-02"],
    ),
    in_store("has a plan without an id", |store| remove(&mut store["plans"][4], "id"), &["PLN-01"], &["CAT-03"]),
    in_store(
        "names two plans of an offering alike",
        |store| store["plans"][4]["name"] = json!("large"),
        &["PLN-02"],
        &[],
    ),
    in_store("describes no plan", |store| remove(&mut store["plans"][3], "description"), &["PLN-03"], &[]),
    in_store(
        "writes a plan's metadata as a string",
        |store| store["plans"][1]["metadata"] = json!("{}"),
        &["PLN-04"],
        &[],
    ),
    in_store("writes free as a word", |store| store["plans"][1]["free"] = json!("no"), &["PLN-05"], &[]),
    in_store(
        "writes a plan's bindable as a number",
        |store| store["plans"][1]["bindable"] = json!(1),
        &["PLN-06"],
        &[],
    ),
    in_store(
        "writes binding_rotatable as a word",
        |store| store["plans"][1]["binding_rotatable"] = json!("false"),
        &["PLN-07"],
        &[],
    ),
    in_store(
        "writes a plan's plan_updateable as a word",
        |store| store["plans"][4]["plan_updateable"] = json!("false"),
        &["PLN-08"],
        &[],
    ),
    in_store("writes schemas as a list", |store| store["plans"][3]["schemas"] = json!([]), &["PLN-09"], &[]),
    in_store(
        "writes maximum_polling_duration as a string",
        |store| store["plans"][2]["maximum_polling_duration"] = json!("86400"),
        &["PLN-10"],
        &[],
    ),
    in_store(
        "writes a version with two numbers only",
        |store| store["plans"][1]["maintenance_info"]["version"] = json!("3.0"),
        &["PLN-11"],
        &[],
    ),
    in_store(
        "writes a version with a leading zero",
        |store| store["plans"][2]["maintenance_info"]["version"] = json!("0.01.0"),
        &["PLN-11"],
        &[],
    ),
    in_store(
        "leaves $schema out of a schema",
        |store| remove(&mut store["plans"][4]["schemas"]["service_instance"]["create"]["parameters"], "$schema"),
        &["SCH-01"],
        &[],
    ),
    in_store(
        "refers to a schema elsewhere",
        |store| {
            store["plans"][4]["schemas"]["service_instance"]["create"]["parameters"]["properties"]["label"] =
                json!({"$ref": "https://schemas.example/label.json"});
        },
        &["SCH-01"],
        &[],
    ),
    in_store(
        "has a schema of 70 kB",
        |store| {
            store["plans"][4]["schemas"]["service_instance"]["create"]["parameters"]["description"] =
                json!("x".repeat(70 * 1024));
        },
        &["SCH-01"],
        &["CAT-05"],
    ),
    in_store("writes shareable as a word", |store| store["metadata"]["shareable"] = json!("yes"), &["META-01"], &[]),
    in_store(
        "writes bullets as one string",
        |store| store["plans"][0]["metadata"]["bullets"] = json!("1 GB"),
        &["META-02"],
        &[],
    ),
    in_store(
        "writes prices as strings",
        |store| store["plans"][0]["metadata"]["costs"][0]["amount"]["usd"] = json!("99.0"),
        &["META-03"],
        &[],
    ),
];

/// A fault in the first offering, which the plans under test belong to. It is made where nothing but the catalog shows it.
const fn in_store(
    name: &'static str,
    change: fn(&mut Value),
    must_fail: &'static [&'static str],
    may_follow: &'static [&'static str],
) -> Fault {
    fault(name, SMALL, Site::Offering(0, change), must_fail, may_follow)
}

/// A fault in the other offering.
const fn in_drain(
    name: &'static str,
    change: fn(&mut Value),
    must_fail: &'static [&'static str],
    may_follow: &'static [&'static str],
) -> Fault {
    fault(name, SMALL, Site::Offering(1, change), must_fail, may_follow)
}

fn edit(request: &Request, answer: &mut Answer, change: impl FnOnce(&mut Value)) {
    if request.is(Catalog) && answer.status == 200 {
        answer.edit(change);
    }
}

fn remove(value: &mut Value, name: &str) {
    value.as_object_mut().unwrap().remove(name);
}
