//! Table `audit`: who changed what, append-only. Whoever changes a fact appends its row in the same transaction, without a number; one
//! process at a time numbers and chains what is committed (`app::audit::chain`).
//!
//! Invariant: a numbered row is never changed or removed. Nothing here could.

use serde_json::Value;
use sqlx::any::AnyRow;

use super::brokers::json;
use super::db::column;
use super::{Error, Tx};
use crate::clock::{Time, fresh_id};
use crate::domain::audit::{GENESIS, sha256};

/// Bytes of a document that are kept as they are; of a larger one, its hash and size.
const DOCUMENT_MAX: usize = 256 * 1024;

/// One entry. None of it holds a credential or a parameter value.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// When.
    pub at: Time,
    /// Who, as [`crate::domain::caller::Caller::actor`] names it.
    pub actor: String,
    /// From where: the address, the request, the channel.
    pub origin: Value,
    /// What was done, such as `tenant.put`.
    pub action: String,
    /// To what, such as `tenants/retail`.
    pub subject: String,
    /// What the document was before; `None` where there was none.
    pub before: Option<Value>,
    /// What it is now; `None` where there is none any more.
    pub after: Option<Value>,
    /// More about it.
    pub detail: Value,
}

impl AuditRow {
    /// The entry with what was and what is.
    #[must_use]
    pub fn changed(self, before: Option<Value>, after: Option<Value>) -> Self {
        Self { before, after, ..self }
    }
}

/// A row as it is chained.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its id.
    pub id: String,
    /// What it says.
    pub row: AuditRow,
}

/// A row that has its number.
#[derive(Clone, Debug, PartialEq)]
pub struct Chained {
    /// The number: from 1 on, without a gap.
    pub position: i64,
    /// The row.
    pub stored: Stored,
    /// The hash of the one before.
    pub previous: String,
    /// Its own.
    pub hash: String,
}

/// A link that is about to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Of the row.
    pub id: String,
    /// The number that it gets.
    pub position: i64,
    /// The hash of the one before.
    pub previous: String,
    /// Its own.
    pub hash: String,
}

const APPEND: &str = "insert into audit (id, at, actor, origin, action, subject, old_document, new_document, detail) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// Adds an entry, in the transaction of what it tells of.
///
/// # Errors
/// [`Error`].
pub async fn append(tx: &mut Tx<'_>, row: &AuditRow) -> Result<(), Error> {
    let AuditRow { at, actor, origin, action, subject, before, after, detail } = row;
    let sql = sqlx::query(APPEND)
        .bind(fresh_id())
        .bind(at.0)
        .bind(actor.clone())
        .bind(origin.to_string())
        .bind(action.clone())
        .bind(subject.clone())
        .bind(before.as_ref().map(bounded))
        .bind(after.as_ref().map(bounded))
        .bind(bounded(detail));
    tx.execute(sql).await.map(drop)
}

fn bounded(document: &Value) -> String {
    let text = document.to_string();
    if text.len() <= DOCUMENT_MAX {
        return text;
    }
    let digest = sha256(text.as_bytes());
    serde_json::json!({ "too_large": { "bytes": text.len(), "sha256": digest } }).to_string()
}

fn stored(row: &AnyRow) -> Result<Stored, Error> {
    let document = |name| match column::<Option<String>>(row, name)? {
        Some(_) => json::<Value>(row, name).map(Some),
        None => Ok(None),
    };
    Ok(Stored {
        id: column(row, "id")?,
        row: AuditRow {
            at: Time(column(row, "at")?),
            actor: column(row, "actor")?,
            origin: json(row, "origin")?,
            action: column(row, "action")?,
            subject: column(row, "subject")?,
            before: document("old_document")?,
            after: document("new_document")?,
            detail: json(row, "detail")?,
        },
    })
}

const LAST: &str = "select sequence, hash from audit where sequence is not null order by sequence desc limit 1";

/// Number and hash of the last row that has them; 0 and [`GENESIS`] where none has.
///
/// # Errors
/// Where the database fails.
pub async fn last(tx: &mut Tx<'_>) -> Result<(i64, String), Error> {
    match tx.fetch_optional(sqlx::query(LAST)).await? {
        Some(row) => Ok((column(&row, "sequence")?, column(&row, "hash")?)),
        None => Ok((0, GENESIS.to_owned())),
    }
}

const WAITING: &str = "select * from audit where sequence is null order by position limit $1";

/// Rows that are committed and have no number, as they were inserted.
///
/// # Errors
/// Where the database fails.
pub async fn waiting(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Stored>, Error> {
    tx.fetch_all(sqlx::query(WAITING).bind(limit)).await?.iter().map(stored).collect()
}

const CHAIN: &str = "update audit set sequence = $2, previous = $3, hash = $4 where id = $1 and sequence is null";

/// Numbers a row; false where it has a number already, or is not there.
///
/// # Errors
/// Where the database fails.
pub async fn chain(tx: &mut Tx<'_>, link: &Link) -> Result<bool, Error> {
    let Link { id, position, previous, hash } = link.clone();
    let sql = sqlx::query(CHAIN).bind(id).bind(position).bind(previous).bind(hash);
    Ok(tx.execute(sql).await? == 1)
}

const PAGE: &str = "select * from audit where sequence > $1 order by sequence limit $2";
const PAGE_SUBJECT: &str = "select * from audit where sequence > $1 and subject = $3 order by sequence limit $2";
const PAGE_ACTOR: &str = "select * from audit where sequence > $1 and actor = $3 order by sequence limit $2";
const PAGE_BOTH: &str = "select * from audit where sequence > $1 and subject = $3 and actor = $4 \
     order by sequence limit $2";

/// Which rows a page holds; both must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// To what something was done.
    pub subject: Option<String>,
    /// Who did it.
    pub actor: Option<String>,
}

/// Numbered rows with a number above `after`, lowest first.
///
/// # Errors
/// Where the database fails.
pub async fn page(tx: &mut Tx<'_>, after: i64, limit: i64, filter: &Filter) -> Result<Vec<Chained>, Error> {
    let sql = match (filter.subject.clone(), filter.actor.clone()) {
        (None, None) => sqlx::query(PAGE).bind(after).bind(limit),
        (Some(subject), None) => sqlx::query(PAGE_SUBJECT).bind(after).bind(limit).bind(subject),
        (None, Some(actor)) => sqlx::query(PAGE_ACTOR).bind(after).bind(limit).bind(actor),
        (Some(subject), Some(actor)) => sqlx::query(PAGE_BOTH).bind(after).bind(limit).bind(subject).bind(actor),
    };
    tx.fetch_all(sql).await?.iter().map(chained).collect()
}

fn chained(row: &AnyRow) -> Result<Chained, Error> {
    Ok(Chained {
        position: column(row, "sequence")?,
        stored: stored(row)?,
        previous: column(row, "previous")?,
        hash: column(row, "hash")?,
    })
}

const LATEST: &str = "select * from audit where sequence < $1 order by sequence desc limit $2";
const LATEST_SUBJECT: &str = "select * from audit where sequence < $1 and subject = $3 order by sequence desc limit $2";
const LATEST_ACTOR: &str = "select * from audit where sequence < $1 and actor = $3 order by sequence desc limit $2";
const LATEST_BOTH: &str = "select * from audit where sequence < $1 and subject = $3 and actor = $4 \
     order by sequence desc limit $2";

/// Numbered rows with a number below `before`, highest first.
///
/// # Errors
/// Where the database fails.
pub async fn latest(tx: &mut Tx<'_>, before: i64, limit: i64, filter: &Filter) -> Result<Vec<Chained>, Error> {
    let sql = match (filter.subject.clone(), filter.actor.clone()) {
        (None, None) => sqlx::query(LATEST).bind(before).bind(limit),
        (Some(subject), None) => sqlx::query(LATEST_SUBJECT).bind(before).bind(limit).bind(subject),
        (None, Some(actor)) => sqlx::query(LATEST_ACTOR).bind(before).bind(limit).bind(actor),
        (Some(subject), Some(actor)) => sqlx::query(LATEST_BOTH).bind(before).bind(limit).bind(subject).bind(actor),
    };
    tx.fetch_all(sql).await?.iter().map(chained).collect()
}
