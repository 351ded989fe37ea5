//! Update: a change of plan, parameters or context. None of it is true before the backend has said so.

use std::sync::Arc;

use osb::{Call, Maybe, UpdateRequest, UpdateResponse, Updated};

use super::approvals::{self, Asked};
use super::decide::Notes;
use super::drive::{Names, Target};
use super::laws::Deed;
use super::order::{self, Intended, Intent, Meant, Orderer};
use super::quotas::{self, Taken, Wants};
use super::references::Rereferred;
use super::sealed;
use super::settle::Settled;
use super::tenants::told;
use super::{App, Error, audit};
use crate::domain::approval::Cause;
use crate::domain::catalog::PlanEntry;
use crate::domain::instance::{InstanceAttributes, InstanceState, Presence, presence};
use crate::domain::operation::{OperationKind, OperationState};
use crate::domain::policy::{Action, warnings};
use crate::domain::reference::References;
use crate::domain::tenant::Tenant;
use crate::store::approvals::ApprovalRow;
use crate::store::audit::AuditRow;
use crate::store::instances::{self, InstanceRow};
use crate::store::operations::{self, OperationRow};
use crate::store::{Tx, tenants};

/// An update that was checked against the catalog.
pub(in crate::app) struct Change {
    /// The plan that the instance has.
    plan: Arc<PlanEntry>,
    /// The plan from then on.
    next: Arc<PlanEntry>,
    /// Plan and attributes from then on.
    target: Target,
    /// Where parameters may refer to other instances: the plan from then on, and the attributes before.
    refers: Option<(Arc<PlanEntry>, InstanceAttributes)>,
    /// What it does to the instance's references.
    rereferred: Option<Rereferred>,
    /// What asks for an approval.
    causes: Vec<Cause>,
    /// What policies warn of.
    warnings: Option<String>,
    /// The count of changes of the rules that orders are decided by.
    rules: i64,
    /// Whether quotas may count the instance otherwise from then on.
    counts: bool,
}

/// An update's first transaction, ready to be written.
#[derive(Clone)]
pub(in crate::app) struct Draft {
    operation: OperationRow,
    approvals: Vec<ApprovalRow>,
    rereferred: Option<Rereferred>,
    tenant: Tenant,
    /// The plan and the sealed attributes that all this was made from.
    stands: (String, Vec<u8>),
    /// What the instance is from then on, where quotas may count it otherwise.
    wants: Option<Wants>,
    owner: String,
    names: Names,
    audited: Option<AuditRow>,
    /// What is sent to the broker.
    pub(in crate::app) wire: osb::WireRequest,
}

impl Change {
    /// The plan that the instance has.
    pub(in crate::app) fn plan(&self) -> Arc<PlanEntry> {
        Arc::clone(&self.plan)
    }

    /// As policies look at it: what the instance is from then on.
    fn deed<'a>(&'a self, tenant: &'a Tenant) -> Deed<'a> {
        let parameters = &self.target.attributes.parameters;
        Deed { action: Action::Update, tenant, plan: &self.next, from: Some(&*self.plan), parameters }
    }

    /// As rules of approval look at it.
    fn asked<'a>(&'a self, tenant: &'a Tenant) -> Asked<'a> {
        let (plan, from) = (&*self.next, Some(&*self.plan));
        Asked { kind: OperationKind::Update, tenant, plan, from, rules: self.rules }
    }
}

/// What the change was decided by is another by now: the decision is of no use.
fn just_changed(what: &str) -> Error {
    osb::Error::concurrency(format!("{what} has just been changed by another request; try again")).into()
}

impl Draft {
    /// Writes it.
    ///
    /// # Errors
    /// Where the instance is busy, or quotas have too little left.
    pub(in crate::app) async fn place(self, tx: &mut Tx<'_>) -> Result<Intended, Error> {
        let Self { operation, approvals, rereferred, tenant, stands, wants, owner, names, audited, .. } = self;
        let (id, now) = (operation.instance_id.clone(), operation.created_at);
        if rereferred.as_ref().is_some_and(Rereferred::locks_tenant) {
            // It is locked for good below: two that only hold it would wait for each other.
            tenants::lock(tx, &tenant.name).await?;
        }
        let held = tenants::hold_and_count(tx, &tenant.id).await?;
        if let Some((held, _)) = &held {
            order::active(held)?;
            if told(held) != told(&tenant) {
                return Err(just_changed("the tenant of the service instance"));
            }
        }
        let taken = match &wants {
            Some(wants) => quotas::grow(tx, &tenant, held.map_or(0, |(_, quotas)| quotas), &id, wants).await?,
            None => Taken::default(),
        };
        let locked = match &rereferred {
            Some(rereferred) => rereferred.lock(tx, &id, &tenant).await?,
            None => instances::lock(tx, &id).await?,
        };
        let Some(mut row) = locked else {
            return Err(osb::Error::not_found("the service instance does not exist").into());
        };
        let other = operations::in_the_way(tx, &row.id).await?;
        if other.is_some() || row.state != InstanceState::Ready {
            let what = other.map_or("a change", |other| other.kind.as_str());
            return Err(osb::Error::concurrency(format!(
                "the service instance cannot be updated while {what} is under way; try again later"
            ))
            .into());
        }
        if (&row.plan_id, &row.attributes) != (&stands.0, &stands.1) {
            return Err(just_changed("the service instance"));
        }
        row.state = InstanceState::Updating;
        row.operation_id = Some(operation.id.clone());
        row.reserved |= taken.any();
        taken.record(tx, &row.id).await?;
        operations::insert(tx, &operation, &owner).await?;
        if let Some(rereferred) = &rereferred {
            rereferred.record(tx, &row.id, &operation.id).await?;
        }
        approvals::record(tx, &approvals, &mut row, &operation, Some(&tenant), &names).await?;
        audit::append(tx, &audited).await?;
        instances::save(tx, &row, true, now).await?;
        Ok(Intended { operation, rows: Some((row, None)) })
    }
}

impl App {
    /// Changes a service instance ("Updating a Service Instance").
    ///
    /// # Errors
    /// 404 where there is none; refusals, or the backend's own answer as a platform may see it.
    pub async fn update(&self, orderer: &Orderer, call: &Call, mut request: UpdateRequest) -> Result<Updated, Error> {
        let deadline = self.answer_deadline();
        let live = |row: &InstanceRow| presence(row.state, row.operation_id.is_some()) == Presence::Live;
        let meant = self.meant(orderer, &request.instance_id, None).await?;
        let Meant { instance: row, tenant, rules, .. } = meant
            .filter(|meant| live(&meant.instance))
            .ok_or_else(|| osb::Error::not_found("the service instance does not exist"))?;
        if request.service_id != row.offering_id {
            return Err(osb::Error::bad_request("service_id is not that of the service instance").into());
        }
        let mut change = self.change(orderer, &tenant, &row, &mut request, rules).await?;
        if let Some(operation) = self.same_update(&row, &change.target).await? {
            let settled = self.join_operation(&operation.id, request.accepts_incomplete, deadline).await?;
            return self.updated(settled).await;
        }
        order::active(&tenant)?;
        let changes_nothing = request.plan_id.as_option().is_none_or(|plan| *plan == row.plan_id)
            && request.parameters.as_option().is_none()
            && request.maintenance_info.as_option().is_none_or(|info| info.version.as_option().is_none());
        if changes_nothing && change.plan.offering.allow_context_updates.as_option() != Some(&true) {
            // The backend does not take a context alone: it is remembered here (rule 18).
            self.remember(row, &change.target).await?;
            return Ok(Updated::Done(UpdateResponse::default()));
        }
        self.weigh(orderer, &tenant, &row, &request, &mut change, rules, &mut Notes::default()).await?;
        let draft = self.draft_update(orderer, call, &request, &row, change, &tenant).await?;
        let intended = self.intend_update(draft).await?;
        let ordered = intended.ordered(tenant, orderer.platform.clone());
        let settled = self.carry_out(ordered, request.accepts_incomplete, deadline).await?;
        self.updated(settled).await
    }

    /// Decides about an update that changes something: what speaks against it besides plan and parameters.
    ///
    /// # Errors
    /// The first reason why it is refused.
    #[expect(clippy::too_many_arguments, reason = "a decision is made of just these")]
    pub(in crate::app) async fn weigh(
        &self,
        orderer: &Orderer,
        tenant: &Tenant,
        row: &InstanceRow,
        request: &UpdateRequest,
        change: &mut Change,
        rules: i64,
        notes: &mut Notes,
    ) -> Result<(), Error> {
        (notes.plan, notes.tenant) = (Some(Arc::clone(&change.next)), Some(tenant.clone()));
        order::active(tenant)?;
        if change.plan.plan_id != change.next.plan_id
            && let Err(hidden) = self.may_order(&change.next, tenant, &orderer.platform, rules).await
        {
            notes.plan = None;
            return Err(hidden);
        }
        if change.plan.plan_id != change.next.plan_id || request.parameters.as_option().is_some() {
            let laws = self.laws_at(rules).await?;
            let deed = change.deed(tenant);
            self.obey(&laws, orderer, deed, &mut notes.policies).await?;
            change.warnings = warnings(&notes.policies);
        }
        if change.plan.plan_id != change.next.plan_id {
            self.within_budget(tenant).await?;
        }
        if change.refers.is_some() {
            Box::pin(self.refer(orderer, tenant, row, request, change)).await?;
        }
        if change.plan.plan_id != change.next.plan_id || request.parameters.as_option().is_some() {
            change.rules = rules;
            change.counts = true;
            change.causes = self.approval_causes(&change.asked(tenant)).await?;
            notes.causes.clone_from(&change.causes);
            if !change.causes.is_empty() && !request.accepts_incomplete {
                return Err(approvals::needs_time());
            }
        }
        Ok(())
    }

    /// What an update leads to, by the catalog and by what is said about the plan's parameters, which are put into the request.
    ///
    /// # Errors
    /// Where it is none that plan and parameters allow.
    pub(in crate::app) async fn change(
        &self,
        orderer: &Orderer,
        tenant: &Tenant,
        row: &InstanceRow,
        request: &mut UpdateRequest,
        rules: i64,
    ) -> Result<Change, Error> {
        let plan = self.plan_of(row).await?;
        let target_plan = match request.plan_id.as_option() {
            Some(id) if *id != row.plan_id => {
                let target = self.orderable_plan(orderer, &request.service_id, id).await?;
                if !plan.plan_updateable() {
                    return Err(osb::Error::unprocessable(
                        "PlanChangeNotSupported",
                        format!(
                            "instances of service plan {} cannot change their plan; order another instance instead",
                            plan.plan_name
                        ),
                    )
                    .into());
                }
                target
            }
            _ => Arc::clone(&plan),
        };
        order::check_maintenance(&request.maintenance_info, &target_plan)?;
        let mut attributes: InstanceAttributes = self.open(&sealed::instance_attributes(&row.id), &row.attributes)?;
        let mut refers = None;
        let (sent, mut other) = (request.parameters.clone(), attributes.ordered.is_some());
        let laws = self.laws_at(rules).await?.parameters(&target_plan, &tenant.name);
        if let Some(laws) = laws.filter(|_| target_plan.plan_id != row.plan_id || sent.as_option().is_some()) {
            let given = sent.clone().into_option().unwrap_or_default();
            if target_plan.plan_id != row.plan_id {
                laws.takes(&attributes.parameters).or_else(|found| order::refuse(orderer, found))?;
            }
            let all = laws.update(&given, &attributes.parameters).or_else(|found| order::refuse(orderer, found))?;
            if all != given {
                (request.parameters, other) = (Maybe::Present(all), true);
            }
        }
        if other {
            attributes.fold_ordered(&sent.into_option().unwrap_or_default());
        }
        if let Some(parameters) = request.parameters.as_option() {
            order::check_fit(orderer, target_plan.check_update(&serde_json::Value::Object(parameters.clone())))?;
            if !target_plan.references_at_update().is_empty() || !attributes.references.is_empty() {
                refers = Some((Arc::clone(&target_plan), attributes.clone()));
            }
            attributes.fold(parameters);
        }
        if let Some(context) = order::without_spoofs(request.context.clone().into_option()) {
            attributes.context = Some(context);
        }
        let target = Target { version: 1, plan_id: target_plan.plan_id.clone(), attributes };
        Ok(Change {
            plan,
            next: target_plan,
            target,
            refers,
            rereferred: None,
            causes: Vec::new(),
            warnings: None,
            rules: 0,
            counts: false,
        })
    }

    /// What the update does to the instance's references, as far as its parameters may hold any.
    async fn refer(
        &self,
        orderer: &Orderer,
        tenant: &Tenant,
        row: &InstanceRow,
        request: &UpdateRequest,
        change: &mut Change,
    ) -> Result<(), Error> {
        let (Some((plan, before)), Some(parameters)) = (&change.refers, request.parameters.as_option()) else {
            return Ok(());
        };
        let declared = plan.references_at_update();
        let rereferred = self.rereferred(orderer, tenant, row, declared, before, parameters).await?;
        change.target.attributes.references.extend(rereferred.now.clone());
        change.rereferred = Some(rereferred);
        Ok(())
    }

    /// The very same update, where it is under way already.
    async fn same_update(&self, row: &InstanceRow, target: &Target) -> Result<Option<OperationRow>, Error> {
        let Some(id) = &row.operation_id else { return Ok(None) };
        let operation = self.operation_row(id).await?;
        let known: Option<Target> = match &operation.target {
            Some(known) => Some(self.open(&sealed::operation_target(&operation.id), known)?),
            None => None,
        };
        let same = known.is_some_and(|known| {
            known.plan_id == target.plan_id && known.attributes.parameters == target.attributes.parameters
        });
        if same {
            return Ok(Some(operation));
        }
        Err(osb::Error::concurrency(format!(
            "the service instance cannot be updated while its {} is under way; try again later",
            operation.kind.as_str()
        ))
        .into())
    }

    /// Transaction 1.
    async fn intend_update(&self, draft: Draft) -> Result<Intended, Error> {
        let intent = draft.operation.clone();
        self.points().decided(OperationKind::Update).await;
        let placed = self.db().write(move |tx| {
            let draft = draft.clone();
            Box::pin(async move { draft.place(tx).await })
        });
        let outcome = self.quota_told(placed.await).await;
        self.intended(&intent, outcome, intent.clone().into()).await
    }

    /// All that transaction 1 writes, and what is sent after it.
    pub(in crate::app) async fn draft_update(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: &UpdateRequest,
        row: &InstanceRow,
        change: Change,
        tenant: &Tenant,
    ) -> Result<Draft, Error> {
        let now = self.clock().now();
        let correlation_id = order::request_identity(call);
        let sent = self.update_for_backend(orderer, call, request, row, &change, tenant, &correlation_id)?;
        let wire = osb::WireRequest::from(&sent);
        let mut operation = self.operation_for(Intent {
            kind: OperationKind::Update,
            orderer,
            call,
            correlation_id,
            plan: &change.plan,
            instance_id: row.id.clone(),
            binding_id: None,
            accepts_incomplete: request.accepts_incomplete,
            request: wire.clone(),
            now,
        })?;
        operation.target = Some(self.seal(&sealed::operation_target(&operation.id), &change.target)?);
        operation.warnings.clone_from(&change.warnings);
        let asked = change.asked(tenant);
        let approvals = self.wait_for_approval(&mut operation, change.causes.clone(), &asked, orderer, call).await?;
        let wants = change.counts.then(|| Wants::new(&change.next, &change.target.attributes.parameters));
        let (owner, names) = (self.process().to_owned(), self.names(&change.plan));
        let audited = self.audit_plan(orderer, &operation, row, (Some(&change.plan), Some(&change.next)));
        let (rereferred, tenant) = (change.rereferred, tenant.clone());
        let stands = (row.plan_id.clone(), row.attributes.clone());
        Ok(Draft { operation, approvals, rereferred, tenant, stands, wants, owner, names, audited, wire })
    }

    /// The request as the backend gets it: its own ids, the stamped context, what the platform said of before translated.
    #[expect(clippy::too_many_arguments, reason = "a translated request is made of just these")]
    fn update_for_backend(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: &UpdateRequest,
        row: &InstanceRow,
        change: &Change,
        tenant: &Tenant,
        correlation_id: &str,
    ) -> Result<UpdateRequest, Error> {
        let catalog = self.catalog();
        let backend_plan = |id: &str| catalog.plan_by_id(id).map(|plan| plan.plan_backend_id.clone());
        let mut sent = request.clone();
        sent.instance_id.clone_from(&row.id);
        sent.service_id.clone_from(&change.plan.offering_backend_id);
        if let Maybe::Present(id) = &mut sent.plan_id {
            *id = backend_plan(id).unwrap_or_else(|| change.plan.plan_backend_id.clone());
        }
        if let Maybe::Present(previous) = &mut sent.previous_values {
            if let Maybe::Present(id) = &mut previous.service_id {
                id.clone_from(&change.plan.offering_backend_id);
            }
            if let Maybe::Present(id) = &mut previous.plan_id {
                id.clone_from(&change.plan.plan_backend_id);
            }
        }
        if let (Some(rereferred), Maybe::Present(parameters)) = (&change.rereferred, &mut sent.parameters) {
            *parameters = References::with_ids(parameters, &rereferred.now);
        }
        sent.context = Maybe::Present(self.stamped_context(
            orderer,
            call,
            change.target.attributes.context.clone(),
            tenant,
            &change.plan,
            &change.target.attributes,
            &row.platform_instance_id,
            correlation_id,
        )?);
        Ok(sent)
    }

    async fn remember(&self, row: InstanceRow, target: &Target) -> Result<(), Error> {
        let attributes = self.seal(&sealed::instance_attributes(&row.id), &target.attributes)?;
        let now = self.clock().now();
        self.points().decided(OperationKind::Update).await;
        self.db()
            .write(move |tx| {
                let (before, attributes) = (row.clone(), attributes.clone());
                Box::pin(async move {
                    if let Some(mut row) = instances::lock(tx, &before.id).await?
                        && row.state == InstanceState::Ready
                    {
                        if (&row.plan_id, &row.attributes) != (&before.plan_id, &before.attributes) {
                            return Err(just_changed("the service instance"));
                        }
                        row.attributes = attributes;
                        instances::save(tx, &row, true, now).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    async fn updated(&self, settled: Settled) -> Result<Updated, Error> {
        match settled {
            Settled::Pending(operation) => {
                let answer = match self.instance_row(&operation.instance_id).await {
                    Ok(row) => row.answer,
                    // It goes on, and 202 needs to say no more.
                    Err(Error::Store(_)) => "{}".to_owned(),
                    Err(error) => return Err(error),
                };
                let mut response: UpdateResponse = serde_json::from_str(&answer).unwrap_or_default();
                response.operation = Maybe::Present(operation.id);
                Ok(Updated::Accepted(response))
            }
            Settled::Over(ended) if ended.operation.state == OperationState::Succeeded => {
                let answer = ended.operation.answer.as_deref().unwrap_or_default();
                Ok(Updated::Done(serde_json::from_str(answer).unwrap_or_default()))
            }
            Settled::Over(ended) => Err(Error::Broker(sealed::error_from_text(ended.operation.answer.as_deref()))),
        }
    }
}
