//! `/api/v1/offerings/{offering}/plans/{plan}/parameters`: which of a plan's parameters have another default, are forced, or may not be
//! given.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::app::laws::{Key, ParametersView};
use crate::app::tenants::Put;
use crate::clock::Time;
use crate::domain::parameters::ParameterRules;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ManagePolicies, SeePolicies};

/// What is said about a plan's parameters.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PlanParameters)]
pub struct ParametersOut {
    /// The offering's name.
    offering: String,
    /// The plan's name.
    plan: String,
    /// Whose orders; `null` for all.
    tenant: Option<String>,
    #[serde(flatten)]
    rules: ParameterRules,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl From<ParametersView> for ParametersOut {
    fn from(view: ParametersView) -> Self {
        let ParametersView { key, rules, created_at } = view;
        let tenant = Some(key.tenant).filter(|tenant| !tenant.is_empty());
        Self { offering: key.offering, plan: key.plan, tenant, rules, created_at }
    }
}

/// Whose orders.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whose {
    tenant: Option<String>,
}

fn key(path: Path<(String, String)>, whose: Params<Whose>) -> Key {
    let (offering, plan) = path.into_inner();
    Key { offering, plan, tenant: whose.0.tenant.unwrap_or_default() }
}

/// `GET /parameters`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    _: Can<SeePolicies>,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<ParametersOut>>, Failure> {
    Ok(Json(app.all_parameters(&params.0.page()?).await?.map(ParametersOut::from).into()))
}

/// `GET /offerings/{offering}/plans/{plan}/parameters`
///
/// # Errors
/// [`Failure`].
pub async fn show(
    _: Can<SeePolicies>,
    app: Data<App>,
    path: Path<(String, String)>,
    whose: Params<Whose>,
) -> Result<Json<ParametersOut>, Failure> {
    Ok(Json(app.parameters(&key(path, whose)).await?.into()))
}

/// `PUT /offerings/{offering}/plans/{plan}/parameters`
///
/// # Errors
/// [`Failure`].
pub async fn put(
    who: Can<ManagePolicies>,
    app: Data<App>,
    path: Path<(String, String)>,
    whose: Params<Whose>,
    body: Body<ParameterRules>,
) -> Result<HttpResponse, Failure> {
    let (put, view) = app.put_parameters(&who.caller, key(path, whose), body.0).await?;
    let status = match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::OK,
    };
    Ok(HttpResponse::build(status).json(ParametersOut::from(view)))
}

/// `DELETE /offerings/{offering}/plans/{plan}/parameters`
///
/// # Errors
/// [`Failure`].
pub async fn delete(
    who: Can<ManagePolicies>,
    app: Data<App>,
    path: Path<(String, String)>,
    whose: Params<Whose>,
) -> Result<HttpResponse, Failure> {
    app.delete_parameters(&who.caller, &key(path, whose)).await?;
    Ok(HttpResponse::NoContent().finish())
}
