//! Orders by people, by names: the same use cases as a platform's, through the built-in platform `bourse`, for a tenant that
//! is named instead of inferred.

use osb::{
    BindRequest, Bound, Call, DeprovisionRequest, Deprovisioned, Maybe, Object, ProvisionRequest, Provisioned,
    UnbindRequest, Unbound, UpdateRequest, Updated,
};
use serde_json::{Value, json};

use super::costs::CostSoFar;
use super::grants::Reader;
use super::instances::{InstanceFilter, InstanceView};
use super::order::Orderer;
use super::prices::PlanPrice;
use super::references::Relations;
use super::{App, Error, Issue, Listed, Page, access};
use crate::domain::caller::Caller;
use crate::domain::catalog::PlanEntry;
use crate::domain::grant::GrantRole;
use crate::domain::instance::{BindingState, InstanceAttributes, InstanceState, Presence, presence};
use crate::domain::name;
use crate::domain::permission::Permission;
use crate::store::audit;
use crate::store::bindings::BindingRow;
use crate::store::instances::InstanceRow;
use crate::store::operations::OperationRow;

/// What a person orders.
#[derive(Clone, Debug)]
pub struct PersonalOrder {
    /// The offering's name.
    pub offering: String,
    /// The plan's name.
    pub plan: String,
    /// Absent on a repeat: they stay as they are.
    pub parameters: Option<Object>,
}

/// How an order by name ended.
#[derive(Clone, Debug)]
pub enum Placed {
    /// It is there, made by this order.
    Created(Box<Standing>),
    /// It stands so already.
    Unchanged(Box<Standing>),
    /// It is under way.
    Accepted(Box<Standing>),
}

/// An instance as whoever ordered it sees it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The instance.
    pub instance: InstanceView,
    /// Its latest operation.
    pub operation: Option<OperationRow>,
    /// What it refers to, and who refers to it, where that was asked for.
    pub relations: Option<Relations>,
    /// What its plan costs now, where the price book in force says.
    pub price: Option<PlanPrice>,
    /// What it has cost this month so far, where that was asked for.
    pub cost: Option<CostSoFar>,
}

/// A binding as whoever asked for it sees it.
#[derive(Clone, Debug)]
pub struct PersonalBinding {
    /// The binding.
    pub row: BindingRow,
    /// What to get in with, where it was asked for.
    pub answer: Option<osb::BindResponse>,
}

/// How a bind by name ended.
#[derive(Clone, Debug)]
pub enum PersonallyBound {
    /// It is there.
    Ready(Box<PersonalBinding>),
    /// It is under way.
    Accepted(Box<PersonalBinding>),
}

impl App {
    /// Somebody who may do that for a tenant.
    pub(in crate::app) async fn person(
        &self,
        caller: &Caller,
        permission: Permission,
        tenant: &str,
    ) -> Result<Orderer, Error> {
        let sight = access::sight(permission, caller)?;
        let found = self.tenant_by_name(tenant).await?;
        access::check(&sight, "tenant", tenant, &access::of_tenant(&found.id))?;
        Ok(Orderer {
            platform: self.builtin_platform().await?,
            broker: None,
            tenant: Some(found),
            upstream: None,
            actor: caller.actor(),
        })
    }

    /// Orders an instance by name, or changes it to what is ordered.
    ///
    /// # Errors
    /// As [`App::provision`] and [`App::update`]; [`Error::Conflict`] `operation_in_progress` while something is under way.
    pub async fn order(
        &self,
        caller: &Caller,
        call: &Call,
        tenant: &str,
        name: &str,
        order: PersonalOrder,
    ) -> Result<Placed, Error> {
        if !name::is_name(name) {
            return Err(Error::invalid("/name", "the instance's name must be 1 to 63 of a-z, 0-9 and '-'"));
        }
        let orderer = self.person(caller, Permission::Order, tenant).await?;
        let plan = self.plan_called(&order.offering, &order.plan)?;
        let id = instance_id(tenant, name);
        let call = signed(call, caller);
        if let Some(row) = self.current_instance(&orderer, &id).await?
            && matches!(presence(row.state, row.operation_id.is_some()), Presence::Live | Presence::CleaningUp)
        {
            return Box::pin(self.reorder(&orderer, &call, row, &plan, order)).await;
        }
        let provisioned = self.provision(&orderer, &call, provision(&orderer, id.clone(), name, &plan, order)).await?;
        let standing = Box::new(self.standing(&orderer, &id).await?);
        Ok(match provisioned {
            Provisioned::Created(_) => Placed::Created(standing),
            Provisioned::Existed(_) => Placed::Unchanged(standing),
            Provisioned::Accepted(_) => Placed::Accepted(standing),
        })
    }

    pub(in crate::app) fn plan_called(&self, offering: &str, plan: &str) -> Result<std::sync::Arc<PlanEntry>, Error> {
        self.catalog().plan_by_name(offering, plan).cloned().ok_or_else(|| {
            Error::invalid("/plan", format!("there is no service plan `{plan}` of an offering `{offering}`; GET /api/v1/offerings lists what there is"))
        })
    }

    async fn reorder(
        &self,
        orderer: &Orderer,
        call: &Call,
        row: InstanceRow,
        plan: &PlanEntry,
        order: PersonalOrder,
    ) -> Result<Placed, Error> {
        let id = row.platform_instance_id.clone();
        match reordered(&row, &self.attributes_of(&row)?, plan, order)? {
            Reordered::Stands if row.state == InstanceState::Ready => {
                Ok(Placed::Unchanged(Box::new(self.standing(orderer, &id).await?)))
            }
            Reordered::Stands => Ok(Placed::Accepted(Box::new(self.standing(orderer, &id).await?))),
            Reordered::Changed(request) => {
                let updated = self.update(orderer, call, *request).await.map_err(busy)?;
                let standing = Box::new(self.standing(orderer, &id).await?);
                Ok(match updated {
                    Updated::Done(_) => Placed::Unchanged(standing),
                    Updated::Accepted(_) => Placed::Accepted(standing),
                })
            }
        }
    }

    /// One instance by name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn ordered(&self, caller: &Caller, tenant: &str, name: &str) -> Result<Standing, Error> {
        let Reader { orderer, by_grant } = self.reader(caller, (tenant, name), GrantRole::Reader).await?;
        let id = instance_id(tenant, name);
        let row = self.current_instance(&orderer, &id).await?;
        row.filter(|row| row.state != InstanceState::Gone).ok_or_else(|| Error::not_found("instance", name))?;
        let standing = self.standing(&orderer, &id).await?;
        if by_grant {
            return Ok(standing);
        }
        let sight = Permission::SeeOrders.sight(caller);
        let relations = self.relations(&standing.instance.row.id).await?;
        let relations = sight.map_or_else(Relations::default, |sight| relations.in_sight(&sight));
        let row = &standing.instance.row;
        let cost = self.cost_so_far(&row.tenant_id, &row.id).await?;
        Ok(Standing { relations: Some(relations), cost, ..standing })
    }

    /// A page of a tenant's instances, wherever they were ordered from.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the tenant does not exist.
    pub async fn tenant_instances(
        &self,
        caller: &Caller,
        tenant: &str,
        page: &Page,
    ) -> Result<Listed<InstanceView>, Error> {
        let sight = access::sight(Permission::SeeOrders, caller)?;
        let found = self.tenant_by_name(tenant).await?;
        access::check(&sight, "tenant", tenant, &access::of_tenant(&found.id))?;
        let tenant = found.name;
        self.instances(&sight, InstanceFilter { tenant: Some(tenant), ..InstanceFilter::default() }, page).await
    }

    pub(in crate::app) async fn standing(&self, orderer: &Orderer, id: &str) -> Result<Standing, Error> {
        let row = self.current_instance(orderer, id).await?.ok_or_else(|| Error::not_found("instance", id))?;
        let key = row.id.clone();
        let operation = self
            .db()
            .read(move |tx| {
                Box::pin(async move { Ok::<_, Error>(crate::store::operations::latest(tx, &key, None).await?) })
            })
            .await?;
        let price = self.plan_price(&row.plan_id).await?;
        Ok(Standing { instance: self.instance_view(row).await?, operation, relations: None, price, cost: None })
    }

    /// Deletes an instance by name. `Some` while it goes on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; as [`App::deprovision`].
    pub async fn delete_ordered(
        &self,
        caller: &Caller,
        call: &Call,
        tenant: &str,
        name: &str,
    ) -> Result<Option<Standing>, Error> {
        let orderer = self.person(caller, Permission::Order, tenant).await?;
        let id = instance_id(tenant, name);
        let row = self.current_instance(&orderer, &id).await?;
        let row =
            row.filter(|row| row.state != InstanceState::Gone).ok_or_else(|| Error::not_found("instance", name))?;
        let request = DeprovisionRequest {
            instance_id: id.clone(),
            service_id: row.offering_id,
            plan_id: row.plan_id,
            accepts_incomplete: true,
        };
        match self.deprovision(&orderer, &signed(call, caller), request).await.map_err(busy)? {
            Deprovisioned::Done(_) => Ok(None),
            Deprovisioned::Accepted(_) => Ok(Some(self.standing(&orderer, &id).await?)),
        }
    }

    /// Binds to an instance by names.
    ///
    /// # Errors
    /// [`Error::NotFound`]; as [`App::bind`].
    pub async fn bind_ordered(
        &self,
        caller: &Caller,
        call: &Call,
        (tenant, name, binding): (&str, &str, &str),
        parameters: Option<Object>,
    ) -> Result<PersonallyBound, Error> {
        if !name::is_name(binding) {
            return Err(Error::invalid("/binding", "the binding's name must be 1 to 63 of a-z, 0-9 and '-'"));
        }
        let orderer = self.person(caller, Permission::Order, tenant).await?;
        let id = instance_id(tenant, name);
        let row = self.live(&orderer, &id, name).await?;
        fits(self.plan_of(&row).await?.check_bind(&Value::Object(parameters.clone().unwrap_or_default())))?;
        let request = BindRequest {
            instance_id: id,
            binding_id: binding.to_owned(),
            accepts_incomplete: true,
            context: Maybe::Present(context(tenant, name)),
            service_id: Maybe::Present(row.offering_id.clone()),
            plan_id: Maybe::Present(row.plan_id.clone()),
            parameters: parameters.into(),
            ..BindRequest::default()
        };
        let bound = self.bind(&orderer, &signed(call, caller), request).await.map_err(busy)?;
        let binding_row = self.current_binding(&row, binding).await?;
        let binding_row = binding_row.ok_or_else(|| Error::not_found("binding", binding))?;
        if matches!(bound, Bound::Existed(_)) {
            // A repeat is answered with the credentials that there are: they are read again.
            self.credentials_read(caller, tenant, &row.id, &binding_row.id).await?;
        }
        Ok(match bound {
            Bound::Created(answer) | Bound::Existed(answer) => {
                PersonallyBound::Ready(Box::new(PersonalBinding { row: binding_row, answer: Some(answer) }))
            }
            Bound::Accepted(_) => {
                PersonallyBound::Accepted(Box::new(PersonalBinding { row: binding_row, answer: None }))
            }
        })
    }

    /// One binding by names; its credentials only where asked for, which is audited.
    ///
    /// # Errors
    /// [`Error::NotFound`]; as [`App::fetch_binding`] for the credentials.
    pub async fn ordered_binding(
        &self,
        caller: &Caller,
        call: &Call,
        (tenant, name, binding): (&str, &str, &str),
        credentials: bool,
    ) -> Result<PersonalBinding, Error> {
        let orderer = self.reader(caller, (tenant, name), GrantRole::User).await?.orderer;
        let instance = self.live(&orderer, &instance_id(tenant, name), name).await?;
        let missing = || Error::not_found("binding", binding);
        let row = self.current_binding(&instance, binding).await?;
        let row = row.filter(|row| row.gone_at.is_none()).ok_or_else(missing)?;
        if !credentials {
            return Ok(PersonalBinding { row, answer: None });
        }
        if row.state != BindingState::Ready {
            return Err(in_progress());
        }
        self.credentials_read(caller, tenant, &instance.id, &row.id).await?;
        let plan = self.plan_of(&instance).await?;
        let answer = self.binding_answer(&instance, &plan, &row, &signed(call, caller)).await?;
        Ok(PersonalBinding { row, answer: Some(answer) })
    }

    /// Says in the audit that somebody reads credentials, before they do.
    async fn credentials_read(
        &self,
        caller: &Caller,
        tenant: &str,
        instance_id: &str,
        binding_id: &str,
    ) -> Result<(), Error> {
        let subject = format!("instances/{instance_id}/bindings/{binding_id}");
        let audited = self.audit_row(caller, "binding.credentials", subject, json!({ "tenant": tenant }));
        let written = self.db().write(move |tx| {
            let audited = audited.clone();
            Box::pin(async move { Ok::<_, Error>(audit::append(tx, &audited).await?) })
        });
        written.await
    }

    /// Deletes a binding by names. `Some` while it goes on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; as [`App::unbind`].
    pub async fn unbind_ordered(
        &self,
        caller: &Caller,
        call: &Call,
        (tenant, name, binding): (&str, &str, &str),
    ) -> Result<Option<PersonalBinding>, Error> {
        let orderer = self.person(caller, Permission::Order, tenant).await?;
        let id = instance_id(tenant, name);
        let instance = self.live(&orderer, &id, name).await?;
        let missing = || Error::not_found("binding", binding);
        let row = self.current_binding(&instance, binding).await?;
        row.filter(|row| row.gone_at.is_none()).ok_or_else(missing)?;
        let request = UnbindRequest {
            instance_id: id,
            binding_id: binding.to_owned(),
            service_id: instance.offering_id.clone(),
            plan_id: instance.plan_id.clone(),
            accepts_incomplete: true,
        };
        match self.unbind(&orderer, &signed(call, caller), request).await.map_err(busy)? {
            Unbound::Done(_) => Ok(None),
            Unbound::Accepted(_) => {
                let row = self.current_binding(&instance, binding).await?.ok_or_else(missing)?;
                Ok(Some(PersonalBinding { row, answer: None }))
            }
        }
    }

    pub(in crate::app) async fn live(&self, orderer: &Orderer, id: &str, name: &str) -> Result<InstanceRow, Error> {
        let row = self.current_instance(orderer, id).await?;
        row.filter(|row| presence(row.state, row.operation_id.is_some()) == Presence::Live)
            .ok_or_else(|| Error::not_found("instance", name))
    }
}

/// What an order of a name that is taken means.
pub(in crate::app) enum Reordered {
    /// It stands so, or is on its way.
    Stands,
    /// A change.
    Changed(Box<UpdateRequest>),
}

/// The order of an instance that a name means already, which is known with those attributes.
///
/// # Errors
/// [`Error::Conflict`] where it is of another offering, or something else is under way.
pub(in crate::app) fn reordered(
    row: &InstanceRow,
    known: &InstanceAttributes,
    plan: &PlanEntry,
    order: PersonalOrder,
) -> Result<Reordered, Error> {
    let id = row.platform_instance_id.clone();
    if row.offering_id != plan.offering_id {
        let message =
            format!("instance `{id}` is of another service offering; choose another name, or delete it first");
        return Err(Error::conflict("name_taken", message));
    }
    let same_parameters = order.parameters.as_ref().is_none_or(|parameters| {
        let mut folded = known.clone();
        folded.fold_ordered(parameters);
        folded.ordered() == known.ordered()
    });
    let same_plan = row.plan_id == plan.plan_id;
    match (row.state, same_plan && same_parameters) {
        (InstanceState::Ready, true) => Ok(Reordered::Stands),
        (InstanceState::WaitingApproval | InstanceState::Provisioning | InstanceState::Unresolved, true)
            if row.ready_at.is_none() =>
        {
            Ok(Reordered::Stands)
        }
        (InstanceState::Ready, false) => Ok(Reordered::Changed(Box::new(UpdateRequest {
            instance_id: id,
            accepts_incomplete: true,
            context: known.context.clone().map_or(Maybe::Absent, Maybe::Present),
            service_id: row.offering_id.clone(),
            plan_id: if same_plan { Maybe::Absent } else { Maybe::Present(plan.plan_id.clone()) },
            parameters: order.parameters.filter(|_| !same_parameters).into(),
            ..UpdateRequest::default()
        }))),
        _ => Err(in_progress()),
    }
}

/// Refuses parameters that don't fit a plan's schema.
pub(in crate::app) fn fits(problems: Vec<(String, String)>) -> Result<(), Error> {
    if problems.is_empty() {
        return Ok(());
    }
    let issue = |(pointer, message)| Issue { pointer: format!("/parameters{pointer}"), message };
    Err(Error::Invalid(problems.into_iter().map(issue).collect()))
}

/// The id of a person's instance on the built-in platform.
pub(in crate::app) fn instance_id(tenant: &str, name: &str) -> String {
    format!("{tenant}/{name}")
}

/// What a person's order says of where it comes from.
pub(in crate::app) fn context(tenant: &str, name: &str) -> Object {
    [
        ("platform".to_owned(), Value::from("bourse")),
        ("tenant".to_owned(), Value::from(tenant)),
        ("instance_name".to_owned(), Value::from(name)),
    ]
    .into_iter()
    .collect()
}

pub(in crate::app) fn provision(
    orderer: &Orderer,
    id: String,
    name: &str,
    plan: &PlanEntry,
    order: PersonalOrder,
) -> ProvisionRequest {
    let tenant = orderer.tenant.as_ref().map(|tenant| tenant.id.clone()).unwrap_or_default();
    ProvisionRequest {
        instance_id: id,
        accepts_incomplete: true,
        service_id: plan.offering_id.clone(),
        plan_id: plan.plan_id.clone(),
        context: Maybe::Present(context(orderer.tenant.as_ref().map_or("", |tenant| tenant.name.as_str()), name)),
        organization_guid: tenant.clone(),
        space_guid: tenant,
        parameters: order.parameters.into(),
        ..ProvisionRequest::default()
    }
}

/// The call with the person as originating identity.
pub(in crate::app) fn signed(call: &Call, caller: &Caller) -> Call {
    use base64::Engine as _;
    let user = json!({ "user_id": caller.actor() }).to_string();
    let value = base64::engine::general_purpose::STANDARD.encode(user);
    Call { originating_identity: Some(osb::OriginatingIdentity(format!("bourse {value}"))), ..call.clone() }
}

fn in_progress() -> Error {
    Error::conflict("operation_in_progress", "another operation is under way; wait until it is over")
}

/// OSB's `ConcurrencyError` in the management API's words.
pub(in crate::app) fn busy(error: Error) -> Error {
    match error {
        Error::Answer(answer) | Error::Broker(answer) if answer.code() == Some(osb::error::CONCURRENCY_ERROR) => {
            in_progress()
        }
        other => other,
    }
}
