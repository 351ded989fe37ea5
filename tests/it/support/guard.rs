//! Ends a child process when the test process is gone, even after a panic, an abort or `kill -9`.
//!
//! A guard is a small shell that reads from a pipe whose other end only the test process holds (Rust opens pipes
//! close-on-exec, so no sibling inherits it). The first line names the child. When the pipe closes, the guard signals that
//! one process, waits until it is gone (bounded, then `KILL`) and removes the child's directory. When the test process
//! has ended the child by itself it says `done` first, and the guard signals nobody: the pid may be another's by then.
//! The guard has a process group of its own, so neither Ctrl-C nor `timeout` reaches it before it has done its work.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

const SCRIPT: &str = r#"
read -r pid || { rm -rf "$2"; exit 0; }
if read -r word && [ "$word" = done ]; then rm -rf "$2"; exit 0; fi
kill -CONT "$pid" 2>/dev/null
kill -"$1" "$pid" 2>/dev/null
left=200
while [ "$left" -gt 0 ]; do
    # Gone, or dead and not yet reaped by whoever inherited it.
    case "$(cat "/proc/$pid/stat" 2>/dev/null)" in '' | *') Z '*) break ;; esac
    sleep 0.05
    left=$((left - 1))
done
kill -KILL "$pid" 2>/dev/null
rm -rf "$2"
"#;

/// The signal with which a guard ends its child.
#[derive(Clone, Copy)]
pub(crate) enum Ending {
    /// At once. For processes that must survive this anyway.
    Kill,
    /// For what has children of its own, which it ends then.
    Term,
    /// PostgreSQL's "immediate shutdown": no checkpoint, but its helpers end and its shared memory is given back.
    Quit,
}

/// The pipe to one guard, and the guard.
pub(crate) struct Guard {
    pipe: Option<ChildStdin>,
    shell: Child,
}

impl Guard {
    /// Starts the guard. It must be there before the child is, so that no moment is unwatched but the one in which the
    /// child's pid is written down. `directory` belongs to the child and is removed at the end.
    pub(crate) fn start(ending: Ending, directory: &Path) -> Self {
        let signal = match ending {
            Ending::Kill => "KILL",
            Ending::Term => "TERM",
            Ending::Quit => "QUIT",
        };
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "guard", signal])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("could not start /bin/sh as a guard");
        let pipe = shell.stdin.take();
        Self { pipe, shell }
    }

    /// Names the child.
    pub(crate) fn watch(&mut self, pid: u32) {
        let pipe = self.pipe.as_mut().expect("a guard watches one process");
        writeln!(pipe, "{pid}").expect("could not tell the guard its process");
    }

    /// The child has been ended and reaped: the guard removes the directory and goes.
    pub(crate) fn dismiss(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            // A guard that is gone already has nothing left to do: that write may fail.
            drop(writeln!(pipe, "done"));
        }
        drop(self.shell.wait());
    }

    /// The guard's own pid.
    pub(crate) fn pid(&self) -> u32 {
        self.shell.id()
    }
}
