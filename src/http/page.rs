//! Pages on the wire: `?limit=&cursor=` and `{"items":[…],"next":…}`. A cursor is the key of the last entry, encoded so that
//! nobody takes it for more than that.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::error::Failure;
use crate::app::page::{LIMIT_DEFAULT, LIMIT_MAX};
use crate::app::{self, Listed, Page};

/// The query of a list that has no filters. One with filters repeats the two fields and calls [`page`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageParams {
    /// Entries at most.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

impl PageParams {
    /// The page that is meant.
    ///
    /// # Errors
    /// As [`page`].
    pub fn page(&self) -> Result<Page, Failure> {
        page(self.limit, self.cursor.as_deref())
    }
}

/// The page that `limit` and `cursor` mean.
///
/// # Errors
/// Where the limit is out of bounds, or the cursor is none of ours.
pub fn page(limit: Option<u32>, cursor: Option<&str>) -> Result<Page, Failure> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(app::Error::invalid("", format!("limit must be 1 to {LIMIT_MAX}")).into());
    }
    let decoded = URL_SAFE_NO_PAD.decode(cursor.unwrap_or_default()).ok();
    let after = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|after| !after.contains('\0'));
    let after = after.ok_or_else(|| Failure::malformed("cursor must be the `next` of another page of this list"))?;
    Ok(Page { limit, after })
}

/// A page as it is answered.
#[derive(Clone, Debug, Serialize)]
pub struct PageOut<T> {
    /// The entries.
    pub items: Vec<T>,
    /// The cursor of the next page; `null` where this is the last.
    pub next: Option<String>,
}

impl<T> From<Listed<T>> for PageOut<T> {
    fn from(listed: Listed<T>) -> Self {
        Self { items: listed.items, next: listed.next.map(|key| URL_SAFE_NO_PAD.encode(key)) }
    }
}
