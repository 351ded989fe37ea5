//! `/operator/approval-rules`: which orders wait for somebody's yes. How a rule is written is in [`write`], how it goes in [`delete`].

pub mod delete;
pub mod write;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};

use super::parts;
use crate::app::App;
use crate::app::approvals::RuleView;
use crate::domain::approval::{ApprovalRule, On};
use crate::domain::permission::Permission;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, SeeApprovalRules};
use crate::http::portal::documents;
use crate::http::portal::forms::Wrong;
use crate::http::portal::frame::Page;
use crate::http::portal::kit;
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

const HERE: &str = "/operator/approval-rules";
const ADD: &str = "/operator/add-approval-rule";

/// `GET /operator/approval-rules`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeApprovalRules>,
    visit: Visit,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<HttpResponse, Failure> {
    let listed: PageOut<RuleView> = app.approval_rules(&params.0.page()?).await?.into();
    let row = |view: &RuleView| {
        vec![
            html! { a href={ (HERE) "/" (kit::part(&view.name)) } { (view.name) } },
            html! { (of_what(&view.rule)) },
            html! { (approvers(&view.rule)) },
            html! { (shown::duration(view.rule.waits().as_secs())) },
            shown::time(view.created_at),
        ]
    };
    let rows: Vec<_> = listed.items.iter().map(row).collect();
    let manages = Permission::ManageApprovalRules.sight(&who.caller).is_some();
    Ok(Page::new(&visit, "Approval rules").above(parts(&visit, &who.caller)).show(html! {
        @if rows.is_empty() {
            (kit::empty("No order waits for a yes", "A rule says which orders somebody has to agree to, and who. Budgets can ask for it, too.",
                manages.then_some(("Write a rule", ADD))))
        } @else {
            @if manages { p.actions { a.button href=(ADD) { "Write a rule" } } }
            (kit::table("Rules of approval", &["Rule", "Which orders", "Who agrees", "They wait", "Since"], &rows))
        }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program(&documents::curl("GET", "/approval-rules", None), Some("bourse approval-rule list")))
    }))
}

/// Which orders it is about, in words.
fn of_what(rule: &ApprovalRule) -> String {
    let what = match (rule.on.contains(&On::Provision), rule.on.contains(&On::Update)) {
        (true, true) => "orders and changes",
        (true, false) => "orders",
        (false, _) => "changes",
    };
    let of = match (&rule.offering, &rule.plan) {
        (None, None) => "everything".to_owned(),
        (Some(offering), None) => offering.clone(),
        (Some(offering), Some(plan)) => format!("{offering} {plan}"),
        (None, Some(plan)) => format!("plans called {plan}"),
    };
    let whose = rule.tenant.as_ref().map(|tenant| format!(" for {tenant}")).unwrap_or_default();
    format!("{what} of {of}{whose}")
}

fn approvers(rule: &ApprovalRule) -> String {
    if rule.approvers.is_empty() { "any approver".to_owned() } else { rule.approvers.join(", ") }
}

/// `GET /operator/approval-rules/{name}`
///
/// # Errors
/// 404 where there is none.
pub async fn show(
    who: Can<SeeApprovalRules>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.approval_rule(&name).await?;
    let names = documents::tenants(&app).await?;
    Ok(write::one(&who.caller, &visit, (&app, &names), &view, &write::Typed::of(&view), &Wrong::default()))
}

fn facts(view: &RuleView) -> Markup {
    kit::facts(&[
        ("Which orders wait", html! { (of_what(&view.rule)) }),
        ("Who agrees", html! { (approvers(&view.rule)) }),
        ("They wait", html! { (shown::duration(view.rule.waits().as_secs())) ", and fail if nobody decides" }),
        ("Since", shown::time(view.created_at)),
    ])
}
