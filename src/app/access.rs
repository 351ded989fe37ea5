//! What a caller may do with one thing: what is out of sight is not found, what is seen and may not be done is forbidden. Lists are
//! narrowed where they are read, in `store`.

use super::{App, Error};
use crate::domain::caller::Caller;
use crate::domain::permission::{Access, Permission, Sight, Thing};

/// Whether the thing of that name may be done with what the sight is of.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`].
pub(in crate::app) fn check(sight: &Sight, what: &'static str, name: &str, thing: &Thing<'_>) -> Result<(), Error> {
    match sight.of(thing) {
        Access::Allowed => Ok(()),
        Access::Forbidden => Err(Error::Forbidden(format!("you may see {what} `{name}`, and no more"))),
        Access::Hidden => Err(Error::not_found(what, name)),
    }
}

/// What a caller may reach by a permission.
///
/// # Errors
/// [`Error::Forbidden`] where it is not theirs at all.
pub(in crate::app) fn sight(permission: Permission, caller: &Caller) -> Result<Sight, Error> {
    permission.sight(caller).ok_or_else(|| Error::Forbidden(permission.refusal()))
}

/// A thing of a tenant.
pub(in crate::app) fn of_tenant(tenant_id: &str) -> Thing<'_> {
    Thing { tenant: Some(tenant_id), ..Thing::default() }
}

impl App {
    /// The id of a tenant, by its name or id, deleted or not, that is in sight.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn tenant_in_sight(&self, sight: &Sight, tenant: &str) -> Result<String, Error> {
        let id = self.feed_tenant(tenant).await?;
        check(sight, "tenant", tenant, &of_tenant(&id))?;
        Ok(id)
    }
}
