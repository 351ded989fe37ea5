//! `/approvals`: orders that wait for somebody's yes. First those that wait for whoever looks, then those that wait for others; what is
//! decided is a page of its own. One of them is in [`one`].

mod one;

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::{Markup, html};
use serde::Deserialize;

pub use one::{decide, show};

use super::catalog::price_of;
use super::frame::Page;
use super::kit::{self, Tone};
use super::shown;
use super::visit::Visit;
use crate::app::App;
use crate::app::approvals::{ApprovalFilter, ApprovalView};
use crate::domain::approval::{ApprovalState, Why};
use crate::domain::caller::Caller;
use crate::domain::tariff::Tariffs;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, page};
use crate::http::permits::{Can, SeeApprovals};

/// The query parameters of the page.
pub const QUERY: &[&str] = &["show", "tenant", "cursor"];
/// Approvals on one page.
const SHOWN: u32 = 50;

/// Which of them are looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    show: String,
    tenant: String,
    cursor: Option<String>,
}

/// `GET /approvals`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeApprovals>,
    visit: Visit,
    app: Data<App>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let wanted = wanted.0;
    let at = page(Some(SHOWN), wanted.cursor.as_deref())?;
    let tariffs = app.tariffs().await?;
    if wanted.show == "decided" {
        let listed: PageOut<ApprovalView> = app.approvals_decided(&who.sight, &at).await?.into();
        return Ok(Page::new(&visit, "Approvals").show(html! {
            (tabs("decided"))
            @if listed.items.is_empty() {
                (kit::empty("Nothing was decided yet", "Orders that were approved, denied, or that nobody decided in time are kept here.", None))
            } @else { (decided(&listed.items)) }
            (kit::pager(&visit, listed.next.as_deref()))
        }));
    }
    let listed: PageOut<ApprovalView> = app.approval_inbox(&who.caller, &at).await?.into();
    let mine: Vec<&str> = listed.items.iter().map(|view| view.row.id.as_str()).collect();
    let tenant = Some(wanted.tenant).filter(|tenant| !tenant.is_empty());
    let filter = ApprovalFilter { state: Some(ApprovalState::Pending), tenant };
    let first = page(Some(SHOWN), None)?;
    let all = if wanted.cursor.is_none() { app.approvals(&who.sight, filter, &first).await?.items } else { Vec::new() };
    let others: Vec<&ApprovalView> = all.iter().filter(|view| !mine.contains(&view.row.id.as_str())).collect();
    Ok(Page::new(&visit, "Approvals").show(html! {
        (tabs("waiting"))
        section aria-labelledby="yours" {
            h2 id="yours" { "For you to decide" }
            @if listed.items.is_empty() {
                (kit::empty("Nothing waits for you", "An order that needs your yes is here as soon as it is placed.", None))
            } @else {
                (waiting("Orders that wait for you", &listed.items.iter().collect::<Vec<_>>(), &app, tariffs.as_ref(), &who.caller))
            }
            (kit::pager(&visit, listed.next.as_deref()))
        }
        @if !others.is_empty() {
            section aria-labelledby="others" {
                h2 id="others" { "Waiting for others" }
                (waiting("Orders that wait for somebody else", &others, &app, tariffs.as_ref(), &who.caller))
            }
        }
        (kit::same_by_program(
            "curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/approvals?state=pending\"",
            Some("bourse approvals"),
        ))
    }))
}

fn tabs(here: &str) -> Markup {
    html! {
        nav.tabs aria-label="Which approvals" {
            ul {
                li { a href="/approvals" aria-current=[(here == "waiting").then_some("page")] { "Waiting" } }
                li { a href="/approvals?show=decided" aria-current=[(here == "decided").then_some("page")] { "Decided" } }
            }
        }
    }
}

fn waiting(
    caption: &str,
    views: &[&ApprovalView],
    app: &App,
    tariffs: Option<&Arc<Tariffs>>,
    caller: &Caller,
) -> Markup {
    let now = app.clock().now();
    let row = |view: &&ApprovalView| {
        let row = &view.row;
        let own = row.requested_user.is_some() && row.requested_user.as_deref() == caller.user();
        let expires = row.expires_at.since(now).as_secs();
        vec![
            html! { (link(view)) @if own { " " (kit::badge(Tone::Busy, "your order")) } },
            html! { (view.tenant) },
            html! { (person(&row.requested_by)) },
            html! { (price(app, tariffs, &row.offering, &row.plan, 1)) },
            causes(&row.causes),
            html! {
                (shown::time(row.expires_at))
                @if expires < 86_400 { " " (kit::badge(Tone::Warn, &left(expires))) }
            },
        ]
    };
    let rows: Vec<_> = views.iter().map(row).collect();
    kit::table(caption, &["Order", "For", "Ordered by", "Price", "Asked for by", "Waits until"], &rows)
}

fn decided(views: &[ApprovalView]) -> Markup {
    let row = |view: &ApprovalView| {
        let row = &view.row;
        vec![
            link(view),
            html! { (view.tenant) },
            html! { (person(&row.requested_by)) },
            state(row.state),
            html! {
                (row.decided_by.as_deref().map_or_else(|| "nobody".to_owned(), person))
                @if let Some(at) = row.decided_at { ", " (shown::time(at)) }
            },
            html! { (row.reason.as_deref().unwrap_or("none given")) },
        ]
    };
    let rows: Vec<_> = views.iter().map(row).collect();
    kit::table(
        "Orders that were decided, the latest first",
        &["Order", "For", "Ordered by", "Outcome", "Decided by", "Reason"],
        &rows,
    )
}

/// Which order: what is ordered, leading to its page.
fn link(view: &ApprovalView) -> Markup {
    let row = &view.row;
    html! {
        a href={ "/approvals/" (kit::part(&row.id)) } { (what(view)) }
        @if row.previous_plan.is_some() { " " span.under { "change" } }
    }
}

/// What is ordered, in words.
fn what(view: &ApprovalView) -> String {
    let row = &view.row;
    let name = view.name.as_deref().unwrap_or(&view.platform_instance_id);
    match &row.previous_plan {
        Some(before) if *before != row.plan => format!("{name}: {} from {before} to {}", row.offering, row.plan),
        _ => format!("{name}: {} {}", row.offering, row.plan),
    }
}

/// How somebody is called: `users/ada` is `ada`, `platforms/cf` is `platform cf`.
fn person(actor: &str) -> String {
    match actor.split_once('/') {
        Some(("users", name)) => name.to_owned(),
        Some(("platforms", name)) => format!("platform {}", name.replacen("/users/", ", user ", 1)),
        Some(("service-accounts", name)) => format!("service account {name}"),
        _ => actor.to_owned(),
    }
}

fn causes(causes: &[Why]) -> Markup {
    html! { ul.plain { @for cause in causes { li { @match cause {
        Why::Rule(name) => { "rule " code { (name) } },
        Why::Budget(name) => { "budget " code { (name) } },
    } } } } }
}

fn left(seconds: u64) -> String {
    if seconds == 0 { "expired".to_owned() } else { format!("{} left", shown::duration(seconds)) }
}

/// What a plan costs by the price book in force, in so many lines.
fn price(app: &App, tariffs: Option<&Arc<Tariffs>>, offering: &str, plan: &str, lines: usize) -> Markup {
    let catalog = app.catalog();
    let found = catalog.parts().iter().flat_map(|part| &part.offerings).find(|one| one.name == offering);
    let found = found.and_then(|offering| offering.plans.iter().find(|one| one.name == plan));
    let price = found.and_then(|found| price_of(tariffs, offering, found));
    match (price, tariffs) {
        (Some(price), Some(tariffs)) => {
            html! {
                ul.plain {
                    @for line in price.lines.iter().take(lines) { li { (line.words(&tariffs.currency)) } }
                    @if price.lines.len() > lines { li.under { "and " (price.lines.len() - lines) " more prices" } }
                }
            }
        }
        _ => html! { "no price" },
    }
}

/// How an approval stands, in a word.
fn state(state: ApprovalState) -> Markup {
    match state {
        ApprovalState::Pending => kit::badge(Tone::Busy, "waiting"),
        ApprovalState::Approved => kit::badge(Tone::Good, "approved"),
        ApprovalState::Denied => kit::badge(Tone::Bad, "denied"),
        ApprovalState::Expired => kit::badge(Tone::Warn, "expired"),
        ApprovalState::Cancelled => kit::badge(Tone::Plain, "called off"),
    }
}
