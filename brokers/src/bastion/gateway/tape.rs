//! The recording of one channel, where there is one: what can't be recorded cuts the session.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::flow::{Size, Start, Terminal};
use super::record::{Header, Output, RecordError, Recorder};
use super::session::{Cut, Session, chain};

/// The size that a recording without a terminal has.
const SIZE: Size = Size { columns: 80, rows: 24, width: 0, height: 0 };

/// The session was cut.
#[derive(Debug)]
pub(super) struct Untaped;

/// A recording, or none.
pub(super) struct Tape {
    session: Arc<Session>,
    tape: Option<Mutex<Inner>>,
}

struct Inner {
    recorder: Recorder,
    begun: bool,
}

impl Tape {
    /// Makes the files where the grant wants a recording.
    pub(super) async fn new(session: &Arc<Session>) -> Result<Self, RecordError> {
        let recorder = session.recorder().await?;
        let tape = recorder.map(|recorder| Mutex::new(Inner { recorder, begun: false }));
        Ok(Self { session: Arc::clone(session), tape })
    }

    /// Begins it: what runs, and on what terminal.
    pub(super) async fn begin(&self, start: Option<&Start>, terminal: Option<&Terminal>) -> Result<(), Untaped> {
        let Some(tape) = &self.tape else { return Ok(()) };
        let mut tape = tape.lock().await;
        let Inner { recorder, begun } = &mut *tape;
        *begun = true;
        let began = recorder.begin(&self.header(start, terminal)).await;
        self.judge(began)
    }

    /// Something appeared.
    pub(super) async fn output(&self, output: Output, bytes: &[u8]) -> Result<(), Untaped> {
        let Some(tape) = &self.tape else { return Ok(()) };
        let written = tape.lock().await.recorder.output(output, bytes).await;
        self.judge(written)
    }

    /// The terminal has another size.
    pub(super) async fn resize(&self, size: Size) -> Result<(), Untaped> {
        let Some(tape) = &self.tape else { return Ok(()) };
        let mut tape = tape.lock().await;
        match tape.begun {
            // The size is in the header then.
            false => Ok(()),
            true => {
                let written = tape.recorder.resize(size.columns, size.rows).await;
                self.judge(written)
            }
        }
    }

    /// Something happened.
    pub(super) async fn mark(&self, label: &str) -> Result<(), Untaped> {
        let Some(tape) = &self.tape else { return Ok(()) };
        let written = tape.lock().await.recorder.mark(label).await;
        self.judge(written)
    }

    /// Ends and seals it.
    pub(super) async fn end(self) {
        let Some(tape) = self.tape.as_ref() else { return };
        if !tape.lock().await.begun && self.begin(None, None).await.is_err() {
            return;
        }
        let Self { session, tape } = self;
        let Some(tape) = tape else { return };
        if let Err(error) = tape.into_inner().recorder.seal().await {
            tracing::error!(
                session.id = session.id,
                error = chain(&error),
                "a recording of {} is not sealed",
                session.id
            );
        }
    }

    fn header<'a>(&self, start: Option<&Start>, terminal: Option<&'a Terminal>) -> Header<'a> {
        let admission = &self.session.admission;
        let size = terminal.map_or(SIZE, |terminal| terminal.size);
        Header {
            columns: size.columns,
            rows: size.rows,
            timestamp: self.session.shared.clock.seconds(),
            title: format!("{}@{} for {}", admission.principal, admission.target.name, admission.grant.user),
            command: match start {
                Some(Start::Command(command)) => Some(String::from_utf8_lossy(command).into_owned()),
                Some(Start::Sftp) => Some("sftp".to_owned()),
                Some(Start::Shell) | None => None,
            },
            term: terminal.map(|terminal| terminal.term.as_str()),
        }
    }

    fn judge(&self, written: Result<(), RecordError>) -> Result<(), Untaped> {
        written.map_err(|error| {
            let id = &self.session.id;
            tracing::error!(session.id = id, error = chain(&error), "session {id} can't be recorded");
            self.session.cut(Cut::from(&error));
            Untaped
        })
    }
}
