//! `/api/v1/instances/{id}/grants` and `/api/v1/context-updates`: who may read an instance, and brokers that are still to be told of a
//! tenant.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::app::context_updates::ContextUpdateView;
use crate::app::grants::GrantView;
use crate::clock::Time;
use crate::domain::grant::GrantRole;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{PageOut, PageParams, page};
use crate::http::permits::{Can, ManageInstances, ShareInstances};

/// What is granted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewGrant)]
pub struct GrantIn {
    /// `reader`, or `user`, who gets at credentials, too.
    role: GrantRole,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
}

/// Access to an instance.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
pub struct GrantOut {
    /// To whom.
    user: String,
    /// What they may do.
    role: GrantRole,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
    /// Who granted it.
    granted_by: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl From<GrantView> for GrantOut {
    fn from(view: GrantView) -> Self {
        let GrantView { instance_id: _, user, role, expires_at, granted_by, created_at } = view;
        Self { user, role, expires_at, granted_by, created_at }
    }
}

/// `GET /instances/{id}/grants`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<ShareInstances>,
    app: Data<App>,
    id: Path<String>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<GrantOut>>, Failure> {
    Ok(Json(app.grants(&who.sight, &id, &params.0.page()?).await?.map(GrantOut::from).into()))
}

/// `PUT /instances/{id}/grants/{user}`
///
/// # Errors
/// [`Failure`].
pub async fn put(
    who: Can<ShareInstances>,
    app: Data<App>,
    names: Path<(String, String)>,
    body: Body<GrantIn>,
) -> Result<Json<GrantOut>, Failure> {
    let GrantIn { role, expires_at } = body.0;
    Ok(Json(app.put_grant(&who.caller, &who.sight, (&names.0, &names.1), role, expires_at).await?.into()))
}

/// `DELETE /instances/{id}/grants/{user}`
///
/// # Errors
/// [`Failure`].
pub async fn delete(
    who: Can<ShareInstances>,
    app: Data<App>,
    names: Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    app.delete_grant(&who.caller, &who.sight, &names.0, &names.1).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Whose brokers to list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextUpdateParams {
    /// Of this tenant only.
    tenant: Option<String>,
    /// As in every list.
    limit: Option<u32>,
    /// As in every list.
    cursor: Option<String>,
}

/// An instance whose broker is still to be told what changed about its tenant.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ContextUpdate)]
pub struct ContextUpdateOut {
    /// The instance.
    instance_id: String,
    /// When the tenant changed.
    #[schema(value_type = String, format = DateTime)]
    since: Time,
    /// The operation that tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    /// How often it failed.
    attempts: i64,
    /// How it failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// When it is looked at again; absent where it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_at: Option<Time>,
}

impl From<ContextUpdateView> for ContextUpdateOut {
    fn from(view: ContextUpdateView) -> Self {
        let ContextUpdateView { instance_id, tenant_id: _, since, operation_id, attempts, error, next_at } = view;
        Self { instance_id, since, operation: operation_id, attempts, error, next_at }
    }
}

/// `GET /context-updates`
///
/// # Errors
/// [`Failure`].
pub async fn context_updates(
    _: Can<ManageInstances>,
    app: Data<App>,
    params: Params<ContextUpdateParams>,
) -> Result<Json<PageOut<ContextUpdateOut>>, Failure> {
    let ContextUpdateParams { tenant, limit, cursor } = params.0;
    let page = page(limit, cursor.as_deref())?;
    Ok(Json(app.context_updates(tenant.as_deref(), &page).await?.map(ContextUpdateOut::from).into()))
}
