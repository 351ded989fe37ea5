//! Asks an organisation's own tenant database whose an identity is that no tenant has (`[tenants.lookup]`). What it answers is written down as
//! a `PUT` would be, so that nobody asks again; what it doesn't know is not asked again for a while.
//!
//! Invariant: one process asks about one identity once at a time, all who wait meanwhile hear the same answer, nobody waits longer than twice the
//! timeout, and where no answer comes, nothing is sent and nothing is decided.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::resolve::Claim;
use super::tenants::Precondition;
use super::{App, Error};
use crate::clock::Time;
use crate::config::TenantLookup;
use crate::domain::caller::Caller;
use crate::domain::identity::Identity;
use crate::domain::permission::Sight;
use crate::domain::platform::Platform;
use crate::domain::tenant::Tenant;
use crate::domain::tenant_import::overlay;

/// Identities that are remembered as unknown, and being asked about; more are neither remembered nor asked about.
const KNOWN_MAX: usize = 10_000;
/// Bytes of an answer.
const ANSWER_MAX: usize = 64 * 1024;
/// How often an answer is written again because its tenant was changed at the same moment.
const RACES_MAX: u32 = 3;

/// What this process knows of identities that nobody knew.
#[derive(Debug, Default)]
pub(in crate::app) struct Lookups(Mutex<HashMap<String, Arc<Asking>>>);

/// One identity: one asks, the others wait and hear what came of it.
#[derive(Debug, Default)]
struct Asking {
    /// How many answers there were.
    answers: AtomicU64,
    /// Held while somebody asks.
    heard: tokio::sync::Mutex<Heard>,
}

/// The last answer.
#[derive(Debug, Default)]
struct Heard {
    said: Said,
    /// Until when nobody asks again.
    until: Time,
}

/// What came of a question.
#[derive(Clone, Debug, Default)]
enum Said {
    /// A tenant, which is mapped now.
    Mapped,
    /// Nobody knows it.
    #[default]
    Unknown,
    /// No answer.
    Nothing,
    /// An answer that is no tenant, and why.
    Unusable(String),
}

impl Lookups {
    /// The place of an identity; `None` where there are too many.
    fn of(&self, key: &str, now: Time) -> Option<Arc<Asking>> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= KNOWN_MAX && !places.contains_key(key) {
            // Those that nobody holds and whose time is over make room.
            places.retain(|_, place| {
                let over = place.heard.try_lock().is_ok_and(|heard| heard.until <= now);
                Arc::strong_count(place) > 1 || !over
            });
        }
        if places.len() >= KNOWN_MAX && !places.contains_key(key) {
            return None;
        }
        Some(Arc::clone(places.entry(key.to_owned()).or_default()))
    }
}

impl App {
    /// The tenant of an identity that nobody has, where the organisation's own database knows it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where it does not answer; [`Error::Refused`] where what it answers is no tenant.
    pub(in crate::app) async fn tenant_looked_up(
        &self,
        platform: &Platform,
        claim: &Claim,
    ) -> Result<Option<Tenant>, Error> {
        let Some(settings) = &self.config().tenants.lookup else { return Ok(None) };
        // Waiting for one answer, and for another where that one was no use to it.
        let whole = settings.timeout.saturating_mul(2);
        match tokio::time::timeout(whole, self.asked_or_shared(settings, platform, claim)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(unavailable("no answer in time")),
        }
    }

    async fn asked_or_shared(
        &self,
        settings: &TenantLookup,
        platform: &Platform,
        claim: &Claim,
    ) -> Result<Option<Tenant>, Error> {
        let place = place(platform, claim);
        let asking =
            self.inner.lookups.of(&place, self.clock().now()).ok_or_else(|| unavailable("too many are asked"))?;
        let before = asking.answers.load(Ordering::Acquire);
        let mut heard = asking.heard.lock().await;
        // An answer that came while this one waited is its answer, too.
        let shared = asking.answers.load(Ordering::Acquire) != before || heard.until > self.clock().now();
        if !shared {
            // Another process may have been told, or somebody may have mapped it.
            if let Some(tenant) = self.mapped_tenant(platform, claim).await? {
                return Ok(Some(tenant));
            }
            let said = self.ask_and_write(settings, platform, claim).await?;
            let ttl = match &said {
                Said::Mapped => Duration::ZERO,
                Said::Unknown => settings.negative_ttl,
                Said::Nothing | Said::Unusable(_) => settings.failure_ttl,
            };
            *heard = Heard { said, until: self.clock().now().plus(ttl) };
            asking.answers.fetch_add(1, Ordering::AcqRel);
        }
        let said = heard.said.clone();
        drop(heard);
        match said {
            Said::Mapped => self.mapped_tenant(platform, claim).await,
            // What somebody mapped by hand meanwhile holds at once.
            Said::Unknown if shared => self.mapped_tenant(platform, claim).await,
            Said::Unknown => Ok(None),
            Said::Nothing => Err(away()),
            Said::Unusable(message) => Err(Error::Refused { code: "tenant_lookup", message }),
        }
    }

    /// Whether an order of an identity that nobody has would be looked up now, as far as this process knows.
    pub(in crate::app) fn would_look_up(&self, platform: &Platform, claim: &Claim) -> bool {
        let now = self.clock().now();
        let known = |asking: Arc<Asking>| {
            asking.heard.try_lock().is_ok_and(|heard| heard.until > now && matches!(heard.said, Said::Unknown))
        };
        self.config().tenants.lookup.is_some()
            && !self.inner.lookups.of(&place(platform, claim), now).is_some_and(known)
    }

    /// Asks once, and writes down what is answered.
    ///
    /// # Errors
    /// Where this hub's own database fails: that is no answer.
    async fn ask_and_write(&self, settings: &TenantLookup, platform: &Platform, claim: &Claim) -> Result<Said, Error> {
        let identity = Identity::from_key(platform.name.clone(), claim.primary());
        let written = match self.ask_for_tenant(settings, platform, &identity).await {
            Ok(None) => return Ok(Said::Unknown),
            Ok(Some(answer)) => self.write_answer(platform, identity, answer).await,
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => Ok(Said::Mapped),
            Err(Error::Unavailable(_)) => Ok(Said::Nothing),
            Err(Error::Refused { message, .. }) => Ok(Said::Unusable(message)),
            Err(error) => Err(error),
        }
    }

    /// What the database says; `None` where it knows nothing.
    async fn ask_for_tenant(
        &self,
        settings: &TenantLookup,
        platform: &Platform,
        identity: &Identity,
    ) -> Result<Option<Map<String, Value>>, Error> {
        let http = self.outgoing().http(settings.timeout).map_err(|error| unavailable(&error.to_string()))?;
        let request = http.request(Method::POST, &settings.url).map_err(|error| unavailable(&error.to_string()))?;
        let body = json!({ "platform": platform.name, "identity": identity });
        let mut request = request.header("content-type", "application/json").body(body.to_string());
        if let Some(token) = &settings.token {
            request = request.bearer_auth(token.expose());
        }
        let answer = http.exchange(request, ANSWER_MAX).await;
        let (status, bytes) = answer.map_err(|error| unavailable(&error.to_string()))?;
        match status {
            200 => serde_json::from_slice(&bytes).map(Some).map_err(|_| unavailable("its answer is no JSON object")),
            404 => Ok(None),
            status => Err(unavailable(&format!("it answered with status {status}"))),
        }
    }

    /// Maps the identity to the tenant that was answered, which is made where it is not there.
    async fn write_answer(
        &self,
        platform: &Platform,
        identity: Identity,
        mut answer: Map<String, Value>,
    ) -> Result<(), Error> {
        let name = answer.remove("name").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
        // What else is mapped is not its to say.
        answer.remove("identities");
        let caller = Caller::Platform(platform.id.clone());
        for _ in 0..RACES_MAX {
            let before = match self.tenant_view(&Sight::everything(), &name).await {
                Ok(view) => Some(view),
                Err(Error::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            let known = before.as_ref().map(|view| &view.tenant.document);
            let mut document = overlay(known, &answer).map_err(|message| refused(&name, &message))?;
            document.identities.push(identity.clone());
            let precondition = before.map_or(Precondition::Absent, |view| Precondition::Tag(view.tag()));
            match self.put_tenant(&caller, &name, document, precondition).await {
                Ok(_) => return Ok(()),
                Err(Error::Stale | Error::Conflict { code: "name_taken", .. }) => {}
                // Somebody mapped it meanwhile: whose it is then is looked at again.
                Err(Error::Conflict { code: "identity_taken", .. }) => return Ok(()),
                Err(Error::Conflict { message, .. }) => return Err(refused(&name, &message)),
                Err(Error::Invalid(issues)) => {
                    let said = issues.into_iter().next().map(|issue| format!("{} {}", issue.pointer, issue.message));
                    return Err(refused(&name, said.unwrap_or_default().trim()));
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::busy())
    }
}

/// The place of an identity of a platform.
fn place(platform: &Platform, claim: &Claim) -> String {
    format!("{} {}", platform.id, claim.primary().canonical())
}

fn unavailable(why: &str) -> Error {
    tracing::warn!(reason = why, "the tenant database could not be asked");
    away()
}

fn away() -> Error {
    Error::Unavailable("the tenant of this order cannot be looked up at the moment; try again later".to_owned())
}

fn refused(name: &str, why: &str) -> Error {
    let message = format!("the tenant database answered tenant `{name}`, which cannot be used: {why}");
    Error::Refused { code: "tenant_lookup", message }
}
