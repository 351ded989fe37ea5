//! What holds for every answer, whatever was asked: headers, the form of errors, words that are reserved, no 202 that nobody
//! asked for.

use std::sync::Arc;

use serde_json::Value;

use super::exchange::Exchange;
use super::probe::Probe;
use super::request::{Endpoint, Request, Who};
use crate::error::{ASYNC_REQUIRED, CONCURRENCY_ERROR, MAINTENANCE_INFO_CONFLICT, REQUIRES_APP, RESERVED};

pub(super) fn judge(probe: &Probe, request: &Request, seen: &Arc<Exchange>) {
    let Some(status) = seen.status else { return };
    if let Some(identity) = seen.sent_header("X-Broker-API-Request-Identity") {
        let echoed = seen.header("X-Broker-API-Request-Identity") == Some(identity);
        probe.expect("RID-02", seen, echoed, &format!("the header X-Broker-API-Request-Identity: {identity}"));
    }
    if request.who == Who::Known && probe.credentials().is_some() {
        probe.expect("AUTH-01", seen, status != 401, "no 401, since the credentials are the right ones");
    }
    // Where somebody is sent elsewhere, the body is not an answer of OSB.
    if !(300..400).contains(&status) {
        content_type(probe, seen);
    }
    if request.endpoint.changes() && !request.accepts_incomplete() && !is_other_flag(request) {
        probe.expect("ASY-01", seen, status != 202, "no 202, since accepts_incomplete=true was not sent");
    }
    if status >= 400 {
        error(probe, request, seen, status);
    }
    if status >= 500 {
        probe.expect("ERR-10", seen, false, "a status other than 5xx");
    } else {
        probe.expect("ERR-10", seen, true, "");
    }
}

/// CT-01: where there is a body, it says that it is JSON.
fn content_type(probe: &Probe, seen: &Arc<Exchange>) {
    let kind = seen.header("Content-Type").unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !seen.body.is_empty() {
        probe.expect("CT-01", seen, kind == "application/json", "the header Content-Type: application/json");
    }
}

/// AMB-12 has a case of its own.
fn is_other_flag(request: &Request) -> bool {
    request.query.iter().any(|(name, value)| name == "accepts_incomplete" && value != "false")
}

fn error(probe: &Probe, request: &Request, seen: &Arc<Exchange>, status: u16) {
    let kind = seen.header("Content-Type").unwrap_or("application/json").to_ascii_lowercase();
    let Some(body) = seen.object() else {
        // Plain text of a framework breaks CT-01 only; what says that it is JSON has to be.
        let broken = !seen.body.is_empty() && kind.contains("json");
        probe.expect("ERR-02", seen, !broken, "a JSON object");
        return;
    };
    for name in ["error", "description"] {
        if let Some(given) = body.get(name) {
            let holds = given.as_str().is_some_and(|text| !text.is_empty());
            probe.expect("ERR-02", seen, holds, &format!("{name}, where it is there, as a non-empty string"));
        }
    }
    let of_update = request.endpoint == Endpoint::Update;
    let of_either = of_update || request.endpoint == Endpoint::Deprovision;
    for (row, name, allowed) in [("ERR-03", "instance_usable", of_either), ("ERR-04", "update_repeatable", of_update)] {
        let holds = body.get(name).is_none_or(|given| allowed && given.is_boolean());
        let expected = if allowed { format!("{name} as a boolean") } else { format!("no {name} in this error") };
        probe.expect(row, seen, holds, &expected);
    }
    if let Some(word) = body.get("error").and_then(Value::as_str) {
        reserved(probe, request, seen, status, word);
    }
}

/// ERR-11: a reserved word stands in a 422, is spelt as it is defined, and stands where it can be meant.
fn reserved(probe: &Probe, request: &Request, seen: &Arc<Exchange>, status: u16, word: &str) {
    let plain = |word: &str| word.replace(['_', '-', ' '], "").to_ascii_lowercase();
    let Some(meant) = RESERVED.into_iter().find(|reserved| plain(reserved) == plain(word)) else { return };
    let endpoint = request.endpoint;
    let possible = match meant {
        ASYNC_REQUIRED => endpoint.changes() && !request.accepts_incomplete(),
        CONCURRENCY_ERROR => endpoint != Endpoint::Catalog,
        REQUIRES_APP => endpoint == Endpoint::Bind,
        MAINTENANCE_INFO_CONFLICT => matches!(endpoint, Endpoint::Provision | Endpoint::Update),
        _ => true,
    };
    let expected =
        if possible { format!("error {meant} in a 422, spelt so") } else { format!("no error {meant} here") };
    probe.expect("ERR-11", seen, possible && status == 422 && word == meant, &expected);
}
