//! The sink `stdout`: one CloudEvent a line, for a log collector.

use std::io::Write as _;

use super::{Failure, Outcome};
use crate::domain::event::Numbered;

/// Writes all events, or says that it could not.
pub(super) async fn deliver(events: &[Numbered]) -> Outcome {
    let mut lines = String::new();
    for event in events {
        lines.push_str(&event.document);
        lines.push('\n');
    }
    // A pipe whose reader is slow blocks, hence a thread that may.
    let written = tokio::task::spawn_blocking(move || {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush())
    });
    match written.await {
        Ok(Ok(())) => Outcome { delivered: events.len(), failure: None },
        Ok(Err(error)) => failed(format!("standard output: {}", error.kind())),
        Err(_) => failed("writing to standard output was broken off".to_owned()),
    }
}

fn failed(reason: String) -> Outcome {
    Outcome { delivered: 0, failure: Some(Failure::failed(reason)) }
}
