//! From outcomes to answers: the one table of OSB's success statuses, and how an error looks on the wire.
//!
//! It invents nothing: an answer holds what the broker said, minus what OSB forbids (empty words).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use base64::Engine as _;
use bytes::Bytes;
use ring::digest;
use serde::Serialize;

use crate::operation::OPERATION_CHARS;
use crate::{
    Accepted, Bound, CatalogDocument, Deprovisioned, Error, LastOperation, Maybe, ProvisionResponse, Provisioned,
    Unbound, UpdateResponse, Updated,
};

/// A status, a body and the few headers that OSB uses.
pub(super) struct Answer {
    status: u16,
    body: Bytes,
    retry_after_seconds: Option<u64>,
    etag: Option<String>,
    allow: Option<&'static str>,
}

impl Answer {
    fn new(status: u16, body: Bytes) -> Self {
        Self { status, body, retry_after_seconds: None, etag: None, allow: None }
    }

    pub(super) fn json(status: u16, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(|_| Error::internal("the answer can't be written as JSON"))?;
        Ok(Self::new(status, body.into()))
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let error = Error::with(405, "MethodNotAllowed", format!("this path answers {allow}"));
        Self { allow: Some(allow), ..Self::from(error) }
    }

    pub(super) fn provision(outcome: Provisioned) -> Result<Self, Error> {
        let (status, response) = match outcome {
            Provisioned::Created(response) => (201, response),
            Provisioned::Existed(response) => (200, response),
            Provisioned::Accepted(response) => (202, response),
        };
        Self::json(status, &ProvisionResponse { operation: operation(response.operation)?, ..response })
    }

    pub(super) fn update(outcome: Updated) -> Result<Self, Error> {
        let (status, response) = match outcome {
            Updated::Done(response) => (200, response),
            Updated::Accepted(response) => (202, response),
        };
        Self::json(status, &UpdateResponse { operation: operation(response.operation)?, ..response })
    }

    pub(super) fn deprovision(outcome: Deprovisioned) -> Result<Self, Error> {
        match outcome {
            Deprovisioned::Done(body) => Self::json(200, &body),
            Deprovisioned::Accepted(accepted) => Self::accepted(accepted),
        }
    }

    pub(super) fn bind(outcome: Bound) -> Result<Self, Error> {
        match outcome {
            Bound::Created(response) => Self::json(201, &response),
            Bound::Existed(response) => Self::json(200, &response),
            Bound::Accepted(accepted) => Self::accepted(accepted),
        }
    }

    pub(super) fn unbind(outcome: Unbound) -> Result<Self, Error> {
        match outcome {
            Unbound::Done(body) => Self::json(200, &body),
            Unbound::Accepted(accepted) => Self::accepted(accepted),
        }
    }

    fn accepted(accepted: Accepted) -> Result<Self, Error> {
        Self::json(202, &Accepted { operation: operation(accepted.operation)?, ..accepted })
    }

    pub(super) fn last_operation(state: &LastOperation) -> Result<Self, Error> {
        let written = LastOperation { description: non_empty(state.description.clone()), ..state.clone() };
        Ok(Self { retry_after_seconds: state.retry_after_seconds, ..Self::json(200, &written)? })
    }

    /// CAT-06: 304 where the caller has these very bytes.
    pub(super) fn catalog(document: CatalogDocument, if_none_match: Option<&str>) -> Self {
        let etag = document.etag.unwrap_or_else(|| etag_of(&document.json));
        let unchanged = if_none_match.is_some_and(|tags| matches_any(tags, &etag));
        let (status, body) = if unchanged { (304, Bytes::new()) } else { (200, document.json) };
        Self { etag: Some(etag), ..Self::new(status, body) }
    }

    pub(super) fn into_response(self, realm: &str, request_identity: Option<HeaderValue>) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        if let Some(value) = request_identity {
            response.insert_header(("X-Broker-API-Request-Identity", value));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, format!("Basic realm=\"{realm}\"")));
        }
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if let Some(value) = self.etag.and_then(|etag| HeaderValue::from_str(&etag).ok()) {
            response.insert_header((header::ETAG, value));
        }
        if let Some(methods) = self.allow {
            response.insert_header((header::ALLOW, methods));
        }
        if status == StatusCode::NOT_MODIFIED {
            return response.finish();
        }
        response.content_type("application/json").body(self.body)
    }
}

impl From<Error> for Answer {
    fn from(error: Error) -> Self {
        // A status that is no error would tell the platform that all is well.
        let status = if (400..600).contains(&error.status) { error.status } else { 500 };
        let mut body = *error.body;
        body.error = non_empty(body.error);
        body.description = non_empty(body.description);
        let json = serde_json::to_vec(&body).unwrap_or_else(|_| b"{}".to_vec());
        Self { retry_after_seconds: error.retry_after_seconds, ..Self::new(status, json.into()) }
    }
}

/// ERR-02: present means non-empty.
fn non_empty(word: Maybe<String>) -> Maybe<String> {
    word.into_option().filter(|word| !word.is_empty()).into()
}

/// AMB-06: a non-empty word of at most 10,000 characters, or none.
fn operation(word: Maybe<String>) -> Result<Maybe<String>, Error> {
    let word = non_empty(word);
    if word.as_option().is_some_and(|word| word.chars().count() > OPERATION_CHARS) {
        return Err(Error::internal("the service broker made an operation that is longer than 10,000 characters"));
    }
    Ok(word)
}

fn etag_of(json: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, json);
    format!("\"{}\"", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest))
}

/// The weak comparison of RFC 9110, which is the one for `If-None-Match`.
fn matches_any(tags: &str, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    tags.trim() == "*" || tags.split(',').any(|tag| opaque(tag) == opaque(etag))
}
