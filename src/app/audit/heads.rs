//! Signed heads: what the audit came to at a moment, under a key of their own. The keys that sign stamps are gone an hour after the next
//! one signs; a head must be verifiable for as long as anybody keeps it, so public halves of these stay published for ever.
//!
//! A head is made whenever somebody asks, and one is kept from time to time, so that a chain that was made anew shows even where
//! nobody outside kept one.

use std::time::Duration;

use osb::stamp::{Jwk, Jwks, Signer};
use serde_json::json;

use super::chain::LEASE;
use crate::app::{App, Error};
use crate::clock::Time;
use crate::domain::audit::Head;
use crate::store::audit::AuditRow;
use crate::store::audit_heads::AuditKey;
use crate::store::leases::{self, Holder};
use crate::store::{self, audit, audit_heads};

const LOCK: &str = "audit_keys";
/// Between two heads that are kept.
const KEEP_EVERY: Duration = Duration::from_secs(600);

impl App {
    /// What the audit comes to now, signed.
    ///
    /// # Errors
    /// Where the database fails, or the key can't be opened.
    pub async fn audit_head(&self) -> Result<Head, Error> {
        let signer = self.audit_signer().await?;
        let (position, hash) = self.db().read(|tx| Box::pin(async move { audit::last(tx).await })).await?;
        let at = self.clock().now();
        let signature = signer.sign_bytes(Head::signed(position, &hash, at).as_bytes());
        Ok(Head { position, hash, at, signature, kid: signer.kid().to_owned() })
    }

    /// The keys that heads can be verified with: all that ever signed one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn audit_keys(&self) -> Result<Jwks, Error> {
        let mut rows = self.audit_key_rows().await?;
        if rows.is_empty() {
            // Who asks for the keys before the first head keeps them for later.
            self.audit_signer().await?;
            rows = self.audit_key_rows().await?;
        }
        let keys = rows.iter().map(|row| {
            serde_json::from_str::<Jwk>(&row.public_key)
                .map_err(|error| store::Error::Corrupt { column: "public_key", source: Box::new(error) })
        });
        Ok(Jwks { keys: keys.collect::<Result<_, _>>()? })
    }

    /// Keeps a head where the last one is old and rows were added since; says whether it did. Does nothing where another living
    /// process numbers rows.
    ///
    /// # Errors
    /// As [`App::audit_head`].
    pub async fn keep_audit_head(&self) -> Result<bool, Error> {
        let process = self.process().to_owned();
        let read = self.db().read(|tx| {
            Box::pin(async move {
                let other = leases::holder(tx, LEASE, &process).await? == Holder::Other;
                let (position, _) = audit::last(tx).await?;
                Ok::<_, store::Error>((other, position, audit_heads::last(tx).await?))
            })
        });
        let (other, position, kept) = read.await?;
        let now = self.clock().now();
        let due = kept.as_ref().is_none_or(|kept| position > kept.position && now.since(kept.at) >= KEEP_EVERY);
        if let Some(kept) = kept.filter(|kept| kept.position > position) {
            tracing::error!(position, signed = kept.position, "the audit is shorter than it was when it was signed");
            return Ok(false);
        }
        if other || position == 0 || !due {
            return Ok(false);
        }
        let head = self.audit_head().await?;
        let write = self.db().write(move |tx| {
            let head = head.clone();
            Box::pin(async move { audit_heads::insert(tx, &head).await })
        });
        write.await?;
        Ok(true)
    }

    async fn audit_key_rows(&self) -> Result<Vec<AuditKey>, Error> {
        Ok(self.db().read(|tx| Box::pin(audit_heads::keys(tx))).await?)
    }

    /// The key that signs heads; made where there is none.
    async fn audit_signer(&self) -> Result<Signer, Error> {
        if let Some(row) = self.db().read(|tx| Box::pin(audit_heads::signing(tx))).await? {
            return self.opened(&row);
        }
        let (_, fresh) = self.fresh_audit_key()?;
        self.opened(&self.add_audit_key(fresh, None).await?)
    }

    /// Makes another key sign from now on, with that row of the audit. The private half of the one before is forgotten, its public half stays.
    ///
    /// # Errors
    /// Where the database fails.
    pub(in crate::app) async fn next_audit_key(&self, audited: AuditRow) -> Result<String, Error> {
        let (kid, fresh) = self.fresh_audit_key()?;
        self.add_audit_key(fresh, Some(audited)).await?;
        Ok(kid)
    }

    fn opened(&self, row: &AuditKey) -> Result<Signer, Error> {
        let pkcs8 = self.sealer().open(&place(&row.kid), &row.private_key)?;
        Signer::from_pkcs8(&pkcs8).map_err(|error| Error::Unavailable(error.to_string()))
    }

    fn fresh_audit_key(&self) -> Result<(String, AuditKey), Error> {
        let signer = Signer::generate().map_err(|error| Error::Unavailable(error.to_string()))?;
        let public_key = serde_json::to_string(&signer.jwk())
            .map_err(|error| Error::Unavailable(format!("a key could not be written: {error}")))?;
        let private_key = self.sealer().seal(&place(signer.kid()), signer.to_pkcs8())?;
        let kid = signer.kid().to_owned();
        Ok((kid.clone(), AuditKey { kid, private_key, public_key, created_at: self.clock().now() }))
    }

    /// Adds a key, unless there is one and no other is wanted; the key that signs.
    async fn add_audit_key(&self, fresh: AuditKey, another: Option<AuditRow>) -> Result<AuditKey, Error> {
        let process = self.process().to_owned();
        let added = self.db().write(move |tx| {
            let (process, mut fresh, another) = (process.clone(), fresh.clone(), another.clone());
            Box::pin(async move {
                leases::lock(tx, LOCK, &process).await?;
                let last = audit_heads::signing(tx).await?;
                if let Some(last) = &last {
                    if another.is_none() {
                        return Ok(last.clone());
                    }
                    // The last one signs, also where a clock went back.
                    fresh.created_at = fresh.created_at.max(Time(last.created_at.0.saturating_add(1)));
                }
                audit_heads::insert_key(tx, &fresh).await?;
                audit_heads::retire_others(tx, &fresh.kid).await?;
                if let Some(audited) = another {
                    let signs = |key: &AuditKey| json!({ "signs": key.kid });
                    audit::append(tx, &audited.changed(last.as_ref().map(signs), Some(signs(&fresh)))).await?;
                }
                Ok::<_, store::Error>(fresh)
            })
        });
        Ok(added.await?)
    }
}

/// Where the private half of a key is sealed.
pub(in crate::app) fn place(kid: &str) -> String {
    format!("audit_keys/{kid}/private_key")
}
