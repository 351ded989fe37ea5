//! A hub of which only HTTP runs, with nothing registered, over a fresh database of either kind; and a client for its
//! management API that looks at all of an answer.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;

use bourse::app::App;
use bourse::clock::Clock;
use bourse::config::Config;
use bourse::http::{Surface, serve};
use bourse::secret::{Sealer, Secret};
use bourse::store::Db;
use reqwest::Method;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::bare::On;
use super::hub::CLIENT;
use super::process::scratch;
use super::services::{Database, postgres};

/// Runs a test on a fresh hub over each kind of database.
pub(crate) async fn on_both(test: impl AsyncFn(&Hub)) {
    for on in [On::Sqlite, On::Postgres] {
        let hub = Hub::start(on).await;
        test(&hub).await;
        hub.stop().await;
    }
}

/// A running hub. Its workers are not: a test that needs one calls what it would do.
pub(crate) struct Hub {
    pub(crate) app: App,
    pub(crate) url: String,
    pub(crate) password: String,
    shutdown: CancellationToken,
    running: tokio::task::JoinHandle<std::io::Result<()>>,
    directory: PathBuf,
    _database: Option<Database>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|reason| panic!("{reason}: {self:?}"))
    }

    /// The body, after its status was found to be this.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// A problem document of this status and code.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str) -> Value {
        let problem = self.is(status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        problem
    }

    /// A header, empty where absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Gives an answer all of whose body has arrived.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("no answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.expect("no body") }
}

/// A client without a proxy and without a pool, so that no connection outlives its request. All tests share one.
pub(crate) fn client() -> reqwest::Client {
    CLIENT.clone()
}

impl Hub {
    /// Starts one with the default settings.
    pub(crate) async fn start(on: On) -> Self {
        let directory = scratch("hub");
        let database = match on {
            On::Sqlite => None,
            On::Postgres => Some(migrated_postgres().await),
        };
        let url = match &database {
            Some(database) => database.url().to_owned(),
            None => format!("sqlite:{}", directory.join("bourse.db").display()),
        };
        let settings = BTreeMap::from([("BOURSE__SERVER__WORKERS".to_owned(), "1".to_owned())]);
        let config = Config::load(None, &settings).expect("settings");
        let db = Db::open(&url, 4).await.expect("a database");
        db.migrate().await.expect("a schema");
        let key = Secret::new(Sealer::generate_key().expect("a key"));
        let app = App::new(config, db, Clock::system(), Sealer::new(&[key]).expect("a sealer"));
        app.ensure_builtin_platform().await.expect("a platform");
        let password = app.first_administrator().await.expect("an administrator").expect("a password");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(serve(app.clone(), Surface::Everything, listener, None, shutdown.clone()));
        let password = password.expose().clone();
        Self { app, url, password, shutdown, running, directory, _database: database }
    }

    /// Drains it and waits for its end.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.expect("the server did not panic").expect("the server ended well");
        std::fs::remove_dir_all(&self.directory).expect("could not clean up");
    }

    /// A request without credentials.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        client().request(Method::from_bytes(method.as_bytes()).expect("a method"), format!("{}{path}", self.url))
    }

    /// A request of the administrator.
    pub(crate) fn admin(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request(method, path).basic_auth("admin", Some(&self.password))
    }

    /// The answer to a request of the administrator, below `/api/v1`.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.admin("GET", &format!("/api/v1{path}"))).await
    }

    /// As [`Hub::get`], with a body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        send(self.admin(method, &format!("/api/v1{path}")).body(body.to_string())).await
    }

    /// As [`Hub::get`].
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.admin("DELETE", &format!("/api/v1{path}"))).await
    }
}

async fn migrated_postgres() -> Database {
    let migrate = async |url: String| {
        let db = Db::open(&url, 1).await.expect("a database");
        db.migrate().await.expect("a schema");
        db.close().await;
    };
    postgres().await.database_from("hub", "hub", migrate).await
}
