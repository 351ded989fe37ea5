//! Asks an organisation's own tenant database whose an identity is that no tenant has (`[tenants.lookup]`). What it answers is written down as
//! a `PUT` would be, so that nobody asks again; what it doesn't know is not asked again for a while.
//!
//! Invariant: one process asks about one identity once at a time, and where no answer comes, nothing is sent and nothing is decided.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Until when nobody asks again; held while somebody asks.
    unknown_until: tokio::sync::Mutex<Time>,
}

impl Lookups {
    /// The place of an identity; `None` where there are too many.
    fn of(&self, key: &str, now: Time) -> Option<Arc<Asking>> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= KNOWN_MAX && !places.contains_key(key) {
            // Those that nobody holds and whose time is over make room.
            places.retain(|_, place| {
                let over = place.unknown_until.try_lock().is_ok_and(|until| *until <= now);
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
        let key = claim.primary();
        let place = format!("{} {}", platform.id, key.canonical());
        let asking =
            self.inner.lookups.of(&place, self.clock().now()).ok_or_else(|| unavailable("too many are asked"))?;
        let mut unknown_until = asking.unknown_until.lock().await;
        // Whoever asked before may have been told.
        if let Some(tenant) = self.mapped_tenant(platform, claim).await? {
            return Ok(Some(tenant));
        }
        if *unknown_until > self.clock().now() {
            return Ok(None);
        }
        let identity = Identity::from_key(platform.name.clone(), key);
        let Some(answer) = self.ask_for_tenant(settings, platform, &identity).await? else {
            *unknown_until = self.clock().now().plus(settings.negative_ttl);
            return Ok(None);
        };
        self.write_answer(platform, identity, answer).await?;
        self.mapped_tenant(platform, claim).await
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

fn unavailable(why: &str) -> Error {
    tracing::warn!(reason = why, "the tenant database could not be asked");
    Error::Unavailable("the tenant of this order cannot be looked up at the moment; try again later".to_owned())
}

fn refused(name: &str, why: &str) -> Error {
    let message = format!("the tenant database answered tenant `{name}`, which cannot be used: {why}");
    Error::Refused { code: "tenant_lookup", message }
}
