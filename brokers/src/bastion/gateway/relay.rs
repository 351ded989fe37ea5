//! What a channel carries, from the user to the target and back.
//!
//! Each channel is one task: it opens the recording, then the target, and only then tells the user that the channel is open.
//! Invariants: output is recorded before it is shown; a channel ends when either side closes it or the session is cut, and
//! its recording is sealed then.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use russh::server::{ChannelOpenHandle, Handle};
use russh::{ChannelId, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, client, server};

use super::flow::{Event, Receiver, Start, Terminal};
use super::leg::Forward;
use super::record::Output;
use super::session::{Session, Slot, chain};
use super::sftp::Inspector;
use super::tape::Tape;

/// The code of what is written to standard error (RFC 4254, section 5.2).
const STDERR: u32 = 1;
/// What a command that could not be run exits with, as with OpenSSH.
const FAILED: u32 = 255;
/// `SSH_OPEN_CONNECT_FAILED` and `SSH_OPEN_RESOURCE_SHORTAGE` (RFC 4254, section 5.1).
const CONNECT_FAILED: u32 = 2;
const RESOURCE_SHORTAGE: u32 = 4;

/// The user's end of a channel.
pub(super) struct User {
    pub(super) id: ChannelId,
    pub(super) handle: Handle,
    pub(super) write: ChannelWriteHalf<server::Msg>,
    pub(super) flow: Receiver,
    pub(super) reply: ChannelOpenHandle,
    pub(super) slot: Slot,
}

/// What is asked of a channel.
pub(super) enum Purpose {
    Session,
    Forward(Forward),
}

/// Either side is gone, or must not go on.
struct Over;

/// Runs a channel from its opening to its end.
pub(super) async fn run(session: Arc<Session>, user: User, purpose: Purpose) {
    let User { id, handle, write, mut flow, reply, slot } = user;
    let opened = tokio::select! {
        opened = open(&session, &purpose) => opened,
        _ = session.until_cut() => return,
    };
    let (tape, target) = match opened {
        Ok(opened) => opened,
        Err(why) => return reply.reject(why).await,
    };
    reply.accept().await;
    let (from_target, to_target) = target.split();
    let channel = Channel {
        session: &session,
        user: &write,
        id,
        handle: &handle,
        target: &to_target,
        tape: &tape,
        forward: matches!(purpose, Purpose::Forward(_)),
        asked: Mutex::default(),
        sftp: Mutex::default(),
    };
    let cut = tokio::select! {
        _ = channel.up(&mut flow) => false,
        _ = channel.down(from_target) => false,
        _ = session.until_cut() => true,
    };
    let last = channel.summary();
    if let Some(last) = last {
        // What can't be written cut the session already.
        drop(tape.mark(&last).await);
    }
    tape.end().await;
    if !cut {
        // Whichever side closed it: the other one is told. One that is gone needs no telling.
        drop(to_target.close().await);
        drop(write.close().await);
    }
    drop(slot);
}

async fn open(
    session: &Arc<Session>,
    purpose: &Purpose,
) -> Result<(Tape, russh::Channel<client::Msg>), ChannelOpenFailure> {
    let refused = |code, reason: &str| ChannelOpenFailure::Other { code, reason: reason.to_owned() };
    let tape = match Tape::new(session).await {
        Ok(tape) => tape,
        Err(error) => {
            let id = &session.id;
            tracing::error!(session.id = id, error = chain(&error), "session {id} can't be recorded: refused");
            session.audit_denied("the session can't be recorded".to_owned()).await;
            return Err(refused(RESOURCE_SHORTAGE, "the session can't be recorded"));
        }
    };
    let leg = match session.leg().await {
        Ok(leg) => leg,
        Err(error) => {
            let (id, target) = (&session.id, &session.admission.target.name);
            tracing::warn!(session.id = id, target, error = chain(&error), "session {id} did not reach {target}");
            session.audit_denied(error.to_string()).await;
            tape.end().await;
            return Err(refused(CONNECT_FAILED, error.shown()));
        }
    };
    let opened = match purpose {
        Purpose::Session => leg.session().await,
        Purpose::Forward(forward) => {
            let (id, Forward { host, port, .. }) = (&session.id, forward);
            tracing::info!(session.id = id, to = format!("{host}:{port}"), "session {id} forwards a port");
            if tape.begin(None, None).await.is_err() || tape.mark(&format!("forward {host}:{port}")).await.is_err() {
                return Err(refused(RESOURCE_SHORTAGE, "the session can't be recorded"));
            }
            leg.forward(forward).await
        }
    };
    match opened {
        Ok(channel) => Ok((tape, channel)),
        Err(why) => {
            tape.end().await;
            Err(why)
        }
    }
}

/// An open channel.
struct Channel<'a> {
    session: &'a Session,
    user: &'a ChannelWriteHalf<server::Msg>,
    id: ChannelId,
    handle: &'a Handle,
    target: &'a ChannelWriteHalf<client::Msg>,
    tape: &'a Tape,
    forward: bool,
    /// What the target has not yet answered, in order.
    asked: Mutex<VecDeque<Asked>>,
    /// What is read of requests and answers, where it is SFTP.
    sftp: Mutex<Option<[Inspector; 2]>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Terminal,
    Start,
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

impl Channel<'_> {
    /// From the user to the target, until the user closes the channel.
    async fn up(&self, flow: &mut Receiver) -> Result<(), Over> {
        let mut terminal = None;
        while let Some(event) = flow.next().await {
            match event {
                Event::Data(data) => {
                    self.pass(Direction::Up, &data).await?;
                    self.target.data_bytes(data).await
                }
                Event::Env(name, value) => self.target.set_env(false, name, value).await,
                Event::Terminal(asked) => {
                    let Terminal { term, size, modes } = terminal.insert(asked);
                    self.ask(Asked::Terminal);
                    self.target.request_pty(true, term, size.columns, size.rows, size.width, size.height, modes).await
                }
                Event::Start(start) => {
                    self.start(start, terminal.as_ref()).await?;
                    Ok(())
                }
                Event::Resize(size) => {
                    if let Some(terminal) = &mut terminal {
                        terminal.size = size;
                    }
                    self.tape.resize(size).await.map_err(|_| Over)?;
                    self.target.window_change(size.columns, size.rows, size.width, size.height).await
                }
                Event::Signal(signal) => self.target.signal(signal).await,
                Event::Eof => self.target.eof().await,
                Event::Close => return Ok(()),
            }
            .map_err(|_| Over)?;
        }
        Ok(())
    }

    async fn start(&self, start: Start, terminal: Option<&Terminal>) -> Result<(), Over> {
        self.tape.begin(Some(&start), terminal).await.map_err(|_| Over)?;
        self.ask(Asked::Start);
        let asked = match start {
            Start::Shell => self.target.request_shell(true).await,
            Start::Command(command) => self.target.exec(true, command).await,
            Start::Sftp => {
                *self.sftp.lock().unwrap_or_else(PoisonError::into_inner) = Some(Default::default());
                self.target.request_subsystem(true, "sftp").await
            }
        };
        asked.map_err(|_| Over)
    }

    /// From the target to the user, until the target closes the channel.
    async fn down(&self, mut target: ChannelReadHalf) -> Result<(), Over> {
        while let Some(message) = target.wait().await {
            match message {
                ChannelMsg::Data { data } => self.show(Output::Standard, data).await?,
                ChannelMsg::ExtendedData { data, ext: STDERR } => self.show(Output::Error, data).await?,
                ChannelMsg::Eof => self.user.eof().await.map_err(|_| Over)?,
                ChannelMsg::ExitStatus { exit_status } => self.exit(exit_status).await?,
                ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, lang_tag } => {
                    let told =
                        self.handle.exit_signal_request(self.id, signal_name, core_dumped, error_message, lang_tag);
                    told.await.map_err(|()| Over)?;
                }
                ChannelMsg::Success => drop(self.answered()),
                ChannelMsg::Failure => self.refused().await?,
                ChannelMsg::Close => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    async fn show(&self, output: Output, data: Bytes) -> Result<(), Over> {
        let hidden = self.pass(Direction::Down, &data).await?;
        if !hidden {
            self.tape.output(output, &data).await.map_err(|_| Over)?;
        }
        let shown = match output {
            Output::Standard => self.user.data_bytes(data).await,
            Output::Error => self.user.extended_data_bytes(STDERR, data).await,
        };
        shown.map_err(|_| Over)
    }

    /// Counts what passes, and marks what it does. Whether it is content rather than output.
    async fn pass(&self, direction: Direction, data: &[u8]) -> Result<bool, Over> {
        self.session.touch(data.len());
        let marks = match &mut *self.sftp.lock().unwrap_or_else(PoisonError::into_inner) {
            None => return Ok(self.forward),
            Some([up, down]) => match direction {
                Direction::Up => up.feed(data),
                Direction::Down => down.feed(data),
            },
        };
        for mark in marks {
            self.tape.mark(&mark).await.map_err(|_| Over)?;
        }
        Ok(true)
    }

    /// What an SFTP session gave and took.
    fn summary(&self) -> Option<String> {
        let sftp = self.sftp.lock().unwrap_or_else(PoisonError::into_inner);
        let [up, down] = sftp.as_ref()?;
        Some(format!("sftp ended: {} bytes of files written, {} read", up.content(), down.content()))
    }

    fn ask(&self, what: Asked) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push_back(what);
    }

    fn answered(&self) -> Option<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// The user was told already that it is well, so they must be told again.
    async fn refused(&self) -> Result<(), Over> {
        let (what, fatal) = match self.answered() {
            Some(Asked::Start) => ("to run it", true),
            Some(Asked::Terminal) => ("a terminal", false),
            None => return Ok(()),
        };
        let told = Bytes::from(format!("bastion: the target refused {what}\r\n"));
        self.user.extended_data_bytes(STDERR, told).await.map_err(|_| Over)?;
        match fatal {
            true => self.exit(FAILED).await.and(Err(Over)),
            false => Ok(()),
        }
    }

    async fn exit(&self, status: u32) -> Result<(), Over> {
        self.handle.exit_status_request(self.id, status).await.map_err(|()| Over)
    }
}
