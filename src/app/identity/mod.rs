//! Identity: who people and programs are, and what they are to the hub, to brokers and to tenants at the moment of a request. Tokens
//! of the identity provider ([`provider`], [`jose`]), service accounts ([`accounts`]), and what this hub knows of users ([`users`]).
//!
//! Nothing of it is kept between requests but the identity provider's public keys: whoever is taken out of a tenant, or loses a
//! token, is out at once, in all processes.

mod accounts;
mod code;
mod jose;
mod provider;
mod users;

use std::collections::BTreeSet;
use std::time::Duration;

use super::{App, Error};
use crate::clock::Time;
use crate::domain::caller::{Caller, Person};
use crate::domain::role::{Grant, Role};
use crate::domain::tenant;
use crate::domain::token::{Bearer, GROUPS_MAX};
use crate::store;
use crate::store::{brokers, members, tenants};

pub(in crate::app) use provider::Provider;

pub use accounts::{AccountView, Made, NewAccount};
pub use users::{PlatformIdentity, UserDocument, UserView};

/// How long the identity provider may take over one login: where it is and its keys, and a token for a code.
pub(in crate::app) const ASKED_WITHIN: Duration =
    Duration::from_secs(2 * provider::ANSWER_WITHIN.as_secs() + code::ANSWER_WITHIN.as_secs());
/// Bytes of a bearer token.
const TOKEN_MAX: usize = 16 * 1024;
/// Roles that one service account, or one entry of the settings, may name.
pub const ROLES_MAX: usize = 100;

impl App {
    /// Who has this bearer token.
    ///
    /// # Errors
    /// [`Error::BadToken`] where it is not accepted, with the reason.
    pub async fn authenticate_bearer(&self, token: &str) -> Result<Caller, Error> {
        let attempt = self.try_login().await?;
        let found = self.bearer(token).await;
        // Whose key nobody knows yet may be made up: whoever waits as they are told to has it counted once.
        if matches!(found, Err(Error::BadToken(_) | Error::NotYet(_))) {
            self.note_failed_login(None);
            attempt.failed();
        }
        found
    }

    async fn bearer(&self, token: &str) -> Result<Caller, Error> {
        if token.len() > TOKEN_MAX {
            return Err(Error::BadToken(format!("the token is longer than {TOKEN_MAX} bytes")));
        }
        if token.starts_with(accounts::TOKEN_PREFIX) {
            return self.account_of(token).await;
        }
        let settings = &self.config().oidc;
        if !settings.is_on() {
            let message = "this hub knows no identity provider, and no service account has this token";
            return Err(Error::BadToken(message.to_owned()));
        }
        let Bearer { name, groups } =
            self.inner.provider.bearer(settings, self.outgoing(), token, self.clock()).await?;
        Ok(Caller::User(Box::new(self.user(name, groups).await?)))
    }

    /// A user with what they are now: the roles that the settings give them and their groups, and the tenants that they are in.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn user(&self, name: String, mut groups: BTreeSet<String>) -> Result<Person, Error> {
        let settings = self.config().auth.grants.clone();
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                if let Some(known) = store::users::by_name(tx, &name).await? {
                    groups.extend(known.groups);
                }
                let granted = settings.iter().filter(|grant| {
                    grant.user.as_ref() == Some(&name)
                        || grant.group.as_ref().is_some_and(|group| groups.contains(group))
                });
                let roles = granted.flat_map(|grant| &grant.roles);
                let grants: BTreeSet<Grant> = roles.filter_map(|role| role.parse().ok()).collect();
                let listed: Vec<String> = groups.iter().take(2 * GROUPS_MAX).cloned().collect();
                let memberships = members::of(tx, &name, &listed).await?;
                let mut person = with_grants(tx, Person { name, groups, ..Person::default() }, grants, None).await?;
                for membership in memberships {
                    let tenants = match membership.role {
                        tenant::Role::Owner => &mut person.owns,
                        tenant::Role::Member => &mut person.member_of,
                    };
                    tenants.insert(membership.tenant_id, membership.tenant);
                }
                Ok(person)
            })
        });
        read.await
    }
}

/// What is wrong with the roles of the settings; `None` where each is one.
pub fn unknown_role(settings: &crate::config::Auth) -> Option<String> {
    let roles = settings.grants.iter().flat_map(|grant| &grant.roles);
    roles.map(|role| role.parse::<Grant>()).find_map(Result::err).map(|error| error.to_string())
}

/// Somebody with these roles. One of a tenant that is not there gives nothing; nor does one that came after the roles were
/// given, where that is known: it has the name of another. Of a broker that is not there, it is the right to register it.
async fn with_grants(
    tx: &mut store::Tx<'_>,
    mut person: Person,
    grants: impl IntoIterator<Item = Grant>,
    given_at: Option<Time>,
) -> Result<Person, Error> {
    let actor = match given_at {
        Some(_) => format!("service-accounts/{}", person.name),
        None => format!("users/{}", person.name),
    };
    for Grant { role, of } in grants {
        let found = match role {
            Role::Provider => brokers::by_name(tx, &of).await?.map(|row| {
                // What one has registered is not another that has its name.
                let own = row.provider.as_ref() == Some(&actor);
                (row.id, (!own).then_some(row.created_at))
            }),
            Role::TenantOwner | Role::TenantMember => {
                tenants::by_name(tx, &of).await?.map(|row| (row.tenant.id, Some(row.created_at)))
            }
            role => {
                person.roles.insert(role);
                continue;
            }
        };
        let those = match role {
            Role::Provider => &mut person.provides,
            Role::TenantOwner => &mut person.owns,
            _ => &mut person.member_of,
        };
        match found {
            Some((id, since)) if given_at.is_none_or(|given_at| since.is_none_or(|since| since <= given_at)) => {
                those.insert(id, of);
            }
            None if role == Role::Provider => drop(person.awaits.insert(of)),
            _ => {}
        }
    }
    Ok(person)
}
