//! What can go wrong between two brokers, told apart by what is known afterwards.
//!
//! The one question that matters is whether the other side may have acted. A failure that leaves it open is never
//! reported as a refusal.

use std::fmt;

use crate::Error;

/// Why an order was not carried out, or why that is not known.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The broker refused: a complete answer of a kind that OSB gives a meaning. Nothing was changed.
    #[error("the service broker refused")]
    Rejected(#[source] Error),
    /// The broker may or may not have acted: ask it, or undo.
    #[error("the outcome at the service broker is unknown: {reason}")]
    Unknown {
        /// What happened instead of an answer.
        reason: UnknownReason,
        /// The broker's own error, where its answer held one.
        error: Option<Error>,
    },
    /// Certain: no byte of the request left.
    #[error("nothing was sent to the service broker: {reason}")]
    NotSent {
        /// Why, for operators; without credentials.
        reason: String,
    },
    /// A complete 4xx that says that the two sides don't fit: wrong credentials, path or version, too many requests.
    /// Nothing was changed.
    #[error("the service broker and this client don't fit")]
    Protocol {
        /// The broker's answer.
        #[source]
        error: Error,
    },
}

/// What happened instead of an answer that settles the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownReason {
    /// No answer in time.
    Timeout,
    /// The connection ended before the answer did.
    Dropped,
    /// A status that settles nothing: 3xx, 5xx, or a 2xx that OSB doesn't name for this request.
    Status(u16),
    /// A body that is not what OSB asks for.
    Garbage,
    /// An answer larger than is read.
    TooLarge,
}

impl fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer in time"),
            Self::Dropped => f.write_str("the connection ended before the answer did"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Garbage => f.write_str("the answer is malformed"),
            Self::TooLarge => f.write_str("the answer is too large"),
        }
    }
}

/// Seconds after which a request that was not sent may be tried again.
const RETRY_AFTER_SECONDS: u64 = 10;

impl Failure {
    pub(crate) fn not_sent(reason: impl Into<String>) -> Self {
        Self::NotSent { reason: reason.into() }
    }

    pub(crate) fn unknown(reason: UnknownReason) -> Self {
        Self::Unknown { reason, error: None }
    }
}

impl From<Failure> for Error {
    /// What a broker that only passes calls on answers. The broker's own error stays as it is where there is one.
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Rejected(error) | Failure::Protocol { error } | Failure::Unknown { error: Some(error), .. } => {
                error
            }
            Failure::Unknown { reason: UnknownReason::Timeout, error: None } => {
                Self::gateway_timeout("the service broker did not answer in time")
            }
            Failure::Unknown { reason, error: None } => {
                Self::bad_gateway(format!("the outcome at the service broker is unknown: {reason}"))
            }
            // The reason may name hosts, which are no business of a platform's.
            Failure::NotSent { reason: _ } => {
                Self::unavailable("the service broker can't be reached; nothing was sent", RETRY_AFTER_SECONDS)
            }
        }
    }
}
