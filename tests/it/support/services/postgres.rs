//! A PostgreSQL server from Debian's package: durable as delivered (`fsync` and `synchronous_commit` stay on), small, on
//! loopback TCP only. Each test has a database of its own, copied from a template that was migrated once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

use super::STARTS_MAX;
use crate::support::guard::Ending;
use crate::support::ports::free_port;
use crate::support::process::{Process, Signal, scratch, send};
use crate::support::wait::wait_for;

const READY_BOUND: Duration = Duration::from_secs(30);
const INSTALL: &str = "`bash tests/run.sh` installs it, or `apt-get install postgresql`";

static SHARED: OnceCell<Result<Postgres, String>> = OnceCell::const_new();

/// The server that all tests of this process share.
pub(crate) async fn postgres() -> &'static Postgres {
    match SHARED.get_or_init(Postgres::start).await {
        Ok(postgres) => postgres,
        Err(reason) => panic!("PostgreSQL: {reason}"),
    }
}

/// A running PostgreSQL server.
pub(crate) struct Postgres {
    process: Process,
    port: u16,
    /// Name of a template → made or being made. A failed one is tried again by the next test that asks.
    templates: Mutex<HashMap<&'static str, Arc<OnceCell<String>>>>,
    databases: AtomicU32,
}

/// A test's own database, dropped with this value even where connections are still open.
pub(crate) struct Database {
    url: String,
    name: String,
    server: String,
}

impl Postgres {
    /// A server of a test's own, for tests that stop it.
    pub(crate) async fn start() -> Result<Self, String> {
        let programs = programs()?;
        for _ in 0..STARTS_MAX {
            let port = free_port();
            let directory = scratch("postgres");
            let data = directory.join("data");
            let (programs, made) = (programs.clone(), data.clone());
            let initialised = tokio::task::spawn_blocking(move || initialise(&programs, &made));
            let programs = initialised.await.map_err(|panic| panic.to_string())??;
            let mut command = as_owner(&programs.join("postgres"));
            command.arg("-D").arg(&data);
            for setting in [
                format!("port={port}"),
                "listen_addresses=127.0.0.1".to_owned(),
                "unix_socket_directories=".to_owned(),
                "max_connections=200".to_owned(),
                "shared_buffers=32MB".to_owned(),
                // In the data directory, where it goes with it.
                "dynamic_shared_memory_type=mmap".to_owned(),
            ] {
                command.args(["-c", &setting]);
            }
            let mut process = Process::start_in(directory, command, Ending::Quit);
            let ready = wait_for("PostgreSQL is ready", READY_BOUND, async || match process.stderr() {
                log if log.contains("ready to accept connections") => Some(true),
                log if log.contains("Address already in use") => Some(false),
                _ => {
                    process.assert_running();
                    None
                }
            });
            if ready.await {
                let templates = Mutex::default();
                return Ok(Self { process, port, templates, databases: AtomicU32::new(0) });
            }
        }
        Err(format!("no port could be had in {STARTS_MAX} tries"))
    }

    /// An empty database. `name` is for people who look; it needn't be unique.
    pub(crate) async fn database(&self, name: &str) -> Database {
        self.create(name, "template0").await
    }

    /// An empty database that does not sort by bytes, but as English does.
    pub(crate) async fn english(&self, name: &str) -> Database {
        let how = "template template0 encoding 'UTF8' locale_provider icu icu_locale 'en'";
        self.created(name, how).await
    }

    /// A copy of the template `template`, which `migrate` fills (given the URL of an empty database) the first time.
    pub(crate) async fn database_from(
        &self,
        name: &str,
        template: &'static str,
        migrate: impl AsyncFnOnce(String),
    ) -> Database {
        let cell = {
            let mut templates = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(templates.entry(template).or_default())
        };
        let source = cell.get_or_init(async || {
            let made = self.create(template, "template0").await;
            migrate(made.url.clone()).await;
            made.keep()
        });
        self.create(name, source.await).await
    }

    /// Ends it as a crash does: no checkpoint, connections cut, recovery at the next start. Of a server of one's own
    /// only. (`kill -9` would do no more, and leave the kernel's shared memory behind.)
    pub(crate) async fn crash(&mut self) {
        self.process.signal(Signal::Quit);
        self.process.exit_status().await;
    }

    /// Stops the whole server in its tracks until what this gives is dropped: connections stay open and nothing answers. Of a
    /// server of one's own only.
    pub(crate) fn freeze(&self) -> Frozen {
        freeze(self.process.pid())
    }

    /// The process's number, for [`freeze`].
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The process, to be stopped and continued. Of a server of one's own only.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    async fn create(&self, name: &str, source: &str) -> Database {
        self.created(name, &format!(r#"template "{source}""#)).await
    }

    async fn created(&self, name: &str, how: &str) -> Database {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        let name = format!("{}_{number}", plain.to_ascii_lowercase());
        let server = format!("postgres://bourse@127.0.0.1:{}", self.port);
        administer(&server, format!(r#"create database "{name}" {how}"#)).await.expect("no database");
        Database { url: format!("{server}/{name}"), name, server }
    }
}

/// As [`Postgres::freeze`], by the server's pid.
pub(crate) fn freeze(pid: u32) -> Frozen {
    // The one that would start others first.
    send(Signal::Stop, pid);
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("no list of processes");
    let children: Vec<u32> = children.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect();
    children.iter().for_each(|child| send(Signal::Stop, *child));
    Frozen { pids: [children, vec![pid]].concat() }
}

/// A server that is stopped.
pub(crate) struct Frozen {
    pids: Vec<u32>,
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.pids.iter().for_each(|pid| send(Signal::Continue, *pid));
    }
}

impl Database {
    /// What to write into `database.url`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Leaves it to the server's end, and returns its name.
    fn keep(mut self) -> String {
        std::mem::take(&mut self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.name.is_empty() {
            return;
        }
        let statement = format!(r#"drop database if exists "{}" with (force)"#, self.name);
        let server = self.server.clone();
        // A thread of its own: the test's runtime may be shutting down, and a runtime can't be waited for from within.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            let bound = Duration::from_secs(10);
            runtime.block_on(async { tokio::time::timeout(bound, administer(&server, statement)).await.ok() })
        });
        // What could not be dropped (a server that a test killed) goes with the server's directory.
        drop(dropping.join());
    }
}

/// Runs one statement outside of any transaction, on a connection of its own: a pool would belong to one test's runtime.
async fn administer(server: &str, statement: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(&format!("{server}/postgres")).await?;
    connection.execute(AssertSqlSafe(statement)).await?;
    connection.close().await
}

/// Makes the cluster. Without `sync`: it is thrown away if the machine fails meanwhile. Answers with the programs' folder.
fn initialise(programs: &Path, data: &Path) -> Result<PathBuf, String> {
    std::fs::create_dir(data).map_err(|reason| reason.to_string())?;
    if is_root() {
        let chown = Command::new("chown").arg("postgres:").arg(data).output().map_err(|reason| reason.to_string())?;
        if !chown.status.success() {
            return Err(format!("there is no user `postgres`: {INSTALL}"));
        }
    }
    let mut command = as_owner(&programs.join("initdb"));
    command.args(["-U", "bourse", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "-D"]).arg(data);
    let output = command.output().map_err(|reason| format!("could not start initdb: {reason}"))?;
    if output.status.success() {
        Ok(programs.to_owned())
    } else {
        Err(format!("initdb failed: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// PostgreSQL refuses to run as root: root runs it as the package's user. `setpriv` replaces itself by the program, so
/// that the pid is the server's own.
fn as_owner(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // The caller's directory may be closed to that user.
    command.current_dir("/");
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// The folder of the newest version installed by Debian's package, which keeps the servers out of the search path.
fn programs() -> Result<PathBuf, String> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    versions
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").is_file())
        .max_by_key(|path| version(path))
        .map(|path| path.join("bin"))
        .ok_or_else(|| format!("it is missing: {INSTALL}"))
}
