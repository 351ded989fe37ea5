//! Runs Git: with an environment of our own making, never through a shell, and for a bounded time.
//!
//! It deliberately knows no repository's meaning. Invariant: no configuration of the system, of a user or of the environment
//! is read, and nothing is asked of a terminal.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::group;

/// How long a command may take that isn't a client's exchange.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);
/// How much of what it prints is looked at.
const ERROR_MAX: usize = 2000;

/// Why Git could not do it.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It can't be run at all.
    #[error("could not run git")]
    Run(#[source] io::Error),
    /// It took too long and was ended.
    #[error("git {0} took too long")]
    Slow(&'static str),
    /// It said no.
    #[error("git {0} failed: {1}")]
    Failed(&'static str, String),
    /// Its `http-backend` is not installed.
    #[error("git's http-backend is not at `{0}`")]
    NoBackend(String),
}

/// Git, as it is installed here.
#[derive(Clone, Debug)]
pub(super) struct Git {
    /// Where its parts are.
    exec_path: PathBuf,
    /// An empty directory, which is everybody's home.
    home: PathBuf,
}

impl Git {
    /// Looks for it.
    pub(super) async fn find(home: &Path) -> Result<Self, GitError> {
        let mut git = Self { exec_path: PathBuf::new(), home: home.to_owned() };
        let said = git.run("--exec-path", &[], None, &[]).await?;
        git.exec_path = PathBuf::from(String::from_utf8_lossy(&said).trim());
        let backend = git.backend();
        if backend.is_file() { Ok(git) } else { Err(GitError::NoBackend(backend.display().to_string())) }
    }

    /// The program that speaks smart HTTP.
    pub(super) fn backend(&self) -> PathBuf {
        self.exec_path.join("git-http-backend")
    }

    /// That program with nothing in its environment but what keeps Git to itself, and `config`.
    pub(super) fn command(&self, program: &Path, config: &[(&str, String)]) -> Command {
        let mut command = Command::new(program);
        let always = [
            ("safe.directory", "*".to_owned()),
            ("core.pager", "cat".to_owned()),
            ("gc.autoDetach", "false".to_owned()),
        ];
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.exec_path.display()))
            .env("HOME", &self.home)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_COUNT", (always.len() + config.len()).to_string());
        for (at, (key, value)) in always.iter().chain(config).enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        group::lead(&mut command);
        command
    }

    /// Runs `git {verb} {arguments}` in that repository and returns what it prints.
    pub(super) async fn run(
        &self,
        verb: &'static str,
        arguments: &[&str],
        repository: Option<&Path>,
        input: &[u8],
    ) -> Result<Vec<u8>, GitError> {
        self.run_within(COMMAND_LIMIT, verb, arguments, repository, input).await
    }

    async fn run_within(
        &self,
        limit: Duration,
        verb: &'static str,
        arguments: &[&str],
        repository: Option<&Path>,
        input: &[u8],
    ) -> Result<Vec<u8>, GitError> {
        let mut command = self.command(Path::new("git"), &[]);
        if let Some(repository) = repository {
            command.arg("--git-dir").arg(repository);
        }
        command.arg(verb).args(arguments).stdin(Stdio::piped());
        let mut child = command.spawn().map_err(GitError::Run)?;
        let mut stdin = child.stdin.take();
        let feed = async move {
            if let Some(stdin) = stdin.as_mut() {
                // Where it ends early its status says why.
                stdin.write_all(input).await.ok();
            }
        };
        let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(GitError::Run(io::ErrorKind::BrokenPipe.into()));
        };
        let (mut printed, mut said) = (Vec::new(), Vec::new());
        let exchange = async {
            // It is waited for last: until then the number of its group is its own.
            let ((), out, err) = tokio::join!(feed, stdout.read_to_end(&mut printed), stderr.read_to_end(&mut said));
            out.and(err)?;
            child.wait().await
        };
        let Ok(status) = tokio::time::timeout(limit, exchange).await else {
            group::end(&mut child).await;
            return Err(GitError::Slow(verb));
        };
        if status.map_err(GitError::Run)?.success() {
            return Ok(printed);
        }
        let said = String::from_utf8_lossy(&said);
        Err(GitError::Failed(verb, said.trim().chars().take(ERROR_MAX).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_ended_with_all_that_it_started() {
        let home = tempfile::tempdir().unwrap();
        let git = Git::find(home.path()).await.unwrap();
        let file = home.path().join("started");
        let alias = format!("alias.linger=!sleep 600 & echo $! >{}; wait", file.display());
        let run = git.run_within(Duration::from_secs(2), "-c", &[&alias, "linger"], None, &[]).await;
        assert!(matches!(run, Err(GitError::Slow("-c"))), "{run:?}");
        let started = std::fs::read_to_string(file).unwrap();
        let state = std::fs::read_to_string(format!("/proc/{}/stat", started.trim())).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "it lives on: {state}");
    }
}
