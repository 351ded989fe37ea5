//! `/operator/operations`: what is under way, first of all what is stuck or unresolved; what that means in plain words, and what can be
//! done about it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;

use super::{ago, parts};
use crate::app::App;
use crate::app::operations::OperationView;
use crate::domain::operation::{OperationKind, OperationState, Phase};
use crate::domain::permission::Permission;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, page};
use crate::http::permits::{Can, ManageInstances, SeeInstances};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::Wrong;
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

/// The query parameters of the page.
pub const QUERY: &[&str] = &["show", "cursor"];
const SHOWN: u32 = 50;
const HERE: &str = "/operator/operations";

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    show: String,
    cursor: Option<String>,
}

/// `GET /operator/operations`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeInstances>,
    visit: Visit,
    app: Data<App>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let stuck = wanted.0.show != "all";
    let at = page(Some(SHOWN), wanted.0.cursor.as_deref())?;
    let listed: PageOut<OperationView> = app.operations_under_way(&who.sight, stuck, &at).await?.into();
    let row = |operation: &OperationView| {
        vec![
            html! { a href={ (HERE) "/" (kit::part(&operation.id)) } { (kind(operation.kind)) } },
            phase(operation),
            html! { (ago(&app, operation.created_at)) },
            html! { (meaning(operation).0) },
            html! { (operation.attempts) },
        ]
    };
    let rows: Vec<_> = listed.items.iter().map(row).collect();
    Ok(Page::new(&visit, "Operations").above(parts(&visit, &who.caller)).show(html! {
        nav.tabs aria-label="Which operations" {
            ul {
                li { a href=(HERE) aria-current=[stuck.then_some("page")] { "Needs a look" } }
                li { a href=(kit::with(HERE, "show", "all")) aria-current=[(!stuck).then_some("page")] { "All that is under way" } }
            }
        }
        @if rows.is_empty() {
            @if stuck { (kit::empty("No operation is stuck", "What is unresolved, or takes longer than an hour, stands here.", None)) }
            @else { (kit::empty("Nothing is under way", "Orders are here from the moment they are placed until they are done.", None)) }
        } @else { (kit::table("Operations under way", &["Operation", "State", "For", "What it means", "Tries"], &rows)) }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/operations?state=in_progress\"", None))
    }))
}

fn kind(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Provision => "New instance",
        OperationKind::Update => "Change of an instance",
        OperationKind::Deprovision => "Deletion of an instance",
        OperationKind::Bind => "New binding",
        OperationKind::Unbind => "Deletion of a binding",
        OperationKind::ContextUpdate => "News about a tenant",
        OperationKind::OrphanMitigation => "Clean-up",
    }
}

fn phase(operation: &OperationView) -> Markup {
    match (operation.state, operation.phase) {
        (OperationState::Succeeded, _) => kit::badge(Tone::Good, "succeeded"),
        (OperationState::Failed, _) => kit::badge(Tone::Bad, "failed"),
        (OperationState::Cancelled, _) => kit::badge(Tone::Plain, "called off"),
        (_, Phase::WaitingApproval) => kit::badge(Tone::Busy, "waits for approval"),
        (_, Phase::Calling) => kit::badge(Tone::Busy, "broker is called"),
        (_, Phase::Polling) => kit::badge(Tone::Busy, "broker works on it"),
        (_, Phase::Unresolved) => kit::badge(Tone::Bad, "unresolved"),
    }
}

/// What it means, and what to do.
fn meaning(operation: &OperationView) -> (&'static str, &'static str) {
    if operation.state != OperationState::InProgress {
        return ("It is over.", "Nothing.");
    }
    match (operation.phase, operation.kind) {
        (Phase::WaitingApproval, _) => (
            "Somebody has to agree first. The service broker has not heard of it.",
            "Have it decided under Approvals, or call it off.",
        ),
        (Phase::Unresolved, OperationKind::OrphanMitigation) => (
            "Something may be left at the service broker of an order that failed, and it can't be deleted yet.",
            "See that the service broker answers: the hub goes on trying. If it is gone for good, purge the instance.",
        ),
        (Phase::Unresolved, kind) if kind.creates() => (
            "The service broker got the order, and nobody knows what it made of it. The hub asks, and undoes it where it stays unknown.",
            "See that the service broker answers. You can call the order off: then what may be there is deleted.",
        ),
        (Phase::Unresolved, _) => (
            "The service broker got the order, and nobody knows what it made of it. The hub goes on asking.",
            "See that the service broker answers. It can't be called off, since the broker may have begun. If the broker is gone for good, purge the instance.",
        ),
        (Phase::Polling, _) => {
            ("The service broker has taken it and works on it.", "Wait, or ask whoever runs the service broker.")
        }
        (Phase::Calling, OperationKind::OrphanMitigation) => (
            "What a failed order may have left is being deleted.",
            "Wait. It is repeated until the service broker says that nothing is there.",
        ),
        (Phase::Calling, _) => (
            "The service broker is being called. With many tries, it does not answer.",
            "Look at the service broker's page: is its breaker open?",
        ),
    }
}

/// `GET /operator/operations/{id}`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn show(
    who: Can<SeeInstances>,
    visit: Visit,
    app: Data<App>,
    id: Path<String>,
) -> Result<HttpResponse, Failure> {
    let operation = app.operation(&who.sight, &id).await?;
    let instance = app.instance(&who.sight, &operation.instance_id).await?.instance;
    let (means, next) = meaning(&operation);
    let going = operation.state == OperationState::InProgress;
    let manages = Permission::ManageInstances.sight(&who.caller).is_some();
    let cancels = !matches!(operation.kind, OperationKind::OrphanMitigation | OperationKind::ContextUpdate);
    let name = instance.row.name.as_deref().unwrap_or(&instance.row.platform_instance_id);
    let title = format!("{}: {name}", kind(operation.kind));
    let page = Page::new(&visit, &title).above(parts(&visit, &who.caller));
    let page = if going { page.reload(10) } else { page };
    Ok(page.show(html! {
        (kit::notice(if going && operation.phase == Phase::Unresolved { Tone::Bad } else { Tone::Plain }, &html! {
            p { (means) }
            @if going { p { strong { "What to do: " } (next) } }
        }))
        (kit::facts(&[
            ("State", phase(&operation)),
            ("Where it stands", html! { (operation.description.as_deref().unwrap_or("nothing is told")) }),
            ("Instance", html! { (name) ", " (instance.offering) " " (instance.plan) " " (super::brokers::instance_state(instance.row.state)) }),
            ("For", html! { (instance.tenant) }),
            ("Service broker", html! { a href={ "/operator/brokers/" (kit::part(&instance.broker)) } { (instance.broker) } }),
            ("Ordered by", html! { (operation.actor) ", " (shown::time(operation.created_at)) }),
            ("Tries in this phase", html! { (operation.attempts) }),
            (if going { "Gone on with" } else { "Over" }, html! { (shown::time(operation.finished_at.unwrap_or(operation.next_at))) }),
            ("Request", html! { code { (operation.correlation_id) } }),
            ("Ids", html! { "operation " code { (operation.id) } ", instance " code { (operation.instance_id) } }),
        ]))
        @if manages {
            p.actions {
                @if going && cancels { a.button.second href={ (visit.path()) "/cancel" } { "Call it off …" } }
                @if instance.row.gone_at.is_none() {
                    a.button.second href={ "/operator/instances/" (kit::part(&operation.instance_id)) "/purge" } { "Purge the instance …" }
                }
            }
        }
        (kit::same_by_program(
            &format!("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/operations/{}\"", operation.id),
            None,
        ))
    }))
}

/// `GET /operator/operations/{id}/cancel`: asks first.
///
/// # Errors
/// 404 where there is none.
pub async fn sure(
    who: Can<ManageInstances>,
    visit: Visit,
    app: Data<App>,
    id: Path<String>,
) -> Result<HttpResponse, Failure> {
    let operation = app.operation(&who.sight, &id).await?;
    Ok(asked(&visit, &operation, &Wrong::default()))
}

fn asked(visit: &Visit, operation: &OperationView, wrong: &Wrong) -> HttpResponse {
    let back = format!("{HERE}/{}", kit::part(&operation.id));
    let undone = operation.kind.creates();
    let trail = kit::trail(&[("Operate", "/operator"), ("Operations", HERE), (kind(operation.kind), &back)]);
    Page::new(visit, "Call this operation off?").above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        p {
            "Whoever ordered is told that it failed. "
            @if undone { "What the service broker may have made is deleted." } @else { "Nothing is sent to the service broker." }
        }
        form method="post" action=(visit.path()) {
            (kit::csrf(visit))
            p.actions { button.danger type="submit" { "Call the operation off" } a href=(back) { "Let it go on" } }
        }
    })
}

/// `POST /operator/operations/{id}/cancel`
///
/// # Errors
/// 404 where there is none.
pub async fn cancel(
    who: Can<ManageInstances>,
    visit: Visit,
    app: Data<App>,
    id: Path<String>,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    match app.cancel(&who.caller, &id).await {
        Ok(_) => Ok(visit.to(&format!("{HERE}/{}", kit::part(&id)))),
        Err(error) => {
            let wrong = Wrong::of(error, &[])?;
            Ok(asked(&visit, &app.operation(&who.sight, &id).await?, &wrong))
        }
    }
}
