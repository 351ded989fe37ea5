//! Whom a call is for: hands a broker the tenant of a verified stamp, and nothing that a caller made up.
//!
//! It deliberately knows no offering. Invariant: behind it, `context.bourse` is there only where a stamp was verified, and
//! holds what the stamp says.

use osb::{Maybe, Object};

/// Who a resource is for, as a verified stamp said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The tenant's id, which never changes.
    pub id: String,
    /// The tenant's name.
    pub name: String,
}

/// The tenant of a request behind [`Stamped`].
pub fn tenant_of(context: &Maybe<Object>) -> Option<Tenant> {
    let tenant = context.as_option()?.get("bourse")?.get("tenant")?;
    let text = |name: &str| tenant.get(name)?.as_str().map(str::to_owned);
    Some(Tenant { id: text("id").filter(|id| !id.is_empty())?, name: text("name").unwrap_or_default() })
}
