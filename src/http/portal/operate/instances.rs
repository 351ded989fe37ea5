//! `/operator/instances/{id}/purge`: forgets an instance whose service broker is gone for good. It asks first, and why.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::html;

use crate::app::App;
use crate::app::instances::InstanceView;
use crate::http::error::Failure;
use crate::http::permits::{Can, ManageInstances};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::Wrong;
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line};
use crate::http::portal::visit::Visit;

/// `GET /operator/instances/{id}/purge`
///
/// # Errors
/// 404 where there is none.
pub async fn sure(
    who: Can<ManageInstances>,
    visit: Visit,
    app: Data<App>,
    id: Path<String>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&who.sight, &id).await?.instance;
    Ok(asked(&visit, &instance, &Wrong::default()))
}

fn asked(visit: &Visit, instance: &InstanceView, wrong: &Wrong) -> HttpResponse {
    let name = instance.row.name.as_deref().unwrap_or(&instance.row.platform_instance_id);
    let title = format!("Purge {name}?");
    let trail = kit::trail(&[("Operate", "/operator"), ("Operations", "/operator/operations")]);
    let line = Line {
        name: "reason",
        label: "Reason",
        hint: "It is kept in the audit.",
        required: true,
        wrong: wrong.at("reason"),
        ..Line::default()
    };
    Page::new(visit, &title).above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        p { "The hub forgets this instance of " (instance.tenant) " (" (instance.offering) " " (instance.plan) ") and all its bindings: nothing is sent to " (instance.broker) ", what is under way is called off, and it costs nothing from now on. What may still be there stays there. This can't be taken back." }
        form.panel method="post" action=(visit.path()) {
            (kit::csrf(visit))
            (kit::line(&line))
            p.actions { button.danger type="submit" { "Forget the instance" } a href="/operator/operations" { "Keep it" } }
        }
        (kit::same_by_program(
            &format!("curl -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n  -d '{{\"reason\":\"…\"}}' \"$HUB/api/v1/instances/{}/purge\"", instance.row.id),
            None,
        ))
    })
}

/// `POST /operator/instances/{id}/purge`
///
/// # Errors
/// 404 where there is none.
pub async fn purge(
    who: Can<ManageInstances>,
    visit: Visit,
    app: Data<App>,
    id: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    match app.purge(&who.caller, &id, fields.text("reason")).await {
        Ok(_) => Ok(visit.to("/operator/operations")),
        Err(error) => {
            let wrong = Wrong::of(error, &[("/reason", "reason")])?;
            Ok(asked(&visit, &app.instance(&who.sight, &id).await?.instance, &wrong))
        }
    }
}
