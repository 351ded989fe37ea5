//! Changes how a broker is reached and treated. Its name, its prefix and its kind of ids stay: platforms know offerings by
//! what follows from them.

use serde::{Deserialize, Deserializer};
use serde_json::json;
use utoipa::ToSchema;

use super::check::{self, issue};
use super::load::secrets_place;
use super::register::document;
use super::view::BrokerView;
use crate::app::{App, Error, reviews};
use crate::backend::http::web_url;
use crate::domain::broker::{Access, Credentials, Rotation, Tls, UsagePull};
use crate::domain::caller::Caller;
use crate::domain::catalog::Ids;
use crate::domain::permission::Permission;
use crate::domain::stamp::StampSettings;
use crate::store::brokers::BrokerRow;
use crate::store::{audit, brokers, offerings, versions};

/// What changes of a broker. Absent stays as it is; `null`, where it may be, goes back to the default.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BrokerChange {
    /// May only be what it is.
    pub name: Option<String>,
    /// May only be what it is.
    pub name_prefix: Option<String>,
    /// May only be what it is.
    pub ids: Option<Ids>,
    /// What stands before `/v2`.
    pub url: Option<String>,
    /// Who the hub is there.
    pub credentials: Option<Credentials>,
    /// Certificates.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Tls>)]
    pub tls: Option<Option<Tls>>,
    /// Of one call.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    pub timeout_ms: Option<Option<u64>>,
    /// Orders at once.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub concurrency: Option<Option<u32>>,
    /// `X-Broker-API-Version` towards it.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub api_version: Option<Option<String>>,
    /// What it is told about the tenant.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<StampSettings>)]
    pub stamp: Option<Option<StampSettings>>,
    /// How bindings are rotated.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Rotation>)]
    pub rotation: Option<Option<Rotation>>,
    /// It has instances that this hub does not know yet.
    pub takeover: Option<bool>,
    /// It doesn't report usage: it is asked.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<UsagePull>)]
    pub usage_pull: Option<Option<UsagePull>>,
}

/// Keeps `null` apart from absent.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl App {
    /// Changes a broker. With `expected`, only if it still is that version.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stale`], or [`Error::Invalid`] with all that is wrong.
    pub async fn patch_broker(
        &self,
        caller: &Caller,
        name: &str,
        change: BrokerChange,
        expected: Option<i64>,
    ) -> Result<BrokerView, Error> {
        self.may_change_broker(caller, name).await?;
        let before = self.broker_row(name).await?;
        if expected.is_some_and(|expected| expected != before.version) {
            return Err(Error::Stale);
        }
        let fields = fields(&change);
        let elsewhere = change.url.is_some() || change.credentials.is_some() || change.tls.is_some();
        // These decide what is made of its catalog.
        let otherwise = change.api_version.is_some() || change.rotation.is_some();
        let row = self.changed(caller, &before, change).await?;
        // Everything that it takes to call it is looked at before anything is stored.
        let backend = self.backend_for(&row).map_err(|error| Error::invalid("", error.to_string()))?;
        backend.usable().map_err(|error| Error::invalid("", error.to_string()))?;
        let detail = json!({ "fields": fields });
        let audit = self.audit_row(caller, "broker.patch", format!("brokers/{name}"), detail);
        let audit = audit.changed(Some(document(&before)), Some(document(&row)));
        let hub = self.config().server.hub.clone();
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (mut row, audit, hub) = (row.clone(), audit.clone(), hub.clone());
            Box::pin(async move {
                if !brokers::lock(tx, &row.id, row.version).await? {
                    return Err(Error::Stale);
                }
                row.version += 1;
                brokers::configure(tx, &row).await?;
                let offerings = offerings::of_broker(tx, &row.id).await?;
                reviews::void_changed(tx, &hub, &row, &offerings, audit.at).await?;
                audit::append(tx, &audit).await?;
                versions::bump(tx, versions::CATALOG).await?;
                Ok(row)
            })
        });
        let row = written.await?;
        self.reload_catalog().await?;
        let row = if elsewhere || otherwise { self.check_broker(name).await? } else { row };
        self.broker_view(row).await
    }

    async fn changed(&self, caller: &Caller, before: &BrokerRow, change: BrokerChange) -> Result<BrokerRow, Error> {
        // Whoever that is may have stored credentials sent to another address.
        let knows_secrets = caller.is_administrator();
        let mut row = before.clone();
        let mut issues = immutable(before, &change);
        let opened = self.sealer().open(&secrets_place(&row.id), &row.secrets);
        let stored: Option<Access> = opened.ok().and_then(|opened| serde_json::from_slice(&opened).ok());
        let BrokerChange { name: _, name_prefix: _, ids: _, url, credentials, tls, .. } = change;
        let resealed = credentials.is_some() || tls.is_some();
        if !knows_secrets && credentials.is_none() && url.as_deref().is_some_and(|url| !same_origin(url, &before.url)) {
            let message = "another address gets no credentials that were given for this one: give them with it";
            issues.push(issue("/credentials", message));
        }
        // Credentials whose key was lost can still be replaced.
        let credentials = credentials.or_else(|| stored.as_ref().map(|access| access.credentials.clone()));
        let tls = tls.unwrap_or_else(|| stored.and_then(|access| access.tls));
        let Some(credentials) = credentials else {
            return Err(Error::invalid("/credentials", "the stored ones can't be opened: give new ones"));
        };
        if let Some(url) = url {
            // Another place has other tags.
            row.etag = None;
            row.url = url;
        }
        row.settings.timeout_ms = change.timeout_ms.unwrap_or(row.settings.timeout_ms);
        row.settings.concurrency = change.concurrency.unwrap_or(row.settings.concurrency);
        row.settings.api_version = change.api_version.unwrap_or(row.settings.api_version);
        row.settings.stamp = change.stamp.map_or(row.settings.stamp, Option::unwrap_or_default);
        row.settings.rotation = change.rotation.unwrap_or(row.settings.rotation);
        row.settings.takeover = change.takeover.unwrap_or(row.settings.takeover);
        row.settings.usage_pull = change.usage_pull.unwrap_or(row.settings.usage_pull);
        issues.extend(check::settings(&row.settings));
        if Permission::ManageBrokers.sight(caller).is_none() {
            issues.extend(self.beyond_provider(Some(&before.settings), &row.settings));
        }
        issues.extend(self.check_urls(&row.url, &credentials).await);
        if !issues.is_empty() {
            return Err(Error::Invalid(issues));
        }
        if resealed {
            let access = serde_json::to_vec(&Access { credentials, tls })
                .map_err(|_| Error::invalid("/credentials", "can't be stored"))?;
            row.secrets = self.sealer().seal(&secrets_place(&row.id), &access)?;
        }
        Ok(row)
    }
}

fn immutable(before: &BrokerRow, change: &BrokerChange) -> Vec<crate::app::Issue> {
    let wrong = [
        ("/name", change.name.as_ref().is_some_and(|name| *name != before.name)),
        ("/name_prefix", change.name_prefix.as_ref().is_some_and(|prefix| *prefix != before.settings.name_prefix)),
        ("/ids", change.ids.is_some_and(|ids| ids != before.settings.ids)),
    ];
    let message = "can't be changed: platforms know offerings by what follows from it";
    wrong.into_iter().filter(|(_, wrong)| *wrong).map(|(pointer, _)| issue(pointer, message)).collect()
}

/// Which fields were given, for the audit: names only.
fn fields(change: &BrokerChange) -> Vec<&'static str> {
    let given = [
        ("url", change.url.is_some()),
        ("credentials", change.credentials.is_some()),
        ("tls", change.tls.is_some()),
        ("timeout_ms", change.timeout_ms.is_some()),
        ("concurrency", change.concurrency.is_some()),
        ("api_version", change.api_version.is_some()),
        ("stamp", change.stamp.is_some()),
        ("rotation", change.rotation.is_some()),
        ("takeover", change.takeover.is_some()),
        ("usage_pull", change.usage_pull.is_some()),
    ];
    given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
}

/// Whether two addresses are at the same server. One that is none is refused elsewhere.
fn same_origin(one: &str, other: &str) -> bool {
    let origin = |text: &str| web_url(text).map(|url| url.origin());
    origin(one) == origin(other)
}
