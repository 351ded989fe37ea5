//! Dead letters, for operators: which events a sink did not take, and to try them once more.

use serde_json::json;

use super::{App, Error};
use crate::store::audit::{self, AuditRow};
use crate::store::dead_letters;

pub use crate::store::dead_letters::DeadLetter;

/// A page of dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterPage {
    /// Lowest number first.
    pub items: Vec<DeadLetter>,
    /// The cursor to go on with; absent at the end.
    pub next: Option<String>,
}

impl App {
    /// Dead letters of one sink, or of all.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the cursor is not one of this list; [`Error::NotFound`] where no such sink is configured.
    pub async fn dead_letters(
        &self,
        sink: Option<&str>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<DeadLetterPage, Error> {
        let limit = limit.clamp(1, super::feed::LIMIT_MAX);
        let after = match cursor {
            Some(cursor) => read_cursor(cursor)
                .ok_or_else(|| Error::Malformed("`cursor` is not a cursor of this list".to_owned()))?,
            None => (0, String::new()),
        };
        let sink = sink.map(str::to_owned);
        let found = self.db().read(move |tx| {
            let (sink, after) = (sink.clone(), after.clone());
            Box::pin(
                async move { dead_letters::page(tx, sink.as_deref(), (after.0, &after.1), i64::from(limit)).await },
            )
        });
        let items = found.await?;
        let full = items.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = items.last().filter(|_| full).map(|last| format!("{}.{}", last.sequence, last.sink));
        Ok(DeadLetterPage { items, next })
    }

    /// Has a sink's dead letters tried once more, soon and in order, and says how many there are.
    ///
    /// # Errors
    /// [`Error::NotFound`] where no such sink is configured.
    pub async fn redeliver(&self, actor: &str, sink: &str) -> Result<u64, Error> {
        if !self.config().events.sinks.iter().any(|known| known.name() == sink) {
            return Err(Error::not_found("sink", sink));
        }
        let (actor, sink, at) = (actor.to_owned(), sink.to_owned(), self.clock().now());
        let queued = self.db().write(move |tx| {
            let (actor, sink) = (actor.clone(), sink.clone());
            Box::pin(async move {
                let queued = dead_letters::redeliver(tx, &sink).await?;
                let row = AuditRow {
                    at,
                    actor,
                    action: "event.redeliver".to_owned(),
                    subject: format!("sinks/{sink}"),
                    detail: json!({"dead_letters": queued}),
                };
                audit::append(tx, &row).await?;
                Ok::<_, Error>(queued)
            })
        });
        queued.await
    }
}

fn read_cursor(cursor: &str) -> Option<(i64, String)> {
    let (sequence, sink) = cursor.split_once('.')?;
    Some((sequence.parse().ok()?, sink.to_owned()))
}
