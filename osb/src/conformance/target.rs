//! Which broker is judged, who calls it, and how it is got to: credentials, certificates, an egress policy, and what is added to
//! each request where a broker wants more than OSB does, such as a stamp.
//!
//! It sends nothing. Invariant: nothing of it but the URL is in `Debug`.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::WireRequest;
use crate::client::{Credentials, EgressPolicy, TlsOptions};

/// A header to add, by name and value, or why the request can't be sent.
pub type Signed = Result<Option<(String, String)>, String>;

/// Adds a header to each request, made over what is sent.
pub trait Sign: Send + Sync {
    /// The header for that request. Instance and binding are empty where it is about none.
    fn sign<'a>(
        &'a self,
        request: &'a WireRequest,
        instance: &'a str,
        binding: &'a str,
    ) -> Pin<Box<dyn Future<Output = Signed> + Send + 'a>>;
}

/// Which broker is judged, and who calls it.
#[derive(Clone, Default)]
pub struct Target {
    pub(super) url: String,
    pub(super) credentials: Credentials,
    pub(super) tls: TlsOptions,
    pub(super) egress: Option<Arc<dyn EgressPolicy>>,
    pub(super) proxy: Option<String>,
    pub(super) signer: Option<Arc<dyn Sign>>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Target {
    /// The broker whose `/v2/catalog` is below that URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// With HTTP Basic credentials. Without any, none are sent and authentication isn't judged.
    #[must_use]
    pub fn with_credentials(self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.authorized(Credentials::Basic { username: username.into(), password: password.into() })
    }

    /// With credentials of any kind. Authentication is judged with HTTP Basic only, which is what OSB asks for.
    #[must_use]
    pub fn authorized(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// With more root certificates to trust, in PEM.
    #[must_use]
    pub fn with_certificates(mut self, pem: impl Into<String>) -> Self {
        self.tls.ca_pem = Some(pem.into());
        self
    }

    /// With certificates, one's own among them.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsOptions) -> Self {
        self.tls = tls;
        self
    }

    /// Where it may be connected to, and through which proxy. Without it: everywhere, and through none.
    #[must_use]
    pub fn through(mut self, egress: Arc<dyn EgressPolicy>, proxy: Option<String>) -> Self {
        self.egress = Some(egress);
        self.proxy = proxy;
        self
    }

    /// With a header that is added to each request.
    #[must_use]
    pub fn signed_by(mut self, signer: Arc<dyn Sign>) -> Self {
        self.signer = Some(signer);
        self
    }
}
