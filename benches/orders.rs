//! What an order through the hub costs, side by side in one run:
//!
//! - `bare`: the very statements of a synchronous provision's two transactions on the same database, without HTTP, sealing,
//!   stamps or a backend: the most that this database gives in this build;
//! - `hub`: the same orders over HTTP through the hub to a backend that answers at once;
//! - `direct`: the same backend called without the hub.
//!
//! The last two are also sent one at a time, for the latency that the hub adds. Each order is timed from when it was due, so
//! that a stall shows in every order it delays (no coordinated omission). `cargo bench --bench orders [-- ORDERS [URL]]`;
//! 4000 orders on a fresh SQLite file where nothing is said.

use std::error::Error;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bourse::app::App;
use bourse::clock::{Clock, Time, fresh_id};
use bourse::config::Config;
use bourse::domain::caller::Caller;
use bourse::domain::event::{Event, EventKind, event_id};
use bourse::domain::instance::InstanceState;
use bourse::domain::operation::{OperationKind, OperationState, Phase, Told};
use bourse::http::{self, Surface};
use bourse::secret::{Sealer, Secret};
use bourse::store::instances::{self, InstanceRow};
use bourse::store::operations::{self, OperationRow};
use bourse::store::{self, Db, brokers, events, platforms, spans, tenants};
use bourse::worker::{self, Work};
use osb::{
    BindRequest, BindingOperationRequest, Bound, Call, Catalog, CatalogDocument, Client, DeprovisionRequest,
    Deprovisioned, FetchBindingRequest, FetchBindingResponse, FetchInstanceRequest, FetchInstanceResponse,
    InstanceOperationRequest, LastOperation, ProvisionRequest, Provisioned, ServiceBroker, UnbindRequest, Unbound,
    UpdateRequest, Updated,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Orders at once.
const AT_ONCE: usize = 32;
/// Orders one at a time.
const SINGLE: usize = 500;

/// A broker that does nothing, at once.
struct Prompt;

#[async_trait]
impl ServiceBroker for Prompt {
    async fn catalog(&self, _: &Call) -> Result<CatalogDocument, osb::Error> {
        let plan = json!({"id": "plan", "name": "plan", "description": "A plan."});
        let offering = json!({"id": "prompt", "name": "prompt", "description": "Done at once.", "bindable": false, "plans": [plan]});
        Ok(CatalogDocument::from(&Catalog { services: vec![offering], ..Catalog::default() }))
    }

    async fn provision(&self, _: &Call, _: ProvisionRequest) -> Result<Provisioned, osb::Error> {
        Ok(Provisioned::Created(osb::ProvisionResponse::default()))
    }

    async fn deprovision(&self, _: &Call, _: DeprovisionRequest) -> Result<Deprovisioned, osb::Error> {
        Ok(Deprovisioned::Done(osb::Object::new()))
    }

    async fn fetch_instance(&self, _: &Call, _: FetchInstanceRequest) -> Result<FetchInstanceResponse, osb::Error> {
        Err(osb::Error::not_found("not kept"))
    }

    async fn instance_operation(&self, _: &Call, _: InstanceOperationRequest) -> Result<LastOperation, osb::Error> {
        Err(osb::Error::not_found("not kept"))
    }

    async fn update(&self, _: &Call, _: UpdateRequest) -> Result<Updated, osb::Error> {
        Ok(Updated::Done(osb::UpdateResponse::default()))
    }

    async fn bind(&self, _: &Call, _: BindRequest) -> Result<Bound, osb::Error> {
        Err(osb::Error::bad_request("not bindable"))
    }

    async fn fetch_binding(&self, _: &Call, _: FetchBindingRequest) -> Result<FetchBindingResponse, osb::Error> {
        Err(osb::Error::not_found("not kept"))
    }

    async fn binding_operation(&self, _: &Call, _: BindingOperationRequest) -> Result<LastOperation, osb::Error> {
        Err(osb::Error::not_found("not kept"))
    }

    async fn unbind(&self, _: &Call, _: UnbindRequest) -> Result<Unbound, osb::Error> {
        Err(osb::Error::gone())
    }
}

/// Times of one series.
struct Series {
    took: Duration,
    each: Vec<Duration>,
}

impl Series {
    fn per_second(&self) -> f64 {
        self.each.len() as f64 / self.took.as_secs_f64()
    }

    fn at(&self, part: f64) -> Duration {
        let index = ((self.each.len() as f64 * part) as usize).min(self.each.len().saturating_sub(1));
        self.each.get(index).copied().unwrap_or_default()
    }
}

/// Runs `count` of them, `at_once` side by side.
async fn run<F, Fut>(count: usize, at_once: usize, one: F) -> Outcome<Series>
where
    F: Fn(usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome<()>> + Send,
{
    let (one, next, started) = (Arc::new(one), Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut tasks = Vec::new();
    for _ in 0..at_once {
        let (one, next) = (Arc::clone(&one), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let mut each = Vec::new();
            // The next one is due the moment the one before is over, whatever this task did meanwhile.
            let mut due = Instant::now();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Outcome::Ok(each);
                }
                one(number).await?;
                let now = Instant::now();
                each.push(now - due);
                due = now;
            }
        }));
    }
    let mut each = Vec::with_capacity(count);
    for task in tasks {
        each.extend(task.await??);
    }
    let took = started.elapsed();
    each.sort_unstable();
    Ok(Series { took, each })
}

/// The rows of one order, as the hub would write them.
fn rows(template: &(InstanceRow, OperationRow)) -> (InstanceRow, OperationRow) {
    let (mut instance, mut operation) = template.clone();
    (instance.id, operation.id) = (fresh_id(), fresh_id());
    instance.platform_instance_id.clone_from(&instance.id);
    instance.operation_id = Some(operation.id.clone());
    operation.instance_id.clone_from(&instance.id);
    operation.lease_token = Some(fresh_id());
    (instance, operation)
}

fn event(instance: &InstanceRow, operation: &OperationRow, kind: EventKind, tenant: &serde_json::Value) -> Event {
    Event {
        id: event_id(&operation.id, kind),
        kind,
        subject: format!("instances/{}", instance.id),
        time: instance.created_at,
        tenant_id: Some(instance.tenant_id.clone()),
        platform_id: Some(instance.platform_id.clone()),
        broker_id: Some(instance.broker_id.clone()),
        service_id: Some(instance.offering_id.clone()),
        plan_id: Some(instance.plan_id.clone()),
        instance_id: Some(instance.id.clone()),
        sequence: Some(1),
        correlation_id: Some(operation.correlation_id.clone()),
        traceparent: None,
        data: json!({"operation_id": operation.id, "tenant": tenant}),
    }
}

/// Both transactions of a synchronous provision, bare.
async fn bare(db: &Db, template: &(InstanceRow, OperationRow)) -> Outcome<()> {
    let (instance, operation) = rows(template);
    let now = instance.created_at;
    let first = (instance.clone(), operation.clone());
    db.write(move |tx| {
        let (instance, operation) = first.clone();
        Box::pin(async move {
            let tenant = tenants::hold(tx, &instance.tenant_id).await?.map(|tenant| json!(tenant.document));
            platforms::hold(tx, &instance.platform_id).await?;
            brokers::stands(tx, &instance.broker_id).await?;
            instances::insert(tx, &instance).await?;
            operations::insert(tx, &operation, "bench").await?;
            let told = event(&instance, &operation, EventKind::InstanceRequested, &tenant.unwrap_or_default());
            events::append(tx, "bench", &told, now).await
        })
    })
    .await?;
    db.write(move |tx| {
        let (id, operation) = (instance.id.clone(), operation.clone());
        Box::pin(async move {
            let Some(mut instance) = instances::lock(tx, &id).await? else { return Err(store::Error::Busy) };
            let token = operation.lease_token.clone().unwrap_or_default();
            let Some(mut operation) = operations::lock_leased(tx, &operation.id, &token).await? else {
                return Err(store::Error::Busy);
            };
            instance.state = InstanceState::Ready;
            instance.operation_id = None;
            operation.state = OperationState::Succeeded;
            spans::open(tx, &instance, &operation.id, now).await?;
            let tenant = tenants::by_id(tx, &instance.tenant_id).await?.map(|tenant| json!(tenant.document));
            let told = event(&instance, &operation, EventKind::InstanceProvisioned, &tenant.unwrap_or_default());
            events::append(tx, "bench", &told, now).await?;
            operations::save(tx, &operation).await?;
            instances::save(tx, &instance, true, now).await
        })
    })
    .await?;
    Ok(())
}

/// An instance and its operation as the hub wrote them, to copy.
async fn template(app: &App, db: &Db) -> Outcome<(InstanceRow, OperationRow)> {
    let listed = app.instances(Default::default(), &bourse::app::Page { limit: 1, after: String::new() }).await?;
    let instance = listed.items.into_iter().next().ok_or("nothing was ordered")?.row;
    let id = instance.id.clone();
    let operation = db.read(move |tx| Box::pin(async move { operations::latest(tx, &id, None).await })).await?;
    let mut operation = operation.ok_or("nothing was ordered")?;
    (operation.kind, operation.state) = (OperationKind::Provision, OperationState::InProgress);
    (operation.phase, operation.told, operation.finished_at) = (Phase::Calling, Told::Nothing, None);
    // Due in an age: no worker is to take it up.
    operation.next_at = Time(i64::MAX);
    let fresh = InstanceRow { state: InstanceState::Provisioning, event_sequence: 1, ready_at: None, ..instance };
    Ok((fresh, operation))
}

#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
fn show(name: &str, series: &Series) {
    let (p50, p99, max) = (series.at(0.5), series.at(0.99), series.at(1.0));
    println!("{name:<22} {:>9.0}/s   p50 {p50:>10.2?}   p99 {p99:>10.2?}   max {max:>10.2?}", series.per_second());
}

/// A platform's client of whatever stands at that URL.
fn client(url: &str, username: &str, password: &str) -> Outcome<Client> {
    let credentials = osb::client::Credentials::Basic { username: username.into(), password: password.into() };
    Ok(Client::builder(url).credentials(credentials).build()?)
}

async fn order(client: &Client, service_id: &str, plan_id: &str) -> Outcome<()> {
    let request = ProvisionRequest {
        instance_id: fresh_id(),
        service_id: service_id.into(),
        plan_id: plan_id.into(),
        organization_guid: "o".into(),
        space_guid: "s".into(),
        ..ProvisionRequest::default()
    };
    match client.provision(&Call::default(), request).await? {
        Provisioned::Created(_) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
#[tokio::main]
async fn main() -> Outcome<()> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let orders: usize = arguments.next().map_or(Ok(4000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let url = arguments.next().unwrap_or_else(|| format!("sqlite:{}", folder.path().join("bench.db").display()));

    let broker =
        osb::server::Server::new(osb::server::BasicAuth::new(Arc::new(Prompt), "hub", "pw")).bind("127.0.0.1:0")?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut config = Config::load(None, &std::collections::BTreeMap::new())?;
    config.egress.allow = vec!["127.0.0.0/8".parse()?];
    config.server.public_url = format!("http://{address}");
    let db = Db::open(&url, 16).await?;
    db.migrate().await?;
    let app = App::new(config, db.clone(), Clock::system(), Sealer::new(&[Secret::new(Sealer::generate_key()?)])?);
    app.ensure_builtin_platform().await?;
    app.join().await?;
    let stop = CancellationToken::new();
    let workers = worker::start(&app, Work::Everything, &stop)?;
    let served = tokio::spawn(http::serve(app.clone(), Surface::Everything, listener, None, stop.clone()));

    let admin = Caller::Admin("bench".into());
    let credentials = json!({"basic": {"username": "hub", "password": "pw"}});
    let new = json!({"name": format!("prompt-{}", std::process::id()), "url": broker.url(), "credentials": credentials, "concurrency": 256,
        "name_prefix": format!("b{}-", std::process::id())});
    app.register_broker(&admin, serde_json::from_value(new)?).await?;
    let tenant = format!("bench-{}", std::process::id());
    app.put_tenant(
        &admin,
        &tenant,
        serde_json::from_value(json!({"display_name": "Bench"}))?,
        bourse::app::tenants::Precondition::None,
    )
    .await?;
    let platform = bourse::app::platforms::NewPlatform {
        name: tenant.clone(),
        kind: bourse::domain::platform::PlatformKind::Other,
        default_tenant: Some(tenant),
        trust: None,
    };
    let (_, pair) = app.create_platform(&admin, platform).await?;
    let catalog = app.catalog();
    let plan = catalog.plan_by_name(&format!("b{}-prompt", std::process::id()), "plan").ok_or("no plan")?;
    let (service_id, plan_id) = (plan.offering_id.clone(), plan.plan_id.clone());

    let hub = client(&format!("http://{address}"), &pair.username, pair.password.expose())?;
    let direct = client(&broker.url(), "hub", "pw")?;
    order(&hub, &service_id, &plan_id).await?;
    let template = Arc::new(template(&app, &db).await?);

    println!("{orders} orders, {AT_ONCE} at once, on {}", url.split(':').next().unwrap_or_default());
    let bare_many = {
        let (db, template) = (db.clone(), Arc::clone(&template));
        run(orders, AT_ONCE, move |_| {
            let (db, template) = (db.clone(), Arc::clone(&template));
            async move { bare(&db, &template).await }
        })
        .await?
    };
    show("bare statements", &bare_many);
    let through = |client: Client, service: String, plan: String| {
        move |_| {
            let (client, service, plan) = (client.clone(), service.clone(), plan.clone());
            async move { order(&client, &service, &plan).await }
        }
    };
    let hub_many = run(orders, AT_ONCE, through(hub.clone(), service_id.clone(), plan_id.clone())).await?;
    show("through the hub", &hub_many);
    println!("the hub reaches {:.2} of the bare statements\n", hub_many.per_second() / bare_many.per_second());

    println!("{SINGLE} orders, one at a time");
    let bare_one = {
        let (db, template) = (db.clone(), Arc::clone(&template));
        run(SINGLE, 1, move |_| {
            let (db, template) = (db.clone(), Arc::clone(&template));
            async move { bare(&db, &template).await }
        })
        .await?
    };
    show("bare statements", &bare_one);
    let direct_one = run(SINGLE, 1, through(direct, "prompt".into(), "plan".into())).await?;
    show("the backend directly", &direct_one);
    let hub_one = run(SINGLE, 1, through(hub, service_id, plan_id)).await?;
    show("through the hub", &hub_one);
    let added = |part| hub_one.at(part).saturating_sub(direct_one.at(part));
    let beyond = |part| added(part).saturating_sub(bare_one.at(part));
    println!("the hub adds {:.2?} at p50 and {:.2?} at p99;", added(0.5), added(0.99));
    println!("beyond its two commits that is {:.2?} at p50 and {:.2?} at p99", beyond(0.5), beyond(0.99));

    stop.cancel();
    served.await??;
    workers.wait().await;
    broker.stop().await;
    db.close().await;
    Ok(())
}
