//! A private PostgreSQL server from Debian's package, with its settings as delivered: durable, 128 MiB of shared buffers. On
//! loopback only; gone with the value.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::Outcome;
use crate::guard::Ending;
use crate::process::{Running, folder};

const INSTALL: &str = "PostgreSQL is missing: `apt-get install postgresql` installs it";
const STARTS_MAX: usize = 5;

/// A running server.
pub(crate) struct Postgres {
    process: Running,
    port: u16,
}

impl Postgres {
    /// Makes a cluster and starts it, with a library before it where one is given.
    pub(crate) async fn start(top: &Path, preload: Option<&Path>) -> Outcome<Self> {
        let programs = programs()?;
        let data = folder(top, "postgres")?.join("data");
        initialise(&programs, &data)?;
        for _ in 0..STARTS_MAX {
            let port = free_port()?;
            let mut command = as_owner(&programs.join("postgres"));
            command.arg("-D").arg(&data).stdin(Stdio::null()).stdout(Stdio::null());
            let port_setting = format!("port={port}");
            for setting in [
                &port_setting,
                "listen_addresses=127.0.0.1",
                "unix_socket_directories=",
                "max_connections=100",
                // The session and its database.
                "log_line_prefix=%p %d ",
            ] {
                command.args(["-c", setting]);
            }
            if let Some(library) = preload {
                command.env("LD_PRELOAD", library);
            }
            let mut process = Running::start(top, "postgres", command, Ending::Quit)?;
            let ready = process.until("PostgreSQL", async |log: &str| match log {
                log if log.contains("ready to accept connections") => Some(true),
                log if log.contains("Address already in use") => Some(false),
                _ => None,
            });
            if ready.await? {
                return Ok(Self { process, port });
            }
        }
        Err(format!("PostgreSQL found no port in {STARTS_MAX} tries").into())
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The URL of a database.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgres://bourse@127.0.0.1:{}/{name}", self.port)
    }

    /// Writes each statement into the log from now on; sessions hear of it a moment later.
    pub(crate) async fn log_statements(&self) -> Outcome<()> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        connection.execute("alter system set log_statement = 'all'").await?;
        connection.execute("select pg_reload_conf()").await?;
        Ok(connection.close().await?)
    }

    /// How many bytes it has put into its write-ahead log.
    pub(crate) async fn logged(&self) -> Outcome<u64> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        let position = "select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint";
        let bytes: i64 = sqlx::query_scalar(position).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(u64::try_from(bytes)?)
    }

    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        self.process.stderr()
    }

    /// Makes a database, empty or as a copy of one that nobody is connected to.
    pub(crate) async fn create(&self, name: &str, copy_of: Option<&str>) -> Outcome<String> {
        let source = copy_of.unwrap_or("template0");
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        connection.execute(AssertSqlSafe(format!(r#"create database "{name}" template "{source}""#))).await?;
        connection.close().await?;
        Ok(self.url(name))
    }
}

fn free_port() -> Outcome<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn initialise(programs: &Path, data: &Path) -> Outcome<()> {
    std::fs::create_dir(data)?;
    if is_root() && !Command::new("chown").arg("postgres:").arg(data).status()?.success() {
        return Err(INSTALL.into());
    }
    let mut command = as_owner(&programs.join("initdb"));
    command.args(["-U", "bourse", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "-D"]).arg(data);
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("initdb failed: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// PostgreSQL refuses to run as root: root runs it as the package's user. `setpriv` replaces itself by the program, so that
/// the pid is the server's own.
fn as_owner(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // The caller's folder may be closed to that user.
    command.current_dir("/");
    command
}

/// Whether this process is root's.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// The folder of the newest version that Debian's package installed.
pub(crate) fn programs() -> Outcome<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let found = versions.map(|entry| entry.path()).filter(|path| path.join("bin/initdb").is_file());
    found.max_by_key(|path| version(path)).map(|path| path.join("bin")).ok_or_else(|| INSTALL.into())
}
