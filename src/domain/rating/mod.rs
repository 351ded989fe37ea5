//! What an instance's month costs, as a function of facts: when it stood under which plan, what was read of it, and the price
//! books. Binding semantics: `docs/adr/0011-metering.md`.
//!
//! It knows no tenant, database or clock, rounds nothing, and keeps nothing between two calls. Whatever a month is cut by,
//! its pieces add up to the same quantities and amounts.

mod charge;
mod correct;
mod edges;
#[cfg(test)]
mod examples;
mod gather;
mod rates;
mod total;

pub use correct::{Correction, corrected};
pub use gather::{Gathered, gather};
pub use rates::rate;

use crate::clock::Time;
use crate::domain::decimal::{Decimal, Exact};
use crate::domain::meter::{Aggregation, Kind};
use crate::domain::period::{Month, Zones};
use crate::domain::price::PriceBook;

/// A time for which an instance stood ready under one plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The offering's name.
    pub offering: String,
    /// The plan's name.
    pub plan: String,
    /// Its first instant.
    pub from: Time,
    /// The first instant that is not in it any more, once it has ended.
    pub until: Option<Time>,
    /// Whether a provision began it.
    pub setup: bool,
}

/// The readings of one meter of an instance. A meter that changed its kind, aggregation or unit has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The meter's key.
    pub meter: String,
    /// What one reading means.
    pub kind: Kind,
    /// How they add up.
    pub aggregation: Aggregation,
    /// Of what.
    pub unit: String,
    /// By `at`, `source` and `id`; another order costs time and changes nothing.
    pub readings: Vec<Reading>,
}

/// One reading, with corrections applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The instant at which it counts, see the ADR: of a delta the start of its window.
    pub at: Time,
    /// Whose it is.
    pub source: i64,
    /// Its id there.
    pub id: String,
    /// How much.
    pub quantity: Decimal,
    /// Of a counter: what it began to count anew with.
    pub reset_id: Option<String>,
    /// The value of the counted dimension, of a meter that counts those.
    pub value: Option<String>,
}

/// Everything that the charges of one month of one instance follow from.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// All spans of the instance, ascending, none reaching into the next; of those before the month the last one is enough.
    pub spans: &'a [Span],
    /// Each meter, kind, aggregation and unit at most once. What of the readings is needed says [`since`].
    pub series: &'a [Series],
    /// When something was said about the tenant.
    pub tenant_edges: &'a [Time],
    /// All books.
    pub books: &'a [PriceBook],
    /// The tenant's zones.
    pub zones: &'a Zones,
    /// Which month.
    pub month: Month,
    /// How far it is known: now, or the month's end or later.
    pub until: Time,
}

/// A part of a month, and what one meter adds in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its first instant.
    pub from: Time,
    /// The first instant after it.
    pub until: Time,
    /// The span that it is in, by its place in [`History::spans`].
    pub span: usize,
    /// The meter's key.
    pub meter: String,
    /// Of what the quantity is: of `instance` seconds, of a time-weighted gauge unit-hours.
    pub unit: String,
    /// The rule; none where there is none: `unpriced`.
    pub price: Option<Price>,
    /// What it adds to the month's quantity of this plan, meter and rule. Of `max`, `latest` and `unique` it can be less than
    /// what was read in it, so that quantities add up as amounts do.
    pub quantity: Exact,
    /// What it adds to the amount.
    pub amount: Exact,
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Price {
    /// The book, by its place in [`History::books`].
    pub book: usize,
    /// The rule, by its place in the book.
    pub rule: usize,
}

/// From which instant on readings are needed for a month that begins at `start`: what is read where no span is counts in the
/// next one. Of what is before that instant, only the last reading of a gauge is needed, and of a counter the last of all and,
/// per `reset_id`, the highest and the last. Of what is after the month, of a counter the first instant of each `reset_id`,
/// because growth counts at the reading before.
pub fn since(spans: &[Span], start: Time) -> Time {
    edges::Standing::of(spans).since(start)
}
