//! Table `price_proposals`: prices that providers propose. A row is decided once: every change asks that it still is pending.

use sqlx::any::AnyRow;

use super::brokers::{json, text};
use super::db::column;
use super::{Error, Tx, operations};
use crate::clock::Time;
use crate::domain::proposal::{ProposalDocument, ProposalState};

/// A proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalRow {
    /// Its id.
    pub id: String,
    /// Whose offerings it is about.
    pub broker_id: String,
    /// How it stands.
    pub state: ProposalState,
    /// What it says.
    pub document: ProposalDocument,
    /// Who proposes it.
    pub proposed_by: String,
    /// When.
    pub proposed_at: Time,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Time>,
    /// What they said.
    pub reason: Option<String>,
    /// The ids of the price books that came of it.
    pub books: Vec<String>,
}

fn read(row: &AnyRow) -> Result<ProposalRow, Error> {
    let state: String = column(row, "state")?;
    let books: Option<String> = column(row, "books")?;
    Ok(ProposalRow {
        id: column(row, "id")?,
        broker_id: column(row, "broker_id")?,
        state: ProposalState::parse(&state).ok_or_else(|| operations::unreadable("state", &state))?,
        document: json(row, "document")?,
        proposed_by: column(row, "proposed_by")?,
        proposed_at: Time(column(row, "proposed_at")?),
        decided_by: column(row, "decided_by")?,
        decided_at: column::<Option<i64>>(row, "decided_at")?.map(Time),
        reason: column(row, "reason")?,
        books: if books.is_some() { json(row, "books")? } else { Vec::new() },
    })
}

const INSERT: &str = "insert into price_proposals (id, broker_id, state, document, proposed_by, proposed_at) \
    values ($1, $2, $3, $4, $5, $6)";

/// Proposes. [`Error::Taken`] where one of that broker is pending.
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, row: &ProposalRow) -> Result<(), Error> {
    let sql = sqlx::query(INSERT)
        .bind(row.id.clone())
        .bind(row.broker_id.clone())
        .bind(row.state.as_str())
        .bind(text("document", &row.document)?)
        .bind(row.proposed_by.clone())
        .bind(row.proposed_at.0);
    tx.execute(sql).await.map(drop)
}

const PENDING: &str = "select * from price_proposals where broker_id = $1 and state = 'pending'";

/// The one of a broker that is pending.
///
/// # Errors
/// [`Error`].
pub async fn pending(tx: &mut Tx<'_>, broker_id: &str) -> Result<Option<ProposalRow>, Error> {
    tx.fetch_optional(sqlx::query(PENDING).bind(broker_id.to_owned())).await?.as_ref().map(read).transpose()
}

const BY_ID: &str = "select * from price_proposals where id = $1";

/// One of them.
///
/// # Errors
/// [`Error`].
pub async fn by_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<ProposalRow>, Error> {
    tx.fetch_optional(sqlx::query(BY_ID).bind(id.to_owned())).await?.as_ref().map(read).transpose()
}

/// What becomes of a proposal.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Anything but pending.
    pub state: ProposalState,
    /// Who decided.
    pub by: Option<String>,
    /// When.
    pub at: Time,
    /// What they said.
    pub reason: Option<String>,
    /// The price books that came of it.
    pub books: Vec<String>,
}

const DECIDE: &str = "update price_proposals set state = $2, decided_by = $3, decided_at = $4, reason = $5, books = $6 \
    where id = $1 and state = 'pending' returning *";

/// Decides one that is pending; `None` where it is not any more.
///
/// # Errors
/// [`Error`].
pub async fn decide(tx: &mut Tx<'_>, id: &str, decided: &Decided) -> Result<Option<ProposalRow>, Error> {
    let sql = sqlx::query(DECIDE)
        .bind(id.to_owned())
        .bind(decided.state.as_str())
        .bind(decided.by.clone())
        .bind(decided.at.0)
        .bind(decided.reason.clone())
        .bind(text("books", &decided.books)?);
    tx.fetch_optional(sql).await?.as_ref().map(read).transpose()
}

const LIST: &str = "select * from price_proposals where id > $1 and ($2 is null or state = $2) \
    and ($3 is null or broker_id = $3) and ($4 is null or $4 like '%|' || broker_id || '|%') order by id limit $5";

/// A page in the order in which they were made, after one id: by state, by broker, of brokers as `|id|id|`.
///
/// # Errors
/// [`Error`].
pub async fn list(
    tx: &mut Tx<'_>,
    (state, broker_id, only): (Option<ProposalState>, Option<String>, Option<String>),
    after: &str,
    limit: i64,
) -> Result<Vec<ProposalRow>, Error> {
    let sql = sqlx::query(LIST)
        .bind(after.to_owned())
        .bind(state.map(ProposalState::as_str))
        .bind(broker_id)
        .bind(only)
        .bind(limit);
    tx.fetch_all(sql).await?.iter().map(read).collect()
}
