//! Real OpenSSH: hosts on loopback, keys, and logins.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a program to its end; what it says is in the output.
pub(super) async fn run(program: &str, arguments: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).env_remove("SSH_AUTH_SOCK").kill_on_drop(true);
    timeout(PATIENCE, command.output()).await.unwrap().unwrap()
}

/// The same, where it must succeed: what it wrote.
pub(super) async fn run_well(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = run(program, arguments, directory).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a pair with ssh-keygen; returns the private key's file and the public line.
pub(super) async fn key(directory: &Path, name: &str, kind: &str) -> (PathBuf, String) {
    let file = directory.join(name);
    let arguments = ["-q", "-t", kind, "-N", "", "-C", "me@laptop", "-f", file.to_str().unwrap()];
    run_well("ssh-keygen", &arguments, directory).await;
    let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
    (file, public)
}

/// Who runs the tests: the only user whom an sshd without privileges lets in.
pub(super) async fn myself() -> String {
    run_well("id", &["-un"], Path::new("/")).await.trim().to_owned()
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A host: its directory with `host_key`, and a running sshd.
pub(super) struct Sshd {
    directory: PathBuf,
    _child: Child,
}

impl Sshd {
    /// Starts an sshd with its own few lines (where it listens, its key, what a test as anyone needs) and then those that a
    /// binding gave, untouched.
    pub(super) async fn start(directory: &Path, port: u16, pasted: &str) -> Self {
        // Where sshd runs as root it wants this directory for its unprivileged half.
        let separation = Path::new("/run/sshd");
        if !separation.exists() && run_well("id", &["-u"], directory).await.trim() == "0" {
            std::fs::create_dir_all(separation).unwrap();
            std::fs::set_permissions(separation, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let own = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {0}/host_key\nPidFile none\nUsePAM no\nStrictModes no\nLogLevel VERBOSE\n",
            directory.display()
        );
        let config = directory.join("sshd.conf");
        std::fs::write(&config, format!("{own}{pasted}")).unwrap();
        let log = std::fs::File::create(directory.join("sshd.log")).unwrap();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let reached = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                ticks.tick().await;
                let ended = child.try_wait().unwrap();
                let said = std::fs::read_to_string(directory.join("sshd.log")).unwrap();
                assert!(ended.is_none(), "sshd ended: {said}");
            }
        };
        timeout(PATIENCE, reached).await.unwrap();
        Self { directory: directory.to_owned(), _child: child }
    }

    /// What it has logged so far.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("sshd.log")).unwrap()
    }

    /// Waits until it has logged that.
    pub(super) async fn has_logged(&self, text: &str) {
        self.has_logged_after(0, text).await;
    }

    /// Waits until it has logged that behind so many bytes of its log.
    pub(super) async fn has_logged_after(&self, skip: usize, text: &str) {
        let logged = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            while !self.log()[skip..].contains(text) {
                ticks.tick().await;
            }
        };
        assert!(timeout(Duration::from_secs(10), logged).await.is_ok(), "no `{text}` in {}", &self.log()[skip..]);
    }
}

/// `ssh -F ssh_config NAME echo …` from the directory that holds what a binding gave. True where the login worked.
pub(super) async fn login(directory: &Path, name: &str, more: &[&str]) -> Result<(), String> {
    let mut arguments = vec!["-F", "ssh_config", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"];
    arguments.extend(more);
    arguments.extend([name, "echo", "reached"]);
    let output = run("ssh", &arguments, directory).await;
    if output.status.success() && output.stdout == b"reached\n" {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
