//! One call to the server: bounded in time and size, with what its statuses mean.
//!
//! Invariant: the token goes into one header and nowhere else; an error holds the server's sentence, which is for the log, and
//! never what was sent.

use std::path::PathBuf;
use std::time::Duration;

use osb::kit::http::{self, Http};
use reqwest::Url;
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(10);
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
pub enum AddressError {
    /// The address is none.
    #[error("the address must be an http or https URL without credentials")]
    Address,
    /// The certificates can't be read.
    #[error("the certificates can't be read")]
    Certificates(#[source] osb::client::BuildError),
}

/// What came of a call, where it is not an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("the server can't be reached")]
    Unreachable(#[source] http::CallError),
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
    http: Http,
    base: Url,
    token: TokenSource,
    parent: Option<String>,
}

struct Call<'a> {
    method: &'static str,
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
    ) -> Result<Self, AddressError> {
        let base = Url::parse(address).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
        });
        let base = base.ok_or(AddressError::Address)?;
        let http = Http::new(TIMEOUT, ca_pem.map(str::to_owned)).map_err(AddressError::Certificates)?;
        let parent = parent.map(|name| name.trim_matches('/').to_owned()).filter(|name| !name.is_empty());
        Ok(Self { http, base, token, parent })
    }

    /// The namespace that everything lies in.
    pub(super) fn parent(&self) -> Option<&str> {
        self.parent.as_deref()
    }

    /// What is there; `None` where nothing is.
    pub(super) async fn get(&self, namespace: Option<&str>, path: &str) -> Result<Option<Value>, CallError> {
        self.call(Call { method: "GET", namespace, path, body: None, wrap_ttl: None }).await
    }

    /// Does something.
    pub(super) async fn post(&self, namespace: Option<&str>, path: &str, body: &Value) -> Result<Value, CallError> {
        self.posted(Call { method: "POST", namespace, path, body: Some(body), wrap_ttl: None }).await
    }

    /// Does something and has the answer wrapped.
    pub(super) async fn post_wrapped(
        &self,
        namespace: Option<&str>,
        path: &str,
        body: &Value,
        wrap_ttl: i64,
    ) -> Result<Value, CallError> {
        self.posted(Call { method: "POST", namespace, path, body: Some(body), wrap_ttl: Some(wrap_ttl) }).await
    }

    async fn posted(&self, call: Call<'_>) -> Result<Value, CallError> {
        let nothing = || CallError::Refused { status: 404, sentence: "there is nothing".to_owned() };
        self.call(call).await?.ok_or_else(nothing)
    }

    /// Does something, unless what it is about is not there any more.
    pub(super) async fn post_if_there(&self, namespace: Option<&str>, path: &str) -> Result<(), CallError> {
        let empty = Value::Object(osb::Object::new());
        self.call(Call { method: "POST", namespace, path, body: Some(&empty), wrap_ttl: None }).await.map(|_| ())
    }

    /// Takes something away; what is not there is no error.
    pub(super) async fn delete(&self, namespace: Option<&str>, path: &str) -> Result<(), CallError> {
        self.call(Call { method: "DELETE", namespace, path, body: None, wrap_ttl: None }).await.map(|_| ())
    }

    /// The names at a path; none where nothing is.
    pub(super) async fn list(&self, namespace: Option<&str>, path: &str) -> Result<Vec<String>, CallError> {
        let listed =
            self.call(Call { method: "LIST", namespace, path, body: None, wrap_ttl: None }).await?.unwrap_or_default();
        let keys = listed["data"]["keys"].as_array();
        Ok(keys.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    async fn call(&self, call: Call<'_>) -> Result<Option<Value>, CallError> {
        let mut url = self.base.clone();
        {
            let mut segments = url.path_segments_mut().map_err(|()| CallError::Unreadable)?;
            segments.pop_if_empty().push("v1").extend(call.path.split('/'));
        }
        let token = self.token().await?;
        let wrap_ttl = call.wrap_ttl.map(|seconds| format!("{seconds}s"));
        let mut headers = vec![("X-Vault-Token", token.trim()), ("X-Vault-Request", "true")];
        headers.extend(call.namespace.map(|namespace| ("X-Vault-Namespace", namespace)));
        headers.extend(wrap_ttl.as_deref().map(|ttl| ("X-Vault-Wrap-TTL", ttl)));
        let answer = self.http.send(call.method, url.as_str(), &headers, call.body).await;
        let answer = answer.map_err(CallError::Unreachable)?;
        judge(answer.status, &answer.body)
    }

    async fn token(&self) -> Result<String, CallError> {
        match &self.token {
            TokenSource::Fixed(token) => Ok(token.clone()),
            TokenSource::File(file) => tokio::fs::read_to_string(file).await.map_err(|_| CallError::Token),
        }
    }
}

fn judge(status: u16, bytes: &[u8]) -> Result<Option<Value>, CallError> {
    match status {
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
