//! `/services/{tenant}/{name}/bindings/{binding}/rotate`: new credentials in the place of old ones, which work until they are revoked.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use maud::html;

use super::super::fields::Fields;
use super::super::frame::Page;
use super::super::kit::{self, Line, Tone};
use super::super::visit::{self, Visit};
use super::bind::{binding_at, credentials, proposed, stem};
use super::new_binding::{bindable, wrong};
use super::{at, called, own};
use crate::app::people::PersonallyBound;
use crate::app::services::one::Service;
use crate::app::{self, App};
use crate::domain::caller::Caller;
use crate::domain::instance::BindingState;
use crate::http::detached::detached;
use crate::http::error::Failure;
use crate::http::observe;
use crate::http::permits::{Can, Order};

/// `GET /services/{tenant}/{name}/bindings/{binding}/rotate`
///
/// # Errors
/// 404 where it is not theirs to see, 403 where it is not theirs to rotate, 409 where it can't be rotated.
pub async fn show(
    who: Can<Order>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, Failure> {
    let (tenant, name, binding) = path.into_inner();
    let service = rotatable(&app, &who.caller, (&tenant, &name, &binding)).await?;
    let successor = proposed(&service, stem(&binding));
    Ok(page(&visit, (&service, &at(&tenant, &name)), (&binding, &successor), None, None))
}

/// `POST /services/{tenant}/{name}/bindings/{binding}/rotate`
///
/// # Errors
/// As [`show`].
pub async fn rotate(
    who: Can<Order>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String, String)>,
    request: HttpRequest,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let (tenant, name, binding) = path.into_inner();
    let service = rotatable(&app, &who.caller, (&tenant, &name, &binding)).await?;
    let (address, successor) = (at(&tenant, &name), fields.text("name").to_owned());
    if let Some(wrong) = wrong(&service, &successor) {
        return Ok(page(&visit, (&service, &address), (&binding, &successor), Some(wrong), None));
    }
    let (call, caller, work) = (observe::call(&request), who.caller.clone(), app.clone());
    let (old, new) = (binding.clone(), successor.clone());
    let bound = detached(async move { work.rotate_ordered(&caller, &call, (&tenant, &name, &old), &new).await });
    match bound.await {
        Ok(PersonallyBound::Ready(bound)) => match &bound.answer {
            Some(answer) => Ok(credentials(&visit, (&service, &address), &successor, answer)),
            None => Ok(visit.to(&binding_at(&address, &successor))),
        },
        Ok(PersonallyBound::Accepted(_)) => Ok(visit.to(&binding_at(&address, &successor))),
        Err(failure) if !failure.is_fault() => {
            Ok(page(&visit, (&service, &address), (&binding, &successor), None, Some(&failure)))
        }
        Err(failure) => Err(failure),
    }
}

/// A service whose binding of that name can be rotated now.
async fn rotatable(
    app: &App,
    caller: &Caller,
    (tenant, name, binding): (&str, &str, &str),
) -> Result<Service, Failure> {
    let service = bindable(own(app, caller, (tenant, name)).await?)?;
    let found = app.service_binding(caller, (tenant, name, binding)).await?;
    let rotatable = service.plan.as_ref().is_some_and(|plan| plan.plan.binding_rotatable.as_option() == Some(&true));
    if !rotatable {
        let message = "bindings of its plan can't be rotated: bind anew, then revoke the old binding";
        return Err(app::Error::conflict("not_rotatable", message).into());
    }
    if found.row.state != BindingState::Ready {
        return Err(app::Error::conflict("not_ready", "only a binding that is ready can be rotated").into());
    }
    Ok(service)
}

fn page(
    visit: &Visit,
    (service, address): (&Service, &str),
    (binding, successor): (&str, &str),
    wrong: Option<&str>,
    refused: Option<&Failure>,
) -> HttpResponse {
    let (title, here) = (format!("Rotate {binding}"), binding_at(address, binding));
    let trail = kit::trail(&[("My services", "/services"), (called(service), address), (binding, &here)]);
    let status = match (wrong, refused) {
        (Some(_), _) => StatusCode::UNPROCESSABLE_ENTITY,
        (None, Some(failure)) => visit::status(failure),
        (None, None) => StatusCode::OK,
    };
    let errors: Vec<_> = wrong.iter().map(|text| ("name".to_owned(), format!("Name: {text}"))).collect();
    Page::new(visit, &title).status(status).above(trail).show(html! {
        @if let Some(failure) = refused {
            (kit::notice(Tone::Bad, &html! { h2 { "It was not rotated" } p { (failure.detail()) } }))
        }
        (kit::errors(&errors))
        ol {
            li { "A new binding is made with all that " code { (binding) } " was asked for with." }
            li { "You bring its credentials to whatever uses the old ones. Both work meanwhile." }
            li { "You revoke " code { (binding) } "." }
        }
        form method="post" action={ (here) "/rotate" } novalidate {
            (kit::csrf(visit))
            (kit::line(&Line { name: "name", label: "Name of the new binding", hint: "1 to 63 of a to z, 0 to 9 and -.",
                value: successor, required: true, wrong, autocomplete: "off", ..Line::default() }))
            p.actions { button type="submit" { "Rotate and show the new credentials" } a.button.second href=(here) { "Back" } }
        }
    })
}
