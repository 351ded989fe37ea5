//! `/services/{tenant}/{name}/bindings/{binding}/revoke`: says who loses access, then revokes.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use maud::html;

use super::super::fields::Fields;
use super::super::frame::Page;
use super::super::kit::{self, Tone};
use super::super::shown;
use super::super::visit::{self, Visit};
use super::bind::binding_at;
use super::{at, called, own, words};
use crate::app::App;
use crate::app::services::one::{Service, ServiceBinding};
use crate::http::detached::detached;
use crate::http::error::Failure;
use crate::http::observe;
use crate::http::permits::{Can, Order};

/// How long a browser waits; the revoking goes on, and the binding's page tells how.
const WAIT: Duration = Duration::from_secs(4);

/// `GET /services/{tenant}/{name}/bindings/{binding}/revoke`
///
/// # Errors
/// 404 where it is not theirs to see, 403 where it is not theirs to revoke.
pub async fn show(
    who: Can<Order>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, Failure> {
    let (tenant, name, binding) = path.into_inner();
    let service = own(&app, &who.caller, (&tenant, &name)).await?;
    let found = app.service_binding(&who.caller, (&tenant, &name, &binding)).await?;
    Ok(page(&visit, (&service, &at(&tenant, &name)), &found, None))
}

/// `POST /services/{tenant}/{name}/bindings/{binding}/revoke`
///
/// # Errors
/// As [`show`].
pub async fn revoke(
    who: Can<Order>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String, String)>,
    request: HttpRequest,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    let (tenant, name, binding) = path.into_inner();
    let service = own(&app, &who.caller, (&tenant, &name)).await?;
    let found = app.service_binding(&who.caller, (&tenant, &name, &binding)).await?;
    let address = at(&tenant, &name);
    let (call, caller, work) = (observe::call(&request), who.caller.clone(), app.clone());
    let named = binding.clone();
    let gone = detached(async move { work.unbind_ordered(&caller, &call, (&tenant, &name, &named)).await.map(drop) });
    match tokio::time::timeout(WAIT, gone).await {
        Ok(Err(failure)) if !failure.is_fault() => Ok(page(&visit, (&service, &address), &found, Some(&failure))),
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(())) | Err(_) => Ok(visit.to(&binding_at(&address, &binding))),
    }
}

fn page(
    visit: &Visit,
    (service, address): (&Service, &str),
    found: &ServiceBinding,
    refused: Option<&Failure>,
) -> HttpResponse {
    let binding = &found.row.platform_binding_id;
    let (title, here) = (format!("Revoke {binding}"), binding_at(address, binding));
    let trail = kit::trail(&[("My services", "/services"), (called(service), address), (binding, &here)]);
    let status = refused.map_or(StatusCode::OK, visit::status);
    Page::new(visit, &title).status(status).above(trail).show(html! {
        @if let Some(failure) = refused {
            (kit::notice(Tone::Bad, &html! { h2 { "It was not revoked" } p { (failure.detail()) } }))
        }
        (kit::notice(Tone::Warn, &html! {
            p { "Whoever uses the credentials of this binding loses access at once. This can't be undone; you can bind anew." }
        }))
        (kit::facts(&[
            ("Binding", html! { (binding) " " (words::binding_state(found.row.state)) }),
            ("Service", html! { (called(service)) }),
            ("Asked for", shown::time(found.row.created_at)),
        ]))
        form method="post" action={ (here) "/revoke" } {
            (kit::csrf(visit))
            p.actions { button.danger type="submit" { "Revoke " (binding) } a.button.second href=(here) { "Keep it" } }
        }
        (kit::same_by_program(
            &format!("curl -X DELETE -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/tenants/{}/instances/{}/bindings/{}\"",
                kit::part(&service.instance.tenant), kit::part(called(service)), kit::part(binding)),
            Some(&format!("bourse unbind {} --tenant {} --binding {binding}", called(service), service.instance.tenant)),
        ))
    })
}
