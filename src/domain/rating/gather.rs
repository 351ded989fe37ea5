//! From readings to quantities: readings are gone through once, and each interval between two edges gets what counts in it.
//! Whole numbers only; a fraction is made when a quantity is asked for.
//!
//! What is gathered of two intervals together follows from what was gathered of each: [`Gathered::append`].

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use num_bigint::BigInt;

use super::edges::Standing;
use super::total::Total;
use super::{Reading, Series, Span};
use crate::clock::Time;
use crate::domain::decimal::{Decimal, Exact};
use crate::domain::meter::{Aggregation, Kind};

/// Microseconds of an hour.
pub(super) const HOUR: i64 = 3_600_000_000;
/// Microseconds of a second.
pub(super) const SECOND: i64 = 1_000_000;
/// Units of a [`Decimal`] in 1.
pub(super) const ONE: i64 = 1_000_000_000_000;

/// What counts of a meter in a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered<'a> {
    what: What<'a>,
    empty: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What<'a> {
    Sum(Total),
    /// Units times microseconds.
    Integral(Total),
    Max(i128),
    Latest(i128),
    Unique(BTreeSet<&'a str>),
}

impl<'a> Gathered<'a> {
    /// Nothing yet.
    pub(super) fn new(aggregation: Aggregation) -> Self {
        let what = match aggregation {
            Aggregation::Sum => What::Sum(Total::default()),
            Aggregation::TimeWeighted => What::Integral(Total::default()),
            Aggregation::Max => What::Max(0),
            Aggregation::Latest => What::Latest(0),
            Aggregation::Unique => What::Unique(BTreeSet::new()),
        };
        Self { what, empty: true }
    }

    /// One, for so long.
    pub(super) fn standing(from: Time, until: Time) -> Self {
        let mut gathered = Self::new(Aggregation::TimeWeighted);
        gathered.hold(i128::from(ONE), from, until);
        gathered
    }

    /// One, once.
    pub(super) fn one() -> Self {
        let mut gathered = Self::new(Aggregation::Sum);
        gathered.count(i128::from(ONE), None);
        gathered
    }

    /// Whether there was neither a reading nor a level.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// As one number: in units of the meter, or, time-weighted, in unit-hours. Zero where there is nothing.
    pub fn quantity(&self) -> Exact {
        self.quantity_by(HOUR)
    }

    /// The same, time-weighted by another time than an hour.
    pub(super) fn quantity_by(&self, time: i64) -> Exact {
        match &self.what {
            What::Sum(total) => Exact::new(total.value(), BigInt::from(ONE)),
            What::Integral(total) => Exact::new(total.value(), BigInt::from(ONE) * time),
            What::Max(units) | What::Latest(units) => Decimal::from_units(*units).exact(),
            What::Unique(values) => Exact::from_integer(BigInt::from(values.len())),
        }
    }

    /// Whether the quantity of two together is the sum of theirs.
    pub(super) fn adds_up(&self) -> bool {
        matches!(self.what, What::Sum(_) | What::Integral(_))
    }

    /// Units times microseconds, where time counts.
    pub(super) fn integral(&self) -> Option<&Total> {
        match &self.what {
            What::Integral(total) => Some(total),
            _ => None,
        }
    }

    /// Takes in what was gathered right after it, of the same meter.
    pub fn append(&mut self, later: Self) {
        if later.empty {
            return;
        }
        match (&mut self.what, later.what) {
            (What::Sum(sum), What::Sum(more)) | (What::Integral(sum), What::Integral(more)) => sum.add_total(more),
            (What::Max(max), What::Max(more)) => *max = if self.empty { more } else { more.max(*max) },
            (What::Latest(latest), What::Latest(more)) => *latest = more,
            (What::Unique(values), What::Unique(more)) => values.extend(more),
            _ => return,
        }
        self.empty = false;
    }

    /// So many units at one instant.
    fn count(&mut self, units: i128, value: Option<&'a str>) {
        match &mut self.what {
            What::Sum(sum) => sum.add(units),
            What::Max(max) => *max = if self.empty { units } else { units.max(*max) },
            What::Latest(latest) => *latest = units,
            What::Unique(values) => match value {
                Some(value) => _ = values.insert(value),
                None => return,
            },
            What::Integral(_) => return,
        }
        self.empty = false;
    }

    /// A level, for as long as that.
    fn hold(&mut self, units: i128, from: Time, until: Time) {
        match &mut self.what {
            What::Integral(sum) => sum.add_product(units, i128::from(until.0) - i128::from(from.0)),
            What::Max(max) => *max = if self.empty { units } else { units.max(*max) },
            What::Latest(latest) => *latest = units,
            What::Sum(_) | What::Unique(_) => return,
        }
        self.empty = false;
    }
}

/// What counts of a meter in each of the intervals between `edges`, which ascend: one less than there are edges.
/// `spans` are all of the instance's, ascending.
pub fn gather<'a>(series: &'a Series, edges: &[Time], spans: &[Span]) -> Vec<Gathered<'a>> {
    let mut gathered = vec![Gathered::new(series.aggregation); edges.len().saturating_sub(1)];
    let standing = Standing::of(spans);
    let mut readings: Vec<_> = series.readings.iter().collect();
    if !readings.is_sorted_by(|one, other| order(one, other).is_le()) {
        readings.sort_by(|one, other| order(one, other));
    }
    match series.kind {
        Kind::Gauge => levels(&readings, edges, &standing, &mut gathered),
        Kind::Delta => {
            for reading in readings {
                let place = standing.place(reading.at);
                put(&mut gathered, edges, place, reading.quantity.units(), reading.value.as_deref());
            }
        }
        Kind::Counter => growth(&readings, edges, &standing, &mut gathered),
    }
    gathered
}

fn order(one: &Reading, other: &Reading) -> Ordering {
    (one.at, one.source).cmp(&(other.at, other.source)).then_with(|| one.id.cmp(&other.id))
}

fn put<'a>(gathered: &mut [Gathered<'a>], edges: &[Time], place: Option<Time>, units: i128, value: Option<&'a str>) {
    let Some(place) = place else { return };
    let interval = edges.partition_point(|edge| *edge <= place).checked_sub(1);
    if let Some(into) = interval.and_then(|interval| gathered.get_mut(interval)) {
        into.count(units, value);
    }
}

/// A counter's growth above the highest reading of its `reset_id`, at the reading before.
fn growth<'a>(readings: &[&'a Reading], edges: &[Time], standing: &Standing, gathered: &mut [Gathered<'a>]) {
    struct Count {
        highest: i128,
        at: Time,
        before: Time,
    }
    let mut counts: HashMap<Option<&str>, Count> = HashMap::new();
    // The last instant with a reading of any `reset_id`, and the one before it.
    let mut last: Option<(Time, Option<Time>)> = None;
    for reading in readings {
        last = match last {
            Some((at, before)) if at == reading.at => Some((at, before)),
            other => Some((reading.at, other.map(|(at, _)| at))),
        };
        let before_any = last.and_then(|(_, before)| before).unwrap_or(reading.at);
        let count = counts.entry(reading.reset_id.as_deref()).or_insert(Count {
            highest: 0,
            at: reading.at,
            before: before_any,
        });
        if count.at < reading.at {
            count.before = count.at;
            count.at = reading.at;
        }
        let units = reading.quantity.units();
        let grown = units.saturating_sub(count.highest).max(0);
        count.highest = count.highest.max(units);
        put(gathered, edges, standing.place(count.before), grown, None);
    }
}

/// The level of a gauge: within spans, from edge to edge.
fn levels(readings: &[&Reading], edges: &[Time], standing: &Standing, gathered: &mut [Gathered<'_>]) {
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return };
    let (mut next, mut interval, mut level) = (0, 0, None);
    for (from, until) in standing.ranges() {
        let (mut at, end) = (from.max(*first), until.min(*last));
        while at < end {
            while let Some(reading) = readings.get(next).filter(|reading| reading.at <= at) {
                level = Some(reading.quantity.units());
                next += 1;
            }
            while edges.get(interval + 1).is_some_and(|edge| *edge <= at) {
                interval += 1;
            }
            let reading = readings.get(next).map_or(end, |reading| reading.at);
            let edge = edges.get(interval + 1).copied().unwrap_or(end);
            let step = end.min(reading).min(edge);
            if let (Some(level), Some(into)) = (level, gathered.get_mut(interval)) {
                into.hold(level, at, step);
            }
            at = step;
        }
    }
}
