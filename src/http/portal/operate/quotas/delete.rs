//! `/operator/quotas/{name}/delete`: asks before a quota is gone.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::html;

use super::{HERE, facts};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::permits::{Can, ManageQuotas};
use crate::http::portal::documents::{self, Question, ask};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::Wrong;
use crate::http::portal::kit;
use crate::http::portal::visit::Visit;

/// `GET /operator/quotas/{name}/delete`
///
/// # Errors
/// 404 where there is none.
pub async fn sure(
    who: Can<ManageQuotas>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.quota(&who.sight, &name).await?;
    let name = &view.row.name;
    let back = format!("{HERE}/{}", kit::part(name));
    let question = Question {
        title: &format!("Delete quota {name}?"),
        trail: kit::trail(&[("Quotas", HERE), (name, &back)]),
        text: html! {
            p { "The tenant may order as much as it likes of this then. Nothing is counted any more; what stands stays." }
            (facts(&view))
        },
        fields: &[],
        yes: "Delete the quota",
        back: &back,
        program: kit::same_by_program(
            &documents::curl("DELETE", &format!("/quotas/{}", kit::part(name)), None),
            Some(&format!("bourse quota delete {name}")),
        ),
    };
    Ok(ask(&visit, &question, &Wrong::default()))
}

/// `POST /operator/quotas/{name}/delete`
///
/// # Errors
/// 404 where there is none.
pub async fn delete(
    who: Can<ManageQuotas>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    app.delete_quota(&who.caller, &name).await?;
    Ok(visit.to(HERE))
}
