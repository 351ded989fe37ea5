//! HTTP for everything that goes out besides calls to brokers: webhooks, keys of other hubs. The same egress policy, a
//! timeout on everything, no redirects, no proxy that was not asked for, no answer larger than was said.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use osb::client::{Egress, EgressResolver, permits_literal};
use reqwest::{Method, RequestBuilder, Url};

use crate::config;

/// Why a request could not be made or was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a URL of http or https with a host and without credentials.
    #[error("the URL must begin with http:// or https:// and hold a host and no credentials")]
    Url,
    /// An address that may not be connected to.
    #[error("the egress policy refuses this address: see `egress.allow`")]
    Egress,
    /// A part of the configuration.
    #[error("the HTTP client can't be made")]
    Build(#[source] reqwest::Error),
    /// The extra roots.
    #[error("the file of root certificates holds none in PEM")]
    Ca,
    /// No answer in time, no connection, or one that broke.
    #[error("the request was not answered")]
    Exchange(#[source] reqwest::Error),
    /// More than is read.
    #[error("the answer is too large")]
    TooLarge,
}

/// What all clients share.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// Where to connect.
    pub egress: Arc<Egress>,
    /// More roots, PEM.
    pub ca_pem: Option<String>,
    /// A proxy for all.
    pub proxy: Option<String>,
}

/// An HTTP client with the egress policy. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    egress: Arc<Egress>,
}

impl Outgoing {
    /// What the configuration says.
    ///
    /// # Errors
    /// Where the file of root certificates can't be read.
    pub fn new(config: &config::Egress) -> std::io::Result<Self> {
        let ca_pem = config.ca_file.as_ref().map(std::fs::read_to_string).transpose()?;
        Ok(Self { ca_pem, ..Self::without_roots(config) })
    }

    /// What the configuration says, but for more roots.
    pub fn without_roots(config: &config::Egress) -> Self {
        Self { egress: Arc::new(Egress::new(config.allow.clone())), ca_pem: None, proxy: config.proxy.clone() }
    }

    /// A client whose exchanges take that long at most.
    ///
    /// # Errors
    /// Where the proxy or the roots can't be used.
    pub fn http(&self, timeout: Duration) -> Result<Http, Error> {
        // Another part of the process may have installed the same provider already.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut builder = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy();
        let mut exempt = None;
        if let Some(proxy) = &self.proxy {
            exempt = Url::parse(proxy).ok().and_then(|url| url.host_str().map(str::to_owned));
            builder = builder.proxy(reqwest::Proxy::all(proxy.as_str()).map_err(Error::Build)?);
        }
        if let Some(pem) = &self.ca_pem {
            let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| Error::Ca)?;
            if roots.is_empty() {
                return Err(Error::Ca);
            }
            builder = builder.tls_certs_merge(roots);
        }
        let resolver = EgressResolver { policy: Arc::<Egress>::clone(&self.egress), exempt };
        let client = builder.dns_resolver(resolver).build().map_err(Error::Build)?;
        Ok(Http { client, egress: Arc::clone(&self.egress) })
    }
}

impl Http {
    /// Begins a request.
    ///
    /// # Errors
    /// Where the URL is none, or holds an address that may not be connected to.
    pub fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, Error> {
        let url = web_url(url).ok_or(Error::Url)?;
        if !permits_literal(self.egress.as_ref(), &url) {
            return Err(Error::Egress);
        }
        Ok(self.client.request(method, url))
    }

    /// Sends it and reads the whole answer: its status and at most that many bytes.
    ///
    /// # Errors
    /// Where there is no answer, or a larger one.
    pub async fn exchange(&self, request: RequestBuilder, max_bytes: usize) -> Result<(u16, Bytes), Error> {
        let mut response = request.send().await.map_err(|error| Error::Exchange(error.without_url()))?;
        let status = response.status().as_u16();
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Error::Exchange(error.without_url()))? {
            if body.len() + chunk.len() > max_bytes {
                return Err(Error::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, body.freeze()))
    }
}

/// A URL of the web with a host and without credentials.
pub fn web_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    })
}

/// The address that stands in the URL in place of a name.
pub fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_addresses_are_judged_before_anything_is_sent() {
        let http = Outgoing::default().http(Duration::from_secs(1)).unwrap();
        for url in ["http://127.0.0.1:1/", "http://[::1]/", "http://2130706433/", "http://[::ffff:7f00:1]/"] {
            assert!(matches!(http.request(Method::GET, url), Err(Error::Egress)), "{url}");
        }
        for url in ["ftp://example.com/", "http://u:p@example.com/", "nonsense", "file:///etc/passwd"] {
            assert!(matches!(http.request(Method::GET, url), Err(Error::Url)), "{url}");
        }
        assert!(http.request(Method::GET, "https://example.com/").is_ok());
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_refused_address_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let http = Outgoing::default().http(Duration::from_secs(5)).unwrap();
        let request = http.request(Method::GET, &format!("http://localhost:{port}/")).unwrap();
        assert!(matches!(http.exchange(request, 10).await, Err(Error::Exchange(_))));
        // Nobody knocked.
        let knock = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(knock.is_err());
    }
}
