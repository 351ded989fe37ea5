//! Fills a hub's database with instances by copying the rows that the hub itself left of some: instance, operation, span and
//! events, with ids of their own. The hub must not run meanwhile.
//!
//! What is sealed is copied as it is and can't be opened under another id: copies can be polled and listed, not bound or
//! deleted. Invariant: each copy has all the rows that its original has, and numbers of events have no gap.

use sqlx::{AnyConnection, AssertSqlSafe, Column as _, Connection as _, Row as _};

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
    for statement in templates_of(copies) {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    for copied in copied() {
        let statement = copied.statement(&columns(&mut connection, copied.table).await?);
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

/// The platform's id of a copy: scattered, as platforms make them. The same as in [`copied`].
pub(crate) fn platform_instance_id(number: usize) -> String {
    let number = u64::try_from(number).unwrap_or_default();
    format!("{}-0000-4000-8000-000", 1_000_000_000_000 + number * 2_654_435_761 % 4_294_967_296)
}

/// The columns of a table, whatever they are by now.
async fn columns(connection: &mut AnyConnection, table: &str) -> Outcome<Vec<String>> {
    let row = sqlx::query(AssertSqlSafe(format!("select * from {table} limit 1"))).fetch_one(connection).await?;
    Ok(row.columns().iter().map(|column| column.name().to_owned()).collect())
}

/// Tables of the rows to copy, each with its instance's number `k`, and one with a row for each copy.
fn templates_of(copies: i64) -> [String; 5] {
    [
        format!(
            "create temp table copies as with recursive numbers (n, copies) as (select cast(1 as bigint), cast({copies} as bigint) \
             union all select n + 1, copies from numbers where n < copies) select n, copies from numbers"
        ),
        "create temp table old_instances as select row_number() over (order by id) - 1 as k, i.* from instances i".into(),
        "create temp table old_operations as select i.k as k, o.* from operations o \
         join old_instances i on i.id = o.instance_id where o.kind = 'provision'"
            .into(),
        "create temp table old_spans as select i.k as k, s.* from spans s join old_instances i on i.id = s.instance_id"
            .into(),
        "create temp table old_events as select i.k as k, row_number() over (partition by e.instance_id order by e.position) as e, \
         count(*) over (partition by e.instance_id) as each_has, (select max(sequence) from events) as last, e.* \
         from events e join old_instances i on i.id = e.instance_id"
            .into(),
    ]
}

/// A table to copy: which of its columns are not copied as they are.
struct Copied {
    table: &'static str,
    left_out: &'static str,
    /// Column and expression.
    fresh: Vec<(&'static str, String)>,
}

impl Copied {
    fn statement(&self, columns: &[String]) -> String {
        let Self { table, left_out, fresh } = self;
        let names: Vec<&str> = columns.iter().map(String::as_str).filter(|name| name != left_out).collect();
        let values: Vec<String> = names
            .iter()
            .map(|name| {
                let found = fresh.iter().find(|(column, _)| column == name);
                found.map_or_else(|| format!("t.{name}"), |(_, expression)| expression.clone())
            })
            .collect();
        let (names, values) = (names.join(", "), values.join(", "));
        format!(
            "insert into {table} ({names}) select {values} from old_{table} t cross join copies c order by t.k, c.n"
        )
    }
}

fn copied() -> [Copied; 4] {
    let id =
        |kind: u8, number: &str| format!("'01900000-0000-7000-800{kind}-' || cast(100000000000 + {number} as text)");
    let (instance, operation, span) = (id(0, NUMBER), id(1, NUMBER), id(2, NUMBER));
    let event = id(3, &format!("({NUMBER} * 8 + t.e)"));
    let platform_id =
        format!("cast(1000000000000 + ({NUMBER} * 2654435761) % 4294967296 as text) || '-0000-4000-8000-000'");
    let copied = |table, left_out, fresh| Copied { table, left_out, fresh };
    let (sequence, document) = (
        format!("t.last + ({NUMBER} - 1) * t.each_has + t.e"),
        format!("replace(t.document, t.instance_id, {instance})"),
    );
    [
        copied("instances", "", vec![("id", instance.clone()), ("platform_instance_id", platform_id)]),
        copied("operations", "", vec![("id", operation.clone()), ("instance_id", instance.clone())]),
        copied("spans", "", vec![("id", span), ("instance_id", instance.clone()), ("opened_by", operation)]),
        copied(
            "events",
            "position",
            vec![
                ("id", event),
                ("sequence", sequence),
                ("subject", format!("'instances/' || {instance}")),
                ("instance_id", instance),
                ("document", document),
            ],
        ),
    ]
}
