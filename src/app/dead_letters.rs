//! Dead letters, for operators: which events a sink did not take, and to try them once more.

use serde_json::{Value, json};

use super::{App, Error, Listed, Page};
use crate::store::audit::{self, AuditRow};
use crate::store::dead_letters;

pub use crate::store::dead_letters::DeadLetter;

impl App {
    /// Dead letters of one sink, or of all, lowest number first.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the cursor is not one of this list.
    pub async fn dead_letters(&self, sink: Option<&str>, page: &Page) -> Result<Listed<DeadLetter>, Error> {
        let after = match page.after.as_str() {
            "" => (0, String::new()),
            cursor => read_cursor(cursor)
                .ok_or_else(|| Error::Malformed("`cursor` is not a cursor of this list".to_owned()))?,
        };
        let (sink, rows) = (sink.map(str::to_owned), i64::from(page.rows()));
        let found = self.db().read(move |tx| {
            Box::pin(async move { dead_letters::page(tx, sink.as_deref(), (after.0, &after.1), rows).await })
        });
        Ok(page.cut(found.await?, |letter| format!("{}.{}", letter.sequence, letter.sink)))
    }

    /// Has a sink's dead letters tried once more, soon and in order, and says how many there are.
    ///
    /// # Errors
    /// [`Error::NotFound`] where no such sink is configured.
    pub async fn redeliver(&self, actor: &str, sink: &str) -> Result<u64, Error> {
        if !self.config().events.sinks.iter().any(|known| known.name() == sink) {
            return Err(Error::not_found("sink", sink));
        }
        let row = self.audit_of(actor.to_owned(), "event.redeliver", format!("sinks/{sink}"), Value::Null);
        let sink = sink.to_owned();
        let queued = self.db().write(move |tx| {
            let (row, sink) = (row.clone(), sink.clone());
            Box::pin(async move {
                let queued = dead_letters::redeliver(tx, &sink).await?;
                let row = AuditRow { detail: json!({ "dead_letters": queued }), ..row };
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
