//! The identity provider: finds its keys (OpenID Connect Discovery), keeps them, and asks again when they may have changed. Through the
//! egress policy, with a timeout and a bound on every answer.
//!
//! Invariant: it is asked at most once in [`ASK_EVERY`], whatever arrives. Where it is away, the keys that are known go on for
//! `oidc.keys_kept`; what can't be judged is 503, never 401, and lets nobody in.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value};

use super::jose::{self, Key};
use crate::app::Error;
use crate::backend::http::{self, Http, Outgoing};
use crate::clock::{Clock, Time};
use crate::config::Oidc;
use crate::domain::token::{Bearer, Expected, Refusal, bearer};

/// How long the provider is left alone after it was asked.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// How long one of its answers may take.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of one of its answers.
const ANSWER_MAX: usize = 512 * 1024;
/// Names of keys that were looked for and are remembered.
const MISSED_MAX: usize = 64;
/// What is said while nothing can be judged.
const AWAY: &str = "the identity provider does not answer, so the token cannot be checked: try again";

/// Where a browser and the hub go for a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) struct Doors {
    /// Where people say who they are.
    pub(in crate::app) authorization: String,
    /// Where a code becomes a token.
    pub(in crate::app) token: String,
}

/// What is known of the provider.
#[derive(Debug, Default)]
pub(in crate::app) struct Provider {
    known: RwLock<Known>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    keys: Arc<Vec<Key>>,
    doors: Option<Arc<Doors>>,
    /// When they were had.
    had_at: Option<Time>,
    /// When they were asked for last, be it in vain.
    asked_at: Option<Time>,
    /// Names of keys that were not among them.
    missed: VecDeque<Option<String>>,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("it could not be asked")]
    Exchange(#[source] http::Error),
    #[error("it answered {0}")]
    Status(u16),
    #[error("{0}")]
    Answer(&'static str),
}

impl Provider {
    /// Whose token that is.
    ///
    /// # Errors
    /// [`Error::BadToken`] with the reason; [`Error::NotYet`] where its key may be too new; [`Error::Unavailable`] where it can't be judged.
    pub(in crate::app) async fn bearer(
        &self,
        settings: &Oidc,
        outgoing: &Outgoing,
        text: &str,
        clock: &Clock,
    ) -> Result<Bearer, Error> {
        let claims = self.claims(settings, outgoing, text, clock).await?;
        bearer(&claims, &expected(settings, &settings.audience), clock.now()).map_err(refused)
    }

    /// Who signed in, by the ID token that the provider gave to the portal (OpenID Connect Core, section 3.1.3.7).
    ///
    /// # Errors
    /// As [`Provider::bearer`].
    pub(in crate::app) async fn signed_in(
        &self,
        settings: &Oidc,
        outgoing: &Outgoing,
        (text, nonce): (&str, &str),
        clock: &Clock,
    ) -> Result<Bearer, Error> {
        let claims = self.claims(settings, outgoing, text, clock).await?;
        // Another browser's token would sign somebody in as somebody else.
        if claims.get("nonce").and_then(Value::as_str) != Some(nonce) {
            return Err(Error::BadToken("the token was made for another sign-in".to_owned()));
        }
        bearer(&claims, &expected(settings, &settings.portal_client_id), clock.now()).map_err(refused)
    }

    /// Where people sign in, and where a code is exchanged for a token.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the provider is away, or does not say.
    pub(in crate::app) async fn doors(
        &self,
        settings: &Oidc,
        outgoing: &Outgoing,
        clock: &Clock,
    ) -> Result<Arc<Doors>, Error> {
        let doors = self.current(settings, outgoing, clock).await?.doors;
        doors.ok_or_else(|| Error::Unavailable("the identity provider does not say where people sign in".to_owned()))
    }

    /// What a token says, once its signature was found to be right.
    async fn claims(
        &self,
        settings: &Oidc,
        outgoing: &Outgoing,
        text: &str,
        clock: &Clock,
    ) -> Result<Map<String, Value>, Error> {
        let token = jose::token(text, &settings.algorithms).map_err(refused)?;
        let known = self.current(settings, outgoing, clock).await?;
        match token.claims(&known.keys) {
            Err(Refusal::Key) => {
                let known = self.looked_for(settings, outgoing, clock, (token.kid.as_ref(), known.asked_at)).await?;
                token.claims(&known.keys).map_err(refused)
            }
            claims => claims.map_err(refused),
        }
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// The keys, asked for again where they are old.
    async fn current(&self, settings: &Oidc, outgoing: &Outgoing, clock: &Clock) -> Result<Known, Error> {
        let known = self.known();
        let fresh = |known: &Known| known.had_at.is_some_and(|at| clock.now().since(at) < settings.keys_refresh);
        if fresh(&known) {
            return Ok(known);
        }
        let usable = |known: &Known| known.had_at.is_some_and(|at| clock.now().since(at) < settings.keys_kept);
        let turn = match self.asking.try_lock() {
            Ok(turn) => turn,
            // Somebody is asking: what is known will do.
            Err(_) if usable(&known) => return Ok(known),
            Err(_) => self.asking.lock().await,
        };
        // Somebody else may have asked meanwhile.
        let known = self.known();
        if !fresh(&known) && may_ask(&known, clock.now()) {
            self.ask(settings, outgoing, clock).await;
        }
        drop(turn);
        let known = self.known();
        if usable(&known) { Ok(known) } else { Err(Error::Unavailable(AWAY.to_owned())) }
    }

    /// The keys, asked for again because one is not among them.
    async fn looked_for(
        &self,
        settings: &Oidc,
        outgoing: &Outgoing,
        clock: &Clock,
        (kid, looked_at): (Option<&String>, Option<Time>),
    ) -> Result<Known, Error> {
        let turn = self.asking.lock().await;
        let known = self.known();
        if known.asked_at != looked_at {
            // Somebody else asked meanwhile: they can't be younger.
            return Ok(known);
        }
        if known.missed.iter().any(|missed| missed.as_ref() == kid) && !may_ask(&known, clock.now()) {
            return Ok(known);
        }
        if !may_ask(&known, clock.now()) {
            // The key may be younger than what is known.
            return Err(Error::NotYet("the token's key is not known yet: try again in a few seconds".to_owned()));
        }
        let asked = self.ask(settings, outgoing, clock).await;
        drop(turn);
        if !asked {
            return Err(Error::Unavailable(AWAY.to_owned()));
        }
        self.keep(|known| {
            known.missed.push_back(kid.cloned());
            if known.missed.len() > MISSED_MAX {
                known.missed.pop_front();
            }
        });
        Ok(self.known())
    }

    /// Asks; whether there was an answer.
    async fn ask(&self, settings: &Oidc, outgoing: &Outgoing, clock: &Clock) -> bool {
        self.keep(|known| known.asked_at = Some(clock.now()));
        match fetch(settings, outgoing).await {
            Ok((keys, doors)) => {
                tracing::info!(oidc.keys = keys.len(), "the identity provider's keys were fetched");
                let (keys, now) = (Arc::new(keys), Some(clock.now()));
                self.keep(|known| {
                    (known.keys, known.had_at, known.asked_at) = (keys, now, now);
                    known.doors = doors.map(Arc::new);
                });
                true
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "the identity provider's keys could not be fetched");
                false
            }
        }
    }
}

fn may_ask(known: &Known, now: Time) -> bool {
    known.asked_at.is_none_or(|at| now.since(at) >= ASK_EVERY)
}

fn refused(refusal: Refusal) -> Error {
    Error::BadToken(refusal.to_string())
}

fn expected<'a>(settings: &'a Oidc, audience: &'a str) -> Expected<'a> {
    Expected {
        issuer: &settings.issuer,
        audience,
        skew: settings.clock_skew,
        user_claim: &settings.user_claim,
        groups_claim: &settings.groups_claim,
    }
}

/// The keys that the provider publishes now, and where people sign in.
async fn fetch(settings: &Oidc, outgoing: &Outgoing) -> Result<(Vec<Key>, Option<Doors>), Failed> {
    let http = outgoing.http(ANSWER_WITHIN).map_err(Failed::Exchange)?;
    let issuer = settings.issuer.trim_end_matches('/');
    let found = document(&http, &format!("{issuer}/.well-known/openid-configuration")).await?;
    // Another issuer's document would be believed in the place of this one's: Discovery, section 4.3.
    if found.get("issuer").and_then(Value::as_str) != Some(settings.issuer.as_str()) {
        return Err(Failed::Answer("its document names another `issuer` than `oidc.issuer`"));
    }
    let url = found.get("jwks_uri").and_then(Value::as_str).ok_or(Failed::Answer("its document has no `jwks_uri`"))?;
    let keys = jose::keys(&document(&http, url).await?).ok_or(Failed::Answer("its `jwks_uri` gives no keys"))?;
    if keys.is_empty() {
        return Err(Failed::Answer("its `jwks_uri` gives no key that can be used"));
    }
    let endpoint = |name: &str| found.get(name).and_then(Value::as_str).filter(|url| is_web(url)).map(str::to_owned);
    let doors = endpoint("authorization_endpoint").zip(endpoint("token_endpoint"));
    Ok((keys, doors.map(|(authorization, token)| Doors { authorization, token })))
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

async fn document(http: &Http, url: &str) -> Result<Value, Failed> {
    let request = http.request(Method::GET, url).map_err(Failed::Exchange)?;
    let request = request.header(reqwest::header::ACCEPT, "application/json");
    let (status, body) = http.exchange(request, ANSWER_MAX).await.map_err(Failed::Exchange)?;
    if status != 200 {
        return Err(Failed::Status(status));
    }
    serde_json::from_slice(&body).map_err(|_| Failed::Answer("its answer is no JSON"))
}
