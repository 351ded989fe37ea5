//! Rotation by names: a new binding takes over what an older one was asked for with. The older one stays until somebody revokes it, so
//! that whoever uses it has time to change over.

use osb::{BindRequest, Bound, Call, Maybe};

use super::super::people::{PersonalBinding, PersonallyBound, busy, context, instance_id, signed};
use super::super::{App, Error};
use crate::domain::caller::Caller;
use crate::domain::name;
use crate::domain::permission::Permission;

impl App {
    /// Binds anew in the place of a binding.
    ///
    /// # Errors
    /// [`Error::NotFound`]; as [`App::bind`].
    pub async fn rotate_ordered(
        &self,
        caller: &Caller,
        call: &Call,
        (tenant, instance, predecessor): (&str, &str, &str),
        successor: &str,
    ) -> Result<PersonallyBound, Error> {
        if !name::is_name(successor) {
            return Err(Error::invalid("/binding", "the binding's name must be 1 to 63 of a-z, 0-9 and '-'"));
        }
        if successor == predecessor {
            return Err(Error::invalid("/binding", "the new binding needs another name than the old one"));
        }
        let orderer = self.person(caller, Permission::Order, tenant).await?;
        let id = instance_id(tenant, instance);
        let row = self.live(&orderer, &id, instance).await?;
        if self.current_binding(&row, successor).await?.is_some_and(|taken| taken.gone_at.is_none()) {
            let message = format!("a binding `{successor}` exists already; choose another name");
            return Err(Error::invalid("/binding", message));
        }
        let request = BindRequest {
            instance_id: id,
            binding_id: successor.to_owned(),
            accepts_incomplete: true,
            context: Maybe::Present(context(tenant, instance)),
            service_id: Maybe::Present(row.offering_id.clone()),
            plan_id: Maybe::Present(row.plan_id.clone()),
            predecessor_binding_id: Maybe::Present(predecessor.to_owned()),
            ..BindRequest::default()
        };
        let bound = self.bind(&orderer, &signed(call, caller), request).await.map_err(busy)?;
        let binding = self.current_binding(&row, successor).await?;
        let binding = binding.ok_or_else(|| Error::not_found("binding", successor))?;
        Ok(match bound {
            Bound::Created(answer) | Bound::Existed(answer) => {
                PersonallyBound::Ready(Box::new(PersonalBinding { row: binding, answer: Some(answer) }))
            }
            Bound::Accepted(_) => PersonallyBound::Accepted(Box::new(PersonalBinding { row: binding, answer: None })),
        })
    }
}
