//! A broker with repositories, served on loopback, and a Git client with nothing but what a test gives it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bourse_brokers::devops_toolchain::{Buildbot, Config, DevopsToolchain, Limits, RETENTION, SCHEMA, plan};
use osb::kit::{Broker, Clock, Db, Sealer, Setup};
use osb::server::{BasicAuth, Running, Server};
use osb::{
    BindRequest, BindResponse, Bound, Call, DeprovisionRequest, Error, FetchInstanceRequest, Maybe, Provisioned,
    ServiceBroker, UnbindRequest, UpdateRequest,
};
use serde_json::Value;
use tokio::process::Command;

use crate::support::parameters;

/// Where the manual clock begins.
pub(crate) const START: i64 = 1_800_000_000;
/// What the broker's own door wants.
pub(crate) const PAIR: (&str, &str) = ("hub", "hub-password");

/// How a room differs from the usual one.
#[derive(Default)]
pub(crate) struct Wish {
    pub(crate) limits: Limits,
    pub(crate) builds: Option<Buildbot>,
    pub(crate) hooks_anywhere: bool,
    /// Another room's directory, to begin again in it.
    pub(crate) folder: Option<tempfile::TempDir>,
}

pub(crate) struct Room {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) now: Arc<AtomicI64>,
    pub(crate) service: Arc<DevopsToolchain>,
    pub(crate) broker: Broker<DevopsToolchain>,
    pub(crate) url: String,
    running: Running,
}

/// What Git said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) ok: bool,
    pub(crate) text: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn fine(self) -> String {
        assert!(self.ok, "{}", self.text);
        self.text
    }

    #[track_caller]
    pub(crate) fn refused(self, sentence: &str) {
        assert!(!self.ok && self.text.contains(sentence), "not refused with `{sentence}`: {}", self.text);
    }
}

impl Room {
    pub(crate) async fn new() -> Self {
        Self::with(Wish::default()).await
    }

    pub(crate) async fn with(wish: Wish) -> Self {
        let folder = wish.folder.unwrap_or_else(|| tempfile::tempdir().unwrap());
        let data = folder.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        let now = Arc::new(AtomicI64::new(START));
        let clock = Clock::Manual(Arc::clone(&now));
        let db = Db::open(&data.join("devops-toolchain.db"), SCHEMA).await.unwrap();
        let sealer = Sealer::from_file(&data.join("devops-toolchain.key")).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = Config {
            data,
            public_url: url.clone(),
            db: db.clone(),
            sealer: sealer.clone(),
            clock: clock.clone(),
            limits: wish.limits,
            retention: RETENTION,
            builds: wish.builds,
            webhook_allow: if wish.hooks_anywhere { vec!["127.0.0.0/8".parse().unwrap()] } else { Vec::new() },
        };
        let service = Arc::new(DevopsToolchain::embedded(config).await.unwrap());
        let setup =
            Setup { name: "devops-toolchain".into(), db, sealer, clock, measure_every: Duration::from_secs(3600) };
        let broker = Broker::new(Arc::clone(&service), setup).unwrap();
        let server = Server::new(BasicAuth::new(Arc::new(broker.clone()), PAIR.0, PAIR.1));
        let (routes, mounted) = (service.routes(), server.clone());
        let running = server
            .listen_with(listener, move |config| {
                routes(config);
                mounted.configure()(config);
            })
            .unwrap();
        Self { folder, now, service, broker, url, running }
    }

    /// Stops everything and begins again on the same data.
    pub(crate) async fn begin_again(self, wish: Wish) -> Self {
        let Self { folder, broker, running, .. } = self;
        running.stop().await;
        broker.close().await;
        Self::with(Wish { folder: Some(folder), ..wish }).await
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn order(&self, id: &str, plan: &str, with: Value) -> Result<Value, Error> {
        let mut request = crate::support::order(id, "small", with);
        request.service_id = plan::SERVICE_ID.into();
        request.plan_id = plan_id(plan);
        match self.broker.provision(&Call::default(), request).await? {
            Provisioned::Created(made) | Provisioned::Existed(made) => Ok(serde_json::to_value(made).unwrap()),
            Provisioned::Accepted(_) => panic!("nothing here is asynchronous"),
        }
    }

    pub(crate) async fn update(&self, id: &str, plan: Option<&str>, with: Value) -> Result<(), Error> {
        let request = UpdateRequest {
            instance_id: id.into(),
            service_id: plan::SERVICE_ID.into(),
            plan_id: plan.map_or(Maybe::Absent, |plan| Maybe::Present(plan_id(plan))),
            parameters: parameters(with),
            ..UpdateRequest::default()
        };
        self.broker.update(&Call::default(), request).await.map(drop)
    }

    async fn bound(&self, request: BindRequest) -> Result<BindResponse, Error> {
        match self.broker.bind(&Call::default(), request).await? {
            Bound::Created(made) | Bound::Existed(made) => Ok(made),
            Bound::Accepted(_) => panic!("nothing here is asynchronous"),
        }
    }

    pub(crate) async fn bind(&self, id: &str, binding: &str, with: Value) -> Result<Value, Error> {
        let fetched = self.fetch(id).await?;
        let request = BindRequest {
            instance_id: id.into(),
            binding_id: binding.into(),
            service_id: Maybe::Present(plan::SERVICE_ID.into()),
            plan_id: Maybe::Present(fetched["plan_id"].as_str().unwrap().into()),
            parameters: parameters(with),
            ..BindRequest::default()
        };
        Ok(Value::Object(self.bound(request).await?.credentials.into_option().unwrap()))
    }

    pub(crate) async fn rotate(&self, id: &str, binding: &str, predecessor: &str) -> Result<Value, Error> {
        let request = BindRequest {
            instance_id: id.into(),
            binding_id: binding.into(),
            predecessor_binding_id: Maybe::Present(predecessor.into()),
            ..BindRequest::default()
        };
        Ok(Value::Object(self.bound(request).await?.credentials.into_option().unwrap()))
    }

    pub(crate) async fn unbind(&self, id: &str, binding: &str) -> Result<(), Error> {
        let plan_id = self.fetch(id).await?["plan_id"].as_str().unwrap().to_owned();
        let request = UnbindRequest {
            instance_id: id.into(),
            binding_id: binding.into(),
            service_id: plan::SERVICE_ID.into(),
            plan_id,
            accepts_incomplete: false,
        };
        self.broker.unbind(&Call::default(), request).await.map(drop)
    }

    pub(crate) async fn delete(&self, id: &str) -> Result<(), Error> {
        let plan_id = self.fetch(id).await?["plan_id"].as_str().unwrap().to_owned();
        let service_id = plan::SERVICE_ID.to_owned();
        let request = DeprovisionRequest { instance_id: id.into(), service_id, plan_id, accepts_incomplete: false };
        self.broker.deprovision(&Call::default(), request).await.map(drop)
    }

    pub(crate) async fn fetch(&self, id: &str) -> Result<Value, Error> {
        let request = FetchInstanceRequest { instance_id: id.into(), ..FetchInstanceRequest::default() };
        Ok(serde_json::to_value(self.broker.fetch_instance(&Call::default(), request).await?).unwrap())
    }

    pub(crate) async fn attributes(&self, id: &str) -> Value {
        self.fetch(id).await.unwrap()["metadata"]["attributes"].take()
    }

    /// Orders and binds: the address with the credentials in it.
    pub(crate) async fn ready(&self, id: &str, with: Value) -> String {
        self.order(id, "basic", with).await.unwrap();
        self.bind(id, "b", Value::Null).await.unwrap()["git_url"].as_str().unwrap().to_owned()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `git` where the test keeps its clones.
    pub(crate) async fn git(&self, clone: &str, arguments: &[&str]) -> Said {
        git(&self.path(clone), self.folder.path(), arguments).await
    }

    /// Clones and tells what was said on the wire.
    pub(crate) async fn traced_clone(&self, url: &str, clone: &str) -> Said {
        let trace = self.path("trace");
        let mut command = command(self.folder.path(), self.folder.path(), &["clone", "--quiet", url, clone]);
        let ok = command.env("GIT_TRACE_CURL", &trace).status().await.unwrap().success();
        Said { ok, text: std::fs::read_to_string(trace).unwrap().to_lowercase() }
    }

    pub(crate) async fn clone_to(&self, url: &str, clone: &str) -> Said {
        git(self.folder.path(), self.folder.path(), &["clone", "--quiet", url, clone]).await
    }

    /// Writes a file and commits it; returns the revision.
    pub(crate) async fn commit(&self, clone: &str, file: &str, text: &str) -> String {
        std::fs::write(self.path(clone).join(file), text).unwrap();
        self.git(clone, &["add", "--all"]).await.fine();
        self.git(clone, &["commit", "--quiet", "--message", file]).await.fine();
        self.git(clone, &["rev-parse", "HEAD"]).await.fine().trim().to_owned()
    }

    /// Does rounds until the build of that revision is over, and returns the last build as it is shown.
    pub(crate) async fn built(&self, id: &str, revision: &str) -> Value {
        let waiting = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                // What is put off comes again.
                self.pass(1);
                self.service.work().await.unwrap();
                let last = self.attributes(id).await["last_build"].take();
                let over = !matches!(last["state"].as_str(), None | Some("pending" | "running"));
                if last["revision"] == revision && over {
                    return last;
                }
            }
        };
        let over = tokio::time::timeout(Duration::from_secs(120), waiting).await;
        match over {
            Ok(last) => last,
            Err(_) => panic!("not built in time: {}", self.attributes(id).await),
        }
    }

    /// Status of a bare request with that user name and password.
    pub(crate) async fn status(&self, method: &str, path: &str, basic: Option<(&str, &str)>) -> u16 {
        bare(&self.url, method, path, basic, &[]).await.0
    }
}

pub(crate) fn plan_id(name: &str) -> String {
    plan::PLANS.iter().find(|plan| plan.name == name).unwrap().id.to_owned()
}

/// A bare request, exactly as written: no client tidies its path.
pub(crate) async fn bare(
    url: &str,
    method: &str,
    path: &str,
    basic: Option<(&str, &str)>,
    body: &[u8],
) -> (u16, String) {
    use base64::Engine as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let encode = |(user, password)| base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
    let authorization = basic.map(|pair| format!("Authorization: Basic {}\r\n", encode(pair))).unwrap_or_default();
    let mut stream = tokio::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: b\r\nConnection: close\r\nContent-Length: {}\r\n{authorization}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer)
}

/// Runs `git` with a home and an author of the test's own.
fn command(at: &Path, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.current_dir(at).args(arguments).kill_on_drop(true).stdin(Stdio::null());
    for (name, value) in [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_AUTHOR_NAME", "A Developer"),
        ("GIT_AUTHOR_EMAIL", "developer@example.com"),
        ("GIT_COMMITTER_NAME", "A Developer"),
        ("GIT_COMMITTER_EMAIL", "developer@example.com"),
        ("NO_PROXY", "*"),
        ("LC_ALL", "C"),
    ] {
        command.env(name, value);
    }
    command.env("HOME", home);
    command
}

async fn git(at: &Path, home: &Path, arguments: &[&str]) -> Said {
    let mut command = command(at, home, arguments);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].concat();
    Said { ok: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
}

/// A token's user name and itself.
pub(crate) fn pair(credentials: &Value) -> (String, String) {
    let text = |name: &str| credentials[name].as_str().unwrap().to_owned();
    (text("username"), text("token"))
}

/// The path of a repository below the broker's address.
pub(crate) fn path_of(room: &Room, credentials: &Value) -> String {
    credentials["clone_url"].as_str().unwrap().strip_prefix(&room.url).unwrap().to_owned()
}
