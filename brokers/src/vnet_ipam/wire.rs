//! `GET /pools` and `GET /pools/{name}`, behind the same door as `/v2`.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use osb::Error;
use osb::server::{Door, Head};
use serde_json::{Value, json};

use super::VnetIpam;
use super::store;

/// What the broker serves beside `/v2`.
pub fn routes(service: Arc<VnetIpam>, door: Arc<dyn Door>) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    move |config| {
        let (all, one) = ((Arc::clone(&service), Arc::clone(&door)), (Arc::clone(&service), Arc::clone(&door)));
        config.service(web::resource("/pools").route(web::get().to(move |request| {
            let (service, door) = all.clone();
            async move { answer(pools(&service, &door, &request).await) }
        })));
        config.service(web::resource("/pools/{name}").route(web::get().to(move |request, name: web::Path<String>| {
            let (service, door) = one.clone();
            async move { answer(pool(&service, &door, &request, &name).await) }
        })));
    }
}

async fn pools(service: &VnetIpam, door: &Arc<dyn Door>, request: &HttpRequest) -> Result<Value, Error> {
    door.open(&Head::new(request)).await?;
    service.pools().await.map_err(failed)
}

async fn pool(service: &VnetIpam, door: &Arc<dyn Door>, request: &HttpRequest, name: &str) -> Result<Value, Error> {
    door.open(&Head::new(request)).await?;
    let pool = service.pool(name).await.map_err(failed)?;
    pool.ok_or_else(|| Error::not_found("there is no pool of this name"))
}

fn failed(error: store::Error) -> Error {
    if matches!(error, store::Error::Busy) {
        return Error::unavailable(error.to_string(), 1);
    }
    tracing::error!(error = ?error, "the pools can't be shown");
    Error::internal("the pools can't be shown")
}

fn answer(outcome: Result<Value, Error>) -> HttpResponse {
    let error = match outcome {
        Ok(value) => return HttpResponse::Ok().json(value),
        Err(error) => error,
    };
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"vnet-ipam\", charset=\"UTF-8\""));
    }
    if let Some(seconds) = error.retry_after_seconds {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    response.json(json!({"description": error.description()}))
}
