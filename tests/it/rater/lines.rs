//! From raw facts to lines: what counts at which instant, and what all that counts before an instant costs.

use std::collections::BTreeSet;

use num_bigint::BigInt;
use serde_json::Value;

use super::calendar::{days, instant, month};
use super::charge::{charge, find};
use super::{Event, Facts, Fraction, Instant, Line, Metered, Stood, number};

const HOUR: Instant = 3_600_000_000;
const SECOND: Instant = 1_000_000;

/// A month of an instance, with what is asked at each instant of it.
struct Rater<'a> {
    facts: &'a Facts,
    days: Vec<Instant>,
    from: Instant,
    until: Instant,
    /// The whole month's length, however much of it is over.
    length: Instant,
    edges: Vec<Instant>,
}

/// Something that counts.
struct Counts {
    at: Instant,
    what: What,
}

enum What {
    /// This much of the quantity, and of what the price is for.
    More { quantity: Fraction, priced: Fraction },
    /// A value beside others.
    Value(Fraction),
    /// A word beside others.
    Word(String),
}

/// A price as it is: where it stands, and what makes it the same as another one.
#[derive(Clone, Debug, PartialEq)]
enum Priced<'a> {
    By(usize, usize, &'a Value),
    Not,
    Elsewhere,
}

fn none() -> Fraction {
    Fraction::from_integer(BigInt::ZERO)
}

fn part(of: Instant, whole: Instant) -> Fraction {
    Fraction::new(of.into(), whole.into())
}

/// The lines of a month (`2026-11`) of what is known up to an instant, cut at all that matters and at `cuts`. Lines that add
/// nothing and cost nothing are left out.
pub(crate) fn lines(facts: &Facts, of: &str, known: Instant, cuts: &[Instant]) -> Vec<Line> {
    let (from, end) = month(facts, of);
    let until = end.min(known);
    let mut edges: BTreeSet<_> = cuts.iter().chain(&facts.tenant).copied().collect();
    edges.extend(facts.books.iter().map(|book| instant(book.document["effective_from"].as_str().unwrap())));
    edges.extend(facts.spans.iter().flat_map(|span| [span.from, span.until.unwrap_or(until)]));
    edges.extend([from, until]);
    edges.retain(|edge| from <= *edge && *edge <= until);
    let rater =
        Rater { facts, days: days(facts, of), from, until, length: end - from, edges: edges.into_iter().collect() };

    let instance = Metered { key: "instance", kind: "gauge", aggregation: "time_weighted" };
    let mut lines = rater.meter(&instance);
    lines.extend(rater.setups());
    lines.extend(facts.meters.iter().flat_map(|meter| rater.meter(meter)));
    lines.retain(|line| line.quantity != none() || line.amount != none());
    lines
}

impl<'a> Rater<'a> {
    fn span(&self, at: Instant) -> Option<(usize, &'a Stood)> {
        let holds = |span: &Stood| span.from <= at && span.until.is_none_or(|until| at < until);
        self.facts.spans.iter().enumerate().find(|(_, span)| holds(span))
    }

    /// Where something counts that belongs to an instant.
    fn place(&self, at: Instant) -> Option<Instant> {
        if self.span(at).is_some() {
            return Some(at);
        }
        let stands = self.facts.spans.iter().filter(|span| span.until.is_none_or(|until| span.from < until));
        stands.map(|span| span.from).filter(|from| at < *from).min()
    }

    fn price(&self, span: &Stood, meter: &str, at: Instant) -> Priced<'a> {
        let mut best: Option<((Instant, Instant, &str), usize)> = None;
        for (place, book) in self.facts.books.iter().enumerate() {
            let since = instant(book.document["effective_from"].as_str().unwrap());
            let rank = (since, book.made, book.id.as_str());
            if since <= at && best.is_none_or(|(other, _)| other < rank) {
                best = Some((rank, place));
            }
        }
        let Some((_, book)) = best else { return Priced::Not };
        let document = &self.facts.books[book].document;
        match find(document, &span.offering, &span.plan, meter) {
            (Some(rule), _) => Priced::By(book, rule, &document["rules"][rule]),
            (None, true) if meter == "instance" || meter == "setup" => Priced::Elsewhere,
            _ => Priced::Not,
        }
    }

    /// What makes a quantity go on: offering, plan and what the rule says.
    fn group(&self, meter: &str, at: Instant) -> Option<(&'a str, &'a str, Option<&'a Value>)> {
        let (_, span) = self.span(at)?;
        let rule = match self.price(span, meter, at) {
            Priced::By(_, _, rule) => Some(rule),
            Priced::Not => None,
            Priced::Elsewhere => return None,
        };
        Some((&span.offering, &span.plan, rule))
    }

    fn meter(&self, meter: &Metered) -> Vec<Line> {
        let counts: Vec<_> = (self.counts(meter).into_iter())
            .filter(|counts| self.from <= counts.at && counts.at < self.until)
            .map(|counts| (self.group(meter.key, counts.at), counts))
            .collect();
        let mut lines = Vec::new();
        for (from, until) in self.edges.iter().zip(self.edges.iter().skip(1)) {
            let (Some((place, span)), Some(group)) = (self.span(*from), self.group(meter.key, *from)) else { continue };
            let upto = |end: Instant| {
                let mine = counts.iter().filter(|(other, counts)| counts.at < end && *other == Some(group));
                together(meter, group.2, mine.map(|(_, counts)| counts))
            };
            let (before, after) = (upto(*from), upto(*until));
            let price = match self.price(span, meter.key, *from) {
                Priced::By(book, rule, _) => Some((book, rule)),
                _ => None,
            };
            let (quantity, amount) = (after.0 - before.0, after.1 - before.1);
            lines.push(Line {
                from: *from,
                until: *until,
                span: place,
                meter: meter.key.into(),
                price,
                quantity,
                amount,
            });
        }
        lines
    }

    fn setups(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        let mut seen: Vec<(&str, &str, Option<&Value>)> = Vec::new();
        for (place, span) in self.facts.spans.iter().enumerate() {
            if !span.setup || span.from < self.from || self.until <= span.from {
                continue;
            }
            let (rule, price) = match self.price(span, "setup", span.from) {
                Priced::By(book, rule, value) => (Some(value), Some((book, rule))),
                Priced::Not => (None, None),
                Priced::Elsewhere => continue,
            };
            let group = (span.offering.as_str(), span.plan.as_str(), rule);
            let before = seen.iter().filter(|other| **other == group).count();
            seen.push(group);
            let cost =
                |times: usize| rule.map_or_else(none, |rule| charge(rule, &Fraction::from_integer(times.into())));
            let next = self.edges.iter().find(|edge| span.from < **edge).copied().unwrap_or(self.until);
            let until = span.until.map_or(next, |until| next.min(until));
            let (quantity, amount) = (Fraction::from_integer(1.into()), cost(before + 1) - cost(before));
            lines.push(Line { from: span.from, until, span: place, meter: "setup".into(), price, quantity, amount });
        }
        lines
    }

    /// All that counts of a meter, in the order in which it does.
    fn counts(&self, meter: &Metered) -> Vec<Counts> {
        match (meter.key, meter.kind) {
            ("instance", _) => self.held(meter, &mut |_| Some(Fraction::from_integer(1.into()))),
            (_, "gauge") => {
                let readings = self.readings(meter);
                self.held(meter, &mut |at| {
                    let last = readings.iter().rev().find(|reading| reading.time <= at)?;
                    last.quantity.as_deref().map(number)
                })
            }
            (_, "counter") => self.grown(meter),
            _ => self.happened(meter),
        }
    }

    fn happened(&self, meter: &Metered) -> Vec<Counts> {
        let mut counts = Vec::new();
        for reading in self.readings(meter) {
            let Some(at) = self.place(reading.time) else { continue };
            let quantity = number(reading.quantity.as_deref().unwrap());
            let what = match (meter.aggregation, reading.value) {
                ("unique", None) => continue,
                ("unique", Some(word)) => What::Word(word),
                ("sum", _) => What::More { priced: quantity.clone(), quantity },
                _ => What::Value(quantity),
            };
            counts.push(Counts { at, what });
        }
        counts
    }

    fn grown(&self, meter: &Metered) -> Vec<Counts> {
        let readings = self.readings(meter);
        let mut counts = Vec::new();
        for (place, reading) in readings.iter().enumerate() {
            let same = |other: &&Event| other.reset_id == reading.reset_id;
            let value = |event: &Event| number(event.quantity.as_deref().unwrap());
            let highest = readings[..place].iter().filter(same).map(value).fold(none(), Fraction::max);
            let quantity = (value(reading) - highest).max(none());
            let earlier = || readings.iter().filter(|other| other.time < reading.time);
            let own = earlier().filter(same).map(|other| other.time).max();
            let before = own.or_else(|| earlier().map(|other| other.time).max()).unwrap_or(reading.time);
            if let Some(at) = self.place(before) {
                counts.push(Counts { at, what: What::More { priced: quantity.clone(), quantity } });
            }
        }
        counts
    }

    /// A level over time, in parts within which nothing at all changes.
    fn held(&self, meter: &Metered, level: &mut dyn FnMut(Instant) -> Option<Fraction>) -> Vec<Counts> {
        let mut instants: BTreeSet<_> = self.edges.iter().chain(&self.days).copied().collect();
        instants.extend(self.readings(meter).iter().map(|reading| reading.time));
        let begun: BTreeSet<_> = if meter.key == "instance" { self.hours() } else { BTreeSet::new() };
        instants.extend(&begun);
        instants.retain(|at| self.from <= *at && *at <= self.until);
        let mut counts = Vec::new();
        for (from, until) in instants.iter().zip(instants.iter().skip(1)) {
            let (Some(level), Some((_, _, rule))) = (level(*from), self.group(meter.key, *from)) else { continue };
            let usual = if meter.key == "instance" { SECOND } else { HOUR };
            let whole = match rule.and_then(|rule| rule["per"].as_str()) {
                None => usual,
                Some("hour") => HOUR,
                Some("day") => {
                    let next = self.days.iter().position(|day| from < day).unwrap();
                    self.days[next] - self.days[next - 1]
                }
                _ => self.length,
            };
            let started = rule.is_some_and(|rule| rule["proration"] == "started_hour");
            let time = match (started, begun.contains(from)) {
                (false, _) => until - from,
                (true, true) => HOUR,
                (true, false) => 0,
            };
            let what = match meter.aggregation {
                "time_weighted" => {
                    What::More { quantity: &level * part(until - from, usual), priced: level * part(time, whole) }
                }
                _ => What::Value(level),
            };
            counts.push(Counts { at: *from, what });
        }
        counts
    }

    /// Where the hours of each span begin.
    fn hours(&self) -> BTreeSet<Instant> {
        let mut hours = BTreeSet::new();
        for span in &self.facts.spans {
            let end = span.until.map_or(self.until, |until| until.min(self.until));
            let mut at = span.from;
            while at < end {
                hours.insert(at);
                at += HOUR;
            }
        }
        hours
    }

    /// The readings of a meter as corrected, each once, `time` being the instant to which it belongs, in their order.
    fn readings(&self, meter: &Metered) -> Vec<Event> {
        let mut readings: Vec<Event> = Vec::new();
        for event in self.facts.events.iter().filter(|event| event.meter == meter.key && event.corrects.is_none()) {
            if readings.iter().any(|other| (other.source, &other.id) == (event.source, &event.id)) {
                continue;
            }
            let corrects = |other: &&Event| (other.source, other.corrects.as_ref()) == (event.source, Some(&event.id));
            let corrections = self.facts.events.iter().filter(corrects);
            let last = corrections.max_by_key(|correction| (correction.time, &correction.id));
            let quantity = last.map_or(&event.quantity, |correction| &correction.quantity).clone();
            if quantity.is_some() {
                let time = if meter.kind == "delta" { event.window.unwrap_or(event.time) } else { event.time };
                readings.push(Event { time, quantity, ..event.clone() });
            }
        }
        readings.sort_by(|one, other| (one.time, one.source, &one.id).cmp(&(other.time, other.source, &other.id)));
        readings
    }
}

/// The quantity and the amount of all that counts.
fn together<'c>(
    meter: &Metered,
    rule: Option<&Value>,
    counts: impl Iterator<Item = &'c Counts>,
) -> (Fraction, Fraction) {
    let (mut sum, mut priced, mut values, mut words) = (none(), none(), Vec::new(), BTreeSet::new());
    for one in counts {
        match &one.what {
            What::More { quantity, priced: more } => {
                sum += quantity;
                priced += more;
            }
            What::Value(value) => values.push(value),
            What::Word(word) => _ = words.insert(word),
        }
    }
    let quantity = match meter.aggregation {
        "max" => values.into_iter().max().cloned().unwrap_or_else(none),
        "latest" => values.last().map_or_else(none, |last| (*last).clone()),
        "unique" => Fraction::from_integer(words.len().into()),
        _ => sum,
    };
    let basis = if matches!(meter.aggregation, "sum" | "time_weighted") { priced } else { quantity.clone() };
    let amount = rule.map_or_else(none, |rule| charge(rule, &basis));
    (quantity, amount)
}
