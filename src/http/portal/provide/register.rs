//! `/provider/register-broker` and `/operator/register-broker`: a broker that is new, with what it offers now. Providers choose among the
//! names that were given to them; what their brokers offer is a draft.

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::{Markup, html};
use serde::Deserialize;

use super::inputs::{For, inputs};
use super::typed::Typed;
use super::{base, within_catalog};
use crate::app::App;
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::permits::{Can, RegisterBrokers};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::Wrong;
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::visit::Visit;

/// The query parameters of the page.
pub const QUERY: &[&str] = &["name"];
/// Where a use case says that something is wrong, and the field that it is told at.
pub(super) const PLACES: &[(&str, &str)] = &[
    ("/name_prefix", "name_prefix"),
    ("/name", "name"),
    ("/url", "url"),
    ("/credentials/oauth2/token_url", "token_url"),
    ("/credentials", "kind"),
    ("/tls", "ca"),
    ("/stamp", "told"),
    ("/timeout_ms", "timeout_ms"),
    ("/concurrency", "concurrency"),
    ("/api_version", "api_version"),
    ("/usage_pull", "usage_every"),
    ("/ids", "ids"),
    ("/takeover", "takeover"),
];

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    name: String,
}

/// `GET /provider/register-broker`, `GET /operator/register-broker`
///
/// # Errors
/// None.
pub async fn show(who: Can<RegisterBrokers>, visit: Visit, wanted: Params<Wanted>) -> Result<HttpResponse, Failure> {
    let typed = Typed::blank(&wanted.0.name, operates(&who.caller));
    Ok(page(&who.caller, &visit, &typed, &Wrong::default()))
}

/// `POST /provider/register-broker`, `POST /operator/register-broker`
///
/// # Errors
/// [`Failure`], where no form can put it right.
pub async fn register(
    who: Can<RegisterBrokers>,
    visit: Visit,
    app: Data<App>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let typed = Typed::read(&fields);
    let wrong = match typed.new_broker() {
        Err(wrong) => wrong,
        Ok(new) => match app.register_broker(&who.caller, new).await {
            Ok(view) => {
                let place = format!("{}/brokers/{}?done=registered", base(&visit), kit::part(&view.row.name));
                return Ok(visit.to(&place));
            }
            // A name that is not theirs is one that does not exist: said at its field.
            Err(crate::app::Error::NotFound { name, .. }) => {
                Wrong::field("name", &format!("`{name}` is no name that was given to you"))
            }
            Err(error) => Wrong::of(within_catalog(error), PLACES)?,
        },
    };
    Ok(page(&who.caller, &visit, &typed, &wrong))
}

/// Whether somebody may use any name, and say what only operators say.
pub(super) fn operates(caller: &Caller) -> bool {
    Permission::ManageBrokers.sight(caller).is_some()
}

fn page(caller: &Caller, visit: &Visit, typed: &Typed, wrong: &Wrong) -> HttpResponse {
    let operator = operates(caller);
    let above = match base(visit) {
        "/provider" => kit::trail(&[("Provide", "/provider")]),
        _ => kit::trail(&[("Brokers", "/operator/brokers")]),
    };
    let names: Vec<&String> = caller.person().into_iter().flat_map(|person| &person.awaits).collect();
    let page = Page::new(visit, "Register a broker").above(above).status(wrong.status());
    if !operator && names.is_empty() {
        return page.show(html! {
            (wrong.above())
            (kit::empty(
                "No name of a broker waits for you",
                "Whoever runs this marketplace gives you a name for a broker first. It is here as soon as they did.",
                Some(("Your brokers", "/provider")),
            ))
        });
    }
    page.show(html! {
        (wrong.above())
        p.lead {
            "The hub asks the broker for its catalog, and nothing is registered before that is in order."
            @if !operator { " All that it offers is a draft then, which nobody can order yet." }
        }
        @if operator && base(visit) == "/provider" {
            (kit::notice(Tone::Plain, &html! { p { "You are an operator: what this broker offers needs no review." } }))
        }
        form.panel method="post" action=(visit.path()) {
            (kit::csrf(visit))
            (name(operator, &names, typed, wrong))
            (inputs(typed, For { operator, change: false, told_all: false }, wrong))
            p.actions { button type="submit" { "Register the broker" } a href={ (base(visit)) @if base(visit) == "/operator" { "/brokers" } } { "Back" } }
        }
        (program(typed))
    })
}

fn name(operator: bool, names: &[&String], typed: &Typed, wrong: &Wrong) -> Markup {
    if operator {
        return kit::line(&Line {
            name: "name",
            label: "Name",
            hint: "1 to 63 of a-z, 0-9 and '-'. It can't be changed later.",
            value: &typed.name,
            required: true,
            wrong: wrong.at("name"),
            ..Line::default()
        });
    }
    let names: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    html! {
        @if let Some(text) = wrong.at("name") { p.error #name-error { (text) } }
        (kit::choice("name", "Name, of those that were given to you", &names, &typed.name))
    }
}

fn program(typed: &Typed) -> Markup {
    let name = if typed.name.is_empty() { "NAME" } else { typed.name.as_str() };
    let curl = format!(
        "curl -X PUT -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n  -d \"{{\\\"url\\\": \\\"$BROKER_URL\\\", \\\"credentials\\\": \
         {{\\\"basic\\\": {{\\\"username\\\": \\\"hub\\\", \\\"password\\\": \\\"$BOURSE_BROKER_PASSWORD\\\"}}}}}}\" \\\n  \"$HUB/api/v1/brokers/{}\"",
        kit::part(name)
    );
    let command = format!("bourse broker register --name {name} --broker-url \"$BROKER_URL\" --broker-username hub");
    kit::same_by_program(&curl, Some(&command))
}
