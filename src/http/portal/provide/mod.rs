//! `/provider`: the console of those who answer for brokers: registering one ([`register`]), changing it ([`change`]), its credentials here ([`credentials`]), having it judged
//! ([`conformance`]), proposing prices ([`prices`]), and submitting what it offers ([`offering`]). Operators have the same pages below
//! `/operator` and look at what was submitted ([`reviews`]); finance decides about prices ([`proposals`]). One broker's own page is the very
//! page that operators have ([`super::operate::brokers`]).
//!
//! It holds no rules: what is refused is refused by the use cases of the management API, with the same sentence.

pub mod change;
pub mod conformance;
pub mod credentials;
mod inputs;
pub mod offering;
pub mod prices;
pub mod proposals;
pub mod register;
mod report;
pub mod reviews;
mod rules;
mod steps;
mod typed;

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::{Markup, html};

use super::frame::Page;
use super::kit;
use super::operate::brokers;
use super::visit::Visit;
use crate::app::registry::BrokerView;
use crate::app::{self, App};
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ChangeBrokers};

pub(in crate::http::portal) use steps::ways;

/// `GET /provider`
///
/// # Errors
/// [`Failure`].
pub async fn begin(
    who: Can<ChangeBrokers>,
    visit: Visit,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<HttpResponse, Failure> {
    let listed: PageOut<BrokerView> = app.brokers(&who.sight, params.0.page()?).await?.into();
    let awaited: Vec<&String> = who.caller.person().into_iter().flat_map(|person| &person.awaits).collect();
    Ok(Page::new(&visit, "Provide").show(html! {
        @if !awaited.is_empty() { (waiting(&awaited)) }
        @if !listed.items.is_empty() {
            section aria-labelledby="yours" {
                h2 id="yours" { "The service brokers that you answer for" }
                (brokers::table(&listed.items, "/provider/brokers"))
            }
        } @else if awaited.is_empty() {
            (kit::empty("There is no broker that you answer for", "Whoever runs this marketplace gives you a name for a broker, and you register it here.", None))
        }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/brokers\"", Some("bourse broker list")))
    }))
}

/// Names that were given to somebody and are not taken yet.
fn waiting(names: &[&String]) -> Markup {
    html! {
        section aria-labelledby="waiting" {
            h2 id="waiting" { "Names that wait for your broker" }
            ul.cards {
                @for name in names {
                    li {
                        article.card {
                            h3 { (name) }
                            p { "Register your broker by this name. Then it is judged, priced, and published by somebody else: each page says what comes next." }
                            p.actions { a.button href={ "/provider/register-broker?name=" (kit::part(name)) } { "Register " (name) } }
                        }
                    }
                }
            }
        }
    }
}

/// The console that a page is in: `/provider` or `/operator`.
pub(super) fn base(visit: &Visit) -> &'static str {
    if visit.path().starts_with("/provider") { "/provider" } else { "/operator" }
}

/// What stands above a page about a broker: where it is, and the way to the others about it.
fn around(visit: &Visit, caller: &Caller, name: &str) -> Markup {
    let base = base(visit);
    let here = format!("{base}/brokers/{}", kit::part(name));
    let first = if base == "/provider" { ("Provide", "/provider") } else { ("Brokers", "/operator/brokers") };
    html! { (kit::trail(&[first, (name, &here)])) (parts(visit, caller, name)) }
}

/// The way between the pages about a broker.
pub(super) fn parts(visit: &Visit, caller: &Caller, name: &str) -> Markup {
    let here = format!("{}/brokers/{}", base(visit), kit::part(name));
    let parts = [
        ("Overview", "", Permission::SeeBrokers),
        ("Conformance", "/conformance", Permission::SeeBrokers),
        ("Prices", "/prices", Permission::SeePriceProposals),
        ("Change", "/change", Permission::ChangeBrokers),
        ("Credentials", "/credentials", Permission::ChangeBrokers),
    ];
    html! {
        nav.tabs aria-label={ "Broker " (name) } {
            ul {
                @for (words, end, permission) in parts {
                    @if permission.sight(caller).is_some() {
                        @let address = format!("{here}{end}");
                        li { a href=(address) aria-current=[(visit.path() == address).then_some("page")] { (words) } }
                    }
                }
            }
        }
    }
}

/// The page of an offering on its way to publication, as whoever visits has it.
pub(super) fn place_of(base: &str, offering: &str) -> String {
    let part = kit::part(offering);
    if base == "/provider" { format!("/provider/offerings/{part}") } else { format!("/operator/reviews/{part}") }
}

/// What is wrong with a catalog is told with the place in it, which no field has.
fn within_catalog(error: app::Error) -> app::Error {
    let app::Error::Invalid(issues) = error else { return error };
    let told = |issue: app::Issue| {
        if !issue.pointer.starts_with("/services") {
            return issue;
        }
        app::Issue {
            message: format!("In its catalog, at {}: {}", issue.pointer, issue.message),
            pointer: String::new(),
        }
    };
    app::Error::Invalid(issues.into_iter().map(told).collect())
}
