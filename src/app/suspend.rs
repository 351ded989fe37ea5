//! Suspends a tenant and lets it go on: while it is suspended nothing new is ordered, changed or bound for it. What stands stands and is
//! metered; deletions and questions are answered.

use serde_json::json;

use super::tenants::{TenantView, changed};
use super::{App, Error};
use crate::clock::fresh_id;
use crate::domain::approval::REASON_MAX;
use crate::domain::caller::Caller;
use crate::domain::permission::Sight;
use crate::store::{audit, events, offboardings, tenants};

impl App {
    /// Suspends a tenant, at once and in all processes. Said again, it changes the reason.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`].
    pub async fn suspend_tenant(&self, caller: &Caller, name: &str, reason: &str) -> Result<TenantView, Error> {
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > REASON_MAX || reason.chars().any(char::is_control) {
            return Err(Error::invalid("/reason", format!("must say why, in at most {REASON_MAX} characters")));
        }
        self.set_suspended(caller, name, Some(reason.to_owned())).await
    }

    /// Lets a tenant go on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] while it is being off-boarded.
    pub async fn resume_tenant(&self, caller: &Caller, name: &str) -> Result<TenantView, Error> {
        self.set_suspended(caller, name, None).await
    }

    async fn set_suspended(&self, caller: &Caller, name: &str, reason: Option<String>) -> Result<TenantView, Error> {
        let (action, word) =
            if reason.is_some() { ("tenant.suspend", "suspended") } else { ("tenant.resume", "resumed") };
        let audited = self.audit_row(caller, action, format!("tenants/{name}"), json!({}));
        let (change, hub, now) = (fresh_id(), self.config().server.hub.clone(), self.clock().now());
        let wanted = name.to_owned();
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (wanted, reason, audited) = (wanted.clone(), reason.clone(), audited.clone());
            let (change, hub) = (change.clone(), hub.clone());
            Box::pin(async move {
                let found = tenants::lock(tx, &wanted).await?;
                let tenant = found.ok_or_else(|| Error::not_found("tenant", &wanted))?.tenant;
                if tenant.suspended == reason {
                    return Ok(());
                }
                if offboardings::running(tx, &tenant.id).await?.is_some() {
                    let message = format!("tenant `{wanted}` is being off-boarded: cancel that first");
                    return Err(Error::conflict("offboarding", message));
                }
                tenants::suspend(tx, &tenant.id, reason.as_deref()).await?;
                let told = |reason: Option<&str>| Some(json!({ "suspended": reason }));
                let audited = audited.changed(told(tenant.suspended.as_deref()), told(reason.as_deref()));
                audit::append(tx, &audited).await?;
                events::append(tx, &hub, &changed(&tenant, &change, word, now), now).await?;
                Ok(())
            })
        });
        written.await?;
        self.tenant_view(&Sight::everything(), name).await
    }
}
