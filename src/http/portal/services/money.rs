//! What a service costs: its prices, this month so far by day and by meter, as charts with their tables.

use maud::{Markup, html};

use super::super::chart::{Chart, Form, Point, chart};
use super::super::kit::{self, Tone};
use super::super::shown;
use crate::app::costs::CostSoFar;
use crate::app::services::money::{MeterOfOne, MonthOfOne};
use crate::app::services::one::Service;
use crate::domain::decimal::{Exact, minor_digits, plain, rounded, zero};
use crate::domain::meter::{INSTANCE, SETUP};

/// Charts of meters on one page.
const CHARTS_MAX: usize = 4;

/// An amount as it stands on a bill; what would be nothing there and is something is told as such.
pub(super) fn amount(value: &Exact, currency: &str) -> String {
    let (places, least) = (minor_digits(currency), "1");
    let text = rounded(value, places);
    let is_nothing = text.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-'));
    if !is_nothing || *value == zero() {
        return format!("{text} {currency}");
    }
    let digits = usize::try_from(places).unwrap_or_default();
    match digits {
        0 => format!("less than {least} {currency}"),
        _ => format!("less than 0.{least:0>digits$} {currency}"),
    }
}

/// What something cost so far, in a list; `was_ready` where it could be used at all.
pub(super) fn so_far(cost: Option<&CostSoFar>, was_ready: bool) -> Markup {
    html! {
        @match cost {
            Some(cost) => {
                span.n { (amount(&cost.amount, &cost.currency)) }
                @if cost.unpriced { " " (kit::badge(Tone::Warn, "part has no price")) }
            },
            None => { span.under { @if was_ready { "no price" } @else { "nothing yet" } } },
        }
    }
}

/// Usage and cost of this month.
pub(super) fn money(service: &Service) -> Markup {
    let Some(month) = &service.money else {
        return html! { p.under { "What it costs is for its tenant and for finance to see." } };
    };
    let currency = month.currency.as_deref().unwrap_or_default();
    html! {
        (kit::facts(&[
            ("Price", html! {
                @match &service.price {
                    Some(price) => { ul.plain { @for line in &price.lines { li { (line.words(&price.tariffs.currency)) } } } },
                    None => { "No price book says what its plan costs." },
                }
            }),
            ("Cost this month", html! {
                @if month.currency.is_none() { "There is no price book yet." }
                @else if month.meters.iter().any(|meter| meter.amount.is_some()) {
                    strong { (amount(&month.amount, currency)) } " since " (shown::day(month.from))
                }
                @else { "Nothing that has a price was used since " (shown::day(month.from)) "." }
            }),
        ]))
        @if month.meters.is_empty() { p.under { "Nothing was used this month." } }
        @else {
            @if month.amount != zero() { (chart(&by_day(currency, &cost_points(month, currency)))) }
            (meters(month, currency))
            @for (index, meter) in month.meters.iter().filter(|meter| charted(meter)).take(CHARTS_MAX).enumerate() {
                @let points: Vec<Point> =
                    month.days.iter().zip(&meter.days).map(|((day, _), quantity)| Point::new(day, plain(quantity))).collect();
                (chart(&Chart {
                    id: &format!("usage-{index}"),
                    title: &format!("{} by day", meter.meter),
                    description: "How much was used on each day of this month.",
                    labels: "Day",
                    unit: &meter.unit,
                    form: Form::Bars,
                    points: &points,
                }))
            }
        }
    }
}

/// How long it was ready, and what was not used, is told by the table alone.
fn charted(meter: &MeterOfOne) -> bool {
    ![INSTANCE, SETUP].contains(&meter.meter.as_str()) && meter.days.iter().any(|day| *day != zero())
}

fn cost_points(month: &MonthOfOne, currency: &str) -> Vec<Point> {
    // A day's share is told more exactly than a bill: days of a small service would all be 0.00.
    let digits = minor_digits(currency) + 2;
    month.days.iter().map(|(day, cost)| Point::new(day, rounded(cost, digits))).collect()
}

fn by_day<'a>(currency: &'a str, points: &'a [Point]) -> Chart<'a> {
    Chart {
        id: "cost",
        title: "Cost by day",
        description: "What it cost on each day of this month.",
        labels: "Day",
        unit: currency,
        form: Form::Bars,
        points,
    }
}

fn meters(month: &MonthOfOne, currency: &str) -> Markup {
    let rows: Vec<Vec<Markup>> = month
        .meters
        .iter()
        .map(|meter| {
            vec![
                html! { code { (meter.meter) } },
                html! { span.n { (used(meter)) } },
                html! {
                    @match &meter.amount {
                        Some(cost) => { span.n { (amount(cost, currency)) } },
                        None => { (kit::badge(Tone::Warn, "no price")) },
                    }
                },
            ]
        })
        .collect();
    kit::table("Used this month, by meter", &["Meter", "Used", "Cost"], &rows)
}

/// How much of a meter was used; how long it was ready in words.
fn used(meter: &MeterOfOne) -> String {
    let whole = rounded(&meter.quantity, 0).parse::<u64>();
    match whole {
        Ok(seconds) if meter.meter == INSTANCE && meter.unit == "s" => {
            format!("ready for {}", shown::duration(seconds))
        }
        _ if meter.unit == "1" => quantity(&meter.quantity),
        _ => format!("{} {}", quantity(&meter.quantity), meter.unit),
    }
}

/// Enough digits to tell one quantity from another.
fn quantity(value: &Exact) -> String {
    let text = rounded(value, 3);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_less_than_the_least_coin_is_not_told_as_nothing() {
        let exact = |text: &str| text.parse::<crate::domain::decimal::Decimal>().unwrap().exact();
        for (value, currency, told) in [
            ("0", "EUR", "0.00 EUR"),
            ("0.001", "EUR", "less than 0.01 EUR"),
            ("12.345", "EUR", "12.34 EUR"),
            ("0.2", "JPY", "less than 1 JPY"),
            ("0.0001", "KWD", "less than 0.001 KWD"),
        ] {
            assert_eq!(amount(&exact(value), currency), told);
        }
    }
}
