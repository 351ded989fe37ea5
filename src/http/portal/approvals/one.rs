//! `/approvals/{id}`: one order that waits, with what there is to know before somebody says yes or no, and the form to say it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};

use super::{causes, left, person, price, state, what};
use crate::app::App;
use crate::app::approvals::{ApprovalView, Decision, Outlook};
use crate::app::budgets::BudgetView;
use crate::domain::approval::ApprovalState;
use crate::domain::caller::Caller;
use crate::domain::decimal::{Exact, minor_digits, rounded};
use crate::domain::permission::Permission;
use crate::domain::policy::Mode;
use crate::http::error::Failure;
use crate::http::permits::{Can, DecideApprovals, SeeApprovals};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

/// `GET /approvals/{id}`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn show(
    who: Can<SeeApprovals>,
    visit: Visit,
    app: Data<App>,
    id: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.approval(&who.sight, &id).await?;
    answer(&who.caller, &visit, &app, &view, &Wrong::default(), "").await
}

/// `POST /approvals/{id}`: `do` is `approve` or `deny`.
///
/// # Errors
/// 404 where there is none that they may decide.
pub async fn decide(
    who: Can<DecideApprovals>,
    visit: Visit,
    app: Data<App>,
    id: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let reason = fields.text("reason");
    let decision = match fields.text("do") {
        "approve" => Decision::Approve,
        "deny" => Decision::Deny,
        _ => return Err(Failure::malformed("the form has to say whether to approve or to deny")),
    };
    // The API takes a denial without a word; people should not.
    let wrong = if decision == Decision::Deny && reason.is_empty() {
        Wrong::field("reason", "Say why, so that whoever ordered knows what to do instead")
    } else {
        match app.decide_approval(&who.caller, &id, decision, reason).await {
            Ok(_) => return Ok(visit.to(visit.path())),
            Err(error) => Wrong::of(error, &[("/reason", "reason")])?,
        }
    };
    let sight = Permission::SeeApprovals.sight(&who.caller).unwrap_or(who.sight);
    let view = app.approval(&sight, &id).await?;
    answer(&who.caller, &visit, &app, &view, &wrong, reason).await
}

async fn answer(
    caller: &Caller,
    visit: &Visit,
    app: &App,
    view: &ApprovalView,
    wrong: &Wrong,
    reason: &str,
) -> Result<HttpResponse, Failure> {
    let outlook = app.approval_outlook(caller, view).await?;
    let tariffs = app.tariffs().await?;
    let row = &view.row;
    let title = what(view);
    let pending = row.state == ApprovalState::Pending;
    let page = Page::new(visit, &title).above(kit::trail(&[("Approvals", "/approvals")])).status(wrong.status());
    Ok(page.show(html! {
        (wrong.above())
        @if pending { (outcome_now(&outlook)) } @else { (outcome(view)) }
        (facts(view, app, price(app, tariffs.as_ref(), &row.offering, &row.plan, usize::MAX)))
        (money(&outlook))
        (policies(&outlook))
        @if pending {
            section aria-labelledby="decide" {
                h2 id="decide" { "Your decision" }
                @match outlook.refuses {
                    Some(why) => { p { "You can't decide this one: " (why) "." } },
                    None => { (form(visit, wrong, reason)) },
                }
            }
        }
        (kit::same_by_program(
            &format!("curl -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n  -d '{{\"reason\":\"…\"}}' \"$HUB/api/v1/approvals/{}/approve\"", row.id),
            Some(&format!("bourse approve {} --reason '…'", row.id)),
        ))
    }))
}

fn form(visit: &Visit, wrong: &Wrong, reason: &str) -> Markup {
    let line = Line {
        name: "reason",
        label: "Reason",
        hint: "Whoever ordered reads it, and it is kept in the audit. You have to give one when you deny.",
        value: reason,
        wrong: wrong.at("reason"),
        ..Line::default()
    };
    html! {
        form.panel method="post" action=(visit.path()) {
            (kit::csrf(visit))
            (forms::area(&line, 3))
            p.actions {
                button type="submit" name="do" value="approve" { "Approve the order" }
                button.danger type="submit" name="do" value="deny" { "Deny the order" }
            }
        }
    }
}

fn facts(view: &ApprovalView, app: &App, price: Markup) -> Markup {
    let row = &view.row;
    let seconds = row.expires_at.since(app.clock().now()).as_secs();
    let plan = match &row.previous_plan {
        Some(before) if *before != row.plan => html! { (row.plan) ", so far " (before) },
        Some(_) => html! { (row.plan) ", with other parameters" },
        None => html! { (row.plan) },
    };
    kit::facts(&[
        ("State", html! { (state(row.state)) }),
        ("What", html! { a href={ "/catalog/" (kit::part(&row.offering)) } { (row.offering) } }),
        ("Plan", plan),
        ("Instance", html! { (view.name.as_deref().unwrap_or(&view.platform_instance_id)) }),
        ("For", html! { (view.tenant) }),
        (
            "Ordered by",
            html! { (person(&row.requested_by)) ", " (shown::time(row.created_at)) ", on platform " (view.platform) },
        ),
        ("Asked for by", causes(&row.causes)),
        (
            "Asked of",
            html! {
                @if row.approvers.is_empty() { "any approver" } @else { (row.approvers.join(", ")) }
            },
        ),
        ("Price", price),
        (
            "Waits until",
            html! {
                (shown::time(row.expires_at))
                @if row.state == ApprovalState::Pending { " (" (left(seconds)) ")" }
            },
        ),
    ])
}

/// What became of it.
fn outcome(view: &ApprovalView) -> Markup {
    let row = &view.row;
    let by = row.decided_by.as_deref().map(person).unwrap_or_default();
    let (tone, text) = match row.state {
        ApprovalState::Approved if view.operation_state == "failed" => {
            (Tone::Bad, format!("{by} approved this order, but it could not be carried out."))
        }
        ApprovalState::Approved if view.operation_state == "succeeded" => {
            (Tone::Good, format!("{by} approved this order. It is done."))
        }
        ApprovalState::Approved => (Tone::Good, format!("{by} approved this order. It is under way.")),
        ApprovalState::Denied => (Tone::Bad, format!("{by} denied this order.")),
        ApprovalState::Expired => (Tone::Warn, "Nobody decided in time, so the order has failed.".to_owned()),
        _ => (Tone::Plain, "The order was called off before anybody decided.".to_owned()),
    };
    kit::notice(
        tone,
        &html! {
            p { (text) @if let Some(at) = row.decided_at { " " (shown::time(at)) "." } }
            @if let Some(reason) = &row.reason { p { "Reason: " (reason) } }
        },
    )
}

/// What would become of it.
fn outcome_now(outlook: &Outlook) -> Markup {
    match &outlook.prospect.refused {
        Some(why) => kit::notice(
            Tone::Warn,
            &html! {
                p { "If this were approved now, it would fail: " (why) }
            },
        ),
        None => {
            kit::notice(Tone::Busy, &html! { p { "This order waits. Nothing was sent to its service broker yet." } })
        }
    }
}

fn money(outlook: &Outlook) -> Markup {
    let Some((month, currency)) = &outlook.month else { return html! {} };
    let told = |amount: &Exact| format!("{} {currency}", rounded(amount, minor_digits(currency)));
    let budget = |view: &BudgetView| {
        let currency = &view.row.document.currency;
        let amount = view.row.document.amount.exact();
        let more = outlook.month_before.as_ref().map_or_else(|| month.clone(), |before| month - before);
        let after = &view.spent + more;
        let told = |amount: &Exact| format!("{} {currency}", rounded(amount, minor_digits(currency)));
        vec![
            html! { (view.row.name) },
            html! { (told(&amount)) },
            html! { (told(&view.spent)) },
            html! {
                (told(&after))
                @if after > amount { " " (kit::badge(Tone::Warn, "over budget")) }
            },
        ]
    };
    let rows: Vec<_> = outlook.budgets.iter().map(budget).collect();
    html! {
        section aria-labelledby="money" {
            h2 id="money" { "What it costs" }
            p {
                "A whole month: " strong { (told(month)) }
                @if let Some(before) = &outlook.month_before { ", so far " (told(before)) }
                ". What is used by its meters comes on top."
            }
            @if rows.is_empty() { p.under { "No budget counts it." } }
            @else { (kit::table("Budgets that count it", &["Budget", "Limit a month", "Spent this month", "With a whole month of this"], &rows)) }
        }
    }
}

fn policies(outlook: &Outlook) -> Markup {
    if outlook.prospect.policies.is_empty() {
        return html! {};
    }
    let rows = outlook.prospect.policies.iter().map(|judged| {
        vec![
            html! { (judged.policy) },
            match judged.mode {
                Mode::Enforce => kit::badge(Tone::Bad, "refuses"),
                Mode::Warn => kit::badge(Tone::Warn, "warns"),
            },
            html! { (judged.reason.clone().unwrap_or_else(|| judged.to_string())) },
            html! { (judged.remedy) },
        ]
    });
    let rows: Vec<_> = rows.collect();
    html! {
        section aria-labelledby="policies" {
            h2 id="policies" { "What policies say" }
            (kit::table("Policies that say something of this order", &["Policy", "What it does", "Why", "What can be done"], &rows))
        }
    }
}
