//! What a use case can end in besides success. It names outcomes; which status each becomes is decided in `http`.

use crate::domain::quota::Exceeded;
use crate::{secret, store};

/// One thing that is wrong with an input, at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// A JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// The outcome of a use case that did not do what was asked. Messages are for users: they hold no secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Malformed or contradictory: the request can't be understood.
    #[error("{0}")]
    Malformed(String),
    /// Understood, but invalid.
    #[error("the request is not valid")]
    Invalid(Vec<Issue>),
    /// Understood and valid, but not possible as things stand.
    #[error("{message}")]
    Unprocessable {
        /// A snake-case word for programs.
        code: &'static str,
        /// What stands in the way.
        message: String,
    },
    /// A rule of the marketplace refuses the order: tenant, visibility, quota, policy.
    #[error("{message}")]
    Refused {
        /// A snake-case word for programs.
        code: &'static str,
        /// Why, and what to do.
        message: String,
    },
    /// A quota has too little left for the order.
    #[error("{0}")]
    OverQuota(Box<Exceeded>),
    /// No such thing, or not the caller's.
    #[error("{what} `{name}` does not exist")]
    NotFound {
        /// `broker`, `tenant`, `instance`, …
        what: &'static str,
        /// The name or id that was asked for.
        name: String,
    },
    /// A name is taken, or the thing is in use, or other attributes stand there.
    #[error("{message}")]
    Conflict {
        /// A snake-case word for programs.
        code: &'static str,
        /// What it clashes with.
        message: String,
    },
    /// Other instances depend on it: they have to go first.
    #[error("{0}")]
    InUse(String),
    /// Who calls is not known.
    #[error("credentials are missing or wrong")]
    Unauthorized,
    /// Asked too often: it may be asked again after that many seconds.
    #[error("too many requests: try again in {seconds} s")]
    TooMany {
        /// Until then.
        seconds: u64,
    },
    /// A bearer token that is not accepted, and why.
    #[error("{0}")]
    BadToken(String),
    /// Known and visible, but not allowed.
    #[error("{0}")]
    Forbidden(String),
    /// The version given with `If-Match` is not the current one.
    #[error("it was changed meanwhile: read it again")]
    Stale,
    /// It was there and has been removed for good.
    #[error("{0}")]
    Gone(String),
    /// The hub can't do it now, and has sent nothing.
    #[error("{0}")]
    Unavailable(String),
    /// What was sent can't be judged yet, which is no fault of the hub's.
    #[error("{0}")]
    NotYet(String),
    /// The hub's own answer, in OSB's terms.
    #[error("{0}")]
    Answer(osb::Error),
    /// What came of an order or a question at a backend, in OSB's terms.
    #[error("{0}")]
    Broker(osb::Error),
    /// A test stopped the flow at a failure point.
    #[error("stopped at a failure point")]
    Stopped,
    /// The lease on an operation was lost: another process works on it, or it was called off.
    #[error("the operation is no longer this process's")]
    LeaseLost,
    /// The database failed or is busy.
    #[error("the database did not do it")]
    Store(#[source] store::Error),
    /// Sealing or opening failed.
    #[error("a stored secret could not be handled")]
    Secret(#[source] secret::Error),
}

impl Error {
    /// [`Error::NotFound`] for a thing and the name that was asked for.
    pub fn not_found(what: &'static str, name: impl Into<String>) -> Self {
        Self::NotFound { what, name: name.into() }
    }

    /// [`Error::Invalid`] with one issue.
    pub fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Issue { pointer: pointer.into(), message: message.into() }])
    }

    /// Too much is waiting: it can be tried again in a moment.
    pub fn busy() -> Self {
        Self::Store(store::Error::Busy)
    }

    /// Whether the same request may well succeed in a moment.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Store(store::Error::Busy | store::Error::Late | store::Error::Serialization))
    }

    /// Whether it may have been done all the same.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Store(store::Error::CommitUnknown))
    }

    /// [`Error::Conflict`].
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<secret::Error> for Error {
    fn from(error: secret::Error) -> Self {
        Self::Secret(error)
    }
}

impl From<osb::Error> for Error {
    fn from(error: osb::Error) -> Self {
        Self::Answer(error)
    }
}

/// The outcome as OSB has it: refusals of the marketplace are 400 with a description, what broke here is a 5xx without one's
/// insides.
pub(in crate::app) fn to_osb(error: Error) -> osb::Error {
    match error {
        Error::Answer(answer) | Error::Broker(answer) => answer,
        Error::Malformed(message) | Error::Forbidden(message) | Error::InUse(message) => {
            osb::Error::bad_request(message)
        }
        Error::Refused { message, .. } | Error::Unprocessable { message, .. } => osb::Error::bad_request(message),
        Error::OverQuota(exceeded) => osb::Error::bad_request(exceeded.to_string()),
        Error::Invalid(issues) => {
            let listed: Vec<_> = issues.iter().map(|issue| format!("{}: {}", issue.pointer, issue.message)).collect();
            osb::Error::bad_request(listed.join("; "))
        }
        Error::Gone(message) => osb::Error::not_found(message),
        Error::NotFound { .. } => osb::Error::not_found(error.to_string()),
        Error::Conflict { message, .. } => osb::Error::conflict(message),
        Error::Unauthorized | Error::BadToken(_) => osb::Error::unauthorized("credentials are missing or wrong"),
        Error::TooMany { seconds } => {
            let mut answer = osb::Error::with(429, "TooManyRequests", error.to_string());
            answer.retry_after_seconds = Some(seconds);
            answer
        }
        Error::Stale => osb::Error::conflict("it was changed meanwhile"),
        Error::Stopped | Error::LeaseLost => osb::Error::internal("the request was interrupted"),
        Error::Unavailable(message) | Error::NotYet(message) => osb::Error::unavailable(message, 10),
        Error::Store(store::Error::Busy | store::Error::Late | store::Error::CommitUnknown) => {
            osb::Error::unavailable("the marketplace is busy; try again", 2)
        }
        Error::Store(_) | Error::Secret(_) => osb::Error::internal("the marketplace could not do it"),
    }
}
