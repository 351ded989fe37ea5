//! A [`ServiceBroker`](crate::ServiceBroker) somewhere else, over HTTP.
//!
//! Two halves: [`encode`] and [`decode`] are pure (a typed request to bytes, an answer to an outcome), and [`Client::send`]
//! between them carries bytes and judges nothing but the transport. So a caller can keep a request's bytes, send them any
//! number of times, and classify an answer whenever it likes.
//!
//! It never repeats a request by itself (but once, after a 401 to an OAuth2 token), follows no redirect, and uses no proxy
//! that was not asked for. Invariant: [`Failure::NotSent`] means that no byte of the request can have left.

mod addresses;
mod broker;
mod build;
pub(crate) mod credentials;
pub mod decode;
mod egress;
pub mod encode;
mod failure;
pub(crate) mod transport;

use std::fmt;
use std::sync::Arc;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, USER_AGENT,
};
use reqwest::{Method, Url};

pub use addresses::Egress;
pub use build::{BuildError, ClientBuilder, TlsOptions};
pub use credentials::Credentials;
pub use egress::{EgressPolicy, EgressResolver, permits_literal};
pub use failure::{Failure, UnknownReason};

use crate::{Call, CatalogDocument, WireRequest, WireResponse};
use credentials::Authorizer;
use transport::Transport;

const AGENT: &str = concat!("bourse-osb/", env!("CARGO_PKG_VERSION"));
/// A catalog may be larger than any other answer.
const MAX_CATALOG_BYTES: usize = 32 * 1024 * 1024;

/// A service broker at a URL. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    /// Without a slash at the end.
    base: String,
    path_prefix: String,
    api_version: Option<String>,
    max_answer_bytes: usize,
    authorizer: Authorizer,
    transport: Transport,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.inner.base).finish_non_exhaustive()
    }
}

impl Client {
    /// Begins a client for the broker at that base URL: what stands before `/v2`, with or without a slash at the end.
    pub fn builder(base_url: &str) -> ClientBuilder {
        ClientBuilder::new(base_url)
    }

    /// The path of the base URL, which stands before `/v2` in what is sent; empty where there is none. A stamp signs it too.
    pub fn path_prefix(&self) -> &str {
        &self.inner.path_prefix
    }

    /// Sends a request's bytes once and brings back the answer whatever its status.
    ///
    /// # Errors
    /// [`Failure::NotSent`] or [`Failure::Unknown`], nothing else.
    pub async fn send(&self, call: &Call, request: &WireRequest) -> Result<WireResponse, Failure> {
        self.send_if_changed(call, request, None).await
    }

    /// The catalog, or `None` where it is still the one with that entity tag.
    ///
    /// # Errors
    /// As for [`decode::catalog`].
    pub async fn catalog_if_changed(
        &self,
        call: &Call,
        etag: Option<&str>,
    ) -> Result<Option<CatalogDocument>, Failure> {
        let response = self.send_if_changed(call, &encode::catalog(), etag).await?;
        if response.status == 304 && etag.is_some() {
            return Ok(None);
        }
        decode::catalog(&response).map(Some)
    }

    async fn send_if_changed(
        &self,
        call: &Call,
        request: &WireRequest,
        etag: Option<&str>,
    ) -> Result<WireResponse, Failure> {
        let template = self.request(call, request, etag)?;
        let catalog = request.path_and_query.starts_with("/v2/catalog");
        let max_bytes =
            if catalog { MAX_CATALOG_BYTES.max(self.inner.max_answer_bytes) } else { self.inner.max_answer_bytes };
        let authorization = self.inner.authorizer.authorization(&self.inner.transport).await?;
        let response = self.exchange(&template, authorization.as_ref(), max_bytes).await?;
        if response.status != 401 || !self.inner.authorizer.forget(authorization.as_ref()).await {
            return Ok(response);
        }
        // The token may have been revoked; a 401 says that nothing was done, so the same bytes may go out once more.
        let authorization = self.inner.authorizer.authorization(&self.inner.transport).await?;
        self.exchange(&template, authorization.as_ref(), max_bytes).await
    }

    async fn exchange(
        &self,
        template: &Template,
        authorization: Option<&HeaderValue>,
        max_bytes: usize,
    ) -> Result<WireResponse, Failure> {
        let mut request = reqwest::Request::new(template.method.clone(), template.url.clone());
        *request.headers_mut() = template.headers.clone();
        if let Some(value) = authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        if !template.body.is_empty() {
            *request.body_mut() = Some(template.body.clone().into());
        }
        self.inner.transport.exchange(request, max_bytes).await
    }

    /// Refuses what can't be sent exactly as it stands: URL parsing drops segments such as `..`.
    fn request(&self, call: &Call, request: &WireRequest, etag: Option<&str>) -> Result<Template, Failure> {
        let target = format!("{}{}", self.inner.path_prefix, request.path_and_query);
        let url = Url::parse(&format!("{}{}", self.inner.base, request.path_and_query)).ok().filter(|url| {
            let parsed = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
            url.fragment().is_none() && parsed == target
        });
        let url = url.ok_or_else(|| Failure::not_sent("the path can't be sent exactly as it stands"))?;
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| Failure::not_sent("unknown method"))?;
        let headers = self.headers(call, request, etag)?;
        Ok(Template { method, url, headers, body: request.body.clone() })
    }

    fn headers(&self, call: &Call, request: &WireRequest, etag: Option<&str>) -> Result<HeaderMap, Failure> {
        let version = self.inner.api_version.as_deref().or(call.api_version.as_deref()).unwrap_or(crate::API_VERSION);
        let request_identity = call
            .request_identity
            .clone()
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if !request.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        put(&mut headers, HeaderName::from_static("x-broker-api-version"), Some(version))?;
        put(&mut headers, HeaderName::from_static("x-broker-api-request-identity"), Some(&request_identity))?;
        let originating_identity = call.originating_identity.as_ref().map(|identity| identity.0.as_str());
        put(&mut headers, HeaderName::from_static("x-broker-api-originating-identity"), originating_identity)?;
        put(&mut headers, HeaderName::from_static("traceparent"), call.traceparent.as_deref())?;
        put(&mut headers, HeaderName::from_static("x-bourse-stamp"), call.stamp.as_deref())?;
        put(&mut headers, IF_NONE_MATCH, etag)?;
        Ok(headers)
    }
}

struct Template {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: bytes::Bytes,
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) -> Result<(), Failure> {
    let Some(value) = value else { return Ok(()) };
    let value = HeaderValue::from_str(value)
        .map_err(|_| Failure::not_sent(format!("the header {name} holds what can't be sent")))?;
    headers.insert(name, value);
    Ok(())
}
