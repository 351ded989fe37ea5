//! Signing in at the identity provider: authorization code with PKCE (RFC 6749 section 4.1, RFC 7636, RFC 9700). The hub sends a browser
//! there and gets a code back, which it exchanges for an ID token that says who it is.
//!
//! Invariant: state, nonce and verifier follow from a secret that was made for this one sign-in and that only the browser which began it
//! has; a code that somebody else got, or got for another browser or another sign-in, is worth nothing here.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use ring::{digest, hmac};
use serde_json::Value;

use super::provider::Doors;
use crate::app::{App, Error};
use crate::domain::token::Bearer;
use crate::secret::{self, Secret};
use crate::store::sessions::Kind;

/// Bytes of the provider's answer.
const ANSWER_MAX: usize = 128 * 1024;
/// How long it may take.
pub(super) const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);
/// Characters of a code.
const CODE_MAX: usize = 4096;

/// What follows from the secret of a sign-in.
struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
}

impl Attempt {
    fn of(secret: &Secret<String>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        let part = |what: &str| URL_SAFE_NO_PAD.encode(hmac::sign(&key, what.as_bytes()));
        Self { state: part("state"), nonce: part("nonce"), verifier: part("verifier") }
    }

    fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.verifier.as_bytes()))
    }
}

impl App {
    /// Whether people can sign in at the identity provider.
    pub fn can_sign_in(&self) -> bool {
        self.config().oidc.is_on() && !self.config().oidc.portal_client_id.is_empty()
    }

    /// Where to send a browser that wants to sign in, which keeps `secret` for this once.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the provider is away; [`Error::NotFound`] where there is none.
    pub async fn begin_sign_in(&self, secret: &Secret<String>) -> Result<String, Error> {
        let (doors, settings, attempt) = (self.doors().await?, &self.config().oidc, Attempt::of(secret));
        let (redirect, challenge) = (self.redirect(), attempt.challenge());
        let query = serde_urlencoded::to_string([
            ("response_type", "code"),
            ("client_id", &settings.portal_client_id),
            ("redirect_uri", &redirect),
            ("scope", &settings.portal_scope),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let joint = if doors.authorization.contains('?') { '&' } else { '?' };
        Ok(format!("{}{joint}{}", doors.authorization, query.unwrap_or_default()))
    }

    /// Whether a state is that of the sign-in which has this secret.
    pub fn began_sign_in(&self, secret: &Secret<String>, state: &str) -> bool {
        secret::password_matches(state, &secret::hash_password(&Attempt::of(secret).state))
    }

    /// Signs in whom the provider names for this code, and gives the session's secret.
    ///
    /// # Errors
    /// [`Error::BadToken`] where state, code or token are not those of a sign-in that this browser began.
    pub async fn finish_sign_in(
        &self,
        secret: &Secret<String>,
        (state, code): (&str, &str),
    ) -> Result<Secret<String>, Error> {
        let begun = Attempt::of(secret);
        if !self.began_sign_in(secret, state) || code.is_empty() || code.len() > CODE_MAX {
            let message = "the identity provider did not give back what it was asked with: sign in again";
            return Err(Error::BadToken(message.to_owned()));
        }
        let attempt = self.try_login().await?;
        let found = self.named_by(&begun, code).await;
        if matches!(found, Err(Error::BadToken(_) | Error::NotYet(_))) {
            self.note_failed_login(None);
            attempt.failed();
        } else {
            drop(attempt);
        }
        let Bearer { name, groups } = found?;
        self.open_session(Kind::User, name, groups).await
    }

    async fn named_by(&self, attempt: &Attempt, code: &str) -> Result<Bearer, Error> {
        let doors = self.doors().await?;
        let token = self.exchanged(&doors, code, &attempt.verifier).await?;
        let (settings, outgoing) = (&self.config().oidc, self.outgoing());
        self.inner.provider.signed_in(settings, outgoing, (&token, &attempt.nonce), self.clock()).await
    }

    /// The ID token for a code.
    async fn exchanged(&self, doors: &Doors, code: &str, verifier: &str) -> Result<String, Error> {
        let settings = &self.config().oidc;
        let redirect = self.redirect();
        let form = serde_urlencoded::to_string([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect),
            ("client_id", &settings.portal_client_id),
            ("code_verifier", verifier),
        ]);
        let away = || Error::Unavailable("the identity provider does not answer: try again".to_owned());
        let http = self.outgoing().http(ANSWER_WITHIN).map_err(|_| away())?;
        let request = http.request(Method::POST, &doors.token).map_err(|_| away())?;
        let request =
            request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").header(ACCEPT, "application/json");
        let request = match &settings.portal_client_secret {
            // RFC 6749, section 2.3.1: both are encoded as in a form first.
            Some(password) => {
                let part =
                    |text: &str| serde_urlencoded::to_string([("", text)]).unwrap_or_default().replacen('=', "", 1);
                let pair = format!("{}:{}", part(&settings.portal_client_id), part(password.expose()));
                request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)))
            }
            None => request,
        };
        let answer = http.exchange(request.body(form.unwrap_or_default()), ANSWER_MAX).await;
        let (status, body) = answer.map_err(|_| away())?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        match (status, answer.get("id_token").and_then(Value::as_str)) {
            (200, Some(token)) => Ok(token.to_owned()),
            (200, None) => {
                Err(Error::Unavailable("the identity provider gave no ID token: `openid` must be asked for".to_owned()))
            }
            (400..=499, _) => {
                let code = answer.get("error").and_then(Value::as_str).unwrap_or_default();
                tracing::warn!(oidc.status = status, oidc.error = code, "the identity provider refused a code");
                Err(Error::BadToken("the identity provider did not accept this sign-in: sign in again".to_owned()))
            }
            _ => Err(away()),
        }
    }

    async fn doors(&self) -> Result<std::sync::Arc<Doors>, Error> {
        if !self.can_sign_in() {
            return Err(Error::not_found("sign-in", "identity provider"));
        }
        self.inner.provider.doors(&self.config().oidc, self.outgoing(), self.clock()).await
    }

    /// Where the provider sends a browser back to.
    fn redirect(&self) -> String {
        format!("{}/sign-in/callback", self.config().server.public_url.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_of_a_sign_in_makes_three_texts_that_say_nothing_of_each_other() {
        let (one, two) = (Attempt::of(&Secret::new("a".to_owned())), Attempt::of(&Secret::new("b".to_owned())));
        let texts = [&one.state, &one.nonce, &one.verifier, &two.state, &two.nonce, &two.verifier];
        let different: std::collections::BTreeSet<_> = texts.into_iter().collect();
        assert_eq!(different.len(), 6);
        // RFC 7636, section 4.1: 43 to 128 characters.
        assert!(one.verifier.len() == 43 && one.challenge().len() == 43 && one.challenge() != one.verifier);
    }
}
