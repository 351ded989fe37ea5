//! `/costs/statements`: months as they were charged, and those that are still open. One is at `/costs/statements/{tenant}/{month}`, to
//! be read, printed, and taken along as CSV or JSON: the bytes are those of the API.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;

use super::{money, quantity, tabs, zone};
use crate::app::statements::{ClosedRow, Shown};
use crate::app::tenants::TenantView;
use crate::app::{self, App};
use crate::domain::decimal::read;
use crate::domain::period::Month;
use crate::domain::permission::Permission;
use crate::domain::statement::{Line, State, Statement};
use crate::http::admin::statements::csv;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, page};
use crate::http::permits::{Can, SeeBooks, SeeStatements};
use crate::http::portal::fields::Fields;
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

/// The query parameters of the page.
pub const QUERY: &[&str] = &["tenant", "month", "after", "cursor"];
/// Entries of one page.
const SHOWN: u32 = 50;
/// Lines of a statement that a page shows; its exports have them all.
const LINES_MAX: usize = 1000;

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    tenant: String,
    month: String,
    /// Of the tenants' list.
    after: Option<String>,
    /// Of the list of closed months.
    cursor: Option<String>,
}

/// `GET /costs/statements`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeStatements>,
    visit: Visit,
    app: Data<App>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let wanted = wanted.0;
    if !wanted.tenant.is_empty() && wanted.month.parse::<Month>().is_ok() {
        return Ok(visit.to(&address(&wanted.tenant, &wanted.month)));
    }
    let this = Month::of(app.clock().now(), &zone(&app));
    let tenants: PageOut<TenantView> =
        app.tenants(&who.sight, &page(Some(SHOWN), wanted.after.as_deref())?).await?.into();
    let closed: PageOut<ClosedRow> =
        app.closed_statements(&who.sight, None, None, &page(Some(SHOWN), wanted.cursor.as_deref())?).await?.into();
    let books = Permission::SeeBooks.sight(&who.caller).is_some();
    let open = tenants.items.iter().map(|view| {
        let name = &view.tenant.name;
        let link = |month: Month| html! { a href=(address(name, &month.to_string())) { (month) } };
        vec![called(&view.tenant.document.display_name, name), link(this), link(this.previous())]
    });
    let open: Vec<_> = open.collect();
    Ok(Page::new(&visit, "Statements").above(kit::trail(&[("Costs", "/costs")])).show(html! {
        (tabs("/costs/statements", &who.caller))
        section aria-labelledby="open" {
            h2 id="open" { "By tenant" }
            @if open.is_empty() { (kit::empty("There is no tenant that you see", "An owner of a tenant can make you a member.", None)) }
            @else { (kit::table("Tenants and their latest months", &["Tenant", "This month so far", "The month before"], &open)) }
            @if let Some(next) = &tenants.next { p { a href=(kit::with(&visit.address, "after", next)) { "More tenants" } } }
        }
        section aria-labelledby="closed" {
            h2 id="closed" { "Closed months" }
            @if closed.items.is_empty() {
                p { "No month is closed yet. A month is closed some days after it is over, when everything that belongs to it has arrived; from then on it never changes." }
            } @else { (closed_table(&closed.items)) }
            (kit::pager(&visit, closed.next.as_deref()))
        }
        @if books { (exports(this)) }
        (kit::same_by_program(
            "curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/statements/closed\"",
            None,
        ))
    }))
}

fn called(display_name: &str, name: &str) -> Markup {
    html! { (display_name) @if display_name != name { " " span.under { (name) } } }
}

fn address(tenant: &str, month: &str) -> String {
    format!("/costs/statements/{}/{}", kit::part(tenant), kit::part(month))
}

fn closed_table(rows: &[ClosedRow]) -> Markup {
    let row = |row: &ClosedRow| {
        let amount = match (&row.total, &row.currency) {
            (Some(total), Some(currency)) => format!("{total} {currency}"),
            _ => "no prices".to_owned(),
        };
        vec![
            html! { a href=(address(&row.tenant_id, &row.period.to_string())) { (row.period) " " (row.tenant) } },
            html! { span.n { (amount) } },
            shown::time(row.closed_at),
        ]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    kit::table("Closed months, earliest first", &["Month", "Amount", "Closed"], &rows)
}

fn exports(month: Month) -> Markup {
    html! {
        section aria-labelledby="exports" {
            h2 id="exports" { "Exports" }
            p { "All tenants' costs of a month by FOCUS, the form that tools for cloud costs read." }
            form.filters method="get" action="/costs/focus" {
                (kit::line(&kit::Line { name: "period", label: "Month", value: &month.to_string(), kind: "month", hint: "Such as 2026-11", required: true, ..kit::Line::default() }))
                (kit::choice("version", "Version", &[("1.2", "FOCUS 1.2"), ("1.0", "FOCUS 1.0")], "1.2"))
                button.second type="submit" { "Download CSV" }
            }
        }
    }
}

async fn shown_of(who: &Can<SeeStatements>, app: &App, tenant: &str, month: &str) -> Result<Shown, Failure> {
    Ok(app.statement(&who.sight, tenant, read_month(month)?).await?)
}

fn read_month(text: &str) -> Result<Month, Failure> {
    text.parse().map_err(|_| app::Error::not_found("month", text).into())
}

/// `GET /costs/statements/{tenant}/{month}`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn show(
    who: Can<SeeStatements>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    let (tenant, month) = path.into_inner();
    let shown = shown_of(&who, &app, &tenant, &month).await?;
    let verifies = Permission::SeeBooks.sight(&who.caller).is_some();
    Ok(answer(&visit, &shown, verifies, html! {}))
}

/// `POST /costs/statements/{tenant}/{month}`: computes a closed month again and says whether it is the same.
///
/// # Errors
/// 404 where it is not closed.
pub async fn verify(
    who: Can<SeeBooks>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String)>,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    let (tenant, month) = path.into_inner();
    let month = read_month(&month)?;
    let restated = app.restate(&tenant, month).await?;
    let shown = app.statement(&who.sight, &tenant, month).await?;
    let said = if restated.digest == restated.restated_digest {
        kit::notice(Tone::Good, &html! { p { "Computed again from its facts, this month comes to the same bytes." } })
    } else {
        kit::notice(
            Tone::Bad,
            &html! {
                p { "Computed again from its facts, this month comes to something else. Tell whoever runs this hub:" }
                p { "kept " code { (restated.digest) } ", computed " code { (restated.restated_digest) } }
            },
        )
    };
    Ok(answer(&visit, &shown, true, said))
}

/// `GET /costs/statements/{tenant}/{month}/csv`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn as_csv(
    who: Can<SeeStatements>,
    app: Data<App>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    let (tenant, month) = path.into_inner();
    let Shown { statement, .. } = shown_of(&who, &app, &tenant, &month).await?;
    Ok(download(&statement, "csv", "text/csv; charset=utf-8; header=present").body(csv::of(&statement)))
}

/// `GET /costs/statements/{tenant}/{month}/json`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn as_json(
    who: Can<SeeStatements>,
    app: Data<App>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    let (tenant, month) = path.into_inner();
    let Shown { statement, bytes, .. } = shown_of(&who, &app, &tenant, &month).await?;
    Ok(download(&statement, "json", "application/json").body(bytes))
}

fn download(statement: &Statement, ending: &str, kind: &str) -> actix_web::HttpResponseBuilder {
    let name = format!("statement-{}-{}.{ending}", statement.tenant.name, statement.period);
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, kind));
    response.insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
    response
}

fn answer(visit: &Visit, found: &Shown, verifies: bool, said: Markup) -> HttpResponse {
    let statement = &found.statement;
    let title = format!("Statement of {}, {}", statement.tenant.display_name, statement.period);
    let trail = kit::trail(&[("Costs", "/costs"), ("Statements", "/costs/statements")]);
    let query = [("tenant", statement.tenant.name.as_str()), ("period", &statement.period.to_string())];
    let query = serde_urlencoded::to_string(query).unwrap_or_default();
    Page::new(visit, &title).above(trail).show(html! {
        (said)
        (standing(statement))
        (kit::facts(&[
            ("Tenant", called(&statement.tenant.display_name, &statement.tenant.name)),
            ("Month", html! { (statement.period) ", by the calendar of " (statement.time_zone) }),
            ("Comes to", html! { strong { (total(statement)) } }),
            ("Known at", shown::time(statement.known_at)),
        ]))
        p.actions {
            a.button.second href={ (visit.path()) "/csv" } { "Download CSV" }
            a.button.second href={ (visit.path()) "/json" } { "Download JSON" }
            @if verifies {
                a.button.second href={ "/costs/focus?tenant=" (kit::part(&statement.tenant.name)) "&period=" (statement.period) } { "Download FOCUS" }
            }
        }
        p.under { "To keep it on paper or as PDF, print this page: only the statement is printed." }
        (subtotals(statement))
        (lines(statement))
        @if let Some(digest) = &found.digest {
            section aria-labelledby="proof" {
                h2 id="proof" { "Proof" }
                p { "SHA-256 of its JSON: " code { (digest) } }
                @if verifies {
                    form method="post" action=(visit.path()) {
                        (kit::csrf(visit))
                        button.second type="submit" { "Compute it again and compare" }
                    }
                }
            }
        }
        (kit::same_by_program(
            &format!("curl -H \"Authorization: Bearer $TOKEN\" -H 'Accept: text/csv' \"$HUB/api/v1/statements?{query}\""),
            None,
        ))
    })
}

fn total(statement: &Statement) -> String {
    match (&statement.total, &statement.currency) {
        (Some(total), Some(currency)) => format!("{total} {currency}"),
        _ => "no prices".to_owned(),
    }
}

fn standing(statement: &Statement) -> Markup {
    match statement.state {
        State::Preview => kit::notice(
            Tone::Busy,
            &html! { p { "This month is not over: the statement shows what is known so far." } },
        ),
        State::Grace => kit::notice(
            Tone::Busy,
            &html! { p { "This month is over and not closed yet: late usage still counts in it." } },
        ),
        State::Closed => kit::notice(
            Tone::Good,
            &html! { p { "This month is closed: it never changes. What became known later is corrected in later months." } },
        ),
    }
}

fn subtotals(statement: &Statement) -> Markup {
    if statement.subtotals.len() < 2 {
        return html! {};
    }
    let currency = statement.currency.as_deref().unwrap_or_default();
    let rows = statement.subtotals.iter().map(|one| {
        vec![
            html! { @if one.cost_center.is_empty() { "no cost center" } @else { (one.cost_center) } },
            html! { span.n { (one.amount) " " (currency) } },
        ]
    });
    let rows: Vec<_> = rows.collect();
    html! {
        section aria-labelledby="centers" {
            h2 id="centers" { "By cost center" }
            (kit::table("Amounts by cost center", &["Cost center", "Amount"], &rows))
        }
    }
}

fn lines(statement: &Statement) -> Markup {
    let currency = statement.currency.as_deref().unwrap_or_default();
    let told = |amount: &str| read(amount).map_or_else(|_| amount.to_owned(), |amount| money(&amount, currency));
    let row = |line: &Line| {
        let what = &line.what;
        let name = what.instance_name.as_deref().unwrap_or(&what.platform_instance_id);
        vec![
            html! {
                a href={ "/costs/instances/" (kit::part(&what.instance_id)) "?month=" (statement.period) } { (name) }
                @if let Some(month) = what.corrects { " " (kit::badge(Tone::Warn, &format!("corrects {month}"))) }
            },
            html! { (what.offering) " " (what.plan) },
            html! { (what.meter) },
            html! { span.n { (quantity(&line.quantity, &what.unit)) } },
            html! { span.n { (told(&line.amount)) } },
            html! { (shown::day(line.from)) " to " (shown::day(line.to)) },
        ]
    };
    let rows: Vec<_> = statement.lines.iter().take(LINES_MAX).map(row).collect();
    let none: Vec<_> = statement
        .unpriced
        .iter()
        .take(LINES_MAX)
        .map(|line| {
            vec![
                html! {
                (line.what.instance_name.as_deref().unwrap_or(&line.what.platform_instance_id))
                @if let Some(month) = line.what.corrects { " " (kit::badge(Tone::Warn, &format!("corrects {month}"))) }
            },
                html! { (line.what.offering) " " (line.what.plan) },
                html! { (line.what.meter) },
                html! { span.n { (quantity(&line.quantity, &line.what.unit)) } },
            ]
        })
        .collect();
    html! {
        section aria-labelledby="lines" {
            h2 id="lines" { "Line by line" }
            @if rows.is_empty() { p { "Nothing was charged in this month." } }
            @else { (kit::table("Lines of the statement", &["Instance", "Plan", "Meter", "Quantity", "Amount", "Time"], &rows)) }
            @if statement.lines.len() > LINES_MAX { p.under { "The first " (LINES_MAX) " of " (statement.lines.len()) " lines. The downloads have them all." } }
        }
        @if !none.is_empty() {
            section aria-labelledby="unpriced" {
                h2 id="unpriced" { "Used, and without a price" }
                (kit::table("What was used and has no price", &["Instance", "Plan", "Meter", "Quantity"], &none))
            }
        }
    }
}
