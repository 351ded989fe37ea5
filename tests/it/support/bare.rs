//! A hub without HTTP and workers: the use cases on a fresh database, for tests of one part.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bourse::app::App;
use bourse::clock::Clock;
use bourse::config::Config;
use bourse::domain::event::{Event, EventKind, event_id};
use bourse::http::{self, Surface};
use bourse::secret::{Sealer, Secret};
use bourse::store::{self, Db, events};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::services::postgres;

/// On which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

/// Runs a case on a database of each kind.
pub(crate) async fn on_each(case: impl AsyncFn(On)) {
    for on in [On::Sqlite, On::Postgres] {
        case(on).await;
    }
}

/// The use cases, with what a test needs to look behind them.
pub(crate) struct Bare {
    pub(crate) app: App,
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    config: Config,
    key: String,
    url: String,
    keep: Arc<dyn std::any::Any + Send + Sync>,
}

impl Bare {
    /// On a fresh database, with the default settings but for what `change` changes.
    pub(crate) async fn on(on: On, change: impl FnOnce(&mut Config)) -> Self {
        let (url, keep): (String, Arc<dyn std::any::Any + Send + Sync>) = match on {
            On::Sqlite => {
                let folder = tempfile::tempdir().expect("no temporary directory");
                (format!("sqlite:{}", folder.path().join("bourse.db").display()), Arc::new(folder))
            }
            On::Postgres => {
                let database = postgres().await.database("bare").await;
                (database.url().to_owned(), Arc::new(database))
            }
        };
        let mut config = Config::load(None, &BTreeMap::new()).expect("the defaults are valid");
        config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")];
        config.admin.password = Some(Secret::new("pw".to_owned()));
        config.server.workers = 1;
        change(&mut config);
        let db = Db::open(&url, 8).await.expect("could not open the database");
        db.migrate().await.expect("could not migrate");
        let key = Sealer::generate_key().expect("no key");
        Self::made(config, db, Clock::system(), key, url, keep)
    }

    fn made(
        config: Config,
        db: Db,
        clock: Clock,
        key: String,
        url: String,
        keep: Arc<dyn std::any::Any + Send + Sync>,
    ) -> Self {
        let sealer = Sealer::new(&[Secret::new(key.clone())]).expect("a key");
        let app = App::new(config.clone(), db.clone(), clock.clone(), sealer);
        Self { app, db, clock, config, key, url, keep }
    }

    /// Another process on the same database (on SQLite one that shares the writer) with the same clock. The process that it
    /// was made from stays.
    pub(crate) async fn another(&self) -> Self {
        let db = match self.db.kind() {
            store::Kind::Sqlite => self.db.clone(),
            store::Kind::Postgres => Db::open(&self.url, 8).await.expect("could not open the database"),
        };
        let keep = Arc::clone(&self.keep);
        Self::made(self.config.clone(), db, self.clock.clone(), self.key.clone(), self.url.clone(), keep)
    }

    /// A process on the same database that seals under a new key and opens with this one's too, and may stop at steps.
    pub(crate) fn rekeyed(&self, new: &str, halt: bourse::app::points::Halt) -> App {
        let keys = [new, &self.key].map(|key| Secret::new(key.to_owned()));
        let points = bourse::app::Points::halting(halt);
        let sealer = Sealer::new(&keys).expect("keys");
        App::with_points(self.config.clone(), self.db.clone(), self.clock.clone(), sealer, points)
    }

    /// The key that everything is sealed under.
    pub(crate) fn sealer(&self) -> Sealer {
        Sealer::new(&[Secret::new(self.key.clone())]).expect("a key")
    }

    /// As [`Bare::another`], one that stops at steps.
    pub(crate) async fn halting(&self, halt: bourse::app::points::Halt) -> Self {
        let other = self.another().await;
        let sealer = Sealer::new(&[Secret::new(self.key.clone())]).expect("a key");
        let points = bourse::app::Points::halting(halt);
        let app = App::with_points(other.config.clone(), other.db.clone(), other.clock.clone(), sealer, points);
        Self { app, ..other }
    }

    /// Serves it on a free port until the test ends, and says where. The administrator is `admin` with the password `pw`.
    pub(crate) async fn serve(&self) -> String {
        self.app.ensure_builtin_platform().await.expect("no built-in platform");
        self.app.first_administrator().await.expect("no administrator");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("no port");
        let address = listener.local_addr().expect("no address");
        tokio::spawn(http::serve(self.app.clone(), Surface::Everything, listener, None, CancellationToken::new()));
        format!("http://{address}")
    }

    /// Records one event of an instance, as a use case does.
    pub(crate) async fn append(&self, instance: &str, number: i64) {
        let (event, now) = (event(instance, number), self.clock.now());
        let done = self.db.write(move |tx| {
            let event = event.clone();
            Box::pin(async move { events::append(tx, "bourse", &event, now).await })
        });
        done.await.expect("could not append");
    }

    /// Records that this process is alive.
    pub(crate) async fn beat(&self) {
        let process = self.app.process().to_owned();
        let done = self.db.write(move |tx| {
            let process = process.clone();
            Box::pin(async move { store::processes::beat(tx, &process).await })
        });
        done.await.expect("could not beat");
    }

    /// Takes this process off the list of those that are alive.
    pub(crate) async fn leave(&self) {
        let process = self.app.process().to_owned();
        let done = self.db.write(move |tx| {
            let process = process.clone();
            Box::pin(async move { store::processes::leave(tx, &process).await })
        });
        done.await.expect("could not leave");
    }
}

/// An event of an instance: the `number`th.
pub(crate) fn event(instance: &str, number: i64) -> Event {
    Event {
        id: event_id(&format!("{instance}-{number}"), EventKind::InstanceUpdated),
        kind: EventKind::InstanceUpdated,
        subject: format!("instances/{instance}"),
        time: bourse::clock::Time(1_763_769_600_000_000),
        tenant_id: Some(format!("tenant-of-{instance}")),
        platform_id: None,
        broker_id: None,
        service_id: None,
        plan_id: None,
        instance_id: Some(instance.to_owned()),
        sequence: Some(number),
        correlation_id: None,
        traceparent: None,
        data: json!({"operation_id": format!("{instance}-{number}")}),
    }
}

/// Workers of a test, stopped and joined by [`Workers::stop`].
pub(crate) struct Workers {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Workers {
    pub(crate) fn new() -> Self {
        Self { stop: CancellationToken::new(), tasks: Vec::new() }
    }

    /// Numbers events of that hub.
    pub(crate) fn sequence(mut self, hub: &Bare) -> Self {
        self.tasks.push(tokio::spawn(bourse::worker::sequence::run(hub.app.clone(), self.stop.clone())));
        self
    }

    /// Serves the sinks of that hub.
    pub(crate) fn relay(mut self, hub: &Bare) -> Self {
        for sink in hub.app.sinks().expect("could not make the sinks") {
            self.tasks.push(tokio::spawn(bourse::worker::relay::run(hub.app.clone(), sink, self.stop.clone())));
        }
        self
    }

    /// Stops them all, and fails where one does not end.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            tokio::time::timeout(Duration::from_secs(10), task)
                .await
                .expect("a worker did not end")
                .expect("it panicked");
        }
    }
}
