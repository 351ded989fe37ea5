//! The hub's command line against a hub in this process: what it prints, and how it ends.

use std::path::Path;
use std::process::Command;

use bourse_brokers::vnet_ipam::{Config, VnetIpam};
use serde_json::Value;

use super::bare::On;
use super::hub::{Hub, World};
use super::process::{Process, brokers_binary, hub_binary};

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A hub and the administrator's command line.
pub(crate) struct Terminal {
    pub(crate) world: World,
    pub(crate) hub: Hub,
}

/// A `vnet-ipam` broker, which ends with this.
pub(crate) struct Vnet {
    pub(crate) url: String,
    _running: osb::server::Running,
    _folder: tempfile::TempDir,
}

impl Vnet {
    /// Starts one whose only caller is `hub`.
    pub(crate) async fn start(password: &str) -> Self {
        let folder = tempfile::tempdir().expect("no temporary directory");
        let broker = VnetIpam::open(Config::new(folder.path().join("vnet.db"))).await.expect("no broker");
        let door = osb::server::BasicAuth::new(std::sync::Arc::new(broker), "hub", password);
        let running = osb::server::Server::new(door).bind("127.0.0.1:0").expect("the broker could not listen");
        Self { url: running.url(), _running: running, _folder: folder }
    }
}

/// A reference broker as a process, with what it needs of its own.
pub(crate) struct Reference {
    pub(crate) url: String,
    _process: Process,
    _folder: tempfile::TempDir,
}

impl Reference {
    /// Starts one whose only caller is `hub`.
    pub(crate) async fn start(name: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().expect("no temporary directory");
        let data = folder.path().display().to_string();
        let arguments = [name, "--listen", "127.0.0.1:0", "--data", &data, "--username", "hub", "--password", password];
        let (process, url) = Process::serve(name, &brokers_binary(), arguments, &[]).await;
        Self { url, _process: process, _folder: folder }
    }
}

impl Terminal {
    /// A hub that knows nobody yet.
    pub(crate) async fn new(on: On) -> Self {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        Self { world, hub }
    }

    /// A command that is not started yet, as the administrator.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        command(&self.hub.url, arguments)
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Done {
        finish(self.command(arguments)).await
    }

    /// Runs a command that must succeed.
    pub(crate) async fn ok(&self, arguments: &[&str]) -> Done {
        let done = self.run(arguments).await;
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        done
    }

    /// Runs a command that must succeed, with `-o json`.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let mut arguments = arguments.to_vec();
        arguments.extend(["-o", "json"]);
        serde_json::from_str(&self.ok(&arguments).await.out).expect("no JSON")
    }

    /// Runs a command that must end so, with that and nothing else on standard error, and nothing on standard output.
    pub(crate) async fn refused(&self, arguments: &[&str], code: i32, sentence: &str) {
        let done = self.run(arguments).await;
        assert_eq!((done.code, done.err.as_str(), done.out.as_str()), (code, &*format!("bourse: {sentence}\n"), ""));
    }
}

/// The command line of an administrator of the hub at `url`.
pub(crate) fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(hub_binary());
    command.args(arguments).env_remove("BOURSE_TOKEN");
    command.envs([("BOURSE_URL", url), ("BOURSE_USERNAME", "admin"), ("BOURSE_PASSWORD", "pw")]);
    command
}

/// The same with what a file holds on its standard input.
pub(crate) fn fed(from: &Command, file: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"file=$1; shift; exec "$@" <"$file""#, "sh"]).arg(file);
    command.arg(from.get_program()).args(from.get_args());
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Runs a command to its end.
pub(crate) async fn finish(command: Command) -> Done {
    let mut process = Process::start("cli", command);
    let status = process.exit_status().await;
    Done { code: status.code().unwrap_or(-1), out: process.stdout(), err: process.stderr() }
}
