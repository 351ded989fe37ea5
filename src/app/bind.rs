//! Bind: as a provision, but for a binding of an instance that is ready; its credentials are kept sealed for a while, so that
//! a repeat gets the same answer.

use osb::{Accepted, BindRequest, BindResponse, Bound, Call, Maybe, Object};
use tokio::time::Instant;

use super::audit::{self, bound};
use super::laws::Deed;
use super::order::{self, Intended, Intent, Meant, Orderer};
use super::sealed;
use super::settle::Settled;
use super::tenants::told;
use super::{App, Error};
use crate::clock::fresh_id;
use crate::domain::catalog::PlanEntry;
use crate::domain::instance::{BindingAttributes, BindingState, InstanceAttributes, InstanceState, Presence, presence};
use crate::domain::operation::{OperationKind, OperationState};
use crate::domain::policy::{Action, warnings};
use crate::domain::tenant::Tenant;
use crate::store::bindings::{self, BindingRow};
use crate::store::instances::{self, InstanceRow};
use crate::store::{operations, tenants};

/// How often a request is looked at again because another with the same id was quicker, or its tenant has just changed.
const RACES_MAX: u32 = 3;

impl App {
    /// Binds to a service instance ("Binding").
    ///
    /// # Errors
    /// 404 where there is no instance; refusals, or the backend's own answer as a platform may see it.
    pub async fn bind(&self, orderer: &Orderer, call: &Call, request: BindRequest) -> Result<Bound, Error> {
        let deadline = self.answer_deadline();
        for _ in 0..RACES_MAX {
            let meant = self.meant(orderer, &request.instance_id, Some(&request.binding_id)).await?;
            let Meant { instance, binding, tenant, rules } = bindable(meant)?;
            let plan = self.plan_of(&instance).await?;
            self.check_bind(&instance, &plan, &request)?;
            if let Some(row) = binding {
                match binding_presence(&row) {
                    Presence::Live => return self.repeat_bind(&instance, &plan, row, call, &request, deadline).await,
                    Presence::CleaningUp => {
                        return Err(osb::Error::concurrency(
                            "an earlier binding with this id failed and is still being cleaned up; try again later",
                        )
                        .into());
                    }
                    Presence::Failed | Presence::Gone => {}
                }
            }
            order::active(&tenant)?;
            let warned = self.may_bind(orderer, &request, &instance, &plan, &tenant, rules).await?;
            let intended = self.intend_bind(orderer, call, &request, &instance, &plan, &tenant, warned).await?;
            if let Some(intended) = intended {
                let ordered = intended.ordered(tenant, orderer.platform.clone());
                let settled = self.carry_out(ordered, polls(&plan, &request), deadline).await?;
                return self.bound(settled, &instance, &plan, call, Bound::Created).await;
            }
        }
        let description = "another binding with this id, or a change of its tenant, is under way; try again";
        Err(osb::Error::concurrency(description).into())
    }

    /// What policies warn of, where they let somebody bind, which is judged by what the binding is asked for with: of a successor, what the first in
    /// its line was.
    async fn may_bind(
        &self,
        orderer: &Orderer,
        request: &BindRequest,
        instance: &InstanceRow,
        plan: &PlanEntry,
        tenant: &Tenant,
        rules: i64,
    ) -> Result<Option<String>, Error> {
        let laws = self.laws_at(rules).await?;
        if !laws.judge() {
            return Ok(None);
        }
        let parameters = match request.predecessor_binding_id.as_option() {
            Some(predecessor) => self.inherited(instance, predecessor).await?.parameters,
            None => request.parameters.clone(),
        };
        let parameters = parameters.into_option().unwrap_or_default();
        let deed = Deed { action: Action::Bind, tenant, plan, from: None, parameters: &parameters };
        let mut judged = Vec::new();
        self.obey(&laws, orderer, deed, &mut judged).await?;
        Ok(warnings(&judged))
    }

    fn check_bind(&self, instance: &InstanceRow, plan: &PlanEntry, request: &BindRequest) -> Result<(), Error> {
        if let (Some(service_id), Some(plan_id)) = (request.service_id.as_option(), request.plan_id.as_option()) {
            self.ids_match(instance, service_id, plan_id)?;
        }
        if !plan.bindable() {
            let description = format!("instances of service plan {} cannot be bound to", plan.plan_name);
            return Err(osb::Error::bad_request(description).into());
        }
        if request.predecessor_binding_id.as_option().is_some()
            && plan.plan.binding_rotatable.as_option() != Some(&true)
        {
            let description = format!("bindings of service plan {} cannot be rotated", plan.plan_name);
            return Err(osb::Error::bad_request(description).into());
        }
        if request.predecessor_binding_id.as_option().is_some() {
            // A successor inherits its parameters (ROT-04).
            return Ok(());
        }
        let parameters = serde_json::Value::Object(request.parameters.clone().into_option().unwrap_or_default());
        order::check_parameters(plan.check_bind(&parameters))
    }

    /// The same binding again: the same request is answered as it stands, another is a conflict.
    async fn repeat_bind(
        &self,
        instance: &InstanceRow,
        plan: &PlanEntry,
        row: BindingRow,
        call: &Call,
        request: &BindRequest,
        deadline: Instant,
    ) -> Result<Bound, Error> {
        let known: BindingAttributes = self.open(&sealed::binding_attributes(&row.id), &row.attributes)?;
        if known != attributes(request) {
            return Err(osb::Error::conflict(format!(
                "service binding {} exists with other attributes; use another id",
                request.binding_id
            ))
            .into());
        }
        match (row.state, &row.operation_id) {
            (BindingState::Ready, _) => Ok(Bound::Existed(self.binding_answer(instance, plan, &row, call).await?)),
            (BindingState::Binding | BindingState::Unresolved, Some(id)) if row.ready_at.is_none() => {
                let settled = self.join_operation(id, polls(plan, request), deadline).await?;
                self.bound(settled, instance, plan, call, Bound::Existed).await
            }
            _ => Err(osb::Error::concurrency("another operation is under way on the service binding").into()),
        }
    }

    /// Transaction 1. `None` where another request with the same id was quicker, or the tenant has changed.
    #[expect(clippy::too_many_arguments, reason = "a bind is made of just these")]
    async fn intend_bind(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: &BindRequest,
        instance: &InstanceRow,
        plan: &PlanEntry,
        tenant: &Tenant,
        warned: Option<String>,
    ) -> Result<Option<Intended>, Error> {
        let (id, now) = (fresh_id(), self.clock().now());
        let correlation_id = order::request_identity(call);
        let sent = self.bind_for_backend(orderer, call, request, instance, tenant, plan, &id, &correlation_id).await?;
        let mut operation = self.operation_for(Intent {
            kind: OperationKind::Bind,
            orderer,
            call,
            correlation_id,
            plan,
            instance_id: instance.id.clone(),
            binding_id: Some(id.clone()),
            accepts_incomplete: sent.accepts_incomplete,
            request: osb::WireRequest::from(&sent),
            now,
        })?;
        operation.warnings = warned;
        let row = BindingRow {
            instance_id: instance.id.clone(),
            platform_binding_id: request.binding_id.clone(),
            state: BindingState::Binding,
            attributes: self.seal(&sealed::binding_attributes(&id), &attributes(request))?,
            answer: None,
            answer_until: None,
            operation_id: Some(operation.id.clone()),
            asked_until: None,
            version: 1,
            created_at: now,
            ready_at: None,
            gone_at: None,
            late_until: None,
            id,
        };
        let audited = self.audit_order(orderer, &operation).map(|audited| audited.changed(None, bound(&row)));
        let owner = self.process().to_owned();
        let intent = operation.clone();
        let tenant = tenant.clone();
        self.points().decided(OperationKind::Bind).await;
        let outcome = self
            .db()
            .write(move |tx| {
                let (row, operation, owner) = (row.clone(), operation.clone(), owner.clone());
                let (audited, tenant) = (audited.clone(), tenant.clone());
                Box::pin(async move {
                    if let Some(held) = tenants::hold(tx, &tenant.id).await? {
                        order::active(&held)?;
                        if told(&held) != told(&tenant) {
                            return Ok(None);
                        }
                    }
                    let instance = instances::lock(tx, &row.instance_id).await?;
                    let Some(instance) = instance.filter(|instance| instance.state == InstanceState::Ready) else {
                        return Err(osb::Error::concurrency("another operation is under way on the instance").into());
                    };
                    if !bindings::insert(tx, &row).await? {
                        return Ok(None);
                    }
                    operations::insert(tx, &operation, &owner).await?;
                    audit::append(tx, &audited).await?;
                    Ok::<_, Error>(Some(Intended { operation, rows: Some((instance, Some(row))) }))
                })
            })
            .await;
        self.intended(&intent, outcome, Some(intent.clone().into())).await
    }

    #[expect(clippy::too_many_arguments, reason = "a translated request is made of just these")]
    pub(in crate::app) async fn bind_for_backend(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: &BindRequest,
        instance: &InstanceRow,
        tenant: &Tenant,
        plan: &PlanEntry,
        id: &str,
        correlation_id: &str,
    ) -> Result<BindRequest, Error> {
        let mut sent = request.clone();
        sent.accepts_incomplete = polls(plan, request);
        sent.instance_id.clone_from(&instance.id);
        sent.binding_id = id.to_owned();
        sent.service_id = Maybe::Present(plan.offering_backend_id.clone());
        sent.plan_id = Maybe::Present(plan.plan_backend_id.clone());
        self.with_predecessor(instance, plan, &mut sent).await?;
        let place: InstanceAttributes = self.open(&sealed::instance_attributes(&instance.id), &instance.attributes)?;
        let context = order::without_spoofs(sent.context.clone().into_option());
        sent.context = Maybe::Present(self.stamped_context(
            orderer,
            call,
            context,
            tenant,
            plan,
            &place,
            &instance.platform_instance_id,
            correlation_id,
        )?);
        Ok(sent)
    }

    async fn bound(
        &self,
        settled: Settled,
        instance: &InstanceRow,
        plan: &PlanEntry,
        call: &Call,
        done: fn(BindResponse) -> Bound,
    ) -> Result<Bound, Error> {
        match settled {
            Settled::Pending(operation) => Ok(Bound::Accepted(Accepted::operation(operation.id))),
            Settled::Over(ended) if ended.operation.state == OperationState::Succeeded => {
                let answer = match &ended.binding {
                    Some(row) => self.binding_answer(instance, plan, row, call).await?,
                    None => {
                        let id = ended.operation.binding_id.clone().unwrap_or_default();
                        self.binding_answer(instance, plan, &self.binding_row(&id).await?, call).await?
                    }
                };
                Ok(done(answer))
            }
            Settled::Over(ended) => Err(Error::Broker(sealed::error_from_text(ended.operation.answer.as_deref()))),
        }
    }

    /// What a ready binding was answered with: kept for a while, after that fetched or asked for again.
    pub(in crate::app) async fn binding_answer(
        &self,
        instance: &InstanceRow,
        plan: &PlanEntry,
        row: &BindingRow,
        call: &Call,
    ) -> Result<BindResponse, Error> {
        let fresh = row.answer_until.is_some_and(|until| until > self.clock().now());
        if let (true, Some(answer)) = (fresh, &row.answer) {
            return self.open(&sealed::binding_answer(&row.id), answer);
        }
        self.answer_again(instance, plan, row, call).await
    }

    pub(in crate::app) async fn binding_row(&self, id: &str) -> Result<BindingRow, Error> {
        let key = id.to_owned();
        let row =
            self.db().read(move |tx| Box::pin(async move { Ok::<_, Error>(bindings::by_id(tx, &key).await?) })).await?;
        row.ok_or_else(|| Error::not_found("binding", id))
    }
}

/// What stands, if it can be bound to now.
fn bindable(meant: Option<Meant>) -> Result<Meant, Error> {
    let live = |row: &InstanceRow| presence(row.state, row.operation_id.is_some()) == Presence::Live;
    let meant = meant
        .filter(|meant| live(&meant.instance))
        .ok_or_else(|| osb::Error::not_found("the service instance does not exist"))?;
    if meant.instance.state != InstanceState::Ready {
        return Err(osb::Error::concurrency("another operation is under way on the service instance").into());
    }
    Ok(meant)
}

/// A bind is asynchronous only where its binding can be fetched afterwards: else its credentials could never be had.
fn polls(plan: &PlanEntry, request: &BindRequest) -> bool {
    request.accepts_incomplete && plan.offering.bindings_retrievable.as_option() == Some(&true)
}

/// What a platform's binding id means.
pub(in crate::app) fn binding_presence(row: &BindingRow) -> Presence {
    match (row.state, row.operation_id.is_some()) {
        (BindingState::Gone, _) => Presence::Gone,
        (BindingState::Failed, true) => Presence::CleaningUp,
        (BindingState::Failed, false) => Presence::Failed,
        _ => Presence::Live,
    }
}

/// What is remembered of a bind; empty objects count as absent.
pub(in crate::app) fn attributes(request: &BindRequest) -> BindingAttributes {
    let object = |field: &Maybe<Object>| field.as_option().cloned().unwrap_or_default();
    BindingAttributes {
        version: 1,
        parameters: object(&request.parameters),
        bind_resource: object(&request.bind_resource),
        app_guid: request.app_guid.as_option().cloned(),
        predecessor_binding_id: request.predecessor_binding_id.as_option().cloned(),
    }
}
