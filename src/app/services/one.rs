//! All that one page tells of a service: the instance, by the name that it was ordered by or by its id, be it only a memory; what was done
//! to it, asked and said; its bindings; whom it hangs together with; and whom it is shared with.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::super::grants::Reader;
use super::super::instances::InstanceView;
use super::super::people::instance_id;
use super::super::prices::PlanPrice;
use super::super::references;
use super::super::{App, Error, access, grants::GrantView, sealed};
use super::live;
use super::money::MonthOfOne;
use crate::domain::caller::Caller;
use crate::domain::catalog::PlanEntry;
use crate::domain::grant::GrantRole;
use crate::domain::instance::{BindingState, InstanceAttributes};
use crate::domain::permission::{Access, Permission};
use crate::store::approvals::ApprovalRow;
use crate::store::bindings::BindingRow;
use crate::store::instances::InstanceRow;
use crate::store::operations::OperationRow;
use crate::store::services::{self, Told};
use crate::store::{bindings, instance_grants};

/// Operations, approvals, bindings and events that one page tells.
const OPERATIONS_MAX: i64 = 100;
const APPROVALS_MAX: i64 = 100;
const BINDINGS_MAX: i64 = 200;
const EVENTS_MAX: i64 = 50;
const GRANTS_MAX: i64 = 100;

/// A service as whoever looks at its page may see it.
#[derive(Clone, Debug)]
pub struct Service {
    /// The instance.
    pub instance: InstanceView,
    /// Its plan; none where its broker is gone for good.
    pub plan: Option<Arc<PlanEntry>>,
    /// Whether it was ordered here, by name, and not at a platform.
    pub by_name: bool,
    /// Whether they see it because it was shared with them, and nothing else of its tenant.
    pub shared: bool,
    /// Whether they may change and delete it, bind to it and get at credentials.
    pub may_order: bool,
    /// Whether they get at the credentials of its bindings.
    pub may_use: bool,
    /// Whether they may grant colleagues access to it.
    pub may_share: bool,
    /// What its plan costs now.
    pub price: Option<PlanPrice>,
    /// The latest operations on it and its bindings, the newest first.
    pub operations: Vec<OperationRow>,
    /// The latest approvals, the newest first.
    pub approvals: Vec<ApprovalRow>,
    /// What its bindings' names mean now, the newest first.
    pub bindings: Vec<BindingRow>,
    /// The parameters as they were ordered; none for who does not order here.
    pub parameters: Option<osb::Object>,
    /// What it refers to: where in the parameters, and what.
    pub references: Vec<(String, Linked)>,
    /// Who refers to it.
    pub dependents: Vec<Linked>,
    /// Whom it is shared with; none for who neither orders nor shares here.
    pub grants: Option<Vec<GrantView>>,
    /// The latest of what was told about it.
    pub events: Vec<Told>,
    /// What it costs this month; none for who may not see it.
    pub money: Option<MonthOfOne>,
    /// What changes when it does: [`App::follow`] tells.
    pub seen: String,
}

/// Another service, for a link to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// What it is called.
    pub name: String,
    /// The tenant's name.
    pub tenant: String,
    /// What its page is called by: the name that it was ordered by, else its id.
    pub key: String,
}

/// A binding as it is told without its credentials.
#[derive(Clone, Debug)]
pub struct ServiceBinding {
    /// The binding.
    pub row: BindingRow,
    /// Until when its credentials work, as far as that is still known.
    pub expires_at: Option<String>,
    /// From when on they should be renewed.
    pub renew_before: Option<String>,
    /// The name of the binding that it took the place of.
    pub instead_of: Option<String>,
}

impl App {
    /// One service and all that is told of it. `key` is its name, or Bourse's id.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not theirs to see.
    pub async fn service(&self, caller: &Caller, tenant: &str, key: &str) -> Result<Service, Error> {
        let (Reader { orderer, by_grant }, row) = self.looked_at(caller, tenant, key).await?;
        let id = row.id.clone();
        let (operations, mut approvals, bindings, relations, grants, mut events, mark) = self
            .db()
            .read::<_, Error, _>(|tx| {
                Box::pin(async move {
                    Ok((
                        services::operations_of(tx, &id, OPERATIONS_MAX).await?,
                        services::approvals_of(tx, &id, APPROVALS_MAX).await?,
                        services::bindings_of(tx, &id, BINDINGS_MAX).await?,
                        references::relations(tx, &id).await?,
                        instance_grants::of_instance(tx, &id, "", GRANTS_MAX).await?,
                        services::events_of(tx, &id, EVENTS_MAX).await?,
                        services::mark(tx, &id).await?.unwrap_or_default(),
                    ))
                })
            })
            .await?;
        let sight = Permission::SeeOrders.sight(caller).filter(|_| !by_grant);
        let relations = sight.map_or_else(Default::default, |sight| relations.in_sight(&sight));
        let thing = access::of_tenant(&row.tenant_id);
        if Permission::SeeApprovals.sight(caller).is_none_or(|sight| sight.of(&thing) != Access::Allowed) {
            approvals.clear();
        }
        if by_grant {
            // Whoever was granted this one instance learns nothing of its tenant.
            (approvals, events) = (Vec::new(), Vec::new());
        }
        let (may_order, may_use) = self.may(caller, &row).await?;
        let shares = Permission::ShareInstances.sight(caller);
        let may_share = shares.is_some_and(|sight| sight.of(&super::super::instances::thing(&row)) == Access::Allowed);
        let parameters = match may_order {
            true => {
                let attributes: InstanceAttributes =
                    self.open(&sealed::instance_attributes(&row.id), &row.attributes)?;
                Some(attributes.ordered().clone())
            }
            false => None,
        };
        let ids = relations.references.iter().map(|(_, other)| other).chain(&relations.dependents);
        let mut links = self.linked(ids.map(|other| other.id.clone()).collect()).await?;
        let mut link = |other: &references::Other| links.remove(&other.id).unwrap_or_else(|| unlinked(other, tenant));
        let dependents = relations.dependents.iter().map(&mut link).collect();
        let references = relations.references.iter().map(|(place, other)| (place.clone(), link(other))).collect();
        let money = match Permission::SeeCosts.sight(caller) {
            Some(sight) if sight.of(&super::super::instances::thing(&row)) == Access::Allowed => {
                Some(self.month_of_one(&row.tenant_id, &row.id).await?)
            }
            _ => None,
        };
        Ok(Service {
            plan: self.plan_of(&row).await.ok(),
            by_name: row.platform_id == orderer.platform.id,
            shared: by_grant,
            may_order,
            may_use,
            may_share,
            price: self.plan_price(&row.plan_id).await?,
            operations,
            approvals,
            bindings,
            parameters,
            references,
            dependents,
            grants: (may_order || may_share).then_some(grants),
            events,
            money,
            seen: live::digest(&mark),
            instance: self.instance_view(row).await?,
        })
    }

    /// The instance that is looked at, with the one who looks: by the name that it was ordered by, or by Bourse's own id.
    pub(in crate::app) async fn looked_at(
        &self,
        caller: &Caller,
        tenant: &str,
        key: &str,
    ) -> Result<(Reader, InstanceRow), Error> {
        let by_name = self.reader(caller, (tenant, key), GrantRole::Reader).await;
        if let Ok(reader) = &by_name
            && let Some(row) = self.current_instance(&reader.orderer, &instance_id(tenant, key)).await?
        {
            return Ok((by_name?, row));
        }
        let missing = || Error::not_found("instance", key);
        if uuid::Uuid::parse_str(key).is_err() {
            return Err(by_name.err().unwrap_or_else(missing));
        }
        let reader = match by_name {
            Ok(reader) => reader,
            Err(refused @ (Error::NotFound { .. } | Error::Forbidden(_))) => {
                return self.reader_by_id(caller, (tenant, key), refused).await;
            }
            Err(other) => return Err(other),
        };
        let (id, tenant_id) = (key.to_owned(), reader.orderer.tenant.as_ref().map(|tenant| tenant.id.clone()));
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move { Ok(services::of_tenant(tx, &id, &tenant_id.unwrap_or_default()).await?) })
        });
        let row = read.await?.ok_or_else(missing)?;
        Ok((reader, row))
    }

    /// Whether somebody orders for the tenant of an instance, and whether they get at its credentials.
    async fn may(&self, caller: &Caller, row: &InstanceRow) -> Result<(bool, bool), Error> {
        let thing = access::of_tenant(&row.tenant_id);
        let orders = Permission::Order.sight(caller).is_some_and(|sight| sight.of(&thing) == Access::Allowed);
        let granted = match caller.user() {
            Some(user) if !orders => self.is_granted(&row.id, user, GrantRole::User).await?,
            _ => false,
        };
        Ok((orders, orders || granted))
    }

    /// One binding by names, without its credentials; one that is gone, too, while its name means no other.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn service_binding(
        &self,
        caller: &Caller,
        (tenant, key, binding): (&str, &str, &str),
    ) -> Result<ServiceBinding, Error> {
        let (_, instance) = self.looked_at(caller, tenant, key).await?;
        let (id, name) = (instance.id.clone(), binding.to_owned());
        let read =
            self.db().read::<_, Error, _>(|tx| Box::pin(async move { Ok(bindings::current(tx, &id, &name).await?) }));
        let row = read.await?.ok_or_else(|| Error::not_found("binding", binding))?;
        let attributes: crate::domain::instance::BindingAttributes =
            self.open(&sealed::binding_attributes(&row.id), &row.attributes)?;
        // Of what is kept of the answer, no more than this leaves the use case.
        let answer: Value = match (&row.answer, row.state) {
            (Some(answer), BindingState::Ready) => self.open(&sealed::binding_answer(&row.id), answer)?,
            _ => Value::Null,
        };
        let date = |place: &str| answer.pointer(place).and_then(Value::as_str).map(str::to_owned);
        let (expires_at, renew_before) = (date("/metadata/expires_at"), date("/metadata/renew_before"));
        Ok(ServiceBinding { row, expires_at, renew_before, instead_of: attributes.predecessor_binding_id })
    }

    async fn linked(&self, ids: Vec<String>) -> Result<HashMap<String, Linked>, Error> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let builtin = self.builtin_platform().await?.id;
        let rows = self.db().read(|tx| Box::pin(async move { services::called(tx, &ids).await })).await?;
        let link = |row: services::Called| {
            let by_name = row.current && row.platform_id == builtin;
            let key = row.name.clone().filter(|_| by_name).unwrap_or_else(|| row.id.clone());
            (row.id.clone(), Linked { name: row.name.unwrap_or(row.id), tenant: row.tenant, key })
        };
        Ok(rows.into_iter().map(link).collect())
    }
}

fn unlinked(other: &references::Other, tenant: &str) -> Linked {
    let name = other.name.clone().unwrap_or_else(|| other.id.clone());
    Linked { name, tenant: tenant.to_owned(), key: other.id.clone() }
}
