//! Real hub processes on one database, with a `faults` broker in the test process, which outlives them and can be asked what
//! really happened.

use std::path::Path;
use std::sync::Arc;

use bourse::secret::Sealer;
use bourse::store::Db;
use bourse_brokers::faults::plan::{SERVICE_ID, plan_id};
use bourse_brokers::faults::{Faults, wire};
use reqwest::Method;
use serde_json::{Value, json};

use super::bare::On;
use super::dump::{count, events};
use super::hub::{BOUND, Platform, Reply, TIMEOUT_MS, request};
use super::process::{Process, hub_binary};
use super::services::postgres;
use super::wait::wait_until;

/// Counts the events that are not in the feed yet.
pub(crate) const UNNUMBERED: &str = "select count(*) as number from events where sequence is null";

/// What outlives the processes.
pub(crate) struct Site {
    database: String,
    key: String,
    pub(crate) faults: Faults,
    broker: wire::Running,
    _keep: Arc<dyn std::any::Any + Send + Sync>,
}

impl Site {
    /// A fresh database and a fresh broker.
    pub(crate) async fn new(on: On) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (database, keep): (String, Arc<dyn std::any::Any + Send + Sync>) = match on {
            On::Sqlite => {
                let folder = tempfile::tempdir().expect("no temporary directory");
                (format!("sqlite:{}", folder.path().join("bourse.db").display()), Arc::new(folder))
            }
            On::Postgres => {
                let database = postgres().await.database("site").await;
                (database.url().to_owned(), Arc::new(database))
            }
        };
        let faults = Faults::new();
        let door = osb::server::BasicAuth::new(Arc::new(faults.clone()), "hub", "secret");
        let broker = wire::bind(door, &faults, "127.0.0.1:0").expect("the broker could not listen");
        Self { database, key: Sealer::generate_key().expect("no key"), faults, broker, _keep: keep }
    }

    /// Starts a process and says where it listens.
    pub(crate) async fn start(&self) -> (Process, String) {
        self.start_as("all").await
    }

    /// The same with a role of its own.
    pub(crate) async fn start_as(&self, role: &str) -> (Process, String) {
        self.start_with(&["serve", "--role", role], &[]).await
    }

    /// The same with arguments and more settings of one's own.
    pub(crate) async fn start_with(&self, arguments: &[&str], more: &[(&str, &str)]) -> (Process, String) {
        let mut settings = vec![
            ("BOURSE__DATABASE__URL", self.database.as_str()),
            ("BOURSE__SECURITY__ENCRYPTION_KEY", self.key.as_str()),
            ("BOURSE__SERVER__LISTEN", "127.0.0.1:0"),
            ("BOURSE__SERVER__PUBLIC_URL", "http://127.0.0.1:8080"),
            ("BOURSE__SERVER__WORKERS", "2"),
            ("BOURSE__SERVER__DRAIN", "PT5S"),
            ("BOURSE__ADMIN__PASSWORD", "pw"),
            ("BOURSE__EGRESS__ALLOW", "127.0.0.0/8"),
            // Half of the orders fail on purpose, and the others are to be sent all the same.
            ("BOURSE__BACKENDS__BREAKER_FAILURES", "1000000"),
        ];
        settings.extend_from_slice(more);
        Process::serve("hub", Path::new(&hub_binary()), arguments, &settings).await
    }

    /// Where the broker is.
    pub(crate) fn broker_url(&self) -> String {
        self.broker.url()
    }

    /// Registers the broker, makes the tenant `retail` and a platform, and gives that platform's credentials.
    pub(crate) async fn furnish(&self, url: &str) -> Platform {
        self.furnish_with(url, TIMEOUT_MS).await
    }

    /// The same with a time of one's own after which the broker is not waited for any more.
    pub(crate) async fn furnish_with(&self, url: &str, timeout_ms: u32) -> Platform {
        let broker = json!({
            "name": "faults", "url": self.broker.url(), "timeout_ms": timeout_ms, "ids": "passthrough",
            "credentials": {"basic": {"username": "hub", "password": "secret"}},
        });
        let reply = admin(url, Method::POST, "brokers", Some(broker)).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        tenant_and_platform(url).await
    }

    /// The whole feed, once nothing is left to be numbered.
    pub(crate) async fn feed(&self, url: &str) -> Vec<Value> {
        let db = self.db().await;
        wait_until("all events to be numbered", BOUND, async || count(&db, UNNUMBERED).await == 0).await;
        db.close().await;
        events(url).await
    }

    /// The database, opened by the test itself.
    pub(crate) async fn db(&self) -> Db {
        Db::open(&self.database, 2).await.expect("could not open the database")
    }
}

/// A request of the administrator; `path` is what stands behind `/api/v1/`.
pub(crate) async fn admin(url: &str, method: Method, path: &str, body: Option<Value>) -> Reply {
    request(method, &format!("{url}/api/v1/{path}"), Some(("admin", "pw")), body).await
}

/// Makes the tenant `retail` and a platform whose orders are for it, and gives that platform's credentials.
pub(crate) async fn tenant_and_platform(url: &str) -> Platform {
    let reply = admin(url, Method::PUT, "tenants/retail", Some(json!({"display_name": "Retail"}))).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let platform = json!({"name": "p", "kind": "other", "default_tenant": "retail"});
    credentials(&admin(url, Method::POST, "platforms", Some(platform)).await)
}

/// The ids of a plan in the catalog that a platform sees.
pub(crate) async fn plan_ids(url: &str, p: &Platform, offering: &str, plan: &str) -> (String, String) {
    let url = format!("{url}/v2/catalog");
    let catalog = request(Method::GET, &url, Some((&p.username, &p.password)), None).await.body;
    let named = |list: &Value, name: &str| {
        let found = list.as_array().and_then(|list| list.iter().find(|one| one["name"] == name)).cloned();
        found.unwrap_or_else(|| panic!("no {name} in {list}"))
    };
    let text = |value: &Value| value["id"].as_str().expect("an id").to_owned();
    let offering = named(&catalog["services"], offering);
    (text(&offering), text(&named(&offering["plans"], plan)))
}

/// The credentials in an answer: of a new platform, or a new pair of one.
pub(crate) fn credentials(reply: &Reply) -> Platform {
    assert_eq!(reply.status, 201, "{reply:?}");
    let pair = reply.body.get("credentials").unwrap_or(&reply.body);
    let text = |field: &str| pair[field].as_str().expect("credentials").to_owned();
    Platform { username: text("username"), password: text("password") }
}

/// The body of an order of a plan of the faults broker, whose ids are passed through.
pub(crate) fn order(plan: &str, parameters: &Value) -> Value {
    json!({
        "service_id": SERVICE_ID, "plan_id": plan_id(plan).expect("a plan"), "parameters": parameters,
        "organization_guid": "o", "space_guid": "s", "context": {"platform": "other"},
    })
}
