//! `/api/v1/approval-rules`: which orders wait for somebody's yes.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::approvals::RuleView;
use crate::app::tenants::Put;
use crate::clock::Time;
use crate::domain::approval::ApprovalRule;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ManageApprovalRules, SeeApprovalRules};

/// A rule of approval.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = NamedApprovalRule)]
pub struct RuleOut {
    /// Immutable.
    name: String,
    #[serde(flatten)]
    rule: ApprovalRule,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl From<RuleView> for RuleOut {
    fn from(view: RuleView) -> Self {
        let RuleView { name, rule, created_at } = view;
        Self { name, rule, created_at }
    }
}

/// `GET /approval-rules`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    _: Can<SeeApprovalRules>,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<RuleOut>>, Failure> {
    Ok(Json(app.approval_rules(&params.0.page()?).await?.map(RuleOut::from).into()))
}

/// `GET /approval-rules/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn show(_: Can<SeeApprovalRules>, app: Data<App>, name: Path<String>) -> Result<Json<RuleOut>, Failure> {
    Ok(Json(app.approval_rule(&name).await?.into()))
}

/// `PUT /approval-rules/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn put(
    who: Can<ManageApprovalRules>,
    app: Data<App>,
    name: Path<String>,
    body: Body<ApprovalRule>,
) -> Result<HttpResponse, Failure> {
    let (put, view) = app.put_approval_rule(&who.caller, &name, body.0).await?;
    let status = match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::OK,
    };
    Ok(HttpResponse::build(status).json(RuleOut::from(view)))
}

/// `DELETE /approval-rules/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn delete(
    who: Can<ManageApprovalRules>,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    app.delete_approval_rule(&who.caller, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}
