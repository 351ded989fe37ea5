//! The sink `webhook`: one POST an event, signed as Standard Webhooks say.
//!
//! It follows no redirect, takes no proxy from the environment, and reads no more of an answer than its status.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osb::client::EgressPolicy;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use ring::hmac;

use super::{BATCH_TIME_MAX, Failure, Network, Outcome};
use crate::clock::{Clock, Time};
use crate::domain::event::Numbered;
use crate::secret::Secret;

const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Nobody may put us off for longer than that.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

pub(super) struct Webhook {
    client: reqwest::Client,
    url: Url,
    key: hmac::Key,
    clock: Clock,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Webhook {
    pub(super) fn new(
        url: &str,
        secret: &Secret<String>,
        egress: Arc<dyn EgressPolicy>,
        network: &Network,
        clock: Clock,
    ) -> Result<Self, String> {
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or("the url must begin with http:// or https://")?;
        let literal = url.host_str().unwrap_or_default().trim_matches(['[', ']']).parse::<IpAddr>();
        if literal.is_ok_and(|ip| !permits(egress.as_ref(), ip)) {
            return Err("the url's address is not one that egress.allow lets through".to_owned());
        }
        let client = client(egress, network)?;
        Ok(Self { client, url, key: key(secret)?, clock })
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
        let answer = self
            .client
            .post(self.url.clone())
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

fn client(egress: Arc<dyn EgressPolicy>, network: &Network) -> Result<reqwest::Client, String> {
    // Another part of the process may have installed the same provider already.
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut builder = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy();
    if let Some(pem) = &network.ca_pem {
        let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
        let roots = roots.map_err(|_| "egress.ca_file holds no certificates in PEM".to_owned())?;
        builder = builder.tls_certs_merge(roots);
    }
    let mut exempt = None;
    if let Some(proxy) = &network.proxy {
        let wrong = || "egress.proxy is not a URL".to_owned();
        exempt = Url::parse(proxy).ok().and_then(|url| url.host_str().map(str::to_owned));
        builder = builder.proxy(reqwest::Proxy::all(proxy.as_str()).map_err(|_| wrong())?);
    }
    let builder = builder.dns_resolver(Resolver { egress, exempt });
    builder.build().map_err(|_| "an HTTP client could not be made".to_owned())
}

fn permits(egress: &dyn EgressPolicy, ip: IpAddr) -> bool {
    egress.permits(ip) && egress.permits(ip.to_canonical())
}

/// Resolves names with the system and leaves out what the policy refuses.
struct Resolver {
    egress: Arc<dyn EgressPolicy>,
    /// The proxy's own name, which the operator chose.
    exempt: Option<String>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = Arc::clone(&self.egress);
        let exempt = self.exempt.as_deref() == Some(name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let permitted: Vec<SocketAddr> =
                found.filter(|address| exempt || permits(egress.as_ref(), address.ip())).collect();
            if permitted.is_empty() {
                return Err("the egress policy refuses this host".into());
            }
            let addresses: Addrs = Box::new(permitted.into_iter());
            Ok(addresses)
        })
    }
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
