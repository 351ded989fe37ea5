//! How a client shows who it is. Credentials go with the first request (AUTH-01), never into `Debug`.
//!
//! An OAuth2 token is kept until shortly before it expires; one caller fetches it while the others wait.

use std::fmt;
use std::time::{Duration, Instant};

use base64::Engine as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::build::web_url;
use super::transport::Transport;
use super::{BuildError, Failure};
use crate::wire;

/// Who a client is towards the broker. Masked in `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody.
    #[default]
    None,
    /// HTTP Basic, OSB's default.
    Basic {
        /// The user name; must hold no colon.
        username: String,
        /// The password.
        password: String,
    },
    /// A fixed token.
    Bearer {
        /// The token.
        token: String,
    },
    /// A token fetched by the client-credentials grant of OAuth2.
    OAuth2 {
        /// Where tokens are fetched.
        token_url: String,
        /// The client's id there.
        client_id: String,
        /// The client's secret there.
        client_secret: String,
        /// What the token is to be good for.
        scope: Option<String>,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(masked)",
            Self::Bearer { .. } => "Bearer(masked)",
            Self::OAuth2 { .. } => "OAuth2(masked)",
        })
    }
}

/// A token is fetched anew this long before it expires.
const MARGIN: Duration = Duration::from_secs(30);
/// What a token without `expires_in` is taken to live.
const DEFAULT_LIFE_SECONDS: u64 = 300;
/// A longer life than this is not believed.
const MAX_LIFE_SECONDS: u64 = 24 * 3600;
const MAX_TOKEN_ANSWER_BYTES: usize = 64 * 1024;

/// Credentials made ready to send.
pub(crate) enum Authorizer {
    Nobody,
    Fixed(HeaderValue),
    OAuth2(Box<TokenSource>),
}

pub(crate) struct TokenSource {
    url: Url,
    authorization: HeaderValue,
    body: String,
    token: Mutex<Option<Token>>,
}

struct Token {
    authorization: HeaderValue,
    good_until: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: Option<u64>,
}

impl Authorizer {
    pub(crate) fn new(credentials: &Credentials) -> Result<Self, BuildError> {
        Ok(match credentials {
            Credentials::None => Self::Nobody,
            Credentials::Basic { username, .. } if username.contains(':') => return Err(BuildError::Credentials),
            Credentials::Basic { username, password } => Self::Fixed(basic(username, password)?),
            Credentials::Bearer { token } => Self::Fixed(secret(&format!("Bearer {token}"))?),
            Credentials::OAuth2 { token_url, client_id, client_secret, scope } => {
                let scope = scope.as_deref().map(|scope| format!("&scope={}", wire::encode(scope)));
                Self::OAuth2(Box::new(TokenSource {
                    url: web_url(token_url).ok_or(BuildError::Url)?,
                    // RFC 6749, section 2.3.1: both are form-encoded first.
                    authorization: basic(&wire::encode(client_id), &wire::encode(client_secret))?,
                    body: format!("grant_type=client_credentials{}", scope.unwrap_or_default()),
                    token: Mutex::new(None),
                }))
            }
        })
    }

    pub(crate) fn token_url(&self) -> Option<&Url> {
        match self {
            Self::OAuth2(source) => Some(&source.url),
            Self::Nobody | Self::Fixed(_) => None,
        }
    }

    /// The header to send. Fails only with [`Failure::NotSent`]: the request itself waits for the token.
    pub(crate) async fn authorization(&self, transport: &Transport) -> Result<Option<HeaderValue>, Failure> {
        match self {
            Self::Nobody => Ok(None),
            Self::Fixed(value) => Ok(Some(value.clone())),
            Self::OAuth2(source) => source.token(transport).await.map(Some),
        }
    }

    /// Forgets a token that was refused; true where there was one, so that trying again makes sense.
    pub(crate) async fn forget(&self, refused: Option<&HeaderValue>) -> bool {
        let Self::OAuth2(source) = self else { return false };
        let mut token = source.token.lock().await;
        if token.as_ref().is_some_and(|token| Some(&token.authorization) == refused) {
            *token = None;
        }
        true
    }
}

impl TokenSource {
    async fn token(&self, transport: &Transport) -> Result<HeaderValue, Failure> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.good_until > Instant::now()) {
            return Ok(token.authorization.clone());
        }
        let token = self.fetch(transport).await?;
        let authorization = token.authorization.clone();
        *kept = Some(token);
        Ok(authorization)
    }

    async fn fetch(&self, transport: &Transport) -> Result<Token, Failure> {
        let mut request = reqwest::Request::new(Method::POST, self.url.clone());
        request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        *request.body_mut() = Some(self.body.clone().into());
        let asked_at = Instant::now();
        let response = transport
            .exchange(request, MAX_TOKEN_ANSWER_BYTES)
            .await
            .map_err(|failure| Failure::not_sent(format!("no token could be fetched: {failure}")))?;
        if response.status != 200 {
            return Err(Failure::not_sent(format!("no token could be fetched: status {}", response.status)));
        }
        let answer: TokenAnswer = serde_json::from_slice(&response.body)
            .map_err(|_| Failure::not_sent("no token could be fetched: the answer is malformed"))?;
        let life = Duration::from_secs(answer.expires_in.unwrap_or(DEFAULT_LIFE_SECONDS).min(MAX_LIFE_SECONDS));
        Ok(Token {
            authorization: secret(&format!("Bearer {}", answer.access_token))
                .map_err(|_| Failure::not_sent("the token holds what can't be sent in a header"))?,
            good_until: asked_at + life.saturating_sub(MARGIN.min(life / 2)),
        })
    }
}

fn basic(username: &str, password: &str) -> Result<HeaderValue, BuildError> {
    let both = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    secret(&format!("Basic {both}"))
}

fn secret(text: &str) -> Result<HeaderValue, BuildError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| BuildError::Credentials)?;
    value.set_sensitive(true);
    Ok(value)
}
