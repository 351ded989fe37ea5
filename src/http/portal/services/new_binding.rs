//! `/services/{tenant}/{name}/bind`: a name and what the plan asks for; the answer shows the credentials, or the binding's page
//! waits for them.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use maud::html;

use super::super::fields::Fields;
use super::super::form::{Faults, Form, State, View};
use super::super::frame::Page;
use super::super::kit::{self, Line, Tone};
use super::super::visit::{self, Visit};
use super::bind::{binding_at, credentials, proposed, taken};
use super::{at, called, own, trail};
use crate::app::people::PersonallyBound;
use crate::app::services::one::Service;
use crate::app::{self, App};
use crate::domain::instance::InstanceState;
use crate::domain::name;
use crate::http::detached::attempted;
use crate::http::error::Failure;
use crate::http::observe;
use crate::http::permits::{Can, Order};

/// The name that is proposed first: that of the command line.
const FIRST: &str = "default";

/// What stands in the form, and what is wrong with it.
#[derive(Default)]
struct Filled<'a> {
    name: &'a str,
    wrong: Option<&'a str>,
    faults: Faults,
    refused: Option<&'a Failure>,
}

/// `GET /services/{tenant}/{name}/bind`
///
/// # Errors
/// 404 where it is not theirs to see, 403 where it is not theirs to bind to, 409 where it can't be bound to.
pub async fn show(
    who: Can<Order>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    let (tenant, name) = path.into_inner();
    let service = bindable(own(&app, &who.caller, (&tenant, &name)).await?)?;
    let form = form(&service);
    let name_of_it = proposed(&service, FIRST);
    let filled = Filled { name: &name_of_it, ..Filled::default() };
    Ok(page(&visit, (&service, &at(&tenant, &name)), (&form, &form.blank()), &filled, StatusCode::OK))
}

/// `POST /services/{tenant}/{name}/bind`
///
/// # Errors
/// As [`show`].
pub async fn bind(
    who: Can<Order>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String)>,
    request: HttpRequest,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let (tenant, name) = path.into_inner();
    let service = bindable(own(&app, &who.caller, (&tenant, &name)).await?)?;
    let address = at(&tenant, &name);
    let (form, binding) = (form(&service), fields.text("name").to_owned());
    let (state, turned) = form.sent(fields.all());
    let mut filled = Filled { name: &binding, ..Filled::default() };
    if turned {
        return Ok(page(&visit, (&service, &address), (&form, &state), &filled, StatusCode::OK));
    }
    let mut read = form.read(&state, None);
    filled.wrong = wrong(&service, &binding);
    if filled.wrong.is_some() || !read.faults.is_empty() {
        filled.faults = read.faults;
        return Ok(page(&visit, (&service, &address), (&form, &state), &filled, StatusCode::UNPROCESSABLE_ENTITY));
    }
    let parameters = Some(read.value.clone()).filter(|parameters| !parameters.is_empty());
    let (call, caller, work) = (observe::call(&request), who.caller.clone(), app.clone());
    let named = binding.clone();
    let bound = attempted(async move { work.bind_ordered(&caller, &call, (&tenant, &name, &named), parameters).await });
    match bound.await {
        Ok(PersonallyBound::Ready(bound)) => match &bound.answer {
            Some(answer) => Ok(credentials(&visit, (&service, &address), &binding, answer)),
            None => Ok(visit.to(&binding_at(&address, &binding))),
        },
        Ok(PersonallyBound::Accepted(_)) => Ok(visit.to(&binding_at(&address, &binding))),
        Err(app::Error::Invalid(issues)) => {
            let others = read.blame(&issues);
            filled.wrong = others.first().map(|issue| issue.message.as_str());
            filled.faults = read.faults;
            Ok(page(&visit, (&service, &address), (&form, &state), &filled, StatusCode::UNPROCESSABLE_ENTITY))
        }
        Err(error) => {
            let failure = Failure::from(error);
            if failure.is_fault() {
                return Err(failure);
            }
            filled.refused = Some(&failure);
            Ok(page(&visit, (&service, &address), (&form, &state), &filled, visit::status(&failure)))
        }
    }
}

/// A service that can be bound to now.
///
/// # Errors
/// 409 where it can't.
pub(super) fn bindable(service: Service) -> Result<Service, Failure> {
    let conflict = |code, message: &str| Err(app::Error::conflict(code, message).into());
    if !service.plan.as_ref().is_some_and(|plan| plan.bindable()) {
        return conflict("not_bindable", "its plan has no bindings: there are no credentials to give");
    }
    match service.instance.row.state {
        InstanceState::Ready => Ok(service),
        _ => conflict("not_ready", "it can be bound to as soon as it is ready"),
    }
}

/// What is wrong with the name of a new binding.
pub(super) fn wrong(service: &Service, binding: &str) -> Option<&'static str> {
    if !name::is_name(binding) {
        return Some("Use 1 to 63 of the characters a to z, 0 to 9 and -");
    }
    taken(service, binding).then_some("There is a binding of this name already: choose another one")
}

fn form(service: &Service) -> Form {
    Form::of(service.plan.as_ref().and_then(|plan| plan.plan.bind_schema()), None)
}

fn page(
    visit: &Visit,
    (service, address): (&Service, &str),
    (form, state): (&Form, &State),
    filled: &Filled<'_>,
    status: StatusCode,
) -> HttpResponse {
    let title = format!("Bind to {}", called(service));
    let here = format!("{address}/bind");
    let mut wrong: Vec<(String, String)> =
        filled.wrong.iter().map(|text| ("name".to_owned(), format!("Name: {text}"))).collect();
    wrong.extend(filled.faults.listed(form));
    let view = View { address: &here, faults: Some(&filled.faults), ..View::default() };
    Page::new(visit, &title).status(status).above(trail(service, address)).show(html! {
        @if let Some(failure) = filled.refused {
            (kit::notice(Tone::Bad, &html! { h2 { "It was not bound to" } p { (failure.detail()) } }))
        }
        (kit::errors(&wrong))
        p.lead { "A binding is what an application gets in with: credentials of its own, which can be revoked without anybody else noticing." }
        form method="post" action=(here) novalidate {
            (kit::csrf(visit))
            (kit::line(&Line { name: "name", label: "Name of the binding", hint: "What uses it: an application, a person. 1 to 63 of a to z, 0 to 9 and -.",
                value: filled.name, required: true, wrong: filled.wrong, autocomplete: "off", ..Line::default() }))
            @if !form.is_empty() { (form.show(state, &view)) }
            p.actions { button type="submit" { "Bind and show the credentials" } a.button.second href=(address) { "Back" } }
        }
        (kit::same_by_program(
            &format!("curl -X PUT -H \"Authorization: Bearer $TOKEN\" -H \"Content-Type: application/json\" -d '{{}}' \
                \"$HUB/api/v1/tenants/{}/instances/{}/bindings/{}\"",
                kit::part(&service.instance.tenant), kit::part(called(service)), kit::part(filled.name)),
            Some(&format!("bourse bind {} --tenant {} --binding {}", called(service), service.instance.tenant, filled.name)),
        ))
    })
}
