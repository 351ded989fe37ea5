//! Members of a tenant, one at a time: by its owners, and by operators. Whoever replaces the whole tenant replaces its members with it
//! ([`super::tenants`]).
//!
//! Invariant: owners leave their tenant at least one owner. Only whoever manages all tenants may take the last one away.

use serde_json::{Value, json};

use super::tenants::{Put, changed};
use super::{App, Error, Issue, access};
use crate::clock::fresh_id;
use crate::domain::caller::Caller;
use crate::domain::period::Zone;
use crate::domain::permission::Sight;
use crate::domain::tenant::{Member, MemberKind, Role, TenantDocument};
use crate::store::{audit, events, tenants};

impl App {
    /// Makes somebody a member of a tenant, or an owner. What they were before they are no more.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Invalid`]; [`Error::Conflict`] where it would leave no owner.
    pub async fn put_member(
        &self,
        caller: &Caller,
        sight: &Sight,
        tenant: &str,
        (kind, name): (MemberKind, &str),
        role: Role,
    ) -> Result<Put, Error> {
        self.set_member(caller, sight, tenant, (kind, name), Some(role)).await
    }

    /// Takes somebody out of a tenant.
    ///
    /// # Errors
    /// As [`App::put_member`]; [`Error::NotFound`] where they are not in it.
    pub async fn delete_member(
        &self,
        caller: &Caller,
        sight: &Sight,
        tenant: &str,
        (kind, name): (MemberKind, &str),
    ) -> Result<(), Error> {
        self.set_member(caller, sight, tenant, (kind, name), None).await.map(drop)
    }

    async fn set_member(
        &self,
        caller: &Caller,
        sight: &Sight,
        tenant: &str,
        (kind, name): (MemberKind, &str),
        role: Option<Role>,
    ) -> Result<Put, Error> {
        let action = if role.is_some() { "tenant.member.put" } else { "tenant.member.delete" };
        let subject = format!("tenants/{tenant}/members/{}/{name}", kind.as_str());
        let audited = self.audit_row(caller, action, subject, json!({}));
        let (change, hub, now) = (fresh_id(), self.config().server.hub.clone(), self.clock().now());
        let zone = Zone::from(self.config().billing.time_zone.clone()).name().to_owned();
        let (wanted, name, sight) = (tenant.to_owned(), name.to_owned(), sight.clone());
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (wanted, name, sight, audited) = (wanted.clone(), name.clone(), sight.clone(), audited.clone());
            let (change, hub, zone) = (change.clone(), hub.clone(), zone.clone());
            Box::pin(async move {
                let found = tenants::lock(tx, &wanted).await?;
                let mut tenant = found.ok_or_else(|| Error::not_found("tenant", &wanted))?.tenant;
                access::check(&sight, "tenant", &wanted, &access::of_tenant(&tenant.id))?;
                let before = tenant.document.clone();
                let was = tenant.document.role_of(kind, &name);
                if role.is_some() && was == role {
                    return Ok(Put::Replaced);
                }
                tenant.document.members.retain(|member| !member.is(kind, &name));
                match role {
                    Some(role) => tenant.document.members.push(Member::new(kind, &name, role)),
                    None if was.is_none() => return Err(Error::not_found("member", &name)),
                    None => {}
                }
                if before.members == tenant.document.members {
                    return Ok(Put::Replaced);
                }
                checked(&wanted, &tenant.document)?;
                if before.has_owner() && !tenant.document.has_owner() && !sight.is_everything() {
                    let message = format!("tenant `{wanted}` would have no owner: make somebody else one first");
                    return Err(Error::conflict("last_owner", message));
                }
                tenants::save(tx, &tenant).await?;
                audit::append(tx, &audited.changed(told(was), told(role))).await?;
                tenants::add_version(tx, &tenant, &zone, now).await?;
                events::append(tx, &hub, &changed(&tenant, &change, "changed", now), now).await?;
                Ok(if was.is_some() { Put::Replaced } else { Put::Created })
            })
        });
        written.await
    }
}

fn checked(name: &str, document: &TenantDocument) -> Result<(), Error> {
    let problems = document.problems(name);
    if problems.is_empty() {
        return Ok(());
    }
    // There is one member in the request, wherever it stands in the tenant.
    let issue = |(_, message)| Issue { pointer: String::new(), message };
    Err(Error::Invalid(problems.into_iter().map(issue).collect()))
}

/// What the audit says of a membership.
fn told(role: Option<Role>) -> Option<Value> {
    role.map(|role| json!({ "role": role }))
}
