//! Ends a program together with all that it started: the programs of Git start others, which would live on and move refs.
//!
//! It deliberately reaches only a group of its own making. Invariant: the leader is waited for last, so that the group's
//! number can be nobody else's while it is named.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

/// How long the end of a group is waited for: nothing but a disk that hangs survives `KILL` for long.
const GONE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Makes what that command starts a group, which ends as one.
pub(super) fn lead(command: &mut Command) {
    command.as_std_mut().process_group(0);
}

/// Whether that signal could be sent to the group. The shell has `kill` built in, where no program of that name is installed.
async fn signal(group: u32, signal: &str) -> bool {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "kill -s \"$1\" -- \"-$2\"", "sh", signal, &group.to_string()]).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.status().await.is_ok_and(|status| status.success())
}

/// Whether anybody of the group still does anything. One that is dead and not yet waited for (in a container often nobody
/// does) counts for `kill`, so `/proc` is asked where there is one.
async fn lives(group: u32) -> bool {
    let looked = tokio::task::spawn_blocking(move || living(group)).await;
    match looked {
        Ok(Ok(lives)) => lives,
        _ => signal(group, "0").await,
    }
}

fn living(group: u32) -> io::Result<bool> {
    let own = std::fs::read_to_string("/proc/self/stat")?;
    state_and_group(&own).ok_or(io::ErrorKind::InvalidData)?;
    let processes = std::fs::read_dir("/proc")?.flatten();
    let mut stats = processes.filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
    Ok(stats.any(|stat| state_and_group(&stat).is_some_and(|(state, of)| of == group && !matches!(state, "Z" | "X"))))
}

/// Of a line of `/proc/PID/stat`; the name before them may hold anything.
fn state_and_group(stat: &str) -> Option<(&str, u32)> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    Some((state, fields.nth(1)?.parse().ok()?))
}

/// Kills the group that this child leads, and waits until nobody of it is left.
pub(super) async fn end(child: &mut Child) {
    // Without a number it has been waited for.
    let Some(group) = child.id() else { return };
    let ending = async {
        signal(group, "KILL").await;
        while lives(group).await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        child.kill().await.ok();
    };
    if tokio::time::timeout(GONE_WITHIN, ending).await.is_err() {
        tracing::error!(group, "what git started could not be ended");
    }
}
