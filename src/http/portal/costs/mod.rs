//! `/costs`: what was used in some months and what it costs, by whom or by what, over time. Each amount is the API's; a click on what it
//! is of leads one step further, down to one instance ([`instance`]) and what was reported of it.
//!
//! [`statements`] are months as they were charged, [`budgets`] what they may come to.

pub mod budgets;
pub mod instance;
pub mod statements;
mod sums;

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::{Markup, html};
use serde::Deserialize;

use self::sums::{Group, Sums};
use super::chart::{Chart, Form, Point, chart};
use super::forms::Wrong;
use super::frame::Page;
use super::kit::{self, Line};
use super::visit::Visit;
use crate::app::App;
use crate::app::costs::{CostQuery, Unpriced};
use crate::domain::caller::Caller;
use crate::domain::cost::{Granularity, GroupKey};
use crate::domain::decimal::{Exact, minor_digits, plain, rounded};
use crate::domain::period::{Month, Zone};
use crate::domain::permission::Permission;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::permits::{Can, SeeCosts};

/// The query parameters of the page.
pub const QUERY: &[&str] = &["by", "from", "to", "tenant", "offering", "cost_center"];
/// Months that are looked at where nobody says.
const MONTHS: usize = 6;
/// Groups with a column of their own in the table over time.
const COLUMNS: usize = 5;
/// Rows of one table.
const ROWS_MAX: usize = 200;

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    by: String,
    from: String,
    to: String,
    tenant: String,
    offering: String,
    cost_center: String,
}

impl Wanted {
    fn by(&self) -> (GroupKey, &'static str) {
        match self.by.as_str() {
            "cost_center" => (GroupKey::CostCenter, "Cost center"),
            "offering" => (GroupKey::Offering, "Offering"),
            "instance" => (GroupKey::Instance, "Instance"),
            _ => (GroupKey::Tenant, "Tenant"),
        }
    }
}

/// `GET /costs`
///
/// # Errors
/// [`Failure`].
pub async fn show(
    who: Can<SeeCosts>,
    visit: Visit,
    app: Data<App>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let wanted = wanted.0;
    let zone = zone(&app);
    let this = Month::of(app.clock().now(), &zone);
    let first = (1..MONTHS).fold(this, |month, _| month.previous());
    let (from, to) = (wanted.from.parse::<Month>(), wanted.to.parse::<Month>());
    let mut wrong = Wrong::default();
    for (given, read, id) in [(&wanted.from, &from, "from"), (&wanted.to, &to, "to")] {
        if !given.is_empty() && read.is_err() {
            wrong = Wrong::field(id, "This must be a year and a month, such as 2026-11");
        }
    }
    let (from, to) = (from.unwrap_or(first), to.unwrap_or(this));
    let (key, label) = wanted.by();
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let query = CostQuery {
        from: Some(from.start(&zone)),
        to: Some(to.next().start(&zone)),
        group_by: vec![key.clone()],
        granularity: if from == to { Granularity::Day } else { Granularity::Month },
        tenant: some(&wanted.tenant),
        instance: None,
        offering: some(&wanted.offering),
        cost_center: some(&wanted.cost_center),
    };
    let report = if wrong.is_any() {
        None
    } else {
        match app.costs(&who.sight, query).await {
            Ok(report) => Some(report),
            Err(error) => {
                wrong = Wrong::of(error, &[])?;
                None
            }
        }
    };
    let sums = report.as_ref().map(|report| Sums::of(report, &zone, from == to));
    let currency = report.as_ref().and_then(|report| report.currency.clone());
    Ok(Page::new(&visit, "Costs").status(wrong.status()).show(html! {
        (tabs("/costs", &who.caller))
        (wrong.above())
        (filters(&wanted, from, to, &wrong))
        @match (&sums, &currency) {
            (Some(sums), Some(currency)) if !sums.groups.is_empty() => {
                (overview(sums, currency, label, from == to))
                (groups(sums, currency, &wanted, &key, label, (from, to)))
                (over_time(sums, currency, from == to, &visit))
            },
            (Some(_), Some(_)) => { (kit::empty("Nothing was charged in this time", "Take a longer time, or take back what narrows it.", None)) },
            (Some(_), None) => { (kit::empty("There are no prices yet", "As soon as somebody of finance has added a price book, costs stand here.", None)) },
            (None, _) => {},
        }
        @if let Some(report) = &report { (unpriced(&report.unpriced)) }
        (kit::same_by_program(&by_curl(&wanted, &key, from, to, &zone), Some(&format!("bourse cost --by {key}"))))
    }))
}

/// The parts of what has to do with money, as far as somebody may see them.
pub(in crate::http::portal) fn tabs(here: &str, caller: &Caller) -> Markup {
    let all = [
        ("Costs", "/costs", Permission::SeeCosts),
        ("Statements", "/costs/statements", Permission::SeeStatements),
        ("Budgets", "/costs/budgets", Permission::SeeBudgets),
        ("Proposed prices", "/costs/proposals", Permission::SeePriceProposals),
    ];
    html! {
        nav.tabs aria-label="Costs" {
            ul {
                @for (name, path, permission) in all {
                    @if permission.sight(caller).is_some() {
                        li { a href=(path) aria-current=[(path == here).then_some("page")] { (name) } }
                    }
                }
            }
        }
    }
}

/// The calendar of the hub.
pub(super) fn zone(app: &App) -> Zone {
    Zone::from(app.config().billing.time_zone.clone())
}

/// An amount with its currency, to the currency's digits.
pub(super) fn money(amount: &Exact, currency: &str) -> String {
    format!("{} {currency}", rounded(amount, minor_digits(currency)))
}

/// How much of something: the unit `1` is not said.
pub(super) fn quantity(number: &str, unit: &str) -> String {
    if unit == "1" { number.to_owned() } else { format!("{number} {unit}") }
}

fn filters(wanted: &Wanted, from: Month, to: Month, wrong: &Wrong) -> Markup {
    let keys =
        [("tenant", "Tenant"), ("cost_center", "Cost center"), ("offering", "Offering"), ("instance", "Instance")];
    let month = |name, label, value| {
        kit::line(&Line {
            name,
            label,
            value,
            kind: "month",
            hint: "A month, such as 2026-11",
            required: true,
            wrong: wrong.at(name),
            ..Line::default()
        })
    };
    let given = |text: &str, month: Month| if text.is_empty() { month.to_string() } else { text.to_owned() };
    let (first, last) = (given(&wanted.from, from), given(&wanted.to, to));
    let only = [("tenant", &wanted.tenant), ("offering", &wanted.offering), ("cost_center", &wanted.cost_center)];
    let only: Vec<_> = only.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    html! {
        form.filters method="get" action="/costs" {
            (kit::choice("by", "Costs by", &keys, if wanted.by.is_empty() { "tenant" } else { &wanted.by }))
            (month("from", "From", &first))
            (month("to", "To and with", &last))
            @for (name, value) in &only { input type="hidden" name=(name) value=(value); }
            button.second type="submit" { "Show" }
        }
        @if !only.is_empty() {
            p.tags {
                @for (name, value) in &only {
                    @let all = kit::with(&address(wanted, from, to), name, "");
                    a.badge.plain href=(all) { "Only " (name.replace('_', " ")) " " (value) span.hidden-text { " (choose to take it back)" } " ×" }
                }
            }
        }
    }
}

/// The address of what is shown.
fn address(wanted: &Wanted, from: Month, to: Month) -> String {
    let pairs = [
        ("by", wanted.by.clone()),
        ("from", from.to_string()),
        ("to", to.to_string()),
        ("tenant", wanted.tenant.clone()),
        ("offering", wanted.offering.clone()),
        ("cost_center", wanted.cost_center.clone()),
    ];
    pairs.iter().fold("/costs".to_owned(), |address, (name, value)| kit::with(&address, name, value))
}

fn overview(sums: &Sums, currency: &str, label: &str, days: bool) -> Markup {
    let digits = minor_digits(currency);
    let points: Vec<Point> =
        sums.windows.iter().map(|(name, total)| Point::new(name.as_str(), rounded(total, digits))).collect();
    let window = if days { "Day" } else { "Month" };
    html! {
        p.lead { "Together " strong { (money(&sums.total, currency)) } }
        (chart(&Chart {
            id: "over-time",
            title: if days { "Costs by day" } else { "Costs by month" },
            description: &format!("Costs of all that is listed below by {}.", label.to_lowercase()),
            labels: window,
            unit: currency,
            form: Form::Bars,
            points: &points,
        }))
    }
}

fn groups(sums: &Sums, currency: &str, wanted: &Wanted, key: &GroupKey, label: &str, time: (Month, Month)) -> Markup {
    let row = |group: &Group| {
        let name = group.label(key);
        vec![
            html! { @match further(group, wanted, key, time) { Some(address) => { a href=(address) { (name) } }, None => { (name) } } },
            html! { span.n { (money(&group.total, currency)) } },
            html! { span.n { (share(&group.total, &sums.total)) } },
        ]
    };
    let rows: Vec<_> = sums.groups.iter().take(ROWS_MAX).map(row).collect();
    let more = sums.groups.len().saturating_sub(ROWS_MAX);
    html! {
        section aria-labelledby="groups" {
            h2 id="groups" { "By " (label.to_lowercase()) }
            (kit::table(&format!("Costs by {}", label.to_lowercase()), &[label, "Amount", "Share"], &rows))
            @if more > 0 { p.under { (more) " more are not shown: narrow it down." } }
        }
    }
}

/// One step further into a group.
fn further(group: &Group, wanted: &Wanted, key: &GroupKey, (from, to): (Month, Month)) -> Option<String> {
    let value = group.id.as_deref().filter(|value| !value.is_empty())?;
    let here = address(wanted, from, to);
    Some(match key {
        GroupKey::Tenant => kit::with(&kit::with(&here, "tenant", value), "by", "offering"),
        GroupKey::CostCenter => kit::with(&kit::with(&here, "cost_center", value), "by", "tenant"),
        GroupKey::Offering => kit::with(&kit::with(&here, "offering", value), "by", "instance"),
        GroupKey::Instance => format!("/costs/instances/{}?month={to}", kit::part(value)),
        _ => return None,
    })
}

fn over_time(sums: &Sums, currency: &str, days: bool, visit: &Visit) -> Markup {
    let digits = minor_digits(currency);
    let columns: Vec<&Group> = sums.groups.iter().take(COLUMNS).collect();
    let others = sums.groups.len() > COLUMNS;
    let names: Vec<String> = columns.iter().map(|group| group.short()).collect();
    let mut heads = vec![if days { "Day" } else { "Month" }];
    heads.extend(names.iter().map(String::as_str));
    if others {
        heads.push("Others");
    }
    heads.push("Together");
    let row = |(name, total): &(String, Exact)| {
        let month = |name: &str| {
            html! {
                @if days { (name) } @else { a href=(kit::with(&kit::with(&visit.address, "from", name), "to", name)) { (name) } }
            }
        };
        let mut cells = vec![month(name)];
        let mut rest = total.clone();
        for group in &columns {
            let amount = group.at(name);
            rest -= &amount;
            cells.push(html! { span.n { (rounded(&amount, digits)) } });
        }
        if others {
            cells.push(html! { span.n { (rounded(&rest, digits)) } });
        }
        cells.push(html! { span.n { (rounded(total, digits)) } });
        cells
    };
    let rows: Vec<_> = sums.windows.iter().map(row).collect();
    html! {
        section aria-labelledby="time" {
            h2 id="time" { "Over time" }
            (kit::table(&format!("Costs in {currency}, {}", if days { "by day" } else { "by month" }), &heads, &rows))
        }
    }
}

/// A part of a whole in percent.
fn share(part: &Exact, whole: &Exact) -> String {
    if *whole == crate::domain::decimal::zero() {
        return "0 %".to_owned();
    }
    let hundred = Exact::from_integer(100.into());
    format!("{} %", rounded(&(part * hundred / whole), 1))
}

fn unpriced(found: &[Unpriced]) -> Markup {
    if found.is_empty() {
        return html! {};
    }
    let row = |one: &Unpriced| {
        let name = one.instance_name.as_deref().unwrap_or(&one.instance_id);
        vec![
            html! { a href={ "/costs/instances/" (kit::part(&one.instance_id)) } { (name) } },
            html! { (one.tenant) },
            html! { (one.offering) " " (one.plan) },
            html! { (one.meter) },
            html! { span.n { (quantity(&plain(&one.quantity), &one.unit)) } },
        ]
    };
    let rows: Vec<_> = found.iter().take(ROWS_MAX).map(row).collect();
    html! {
        section aria-labelledby="unpriced" {
            h2 id="unpriced" { "Used, and without a price" }
            p { "No price book says what this costs. It is in none of the amounts above." }
            (kit::table("What was used and has no price", &["Instance", "Tenant", "Plan", "Meter", "Quantity"], &rows))
        }
    }
}

fn by_curl(wanted: &Wanted, key: &GroupKey, from: Month, to: Month, zone: &Zone) -> String {
    let granularity = if from == to { "day" } else { "month" };
    let mut query = vec![
        ("from", from.start(zone).to_string()),
        ("to", to.next().start(zone).to_string()),
        ("group_by", key.to_string()),
        ("granularity", granularity.to_owned()),
    ];
    for (name, value) in
        [("tenant", &wanted.tenant), ("offering", &wanted.offering), ("cost_center", &wanted.cost_center)]
    {
        if !value.is_empty() {
            query.push((name, value.clone()));
        }
    }
    let query = serde_urlencoded::to_string(query).unwrap_or_default();
    format!("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/costs?{query}\"")
}
