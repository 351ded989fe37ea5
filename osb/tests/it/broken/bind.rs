//! Faults in binding and rotation.

use serde_json::{Value, json};

use super::{Fault, PATIENT, SMALL, fault, restatus};
use crate::exemplar::wire::Endpoint::*;
use crate::exemplar::wire::{Answer, Site};
use crate::exemplar::{Kind, OFFERING_STORE, Quirk};

/// The plan that can't be bound to, and the one that binds applications only.
const ARCHIVE: &str = "archive";
const DRAIN: &str = "drain";

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "answers 200 to a first bind",
        SMALL,
        Site::Answer(|request, answer| restatus(Bind, request, answer, 201, 200)),
        &["BND-07"],
        &["SYN-01", "ERR-01", "ROT-05", "ROT-01"],
    ),
    fault(
        "answers 201 to the same bind again",
        SMALL,
        Site::Answer(|request, answer| restatus(Bind, request, answer, 200, 201)),
        &["BND-08"],
        &["SYN-01", "ERR-01", "ROT-06"],
    ),
    fault(
        "binds where nothing can be bound to",
        ARCHIVE,
        Site::Answer(|request, answer| {
            if request.is(Bind) && answer.status == 400 {
                answer.replace(Answer::new(201, &json!({"credentials": {}})));
            }
        }),
        &["BND-01"],
        &["ERR-01", "BND-03", "BND-11", "CT-02"],
    ),
    fault(
        "binds to what does not exist",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Bind) && answer.status == 404 {
                answer.replace(Answer::new(201, &json!({"credentials": {"password": "x"}})));
            }
        }),
        &["BND-02"],
        &["AMB-04", "ERR-09"],
    ),
    fault(
        "does without plan_id in a bind",
        SMALL,
        Site::Request(|request| {
            let body = request.json();
            if request.is(Bind) && body.get("predecessor_binding_id").is_none() && body.get("plan_id").is_none() {
                request.edit(|body| drop(body.insert("plan_id".into(), json!(crate::exemplar::SMALL))));
            }
        }),
        &["BND-03"],
        &["BND-11", "ERR-01"],
    ),
    fault(
        "takes null for service_id in a bind",
        SMALL,
        Site::Request(|request| {
            if request.is(Bind) && request.json().get("service_id") == Some(&Value::Null) {
                request.edit(|body| drop(body.insert("service_id".into(), json!(OFFERING_STORE))));
            }
        }),
        &["BND-03"],
        &["ERR-01"],
    ),
    fault("binds under any plan", SMALL, Site::Broker(Quirk::BindsUnderAnyPlan), &["BND-03"], &["ERR-01"]),
    fault(
        "takes a string for bind_resource",
        SMALL,
        Site::Request(|request| {
            if request.is(Bind) && request.json()["bind_resource"].is_string() {
                request.edit(|body| drop(body.remove("bind_resource")));
            }
        }),
        &["BND-04"],
        &["BND-11", "ERR-01"],
    ),
    fault(
        "refuses what Cloud Foundry adds to bind_resource",
        SMALL,
        Site::Instead(|request| {
            let body = request.json();
            let more = body["bind_resource"].as_object()?.keys().any(|key| key != "app_guid" && key != "route");
            (request.is(Bind) && more && request.is_authorized())
                .then(|| Answer::new(400, &json!({"description": "there is more than app_guid in it"})))
        }),
        &["BND-06"],
        &["BND-04", "EXT-01"],
    ),
    fault(
        "answers a list to a bind",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Bind) && answer.status == 201 {
                answer.edit(|body| *body = json!([body.clone()]));
            }
        }),
        &["BND-07"],
        &["BND-16", "ROT-05", "ROT-01"],
    ),
    fault(
        "gives other credentials when the same bind comes again",
        SMALL,
        Site::Broker(Quirk::BindsAgainWithOtherCredentials),
        &["BND-08"],
        &["BND-16", "ROT-06"],
    ),
    fault(
        "names the operation of a bind with an object",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Bind) && answer.status == 202 {
                let word = answer.json()["operation"].clone();
                answer.set("operation", json!({"id": word}));
            }
        }),
        &["BND-09", "AMB-06"],
        &["ASY-04"],
    ),
    fault(
        "gives credentials while the bind is in progress",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Bind) && answer.status == 202 {
                answer.set("credentials", json!({"password": "soon"}));
            }
        }),
        &["BND-09"],
        &[],
    ),
    fault(
        "answers 409 to the same bind while it is in progress",
        PATIENT,
        Site::Broker(Quirk::ConflictsWithItsOwnBinds),
        &["BND-09"],
        &["ASY-04", "ERR-01"],
    ),
    fault(
        "takes UUIDs only for bindings",
        SMALL,
        Site::Instead(|request| {
            let id = request.path.split('/').nth(5)?;
            let refused = request.is_authorized() && request.is(Bind) && uuid::Uuid::parse_str(id).is_err();
            refused.then(|| Answer::new(400, &json!({"description": "the id is no UUID"})))
        }),
        &["BND-02"],
        &["URL-01", "AMB-16", "ROT-01"],
    ),
    credentials(
        "tells the password in the metadata",
        |answer| answer.edit(|body| body["metadata"]["password"] = body["credentials"]["password"].clone()),
        &["BND-23"],
        &[],
    ),
    fault(
        "answers 200 to another bind of an id",
        SMALL,
        Site::Broker(Quirk::BindConflictAnswered200),
        &["BND-10"],
        &["ERR-01", "ROT-06"],
    ),
    fault(
        "answers 202 to another bind of an id in progress",
        PATIENT,
        Site::Broker(Quirk::BindConflictWhileInProgressTaken),
        &["BND-10"],
        &["ERR-01"],
    ),
    fault(
        "answers 400 to who names no application",
        DRAIN,
        Site::Answer(|_, answer| {
            if answer.json()["error"] == "RequiresApp" {
                answer.status = 400;
            }
        }),
        &["BND-12"],
        &["ERR-07", "ERR-11", "ERR-01"],
    ),
    fault(
        "writes RequiresApp in another way",
        DRAIN,
        Site::Answer(|_, answer| {
            if answer.json()["error"] == "RequiresApp" {
                answer.set("error", json!("requiresApp"));
            }
        }),
        &["ERR-07"],
        &["BND-12", "ERR-11"],
    ),
    fault(
        "binds asynchronously whether that is accepted or not",
        PATIENT,
        Site::Broker(Quirk::NeverAsksForPatience(Kind::Bind)),
        &["ASY-01", "BND-14"],
        &["ERR-05", "AMB-12"],
    ),
    credentials(
        "gives credentials as a list",
        |answer| answer.set("credentials", json!(["user", "password"])),
        &["BND-16"],
        &["GSB-02", "BND-17"],
    ),
    credentials(
        "gives credentials as a string",
        |answer| answer.set("credentials", json!("user:password")),
        &["BND-16"],
        &["GSB-02", "BND-17"],
    ),
    fault("gives all bindings the same credentials", SMALL, Site::Broker(Quirk::SharesCredentials), &["BND-17"], &[]),
    credentials(
        "drains logs although the offering does not say so",
        |answer| answer.set("syslog_drain_url", json!("syslog-tls://drain.example")),
        &["BND-18"],
        &[],
    ),
    credentials(
        "forwards routes although the offering does not say so",
        |answer| answer.set("route_service_url", json!("https://route.example")),
        &["BND-19"],
        &[],
    ),
    credentials(
        "mounts volumes although the offering does not say so",
        |answer| {
            let device = json!({"volume_id": "v"});
            answer.set(
                "volume_mounts",
                json!([{"driver": "d", "container_dir": "/d", "mode": "r", "device_type": "shared", "device": device}]),
            );
        },
        &["BND-20"],
        &[],
    ),
    fault(
        "mounts volumes read-only in a word of its own",
        DRAIN,
        Site::Answer(|request, answer| {
            if request.is(Bind) && answer.status < 300 {
                answer.edit(|body| body["volume_mounts"][0]["mode"] = json!("ro"));
            }
        }),
        &["BND-20"],
        &[],
    ),
    fault(
        "mounts volumes without an id",
        DRAIN,
        Site::Answer(|request, answer| {
            if request.is(Bind) && answer.status < 300 {
                answer.edit(|body| body["volume_mounts"][0]["device"] = json!({}));
            }
        }),
        &["BND-20"],
        &[],
    ),
    fault(
        "gives a number as syslog_drain_url",
        DRAIN,
        Site::Answer(|request, answer| {
            if request.is(Bind) && answer.status < 300 {
                answer.set("syslog_drain_url", json!(514));
            }
        }),
        &["BND-18"],
        &[],
    ),
    credentials(
        "gives ports as numbers",
        |answer| answer.set("endpoints", json!([{"host": "store.example", "ports": [443]}])),
        &["BND-21"],
        &[],
    ),
    credentials(
        "gives an endpoint without ports",
        |answer| answer.set("endpoints", json!([{"host": "store.example", "ports": []}])),
        &["BND-21"],
        &[],
    ),
    credentials(
        "gives an endpoint a protocol of its own",
        |answer| answer.set("endpoints", json!([{"host": "store.example", "ports": ["443"], "protocol": "TCP"}])),
        &["BND-21"],
        &[],
    ),
    credentials(
        "writes expires_at without a fraction of a second",
        |answer| answer.edit(|body| body["metadata"]["expires_at"] = json!("2999-12-31T23:59:59Z")),
        &["BND-22"],
        &[],
    ),
    credentials(
        "writes expires_at in seconds since 1970",
        |answer| answer.edit(|body| body["metadata"]["expires_at"] = json!(32_503_679_999_u64)),
        &["BND-22"],
        &["ROT-03"],
    ),
    credentials(
        "lets bindings be renewed after they have expired",
        |answer| answer.edit(|body| body["metadata"]["renew_before"] = json!("2999-12-31T23:59:59.5Z")),
        &["BND-22"],
        &[],
    ),
    rotation(
        "wants service_id and plan_id in a rotation",
        Site::Instead(|request| {
            let body = request.json();
            let bare = body["predecessor_binding_id"].is_string() && body.get("service_id").is_none();
            (request.is(Bind) && bare && request.is_authorized())
                .then(|| Answer::new(400, &json!({"description": "service_id is required"})))
        }),
        &["ROT-01"],
        &["ROT-04", "ROT-05", "ROT-06", "AMB-07"],
    ),
    fault(
        "rotates where the plan does not say so",
        "large",
        Site::Request(|request| {
            let rotation = request.json()["predecessor_binding_id"].is_string();
            if request.is(Bind) && rotation {
                let plan = crate::exemplar::LARGE;
                request.edit(|body| {
                    body.clear();
                    body.insert("service_id".into(), json!(OFFERING_STORE));
                    body.insert("plan_id".into(), json!(plan));
                });
            }
        }),
        &["ROT-02"],
        &["ROT-03", "ROT-05", "ROT-06", "ROT-01", "ROT-04", "AMB-07"],
    ),
    rotation(
        "refuses service_id in a rotation",
        Site::Instead(|request| {
            let body = request.json();
            let more = body["predecessor_binding_id"].is_string() && body.get("service_id").is_some();
            (request.is(Bind) && more && request.is_authorized())
                .then(|| Answer::new(400, &json!({"description": "predecessor_binding_id is enough"})))
        }),
        &["AMB-07"],
        &["ROT-01"],
    ),
    rotation(
        "rotates from what is no binding of the instance",
        Site::Broker(Quirk::RotatesFromAnything),
        &["ROT-03"],
        &["ERR-09"],
    ),
    rotation(
        "ends the binding that is rotated",
        Site::Broker(Quirk::RotationEndsThePredecessor),
        &["ROT-04"],
        &["ROT-06", "ROT-03", "UNB-02", "AMB-07"],
    ),
    rotation(
        "forgets parameters in a rotation",
        Site::Broker(Quirk::RotationForgetsParameters),
        &["ROT-04"],
        &["ROT-05"],
    ),
    rotation(
        "compares no predecessors when a rotation comes again",
        Site::Broker(Quirk::IgnoresPredecessorOfARepeat),
        &["ROT-06"],
        &["BND-10"],
    ),
];

/// A fault in what a bind gives, made in every answer that holds it.
const fn credentials(
    name: &'static str,
    change: fn(&mut Answer),
    must_fail: &'static [&'static str],
    may_follow: &'static [&'static str],
) -> Fault {
    fault(name, SMALL, Site::Binding(change), must_fail, may_follow)
}

const fn rotation(
    name: &'static str,
    site: Site,
    must_fail: &'static [&'static str],
    may_follow: &'static [&'static str],
) -> Fault {
    fault(name, SMALL, site, must_fail, may_follow)
}
