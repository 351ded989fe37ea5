//! Table `plan_parameters`: what is said about plans' parameters, for all tenants (`tenant` is empty then) or for one. Every change
//! bumps `versions::APPROVAL_RULES`, by which processes know whether what they keep in memory is what stands here.

use sqlx::any::AnyRow;

use super::Error;
use super::db::{Tx, column};
use crate::clock::Time;
use crate::domain::parameters::ParameterRules;

/// Which plan, and whose orders.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The offering's name.
    pub offering: String,
    /// The plan's name.
    pub plan: String,
    /// The tenant's name; empty for all.
    pub tenant: String,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub struct ParametersRow {
    /// Of what.
    pub key: Key,
    /// What is said.
    pub rules: ParameterRules,
    /// Since when.
    pub created_at: Time,
}

fn read(row: &AnyRow) -> Result<ParametersRow, Error> {
    let document: String = column(row, "document")?;
    let rules = serde_json::from_str(&document);
    Ok(ParametersRow {
        key: Key { offering: column(row, "offering")?, plan: column(row, "plan")?, tenant: column(row, "tenant")? },
        rules: rules.map_err(|source| Error::Corrupt { column: "document", source: source.into() })?,
        created_at: Time(column(row, "created_at")?),
    })
}

const ALL: &str = "select * from plan_parameters order by offering, plan, tenant limit $1";

/// The first `limit`.
///
/// # Errors
/// [`Error`].
pub async fn all(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<ParametersRow>, Error> {
    tx.fetch_all(sqlx::query(ALL).bind(limit)).await?.iter().map(read).collect()
}

const PAGE: &str = "select * from plan_parameters where (offering, plan, tenant) > ($1, $2, $3) \
    order by offering, plan, tenant limit $4";

/// Those after one, by offering, plan and tenant.
///
/// # Errors
/// [`Error`].
pub async fn page(tx: &mut Tx<'_>, after: &Key, limit: u32) -> Result<Vec<ParametersRow>, Error> {
    let sql = sqlx::query(PAGE).bind(after.offering.clone()).bind(after.plan.clone()).bind(after.tenant.clone());
    tx.fetch_all(sql.bind(i64::from(limit))).await?.iter().map(read).collect()
}

const ONE: &str = "select * from plan_parameters where offering = $1 and plan = $2 and tenant = $3";

/// What is said of a plan for one tenant, or for all.
///
/// # Errors
/// [`Error`].
pub async fn one(tx: &mut Tx<'_>, key: &Key) -> Result<Option<ParametersRow>, Error> {
    let sql = sqlx::query(ONE).bind(key.offering.clone()).bind(key.plan.clone()).bind(key.tenant.clone());
    tx.fetch_optional(sql).await?.as_ref().map(read).transpose()
}

const COUNT: &str = "select count(*) as number from plan_parameters";

/// How many there are.
///
/// # Errors
/// [`Error`].
pub async fn count(tx: &mut Tx<'_>) -> Result<i64, Error> {
    let row = tx.fetch_optional(sqlx::query(COUNT)).await?;
    row.as_ref().map_or(Ok(0), |row| column(row, "number"))
}

const PUT: &str = "insert into plan_parameters (offering, plan, tenant, document, created_at) values ($1, $2, $3, $4, $5) \
    on conflict (offering, plan, tenant) do update set document = excluded.document";

/// Says it.
///
/// # Errors
/// [`Error`].
pub async fn put(tx: &mut Tx<'_>, row: &ParametersRow) -> Result<(), Error> {
    let sql = sqlx::query(PUT)
        .bind(row.key.offering.clone())
        .bind(row.key.plan.clone())
        .bind(row.key.tenant.clone())
        .bind(serde_json::json!(row.rules).to_string())
        .bind(row.created_at.0);
    tx.execute(sql).await.map(drop)
}

const DELETE: &str = "delete from plan_parameters where offering = $1 and plan = $2 and tenant = $3";

/// Says nothing any more; false where nothing was said.
///
/// # Errors
/// [`Error`].
pub async fn delete(tx: &mut Tx<'_>, key: &Key) -> Result<bool, Error> {
    let sql = sqlx::query(DELETE).bind(key.offering.clone()).bind(key.plan.clone()).bind(key.tenant.clone());
    Ok(tx.execute(sql).await? == 1)
}

const DELETE_OF_TENANT: &str = "delete from plan_parameters where tenant = $1";

/// Says nothing of a tenant's own any more.
///
/// # Errors
/// [`Error`].
pub async fn delete_of_tenant(tx: &mut Tx<'_>, tenant: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(DELETE_OF_TENANT).bind(tenant.to_owned())).await.map(drop)
}
