//! The rating of a month: which rule counts for which piece, and in which order pieces are counted.

use std::cell::OnceCell;

use num_traits::Zero as _;

use super::charge::{Calendar, Counting, Group, Part};
use super::edges::{self, Cell};
use super::gather::{Gathered, gather};
use super::{History, Piece, Price, Span};
use crate::clock::Time;
use crate::domain::meter::{Aggregation, INSTANCE, SETUP};
use crate::domain::price::{Per, Rule};

/// What a meter costs in a cell.
#[derive(Clone, Copy)]
enum Priced<'a> {
    By(Price, &'a Rule),
    /// Nothing says what it costs.
    Not,
    /// The plan's price is in other meters.
    Elsewhere,
}

/// A meter on its way through a month.
struct Run<'a> {
    history: &'a History<'a>,
    calendar: &'a Calendar<'a>,
    meter: &'a str,
    unit: &'a str,
    counting: Counting,
    aggregation: Aggregation,
    groups: Vec<Group<'a>>,
}

/// The pieces of a month, cut at all that matters and at `cuts`; by meter (`instance`, `setup`, then the series in their
/// order), and by time. What adds nothing and has no price is left out.
pub fn rate(history: &History<'_>, cuts: &[Time]) -> Vec<Piece> {
    let cells = edges::cells(history, cuts);
    let month = history.zones.range(history.month);
    let length = month.end.0.saturating_sub(month.start.0);
    let calendar =
        Calendar { month: length, zone: history.zones.of(history.month), range: month, days: OnceCell::new() };
    let run = |meter, unit, counting, aggregation| {
        let groups = Vec::new();
        Run { history, calendar: &calendar, meter, unit, counting, aggregation, groups }
    };
    let mut pieces = Vec::new();
    let standing = |edges: &[Time]| edges.windows(2).map(|pair| Gathered::standing(pair[0], pair[1])).collect();
    run(INSTANCE, "s", Counting::Seconds, Aggregation::TimeWeighted).through(&cells, standing, &mut pieces);
    run(SETUP, "1", Counting::Units, Aggregation::Sum).setups(&cells, &mut pieces);
    for series in history.series {
        run(&series.meter, &series.unit, Counting::Units, series.aggregation).through(
            &cells,
            |edges| gather(series, edges, history.spans),
            &mut pieces,
        );
    }
    pieces
}

impl<'a> Run<'a> {
    /// All cells, with what was gathered between the edges that are asked for.
    fn through(mut self, cells: &[Cell], gather: impl FnOnce(&[Time]) -> Vec<Gathered<'a>>, pieces: &mut Vec<Piece>) {
        let prices = self.prices(cells);
        let daily = prices.iter().any(|priced| matches!(priced, Priced::By(_, rule) if rule.per == Some(Per::Day)));
        let mut edges: Vec<_> = cells.iter().flat_map(|cell| [cell.from, cell.until]).collect();
        if let (true, Some(first), Some(last)) = (daily, edges.first().copied(), edges.last().copied()) {
            edges.extend(self.calendar.days().iter().filter(|day| (first..last).contains(day)));
            edges.sort_unstable();
        }
        edges.dedup();
        let gathered = gather(&edges);
        let mut parts =
            edges.windows(2).zip(gathered).map(|(pair, gathered)| Part { from: pair[0], until: pair[1], gathered });
        let mut parts = std::iter::from_fn(|| parts.next()).peekable();
        for (cell, priced) in cells.iter().zip(prices) {
            while parts.next_if(|part| part.from < cell.from).is_some() {}
            let mine: Vec<_> = std::iter::from_fn(|| parts.next_if(|part| part.from < cell.until)).collect();
            self.count(cell, priced, mine, pieces);
        }
    }

    /// One for each span that a provision began with, also where nothing is left of the span.
    fn setups(mut self, cells: &[Cell], pieces: &mut Vec<Piece>) {
        let month = edges::month(self.history);
        let begun = self.history.spans.iter().enumerate();
        for (index, span) in begun.filter(|(_, span)| span.setup && month.contains(&span.from)) {
            let until = cells.iter().find(|cell| cell.span == index && cell.from == span.from).map(|cell| cell.until);
            let book = edges::book_at(self.history.books, span.from);
            let cell = Cell { from: span.from, until: until.unwrap_or(span.from), span: index, book };
            let part = Part { from: cell.from, until: cell.until, gathered: Gathered::one() };
            self.count(&cell, self.priced(span, book), vec![part], pieces);
        }
    }

    fn count(&mut self, cell: &Cell, priced: Priced<'a>, parts: Vec<Part<'a>>, pieces: &mut Vec<Piece>) {
        let Some(span) = self.history.spans.get(cell.span) else { return };
        let (price, rule) = match priced {
            Priced::By(price, rule) => (Some(price), Some(rule)),
            Priced::Not => (None, None),
            Priced::Elsewhere => return,
        };
        if parts.iter().all(|part| part.gathered.is_empty()) {
            return;
        }
        let same = |group: &Group<'_>| (group.offering, group.plan, group.rule) == (&span.offering, &span.plan, rule);
        let index = self.groups.iter().position(same).unwrap_or_else(|| {
            let nothing = Gathered::new(self.aggregation);
            self.groups.push(Group::new(&span.offering, &span.plan, rule, nothing));
            self.groups.len() - 1
        });
        let Some(group) = self.groups.get_mut(index) else { return };
        let (quantity, amount) = group.add(parts, self.counting, span.from, self.calendar);
        if price.is_none() && quantity.is_zero() {
            return;
        }
        let (meter, unit) = (self.meter.to_owned(), self.unit.to_owned());
        pieces.push(Piece {
            from: cell.from,
            until: cell.until,
            span: cell.span,
            meter,
            unit,
            price,
            quantity,
            amount,
        });
    }

    /// What the meter costs in each cell.
    fn prices(&self, cells: &[Cell]) -> Vec<Priced<'a>> {
        let mut prices = Vec::with_capacity(cells.len());
        let mut before = None;
        for cell in cells {
            let priced = match before {
                Some((span, book, priced)) if (span, book) == (cell.span, cell.book) => priced,
                _ => self.history.spans.get(cell.span).map_or(Priced::Not, |span| self.priced(span, cell.book)),
            };
            before = Some((cell.span, cell.book, priced));
            prices.push(priced);
        }
        prices
    }

    fn priced(&self, span: &Span, book: Option<usize>) -> Priced<'a> {
        let Some((book, place)) = book.and_then(|place| Some((self.history.books.get(place)?, place))) else {
            return Priced::Not;
        };
        let rules = &book.document.rules;
        let found = book.document.rule(&span.offering, &span.plan, self.meter);
        let found = found.and_then(|found| rules.iter().position(|rule| std::ptr::eq(rule, found)).zip(Some(found)));
        if let Some((rule, found)) = found {
            return Priced::By(Price { book: place, rule }, found);
        }
        let own = |rule: &Rule| rule.plan.as_ref().is_none_or(|plan| *plan == span.plan);
        let elsewhere = rules.iter().any(|rule| rule.offering == span.offering && own(rule));
        if elsewhere && (self.meter == INSTANCE || self.meter == SETUP) { Priced::Elsewhere } else { Priced::Not }
    }
}
