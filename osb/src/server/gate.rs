//! What is checked between the wire and the parsing of a body: limits, API version, the identities, the body's size.
//!
//! It reads nothing of the body's content. Every refusal names what to send instead.

use std::sync::Arc;

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::Limits;
use crate::{Call, Error, OriginatingIdentity, WireRequest};

const REQUEST_IDENTITY: &str = "x-broker-api-request-identity";

/// The header to echo (RID-02), whatever bytes it holds.
pub(super) fn request_identity(request: &HttpRequest) -> Option<HeaderValue> {
    request.headers().get(REQUEST_IDENTITY).filter(|value| !value.is_empty()).cloned()
}

pub(super) fn head_within(limits: &Limits, request: &HttpRequest) -> Result<(), Error> {
    let uri = request.uri();
    if uri.path().len() > limits.path_bytes || uri.query().is_some_and(|query| query.len() > limits.query_bytes) {
        return Err(Error::with(414, "UriTooLong", "the path or the query is longer than this service broker reads"));
    }
    let header_bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > limits.header_bytes {
        return Err(Error::with(431, "HeadersTooLarge", "the headers are larger than this service broker reads"));
    }
    Ok(())
}

/// VER-02 to VER-04, AMB-01: a version that is absent, empty or not 2.x is 412.
pub(super) fn version(request: &HttpRequest) -> Result<(), Error> {
    let given = first(request, "x-broker-api-version").unwrap_or_default();
    if is_version_two(given.trim()) {
        return Ok(());
    }
    Err(Error::precondition_failed(format!(
        "send the header X-Broker-API-Version with a version 2.x, such as {}",
        crate::API_VERSION
    )))
}

/// Two integers with a point between them, the first of which is two. Not a decimal number: 2.9 is older than 2.17.
fn is_version_two(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(major, minor)| {
        digits(major) && digits(minor) && major.parse() == Ok(2_u32) && minor.parse::<u32>().is_ok()
    })
}

/// OID-02: `<platform> <base64>`, read leniently.
pub(super) fn originating_identity(request: &HttpRequest) -> Result<Option<OriginatingIdentity>, Error> {
    let Some(value) = request.headers().get("x-broker-api-originating-identity") else { return Ok(None) };
    value
        .to_str()
        .ok()
        .map(|text| OriginatingIdentity(text.to_owned()))
        .filter(|identity| identity.decoded().is_some())
        .map(Some)
        .ok_or_else(|| {
            Error::bad_request(
                "the header X-Broker-API-Originating-Identity must be a platform's name, a space, and a JSON object in Base64",
            )
        })
}

/// Reads the body, as long as it stays within limits of size and time.
pub(super) async fn body(limits: &Limits, request: &HttpRequest, payload: web::Payload) -> Result<Bytes, Error> {
    let announced = first(request, "content-length").and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > u64::try_from(limits.body_bytes).unwrap_or(u64::MAX)) {
        return Err(too_large(limits));
    }
    tokio::time::timeout(limits.body_deadline, collect(limits, payload))
        .await
        .unwrap_or_else(|_| Err(Error::bad_request("the body did not arrive in time")))
}

async fn collect(limits: &Limits, mut payload: web::Payload) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Error::bad_request("the body did not arrive whole"))?;
        if body.len() + chunk.len() > limits.body_bytes {
            return Err(too_large(limits));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large(limits: &Limits) -> Error {
    let description = format!("the body is larger than {} bytes", limits.body_bytes);
    Error::with(413, "PayloadTooLarge", description)
}

/// What the request brings besides its fields, and the request as it came.
pub(super) fn call(request: &HttpRequest, originating_identity: Option<OriginatingIdentity>, body: Bytes) -> Call {
    let owned = |name| first(request, name).filter(|value| !value.is_empty()).map(str::to_owned);
    Call {
        api_version: owned("x-broker-api-version").map(|version| version.trim().to_owned()),
        request_identity: owned(REQUEST_IDENTITY),
        originating_identity,
        traceparent: owned("traceparent"),
        stamp: owned("x-bourse-stamp"),
        if_none_match: owned("if-none-match"),
        wire: Some(Arc::new(WireRequest {
            method: request.method().as_str().to_owned(),
            path_and_query: request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned(),
            body,
        })),
    }
}

fn first<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::is_version_two;

    #[test]
    fn ver_04_versions_are_two_integers_not_a_decimal_number() {
        for good in ["2.0", "2.9", "2.17", "2.18", "2.100"] {
            assert!(is_version_two(good), "{good}");
        }
        for bad in
            ["", "2", "2.", ".17", "3.0", "1.17", "2.17.0", "2.x", "+2.17", "2.-1", "abc", "2,17", "2.99999999999"]
        {
            assert!(!is_version_two(bad), "{bad}");
        }
    }
}
