//! Table `instance_references` and its view `live_references`: which instances refer to which others. Rows are written with the
//! intent of an order and never with its outcome: whether one counts follows from the rows of instance and operations.

use sqlx::any::AnyRow;

use super::Error;
use super::db::{Tx, column};

/// One instance's word for another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReferenceRow {
    /// Where it stands in the parameters (RFC 6901).
    pub parameter: String,
    /// The instance that is referred to.
    pub target_id: String,
}

/// The instance at the other end of a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Bourse's own id of it.
    pub id: String,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Whose it is.
    pub tenant_id: String,
    /// The broker that has it.
    pub broker_id: String,
}

/// Those who refer to an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependents {
    /// The first of them, by their ids.
    pub first: Vec<Other>,
    /// How many there are in all.
    pub count: i64,
}

fn other(row: &AnyRow) -> Result<Other, Error> {
    Ok(Other {
        id: column(row, "id")?,
        name: column(row, "name")?,
        tenant_id: column(row, "tenant_id")?,
        broker_id: column(row, "broker_id")?,
    })
}

const RECORD: &str = "insert into instance_references (instance_id, parameter, target_id, since_operation_id) \
    values ($1, $2, $3, $4) on conflict (instance_id, parameter, target_id) \
    do update set since_operation_id = $4, until_operation_id = null";

/// Records a reference: of an order that makes the instance, or of the update `since`.
///
/// # Errors
/// [`Error`].
pub async fn record(tx: &mut Tx<'_>, instance_id: &str, row: &ReferenceRow, since: Option<&str>) -> Result<(), Error> {
    let query = sqlx::query(RECORD)
        .bind(instance_id.to_owned())
        .bind(row.parameter.clone())
        .bind(row.target_id.clone())
        .bind(since.map(str::to_owned));
    tx.execute(query).await?;
    Ok(())
}

const END: &str = "update instance_references set until_operation_id = $4 \
    where instance_id = $1 and parameter = $2 and target_id = $3";

/// Says that a reference that counts ends with an update's success, or, without one, that it goes on.
///
/// # Errors
/// [`Error`].
pub async fn end(tx: &mut Tx<'_>, instance_id: &str, row: &ReferenceRow, until: Option<&str>) -> Result<(), Error> {
    let query = sqlx::query(END)
        .bind(instance_id.to_owned())
        .bind(row.parameter.clone())
        .bind(row.target_id.clone())
        .bind(until.map(str::to_owned));
    tx.execute(query).await?;
    Ok(())
}

const OF: &str = "select r.parameter, r.target_id, t.name, t.id, t.tenant_id, t.broker_id from live_references r \
    join instances t on t.id = r.target_id where r.instance_id = $1 order by r.parameter, r.target_id limit 1000";

/// The references of an instance that count.
///
/// # Errors
/// [`Error`].
pub async fn of(tx: &mut Tx<'_>, instance_id: &str) -> Result<Vec<(ReferenceRow, Other)>, Error> {
    let rows = tx.fetch_all(sqlx::query(OF).bind(instance_id.to_owned())).await?;
    let read = |row: &AnyRow| {
        let reference = ReferenceRow { parameter: column(row, "parameter")?, target_id: column(row, "target_id")? };
        Ok((reference, other(row)?))
    };
    rows.iter().map(read).collect()
}

const DEPENDENTS: &str = "select i.id, i.name, i.tenant_id, i.broker_id, count(*) over () as number \
    from (select distinct instance_id from live_references where target_id = $1) r \
    join instances i on i.id = r.instance_id order by i.id limit $2";

/// Those who refer to an instance, the first `limit` by their ids.
///
/// # Errors
/// [`Error`].
pub async fn dependents(tx: &mut Tx<'_>, target_id: &str, limit: i64) -> Result<Dependents, Error> {
    let rows = tx.fetch_all(sqlx::query(DEPENDENTS).bind(target_id.to_owned()).bind(limit)).await?;
    let count = rows.first().map_or(Ok(0), |row| column(row, "number"))?;
    Ok(Dependents { first: rows.iter().map(other).collect::<Result<_, _>>()?, count })
}

const REACHES: &str = "with recursive reached (id) as (select $1 union \
    select r.target_id from live_references r join reached on reached.id = r.instance_id) \
    select 1 as found from reached where id = $2 limit 1";

/// Whether one instance depends on another, over however many between them.
///
/// # Errors
/// [`Error`].
pub async fn reaches(tx: &mut Tx<'_>, from: &str, to: &str) -> Result<bool, Error> {
    let query = sqlx::query(REACHES).bind(from.to_owned()).bind(to.to_owned());
    Ok(tx.fetch_optional(query).await?.is_some())
}
