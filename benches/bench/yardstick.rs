//! The bare statements seen from the process that measures: starts the child of `bare` and tells it what to do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::Outcome;
use crate::guard::Ending;
use crate::process::Running;
use crate::stats::Series;

/// The child.
pub(crate) struct Yardstick {
    process: Running,
    pipes: Arc<Mutex<(ChildStdin, BufReader<ChildStdout>)>>,
}

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Both transactions of a provision.
    Provision,
    /// Both transactions of a bind.
    Bind,
}

impl Order {
    /// Its word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Bind => "bind",
        }
    }
}

impl Yardstick {
    /// Starts it on a database in which the hub has made an instance with a binding, with a library before it where one is given.
    pub(crate) fn start(top: &Path, database: &str, preload: Option<&Path>) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["child", "bare", database]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(library) = preload {
            command.env("LD_PRELOAD", library);
        }
        let mut process = Running::start(top, "bare", command, Ending::Kill)?;
        let input = process.child().stdin.take().ok_or("no pipe")?;
        let output = BufReader::new(process.child().stdout.take().ok_or("no pipe")?);
        Ok(Self { process, pipes: Arc::new(Mutex::new((input, output))) })
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Runs the statements, `at_once` side by side, until there were so many or for so long.
    pub(crate) async fn run(
        &self,
        order: Order,
        at_once: usize,
        count: usize,
        lasting: Duration,
    ) -> Outcome<(Series, Vec<Duration>)> {
        let line = format!("{} {at_once} {count} {}\n", order.name(), lasting.as_millis());
        let pipes = Arc::clone(&self.pipes);
        let asking = tokio::task::spawn_blocking(move || {
            let mut pipes = pipes.lock().map_err(|_| "a thread panicked")?;
            pipes.0.write_all(line.as_bytes())?;
            let mut answer = String::new();
            pipes.1.read_line(&mut answer)?;
            Outcome::Ok(answer)
        });
        let answer = asking.await??;
        let mut times = answer.split_whitespace().map(|text| text.parse().map(Duration::from_nanos));
        let took = times.next().ok_or_else(|| format!("the bare statements ended: {}", self.process.stderr()))??;
        let each = times.collect::<Result<Vec<_>, _>>()?;
        Ok((Series::new(took, each.clone()), each))
    }
}
