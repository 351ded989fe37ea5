//! The second transaction of every flow: the outcome, its event and its span, all or nothing, and only while the lease holds.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::super::operations::CALLS_UNDER_WAY;
use super::super::quotas;
use super::super::sealed::{self, StoredRequest};
use super::transition::{self, Effects, News, Rows, SpanChange};
use super::{App, Body, Error, Job, Outcome};
use crate::clock::{Time, fresh_id};
use crate::domain::catalog::PlanEntry;
use crate::domain::event::{Event, EventKind, InstanceData, event_id};
use crate::domain::instance::{InstanceAttributes, InstanceState};
use crate::domain::operation::{self, OperationKind, OperationState, Phase, Situation, Step, Told};
use crate::domain::stamp;
use crate::domain::tenant::Tenant;
use crate::store::bindings::BindingRow;
use crate::store::instances::InstanceRow;
use crate::store::operations::OperationRow;
use crate::store::spans::Opening;
use crate::store::{Tx, bindings, events, instances, operations, spans, tenants};

/// The least time between the end of an order's call and the deletion that settles that nothing is left of it.
const FINAL_AFTER_MIN: Duration = Duration::from_secs(10);
/// How far an event's reason is kept, in characters.
const REASON_MAX: usize = 500;

/// What an update leads to, as it is sealed with its operation.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(in crate::app) struct Target {
    /// The layout's version.
    pub(in crate::app) version: u8,
    /// The plan from then on, by the merged catalog's id.
    pub(in crate::app) plan_id: String,
    /// The attributes from then on.
    pub(in crate::app) attributes: InstanceAttributes,
}

/// Names for an event's data, which outlive the catalog they came from.
#[derive(Clone, Debug)]
pub(in crate::app) struct Names {
    pub(in crate::app) hub: String,
    pub(in crate::app) offering: String,
    pub(in crate::app) plan: String,
    pub(in crate::app) previous_plan: Option<String>,
}

/// The rows of an operation that is over, as the transaction that ended it left them: whoever waits for it need not read
/// them again.
#[derive(Debug)]
pub(in crate::app) struct Ended {
    pub(in crate::app) operation: OperationRow,
    /// Absent where only the operation was read.
    pub(in crate::app) instance: Option<InstanceRow>,
    /// As `instance`; only of what is done to a binding.
    pub(in crate::app) binding: Option<BindingRow>,
}

impl From<OperationRow> for Ended {
    fn from(operation: OperationRow) -> Self {
        Self { operation, instance: None, binding: None }
    }
}

impl Names {
    pub(in crate::app) fn new(app: &App, plan: &PlanEntry) -> Self {
        Self {
            hub: app.config().server.hub.clone(),
            offering: plan.offering_name.clone(),
            plan: plan.plan_name.clone(),
            previous_plan: None,
        }
    }
}

impl App {
    /// Records what came of a try; the rows where that ended the operation.
    pub(super) async fn record_outcome(
        &self,
        job: Job,
        situation: Situation,
        outcome: Outcome,
    ) -> Result<Option<Arc<Ended>>, Error> {
        let step = operation::next(&situation, outcome.answer.clone());
        let news = self.news(&job, &step, outcome.body, situation.now)?;
        // Whatever the step: that whoever ordered was refused meanwhile may come to light only under the lock.
        let may_undo =
            situation.kind.creates() || situation.kind.deletes() || matches!(step, Step::Fail { undo: true, .. });
        let clean_up = may_undo
            .then(|| self.clean_up_after(&job.operation, &job.instance, &job.plan, situation.now))
            .transpose()?;
        let mut names = Names::new(self, &job.plan);
        if let Some((plan_id, _)) = &news.target
            && *plan_id != job.instance.plan_id
            && let Some(plan) = self.catalog().plan_by_id(plan_id)
        {
            names.previous_plan = Some(std::mem::replace(&mut names.plan, plan.plan_name.clone()));
        }
        report(&job, &step);
        let (id, token) = (job.operation.id.clone(), job.token.clone());
        let (instance_id, binding_id) = (job.instance.id.clone(), job.operation.binding_id.clone());
        let reserved = job.instance.reserved && job.operation.binding_id.is_none();
        self.db()
            .write(move |tx| {
                let (id, token, step, news) = (id.clone(), token.clone(), step.clone(), news.clone());
                let (instance_id, binding_id) = (instance_id.clone(), binding_id.clone());
                let (clean_up, names) = (clean_up.clone(), names.clone());
                Box::pin(async move {
                    if reserved {
                        quotas::lock(tx, &instance_id).await?;
                    }
                    let instance = instances::lock(tx, &instance_id).await?.ok_or(Error::LeaseLost)?;
                    let binding = match &binding_id {
                        Some(id) => bindings::lock(tx, id).await?,
                        None => None,
                    };
                    let operation = operations::lock_leased(tx, &id, &token).await?.ok_or(Error::LeaseLost)?;
                    // What was told meanwhile, at the deadline, decides too.
                    let late = late_news(&operation, &situation, &step);
                    let step = late.unwrap_or(step);
                    let mut rows = Rows { instance, instance_current: true, binding, binding_current: true, operation };
                    let effects = transition::apply(&mut rows, &situation, &step, news);
                    match (clean_up, effects.delete_again) {
                        (Some(clean_up), _) if effects.undo => {
                            hand_on(&mut rows, &clean_up);
                            operations::insert(tx, &clean_up, "").await?;
                        }
                        (Some(clean_up), Some(at)) => {
                            let (next_at, final_not_before) = (at.max(situation.now), Some(at));
                            operations::insert(tx, &OperationRow { next_at, final_not_before, ..clean_up }, "").await?;
                        }
                        _ => {}
                    }
                    if situation.kind == OperationKind::Deprovision && rows.instance.state == InstanceState::Gone {
                        operations::settle_clean_ups(tx, &rows.instance.id, situation.now).await?;
                    }
                    account(tx, &mut rows, &effects).await?;
                    write(tx, &mut rows, effects, &names, situation.now).await?;
                    let Rows { instance, binding, operation, .. } = rows;
                    let over = operation.state != OperationState::InProgress;
                    Ok(over.then(|| Arc::new(Ended { operation, instance: Some(instance), binding })))
                })
            })
            .await
    }

    fn news(&self, job: &Job, step: &Step, body: Body, now: Time) -> Result<News, Error> {
        let mut news = News::default();
        if job.operation.kind.creates() {
            // A process that lost its lease may send what it had in hand even later.
            let calls = if job.operation.maybe_sent { CALLS_UNDER_WAY } else { 0 };
            let timeout =
                self.backends().get(&job.operation.broker_id).map_or(Duration::ZERO, |backend| backend.timeout());
            news.late_until = Some(now.plus(self.settled_after(&job.operation) + timeout * calls));
        }
        match body {
            // It changes nothing of what the instance is.
            Body::Instance(_) if job.operation.kind == OperationKind::ContextUpdate => {}
            Body::Instance(object) => {
                if job.operation.kind == OperationKind::Update {
                    news.update_answer = Some(Value::Object(object.clone()).to_string());
                }
                news.answer = Some(merge(&job.instance.answer, object));
            }
            Body::Binding(answer) if *step == Step::Succeed => {
                if let Some(binding) = &job.binding {
                    let sealed = self.seal(&sealed::binding_answer(&binding.id), &*answer)?;
                    news.binding_answer = Some((sealed, now.plus(self.config().security.credentials_ttl)));
                }
            }
            Body::Binding(_) | Body::Nothing => {}
        }
        if let (OperationKind::Update, Step::Succeed, Some(target)) = (job.operation.kind, step, &job.operation.target)
        {
            let target: Target = self.open(&sealed::operation_target(&job.operation.id), target)?;
            let attributes = self.seal(&sealed::instance_attributes(&job.instance.id), &target.attributes)?;
            news.target = Some((target.plan_id, attributes));
        }
        Ok(news)
    }

    /// The operation that deletes what a failed or cancelled order may have left, by the hub itself and for as long as it
    /// takes. The order's call may still be under way somewhere: only a deletion that is sent later settles it.
    pub(in crate::app) fn clean_up_after(
        &self,
        operation: &OperationRow,
        instance: &InstanceRow,
        plan: &PlanEntry,
        now: Time,
    ) -> Result<OperationRow, Error> {
        let mut row = self.orphan_mitigation(operation, instance, plan, now)?;
        row.final_not_before = Some(now.plus(self.settled_after(operation)));
        Ok(row)
    }

    /// How long a request that nobody waits for any more may still be under way to the operation's broker.
    fn settled_after(&self, operation: &OperationRow) -> Duration {
        let timeout = self.backends().get(&operation.broker_id).map_or(Duration::ZERO, |backend| backend.timeout());
        (timeout * 2).max(FINAL_AFTER_MIN)
    }

    fn orphan_mitigation(
        &self,
        after: &OperationRow,
        instance: &InstanceRow,
        plan: &PlanEntry,
        now: Time,
    ) -> Result<OperationRow, Error> {
        let id = fresh_id();
        let (service_id, plan_id) = (plan.offering_backend_id.clone(), plan.plan_backend_id.clone());
        let instance_id = instance.id.clone();
        let request = match &after.binding_id {
            None => osb::WireRequest::from(&osb::DeprovisionRequest {
                instance_id,
                service_id,
                plan_id,
                accepts_incomplete: true,
            }),
            Some(binding_id) => osb::WireRequest::from(&osb::UnbindRequest {
                instance_id,
                binding_id: binding_id.clone(),
                service_id,
                plan_id,
                accepts_incomplete: true,
            }),
        };
        let ordered: StoredRequest = self.open(&sealed::operation_request(&after.id), &after.request)?;
        let stored = StoredRequest::new(&request, None, after.correlation_id.clone(), ordered.via);
        Ok(OperationRow {
            kind: OperationKind::OrphanMitigation,
            state: OperationState::InProgress,
            phase: Phase::Calling,
            accepts_incomplete: true,
            told: Told::Nothing,
            maybe_sent: false,
            request: self.seal(&sealed::operation_request(&id), &stored)?,
            target: None,
            backend_operation: None,
            attempts: 0,
            final_not_before: None,
            give_up_at: Time(i64::MAX),
            next_at: now,
            lease_token: None,
            answer: None,
            description: None,
            warnings: None,
            actor: "bourse".into(),
            created_at: now,
            finished_at: None,
            id,
            ..after.clone()
        })
    }
}

/// An order that was answered 5xx at its deadline while its call went on never comes true.
pub(super) fn late_news(operation: &OperationRow, situation: &Situation, step: &Step) -> Option<Step> {
    let refused = operation.told == Told::Refused && situation.told != Told::Refused;
    (refused && operation.kind.creates() && !matches!(step, Step::Fail { .. })).then(|| Step::Fail {
        error: osb::Error::gateway_timeout("the service broker did not answer in time"),
        undo: true,
    })
}

/// The clean-up is what is under way from now on.
pub(super) fn hand_on(rows: &mut Rows, clean_up: &OperationRow) {
    match &mut rows.binding {
        Some(binding) => binding.operation_id = Some(clean_up.id.clone()),
        None => rows.instance.operation_id = Some(clean_up.id.clone()),
    }
}

/// What quotas count from now on. An instance counts until its broker is known to hold nothing: neither while something is undone
/// nor while a lost request may make it once more.
async fn account(tx: &mut Tx<'_>, rows: &mut Rows, effects: &Effects) -> Result<(), Error> {
    let Rows { instance, binding: None, operation, .. } = rows else { return Ok(()) };
    if operation.kind == OperationKind::ContextUpdate {
        return Ok(());
    }
    if instance.gone_at.is_some() && operation.state != OperationState::InProgress {
        if !effects.undo && effects.delete_again.is_none() {
            quotas::release(tx, instance).await?;
        }
        return Ok(());
    }
    quotas::settle(tx, instance, operation).await
}

async fn write(tx: &mut Tx<'_>, rows: &mut Rows, effects: Effects, names: &Names, now: Time) -> Result<(), Error> {
    let operation_id = rows.operation.id.clone();
    match effects.span {
        Some(SpanChange::Open) => spans::open(tx, &rows.instance, Opening::Setup, &operation_id, now).await?,
        Some(SpanChange::Split) => {
            spans::close(tx, &rows.instance.id, &operation_id, now, now).await?;
            spans::open(tx, &rows.instance, Opening::Going, &operation_id, now).await?;
        }
        Some(SpanChange::Close(at)) => spans::close(tx, &rows.instance.id, &operation_id, at, now).await?,
        None => {}
    }
    if let Some(kind) = effects.event {
        let reason = effects.reason.map(|reason| reason.chars().take(REASON_MAX).collect());
        let binding_id = rows.binding.as_ref().map(|binding| binding.id.clone());
        tell(tx, &mut rows.instance, &rows.operation, binding_id, kind, reason, names, now).await?;
    }
    operations::save(tx, &rows.operation).await?;
    if let Some(binding) = &rows.binding {
        bindings::save(tx, binding, rows.binding_current).await?;
    }
    instances::save(tx, &rows.instance, rows.instance_current, now).await?;
    Ok(())
}

/// Writes an event of an instance or binding, with the tenant as it is now. The instance is locked and saved by the caller.
#[expect(clippy::too_many_arguments, reason = "an event is made of just these, and no two of them belong together")]
pub(in crate::app) async fn tell(
    tx: &mut Tx<'_>,
    instance: &mut InstanceRow,
    operation: &OperationRow,
    binding_id: Option<String>,
    kind: EventKind,
    reason: Option<String>,
    names: &Names,
    now: Time,
) -> Result<(), Error> {
    let tenant = tenants::by_id(tx, &instance.tenant_id).await?;
    instance.event_sequence = instance.event_sequence.saturating_add(1);
    let event = event(instance, operation, binding_id, kind, reason, tenant.as_ref(), names, now);
    Ok(events::append(tx, &names.hub, &event, now).await?)
}

/// The event of an instance or binding with the instance's present number.
#[expect(clippy::too_many_arguments, reason = "an event is made of just these, and no two of them belong together")]
pub(in crate::app) fn event(
    instance: &InstanceRow,
    operation: &OperationRow,
    binding_id: Option<String>,
    kind: EventKind,
    reason: Option<String>,
    tenant: Option<&Tenant>,
    names: &Names,
    now: Time,
) -> Event {
    let subject = match &binding_id {
        None => format!("instances/{}", instance.id),
        Some(binding_id) => format!("instances/{}/bindings/{binding_id}", instance.id),
    };
    let data = InstanceData {
        operation_id: operation.id.clone(),
        platform_instance_id: instance.platform_instance_id.clone(),
        binding_id,
        tenant: tenant.map_or(Value::Null, |tenant| serde_json::json!(stamp::told(tenant))),
        offering: names.offering.clone(),
        plan: names.plan.clone(),
        previous_plan: names.previous_plan.clone(),
        reason,
        warnings: operation.warnings.as_deref().and_then(|warnings| serde_json::from_str(warnings).ok()),
    };
    Event {
        id: event_id(&operation.id, kind),
        kind,
        subject,
        time: now,
        tenant_id: Some(instance.tenant_id.clone()),
        platform_id: Some(instance.platform_id.clone()),
        broker_id: Some(instance.broker_id.clone()),
        service_id: Some(instance.offering_id.clone()),
        plan_id: Some(instance.plan_id.clone()),
        instance_id: Some(instance.id.clone()),
        sequence: Some(instance.event_sequence),
        correlation_id: Some(operation.correlation_id.clone()),
        traceparent: operation.traceparent.clone(),
        data: data.value(),
    }
}

/// What was known of an instance, with what is new.
fn merge(known: &str, new: osb::Object) -> String {
    let mut merged: osb::Object = serde_json::from_str(known).unwrap_or_default();
    for (key, value) in new {
        // An absent or null dashboard_url means that the old one stays.
        if !value.is_null() {
            merged.insert(key, value);
        }
    }
    Value::Object(merged).to_string()
}

fn report(job: &Job, step: &Step) {
    let (kind, operation, instance) = (job.operation.kind.as_str(), &job.operation.id, &job.instance.id);
    match step {
        Step::Succeed => {
            tracing::info!(operation.id = operation, instance.id = instance, "{kind} of instance {instance} succeeded");
        }
        Step::Fail { error, undo } => tracing::warn!(
            operation.id = operation,
            instance.id = instance,
            undo,
            status = error.status,
            "{kind} of instance {instance} failed"
        ),
        Step::Continue { phase, .. } => tracing::debug!(
            operation.id = operation,
            instance.id = instance,
            phase = phase.as_str(),
            "{kind} of instance {instance} goes on"
        ),
    }
}
