//! Tables `conformance_runs` and `conformance_made`: brokers that are judged, by whom that was asked for, what came of it, and what a
//! run that goes on may have made. A run belongs to the process that runs it for as long as that beats (`processes`).

use sqlx::any::AnyRow;

use super::db::column;
use super::{Error, Tx, operations};
use crate::clock::Time;
use crate::domain::judgement::{Outcome, RunState};

/// A run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// Its id.
    pub id: String,
    /// The broker.
    pub broker_id: String,
    /// The offering that is judged.
    pub offering_id: String,
    /// Its name then.
    pub offering: String,
    /// What the broker knows it by.
    pub service_id: String,
    /// How it stands.
    pub state: RunState,
    /// Which form of the offering is judged.
    pub digest: String,
    /// The broker's version then, which counts changes of its catalog and of how it is reached.
    pub catalog_version: i64,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    pub requested_at: Time,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it was over.
    pub finished_at: Option<Time>,
    /// What was asked for, sealed.
    pub request: Vec<u8>,
    /// What is kept of the report, sealed.
    pub report: Option<Vec<u8>>,
    /// What it came to.
    pub outcome: Option<Outcome>,
    /// Requirements that bind and are broken.
    pub failed: Option<i64>,
    /// Why there is no verdict, or less than one.
    pub reason: Option<String>,
}

fn read(row: &AnyRow) -> Result<RunRow, Error> {
    let state: String = column(row, "state")?;
    let outcome: Option<String> = column(row, "outcome")?;
    let outcome = outcome.map(|text| Outcome::parse(&text).ok_or_else(|| operations::unreadable("outcome", &text)));
    Ok(RunRow {
        id: column(row, "id")?,
        broker_id: column(row, "broker_id")?,
        offering_id: column(row, "offering_id")?,
        offering: column(row, "offering")?,
        service_id: column(row, "service_id")?,
        state: RunState::parse(&state).ok_or_else(|| operations::unreadable("state", &state))?,
        digest: column(row, "digest")?,
        catalog_version: column(row, "catalog_version")?,
        requested_by: column(row, "requested_by")?,
        requested_at: Time(column(row, "requested_at")?),
        started_at: column::<Option<i64>>(row, "started_at")?.map(Time),
        finished_at: column::<Option<i64>>(row, "finished_at")?.map(Time),
        request: column(row, "request")?,
        report: column(row, "report")?,
        outcome: outcome.transpose()?,
        failed: column(row, "failed")?,
        reason: column(row, "reason")?,
    })
}

const INSERT: &str = "insert into conformance_runs (id, broker_id, offering_id, offering, service_id, state, digest, \
    catalog_version, requested_by, requested_at, request) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// Asks for a run. [`Error::Taken`] where one of the broker is under way.
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, row: &RunRow) -> Result<(), Error> {
    let sql = sqlx::query(INSERT)
        .bind(row.id.clone())
        .bind(row.broker_id.clone())
        .bind(row.offering_id.clone())
        .bind(row.offering.clone())
        .bind(row.service_id.clone())
        .bind(row.state.as_str())
        .bind(row.digest.clone())
        .bind(row.catalog_version)
        .bind(row.requested_by.clone())
        .bind(row.requested_at.0)
        .bind(row.request.clone());
    tx.execute(sql).await.map(drop)
}

const LATEST: &str = "select * from conformance_runs where broker_id = $1 and ($2 is null or offering = $2) \
    order by requested_at desc, id desc limit 1";

/// The latest run of a broker, or of one of its offerings.
///
/// # Errors
/// [`Error`].
pub async fn latest(tx: &mut Tx<'_>, broker_id: &str, offering: Option<&str>) -> Result<Option<RunRow>, Error> {
    let sql = sqlx::query(LATEST).bind(broker_id.to_owned()).bind(offering.map(str::to_owned));
    tx.fetch_optional(sql).await?.as_ref().map(read).transpose()
}

const VERDICTS: &str = "select * from conformance_runs r where broker_id = $1 and state = 'finished' and not exists ( \
      select 1 from conformance_runs other where other.broker_id = r.broker_id and other.offering_id = r.offering_id \
        and other.state = 'finished' and (other.finished_at > r.finished_at \
          or (other.finished_at = r.finished_at and other.id > r.id))) order by offering limit 1000";

/// The latest run with a verdict of each offering of a broker.
///
/// # Errors
/// [`Error`].
pub async fn verdicts(tx: &mut Tx<'_>, broker_id: &str) -> Result<Vec<RunRow>, Error> {
    tx.fetch_all(sqlx::query(VERDICTS).bind(broker_id.to_owned())).await?.iter().map(read).collect()
}

const VERDICT: &str = "select * from conformance_runs where broker_id = $1 and offering_id = $2 and state = 'finished' \
    order by finished_at desc, id desc limit 1";

/// The latest run with a verdict of one offering.
///
/// # Errors
/// [`Error`].
pub async fn verdict(tx: &mut Tx<'_>, broker_id: &str, offering_id: &str) -> Result<Option<RunRow>, Error> {
    let sql = sqlx::query(VERDICT).bind(broker_id.to_owned()).bind(offering_id.to_owned());
    tx.fetch_optional(sql).await?.as_ref().map(read).transpose()
}

const DUE: &str = "select * from conformance_runs where state = 'waiting' or (state in ('running', 'cleaning') and (claimed_at < $1 or owner not in ( \
      select id from processes where heartbeat_at > (select now from database_clock) - 10000000))) \
    order by requested_at, id limit 1";

/// The oldest run that nobody works on, or has worked on since before that time: a run is over long before.
///
/// # Errors
/// [`Error`].
pub async fn due(tx: &mut Tx<'_>, stale: Time) -> Result<Option<RunRow>, Error> {
    tx.fetch_optional(sqlx::query(DUE).bind(stale.0)).await?.as_ref().map(read).transpose()
}

const CLAIM: &str = "update conformance_runs set state = $3, owner = $4, claimed_at = $5, started_at = coalesce(started_at, $5) \
    where id = $1 and state = $2 and (owner is null or claimed_at < $6 or owner not in ( \
      select id from processes where heartbeat_at > (select now from database_clock) - 10000000))";

/// Takes a run that nobody works on; false where another process was first.
///
/// # Errors
/// [`Error`].
pub async fn claim(
    tx: &mut Tx<'_>,
    row: &RunRow,
    next: RunState,
    owner: &str,
    (now, stale): (Time, Time),
) -> Result<bool, Error> {
    let sql = sqlx::query(CLAIM)
        .bind(row.id.clone())
        .bind(row.state.as_str())
        .bind(next.as_str())
        .bind(owner.to_owned())
        .bind(now.0)
        .bind(stale.0);
    Ok(tx.execute(sql).await? == 1)
}

const MADE: &str = "insert into conformance_made (run_id, instance, binding, plan_id) \
    select id, $3, $4, $5 from conformance_runs where id = $1 and owner = $2 and state = 'running' \
    on conflict (run_id, instance, binding) do update set plan_id = excluded.plan_id";

/// Writes down what a run is about to make; false where the run is not this process's any more.
///
/// # Errors
/// [`Error`].
pub async fn making(tx: &mut Tx<'_>, run_id: &str, owner: &str, made: [&str; 3]) -> Result<bool, Error> {
    let [instance, binding, plan_id] = made.map(str::to_owned);
    let sql = sqlx::query(MADE).bind(run_id.to_owned()).bind(owner.to_owned());
    Ok(tx.execute(sql.bind(instance).bind(binding).bind(plan_id)).await? == 1)
}

const ALL_MADE: &str =
    "select instance, binding, plan_id from conformance_made where run_id = $1 order by instance, binding limit 10000";

/// What a run may have made: instance, binding, plan.
///
/// # Errors
/// [`Error`].
pub async fn made(tx: &mut Tx<'_>, run_id: &str) -> Result<Vec<[String; 3]>, Error> {
    let rows = tx.fetch_all(sqlx::query(ALL_MADE).bind(run_id.to_owned())).await?;
    rows.iter().map(|row| Ok([column(row, "instance")?, column(row, "binding")?, column(row, "plan_id")?])).collect()
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Finished, interrupted or failed.
    pub state: RunState,
    /// When.
    pub at: Time,
    /// What is kept of the report, sealed.
    pub report: Option<Vec<u8>>,
    /// What it came to.
    pub outcome: Option<Outcome>,
    /// Requirements that bind and are broken.
    pub failed: Option<i64>,
    /// Why there is no verdict.
    pub reason: Option<String>,
}

const END: &str = "update conformance_runs set state = $3, finished_at = $4, report = $5, outcome = $6, failed = $7, reason = $8 \
    where id = $1 and owner = $2 and state in ('running', 'cleaning')";
const FORGET_MADE: &str = "delete from conformance_made where run_id = $1";

/// Writes how a run ended; false where it is not this process's any more.
///
/// # Errors
/// [`Error`].
pub async fn end(tx: &mut Tx<'_>, run_id: &str, owner: &str, ended: &Ended) -> Result<bool, Error> {
    let sql = sqlx::query(END)
        .bind(run_id.to_owned())
        .bind(owner.to_owned())
        .bind(ended.state.as_str())
        .bind(ended.at.0)
        .bind(ended.report.clone())
        .bind(ended.outcome.map(Outcome::as_str))
        .bind(ended.failed)
        .bind(ended.reason.clone());
    if tx.execute(sql).await? == 0 {
        return Ok(false);
    }
    tx.execute(sqlx::query(FORGET_MADE).bind(run_id.to_owned())).await?;
    Ok(true)
}

const FORGET: &str = "delete from conformance_runs where broker_id = $1 and state in ('finished', 'interrupted', 'failed') \
    and id not in (select id from conformance_runs where broker_id = $1 order by requested_at desc, id desc limit $2) \
    and id not in (select r.id from conformance_runs r where r.broker_id = $1 and r.state = 'finished' and not exists ( \
      select 1 from conformance_runs other where other.broker_id = r.broker_id and other.offering_id = r.offering_id \
        and other.state = 'finished' and other.finished_at > r.finished_at))";

/// Forgets old runs of a broker: all but the last so many, and the latest verdict of each offering.
///
/// # Errors
/// [`Error`].
pub async fn forget(tx: &mut Tx<'_>, broker_id: &str, keep: i64) -> Result<(), Error> {
    tx.execute(sqlx::query(FORGET).bind(broker_id.to_owned()).bind(keep)).await.map(drop)
}
