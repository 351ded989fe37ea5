//! Tables `plan_visibility`, `offering_lifecycles` and `visible_to`: who may order which plan, and how far offerings have come. Every
//! change bumps `versions::APPROVAL_RULES`, by which orders know whether what is in memory still holds, and `versions::VISIBILITY`, by
//! which catalogs do.

use std::collections::BTreeSet;

use super::db::column;
use super::{Error, Tx, operations, platforms, versions};
use crate::clock::Time;
use crate::domain::platform::{BUILTIN, Platform, PlatformKind};
use crate::domain::visibility::{Audience, Lifecycle, Reach, Rules, Stage};

/// What [`Audience`] and [`Lifecycle::pilots`] list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A tenant that may order a restricted plan.
    Tenant,
    /// A platform where a restricted plan may be ordered.
    Platform,
    /// A tenant that may order a draft.
    Pilot,
}

impl Who {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Platform => "platform",
            Self::Pilot => "pilot",
        }
    }
}

const RESTRICTED: &str = "select plan_id from plan_visibility where access = 'restricted'";
const LIFECYCLES: &str = "select l.offering_id, l.stage, l.sunset, o.name as successor from offering_lifecycles l \
    left join offerings o on o.id = l.successor_id";
const VISIBLE_TO: &str = "select item_id, kind, who_id from visible_to";

/// All that is said.
///
/// # Errors
/// [`Error`].
pub async fn rules(tx: &mut Tx<'_>) -> Result<Rules, Error> {
    let mut rules = Rules::default();
    for row in tx.fetch_all(sqlx::query(RESTRICTED)).await? {
        rules.plans.insert(column(&row, "plan_id")?, Audience::default());
    }
    for row in tx.fetch_all(sqlx::query(LIFECYCLES)).await? {
        let stage: String = column(&row, "stage")?;
        let lifecycle = Lifecycle {
            stage: Stage::parse(&stage).ok_or_else(|| operations::unreadable("stage", &stage))?,
            sunset: column::<Option<i64>>(&row, "sunset")?.map(Time),
            successor: column(&row, "successor")?,
            pilots: BTreeSet::new(),
        };
        rules.offerings.insert(column(&row, "offering_id")?, lifecycle);
    }
    if rules.plans.is_empty() && rules.offerings.is_empty() {
        return Ok(rules);
    }
    for row in tx.fetch_all(sqlx::query(VISIBLE_TO)).await? {
        let (item, kind, who): (String, String, String) =
            (column(&row, "item_id")?, column(&row, "kind")?, column(&row, "who_id")?);
        let list = match kind.as_str() {
            "pilot" => rules.offerings.get_mut(&item).map(|lifecycle| &mut lifecycle.pilots),
            "platform" => rules.plans.get_mut(&item).map(|audience| &mut audience.platforms),
            _ => rules.plans.get_mut(&item).map(|audience| &mut audience.tenants),
        };
        if let Some(list) = list {
            list.insert(who);
        }
    }
    Ok(rules)
}

const REACH: &str = "select distinct i.platform_id, i.tenant_id from identities i \
    where i.tenant_id in (select who_id from visible_to)";
const DEFAULTS: &str = "select id, name, kind, default_tenant_id, trust from platforms where deleted_at is null";

/// Which of the tenants that are named in [`rules`] can order from which platforms, and all platforms, by id.
///
/// # Errors
/// [`Error`].
pub async fn reach(tx: &mut Tx<'_>) -> Result<(Reach, Vec<(String, PlatformKind)>), Error> {
    let mut reach = Reach::default();
    for row in tx.fetch_all(sqlx::query(REACH)).await? {
        reach.pairs.insert((column(&row, "platform_id")?, column(&row, "tenant_id")?));
    }
    let mut found = Vec::new();
    for row in tx.fetch_all(sqlx::query(DEFAULTS)).await? {
        let Platform { id, name, kind, default_tenant_id, trust: _ } = platforms::platform(&row)?;
        reach.pairs.extend(default_tenant_id.map(|tenant| (id.clone(), tenant)));
        if name == BUILTIN {
            reach.everybody = Some(id.clone());
        }
        found.push((id, kind));
    }
    Ok((reach, found))
}

const ACCESS: &str = "select access from plan_visibility where plan_id = $1";

/// Whether a plan is restricted.
///
/// # Errors
/// [`Error`].
pub async fn restricted(tx: &mut Tx<'_>, plan_id: &str) -> Result<bool, Error> {
    let row = tx.fetch_optional(sqlx::query(ACCESS).bind(plan_id.to_owned())).await?;
    row.map_or(Ok(false), |row| Ok(column::<String>(&row, "access")? == "restricted"))
}

const TENANTS_OF: &str = "select t.name from visible_to v join tenants t on t.id = v.who_id \
    where v.item_id = $1 and v.kind = $2 order by t.name";
const PLATFORMS_OF: &str = "select p.name from visible_to v join platforms p on p.id = v.who_id \
    where v.item_id = $1 and v.kind = $2 order by p.name";

/// The names on one list of a plan or an offering; those that were deleted, too: they still keep it from being for everybody.
///
/// # Errors
/// [`Error`].
pub async fn names(tx: &mut Tx<'_>, item_id: &str, who: Who) -> Result<Vec<String>, Error> {
    let sql = if who == Who::Platform { PLATFORMS_OF } else { TENANTS_OF };
    let rows = tx.fetch_all(sqlx::query(sql).bind(item_id.to_owned()).bind(who.as_str())).await?;
    rows.iter().map(|row| column(row, "name")).collect()
}

const PUT_ACCESS: &str = "insert into plan_visibility (plan_id, access, updated_at) values ($1, $2, $3) \
    on conflict (plan_id) do update set access = excluded.access, updated_at = excluded.updated_at";

/// Says who may order a plan; `None` is everybody.
///
/// # Errors
/// [`Error`].
pub async fn put(tx: &mut Tx<'_>, plan_id: &str, audience: Option<&Audience>, now: Time) -> Result<(), Error> {
    let access = if audience.is_some() { "restricted" } else { "public" };
    tx.execute(sqlx::query(PUT_ACCESS).bind(plan_id.to_owned()).bind(access).bind(now.0)).await?;
    let nobody = Audience::default();
    let audience = audience.unwrap_or(&nobody);
    replace(tx, plan_id, Who::Tenant, &audience.tenants).await?;
    replace(tx, plan_id, Who::Platform, &audience.platforms).await
}

const CLEAR: &str = "delete from visible_to where item_id = $1 and kind = $2";
const ADD: &str = "insert into visible_to (item_id, kind, who_id) values ($1, $2, $3)";

async fn replace(tx: &mut Tx<'_>, item_id: &str, who: Who, ids: &BTreeSet<String>) -> Result<(), Error> {
    tx.execute(sqlx::query(CLEAR).bind(item_id.to_owned()).bind(who.as_str())).await?;
    for id in ids {
        tx.execute(sqlx::query(ADD).bind(item_id.to_owned()).bind(who.as_str()).bind(id.clone())).await?;
    }
    Ok(())
}

const STAGE: &str = "select l.stage, l.sunset, o.name as successor from offering_lifecycles l \
    left join offerings o on o.id = l.successor_id where l.offering_id = $1";

/// How far an offering has come, without its pilots.
///
/// # Errors
/// [`Error`].
pub async fn lifecycle(tx: &mut Tx<'_>, offering_id: &str) -> Result<Lifecycle, Error> {
    let Some(row) = tx.fetch_optional(sqlx::query(STAGE).bind(offering_id.to_owned())).await? else {
        return Ok(Lifecycle::default());
    };
    let stage: String = column(&row, "stage")?;
    Ok(Lifecycle {
        stage: Stage::parse(&stage).ok_or_else(|| operations::unreadable("stage", &stage))?,
        sunset: column::<Option<i64>>(&row, "sunset")?.map(Time),
        successor: column(&row, "successor")?,
        pilots: BTreeSet::new(),
    })
}

const PUT_STAGE: &str = "insert into offering_lifecycles (offering_id, stage, sunset, successor_id, updated_at) \
    values ($1, $2, $3, $4, $5) on conflict (offering_id) do update set stage = excluded.stage, sunset = excluded.sunset, \
    successor_id = excluded.successor_id, updated_at = excluded.updated_at";

/// Says how far an offering has come; its successor by id.
///
/// # Errors
/// [`Error`].
pub async fn put_lifecycle(
    tx: &mut Tx<'_>,
    offering_id: &str,
    lifecycle: &Lifecycle,
    successor_id: Option<&str>,
    now: Time,
) -> Result<(), Error> {
    let sql = sqlx::query(PUT_STAGE)
        .bind(offering_id.to_owned())
        .bind(lifecycle.stage.as_str())
        .bind(lifecycle.sunset.map(|sunset| sunset.0))
        .bind(successor_id.map(str::to_owned))
        .bind(now.0);
    tx.execute(sql).await?;
    replace(tx, offering_id, Who::Pilot, &lifecycle.pilots).await
}

const FIRST_ACCESS: &str = "insert into plan_visibility (plan_id, access, updated_at) values ($1, 'restricted', $2) \
    on conflict (plan_id) do nothing";
const FIRST_STAGE: &str = "insert into offering_lifecycles (offering_id, stage, updated_at) values ($1, 'draft', $2) \
    on conflict (offering_id) do nothing";

/// Restricts a plan that is new to nobody, unless something was said of it before.
///
/// # Errors
/// [`Error`].
pub async fn restrict_new(tx: &mut Tx<'_>, plan_id: &str, now: Time) -> Result<bool, Error> {
    Ok(tx.execute(sqlx::query(FIRST_ACCESS).bind(plan_id.to_owned()).bind(now.0)).await? == 1)
}

/// Makes an offering that is new a draft, unless something was said of it before.
///
/// # Errors
/// [`Error`].
pub async fn draft_new(tx: &mut Tx<'_>, offering_id: &str, now: Time) -> Result<bool, Error> {
    Ok(tx.execute(sqlx::query(FIRST_STAGE).bind(offering_id.to_owned()).bind(now.0)).await? == 1)
}

const REDRAFT: &str = "insert into offering_lifecycles (offering_id, stage, updated_at) values ($1, 'draft', $2) \
    on conflict (offering_id) do update set stage = 'draft', sunset = null, successor_id = null, updated_at = excluded.updated_at";

/// Makes an offering a draft without pilots, whatever was said of it before.
///
/// # Errors
/// [`Error`].
pub async fn redraft(tx: &mut Tx<'_>, offering_id: &str, now: Time) -> Result<(), Error> {
    tx.execute(sqlx::query(REDRAFT).bind(offering_id.to_owned()).bind(now.0)).await?;
    replace(tx, offering_id, Who::Pilot, &BTreeSet::new()).await
}

/// Says that it has changed, to orders and to catalogs. First of all in a transaction: whoever changes it at the same moment waits here.
///
/// # Errors
/// [`Error`].
pub async fn changed(tx: &mut Tx<'_>) -> Result<(), Error> {
    versions::bump(tx, versions::APPROVAL_RULES).await?;
    versions::bump(tx, versions::VISIBILITY).await
}

const NAMED: &str = "select who_id from visible_to where who_id = $1 limit 1";

/// Says that a tenant may have become able to order from other platforms, where that makes a difference to catalogs.
///
/// # Errors
/// [`Error`].
pub async fn moved(tx: &mut Tx<'_>, tenant_id: &str) -> Result<(), Error> {
    if tx.fetch_optional(sqlx::query(NAMED).bind(tenant_id.to_owned())).await?.is_some() {
        versions::bump(tx, versions::VISIBILITY).await?;
    }
    Ok(())
}
