//! What this hub knows of users besides what their identity provider says: groups of its own, and what platforms call them. A user
//! need not be known here to call.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::tenants::Put;
use crate::app::{App, Error, Issue, Listed, Page};
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::domain::tenant::VALUE_MAX;
use crate::domain::token::GROUPS_MAX;
use crate::store::users::{self, UserRow};
use crate::store::{Tx, audit, platforms};

/// Names of one user on platforms.
const IDENTITIES_MAX: usize = 100;

/// What a platform calls somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformIdentity {
    /// The platform's name.
    pub platform: String,
    /// The user there, as the originating identity has it: `user_name`, `username`, `user_id` or `uid`, the first that it has.
    pub user: String,
}

/// What is said about a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserDocument)]
pub struct UserDocument {
    /// What platforms call them. One name on a platform is one user's only.
    #[serde(default)]
    pub platform_identities: Vec<PlatformIdentity>,
    /// Groups besides those that the identity provider says.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A user as people see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserView {
    /// As the identity provider names them.
    pub name: String,
    /// What is said about them.
    pub document: UserDocument,
    /// Since when.
    pub created_at: Time,
}

impl App {
    /// Creates or replaces what is known of a user.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::Conflict`] where a platform calls somebody else so.
    pub async fn put_user(
        &self,
        caller: &Caller,
        name: &str,
        mut document: UserDocument,
    ) -> Result<(Put, UserView), Error> {
        check(name, &document)?;
        document.platform_identities.sort();
        document.platform_identities.dedup();
        let now = self.clock().now();
        let audited = self.audit_row(caller, "user.put", format!("users/{name}"), json!({}));
        let name = name.to_owned();
        let put = self.db().write::<_, Error, _>(move |tx| {
            let (name, document, audited) = (name.clone(), document.clone(), audited.clone());
            Box::pin(async move {
                let before = document_of(tx, &name).await?;
                let (is_new, row) = users::put(tx, &name, &document.groups, now).await?;
                users::forget_identities(tx, &name).await?;
                for (index, identity) in document.platform_identities.iter().enumerate() {
                    take(tx, &name, index, identity).await?;
                }
                audit::append(tx, &audited.changed(before, Some(json!(document)))).await?;
                let put = if is_new { Put::Created } else { Put::Replaced };
                Ok((put, UserView { name, document, created_at: row.created_at }))
            })
        });
        put.await
    }

    /// What is known of a user.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn known_user(&self, name: &str) -> Result<UserView, Error> {
        let name = name.to_owned();
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let found = users::by_name(tx, &name).await?;
                let mut found = with_identities(tx, found.into_iter().collect()).await?;
                found.pop().ok_or_else(|| Error::not_found("user", name))
            })
        });
        read.await
    }

    /// Users by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn known_users(&self, page: &Page) -> Result<Listed<UserView>, Error> {
        let page = page.clone();
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let rows = users::list(tx, &page.after, page.rows()).await?;
                let rows = page.cut(rows, |row| row.name.clone());
                Ok(Listed { items: with_identities(tx, rows.items).await?, next: rows.next })
            })
        });
        read.await
    }

    /// Forgets what is known of a user. What they may do by their token stays.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_user(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let audited = self.audit_row(caller, "user.delete", format!("users/{name}"), json!({}));
        let name = name.to_owned();
        let deleted = self.db().write::<_, Error, _>(move |tx| {
            let (name, audited) = (name.clone(), audited.clone());
            Box::pin(async move {
                let before = document_of(tx, &name).await?;
                users::forget_identities(tx, &name).await?;
                if !users::delete(tx, &name).await? {
                    return Err(Error::not_found("user", name));
                }
                Ok(audit::append(tx, &audited.changed(before, None)).await?)
            })
        });
        deleted.await
    }

    /// The user whom a platform calls so, where one is known.
    pub(in crate::app) async fn user_on_platform(
        &self,
        platform_id: &str,
        user: &str,
    ) -> Result<Option<String>, Error> {
        let (platform_id, user) = (platform_id.to_owned(), user.to_owned());
        let read = self.db().read(|tx| Box::pin(async move { users::who(tx, &platform_id, &user).await }));
        Ok(read.await?)
    }
}

fn check(name: &str, document: &UserDocument) -> Result<(), Error> {
    let mut issues = Vec::new();
    let mut say = |pointer: String, message: String| issues.push(Issue { pointer, message });
    let plain = |text: &str| {
        !text.trim().is_empty() && text.chars().count() <= VALUE_MAX && !text.chars().any(char::is_control)
    };
    let rule = format!("must have 1 to {VALUE_MAX} characters, none of them a control character");
    if !plain(name) {
        say(String::new(), format!("a user's name {rule}"));
    }
    if document.groups.len() > GROUPS_MAX {
        say("/groups".to_owned(), format!("may be at most {GROUPS_MAX}"));
    }
    for (index, _) in document.groups.iter().enumerate().filter(|(_, group)| !plain(group)) {
        say(format!("/groups/{index}"), rule.clone());
    }
    if document.platform_identities.len() > IDENTITIES_MAX {
        say("/platform_identities".to_owned(), format!("may be at most {IDENTITIES_MAX}"));
    }
    for (index, _) in document.platform_identities.iter().enumerate().filter(|(_, identity)| !plain(&identity.user)) {
        say(format!("/platform_identities/{index}/user"), rule.clone());
    }
    if issues.is_empty() { Ok(()) } else { Err(Error::Invalid(issues)) }
}

async fn take(tx: &mut Tx<'_>, name: &str, index: usize, identity: &PlatformIdentity) -> Result<(), Error> {
    // Locked, so that the platform is not deleted between this look and the commit.
    let id = platforms::lock(tx, &identity.platform).await?.ok_or_else(|| {
        let message = format!("platform `{}` does not exist", identity.platform);
        Error::invalid(format!("/platform_identities/{index}/platform"), message)
    })?;
    if users::add_identity(tx, &id, &identity.user, name).await? {
        return Ok(());
    }
    let other = users::who(tx, &id, &identity.user).await?.unwrap_or_default();
    let message = format!("identity {index} is that of user `{other}`");
    Err(Error::conflict("identity_taken", message))
}

/// What was said of a user so far.
async fn document_of(tx: &mut Tx<'_>, name: &str) -> Result<Option<Value>, Error> {
    let found = users::by_name(tx, name).await?;
    let found = with_identities(tx, found.into_iter().collect()).await?;
    Ok(found.first().map(|user| json!(user.document)))
}

async fn with_identities(tx: &mut Tx<'_>, rows: Vec<UserRow>) -> Result<Vec<UserView>, Error> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let identities = users::identities(tx, &first.name, &last.name).await?;
    let view = |row: UserRow| {
        let own = identities.iter().filter(|(name, ..)| *name == row.name);
        let platform_identities = own
            .map(|(_, platform, user)| PlatformIdentity { platform: platform.clone(), user: user.clone() })
            .collect();
        let document = UserDocument { platform_identities, groups: row.groups };
        UserView { name: row.name, document, created_at: row.created_at }
    };
    Ok(rows.into_iter().map(view).collect())
}
