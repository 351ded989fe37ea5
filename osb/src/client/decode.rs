//! From answers to outcomes: the one table of what a backend's status and body mean.
//!
//! Pure: the same answer always gives the same outcome. Whatever OSB doesn't name is [`Failure::Unknown`], never a refusal.
//! Deletions are read more kindly than creations: a 200 or 202 with an empty body counts as done or accepted, since deleting
//! again is harmless and 410 will say so.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Failure, UnknownReason};
use crate::error::ErrorBody;
use crate::operation::OPERATION_CHARS;
use crate::{
    Accepted, Bound, CatalogDocument, Deprovisioned, Error, FetchBindingResponse, FetchInstanceResponse, LastOperation,
    Maybe, Object, ProvisionResponse, Provisioned, Unbound, UpdateResponse, Updated, WireResponse,
};

/// The answer to a provision.
///
/// # Errors
/// What the answer says instead of success.
pub fn provision(response: &WireResponse) -> Result<Provisioned, Failure> {
    let read = || -> Result<ProvisionResponse, Failure> {
        let body: ProvisionResponse = body(response)?;
        Ok(ProvisionResponse { operation: operation(body.operation)?, ..body })
    };
    match response.status {
        201 => read().map(Provisioned::Created),
        200 => read().map(Provisioned::Existed),
        202 => read().map(Provisioned::Accepted),
        _ => Err(failure(response, NotFound::Misfit)),
    }
}

/// The answer to an update.
///
/// # Errors
/// What the answer says instead of success.
pub fn update(response: &WireResponse) -> Result<Updated, Failure> {
    let read = || -> Result<UpdateResponse, Failure> {
        let body: UpdateResponse = body(response)?;
        Ok(UpdateResponse { operation: operation(body.operation)?, ..body })
    };
    match response.status {
        200 => read().map(Updated::Done),
        202 => read().map(Updated::Accepted),
        _ => Err(failure(response, NotFound::Misfit)),
    }
}

/// The answer to a deprovision. A 200 with an empty body counts as done.
///
/// # Errors
/// What the answer says instead of success; 410 is [`Failure::Rejected`].
pub fn deprovision(response: &WireResponse) -> Result<Deprovisioned, Failure> {
    match response.status {
        200 => body_or_nothing(response).map(Deprovisioned::Done),
        202 => accepted_or_nothing(response).map(Deprovisioned::Accepted),
        _ => Err(failure(response, NotFound::Misfit)),
    }
}

/// The answer to a bind.
///
/// # Errors
/// What the answer says instead of success.
pub fn bind(response: &WireResponse) -> Result<Bound, Failure> {
    match response.status {
        201 => body(response).map(Bound::Created),
        200 => body(response).map(Bound::Existed),
        202 => accepted(response).map(Bound::Accepted),
        _ => Err(failure(response, NotFound::Misfit)),
    }
}

/// The answer to an unbind. A 200 with an empty body counts as done.
///
/// # Errors
/// What the answer says instead of success; 410 is [`Failure::Rejected`].
pub fn unbind(response: &WireResponse) -> Result<Unbound, Failure> {
    match response.status {
        200 => body_or_nothing(response).map(Unbound::Done),
        202 => accepted_or_nothing(response).map(Unbound::Accepted),
        _ => Err(failure(response, NotFound::Misfit)),
    }
}

/// The answer to fetching an instance.
///
/// # Errors
/// What the answer says instead of success; 404 is [`Failure::Rejected`].
pub fn fetch_instance(response: &WireResponse) -> Result<FetchInstanceResponse, Failure> {
    match response.status {
        200 => body(response),
        _ => Err(failure(response, NotFound::Answer)),
    }
}

/// The answer to fetching a binding.
///
/// # Errors
/// What the answer says instead of success; 404 is [`Failure::Rejected`].
pub fn fetch_binding(response: &WireResponse) -> Result<FetchBindingResponse, Failure> {
    match response.status {
        200 => body(response),
        _ => Err(failure(response, NotFound::Answer)),
    }
}

/// The answer to polling an operation, of an instance or of a binding.
///
/// # Errors
/// What the answer says instead of a state; 404 and 410 are [`Failure::Rejected`], a state with another name is garbage.
pub fn last_operation(response: &WireResponse) -> Result<LastOperation, Failure> {
    match response.status {
        200 => {
            let state: LastOperation = body(response)?;
            Ok(LastOperation { retry_after_seconds: response.retry_after_seconds, ..state })
        }
        _ => Err(failure(response, NotFound::Answer)),
    }
}

/// The answer to asking for the catalog. Only its outer form is looked at; `catalog::validate` says what is wrong inside.
///
/// # Errors
/// What the answer says instead of a catalog.
pub fn catalog(response: &WireResponse) -> Result<CatalogDocument, Failure> {
    if response.status != 200 {
        return Err(failure(response, NotFound::Misfit));
    }
    let document = CatalogDocument { json: response.body.clone(), etag: response.etag.clone() };
    match document.parse() {
        Ok(_) => Ok(document),
        Err(_) => Err(garbage()),
    }
}

/// What 404 means: an answer to the question, or that the path is not there.
#[derive(Clone, Copy)]
enum NotFound {
    Answer,
    Misfit,
}

fn failure(response: &WireResponse, not_found: NotFound) -> Failure {
    match (response.status, not_found) {
        (400 | 409 | 410 | 422, _) | (404, NotFound::Answer) => Failure::Rejected(error(response)),
        (400..=499, _) => Failure::Protocol { error: error(response) },
        (status @ 500..=599, _) => {
            let own = serde_json::from_slice::<Object>(&response.body).is_ok();
            Failure::Unknown { reason: UnknownReason::Status(status), error: own.then(|| error(response)) }
        }
        (status, _) => Failure::unknown(UnknownReason::Status(status)),
    }
}

/// The error that an answer holds. What can be read of a malformed body is kept; a refusal stays one without a body.
fn error(response: &WireResponse) -> Error {
    let body = serde_json::from_slice(&response.body).unwrap_or_else(|_| readable(&response.body));
    let mut error = Error::new(response.status);
    *error.body = body;
    error.retry_after_seconds = response.retry_after_seconds;
    error
}

fn readable(body: &[u8]) -> ErrorBody {
    let object: Object = serde_json::from_slice(body).unwrap_or_default();
    let word = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned).into();
    let flag = |name: &str| object.get(name).and_then(Value::as_bool).into();
    ErrorBody {
        error: word("error"),
        description: word("description"),
        instance_usable: flag("instance_usable"),
        update_repeatable: flag("update_repeatable"),
        extra: Object::new(),
    }
}

fn body<T: DeserializeOwned>(response: &WireResponse) -> Result<T, Failure> {
    serde_json::from_slice(&response.body).map_err(|_| garbage())
}

fn body_or_nothing(response: &WireResponse) -> Result<Object, Failure> {
    if response.body.is_empty() { Ok(Object::new()) } else { body(response) }
}

fn accepted(response: &WireResponse) -> Result<Accepted, Failure> {
    let accepted: Accepted = body(response)?;
    Ok(Accepted { operation: operation(accepted.operation)?, ..accepted })
}

fn accepted_or_nothing(response: &WireResponse) -> Result<Accepted, Failure> {
    if response.body.is_empty() { Ok(Accepted::default()) } else { accepted(response) }
}

/// AMB-06: an empty word counts as absent; one that is too long can't be sent back.
fn operation(word: Maybe<String>) -> Result<Maybe<String>, Failure> {
    match word {
        Maybe::Present(word) if word.is_empty() => Ok(Maybe::Absent),
        Maybe::Present(word) if word.chars().count() > OPERATION_CHARS => Err(garbage()),
        word => Ok(word),
    }
}

fn garbage() -> Failure {
    Failure::unknown(UnknownReason::Garbage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> WireResponse {
        WireResponse { status, retry_after_seconds: None, etag: None, body: body.to_owned().into() }
    }

    fn outcome<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
        match result {
            Ok(_) => "ok".to_owned(),
            Err(Failure::Rejected(error)) => format!("rejected {}", error.status),
            Err(Failure::Protocol { error }) => format!("protocol {}", error.status),
            Err(Failure::Unknown { reason: UnknownReason::Status(status), .. }) => format!("unknown {status}"),
            Err(other) => format!("{other:?}"),
        }
    }

    const GARBAGE: &str = "Unknown { reason: Garbage, error: None }";

    #[test]
    fn om_06_07_09_10_11_12_13_success_with_a_body_that_says_nothing_is_unknown() {
        for body in ["", "[]", "null", "{", "\"x\"", "<html>"] {
            for status in [200, 201, 202] {
                assert_eq!(outcome(provision(&answer(status, body))), GARBAGE, "{status} {body}");
                assert_eq!(outcome(bind(&answer(status, body))), GARBAGE, "{status} {body}");
            }
            assert_eq!(outcome(update(&answer(200, body))), GARBAGE);
            assert_eq!(outcome(update(&answer(202, body))), GARBAGE);
            assert_eq!(outcome(last_operation(&answer(200, body))), GARBAGE);
            assert_eq!(outcome(catalog(&answer(200, body))), GARBAGE);
        }
        assert_eq!(outcome(update(&answer(201, "{}"))), "unknown 201");
        assert_eq!(outcome(provision(&answer(204, ""))), "unknown 204");
        assert_eq!(outcome(bind(&answer(206, "{}"))), "unknown 206");
    }

    #[test]
    fn deleting_with_an_empty_body_is_done_but_garbage_is_not() {
        assert_eq!(deprovision(&answer(200, "")), Ok(Deprovisioned::Done(Object::new())));
        assert_eq!(unbind(&answer(202, "")), Ok(Unbound::Accepted(Accepted::default())));
        assert_eq!(outcome(deprovision(&answer(200, "<html>"))), GARBAGE);
        assert_eq!(outcome(unbind(&answer(201, "{}"))), "unknown 201");
    }

    #[test]
    fn om_14_15_16_17_18_errors_are_refusals_misfits_or_unknown() {
        for status in [400, 409, 410, 422] {
            assert_eq!(outcome(provision(&answer(status, ""))), format!("rejected {status}"));
            assert_eq!(outcome(unbind(&answer(status, "{}"))), format!("rejected {status}"));
        }
        for status in [401, 403, 404, 405, 408, 412, 413, 415, 429] {
            assert_eq!(outcome(deprovision(&answer(status, "{}"))), format!("protocol {status}"));
        }
        for status in [301, 304, 307, 500, 502, 503, 504] {
            assert_eq!(outcome(bind(&answer(status, "{}"))), format!("unknown {status}"));
        }
        assert_eq!(outcome(last_operation(&answer(404, ""))), "rejected 404");
        assert_eq!(outcome(last_operation(&answer(410, "{}"))), "rejected 410");
        assert_eq!(outcome(fetch_binding(&answer(404, "{}"))), "rejected 404");
        assert_eq!(outcome(catalog(&answer(404, "{}"))), "protocol 404");
    }

    #[test]
    fn loi_04_a_state_with_another_name_is_garbage() {
        assert_eq!(outcome(last_operation(&answer(200, r#"{"state":"in progress"}"#))), "ok");
        assert_eq!(outcome(last_operation(&answer(200, r#"{"state":"pending"}"#))), GARBAGE);
        assert_eq!(outcome(last_operation(&answer(200, "{}"))), GARBAGE);
    }

    #[test]
    fn amb_06_prv_14_dep_09_an_operation_of_more_than_10000_characters_is_garbage() {
        let with = |length| answer(202, &format!(r#"{{"operation":"{}"}}"#, "ü".repeat(length)));
        assert_eq!(outcome(provision(&with(10_000))), "ok");
        assert_eq!(outcome(provision(&with(10_001))), GARBAGE);
        assert_eq!(outcome(unbind(&with(10_001))), GARBAGE);
        let Ok(Provisioned::Accepted(empty)) = provision(&with(0)) else { panic!("not accepted") };
        assert_eq!(empty.operation, Maybe::Absent);
        let Ok(Provisioned::Accepted(null)) = provision(&answer(202, r#"{"operation":null}"#)) else {
            panic!("not accepted")
        };
        assert!(null.operation.as_option().is_none(), "PRV-14 null is none");
    }

    #[test]
    fn what_can_be_read_of_a_malformed_error_is_kept() {
        let body = r#"{"error":"ConcurrencyError","description":7,"instance_usable":false}"#;
        let Err(Failure::Rejected(error)) = update(&answer(422, body)) else { panic!("not rejected") };
        assert!(error.is_reserved());
        assert_eq!(error.description(), None);
        assert_eq!(error.body.instance_usable, Maybe::Present(false));
    }

    #[test]
    fn a_server_error_keeps_the_brokers_own_words_only_where_it_has_some() {
        let Err(failure) = provision(&answer(503, r#"{"description":"full"}"#)) else { panic!("not failed") };
        assert_eq!(Error::from(failure).description(), Some("full"));
        let Err(failure) = provision(&answer(500, "<html>")) else { panic!("not failed") };
        assert_eq!(Error::from(failure).status, 502);
    }
}
