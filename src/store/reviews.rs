//! Table `offering_reviews`: offerings that were submitted for publication. A row is decided once: every change asks that it still is
//! submitted.

use sqlx::any::AnyRow;

use super::brokers::{json, text};
use super::db::column;
use super::{Error, Tx, operations};
use crate::clock::Time;
use crate::domain::review::{Check, ReviewState};

/// A submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewRow {
    /// Its id.
    pub id: String,
    /// The offering.
    pub offering_id: String,
    /// Its broker.
    pub broker_id: String,
    /// The offering's name then.
    pub offering: String,
    /// How it stands.
    pub state: ReviewState,
    /// Which form of the offering was submitted.
    pub digest: String,
    /// What was found of it.
    pub checks: Vec<Check>,
    /// What the submitter said.
    pub note: Option<String>,
    /// Who submitted it.
    pub submitted_by: String,
    /// When.
    pub submitted_at: Time,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Time>,
    /// What they said.
    pub reason: Option<String>,
}

fn read(row: &AnyRow) -> Result<ReviewRow, Error> {
    let state: String = column(row, "state")?;
    Ok(ReviewRow {
        id: column(row, "id")?,
        offering_id: column(row, "offering_id")?,
        broker_id: column(row, "broker_id")?,
        offering: column(row, "offering")?,
        state: ReviewState::parse(&state).ok_or_else(|| operations::unreadable("state", &state))?,
        digest: column(row, "digest")?,
        checks: json(row, "checks")?,
        note: column(row, "note")?,
        submitted_by: column(row, "submitted_by")?,
        submitted_at: Time(column(row, "submitted_at")?),
        decided_by: column(row, "decided_by")?,
        decided_at: column::<Option<i64>>(row, "decided_at")?.map(Time),
        reason: column(row, "reason")?,
    })
}

const INSERT: &str = "insert into offering_reviews (id, offering_id, broker_id, offering, state, digest, checks, note, \
    submitted_by, submitted_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// Submits. [`Error::Taken`] where the offering waits already.
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, row: &ReviewRow) -> Result<(), Error> {
    let sql = sqlx::query(INSERT)
        .bind(row.id.clone())
        .bind(row.offering_id.clone())
        .bind(row.broker_id.clone())
        .bind(row.offering.clone())
        .bind(row.state.as_str())
        .bind(row.digest.clone())
        .bind(text("checks", &row.checks)?)
        .bind(row.note.clone())
        .bind(row.submitted_by.clone())
        .bind(row.submitted_at.0);
    tx.execute(sql).await.map(drop)
}

/// What becomes of a submission.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Anything but submitted.
    pub state: ReviewState,
    /// Who decided; nobody where it is void.
    pub by: Option<String>,
    /// When.
    pub at: Time,
    /// What they said.
    pub reason: Option<String>,
}

const DECIDE: &str = "update offering_reviews set state = $2, decided_by = $3, decided_at = $4, reason = $5 \
    where id = $1 and state = 'submitted' returning *";

/// Decides one that waits; `None` where it does not any more.
///
/// # Errors
/// [`Error`].
pub async fn decide(tx: &mut Tx<'_>, id: &str, decided: &Decided) -> Result<Option<ReviewRow>, Error> {
    let sql = sqlx::query(DECIDE)
        .bind(id.to_owned())
        .bind(decided.state.as_str())
        .bind(decided.by.clone())
        .bind(decided.at.0)
        .bind(decided.reason.clone());
    tx.fetch_optional(sql).await?.as_ref().map(read).transpose()
}

const WAITING: &str = "select * from offering_reviews where broker_id = $1 and state = 'submitted' order by id";

/// Those of a broker that wait: one of each offering at most.
///
/// # Errors
/// [`Error`].
pub async fn waiting(tx: &mut Tx<'_>, broker_id: &str) -> Result<Vec<ReviewRow>, Error> {
    tx.fetch_all(sqlx::query(WAITING).bind(broker_id.to_owned())).await?.iter().map(read).collect()
}

const LATEST: &str =
    "select * from offering_reviews where offering_id = $1 and broker_id = $2 order by id desc limit 1";

/// The latest submission of an offering.
///
/// # Errors
/// [`Error`].
pub async fn latest(tx: &mut Tx<'_>, offering_id: &str, broker_id: &str) -> Result<Option<ReviewRow>, Error> {
    let sql = sqlx::query(LATEST).bind(offering_id.to_owned()).bind(broker_id.to_owned());
    tx.fetch_optional(sql).await?.as_ref().map(read).transpose()
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By state.
    pub state: Option<ReviewState>,
    /// By the offering's name.
    pub offering: Option<String>,
    /// By brokers, as `|id|id|`.
    pub brokers: Option<String>,
}

const LIST: &str = "select * from offering_reviews where id > $1 and ($2 is null or state = $2) \
    and ($3 is null or offering = $3) and ($4 is null or $4 like '%|' || broker_id || '|%') order by id limit $5";

/// A page in the order in which they were submitted, after one id.
///
/// # Errors
/// [`Error`].
pub async fn list(tx: &mut Tx<'_>, filter: &Filter, after: &str, limit: i64) -> Result<Vec<ReviewRow>, Error> {
    let sql = sqlx::query(LIST)
        .bind(after.to_owned())
        .bind(filter.state.map(ReviewState::as_str))
        .bind(filter.offering.clone())
        .bind(filter.brokers.clone())
        .bind(limit);
    tx.fetch_all(sql).await?.iter().map(read).collect()
}
