//! Access to instances granted to colleagues, until some time: by the owners of the tenant that an instance belongs to, and by operators.
//!
//! A grant adds to what roles allow and nothing else: with neither, an instance is not found.

use serde_json::{Value, json};

use super::instances::thing;
use super::order::Orderer;
use super::people::instance_id;
use super::{App, Error, Listed, Page, access};
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::domain::grant::GrantRole;
use crate::domain::permission::{Permission, Sight};
use crate::domain::tenant::Tenant;
use crate::store::instances::InstanceRow;
use crate::store::{audit, instance_grants, instances};

pub use crate::store::instance_grants::GrantRow as GrantView;

/// Grants of one instance.
const GRANTS_MAX: i64 = 1000;
/// Characters of a user's name.
const USER_MAX: usize = 255;

/// What the audit says of a grant.
fn told(row: &GrantView) -> Value {
    json!({ "role": row.role, "expires_at": row.expires_at })
}

/// Somebody who may read an instance.
pub(in crate::app) struct Reader {
    /// As who they ask.
    pub orderer: Orderer,
    /// Whether it is a grant that lets them: they learn of the one instance, not what it costs nor what else the tenant has.
    pub by_grant: bool,
}

impl App {
    /// Grants somebody access to an instance, or changes what was granted.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Invalid`], [`Error::Conflict`] where there are too many.
    pub async fn put_grant(
        &self,
        caller: &Caller,
        sight: &Sight,
        (instance_id, user): (&str, &str),
        role: GrantRole,
        expires_at: Time,
    ) -> Result<GrantView, Error> {
        let now = self.clock().now();
        if user.is_empty() || user.chars().count() > USER_MAX || user.chars().any(char::is_control) {
            return Err(Error::invalid("", format!("a user's name has 1 to {USER_MAX} characters")));
        }
        if expires_at <= now {
            return Err(Error::invalid("/expires_at", "must be in the future"));
        }
        let row = GrantView {
            instance_id: instance_id.to_owned(),
            user: user.to_owned(),
            role,
            expires_at,
            granted_by: caller.actor(),
            created_at: now,
        };
        let subject = format!("instances/{instance_id}/grants/{user}");
        let audited = self.audit_row(caller, "instance.grant", subject, json!({}));
        let sight = sight.clone();
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (mut row, audited, sight) = (row.clone(), audited.clone(), sight.clone());
            Box::pin(async move {
                let missing = || Error::not_found("instance", &row.instance_id);
                let instance = instances::lock(tx, &row.instance_id).await?.ok_or_else(missing)?;
                access::check(&sight, "instance", &row.instance_id, &thing(&instance))?;
                if instance.gone_at.is_some() {
                    return Err(missing());
                }
                let before = instance_grants::one(tx, &row.instance_id, &row.user).await?;
                if before.is_none() && instance_grants::count(tx, &row.instance_id).await? >= GRANTS_MAX {
                    return Err(Error::conflict("too_many", format!("there are {GRANTS_MAX} grants already")));
                }
                row.created_at = before.as_ref().map_or(row.created_at, |before| before.created_at);
                instance_grants::put(tx, &row).await?;
                let audited = audited.changed(before.as_ref().map(told), Some(told(&row)));
                audit::append(tx, &audited).await?;
                Ok(row)
            })
        });
        written.await
    }

    /// The grants of an instance by user, those that have expired, too.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub async fn grants(&self, sight: &Sight, instance_id: &str, page: &Page) -> Result<Listed<GrantView>, Error> {
        let row = self.instance_row(instance_id).await?;
        access::check(sight, "instance", instance_id, &thing(&row))?;
        let id = row.id;
        let (after, rows) = (page.after.clone(), i64::from(page.rows()));
        let read =
            self.db().read(|tx| Box::pin(async move { instance_grants::of_instance(tx, &id, &after, rows).await }));
        Ok(page.cut(read.await?, |row| row.user.clone()))
    }

    /// Takes a grant back.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub async fn delete_grant(
        &self,
        caller: &Caller,
        sight: &Sight,
        instance_id: &str,
        user: &str,
    ) -> Result<(), Error> {
        let row = self.instance_row(instance_id).await?;
        access::check(sight, "instance", instance_id, &thing(&row))?;
        let subject = format!("instances/{instance_id}/grants/{user}");
        let audited = self.audit_row(caller, "instance.grant.delete", subject, json!({}));
        let (id, user) = (instance_id.to_owned(), user.to_owned());
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (id, user, audited) = (id.clone(), user.clone(), audited.clone());
            Box::pin(async move {
                let before = instance_grants::one(tx, &id, &user).await?;
                if !instance_grants::delete(tx, &id, &user).await? {
                    return Err(Error::not_found("grant", user));
                }
                Ok(audit::append(tx, &audited.changed(before.as_ref().map(told), None)).await?)
            })
        });
        written.await
    }

    /// Somebody who may read an instance that was ordered by name: for the tenant, or because they were granted it.
    ///
    /// # Errors
    /// As [`App::person`].
    pub(in crate::app) async fn reader(
        &self,
        caller: &Caller,
        (tenant, name): (&str, &str),
        needed: GrantRole,
    ) -> Result<Reader, Error> {
        let permission = match needed {
            GrantRole::Reader => Permission::ReadOrder,
            GrantRole::User => Permission::ReadBinding,
        };
        let refused = match self.person(caller, permission, tenant).await {
            Err(refused @ (Error::NotFound { .. } | Error::Forbidden(_))) => refused,
            other => return other.map(|orderer| Reader { orderer, by_grant: false }),
        };
        let (Some(user), Ok(found)) = (caller.user(), self.tenant_by_name(tenant).await) else { return Err(refused) };
        let orderer = self.guest(caller, found).await?;
        let row = self.current_instance(&orderer, &instance_id(tenant, name)).await?;
        match row {
            Some(row) if self.is_granted(&row.id, user, needed).await? => Ok(Reader { orderer, by_grant: true }),
            // That the tenant is there is no business of theirs either.
            _ => Err(refused),
        }
    }

    /// The same for an instance by Bourse's own id, wherever it was ordered, that they were granted: `refused` is why not in another way.
    pub(in crate::app) async fn reader_by_id(
        &self,
        caller: &Caller,
        (tenant, id): (&str, &str),
        refused: Error,
    ) -> Result<(Reader, InstanceRow), Error> {
        let (Some(user), Ok(found)) = (caller.user(), self.tenant_by_name(tenant).await) else { return Err(refused) };
        match self.instance_row(id).await {
            Ok(row) if row.tenant_id == found.id && self.is_granted(&row.id, user, GrantRole::Reader).await? => {
                Ok((Reader { orderer: self.guest(caller, found).await?, by_grant: true }, row))
            }
            _ => Err(refused),
        }
    }

    /// Who looks at what belongs to a tenant that is not theirs.
    async fn guest(&self, caller: &Caller, tenant: Tenant) -> Result<Orderer, Error> {
        let platform = self.builtin_platform().await?;
        Ok(Orderer { platform, broker: None, tenant: Some(tenant), upstream: None, actor: caller.actor() })
    }

    /// Whether somebody sees an instance by a grant and in no other way.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`] where they see it in no way.
    pub(in crate::app) async fn sees_by_grant(&self, sight: &Sight, row: &InstanceRow) -> Result<bool, Error> {
        let Err(refused) = access::check(sight, "instance", &row.id, &thing(row)) else { return Ok(false) };
        match sight.granted() {
            Some(user) if self.is_granted(&row.id, user, GrantRole::Reader).await? => Ok(true),
            _ => Err(refused),
        }
    }

    /// Whether somebody was granted that much of an instance, as things stand now. For whoever decides about a user who is no member of the
    /// instance's tenant.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn is_granted(&self, instance_id: &str, user: &str, needed: GrantRole) -> Result<bool, Error> {
        let (id, user, now) = (instance_id.to_owned(), user.to_owned(), self.clock().now());
        let found = self.db().read(|tx| Box::pin(async move { instance_grants::one(tx, &id, &user).await })).await?;
        Ok(found.is_some_and(|grant| grant.role.allows(needed, grant.expires_at, now)))
    }
}
