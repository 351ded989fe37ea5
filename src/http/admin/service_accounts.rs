//! `/api/v1/service-accounts`: programs with a token of their own, which is given out once.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::app::identity::{AccountView, Made, NewAccount};
use crate::clock::Time;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ManagePeople, SeePeople};

/// A service account to be.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewServiceAccount)]
pub struct AccountIn {
    /// Immutable.
    name: String,
    /// `operator`, `provider:BROKER`, `tenant-member:TENANT`, …
    roles: Vec<String>,
}

/// A service account.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ServiceAccount)]
pub struct AccountOut {
    /// Immutable.
    name: String,
    /// What it is.
    roles: Vec<String>,
    /// Who made it.
    created_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// Since when its token is the one it has.
    #[schema(value_type = String, format = DateTime)]
    token_at: Time,
}

impl From<AccountView> for AccountOut {
    fn from(row: AccountView) -> Self {
        let AccountView { name, roles, created_by, created_at, token_at } = row;
        Self { name, roles, created_by, created_at, token_at }
    }
}

/// A service account whose token was just made.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = ServiceAccountWithToken)]
pub struct MadeOut {
    #[serde(flatten)]
    account: AccountOut,
    /// For `Authorization: Bearer`; given out this once.
    token: String,
}

impl From<Made> for MadeOut {
    fn from(made: Made) -> Self {
        Self { account: made.account.into(), token: made.token.expose().clone() }
    }
}

/// `GET /service-accounts`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    _: Can<SeePeople>,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<AccountOut>>, Failure> {
    Ok(Json(app.service_accounts(&params.0.page()?).await?.map(AccountOut::from).into()))
}

/// `GET /service-accounts/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn show(_: Can<SeePeople>, app: Data<App>, name: Path<String>) -> Result<Json<AccountOut>, Failure> {
    Ok(Json(app.service_account(&name).await?.into()))
}

/// `POST /service-accounts`
///
/// # Errors
/// [`Failure`].
pub async fn create(who: Can<ManagePeople>, app: Data<App>, body: Body<AccountIn>) -> Result<HttpResponse, Failure> {
    let AccountIn { name, roles } = body.0;
    let made = app.create_service_account(&who.caller, NewAccount { name, roles }).await?;
    Ok(HttpResponse::Created().json(MadeOut::from(made)))
}

/// `POST /service-accounts/{name}/token`
///
/// # Errors
/// [`Failure`].
pub async fn renew(who: Can<ManagePeople>, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Failure> {
    let made = app.renew_service_account(&who.caller, &name).await?;
    Ok(HttpResponse::Created().json(MadeOut::from(made)))
}

/// `DELETE /service-accounts/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn delete(who: Can<ManagePeople>, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Failure> {
    app.delete_service_account(&who.caller, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}
