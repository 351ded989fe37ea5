//! The sink `file`: one CloudEvent a line, appended and flushed to the disk before it counts.
//!
//! Invariant: a line that a crash or a full disk tore is cut off before anything is appended, so every line is whole.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::{Failure, Outcome};
use crate::domain::event::Numbered;

/// How much is read at once in search of the last whole line.
const BLOCK_BYTES: u64 = 64 * 1024;

#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    /// Open while nothing went wrong; opened anew, and repaired, after that.
    open: Option<fs::File>,
}

impl File {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// Appends all events and flushes once, or says that it could not.
    pub(super) async fn deliver(&mut self, events: &[Numbered]) -> Outcome {
        match self.append(events).await {
            Ok(()) => Outcome { delivered: events.len(), failure: None },
            Err(error) => {
                self.open = None;
                Outcome { delivered: 0, failure: Some(Failure::failed(format!("the file: {}", error.kind()))) }
            }
        }
    }

    async fn append(&mut self, events: &[Numbered]) -> io::Result<()> {
        let mut lines = String::new();
        for event in events {
            lines.push_str(&event.document);
            lines.push('\n');
        }
        // A file that was moved away by whoever rotates it is made anew.
        if fs::metadata(&self.path).await.is_err() {
            self.open = None;
        }
        let file = match self.open.take() {
            Some(file) => file,
            None => open(&self.path).await?,
        };
        let file = self.open.insert(file);
        file.write_all(lines.as_bytes()).await?;
        file.flush().await?;
        file.sync_data().await
    }
}

/// Opens the file for appending and cuts off a torn last line.
async fn open(path: &Path) -> io::Result<fs::File> {
    let mut file = fs::OpenOptions::new().create(true).append(true).read(true).open(path).await?;
    let length = file.metadata().await?.len();
    let whole = whole_lines(&mut file, length).await?;
    if whole < length {
        tracing::warn!(cut_bytes = length - whole, "cut off a torn last line of a sink's file");
        file.set_len(whole).await?;
    }
    file.sync_all().await?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        // The name has to be as durable as what is in the file.
        fs::File::open(folder).await?.sync_all().await?;
    }
    Ok(file)
}

/// The length up to and with the last line feed.
async fn whole_lines(file: &mut fs::File, length: u64) -> io::Result<u64> {
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK_BYTES);
        file.seek(io::SeekFrom::Start(start)).await?;
        let mut block = Vec::new();
        (&mut *file).take(end - start).read_to_end(&mut block).await?;
        if let Some(found) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + found as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: i64) -> Numbered {
        Numbered { sequence, id: format!("e-{sequence}"), document: format!("{{\"n\":{sequence}}}") }
    }

    async fn check(before: &str, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, before).unwrap();
        let outcome = File::new(path.clone()).deliver(&[event(1), event(2)]).await;
        assert_eq!(outcome, Outcome { delivered: 2, failure: None });
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }

    #[tokio::test]
    async fn lines_are_appended_after_cutting_off_a_torn_one() {
        check("", "{\"n\":1}\n{\"n\":2}\n").await;
        check("{\"n\":0}\n", "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n").await;
        check("{\"n\":0}\n{\"n\":", "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n").await;
        check("{\"n\"", "{\"n\":1}\n{\"n\":2}\n").await;
        let long = "x".repeat(200_000);
        check(&format!("{long}\n{long}"), &format!("{long}\n{{\"n\":1}}\n{{\"n\":2}}\n")).await;
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_a_failure_that_can_be_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later").join("events.jsonl");
        let mut file = File::new(path.clone());
        let outcome = file.deliver(&[event(1)]).await;
        assert_eq!(outcome.delivered, 0);
        assert!(matches!(outcome.failure, Some(Failure::Failed { .. })), "{outcome:?}");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        assert_eq!(file.deliver(&[event(1)]).await.failure, None);
    }

    #[tokio::test]
    async fn a_file_that_was_rotated_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut file = File::new(path.clone());
        file.deliver(&[event(1)]).await;
        std::fs::rename(&path, folder.path().join("old.jsonl")).unwrap();
        file.deliver(&[event(2)]).await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"n\":2}\n");
    }
}
