//! A NATS server with JetStream: the wheel's (pinned), else the distribution's.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::STARTS_MAX;
use crate::support::guard::Ending;
use crate::support::ports::free_port;
use crate::support::process::{Process, scratch};
use crate::support::python;
use crate::support::wait::wait_for;

const READY_BOUND: Duration = Duration::from_secs(15);

static SHARED: OnceCell<Result<Nats, String>> = OnceCell::const_new();

/// The server that all tests of this process share. Streams and subjects are a test's own: give them its name.
pub(crate) async fn nats() -> &'static Nats {
    match SHARED.get_or_init(Nats::start).await {
        Ok(nats) => nats,
        Err(reason) => panic!("NATS: {reason}"),
    }
}

/// A running NATS server.
pub(crate) struct Nats {
    process: Process,
    port: u16,
}

impl Nats {
    /// A server of a test's own, for tests that stop it.
    pub(crate) async fn start() -> Result<Self, String> {
        let program = program()?;
        for _ in 0..STARTS_MAX {
            let port = free_port();
            let directory = scratch("nats");
            let mut command = Command::new(&program);
            command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(directory.join("jetstream"));
            let mut process = Process::start_in(directory, command, Ending::Kill);
            // It writes this line to standard error when clients may come; it ends where the port is taken.
            let ready = wait_for("NATS is ready", READY_BOUND, async || match process.stderr() {
                log if log.contains("Server is ready") => Some(true),
                log if log.contains("address already in use") => Some(false),
                _ => {
                    process.assert_running();
                    None
                }
            });
            if ready.await {
                return Ok(Self { process, port });
            }
        }
        Err(format!("no port could be had in {STARTS_MAX} tries"))
    }

    /// Where clients connect.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The process, to be stopped, continued or killed. Of a server of one's own only.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn program() -> Result<PathBuf, String> {
    let debian = PathBuf::from("/usr/sbin/nats-server");
    match python::program("nats-server") {
        Ok(path) => Ok(path),
        Err(_) if debian.is_file() => Ok(debian),
        Err(reason) => Err(format!("{reason}; or `apt-get install nats-server`")),
    }
}
