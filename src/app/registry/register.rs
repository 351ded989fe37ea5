//! Registers a broker: its catalog is fetched first, so that what is registered can be ordered from.

use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::check::{self, issue};
use super::fetch::{self, Fetched, Read};
use super::load::secrets_place;
use super::view::BrokerView;
use super::{ATTEMPTS_MAX, notice};
use crate::app::{App, Error, Issue, access, visibility};
use crate::clock::fresh_id;
use crate::config;
use crate::domain::broker::{Access, Credentials, PROVIDER_FIELDS, Rotation, Settings, Status, Tls, UsagePull};
use crate::domain::caller::Caller;
use crate::domain::catalog::{Finding, Ids, Offering, Severity, State, clash};
use crate::domain::event::{Event, EventKind};
use crate::domain::name;
use crate::domain::permission::Permission;
use crate::domain::stamp::StampSettings;
use crate::store::audit::AuditRow;
use crate::store::brokers::BrokerRow;
use crate::store::{self, audit, brokers, events, offerings, versions};

/// A new broker.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBroker {
    /// Immutable: ids of its offerings follow from it. `PUT` has it in the path.
    #[serde(default)]
    pub name: String,
    /// What stands before `/v2`.
    pub url: String,
    /// Who the hub is there.
    pub credentials: Credentials,
    /// Certificates.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Stands before its offerings' names. Immutable.
    #[serde(default)]
    pub name_prefix: String,
    /// Which ids platforms see. Immutable.
    #[serde(default)]
    pub ids: Ids,
    /// Of one call.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Orders at once.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// `X-Broker-API-Version` towards it.
    #[serde(default)]
    pub api_version: Option<String>,
    /// What it is told about the tenant.
    #[serde(default)]
    pub stamp: Option<StampSettings>,
    /// How bindings are rotated.
    #[serde(default)]
    pub rotation: Option<Rotation>,
    /// It has instances that this hub does not know yet.
    #[serde(default)]
    pub takeover: bool,
    /// It doesn't report usage: it is asked.
    #[serde(default)]
    pub usage_pull: Option<UsagePull>,
}

impl App {
    /// Registers a broker with what it offers now. Of one that is registered by who answers for it, everything is a draft.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the name is not the caller's, be it taken or not;
    /// [`Error::Invalid`] with all that is wrong, be it in the request, on the way to the broker or in its catalog;
    /// [`Error::Conflict`] where the name, an offering's name or an id is another broker's.
    pub async fn register_broker(&self, caller: &Caller, new: NewBroker) -> Result<BrokerView, Error> {
        let sight = access::sight(Permission::RegisterBrokers, caller)?;
        if !sight.may_name_broker(&new.name) {
            return Err(Error::not_found("broker", new.name));
        }
        let provider = Permission::ManageBrokers.sight(caller).is_none().then(|| caller.actor());
        let NewBroker { name, url, credentials, tls, name_prefix, ids, timeout_ms, concurrency, .. } = new;
        let (api_version, stamp) = (new.api_version, new.stamp.unwrap_or_else(|| usual_stamp(provider.is_some())));
        let (rotation, takeover, usage_pull) = (new.rotation, new.takeover, new.usage_pull);
        let settings =
            Settings { name_prefix, ids, timeout_ms, concurrency, api_version, stamp, rotation, takeover, usage_pull };
        let mut issues = Vec::new();
        if !name::is_name(&name) {
            issues.push(issue("/name", name::RULE));
        }
        issues.extend(check::settings(&settings));
        if provider.is_some() {
            issues.extend(self.beyond_provider(None, &settings));
        }
        issues.extend(self.check_urls(&url, &credentials).await);
        if !issues.is_empty() {
            return Err(Error::Invalid(issues));
        }
        if self.broker_row(&name).await.is_ok() {
            return Err(taken(&name));
        }
        let now = self.clock().now();
        let id = fresh_id();
        let access = serde_json::to_vec(&Access { credentials, tls }).map_err(|_| unusable("can't be stored"))?;
        let mut row = BrokerRow {
            secrets: self.sealer().seal(&secrets_place(&id), &access)?,
            id,
            name,
            url,
            settings,
            status: Status::Available,
            etag: None,
            findings: Vec::new(),
            fetched_at: Some(now),
            check_at: self.next_check(now, Status::Available),
            version: 1,
            created_at: now,
            deleted_at: None,
            provider,
        };
        let (offerings, json) = self.first_catalog(&mut row).await?;
        let event = notice::event(&row, EventKind::BrokerRegistered, &row.id, now, notice::data(&row, &[], &offerings));
        let audit = self.audit_row(caller, "broker.register", format!("brokers/{}", row.name), json!({}));
        let audit = audit.changed(None, Some(document(&row)));
        let new = NewRows { row, json, offerings, event, audit };
        let row = self.store_broker(new).await?;
        tracing::info!(broker.id = %row.id, broker.name = %row.name, "broker registered");
        self.reload_catalog().await?;
        self.broker_view(row).await
    }

    /// The catalog of a broker that is not registered yet, which must be of use.
    async fn first_catalog(&self, row: &mut BrokerRow) -> Result<(Vec<Offering>, String), Error> {
        let backend = self.backend_for(row).map_err(|error| unusable(&error.to_string()))?;
        backend.usable().map_err(|error| unusable(&error.to_string()))?;
        let document = match self.fetch_catalog(&backend, None).await? {
            Fetched::Document(document) => document,
            Fetched::Same => return Err(unusable("the broker answered 304 to a request that did not ask for it")),
            Fetched::Unavailable(finding) | Fetched::Garbage(finding) => {
                return Err(Error::Invalid(issues(&[finding])));
            }
        };
        let json = String::from_utf8(document.json.to_vec()).map_err(|_| unusable("the catalog is not UTF-8"))?;
        row.etag = document.etag;
        match fetch::read(
            self.config().server.hub.clone(),
            row.name.clone(),
            row.settings.clone(),
            document.json,
            Vec::new(),
        )
        .await?
        {
            Read::Nothing(findings) => Err(Error::Invalid(issues(&findings))),
            Read::Catalog(offerings) => {
                let orderable = offerings.iter().any(|offering| offering.state == State::Available);
                if !orderable && !offerings.is_empty() {
                    let all: Vec<_> = offerings.iter().flat_map(|offering| offering.findings.clone()).collect();
                    return Err(Error::Invalid(issues(&all)));
                }
                Ok((offerings, json))
            }
        }
    }

    async fn store_broker(&self, new: NewRows) -> Result<BrokerRow, Error> {
        let hub = self.config().server.hub.clone();
        let mut attempt = 1;
        loop {
            let (new, hub, settings) = (new.clone(), hub.clone(), self.config().catalog.clone());
            let row = new.row.clone();
            let written = self.db().write::<_, Error, _>(move |tx| {
                let (new, hub, settings) = (new.clone(), hub.clone(), settings.clone());
                Box::pin(async move { insert(tx, &hub, &settings, &new).await })
            });
            match written.await {
                Ok(()) => return Ok(row),
                // Another registration was quicker: once more, to say with whom it clashes.
                Err(Error::Store(store::Error::Taken)) if attempt < ATTEMPTS_MAX => attempt += 1,
                Err(Error::Store(store::Error::Taken)) => return Err(taken(&row.name)),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Everything that a registration writes.
#[derive(Clone)]
struct NewRows {
    row: BrokerRow,
    json: String,
    offerings: Vec<Offering>,
    event: Event,
    audit: AuditRow,
}

async fn insert(tx: &mut store::Tx<'_>, hub: &str, settings: &config::Catalog, new: &NewRows) -> Result<(), Error> {
    let NewRows { row, json, offerings, event, audit } = new;
    if brokers::by_name(tx, &row.name).await?.is_some() {
        return Err(taken(&row.name));
    }
    let mut held = offerings::held(tx, &row.id, &[], offerings).await?;
    check::unnamed(row, &mut held);
    let clashes = clash::clashes(&row.name, offerings, &held);
    if !clashes.is_empty() {
        let sentences: Vec<_> = clashes.into_iter().map(|(_, sentence)| sentence).collect();
        return Err(Error::conflict("catalog_clash", sentences.join("; ")));
    }
    brokers::insert(tx, row, json).await?;
    offerings::save(tx, &row.id, &[], offerings).await?;
    visibility::set_up(tx, settings, &[], offerings, row.provider.is_some(), row.created_at).await?;
    events::append(tx, hub, event, row.created_at).await?;
    audit::append(tx, audit).await?;
    versions::bump(tx, versions::CATALOG).await?;
    Ok(())
}

/// What is said about a broker, for the audit. What the hub shows it is masked: that it was changed is told apart.
pub(super) fn document(row: &BrokerRow) -> Value {
    json!({ "id": row.id, "url": row.url, "settings": row.settings, "credentials": "***", "provider": row.provider })
}

/// What a broker is told where nobody says: everything, or what its provider may have it told.
fn usual_stamp(provided: bool) -> StampSettings {
    let fields = provided.then(|| PROVIDER_FIELDS.map(str::to_owned).to_vec());
    StampSettings { fields, ..StampSettings::default() }
}

fn taken(name: &str) -> Error {
    Error::conflict("name_taken", format!("broker `{name}` exists already"))
}

fn unusable(message: &str) -> Error {
    Error::invalid("", message)
}

/// Findings as issues: errors first, each where it is in the catalog.
fn issues(findings: &[Finding]) -> Vec<Issue> {
    let (errors, warnings): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.severity == Severity::Error);
    let all = errors.into_iter().chain(warnings);
    all.map(|finding| Issue { pointer: finding.pointer.clone(), message: finding.message.clone() }).collect()
}
