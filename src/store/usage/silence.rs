//! Instances whose meters have fallen silent: looked for a page at a time, and told once as a row of `billing_cases`.

use sqlx::any::AnyRow;

use crate::clock::{Time, fresh_id};
use crate::store::Error;
use crate::store::db::{Tx, column};

/// The kind of the case.
const SILENT: &str = "silent";

/// An instance that is ready, under one of the plans asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyRow {
    /// Its id.
    pub id: String,
    /// Whom it is for.
    pub tenant_id: String,
    /// Where it was ordered.
    pub platform_id: String,
    /// What the platform calls it.
    pub platform_instance_id: String,
    /// Who serves it.
    pub broker_id: String,
    /// Its offering.
    pub offering_id: String,
    /// Its plan.
    pub plan_id: String,
    /// Since when it has been ready under that plan.
    pub since: Time,
}

const READY_SQLITE: &str = "select i.id, i.tenant_id, i.platform_id, i.platform_instance_id, i.broker_id, i.offering_id, i.plan_id, \
      p.started_at from instances i join spans p on p.instance_id = i.id and p.ended_at is null \
    where i.id > $1 and i.state = 'ready' and i.plan_id in (select value from json_each($2)) order by i.id limit $3";
const READY_POSTGRES: &str = "select i.id, i.tenant_id, i.platform_id, i.platform_instance_id, i.broker_id, i.offering_id, i.plan_id, \
      p.started_at from instances i join spans p on p.instance_id = i.id and p.ended_at is null \
    where i.id > $1 and i.state = 'ready' and i.plan_id in (select value from json_array_elements_text($2::json)) \
    order by i.id limit $3";

/// Ready instances under these plans (a JSON list of ids), after one of them.
///
/// # Errors
/// [`Error`]
pub async fn ready(tx: &mut Tx<'_>, after: &str, plans: &str, limit: i64) -> Result<Vec<ReadyRow>, Error> {
    let sql = sqlx::query(tx.shared(READY_SQLITE, READY_POSTGRES));
    let rows = tx.fetch_all(sql.bind(after.to_owned()).bind(plans.to_owned()).bind(limit)).await?;
    rows.iter().map(instance).collect()
}

fn instance(row: &AnyRow) -> Result<ReadyRow, Error> {
    Ok(ReadyRow {
        id: column(row, "id")?,
        tenant_id: column(row, "tenant_id")?,
        platform_id: column(row, "platform_id")?,
        platform_instance_id: column(row, "platform_instance_id")?,
        broker_id: column(row, "broker_id")?,
        offering_id: column(row, "offering_id")?,
        plan_id: column(row, "plan_id")?,
        since: Time(column(row, "started_at")?),
    })
}

const LATEST_SQLITE: &str = "select s.instance_id, s.meter, \
      (select coalesce(e.ended_at, e.at) from usage_events e where e.series_id = s.id and e.corrects is null \
        order by e.at desc, e.source_id desc, e.event_id desc limit 1) as latest \
    from usage_series s where s.instance_id in (select value from json_each($1))";
const LATEST_POSTGRES: &str = "select s.instance_id, s.meter, \
      (select coalesce(e.ended_at, e.at) from usage_events e where e.series_id = s.id and e.corrects is null \
        order by e.at desc, e.source_id desc, e.event_id desc limit 1) as latest \
    from usage_series s where s.instance_id in (select value from json_array_elements_text($1::json))";

/// Up to when the meters of these instances (a JSON list of ids) are known, as (instance, meter, instant).
///
/// # Errors
/// [`Error`]
pub async fn latest(tx: &mut Tx<'_>, instances: &str) -> Result<Vec<(String, String, Time)>, Error> {
    let sql = sqlx::query(tx.shared(LATEST_SQLITE, LATEST_POSTGRES));
    let rows = tx.fetch_all(sql.bind(instances.to_owned())).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let Some(latest) = column::<Option<i64>>(row, "latest")? else { continue };
        found.push((column(row, "instance_id")?, column(row, "meter")?, Time(latest)));
    }
    Ok(found)
}

const OPEN: &str = "insert into billing_cases (id, kind, instance_id, detail, opened_at) \
    values ($1, $2, $3, $4, $5) on conflict (instance_id, kind, detail) where closed_at is null do nothing";

/// Opens the case of a silent meter; false where it is open.
///
/// # Errors
/// [`Error`]
pub async fn open(tx: &mut Tx<'_>, instance_id: &str, meter: &str, now: Time) -> Result<bool, Error> {
    let sql =
        sqlx::query(OPEN).bind(fresh_id()).bind(SILENT).bind(instance_id.to_owned()).bind(meter.to_owned()).bind(now.0);
    Ok(tx.execute(sql).await? > 0)
}

/// The open case of a silent meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCase {
    /// Its id.
    pub id: String,
    /// The instance.
    pub instance_id: String,
    /// The meter.
    pub meter: String,
}

const OPEN_CASES: &str = "select id, instance_id, detail from billing_cases \
    where kind = $1 and closed_at is null and id > $2 order by id limit $3";

/// Open cases of silence, after one of them.
///
/// # Errors
/// [`Error`]
pub async fn open_cases(tx: &mut Tx<'_>, after: &str, limit: i64) -> Result<Vec<OpenCase>, Error> {
    let rows = tx.fetch_all(sqlx::query(OPEN_CASES).bind(SILENT).bind(after.to_owned()).bind(limit)).await?;
    let case = |row| {
        Ok(OpenCase { id: column(row, "id")?, instance_id: column(row, "instance_id")?, meter: column(row, "detail")? })
    };
    rows.iter().map(case).collect()
}

const CLOSE: &str = "update billing_cases set closed_at = $2 where id = $1 and closed_at is null";

/// Closes a case.
///
/// # Errors
/// [`Error`]
pub async fn close(tx: &mut Tx<'_>, id: &str, now: Time) -> Result<(), Error> {
    tx.execute(sqlx::query(CLOSE).bind(id.to_owned()).bind(now.0)).await.map(drop)
}

const STANDING_SQLITE: &str = "select i.id, i.tenant_id, i.platform_id, i.platform_instance_id, i.broker_id, i.offering_id, i.plan_id, \
      p.started_at from instances i join spans p on p.instance_id = i.id and p.ended_at is null \
    where i.id in (select value from json_each($1))";
const STANDING_POSTGRES: &str = "select i.id, i.tenant_id, i.platform_id, i.platform_instance_id, i.broker_id, i.offering_id, i.plan_id, \
      p.started_at from instances i join spans p on p.instance_id = i.id and p.ended_at is null \
    where i.id in (select value from json_array_elements_text($1::json))";

/// Those of these instances (a JSON list of ids) that stand.
///
/// # Errors
/// [`Error`]
pub async fn standing(tx: &mut Tx<'_>, instances: &str) -> Result<Vec<ReadyRow>, Error> {
    let sql = sqlx::query(tx.shared(STANDING_SQLITE, STANDING_POSTGRES));
    tx.fetch_all(sql.bind(instances.to_owned())).await?.iter().map(instance).collect()
}
