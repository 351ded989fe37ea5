//! Vault's API in front of the embedded vaults: `/v1/…`, for the calls that clients use.
//!
//! Mounts are called `kv` and `transit` in every vault; a vault is a namespace (in the header `X-Vault-Namespace`, before the
//! path, or left out: a token belongs to one vault). It deliberately writes no request to a log, not even its path.
//! Invariant: but for health, login and unwrapping, nothing is answered before a token was found good for that vault.

mod caller;
mod input;
mod kv;
mod login;
mod reply;
mod sys;
mod token;
mod transit;

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use ipnet::IpNet;
use osb::Object;
use serde_json::Value;

use self::input::{Input, Verb};
use self::reply::{Answered, Reply};
use super::limits::Limits;
use super::store::Store;
use super::store::access::Session;
use super::{KV, TRANSIT};
use crate::key_vault::policy;

const BODY_MAX: usize = 1024 * 1024;
const BODY_DEADLINE: Duration = Duration::from_secs(30);
/// Of the path and the query as they are sent.
const TARGET_MAX: usize = 8 * 1024;

/// What must be mounted beside `/v2`. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    store: Arc<Store>,
    limits: Arc<Limits>,
    proxies: Arc<[IpNet]>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api")
    }
}

impl Api {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, limits: Arc::default(), proxies: Arc::default() }
    }

    /// Believes proxies of these networks where a request comes from: the last address of `X-Forwarded-For` that is not
    /// one of theirs. From anybody else the header is ignored.
    #[must_use]
    pub fn behind(self, proxies: &[IpNet]) -> Self {
        Self { proxies: proxies.into(), ..self }
    }

    /// Lets each vault hold so many bytes; what would make it larger is answered 507.
    #[must_use]
    pub fn holding(self, bytes: u64) -> Self {
        self.store.hold_at_most(bytes);
        self
    }

    /// Brings the requests that were counted to disk: for an orderly end, after the last answer and before the file is closed.
    pub async fn flush(&self) {
        if let Err(error) = self.store.flush().await {
            tracing::error!(%error, "requests that were counted are lost");
        }
    }

    /// Mounts `/v1` in the app whose `configure` it is given to.
    pub fn configure(&self) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
        let api = self.clone();
        move |config| {
            config.service(web::scope("/v1").default_service(web::to(
                move |request: HttpRequest, payload: web::Payload| {
                    let api = api.clone();
                    async move { api.respond(&request, payload).await }
                },
            )));
        }
    }

    async fn respond(&self, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
        let answer = match read(request, payload, &self.proxies).await {
            Ok(input) => self.answer(request, &input).await,
            Err(refused) => Err(refused),
        };
        answer.unwrap_or_else(|refused| refused).into_response()
    }

    async fn answer(&self, request: &HttpRequest, input: &Input) -> Answered {
        if let Some(reply) = sys::public(&self.store, &input.path).filter(|_| input.verb == Verb::Read) {
            return Ok(reply);
        }
        match (input.path.as_str(), input.verb) {
            ("auth/approle/login", Verb::Write) => return login::log_in(&self.store, &self.limits, input).await,
            ("sys/wrapping/unwrap", Verb::Write) => return sys::unwrap(&self.store, &self.limits, input).await,
            ("sys/wrapping/lookup", Verb::Read | Verb::Write) => {
                return sys::lookup(&self.store, &self.limits, input).await;
            }
            _ => {}
        }
        let token = input.token.as_deref().ok_or_else(Reply::denied)?;
        let session = self.store.session(token).await?.ok_or_else(Reply::denied)?;
        admit(&session, input)?;
        if !self.limits.admit(&session.vault.name, session.vault.settings.rps) {
            return Err(Reply::error(429, "request path: rate limit quota exceeded"));
        }
        self.store.note(&session.vault.name, input.path.starts_with("transit/"));
        if request.headers().contains_key("X-Vault-Wrap-TTL") {
            return Err(Reply::bad("this vault wraps secret ids only: leave X-Vault-Wrap-TTL out"));
        }
        self.dispatch(&session, input).await
    }

    async fn dispatch(&self, session: &Session, input: &Input) -> Answered {
        let store = &*self.store;
        match input.path.split_once('/') {
            Some(("auth", rest)) => token::answer(store, session, input, rest).await,
            Some(("sys", rest)) => sys::answer(session, input, rest),
            _ => {
                let transit = session.vault.has_keys.then_some(TRANSIT);
                let rules = policy::rules(&session.grant, KV, transit);
                let capability = input.verb.capability();
                let allowed = policy::allows(&rules, &input.path, capability)
                    || capability == "list" && policy::allows(&rules, &format!("{}/", input.path), capability);
                if !allowed {
                    return Err(Reply::denied());
                }
                match input.path.split_once('/') {
                    Some((KV, rest)) => kv::answer(store, &session.vault, input, rest).await,
                    Some((TRANSIT, rest)) => {
                        let creates = policy::allows(&rules, &input.path, "create");
                        transit::answer(store, &session.vault, input, rest, creates).await
                    }
                    _ => Err(Reply::denied()),
                }
            }
        }
    }
}

/// Whether a token may be used from there, for that namespace.
fn admit(session: &Session, input: &Input) -> Result<(), Reply> {
    let vault = &session.vault;
    let bound = &vault.settings.bound_cidrs;
    let from_there = bound.is_empty() || bound.iter().any(|net| net.contains(&input.peer));
    let that_one = input.namespace.as_ref().is_none_or(|namespace| *namespace == vault.name);
    if from_there && that_one { Ok(()) } else { Err(Reply::denied()) }
}

async fn read(request: &HttpRequest, payload: web::Payload, proxies: &[IpNet]) -> Result<Input, Reply> {
    let uri = request.uri();
    let (sent, query) = (uri.path(), uri.query().unwrap_or(""));
    if sent.len() + query.len() > TARGET_MAX {
        return Err(Reply::error(414, "this path is too long"));
    }
    let list = input::query(query, "list") == Some("true");
    let verb = Verb::of(request.method().as_str(), list).ok_or_else(|| Reply::error(405, "unsupported operation"))?;
    let path = input::path(sent.strip_prefix("/v1/").unwrap_or(""))?;
    let version = match input::query(query, "version") {
        None | Some("") => None,
        Some(version) => Some(version.parse().map_err(|_| Reply::bad("field `version` must be a whole number"))?),
    };
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let bearer = || header("Authorization").and_then(|value| value.strip_prefix("Bearer "));
    let token = header("X-Vault-Token").or_else(bearer).filter(|token| !token.is_empty()).map(str::to_owned);
    let (before, rest) = input::split_namespace(&path);
    let named = header("X-Vault-Namespace").map(|name| name.trim_matches('/')).filter(|name| !name.is_empty());
    let namespace = match (named, before) {
        (Some(one), Some(other)) if one != other => Some(format!("{one}/{other}")),
        (one, other) => one.or(other).map(str::to_owned),
    };
    let path = rest.to_owned();
    let forwarded: Vec<_> = request.headers().get_all("X-Forwarded-For").collect();
    let forwarded = forwarded.iter().map(|line| line.to_str().unwrap_or_default());
    let peer = caller::caller(request.peer_addr().map(|peer| peer.ip()), forwarded, proxies);
    Ok(Input { verb, path, namespace, version, body: body(payload).await?, token, peer })
}

async fn body(payload: web::Payload) -> Result<Object, Reply> {
    let reading = tokio::time::timeout(BODY_DEADLINE, payload.to_bytes_limited(BODY_MAX)).await;
    let bytes = reading
        .map_err(|_| Reply::error(408, "the body took too long"))?
        .map_err(|_| Reply::error(413, "the body is larger than 1 MiB"))?
        .map_err(|_| Reply::bad("the body ended early"))?;
    if bytes.is_empty() {
        return Ok(Object::new());
    }
    // The error's own text may quote the body.
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Ok(Object::new()),
        Ok(_) | Err(_) => Err(Reply::bad("failed to parse JSON input: an object is needed")),
    }
}
