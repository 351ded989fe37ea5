//! Removes a broker that has no instances any more. What refers to it, old instances and bills, still finds its row.

use serde_json::json;

use super::ATTEMPTS_MAX;
use super::register::document;
use crate::app::{App, Error, proposals, reviews};
use crate::domain::caller::Caller;
use crate::domain::catalog::import;
use crate::store::audit::AuditRow;
use crate::store::credentials::OwnerKind;
use crate::store::{Tx, audit, brokers, credentials, offerings, versions};

impl App {
    /// Removes a broker.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Conflict`] with the number of its instances.
    pub async fn delete_broker(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let audit = self.audit_row(caller, "broker.delete", format!("brokers/{name}"), json!({}));
        for _ in 0..ATTEMPTS_MAX {
            let (wanted, audit, hub) = (name.to_owned(), audit.clone(), self.config().server.hub.clone());
            let removed = self.db().write::<_, Error, _>(move |tx| {
                let (wanted, audit, hub) = (wanted.clone(), audit.clone(), hub.clone());
                Box::pin(async move { remove(tx, &hub, &wanted, &audit).await })
            });
            if removed.await? {
                tracing::info!(broker.name = %name, "broker removed");
                self.reload_catalog().await?;
                return Ok(());
            }
        }
        Err(Error::Stale)
    }
}

/// False where somebody changed it in between.
async fn remove(tx: &mut Tx<'_>, hub: &str, name: &str, audit: &AuditRow) -> Result<bool, Error> {
    let row = brokers::by_name(tx, name).await?.ok_or_else(|| Error::not_found("broker", name))?;
    if !brokers::lock(tx, &row.id, row.version).await? {
        return Ok(false);
    }
    let instances = brokers::instances(tx, &row.id).await?;
    if instances > 0 {
        let noun = if instances == 1 { "instance" } else { "instances" };
        let message = format!("broker `{name}` has {instances} {noun}: delete or purge them first");
        return Err(Error::conflict("in_use", message));
    }
    let known = offerings::of_broker(tx, &row.id).await?;
    let gone: Vec<_> = known.iter().cloned().map(import::removed).collect();
    offerings::save(tx, &row.id, &known, &gone).await?;
    credentials::delete_all(tx, OwnerKind::Broker, &row.id).await?;
    reviews::void_changed(tx, hub, &row, &gone, audit.at).await?;
    proposals::withdraw(tx, hub, &row, audit.at).await?;
    brokers::remove(tx, &row.id, audit.at).await?;
    audit::append(tx, &audit.clone().changed(Some(document(&row)), None)).await?;
    versions::bump(tx, versions::CATALOG).await?;
    Ok(true)
}
