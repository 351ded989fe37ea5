//! `/api/v1/tenants`: tenants and what platforms call them.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::tenants::{Put, TenantView};
use crate::clock::Time;
use crate::domain::identity::Identity;
use crate::domain::tenant::{Member, TenantDocument};
use crate::http::error::Failure;
use crate::http::input::{Body, Params, etag, if_match};
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ManageTenants, SeeTenants};

/// A tenant.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantOut {
    /// For ever the same.
    id: String,
    /// Immutable.
    name: String,
    /// For people.
    display_name: String,
    /// Where its costs go.
    cost_center: String,
    /// Whom it belongs to.
    business_unit: String,
    /// Such as `production`.
    environment: String,
    /// Who answers for it.
    owner: String,
    /// Groups that belong to it.
    groups: Vec<String>,
    /// Free words.
    labels: BTreeMap<String, String>,
    /// Whose months and days it is charged by.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    /// Who may order for it, or see it.
    members: Vec<Member>,
    /// What platforms call it.
    identities: Vec<Identity>,
    /// Why it may order, change and bind nothing for the time being.
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl From<TenantView> for TenantOut {
    fn from(view: TenantView) -> Self {
        let TenantDocument {
            display_name,
            cost_center,
            business_unit,
            environment,
            owner,
            groups,
            labels,
            time_zone,
            members,
            identities,
        } = view.tenant.document;
        Self {
            id: view.tenant.id,
            name: view.tenant.name,
            display_name,
            cost_center,
            business_unit,
            environment,
            owner,
            groups,
            labels,
            time_zone,
            members,
            identities,
            suspended: view.tenant.suspended,
            created_at: view.created_at,
        }
    }
}

fn answer(status: StatusCode, view: TenantView) -> HttpResponse {
    HttpResponse::build(status).insert_header(etag(&view.tag())).json(TenantOut::from(view))
}

/// `GET /tenants`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeTenants>,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<TenantOut>>, Failure> {
    Ok(Json(app.tenants(&who.sight, &params.0.page()?).await?.map(TenantOut::from).into()))
}

/// `GET /tenants/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn show(who: Can<SeeTenants>, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Failure> {
    Ok(answer(StatusCode::OK, app.tenant_view(&who.sight, &name).await?))
}

/// `PUT /tenants/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn put(
    who: Can<ManageTenants>,
    app: Data<App>,
    name: Path<String>,
    request: HttpRequest,
    body: Body<TenantDocument>,
) -> Result<HttpResponse, Failure> {
    let precondition = if_match(request.headers())?;
    let (put, view) = app.put_tenant(&who.caller, &name, body.0, precondition).await?;
    let status = match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::OK,
    };
    Ok(answer(status, view))
}

/// `DELETE /tenants/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn delete(who: Can<ManageTenants>, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Failure> {
    app.delete_tenant(&who.caller, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}
