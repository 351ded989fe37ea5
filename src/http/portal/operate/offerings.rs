//! `/operator/offerings`: all that operators say of what brokers offer: how far an offering has come ([`lifecycle`]), who may order a plan
//! ([`visibility`]), and what its parameters are ([`parameters`]).

pub mod lifecycle;
pub mod parameters;
pub mod visibility;

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};

use super::parts;
use crate::app::laws::ParametersView;
use crate::app::registry::OfferingView;
use crate::app::visibility::{Access, LifecycleView, VisibilityDocument};
use crate::app::{App, Page as Wanted};
use crate::domain::caller::Caller;
use crate::domain::catalog::{Plan, State};
use crate::domain::visibility::Stage;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ManageBrokers};
use crate::http::portal::documents;
use crate::http::portal::forms::Wrong;
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

const HERE: &str = "/operator/offerings";
/// Plans of one offering that its page tells of.
const PLANS_MAX: usize = 100;
/// Rules about parameters that an offering's page counts.
const RULES_MAX: u32 = 200;

/// `GET /operator/offerings`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<ManageBrokers>,
    visit: Visit,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<HttpResponse, Failure> {
    let listed: PageOut<OfferingView> = app.offerings(&who.caller, "", None, &params.0.page()?).into();
    let row = |view: &OfferingView| {
        let offering = view.offering();
        vec![
            html! { a href={ (HERE) "/" (kit::part(&offering.name)) } { (offering.name) } },
            html! { a href={ "/operator/brokers/" (kit::part(view.broker())) } { (view.broker()) } },
            stage(view.stage),
            catalog_state(offering.state),
            html! { (shown::count(view.plans().count(), "plan", "plans")) },
        ]
    };
    let rows: Vec<_> = listed.items.iter().map(row).collect();
    Ok(Page::new(&visit, "Offerings").above(parts(&visit, &who.caller)).show(html! {
        @if rows.is_empty() { (kit::empty("There is no offering", "Offerings come with the catalogs of service brokers.", Some(("To the brokers", "/operator/brokers")))) }
        @else { (kit::table("Offerings of all brokers", &["Offering", "Broker", "Lifecycle", "In its catalog", "Plans"], &rows)) }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program(&documents::curl("GET", "/offerings", None), Some("bourse offering list")))
    }))
}

/// How far an offering has come.
fn stage(stage: Stage) -> Markup {
    match stage {
        Stage::Draft => kit::badge(Tone::Busy, "draft"),
        Stage::Published => kit::badge(Tone::Good, "published"),
        Stage::Deprecated => kit::badge(Tone::Warn, "deprecated"),
        Stage::Retired => kit::badge(Tone::Bad, "retired"),
    }
}

fn catalog_state(state: State) -> Markup {
    match state {
        State::Available => kit::badge(Tone::Good, "fine"),
        State::Quarantined => kit::badge(Tone::Bad, "quarantined"),
        State::Removed => kit::badge(Tone::Plain, "gone"),
    }
}

/// `GET /operator/offerings/{offering}`
///
/// # Errors
/// 404 where there is none.
pub async fn show(
    who: Can<ManageBrokers>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.offering(&who.caller, &name, None)?;
    let standing = app.lifecycle(&name).await?;
    answer(&who.caller, &visit, &app, &view, &standing, &lifecycle::Typed::of(&standing), &Wrong::default()).await
}

async fn answer(
    caller: &Caller,
    visit: &Visit,
    app: &App,
    view: &OfferingView,
    standing: &LifecycleView,
    typed: &lifecycle::Typed,
    wrong: &Wrong,
) -> Result<HttpResponse, Failure> {
    let name = &view.offering().name;
    let here = format!("{HERE}/{}", kit::part(name));
    let rules = said(app, name).await?;
    let mut rows = Vec::new();
    for plan in view.plans().filter(|plan| plan.state != State::Removed).take(PLANS_MAX) {
        let who = app.plan_visibility(name, &plan.name).await?;
        let at = format!("{here}/plans/{}", kit::part(&plan.name));
        rows.push(plan_row(plan, &at, &who, rules.get(&plan.name).copied().unwrap_or_default()));
    }
    let successors = documents::offerings(app, caller);
    Ok(Page::new(visit, name).above(parts(visit, caller)).status(wrong.status()).show(html! {
        (wrong.above())
        (facts(view, standing))
        section aria-labelledby="plans" {
            h2 id="plans" { "Plans" }
            @if rows.is_empty() { p { "It has none." } }
            @else { (kit::table("Who may order its plans, and with which parameters", &["Plan", "In its catalog", "Who may order it", "Parameters"], &rows)) }
        }
        section aria-labelledby="lifecycle" {
            h2 id="lifecycle" { "How far it has come" }
            (lifecycle::form(visit, &here, standing, typed, &successors, wrong))
        }
        (lifecycle::by_program(name, typed))
    }))
}

/// How many rules there are about the parameters of each plan: one for all tenants, and for tenants of their own.
async fn said(app: &App, offering: &str) -> Result<BTreeMap<String, usize>, Failure> {
    let page = Wanted { limit: RULES_MAX, after: format!("{offering}\n\n") };
    let mut found = BTreeMap::new();
    for ParametersView { key, .. } in app.all_parameters(&page).await?.items {
        if key.offering == offering {
            *found.entry(key.plan).or_default() += 1;
        }
    }
    Ok(found)
}

fn plan_row(plan: &Plan, at: &str, who: &VisibilityDocument, rules: usize) -> Vec<Markup> {
    vec![
        html! { (plan.name) },
        catalog_state(plan.state),
        html! { a href={ (at) "/visibility" } { (audience(who)) } },
        html! { a href={ (at) "/parameters" } { @if rules == 0 { "as its broker says" } @else { (shown::count(rules, "rule", "rules")) } } },
    ]
}

/// Who may order a plan, in words.
fn audience(who: &VisibilityDocument) -> String {
    if who.access == Access::Public {
        return "everybody".to_owned();
    }
    let tenants = shown::count(who.tenants.len(), "tenant", "tenants");
    let platforms = shown::count(who.platforms.len(), "platform", "platforms");
    match (who.tenants.is_empty(), who.platforms.is_empty()) {
        (true, true) => "nobody".to_owned(),
        (false, true) => tenants,
        (true, false) => format!("everybody on {platforms}"),
        (false, false) => format!("{tenants} on {platforms}"),
    }
}

fn facts(view: &OfferingView, standing: &LifecycleView) -> Markup {
    let said = &standing.said;
    let mut rows = vec![
        (
            "Lifecycle",
            html! { (stage(standing.now)) @if standing.now != said.state { " since its sunset; before it was " (said.state.as_str()) } },
        ),
        ("Broker", html! { a href={ "/operator/brokers/" (kit::part(view.broker())) } { (view.broker()) } }),
        ("In its catalog", catalog_state(view.offering().state)),
        (
            "As people see it",
            html! { a href={ "/catalog/" (kit::part(&view.offering().name)) } { "Its page in the catalog" } },
        ),
    ];
    if let Some(sunset) = said.sunset {
        rows.push(("Sunset", html! { (shown::time(sunset)) }));
    }
    if let Some(successor) = &said.successor {
        rows.push(("Successor", html! { a href={ (HERE) "/" (kit::part(successor)) } { (successor) } }));
    }
    if !said.pilots.is_empty() {
        rows.push(("Pilots", html! { (said.pilots.join(", ")) }));
    }
    kit::facts(&rows)
}

/// A plan of an offering, by their names.
fn plan_of<'a>(view: &'a OfferingView, name: &str) -> Result<&'a Plan, Failure> {
    let mut named: Vec<&Plan> = view.plans().filter(|plan| plan.name == name).collect();
    named.sort_by_key(|plan| plan.state != State::Available);
    named.into_iter().next().ok_or_else(|| crate::app::Error::not_found("plan", name).into())
}
