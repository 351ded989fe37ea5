//! Table `operations`: what is being done and how it ended. A process works on one only while it holds its lease; results
//! are written only with the lease's token, so that a process that was thought dead changes nothing.

use sqlx::any::AnyRow;

use super::Error;
use super::db::{Tx, column};
use crate::clock::Time;
use crate::domain::operation::{OperationKind, OperationState, Phase, Told};
use crate::domain::permission::Sight;

/// A row.
#[derive(Clone, Debug)]
pub struct OperationRow {
    /// Its id: also the word that platforms poll with.
    pub id: String,
    /// What is being done.
    pub kind: OperationKind,
    /// Whether it is over.
    pub state: OperationState,
    /// What it is at.
    pub phase: Phase,
    /// The instance.
    pub instance_id: String,
    /// The binding, of bind and unbind and their clean-up.
    pub binding_id: Option<String>,
    /// The broker that is called.
    pub broker_id: String,
    /// Whether whoever ordered can poll.
    pub accepts_incomplete: bool,
    /// What they have been told.
    pub told: Told,
    /// Whether a try may have reached the backend without an answer being recorded.
    pub maybe_sent: bool,
    /// Method, path, body and headers to send, sealed.
    pub request: Vec<u8>,
    /// What an update leads to, sealed.
    pub target: Option<Vec<u8>>,
    /// The backend's own word for it.
    pub backend_operation: Option<String>,
    /// Tries in this phase.
    pub attempts: i64,
    /// Only a deletion that was sent after this settles that nothing is left.
    pub final_not_before: Option<Time>,
    /// When it must be over.
    pub give_up_at: Time,
    /// When to go on.
    pub next_at: Time,
    /// The lease's token, while a process works on it.
    pub lease_token: Option<String>,
    /// How it ended, where not as ordered: an OSB error as JSON. While it is unresolved: what is wrong.
    pub answer: Option<String>,
    /// A sentence for the user.
    pub description: Option<String>,
    /// What policies warned of when it was ordered, as JSON, for its events.
    pub warnings: Option<String>,
    /// The request identity that it came with.
    pub correlation_id: String,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
    /// Who ordered it.
    pub actor: String,
    /// When it was ordered.
    pub created_at: Time,
    /// When it was over.
    pub finished_at: Option<Time>,
}

/// The error for a word that the schema does not know.
pub(super) fn unreadable(column: &'static str, word: &str) -> Error {
    Error::Corrupt { column, source: format!("unknown word `{word}`").into() }
}

fn word<T>(row: &AnyRow, name: &'static str, parse: fn(&str) -> Option<T>) -> Result<T, Error> {
    let word: String = column(row, name)?;
    parse(&word).ok_or_else(|| unreadable(name, &word))
}

pub(super) fn read(row: &AnyRow) -> Result<OperationRow, Error> {
    Ok(OperationRow {
        id: column(row, "id")?,
        kind: word(row, "kind", OperationKind::parse)?,
        state: word(row, "state", OperationState::parse)?,
        phase: word(row, "phase", Phase::parse)?,
        instance_id: column(row, "instance_id")?,
        binding_id: column(row, "binding_id")?,
        broker_id: column(row, "broker_id")?,
        accepts_incomplete: column::<i64>(row, "accepts_incomplete")? == 1,
        told: word(row, "told", Told::parse)?,
        maybe_sent: column::<i64>(row, "maybe_sent")? == 1,
        request: column(row, "request")?,
        target: column(row, "target")?,
        backend_operation: column(row, "backend_operation")?,
        attempts: column(row, "attempts")?,
        final_not_before: column::<Option<i64>>(row, "final_not_before")?.map(Time),
        give_up_at: Time(column(row, "give_up_at")?),
        next_at: Time(column(row, "next_at")?),
        lease_token: column(row, "lease_token")?,
        answer: column(row, "answer")?,
        description: column(row, "description")?,
        warnings: column(row, "warnings")?,
        correlation_id: column(row, "correlation_id")?,
        traceparent: column(row, "traceparent")?,
        actor: column(row, "actor")?,
        created_at: Time(column(row, "created_at")?),
        finished_at: column::<Option<i64>>(row, "finished_at")?.map(Time),
    })
}

const INSERT: &str = "insert into operations (id, kind, state, phase, instance_id, binding_id, broker_id, accepts_incomplete, \
    told, maybe_sent, request, target, attempts, final_not_before, give_up_at, next_at, lease_owner, lease_token, \
    correlation_id, traceparent, actor, created_at, description, warnings) \
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)";

/// Inserts a new operation, leased to `owner` where it has a token.
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, row: &OperationRow, owner: &str) -> Result<(), Error> {
    let query = sqlx::query(INSERT)
        .bind(row.id.clone())
        .bind(row.kind.as_str())
        .bind(row.state.as_str())
        .bind(row.phase.as_str())
        .bind(row.instance_id.clone())
        .bind(row.binding_id.clone())
        .bind(row.broker_id.clone())
        .bind(i64::from(row.accepts_incomplete))
        .bind(row.told.as_str())
        .bind(i64::from(row.maybe_sent))
        .bind(row.request.clone())
        .bind(row.target.clone())
        .bind(row.final_not_before.map(|time| time.0))
        .bind(row.give_up_at.0)
        .bind(row.next_at.0)
        .bind(row.lease_token.as_ref().map(|_| owner.to_owned()))
        .bind(row.lease_token.clone())
        .bind(row.correlation_id.clone())
        .bind(row.traceparent.clone())
        .bind(row.actor.clone())
        .bind(row.created_at.0)
        .bind(row.description.clone())
        .bind(row.warnings.clone());
    tx.execute(query).await?;
    Ok(())
}

const BY_ID: &str = "select * from operations where id = $1";

/// The row with that id.
///
/// # Errors
/// [`Error`].
pub async fn by_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<OperationRow>, Error> {
    tx.fetch_optional(sqlx::query(BY_ID).bind(id.to_owned())).await?.as_ref().map(read).transpose()
}

const LATEST_OF_INSTANCE: &str = "select * from operations where instance_id = $1 and kind in \
    ('provision', 'update', 'deprovision', 'orphan_mitigation') and binding_id is null \
    and (kind <> 'orphan_mitigation' or told = 'accepted') order by created_at desc, id desc limit 1";

const LATEST_OF_BINDING: &str = "select * from operations where binding_id = $1 \
    and (kind <> 'orphan_mitigation' or told = 'accepted') order by created_at desc, id desc limit 1";

/// The latest operation that a platform knows of, of an instance or of a binding.
///
/// # Errors
/// [`Error`].
pub async fn latest(
    tx: &mut Tx<'_>,
    instance_id: &str,
    binding_id: Option<&str>,
) -> Result<Option<OperationRow>, Error> {
    let query = match binding_id {
        None => sqlx::query(LATEST_OF_INSTANCE).bind(instance_id.to_owned()),
        Some(binding_id) => sqlx::query(LATEST_OF_BINDING).bind(binding_id.to_owned()),
    };
    tx.fetch_optional(query).await?.as_ref().map(read).transpose()
}

const UNFINISHED: &str =
    "select * from operations where instance_id = $1 and state = 'in_progress' order by created_at limit 1";

/// Any operation under way on an instance or one of its bindings.
///
/// # Errors
/// [`Error`].
pub async fn unfinished(tx: &mut Tx<'_>, instance_id: &str) -> Result<Option<OperationRow>, Error> {
    tx.fetch_optional(sqlx::query(UNFINISHED).bind(instance_id.to_owned())).await?.as_ref().map(read).transpose()
}

const IN_THE_WAY: &str = "select * from operations where instance_id = $1 and state = 'in_progress' and kind <> 'context_update' \
    and (binding_id is null or binding_id not in (select id from bindings where instance_id = $1 and state = 'gone')) \
    order by created_at limit 1";

/// What is under way on an instance or one of its bindings that keeps others waiting: a clean-up after a binding that is gone
/// does not, and neither does a change of the context alone, of which nobody knows.
///
/// # Errors
/// [`Error`].
pub async fn in_the_way(tx: &mut Tx<'_>, instance_id: &str) -> Result<Option<OperationRow>, Error> {
    tx.fetch_optional(sqlx::query(IN_THE_WAY).bind(instance_id.to_owned())).await?.as_ref().map(read).transpose()
}

const SETTLE_CLEAN_UPS: &str = "update operations set state = 'succeeded', finished_at = $2, lease_owner = null, \
    lease_token = null where instance_id = $1 and state = 'in_progress' and kind = 'orphan_mitigation' and binding_id is not null";

/// Ends the clean-ups after an instance's bindings: with the instance, nothing is left of them.
///
/// # Errors
/// [`Error`].
pub async fn settle_clean_ups(tx: &mut Tx<'_>, instance_id: &str, now: Time) -> Result<(), Error> {
    tx.execute(sqlx::query(SETTLE_CLEAN_UPS).bind(instance_id.to_owned()).bind(now.0)).await?;
    Ok(())
}

const LEASE_DUE: &str = "update operations set lease_owner = $1, lease_token = $2, \
    maybe_sent = case when lease_owner is null then maybe_sent else 1 end \
    where state = 'in_progress' and phase <> 'waiting_approval' and next_at <= $3 \
    and (lease_owner is null or lease_owner not in \
        (select id from processes where heartbeat_at > (select now from database_clock) - 10000000)) \
    and id in (select id from (select id, next_at, row_number() over (partition by broker_id order by next_at, id) as place \
        from operations where state = 'in_progress' and phase <> 'waiting_approval' and next_at <= $3 \
        and $6 not like ('%' || broker_id || '%') \
        and (lease_owner is null or lease_owner not in \
            (select id from processes where heartbeat_at > (select now from database_clock) - 10000000))) due \
        where place <= $5 order by next_at limit $4) \
    returning *";

/// How many operations are leased at once, and of whom.
#[derive(Clone, Debug)]
pub struct Share {
    /// At most so many.
    pub limit: i64,
    /// At most so many of one broker, so that a slow one can't take the others' places.
    pub each: i64,
    /// None of these brokers: their ids, with anything between them.
    pub without: String,
}

/// Leases operations that are due and that no living process works on, each broker's share of them.
///
/// # Errors
/// [`Error`].
pub async fn lease_due(
    tx: &mut Tx<'_>,
    owner: &str,
    token: &str,
    now: Time,
    share: &Share,
) -> Result<Vec<OperationRow>, Error> {
    let query = sqlx::query(LEASE_DUE)
        .bind(owner.to_owned())
        .bind(token.to_owned())
        .bind(now.0)
        .bind(share.limit)
        .bind(share.each)
        .bind(share.without.clone());
    tx.fetch_all(query).await?.iter().map(read).collect()
}

const LOCK: &str = "update operations set attempts = attempts where id = $1 and lease_token = $2 and state = 'in_progress' \
    returning *";

/// Locks the row for this transaction if the lease still holds, and reads it.
///
/// # Errors
/// [`Error`].
pub async fn lock_leased(tx: &mut Tx<'_>, id: &str, token: &str) -> Result<Option<OperationRow>, Error> {
    let query = sqlx::query(LOCK).bind(id.to_owned()).bind(token.to_owned());
    tx.fetch_optional(query).await?.as_ref().map(read).transpose()
}

const LOCK_ANY: &str = "update operations set attempts = attempts where id = $1 and state = 'in_progress' returning *";

/// Locks the row whoever holds its lease: for calling it off.
///
/// # Errors
/// [`Error`].
pub async fn lock_unfinished(tx: &mut Tx<'_>, id: &str) -> Result<Option<OperationRow>, Error> {
    tx.fetch_optional(sqlx::query(LOCK_ANY).bind(id.to_owned())).await?.as_ref().map(read).transpose()
}

const SAVE: &str = "update operations set state = $2, phase = $3, told = $4, maybe_sent = $5, backend_operation = $6, \
    attempts = $7, give_up_at = $8, next_at = $9, answer = $10, description = $11, finished_at = $12, \
    final_not_before = $13, lease_owner = null, lease_token = null where id = $1";

/// Writes a row that this transaction has locked, and gives its lease back.
///
/// # Errors
/// [`Error`].
pub async fn save(tx: &mut Tx<'_>, row: &OperationRow) -> Result<(), Error> {
    let query = sqlx::query(SAVE)
        .bind(row.id.clone())
        .bind(row.state.as_str())
        .bind(row.phase.as_str())
        .bind(row.told.as_str())
        .bind(i64::from(row.maybe_sent))
        .bind(row.backend_operation.clone())
        .bind(row.attempts)
        .bind(row.give_up_at.0)
        .bind(row.next_at.0)
        .bind(row.answer.clone())
        .bind(row.description.clone())
        .bind(row.finished_at.map(|time| time.0))
        .bind(row.final_not_before.map(|time| time.0));
    tx.execute(query).await?;
    Ok(())
}

const TELL: &str = "update operations set told = $2 where id = $1 and state = 'in_progress' \
    and (told <> 'refused' or kind not in ('provision', 'bind'))";

/// Records what whoever ordered is being told. False where the operation is over, so that the real outcome can be told, and
/// where it makes something whose order was refused: that stays refused.
///
/// # Errors
/// [`Error`].
pub async fn tell(tx: &mut Tx<'_>, id: &str, told: Told) -> Result<bool, Error> {
    Ok(tx.execute(sqlx::query(TELL).bind(id.to_owned()).bind(told.as_str())).await? == 1)
}

/// What a list of operations is narrowed to.
#[derive(Clone, Debug)]
pub struct Filter {
    /// By state.
    pub state: Option<OperationState>,
    /// By kind.
    pub kind: Option<OperationKind>,
    /// By instance.
    pub instance_id: Option<String>,
    /// By whose instances they are of.
    pub sight: Sight,
}

const LIST: &str = "select * from operations where id > $1 and ($2 is null or state = $2) and ($3 is null or kind = $3) \
    and ($4 is null or instance_id = $4) and ($6 is null or exists (select 1 from instances i where i.id = operations.instance_id \
        and ($6 like '%|' || i.tenant_id || '|%' or $7 like '%|' || i.broker_id || '|%'))) order by id limit $5";

/// A page of operations in the order of their ids, after one id.
///
/// # Errors
/// [`Error`].
pub async fn list(tx: &mut Tx<'_>, filter: &Filter, after: &str, limit: i64) -> Result<Vec<OperationRow>, Error> {
    let query = sqlx::query(LIST)
        .bind(after.to_owned())
        .bind(filter.state.map(OperationState::as_str))
        .bind(filter.kind.map(OperationKind::as_str))
        .bind(filter.instance_id.clone())
        .bind(limit)
        .bind(filter.sight.tenants())
        .bind(filter.sight.brokers());
    tx.fetch_all(query).await?.iter().map(read).collect()
}

const UNDER_WAY: &str = "select * from operations where state = 'in_progress' and id > $1 \
    and ($2 = 'all' or phase = 'unresolved' or (phase <> 'waiting_approval' and created_at <= $3)) \
    and ($5 is null or exists (select 1 from instances i where i.id = operations.instance_id \
        and ($5 like '%|' || i.tenant_id || '|%' or $6 like '%|' || i.broker_id || '|%'))) order by id limit $4";

/// What is under way: all of it, or only what somebody should look at, which is unresolved or was ordered before an instant.
#[derive(Clone, Debug)]
pub struct UnderWay {
    /// What was ordered before that, and does not wait for an approval, is looked at; all where absent.
    pub stuck_since: Option<Time>,
    /// By whose instances they are of.
    pub sight: Sight,
}

/// A page of operations under way in the order of their ids, after one id.
///
/// # Errors
/// [`Error`].
pub async fn under_way(tx: &mut Tx<'_>, what: &UnderWay, after: &str, limit: i64) -> Result<Vec<OperationRow>, Error> {
    let query = sqlx::query(UNDER_WAY)
        .bind(after.to_owned())
        .bind(if what.stuck_since.is_some() { "stuck" } else { "all" })
        .bind(what.stuck_since.map_or(0, |since| since.0))
        .bind(limit)
        .bind(what.sight.tenants())
        .bind(what.sight.brokers());
    tx.fetch_all(query).await?.iter().map(read).collect()
}

const OF_INSTANCE: &str = "select * from (select * from operations where instance_id = $1 \
    order by created_at desc, id desc limit 1000) latest order by created_at, id";

/// The latest 1000 operations of an instance and its bindings, the newest last.
///
/// # Errors
/// [`Error`].
pub async fn of_instance(tx: &mut Tx<'_>, instance_id: &str) -> Result<Vec<OperationRow>, Error> {
    tx.fetch_all(sqlx::query(OF_INSTANCE).bind(instance_id.to_owned())).await?.iter().map(read).collect()
}

const FIRST_ACTOR: &str = "select actor from operations where instance_id = $1 order by created_at, id limit 1";

/// Who ordered an instance.
///
/// # Errors
/// [`Error`].
pub async fn first_actor(tx: &mut Tx<'_>, instance_id: &str) -> Result<Option<String>, Error> {
    let row = tx.fetch_optional(sqlx::query(FIRST_ACTOR).bind(instance_id.to_owned())).await?;
    row.as_ref().map(|row| column(row, "actor")).transpose()
}

const BIND_OF: &str = "select * from operations where binding_id = $1 and kind = 'bind' order by created_at limit 1";

/// The operation that made a binding.
///
/// # Errors
/// [`Error`].
pub async fn bind_of(tx: &mut Tx<'_>, binding_id: &str) -> Result<Option<OperationRow>, Error> {
    tx.fetch_optional(sqlx::query(BIND_OF).bind(binding_id.to_owned())).await?.as_ref().map(read).transpose()
}

const STRAY: &str =
    "select id, lease_token from operations where lease_owner = $1 and state = 'in_progress' limit 10000";

/// What a process holds leases on: id and token.
///
/// # Errors
/// [`Error`].
pub async fn leased_to(tx: &mut Tx<'_>, owner: &str) -> Result<Vec<(String, String)>, Error> {
    let rows = tx.fetch_all(sqlx::query(STRAY).bind(owner.to_owned())).await?;
    rows.iter().map(|row| Ok((column(row, "id")?, column(row, "lease_token")?))).collect()
}

const RELEASE: &str = "update operations set lease_owner = null, lease_token = null, \
    maybe_sent = case when $3 = 1 then 1 else maybe_sent end where id = $1 and lease_token = $2";

/// Gives a lease back without a result. `maybe_sent` where something may have been sent under it.
///
/// # Errors
/// [`Error`].
pub async fn release(tx: &mut Tx<'_>, id: &str, token: &str, maybe_sent: bool) -> Result<(), Error> {
    let query = sqlx::query(RELEASE).bind(id.to_owned()).bind(token.to_owned()).bind(i64::from(maybe_sent));
    tx.execute(query).await?;
    Ok(())
}

const ANYTHING_DUE: &str = "select 1 as due from operations where state = 'in_progress' and phase <> 'waiting_approval' \
    and next_at <= $1 and (lease_owner is null or lease_owner not in \
        (select id from processes where heartbeat_at > (select now from database_clock) - 10000000)) \
    and $2 not like ('%' || broker_id || '%') limit 1";

/// Whether an operation is due that no living process works on, of brokers other than those whose ids stand in `without`.
///
/// # Errors
/// [`Error`].
pub async fn anything_due(tx: &mut Tx<'_>, now: Time, without: &str) -> Result<bool, Error> {
    let query = sqlx::query(ANYTHING_DUE).bind(now.0).bind(without.to_owned());
    Ok(tx.fetch_optional(query).await?.is_some())
}
