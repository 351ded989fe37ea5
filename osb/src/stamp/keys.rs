//! An issuer's published keys, fetched and kept.
//!
//! Keys are fetched at first use, again when they are old, and again when a stamp names one that is not known yet; never
//! more often than a set interval, whatever stamps come in. One caller fetches while the others wait. If a fetch fails, the
//! keys that are there stay good for a day.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, Url};

use super::{Jwks, StampError};
use crate::client::transport::{Transport, TransportOptions};
use crate::client::{BuildError, EgressPolicy, TlsOptions};

const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// Keys older than this are fetched again at the next stamp.
const FRESH: Duration = Duration::from_secs(300);
/// How often old but known keys are tried to be fetched again.
const RELAXED: Duration = Duration::from_secs(30);
/// Keys older than this are not used any more if they can't be fetched again.
const USABLE: Duration = Duration::from_secs(24 * 3600);

/// How keys are fetched.
#[derive(Clone, Default)]
pub(super) struct Fetching {
    pub(super) interval: Duration,
    pub(super) tls: TlsOptions,
    pub(super) egress: Option<Arc<dyn EgressPolicy>>,
    pub(super) proxy: Option<String>,
}

pub(super) struct Keys {
    url: Url,
    transport: Transport,
    interval: Duration,
    kept: Mutex<Kept>,
    /// Held while fetching, so that one caller does it for all.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Kept {
    keys: Arc<Jwks>,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
}

impl Keys {
    pub(super) fn new(url: &str, fetching: &Fetching) -> Result<Self, StampError> {
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| StampError::Keys(BuildError::Url.to_string()))?;
        let options = TransportOptions {
            timeout: TIMEOUT,
            connect_timeout: TIMEOUT,
            tls: fetching.tls.clone(),
            egress: fetching.egress.clone(),
            proxy: fetching.proxy.clone(),
        };
        let transport = Transport::new(options).map_err(|error| StampError::Keys(error.to_string()))?;
        Ok(Self {
            url,
            transport,
            interval: fetching.interval,
            kept: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// The keys, among which the one with that id is if the issuer has published it. Whoever has a known key never waits
    /// for somebody else's fetch.
    pub(super) async fn holding(&self, kid: &str) -> Result<Arc<Jwks>, StampError> {
        let seen = self.kept();
        let known = seen.keys.public_key(kid).is_some() && seen.is_younger_than(USABLE);
        if known && seen.is_younger_than(FRESH) {
            return Ok(seen.keys);
        }
        let turn = match self.fetching.try_lock() {
            Ok(turn) => turn,
            Err(_) if known => return Ok(seen.keys),
            Err(_) => self.fetching.lock().await,
        };
        // Another caller may have fetched while this one waited.
        let kept = self.kept();
        let wait = if known { self.interval.max(RELAXED) } else { self.interval };
        if kept.tried_at.is_none_or(|at| at.elapsed() >= wait) {
            self.renew().await?;
        }
        drop(turn);
        let kept = self.kept();
        if kept.is_younger_than(USABLE) {
            Ok(kept.keys)
        } else {
            Err(StampError::Keys("tried a moment ago".to_owned()))
        }
    }

    /// Fetches; a failure counts only where there is nothing usable from before.
    async fn renew(&self) -> Result<(), StampError> {
        self.keep(|kept| kept.tried_at = Some(Instant::now()));
        match self.fetch().await {
            Ok(keys) => self.keep(|kept| {
                kept.keys = Arc::new(keys);
                kept.fetched_at = Some(Instant::now());
            }),
            Err(error) if !self.kept().is_younger_than(USABLE) => return Err(error),
            Err(error) => tracing::warn!(%error, "the issuer's keys could not be fetched again"),
        }
        Ok(())
    }

    fn kept(&self) -> Kept {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, change: impl FnOnce(&mut Kept)) {
        change(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner));
    }

    async fn fetch(&self) -> Result<Jwks, StampError> {
        let request = reqwest::Request::new(Method::GET, self.url.clone());
        let response = self
            .transport
            .exchange(request, MAX_ANSWER_BYTES)
            .await
            .map_err(|failure| StampError::Keys(failure.to_string()))?;
        if response.status != 200 {
            return Err(StampError::Keys(format!("status {}", response.status)));
        }
        serde_json::from_slice(&response.body).map_err(|_| StampError::Keys("the answer is no key set".to_owned()))
    }
}

impl Kept {
    fn is_younger_than(&self, age: Duration) -> bool {
        self.fetched_at.is_some_and(|at| at.elapsed() < age)
    }
}
