//! `/operator/tenants/{name}/delete`: asks before a tenant is gone that has nothing. One that has something is taken down instead
//! ([`super::super::offboard`]).

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::html;

use super::{HERE, facts};
use crate::app::App;
use crate::app::tenants::TenantView;
use crate::http::error::Failure;
use crate::http::permits::{Can, ManageTenants};
use crate::http::portal::documents::{self, Question, ask};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::Wrong;
use crate::http::portal::kit;
use crate::http::portal::visit::Visit;

/// `GET /operator/tenants/{name}/delete`
///
/// # Errors
/// 404 where there is none.
pub async fn sure(
    who: Can<ManageTenants>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.tenant_view(&who.sight, &name).await?;
    Ok(question(&visit, &view, &Wrong::default()))
}

/// `POST /operator/tenants/{name}/delete`
///
/// # Errors
/// 404 where there is none.
pub async fn delete(
    who: Can<ManageTenants>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    match app.delete_tenant(&who.caller, &name).await {
        Ok(()) => Ok(visit.to(HERE)),
        Err(error) => {
            let wrong = Wrong::of(error, &[])?;
            Ok(question(&visit, &app.tenant_view(&who.sight, &name).await?, &wrong))
        }
    }
}

fn question(visit: &Visit, view: &TenantView, wrong: &Wrong) -> HttpResponse {
    let tenant = &view.tenant;
    let back = format!("{HERE}/{}", kit::part(&tenant.name));
    let question = Question {
        title: &format!("Delete tenant {}?", tenant.document.display_name),
        trail: kit::trail(&[("Tenants", HERE), (&tenant.document.display_name, &back)]),
        text: html! {
            p { "Nobody can order for it any more, and what platforms call it is forgotten. What it has cost stays on record." }
            p { "It can only be deleted when nothing of it stands. What stands is deleted with it where it is " a href={ (back) "/offboard" } { "taken down" } "." }
            (facts(view))
        },
        fields: &[],
        yes: "Delete the tenant",
        back: &back,
        program: kit::same_by_program(
            &documents::curl("DELETE", &format!("/tenants/{}", kit::part(&tenant.name)), None),
            Some(&format!("bourse tenant delete {}", tenant.name)),
        ),
    };
    ask(visit, &question, wrong)
}
