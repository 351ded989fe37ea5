//! One call to the server: bounded in time and size, with what its statuses mean.
//!
//! Invariant: the token goes into one header and nowhere else; an error holds the server's sentence, which is for the log, and
//! never what was sent.

use std::path::PathBuf;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_MAX: usize = 4 * 1024 * 1024;
/// How much of the server's sentence is kept.
const SENTENCE_MAX: usize = 300;

/// Where the broker's token comes from.
#[derive(Clone)]
pub enum TokenSource {
    /// It is this one.
    Fixed(String),
    /// It stands in a file, which is read for each call: an agent may renew it there.
    File(PathBuf),
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(_) => f.write_str("Fixed(…)"),
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
        }
    }
}

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The address is none.
    #[error("the address must be an http or https URL without credentials")]
    Address,
    /// The certificates can't be read.
    #[error("the certificates can't be read")]
    Certificates(#[source] reqwest::Error),
    /// There is no client.
    #[error("there is no HTTP client")]
    Client(#[source] reqwest::Error),
}

/// What came of a call, where it is not an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("the server can't be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the server is sealed or locked")]
    Sealed,
    #[error("{0}")]
    Busy(&'static str),
    #[error("the server denied it: the broker's token may not do this, or is no longer good")]
    Denied,
    #[error("the server refused with {status}: {sentence}")]
    Refused { status: u16, sentence: String },
    #[error("the server's answer can't be read")]
    Unreadable,
    #[error("the broker's token can't be read")]
    Token,
}

/// A server.
pub(super) struct Server {
    http: reqwest::Client,
    base: Url,
    token: TokenSource,
    parent: Option<String>,
}

struct Call<'a> {
    method: Method,
    namespace: Option<&'a str>,
    path: &'a str,
    body: Option<&'a Value>,
    wrap_ttl: Option<i64>,
}

impl Server {
    pub(super) fn new(
        address: &str,
        token: TokenSource,
        parent: Option<&str>,
        ca_pem: Option<&str>,
    ) -> Result<Self, BuildError> {
        let base = Url::parse(address).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
        });
        let base = base.ok_or(BuildError::Address)?;
        // Another part of the process may have installed the same provider already.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy();
        if let Some(pem) = ca_pem {
            let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(BuildError::Certificates)?;
            http = http.tls_certs_merge(roots);
        }
        let http = http.build().map_err(BuildError::Client)?;
        let parent = parent.map(|name| name.trim_matches('/').to_owned()).filter(|name| !name.is_empty());
        Ok(Self { http, base, token, parent })
    }

    /// The namespace that everything lies in.
    pub(super) fn parent(&self) -> Option<&str> {
        self.parent.as_deref()
    }

    /// What is there; `None` where nothing is.
    pub(super) async fn get(&self, namespace: Option<&str>, path: &str) -> Result<Option<Value>, CallError> {
        self.call(Call { method: Method::GET, namespace, path, body: None, wrap_ttl: None }).await
    }

    /// Does something.
    pub(super) async fn post(&self, namespace: Option<&str>, path: &str, body: &Value) -> Result<Value, CallError> {
        self.posted(Call { method: Method::POST, namespace, path, body: Some(body), wrap_ttl: None }).await
    }

    /// Does something and has the answer wrapped.
    pub(super) async fn post_wrapped(
        &self,
        namespace: Option<&str>,
        path: &str,
        body: &Value,
        wrap_ttl: i64,
    ) -> Result<Value, CallError> {
        self.posted(Call { method: Method::POST, namespace, path, body: Some(body), wrap_ttl: Some(wrap_ttl) }).await
    }

    async fn posted(&self, call: Call<'_>) -> Result<Value, CallError> {
        let nothing = || CallError::Refused { status: 404, sentence: "there is nothing".to_owned() };
        self.call(call).await?.ok_or_else(nothing)
    }

    /// Does something, unless what it is about is not there any more.
    pub(super) async fn post_if_there(&self, namespace: Option<&str>, path: &str) -> Result<(), CallError> {
        let empty = Value::Object(osb::Object::new());
        self.call(Call { method: Method::POST, namespace, path, body: Some(&empty), wrap_ttl: None }).await.map(|_| ())
    }

    /// Takes something away; what is not there is no error.
    pub(super) async fn delete(&self, namespace: Option<&str>, path: &str) -> Result<(), CallError> {
        self.call(Call { method: Method::DELETE, namespace, path, body: None, wrap_ttl: None }).await.map(|_| ())
    }

    /// The names at a path; none where nothing is.
    pub(super) async fn list(&self, namespace: Option<&str>, path: &str) -> Result<Vec<String>, CallError> {
        let method = Method::from_bytes(b"LIST").map_err(|_| CallError::Unreadable)?;
        let listed = self.call(Call { method, namespace, path, body: None, wrap_ttl: None }).await?.unwrap_or_default();
        let keys = listed["data"]["keys"].as_array();
        Ok(keys.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    async fn call(&self, call: Call<'_>) -> Result<Option<Value>, CallError> {
        let mut url = self.base.clone();
        {
            let mut segments = url.path_segments_mut().map_err(|()| CallError::Unreadable)?;
            segments.pop_if_empty().push("v1").extend(call.path.split('/'));
        }
        let mut request = self.http.request(call.method, url).header("X-Vault-Token", self.token().await?);
        request = request.header("X-Vault-Request", "true");
        if let Some(namespace) = call.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(seconds) = call.wrap_ttl {
            request = request.header("X-Vault-Wrap-TTL", format!("{seconds}s"));
        }
        if let Some(body) = call.body {
            request = request.json_bytes(body);
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > ANSWER_MAX {
                return Err(CallError::Unreadable);
            }
            bytes.extend_from_slice(&chunk);
        }
        judge(status, &bytes)
    }

    async fn token(&self) -> Result<HeaderValue, CallError> {
        let text = match &self.token {
            TokenSource::Fixed(token) => token.clone(),
            TokenSource::File(file) => tokio::fs::read_to_string(file).await.map_err(|_| CallError::Token)?,
        };
        let mut value = HeaderValue::from_str(text.trim()).map_err(|_| CallError::Token)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// A JSON body, without the feature of the HTTP library that would do it.
trait JsonBytes {
    fn json_bytes(self, body: &Value) -> Self;
}

impl JsonBytes for reqwest::RequestBuilder {
    fn json_bytes(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }
}

fn unreachable(error: reqwest::Error) -> CallError {
    CallError::Unreachable(error.without_url())
}

fn judge(status: StatusCode, bytes: &[u8]) -> Result<Option<Value>, CallError> {
    match status.as_u16() {
        204 => Ok(Some(Value::Null)),
        200..=299 if bytes.is_empty() => Ok(Some(Value::Null)),
        200..=299 => serde_json::from_slice(bytes).map(Some).map_err(|_| CallError::Unreadable),
        404 => Ok(None),
        403 => Err(CallError::Denied),
        429 => Err(CallError::Busy("the server limits the rate")),
        472 | 473 | 502..=504 => Err(CallError::Sealed),
        status => Err(CallError::Refused { status, sentence: sentence(bytes) }),
    }
}

fn sentence(bytes: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let errors = answer["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    errors.collect::<Vec<_>>().join("; ").chars().filter(|c| !c.is_control()).take(SENTENCE_MAX).collect()
}
