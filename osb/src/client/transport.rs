//! One exchange over HTTP, with bounds, and the judgement of what can have left when it fails.
//!
//! The HTTP library repeats a request by itself only where a pooled connection turned out to be closed before the request
//! was taken from the queue; its other retries are switched off. So a request is never sent twice from here.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_web::http::header::HttpDate;
use bytes::{Bytes, BytesMut};
use reqwest::header::{ETAG, HeaderMap, RETRY_AFTER};

use super::egress::{self, EgressPolicy, EgressResolver};
use super::{BuildError, Failure, TlsOptions, UnknownReason};
use crate::{WireResponse, clock};

/// Shorter than what usual servers keep an idle connection for, so that they rarely close one that we are about to use.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// What a transport is made from.
#[derive(Clone, Default)]
pub(crate) struct TransportOptions {
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) tls: TlsOptions,
    pub(crate) egress: Option<Arc<dyn EgressPolicy>>,
    pub(crate) proxy: Option<String>,
}

/// An HTTP client with an egress policy.
pub(crate) struct Transport {
    http: reqwest::Client,
    egress: Option<Arc<dyn EgressPolicy>>,
}

impl Transport {
    pub(crate) fn new(options: TransportOptions) -> Result<Self, BuildError> {
        // Another part of the process may have installed the same provider already.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut http = reqwest::Client::builder()
            .timeout(options.timeout)
            .connect_timeout(options.connect_timeout.min(options.timeout))
            .pool_idle_timeout(POOL_IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy();
        if let Some(pem) = &options.tls.ca_pem {
            let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| BuildError::Ca)?;
            if roots.is_empty() {
                return Err(BuildError::Ca);
            }
            http = http.tls_certs_merge(roots);
        }
        if let Some(identity) = identity(&options.tls)? {
            http = http.identity(identity);
        }
        let mut proxy_host = None;
        if let Some(url) = &options.proxy {
            let proxy = reqwest::Proxy::all(url.as_str()).map_err(|_| BuildError::Proxy)?;
            proxy_host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
            http = http.proxy(proxy);
        }
        if let Some(policy) = &options.egress {
            http = http.dns_resolver(EgressResolver { policy: Arc::clone(policy), exempt: proxy_host });
        }
        let http = http.build().map_err(|error| BuildError::Http(innermost(&error)))?;
        Ok(Self { http, egress: options.egress })
    }

    /// The HTTP library's client, for who wants to see more of an answer. Literal addresses are the caller's to judge.
    #[cfg(feature = "conformance")]
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn permits(&self, url: &reqwest::Url) -> bool {
        self.egress.as_ref().is_none_or(|policy| egress::permits_literal(policy.as_ref(), url))
    }

    /// Sends once, and reads the whole answer up to that size.
    pub(crate) async fn exchange(&self, request: reqwest::Request, max_bytes: usize) -> Result<WireResponse, Failure> {
        if !self.permits(request.url()) {
            return Err(Failure::not_sent("the egress policy refuses this address"));
        }
        let mut response = self.http.execute(request).await.map_err(|error| before_answer(&error))?;
        let status = response.status().as_u16();
        let retry_after_seconds = retry_after(response.headers(), clock::unix_now());
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let body = read(&mut response, max_bytes).await?;
        Ok(WireResponse { status, retry_after_seconds, etag, body })
    }
}

async fn read(response: &mut reqwest::Response, max_bytes: usize) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Failure::unknown(lost(&error)))? {
        if body.len() + chunk.len() > max_bytes {
            return Err(Failure::unknown(UnknownReason::TooLarge));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Only what fails while the connection is made, or before that, is certain not to have been sent.
fn before_answer(error: &reqwest::Error) -> Failure {
    if error.is_connect() || error.is_builder() {
        Failure::not_sent(innermost(error))
    } else {
        Failure::unknown(lost(error))
    }
}

fn lost(error: &reqwest::Error) -> UnknownReason {
    if error.is_timeout() { UnknownReason::Timeout } else { UnknownReason::Dropped }
}

/// The innermost cause: unlike the outer ones it holds no URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if cause.is::<reqwest::Error>() { "the request can't be made".to_owned() } else { cause.to_string() }
}

/// LOI-09: seconds, or a date that is turned into seconds from now.
fn retry_after(headers: &HeaderMap, now: u64) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let date: SystemTime = text.parse::<HttpDate>().ok()?.into();
    let at = date.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(at.saturating_sub(now))
}

fn identity(tls: &TlsOptions) -> Result<Option<reqwest::Identity>, BuildError> {
    match (&tls.client_cert_pem, &tls.client_key_pem) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => reqwest::Identity::from_pem(format!("{key}\n{certificate}").as_bytes())
            .map(Some)
            .map_err(|_| BuildError::ClientCertificate),
        _ => Err(BuildError::ClientCertificate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Option<u64>) {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
        assert_eq!(retry_after(&headers, 784_111_770), expected, "{value}");
    }

    #[test]
    fn loi_09_retry_after_is_read_as_seconds_and_as_a_date() {
        check("120", Some(120));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(7));
        check("Sun, 06 Nov 1994 08:49:00 GMT", Some(0));
        check("soon", None);
        check("-1", None);
    }
}
