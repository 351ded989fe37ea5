//! Stamps: signs each call to a broker, and publishes the keys. Fails closed: without a usable key there is an error, and
//! nothing is sent.
//!
//! Keys live in the database, sealed, and are shared by all processes; each keeps them in memory for up to a minute. One
//! signs from its `signs_from` until the next one does. The next is made, and so published, `stamp_key_published_before`
//! ahead; an old one stays published until what it signed has expired.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use osb::WireRequest;
use osb::stamp::{Claims, Jwk, Jwks, LIFE_SECONDS, Signer};

use super::{App, Error};
use crate::clock::Time;
use crate::config;
pub use crate::domain::stamp::{StampFacts, StampPlatform, StampSettings, StampTenant, context_block};
use crate::store::stamp_keys::{self, StampKey};
use crate::store::{self, leases};

/// How long keys in memory are used without asking the database.
const FRESH: Duration = Duration::from_secs(60);
/// How long they are used while the database can't be asked. Shorter than any key is published before it signs.
const STALE_MAX: Duration = Duration::from_secs(300);
/// How long an old key stays published beyond the life of its last stamp: clocks differ.
pub(in crate::app) const MARGIN: Duration = Duration::from_secs(3600);
pub(in crate::app) const LOCK: &str = "stamp_keys";

/// The keys in memory.
#[derive(Debug, Default)]
pub(in crate::app) struct Cache {
    read: RwLock<Option<Arc<Keys>>>,
    /// Held while reading them anew, so that one caller does it for all.
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Keys {
    read_at: Time,
    /// As the database has them.
    kids: Vec<String>,
    jwks: Jwks,
    /// By when they begin to sign. A key that can't be opened is there without its signer.
    signers: Vec<(Time, Option<Signer>)>,
}

impl App {
    /// The stamp for a call to that broker: the value of `X-Bourse-Stamp`. Narrow the facts first
    /// ([`StampFacts::narrowed`]) to what the broker's registration lets through.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where no key can be used or the stamp would be too large: the call must not be sent.
    pub async fn stamp(&self, broker: &str, request: &WireRequest, facts: &StampFacts) -> Result<String, Error> {
        let now = self.clock().now();
        let keys = self.stamp_keys(now).await?;
        let signer = keys.signer(now).ok_or_else(|| {
            tracing::error!("no key that signs stamps can be used: calls to brokers are refused");
            Error::Unavailable("requests cannot be signed at the moment".to_owned())
        })?;
        let claims = self.stamp_claims(broker, request, facts, now);
        signer.sign(&claims).map_err(|error| Error::Unavailable(format!("the request cannot be signed: {error}")))
    }

    /// What the stamp of such a call says.
    pub(in crate::app) fn stamp_claims(
        &self,
        broker: &str,
        request: &WireRequest,
        facts: &StampFacts,
        now: Time,
    ) -> Claims {
        let StampFacts { tenant, platform, inst, bind, svc, plan, via, path_prefix } = facts.clone();
        let tenant = tenant.unwrap_or_default();
        Claims {
            iss: self.config().server.public_url.clone(),
            aud: broker.to_owned(),
            sub: tenant.id.clone(),
            inst,
            bind,
            svc,
            plan,
            tenant,
            platform: platform.unwrap_or_default(),
            via,
            ..Claims::for_request(request, &path_prefix, u64::try_from(now.seconds()).unwrap_or(0))
        }
    }

    /// The keys that stamps can be verified with: those that sign, signed lately, or will sign next.
    ///
    /// # Errors
    /// Where the database fails and what is in memory is too old.
    pub async fn jwks(&self) -> Result<Jwks, Error> {
        Ok(self.stamp_keys(self.clock().now()).await?.jwks.clone())
    }

    async fn stamp_keys(&self, now: Time) -> Result<Arc<Keys>, Error> {
        let cache = &self.inner.stamp_keys;
        let kept = cache.kept();
        if let Some(kept) = kept.as_ref().filter(|kept| now.since(kept.read_at) < FRESH) {
            return Ok(Arc::clone(kept));
        }
        let usable = kept.filter(|kept| now.since(kept.read_at) < STALE_MAX);
        let turn = match (cache.renewing.try_lock(), usable.clone()) {
            (Ok(turn), _) => turn,
            // Somebody is at it: what is there is still good.
            (Err(_), Some(kept)) => return Ok(kept),
            (Err(_), None) => cache.renewing.lock().await,
        };
        if let Some(kept) = cache.kept().filter(|kept| now.since(kept.read_at) < FRESH) {
            return Ok(kept);
        }
        let renewed = match self.read_stamp_keys(now).await {
            Ok(keys) => Arc::new(keys),
            Err(error) => {
                tracing::warn!(%error, "the keys that sign stamps could not be read");
                return usable.ok_or(error);
            }
        };
        *cache.read.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&renewed));
        drop(turn);
        Ok(renewed)
    }

    /// Ids of the keys in memory; none where there are no keys in memory.
    pub(in crate::app) fn known_stamp_keys(&self) -> Option<Vec<String>> {
        self.inner.stamp_keys.kept().map(|keys| keys.kids.clone())
    }

    /// Forgets the keys in memory: who needs one reads them anew.
    pub(in crate::app) fn forget_stamp_keys(&self) {
        *self.inner.stamp_keys.read.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn read_stamp_keys(&self, now: Time) -> Result<Keys, Error> {
        let mut rows = self.db().read(|tx| Box::pin(stamp_keys::all(tx))).await?;
        let security = &self.config().security;
        if next_signs_from(&rows, now, security).is_some() || !retired(&rows, now).is_empty() {
            self.rotate(now).await?;
            rows = self.db().read(|tx| Box::pin(stamp_keys::all(tx))).await?;
        }
        let kids = rows.iter().map(|row| row.kid.clone()).collect();
        let mut keys = Keys { read_at: now, kids, jwks: Jwks::default(), signers: Vec::with_capacity(rows.len()) };
        for row in &rows {
            let jwk: Jwk = serde_json::from_str(&row.public_key)
                .map_err(|error| store::Error::Corrupt { column: "public_key", source: Box::new(error) })?;
            keys.jwks.keys.push(jwk);
            let signer = self
                .sealer()
                .open(&sealed_place(&row.kid), &row.private_key)
                .inspect_err(|error| tracing::error!(%error, "a key that signs stamps cannot be opened"))
                .ok()
                .and_then(|pkcs8| Signer::from_pkcs8(&pkcs8).ok());
            keys.signers.push((row.signs_from, signer));
        }
        Ok(keys)
    }

    /// Adds the next key where it is time, and removes those that nobody needs any more. Whoever comes second finds it done.
    async fn rotate(&self, now: Time) -> Result<(), Error> {
        let signer = Signer::generate().map_err(|error| Error::Unavailable(error.to_string()))?;
        let public_key = serde_json::to_string(&signer.jwk())
            .map_err(|error| Error::Unavailable(format!("a key could not be written: {error}")))?;
        let fresh = StampKey {
            kid: signer.kid().to_owned(),
            private_key: self.sealer().seal(&sealed_place(signer.kid()), signer.to_pkcs8())?,
            public_key,
            created_at: now,
            signs_from: now,
        };
        let (process, security) = (self.process().to_owned(), self.config().security.clone());
        let rotated = self.db().write(move |tx| {
            let (process, security, fresh) = (process.clone(), security.clone(), fresh.clone());
            Box::pin(async move {
                leases::lock(tx, LOCK, &process).await?;
                let rows = stamp_keys::all(tx).await?;
                for kid in retired(&rows, now) {
                    stamp_keys::delete(tx, &kid).await?;
                }
                let Some(signs_from) = next_signs_from(&rows, now, &security) else { return Ok(false) };
                stamp_keys::insert(tx, &StampKey { signs_from, ..fresh }).await?;
                Ok::<_, store::Error>(true)
            })
        });
        if rotated.await? {
            tracing::info!(stamp_key.id = signer.kid(), "made a new key for stamps");
        }
        Ok(())
    }
}

impl Cache {
    fn kept(&self) -> Option<Arc<Keys>> {
        self.read.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Keys {
    /// The key that signs now. Never an older one in its place.
    fn signer(&self, now: Time) -> Option<&Signer> {
        let (_, signer) = self.signers.iter().rfind(|(from, _)| *from <= now)?;
        signer.as_ref()
    }
}

/// Where the private half of a key is sealed.
pub(in crate::app) fn sealed_place(kid: &str) -> String {
    format!("stamp_keys/{kid}/private_key")
}

/// From when on a key would sign that has to be made now; nothing where the last one is not due to be followed yet. The very
/// first one signs at once.
fn next_signs_from(keys: &[StampKey], now: Time, security: &config::Security) -> Option<Time> {
    let Some(last) = keys.last() else {
        // Nothing was published before. A process whose clock is behind must be able to sign at once too.
        return Some(Time(now.0.saturating_sub(i64::try_from(MARGIN.as_micros()).unwrap_or(0))));
    };
    let due = last.signs_from.plus(security.stamp_key_rotation);
    let published = now.plus(security.stamp_key_published_before);
    (due <= published).then_some(due.max(published))
}

/// Keys whose last stamp has expired long ago.
fn retired(keys: &[StampKey], now: Time) -> Vec<String> {
    let pairs = keys.iter().zip(keys.iter().skip(1));
    let over = |next: &StampKey| next.signs_from.plus(Duration::from_secs(LIFE_SECONDS) + MARGIN) <= now;
    pairs.filter(|(_, next)| over(next)).map(|(key, _)| key.kid.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const DAY: u64 = 86_400;

    fn keys(from: &[u64]) -> Vec<StampKey> {
        let key = |from: &u64| StampKey {
            kid: from.to_string(),
            private_key: Vec::new(),
            public_key: String::new(),
            created_at: Time(0),
            signs_from: Time(0).plus(Duration::from_secs(*from)),
        };
        from.iter().map(key).collect()
    }

    fn check(from: &[u64], now: u64, next: Option<u64>, gone: &[&str]) {
        let security = config::Config::load(None, &BTreeMap::new()).unwrap().security;
        let at = |seconds| Time(0).plus(Duration::from_secs(seconds));
        assert_eq!(next_signs_from(&keys(from), at(now), &security), next.map(at), "next of {from:?} at {now}");
        assert_eq!(retired(&keys(from), at(now)), gone, "retired of {from:?} at {now}");
    }

    #[test]
    fn the_first_key_signs_at_once_and_the_next_is_published_an_hour_ahead() {
        let due = 30 * DAY;
        check(&[], 5 + 3600, Some(5), &[]);
        check(&[0], due - 3601, None, &[]);
        check(&[0], due - 3600, Some(due), &[]);
        check(&[0, due], due - 10, None, &[]);
    }

    #[test]
    fn after_a_long_stop_the_next_key_is_published_before_it_signs_all_the_same() {
        check(&[0], 90 * DAY, Some(90 * DAY + 3600), &[]);
    }

    #[test]
    fn an_old_key_stays_until_what_it_signed_has_expired() {
        let due = 30 * DAY;
        check(&[0, due], due + 300 + 3599, None, &[]);
        check(&[0, due], due + 300 + 3600, None, &["0"]);
    }
}
