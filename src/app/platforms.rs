//! Platforms: registering, listing, changing and deleting them.

use serde_json::{Value, json};

use super::pairs::Pair;
use super::{App, Error, Listed, Page};
use crate::clock::fresh_id;
use crate::domain::caller::Caller;
use crate::domain::name::{RULE, is_name};
use crate::domain::platform::{BUILTIN, Platform, PlatformKind, Trust};
use crate::store::credentials::OwnerKind;
use crate::store::platforms::PlatformRow;
use crate::store::{self, Tx, audit, credentials, identities, platforms, tenants, versions};

/// A new platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPlatform {
    /// Immutable from now on.
    pub name: String,
    /// What kind it is.
    pub kind: PlatformKind,
    /// A tenant's name.
    pub default_tenant: Option<String>,
    /// Of a platform that is a hub.
    pub trust: Option<Trust>,
}

/// What changes of a platform; the outer `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformChange {
    /// A tenant's name, or none from now on.
    pub default_tenant: Option<Option<String>>,
    /// The other hub. It can be changed, not taken away.
    pub trust: Option<Option<Trust>>,
}

/// A platform with the user names that it may use.
#[derive(Clone, Debug)]
pub struct PlatformView {
    /// The platform.
    pub row: PlatformRow,
    /// Oldest first.
    pub usernames: Vec<String>,
}

impl App {
    /// Registers a platform and gives it credentials.
    ///
    /// # Errors
    /// [`Error::Invalid`], or [`Error::Conflict`] where the name is taken.
    pub async fn create_platform(&self, caller: &Caller, new: NewPlatform) -> Result<(PlatformView, Pair), Error> {
        check_new(&new)?;
        let pair = Pair::generate(&new.name)?;
        let now = self.clock().now();
        let NewPlatform { name, kind, default_tenant, trust } = new;
        let platform = Platform { id: fresh_id(), name, kind, default_tenant_id: None, trust };
        let credential = pair.row(OwnerKind::Platform, &platform.id, now);
        let detail = json!({ "username": pair.username });
        let audit = self.audit_row(caller, "platform.create", format!("platforms/{}", platform.name), detail);
        let created = self.db().write::<_, Error, _>(move |tx| {
            let mut platform = platform.clone();
            let (default_tenant, credential, audit) = (default_tenant.clone(), credential.clone(), audit.clone());
            Box::pin(async move {
                platform.default_tenant_id = default_id(tx, default_tenant.as_deref()).await?;
                if !platforms::insert(tx, &platform, now).await? {
                    let message = format!("platform `{}` exists already", platform.name);
                    return Err(Error::conflict("name_taken", message));
                }
                credentials::insert(tx, &credential).await?;
                versions::bump(tx, versions::VISIBILITY).await?;
                let row = PlatformRow { platform, default_tenant, created_at: now };
                audit::append(tx, &audit.changed(None, Some(document(&row)))).await?;
                Ok(row)
            })
        });
        let row = created.await?;
        Ok((PlatformView { row, usernames: vec![pair.username.clone()] }, pair))
    }

    /// Makes the platform that people order through, where it is not there yet.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn ensure_builtin_platform(&self) -> Result<(), Error> {
        let platform = Platform {
            id: fresh_id(),
            name: BUILTIN.to_owned(),
            kind: PlatformKind::Bourse,
            default_tenant_id: None,
            trust: None,
        };
        let now = self.clock().now();
        let exists = self.db().read(|tx| Box::pin(async move { platforms::by_name(tx, BUILTIN).await })).await?;
        if exists.is_none() {
            let write = self.db().write::<_, store::Error, _>(move |tx| {
                let platform = platform.clone();
                Box::pin(async move { platforms::insert(tx, &platform, now).await })
            });
            write.await?;
        }
        Ok(())
    }

    /// The platform of an id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn platform(&self, id: &str) -> Result<Platform, Error> {
        let wanted = id.to_owned();
        let found = self.db().read(|tx| Box::pin(async move { platforms::by_id(tx, &wanted).await })).await?;
        found.ok_or_else(|| Error::not_found("platform", id))
    }

    /// The platform that people order through.
    ///
    /// # Errors
    /// [`Error::NotFound`] before the first start was completed.
    pub async fn builtin_platform(&self) -> Result<Platform, Error> {
        Ok(self.platform_by_name(BUILTIN).await?.row.platform)
    }

    /// The platform of a name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn platform_by_name(&self, name: &str) -> Result<PlatformView, Error> {
        let name = name.to_owned();
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let row = platforms::by_name(tx, &name).await?;
                let row = row.ok_or_else(|| Error::not_found("platform", name))?;
                view(tx, row).await
            })
        });
        read.await
    }

    /// Platforms by name.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn platforms(&self, page: &Page) -> Result<Listed<PlatformView>, Error> {
        let page = page.clone();
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let rows = platforms::list(tx, &page.after, page.rows()).await?;
                let rows = page.cut(rows, |row| row.platform.name.clone());
                let mut items = Vec::with_capacity(rows.items.len());
                for row in rows.items {
                    items.push(view(tx, row).await?);
                }
                Ok(Listed { items, next: rows.next })
            })
        });
        read.await
    }

    /// Changes a platform.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`].
    pub async fn change_platform(
        &self,
        caller: &Caller,
        name: &str,
        change: PlatformChange,
    ) -> Result<PlatformView, Error> {
        let audit = self.audit_row(caller, "platform.change", format!("platforms/{name}"), json!({}));
        let name = name.to_owned();
        let changed = self.db().write::<_, Error, _>(move |tx| {
            let (name, change, audit) = (name.clone(), change.clone(), audit.clone());
            Box::pin(async move {
                // Tenants are locked before platforms, here as where a tenant is put.
                let default_id = match &change.default_tenant {
                    Some(default_tenant) => Some(default_id(tx, default_tenant.as_deref()).await?),
                    None => None,
                };
                lock(tx, &name).await?;
                let row = platforms::by_name(tx, &name).await?;
                let before = row.ok_or_else(|| Error::not_found("platform", &name))?;
                let mut platform = before.platform.clone();
                if let Some(trust) = change.trust {
                    check_trust(platform.kind, trust.as_ref())?;
                    platform.trust = trust;
                }
                if let Some(id) = default_id {
                    platform.default_tenant_id = id;
                }
                platforms::save(tx, &platform).await?;
                if platform.default_tenant_id.is_some() {
                    identities::forget_all(tx, &platform.id).await?;
                }
                versions::bump(tx, versions::VISIBILITY).await?;
                let row = platforms::by_name(tx, &name).await?;
                let row = row.ok_or_else(|| Error::not_found("platform", &name))?;
                audit::append(tx, &audit.changed(Some(document(&before)), Some(document(&row)))).await?;
                view(tx, row).await
            })
        });
        changed.await
    }

    /// Deletes a platform, its credentials and its mappings.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] while instances live that were ordered from it.
    pub async fn delete_platform(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        if name == BUILTIN {
            let message = format!("platform `{BUILTIN}` is built in: people order through it");
            return Err(Error::conflict("builtin", message));
        }
        let (name, now) = (name.to_owned(), self.clock().now());
        let audit = self.audit_row(caller, "platform.delete", format!("platforms/{name}"), json!({}));
        let deleted = self.db().write::<_, Error, _>(move |tx| {
            let (name, audit) = (name.clone(), audit.clone());
            Box::pin(async move {
                let id = lock(tx, &name).await?;
                let was = platforms::by_name(tx, &name).await?.map(|row| document(&row));
                let live = platforms::live_instances(tx, &id).await?;
                if live > 0 {
                    let message = format!("platform `{name}` still has {live} live instances: delete them first");
                    return Err(Error::conflict("in_use", message));
                }
                credentials::delete_all(tx, OwnerKind::Platform, &id).await?;
                identities::delete_of_platform(tx, &id).await?;
                identities::forget_all(tx, &id).await?;
                platforms::delete(tx, &id, now).await?;
                versions::bump(tx, versions::VISIBILITY).await?;
                audit::append(tx, &audit.changed(was, None)).await?;
                Ok(())
            })
        });
        deleted.await
    }
}

async fn lock(tx: &mut Tx<'_>, name: &str) -> Result<String, Error> {
    platforms::lock(tx, name).await?.ok_or_else(|| Error::not_found("platform", name))
}

/// What is said about a platform, for the audit.
fn document(row: &PlatformRow) -> Value {
    let Platform { id, name: _, kind, default_tenant_id: _, trust } = &row.platform;
    json!({ "id": id, "kind": kind, "default_tenant": row.default_tenant, "trust": trust })
}

async fn view(tx: &mut Tx<'_>, row: PlatformRow) -> Result<PlatformView, Error> {
    let pairs = credentials::of_owner(tx, OwnerKind::Platform, &row.platform.id).await?;
    Ok(PlatformView { row, usernames: pairs.into_iter().map(|pair| pair.username).collect() })
}

async fn default_id(tx: &mut Tx<'_>, name: Option<&str>) -> Result<Option<String>, Error> {
    let Some(name) = name else { return Ok(None) };
    // Locked, so that the tenant is not deleted between this look and the commit.
    let found = tenants::lock(tx, name).await?;
    let found = found.ok_or_else(|| Error::invalid("/default_tenant", format!("tenant `{name}` does not exist")))?;
    Ok(Some(found.tenant.id))
}

fn check_new(new: &NewPlatform) -> Result<(), Error> {
    if !is_name(&new.name) {
        return Err(Error::invalid("/name", RULE));
    }
    check_trust(new.kind, new.trust.as_ref())
}

/// A platform that is a hub needs somebody to believe; nothing else may have that.
fn check_trust(kind: PlatformKind, trust: Option<&Trust>) -> Result<(), Error> {
    let Some(trust) = trust else {
        return match kind {
            PlatformKind::Bourse => {
                Err(Error::invalid("/trust", "a platform of kind `bourse` needs it: whose stamps are believed"))
            }
            PlatformKind::CloudFoundry | PlatformKind::Kubernetes | PlatformKind::Other => Ok(()),
        };
    };
    if kind != PlatformKind::Bourse {
        return Err(Error::invalid("/trust", "only a platform of kind `bourse` signs stamps"));
    }
    if trust.issuer.is_empty() || trust.issuer.len() > 1024 {
        return Err(Error::invalid("/trust/issuer", "must be the `iss` of that hub's stamps: its public URL"));
    }
    let url = reqwest::Url::parse(&trust.jwks_url).ok();
    if !url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        return Err(Error::invalid("/trust/jwks_url", "must be an http or https URL"));
    }
    if trust.audience.as_ref().is_some_and(|audience| !is_name(audience)) {
        return Err(Error::invalid("/trust/audience", RULE));
    }
    Ok(())
}
