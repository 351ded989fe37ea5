//! `GET /.well-known/bourse-login`: where `bourse login` gets a token for this hub. Nothing of it is secret.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::Failure;
use crate::app::App;

/// How to log in.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Login)]
pub struct LoginOut {
    /// The identity provider.
    issuer: String,
    /// The public client to ask as.
    client_id: String,
    /// What to ask for.
    scope: String,
    /// The resource that the token is for; empty where the provider knows none.
    resource: String,
}

/// How to log in.
///
/// # Errors
/// 404 where there is no identity provider, or no client of it for that.
pub async fn show(app: Data<App>) -> Result<HttpResponse, Failure> {
    let oidc = &app.config().oidc;
    if !oidc.is_on() || oidc.login_client_id.is_empty() {
        let detail = "this hub has no identity provider to log in with";
        return Err(Failure::new(StatusCode::NOT_FOUND, "no_login", detail));
    }
    Ok(HttpResponse::Ok().json(LoginOut {
        issuer: oidc.issuer.clone(),
        client_id: oidc.login_client_id.clone(),
        scope: oidc.login_scope.clone(),
        resource: oidc.login_resource.clone(),
    }))
}
