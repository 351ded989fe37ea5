//! NetBox's REST API as far as it is used: one exchange with bounds, and what its answers mean.
//!
//! It deliberately doesn't know what prefixes are for. Invariants: an addition is never sent twice from here; the token is in
//! no error and no `Debug`; no redirect and no link in an answer is followed, so that the token goes to one host only.

use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url};
use serde_json::Value;

use super::{Config, StartError};

/// How large an answer may be.
const ANSWER_MAX: usize = 4 * 1024 * 1024;
/// How much of an answer is shown to the operator.
const DETAIL_MAX: usize = 500;
/// How often something is asked or set that may be repeated.
const TRIES: usize = 3;
/// How many are asked for at once, and how often.
const PAGE: usize = 100;
const PAGES_MAX: usize = 20;
/// Shorter than what usual servers keep an idle connection for.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// How tokens of the second version begin.
const SECOND_VERSION: &str = "nbt_";

/// Why an exchange has no good end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// Nothing was done.
    #[error("could not be reached: {0}")]
    NotSent(String),
    /// Whether it was done can't be told.
    #[error("{0}")]
    Unknown(String),
    /// Nothing was done; later it may be.
    #[error("too many requests")]
    Busy { retry_after_seconds: Option<u64> },
    /// 401 or 403.
    #[error("the token is refused ({0})")]
    Denied(String),
    /// 404.
    #[error("there is no such object, or the token may not see it")]
    NotFound,
    /// 409: nothing is left of that size.
    #[error("insufficient resources")]
    Full,
    /// Any other answer that says no.
    #[error("answered {0}: {1}")]
    Refused(u16, String),
}

/// NetBox.
pub(super) struct Api {
    http: reqwest::Client,
    base: Url,
    authorization: HeaderValue,
}

impl Api {
    pub(super) fn new(config: &Config) -> Result<Self, StartError> {
        let base = base(&config.url).ok_or(StartError::Url)?;
        let scheme = if config.token.starts_with(SECOND_VERSION) { "Bearer" } else { "Token" };
        let plain = !config.token.is_empty() && config.token.bytes().all(|byte| byte.is_ascii_graphic());
        let mut authorization =
            HeaderValue::from_str(&format!("{scheme} {}", config.token)).map_err(|_| StartError::Token)?;
        authorization.set_sensitive(true);
        if !plain {
            return Err(StartError::Token);
        }
        // Another part of the process may have installed the same provider already.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut http = reqwest::Client::builder()
            .timeout(config.timeout)
            .connect_timeout(Duration::from_secs(5).min(config.timeout))
            .pool_idle_timeout(POOL_IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy();
        if let Some(pem) = &config.ca_pem {
            let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| StartError::Ca)?;
            http = http.tls_certs_merge(roots);
        }
        let http = http.build().map_err(|error| StartError::Http(innermost(&error)))?;
        Ok(Self { http, base, authorization })
    }

    /// All objects of a list that a filter leaves.
    pub(super) async fn list(&self, path: &str, filter: &[(&str, &str)]) -> Result<Vec<Value>, ApiError> {
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let offset = all.len().to_string();
            let limit = PAGE.to_string();
            let paging = [("limit", limit.as_str()), ("offset", &offset), ("ordering", "id")];
            let mut page = self.get(path, &[filter, &paging].concat()).await?;
            let last = page.get("next").is_none_or(Value::is_null);
            let Some(Value::Array(results)) = page.get_mut("results").map(Value::take) else {
                return Err(ApiError::Unknown("answered no list".to_owned()));
            };
            let none = results.is_empty();
            all.extend(results);
            if last || none {
                return Ok(all);
            }
        }
        Err(ApiError::Unknown(format!("more than {} objects are left of a filter", PAGES_MAX * PAGE)))
    }

    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ApiError> {
        self.repeated(Method::GET, path, query, None).await
    }

    /// Adds something: once. After [`ApiError::Unknown`] it may be there.
    pub(super) async fn add(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        self.exchange(Method::POST, path, &[], Some(body)).await
    }

    pub(super) async fn set(&self, path: &str, body: &Value) -> Result<(), ApiError> {
        self.repeated(Method::PATCH, path, &[], Some(body)).await.map(drop)
    }

    /// Deletes what may be there.
    pub(super) async fn delete(&self, path: &str) -> Result<(), ApiError> {
        match self.repeated(Method::DELETE, path, &[], None).await {
            Ok(_) | Err(ApiError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What may be sent again without harm.
    async fn repeated(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let mut answer = self.exchange(method.clone(), path, query, body).await;
        for _ in 1..TRIES {
            if !matches!(answer, Err(ApiError::Unknown(_))) {
                break;
            }
            answer = self.exchange(method.clone(), path, query, body).await;
        }
        answer
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = reqwest::Request::new(method, url);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(body) = body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.to_string().into());
        }
        let mut response = self.http.execute(request).await.map_err(|error| before_answer(&error))?;
        let status = response.status().as_u16();
        let retry_after_seconds = retry_after(response.headers());
        let mut bytes = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| ApiError::Unknown(lost(&error)))? {
            if bytes.len() + chunk.len() > ANSWER_MAX {
                return Err(ApiError::Unknown("the answer is too large".to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        judge(status, retry_after_seconds, &bytes)
    }
}

fn judge(status: u16, retry_after_seconds: Option<u64>, body: &[u8]) -> Result<Value, ApiError> {
    let detail = || -> String { String::from_utf8_lossy(body).chars().take(DETAIL_MAX).collect() };
    match status {
        204 => Ok(Value::Null),
        200..=299 => serde_json::from_slice(body).map_err(|_| ApiError::Unknown("the answer is not JSON".to_owned())),
        401 | 403 => Err(ApiError::Denied(detail())),
        404 => Err(ApiError::NotFound),
        // NetBox says in JSON why; whatever else stands in between may have answered in its place.
        400 | 409 if serde_json::from_slice::<Value>(body).is_err() => {
            Err(ApiError::Unknown(format!("answered {status} with what is no JSON")))
        }
        409 => Err(ApiError::Full),
        429 => Err(ApiError::Busy { retry_after_seconds }),
        500..=599 => Err(ApiError::Unknown(format!("answered {status}"))),
        _ => Err(ApiError::Refused(status, detail())),
    }
}

/// Only what fails while the connection is made, or before that, is certain not to have been sent.
fn before_answer(error: &reqwest::Error) -> ApiError {
    if error.is_connect() || error.is_builder() {
        ApiError::NotSent(innermost(error))
    } else {
        ApiError::Unknown(lost(error))
    }
}

fn lost(error: &reqwest::Error) -> String {
    if error.is_timeout() { "no answer came in time".to_owned() } else { "the connection was lost".to_owned() }
}

/// The innermost cause: unlike the outer ones it holds no URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if cause.is::<reqwest::Error>() { "the request can't be made".to_owned() } else { cause.to_string() }
}

fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// A URL that is nothing but scheme, host, port and path; without a slash at its end.
fn base(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_is_not_in_json_is_not_netboxs_and_says_nothing() {
        for status in [400, 409] {
            assert!(matches!(judge(status, None, b"<html>"), Err(ApiError::Unknown(_))), "{status}");
        }
        assert!(matches!(judge(400, None, br#"{"prefix": ["no"]}"#), Err(ApiError::Refused(400, _))));
        assert!(matches!(judge(409, None, br#"{"detail": "no"}"#), Err(ApiError::Full)));
    }
}
