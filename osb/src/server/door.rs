//! Who may come in. A [`Door`] turns the head of a request into the broker that this caller may see, so that code behind it
//! can't forget to ask.
//!
//! It sees no body: authentication comes before any parsing. Credentials are compared by digest, in constant time.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use async_trait::async_trait;
use base64::Engine as _;
use ring::digest;

use crate::{Error, ServiceBroker, wire};

/// Decides who calls. Authentication yields the broker that this caller may see: without it there is no broker.
#[async_trait]
pub trait Door: Send + Sync + 'static {
    /// The broker for this caller, or [`Error::unauthorized`].
    async fn open(&self, head: &Head<'_>) -> Result<Arc<dyn ServiceBroker>, Error>;
}

/// A request's head: all that a [`Door`] decides by.
pub struct Head<'a> {
    method: &'a str,
    path_and_query: &'a str,
    headers: &'a HeaderMap,
    params: Vec<(String, String)>,
    peer: Option<SocketAddr>,
}

impl<'a> Head<'a> {
    pub(super) fn new(request: &'a HttpRequest) -> Self {
        // The router leaves `%2F`, `%25` and `%2B` as they are and decodes the rest, so one more pass decodes exactly once.
        let params = request
            .match_info()
            .iter()
            .filter_map(|(name, value)| Some((name.to_owned(), wire::decode(value)?)))
            .collect();
        Self {
            method: request.method().as_str(),
            path_and_query: request.uri().path_and_query().map_or("/", |target| target.as_str()),
            headers: request.headers(),
            params,
            peer: request.peer_addr(),
        }
    }

    /// `GET`, `PUT`, …
    pub fn method(&self) -> &str {
        self.method
    }

    /// Path and query as sent, with the mount's prefix.
    pub fn path_and_query(&self) -> &str {
        self.path_and_query
    }

    /// The first header of that name, where it is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// User name and password of HTTP Basic, split at the first colon (AUTH-01).
    pub fn basic(&self) -> Option<(String, String)> {
        let encoded = self.credentials("basic")?;
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (username, password) = text.split_once(':')?;
        Some((username.to_owned(), password.to_owned()))
    }

    /// The token of `Authorization: Bearer`.
    pub fn bearer(&self) -> Option<&str> {
        self.credentials("bearer")
    }

    /// A parameter of the mount, such as `{broker}`, decoded.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The address at the other end of the connection.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    fn credentials(&self, scheme: &str) -> Option<&str> {
        let (given, credentials) = self.header("authorization")?.split_once(' ')?;
        given.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
    }
}

/// One broker behind one user name and password.
pub struct BasicAuth {
    broker: Arc<dyn ServiceBroker>,
    expected: [u8; 64],
}

impl BasicAuth {
    /// A door for that broker. Only digests of the credentials are kept.
    pub fn new(broker: Arc<dyn ServiceBroker>, username: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        Self { broker, expected: digests(username.as_ref(), password.as_ref()) }
    }
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuth").finish_non_exhaustive()
    }
}

#[async_trait]
impl Door for BasicAuth {
    async fn open(&self, head: &Head<'_>) -> Result<Arc<dyn ServiceBroker>, Error> {
        let (username, password) =
            head.basic().ok_or_else(|| Error::unauthorized("this service broker needs HTTP Basic credentials"))?;
        let given = digests(&username, &password);
        let difference = self.expected.iter().zip(given).fold(0, |sum, (a, b)| sum | (a ^ b));
        if difference == 0 {
            Ok(Arc::clone(&self.broker))
        } else {
            Err(Error::unauthorized("the credentials are not valid"))
        }
    }
}

/// The two digests side by side, so that no pair of other words gives the same.
fn digests(username: &str, password: &str) -> [u8; 64] {
    let mut both = [0; 64];
    both[..32].copy_from_slice(digest::digest(&digest::SHA256, username.as_bytes()).as_ref());
    both[32..].copy_from_slice(digest::digest(&digest::SHA256, password.as_bytes()).as_ref());
    both
}

/// One broker for everybody: for tests on loopback, and where something in front has authenticated already.
pub struct Open {
    broker: Arc<dyn ServiceBroker>,
}

impl Open {
    /// A door without a lock.
    pub fn new(broker: Arc<dyn ServiceBroker>) -> Self {
        Self { broker }
    }
}

#[async_trait]
impl Door for Open {
    async fn open(&self, _head: &Head<'_>) -> Result<Arc<dyn ServiceBroker>, Error> {
        Ok(Arc::clone(&self.broker))
    }
}
