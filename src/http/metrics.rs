//! `GET /metrics`, for Prometheus: open where `server.metrics_public` says so, else for administrators.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::auth;
use super::error::Failure;
use crate::app::{self, App};
use crate::metrics::CONTENT_TYPE;

/// The metrics as text.
///
/// # Errors
/// [`Failure`].
pub async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Failure> {
    if !app.config().server.metrics_public {
        let caller = auth::caller(&app, request.headers()).await?;
        if !caller.is_administrator() {
            return Err(app::Error::Forbidden("only an administrator may do this".to_owned()).into());
        }
    }
    let text = app.render_metrics().await?;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}
