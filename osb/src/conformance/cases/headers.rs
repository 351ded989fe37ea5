//! Headers: API versions, originating identity, content types, and paths that OSB doesn't have.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::exchange::Exchange;
use super::super::probe::CaseResult;
use super::super::request::{Endpoint, Request};
use super::super::run::Run;
use super::Case;

const VERSION: &str = "X-Broker-API-Version";
const IDENTITY: &str = "X-Broker-API-Originating-Identity";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "API versions",
        rows: &["VER-02", "VER-03", "VER-04", "AMB-01"],
        of_bindings: false,
        run: |run| Box::pin(versions(run)),
    },
    Case {
        name: "originating identities",
        rows: &["OID-01", "OID-02", "OID-06", "OID-07", "PRO-01"],
        of_bindings: false,
        run: |run| Box::pin(identities(run)),
    },
    Case { name: "content types", rows: &["CT-02"], of_bindings: false, run: |run| Box::pin(content_types(run)) },
    Case {
        name: "paths and methods that there are not",
        rows: &["ERR-02"],
        of_bindings: false,
        run: |run| Box::pin(nowhere(run)),
    },
];

async fn catalog_with(run: &Run, version: Option<&str>) -> Arc<Exchange> {
    let request = match version {
        Some(version) => Request::catalog().header(VERSION, version),
        None => Request::catalog().without_header(VERSION),
    };
    run.send(request).await
}

async fn versions(run: &Run) -> CaseResult {
    let mut oldest: Option<String> = None;
    for minor in 9..=17 {
        let version = format!("2.{minor}");
        let seen = catalog_with(run, Some(&version)).await;
        if let Some(oldest) = &oldest {
            run.expect("VER-04", &seen, seen.is(200), &format!("status 200, since {oldest} is accepted"));
        } else if seen.is(200) {
            oldest = Some(version);
        } else {
            let named = seen.text("description").is_some_and(|text| !text.is_empty());
            run.expect("VER-02", &seen, seen.is_any(&[400, 412]) && named, "200, or 412 with a description");
        }
    }
    for version in ["2.18", "3.0", "1.0", "2", "abc"] {
        let seen = catalog_with(run, Some(version)).await;
        let named = seen.is(200) || seen.text("description").is_some_and(|text| !text.is_empty());
        run.expect("VER-02", &seen, seen.is_any(&[200, 400, 412]) && named, "200, or 412 with a description");
    }
    for version in [None, Some("")] {
        let seen = catalog_with(run, version).await;
        run.expect_status("VER-03", &seen, &[200, 400, 412]);
        run.expect_status("AMB-01", &seen, &[200, 400, 412]);
    }
    Ok(())
}

/// Deletions of something that there is not, which must be answered alike whoever is said to have caused them.
async fn identities(run: &Run) -> CaseResult {
    let ask = || run.request(Endpoint::Deprovision, &run.fresh_id(), "").without_header(IDENTITY);
    let plain = run.send(ask()).await;
    let expected = format!("the same answer as without the header: {}", plain.came());
    let kubernetes = json!({"username": "duke", "uid": "c2dde242-5ce4-11e7-988c-000c2946f14f",
        "groups": ["admin", "dev"], "extra": {"mydata": ["data1"]}, "more": 1});
    let well_formed = [
        (
            "OID-06",
            "cloudfoundry",
            "{\r\n  \"user_id\": \"683ea748-3092-4ff4-b656-39cacc4d5360\",\r\n  \"more\": 1\r\n}".to_owned(),
        ),
        ("OID-07", "kubernetes", kubernetes.to_string()),
        ("OID-01", "cloudfoundry", r#"{"user_id":"ünï"}"#.to_owned()),
        ("PRO-01", "conformance", r#"{"name":"somebody"}"#.to_owned()),
    ];
    for (row, platform, identity) in well_formed {
        let value = format!("{platform} {}", STANDARD.encode(identity));
        let seen = run.send(ask().header(IDENTITY, &value)).await;
        run.expect(row, &seen, seen.status == plain.status, &expected);
    }
    for value in ["cloudfoundry", "cloudfoundry !!!", "cloudfoundry eyJ1c2VyX2lkIjo=", " e30=", ""] {
        let seen = run.send(ask().header(IDENTITY, value)).await;
        let holds = seen.status == plain.status || seen.is_refused();
        run.expect("OID-02", &seen, holds, "the same answer as without the header, or a status 4xx");
    }
    Ok(())
}

/// A body of another type may be read all the same, or be refused with 400.
async fn content_types(run: &Run) -> CaseResult {
    let unknown = super::with(&run.provision_body(), "service_id", json!(run.fresh_id()));
    let ask = || run.request(Endpoint::Provision, &run.fresh_id(), "").json(&unknown);
    // The offering is unknown, so that nothing is made and 400 is right either way.
    let plain = run.send(ask()).await;
    for kind in [Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("nonsense"), None] {
        let request = match kind {
            Some(kind) => ask().header("Content-Type", kind),
            None => ask().without_header("Content-Type"),
        };
        let seen = run.send(request).await;
        run.expect("CT-02", &seen, seen.is(400) || seen.status == plain.status, "status 400");
    }
    let parameterised = run.send(ask().header("Content-Type", "application/json; charset=utf-8")).await;
    let holds = parameterised.status == plain.status;
    run.expect("CT-02", &parameterised, holds, "the same answer as without a charset");
    Ok(())
}

/// What is answered there is a framework's; where it says that it is JSON it is an error as any other.
async fn nowhere(run: &Run) -> CaseResult {
    let mut path = run.request(Endpoint::Elsewhere, "", "");
    path.path = "/v2/conformance".to_owned();
    let mut method = run.request(Endpoint::Elsewhere, "", "").raw("{}");
    method.method = "POST";
    for request in [path, method] {
        let seen = run.send_unjudged(&request).await;
        let broken = seen.header("Content-Type").is_some_and(|kind| kind.contains("json")) && seen.object().is_none();
        run.expect("ERR-02", &seen, !broken, "a JSON object, as its Content-Type says");
    }
    Ok(())
}
