//! `/operator/policies/{name}/delete`: asks before a policy is gone.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::html;

use super::HERE;
use crate::app::App;
use crate::http::error::Failure;
use crate::http::permits::{Can, ManagePolicies};
use crate::http::portal::documents::{self, Question, ask};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::Wrong;
use crate::http::portal::kit;
use crate::http::portal::visit::Visit;

/// `GET /operator/policies/{name}/delete`
///
/// # Errors
/// 404 where there is none.
pub async fn sure(
    _: Can<ManagePolicies>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.policy(&name).await?;
    let back = format!("{HERE}/{}", kit::part(&view.name));
    let question = Question {
        title: &format!("Delete policy {}?", view.name),
        trail: kit::trail(&[("Policies", HERE), (&view.name, &back)]),
        text: html! {
            p { "What it forbids is allowed from then on, in all processes at once. Its text is kept in the audit only." }
            pre.source tabindex="0" { code { (view.document.text) } }
        },
        fields: &[],
        yes: "Delete the policy",
        back: &back,
        program: kit::same_by_program(
            &documents::curl("DELETE", &format!("/policies/{}", kit::part(&view.name)), None),
            Some(&format!("bourse policy delete {}", view.name)),
        ),
    };
    Ok(ask(&visit, &question, &Wrong::default()))
}

/// `POST /operator/policies/{name}/delete`
///
/// # Errors
/// 404 where there is none.
pub async fn delete(
    who: Can<ManagePolicies>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    app.delete_policy(&who.caller, &name).await?;
    Ok(visit.to(HERE))
}
