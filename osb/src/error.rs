//! What a broker answers when it does not do what was asked ("Service Broker Errors").
//!
//! A [`Error`] is an answer: a status and the fields of the error body. Its constructors are named after outcomes, so that
//! a broker author never writes a status code. What can go wrong between two brokers is [`crate::client::Failure`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Maybe, Object};

/// The body of an error answer. `error` is one camel-case word; the four reserved ones are case-sensitive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// A word for programs, such as `AsyncRequired`.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub error: Maybe<String>,
    /// A sentence for the user.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub description: Maybe<String>,
    /// Only on a failed update or deprovision: whether the instance may still be used.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub instance_usable: Maybe<bool>,
    /// Only on a failed update: whether the same update may be sent again.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub update_repeatable: Maybe<bool>,
    /// Fields that this version of OSB does not name.
    #[serde(flatten)]
    pub extra: Object,
}

/// An answer other than success: what goes on the wire, and how long to wait before asking again.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct Error {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// The fields of the body.
    pub body: Box<ErrorBody>,
    /// The `Retry-After` header, in seconds.
    pub retry_after_seconds: Option<u64>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(word) = self.code() {
            write!(f, " {word}")?;
        }
        if let Some(description) = self.description() {
            write!(f, ": {description}")?;
        }
        Ok(())
    }
}

/// Reserved: the operation can only be asynchronous and the platform does not accept that.
pub const ASYNC_REQUIRED: &str = "AsyncRequired";
/// Reserved: another operation is under way on the same resource.
pub const CONCURRENCY_ERROR: &str = "ConcurrencyError";
/// Reserved: the bind needs an application.
pub const REQUIRES_APP: &str = "RequiresApp";
/// Reserved: the `maintenance_info.version` given is not the catalog's.
pub const MAINTENANCE_INFO_CONFLICT: &str = "MaintenanceInfoConflict";

/// The four words that OSB reserves for 422 answers.
pub const RESERVED: [&str; 4] = [ASYNC_REQUIRED, CONCURRENCY_ERROR, REQUIRES_APP, MAINTENANCE_INFO_CONFLICT];

impl Error {
    /// Any status, without a body's fields.
    pub fn new(status: u16) -> Self {
        Self { status, body: Box::default(), retry_after_seconds: None }
    }

    /// Any status with a word for programs and a sentence for the user.
    pub fn with(status: u16, code: &str, description: impl Into<String>) -> Self {
        let mut error = Self::new(status);
        error.body.error = Maybe::Present(code.to_owned());
        error.body.description = Maybe::Present(description.into());
        error
    }

    /// 400: malformed, incomplete, or refused; nothing was changed.
    pub fn bad_request(description: impl Into<String>) -> Self {
        Self::with(400, "BadRequest", description)
    }

    /// 401: who calls is not known.
    pub fn unauthorized(description: impl Into<String>) -> Self {
        Self::with(401, "Unauthorized", description)
    }

    /// 404: no such resource, for all but deletion.
    pub fn not_found(description: impl Into<String>) -> Self {
        Self::with(404, "NotFound", description)
    }

    /// 409: the id is taken by a resource with other attributes.
    pub fn conflict(description: impl Into<String>) -> Self {
        Self::with(409, "Conflict", description)
    }

    /// 410: what was to be deleted does not exist.
    pub fn gone() -> Self {
        Self::new(410)
    }

    /// 412: the API version is missing or not one that is spoken here.
    pub fn precondition_failed(description: impl Into<String>) -> Self {
        Self::with(412, "PreconditionFailed", description)
    }

    /// 422 for a change that plan or state does not allow, with a word of one's own.
    pub fn unprocessable(code: &str, description: impl Into<String>) -> Self {
        Self::with(422, code, description)
    }

    /// 422 `AsyncRequired`.
    pub fn async_required() -> Self {
        Self::with(
            422,
            ASYNC_REQUIRED,
            "this service plan requires client support for asynchronous service operations: send accepts_incomplete=true",
        )
    }

    /// 422 `ConcurrencyError`.
    pub fn concurrency(description: impl Into<String>) -> Self {
        Self::with(422, CONCURRENCY_ERROR, description)
    }

    /// 422 `RequiresApp`.
    pub fn requires_app() -> Self {
        Self::with(
            422,
            REQUIRES_APP,
            "this service supports generation of credentials through binding an application only",
        )
    }

    /// 422 `MaintenanceInfoConflict`.
    pub fn maintenance_info_conflict(description: impl Into<String>) -> Self {
        Self::with(422, MAINTENANCE_INFO_CONFLICT, description)
    }

    /// 500: something broke here.
    pub fn internal(description: impl Into<String>) -> Self {
        Self::with(500, "InternalError", description)
    }

    /// 502: a broker behind this one answered in a way that settles nothing.
    pub fn bad_gateway(description: impl Into<String>) -> Self {
        Self::with(502, "BackendFailed", description)
    }

    /// 503: nothing was sent on; try again after that many seconds.
    pub fn unavailable(description: impl Into<String>, retry_after_seconds: u64) -> Self {
        let mut error = Self::with(503, "BackendUnavailable", description);
        error.retry_after_seconds = Some(retry_after_seconds);
        error
    }

    /// 504: a broker behind this one did not answer in time.
    pub fn gateway_timeout(description: impl Into<String>) -> Self {
        Self::with(504, "BackendTimeout", description)
    }

    /// The word for programs, if there is one.
    pub fn code(&self) -> Option<&str> {
        self.body.error.as_option().map(String::as_str)
    }

    /// The sentence for the user, if there is one.
    pub fn description(&self) -> Option<&str> {
        self.body.description.as_option().map(String::as_str)
    }

    /// True for a 422 with one of the four reserved words.
    pub fn is_reserved(&self) -> bool {
        self.status == 422 && self.code().is_some_and(|code| RESERVED.contains(&code))
    }
}
