//! Table `approvals`: who is asked to agree to which order, and what they said. A row is decided once: every change asks that it is
//! still pending, under the lock of its instance.

use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;

use super::db::{Tx, column};
use super::{Error, operations};
use crate::clock::Time;
use crate::domain::approval::{ApprovalState, Why};
use crate::domain::operation::OperationKind;
use crate::domain::permission::Sight;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Its id.
    pub id: String,
    /// The operation that waits.
    pub operation_id: String,
    /// Its instance.
    pub instance_id: String,
    /// Whom the instance is for.
    pub tenant_id: String,
    /// What the operation is.
    pub kind: OperationKind,
    /// The service offering's name, as it was then.
    pub offering: String,
    /// The name of the service plan from then on.
    pub plan: String,
    /// The name of the service plan before, where the order changes it.
    pub previous_plan: Option<String>,
    /// Who ordered, for people: `users/…`, `platforms/…`.
    pub requested_by: String,
    /// The user of Bourse who ordered, where that is known.
    pub requested_user: Option<String>,
    /// What asks for it.
    pub causes: Vec<Why>,
    /// Who may agree; any administrator or approver where there are none.
    pub approvers: Vec<String>,
    /// How it stands.
    pub state: ApprovalState,
    /// What whoever decided said.
    pub reason: Option<String>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Since when it is asked for.
    pub created_at: Time,
    /// Until when it is waited for.
    pub expires_at: Time,
    /// When it was decided.
    pub decided_at: Option<Time>,
}

fn list_of<T: DeserializeOwned>(row: &AnyRow, name: &'static str) -> Result<Vec<T>, Error> {
    let text: String = column(row, name)?;
    serde_json::from_str(&text).map_err(|source| Error::Corrupt { column: name, source: source.into() })
}

pub(super) fn read(row: &AnyRow) -> Result<ApprovalRow, Error> {
    let (kind, state): (String, String) = (column(row, "kind")?, column(row, "state")?);
    Ok(ApprovalRow {
        id: column(row, "id")?,
        operation_id: column(row, "operation_id")?,
        instance_id: column(row, "instance_id")?,
        tenant_id: column(row, "tenant_id")?,
        kind: OperationKind::parse(&kind).ok_or_else(|| operations::unreadable("kind", &kind))?,
        offering: column(row, "offering")?,
        plan: column(row, "plan")?,
        previous_plan: column(row, "previous_plan")?,
        requested_by: column(row, "requested_by")?,
        requested_user: column(row, "requested_user")?,
        causes: list_of(row, "causes")?,
        approvers: list_of(row, "approvers")?,
        state: ApprovalState::parse(&state).ok_or_else(|| operations::unreadable("state", &state))?,
        reason: column(row, "reason")?,
        decided_by: column(row, "decided_by")?,
        created_at: Time(column(row, "created_at")?),
        expires_at: Time(column(row, "expires_at")?),
        decided_at: column::<Option<i64>>(row, "decided_at")?.map(Time),
    })
}

const INSERT: &str = "insert into approvals (id, operation_id, instance_id, tenant_id, kind, offering, plan, previous_plan, \
    requested_by, requested_user, causes, approvers, state, created_at, expires_at) \
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";

/// Asks for an approval.
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, row: &ApprovalRow) -> Result<(), Error> {
    let query = sqlx::query(INSERT)
        .bind(row.id.clone())
        .bind(row.operation_id.clone())
        .bind(row.instance_id.clone())
        .bind(row.tenant_id.clone())
        .bind(row.kind.as_str())
        .bind(row.offering.clone())
        .bind(row.plan.clone())
        .bind(row.previous_plan.clone())
        .bind(row.requested_by.clone())
        .bind(row.requested_user.clone())
        .bind(serde_json::json!(row.causes).to_string())
        .bind(serde_json::json!(row.approvers).to_string())
        .bind(row.state.as_str())
        .bind(row.created_at.0)
        .bind(row.expires_at.0);
    tx.execute(query).await.map(drop)
}

const OF_OPERATION: &str = "select * from approvals where operation_id = $1 order by id";

/// All that were asked for an operation.
///
/// # Errors
/// [`Error`].
pub async fn of_operation(tx: &mut Tx<'_>, operation_id: &str) -> Result<Vec<ApprovalRow>, Error> {
    tx.fetch_all(sqlx::query(OF_OPERATION).bind(operation_id.to_owned())).await?.iter().map(read).collect()
}

/// What becomes of a pending one.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Anything but pending.
    pub state: ApprovalState,
    /// What whoever decided said.
    pub reason: Option<String>,
    /// Who decided.
    pub by: Option<String>,
    /// When.
    pub at: Time,
}

const DECIDE: &str = "update approvals set state = $2, reason = $3, decided_by = $4, decided_at = $5 \
    where id = $1 and state = 'pending' returning *";

/// Decides one that is pending; `None` where it is not.
///
/// # Errors
/// [`Error`].
pub async fn decide(tx: &mut Tx<'_>, id: &str, decided: &Decided) -> Result<Option<ApprovalRow>, Error> {
    let query = sqlx::query(DECIDE)
        .bind(id.to_owned())
        .bind(decided.state.as_str())
        .bind(decided.reason.clone())
        .bind(decided.by.clone())
        .bind(decided.at.0);
    tx.fetch_optional(query).await?.as_ref().map(read).transpose()
}

const DUE: &str = "select * from approvals where state = 'pending' and expires_at <= $1 order by expires_at limit $2";

/// Those that nobody decided in time, the first to expire first.
///
/// # Errors
/// [`Error`].
pub async fn due(tx: &mut Tx<'_>, now: Time, limit: i64) -> Result<Vec<ApprovalRow>, Error> {
    tx.fetch_all(sqlx::query(DUE).bind(now.0).bind(limit)).await?.iter().map(read).collect()
}

/// One with what people want to see beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalView {
    /// The row.
    pub row: ApprovalRow,
    /// The platform's id of the instance.
    pub platform_instance_id: String,
    /// The instance's name, where it has one.
    pub name: Option<String>,
    /// The tenant's name.
    pub tenant: String,
    /// The platform's name.
    pub platform: String,
    /// How the operation stands.
    pub operation_state: String,
}

fn view(row: &AnyRow) -> Result<ApprovalView, Error> {
    Ok(ApprovalView {
        row: read(row)?,
        platform_instance_id: column(row, "platform_instance_id")?,
        name: column(row, "instance_name")?,
        tenant: column(row, "tenant_name")?,
        platform: column(row, "platform_name")?,
        operation_state: column(row, "operation_state")?,
    })
}

/// What a list is narrowed to.
#[derive(Clone, Debug)]
pub struct Filter {
    /// By state.
    pub state: Option<ApprovalState>,
    /// By tenant.
    pub tenant_id: Option<String>,
    /// By whose they are, and who is named in them.
    pub sight: Sight,
}

/// What differs is how the list of approvers is looked into.
macro_rules! list {
    ($approvers:literal) => {
        concat!(
            "select a.*, i.platform_instance_id, i.name as instance_name, t.name as tenant_name, p.name as platform_name, \
            o.state as operation_state from approvals a join instances i on i.id = a.instance_id \
            join tenants t on t.id = a.tenant_id join platforms p on p.id = i.platform_id \
            join operations o on o.id = a.operation_id \
            where a.id > $1 and ($2 is null or a.state = $2) and ($3 is null or a.tenant_id = $3) \
            and ($5 is null or $5 like '%|' || a.tenant_id || '|%' or $6 in (",
            $approvers,
            ")) order by a.id limit $4"
        )
    };
}

const LIST_SQLITE: &str = list!("select value from json_each(a.approvers)");
const LIST_POSTGRES: &str = list!("select value from json_array_elements_text(a.approvers::json)");

/// A page in the order in which they were asked for, after one id.
///
/// # Errors
/// [`Error`].
pub async fn list(tx: &mut Tx<'_>, filter: &Filter, after: &str, limit: i64) -> Result<Vec<ApprovalView>, Error> {
    let query = sqlx::query(tx.shared(LIST_SQLITE, LIST_POSTGRES))
        .bind(after.to_owned())
        .bind(filter.state.map(ApprovalState::as_str))
        .bind(filter.tenant_id.clone())
        .bind(limit)
        .bind(filter.sight.tenants())
        .bind(filter.sight.name().map(str::to_owned));
    tx.fetch_all(query).await?.iter().map(view).collect()
}

const BY_ID: &str = "select a.*, i.platform_instance_id, i.name as instance_name, t.name as tenant_name, p.name as platform_name, \
    o.state as operation_state from approvals a join instances i on i.id = a.instance_id join tenants t on t.id = a.tenant_id \
    join platforms p on p.id = i.platform_id join operations o on o.id = a.operation_id where a.id = $1";

/// One of them.
///
/// # Errors
/// [`Error`].
pub async fn by_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<ApprovalView>, Error> {
    tx.fetch_optional(sqlx::query(BY_ID).bind(id.to_owned())).await?.as_ref().map(view).transpose()
}

/// Those that wait for one user: not of their own order, and asked of them by name, or of any approver where they are one.
macro_rules! inbox {
    ($what:literal, $approvers:literal, $end:literal) => {
        concat!(
            "select ",
            $what,
            " from approvals a join instances i on i.id = a.instance_id join tenants t on t.id = a.tenant_id \
            join platforms p on p.id = i.platform_id join operations o on o.id = a.operation_id \
            where a.state = 'pending' and a.id > $1 and (a.requested_user is null or a.requested_user <> $2) \
            and ((a.approvers = '[]' and cast($3 as bigint) = 1) or $2 in (",
            $approvers,
            ")) and (a.requested_user is not null or $4 not like '%|' || a.tenant_id || '|%') ",
            $end
        )
    };
    ($approvers:literal) => {
        inbox!(
            "a.*, i.platform_instance_id, i.name as instance_name, t.name as tenant_name, p.name as platform_name, \
            o.state as operation_state",
            $approvers,
            "order by a.id limit $5"
        )
    };
}

const INBOX_SQLITE: &str = inbox!("select value from json_each(a.approvers)");
const INBOX_POSTGRES: &str = inbox!("select value from json_array_elements_text(a.approvers::json)");
const WAITING_SQLITE: &str =
    inbox!("count(*) as found", "select value from json_each(a.approvers)", "and cast($5 as bigint) > 0");
const WAITING_POSTGRES: &str = inbox!(
    "count(*) as found",
    "select value from json_array_elements_text(a.approvers::json)",
    "and cast($5 as bigint) > 0"
);

/// Who asks what waits for them.
#[derive(Clone, Debug)]
pub struct Decider {
    /// The user's name.
    pub name: String,
    /// Whether they are an approver, or an administrator.
    pub any: bool,
    /// The tenants that they belong to, as `|id|id|`.
    pub tenants: String,
}

/// A page of those that wait for one user, after one id.
///
/// # Errors
/// [`Error`].
pub async fn inbox(tx: &mut Tx<'_>, who: &Decider, after: &str, limit: i64) -> Result<Vec<ApprovalView>, Error> {
    let query = sqlx::query(tx.shared(INBOX_SQLITE, INBOX_POSTGRES));
    let query = query.bind(after.to_owned()).bind(who.name.clone()).bind(i64::from(who.any)).bind(who.tenants.clone());
    tx.fetch_all(query.bind(limit)).await?.iter().map(view).collect()
}

/// How many wait for one user.
///
/// # Errors
/// [`Error`].
pub async fn waiting(tx: &mut Tx<'_>, who: &Decider) -> Result<i64, Error> {
    let query = sqlx::query(tx.shared(WAITING_SQLITE, WAITING_POSTGRES));
    let query = query.bind(String::new()).bind(who.name.clone()).bind(i64::from(who.any)).bind(who.tenants.clone());
    tx.fetch_optional(query.bind(1_i64)).await?.map_or(Ok(0), |row| column(&row, "found"))
}

/// What differs is how the list of approvers is looked into.
macro_rules! decided {
    ($approvers:literal) => {
        concat!(
            "select a.*, i.platform_instance_id, i.name as instance_name, t.name as tenant_name, p.name as platform_name, \
            o.state as operation_state from approvals a join instances i on i.id = a.instance_id \
            join tenants t on t.id = a.tenant_id join platforms p on p.id = i.platform_id \
            join operations o on o.id = a.operation_id \
            where ($1 = '' or a.id < $1) and a.state <> 'pending' \
            and ($2 is null or $2 like '%|' || a.tenant_id || '|%' or $3 in (",
            $approvers,
            ")) order by a.id desc limit $4"
        )
    };
}

const DECIDED_SQLITE: &str = decided!("select value from json_each(a.approvers)");
const DECIDED_POSTGRES: &str = decided!("select value from json_array_elements_text(a.approvers::json)");

/// A page of those that are over, those that were asked for last first, before one id.
///
/// # Errors
/// [`Error`].
pub async fn decided(tx: &mut Tx<'_>, sight: &Sight, before: &str, limit: i64) -> Result<Vec<ApprovalView>, Error> {
    let query = sqlx::query(tx.shared(DECIDED_SQLITE, DECIDED_POSTGRES))
        .bind(before.to_owned())
        .bind(sight.tenants())
        .bind(sight.name().map(str::to_owned))
        .bind(limit);
    tx.fetch_all(query).await?.iter().map(view).collect()
}
