//! The feed of events: `GET /events`, in the order in which they were numbered, and nothing skipped.
//!
//! The cursor is the number of the last event that was seen. Whoever sees only what is of their own tenants or brokers is given that in the
//! same order under the same numbers, with gaps.

use serde_json::Value;

use super::{App, Error, access};
use crate::domain::permission::Sight;
use crate::store;
use crate::store::events::{self, Bounds, Filter};

/// The most events in one answer.
pub const LIMIT_MAX: u32 = 1000;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedQuery {
    /// The cursor from an earlier answer; from the beginning where absent.
    pub after: Option<String>,
    /// At most so many; bounded by [`LIMIT_MAX`].
    pub limit: u32,
    /// Of one type only.
    pub kind: Option<String>,
    /// Of one tenant only, by id.
    pub tenant_id: Option<String>,
    /// Of what the caller sees only.
    pub sight: Sight,
}

impl Default for FeedQuery {
    fn default() -> Self {
        Self { after: None, limit: 100, kind: None, tenant_id: None, sight: Sight::everything() }
    }
}

/// A page of the feed.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedPage {
    /// CloudEvents.
    pub items: Vec<Value>,
    /// The cursor to go on with, also where nothing is new.
    pub next: String,
}

impl App {
    /// The id of the tenant that a filter names: by its name, or by its id, since events outlive their tenants.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is neither.
    pub async fn feed_tenant(&self, tenant: &str) -> Result<String, Error> {
        match self.tenant_by_name(tenant).await {
            Err(Error::NotFound { .. }) if uuid::Uuid::parse_str(tenant).is_ok() => Ok(tenant.to_owned()),
            found => Ok(found?.id),
        }
    }

    /// A page of the feed.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the cursor is not one of this feed; [`Error::Gone`] where events behind it have been
    /// removed meanwhile.
    pub async fn feed(&self, query: FeedQuery) -> Result<FeedPage, Error> {
        let wrong = || Error::Malformed("`after` is not a cursor of this feed".to_owned());
        let after = match &query.after {
            Some(cursor) => Some(cursor.parse::<i64>().ok().filter(|after| *after >= 0).ok_or_else(wrong)?),
            None => None,
        };
        let limit = query.limit.clamp(1, LIMIT_MAX);
        if let Some(tenant) = &query.tenant_id {
            access::check(&query.sight, "tenant", tenant, &access::of_tenant(tenant))?;
        }
        let filter = Filter { kind: query.kind, tenant_id: query.tenant_id, sight: query.sight };
        // Three statements see three states. The end is read before the page and the beginning after it, so that what is
        // numbered or removed in between is never passed over.
        let (before, page, beyond) = self
            .db()
            .read(|tx| {
                let filter = filter.clone();
                Box::pin(async move {
                    let before = events::bounds(tx).await?;
                    let page = events::page(tx, after.unwrap_or(0), i64::from(limit), &filter).await?;
                    Ok::<_, store::Error>((before, page, events::bounds(tx).await?))
                })
            })
            .await?;
        let after = match after {
            Some(after) if after > before.last => return Err(wrong()),
            Some(after) if removed_behind(after, beyond) => {
                let message = "events behind this cursor are older than events.retention and have been removed";
                return Err(Error::Gone(message.to_owned()));
            }
            after => after.unwrap_or(0),
        };
        let full = page.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let seen = page.last().map(|event| event.sequence);
        // A page that isn't full has looked at everything up to the end as it was.
        let next = if full { seen.unwrap_or(after) } else { seen.unwrap_or(after).max(before.last) };
        let parse = |document: &str| {
            serde_json::from_str(document)
                .map_err(|error| store::Error::Corrupt { column: "document", source: Box::new(error) })
        };
        let items = page.iter().map(|event| parse(&event.document)).collect::<Result<_, _>>()?;
        Ok(FeedPage { items, next: next.to_string() })
    }
}

fn removed_behind(after: i64, bounds: Bounds) -> bool {
    bounds.first > after.saturating_add(1)
}
