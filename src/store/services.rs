//! What the portal reads of instances: lists, newest first, with whose they are and what is under way on them; what one instance's page
//! tells besides; and a mark that changes with what is seen of it. Nothing is written here.
//!
//! Lists begin after an id and follow an index, however far down. What no index leads to is looked for among so many at once.

use sqlx::any::AnyRow;

use super::Error;
use super::approvals::{self, ApprovalRow};
use super::bindings::{self, BindingRow};
use super::db::{Tx, column};
use super::instances::{self, InstanceRow};
use super::operations::{self, OperationRow};
use crate::clock::Time;
use crate::domain::instance::InstanceState;
use crate::domain::operation::{OperationKind, Phase};

/// Rows that one statement looks through for what no index leads to.
pub const LOOKED_THROUGH: i64 = 5000;

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// After this id, downwards; from the newest where empty.
    pub after: String,
    /// In this state; without it those that are gone are left out.
    pub state: Option<InstanceState>,
    /// Of this offering.
    pub offering_id: Option<String>,
    /// With this in their name, or exactly this as an id.
    pub words: String,
    /// Of these tenants, as `|id|id|`, where there are too many to ask one by one.
    pub tenants: Option<String>,
}

impl Wanted {
    fn looks(&self) -> bool {
        self.offering_id.is_some() || !self.words.is_empty() || self.tenants.is_some()
    }
}

/// Ids of one tenant, or of all, that come next.
#[derive(Clone, Debug, Default)]
pub struct Next {
    /// Newest first.
    pub ids: Vec<String>,
    /// Where it was stopped to look, though there may be more: the last id that was looked at.
    pub edge: Option<String>,
}

macro_rules! scope {
    ($whose:literal, $state:literal, $after:literal) => {
        concat!("from instances where ", $whose, $state, $after, "order by id desc limit $4")
    };
}

macro_rules! next {
    ($whose:literal, $state:literal, $after:literal) => {
        [
            concat!(
                "select id from (select id, name, offering_id, tenant_id, platform_instance_id ",
                scope!($whose, $state, $after),
                ") seen where ($5 is null or offering_id = $5) and ($6 is null or lower(name) like $6 escape '!' or id = $7 \
                or platform_instance_id = $7) and ($8 is null or $8 like '%|' || tenant_id || '|%') order by id desc limit $9"
            ),
            concat!("select id, number from (select id, row_number() over (order by id desc) as number from (select id ",
                scope!($whose, $state, $after), ") seen) numbered where number = $4"),
        ]
    };
    ($whose:literal, $state:literal) => {
        [next!($whose, $state, "and $3 = '' "), next!($whose, $state, "and id < $3 ")]
    };
    ($whose:literal) => {
        [next!($whose, "and state <> 'gone' and $2 = '' "), next!($whose, "and state = $2 ")]
    };
}

/// By: everybody's or one tenant's; all states but gone or one; the first page or a later one; the ids or the edge. So that each follows
/// an index whatever the database's planner knows.
const NEXT: [[[[&str; 2]; 2]; 2]; 2] = [next!("$1 = '' "), next!("tenant_id = $1 ")];

/// The ids that come next, at most `limit`.
///
/// # Errors
/// [`Error`].
pub async fn next(tx: &mut Tx<'_>, tenant_id: Option<&str>, wanted: &Wanted, limit: i64) -> Result<Next, Error> {
    let [ids, edge] = NEXT[usize::from(tenant_id.is_some())][usize::from(wanted.state.is_some())]
        [usize::from(!wanted.after.is_empty())];
    let through = if wanted.looks() { LOOKED_THROUGH } else { limit };
    let scope = |sql: &'static str| {
        sqlx::query(sql)
            .bind(tenant_id.unwrap_or_default().to_owned())
            .bind(wanted.state.map(InstanceState::as_str).unwrap_or_default())
            .bind(wanted.after.clone())
            .bind(through)
    };
    let words = Some(&wanted.words).filter(|words| !words.is_empty());
    let query = scope(ids)
        .bind(wanted.offering_id.clone())
        .bind(words.map(|words| format!("%{}%", escaped(&words.to_lowercase()))))
        .bind(wanted.words.clone())
        .bind(wanted.tenants.clone())
        .bind(limit);
    let ids = tx.fetch_all(query).await?.iter().map(|row| column(row, "id")).collect::<Result<Vec<String>, _>>()?;
    let full = i64::try_from(ids.len()).is_ok_and(|count| count >= limit);
    let edge = if full || !wanted.looks() { None } else { tx.fetch_optional(scope(edge)).await? };
    Ok(Next { ids, edge: edge.as_ref().map(|row| column(row, "id")).transpose()? })
}

const GRANTED: &str = "select i.id from instance_grants g join instances i on i.id = g.instance_id \
    where g.user_name = $1 and g.expires_at > $2 and i.state <> 'gone' order by i.id desc limit $3";

/// The ids of what was granted to somebody and is there, newest first, at most `limit`.
///
/// # Errors
/// [`Error`].
pub async fn granted(tx: &mut Tx<'_>, user: &str, now: Time, limit: i64) -> Result<Next, Error> {
    let query = sqlx::query(GRANTED).bind(user.to_owned()).bind(now.0).bind(limit);
    let ids = tx.fetch_all(query).await?.iter().map(|row| column(row, "id")).collect::<Result<_, _>>()?;
    Ok(Next { ids, edge: None })
}

fn escaped(words: &str) -> String {
    words.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

/// What is under way on an instance itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderWay {
    /// What.
    pub kind: OperationKind,
    /// What it is at.
    pub phase: Phase,
    /// A sentence for the user.
    pub description: Option<String>,
    /// Since when.
    pub since: Time,
}

/// A row of a list.
#[derive(Clone, Debug)]
pub struct ServiceRow {
    /// The instance.
    pub instance: InstanceRow,
    /// The tenant's name.
    pub tenant: String,
    /// The platform's name.
    pub platform: String,
    /// What is under way on it.
    pub under_way: Option<UnderWay>,
}

fn read(row: &AnyRow) -> Result<ServiceRow, Error> {
    let under_way = match column::<Option<String>>(row, "operation_kind")? {
        Some(kind) => {
            let phase: String = column(row, "operation_phase")?;
            Some(UnderWay {
                kind: OperationKind::parse(&kind).ok_or_else(|| operations::unreadable("kind", &kind))?,
                phase: Phase::parse(&phase).ok_or_else(|| operations::unreadable("phase", &phase))?,
                description: column(row, "operation_description")?,
                since: Time(column(row, "operation_created_at")?),
            })
        }
        None => None,
    };
    Ok(ServiceRow {
        instance: instances::read(row)?,
        tenant: column(row, "tenant_name")?,
        platform: column(row, "platform_name")?,
        under_way,
    })
}

macro_rules! rows {
    ($ids:literal) => {
        concat!(
            "select i.*, t.name as tenant_name, p.name as platform_name, o.kind as operation_kind, o.phase as operation_phase, \
            o.description as operation_description, o.created_at as operation_created_at \
            from instances i join tenants t on t.id = i.tenant_id join platforms p on p.id = i.platform_id \
            left join operations o on o.id = i.operation_id where i.id in (",
            $ids,
            ") and i.id >= $2 order by i.id desc limit $3"
        )
    };
}

const ROWS_SQLITE: &str = rows!("select value from json_each($1)");
const ROWS_POSTGRES: &str = rows!("select value from json_array_elements_text($1::json)");
/// The edge that lies furthest up: below it not everything was looked at.
const EDGE_SQLITE: &str = "select max(value) as edge from json_each($1)";
const EDGE_POSTGRES: &str = "select max(value) as edge from json_array_elements_text($1::json)";

/// The instances of these ids, newest first, at most `limit`; and where looking was stopped, if it was, below which none is told.
///
/// # Errors
/// [`Error`].
pub async fn rows(tx: &mut Tx<'_>, found: &[Next], limit: i64) -> Result<(Vec<ServiceRow>, Option<String>), Error> {
    let edges: Vec<&String> = found.iter().filter_map(|next| next.edge.as_ref()).collect();
    let edge: Option<String> = match edges.is_empty() {
        true => None,
        false => {
            let sql = tx.shared(EDGE_SQLITE, EDGE_POSTGRES);
            let row = tx.fetch_optional(sqlx::query(sql).bind(serde_json::json!(edges).to_string())).await?;
            row.as_ref().map(|row| column(row, "edge")).transpose()?.flatten()
        }
    };
    let ids: Vec<&String> = found.iter().flat_map(|next| &next.ids).collect();
    let sql = tx.shared(ROWS_SQLITE, ROWS_POSTGRES);
    let query = sqlx::query(sql).bind(serde_json::json!(ids).to_string());
    let query = query.bind(edge.clone().unwrap_or_default()).bind(limit);
    Ok((tx.fetch_all(query).await?.iter().map(read).collect::<Result<_, _>>()?, edge))
}

const OPERATIONS: &str = "select * from operations where instance_id = $1 order by created_at desc, id desc limit $2";

/// The latest operations of an instance and its bindings, the newest first.
///
/// # Errors
/// [`Error`].
pub async fn operations_of(tx: &mut Tx<'_>, instance_id: &str, limit: i64) -> Result<Vec<OperationRow>, Error> {
    let query = sqlx::query(OPERATIONS).bind(instance_id.to_owned()).bind(limit);
    tx.fetch_all(query).await?.iter().map(operations::read).collect()
}

const APPROVALS: &str = "select a.* from operations o join approvals a on a.operation_id = o.id where o.instance_id = $1 \
    order by a.id desc limit $2";

/// The latest approvals that were asked for an instance, the newest first.
///
/// # Errors
/// [`Error`].
pub async fn approvals_of(tx: &mut Tx<'_>, instance_id: &str, limit: i64) -> Result<Vec<ApprovalRow>, Error> {
    let query = sqlx::query(APPROVALS).bind(instance_id.to_owned()).bind(limit);
    tx.fetch_all(query).await?.iter().map(approvals::read).collect()
}

const BINDINGS: &str = "select * from bindings where instance_id = $1 and current = 1 order by id desc limit $2";

/// What an instance's binding names mean now, the newest first: those that are there, and the last of each name that is not.
///
/// # Errors
/// [`Error`].
pub async fn bindings_of(tx: &mut Tx<'_>, instance_id: &str, limit: i64) -> Result<Vec<BindingRow>, Error> {
    let query = sqlx::query(BINDINGS).bind(instance_id.to_owned()).bind(limit);
    tx.fetch_all(query).await?.iter().map(bindings::read).collect()
}

const EVENTS: &str =
    "select type, recorded_at, document from events where instance_id = $1 order by position desc limit $2";

/// What was told about an instance: type, when, and the CloudEvent.
pub type Told = (String, Time, String);

/// The latest events of an instance, the newest first, numbered or not yet.
///
/// # Errors
/// [`Error`].
pub async fn events_of(tx: &mut Tx<'_>, instance_id: &str, limit: i64) -> Result<Vec<Told>, Error> {
    let query = sqlx::query(EVENTS).bind(instance_id.to_owned()).bind(limit);
    let rows = tx.fetch_all(query).await?;
    let read = |row: &AnyRow| Ok((column(row, "type")?, Time(column(row, "recorded_at")?), column(row, "document")?));
    rows.iter().map(read).collect()
}

const MARK: &str = "select i.state || '/' || i.plan_id || '/' || coalesce(i.operation_id, '') || '/' || i.event_sequence \
    || '/' || coalesce((select o.id || o.state || o.phase || coalesce(o.description, '') from operations o \
        where o.instance_id = i.id order by o.created_at desc, o.id desc limit 1), '') \
    || '/' || (select count(*) || '.' || coalesce(sum(b.version), 0) from bindings b where b.instance_id = i.id and b.current = 1) \
    || '/' || (select count(*) || '.' || coalesce(sum(case when a.state = 'pending' then 1 else 0 end), 0) \
        from approvals a where a.operation_id = i.operation_id) as mark \
    from instances i where i.id = $1";

/// What changes whenever the state, an operation, a binding or an approval of an instance does.
///
/// # Errors
/// [`Error`].
pub async fn mark(tx: &mut Tx<'_>, instance_id: &str) -> Result<Option<String>, Error> {
    let row = tx.fetch_optional(sqlx::query(MARK).bind(instance_id.to_owned())).await?;
    row.as_ref().map(|row| column(row, "mark")).transpose()
}

const OF_TENANT: &str = "select * from instances where id = $1 and tenant_id = $2";

/// An instance of a tenant by Bourse's own id, be it only a memory.
///
/// # Errors
/// [`Error`].
pub async fn of_tenant(tx: &mut Tx<'_>, id: &str, tenant_id: &str) -> Result<Option<InstanceRow>, Error> {
    let query = sqlx::query(OF_TENANT).bind(id.to_owned()).bind(tenant_id.to_owned());
    tx.fetch_optional(query).await?.as_ref().map(instances::read).transpose()
}

const NAMES_SQLITE: &str = "select i.id, i.platform_id, i.current, i.name, t.name as tenant_name \
    from instances i join tenants t on t.id = i.tenant_id where i.id in (select value from json_each($1)) limit 2000";
const NAMES_POSTGRES: &str = "select i.id, i.platform_id, i.current, i.name, t.name as tenant_name \
    from instances i join tenants t on t.id = i.tenant_id \
    where i.id in (select value from json_array_elements_text($1::json)) limit 2000";

/// What an instance is called, for a link to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// Bourse's own id.
    pub id: String,
    /// The platform that ordered it.
    pub platform_id: String,
    /// Whether its platform's id means it now.
    pub current: bool,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Whose it is, by name.
    pub tenant: String,
}

/// What these instances are called.
///
/// # Errors
/// [`Error`].
pub async fn called(tx: &mut Tx<'_>, ids: &[String]) -> Result<Vec<Called>, Error> {
    let sql = tx.shared(NAMES_SQLITE, NAMES_POSTGRES);
    let rows = tx.fetch_all(sqlx::query(sql).bind(serde_json::json!(ids).to_string())).await?;
    let read = |row: &AnyRow| {
        Ok(Called {
            id: column(row, "id")?,
            platform_id: column(row, "platform_id")?,
            current: column::<i64>(row, "current")? == 1,
            name: column(row, "name")?,
            tenant: column(row, "tenant_name")?,
        })
    };
    rows.iter().map(read).collect()
}
