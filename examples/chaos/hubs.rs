//! The hub's processes, and HTTP towards them. A process is this very program with `serve`, its output in a file.

use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;
use tokio::time::{Instant, interval, timeout};

use super::Fallible;

/// How long all processes may take to answer once they run.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// The hub answers within 50 s, and a process may be paused meanwhile.
const ANSWER: Duration = Duration::from_secs(90);
const ADMIN: (&str, &str) = ("admin", "chaos-of-the-day");

/// What a process is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    Kill,
    Stop,
    Continue,
    Terminate,
}

/// A process, and the shell that ends it where this program ends without doing so.
struct Process {
    child: Child,
    guard: Child,
}

impl Process {
    fn start(mut command: Command) -> Fallible<Self> {
        let mut child = command.spawn()?;
        let script = r#"read line; [ -n "$line" ] || kill -KILL "$1""#;
        let mut guard = Command::new("/bin/sh");
        guard.args(["-c", script, "guard", &child.id().to_string()]).stdin(Stdio::piped());
        match guard.spawn() {
            Ok(guard) => Ok(Self { child, guard }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error.into())
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only where it has ended already. Reaped before the guard goes, so that its number is nobody else's.
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(mut told) = self.guard.stdin.take() {
            drop(told.write_all(b"over\n"));
        }
        drop(self.guard.wait());
    }
}

/// The processes, each with a port of its own for good.
pub(crate) struct Hubs {
    processes: Vec<Option<Process>>,
    ports: Vec<u16>,
    settings: Vec<(&'static str, String)>,
    logs: PathBuf,
    gave_up: usize,
}

impl Hubs {
    pub(crate) fn new(count: usize, database: &str, folder: &Path) -> Fallible<Self> {
        // All at once, so that they differ.
        let held = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
        let ports = held.iter().map(|held| held.local_addr().map(|at| at.port())).collect::<Result<Vec<_>, _>>()?;
        let key = bourse::secret::Sealer::generate_key()?;
        let settings = vec![
            ("BOURSE__DATABASE__URL", database.to_owned()),
            ("BOURSE__SECURITY__ENCRYPTION_KEY", key),
            ("BOURSE__SERVER__PUBLIC_URL", format!("http://127.0.0.1:{}", ports.first().copied().unwrap_or_default())),
            ("BOURSE__SERVER__WORKERS", "2".to_owned()),
            ("BOURSE__SERVER__DRAIN", "PT5S".to_owned()),
            ("BOURSE__ADMIN__USERNAME", ADMIN.0.to_owned()),
            ("BOURSE__ADMIN__PASSWORD", ADMIN.1.to_owned()),
            ("BOURSE__EGRESS__ALLOW", "127.0.0.0/8".to_owned()),
            // Half of the orders fail on purpose, and the others are to be sent all the same.
            ("BOURSE__BACKENDS__BREAKER_FAILURES", "50".to_owned()),
            ("BOURSE__BACKENDS__BREAKER_OPEN", "PT1S".to_owned()),
            ("BOURSE__LOG__LEVEL", "warn".to_owned()),
        ];
        Ok(Self { processes: (0..count).map(|_| None).collect(), ports, settings, logs: folder.to_owned(), gave_up: 0 })
    }

    pub(crate) fn count(&self) -> usize {
        self.processes.len()
    }

    /// Starts a process where none runs.
    pub(crate) fn start(&mut self, index: usize) -> Fallible<()> {
        let (Some(place), Some(port)) = (self.processes.get_mut(index), self.ports.get(index)) else { return Ok(()) };
        if place.is_some() {
            return Ok(());
        }
        let log = File::options().create(true).append(true).open(self.logs.join(format!("hub-{index}.log")))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").env("BOURSE__SERVER__LISTEN", format!("127.0.0.1:{port}"));
        command.envs(self.settings.iter().map(|(name, value)| (*name, value.as_str())));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        *place = Some(Process::start(command)?);
        Ok(())
    }

    /// Sends a signal to a process by its id, through the shell, so that no unsafe code is needed.
    pub(crate) fn signal(&self, index: usize, signal: Signal) -> Fallible<()> {
        let Some(Some(Process { child, .. })) = self.processes.get(index) else { return Ok(()) };
        let name = match signal {
            Signal::Kill => "-KILL",
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
            Signal::Terminate => "-TERM",
        };
        let sent = Command::new("/bin/sh")
            .args(["-c", r#"kill "$1" "$2""#, "kill", name, &child.id().to_string()])
            .status()?;
        if sent.success() { Ok(()) } else { Err(format!("could not send {name} to hub {index}").into()) }
    }

    /// Kills a process and takes it off the list.
    pub(crate) fn kill(&mut self, index: usize) -> Fallible<()> {
        self.fallen()?;
        self.signal(index, Signal::Kill)?;
        drop(self.processes.get_mut(index).and_then(Option::take));
        Ok(())
    }

    /// Notices processes that have ended by themselves. One may give up with 1 at its start, where the database does not answer
    /// in time: whoever runs a hub starts it again, and so does this. Any other end is a fault of the hub.
    pub(crate) fn fallen(&mut self) -> Fallible<()> {
        let mut gave_up = Vec::new();
        for (index, place) in self.processes.iter_mut().enumerate() {
            if let Some(Process { child, .. }) = place
                && let Some(status) = child.try_wait()?
            {
                let log = std::fs::read_to_string(self.logs.join(format!("hub-{index}.log"))).unwrap_or_default();
                let last: Vec<_> = log.lines().rev().take(5).collect();
                *place = None;
                if status.code() != Some(1) {
                    return Err(format!("hub {index} ended by itself with {status}: {last:?}").into());
                }
                gave_up.push(index);
            }
        }
        self.gave_up += gave_up.len();
        gave_up.into_iter().try_for_each(|index| self.start(index))
    }

    /// How often a process gave up at its start.
    pub(crate) fn gave_up(&self) -> usize {
        self.gave_up
    }

    /// Waits until all processes are ready.
    pub(crate) async fn answer(&mut self) -> Fallible<()> {
        let site = self.site();
        let (started, mut ticks) = (Instant::now(), interval(Duration::from_millis(100)));
        for url in &site.urls {
            while !site.client.get(format!("{url}/readyz")).send().await.is_ok_and(|answer| answer.status() == 200) {
                if started.elapsed() > ANSWERS_WITHIN {
                    return Err(format!("the hub at {url} is not ready").into());
                }
                self.fallen()?;
                ticks.tick().await;
            }
        }
        Ok(())
    }

    /// Asks all processes to end, and waits for that.
    pub(crate) async fn stop(mut self) -> Fallible<()> {
        self.fallen()?;
        for index in 0..self.count() {
            self.signal(index, Signal::Terminate)?;
        }
        let mut ticks = interval(Duration::from_millis(100));
        let started = Instant::now();
        for place in &mut self.processes {
            let Some(Process { child, .. }) = place else { continue };
            while child.try_wait()?.is_none() {
                if started.elapsed() > ANSWERS_WITHIN {
                    return Err("a hub does not end".into());
                }
                ticks.tick().await;
            }
            *place = None;
        }
        Ok(())
    }

    /// How orderers and auditors reach the hub.
    pub(crate) fn site(&self) -> Site {
        let client = Client::builder().no_proxy().timeout(ANSWER).build().unwrap_or_default();
        let urls = self.ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        Site { client, urls, username: String::new(), password: String::new(), plans: Arc::default() }
    }
}

/// A plan as platforms know it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) service_id: String,
    pub(crate) plan_id: String,
}

/// HTTP towards the hub, and who orders.
#[derive(Clone)]
pub(crate) struct Site {
    client: Client,
    urls: Vec<String>,
    username: String,
    password: String,
    plans: Arc<Vec<Plan>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Site {
    /// Orders with these credentials from now on.
    pub(crate) fn enter(&mut self, credentials: &Value) -> Fallible<()> {
        let text = |field: &str| credentials[field].as_str().map(str::to_owned).ok_or("no credentials");
        (self.username, self.password) = (text("username")?, text("password")?);
        Ok(())
    }

    pub(crate) fn plans(&self) -> &[Plan] {
        &self.plans
    }

    pub(crate) fn hubs(&self) -> usize {
        self.urls.len()
    }

    /// Learns what can be ordered.
    pub(crate) async fn look_at_catalog(&mut self) -> Fallible<()> {
        let answer = self.osb(0, Method::GET, "catalog", None).await.ok_or("no catalog")?;
        let mut plans = Vec::new();
        for service in answer.body["services"].as_array().into_iter().flatten() {
            for plan in service["plans"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let (service_id, plan_id) = (text(&service["id"]), text(&plan["id"]));
                plans.push(Plan { name: text(&plan["name"]), service_id, plan_id });
            }
        }
        self.plans = Arc::new(plans);
        Ok(())
    }

    /// A request of the platform to one of the processes; `None` where no answer came.
    pub(crate) async fn osb(&self, hub: usize, method: Method, path: &str, body: Option<Value>) -> Option<Answer> {
        let url = self.urls.get(hub % self.urls.len().max(1))?;
        let request = self.client.request(method, format!("{url}/v2/{path}"));
        let request = request.basic_auth(&self.username, Some(&self.password)).header("X-Broker-API-Version", "2.17");
        send(request, body).await
    }

    /// A request of the administrator.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: Option<Value>) -> Fallible<Answer> {
        let url = self.urls.first().ok_or("there is no hub")?;
        let request = self.client.request(method.parse()?, format!("{url}/api/v1/{path}"));
        Ok(send(request.basic_auth(ADMIN.0, Some(ADMIN.1)), body).await.ok_or("the hub does not answer")?)
    }

    /// One that must be answered 2xx.
    pub(crate) async fn admin_ok(&self, method: &str, path: &str, body: Option<Value>) -> Fallible<Value> {
        let answer = self.admin(method, path, body).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        Err(format!("{method} {path} is answered {} {}", answer.status, answer.body).into())
    }

    /// All items of a list, page after page.
    pub(crate) async fn items(&self, path: &str) -> Fallible<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        let joint = if path.contains('?') { '&' } else { '?' };
        loop {
            let limit = if path.contains("limit=") { "" } else { "limit=1000" };
            let page = self.admin_ok("GET", &format!("{path}{joint}{limit}{cursor}"), None).await?;
            items.extend(page["items"].as_array().into_iter().flatten().cloned());
            match page["next"].as_str() {
                Some(next) if limit.len() > 1 => cursor = format!("&cursor={next}"),
                _ => return Ok(items),
            }
        }
    }

    /// The whole feed.
    pub(crate) async fn events(&self) -> Fallible<Vec<Value>> {
        let (mut events, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.admin_ok("GET", &format!("events?limit=1000{after}"), None).await?;
            let items = page["items"].as_array().ok_or("a feed without items")?;
            if items.is_empty() {
                return Ok(events);
            }
            events.extend(items.iter().cloned());
            after = format!("&after={}", page["next"].as_str().ok_or("a feed without next")?);
        }
    }
}

async fn send(request: reqwest::RequestBuilder, body: Option<Value>) -> Option<Answer> {
    let request = match body {
        Some(body) => request.header("content-type", "application/json").body(body.to_string()),
        None => request,
    };
    let exchange = async {
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let text = answer.text().await.ok()?;
        Some(Answer { status, body: serde_json::from_str(&text).unwrap_or_default() })
    };
    timeout(ANSWER, exchange).await.ok().flatten()
}
