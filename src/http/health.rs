//! `GET /healthz`: the process lives. `GET /readyz`: it can do its work, or why not. Both need no credentials and name no
//! hosts.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::Draining;
use crate::app::App;

/// Whether the process may be sent requests.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready` or `not ready`.
    status: &'static str,
    /// Everything that is in the way.
    reasons: Vec<String>,
}

/// Answers as long as the process lives.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// Answers whether the process can do its work.
pub async fn ready(app: web::Data<App>, draining: web::Data<Draining>) -> HttpResponse {
    let mut reasons = app.not_ready().await;
    if draining.is_draining() {
        reasons.push("the process is stopping".to_owned());
    }
    let (code, status) = match reasons.is_empty() {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let mut response = HttpResponse::build(code);
    if code != StatusCode::OK {
        response.insert_header(("retry-after", "1"));
    }
    response.json(Readiness { status, reasons })
}
