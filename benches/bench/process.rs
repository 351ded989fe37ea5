//! Processes that are measured: started with their output in files, ended by their own pid also when this process is gone
//! (`guard`), and asked of the kernel what they cost.
//!
//! It knows no program in particular. Invariant: a value that is dropped leaves no process behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::guard::{Ending, Guard};

/// The kernel counts a process's time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a program may take until it says where it listens, and to end.
const READY_WITHIN: Duration = Duration::from_secs(60);
const ENDED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A running process.
pub(crate) struct Running {
    child: Child,
    guard: Guard,
    folder: PathBuf,
    ending: Ending,
    ended: bool,
}

impl Running {
    /// Starts it with a folder of its own below `top`, which goes with it. Pipes that the command asks for stay pipes.
    pub(crate) fn start(top: &Path, name: &str, mut command: Command, ending: Ending) -> Outcome<Self> {
        let folder = folder(top, name)?;
        command.stderr(std::fs::File::create(folder.join("stderr"))?);
        let mut guard = Guard::start(ending, &folder);
        let started = command.spawn();
        let child = started.map_err(|error| format!("could not start {}: {error}", command.get_program().display()))?;
        guard.watch(child.id());
        Ok(Self { child, guard, folder, ending, ended: false })
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process itself.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// What it wrote to standard error.
    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(self.folder.join("stderr")).unwrap_or_default()
    }

    /// Waits until `ready` gives something.
    pub(crate) async fn until<T>(&mut self, what: &str, mut ready: impl AsyncFnMut(&str) -> Option<T>) -> Outcome<T> {
        let started = Instant::now();
        loop {
            if let Some(found) = ready(&self.stderr()).await {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                self.ended = true;
                return Err(format!("{what}: it ended with {status}: {}", self.stderr()).into());
            }
            if started.elapsed() > READY_WITHIN {
                return Err(format!("{what}: not within {READY_WITHIN:?}: {}", self.stderr()).into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Asks it to end with a signal (`TERM`, `INT`, …) and waits for that.
    pub(crate) async fn stop(&mut self, signal: &str) -> Outcome<()> {
        if self.ended {
            return Ok(());
        }
        send(signal, self.pid())?;
        let started = Instant::now();
        while self.child.try_wait()?.is_none() {
            if started.elapsed() > ENDED_WITHIN {
                return Err(format!("process {} does not end: {}", self.pid(), self.stderr()).into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.ended = true;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            let gently = matches!(self.ending, Ending::Quit) && send("QUIT", self.pid()).is_ok();
            // Fails only where it has ended already, and then there is nothing to end.
            let _killed = if gently { Ok(()) } else { self.child.kill() };
            drop(self.child.wait());
        }
        self.guard.dismiss();
    }
}

/// A fresh folder, which others can pass through: PostgreSQL may be another user.
pub(crate) fn folder(top: &Path, name: &str) -> Outcome<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(top)?.keep();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o711))?;
    Ok(path)
}

/// Sends a signal through the command, so that no unsafe code is needed.
fn send(signal: &str, pid: u32) -> Outcome<()> {
    let status = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("could not send {signal} to {pid}").into()) }
}

fn children(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// The processor time that a process and its children have used, in seconds; of children that ended too.
pub(crate) fn cpu(pid: u32) -> f64 {
    let own = ticks(pid);
    let below: f64 = children(pid).into_iter().map(|child| ticks(child)[0]).sum();
    (own[0] + own[1] + below) / TICKS_PER_SECOND
}

/// Of a process itself, and of its children that were waited for.
fn ticks(pid: u32) -> [f64; 2] {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The fields from the third on follow the name, which is in parentheses and may itself hold some.
    let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect::<Vec<_>>()).unwrap_or_default();
    let at = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    [at(14) + at(15), at(16) + at(17)]
}

/// Resident memory in MiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Now; of a process with children all of theirs, what they share counted once.
    pub(crate) now: f64,
    /// The most that it ever had; nothing for a process with children, whose peaks were not at one time.
    pub(crate) peak: Option<f64>,
}

/// Asks for it.
pub(crate) fn memory(pid: u32) -> Memory {
    let (below, status) = (children(pid), format!("/proc/{pid}/status"));
    if below.is_empty() {
        return Memory { now: mib(&status, "VmRSS:"), peak: Some(mib(&status, "VmHWM:")) };
    }
    Memory { now: below.into_iter().chain([pid]).map(proportional).sum(), peak: None }
}

/// A process's share of what is resident; all of it where the kernel does not tell.
fn proportional(pid: u32) -> f64 {
    let share = mib(&format!("/proc/{pid}/smaps_rollup"), "Pss:");
    if share > 0.0 { share } else { mib(&format!("/proc/{pid}/status"), "VmRSS:") }
}

fn mib(file: &str, field: &str) -> f64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kib: Option<f64> = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
    kib.unwrap_or_default() / 1024.0
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.peak {
            Some(peak) => write!(f, "{:.0} / {peak:.0} MiB", self.now),
            None => write!(f, "{:.0} MiB", self.now),
        }
    }
}

/// Whether a library stands before a process.
pub(crate) fn has_before_it(pid: u32, library: &Path) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.contains(&*library.to_string_lossy())
}

/// Processes whose time is counted under a name.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// What it is in the tables.
    pub(crate) name: &'static str,
    /// The process that counts with its children.
    pub(crate) pid: u32,
}

/// What each part used so far.
pub(crate) fn used(parts: &[Part]) -> Vec<f64> {
    parts.iter().map(|part| cpu(part.pid)).collect()
}
