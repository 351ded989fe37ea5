//! Every column that holds sealed values, for sealing them anew. What they hold is opened elsewhere; here they are bytes, of which the
//! first five say under which key they are sealed.

use sqlx::any::AnyRow;

use super::db::column;
use super::{Error, Tx};

/// A column of sealed values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    prefixes: &'static str,
    value: &'static str,
    replace: &'static str,
}

macro_rules! sealed {
    ($table:literal, $key:literal, $column:literal) => {
        Column {
            table: $table,
            column: $column,
            prefixes: concat!(
                "select ",
                $key,
                " as id, substr(",
                $column,
                ", 1, 5) as prefix from ",
                $table,
                " where ",
                $key,
                " > $1 order by ",
                $key,
                " limit $2"
            ),
            value: concat!("select ", $column, " as value from ", $table, " where ", $key, " = $1"),
            replace: concat!("update ", $table, " set ", $column, " = $3 where ", $key, " = $1 and ", $column, " = $2"),
        }
    };
}

/// All of them. A place's name is `{table}/{key}/{column}`.
pub const COLUMNS: &[Column] = &[
    sealed!("brokers", "id", "secrets"),
    sealed!("stamp_keys", "kid", "private_key"),
    sealed!("audit_keys", "kid", "private_key"),
    sealed!("instances", "id", "attributes"),
    sealed!("bindings", "id", "attributes"),
    sealed!("bindings", "id", "answer"),
    sealed!("operations", "id", "request"),
    sealed!("operations", "id", "target"),
    sealed!("conformance_runs", "id", "request"),
    sealed!("conformance_runs", "id", "report"),
];

impl Column {
    /// As people are told of it.
    pub fn name(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }

    /// Where the value of a row is sealed.
    pub fn place(&self, id: &str) -> String {
        format!("{}/{id}/{}", self.table, self.column)
    }
}

/// Rows behind `after`, whatever they hold: the key of each, and the first bytes of its value, fewer where there is none.
///
/// # Errors
/// Where the database fails.
pub async fn prefixes(
    tx: &mut Tx<'_>,
    sealed: &Column,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let sql = sqlx::query(sealed.prefixes).bind(after.to_owned()).bind(limit);
    let read = |row: &AnyRow| {
        let prefix: Option<Vec<u8>> = column(row, "prefix")?;
        Ok((column(row, "id")?, prefix.unwrap_or_default()))
    };
    tx.fetch_all(sql).await?.iter().map(read).collect()
}

/// The sealed value of a row; none where the row is gone or holds none.
///
/// # Errors
/// Where the database fails.
pub async fn value(tx: &mut Tx<'_>, sealed: &Column, id: &str) -> Result<Option<Vec<u8>>, Error> {
    match tx.fetch_optional(sqlx::query(sealed.value).bind(id.to_owned())).await? {
        Some(row) => column(&row, "value"),
        None => Ok(None),
    }
}

/// Puts a value in the place of another; false where that one does not stand there any more.
///
/// # Errors
/// Where the database fails.
pub async fn replace(tx: &mut Tx<'_>, sealed: &Column, id: &str, old: &[u8], new: &[u8]) -> Result<bool, Error> {
    let sql = sqlx::query(sealed.replace).bind(id.to_owned()).bind(old.to_vec()).bind(new.to_vec());
    Ok(tx.execute(sql).await? == 1)
}
