//! Child processes: the hub, a reference broker, a foreign broker, a service. Each has a directory with its output in
//! two files, is ended by its own pid, and never outlives the test process (`guard`).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::guard::{Ending, Guard};
use super::wait::{wait_for, wait_until};

const READY_BOUND: Duration = Duration::from_secs(20);
const EXIT_BOUND: Duration = Duration::from_secs(20);
/// What a hub may ever have resident in memory, whatever it is given to do: 80 MiB, without the pages of its own program, which the
/// kernel reads again when it likes. Those of a test's build are large (55 MiB of an idle hub), and say nothing of what is delivered.
const HUB_MEMORY_MAX_KIB: u64 = 80 * 1024;

/// What can be sent to a process.
#[derive(Clone, Copy)]
pub(crate) enum Signal {
    /// Please end: the hub drains.
    Term,
    /// What Ctrl-C sends.
    Interrupt,
    /// PostgreSQL's way to crash.
    Quit,
    /// Ends it wherever it is, as a crash does.
    Kill,
    /// Stands still, as a paused machine does.
    Stop,
    /// Goes on.
    Continue,
}

/// A running (or ended) child process.
pub(crate) struct Process {
    child: Child,
    guard: Guard,
    directory: PathBuf,
    reaped: bool,
}

/// The hub's binary of this build.
pub(crate) fn hub_binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_bourse"))
}

/// The reference brokers' binary of this build. Cargo names a test only the binaries of its own package; this one is
/// another package's, and lies beside the hub's because `cargo test --workspace` builds all binaries of the workspace
/// first. With `cargo test -p bourse` alone it may be missing or old: `cargo build -p bourse-brokers` makes it.
pub(crate) fn brokers_binary() -> PathBuf {
    let path = hub_binary().with_file_name("bourse-brokers");
    assert!(path.is_file(), "{} is missing: `cargo build -p bourse-brokers` makes it", path.display());
    path
}

/// A fresh private directory under the system's temporary one. Its owner can write, others can only pass through: a
/// service that runs as another user has its own directory below.
pub(crate) fn scratch(name: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let directory =
        tempfile::Builder::new().prefix(&format!("bourse-it-{name}-")).tempdir().expect("no temporary directory");
    let path = directory.keep();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o711)).expect("could not open the directory");
    path
}

impl Process {
    /// Starts `command` with its output in files, `Ending::Kill` at the end, and no input.
    pub(crate) fn start(name: &str, command: Command) -> Self {
        Self::start_in(scratch(name), command, Ending::Kill)
    }

    /// Starts it in `directory`, which is removed with it.
    pub(crate) fn start_in(directory: PathBuf, mut command: Command, ending: Ending) -> Self {
        let file = |name| std::fs::File::create(directory.join(name)).expect("could not make a log file");
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        let mut guard = Guard::start(ending, &directory);
        let child = match command.spawn() {
            Ok(child) => child,
            Err(reason) => panic!(
                "could not start {}: {reason} (`bash tests/run.sh` installs what the tests need)",
                command.get_program().display()
            ),
        };
        guard.watch(child.id());
        Self { child, guard, directory, reaped: false }
    }

    /// Starts a program that says where it listens, and waits for that: the address is what follows `listening on `.
    pub(crate) async fn serve<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(&str, &str)],
    ) -> (Self, String) {
        let mut command = Command::new(program);
        command.args(arguments).envs(environment.iter().copied());
        let mut process = Self::start(name, command);
        let url = process.listening().await;
        (process, url)
    }

    /// Waits for the line `listening on URL` on standard output, and returns the URL.
    pub(crate) async fn listening(&mut self) -> String {
        wait_for("a process says where it listens", READY_BOUND, async || {
            let output = self.stdout();
            // Only whole lines: the last one may still be on its way.
            let whole = output.rsplit_once('\n').map_or("", |(lines, _)| lines);
            let url = whole.lines().find_map(|line| line.strip_prefix("listening on "));
            if url.is_none() {
                self.assert_running();
            }
            url.map(|url| url.trim().to_owned())
        })
        .await
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pid of the shell that ends it.
    pub(crate) fn guard_pid(&self) -> u32 {
        self.guard.pid()
    }

    /// Where its output is, and whatever else it keeps.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it wrote to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        read(&self.directory.join("stdout"))
    }

    /// What it wrote to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        read(&self.directory.join("stderr"))
    }

    /// Fails the test with its output if it has ended.
    pub(crate) fn assert_running(&mut self) {
        let ended = self.child.try_wait().expect("could not ask for the state of a child");
        if let Some(status) = ended {
            self.reaped = true;
            panic!("process ended with {status}\n--- stdout\n{}--- stderr\n{}", self.stdout(), self.stderr());
        }
    }

    /// Fails the test if it ever had more memory than suffices for a hub. To be asked while it runs: nobody knows afterwards.
    pub(crate) fn assert_modest(&self) {
        let status = read(Path::new(&format!("/proc/{}/status", self.pid())));
        let figure = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a process that runs");
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        let peak = figure("VmHWM:").saturating_sub(figure("RssFile:"));
        assert!(peak <= HUB_MEMORY_MAX_KIB, "process {} had {peak} KiB", self.pid());
    }

    /// Sends a signal to it alone. Not after it has been reaped: its number may be another's then.
    pub(crate) fn signal(&self, signal: Signal) {
        assert!(!self.reaped, "the process has ended already");
        send(signal, self.pid());
    }

    /// Waits until it has ended by itself or by a signal sent before.
    pub(crate) async fn exit_status(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status =
            wait_for("a process ends", EXIT_BOUND, async || child.try_wait().expect("could not wait for a child"));
        let status = status.await;
        self.reaped = true;
        status
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("could not wait for a child");
        self.reaped = self.reaped || status.is_some();
        status
    }

    /// `kill -9`, then reaped: returns when it is gone. Its directory stays until `self` is dropped.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::Kill);
        self.exit_status().await;
    }

    /// Asks it to end and waits for that.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::Term);
        self.exit_status().await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            // Fails only where it has ended already, and then there is nothing to end.
            drop(self.child.kill());
            drop(self.child.wait());
        }
        self.guard.dismiss();
    }
}

/// Whether a process with this pid exists and isn't merely waiting to be reaped.
pub(crate) fn is_alive(pid: u32) -> bool {
    let state = read(Path::new(&format!("/proc/{pid}/stat")));
    // The state follows the name, which is in parentheses and may itself hold some.
    state.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z') && !rest.starts_with('X'))
}

/// Waits until no process with this pid is alive.
pub(crate) async fn wait_until_gone(pid: u32) {
    wait_until(&format!("process {pid} is gone"), EXIT_BOUND, async || !is_alive(pid)).await;
}

/// Sends a signal by pid, through the command so that no unsafe code is needed.
pub(crate) fn send(signal: Signal, pid: u32) {
    let name = match signal {
        Signal::Term => "-TERM",
        Signal::Interrupt => "-INT",
        Signal::Quit => "-QUIT",
        Signal::Kill => "-KILL",
        Signal::Stop => "-STOP",
        Signal::Continue => "-CONT",
    };
    let status = Command::new("/bin/sh").args(["-c", r#"kill "$1" "$2""#, "kill", name, &pid.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "could not send {name} to process {pid}");
}

/// A file's text; nothing where there is none.
fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
