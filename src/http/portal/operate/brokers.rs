//! `/operator/brokers` and `/provider/brokers`: brokers, how they are, what they offer, what is wrong with it, and what was ordered from
//! them. Operators see all of them, providers their own: the same pages under two addresses.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;

use super::{parts, status_words};
use crate::app::App;
use crate::app::instances::{InstanceFilter, InstanceView};
use crate::app::registry::BrokerView;
use crate::backend::BreakerState;
use crate::domain::broker::Status;
use crate::domain::caller::Caller;
use crate::domain::catalog::{Finding, Offering, Severity, State};
use crate::domain::instance::InstanceState;
use crate::domain::permission::Permission;
use crate::domain::tariff::Tariffs;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, page};
use crate::http::permits::{Can, ChangeBrokers, ManageBrokers, SeeBrokers};
use crate::http::portal::catalog::{price_of, says_free};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Tone};
use crate::http::portal::provide;
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

/// The query parameters of one broker's page.
pub const QUERY: &[&str] = &["cursor", "done"];
const REGISTER: &str = "/operator/register-broker";
/// Entries of one page.
const SHOWN: u32 = 50;

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    cursor: Option<String>,
    done: String,
}

/// `GET /operator/brokers`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeBrokers>,
    visit: Visit,
    app: Data<App>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let at = page(Some(SHOWN), wanted.0.cursor.as_deref())?;
    let listed: PageOut<BrokerView> = app.brokers(&who.sight, at).await?.into();
    let registers = Permission::ManageBrokers.sight(&who.caller).is_some();
    Ok(Page::new(&visit, "Brokers").above(parts(&visit, &who.caller)).show(html! {
        @if listed.items.is_empty() {
            (kit::empty("There is no broker", "A service broker offers services.", registers.then_some(("Register a broker", REGISTER))))
        } @else {
            @if registers { p.actions { a.button href=(REGISTER) { "Register a broker" } } }
            (table(&listed.items, "/operator/brokers"))
        }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/brokers\"", None))
    }))
}

/// Brokers, each leading to its page below `base`.
pub(in crate::http::portal) fn table(views: &[BrokerView], base: &str) -> Markup {
    let row = |view: &BrokerView| {
        let available = view.offerings().iter().filter(|one| one.state == State::Available).count();
        let wrong = view.row.findings.len() + view.offerings().iter().map(|one| one.findings.len()).sum::<usize>();
        vec![
            html! { a href={ (base) "/" (kit::part(&view.row.name)) } { (view.row.name) } },
            status(view.row.status),
            breaker(view.breaker),
            html! { (shown::count(available, "offering", "offerings")) },
            html! { @if wrong == 0 { "none" } @else { (kit::badge(Tone::Warn, &shown::count(wrong, "finding", "findings"))) } },
            html! { @match view.row.fetched_at { Some(at) => { (shown::time(at)) }, None => { "never" } } },
        ]
    };
    let rows: Vec<_> = views.iter().map(row).collect();
    kit::table("Brokers", &["Broker", "Status", "Breaker", "Offers", "Findings", "Catalog of"], &rows)
}

/// How a broker was when it was last asked.
pub(in crate::http::portal) fn status(status: Status) -> Markup {
    match status {
        Status::Available => kit::badge(Tone::Good, "available"),
        Status::Unavailable => kit::badge(Tone::Bad, "does not answer"),
        Status::Quarantined => kit::badge(Tone::Bad, "quarantined"),
    }
}

/// Whether orders are held back from it.
pub(in crate::http::portal) fn breaker(state: BreakerState) -> Markup {
    match state {
        BreakerState::Closed => kit::badge(Tone::Good, "closed"),
        BreakerState::HalfOpen => kit::badge(Tone::Busy, "trying one order"),
        BreakerState::Open => kit::badge(Tone::Bad, "open: spared orders"),
    }
}

/// `GET /operator/brokers/{name}`, `GET /provider/brokers/{name}`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn show(
    who: Can<SeeBrokers>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let view = app.broker(&who.sight, &name).await?;
    answer(&who.caller, &visit, &app, &view, &wanted.0, &Wrong::default()).await
}

/// `POST /operator/brokers/{name}`, `POST /provider/brokers/{name}`: fetches its catalog again.
///
/// # Errors
/// 404 where there is none that they may change.
pub async fn refresh(
    who: Can<ChangeBrokers>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    let wrong = match app.refresh_broker(&who.caller, &name).await {
        Ok(_) => return Ok(visit.to(&format!("{}?done=refreshed", visit.path()))),
        Err(error) => Wrong::of(error, &[])?,
    };
    let view = app.broker(&who.sight, &name).await?;
    answer(&who.caller, &visit, &app, &view, &Wanted::default(), &wrong).await
}

async fn answer(
    caller: &Caller,
    visit: &Visit,
    app: &App,
    view: &BrokerView,
    wanted: &Wanted,
    wrong: &Wrong,
) -> Result<HttpResponse, Failure> {
    let name = view.row.name.as_str();
    let tariffs = app.tariffs().await?;
    let instances: PageOut<InstanceView> = match Permission::SeeInstances.sight(caller) {
        Some(sight) => {
            let filter = InstanceFilter { broker: Some(name.to_owned()), ..InstanceFilter::default() };
            app.instances(&sight, filter, &page(Some(SHOWN), wanted.cursor.as_deref())?).await?.into()
        }
        None => PageOut { items: Vec::new(), next: None },
    };
    let provider = visit.path().starts_with("/provider");
    let above = if provider { kit::trail(&[("Provide", "/provider")]) } else { parts(visit, caller) };
    let above = html! { (above) (provide::parts(visit, caller, name)) };
    let ways = provide::ways(app, caller, (provide::base(visit), name), view.offerings()).await?;
    let changes = Permission::ChangeBrokers.sight(caller).is_some();
    let deletes = !provider && Permission::ManageBrokers.sight(caller).is_some();
    Ok(Page::new(visit, name).above(above).status(wrong.status()).show(html! {
        (wrong.above())
        @if let Some(words) = done(&wanted.done) { (kit::notice(Tone::Good, &html! { p { (words) } })) }
        (ways)
        (kit::facts(&facts(view)))
        div.actions {
            @if changes { (forms::button(visit, visit.path(), &BTreeMap::new(), "", "Fetch its catalog again")) }
            @if deletes { a.button.second href=(kit::with("/operator/adopt", "broker", name)) { "Take over what it has already …" } }
            @if deletes { a.button.second href={ (visit.path()) "/delete" } { "Delete it …" } }
        }
        (findings("With the broker or its catalog as a whole", &view.row.findings))
        (offerings(view, tariffs.as_ref()))
        section aria-labelledby="instances" {
            h2 id="instances" { "What was ordered from it" }
            @if instances.items.is_empty() { p { "Nothing that stands." } } @else { (ordered(&instances.items)) }
            (kit::pager(visit, instances.next.as_deref()))
        }
        (kit::same_by_program(
            &format!("curl -X POST -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/brokers/{}/refresh\"", kit::part(name)),
            None,
        ))
    }))
}

/// What was done just now.
fn done(word: &str) -> Option<&'static str> {
    match word {
        "refreshed" => Some("Its catalog was fetched again."),
        "registered" => Some("It is registered, and its catalog was fetched."),
        "changed" => Some("It was changed."),
        _ => None,
    }
}

fn facts(view: &BrokerView) -> Vec<(&'static str, Markup)> {
    let row = &view.row;
    vec![
        ("Status", html! { (status(row.status)) " " (status_words(row.status)) }),
        ("Breaker", breaker(view.breaker)),
        ("Address", html! { code { (row.url) } }),
        (
            "Catalog of",
            html! { @match row.fetched_at { Some(at) => { (shown::time(at)) }, None => { "never fetched" } } },
        ),
        ("Asked again", shown::time(row.check_at)),
        (
            "Names begin with",
            html! { @if row.settings.name_prefix.is_empty() { "nothing" } @else { code { (row.settings.name_prefix) } } },
        ),
        ("Usage", html! { @if row.settings.usage_pull.is_some() { "is asked of it" } @else { "it reports" } }),
        (
            "Registered",
            html! { (shown::time(row.created_at)) @if let Some(provider) = &row.provider { ", by " (provider) ", who answers for it" } },
        ),
    ]
}

/// What is wrong with a catalog, or a part of it.
pub(in crate::http::portal) fn findings(caption: &str, found: &[Finding]) -> Markup {
    if found.is_empty() {
        return html! {};
    }
    let row = |finding: &Finding| {
        vec![
            match finding.severity {
                Severity::Error => kit::badge(Tone::Bad, "error"),
                Severity::Warning => kit::badge(Tone::Warn, "warning"),
            },
            html! { (finding.message) },
            html! { code { (finding.pointer) } },
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    kit::table(caption, &["Severity", "What is wrong", "Where"], &rows)
}

fn offerings(view: &BrokerView, tariffs: Option<&Arc<Tariffs>>) -> Markup {
    html! {
        section aria-labelledby="offerings" {
            h2 id="offerings" { "What it offers" }
            (plans(view.offerings(), tariffs))
            @for offering in view.offerings() { (findings(&format!("With offering {}", offering.name), &offering.findings)) }
        }
    }
}

/// Offerings with their plans and what each costs now.
pub(in crate::http::portal) fn plans(offerings: &[Offering], tariffs: Option<&Arc<Tariffs>>) -> Markup {
    let row = |offering: &Offering, index: usize| -> Option<Vec<Markup>> {
        let plan = offering.plans.get(index)?;
        let price = price_of(tariffs, &offering.name, plan);
        Some(vec![
            html! { @if index == 0 { a href={ "/catalog/" (kit::part(&offering.name)) } { (offering.name) } } @else { (offering.name) } },
            html! { (plan.name) },
            if offering.state == State::Available { state(plan.state) } else { state(offering.state) },
            html! {
                @match (&price, tariffs) {
                    (Some(price), Some(tariffs)) => { ul.plain { @for line in &price.lines { li { (line.words(&tariffs.currency)) } } } },
                    _ => { @if says_free(plan) { "free" } @else { "no price" } },
                }
            },
        ])
    };
    let rows: Vec<_> = offerings
        .iter()
        .flat_map(|offering| (0..offering.plans.len()).filter_map(move |index| row(offering, index)))
        .collect();
    html! {
        @if rows.is_empty() { p { "Nothing." } }
        @else { (kit::table("Offerings and plans, with their prices in force", &["Offering", "Plan", "State", "Price"], &rows)) }
    }
}

fn state(state: State) -> Markup {
    if state == State::Available { kit::badge(Tone::Good, "in order") } else { kit::badge(Tone::Warn, state.as_str()) }
}

fn ordered(views: &[InstanceView]) -> Markup {
    let row = |view: &InstanceView| {
        vec![
            html! { (view.row.name.as_deref().unwrap_or(&view.row.platform_instance_id)) },
            html! { (view.tenant) },
            html! { (view.offering) " " (view.plan) },
            instance_state(view.row.state),
            shown::time(view.row.created_at),
        ]
    };
    let rows: Vec<_> = views.iter().map(row).collect();
    kit::table("Instances that stand", &["Instance", "For", "Plan", "State", "Ordered"], &rows)
}

/// The state of an instance in a word.
pub(in crate::http::portal) fn instance_state(state: InstanceState) -> Markup {
    let tone = match state {
        InstanceState::Ready => Tone::Good,
        InstanceState::Failed | InstanceState::Unresolved => Tone::Bad,
        InstanceState::Gone => Tone::Plain,
        _ => Tone::Busy,
    };
    kit::badge(tone, &state.as_str().replace('_', " "))
}

/// `GET /operator/brokers/{name}/delete`: asks first.
///
/// # Errors
/// 404 where there is none.
pub async fn sure(
    who: Can<ManageBrokers>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.broker(&who.sight, &name).await?;
    Ok(asked(&visit, &view.row.name, &Wrong::default()))
}

fn asked(visit: &Visit, name: &str, wrong: &Wrong) -> HttpResponse {
    let (title, back) = (format!("Delete broker {name}?"), format!("/operator/brokers/{}", kit::part(name)));
    Page::new(visit, &title).above(kit::trail(&[("Brokers", "/operator/brokers"), (name, &back)])).status(wrong.status()).show(html! {
        (wrong.above())
        p { "Nobody can order from it any more. It can only be deleted when nothing that was ordered from it stands." }
        form method="post" action=(visit.path()) {
            (kit::csrf(visit))
            p.actions { button.danger type="submit" { "Delete the broker" } a href=(back) { "Keep it" } }
        }
    })
}

/// `POST /operator/brokers/{name}/delete`
///
/// # Errors
/// 404 where there is none.
pub async fn delete(
    who: Can<ManageBrokers>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    match app.delete_broker(&who.caller, &name).await {
        Ok(()) => Ok(visit.to("/operator/brokers")),
        Err(error) => Ok(asked(&visit, &name, &Wrong::of(error, &[])?)),
    }
}
