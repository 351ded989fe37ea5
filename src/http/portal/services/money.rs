//! What a service costs: its prices, this month so far by day and by meter, as charts with their tables.

use maud::{Markup, html};

use super::super::chart::{Chart, Form, Point, chart};
use super::super::kit::{self, Tone};
use super::super::shown;
use crate::app::costs::CostSoFar;
use crate::app::services::money::MonthOfOne;
use crate::app::services::one::Service;
use crate::domain::decimal::{Exact, minor_digits, plain, rounded};
use crate::domain::meter::INSTANCE;

/// Charts of meters on one page.
const CHARTS_MAX: usize = 4;

/// An amount as it stands on a bill.
pub(super) fn amount(value: &Exact, currency: &str) -> String {
    format!("{} {currency}", rounded(value, minor_digits(currency)))
}

/// What something cost so far, in a list.
pub(super) fn so_far(cost: Option<&CostSoFar>) -> Markup {
    html! {
        @match cost {
            Some(cost) => {
                span.n { (amount(&cost.amount, &cost.currency)) }
                @if cost.unpriced { " " (kit::badge(Tone::Warn, "part has no price")) }
            },
            None => { span.under { "no price" } },
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
                @if month.currency.is_some() { strong { (amount(&month.amount, currency)) } " since " (shown::day(month.from)) }
                @else { "There is no price book yet." }
            }),
        ]))
        @if month.meters.is_empty() { p.under { "Nothing was used this month." } }
        @else {
            @if !currency.is_empty() { (chart(&by_day(currency, &cost_points(month, currency)))) }
            (meters(month, currency))
            @for (index, meter) in month.meters.iter().filter(|meter| meter.meter != INSTANCE).take(CHARTS_MAX).enumerate() {
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
                html! { span.n { (quantity(&meter.quantity)) " " (meter.unit) } },
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

/// Enough digits to tell one quantity from another.
fn quantity(value: &Exact) -> String {
    let text = rounded(value, 3);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
