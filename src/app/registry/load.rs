//! Brings what this process keeps in memory up to what is stored, and to what time it is: only what changed is read and made
//! anew.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;

use super::{Current, Versions};
use crate::app::{App, Error};
use crate::backend::{Backend, Blueprint};
use crate::domain::broker::Access;
use crate::domain::catalog::{Merged, Part, Prices, Seen, Shown};
use crate::domain::price::{self, PriceBook};
use crate::domain::tariff::Tariffs;
use crate::store::brokers::BrokerRow;
use crate::store::{brokers, offerings, price_books, versions, visibility};

impl App {
    /// Reads catalog, brokers and price books again where they changed since, and shows other prices where time brought them
    /// into force; true where something is new.
    ///
    /// # Errors
    /// Where the database fails. What is in memory stays as it was.
    pub async fn reload_catalog(&self) -> Result<bool, Error> {
        let registry = &self.inner.registry;
        // Nobody stands in line to hear that nothing has changed.
        if self.stored_versions().await? == registry.current().versions && !self.prices_turned() {
            return Ok(false);
        }
        let _one_at_a_time = registry.loading.lock().await;
        let old = registry.current().clone();
        // The counters first: a change in between is then read twice rather than never.
        let versions = self.stored_versions().await?;
        if versions == old.versions && !self.prices_turned() {
            return Ok(false);
        }
        let books = if versions.prices == old.versions.prices {
            old.books
        } else {
            self.db().read(|tx| Box::pin(price_books::all(tx, None))).await?.into()
        };
        let (parts, shown) = if versions.catalog == old.versions.catalog {
            (old.merged.parts().to_vec(), old.merged.shown().clone())
        } else {
            let rows = self.db().read(|tx| Box::pin(brokers::serving(tx))).await?;
            let parts = self.parts(&rows, &old.merged).await?;
            self.backends().replace(self.made_backends(&rows));
            let parameters = Arc::new(self.read_laws().await?.shown());
            (parts, Shown { waits: self.approval_waits().await?, parameters })
        };
        let seen = if versions.catalog == old.versions.catalog && versions.visibility == old.versions.visibility {
            old.merged.audience().clone()
        } else {
            self.read_audience().await?
        };
        let merged = self.merged(parts, shown, seen, Arc::clone(&books)).await?;
        registry.replace(Current { versions, merged, books });
        Ok(true)
    }

    /// Whether time has brought other prices into force than the catalog in memory shows, or an offering to its sunset.
    pub(in crate::app) fn prices_turned(&self) -> bool {
        let until = self.inner.registry.current().merged.until();
        until.is_some_and(|until| until <= self.clock().now())
    }

    /// Shows the prices that are in force by now, and no offering that is past its sunset. It asks nobody: what comes into force is known before.
    ///
    /// # Errors
    /// Where the process ends.
    pub(in crate::app) async fn turn_prices(&self) -> Result<(), Error> {
        if !self.prices_turned() {
            return Ok(());
        }
        let registry = &self.inner.registry;
        let _one_at_a_time = registry.loading.lock().await;
        let old = registry.current().clone();
        if self.prices_turned() {
            let merged = {
                let (parts, shown) = (old.merged.parts().to_vec(), old.merged.shown().clone());
                self.merged(parts, shown, old.merged.audience().clone(), Arc::clone(&old.books)).await?
            };
            registry.replace(Current { merged, ..old });
        }
        Ok(())
    }

    async fn merged(
        &self,
        parts: Vec<Arc<Part>>,
        shown: Shown,
        seen: Seen,
        books: Arc<[PriceBook]>,
    ) -> Result<Arc<Merged>, Error> {
        let (hub, now) = (self.config().server.hub.clone(), self.clock().now());
        let merged = tokio::task::spawn_blocking(move || {
            let tariffs = price::in_force(&books, now).map(|book| Arc::new(Tariffs::new(book)));
            let prices = Prices { tariffs, until: price::next_change(&books, now) };
            let merged = Merged::new(parts, hub).priced(prices).showing(shown).seen(seen, now);
            merged.render_all();
            Arc::new(merged)
        });
        merged.await.map_err(|_| Error::Store(crate::store::Error::Busy))
    }

    async fn stored_versions(&self) -> Result<Versions, Error> {
        let all = [versions::CATALOG, versions::PRICES, versions::VISIBILITY];
        let [catalog, prices, visibility] = self.db().read(|tx| Box::pin(versions::read_all(tx, all))).await?;
        Ok(Versions { catalog, prices, visibility })
    }

    /// Who may see what: the count first, so that a change in between is read twice rather than never.
    async fn read_audience(&self) -> Result<Seen, Error> {
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let count = versions::read(tx, versions::APPROVAL_RULES).await?;
                let rules = Arc::new(visibility::rules(tx).await?);
                let (reach, platforms) = visibility::reach(tx).await?;
                Ok(Seen { count, rules, reach: Arc::new(reach), platforms: platforms.into() })
            })
        });
        read.await
    }

    async fn parts(&self, rows: &[BrokerRow], old: &Merged) -> Result<Vec<Arc<Part>>, Error> {
        let old: HashMap<&str, &Arc<Part>> = old.parts().iter().map(|part| (part.broker_id.as_str(), part)).collect();
        let mut parts = Vec::with_capacity(rows.len());
        for row in rows {
            let deleted = row.deleted_at.is_some();
            if let Some(part) = old.get(row.id.as_str())
                && part.version == row.version
                && part.deleted == deleted
            {
                parts.push(Arc::clone(part));
                continue;
            }
            let id = row.id.clone();
            let offerings = self.db().read(|tx| Box::pin(async move { offerings::of_broker(tx, &id).await })).await?;
            parts.push(Arc::new(Part::new(row.id.clone(), row.name.clone(), row.version, deleted, offerings)));
        }
        Ok(parts)
    }

    /// A broker that can't be made ready is left out: calls to it are not sent, all others go on.
    fn made_backends(&self, rows: &[BrokerRow]) -> HashMap<String, Arc<Backend>> {
        let mut made = HashMap::with_capacity(rows.len());
        for row in rows {
            match self.backend_for(row) {
                Ok(backend) => drop(made.insert(row.id.clone(), backend)),
                Err(error) => {
                    tracing::error!(broker.id = %row.id, broker.name = %row.name, %error, "broker can't be called");
                }
            }
        }
        made
    }

    /// A backend for that row: the one that is called already, where it is the same.
    pub(in crate::app) fn backend_for(&self, row: &BrokerRow) -> Result<Arc<Backend>, Unusable> {
        let fingerprint = fingerprint(row);
        match self.backends().get(&row.id).filter(|backend| backend.fingerprint() == fingerprint) {
            Some(backend) => Ok(backend),
            None => self.made_backend(row, fingerprint).map(Arc::new),
        }
    }

    fn made_backend(&self, row: &BrokerRow, fingerprint: String) -> Result<Backend, Unusable> {
        let opened = self.sealer().open(&secrets_place(&row.id), &row.secrets).map_err(Unusable::Sealed)?;
        let access: Access = serde_json::from_slice(&opened).map_err(|_| Unusable::Garbled)?;
        let blueprint = Blueprint {
            id: row.id.clone(),
            name: row.name.clone(),
            url: row.url.clone(),
            settings: row.settings.clone(),
            access,
            fingerprint,
        };
        Ok(Backend::new(blueprint, &self.config().backends, self.outgoing(), self.clock().clone()))
    }
}

/// Why a stored broker can't be called.
#[derive(Debug, thiserror::Error)]
pub(in crate::app) enum Unusable {
    #[error("{0}")]
    Sealed(crate::secret::Error),
    #[error("its stored credentials can't be read")]
    Garbled,
}

/// Where a broker's sealed credentials belong.
pub(super) fn secrets_place(broker_id: &str) -> String {
    format!("brokers/{broker_id}/secrets")
}

/// Of all that makes a backend what it is. The sealed bytes change with each sealing, which is often enough.
fn fingerprint(row: &BrokerRow) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in [row.url.as_bytes(), &serde_json::to_vec(&row.settings).unwrap_or_default(), &row.secrets] {
        context.update(&part.len().to_le_bytes());
        context.update(part);
    }
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(context.finish().as_ref())
}
