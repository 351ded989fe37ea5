//! Programs that are run: as argument vectors, never by a shell; with a bound on their time and on what they say.
//!
//! It deliberately doesn't know what the programs are for. Invariant: when a call ends, the program has ended or is killed.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process;

/// How long one program may take; they usually need some milliseconds.
const TIME_MAX: Duration = Duration::from_secs(15);
/// How much one may say: a listing of a thousand workloads takes a tenth of it.
const OUTPUT_MAX: u64 = 16 * 1024 * 1024;
/// Where programs are looked for. Not where the environment says: they run with all rights.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name.
    pub program: &'static str,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What it reads.
    pub input: Option<String>,
    /// Whether it changes anything; the others only look.
    pub changes: bool,
}

/// How a program ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Whether it says that it did it.
    pub success: bool,
    /// What it wrote to its standard output.
    pub output: String,
    /// What it wrote to its standard error.
    pub complaint: String,
}

/// Why a program did not come to an end of its own.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// It is not installed, or can't be started.
    #[error("`{0}` can't be started")]
    Start(&'static str, #[source] std::io::Error),
    /// It took too long and was killed: what it was to do may be done.
    #[error("`{0}` did not end in time")]
    Timeout(&'static str),
    /// It said more than is read.
    #[error("`{0}` says too much")]
    Much(&'static str),
    /// What it says could not be read.
    #[error("`{0}` can't be read")]
    Pipe(&'static str, #[source] std::io::Error),
}

/// What runs programs. Tests put one before the real one that stops at a given step.
#[async_trait]
pub trait Execute: Send + Sync + 'static {
    /// Runs a program to its end.
    ///
    /// # Errors
    /// See [`ExecuteError`].
    async fn execute(&self, command: &Command) -> Result<Ended, ExecuteError>;
}

/// The programs of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Programs;

#[async_trait]
impl Execute for Programs {
    async fn execute(&self, command: &Command) -> Result<Ended, ExecuteError> {
        within(TIME_MAX, command).await
    }
}

async fn within(time: Duration, command: &Command) -> Result<Ended, ExecuteError> {
    tokio::time::timeout(time, run(command)).await.map_err(|_| ExecuteError::Timeout(command.program))?
}

async fn run(command: &Command) -> Result<Ended, ExecuteError> {
    let name = command.program;
    let mut child = process::Command::new(name)
        .args(&command.arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(if command.input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| ExecuteError::Start(name, error))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let (Some(mut stdin), Some(input)) = (stdin, &command.input) {
            // A program that ends without reading says why by itself.
            stdin.write_all(input.as_bytes()).await.ok();
        }
    };
    let ((), output, complaint) = tokio::join!(write, read(name, stdout), read(name, stderr));
    let (output, complaint) = (output?, complaint?);
    let status = child.wait().await.map_err(|error| ExecuteError::Pipe(name, error))?;
    Ok(Ended { success: status.success(), output, complaint })
}

async fn read(name: &'static str, pipe: Option<impl AsyncRead + Unpin>) -> Result<String, ExecuteError> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let mut pipe = pipe.take(OUTPUT_MAX + 1);
        pipe.read_to_end(&mut bytes).await.map_err(|error| ExecuteError::Pipe(name, error))?;
    }
    if bytes.len() as u64 > OUTPUT_MAX {
        return Err(ExecuteError::Much(name));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(program: &'static str, arguments: &[&str], input: Option<&str>) -> Command {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Command { program, arguments, input: input.map(str::to_owned), changes: false }
    }

    #[tokio::test]
    async fn arguments_and_input_arrive_as_they_are_and_the_environment_does_not() {
        let ended = Programs.execute(&command("printf", &["%s|", "a b", "$HOME;`id`"], None)).await.unwrap();
        assert_eq!((ended.success, ended.output.as_str()), (true, "a b|$HOME;`id`|"));
        let ended = Programs.execute(&command("cat", &[], Some("line\n"))).await.unwrap();
        assert_eq!(ended.output, "line\n");
        let ended = Programs.execute(&command("env", &[], None)).await.unwrap();
        let mut names: Vec<_> = ended.output.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "PATH"]);
        let ended = Programs.execute(&command("ls", &["/there/is/no/such"], None)).await.unwrap();
        assert!(!ended.success && ended.complaint.contains("/there/is/no/such"));
    }

    #[tokio::test]
    async fn what_is_missing_too_slow_or_too_much_is_an_error() {
        let missing = Programs.execute(&command("no-such-program", &[], None)).await.unwrap_err();
        assert!(matches!(missing, ExecuteError::Start("no-such-program", _)));
        let slow = within(Duration::from_millis(50), &command("sleep", &["60"], None)).await.unwrap_err();
        assert!(matches!(slow, ExecuteError::Timeout("sleep")));
        let much = Programs.execute(&command("yes", &[], None)).await.unwrap_err();
        assert!(matches!(much, ExecuteError::Much("yes")));
    }
}
