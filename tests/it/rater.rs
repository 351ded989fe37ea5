//! The reference rater: `docs/adr/0011-metering.md` once more, small, slow and by other means, so that the hub's figures can be
//! held against it to the last digit. It reads raw facts, knows none of the hub's types and calls none of its code: prices are
//! the JSON that was posted, calendars are asked of `jiff`, and each instant is looked at by itself.

mod calendar;
mod charge;
mod lines;
mod lives;
mod properties;
mod stated;
mod worlds;

use num_bigint::BigInt;
use num_rational::Ratio;
use serde_json::Value;

pub(crate) use lines::lines;

/// A number without any loss.
pub(crate) type Fraction = Ratio<BigInt>;

/// Microseconds since 1970-01-01 UTC.
pub(crate) type Instant = i64;

/// All that was ever recorded of an instance, and around it.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Ascending.
    pub(crate) spans: Vec<Stood>,
    pub(crate) meters: Vec<Metered>,
    /// As they arrived; of those with the same source and id the first one counts.
    pub(crate) events: Vec<Event>,
    pub(crate) books: Vec<Book>,
    /// IANA names, and since when each was said, ascending; the first one always.
    pub(crate) zones: Vec<(Instant, String)>,
    /// When something was said about the tenant.
    pub(crate) tenant: Vec<Instant>,
}

/// When an instance stood, under which plan.
#[derive(Clone, Debug)]
pub(crate) struct Stood {
    pub(crate) offering: String,
    pub(crate) plan: String,
    pub(crate) from: Instant,
    pub(crate) until: Option<Instant>,
    pub(crate) setup: bool,
}

/// A meter, in the words of the catalog.
#[derive(Clone, Debug)]
pub(crate) struct Metered {
    pub(crate) key: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) aggregation: &'static str,
}

/// A usage event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) meter: String,
    pub(crate) source: i64,
    pub(crate) id: String,
    pub(crate) time: Instant,
    /// Where the window of a delta starts.
    pub(crate) window: Option<Instant>,
    /// None in a correction that voids.
    pub(crate) quantity: Option<String>,
    pub(crate) reset_id: Option<String>,
    /// Of the dimension that is counted.
    pub(crate) value: Option<String>,
    /// The id of the event that this one corrects.
    pub(crate) corrects: Option<String>,
}

/// A price book.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    pub(crate) id: String,
    pub(crate) made: Instant,
    /// As it was posted.
    pub(crate) document: Value,
}

/// What one meter adds from an instant to another one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
    /// By its place.
    pub(crate) span: usize,
    pub(crate) meter: String,
    /// The book and the rule, by their places.
    pub(crate) price: Option<(usize, usize)>,
    pub(crate) quantity: Fraction,
    pub(crate) amount: Fraction,
}

/// The number that a text says.
pub(crate) fn number(text: &str) -> Fraction {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all: BigInt = format!("{whole}{part}").parse().unwrap();
    Fraction::new(all * sign, BigInt::from(10).pow(u32::try_from(part.len()).unwrap()))
}
