//! How a client is made: everything that can be wrong is found here, before the first call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use super::credentials::Authorizer;
use super::transport::{Transport, TransportOptions};
use super::{Client, Credentials, EgressPolicy, Inner};

/// Certificates in PEM form.
#[derive(Clone, Default)]
pub struct TlsOptions {
    /// Roots that are trusted besides the system's.
    pub ca_pem: Option<String>,
    /// Our own certificate for mutual TLS, with its chain.
    pub client_cert_pem: Option<String>,
    /// The key of our own certificate.
    pub client_key_pem: Option<String>,
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("ca_pem", &self.ca_pem.is_some())
            .field("client_cert_pem", &self.client_cert_pem.is_some())
            .finish_non_exhaustive()
    }
}

/// Why a client can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The base URL, or that of the token.
    #[error("the URL must begin with http:// or https:// and hold a host, no credentials, no query and no fragment")]
    Url,
    /// The address in the URL is one that the egress policy refuses.
    #[error("the egress policy refuses this address")]
    Egress,
    /// The root certificates.
    #[error("the CA certificates are not PEM")]
    Ca,
    /// The client's own certificate or its key.
    #[error("client certificate and key must both be given, in PEM")]
    ClientCertificate,
    /// The proxy's URL.
    #[error("the proxy's URL is malformed")]
    Proxy,
    /// User name, password or token.
    #[error("the credentials hold what can't be sent in a header")]
    Credentials,
    /// All else that the HTTP library refuses.
    #[error("the HTTP client can't be made: {0}")]
    Http(String),
}

/// A client in the making.
#[must_use]
pub struct ClientBuilder {
    base_url: String,
    credentials: Credentials,
    api_version: Option<String>,
    max_answer_bytes: usize,
    options: TransportOptions,
}

impl ClientBuilder {
    pub(super) fn new(base_url: &str) -> Self {
        let options = TransportOptions {
            timeout: Duration::from_secs(45),
            connect_timeout: Duration::from_secs(5),
            ..TransportOptions::default()
        };
        Self {
            base_url: base_url.to_owned(),
            credentials: Credentials::None,
            api_version: None,
            max_answer_bytes: 4 * 1024 * 1024,
            options,
        }
    }

    /// How this client shows who it is. Without it: not at all.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// How long one exchange may take in all (45 s).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    /// How long connecting may take, TLS included (5 s).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.options.connect_timeout = timeout;
        self
    }

    /// How large an answer may be (4 MiB; a catalog 32 MiB at least).
    pub fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// The API version to send, whatever a call says (VER-05).
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = Some(version.into());
        self
    }

    /// Certificates.
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.options.tls = tls;
        self
    }

    /// Where it may connect to. Without it: everywhere.
    pub fn egress(mut self, policy: Arc<dyn EgressPolicy>) -> Self {
        self.options.egress = Some(policy);
        self
    }

    /// The proxy to go through. Those of the environment are never used.
    pub fn proxy(mut self, url: Option<String>) -> Self {
        self.options.proxy = url;
        self
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    /// Where a part is malformed, or the egress policy refuses an address in a URL.
    pub fn build(self) -> Result<Client, BuildError> {
        let url = plain_url(&self.base_url)?;
        let authorizer = Authorizer::new(&self.credentials)?;
        let transport = Transport::new(self.options)?;
        if !transport.permits(&url) || authorizer.token_url().is_some_and(|url| !transport.permits(url)) {
            return Err(BuildError::Egress);
        }
        let inner = Inner {
            base: url.as_str().trim_end_matches('/').to_owned(),
            path_prefix: url.path().trim_end_matches('/').to_owned(),
            api_version: self.api_version,
            max_answer_bytes: self.max_answer_bytes,
            authorizer,
            transport,
        };
        Ok(Client { inner: Arc::new(inner) })
    }
}

/// A URL that is nothing but scheme, host, port and path.
fn plain_url(text: &str) -> Result<Url, BuildError> {
    web_url(text).filter(|url| url.query().is_none()).ok_or(BuildError::Url)
}

/// A URL with a host and without credentials.
pub(super) fn web_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    })
}
