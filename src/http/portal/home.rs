//! Where one begins, and who one is here.

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::html;

use super::frame::{self, Page};
use super::kit::{self, Tone};
use super::visit::Visit;
use crate::app::App;
use crate::domain::permission::Permission;
use crate::http::error::Failure;
use crate::http::permits::{Can, SignedIn};

/// `GET /`: on to what somebody came for.
///
/// # Errors
/// None.
pub async fn begin(who: Can<SignedIn>, visit: Visit) -> Result<HttpResponse, Failure> {
    let first = if Permission::SeeOfferings.sight(&who.caller).is_some() { "/catalog" } else { "/account" };
    Ok(visit.to(first))
}

/// `GET /account`
///
/// # Errors
/// None.
pub async fn account(who: Can<SignedIn>, visit: Visit, app: Data<App>) -> Result<HttpResponse, Failure> {
    let person = who.caller.person();
    let roles: Vec<&str> = match person {
        Some(person) => person.all_roles().into_iter().map(|role| role.as_str()).collect(),
        None => vec!["administrator"],
    };
    let names = |those: Vec<&String>| {
        html! { @if those.is_empty() { "none" } @else { ul.plain { @for name in those { li { (name) } } } } }
    };
    let owned = person.map(|person| person.owns.values().collect()).unwrap_or_default();
    let member = person.map(|person| person.member_of.values().collect()).unwrap_or_default();
    let provides = person.map(|person| person.provides.values().collect()).unwrap_or_default();
    let hub = &app.config().server.hub;
    Ok(Page::new(&visit, "Your account").show(html! {
        @if roles.is_empty() {
            (kit::notice(Tone::Warn, &html! {
                p { "You have no role here yet, so there is little to see. An owner of a tenant can make you a member; operators give other roles." }
                p { "What colleagues shared with you is among " a href="/services" { "my services" } "." }
            }))
        }
        (kit::facts(&[
            ("Name", html! { (frame::name_of(&who.caller)) }),
            ("Marketplace", html! { (hub) }),
            ("Roles", html! { @if roles.is_empty() { "none" } @else { (roles.join(", ")) } }),
            ("Tenants that you own", names(owned)),
            ("Tenants that you order for", names(member)),
            ("Brokers that you answer for", names(provides)),
        ]))
        (kit::same_by_program("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/me\"", Some("bourse whoami")))
    }))
}
