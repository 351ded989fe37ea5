//! Roles: what somebody is to the hub, to a broker or to a tenant; and [`Grant`], a role as settings and service accounts name it.
//! What each role may do is in [`super::permission`].

use std::fmt;
use std::str::FromStr;

use super::name::is_name;

/// What somebody is. A person may have several roles; what they may do adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May do everything.
    Administrator,
    /// Runs the hub: brokers, platforms, tenants, instances, operations.
    Operator,
    /// Prices, costs, statements, budgets.
    Finance,
    /// Answers for a broker.
    Provider,
    /// Answers for a tenant.
    TenantOwner,
    /// Orders for a tenant.
    TenantMember,
    /// Says yes or no to orders.
    Approver,
    /// Reads everything, changes nothing.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Administrator,
        Self::Operator,
        Self::Finance,
        Self::Provider,
        Self::TenantOwner,
        Self::TenantMember,
        Self::Approver,
        Self::Auditor,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Operator => "operator",
            Self::Finance => "finance",
            Self::Provider => "provider",
            Self::TenantOwner => "tenant-owner",
            Self::TenantMember => "tenant-member",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
        }
    }

    /// What it is a role in, where that isn't the hub as a whole.
    fn of(self) -> Option<&'static str> {
        match self {
            Self::Provider => Some("broker"),
            Self::TenantOwner | Self::TenantMember => Some("tenant"),
            _ => None,
        }
    }
}

/// A role, and of which broker or tenant: `operator`, `provider:NAME`, `tenant-owner:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The broker's or tenant's name, of roles that have one; else empty.
    pub of: String,
}

/// Why a text is no grant.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such word.
    #[error(
        "`{0}` is no role: there are administrator, operator, finance, approver, auditor, provider:BROKER, tenant-owner:TENANT, tenant-member:TENANT"
    )]
    Unknown(String),
    /// Of what?
    #[error("say of which {of}: `{role}:NAME`")]
    OfWhat {
        /// The role's word.
        role: &'static str,
        /// `broker` or `tenant`.
        of: &'static str,
    },
    /// It has no name behind it.
    #[error("`{0}` is a role in the hub as a whole: it takes no name")]
    OfNothing(&'static str),
}

impl FromStr for Grant {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (word, of) = text.split_once(':').map_or((text, None), |(word, of)| (word, Some(of)));
        let role = Role::ALL.into_iter().find(|role| role.as_str() == word);
        let role = role.ok_or_else(|| Error::Unknown(text.to_owned()))?;
        match (role.of(), of) {
            (None, None) => Ok(Self { role, of: String::new() }),
            (Some(_), Some(name)) if is_name(name) => Ok(Self { role, of: name.to_owned() }),
            (Some(of), _) => Err(Error::OfWhat { role: role.as_str(), of }),
            (None, Some(_)) => Err(Error::OfNothing(role.as_str())),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.role.as_str())?;
        if self.of.is_empty() { Ok(()) } else { write!(f, ":{}", self.of) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_read_back_and_says_what_it_is_of() {
        for role in Role::ALL {
            let text = role.of().map_or(role.as_str().to_owned(), |_| format!("{}:some-name", role.as_str()));
            assert_eq!(text.parse::<Grant>().map(|grant| grant.to_string()), Ok(text.clone()));
        }
        for bad in ["", "admin", "Operator", "operator:x", "provider", "provider:", "tenant-owner:A", "operator "] {
            assert!(bad.parse::<Grant>().is_err(), "{bad}");
        }
    }
}
