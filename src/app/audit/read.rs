//! Reads the audit: numbered rows, in the order of their numbers, and heads that were kept. Who may is decided where it is called.

use serde_json::Value;

use super::chain::entry;
use crate::app::{App, Error};
use crate::domain::audit::Head;
use crate::store::audit::{self, Chained, Filter};
use crate::store::audit_heads;

/// The most rows in one answer.
pub const LIMIT_MAX: u32 = 1000;
/// Rows that are read at once.
const CHUNK: i64 = 100;
/// A page that has come to so many bytes ends.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// The cursor from an earlier answer; from the beginning where absent.
    pub after: Option<String>,
    /// At most so many; bounded by [`LIMIT_MAX`].
    pub limit: u32,
    /// About one subject only.
    pub subject: Option<String>,
    /// By one actor only.
    pub actor: Option<String>,
}

/// A page of the audit.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditPage {
    /// Rows.
    pub items: Vec<Value>,
    /// The cursor to go on with, also where nothing is new.
    pub next: String,
}

impl App {
    /// A page of the audit.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the cursor is not one of the audit's.
    pub async fn audit(&self, query: AuditQuery) -> Result<AuditPage, Error> {
        let wrong = || Error::Malformed("`after` is not a cursor of the audit".to_owned());
        let after = match &query.after {
            Some(cursor) => cursor.parse::<i64>().ok().filter(|after| *after >= 0).ok_or_else(wrong)?,
            None => 0,
        };
        let limit = usize::try_from(query.limit.clamp(1, LIMIT_MAX)).unwrap_or(1);
        let filter = Filter { subject: query.subject, actor: query.actor };
        // The end before the page: a row that is chained in between is not passed over.
        let (end, _) = self.db().read(|tx| Box::pin(async move { audit::last(tx).await })).await?;
        let (mut items, mut seen, mut bytes, mut over) = (Vec::new(), after, 0, false);
        while !over && items.len() < limit && bytes < PAGE_BYTES {
            let rows = self.audit_rows(seen, CHUNK, &filter).await?;
            over = rows.len() < usize::try_from(CHUNK).unwrap_or(usize::MAX);
            for row in rows {
                if items.len() == limit || bytes >= PAGE_BYTES {
                    over = false;
                    break;
                }
                seen = row.position;
                let item = shown(&row);
                bytes += item.to_string().len();
                items.push(item);
            }
        }
        let next = if over { seen.max(end) } else { seen };
        Ok(AuditPage { items, next: next.to_string() })
    }

    async fn audit_rows(&self, after: i64, limit: i64, filter: &Filter) -> Result<Vec<Chained>, Error> {
        let filter = filter.clone();
        let read = self.db().read(|tx| Box::pin(async move { audit::page(tx, after, limit, &filter).await }));
        Ok(read.await?)
    }

    /// Heads that were kept, of places above `after`, lowest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn audit_heads(&self, after: i64, limit: u32) -> Result<Vec<Head>, Error> {
        let limit = i64::from(limit.clamp(1, LIMIT_MAX));
        Ok(self.db().read(|tx| Box::pin(async move { audit_heads::page(tx, after, limit).await })).await?)
    }
}

fn shown(row: &Chained) -> Value {
    let mut item = entry(row.position, &row.stored);
    item["previous"] = row.previous.clone().into();
    item["hash"] = row.hash.clone().into();
    item
}
