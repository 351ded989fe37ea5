//! `/operator/approval-rules/{name}/delete`: asks before a rule is gone.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::html;

use super::{HERE, facts};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::permits::{Can, ManageApprovalRules};
use crate::http::portal::documents::{self, Question, ask};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::Wrong;
use crate::http::portal::kit;
use crate::http::portal::visit::Visit;

/// `GET /operator/approval-rules/{name}/delete`
///
/// # Errors
/// 404 where there is none.
pub async fn sure(
    _: Can<ManageApprovalRules>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.approval_rule(&name).await?;
    let back = format!("{HERE}/{}", kit::part(&view.name));
    let question = Question {
        title: &format!("Delete approval rule {}?", view.name),
        trail: kit::trail(&[("Approval rules", HERE), (&view.name, &back)]),
        text: html! {
            p { "Orders that come from then on don't wait for it any more. What waits because of it goes on waiting." }
            (facts(&view))
        },
        fields: &[],
        yes: "Delete the rule",
        back: &back,
        program: kit::same_by_program(
            &documents::curl("DELETE", &format!("/approval-rules/{}", kit::part(&view.name)), None),
            Some(&format!("bourse approval-rule delete {}", view.name)),
        ),
    };
    Ok(ask(&visit, &question, &Wrong::default()))
}

/// `POST /operator/approval-rules/{name}/delete`
///
/// # Errors
/// 404 where there is none.
pub async fn delete(
    who: Can<ManageApprovalRules>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    app.delete_approval_rule(&who.caller, &name).await?;
    Ok(visit.to(HERE))
}
