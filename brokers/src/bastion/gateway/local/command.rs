//! What runs on the local host, and what it reads and writes.

use std::io;
use std::process::Stdio;

use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{ChannelId, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

use super::super::flow::{Event, Receiver, Start, Terminal};

/// What gives a command a terminal.
pub(super) const SCRIPT: &str = "/usr/bin/script";
/// What is read of a command's output at once.
const PIECE: usize = 16 << 10;
const STDERR: u32 = 1;

/// What runs it. The broker's environment is not for whoever logs in: there may be a password in it.
pub(super) fn command(start: &Start, terminal: Option<&Terminal>) -> io::Result<Command> {
    let line = match start {
        Start::Shell => "exec sh".to_owned(),
        Start::Command(line) => String::from_utf8(line.clone()).map_err(|_| io::ErrorKind::InvalidInput)?,
        Start::Sftp => return Err(io::ErrorKind::Unsupported.into()),
    };
    let mut command = match terminal {
        None => Command::new("sh"),
        Some(Terminal { size, .. }) => {
            let mut script = Command::new(SCRIPT);
            let inside = format!("stty rows {} cols {}; exec sh -c \"$BOURSE_COMMAND\"", size.rows, size.columns);
            script.args(["-q", "-e", "-f", "-c", &inside, "/dev/null"]);
            script
        }
    };
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("SHELL", "/bin/sh");
    if let Some(home) = std::env::home_dir() {
        command.current_dir(&home).env("HOME", home);
    }
    match terminal {
        None => drop(command.arg("-c").arg(line)),
        Some(terminal) => drop(command.env("BOURSE_COMMAND", line).env("TERM", &terminal.term)),
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

/// Where a command's output goes.
pub(super) struct Outlet {
    pub(super) id: ChannelId,
    pub(super) handle: Handle,
    pub(super) write: ChannelWriteHalf<Msg>,
}

/// Runs it to its end, or to the end of its channel.
pub(super) async fn run(mut child: Child, outlet: Outlet, mut flow: Receiver, mut stop: watch::Receiver<bool>) {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let outputs = async {
        tokio::join!(pump(stdout, &outlet.write, None), pump(stderr, &outlet.write, Some(STDERR)));
        child.wait().await
    };
    tokio::pin!(outputs);
    let ended = tokio::select! {
        ended = &mut outputs => ended.ok(),
        // The user closed the channel, or is gone: what runs is killed as it is dropped.
        () = feed(stdin, &mut flow) => None,
        _ = stop.wait_for(|stop| *stop) => None,
    };
    if let Some(ended) = ended {
        let code = ended.code().and_then(|code| u32::try_from(code).ok()).unwrap_or(255);
        let told = outlet.handle.exit_status_request(outlet.id, code);
        if outlet.write.eof().await.is_err() || told.await.is_err() {
            return;
        }
    }
    drop(outlet.write.close().await);
}

/// Gives a command its input. Returns once the channel is closed.
async fn feed(mut stdin: Option<ChildStdin>, flow: &mut Receiver) {
    while let Some(event) = flow.next().await {
        match event {
            // One that reads no more is not to be waited for, nor is that an end: it may still write.
            Event::Data(data) => {
                if let Some(open) = &mut stdin
                    && open.write_all(&data).await.is_err()
                {
                    stdin = None;
                }
            }
            Event::Eof => stdin = None,
            Event::Close => return,
            _ => {}
        }
    }
}

async fn pump(output: Option<impl AsyncRead + Unpin>, to: &ChannelWriteHalf<Msg>, code: Option<u32>) {
    let Some(mut output) = output else { return };
    let mut piece = vec![0; PIECE];
    while let Ok(read @ 1..) = output.read(&mut piece).await {
        let data = Bytes::copy_from_slice(piece.get(..read).unwrap_or_default());
        let sent = match code {
            None => to.data_bytes(data).await,
            Some(code) => to.extended_data_bytes(code, data).await,
        };
        if sent.is_err() {
            return;
        }
    }
}
