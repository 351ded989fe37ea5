//! `GET /.well-known/jwks.json`: the keys with which brokers verify stamps. Public halves only.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::Data;

use super::error::Failure;
use crate::app::App;

/// Shorter than any key is published before it signs.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The keys (RFC 7517).
///
/// # Errors
/// [`Failure`].
pub async fn show(app: Data<App>) -> Result<HttpResponse, Failure> {
    let keys = app.jwks().await?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, CACHE)).json(keys))
}
