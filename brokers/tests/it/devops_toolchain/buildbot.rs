//! A real Buildbot on loopback, with the configuration of the documentation.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bourse_brokers::devops_toolchain::{BuildKey, Buildbot};
use tokio::process::{Child, Command};

const CONFIGURATION: &str = include_str!("../../../../docs/brokers/devops-toolchain-master.cfg");
const KEY: &str = "the-key-that-both-sides-know";
pub(crate) const PASSWORD: &str = "ci-password";

/// A CI server where nobody listens.
pub(crate) fn nowhere() -> Buildbot {
    Buildbot {
        url: "http://127.0.0.1:1".to_owned(),
        scheduler: "toolchain".to_owned(),
        login: None,
        key: BuildKey::new(KEY.as_bytes()),
    }
}

/// A master with a worker inside, stopped when it is dropped.
pub(crate) struct Master {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

fn command(arguments: &[&str], folder: &Path) -> Command {
    let bin =
        PathBuf::from(std::env::var_os("BOURSE_IT_ENV").expect("BOURSE_IT_ENV names the directory with Buildbot"));
    let bin = std::path::absolute(bin).unwrap().join("bin");
    let mut command = std::process::Command::new(bin.join("python"));
    command.arg(bin.join("buildbot")).args(arguments).current_dir(folder).stdin(Stdio::null());
    // A group of its own: what a build starts ends with it.
    command.process_group(0);
    Command::from(command)
}

impl Master {
    /// Makes one; it does not run yet.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = command(&["create-master", "--quiet", "."], folder.path()).output().await.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(folder.path().join("master.cfg"), CONFIGURATION).unwrap();
        std::fs::write(folder.path().join("key"), KEY).unwrap();
        // Free now; nobody else here takes a port by number.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { folder, port, child: None }
    }

    pub(crate) async fn running() -> Self {
        let mut master = Self::new().await;
        master.start().await;
        master
    }

    /// Starts it and waits until it takes builds.
    pub(crate) async fn start(&mut self) {
        let mut starting = command(&["start", "--nodaemon", "."], self.folder.path());
        let log = std::fs::File::create(self.folder.path().join("out.log")).unwrap();
        starting
            .env("BOURSE_CI_PORT", self.port.to_string())
            .env("BOURSE_CI_KEY_FILE", self.folder.path().join("key"))
            .env("BOURSE_CI_PASSWORD", PASSWORD)
            .env("NO_PROXY", "*")
            .env("HOME", self.folder.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true);
        self.child = Some(starting.spawn().unwrap());
        let up = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            loop {
                ticks.tick().await;
                let said = std::fs::read_to_string(self.folder.path().join("twistd.log")).unwrap_or_default();
                let ended = self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some());
                assert!(!ended, "Buildbot ended: {said}");
                if said.contains("Worker local attached to toolchain") && said.contains("BuildMaster is running") {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), up).await.expect("Buildbot runs in time");
    }

    /// How the broker calls it.
    pub(crate) fn client(&self) -> Buildbot {
        Buildbot {
            url: format!("http://127.0.0.1:{}/", self.port),
            scheduler: "toolchain".to_owned(),
            login: Some(("broker".to_owned(), PASSWORD.to_owned())),
            key: BuildKey::new(KEY.as_bytes()),
        }
    }

    /// All that it keeps and logs.
    pub(crate) fn kept(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for name in ["state.sqlite", "state.sqlite-wal", "twistd.log", "out.log"] {
            bytes.extend(std::fs::read(self.folder.path().join(name)).unwrap_or_default());
        }
        bytes
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        if let Some(group) = self.child.as_ref().and_then(Child::id) {
            // The worker's own children too.
            let ended = std::process::Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status();
            drop(ended);
        }
    }
}
