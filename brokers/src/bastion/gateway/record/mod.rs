//! Recordings of sessions: asciicast v2 files, written before what they hold is shown, chained and sealed.
//!
//! A recording holds what appeared (`o`), how large the terminal was (`r`), and marks (`m`) for files that were copied and
//! ports that were forwarded. It deliberately holds nothing that was typed: a password that is not echoed is not recorded.
//! Invariant: nothing reaches the user before it is written here; what can't be written ends the session.

mod chain;
mod text;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::json;

use self::chain::Chain;
pub use self::chain::{BadSeed, Broken, End, SealKey, Verified, chain_of, verify};
use self::text::Text;

/// Why something is not recorded.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("could not write the recording")]
    Write(#[source] io::Error),
    #[error("the name of the bastion can't be that of a directory")]
    Name,
    #[error("the recording is as large as one may be")]
    Full,
}

/// What the recordings of one session may still write, together.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicU64,
    written: AtomicU64,
}

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        Self { left: AtomicU64::new(bytes), written: AtomicU64::new(0) }
    }

    /// What was written of it.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    fn take(&self, bytes: usize) -> Result<(), RecordError> {
        let bytes = bytes as u64;
        let taken = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(bytes));
        taken.map_err(|_| RecordError::Full)?;
        self.written.fetch_add(bytes, Ordering::SeqCst);
        Ok(())
    }
}

/// What a recording begins with.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) columns: u32,
    pub(super) rows: u32,
    /// Seconds since 1970.
    pub(super) timestamp: i64,
    pub(super) title: String,
    pub(super) command: Option<String>,
    /// The kind of terminal, where there is one.
    pub(super) term: Option<&'a str>,
}

/// Which of the two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Standard,
    Error,
}

/// A recording that is being written. One that is dropped without [`Recorder::seal`] stays unsealed.
#[derive(Debug)]
pub(super) struct Recorder {
    files: Shared,
    budget: Arc<Budget>,
    began: Instant,
    texts: [Text; 2],
}

/// `None` once the recording is sealed, or can't be: a write that was given up may still come after that.
type Shared = Arc<Mutex<Option<Files>>>;

#[derive(Debug)]
struct Files {
    cast: File,
    chain: Chain,
    key: Arc<SealKey>,
}

impl Files {
    /// The chain comes second: a gateway that dies in between leaves bytes that nobody vouches for, never a lie.
    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.cast.write_all(piece)?;
        self.chain.add(piece, &self.key)
    }

    fn seal(&mut self) -> io::Result<()> {
        self.cast.sync_all()?;
        self.chain.seal(&self.key)
    }
}

/// Where the recordings of a bastion lie, where its name can be that of a directory.
pub(super) fn directory(data: &Path, bastion: &str) -> Result<PathBuf, RecordError> {
    let mut parts = Path::new(bastion).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(name)), None) if name == bastion => {
            Ok(crate::bastion::access::recordings(data, bastion))
        }
        _ => Err(RecordError::Name),
    }
}

impl Recorder {
    /// Makes the two files, for their owner's eyes.
    pub(super) async fn create(
        directory: PathBuf,
        name: String,
        key: Arc<SealKey>,
        budget: Arc<Budget>,
    ) -> Result<Self, RecordError> {
        let files = blocking(move || {
            DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
            let open = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            let path = directory.join(&name);
            let (cast, chain) = (open(&path)?, open(&chain_of(&path))?);
            Ok(Files { cast, chain: Chain::begin(chain, &name, &key)?, key })
        });
        Ok(Self::on(files.await?, budget))
    }

    fn on(files: Files, budget: Arc<Budget>) -> Self {
        let files = Arc::new(Mutex::new(Some(files)));
        Self { files, budget, began: Instant::now(), texts: [Text::default(), Text::default()] }
    }

    /// Writes the header; before everything else.
    pub(super) async fn begin(&mut self, header: &Header<'_>) -> Result<(), RecordError> {
        let Header { columns, rows, timestamp, title, command, term } = header;
        let mut object = json!({
            "version": 2, "width": columns, "height": rows, "timestamp": timestamp, "title": title,
        });
        if let Some(command) = command {
            object["command"] = json!(command);
        }
        if let Some(term) = term {
            object["env"] = json!({ "TERM": term });
        }
        self.began = Instant::now();
        self.write(format!("{object}\n")).await
    }

    /// What appeared.
    pub(super) async fn output(&mut self, output: Output, bytes: &[u8]) -> Result<(), RecordError> {
        let [standard, error] = &mut self.texts;
        let text = match output {
            Output::Standard => standard.push(bytes),
            Output::Error => error.push(bytes),
        };
        match text.is_empty() {
            true => Ok(()),
            false => self.event("o", &text).await,
        }
    }

    /// The terminal's new size.
    pub(super) async fn resize(&mut self, columns: u32, rows: u32) -> Result<(), RecordError> {
        self.event("r", &format!("{columns}x{rows}")).await
    }

    /// Something that happened.
    pub(super) async fn mark(&mut self, label: &str) -> Result<(), RecordError> {
        self.event("m", label).await
    }

    /// Ends it.
    pub(super) async fn seal(mut self) -> Result<(), RecordError> {
        let rest = self.texts.iter_mut().map(Text::end).collect::<String>();
        // Where there is no room for the rest of a letter, the recording is whole all the same.
        if !rest.is_empty() {
            match self.event("o", &rest).await {
                Ok(()) | Err(RecordError::Full) => {}
                Err(error) => return Err(error),
            }
        }
        let files = self.files;
        blocking(move || {
            let files = files.lock().unwrap_or_else(PoisonError::into_inner).take();
            files.ok_or(io::ErrorKind::BrokenPipe)?.seal()
        })
        .await
    }

    async fn event(&self, kind: &str, text: &str) -> Result<(), RecordError> {
        let at = self.began.elapsed();
        self.write(format!("[{}.{:06}, \"{kind}\", {}]\n", at.as_secs(), at.subsec_micros(), json!(text))).await
    }

    async fn write(&self, line: String) -> Result<(), RecordError> {
        self.budget.take(line.len())?;
        let files = Arc::clone(&self.files);
        blocking(move || {
            let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
            let written = files.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write(line.as_bytes());
            if written.is_err() {
                // Perhaps half of it is there: such a recording stays unsealed.
                *files = None;
            }
            written
        })
        .await
    }
}

/// Files are not for the threads that everything else runs on.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, RecordError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other).and_then(|done| done).map_err(RecordError::Write)
}

#[cfg(test)]
mod tests;
