//! Provision: the intent with its instance, operation and event in one transaction, then the backend, then the outcome.

use osb::{Call, Maybe, ProvisionRequest, ProvisionResponse, Provisioned};

use super::approvals::{self, Asked};
use super::decide::{Checked, Notes, Told, Whose, whose};
use super::drive::{Names, event};
use super::order::{self, Intended, Intent, Orderer};
use super::quotas::{self, Wants};
use super::references::{self, Ids};
use super::resolve::Found;
use super::sealed;
use super::settle::Settled;
use super::tenants::told;
use super::{App, Error, audit};
use crate::clock::fresh_id;
use crate::domain::catalog::PlanEntry;
use crate::domain::event::EventKind;
use crate::domain::instance::{InstanceAttributes, InstanceState, Presence, presence};
use crate::domain::operation::{OperationKind, OperationState, Phase};
use crate::domain::reference::References;
use crate::domain::tenant::Tenant;
use crate::store::approvals::ApprovalRow;
use crate::store::audit::AuditRow;
use crate::store::instances::{self, InstanceRow};
use crate::store::operations::{self, OperationRow};
use crate::store::{Tx, brokers, events, platforms, tenants};

/// How often an order is looked at again because another with the same id was quicker, or its tenant has just changed.
const RACES_MAX: u32 = 3;

/// What a platform's id means, and what an order needs to know besides.
struct LookedUp {
    row: Option<InstanceRow>,
    /// Where the id is free: who the order is for.
    found: Option<Found>,
    /// The count of changes of the rules of approval.
    rules: i64,
}

/// An order's first transaction, ready to be written.
#[derive(Clone)]
pub(in crate::app) struct Draft {
    row: InstanceRow,
    operation: OperationRow,
    approvals: Vec<ApprovalRow>,
    referred: Ids,
    /// As it was when the order was decided on.
    tenant: Tenant,
    wants: Wants,
    owner: String,
    names: Names,
    audited: Option<AuditRow>,
    /// What is sent to the broker.
    pub(in crate::app) wire: osb::WireRequest,
}

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
        let (mut races, mut newer) = (0, None);
        loop {
            let orderer = newer.as_ref().unwrap_or(orderer);
            let whose = whose(orderer, &request);
            let LookedUp { row, found, rules } = self.look_up(orderer, &request.instance_id, &whose).await?;
            if let Some(row) = row {
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
            let told = Told { request: &request, whose: whose?, found, rules, asks: false };
            let checked = self.decide_provision(orderer, told, &mut Notes::default()).await?;
            if let Some(intended) = self.intend_provision(orderer, call, &request, &checked).await? {
                let ordered = intended.ordered(checked.tenant, orderer.platform.clone());
                let settled = self.carry_out(ordered, request.accepts_incomplete, deadline).await?;
                return self.provisioned(settled, Provisioned::Created).await;
            }
            races += 1;
            if races >= RACES_MAX {
                let description = "another order with this id, or a change of its tenant, is under way; try again";
                return Err(osb::Error::concurrency(description).into());
            }
            if let Some(known) = &orderer.tenant {
                newer = Some(Orderer { tenant: Some(self.tenant(&known.id).await?), ..orderer.clone() });
            }
        }
    }

    /// What a platform's id means, behind whichever broker, since an id is taken on all endpoints of a platform; and where it is
    /// free, who the order is for.
    async fn look_up(&self, orderer: &Orderer, id: &str, whose: &Result<Whose, Error>) -> Result<LookedUp, Error> {
        let (platform, id) = (orderer.platform.clone(), id.to_owned());
        let claim = match whose {
            Ok(Whose::Claimed(claim)) => Some(claim.clone()),
            Ok(Whose::Known(_)) | Err(_) => None,
        };
        self.db()
            .read(|tx| {
                Box::pin(async move {
                    let (row, rules) = instances::current_and_rules(tx, &platform.id, &id).await?;
                    let taken = row.as_ref().is_some_and(|row| {
                        matches!(presence(row.state, row.operation_id.is_some()), Presence::Live | Presence::CleaningUp)
                    });
                    let found = match claim {
                        Some(claim) if !taken => Some(claim.find(tx, &platform).await?),
                        _ => None,
                    };
                    Ok(LookedUp { row, found, rules })
                })
            })
            .await
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
        if !same || !self.shown_to(orderer, &row).await? {
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

    /// Transaction 1. `None` where another order with the same id was quicker, or the tenant, or what it refers to, has changed.
    async fn intend_provision(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: &ProvisionRequest,
        checked: &Checked,
    ) -> Result<Option<Intended>, Error> {
        let draft = self.draft_provision(orderer, call, request, checked).await?;
        let intent = draft.operation.clone();
        self.points().decided(OperationKind::Provision).await;
        let placed = self.db().write(move |tx| {
            let draft = draft.clone();
            Box::pin(async move { draft.place(tx).await })
        });
        let outcome = self.quota_told(placed.await).await;
        self.intended(&intent, outcome, Some(intent.clone().into())).await
    }

    /// All that transaction 1 writes, and what is sent after it.
    pub(in crate::app) async fn draft_provision(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: &ProvisionRequest,
        checked: &Checked,
    ) -> Result<Draft, Error> {
        let Checked { plan, tenant, referred, causes, rules, .. } = checked;
        let (id, now) = (fresh_id(), self.clock().now());
        let correlation_id = order::request_identity(call);
        let attributes = checked.attributes(request);
        let mut sent = request.clone();
        sent.parameters = checked.parameters.clone();
        if !referred.is_empty() {
            sent.parameters = Maybe::Present(References::with_ids(&attributes.parameters, referred));
        }
        sent.instance_id.clone_from(&id);
        sent.service_id.clone_from(&plan.offering_backend_id);
        sent.plan_id.clone_from(&plan.plan_backend_id);
        let context = attributes.context.clone();
        let told_as = &request.instance_id;
        sent.context = Maybe::Present(self.stamped_context(
            orderer,
            call,
            context,
            tenant,
            plan,
            &attributes,
            told_as,
            &correlation_id,
        )?);
        let wire = osb::WireRequest::from(&sent);
        let mut operation = self.operation_for(Intent {
            kind: OperationKind::Provision,
            orderer,
            call,
            correlation_id,
            plan,
            instance_id: id.clone(),
            binding_id: None,
            accepts_incomplete: request.accepts_incomplete,
            request: wire.clone(),
            now,
        })?;
        operation.warnings.clone_from(&checked.warnings);
        let asked = Asked { kind: OperationKind::Provision, tenant, plan, from: None, rules: *rules };
        let approvals = self.wait_for_approval(&mut operation, causes.clone(), &asked, orderer, call).await?;
        let sealed = self.seal(&sealed::instance_attributes(&id), &attributes)?;
        let row = InstanceRow {
            platform_id: orderer.platform.id.clone(),
            platform_instance_id: request.instance_id.clone(),
            name: name_of(request),
            tenant_id: tenant.id.clone(),
            // That of the last event that it is inserted with.
            event_sequence: 1 + i64::try_from(approvals.len()).unwrap_or_default(),
            created_at: now,
            ..new_row(id, plan, &operation, sealed)
        };
        let wants = Wants::new(plan, &attributes.parameters);
        let (owner, names, referred) = (self.process().to_owned(), self.names(plan), referred.clone());
        let audited = self.audit_plan(orderer, &operation, &row, (None, Some(plan)));
        let tenant = tenant.clone();
        Ok(Draft { row, operation, approvals, referred, tenant, wants, owner, names, wire, audited })
    }

    async fn provisioned(
        &self,
        settled: Settled,
        done: fn(ProvisionResponse) -> Provisioned,
    ) -> Result<Provisioned, Error> {
        let ended = match settled {
            Settled::Pending(operation) => {
                let answer = match self.instance_row(&operation.instance_id).await {
                    Ok(instance) => instance.answer,
                    // It goes on, and 202 needs to say no more.
                    Err(Error::Store(_)) => "{}".to_owned(),
                    Err(error) => return Err(error),
                };
                return Ok(Provisioned::Accepted(response(&answer, Some(operation.id))));
            }
            Settled::Over(ended) => ended,
        };
        if ended.operation.state != OperationState::Succeeded {
            return Err(Error::Broker(sealed::error_from_text(ended.operation.answer.as_deref())));
        }
        Ok(done(match &ended.instance {
            Some(instance) => response(&instance.answer, None),
            None => response(&self.instance_row(&ended.operation.instance_id).await?.answer, None),
        }))
    }
}

impl Draft {
    /// Writes it. `None` where another order with the same id was quicker, or the tenant, or what it refers to, has changed.
    pub(in crate::app) async fn place(self, tx: &mut Tx<'_>) -> Result<Option<Intended>, Error> {
        let Self { mut row, operation, approvals, referred, tenant: known, wants, owner, names, audited, .. } = self;
        let now = row.created_at;
        // In the order tenant, platform, broker, quotas, instances: whoever deletes one of them waits, or is seen here.
        let tenant = tenants::hold_and_count(tx, &row.tenant_id).await?;
        let stands = platforms::hold(tx, &row.platform_id).await? && brokers::stands(tx, &row.broker_id).await?;
        let Some((tenant, quotas)) = tenant.filter(|_| stands) else {
            let message = "the tenant, the platform or the broker of this order was deleted".to_owned();
            return Err(Error::Refused { code: "deleted", message });
        };
        order::active(&tenant)?;
        if told(&tenant) != told(&known) {
            return Ok(None);
        }
        let taken = quotas::take(tx, &tenant, quotas, &wants).await?;
        row.reserved = taken.any();
        if !references::lock(tx, &referred, &row.tenant_id).await? || !instances::insert(tx, &row).await? {
            taken.put_back(tx).await?;
            return Ok(None);
        }
        taken.record(tx, &row.id).await?;
        operations::insert(tx, &operation, &owner).await?;
        references::record(tx, &row.id, &referred).await?;
        row.event_sequence = 1;
        let event = event(&row, &operation, None, EventKind::InstanceRequested, None, Some(&tenant), &names, now);
        events::append(tx, &names.hub, &event, now).await?;
        approvals::record(tx, &approvals, &mut row, &operation, Some(&tenant), &names).await?;
        audit::append(tx, &audited).await?;
        Ok(Some(Intended { operation, rows: Some((row, None)) }))
    }
}

/// The row of an instance that is about to be made.
fn new_row(id: String, plan: &PlanEntry, operation: &OperationRow, attributes: Vec<u8>) -> InstanceRow {
    InstanceRow {
        platform_id: String::new(),
        platform_instance_id: String::new(),
        name: None,
        tenant_id: String::new(),
        broker_id: plan.broker_id.clone(),
        offering_id: plan.offering_id.clone(),
        plan_id: plan.plan_id.clone(),
        state: match operation.phase {
            Phase::WaitingApproval => InstanceState::WaitingApproval,
            _ => InstanceState::Provisioning,
        },
        attributes,
        answer: "{}".into(),
        operation_id: Some(operation.id.clone()),
        event_sequence: 0,
        version: 1,
        created_at: operation.created_at,
        ready_at: None,
        gone_at: None,
        late_until: None,
        reserved: false,
        id,
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
        references: Ids::new(),
        ordered: None,
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
