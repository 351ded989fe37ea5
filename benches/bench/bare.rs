//! The yardstick: the very statements of the two transactions of a synchronous provision and of a bind, on a database of the same kind
//! and in the same build, without HTTP, sealing, stamps or a broker: the most that this database gives. A child process, so
//! that its processor time and a library before it are its own.
//!
//! It writes what `app::provision`, `app::bind` and `app::drive::record` write for an order that a broker takes at once, in
//! their order, and no more: whoever changes a statement there changes it here. The rows are copies of what the hub wrote in
//! the same database; ids and times are fresh. Invariant: it never shares its database with a hub that runs.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bourse::clock::{Clock, Time, fresh_id};
use bourse::domain::event::{Event, EventKind, InstanceData, event_id};
use bourse::domain::instance::{BindingState, InstanceState};
use bourse::domain::operation::{OperationKind, OperationState, Phase, Told};
use bourse::domain::permission::Sight;
use bourse::domain::stamp;
use bourse::domain::tenant::Tenant;
use bourse::store::bindings::{self, BindingRow};
use bourse::store::instances::{self, Filter, InstanceRow};
use bourse::store::operations::{self, OperationRow};
use bourse::store::{self, Db, Tx, brokers, events, platforms, spans, tenants};
use serde_json::json;

use crate::Outcome;

/// As many as the hub has where nothing is said.
const CONNECTIONS: u32 = 8;
const OWNER: &str = "00000000-0000-7000-8000-000000000000";
/// The hub's name where nothing is said.
const HUB: &str = "bourse";
/// Instances that binds go round, so that they don't wait for each other's row.
const BOUND_TO: usize = 256;

/// What to copy.
struct Template {
    instance: InstanceRow,
    binding: BindingRow,
    provision: OperationRow,
    bind: OperationRow,
    clock: Clock,
    /// Instances that were made here.
    made: std::sync::Mutex<Vec<String>>,
}

/// What the child does: a line on standard input says what, how many at once, at most how many and for how long; a line on
/// standard output says how long it took in all, and each, in nanoseconds.
pub(crate) fn serve(url: &str) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let db = runtime.block_on(Db::open(url, CONNECTIONS))?;
    let template = Arc::new(runtime.block_on(template(&db))?);
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let [what, at_once, count, millis] = words.as_slice() else { return Err("four words are needed".into()) };
        let lasting = Duration::from_millis(millis.parse()?);
        let binds = *what == "bind";
        let (took, each) = runtime.block_on(run(&db, &template, binds, at_once.parse()?, count.parse()?, lasting))?;
        let mut answer = took.as_nanos().to_string();
        each.iter().for_each(|time| answer.push_str(&format!(" {}", time.as_nanos())));
        writeln!(std::io::stdout(), "{answer}")?;
        std::io::stdout().flush()?;
    }
    runtime.block_on(db.close());
    Ok(())
}

async fn run(
    db: &Db,
    template: &Arc<Template>,
    binds: bool,
    at_once: usize,
    count: usize,
    lasting: Duration,
) -> Outcome<(Duration, Vec<Duration>)> {
    let (next, started) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut tasks = Vec::new();
    for _ in 0..at_once {
        let (db, template, next) = (db.clone(), Arc::clone(template), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let mut each = Vec::new();
            let mut due = Instant::now();
            while started.elapsed() < lasting {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    break;
                }
                if binds {
                    bind(&db, &template, number).await?
                } else {
                    provision(&db, &template).await?
                }
                let now = Instant::now();
                each.push(now - due);
                due = now;
            }
            Outcome::Ok(each)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    Ok((started.elapsed(), all))
}

async fn provision(db: &Db, template: &Template) -> Outcome<()> {
    let (mut instance, mut operation) = (template.instance.clone(), template.provision.clone());
    let now = template.clock.now();
    (instance.id, operation.id) = (fresh_id(), fresh_id());
    instance.platform_instance_id = uuid::Uuid::new_v4().to_string();
    instance.operation_id = Some(operation.id.clone());
    renew(&mut operation, &instance.id, now);
    instance.created_at = now;
    let (id, operation_id) = (instance.id.clone(), operation.id.clone());
    let token = operation.lease_token.clone().unwrap_or_default();
    db.write(move |tx| {
        let (instance, operation) = (instance.clone(), operation.clone());
        Box::pin(async move {
            let tenant = tenants::hold(tx, &instance.tenant_id).await?;
            let stands = tenant.is_some()
                && platforms::hold(tx, &instance.platform_id).await?
                && brokers::stands(tx, &instance.broker_id).await?;
            if !stands || !instances::insert(tx, &instance).await? {
                return Err(store::Error::Taken);
            }
            operations::insert(tx, &operation, OWNER).await?;
            let told = event(&instance, &operation, None, EventKind::InstanceRequested, tenant.as_ref(), now);
            events::append(tx, HUB, &told, now).await
        })
    })
    .await?;
    let now = template.clock.now();
    let made = id.clone();
    db.write(move |tx| {
        let (id, operation_id, token) = (id.clone(), operation_id.clone(), token.clone());
        Box::pin(async move {
            let mut instance = instances::lock(tx, &id).await?.ok_or(store::Error::Busy)?;
            let mut operation = operations::lock_leased(tx, &operation_id, &token).await?.ok_or(store::Error::Busy)?;
            instance.state = InstanceState::Ready;
            instance.operation_id = None;
            instance.ready_at = Some(now);
            finish(&mut operation, now);
            spans::open(tx, &instance, spans::Opening::Setup, &operation.id, now).await?;
            tell(tx, &mut instance, &operation, None, EventKind::InstanceProvisioned, now).await?;
            operations::save(tx, &operation).await?;
            instances::save(tx, &instance, true, now).await
        })
    })
    .await?;
    let mut known = template.made.lock().map_err(|_| "a task panicked")?;
    if known.len() < BOUND_TO {
        known.push(made);
    }
    Ok(())
}

async fn bind(db: &Db, template: &Template, number: usize) -> Outcome<()> {
    let (mut binding, mut operation) = (template.binding.clone(), template.bind.clone());
    let now = template.clock.now();
    let instance_id = {
        let known = template.made.lock().map_err(|_| "a task panicked")?;
        known.get(number % known.len().max(1)).unwrap_or(&template.instance.id).clone()
    };
    (binding.id, operation.id) = (fresh_id(), fresh_id());
    binding.platform_binding_id = uuid::Uuid::new_v4().to_string();
    binding.instance_id.clone_from(&instance_id);
    binding.operation_id = Some(operation.id.clone());
    binding.created_at = now;
    operation.binding_id = Some(binding.id.clone());
    renew(&mut operation, &instance_id, now);
    let (binding_id, operation_id) = (binding.id.clone(), operation.id.clone());
    let token = operation.lease_token.clone().unwrap_or_default();
    // What the broker answered, sealed; the hub writes it with the outcome.
    let answer = (template.binding.answer.clone(), template.binding.answer_until);
    let (bound_to, tenant_id) = (instance_id.clone(), template.instance.tenant_id.clone());
    db.write(move |tx| {
        let (binding, operation, tenant_id) = (binding.clone(), operation.clone(), tenant_id.clone());
        Box::pin(async move {
            tenants::hold(tx, &tenant_id).await?.ok_or(store::Error::Taken)?;
            let instance = instances::lock(tx, &binding.instance_id).await?.ok_or(store::Error::Busy)?;
            if instance.state != InstanceState::Ready || !bindings::insert(tx, &binding).await? {
                return Err(store::Error::Taken);
            }
            operations::insert(tx, &operation, OWNER).await
        })
    })
    .await?;
    let now = template.clock.now();
    db.write(move |tx| {
        let (instance_id, binding_id) = (bound_to.clone(), binding_id.clone());
        let (operation_id, token, answer) = (operation_id.clone(), token.clone(), answer.clone());
        Box::pin(async move {
            let mut instance = instances::lock(tx, &instance_id).await?.ok_or(store::Error::Busy)?;
            let mut binding = bindings::lock(tx, &binding_id).await?.ok_or(store::Error::Busy)?;
            let mut operation = operations::lock_leased(tx, &operation_id, &token).await?.ok_or(store::Error::Busy)?;
            binding.state = BindingState::Ready;
            binding.operation_id = None;
            binding.ready_at = Some(now);
            (binding.answer, binding.answer_until) = answer;
            finish(&mut operation, now);
            let told = Some(binding.id.clone());
            tell(tx, &mut instance, &operation, told, EventKind::BindingCreated, now).await?;
            operations::save(tx, &operation).await?;
            bindings::save(tx, &binding, true).await?;
            instances::save(tx, &instance, true, now).await
        })
    })
    .await?;
    Ok(())
}

/// Makes a copied operation one that was just ordered.
fn renew(operation: &mut OperationRow, instance_id: &str, now: Time) {
    operation.instance_id = instance_id.to_owned();
    operation.lease_token = Some(fresh_id());
    operation.correlation_id = fresh_id();
    (operation.created_at, operation.next_at) = (now, now);
}

fn finish(operation: &mut OperationRow, now: Time) {
    operation.state = OperationState::Succeeded;
    operation.finished_at = Some(now);
    operation.description = None;
}

/// As `app::drive::record::tell`.
async fn tell(
    tx: &mut Tx<'_>,
    instance: &mut InstanceRow,
    operation: &OperationRow,
    binding_id: Option<String>,
    kind: EventKind,
    now: Time,
) -> Result<(), store::Error> {
    let tenant = tenants::by_id(tx, &instance.tenant_id).await?;
    instance.event_sequence = instance.event_sequence.saturating_add(1);
    let told = event(instance, operation, binding_id, kind, tenant.as_ref(), now);
    events::append(tx, HUB, &told, now).await
}

/// As `app::drive::record::event`.
fn event(
    instance: &InstanceRow,
    operation: &OperationRow,
    binding_id: Option<String>,
    kind: EventKind,
    tenant: Option<&Tenant>,
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
        tenant: tenant.map_or(serde_json::Value::Null, |tenant| json!(stamp::told(tenant))),
        offering: "service-0".into(),
        plan: "prompt".into(),
        previous_plan: None,
        reason: None,
        warnings: None,
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

/// The rows of the one instance with a binding that the hub made in this database before.
async fn template(db: &Db) -> Outcome<Template> {
    let (instance, binding, operations) = db
        .read(|tx| {
            Box::pin(async move {
                let filter = Filter {
                    tenant_id: None,
                    platform_id: None,
                    platform_instance_id: None,
                    broker_id: None,
                    offering_id: None,
                    state: Some(InstanceState::Ready),
                    sight: Sight::everything(),
                    now: Time(0),
                };
                let instance = instances::list(tx, &filter, "", 1).await?.pop().ok_or(store::Error::Busy)?;
                let binding = bindings::of_instance(tx, &instance.id).await?.pop().ok_or(store::Error::Busy)?;
                let operations = operations::of_instance(tx, &instance.id).await?;
                Ok::<_, store::Error>((instance, binding, operations))
            })
        })
        .await?;
    let fresh = |kind: OperationKind| {
        let mut row = operations.iter().find(|row| row.kind == kind).ok_or("the hub made no such order")?.clone();
        (row.state, row.phase, row.told) = (OperationState::InProgress, Phase::Calling, Told::Nothing);
        row.finished_at = None;
        Outcome::Ok(row)
    };
    let (provision, bind) = (fresh(OperationKind::Provision)?, fresh(OperationKind::Bind)?);
    let instance = InstanceRow { state: InstanceState::Provisioning, event_sequence: 1, ready_at: None, ..instance };
    let binding = BindingRow { state: BindingState::Binding, ready_at: None, ..binding };
    Ok(Template { instance, binding, provision, bind, clock: Clock::system(), made: std::sync::Mutex::default() })
}
