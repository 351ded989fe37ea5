//! `/costs/instances/{id}`: what one instance costs in a month, day by day and meter by meter, and what was reported of it.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;

use super::sums::Sums;
use super::{money, quantity as told, zone};
use crate::app::App;
use crate::app::costs::{CostQuery, CostReport};
use crate::app::usage::{UsageQuery, UsageReading};
use crate::domain::cost::Granularity;
use crate::domain::decimal::{Exact, minor_digits, plain, rounded, zero};
use crate::domain::period::Month;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, page};
use crate::http::permits::{Can, SeeCosts};
use crate::http::portal::chart::{Chart, Form, Point, chart};
use crate::http::portal::frame::Page;
use crate::http::portal::kit;
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

/// The query parameters of the page.
pub const QUERY: &[&str] = &["month", "cursor"];
/// Readings on one page.
const SHOWN: u32 = 50;

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    month: String,
    cursor: Option<String>,
}

/// `GET /costs/instances/{id}`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn show(
    who: Can<SeeCosts>,
    visit: Visit,
    app: Data<App>,
    id: Path<String>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let at = page(Some(SHOWN), wanted.0.cursor.as_deref())?;
    let zone = zone(&app);
    let this = Month::of(app.clock().now(), &zone);
    let month = wanted.0.month.parse::<Month>().unwrap_or(this);
    let instance = app.instance(&who.sight, &id).await?.instance;
    let (from, to) = (month.start(&zone), month.next().start(&zone));
    let query = CostQuery {
        from: Some(from),
        to: Some(to),
        granularity: Granularity::Day,
        instance: Some(instance.row.id.clone()),
        ..CostQuery::default()
    };
    let report = app.costs(&who.sight, query).await?;
    let usage = UsageQuery {
        instance: Some(instance.row.id.clone()),
        from: Some(from),
        until: Some(to),
        ..UsageQuery::default()
    };
    let readings: PageOut<UsageReading> = app.usage_events(&who.sight, usage, &at).await?.into();
    let name = instance.row.name.as_deref().unwrap_or(&instance.row.platform_instance_id);
    let title = format!("Costs of {name}");
    let trail = kit::trail(&[("Costs", "/costs")]);
    let here = |month: Month| format!("{}?month={month}", visit.path());
    Ok(Page::new(&visit, &title).above(trail).show(html! {
        (kit::facts(&[
            ("For", html! { (instance.tenant) }),
            ("What", html! { (instance.offering) " " (instance.plan) }),
            ("Month", html! { (month) }),
            ("Bourse's own id", html! { code { (instance.row.id) } }),
        ]))
        nav.pager aria-label="Months" {
            a rel="prev" href=(here(month.previous())) { (month.previous()) }
            @if month < this { a rel="next" href=(here(month.next())) { (month.next()) } }
        }
        (costs(&report, &zone))
        section aria-labelledby="readings" {
            h2 id="readings" { "What was reported" }
            @if readings.items.is_empty() {
                p { "Its service broker reported no usage in this month. Time for which it stands is counted by the hub itself." }
            } @else { (reported(&readings.items)) }
            (kit::pager(&visit, readings.next.as_deref()))
        }
        (kit::same_by_program(
            &format!("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/usage/events?instance={}\"", instance.row.id),
            None,
        ))
    }))
}

fn costs(report: &CostReport, zone: &crate::domain::period::Zone) -> Markup {
    let Some(currency) = report.currency.as_deref() else {
        return kit::empty("There are no prices yet", "As soon as there is a price book, costs stand here.", None);
    };
    let sums = Sums::of(report, zone, true);
    let digits = minor_digits(currency);
    let points: Vec<Point> =
        sums.windows.iter().map(|(name, total)| Point::new(name.as_str(), rounded(total, digits))).collect();
    let mut meters: BTreeMap<(&str, &str), (Exact, Exact)> = BTreeMap::new();
    for line in report.items.iter().flat_map(|item| &item.lines) {
        let (quantity, amount) = meters.entry((&line.meter, &line.unit)).or_insert_with(|| (zero(), zero()));
        *quantity += &line.quantity;
        *amount += &line.amount;
    }
    let priced = meters.iter().map(|((meter, unit), (quantity, amount))| {
        vec![
            html! { (meter) },
            html! { span.n { (told(&plain(quantity), unit)) } },
            html! { span.n { (money(amount, currency)) } },
        ]
    });
    let none = report.unpriced.iter().map(|one| {
        vec![html! { (one.meter) }, html! { span.n { (told(&plain(&one.quantity), &one.unit)) } }, html! { "no price" }]
    });
    let rows: Vec<_> = priced.chain(none).collect();
    html! {
        p.lead { "Together " strong { (money(&sums.total, currency)) } }
        (chart(&Chart {
            id: "days",
            title: "Costs by day",
            description: "Costs of this instance by day.",
            labels: "Day",
            unit: currency,
            form: Form::Bars,
            points: &points,
        }))
        section aria-labelledby="meters" {
            h2 id="meters" { "By meter" }
            @if rows.is_empty() { p { "Nothing was used in this month." } }
            @else { (kit::table("Costs by meter", &["Meter", "Quantity", "Amount"], &rows)) }
        }
    }
}

fn reported(readings: &[UsageReading]) -> Markup {
    let row = |reading: &UsageReading| {
        vec![
            shown::time(reading.place.at),
            html! { (reading.series.meter) },
            html! {
                span.n { (reading.quantity.map_or_else(|| "void".to_owned(), |quantity| quantity.to_string())) " " (reading.series.unit) }
            },
            html! {
                @match (&reading.corrects, &reading.corrected_by) {
                    (Some(id), _) => { "corrects " code { (id) } },
                    (None, Some(id)) => { "corrected by " code { (id) } },
                    (None, None) => { (reading.counted.map_or_else(|| "nothing".to_owned(), |counted| counted.to_string())) },
                }
            },
            html! { code { (reading.place.event_id) } },
            shown::time(reading.recorded_at),
        ]
    };
    let rows: Vec<_> = readings.iter().map(row).collect();
    kit::table(
        "Readings as they were reported",
        &["Counts at", "Meter", "Reported", "Counts", "Event", "Arrived"],
        &rows,
    )
}
