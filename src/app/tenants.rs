//! Tenants: put, read, list and delete them, and what their platforms call them. A tenant and its identities are replaced
//! as one, so that an order never meets half of a change.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::{App, Error, Issue, Listed, Page, access, approvals, quotas};
use crate::clock::{Time, fresh_id};
use crate::domain::caller::Caller;
use crate::domain::event::{Event, EventKind, event_id};
use crate::domain::identity::{Identity, MatchKey, SHAPES_MAX};
use crate::domain::name::{RULE, is_name};
use crate::domain::period::Zone;
use crate::domain::permission::Sight;
use crate::domain::tenant::{Tenant, TenantDocument};
use crate::store::audit::AuditRow;
use crate::store::identities::UnmappedRow;
use crate::store::tenants::TenantRow;
use crate::store::{
    Tx, audit, context_updates, events, identities, plan_parameters, platforms, tenants, versions, visibility,
};

/// A tenant as people see it, identities included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantView {
    /// The tenant.
    pub tenant: Tenant,
    /// Since when.
    pub created_at: Time,
}

impl TenantView {
    /// What stands for its content in `If-Match`: changes exactly when the content does.
    pub fn tag(&self) -> String {
        let text = json!([self.tenant.id, self.tenant.document]).to_string();
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        URL_SAFE_NO_PAD.encode(digest.as_ref().get(..16).unwrap_or_default())
    }
}

/// What a `PUT` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is new.
    Created,
    /// It was there, changed or not.
    Replaced,
}

impl Put {
    /// Its word in events.
    fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Replaced => "changed",
        }
    }
}

/// What `PUT` is to happen to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever is there.
    None,
    /// Nothing may be there.
    Absent,
    /// Something must be there.
    Exists,
    /// Exactly this content must be there, by [`TenantView::tag`].
    Tag(String),
}

impl App {
    /// Creates or replaces a tenant and all its identities.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::Conflict`] where an identity is another tenant's; [`Error::Stale`].
    pub async fn put_tenant(
        &self,
        caller: &Caller,
        name: &str,
        document: TenantDocument,
        precondition: Precondition,
    ) -> Result<(Put, TenantView), Error> {
        if !is_name(name) {
            return Err(Error::invalid("", format!("a tenant's name {RULE}")));
        }
        let problems = document.problems(name);
        if !problems.is_empty() {
            let issue = |(pointer, message)| Issue { pointer, message };
            return Err(Error::Invalid(problems.into_iter().map(issue).collect()));
        }
        let new = Tenant { id: fresh_id(), name: name.to_owned(), suspended: None, document };
        let now = self.clock().now();
        let audit = self.audit_row(caller, "tenant.put", format!("tenants/{name}"), json!({}));
        // Chosen before the transaction, which may run twice.
        let (change, hub) = (fresh_id(), self.config().server.hub.clone());
        let told_offerings = self.offerings_that_are_told();
        let zone = Zone::from(self.config().billing.time_zone.clone()).name().to_owned();
        let put = self.db().write::<_, Error, _>(move |tx| {
            let (new, precondition, audit) = (new.clone(), precondition.clone(), audit.clone());
            let (change, hub, zone) = (change.clone(), hub.clone(), zone.clone());
            let told_offerings = told_offerings.clone();
            Box::pin(async move {
                let before = read_locked(tx, &new.name).await?;
                check(&precondition, before.as_ref())?;
                let (put, view) = write(tx, before.clone(), new, now).await?;
                if before.as_ref().is_some_and(|before| told(&before.tenant) != told(&view.tenant)) {
                    for offering in &told_offerings {
                        context_updates::mark(tx, &view.tenant.id, offering, now).await?;
                    }
                }
                if before.as_ref().is_none_or(|before| before.tag() != view.tag()) {
                    let was = before.map(|before| json!(before.tenant.document));
                    audit::append(tx, &audit.changed(was, Some(json!(view.tenant.document)))).await?;
                    visibility::moved(tx, &view.tenant.id).await?;
                    tenants::add_version(tx, &view.tenant, &zone, now).await?;
                    events::append(tx, &hub, &changed(&view.tenant, &change, put.word(), now), now).await?;
                }
                Ok((put, view))
            })
        });
        put.await
    }

    /// The tenant of a name with its identities.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn tenant_view(&self, sight: &Sight, name: &str) -> Result<TenantView, Error> {
        let (name, sight) = (name.to_owned(), sight.clone());
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let found = tenants::by_name(tx, &name).await?;
                let mut found = with_identities(tx, found.into_iter().collect()).await?;
                let found = found.pop().ok_or_else(|| Error::not_found("tenant", &name))?;
                access::check(&sight, "tenant", &name, &access::of_tenant(&found.tenant.id))?;
                Ok(found)
            })
        });
        read.await
    }

    /// Tenants by name, with their identities.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn tenants(&self, sight: &Sight, page: &Page) -> Result<Listed<TenantView>, Error> {
        let (page, only) = (page.clone(), sight.tenants());
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let rows = tenants::list(tx, &page.after, page.rows(), only).await?;
                let rows = page.cut(rows, |row| row.tenant.name.clone());
                Ok(Listed { items: with_identities(tx, rows.items).await?, next: rows.next })
            })
        });
        read.await
    }

    /// Deletes a tenant and its identities. What it has cost stays on record.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] while it has live instances, or is some platform's default.
    pub async fn delete_tenant(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let (name, now) = (name.to_owned(), self.clock().now());
        let audit = self.audit_row(caller, "tenant.delete", format!("tenants/{name}"), json!({}));
        let (change, hub) = (fresh_id(), self.config().server.hub.clone());
        let deleted = self.db().write::<_, Error, _>(move |tx| {
            let (name, audit, change, hub) = (name.clone(), audit.clone(), change.clone(), hub.clone());
            Box::pin(async move {
                let found = read_locked(tx, &name).await?;
                let tenant = found.ok_or_else(|| Error::not_found("tenant", &name))?.tenant;
                delete_locked(tx, &tenant, audit, &change, &hub, now).await
            })
        });
        deleted.await
    }

    /// Identities that platforms used and nobody knew, by platform. The key of a page is `{platform}\n{identity}`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn unmapped_identities(&self, page: &Page) -> Result<Listed<UnmappedRow>, Error> {
        let wanted = page.clone();
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let (platform, key) = wanted.after.split_once('\n').unwrap_or_default();
                Ok(identities::unmapped(tx, platform, key, wanted.rows()).await?)
            })
        });
        Ok(page.cut(read.await?, |row| format!("{}\n{}", row.platform, row.key.canonical())))
    }
}

/// What brokers are told of a tenant, and orders are decided by.
pub(in crate::app) fn told(tenant: &Tenant) -> TenantDocument {
    TenantDocument { members: Vec::new(), identities: Vec::new(), time_zone: None, ..tenant.document.clone() }
}

/// Deletes a tenant that this transaction has locked.
///
/// # Errors
/// [`Error::Conflict`] while it has live instances, or is some platform's default.
pub(in crate::app) async fn delete_locked(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    audited: AuditRow,
    change: &str,
    hub: &str,
    now: Time,
) -> Result<(), Error> {
    let name = &tenant.name;
    let live = tenants::live_instances(tx, &tenant.id).await?;
    if live > 0 {
        let message = format!("tenant `{name}` still has {live} live instances: delete them first");
        return Err(Error::conflict("in_use", message));
    }
    if let Some(platform) = platforms::with_default_tenant(tx, &tenant.id).await? {
        let message = format!("tenant `{name}` is the default tenant of platform `{platform}`");
        return Err(Error::conflict("in_use", message));
    }
    identities::delete_of_tenant(tx, &tenant.id).await?;
    quotas::delete_of_tenant(tx, &tenant.id).await?;
    // Counted first: whoever says something about the tenant's parameters or approvals at this moment is waited for, or waits.
    versions::bump(tx, versions::APPROVAL_RULES).await?;
    plan_parameters::delete_of_tenant(tx, name).await?;
    approvals::delete_rules_of(tx, name, &audited).await?;
    visibility::moved(tx, &tenant.id).await?;
    tenants::delete(tx, &tenant.id, now).await?;
    audit::append(tx, &audited.changed(Some(json!(tenant.document)), None)).await?;
    events::append(tx, hub, &changed(tenant, change, "deleted", now), now).await?;
    Ok(())
}

/// The event of a change.
pub(in crate::app) fn changed(tenant: &Tenant, change: &str, word: &str, now: Time) -> Event {
    let kind = EventKind::TenantChanged;
    Event {
        id: event_id(change, kind),
        kind,
        subject: format!("tenants/{}", tenant.name),
        time: now,
        tenant_id: Some(tenant.id.clone()),
        platform_id: None,
        broker_id: None,
        service_id: None,
        plan_id: None,
        instance_id: None,
        sequence: None,
        correlation_id: None,
        traceparent: None,
        data: json!({
            "change": word,
            "tenant": {
                "name": tenant.name,
                "display_name": tenant.document.display_name,
                "cost_center": tenant.document.cost_center,
                "business_unit": tenant.document.business_unit,
                "environment": tenant.document.environment,
            },
        }),
    }
}

fn check(precondition: &Precondition, before: Option<&TenantView>) -> Result<(), Error> {
    match (precondition, before) {
        (Precondition::None, _) | (Precondition::Exists, Some(_)) | (Precondition::Absent, None) => Ok(()),
        (Precondition::Tag(tag), Some(view)) if view.tag() == *tag => Ok(()),
        (Precondition::Absent | Precondition::Exists | Precondition::Tag(_), _) => Err(Error::Stale),
    }
}

async fn read_locked(tx: &mut Tx<'_>, name: &str) -> Result<Option<TenantView>, Error> {
    let found = tenants::lock(tx, name).await?;
    Ok(with_identities(tx, found.into_iter().collect()).await?.pop())
}

/// Writes the document and the whole set of identities of a tenant that is locked, or new.
async fn write(
    tx: &mut Tx<'_>,
    before: Option<TenantView>,
    new: Tenant,
    now: Time,
) -> Result<(Put, TenantView), Error> {
    let (put, mut view) = match before {
        Some(before) => {
            let tenant = Tenant { id: before.tenant.id, suspended: before.tenant.suspended, ..new };
            tenants::save(tx, &tenant).await?;
            (Put::Replaced, TenantView { tenant, created_at: before.created_at })
        }
        None => {
            if !tenants::insert(tx, &new, now).await? {
                let message = format!("tenant `{}` was created at the same moment: try again", new.name);
                return Err(Error::conflict("name_taken", message));
            }
            (Put::Created, TenantView { tenant: new, created_at: now })
        }
    };
    identities::delete_of_tenant(tx, &view.tenant.id).await?;
    let mapped = mapped(tx, &view.tenant).await?;
    for (platform_id, keys) in &mapped {
        take(tx, &view.tenant, platform_id, keys).await?;
    }
    view.tenant = as_read(view.tenant);
    Ok((put, view))
}

/// A tenant as it will be read: two spellings of one identity are one, in the plainest form.
pub(in crate::app) fn as_read(mut tenant: Tenant) -> Tenant {
    let order = |identity: &Identity| {
        (identity.platform.clone(), identity.match_key().map(|key| key.canonical()).unwrap_or_default())
    };
    let mut identities: Vec<_> = tenant.document.identities.iter().map(plainest).collect();
    identities.sort_by_key(order);
    identities.dedup();
    tenant.document.identities = identities;
    tenant
}

fn plainest(identity: &Identity) -> Identity {
    identity.match_key().map_or_else(|_| identity.clone(), |key| Identity::from_key(identity.platform.clone(), key))
}

/// The keys of a tenant's identities, with their place in the document, by platform id.
async fn mapped(tx: &mut Tx<'_>, tenant: &Tenant) -> Result<Vec<(String, Vec<(usize, MatchKey)>)>, Error> {
    // By name, so that two puts never wait for each other's platforms crosswise.
    let mut by_platform: BTreeMap<&str, Vec<(usize, MatchKey)>> = BTreeMap::new();
    for (index, identity) in tenant.document.identities.iter().enumerate() {
        let key = identity.match_key();
        let key = key.map_err(|(below, message)| Error::invalid(format!("/identities/{index}{below}"), message))?;
        by_platform.entry(&identity.platform).or_default().push((index, key));
    }
    let mut mapped = Vec::with_capacity(by_platform.len());
    for (platform, keys) in by_platform {
        // Locked, so that the platform is not deleted between this look and the commit.
        let id = platforms::lock(tx, platform).await?.ok_or_else(|| {
            let index = keys.first().map_or(0, |(index, _)| *index);
            let message = format!("platform `{platform}` does not exist");
            Error::invalid(format!("/identities/{index}/platform"), message)
        })?;
        mapped.push((id, keys));
    }
    Ok(mapped)
}

async fn take(tx: &mut Tx<'_>, tenant: &Tenant, platform_id: &str, keys: &[(usize, MatchKey)]) -> Result<(), Error> {
    for (index, key) in keys {
        if identities::insert(tx, platform_id, key, &tenant.id).await? {
            continue;
        }
        let owner = identities::owner(tx, platform_id, key).await?;
        if owner.as_deref() == Some(tenant.id.as_str()) {
            continue;
        }
        let owner = match owner {
            Some(id) => tenants::by_id(tx, &id).await?.map(|tenant| tenant.name),
            None => None,
        };
        let message = format!("identity {index} belongs to tenant `{}`", owner.unwrap_or_default());
        return Err(Error::conflict("identity_taken", message));
    }
    if identities::shapes(tx, platform_id).await?.len() > SHAPES_MAX {
        let message = format!("the identities of one platform may use at most {SHAPES_MAX} different sets of keys");
        return Err(Error::invalid("/identities", message));
    }
    let keys: Vec<_> = keys.iter().map(|(_, key)| key.clone()).collect();
    identities::forget_covered(tx, platform_id, &keys).await?;
    Ok(())
}

/// Reads the identities of tenants that were read in order of their names.
async fn with_identities(tx: &mut Tx<'_>, rows: Vec<TenantRow>) -> Result<Vec<TenantView>, Error> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let mut by_tenant: HashMap<String, Vec<Identity>> = HashMap::new();
    for (tenant_id, platform, key) in identities::of_tenants(tx, &first.tenant.name, &last.tenant.name).await? {
        by_tenant.entry(tenant_id).or_default().push(Identity::from_key(platform, key));
    }
    let mut views = Vec::with_capacity(rows.len());
    for TenantRow { mut tenant, created_at } in rows {
        tenant.document.identities = by_tenant.remove(&tenant.id).unwrap_or_default();
        tenant.document.identities.sort_by_key(|identity| {
            (identity.platform.clone(), identity.match_key().map(|key| key.canonical()).unwrap_or_default())
        });
        views.push(TenantView { tenant, created_at });
    }
    Ok(views)
}
