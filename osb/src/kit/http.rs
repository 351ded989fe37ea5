//! Calls to the JSON APIs that a service drives: with bounds, never redirected, never through a proxy of the environment, never
//! sent twice. What can have left when a call fails is told apart.

use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::Value;

use crate::client::transport::{Transport, TransportOptions};
use crate::client::{BuildError, Failure, TlsOptions};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How large an answer may be.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A client. It holds a pool of connections: make one and share it.
pub struct Http {
    transport: Transport,
}

/// Why there is no answer. Neither says where the call went: that is for the caller's log, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing left this process; the call changed nothing.
    #[error("could not be reached: {0}")]
    NotSent(String),
    /// It may have been carried out: a time-out, a connection that broke, an answer that is too large.
    #[error("gave no answer: {0}")]
    Unknown(String),
}

/// An answer.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, in seconds.
    pub retry_after_seconds: Option<u64>,
    /// The body as it came; may hold secrets.
    pub body: bytes::Bytes,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Answer {
    /// Whether the status is one of 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body, where it is JSON; [`Value::Null`] otherwise.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Http {
    /// A client whose exchanges take at most that long, and which trusts these roots (PEM) beside the system's.
    ///
    /// # Errors
    /// Where the roots are not PEM.
    pub fn new(timeout: Duration, ca_pem: Option<String>) -> Result<Self, BuildError> {
        let tls = TlsOptions { ca_pem, ..TlsOptions::default() };
        let options =
            TransportOptions { timeout, connect_timeout: CONNECT_TIMEOUT, tls, ..TransportOptions::default() };
        Ok(Self { transport: Transport::new(options)? })
    }

    /// Sends once and reads the whole answer, at most 16 MiB.
    ///
    /// # Errors
    /// See [`CallError`]. A URL, a method or a header that can't be sent is [`CallError::NotSent`].
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, CallError> {
        let unsendable = |what: &str| CallError::NotSent(format!("the {what} can't be sent"));
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| unsendable("method"))?;
        let mut request = reqwest::Request::new(method, Url::parse(url).map_err(|_| unsendable("URL"))?);
        for (name, value) in headers {
            let name = reqwest::header::HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsendable("header"))?;
            let mut value = reqwest::header::HeaderValue::from_str(value).map_err(|_| unsendable("header"))?;
            value.set_sensitive(true);
            request.headers_mut().append(name, value);
        }
        if let Some(body) = body {
            let json = reqwest::header::HeaderValue::from_static("application/json");
            request.headers_mut().entry(reqwest::header::CONTENT_TYPE).or_insert(json);
            *request.body_mut() = Some(body.to_string().into());
        }
        match self.transport.exchange(request, ANSWER_BYTES).await {
            Ok(answer) => {
                let crate::WireResponse { status, retry_after_seconds, body, .. } = answer;
                Ok(Answer { status, retry_after_seconds, body })
            }
            Err(Failure::NotSent { reason }) => Err(CallError::NotSent(reason)),
            Err(Failure::Unknown { reason, .. }) => Err(CallError::Unknown(reason.to_string())),
            // The transport judges no statuses.
            Err(other) => Err(CallError::Unknown(other.to_string())),
        }
    }
}
