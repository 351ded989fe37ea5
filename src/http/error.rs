//! Outcomes on the wire: the one place of the management API that knows status codes. Every refusal is a problem document
//! (RFC 9457). What went wrong inside is logged once, by [`super::observe`]; the client learns the request id.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app;

/// What a browser or a script is asked for at 401.
const CHALLENGE: &str = "Basic realm=\"bourse\", charset=\"UTF-8\", Bearer realm=\"bourse\"";
/// The code of a bearer token that is not accepted (RFC 6750, section 3.1).
const INVALID_TOKEN: &str = "invalid_token";
/// Seconds until a busy hub may be asked again.
const BUSY_SECONDS: u64 = 1;
/// Seconds until something that is not there now may be.
const UNAVAILABLE_SECONDS: u64 = 10;

/// A problem document.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` says more.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// What is wrong and what to do.
    pub detail: String,
    /// A snake-case word for programs.
    pub code: String,
    /// What is wrong where, if the body is not valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemIssue>,
    /// Names the request in the logs, where the fault is the hub's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One thing that is wrong with a body.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ProblemIssue {
    /// A JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

/// A request that did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<ProblemIssue>,
    retry_after_seconds: Option<u64>,
    cause: Option<Box<app::Error>>,
}

impl Failure {
    /// A failure that isn't a use case's: of the request itself.
    pub(in crate::http) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), retry_after_seconds: None, cause: None }
    }

    /// The request can't be understood.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// The body is larger than is allowed.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("the body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// The body did not arrive in time.
    pub fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body did not arrive in time")
    }

    fn challenge(&self) -> HeaderValue {
        if self.code != INVALID_TOKEN {
            return HeaderValue::from_static(CHALLENGE);
        }
        // What may stand between the quotes: RFC 6750, section 3.
        let plain = |c: char| if (' '..='~').contains(&c) && c != '"' && c != '\\' { c } else { '\'' };
        let why: String = self.detail.chars().map(plain).collect();
        let text = format!("Bearer realm=\"bourse\", error=\"{INVALID_TOKEN}\", error_description=\"{why}\"");
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(CHALLENGE))
    }

    /// What is wrong and what to do.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What is wrong where.
    pub fn errors(&self) -> &[ProblemIssue] {
        &self.errors
    }

    /// After how many seconds to ask again.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_seconds
    }

    /// Whether the fault is the hub's own.
    pub fn is_fault(&self) -> bool {
        self.status.is_server_error()
    }

    /// The error chain, where the fault is the hub's own.
    pub fn fault(&self) -> Option<&app::Error> {
        self.cause.as_deref().filter(|_| self.status.is_server_error())
    }

    /// The answer. `request_id` is shown where the fault is the hub's.
    pub fn response(&self, request_id: Option<&str>) -> HttpResponse {
        let request_id = request_id.filter(|_| self.status.is_server_error()).map(str::to_owned);
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Unknown").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.to_owned(),
            errors: self.errors.clone(),
            request_id,
        };
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, self.challenge()));
        }
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        response.content_type("application/problem+json").body(body)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status.as_u16(), self.detail)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.response(None)
    }
}

/// The table: which outcome is which status.
impl From<app::Error> for Failure {
    fn from(error: app::Error) -> Self {
        use app::Error as E;
        let detail = error.to_string();
        match error {
            E::Malformed(_) => Self::malformed(detail),
            E::Invalid(issues) => {
                let issue = |issue: app::Issue| ProblemIssue { pointer: issue.pointer, detail: issue.message };
                let errors: Vec<_> = issues.into_iter().map(issue).collect();
                let first = errors.first().map(|first| format!("{} {}", first.pointer, first.detail));
                let detail = first.map_or(detail, |first| first.trim_start().to_owned());
                Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail) }
            }
            E::Unprocessable { code, .. } | E::Refused { code, .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
            }
            E::OverQuota(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "quota_exceeded", detail),
            E::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, "not_found", detail),
            E::Conflict { code, .. } => Self::new(StatusCode::CONFLICT, code, detail),
            E::InUse(_) => Self::new(StatusCode::CONFLICT, "in_use", detail),
            E::Unauthorized => Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail),
            E::BadToken(_) => Self::new(StatusCode::UNAUTHORIZED, INVALID_TOKEN, detail),
            E::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, "forbidden", detail),
            E::TooMany { seconds } => Self {
                retry_after_seconds: Some(seconds),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
            },
            E::Stale => Self::new(StatusCode::PRECONDITION_FAILED, "stale", detail),
            E::Gone(_) => Self::new(StatusCode::GONE, "gone", detail),
            E::Unavailable(_) => Self {
                retry_after_seconds: Some(UNAVAILABLE_SECONDS),
                cause: Some(Box::new(error)),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            },
            E::NotYet(_) => Self {
                retry_after_seconds: Some(UNAVAILABLE_SECONDS),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            },
            E::Answer(answer) => Self::of_answer(own_code(&answer), answer),
            E::Broker(answer) => Self::of_answer("broker_answer", answer),
            E::Store(_) if error.is_busy() => Self {
                retry_after_seconds: Some(BUSY_SECONDS),
                cause: Some(Box::new(error)),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "the hub is busy: try again")
            },
            E::Store(_) if error.is_unknown() => Self {
                retry_after_seconds: Some(BUSY_SECONDS),
                cause: Some(Box::new(error)),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "outcome_unknown",
                    "the database did not say whether it was done: look before you repeat it",
                )
            },
            E::Store(_) | E::Secret(_) | E::Stopped | E::LeaseLost => Self {
                cause: Some(Box::new(error)),
                ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the hub could not do it; its log says why")
            },
        }
    }
}

impl Failure {
    /// An answer in OSB's terms, as it stands.
    fn of_answer(code: &'static str, answer: osb::Error) -> Self {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let detail = answer.description().unwrap_or("the service broker did not do it").to_owned();
        let retry_after_seconds = answer.retry_after_seconds;
        let cause = status.is_server_error().then(|| Box::new(app::Error::Answer(answer)));
        Self { retry_after_seconds, cause, ..Self::new(status, code, detail) }
    }
}

/// The word for an answer in OSB's terms that is the hub's own: OSB's word where it has one.
fn own_code(answer: &osb::Error) -> &'static str {
    match (answer.code(), answer.status) {
        (Some(osb::error::ASYNC_REQUIRED), _) => "async_required",
        (Some(osb::error::CONCURRENCY_ERROR), _) => "concurrency_error",
        (Some(osb::error::REQUIRES_APP), _) => "requires_app",
        (Some(osb::error::MAINTENANCE_INFO_CONFLICT), _) => "maintenance_info_conflict",
        (Some("PlanChangeNotSupported"), _) => "plan_change_not_supported",
        (_, 400) => "bad_request",
        (_, 404) => "not_found",
        (_, 409) => "conflict",
        (_, 410) => "gone",
        (_, 422) => "unprocessable",
        (_, 502) => "broker_failed",
        (_, 503) => "unavailable",
        (_, 504) => "broker_timeout",
        _ => "internal",
    }
}

/// Answers what no route has.
///
/// # Errors
/// Always.
pub async fn no_such_path(request: HttpRequest) -> Result<HttpResponse, Failure> {
    Err(Failure::new(StatusCode::NOT_FOUND, "no_such_path", format!("there is nothing at {}", request.path())))
}

/// The answer to a method that a path does not have; `allow` are those it has.
pub fn no_such_method(allow: &str) -> HttpResponse {
    let failure = Failure::new(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", format!("use one of: {allow}"));
    let mut response = failure.response(None);
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(actix_web::http::header::ALLOW, allow);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: app::Error, status: u16, code: &str) {
        let failure = Failure::from(error);
        assert_eq!((failure.status.as_u16(), failure.code), (status, code), "{failure:?}");
        let response = failure.response(Some("r-1"));
        assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), status == 401);
        assert_eq!(response.headers().contains_key(RETRY_AFTER), matches!(status, 429 | 503));
        assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
    }

    #[test]
    fn each_outcome_has_its_status() {
        use app::Error as E;
        check(E::Malformed("m".to_owned()), 400, "malformed");
        check(E::invalid("/a", "m"), 422, "invalid");
        check(E::Unprocessable { code: "c", message: "m".to_owned() }, 422, "c");
        check(E::Refused { code: "c", message: "m".to_owned() }, 422, "c");
        check(E::not_found("tenant", "t"), 404, "not_found");
        check(E::conflict("c", "m"), 409, "c");
        check(E::InUse("m".to_owned()), 409, "in_use");
        check(E::Unauthorized, 401, "unauthorized");
        check(E::Forbidden("m".to_owned()), 403, "forbidden");
        check(E::TooMany { seconds: 3 }, 429, "too_many_requests");
        check(E::Stale, 412, "stale");
        check(E::Gone("m".to_owned()), 410, "gone");
        check(E::Unavailable("m".to_owned()), 503, "unavailable");
        check(E::NotYet("m".to_owned()), 503, "unavailable");
        assert!(Failure::from(E::NotYet("m".to_owned())).fault().is_none(), "anybody can make up a key");
        check(E::LeaseLost, 500, "internal");
        check(E::Answer(osb::Error::bad_request("m")), 400, "bad_request");
        check(E::Answer(osb::Error::concurrency("m")), 422, "concurrency_error");
        check(E::Answer(osb::Error::unprocessable("PlanChangeNotSupported", "m")), 422, "plan_change_not_supported");
        check(E::Answer(osb::Error::gone()), 410, "gone");
        check(E::Answer(osb::Error::unavailable("m", 10)), 503, "unavailable");
        check(E::Broker(osb::Error::bad_request("m")), 400, "broker_answer");
        check(E::Broker(osb::Error::unavailable("m", 10)), 503, "broker_answer");
        check(E::Stopped, 500, "internal");
        check(E::busy(), 503, "busy");
        check(E::Secret(crate::secret::Error::Random), 500, "internal");
    }

    #[test]
    fn a_fault_shows_the_request_id_and_nothing_of_its_cause() {
        let failure = Failure::from(app::Error::Secret(crate::secret::Error::Open("brokers/7/secrets".to_owned())));
        let body = actix_web::body::MessageBody::try_into_bytes(failure.response(Some("r-1")).into_body()).unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("r-1") && !text.contains("brokers/7"), "{text}");
        assert!(failure.fault().is_some());
        assert!(Failure::from(app::Error::Stale).fault().is_none());
    }
}
