//! Charts, drawn on the server as SVG: a row of values by label, with an axis, a title, a description and the same numbers as a table
//! below. No script and no float: places are whole numbers, computed from the very decimals that the table shows.
//!
//! It knows nothing of what it draws. Invariant: whatever a chart shows, its table says, to the last digit.

use maud::{Markup, html};

use super::kit;
use crate::domain::decimal::Decimal;

/// The drawing's size, in its own units.
const WIDTH: i64 = 720;
const HEIGHT: i64 = 240;
/// What the axes' words take.
const LEFT: i64 = 84;
const RIGHT: i64 = 12;
const TOP: i64 = 12;
const BOTTOM: i64 = 30;
/// Lines across, about.
const LINES: i128 = 4;
/// Labels below, at most, and the width that each character of one takes.
const LABELS_MAX: usize = 8;
const CHARACTER: i64 = 8;
/// Values of one chart; the table has them all.
const DRAWN_MAX: usize = 800;

/// How values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Amounts of a day, a month, a tenant: each stands for itself.
    Bars,
    /// A level over time.
    Line,
}

/// A value with its label. The text is a decimal number as the API writes it; what is no number is in the table only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// What it is of: a day, a tenant.
    pub label: String,
    /// How much.
    pub value: String,
}

impl Point {
    /// A value with its label.
    pub fn new(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self { label: label.into(), value: value.into() }
    }

    fn units(&self) -> Option<i128> {
        self.value.parse::<Decimal>().ok().map(Decimal::units)
    }
}

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Chart<'a> {
    /// Unique on its page.
    pub id: &'a str,
    /// What it shows: `Cost by day`.
    pub title: &'a str,
    /// A sentence for whoever does not see it, before what is said of its highest value.
    pub description: &'a str,
    /// What labels are: `Day`. Head of the table's first column.
    pub labels: &'a str,
    /// What values are, with their unit: `EUR`. Head of the table's second column.
    pub unit: &'a str,
    /// How it is drawn.
    pub form: Form,
    /// The values, in order.
    pub points: &'a [Point],
}

/// A chart and its table.
pub fn chart(chart: &Chart<'_>) -> Markup {
    let rows: Vec<Vec<Markup>> =
        chart.points.iter().map(|point| vec![html! { (point.label) }, html! { span.n { (point.value) } }]).collect();
    html! {
        figure.chart {
            figcaption { (chart.title) @if !chart.unit.is_empty() { span.under { " (" (chart.unit) ")" } } }
            @match chart.points.iter().filter_map(Point::units).map(i128::abs).max() {
                Some(1..) => (drawing(chart)),
                Some(_) => { p.under { "Each value is 0." } }
                None => { p.under { "There is nothing to draw yet." } }
            }
            @if !rows.is_empty() {
                details.program {
                    summary { "As a table" span.hidden-text { ": " (chart.title) } }
                    (kit::table(chart.title, &[chart.labels, chart.unit], &rows))
                }
            }
        }
    }
}

fn drawing(chart: &Chart<'_>) -> Markup {
    let (title, description) = (format!("{}-title", chart.id), format!("{}-description", chart.id));
    let points = chart.points.get(..DRAWN_MAX.min(chart.points.len())).unwrap_or_default();
    let scale = Scale::of(points);
    let slots = Slots { count: i64::try_from(points.len()).unwrap_or(1).max(1) };
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby={ (title) " " (description) }
            xmlns="http://www.w3.org/2000/svg" {
            title id=(title) { (chart.title) }
            desc id=(description) { (chart.description) " " (highest(chart)) }
            @for tick in scale.ticks() {
                @let y = scale.y(tick);
                line.grid.zero[tick == 0] x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y) y2=(y) {}
                text.tick x=(LEFT - 8) y=(y + 5) text-anchor="end" { (Decimal::from_units(tick)) }
            }
            @match chart.form {
                Form::Bars => (bars(points, &scale, &slots)),
                Form::Line => (line(points, &scale, &slots)),
            }
            (labels(points, &slots))
        }
    }
}

fn bars(points: &[Point], scale: &Scale, slots: &Slots) -> Markup {
    let zero = scale.y(0);
    html! {
        @for (index, point) in points.iter().enumerate() {
            @if let Some(units) = point.units() {
                @let (y, (x, width)) = (scale.y(units), slots.bar(index));
                // What is there is seen, however small.
                @let height = (zero - y).abs().max(i64::from(units != 0));
                rect.bar x=(x) y=(y.min(zero - i64::from(units > 0))) width=(width) height=(height) {
                    title { (point.label) ": " (point.value) }
                }
            }
        }
    }
}

fn line(points: &[Point], scale: &Scale, slots: &Slots) -> Markup {
    let mut path = String::new();
    // A gap stays a gap.
    let mut pen = 'M';
    let mut alone = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let Some(units) = point.units() else {
            pen = 'M';
            continue;
        };
        let (x, y) = (slots.middle(index), scale.y(units));
        path.push_str(&format!("{pen}{x} {y}"));
        pen = 'L';
        if points.len() <= 31 {
            alone.push((x, y, point));
        }
    }
    html! {
        path.line d=(path) {}
        @for (x, y, point) in alone { circle.dot cx=(x) cy=(y) r="3" { title { (point.label) ": " (point.value) } } }
    }
}

fn labels(points: &[Point], slots: &Slots) -> Markup {
    let longest = points.iter().map(|point| point.label.chars().count()).max().unwrap_or(1).max(1);
    let each = i64::try_from(longest).unwrap_or(i64::MAX).saturating_mul(CHARACTER).saturating_add(CHARACTER);
    let room = usize::try_from((WIDTH - LEFT - RIGHT) / each.max(1)).unwrap_or(1);
    let step = points.len().div_ceil(room.clamp(1, LABELS_MAX)).max(1);
    // In a group of their own, so that a narrow screen shows every second of them.
    html! {
        g.labels {
            @for (index, point) in points.iter().enumerate().step_by(step) {
                text.tick x=(slots.middle(index)) y=(HEIGHT - 8) text-anchor="middle" { (short(&point.label)) }
            }
        }
    }
}

/// A label that would take more than the drawing has is cut; the table has it whole.
fn short(label: &str) -> String {
    let most = usize::try_from((WIDTH - LEFT) / CHARACTER / 2).unwrap_or(1);
    if label.chars().count() <= most {
        return label.to_owned();
    }
    label.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn highest(chart: &Chart<'_>) -> String {
    let with_units = chart.points.iter().filter_map(|point| point.units().map(|units| (units, point)));
    match with_units.max_by_key(|(units, _)| *units) {
        Some((_, point)) => format!(
            "{} values; the highest is {} {} ({}). The table below has all of them.",
            chart.points.len(),
            point.value,
            chart.unit,
            point.label
        ),
        None => String::new(),
    }
}

/// From values to heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scale {
    low: i128,
    high: i128,
    step: i128,
}

impl Scale {
    /// Zero is always on it.
    fn of(points: &[Point]) -> Self {
        let units = points.iter().filter_map(Point::units);
        let (low, high) = units.fold((0_i128, 0_i128), |(low, high), units| (low.min(units), high.max(units)));
        if low == high {
            // Nothing but nothing: up to one.
            return Self { low, high: Decimal::ONE_UNITS, step: Decimal::ONE_UNITS };
        }
        let step = round_step((high - low) / LINES);
        let down = |value: i128| value.div_euclid(step) * step;
        let (low, high) = (down(low), -down(-high));
        Self { low, high, step }
    }

    fn ticks(&self) -> Vec<i128> {
        let mut ticks = Vec::new();
        let mut tick = self.low;
        // A round step is at least half of what was asked for.
        while tick <= self.high && ticks.len() < 20 {
            ticks.push(tick);
            tick += self.step;
        }
        ticks
    }

    fn y(&self, units: i128) -> i64 {
        let room = i128::from(HEIGHT - TOP - BOTTOM);
        let up = (units - self.low) * room / (self.high - self.low).max(1);
        HEIGHT - BOTTOM - i64::try_from(up).unwrap_or_default()
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not less.
fn round_step(least: i128) -> i128 {
    let mut power = 1_i128;
    while power < least / 10 {
        power *= 10;
    }
    let steps = [1, 2, 5, 10, 20, 50, 100].map(|times| power * times);
    steps.into_iter().find(|step| *step >= least).unwrap_or(least).max(1)
}

/// From places in the row to places across.
#[derive(Clone, Copy, Debug)]
struct Slots {
    count: i64,
}

impl Slots {
    fn begin(&self, index: usize) -> i64 {
        let index = i64::try_from(index).unwrap_or_default();
        LEFT + (WIDTH - LEFT - RIGHT) * index / self.count
    }

    fn middle(&self, index: usize) -> i64 {
        i64::midpoint(self.begin(index), self.begin(index + 1))
    }

    /// Where a bar begins, and how wide it is.
    fn bar(&self, index: usize) -> (i64, i64) {
        let (begin, end) = (self.begin(index), self.begin(index + 1));
        let gap = ((end - begin) / 5).max(i64::from(end - begin > 2));
        let width = (end - begin - gap).clamp(1, 60);
        (i64::midpoint(begin, end) - width / 2, width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[&str]) -> Vec<Point> {
        values.iter().enumerate().map(|(day, value)| Point::new(format!("{} Nov", day + 1), *value)).collect()
    }

    fn drawn(form: Form, values: &[&str]) -> String {
        let points = points(values);
        let all = Chart {
            id: "c",
            title: "Cost by day",
            description: "What it cost.",
            labels: "Day",
            unit: "EUR",
            form,
            points: &points,
        };
        chart(&all).into_string()
    }

    #[test]
    fn a_chart_is_an_image_with_title_and_description_and_its_table_has_every_digit() {
        let html = drawn(Form::Bars, &["0.1", "12.345678901234", "3"]);
        for part in [
            "role=\"img\"",
            "aria-labelledby=\"c-title c-description\"",
            "<title id=\"c-title\">Cost by day</title>",
            "the highest is 12.345678901234 EUR (2 Nov)",
            "<span class=\"n\">12.345678901234</span>",
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
        assert_eq!(html.matches("<rect").count(), 3);
        assert!(!html.contains("style="), "{html}");
    }

    #[test]
    fn steps_are_round_and_everything_is_within_the_drawing() {
        let steps: Vec<_> = [0, 1, 3, 7, 11, 26, 99, 1_000_001].into_iter().map(round_step).collect();
        assert_eq!(steps, [1, 1, 5, 10, 20, 50, 100, 2_000_000]);
        let largest = "999999999999999999";
        for values in [&["0", "0"][..], &["-3", "5"], &["-7.5"], &["0.000000000001"], &[largest, "-999999999999999999"]]
        {
            let points = points(values);
            let scale = Scale::of(&points);
            assert!((2..=12).contains(&scale.ticks().len()), "{values:?} {scale:?}");
            for point in &points {
                assert!((TOP..=HEIGHT - BOTTOM).contains(&scale.y(point.units().unwrap())), "{values:?}");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_a_gap_and_stands_in_the_table() {
        let html = drawn(Form::Line, &["1", "unknown", "2", "3"]);
        assert_eq!(html.matches('M').count() - html.matches("Most").count(), 2, "{html}");
        assert!(html.contains(">unknown<"));
        assert!(drawn(Form::Bars, &["unknown"]).contains("nothing to draw"));
        let nothing = drawn(Form::Bars, &["0", "0.00"]);
        assert!(nothing.contains("Each value is 0.") && !nothing.contains("<svg") && nothing.contains(">0.00<"));
    }

    #[test]
    fn of_many_values_few_are_labelled() {
        let values = vec!["1"; 400];
        let html = drawn(Form::Bars, &values);
        assert_eq!(html.matches("<rect").count(), 400);
        assert!(html.matches("text-anchor=\"middle\"").count() <= LABELS_MAX);
    }
}
