//! `/services/{tenant}/{name}`: one service, and all that there is to know and to do.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};

use super::super::frame::Page;
use super::super::kit;
use super::super::shown;
use super::super::visit::Visit;
use super::{at, called, facts, following, money, parameters, timeline, words};
use crate::app::App;
use crate::app::services::one::Service;
use crate::domain::instance::{BindingState, InstanceState};
use crate::http::error::Failure;
use crate::http::permits::{Can, ReadOrder};

/// `GET /services/{tenant}/{name}`
///
/// # Errors
/// 404 where it is not theirs to see.
pub async fn show(
    who: Can<ReadOrder>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    let (tenant, key) = path.into_inner();
    let service = app.service(&who.caller, &tenant, &key).await?;
    let named = service.by_name && service.instance.row.name.as_deref() == Some(key.as_str());
    if let (true, false, Some(name)) = (service.by_name, named, &service.instance.row.name)
        && !matches!(service.instance.row.state, InstanceState::Gone | InstanceState::Failed)
    {
        // What is there is called by its name; the name of what is not may mean another.
        return Ok(visit.to(&at(&tenant, name)));
    }
    let address = at(&tenant, &key);
    let title = called(&service).to_owned();
    let trail = kit::trail(&[("My services", "/services")]);
    let mut page = Page::new(&visit, &title).above(trail);
    if words::goes_on(&service) {
        page = page.reload(3);
    }
    Ok(page.show(html! {
        (following(&visit, &address, &service.seen, &live(&service, &address)))
        section aria-labelledby="parameters" {
            h2 id="parameters" { "Parameters" }
            (parameters::parameters(&service))
        }
        section aria-labelledby="money" {
            h2 id="money" { "Usage and cost" }
            (money::money(&service))
        }
        @if service.may_order && named && stands(&service) { (danger(&service, &address)) }
        (kit::same_by_program(&by_curl(&service, &tenant, &key), Some(&by_command(&service, &tenant, &key))))
    }))
}

/// What changes while somebody looks.
fn live(service: &Service, address: &str) -> Markup {
    html! {
        p.state role="status" { span.hidden-text { "State: " } (words::state(service.instance.row.state)) }
        (words::explained(service))
        (facts::facts(service))
        section aria-labelledby="bindings" {
            h2 id="bindings" { "Bindings" }
            (bindings(service, address))
        }
        section aria-labelledby="timeline" {
            h2 id="timeline" { "What happened" }
            (timeline::timeline(service))
            details.program id="events" {
                summary { "Events" }
                (facts::events(service))
            }
        }
    }
}

/// Whether there is something that can be changed or deleted.
fn stands(service: &Service) -> bool {
    service.instance.row.state != InstanceState::Gone
}

fn bindable(service: &Service) -> bool {
    service.plan.as_ref().is_some_and(|plan| plan.bindable())
}

fn bindings(service: &Service, address: &str) -> Markup {
    let may = service.may_order && service.by_name;
    let state = service.instance.row.state;
    let standing = service.bindings.iter().filter(|row| row.state != BindingState::Gone).count();
    let rows: Vec<Vec<Markup>> = service
        .bindings
        .iter()
        .filter(|row| row.state != BindingState::Gone)
        .map(|row| {
            let name = &row.platform_binding_id;
            vec![
                html! {
                    @if service.by_name { a.strong href={ (address) "/bindings/" (kit::part(name)) } { (name) } }
                    @else { code { (name) } }
                },
                words::binding_state(row.state),
                shown::time(row.created_at),
            ]
        })
        .collect();
    html! {
        @if !bindable(service) { p.under { "Its plan has no bindings: there are no credentials to give." } }
        @else if standing == 0 { p.under { "Nobody is bound to it: there are no credentials." } }
        @if standing > 0 { (kit::table("Credentials are shown on a binding's page", &["Binding", "State", "Since"], &rows)) }
        @if bindable(service) && may && state == InstanceState::Ready {
            p.actions { a.button href={ (address) "/bind" } { "Bind to it" } }
        }
        @if !service.by_name && bindable(service) {
            p.under { "It was ordered at the platform " (service.instance.platform) ", and is bound to there." }
        }
    }
}

fn danger(service: &Service, address: &str) -> Markup {
    let ready = service.instance.row.state == InstanceState::Ready;
    html! {
        section.danger aria-labelledby="danger" {
            h2 id="danger" { "Change or delete" }
            @if ready {
                p { "Another plan or other parameters; what would change is shown first." }
                p.actions { a.button.second href={ (address) "/change" } { "Change it" } }
            }
            p { "Deleting it can't be undone. What stands in the way is shown first." }
            p.actions { a.button.danger href={ (address) "/delete" } { "Delete it" } }
        }
    }
}

fn by_curl(service: &Service, tenant: &str, key: &str) -> String {
    let path = match service.by_name {
        true => format!("tenants/{}/instances/{}", kit::part(tenant), kit::part(key)),
        false => format!("instances/{}", service.instance.row.id),
    };
    format!("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/{path}\"")
}

fn by_command(service: &Service, tenant: &str, key: &str) -> String {
    match service.by_name {
        true => format!("bourse show {key} --tenant {tenant}"),
        false => format!("bourse instance show {}", service.instance.row.id),
    }
}
