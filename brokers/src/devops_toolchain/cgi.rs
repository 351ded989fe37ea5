//! The bridge from HTTP to Git's own `http-backend`, as CGI describes it: bodies flow both ways while it runs.
//!
//! It deliberately knows nothing of users and rules; whoever calls it has decided. Invariant: the program gets only what is
//! passed here, no more bytes than allowed, and neither it nor what it started runs for longer than the limit.

use std::io;
use std::time::Duration;

use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};

use super::group;

/// How large the head of an answer may be.
const HEAD_MAX: usize = 16 * 1024;
/// How much of what it complains about is logged.
const COMPLAINT_MAX: u64 = 4096;
const CHUNK: usize = 32 * 1024;
/// How many chunks wait for a slow client.
const CHUNKS_WAITING: usize = 8;

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AnswerHead {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
}

/// An answer that has begun.
pub(super) struct Answer {
    pub(super) head: AnswerHead,
    pub(super) body: mpsc::Receiver<Result<Bytes, io::Error>>,
}

/// What an exchange may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of the request's body.
    pub(super) body_bytes: u64,
    /// From beginning to end.
    pub(super) time: Duration,
    /// Between two parts of the body.
    pub(super) idle: Duration,
    /// Whether it comes to its end although the client is gone.
    pub(super) outlasts: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CgiError {
    #[error("could not run git's http-backend")]
    Run(#[source] io::Error),
    #[error("git's http-backend gave no answer")]
    NoAnswer,
}

/// Runs the program with that body. `after` runs once it and all that it started has ended, even if the client is gone by
/// then, and also where it could not be run.
pub(super) async fn exchange<F>(
    mut command: Command,
    payload: Payload,
    bounds: Bounds,
    after: impl FnOnce() -> F + Send + 'static,
) -> Result<Answer, CgiError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (mut child, stdin, stdout, stderr) = match spawn(&mut command) {
        Ok(spawned) => spawned,
        Err(error) => {
            // A task of its own, which a client that goes away doesn't end.
            tokio::spawn(after()).await.ok();
            return Err(CgiError::Run(error));
        }
    };
    let (head_sender, head) = oneshot::channel();
    let (sender, mut body) = mpsc::channel(CHUNKS_WAITING);
    // The payload belongs to this thread; the rest must outlast the connection.
    let feeding = actix_web::rt::spawn(feed(stdin, payload, bounds));
    tokio::spawn(async move {
        let complaint = async move {
            let mut said = Vec::new();
            let mut stderr = stderr;
            (&mut stderr).take(COMPLAINT_MAX).read_to_end(&mut said).await.ok();
            // More is read and forgotten, so that it can go on.
            tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await.ok();
            said
        };
        let work = async {
            // It is waited for last: until then the number of its group is its own.
            let (relayed, said) = tokio::join!(relay(stdout, head_sender, &sender, bounds), complaint);
            (relayed, said, child.wait().await)
        };
        let ended = tokio::time::timeout(bounds.time, work).await;
        let failure = match ended {
            Ok((relayed, said, Ok(status))) if relayed.is_ok() && status.success() => {
                tracing::debug!(said = %String::from_utf8_lossy(&said), "an exchange ended");
                None
            }
            Ok((_, said, status)) => {
                tracing::warn!(?status, said = %String::from_utf8_lossy(&said), "an exchange failed");
                Some(io::Error::other("the exchange failed"))
            }
            Err(_) => {
                tracing::warn!("an exchange took too long and was ended");
                group::end(&mut child).await;
                Some(io::ErrorKind::TimedOut.into())
            }
        };
        // Before the client hears that it is over, so that what it asks next is answered accordingly.
        after().await;
        if let Some(error) = failure {
            // One that doesn't read would be waited for.
            tokio::time::timeout(bounds.idle, sender.send(Err(error))).await.ok();
        }
    });
    let Ok(head) = head.await else {
        feeding.abort();
        // Answered when it is over: the exchange is bounded.
        while body.recv().await.is_some() {}
        return Err(CgiError::NoAnswer);
    };
    Ok(Answer { head, body })
}

fn spawn(command: &mut Command) -> io::Result<(Child, ChildStdin, ChildStdout, ChildStderr)> {
    let mut child = command.stdin(std::process::Stdio::piped()).spawn()?;
    match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
        (Some(stdin), Some(stdout), Some(stderr)) => Ok((child, stdin, stdout, stderr)),
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// Hands the body over, up to the bound; beyond it the program meets an end that is none.
async fn feed(mut stdin: ChildStdin, mut payload: Payload, bounds: Bounds) {
    let mut left = bounds.body_bytes;
    let overall = async {
        while let Ok(Some(chunk)) = tokio::time::timeout(bounds.idle, payload.next()).await {
            let Ok(chunk) = chunk else { break };
            let Some(rest) = left.checked_sub(chunk.len() as u64) else { break };
            left = rest;
            if stdin.write_all(&chunk).await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(bounds.time, overall).await.ok();
}

/// Reads the answer: the head for the one, the body for the other. A client that goes away doesn't stop the reading of an
/// exchange that outlasts it, so that a push that has begun comes to its end. Nor does one that doesn't read for long.
async fn relay(
    mut stdout: ChildStdout,
    head: oneshot::Sender<AnswerHead>,
    body: &mpsc::Sender<Result<Bytes, io::Error>>,
    bounds: Bounds,
) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    let end = loop {
        if let Some(end) = head_end(&buffer) {
            break end;
        }
        if buffer.len() > HEAD_MAX || stdout.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    };
    let first = buffer.split_to(end);
    head.send(parse_head(&first).ok_or(io::ErrorKind::InvalidData)?).ok();
    let mut heard = true;
    loop {
        let chunk = buffer.split().freeze();
        if heard && !chunk.is_empty() {
            heard = matches!(tokio::time::timeout(bounds.idle, body.send(Ok(chunk))).await, Ok(Ok(())));
            if !heard && !bounds.outlasts {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        buffer.reserve(CHUNK);
        if stdout.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Where the body begins.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let crlf = bytes.windows(4).position(|part| part == b"\r\n\r\n").map(|at| at + 4);
    let lf = bytes.windows(2).position(|part| part == b"\n\n").map(|at| at + 2);
    match (crlf, lf) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn parse_head(bytes: &[u8]) -> Option<AnswerHead> {
    let mut head = AnswerHead { status: 200, headers: Vec::new() };
    for line in std::str::from_utf8(bytes).ok()?.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            head.status = value.split(' ').next()?.parse().ok().filter(|status| (200..600).contains(status))?;
        } else if ["content-type", "cache-control", "expires", "pragma"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
        {
            head.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_a_status_and_the_headers_that_are_known() {
        let head = b"Status: 404 Not Found\r\nContent-Type: text/plain\r\nX-Other: 1\r\n\r\nbody";
        assert_eq!(head_end(head), Some(head.len() - 4));
        let parsed = parse_head(&head[..head.len() - 4]).unwrap();
        let expected = vec![("content-type".to_owned(), "text/plain".to_owned())];
        assert_eq!(parsed, AnswerHead { status: 404, headers: expected });
        assert_eq!(parse_head(b"Pragma: no-cache\n\n").unwrap().status, 200);
        assert_eq!(parse_head(b"Status: 99\n\n"), None);
        assert_eq!(parse_head(b"no colon\n\n"), None);
    }
}
