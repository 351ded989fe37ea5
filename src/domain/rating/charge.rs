//! From quantities to amounts: what of a month has one rule goes on counting from piece to piece, and a piece costs what it
//! adds to that.

use std::cell::OnceCell;
use std::ops::Range;

use num_bigint::BigInt;
use num_traits::Zero as _;

use super::edges;
use super::gather::{Gathered, HOUR, ONE, SECOND};
use super::total::Total;
use crate::clock::Time;
use crate::domain::decimal::Exact;
use crate::domain::period::Zone;
use crate::domain::price::{Per, Proration, Rule};

/// Where a piece stands in the calendar.
pub(super) struct Calendar<'a> {
    /// Microseconds of the month.
    pub(super) month: i64,
    /// The month's zone.
    pub(super) zone: &'a Zone,
    /// From where to where the month is.
    pub(super) range: Range<Time>,
    /// The first instants of its days and of the day after; only where a price needs them.
    pub(super) days: OnceCell<Vec<Time>>,
}

/// A part of a piece that lies within one day, if days matter.
pub(super) struct Part<'a> {
    pub(super) from: Time,
    pub(super) until: Time,
    pub(super) gathered: Gathered<'a>,
}

/// What a meter's quantity is when time counts, beside [`Gathered::quantity`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// The quantity of a piece is in units or unit-hours.
    Units,
    /// It is in seconds.
    Seconds,
}

/// What has been counted so far of one plan, meter and rule.
pub(super) struct Group<'a> {
    pub(super) offering: &'a str,
    pub(super) plan: &'a str,
    pub(super) rule: Option<&'a Rule>,
    gathered: Gathered<'a>,
    /// Units times microseconds, by the length of what they are priced by.
    weights: Vec<(i64, Total)>,
    /// Up to here, where it does not simply add up.
    quantity: Exact,
    amount: Exact,
}

impl<'a> Group<'a> {
    /// Nothing counted yet.
    pub(super) fn new(offering: &'a str, plan: &'a str, rule: Option<&'a Rule>, nothing: Gathered<'a>) -> Self {
        let (quantity, amount) = (Exact::zero(), Exact::zero());
        Self { offering, plan, rule, gathered: nothing, weights: Vec::new(), quantity, amount }
    }

    /// Counts a piece, and says what it adds to the quantity and to the amount. `anchor` is the start of its span.
    pub(super) fn add(
        &mut self,
        parts: Vec<Part<'a>>,
        counting: Counting,
        anchor: Time,
        calendar: &Calendar<'_>,
    ) -> (Exact, Exact) {
        let mut own: Option<Gathered<'a>> = None;
        for part in parts {
            if self.rule.is_some() {
                self.weigh(&part, counting, anchor, calendar);
            }
            match &mut own {
                Some(own) => own.append(part.gathered),
                None => own = Some(part.gathered),
            }
        }
        let Some(own) = own else { return (Exact::zero(), Exact::zero()) };
        let time = if counting == Counting::Seconds { SECOND } else { HOUR };
        // What adds up is not subtracted again: it is fractions that take time here.
        let alone = own.adds_up().then(|| own.quantity_by(time));
        self.gathered.append(own);
        let timed = !self.weights.is_empty();
        let unasked = alone.is_some() && (timed || self.rule.is_none());
        let quantity = if unasked { Exact::zero() } else { self.gathered.quantity_by(time) };
        let added = alone.unwrap_or_else(|| &quantity - &self.quantity);
        let amount = match self.rule {
            None => Exact::zero(),
            Some(rule) if timed => rule.charge(&self.weight()),
            Some(rule) => rule.charge(&quantity),
        };
        let more = &amount - &self.amount;
        (self.quantity, self.amount) = (quantity, amount);
        (added, more)
    }

    /// Puts down the part's time by the length of what it is priced by.
    fn weigh(&mut self, part: &Part<'_>, counting: Counting, anchor: Time, calendar: &Calendar<'_>) {
        let (Some(integral), Some(rule)) = (part.gathered.integral(), self.rule) else { return };
        let length = match (rule.per, counting) {
            (None, Counting::Seconds) => SECOND,
            (None, Counting::Units) | (Some(Per::Hour), _) => HOUR,
            (Some(Per::Day), _) => calendar.day(part.from),
            (Some(Per::Month), _) => calendar.month,
        };
        let total = match self.weights.iter_mut().find(|(known, _)| *known == length) {
            Some((_, total)) => total,
            None => {
                self.weights.push((length, Total::default()));
                let Some((_, total)) = self.weights.last_mut() else { return };
                total
            }
        };
        if counting == Counting::Seconds && rule.proration == Some(Proration::StartedHour) {
            total.add_product(hours(anchor, part.from, part.until) * i128::from(HOUR), i128::from(ONE));
        } else {
            total.add_total(integral.clone());
        }
    }

    fn weight(&self) -> Exact {
        let each =
            self.weights.iter().map(|(length, total)| Exact::new(total.value(), BigInt::from(ONE) * (*length).max(1)));
        each.reduce(|sum, more| sum + more).unwrap_or_default()
    }
}

impl Calendar<'_> {
    pub(super) fn days(&self) -> &[Time] {
        self.days.get_or_init(|| edges::days(self.zone, &self.range))
    }

    fn day(&self, at: Time) -> i64 {
        let days = self.days();
        let next = days.partition_point(|day| *day <= at);
        let day = next.checked_sub(1).and_then(|start| Some((days.get(start)?, days.get(next)?)));
        day.map_or(24 * HOUR, |(start, end)| end.0.saturating_sub(start.0))
    }
}

/// How many hours begin in a period, counted from an instant not after it.
fn hours(anchor: Time, from: Time, until: Time) -> i128 {
    let begun =
        |at: Time| (i128::from(at.0) - i128::from(anchor.0) + i128::from(HOUR) - 1).div_euclid(i128::from(HOUR));
    begun(until) - begun(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_belongs_to_where_it_begins() {
        let hours = |from: i64, until: i64| hours(Time(10), Time(from), Time(until));
        assert_eq!([hours(10, 10), hours(10, 11), hours(10, 10 + HOUR), hours(10, 11 + HOUR)], [0, 1, 1, 2]);
        assert_eq!([hours(11, 10 + HOUR), hours(11, 11 + HOUR), hours(10 + HOUR, 11 + HOUR)], [0, 1, 1]);
    }
}
