//! What is known of the instances and brokers that a batch is about, looked up for all of it at once.

use super::super::db::column;
use super::super::{Error, Tx};
use crate::clock::Time;
use crate::domain::permission::Sight;
use crate::domain::rating::Span;

/// Spans of one instance that are looked at: its latest ones.
const SPANS_MAX: i64 = 100;
/// Spans of one statement, where all are wanted.
const SPANS_PAGE: i64 = 1000;

/// An instance as far as usage needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceFacts {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub broker_id: String,
    /// The plan that it has.
    pub plan_id: String,
    /// When nothing was left of it.
    pub gone_at: Option<Time>,
}

/// A time for which it stood under a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanFacts {
    /// Of which instance.
    pub instance_id: String,
    /// Under which plan.
    pub plan_id: String,
    /// From when on.
    pub started_at: Time,
    /// Until when, if it has ended.
    pub ended_at: Option<Time>,
}

const INSTANCES_SQLITE: &str =
    "select id, broker_id, plan_id, gone_at from instances where id in (select value from json_each($1))";
const INSTANCES_POSTGRES: &str = "select id, broker_id, plan_id, gone_at from instances \
    where id in (select value from json_array_elements_text($1::json))";

/// The instances with these ids; `ids` is a JSON list of texts.
///
/// # Errors
/// [`Error`]
pub async fn instances(tx: &mut Tx<'_>, ids: &str) -> Result<Vec<InstanceFacts>, Error> {
    let sql = tx.shared(INSTANCES_SQLITE, INSTANCES_POSTGRES);
    let rows = tx.fetch_all(sqlx::query(sql).bind(ids.to_owned())).await?;
    let facts = |row| {
        Ok(InstanceFacts {
            id: column(row, "id")?,
            broker_id: column(row, "broker_id")?,
            plan_id: column(row, "plan_id")?,
            gone_at: column::<Option<i64>>(row, "gone_at")?.map(Time),
        })
    };
    rows.iter().map(facts).collect()
}

const SPANS_SQLITE: &str = "select instance_id, plan_id, started_at, ended_at from ( \
      select instance_id, plan_id, started_at, ended_at, \
        row_number() over (partition by instance_id order by started_at desc, id desc) as place \
      from spans where instance_id in (select value from json_each($1)) \
    ) latest where place <= $2 order by instance_id, started_at desc";
const SPANS_POSTGRES: &str = "select instance_id, plan_id, started_at, ended_at from ( \
      select instance_id, plan_id, started_at, ended_at, \
        row_number() over (partition by instance_id order by started_at desc, id desc) as place \
      from spans where instance_id in (select value from json_array_elements_text($1::json)) \
    ) latest where place <= $2 order by instance_id, started_at desc";

/// The latest spans of these instances, the latest first; `ids` is a JSON list of texts.
///
/// # Errors
/// [`Error`]
pub async fn spans(tx: &mut Tx<'_>, ids: &str) -> Result<Vec<SpanFacts>, Error> {
    let sql = tx.shared(SPANS_SQLITE, SPANS_POSTGRES);
    let rows = tx.fetch_all(sqlx::query(sql).bind(ids.to_owned()).bind(SPANS_MAX)).await?;
    let facts = |row| {
        Ok(SpanFacts {
            instance_id: column(row, "instance_id")?,
            plan_id: column(row, "plan_id")?,
            started_at: Time(column(row, "started_at")?),
            ended_at: column::<Option<i64>>(row, "ended_at")?.map(Time),
        })
    };
    rows.iter().map(facts).collect()
}

const PLANS_SQLITE: &str = "select id, document from plans where id in (select value from json_each($1))";
const PLANS_POSTGRES: &str =
    "select id, document from plans where id in (select value from json_array_elements_text($1::json))";

/// The documents of plans, as (id, JSON): for plans of brokers that are in no catalog any more.
///
/// # Errors
/// [`Error`]
pub async fn plans(tx: &mut Tx<'_>, ids: &str) -> Result<Vec<(String, String)>, Error> {
    let sql = tx.shared(PLANS_SQLITE, PLANS_POSTGRES);
    let rows = tx.fetch_all(sqlx::query(sql).bind(ids.to_owned())).await?;
    rows.iter().map(|row| Ok((column(row, "id")?, column(row, "document")?))).collect()
}

const BROKERS_SQLITE: &str = "select id, name from ( \
      select id, name, row_number() over (partition by name \
        order by case when deleted_at is null then 0 else 1 end, deleted_at desc, id) as place \
      from brokers where name in (select value from json_each($1)) \
    ) known where place = 1";
const BROKERS_POSTGRES: &str = "select id, name from ( \
      select id, name, row_number() over (partition by name \
        order by case when deleted_at is null then 0 else 1 end, deleted_at desc, id) as place \
      from brokers where name in (select value from json_array_elements_text($1::json)) \
    ) known where place = 1";

/// The brokers with these names, as (id, name): the one that is registered, or else the one that was so last. `names` is a
/// JSON list of texts.
///
/// # Errors
/// [`Error`]
pub async fn brokers(tx: &mut Tx<'_>, names: &str) -> Result<Vec<(String, String)>, Error> {
    let sql = tx.shared(BROKERS_SQLITE, BROKERS_POSTGRES);
    let rows = tx.fetch_all(sqlx::query(sql).bind(names.to_owned())).await?;
    rows.iter().map(|row| Ok((column(row, "id")?, column(row, "name")?))).collect()
}

/// An instance that stood within some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingRow {
    /// Its id.
    pub id: String,
    /// The tenant's name.
    pub tenant: String,
}

const STOOD: &str = "select i.id, t.name as tenant from instances i join tenants t on t.id = i.tenant_id \
    where i.id >= $1 and ($2 = '' or i.tenant_id = $2) and ($3 = '' or i.id = $3) and exists (select 1 from spans p \
        where p.instance_id = i.id and p.started_at < $5 and (p.ended_at is null or p.ended_at > $4)) \
    and ($6 in ('', 'instance') or exists (select 1 from usage_series s where s.instance_id = i.id and s.meter = $6)) \
    and ($8 is null or $8 like '%|' || i.tenant_id || '|%' or $9 like '%|' || i.broker_id || '|%') order by i.id limit $7";

/// Instances that stood within `[from, until)`, by id, from one on; of one tenant (by id), by id alone, or with that meter, where
/// those aren't empty.
///
/// # Errors
/// [`Error`]
pub async fn stood(
    tx: &mut Tx<'_>,
    first: &str,
    (tenant_id, instance_id, meter): (&str, &str, &str),
    (from, until): (Time, Time),
    sight: &Sight,
    limit: i64,
) -> Result<Vec<StandingRow>, Error> {
    let sql = sqlx::query(STOOD)
        .bind(first.to_owned())
        .bind(tenant_id.to_owned())
        .bind(instance_id.to_owned())
        .bind(from.0)
        .bind(until.0)
        .bind(meter.to_owned())
        .bind(limit)
        .bind(sight.tenants())
        .bind(sight.brokers());
    let rows = tx.fetch_all(sql).await?;
    rows.iter().map(|row| Ok(StandingRow { id: column(row, "id")?, tenant: column(row, "tenant")? })).collect()
}

const SPANS_OF: &str = "select offering, plan, setup, started_at, ended_at from spans where instance_id = $1 \
    and started_at >= $2 order by started_at, id limit $3";

/// All spans of an instance, ascending.
///
/// # Errors
/// [`Error`]
pub async fn spans_of(tx: &mut Tx<'_>, instance_id: &str) -> Result<Vec<Span>, Error> {
    let mut spans: Vec<Span> = Vec::new();
    let (mut since, mut at_edge) = (i64::MIN, 0);
    loop {
        // A page begins at the instant that the page before ended with, and leaves out what it had of it.
        let limit = SPANS_PAGE.saturating_add(at_edge);
        let sql = sqlx::query(SPANS_OF).bind(instance_id.to_owned()).bind(since).bind(limit);
        let rows = tx.fetch_all(sql).await?;
        let full = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= limit;
        for row in rows.iter().skip(usize::try_from(at_edge).unwrap_or(usize::MAX)) {
            spans.push(Span {
                offering: column(row, "offering")?,
                plan: column(row, "plan")?,
                setup: column::<i64>(row, "setup")? != 0,
                from: Time(column(row, "started_at")?),
                until: column::<Option<i64>>(row, "ended_at")?.map(Time),
            });
        }
        let Some(last) = spans.last().filter(|_| full) else { return Ok(spans) };
        since = last.from.0;
        at_edge = i64::try_from(spans.iter().filter(|span| span.from.0 == since).count()).unwrap_or(i64::MAX);
    }
}
