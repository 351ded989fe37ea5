//! `/operator/policies`: rules that refuse orders or warn of them, with their source, and what one of them would refuse of what stands.
//! How one is written, tried and changed is in [`write`], how it goes in [`delete`].

pub mod delete;
pub mod write;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};

use super::parts;
use crate::app::App;
use crate::app::laws::PolicyView;
use crate::app::laws::simulate::Refused;
use crate::domain::permission::Permission;
use crate::domain::policy::Mode;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, PageParams, page};
use crate::http::permits::{Can, ManagePolicies, SeePolicies};
use crate::http::portal::documents;
use crate::http::portal::forms::Wrong;
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

/// Instances that one page of a simulation looks at.
const LOOKED_AT: u32 = 200;
const HERE: &str = "/operator/policies";
const ADD: &str = "/operator/add-policy";

/// `GET /operator/policies`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeePolicies>,
    visit: Visit,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<HttpResponse, Failure> {
    let listed: PageOut<PolicyView> = app.policies(&params.0.page()?).await?.into();
    let row = |view: &PolicyView| {
        vec![
            html! { a href={ (HERE) "/" (kit::part(&view.name)) } { (view.name) } },
            mode(view.document.mode),
            html! { code { (first_line(&view.document.text)) } },
            shown::time(view.created_at),
        ]
    };
    let rows: Vec<_> = listed.items.iter().map(row).collect();
    let manages = Permission::ManagePolicies.sight(&who.caller).is_some();
    Ok(Page::new(&visit, "Policies").above(parts(&visit, &who.caller)).show(html! {
        @if rows.is_empty() {
            (kit::empty("There is no policy", "A policy says in Cedar which orders are refused, and what can be done instead. Nothing is forbidden without one.",
                manages.then_some(("Write a policy", ADD))))
        } @else {
            @if manages { p.actions { a.button href=(ADD) { "Write a policy" } } }
            (kit::table("Policies", &["Policy", "What it does", "Begins", "Since"], &rows))
        }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program(&documents::curl("GET", "/policies", None), Some("bourse policy list")))
    }))
}

fn mode(mode: Mode) -> Markup {
    match mode {
        Mode::Enforce => kit::badge(Tone::Bad, "refuses orders"),
        Mode::Warn => kit::badge(Tone::Warn, "warns only"),
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("//")).unwrap_or_default();
    line.chars().take(80).collect()
}

/// `GET /operator/policies/{name}`
///
/// # Errors
/// 404 where there is none.
pub async fn show(
    who: Can<SeePolicies>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.policy(&name).await?;
    if Permission::ManagePolicies.sight(&who.caller).is_some() {
        return Ok(write::one(&who.caller, &visit, &view, &write::Typed::of(&view), None, &Wrong::default()));
    }
    Ok(Page::new(&visit, &view.name).above(parts(&visit, &who.caller)).show(html! {
        (facts(&view))
        h2 { "Source" }
        pre.source tabindex="0" { code { (view.document.text) } }
        (kit::same_by_program(
            &documents::curl("GET", &format!("/policies/{}", kit::part(&view.name)), None),
            Some(&format!("bourse policy show {}", view.name)),
        ))
    }))
}

fn facts(view: &PolicyView) -> Markup {
    kit::facts(&[("What it does", mode(view.document.mode)), ("Since", shown::time(view.created_at))])
}

/// `GET /operator/policies/{name}/simulate`
///
/// # Errors
/// 404 where there is none.
pub async fn simulate(
    _: Can<ManagePolicies>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    params: Params<PageParams>,
) -> Result<HttpResponse, Failure> {
    let view = app.policy(&name).await?;
    let at = page(Some(LOOKED_AT), params.0.cursor.as_deref())?;
    let found = app.simulate_policy(&view.document.text, None, &at).await?;
    let looked_at = found.looked_at;
    let listed: PageOut<Refused> = crate::app::Listed { items: found.refused, next: found.next }.into();
    let (title, back) = (format!("What {} would refuse", view.name), format!("{HERE}/{}", kit::part(&view.name)));
    let trail = kit::trail(&[("Operate", "/operator"), ("Policies", HERE), (&view.name, &back)]);
    Ok(Page::new(&visit, &title).above(trail).show(html! {
        (would_refuse(looked_at, &listed.items))
        (kit::pager(&visit, listed.next.as_deref()))
    }))
}

/// What it would refuse of the instances that were looked at.
fn would_refuse(looked_at: usize, refused: &[Refused]) -> Markup {
    let row = |refused: &Refused| {
        vec![
            html! { a href={ "/services/" (kit::part(&refused.instance.tenant)) "/" (refused.instance.row.id) } {
                (refused.instance.row.name.as_deref().unwrap_or(&refused.instance.row.platform_instance_id))
            } },
            html! { (refused.instance.tenant) },
            html! { (refused.instance.offering) " " (refused.instance.plan) },
            html! { ul.plain { @for judged in &refused.judged { li { (judged.to_string()) } } } },
        ]
    };
    let rows: Vec<_> = refused.iter().map(row).collect();
    html! {
        p { "As if everything that stands were ordered now. Nothing is changed. " (shown::count(looked_at, "instance was", "instances were")) " looked at on this page." }
        @if rows.is_empty() { (kit::notice(Tone::Good, &html! { p { "It would refuse none of them." } })) }
        @else { (kit::table("Instances that it would refuse", &["Instance", "For", "Plan", "Why"], &rows)) }
    }
}
