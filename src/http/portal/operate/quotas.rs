//! `/operator/quotas`: how much tenants may have of what, and how much of it is used. How one is set is in [`write`], how it goes in
//! [`delete`]. Whoever sees a tenant sees its quotas.

pub mod delete;
pub mod write;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;

use super::parts;
use crate::app::App;
use crate::app::quotas::QuotaView;
use crate::domain::permission::Permission;
use crate::domain::quota::{Measure, Parameter, QuotaDocument, Reads};
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, page};
use crate::http::permits::{Can, SeeQuotas};
use crate::http::portal::documents;
use crate::http::portal::forms::Wrong;
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

/// The query parameters of the list.
pub const QUERY: &[&str] = &["tenant", "cursor"];
const HERE: &str = "/operator/quotas";
const ADD: &str = "/operator/add-quota";

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    tenant: String,
    cursor: Option<String>,
}

/// `GET /operator/quotas`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeQuotas>,
    visit: Visit,
    app: Data<App>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let tenant = documents::some(&wanted.0.tenant);
    let at = page(None, wanted.0.cursor.as_deref())?;
    let listed: PageOut<QuotaView> = app.quotas(&who.sight, tenant.as_deref(), &at).await?.into();
    let rows: Vec<_> = listed.items.iter().map(row).collect();
    let manages = Permission::ManageQuotas.sight(&who.caller).is_some();
    let add = tenant.as_deref().map_or_else(|| ADD.to_owned(), |tenant| kit::with(ADD, "tenant", tenant));
    Ok(Page::new(&visit, "Quotas").above(parts(&visit, &who.caller)).show(html! {
        form.filters method="get" action=(HERE) {
            (kit::line(&Line { name: "tenant", label: "Of one tenant", value: &wanted.0.tenant, ..Line::default() }))
            button.second type="submit" { "Show" }
        }
        @if rows.is_empty() {
            @if tenant.is_some() { (kit::empty("This tenant has no quota", "It may have as much as it orders.", manages.then_some(("Set a quota", &add)))) }
            @else { (kit::empty("There is no quota", "A quota says how much a tenant may have of something: instances, or a parameter such as a size.", manages.then_some(("Set a quota", &add)))) }
        } @else {
            @if manages { p.actions { a.button href=(add) { "Set a quota" } } }
            (kit::table("Quotas and what is used of them", &["Quota", "Tenant", "Of", "What is counted", "Used"], &rows))
        }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program(&documents::curl("GET", "/quotas", None), Some("bourse quota list")))
    }))
}

fn row(view: &QuotaView) -> Vec<Markup> {
    let document = &view.row.document;
    vec![
        html! { a href={ (HERE) "/" (kit::part(&view.row.name)) } { (view.row.name) } },
        html! { a href={ "/operator/tenants/" (kit::part(&document.tenant)) } { (document.tenant) } },
        html! { (of_what(document)) },
        html! { (counted(&document.measure)) },
        used(view),
    ]
}

/// Of which plans.
fn of_what(document: &QuotaDocument) -> String {
    match (&document.offering, &document.plan) {
        (None, None) => "everything".to_owned(),
        (Some(offering), None) => offering.clone(),
        (Some(offering), Some(plan)) => format!("{offering} {plan}"),
        (None, Some(plan)) => format!("plans called {plan}"),
    }
}

/// What is counted of an instance.
fn counted(measure: &Measure) -> String {
    match measure {
        Measure::Count(_) => "instances".to_owned(),
        Measure::Parameter(Parameter { parameter, reads: None }) => format!("the parameter {parameter}"),
        Measure::Parameter(Parameter { parameter, reads: Some(Reads::AddressesV4) }) => {
            format!("the IPv4 addresses of the prefix length {parameter}")
        }
    }
}

/// How much is used: a bar, and the same in words.
fn used(view: &QuotaView) -> Markup {
    let (used, most) = (view.row.used, view.row.document.most());
    let percent = match most.0 {
        0 if used.0 == 0 => 0,
        0 => 100,
        most => i128::from(used.0) * 100 / i128::from(most),
    };
    let words = format!("{used} of {most}");
    html! {
        div.used {
            meter min="0" max="100" high="80" optimum="0" value=(percent.min(100)) aria-label=(words) { (percent) " %" }
            span { (words)
                @if used > most { " " (kit::badge(Tone::Bad, "more than it may")) }
                @else if used == most { " " (kit::badge(Tone::Warn, "full")) }
            }
        }
    }
}

/// `GET /operator/quotas/{name}`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn show(
    who: Can<SeeQuotas>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.quota(&who.sight, &name).await?;
    Ok(write::one(&who.caller, &visit, &app, &view, &write::Typed::of(&view), &Wrong::default()))
}

fn facts(view: &QuotaView) -> Markup {
    let document = &view.row.document;
    kit::facts(&[
        ("Tenant", html! { a href={ "/operator/tenants/" (kit::part(&document.tenant)) } { (document.tenant) } }),
        ("Of", html! { (of_what(document)) }),
        ("What is counted", html! { (counted(&document.measure)) }),
        ("Used", used(view)),
        (
            "Not counted",
            html! {
                @match view.unmeasured {
                    Some(0) | None => { "nothing: all that stands says how much it is" },
                    Some(count) => { (shown::count(usize::try_from(count).unwrap_or(0), "instance", "instances")) ", whose parameters don't say how much they are" },
                }
            },
        ),
        ("Since", shown::time(view.row.created_at)),
    ])
}
