//! `/services/{tenant}/{name}/bindings/{binding}`: a binding without its credentials; they are the answer to its button.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};

use super::super::fields::Fields;
use super::super::frame::Page;
use super::super::kit::{self, Tone};
use super::super::visit::Visit;
use super::super::{shell, shown};
use super::bind::{binding_at, credentials};
use super::{at, called, following, own, words};
use crate::app::App;
use crate::app::services::one::{Service, ServiceBinding};
use crate::domain::instance::BindingState;
use crate::http::detached::detached;
use crate::http::error::Failure;
use crate::http::observe;
use crate::http::permits::{Can, ReadBinding, ReadOrder};

/// `GET /services/{tenant}/{name}/bindings/{binding}`
///
/// # Errors
/// 404 where it is not theirs to see.
pub async fn show(
    who: Can<ReadOrder>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, Failure> {
    let (tenant, name, binding) = path.into_inner();
    let service = app.service(&who.caller, &tenant, &name).await?;
    let found = app.service_binding(&who.caller, (&tenant, &name, &binding)).await?;
    let address = at(&tenant, &name);
    let title = format!("Binding {binding}");
    let trail = kit::trail(&[("My services", "/services"), (called(&service), &address)]);
    let mut page = Page::new(&visit, &title).above(trail);
    if matches!(found.row.state, BindingState::Binding | BindingState::Unbinding | BindingState::Unresolved) {
        page = page.reload(3);
    }
    let here = binding_at(&address, &binding);
    Ok(page.show(html! {
        (following(&visit, &address, &service.seen, &body(&visit, &service, &found, (&address, &here))))
        (kit::same_by_program(
            &format!("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/tenants/{}/instances/{}/bindings/{}\"",
                kit::part(&tenant), kit::part(&name), kit::part(&binding)),
            Some(&format!("bourse bind {} --tenant {} --binding {} --existing", shell::word(&name), shell::word(&tenant), shell::word(&binding))),
        ))
    }))
}

/// `POST /services/{tenant}/{name}/bindings/{binding}`: shows the credentials, which is audited.
///
/// # Errors
/// 404 where it is not theirs to see, 403 where it is not theirs to use.
pub async fn reveal(
    who: Can<ReadBinding>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String, String)>,
    request: HttpRequest,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    let (tenant, name, binding) = path.into_inner();
    let service = app.service(&who.caller, &tenant, &name).await?;
    if service.may_order {
        own(&app, &who.caller, (&tenant, &name)).await?;
    }
    let address = at(&tenant, &name);
    let (call, caller, work) = (observe::call(&request), who.caller.clone(), app.clone());
    let named = binding.clone();
    let found = detached(async move { work.ordered_binding(&caller, &call, (&tenant, &name, &named), true).await });
    match found.await?.answer {
        Some(answer) => Ok(credentials(&visit, (&service, &address), &binding, &answer)),
        None => Ok(visit.to(&binding_at(&address, &binding))),
    }
}

fn body(visit: &Visit, service: &Service, found: &ServiceBinding, (address, here): (&str, &str)) -> Markup {
    let row = &found.row;
    let ready = row.state == BindingState::Ready;
    let rotatable = service.plan.as_ref().is_some_and(|plan| plan.plan.binding_rotatable.as_option() == Some(&true));
    let mut rows =
        vec![("Service", html! { a href=(address) { (called(service)) } }), ("Asked for", shown::time(row.created_at))];
    if let Some(at) = row.ready_at {
        rows.push(("Ready since", shown::time(at)));
    }
    if ready {
        rows.push(("Expires", html! {
            @match &found.expires_at {
                Some(at) => { (at) @if let Some(before) = &found.renew_before { ", renew it from " (before) " on" } },
                None => { "Its broker named no end, or it is told with the credentials." },
            }
        }));
    }
    if let Some(before) = &found.instead_of {
        rows.push(("In the place of", html! { code { (before) } }));
    }
    html! {
        p.state role="status" { span.hidden-text { "State: " } (words::binding_state(row.state)) }
        (explained(row.state))
        (kit::facts(&rows))
        @if ready && service.by_name && service.may_use {
            form method="post" action=(here) {
                (kit::csrf(visit))
                p { "Credentials are secrets: they are shown once you ask for them, and that you did is written down in the audit." }
                p.actions { button type="submit" { "Show credentials" } }
            }
        }
        @if service.by_name && service.may_order && matches!(row.state, BindingState::Ready | BindingState::Failed) {
            section.danger aria-labelledby="danger" {
                h2 id="danger" { "Rotate or revoke" }
                @if ready && rotatable {
                    p { "Rotating makes a new binding in the place of this one; this one works until you revoke it." }
                    p.actions { a.button.second href={ (here) "/rotate" } { "Rotate it" } }
                }
                p { "Whoever uses its credentials loses access once it is revoked." }
                p.actions { a.button.danger href={ (here) "/revoke" } { "Revoke it" } }
            }
        }
        @if !service.by_name {
            p.under { "It belongs to the platform " (service.instance.platform) ": its credentials are had and revoked there." }
        }
    }
}

fn explained(state: BindingState) -> Markup {
    match state {
        BindingState::Ready => html! {},
        BindingState::Binding => kit::notice(
            Tone::Busy,
            &html! {
                p { "Its broker makes the credentials now. As soon as they are there, a button here shows them." }
            },
        ),
        BindingState::Unbinding => {
            kit::notice(Tone::Busy, &html! { p { "It is being revoked. There is nothing to do." } })
        }
        BindingState::Unresolved => kit::notice(
            Tone::Warn,
            &html! {
                p { "Its broker did not say clearly what came of the last request. The hub finds out and then either takes what is there or undoes it." }
            },
        ),
        BindingState::Failed => kit::notice(
            Tone::Bad,
            &html! {
                p { "There are no credentials: its broker could not make or revoke them. What happened tells why on the service's page. What may be left is cleaned up." }
            },
        ),
        BindingState::Gone => kit::notice(
            Tone::Plain,
            &html! {
                p { "It was revoked: its credentials work no more. Its name is free again." }
            },
        ),
    }
}
