//! Fills a hub's database with instances by copying the rows that the hub itself left of some: instance, operation, span and
//! events, with ids of their own. The hub must not run meanwhile.
//!
//! What is sealed is copied as it is and can't be opened under another id: copies can be polled and listed, not bound or
//! deleted. Invariant: each copy has all the rows that its original has, and numbers of events have no gap.

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use crate::Outcome;
use crate::stand::On;

/// The number of a copy: its template's number and the copy's within it. Copies are inserted in this order, as time does.
const NUMBER: &str = "(t.k * c.copies + c.n)";

/// Fills up to so many instances, and says how many copies there are.
pub(crate) async fn fill(on: On, url: &str, instances: usize) -> Outcome<usize> {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await?;
    let before: &[&str] = match on {
        // Nothing is flushed and nothing is checked: if the machine fails meanwhile, all of it is made again.
        On::Sqlite => &[
            "pragma journal_mode = off",
            "pragma synchronous = off",
            "pragma foreign_keys = off",
            "pragma cache_size = -400000",
            "pragma temp_store = memory",
        ],
        On::Postgres => &["set session_replication_role = replica", "set synchronous_commit = off"],
    };
    for statement in before {
        sqlx::query(AssertSqlSafe(*statement)).execute(&mut connection).await?;
    }
    let count = sqlx::query("select count(*) as found from instances").fetch_one(&mut connection).await?;
    let templates: i64 = count.try_get("found")?;
    let copies = i64::try_from(instances)? / templates.max(1);
    for statement in statements(copies) {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    let after: &[&str] = match on {
        On::Sqlite => &["pragma journal_mode = wal"],
        On::Postgres => &["vacuum analyze", "checkpoint"],
    };
    for statement in after {
        sqlx::query(AssertSqlSafe(*statement)).execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(usize::try_from(copies * templates)?)
}

/// The platform's id of a copy: scattered, as platforms make them. The same as in [`statements`].
pub(crate) fn platform_instance_id(number: usize) -> String {
    let number = u64::try_from(number).unwrap_or_default();
    format!("{}-0000-4000-8000-000", 1_000_000_000_000 + number * 2_654_435_761 % 4_294_967_296)
}

fn statements(copies: i64) -> Vec<String> {
    let id =
        |kind: u8, number: &str| format!("'01900000-0000-7000-800{kind}-' || cast(100000000000 + {number} as text)");
    let (instance, operation, span) = (id(0, NUMBER), id(1, NUMBER), id(2, NUMBER));
    let event_number = format!("({NUMBER} * 8 + t.e)");
    let event = id(3, &event_number);
    let platform_id =
        format!("cast(1000000000000 + ({NUMBER} * 2654435761) % 4294967296 as text) || '-0000-4000-8000-000'");
    vec![
        format!(
            "create temp table copies as with recursive numbers (n, copies) as (select cast(1 as bigint), cast({copies} as bigint) \
             union all select n + 1, copies from numbers where n < copies) select n, copies from numbers"
        ),
        "create temp table old_instances as select row_number() over (order by id) - 1 as k, i.* from instances i".into(),
        "create temp table old_operations as select i.k as k, o.* from operations o \
         join old_instances i on i.id = o.instance_id where o.kind = 'provision'"
            .into(),
        "create temp table old_spans as select i.k as k, s.* from spans s join old_instances i on i.id = s.instance_id".into(),
        "create temp table old_events as select i.k as k, row_number() over (partition by e.instance_id order by e.position) as e, \
         count(*) over (partition by e.instance_id) as each_has, (select max(sequence) from events) as last, i.id as old_id, \
         e.type, e.tenant_id, e.recorded_at, e.document from events e join old_instances i on i.id = e.instance_id"
            .into(),
        format!(
            "insert into instances (id, platform_id, platform_instance_id, current, name, tenant_id, broker_id, offering_id, plan_id, \
             state, attributes, answer, operation_id, event_sequence, version, created_at, ready_at, gone_at, updated_at) \
             select {instance}, platform_id, {platform_id}, current, name, tenant_id, broker_id, offering_id, plan_id, state, \
             attributes, answer, operation_id, event_sequence, version, created_at, ready_at, gone_at, updated_at \
             from old_instances t cross join copies c order by t.k, c.n"
        ),
        format!(
            "insert into operations (id, kind, state, phase, instance_id, binding_id, broker_id, accepts_incomplete, told, maybe_sent, \
             request, target, backend_operation, attempts, final_not_before, give_up_at, next_at, lease_owner, lease_token, answer, \
             description, correlation_id, traceparent, actor, created_at, finished_at) \
             select {operation}, kind, state, phase, {instance}, binding_id, broker_id, accepts_incomplete, told, maybe_sent, \
             request, target, backend_operation, attempts, final_not_before, give_up_at, next_at, lease_owner, lease_token, answer, \
             description, correlation_id, traceparent, actor, created_at, finished_at \
             from old_operations t cross join copies c order by t.k, c.n"
        ),
        format!(
            "insert into spans (id, instance_id, broker_id, offering_id, plan_id, platform_id, tenant_id, tenant, started_at, ended_at, \
             opened_by, closed_by) select {span}, {instance}, broker_id, offering_id, plan_id, platform_id, tenant_id, tenant, \
             started_at, ended_at, {operation}, closed_by from old_spans t cross join copies c order by t.k, c.n"
        ),
        format!(
            "insert into events (id, sequence, type, subject, tenant_id, instance_id, recorded_at, document) \
             select {event}, t.last + ({NUMBER} - 1) * t.each_has + t.e, type, 'instances/' || {instance}, tenant_id, {instance}, \
             recorded_at, replace(document, t.old_id, {instance}) \
             from old_events t cross join copies c order by t.k, c.n, t.e"
        ),
    ]
}
