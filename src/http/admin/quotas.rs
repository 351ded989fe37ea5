//! `/api/v1/quotas`: how much a tenant may have of something at most.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::app::quotas::QuotaView;
use crate::app::tenants::Put;
use crate::clock::Time;
use crate::domain::quota::QuotaDocument;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{PageOut, page};
use crate::http::permits::{Can, ManageQuotas, SeeQuotas};

/// A quota.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Quota)]
pub struct QuotaOut {
    /// Immutable.
    name: String,
    #[serde(flatten)]
    document: QuotaDocument,
    /// What is used of it: by what stands, what is being made, and what waits for an approval.
    used: String,
    /// Instances that count as nothing, since their parameters don't say how much they are; only where one quota is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    unmeasured: Option<i64>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl From<QuotaView> for QuotaOut {
    fn from(view: QuotaView) -> Self {
        let QuotaView { row, unmeasured } = view;
        Self {
            name: row.name,
            document: row.document,
            used: row.used.to_string(),
            unmeasured,
            created_at: row.created_at,
        }
    }
}

/// Which quotas.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaParams {
    tenant: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// `GET /quotas`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeQuotas>,
    app: Data<App>,
    params: Params<QuotaParams>,
) -> Result<Json<PageOut<QuotaOut>>, Failure> {
    let QuotaParams { tenant, limit, cursor } = params.0;
    let page = page(limit, cursor.as_deref())?;
    Ok(Json(app.quotas(&who.sight, tenant.as_deref(), &page).await?.map(QuotaOut::from).into()))
}

/// `GET /quotas/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn show(who: Can<SeeQuotas>, app: Data<App>, name: Path<String>) -> Result<Json<QuotaOut>, Failure> {
    Ok(Json(app.quota(&who.sight, &name).await?.into()))
}

/// `PUT /quotas/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn put(
    who: Can<ManageQuotas>,
    app: Data<App>,
    name: Path<String>,
    body: Body<QuotaDocument>,
) -> Result<HttpResponse, Failure> {
    let (put, view) = app.put_quota(&who.caller, &name, body.0).await?;
    let status = match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::OK,
    };
    Ok(HttpResponse::build(status).json(QuotaOut::from(view)))
}

/// `DELETE /quotas/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn delete(who: Can<ManageQuotas>, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Failure> {
    app.delete_quota(&who.caller, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}
