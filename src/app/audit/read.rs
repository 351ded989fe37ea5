//! Reads the audit: numbered rows, in the order of their numbers, and heads that were kept. Who may is decided where it is called.

use serde_json::Value;

use super::chain::entry;
use crate::app::{App, Error};
use crate::clock::Time;
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

    /// A page of the audit from the latest row back. `after` of the query is the number below which it goes on, `until` an instant
    /// after which nothing is told.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the cursor is not one of this list.
    pub async fn audit_back(
        &self,
        query: AuditQuery,
        until: Option<Time>,
    ) -> Result<(Vec<Value>, Option<String>), Error> {
        let wrong = || Error::Malformed("`cursor` is not a cursor of this list".to_owned());
        let before = match (&query.after, until) {
            (Some(cursor), _) => cursor.parse::<i64>().ok().filter(|before| *before > 0).ok_or_else(wrong)?,
            (None, Some(until)) => self.audit_place(until).await?,
            (None, None) => i64::MAX,
        };
        let limit = i64::from(query.limit.clamp(1, LIMIT_MAX));
        let filter = Filter { subject: query.subject, actor: query.actor };
        let read = self.db().read(|tx| Box::pin(async move { audit::latest(tx, before, limit + 1, &filter).await }));
        let mut rows = read.await?;
        let more = i64::try_from(rows.len()).is_ok_and(|found| found > limit);
        rows.truncate(usize::try_from(limit).unwrap_or(1));
        let next = rows.last().filter(|_| more).map(|row| row.position.to_string());
        Ok((rows.iter().map(shown).collect(), next))
    }

    /// The number of the first row from an instant on, or one above the last. Rows are chained in the order in which they came, by
    /// several clocks: it may be off by as much as they differ.
    async fn audit_place(&self, at: Time) -> Result<i64, Error> {
        let (end, _) = self.db().read(|tx| Box::pin(async move { audit::last(tx).await })).await?;
        let (mut low, mut high) = (1, end + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.audit_rows(middle - 1, 1, &Filter::default()).await?;
            if found.first().is_none_or(|row| row.stored.row.at >= at) { high = middle } else { low = middle + 1 }
        }
        Ok(low)
    }

    /// The last head that was kept, and whether the row of its number still has its hash and one of the audit's keys has signed it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn audit_kept(&self) -> Result<Option<(Head, bool)>, Error> {
        let Some(head) = self.db().read(|tx| Box::pin(audit_heads::last(tx))).await? else { return Ok(None) };
        let row = self.audit_rows(head.position - 1, 1, &Filter::default()).await?;
        let same = row.first().is_some_and(|row| row.position == head.position && row.hash == head.hash);
        let signed = head.is_signed_by(&self.audit_keys().await?);
        Ok(Some((head, same && signed)))
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
