//! How the suite sends: one exchange at a time, each with a time limit and a size limit, no redirects, no repeats.
//!
//! A request that breaks the protocol on purpose passes through here as it is; what can't be said over HTTP at all is not
//! attempted. Invariant: credentials go to the broker that was named and nowhere else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::Error;
use super::exchange::{Answer, Exchange};
use super::request::{Request, Who};
use super::target::{Sign, Signed, Target};
use crate::WireRequest;
use crate::client::credentials::Authorizer;
use crate::client::transport::{Transport, TransportOptions};
use crate::client::{BuildError, Credentials};

/// How large an answer may be; a catalog may be larger than any other.
const ANSWER_BYTES: usize = 32 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The way to the broker.
pub(super) struct Http {
    transport: Transport,
    base: String,
    credentials: Credentials,
    authorizer: Authorizer,
    signer: Option<Arc<dyn Sign>>,
}

impl Http {
    pub(super) fn new(target: &Target, timeout: Duration) -> Result<Self, Error> {
        let url = Url::parse(&target.url).map_err(|_| Error::Url)?;
        let plain = matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none();
        if !plain || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(Error::Url);
        }
        let authorizer = Authorizer::new(&target.credentials).map_err(refused)?;
        let options = TransportOptions {
            timeout,
            connect_timeout: CONNECT_TIMEOUT.min(timeout),
            tls: target.tls.clone(),
            egress: target.egress.clone(),
            proxy: target.proxy.clone(),
        };
        let transport = Transport::new(options).map_err(refused)?;
        if !transport.permits(&url) || authorizer.token_url().is_some_and(|url| !transport.permits(url)) {
            return Err(Error::Egress);
        }
        Ok(Self {
            transport,
            base: url.as_str().trim_end_matches('/').to_owned(),
            credentials: target.credentials.clone(),
            authorizer,
            signer: target.signer.clone(),
        })
    }

    /// The user name and the password that were given.
    pub(super) fn credentials(&self) -> Option<(&str, &str)> {
        match &self.credentials {
            Credentials::Basic { username, password } => Some((username.as_str(), password.as_str())),
            Credentials::None | Credentials::Bearer { .. } | Credentials::OAuth2 { .. } => None,
        }
    }

    /// Sends once.
    pub(super) async fn exchange(&self, request: &Request) -> Exchange {
        let authorization = match &request.who {
            Who::Known => self.authorizer.authorization(&self.transport).await.map_err(|failure| failure.to_string()),
            Who::Other(authorization) => Ok(authorization.as_deref().and_then(sensitive)),
        };
        let signed = self.signed(request).await;
        let (authorization, extra) = match (authorization, signed) {
            (Ok(authorization), Ok(extra)) => (authorization, extra),
            (Err(reason), _) | (_, Err(reason)) => {
                let mut exchange = Exchange::of(request, "nobody");
                exchange.no_answer = Some(reason);
                exchange.not_sent = true;
                return exchange;
            }
        };
        let sent_by = match (&request.who, &authorization) {
            (_, None) => "no credentials",
            (Who::Known, _) => "the credentials given",
            (Who::Other(_), _) => "other credentials",
        };
        let mut exchange = Exchange::of(request, sent_by);
        let began = Instant::now();
        let answer = match self.build(request, authorization, extra) {
            Some(request) => self.answer(request).await,
            None => Err(("the request can't be made".to_owned(), true)),
        };
        exchange.milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match answer {
            Ok(answer) => exchange.answered(answer),
            Err((reason, not_sent)) => {
                exchange.no_answer = Some(reason);
                exchange.not_sent = not_sent;
                exchange
            }
        }
    }

    /// The header that the broker wants besides OSB's, made over what is sent.
    async fn signed(&self, request: &Request) -> Signed {
        let Some(signer) = &self.signer else { return Ok(None) };
        let wire = WireRequest {
            method: request.method.to_owned(),
            path_and_query: request.target(),
            body: request.body.clone().unwrap_or_default().into(),
        };
        signer.sign(&wire, &request.instance, &request.binding).await
    }

    fn build(
        &self,
        request: &Request,
        authorization: Option<HeaderValue>,
        extra: Option<(String, String)>,
    ) -> Option<reqwest::Request> {
        let url = Url::parse(&format!("{}{}", self.base, request.target())).ok()?;
        let mut built = reqwest::Request::new(Method::from_bytes(request.method.as_bytes()).ok()?, url);
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            built.headers_mut().append(name, HeaderValue::from_str(value).ok()?);
        }
        if let Some(value) = authorization {
            built.headers_mut().insert(AUTHORIZATION, value);
        }
        if let Some((name, value)) = extra {
            built
                .headers_mut()
                .insert(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(&value).ok()?);
        }
        *built.body_mut() = request.body.clone().map(reqwest::Body::from);
        Some(built)
    }

    /// The answer, or why there is none and whether the request can't have left.
    async fn answer(&self, request: reqwest::Request) -> Result<Answer, (String, bool)> {
        let failed = |error: &reqwest::Error| {
            let reason = if error.is_timeout() { "it took too long".to_owned() } else { innermost(error) };
            (reason, error.is_connect() || error.is_builder())
        };
        let mut response = self.transport.http().execute(request).await.map_err(|error| failed(&error))?;
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = response.headers().iter().map(header).collect();
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| (failed(&error).0, false))? {
            if body.len() + chunk.len() > ANSWER_BYTES {
                return Err((format!("the answer is larger than {ANSWER_BYTES} bytes"), false));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body })
    }
}

/// Why the way can't be made.
fn refused(error: BuildError) -> Error {
    match error {
        BuildError::Url | BuildError::Proxy => Error::Url,
        BuildError::Egress => Error::Egress,
        BuildError::Ca => Error::Certificates,
        BuildError::ClientCertificate | BuildError::Credentials => Error::Credentials(error.to_string()),
        BuildError::Http(reason) => Error::Http(reason),
    }
}

fn sensitive(authorization: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(authorization).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The value of `Authorization` for a user name and a password.
pub(super) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// The innermost cause: unlike the outer ones it holds no URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if cause.is::<reqwest::Error>() { "the exchange broke".to_owned() } else { cause.to_string() }
}
