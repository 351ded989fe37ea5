//! `GET /pools` and `GET /pools/{name}`, behind the same door as `/v2`.

use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use osb::Error;
use osb::server::Server;
use serde_json::Value;

use super::VnetIpam;
use super::store;

/// What the broker serves beside `/v2`, to whom the server lets in.
pub fn routes(service: Arc<VnetIpam>, server: &Server) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static + use<> {
    let behind = (service, server.clone());
    move |config| {
        let (all, one) = (behind.clone(), behind.clone());
        config.service(web::resource("/pools").route(web::get().to(move |request: HttpRequest| {
            let (service, server) = all.clone();
            async move { answer(&server, &request, async { service.pools().await.map_err(failed) }).await }
        })));
        let shown = move |request: HttpRequest, name: web::Path<String>| {
            let (service, server) = one.clone();
            async move { answer(&server, &request, pool(&service, &name)).await }
        };
        config.service(web::resource("/pools/{name}").route(web::get().to(shown)));
    }
}

async fn pool(service: &VnetIpam, name: &str) -> Result<Value, Error> {
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

async fn answer(
    server: &Server,
    request: &HttpRequest,
    shown: impl Future<Output = Result<Value, Error>>,
) -> HttpResponse {
    if let Err(refusal) = server.admit(request).await {
        return refusal;
    }
    match shown.await {
        Ok(shown) => HttpResponse::Ok().json(shown),
        Err(error) => server.refuse(request, error),
    }
}
