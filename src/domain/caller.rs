//! Who calls: decided once from the credential, then handed to each use case. What they may do follows from it alone
//! ([`super::permission`]).

use std::collections::{BTreeMap, BTreeSet};

use super::role::Role;

/// Who calls, as authentication found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The administrator, by user name.
    Admin(String),
    /// A person whom the identity provider knows.
    User(Box<Person>),
    /// A program with a token of its own.
    ServiceAccount(Box<Person>),
    /// A platform, by its id.
    Platform(String),
    /// A broker with a credential of its own, by its id.
    Broker(String),
}

/// Somebody with roles, as they are at the time of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The user's or the service account's name.
    pub name: String,
    /// The groups that the identity provider and this hub know them in.
    pub groups: BTreeSet<String>,
    /// Roles in the hub as a whole.
    pub roles: BTreeSet<Role>,
    /// The brokers that they answer for, ids with names.
    pub provides: BTreeMap<String, String>,
    /// Names of brokers that they answer for as soon as they have registered them.
    pub awaits: BTreeSet<String>,
    /// The tenants that they own, ids with names.
    pub owns: BTreeMap<String, String>,
    /// The tenants that they order for, ids with names.
    pub member_of: BTreeMap<String, String>,
}

impl Person {
    /// Everything they are, each role once.
    pub fn all_roles(&self) -> BTreeSet<Role> {
        let mut roles = self.roles.clone();
        for (there, role) in [
            (!self.provides.is_empty() || !self.awaits.is_empty(), Role::Provider),
            (!self.owns.is_empty(), Role::TenantOwner),
            (!self.member_of.is_empty(), Role::TenantMember),
        ] {
            if there {
                roles.insert(role);
            }
        }
        roles
    }
}

impl Caller {
    /// How audit rows and operations name it. An administrator of the settings and a user of the identity provider who have the same name are
    /// two: nobody keeps a provider from giving somebody any name.
    pub fn actor(&self) -> String {
        match self {
            Self::Admin(name) => format!("administrators/{name}"),
            Self::User(person) => format!("users/{}", person.name),
            Self::ServiceAccount(account) => format!("service-accounts/{}", account.name),
            Self::Platform(id) => format!("platforms/{id}"),
            Self::Broker(id) => format!("brokers/{id}"),
        }
    }

    /// Whether it may do everything.
    pub fn is_administrator(&self) -> bool {
        match self {
            Self::Admin(_) => true,
            Self::User(person) | Self::ServiceAccount(person) => person.roles.contains(&Role::Administrator),
            Self::Platform(_) | Self::Broker(_) => false,
        }
    }

    /// The user's name, of people only.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Admin(name) => Some(name),
            Self::User(person) => Some(&person.name),
            Self::ServiceAccount(_) | Self::Platform(_) | Self::Broker(_) => None,
        }
    }

    /// Whether they answer for that broker, by its id.
    pub fn provides(&self, broker_id: &str) -> bool {
        self.person().is_some_and(|person| person.provides.contains_key(broker_id))
    }

    /// Who it is, where roles say what they may do.
    pub fn person(&self) -> Option<&Person> {
        match self {
            Self::User(person) | Self::ServiceAccount(person) => Some(person),
            Self::Admin(_) | Self::Platform(_) | Self::Broker(_) => None,
        }
    }
}

/// The name of the person whom an actor is; `None` where it is none.
pub fn person_of(actor: &str) -> Option<&str> {
    actor.strip_prefix("users/").or_else(|| actor.strip_prefix("administrators/"))
}
