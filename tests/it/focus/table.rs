//! What FOCUS 1.2 demands of each column, in our words, one entry a column, each with the section of the specification that says
//! so (`3.2 BilledCost`: section 3, Columns, in alphabetical order; section 4 are the attributes). What is demanded of a whole file is in
//! [`super::checker`].

mod charges;
mod costs;
mod not_ours;

use super::csv::Row;

pub(crate) use charges::CHARGES;
pub(crate) use costs::COSTS;
pub(crate) use not_ours::NOT_OURS;

/// Whether a column must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Always.
    Mandatory,
    /// Because the hub has what its definition names.
    Conditional,
    /// The specification recommends it, and the export promises it.
    Recommended,
    /// Conditional or recommended, and the hub does not have what its definition names: it may be left out.
    NotOurs,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 4.8 String Handling.
    Text,
    /// 4.7 Numeric Format.
    Decimal,
    /// 4.3 Date/Time Format.
    Instant,
    /// 4.2 Currency Format.
    Currency,
    /// 4.5 Key-Value Format.
    KeyValue,
    /// 4.9 Unit Format.
    Unit,
}

/// One column.
pub(crate) struct Rule {
    pub(crate) column: &'static str,
    /// The section that defines it.
    pub(crate) section: &'static str,
    pub(crate) level: Level,
    pub(crate) kind: Kind,
    /// Whether it may ever be null.
    pub(crate) nulls: bool,
    /// The only values; any where empty.
    pub(crate) allowed: &'static [&'static str],
    pub(crate) conditions: &'static [Condition],
}

/// What else must hold of a row.
pub(crate) struct Condition {
    pub(crate) says: &'static str,
    pub(crate) holds: fn(&Row) -> bool,
    /// A row of which kind, changed how, breaks it (nothing: null).
    pub(crate) broken: (Base, &'static [(&'static str, &'static str)]),
}

/// A row of an export that is fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// Usage with a price.
    Usage,
    /// A purchase.
    Purchase,
    /// Usage of a month that was closed before.
    Correction,
}

/// All columns.
pub(crate) fn table() -> impl Iterator<Item = &'static Rule> {
    CHARGES.iter().chain(COSTS).chain(NOT_OURS)
}

/// A cell's value.
pub(crate) fn value<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    row.get(column).and_then(Option::as_deref)
}

pub(crate) fn is(row: &Row, column: &str, expected: &str) -> bool {
    value(row, column) == Some(expected)
}

/// Both are null, or neither is.
pub(crate) fn together(row: &Row, one: &str, other: &str) -> bool {
    value(row, one).is_some() == value(row, other).is_some()
}

/// A row that has its own price: usage or a purchase, and no correction.
pub(crate) fn priced(row: &Row) -> bool {
    (is(row, "ChargeCategory", "Usage") || is(row, "ChargeCategory", "Purchase"))
        && !is(row, "ChargeClass", "Correction")
}

/// Not null where it must not be; null for taxes.
pub(crate) fn there_if_priced(row: &Row, column: &str) -> bool {
    match value(row, column) {
        Some(_) => !is(row, "ChargeCategory", "Tax"),
        None => !priced(row),
    }
}
