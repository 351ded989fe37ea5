//! `/services/{tenant}/{name}/delete`: what would go, what stands in the way, and what it cost; then it goes.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};

use super::super::fields::Fields;
use super::super::frame::Page;
use super::super::kit::{self, Tone};
use super::super::shown;
use super::super::visit::{self, Visit};
use super::{at, called, facts, money, own, trail, words};
use crate::app::App;
use crate::app::services::one::Service;
use crate::domain::instance::{BindingState, InstanceState};
use crate::http::detached::detached;
use crate::http::error::Failure;
use crate::http::observe;
use crate::http::permits::{Can, Order};

/// How long a browser waits for a deletion; it goes on, and the service's page tells how.
const WAIT: Duration = Duration::from_secs(4);

/// `GET /services/{tenant}/{name}/delete`
///
/// # Errors
/// 404 where it is not theirs to see, 403 where it is not theirs to delete.
pub async fn show(
    who: Can<Order>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    let (tenant, name) = path.into_inner();
    let service = own(&app, &who.caller, (&tenant, &name)).await?;
    Ok(page(&visit, &service, &at(&tenant, &name), None))
}

/// `POST /services/{tenant}/{name}/delete`
///
/// # Errors
/// As [`show`].
pub async fn delete(
    who: Can<Order>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String)>,
    request: HttpRequest,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    let (tenant, name) = path.into_inner();
    let service = own(&app, &who.caller, (&tenant, &name)).await?;
    let address = at(&tenant, &name);
    if service.instance.row.state == InstanceState::Gone {
        return Ok(visit.to(&address));
    }
    let (call, caller, work) = (observe::call(&request), who.caller.clone(), app.clone());
    let deleted = detached(async move { work.delete_ordered(&caller, &call, &tenant, &name).await.map(drop) });
    match tokio::time::timeout(WAIT, deleted).await {
        Ok(Err(failure)) if !failure.is_fault() => Ok(page(&visit, &service, &address, Some(&failure))),
        Ok(Err(failure)) => Err(failure),
        // Where it takes longer, the page tells.
        Ok(Ok(())) | Err(_) => Ok(visit.to(&address)),
    }
}

fn page(visit: &Visit, service: &Service, address: &str, refused: Option<&Failure>) -> HttpResponse {
    let title = format!("Delete {}", called(service));
    let status = refused.map_or(StatusCode::OK, visit::status);
    Page::new(visit, &title).status(status).above(trail(service, address)).show(html! {
        @if let Some(failure) = refused {
            (kit::notice(Tone::Bad, &html! { h2 { "It was not deleted" } p { (failure.detail()) } }))
        }
        @if service.instance.row.state == InstanceState::Gone {
            (kit::notice(Tone::Plain, &html! { p { "It is deleted already." } }))
            p.actions { a.button href=(address) { "To the service" } }
        } @else {
            (what(service))
            (in_the_way(service, address))
            @if service.dependents.is_empty() {
                form method="post" action={ (address) "/delete" } {
                    (kit::csrf(visit))
                    p.actions {
                        button.danger type="submit" { "Delete " (called(service)) " for good" }
                        a.button.second href=(address) { "Keep it" }
                    }
                }
            } @else { p.actions { a.button href=(address) { "Back to the service" } } }
        }
        (kit::same_by_program(
            &format!("curl -X DELETE -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/tenants/{}/instances/{}\"",
                kit::part(&service.instance.tenant), kit::part(called(service))),
            Some(&format!("bourse delete {} --tenant {}", called(service), service.instance.tenant)),
        ))
    })
}

fn what(service: &Service) -> Markup {
    let view = &service.instance;
    let mut rows = vec![
        ("What", html! { (view.offering) ", plan " (view.plan) " for the tenant " (view.tenant) }),
        ("State", words::state(view.row.state)),
        ("Ordered", shown::time(view.row.created_at)),
    ];
    if let Some(month) = &service.money
        && let Some(currency) = &month.currency
    {
        let cost = money::amount(&month.amount, currency);
        rows.push(("Cost this month", html! { (cost) ". It is charged until the deletion is asked for." }));
    }
    kit::facts(&rows)
}

fn in_the_way(service: &Service, address: &str) -> Markup {
    let bound: Vec<_> = service.bindings.iter().filter(|row| row.state != BindingState::Gone).collect();
    html! {
        @if !service.dependents.is_empty() {
            (kit::notice(Tone::Bad, &html! {
                h2 { "Other services need it" }
                p { "It can't be deleted before they are:" }
                (facts::dependents(&service.dependents))
            }))
        }
        @if !bound.is_empty() {
            (kit::notice(Tone::Warn, &html! {
                h2 { "Whoever uses it loses access" }
                p { "These bindings are revoked with it, and their credentials stop working:" }
                ul { @for row in &bound {
                    li { a href={ (address) "/bindings/" (kit::part(&row.platform_binding_id)) } { (row.platform_binding_id) } }
                } }
            }))
        }
        @if service.instance.row.state == InstanceState::WaitingApproval {
            (kit::notice(Tone::Busy, &html! { p { "The order waits for an approval: deleting it takes the order back." } }))
        } @else {
            (kit::notice(Tone::Warn, &html! { p { "Everything in it is deleted at its broker. This can't be undone." } }))
        }
    }
}
