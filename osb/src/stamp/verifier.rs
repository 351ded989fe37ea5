//! What a broker holds to verify stamps: issuer, audience, and the issuer's keys.

use std::sync::Arc;
use std::time::Duration;

use super::keys::{Fetching, Keys};
use super::{Expected, Stamp, StampError, verify, verify_with};
use crate::client::{EgressPolicy, TlsOptions};
use crate::{Call, clock};

const WELL_KNOWN: &str = "/.well-known/jwks.json";
/// Keys are fetched at most this often, however many stamps name unknown ones.
const INTERVAL: Duration = Duration::from_secs(1);

/// Verifies the stamps of one issuer, for one audience unless it says otherwise. Cheap to clone; clones share the fetched keys.
#[derive(Clone)]
pub struct Verifier {
    issuer: String,
    jwks_url: String,
    audience: Option<String>,
    path_prefix: String,
    fetching: Fetching,
    /// A URL that can't be used is reported at each call, so that nothing is let through.
    keys: Result<Arc<Keys>, StampError>,
}

impl Verifier {
    /// A verifier for the issuer with that URL, whose keys are under `/.well-known/jwks.json`. The URL of the key set itself,
    /// if it ends like that, names the same issuer. `audience` is this broker's name at the hub.
    pub fn from_jwks_url(issuer_or_jwks_url: impl AsRef<str>, audience: impl Into<String>) -> Self {
        let given = issuer_or_jwks_url.as_ref();
        let issuer = given.strip_suffix(WELL_KNOWN).unwrap_or(given).trim_end_matches('/');
        Self::new(issuer, format!("{issuer}{WELL_KNOWN}"), audience)
    }

    /// A verifier for an issuer whose keys are anywhere.
    pub fn new(issuer: impl Into<String>, jwks_url: impl Into<String>, audience: impl Into<String>) -> Self {
        let jwks_url = jwks_url.into();
        let fetching = Fetching { interval: INTERVAL, ..Fetching::default() };
        let keys = Keys::new(&jwks_url, &fetching).map(Arc::new);
        let audience = Some(audience.into());
        Self { issuer: issuer.into(), jwks_url, audience, path_prefix: String::new(), fetching, keys }
    }

    /// Believes stamps for any broker of that issuer. Only where the caller proves by other means, such as a password that
    /// only the issuer has, that the request was meant for here: another broker could send on what it got.
    #[must_use]
    pub fn any_audience(mut self) -> Self {
        self.audience = None;
        self
    }

    /// What a reverse proxy before this broker cuts off from the path: the hub signed it too.
    ///
    /// # Errors
    /// Where it doesn't begin with a slash, or the issuer's URL can't be used.
    pub fn path_prefix(mut self, prefix: &str) -> Result<Self, StampError> {
        if !prefix.is_empty() && !prefix.starts_with('/') {
            return Err(StampError::Target);
        }
        prefix.trim_end_matches('/').clone_into(&mut self.path_prefix);
        self.check()?;
        Ok(self)
    }

    /// Where keys may be fetched from.
    #[must_use]
    pub fn egress(mut self, policy: Arc<dyn EgressPolicy>) -> Self {
        self.fetching.egress = Some(policy);
        self.renewed()
    }

    /// Certificates for where keys are fetched from.
    #[must_use]
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.fetching.tls = tls;
        self.renewed()
    }

    /// A proxy through which keys are fetched.
    #[must_use]
    pub fn proxy(mut self, url: Option<String>) -> Self {
        self.fetching.proxy = url;
        self.renewed()
    }

    /// Fetches keys at most this often (1 s), however many stamps name unknown ones.
    #[must_use]
    pub fn fetch_interval(mut self, interval: Duration) -> Self {
        self.fetching.interval = interval;
        self.renewed()
    }

    fn renewed(mut self) -> Self {
        self.keys = Keys::new(&self.jwks_url, &self.fetching).map(Arc::new);
        self
    }

    /// Whether the verifier can be used at all: its URL is one. Fetches nothing.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn check(&self) -> Result<(), StampError> {
        self.keys.as_ref().map(|_| ()).map_err(StampError::clone)
    }

    /// Verifies the stamp of a call against the request as it came.
    ///
    /// # Errors
    /// The first thing that is wrong with it, or why the keys can't be had.
    pub async fn verify(&self, call: &Call) -> Result<Stamp, StampError> {
        let stamp = call.stamp.as_deref().filter(|stamp| !stamp.is_empty()).ok_or(StampError::Missing)?;
        let request = call.wire.as_deref().ok_or(StampError::NoRequest)?;
        let keys = self.keys.as_ref().map_err(StampError::clone)?;
        let keys = keys.holding(&verify::kid(stamp)?).await?;
        let expected =
            Expected { issuer: &self.issuer, audience: self.audience.as_deref(), path_prefix: &self.path_prefix };
        verify_with(&keys, stamp, request, expected, clock::unix_now())
    }
}
