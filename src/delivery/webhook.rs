//! The sink `webhook`: one POST an event, signed as Standard Webhooks say.
//!
//! It reads no more of an answer than its status. How requests go out, and where to, is the business of whoever hands in [`Post`].

use std::fmt;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use ring::hmac;

use super::{BATCH_TIME_MAX, Failure, Outcome, Post};
use crate::clock::{Clock, Time};
use crate::domain::event::Numbered;
use crate::secret::Secret;

/// Nobody may put us off for longer than that.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

pub(super) struct Webhook {
    post: Post,
    url: String,
    key: hmac::Key,
    clock: Clock,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a secret.
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl Webhook {
    pub(super) fn new(url: &str, secret: &Secret<String>, post: Post, clock: Clock) -> Result<Self, String> {
        // So that a URL that can never work is noticed at the start.
        drop(post(url)?);
        Ok(Self { post, url: url.to_owned(), key: key(secret)?, clock })
    }

    /// Posts events one after the other until one is not taken or the time is over.
    pub(super) async fn deliver(&self, events: &[Numbered]) -> Outcome {
        let began = Instant::now();
        let mut delivered = 0;
        for event in events {
            if let Err(failure) = self.post(event).await {
                return Outcome { delivered, failure: Some(failure) };
            }
            delivered += 1;
            if began.elapsed() > BATCH_TIME_MAX {
                break;
            }
        }
        Outcome { delivered, failure: None }
    }

    async fn post(&self, event: &Numbered) -> Result<(), Failure> {
        let now = self.clock.now();
        let timestamp = now.seconds().to_string();
        let answer = (self.post)(&self.url)
            .map_err(Failure::failed)?
            .header(CONTENT_TYPE, "application/cloudevents+json; charset=utf-8")
            .header("webhook-id", &event.id)
            .header("webhook-timestamp", &timestamp)
            .header("webhook-signature", signature(&self.key, &event.id, &timestamp, event.document.as_bytes()))
            .body(event.document.clone())
            .send()
            .await
            .map_err(|error| Failure::failed(reason(&error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let reason = format!("answered {}", status.as_u16());
        if status.is_client_error() && !matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) {
            return Err(Failure::Refused(reason));
        }
        let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Err(Failure::Failed { reason, retry_after: after.and_then(|after| retry_after(after, now)) })
    }
}

/// What to tell of an error, without the URL, which may hold a secret.
fn reason(error: &reqwest::Error) -> String {
    let word = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection was lost"
    };
    word.to_owned()
}

/// Reads `Retry-After`: seconds, or a date of HTTP.
fn retry_after(value: &str, now: Time) -> Option<Duration> {
    let wait = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp();
            Time(date.as_microsecond()).since(now)
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The key in a secret: the bytes behind `whsec_` in base64, else the secret itself.
fn key(secret: &Secret<String>) -> Result<hmac::Key, String> {
    let bytes = match secret.expose().strip_prefix("whsec_") {
        Some(encoded) => {
            STANDARD.decode(encoded.trim()).map_err(|_| "the secret behind `whsec_` must be base64".to_owned())?
        }
        None => secret.expose().as_bytes().to_vec(),
    };
    if bytes.is_empty() {
        return Err("the secret must not be empty".to_owned());
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

fn signature(key: &hmac::Key, id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut signed = hmac::Context::with_key(key);
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        signed.update(part);
    }
    format!("v1,{}", STANDARD.encode(signed.sign()))
}

/// The header `webhook-signature` for a delivery: what a receiver computes too, and compares.
///
/// # Errors
/// Where the secret is malformed.
pub fn sign(secret: &Secret<String>, id: &str, timestamp: &str, body: &[u8]) -> Result<String, String> {
    Ok(signature(&key(secret)?, id, timestamp, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_of_the_standard_webhooks_specification() {
        // The example that the specification's own libraries are tested with.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let made = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        assert_eq!(made.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_without_prefix_is_taken_as_it_is_and_a_malformed_one_refused() {
        assert!(sign(&Secret::new("plain words".to_owned()), "i", "1", b"").is_ok());
        assert!(sign(&Secret::new("whsec_???".to_owned()), "i", "1", b"").is_err());
        assert!(sign(&Secret::new(String::new()), "i", "1", b"").is_err());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = Time(1_763_769_600_000_000);
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sat, 22 Nov 2025 00:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Fri, 21 Nov 2025 00:00:30 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999", now), Some(RETRY_AFTER_MAX));
        assert_eq!(retry_after("soon", now), None);
    }
}
