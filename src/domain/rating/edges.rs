//! Where a month of an instance is cut, and where in it something counts that was read while it did not stand.

use std::ops::Range;

use super::{History, Span};
use crate::clock::Time;
use crate::domain::period::Zone;
use crate::domain::price::{PriceBook, in_force};

/// The times in which an instance stood.
pub(super) struct Standing {
    /// Ascending, none empty.
    ranges: Vec<(Time, Time)>,
}

/// A part of a month within which nothing changes.
pub(super) struct Cell {
    pub(super) from: Time,
    pub(super) until: Time,
    pub(super) span: usize,
    pub(super) book: Option<usize>,
}

impl Standing {
    pub(super) fn of(spans: &[Span]) -> Self {
        let ranges = spans.iter().map(|span| (span.from, span.until.unwrap_or(Time(i64::MAX))));
        Self { ranges: ranges.filter(|(from, until)| from < until).collect() }
    }

    pub(super) fn ranges(&self) -> impl Iterator<Item = (Time, Time)> {
        self.ranges.iter().copied()
    }

    /// Where something counts: there, or at the start of the next span. Nowhere after the last one.
    pub(super) fn place(&self, at: Time) -> Option<Time> {
        let next = self.ranges.partition_point(|(from, _)| *from <= at);
        let within = next.checked_sub(1).and_then(|last| self.ranges.get(last)).is_some_and(|(_, until)| at < *until);
        if within { Some(at) } else { self.ranges.get(next).map(|(from, _)| *from) }
    }

    /// The earliest instant of which what is read counts at `start` or later.
    pub(super) fn since(&self, start: Time) -> Time {
        let next = self.ranges.partition_point(|(from, _)| *from < start);
        let before = next.checked_sub(1).and_then(|last| self.ranges.get(last));
        before.map_or(Time(i64::MIN), |(_, until)| start.min(*until))
    }
}

/// The part of the month that is over, or nothing.
pub(super) fn month(history: &History<'_>) -> Range<Time> {
    let range = history.zones.range(history.month);
    range.start..range.end.min(history.until).max(range.start)
}

/// The month, cut wherever something changes; only where the instance stood.
pub(super) fn cells(history: &History<'_>, cuts: &[Time]) -> Vec<Cell> {
    let month = month(history);
    let books = history.books.iter().map(|book| book.document.effective_from);
    let spans = history.spans.iter().flat_map(|span| [Some(span.from), span.until]).flatten();
    let all = books.chain(spans).chain(history.tenant_edges.iter().copied()).chain(cuts.iter().copied());
    let mut edges: Vec<_> = all.filter(|edge| month.contains(edge)).chain([month.start, month.end]).collect();
    edges.sort_unstable();
    edges.dedup();

    let mut changes: Vec<_> = history.books.iter().map(|book| book.document.effective_from).collect();
    changes.sort_unstable();
    let mut changes = changes.into_iter().peekable();
    let mut cells = Vec::new();
    let mut book = None;
    let (mut spans, mut span) = (history.spans.iter().enumerate().peekable(), None);
    for pair in edges.windows(2) {
        let [from, until] = *pair else { continue };
        let mut changed = false;
        while changes.next_if(|change| *change <= from).is_some() {
            changed = true;
        }
        if changed {
            book = book_at(history.books, from);
        }
        while let Some((index, next)) = spans.next_if(|(_, next)| next.from <= from) {
            if next.until.is_none_or(|end| next.from < end) {
                span = Some((index, next));
            }
        }
        if let Some((span, _)) = span.filter(|(_, span)| span.until.is_none_or(|end| from < end)) {
            cells.push(Cell { from, until, span, book });
        }
    }
    cells
}

/// The place of the book that counts at an instant.
pub(super) fn book_at(books: &[PriceBook], at: Time) -> Option<usize> {
    let found = in_force(books, at)?;
    books.iter().position(|book| std::ptr::eq(book, found))
}

/// The first instants of the days that a period touches, and that of the day after.
pub(super) fn days(zone: &Zone, period: &Range<Time>) -> Vec<Time> {
    let mut day = zone.day(period.start);
    let mut days = vec![day.start];
    while day.end < period.end && day.start < day.end {
        days.push(day.end);
        day = zone.day(day.end);
    }
    days.push(day.end);
    days
}
