//! A whole hub in this process: database, workers, HTTP on a port of its own, and a `faults` broker behind it over HTTP, which
//! is asked afterwards what really happened.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bourse::app::{App, Points};
use bourse::clock::Clock;
use bourse::config::Config;
use bourse::domain::caller::Caller;
use bourse::http::{self, Surface};
use bourse::secret::{Sealer, Secret};
use bourse::store::Db;
use bourse::store::fuse::Fuse;
use bourse::worker::{self, Work};
use bourse_brokers::faults::{self, Faults};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bare::On;
use super::services::postgres;
use super::wait::wait_for;

/// How long anything may take that a test waits for.
pub(crate) const BOUND: Duration = Duration::from_secs(20);
/// How long hubs of tests wait for a broker that answers at once: long enough for a machine that is busy. A test in which a
/// broker hangs sets a time of its own.
pub(crate) const TIMEOUT_MS: u32 = 15_000;

/// What outlives a hub: its database, its keys, its clock, the broker behind it.
pub(crate) struct World {
    url: String,
    key: String,
    config: Box<Config>,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    broker: Option<faults::wire::Running>,
    broker_url: String,
    _keep: Arc<dyn std::any::Any + Send + Sync>,
}

/// A running hub.
pub(crate) struct Hub {
    pub(crate) app: App,
    pub(crate) url: String,
    pub(crate) db: Db,
    stop_http: CancellationToken,
    stop_work: CancellationToken,
    workers: TaskTracker,
    server: JoinHandle<std::io::Result<()>>,
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

impl World {
    /// A fresh database and a fresh broker, with settings changed by `change`.
    pub(crate) async fn new(on: On, change: impl FnOnce(&mut Config)) -> Self {
        let (url, keep): (String, Arc<dyn std::any::Any + Send + Sync>) = match on {
            On::Sqlite => {
                let folder = tempfile::tempdir().expect("no temporary directory");
                (format!("sqlite:{}", folder.path().join("bourse.db").display()), Arc::new(folder))
            }
            On::Postgres => {
                let database = postgres().await.database("hub").await;
                (database.url().to_owned(), Arc::new(database))
            }
        };
        Self::at(url, keep, change)
    }

    /// On an empty database that lives as long as `keep`.
    pub(crate) fn at(
        url: String,
        keep: Arc<dyn std::any::Any + Send + Sync>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::load(None, &BTreeMap::new()).expect("the defaults are valid");
        config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")];
        config.admin.password = Some(Secret::new("pw".to_owned()));
        config.server.workers = 2;
        config.server.drain = Duration::from_secs(3);
        change(&mut config);
        let faults = Faults::new();
        let door = osb::server::BasicAuth::new(Arc::new(faults.clone()), "hub", "secret");
        let broker = faults::wire::bind(door, &faults, "127.0.0.1:0").expect("the broker could not listen");
        let broker_url = broker.url();
        let key = Sealer::generate_key().expect("no key");
        Self {
            url,
            key,
            config: Box::new(config),
            clock: Clock::system(),
            faults,
            broker: Some(broker),
            broker_url,
            _keep: keep,
        }
    }

    /// Starts a hub on it. Where it has none yet, the broker `faults`, the platform `p` and the tenant `retail` are made.
    pub(crate) async fn hub(&self) -> Hub {
        self.hub_with(Points::default()).await
    }

    /// A hub that stops at failure points.
    pub(crate) async fn hub_with(&self, points: Points) -> Hub {
        self.start(points, Work::Everything, None).await
    }

    /// A hub whose database dies when the fuse blows.
    pub(crate) async fn hub_with_fuse(&self, fuse: Fuse) -> Hub {
        self.start(Points::default(), Work::Everything, Some(fuse)).await
    }

    /// As if so much time had passed that all processes that died are known to be dead.
    pub(crate) async fn bury_the_dead(&self) {
        let db = Db::open(&self.url, 1).await.expect("could not open the database");
        let buried = db.write(|tx| Box::pin(async move { tx.execute(sqlx::query("delete from processes")).await }));
        buried.await.expect("could not forget the processes");
        db.close().await;
    }

    /// A hub that takes orders and carries none out.
    pub(crate) async fn hub_without_workers(&self) -> Hub {
        self.start(Points::default(), Work::KeepUp, None).await
    }

    async fn start(&self, points: Points, work: Work, fuse: Option<Fuse>) -> Hub {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").expect("no port");
        let address = listener.local_addr().expect("an address");
        let mut config = (*self.config).clone();
        config.server.public_url = format!("http://{address}");
        config.server.listen = address;
        let sealer = Sealer::new(&[Secret::new(self.key.clone())]).expect("a key");
        let db = Db::open(&self.url, 8).await.expect("could not open the database");
        db.migrate().await.expect("could not migrate");
        let db = match fuse {
            Some(fuse) => db.with_fuse(fuse),
            None => db,
        };
        let app = App::with_points(config, db.clone(), self.clock.clone(), sealer, points);
        app.ensure_builtin_platform().await.expect("no platform");
        app.first_administrator().await.expect("no administrator");
        app.reload_catalog().await.expect("no catalog");
        app.join().await.expect("could not join");
        let (stop_http, stop_work) = (CancellationToken::new(), CancellationToken::new());
        let workers = worker::start(&app, work, &stop_work).expect("no workers");
        let server = tokio::spawn(http::serve(app.clone(), Surface::Everything, listener, None, stop_http.clone()));
        Hub { app, url: format!("http://{address}"), db, stop_http, stop_work, workers, server }
    }

    /// Registers the broker, a platform `p` whose tenant is `retail` by default, and gives that platform's credentials.
    pub(crate) async fn furnish(&self, hub: &Hub) -> Platform {
        self.register(hub, json!({})).await;
        let tenant = json!({"display_name": "Retail", "cost_center": "4711", "labels": {"tier": "gold"}});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/retail", Some(tenant)).await.status, 201);
        hub.platform("p", "other").await
    }

    /// Registers the broker `faults`, with more in its registration.
    pub(crate) async fn register(&self, hub: &Hub, more: Value) {
        let mut new = json!({
            "name": "faults", "url": self.broker_url, "timeout_ms": TIMEOUT_MS,
            "credentials": {"basic": {"username": "hub", "password": "secret"}},
        });
        new.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        let new = serde_json::from_value(new).expect("a registration");
        hub.app.register_broker(&Caller::Admin("admin".into()), new).await.expect("not registered");
    }

    /// Where the broker listens, for who asks it itself (`hub`, `secret`).
    pub(crate) fn broker_url(&self) -> &str {
        &self.broker_url
    }

    /// The broker is gone from now on.
    pub(crate) async fn stop_broker(&mut self) {
        self.broker.take().expect("it is there").stop().await;
    }
}

/// A platform's credentials at a hub.
#[derive(Clone, Debug)]
pub(crate) struct Platform {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl Hub {
    /// Stops it as SIGTERM would.
    pub(crate) async fn stop(self) {
        self.stop_http.cancel();
        self.server.await.expect("it panicked").expect("it failed");
        self.stop_work.cancel();
        tokio::time::timeout(BOUND, self.workers.wait()).await.expect("the workers did not end");
        self.app.leave().await.expect("could not leave");
        self.db.close().await;
    }

    /// Ends it after its database has died: nothing more can be written.
    pub(crate) async fn abandon(self) {
        self.stop_http.cancel();
        self.stop_work.cancel();
        self.server.await.expect("it panicked").expect("it failed");
        tokio::time::timeout(BOUND, self.workers.wait()).await.expect("the workers did not end");
        self.db.close().await;
    }

    /// A request of the administrator.
    pub(crate) async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        request(method, &format!("{}{path}", self.url), Some(("admin", "pw")), body).await
    }

    /// Waits for answers of the broker `faults` for a second only, from now on: it hangs.
    pub(crate) async fn loses_patience(&self) {
        let change = json!({"timeout_ms": 1000});
        assert_eq!(self.admin(Method::PATCH, "/api/v1/brokers/faults", Some(change)).await.status, 200);
    }

    /// A new platform whose orders are for `retail` unless they say otherwise.
    pub(crate) async fn platform(&self, name: &str, kind: &str) -> Platform {
        let body = json!({"name": name, "kind": kind, "default_tenant": "retail"});
        let reply = self.admin(Method::POST, "/api/v1/platforms", Some(body)).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let text = |field: &str| reply.body["credentials"][field].as_str().expect("credentials").to_owned();
        Platform { username: text("username"), password: text("password") }
    }

    /// A request of a platform.
    pub(crate) async fn osb(&self, platform: &Platform, method: Method, path: &str, body: Option<Value>) -> Reply {
        let credentials = Some((platform.username.as_str(), platform.password.as_str()));
        request(method, &format!("{}{path}", self.url), credentials, body).await
    }

    /// The merged catalog's ids of a plan of the faults broker.
    pub(crate) fn ids(&self, plan: &str) -> (String, String) {
        let catalog = self.app.catalog();
        let plan = catalog.plan_by_name("faults", plan).expect("no such plan");
        (plan.offering_id.clone(), plan.plan_id.clone())
    }

    /// Orders an instance of a plan of the faults broker.
    pub(crate) async fn provision(&self, platform: &Platform, id: &str, plan: &str, order: Order) -> Reply {
        let (service_id, plan_id) = self.ids(plan);
        let body = json!({
            "service_id": service_id, "plan_id": plan_id, "organization_guid": "o", "space_guid": "s",
            "context": {"platform": "other"}, "parameters": order.parameters,
        });
        let query = if order.polls { "?accepts_incomplete=true" } else { "" };
        self.osb(platform, Method::PUT, &format!("/v2/service_instances/{id}{query}"), Some(body)).await
    }

    /// Deletes an instance or binding; `path` is what stands behind `/v2/service_instances/`.
    pub(crate) async fn delete(&self, platform: &Platform, path: &str, plan: &str, polls: bool) -> Reply {
        let (service_id, plan_id) = self.ids(plan);
        let path = format!(
            "/v2/service_instances/{path}?service_id={service_id}&plan_id={plan_id}&accepts_incomplete={polls}"
        );
        self.osb(platform, Method::DELETE, &path, None).await
    }

    /// Binds.
    pub(crate) async fn bind(&self, platform: &Platform, path: (&str, &str), plan: &str, order: Order) -> Reply {
        let (service_id, plan_id) = self.ids(plan);
        let body = json!({"service_id": service_id, "plan_id": plan_id, "parameters": order.parameters});
        let (instance, binding) = path;
        let path =
            format!("/v2/service_instances/{instance}/service_bindings/{binding}?accepts_incomplete={}", order.polls);
        self.osb(platform, Method::PUT, &path, Some(body)).await
    }

    /// The last operation of an instance.
    pub(crate) async fn last_operation(&self, platform: &Platform, id: &str) -> Reply {
        self.osb(platform, Method::GET, &format!("/v2/service_instances/{id}/last_operation"), None).await
    }

    /// Polls until the operation is over, and says how.
    pub(crate) async fn outcome(&self, platform: &Platform, id: &str) -> String {
        wait_for("the operation to be over", BOUND, async || {
            let reply = self.last_operation(platform, id).await;
            let state = reply.body["state"].as_str().unwrap_or_default().to_owned();
            (state != "in progress").then_some(state)
        })
        .await
    }

    /// The types of all events so far, in order.
    pub(crate) async fn event_types(&self) -> Vec<String> {
        self.app.number_events().await.expect("could not number");
        let reply = self.admin(Method::GET, "/api/v1/events?limit=1000", None).await;
        let items = reply.body["items"].as_array().expect("items").clone();
        let kind = |event: &Value| event["type"].as_str().expect("a type").trim_start_matches("io.bourse.").to_owned();
        items.iter().map(kind).filter(|kind| kind.starts_with("instance") || kind.starts_with("binding")).collect()
    }
}

/// How an order is sent.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) parameters: Value,
    pub(crate) polls: bool,
}

/// An order by somebody who can't poll.
pub(crate) fn sync() -> Order {
    Order { parameters: json!({}), polls: false }
}

/// An order by somebody who polls.
pub(crate) fn polling() -> Order {
    Order { parameters: json!({}), polls: true }
}

impl Order {
    /// With parameters.
    pub(crate) fn with(self, parameters: Value) -> Self {
        Self { parameters, ..self }
    }
}

/// One request.
pub(crate) async fn request(
    method: Method,
    url: &str,
    credentials: Option<(&str, &str)>,
    body: Option<Value>,
) -> Reply {
    try_request(method, url, credentials, body).await.expect("no answer")
}

/// Made once, since that takes longer than a request. It keeps no connection, which would belong to one test's runtime.
pub(crate) static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    // An error means that there is one already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).pool_max_idle_per_host(0);
    // What a hub answers is looked at, not what it leads to.
    let client = client.redirect(reqwest::redirect::Policy::none());
    client.build().expect("no client")
});

/// One request to a hub that may die before it has answered.
pub(crate) async fn try_request(
    method: Method,
    url: &str,
    credentials: Option<(&str, &str)>,
    body: Option<Value>,
) -> Option<Reply> {
    let mut request = CLIENT.request(method, url).header("X-Broker-API-Version", "2.17");
    if let Some((username, password)) = credentials {
        request = request.basic_auth(username, Some(password));
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let text = answer.text().await.ok()?;
    Some(Reply { status, retry_after, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
}
