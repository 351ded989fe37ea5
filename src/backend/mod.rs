//! Service brokers as the hub calls them: by id, each with its credentials, its timeout, a breaker and two bulkheads, behind
//! the egress policy.
//!
//! It knows no tenants, keeps nothing, repeats nothing and judges no answer: bytes go out, an answer or a
//! [`Failure`] comes back. Invariant: what this module refuses by itself is [`Failure::NotSent`].

pub mod breaker;
pub mod bulkhead;
pub mod http;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use osb::client::{BuildError, Credentials, Failure, TlsOptions, UnknownReason};
use osb::conformance::Target;
use osb::{Call, Client, WireRequest, WireResponse};
use tokio::time::Instant;

pub use breaker::{Breaker, BreakerState};
use breaker::{Leave, Outcome};
use bulkhead::{Bulkhead, Place};
pub use http::Outgoing;

use crate::clock::Clock;
use crate::config;
use crate::domain::broker::{self, Access, Settings};
use crate::domain::stamp::StampSettings;

/// Calls at once of those who ask or clean up, whatever orders there are.
const ASKING_PLACES: usize = 16;

/// Why a call is made.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// For a platform that waits: spares a broker that is down, and queues for a busy one until the deadline.
    Order {
        /// When the order has to be answered.
        deadline: Instant,
    },
    /// Polling and fetching: past the breaker.
    Ask,
    /// Undoing: past the breaker.
    CleanUp,
}

/// All brokers that are called. One set replaces another as a whole: nobody sees a half-built one.
#[derive(Debug, Default)]
pub struct Backends {
    current: RwLock<Arc<HashMap<String, Arc<Backend>>>>,
}

impl Backends {
    /// The broker with that id.
    pub fn get(&self, broker_id: &str) -> Option<Arc<Backend>> {
        self.all().get(broker_id).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Arc<HashMap<String, Arc<Backend>>> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another set in place.
    pub fn replace(&self, backends: HashMap<String, Arc<Backend>>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(backends);
    }
}

/// What a backend is made from.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The broker.
    pub id: String,
    /// The broker.
    pub name: String,
    /// What stands before `/v2`.
    pub url: String,
    /// How it is treated.
    pub settings: Settings,
    /// How it is got into.
    pub access: Access,
    /// Changes when one of the above does: a backend that stays the same keeps its breaker and its connections.
    pub fingerprint: String,
}

/// One service broker.
#[derive(Debug)]
pub struct Backend {
    blueprint: Blueprint,
    outgoing: Outgoing,
    timeout: Duration,
    path_prefix: String,
    /// Made for the first call: reading root certificates takes long enough to delay the start of a hub with many brokers.
    client: OnceLock<Result<Client, BuildError>>,
    breaker: Breaker,
    orders: Bulkhead,
    asking: Bulkhead,
}

impl Backend {
    /// Makes one ready. Nothing is sent yet.
    pub fn new(blueprint: Blueprint, defaults: &config::Backends, outgoing: &Outgoing, clock: Clock) -> Self {
        let settings = &blueprint.settings;
        let places = settings.concurrency.map_or(defaults.concurrency, |places| usize::try_from(places).unwrap_or(1));
        Self {
            timeout: settings.timeout_ms.map_or(defaults.timeout, Duration::from_millis),
            path_prefix: http::web_url(&blueprint.url)
                .map(|url| url.path().trim_end_matches('/').to_owned())
                .unwrap_or_default(),
            client: OnceLock::new(),
            breaker: Breaker::new(clock, defaults.breaker_failures, defaults.breaker_open),
            orders: Bulkhead::new(places),
            asking: Bulkhead::new(ASKING_PLACES.min(places)),
            outgoing: outgoing.clone(),
            blueprint,
        }
    }

    /// Whether it can be called at all.
    ///
    /// # Errors
    /// Where the URL, the certificates or the credentials can't be used, or the egress policy refuses the address.
    pub fn usable(&self) -> Result<(), BuildError> {
        self.client().map(drop).map_err(Clone::clone)
    }

    fn client(&self) -> Result<&Client, &BuildError> {
        self.client.get_or_init(|| self.made_client()).as_ref()
    }

    fn made_client(&self) -> Result<Client, BuildError> {
        let Blueprint { url, settings, access, .. } = &self.blueprint;
        let mut client = Client::builder(url)
            .credentials(credentials(&access.credentials))
            .timeout(self.timeout)
            .tls(tls(access.tls.clone(), self.outgoing.ca_pem.as_deref()))
            .egress(Arc::<osb::client::Egress>::clone(&self.outgoing.egress))
            .proxy(self.outgoing.proxy.clone());
        if let Some(version) = &settings.api_version {
            client = client.api_version(version.as_str());
        }
        client.build()
    }

    /// As the conformance suite calls it: with the same credentials and certificates, behind the same egress policy.
    pub fn target(&self) -> Target {
        let Blueprint { url, access, .. } = &self.blueprint;
        Target::new(url)
            .authorized(credentials(&access.credentials))
            .with_tls(tls(access.tls.clone(), self.outgoing.ca_pem.as_deref()))
            .through(Arc::<osb::client::Egress>::clone(&self.outgoing.egress), self.outgoing.proxy.clone())
    }

    /// The broker's id.
    pub fn id(&self) -> &str {
        &self.blueprint.id
    }

    /// The broker's name.
    pub fn name(&self) -> &str {
        &self.blueprint.name
    }

    /// What it was made from, in short.
    pub fn fingerprint(&self) -> &str {
        &self.blueprint.fingerprint
    }

    /// How long one call may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How it is treated.
    pub fn settings(&self) -> &Settings {
        &self.blueprint.settings
    }

    /// What of the stamp it gets.
    pub fn stamp_settings(&self) -> &StampSettings {
        &self.blueprint.settings.stamp
    }

    /// What stands before `/v2` in what is sent: a stamp signs it too.
    pub fn path_prefix(&self) -> &str {
        &self.path_prefix
    }

    /// Whether it is spared just now.
    pub fn breaker_state(&self) -> BreakerState {
        self.breaker.state()
    }

    /// Sends a request once.
    ///
    /// # Errors
    /// [`Failure::NotSent`] also where the breaker is open or no place was free in time, else as [`Client::send`].
    pub async fn send(&self, call: &Call, request: &WireRequest, purpose: Purpose) -> Result<WireResponse, Failure> {
        let (_place, _leave) = self.admit(purpose).await?;
        let client = self.client().map_err(|error| not_sent(&error.to_string()))?;
        let answer = client.send(call, request).await;
        // A call whose future is dropped in the middle counts for nothing.
        self.breaker.record(match &answer {
            Ok(answer) if answer.status < 500 => Outcome::Answered,
            Ok(_) => Outcome::Failed,
            Err(failure) => outcome(failure),
        });
        answer
    }

    /// The catalog, or `None` where it is still the one with that entity tag. Past the breaker: it shows when a broker is
    /// back.
    ///
    /// # Errors
    /// As [`Client::catalog_if_changed`].
    pub async fn catalog(&self, call: &Call, etag: Option<&str>) -> Result<Option<osb::CatalogDocument>, Failure> {
        let (_place, _leave) = self.admit(Purpose::Ask).await?;
        let client = self.client().map_err(|error| not_sent(&error.to_string()))?;
        let answer = client.catalog_if_changed(call, etag).await;
        self.breaker.record(answer.as_ref().map_or_else(outcome, |_| Outcome::Answered));
        answer
    }

    /// The place first: whoever waits in the queue must not hold the breaker's one trial.
    async fn admit(&self, purpose: Purpose) -> Result<(Place, Option<Leave<'_>>), Failure> {
        let (bulkhead, deadline) = match purpose {
            Purpose::Order { deadline } => (&self.orders, deadline),
            Purpose::Ask | Purpose::CleanUp => (&self.asking, Instant::now() + self.timeout),
        };
        let spared = || not_sent("it failed too often just now");
        if matches!(purpose, Purpose::Order { .. }) && self.breaker.state() == BreakerState::Open {
            return Err(spared());
        }
        let place = bulkhead.enter(deadline).await.ok_or_else(|| not_sent("too many calls are under way"))?;
        match purpose {
            Purpose::Ask | Purpose::CleanUp => Ok((place, None)),
            Purpose::Order { .. } => {
                let leave = self.breaker.leave().ok_or_else(spared)?;
                Ok((place, Some(leave)))
            }
        }
    }
}

fn outcome(failure: &Failure) -> Outcome {
    match failure {
        Failure::Rejected(_) | Failure::Protocol { .. } => Outcome::Answered,
        Failure::Unknown { reason: UnknownReason::Garbage | UnknownReason::TooLarge, .. } => Outcome::Answered,
        Failure::Unknown { .. } | Failure::NotSent { .. } => Outcome::Failed,
    }
}

fn not_sent(why: &str) -> Failure {
    Failure::NotSent { reason: why.to_owned() }
}

fn credentials(credentials: &broker::Credentials) -> Credentials {
    match credentials.clone() {
        broker::Credentials::Basic { username, password } => Credentials::Basic { username, password },
        broker::Credentials::Bearer { token } => Credentials::Bearer { token },
        broker::Credentials::OAuth2 { token_url, client_id, client_secret, scope } => {
            Credentials::OAuth2 { token_url, client_id, client_secret, scope }
        }
        broker::Credentials::None {} => Credentials::None,
    }
}

fn tls(own: Option<broker::Tls>, shared_ca: Option<&str>) -> TlsOptions {
    let own = own.unwrap_or_default();
    let ca = [own.ca.as_deref(), shared_ca].into_iter().flatten().collect::<Vec<_>>();
    TlsOptions {
        ca_pem: (!ca.is_empty()).then(|| ca.join("\n")),
        client_cert_pem: own.client_cert,
        client_key_pem: own.client_key,
    }
}
