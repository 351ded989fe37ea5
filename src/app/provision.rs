//! Provision: the intent with its instance, operation and event in one transaction, then the backend, then the outcome.

use osb::{Call, Maybe, ProvisionRequest, ProvisionResponse, Provisioned};

use super::drive::tell;
use super::order::{self, Intent, Orderer};
use super::resolve::IdentityClaims;
use super::sealed;
use super::settle::Settled;
use super::{App, Error};
use crate::clock::fresh_id;
use crate::domain::catalog::PlanEntry;
use crate::domain::event::EventKind;
use crate::domain::instance::{InstanceAttributes, InstanceState, Presence, presence};
use crate::domain::operation::{OperationKind, OperationState};
use crate::domain::tenant::Tenant;
use crate::store::instances::{self, InstanceRow};
use crate::store::operations::{self, OperationRow};
use crate::store::{brokers, platforms, tenants};

/// How often an order is looked at again because another with the same id was quicker.
const RACES_MAX: u32 = 3;

impl App {
    /// Orders a service instance ("Provisioning").
    ///
    /// # Errors
    /// Refusals and conflicts, or the backend's own answer as a platform may see it.
    pub async fn provision(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: ProvisionRequest,
    ) -> Result<Provisioned, Error> {
        let deadline = self.answer_deadline();
        let mut races = 0;
        loop {
            if let Some(row) = self.current_instance_anywhere(orderer, &request.instance_id).await? {
                match presence(row.state, row.operation_id.is_some()) {
                    Presence::Live => return self.repeat(orderer, row, &request, deadline).await,
                    Presence::CleaningUp => {
                        return Err(osb::Error::concurrency(
                            "an earlier order with this id failed and is still being cleaned up; try again later",
                        )
                        .into());
                    }
                    Presence::Failed | Presence::Gone => {}
                }
            }
            let plan = self.orderable_plan(orderer, &request.service_id, &request.plan_id)?;
            order::check_maintenance(&request.maintenance_info, &plan)?;
            let parameters = serde_json::Value::Object(request.parameters.clone().into_option().unwrap_or_default());
            order::check_parameters(plan.check_create(&parameters))?;
            let tenant = self.tenant_of(orderer, &request).await?;
            if let Some(operation) = self.intend_provision(orderer, call, &request, &plan, tenant).await? {
                let settled = self.carry_out(operation, request.accepts_incomplete, deadline).await?;
                return self.provisioned(settled, Provisioned::Created).await;
            }
            races += 1;
            if races >= RACES_MAX {
                return Err(osb::Error::concurrency("another order with this id is under way").into());
            }
        }
    }

    /// The instance with a platform's id, behind whichever broker: an id is taken on all endpoints of a platform.
    async fn current_instance_anywhere(&self, orderer: &Orderer, id: &str) -> Result<Option<InstanceRow>, Error> {
        let anywhere = Orderer { broker: None, ..orderer.clone() };
        self.current_instance(&anywhere, id).await
    }

    async fn tenant_of(&self, orderer: &Orderer, request: &ProvisionRequest) -> Result<Tenant, Error> {
        if let Some(tenant) = &orderer.tenant {
            return Ok(tenant.clone());
        }
        if let Some(upstream) = &orderer.upstream {
            return self.resolve_stamped_tenant(&orderer.platform, &upstream.tenant).await;
        }
        let claims = IdentityClaims {
            context: request.context.as_option(),
            organization_guid: &request.organization_guid,
            space_guid: &request.space_guid,
        };
        self.resolve_tenant(&orderer.platform, &claims).await
    }

    /// The same id again: the same order is answered as it stands, another is a conflict.
    async fn repeat(
        &self,
        orderer: &Orderer,
        row: InstanceRow,
        request: &ProvisionRequest,
        deadline: tokio::time::Instant,
    ) -> Result<Provisioned, Error> {
        let known: InstanceAttributes = self.open(&sealed::instance_attributes(&row.id), &row.attributes)?;
        let same = row.offering_id == request.service_id
            && row.plan_id == request.plan_id
            && known.same_order(&attributes(request));
        if !same || self.current_instance(orderer, &request.instance_id).await?.is_none() {
            return Err(osb::Error::conflict(format!(
                "service instance {} exists with other attributes; use another id, or update it",
                request.instance_id
            ))
            .into());
        }
        match (row.state, &row.operation_id) {
            (InstanceState::Ready | InstanceState::Updating, _) => {
                Ok(Provisioned::Existed(response(&row.answer, None)))
            }
            (_, Some(operation_id)) if row.ready_at.is_none() => {
                let settled = self.join_operation(operation_id, request.accepts_incomplete, deadline).await?;
                self.provisioned(settled, Provisioned::Existed).await
            }
            _ => Err(osb::Error::concurrency("another operation is under way on the service instance").into()),
        }
    }

    /// Transaction 1. `None` where another order with the same id was quicker.
    async fn intend_provision(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: &ProvisionRequest,
        plan: &PlanEntry,
        tenant: Tenant,
    ) -> Result<Option<OperationRow>, Error> {
        let (id, now) = (fresh_id(), self.clock().now());
        let correlation_id = order::request_identity(call);
        let attributes = attributes(request);
        let mut sent = request.clone();
        sent.instance_id.clone_from(&id);
        sent.service_id.clone_from(&plan.offering_backend_id);
        sent.plan_id.clone_from(&plan.plan_backend_id);
        sent.context = Maybe::Present(self.stamped_context(
            orderer,
            call,
            attributes.context.clone(),
            &tenant,
            plan,
            &request.instance_id,
            &correlation_id,
        )?);
        let operation = self.operation_for(Intent {
            kind: OperationKind::Provision,
            orderer,
            call,
            correlation_id,
            plan,
            instance_id: id.clone(),
            binding_id: None,
            accepts_incomplete: request.accepts_incomplete,
            request: osb::WireRequest::from(&sent),
            now,
        })?;
        let row = InstanceRow {
            platform_id: orderer.platform.id.clone(),
            platform_instance_id: request.instance_id.clone(),
            name: name_of(request),
            tenant_id: tenant.id,
            broker_id: plan.broker_id.clone(),
            offering_id: plan.offering_id.clone(),
            plan_id: plan.plan_id.clone(),
            state: InstanceState::Provisioning,
            attributes: self.seal(&sealed::instance_attributes(&id), &attributes)?,
            answer: "{}".into(),
            operation_id: Some(operation.id.clone()),
            event_sequence: 0,
            version: 1,
            created_at: now,
            ready_at: None,
            gone_at: None,
            id,
        };
        let (owner, names) = (self.process().to_owned(), self.names(plan));
        let intent = operation.clone();
        let outcome = self
            .db()
            .write(move |tx| {
                let (mut row, operation) = (row.clone(), operation.clone());
                let (owner, names) = (owner.clone(), names.clone());
                Box::pin(async move {
                    // In the order tenant, platform, broker: whoever deletes one of them waits, or is seen here.
                    if !tenants::hold(tx, &row.tenant_id).await?
                        || !platforms::hold(tx, &row.platform_id).await?
                        || !brokers::stands(tx, &row.broker_id).await?
                    {
                        let message = "the tenant, the platform or the broker of this order was deleted".to_owned();
                        return Err(Error::Refused { code: "deleted", message });
                    }
                    if !instances::insert(tx, &row).await? {
                        return Ok(None);
                    }
                    operations::insert(tx, &operation, &owner).await?;
                    tell(tx, &mut row, &operation, None, EventKind::InstanceRequested, None, &names, now).await?;
                    instances::save(tx, &row, true, now).await?;
                    Ok::<_, Error>(Some(operation))
                })
            })
            .await;
        self.intended(&intent, outcome, Some(intent.clone())).await
    }

    async fn provisioned(
        &self,
        settled: Settled,
        done: fn(ProvisionResponse) -> Provisioned,
    ) -> Result<Provisioned, Error> {
        let (operation, over) = match settled {
            Settled::Over(operation) => (operation, true),
            Settled::Pending(operation) => (operation, false),
        };
        if over && operation.state != OperationState::Succeeded {
            return Err(Error::Broker(sealed::error_from_text(operation.answer.as_deref())));
        }
        let answer = match self.instance_row(&operation.instance_id).await {
            Ok(instance) => instance.answer,
            // It goes on, and 202 needs to say no more.
            Err(Error::Store(_)) if !over => "{}".to_owned(),
            Err(error) => return Err(error),
        };
        Ok(if over {
            done(response(&answer, None))
        } else {
            Provisioned::Accepted(response(&answer, Some(operation.id)))
        })
    }
}

/// What is remembered of an order.
pub(in crate::app) fn attributes(request: &ProvisionRequest) -> InstanceAttributes {
    InstanceAttributes {
        version: 1,
        parameters: request.parameters.clone().into_option().unwrap_or_default(),
        organization_guid: request.organization_guid.clone(),
        space_guid: request.space_guid.clone(),
        context: order::without_spoofs(request.context.clone().into_option()),
    }
}

pub(in crate::app) fn name_of(request: &ProvisionRequest) -> Option<String> {
    request.context.as_option()?.get("instance_name")?.as_str().map(str::to_owned)
}

/// The answer to a platform from what is known of an instance.
fn response(answer: &str, operation: Option<String>) -> ProvisionResponse {
    let mut response: ProvisionResponse = serde_json::from_str(answer).unwrap_or_default();
    response.operation = operation.into();
    response
}
