//! `/operator/tenants/{name}/offboard`: how far a tenant is taken down, or what would go if it were; to begin it, and to call it off.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};

use super::tenants::HERE;
use crate::app::offboard::OffboardingView;
use crate::app::{self, App};
use crate::http::error::Failure;
use crate::http::permits::{Can, ManageTenants};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::visit::Visit;

/// `GET /operator/tenants/{name}/offboard`: how far it is, or what would be done.
///
/// # Errors
/// 404 where there is none.
pub async fn show(
    _: Can<ManageTenants>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    progress(&visit, &app, &name, &Wrong::default()).await
}

/// `POST /operator/tenants/{name}/offboard`: `do` is `start` or `cancel`.
///
/// # Errors
/// 404 where there is none.
pub async fn change(
    who: Can<ManageTenants>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let done = match fields.text("do") {
        "start" if fields.text("typed") != name.as_str() => {
            let wrong =
                Wrong::field("typed", "Type the tenant's name exactly, so that the wrong one is not taken down");
            return progress(&visit, &app, &name, &wrong).await;
        }
        "start" => app.offboard(&who.caller, &name, fields.text("reason")).await.map(drop),
        "cancel" => app.cancel_offboarding(&who.caller, &name).await,
        _ => return Err(Failure::malformed("the form has to say what to do")),
    };
    match done {
        Ok(()) => Ok(visit.to(visit.path())),
        Err(error) => progress(&visit, &app, &name, &Wrong::of(error, &[("/reason", "reason")])?).await,
    }
}

async fn progress(visit: &Visit, app: &App, name: &str, wrong: &Wrong) -> Result<HttpResponse, Failure> {
    let view = match app.offboarding(name).await {
        Err(app::Error::NotFound { .. }) => app.offboarding_plan(name).await?,
        found => found?,
    };
    let state = view.row.as_ref().map_or("planned", |row| row.state.as_str());
    let (title, back) = (format!("Take down {name}"), format!("{HERE}/{}", kit::part(name)));
    let trail = kit::trail(&[("Operate", "/operator"), ("Tenants", HERE), (name, &back)]);
    let page = Page::new(visit, &title).above(trail).status(wrong.status());
    let page = if state == "running" { page.reload(10) } else { page };
    Ok(page.show(html! {
        (wrong.above())
        (told(&view, state))
        (left(&view))
        @if state == "running" {
            (forms::button(visit, visit.path(), &BTreeMap::from([("do", "cancel")]), "second", "Call it off"))
            p.under { "What is deleted already stays deleted." }
        } @else if state != "done" { (start(visit, name, wrong)) }
        (kit::same_by_program(
            &format!("curl -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n  -d '{{\"dry_run\":true}}' \"$HUB/api/v1/tenants/{}/offboard\"", kit::part(name)),
            None,
        ))
    }))
}

fn told(view: &OffboardingView, state: &str) -> Markup {
    let error = view.row.as_ref().and_then(|row| row.error.as_deref());
    let (tone, text) = match state {
        "running" => (
            Tone::Busy,
            "It is being taken down: instances are deleted one after another, those that others depend on last.",
        ),
        "done" => (Tone::Good, "It is taken down."),
        "cancelled" => (Tone::Warn, "It was called off."),
        _ => (Tone::Warn, "Nothing is done yet. This is what would go."),
    };
    kit::notice(
        tone,
        &html! {
            p { (text) }
            @if let Some(error) = error { p { "What stands in the way: " (error) } }
            @if let Some(platform) = &view.default_of { p { "It is the default tenant of platform " (platform) ": give that another one first." } }
        },
    )
}

fn left(view: &OffboardingView) -> Markup {
    let counts = &view.counts;
    let months: Vec<_> = view.open_months.iter().map(ToString::to_string).collect();
    let rows = view.left.iter().map(|one| {
        let (attempts, error) = one.step.as_ref().map_or((0, None), |step| (step.attempts, step.error.as_deref()));
        vec![
            html! { (one.name.as_deref().unwrap_or(&one.id)) },
            html! { (one.offering) " " (one.plan) },
            super::brokers::instance_state(one.state),
            html! { (one.bindings) },
            html! { (one.dependents) },
            html! { @match error { Some(error) => { (error) " (" (attempts) " tries)" }, None => { "" } } },
        ]
    });
    let rows: Vec<_> = rows.collect();
    html! {
        (kit::facts(&[
            ("Instances left", html! { (counts.instances) }),
            ("Bindings left", html! { (counts.bindings) }),
            ("Under way", html! { (counts.operations) }),
            ("Approvals that wait", html! { (counts.approvals) }),
            ("Open months", html! { @if months.is_empty() { "none" } @else { (months.join(", ")) " will be closed as usual" } }),
        ]))
        @if !rows.is_empty() {
            (kit::table("Instances that are left", &["Instance", "Plan", "State", "Bindings", "Others depend on it", "Last failure"], &rows))
        }
    }
}

fn start(visit: &Visit, name: &str, wrong: &Wrong) -> Markup {
    let line = |name, label, hint: &str, required| {
        kit::line(&Line { name, label, hint, required, wrong: wrong.at(name), autocomplete: "off", ..Line::default() })
    };
    html! {
        h2 { "Take it down" }
        form.panel method="post" action=(visit.path()) {
            p { "All its instances and bindings are deleted, and then the tenant itself. This can't be taken back. What it has cost stays on record." }
            (kit::csrf(visit))
            (line("typed", "The tenant's name", &format!("Type {name}, so that the wrong one is not taken down."), true))
            (line("reason", "Reason", "It is kept in the audit.", false))
            p.actions { button.danger type="submit" name="do" value="start" { "Delete the tenant and all it has" } a href={ (HERE) "/" (kit::part(name)) } { "Keep it" } }
        }
    }
}
