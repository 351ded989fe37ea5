//! Service accounts: make them, list and delete them, give them another token, and find out whose a token is. A token is given out
//! once; its hash is kept.

use serde_json::{Value, json};

use super::{ROLES_MAX, with_grants};
use crate::app::{App, Error, Issue, Listed, Page};
use crate::domain::caller::{Caller, Person};
use crate::domain::name::{RULE, is_name};
use crate::domain::role::{Grant, Role};
use crate::secret::{self, Secret};
use crate::store::service_accounts::{self, AccountRow};
use crate::store::{Tx, audit, tenants};

pub use crate::store::service_accounts::AccountRow as AccountView;

/// What a service account's token begins with, so that it is known for one where it turns up.
pub(in crate::app) const TOKEN_PREFIX: &str = "bourse_sa_";

/// A service account to be.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Immutable.
    pub name: String,
    /// What it shall be, as grants.
    pub roles: Vec<String>,
}

/// A service account whose token was just made. The token is not kept.
#[derive(Clone, Debug)]
pub struct Made {
    /// The account.
    pub account: AccountView,
    /// Given out once.
    pub token: Secret<String>,
}

/// What the audit says of a service account.
fn told(row: &AccountRow) -> Value {
    json!({"roles": row.roles, "token_at": row.token_at})
}

impl App {
    /// Makes a service account.
    ///
    /// # Errors
    /// [`Error::Invalid`], also where a role names a tenant that is not there; [`Error::Conflict`] where the name is taken.
    pub async fn create_service_account(&self, caller: &Caller, new: NewAccount) -> Result<Made, Error> {
        let grants = check(&new)?;
        let token = new_token()?;
        let hash = secret::hash_password(token.expose());
        let (now, created_by) = (self.clock().now(), caller.actor());
        let row = AccountRow { name: new.name, roles: new.roles, created_by, created_at: now, token_at: now };
        let subject = format!("service-accounts/{}", row.name);
        let audited =
            self.audit_row(caller, "service_account.create", subject, json!({})).changed(None, Some(told(&row)));
        let account = row.clone();
        let made = self.db().write::<_, Error, _>(move |tx| {
            let (row, hash, grants, audited) = (row.clone(), hash.clone(), grants.clone(), audited.clone());
            Box::pin(async move {
                exist(tx, &grants).await?;
                if !service_accounts::insert(tx, &row, &hash).await? {
                    let message = format!("there is a service account `{}` already", row.name);
                    return Err(Error::conflict("name_taken", message));
                }
                Ok(audit::append(tx, &audited).await?)
            })
        });
        made.await?;
        Ok(Made { account, token })
    }

    /// Service accounts by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn service_accounts(&self, page: &Page) -> Result<Listed<AccountView>, Error> {
        let (after, rows) = (page.after.clone(), page.rows());
        let rows = self.db().read(|tx| Box::pin(async move { service_accounts::list(tx, &after, rows).await })).await?;
        Ok(page.cut(rows, |row| row.name.clone()))
    }

    /// The service account of a name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn service_account(&self, name: &str) -> Result<AccountView, Error> {
        let key = name.to_owned();
        let row = self.db().read(|tx| Box::pin(async move { service_accounts::by_name(tx, &key).await })).await?;
        row.ok_or_else(|| Error::not_found("service account", name))
    }

    /// Gives a service account another token. The one before works no more.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn renew_service_account(&self, caller: &Caller, name: &str) -> Result<Made, Error> {
        let token = new_token()?;
        let (hash, now) = (secret::hash_password(token.expose()), self.clock().now());
        let audited = self.audit_row(caller, "service_account.token", format!("service-accounts/{name}"), json!({}));
        let name = name.to_owned();
        let account = self.db().write::<_, Error, _>(move |tx| {
            let (name, hash, audited) = (name.clone(), hash.clone(), audited.clone());
            Box::pin(async move {
                let before = service_accounts::by_name(tx, &name).await?;
                if !service_accounts::renew(tx, &name, &hash, now).await? {
                    return Err(Error::not_found("service account", name));
                }
                let row = service_accounts::by_name(tx, &name).await?;
                let row = row.ok_or_else(|| Error::not_found("service account", name))?;
                audit::append(tx, &audited.changed(before.as_ref().map(told), Some(told(&row)))).await?;
                Ok(row)
            })
        });
        Ok(Made { account: account.await?, token })
    }

    /// Deletes a service account. Its token works no more.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_service_account(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let audited = self.audit_row(caller, "service_account.delete", format!("service-accounts/{name}"), json!({}));
        let name = name.to_owned();
        let deleted = self.db().write::<_, Error, _>(move |tx| {
            let (name, audited) = (name.clone(), audited.clone());
            Box::pin(async move {
                let before = service_accounts::by_name(tx, &name).await?;
                if !service_accounts::delete(tx, &name).await? {
                    return Err(Error::not_found("service account", name));
                }
                Ok(audit::append(tx, &audited.changed(before.as_ref().map(told), None)).await?)
            })
        });
        deleted.await
    }

    /// The service account that has this token, with what it is now.
    ///
    /// # Errors
    /// [`Error::BadToken`] where none has.
    pub(in crate::app) async fn account_of(&self, token: &str) -> Result<Caller, Error> {
        let hash = secret::hash_password(token);
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let unknown = || Error::BadToken("no service account has this token".to_owned());
                let row = service_accounts::by_token(tx, &hash).await?.ok_or_else(unknown)?;
                let grants: Vec<Grant> = row.roles.iter().filter_map(|role| role.parse().ok()).collect();
                with_grants(tx, Person { name: row.name, ..Person::default() }, grants, Some(row.created_at)).await
            })
        });
        Ok(Caller::ServiceAccount(Box::new(read.await?)))
    }
}

fn new_token() -> Result<Secret<String>, Error> {
    let random = secret::generate_password()?;
    Ok(Secret::new(format!("{TOKEN_PREFIX}{}", random.expose())))
}

fn check(new: &NewAccount) -> Result<Vec<Grant>, Error> {
    let mut issues = Vec::new();
    if !is_name(&new.name) {
        issues.push(Issue { pointer: "/name".to_owned(), message: RULE.to_owned() });
    }
    if new.roles.is_empty() || new.roles.len() > ROLES_MAX {
        issues.push(Issue { pointer: "/roles".to_owned(), message: format!("must be 1 to {ROLES_MAX}") });
    }
    let mut grants = Vec::new();
    for (index, role) in new.roles.iter().enumerate() {
        match role.parse() {
            Ok(grant) => grants.push(grant),
            Err(error) => {
                issues.push(Issue {
                    pointer: format!("/roles/{index}"),
                    message: crate::domain::role::Error::to_string(&error),
                });
            }
        }
    }
    if issues.is_empty() { Ok(grants) } else { Err(Error::Invalid(issues)) }
}

/// A slip of the pen in a name would give a role that nobody sees has no effect. A broker may come later: whoever is to answer for it
/// registers it.
async fn exist(tx: &mut Tx<'_>, grants: &[Grant]) -> Result<(), Error> {
    for (index, Grant { role, of }) in grants.iter().enumerate() {
        let there = match role {
            Role::TenantOwner | Role::TenantMember => tenants::by_name(tx, of).await?.is_some(),
            _ => true,
        };
        if !there {
            return Err(Error::invalid(format!("/roles/{index}"), format!("there is no tenant `{of}`")));
        }
    }
    Ok(())
}
