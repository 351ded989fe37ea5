//! Faults in what surrounds every request: credentials, versions, identities, content types.

use serde_json::json;

use super::{Fault, PATIENT, SMALL, fault};
use crate::exemplar::wire::Endpoint::*;
use crate::exemplar::wire::{Answer, Site, authorization};

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "lets everybody in",
        SMALL,
        Site::Request(|request| request.set_header("authorization", &authorization())),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "lets everybody poll",
        PATIENT,
        Site::Request(|request| {
            if matches!(request.endpoint(), Poll | PollBinding) {
                request.set_header("authorization", &authorization());
            }
        }),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "lets in whoever names a user, whatever the password",
        SMALL,
        Site::Request(|request| {
            if request.header("authorization").is_some_and(|value| value.starts_with("Basic ")) {
                request.set_header("authorization", &authorization());
            }
        }),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "reads the body before it asks who calls",
        SMALL,
        Site::Instead(|request| {
            let body = matches!(request.endpoint(), Provision | Update | Bind);
            let early = body && !request.is_authorized() && !request.json().is_object();
            early.then(|| Answer::new(400, &json!({"description": "the body is no JSON object"})))
        }),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "looks at the version before it asks who calls",
        SMALL,
        Site::Instead(|request| {
            let early = !request.is_authorized() && request.header("x-broker-api-version").is_none();
            early.then(|| Answer::new(412, &json!({"description": "send a version, such as 2.17"})))
        }),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "looks the instance up before it asks who calls",
        SMALL,
        Site::Answer(|request, answer| {
            if answer.status == 401 && matches!(request.endpoint(), Deprovision | Unbind) {
                answer.replace(Answer::new(410, &json!({})));
            }
        }),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "forbids whom it does not know",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.status == 401 {
                answer.status = 403;
            }
        }),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "redirects whom it does not know to a page to sign in",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.status == 401 {
                answer.replace(Answer::text(302, "<a href=/login>"));
                answer.set_header("location", "/login");
            }
        }),
        &["AUTH-02"],
        &["ERR-01", "CT-01"],
    ),
    fault(
        "wants no credentials but a token for fetching",
        SMALL,
        Site::Instead(|request| {
            let refused = request.is(Fetch) && request.is_authorized();
            refused.then(|| Answer::new(401, &json!({"description": "send a token"})))
        }),
        &["AUTH-01"],
        &["ERR-01", "GSI-01", "GSI-02", "GSI-03", "GSI-04", "UPD-02", "UPD-03", "UPD-06", "UPD-17", "EXT-01"],
    ),
    fault(
        "speaks 2.14 and 2.17 and nothing between them",
        SMALL,
        Site::Instead(|request| {
            let between = matches!(request.header("x-broker-api-version"), Some("2.15" | "2.16"));
            (request.is_authorized() && between)
                .then(|| Answer::new(412, &json!({"description": "send the version 2.14 or 2.17"})))
        }),
        &["VER-04"],
        &[],
    ),
    fault(
        "reads a version as a decimal number",
        SMALL,
        Site::Instead(|request| {
            let version: f64 = request.header("x-broker-api-version")?.parse().ok()?;
            let refused = request.is_authorized() && !(2.13..3.0).contains(&version);
            refused.then(|| Answer::new(412, &json!({"description": "send a version from 2.13 on"})))
        }),
        &["VER-04"],
        &[],
    ),
    fault(
        "refuses a version without a word",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.status == 412 {
                answer.replace(Answer::new(412, &json!({})));
            }
        }),
        &["VER-02"],
        &["VER-03", "AMB-01"],
    ),
    fault(
        "breaks on a version it does not know",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.status == 412 {
                answer.status = 500;
            }
        }),
        &["VER-02"],
        &["VER-03", "AMB-01", "ERR-01", "ERR-10"],
    ),
    fault(
        "breaks where there is no version",
        SMALL,
        Site::Answer(|request, answer| {
            if answer.status == 412 && request.header("x-broker-api-version").is_none() {
                answer.status = 500;
            }
        }),
        &["VER-03", "AMB-01"],
        &["ERR-10"],
    ),
    fault(
        "never echoes the request identity",
        SMALL,
        Site::Answer(|_, answer| {
            answer.headers.remove("x-broker-api-request-identity");
        }),
        &["RID-02"],
        &[],
    ),
    fault(
        "echoes the request identity in success only",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.is_error() {
                answer.headers.remove("x-broker-api-request-identity");
            }
        }),
        &["RID-02"],
        &[],
    ),
    fault(
        "echoes the request identity but where nothing is found",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.status == 404 {
                answer.headers.remove("x-broker-api-request-identity");
            }
        }),
        &["RID-02"],
        &[],
    ),
    fault(
        "makes up a request identity of its own",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.headers.contains_key("x-broker-api-request-identity") {
                answer.set_header("x-broker-api-request-identity", "its-own");
            }
        }),
        &["RID-02"],
        &[],
    ),
    fault(
        "breaks on a malformed originating identity",
        SMALL,
        Site::Instead(|request| {
            let value = request.header("x-broker-api-originating-identity")?;
            let broken = identity(value).is_none() && request.is_authorized();
            broken.then(|| Answer::new(500, &json!({"description": "not a JSON object"})))
        }),
        &["OID-02"],
        &["ERR-10"],
    ),
    fault(
        "refuses letters of other alphabets in an originating identity",
        SMALL,
        Site::Instead(|request| {
            let value = osb::OriginatingIdentity(request.header("x-broker-api-originating-identity")?.to_owned());
            let foreign = !value.decoded()?.is_ascii() && request.is_authorized();
            foreign.then(|| Answer::new(400, &json!({"description": "it is not ASCII"})))
        }),
        &["OID-01"],
        &["OID-06", "OID-07"],
    ),
    fault(
        "refuses white space in an originating identity",
        SMALL,
        Site::Instead(|request| {
            let value = osb::OriginatingIdentity(request.header("x-broker-api-originating-identity")?.to_owned());
            let spaced = value.decoded()?.iter().any(u8::is_ascii_whitespace);
            spaced.then(|| Answer::new(400, &json!({"description": "there is white space in it"})))
        }),
        &["OID-06"],
        &["OID-01", "OID-07"],
    ),
    fault(
        "knows identities of Cloud Foundry only",
        SMALL,
        Site::Instead(|request| {
            let value = request.header("x-broker-api-originating-identity")?;
            (!value.starts_with("cloudfoundry ") && request.is_authorized())
                .then(|| Answer::new(400, &json!({"description": "the platform is not cloudfoundry"})))
        }),
        &["OID-07"],
        &["OID-01", "OID-02", "PRO-01"],
    ),
    fault(
        "wants nothing but a user_id in an identity of Cloud Foundry",
        SMALL,
        Site::Instead(|request| {
            let value = request.header("x-broker-api-originating-identity")?;
            let more = value.starts_with("cloudfoundry ") && identity(value)?.len() > 1;
            more.then(|| Answer::new(400, &json!({"description": "there is more than user_id in it"})))
        }),
        &["OID-06"],
        &["OID-01"],
    ),
    fault(
        "knows no content type but the bare one",
        SMALL,
        Site::Instead(|request| {
            let refused = request.header("content-type").is_some_and(|value| value.contains(';'));
            (refused && request.is_authorized())
                .then(|| Answer::new(415, &json!({"description": "the content type is not application/json"})))
        }),
        &["CT-02"],
        &["CT-01", "ERR-01"],
    ),
    fault(
        "answers 415 to another content type",
        SMALL,
        Site::Instead(|request| {
            let refused = request.header("content-type").is_some_and(|value| !value.contains("json"));
            (refused && request.is_authorized())
                .then(|| Answer::new(415, &json!({"description": "the content type is not application/json"})))
        }),
        &["CT-02"],
        &["ERR-01"],
    ),
    fault(
        "sends JSON as plain text",
        SMALL,
        Site::Answer(|_, answer| answer.set_header("content-type", "text/plain; charset=utf-8")),
        &["CT-01"],
        &[],
    ),
    fault(
        "sends JSON as plain text in errors of a bind",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Bind) && answer.is_error() {
                answer.set_header("content-type", "text/plain");
            }
        }),
        &["CT-01"],
        &[],
    ),
];

fn identity(value: &str) -> Option<osb::Object> {
    osb::OriginatingIdentity(value.to_owned()).value()
}
