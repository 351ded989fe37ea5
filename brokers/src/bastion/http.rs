//! What hosts fetch: the revocation list and the public keys of a bastion, beside `/v2` and without a lock.
//!
//! All of it is public: whoever can log in somewhere has seen it. Answers carry an `ETag`, so that a host that asks often moves
//! no bytes. A deleted bastion answers with no key at all and a list that revokes its keys, until its retention ends.

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, ETAG, EntityTag, Header as _, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, web};
use ring::digest::{SHA256, digest};

use super::store::Kind;
use super::{Bastion, StoreError};

/// Mounts `/bastions/{resource}/…`.
pub fn configure(bastion: Arc<Bastion>) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static {
    move |config| {
        let data = web::Data::from(Arc::clone(&bastion));
        config.service(
            web::scope("/bastions/{resource}")
                .app_data(data)
                .route("/krl", web::get().to(krl))
                .route("/user-ca.pub", web::get().to(user_ca))
                .route("/host-ca.pub", web::get().to(host_ca)),
        );
    }
}

async fn krl(request: HttpRequest, resource: web::Path<String>, bastion: web::Data<Bastion>) -> HttpResponse {
    let list = async {
        // Only what is a bastion's id is ever part of a path.
        match bastion.store.bastion(&resource).await? {
            Some(known) => bastion.store.krl(&known.resource).await,
            None => Ok(None),
        }
    };
    answer(&request, list.await, "application/octet-stream")
}

async fn user_ca(request: HttpRequest, resource: web::Path<String>, bastion: web::Data<Bastion>) -> HttpResponse {
    answer(&request, keys(&bastion, &resource, Kind::User).await, "text/plain; charset=utf-8")
}

async fn host_ca(request: HttpRequest, resource: web::Path<String>, bastion: web::Data<Bastion>) -> HttpResponse {
    answer(&request, keys(&bastion, &resource, Kind::Host).await, "text/plain; charset=utf-8")
}

async fn keys(bastion: &Bastion, resource: &str, kind: Kind) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(known) = bastion.store.bastion(resource).await? else { return Ok(None) };
    let lines = bastion.lines(&known.resource, kind, bastion.clock.seconds()).await?;
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let text = if text.is_empty() { "# this bastion was deleted: it vouches for nobody\n".to_owned() } else { text };
    Ok(Some(text.into_bytes()))
}

fn answer(request: &HttpRequest, found: Result<Option<Vec<u8>>, StoreError>, kind: &'static str) -> HttpResponse {
    let bytes = match found {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return HttpResponse::NotFound().content_type("text/plain").body("there is no such bastion\n"),
        Err(error) => {
            tracing::error!(error = ?error, "public material could not be read");
            return HttpResponse::ServiceUnavailable().content_type("text/plain").body("try again later\n");
        }
    };
    let hash =
        digest(&SHA256, &bytes).as_ref().iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let tag = EntityTag::new_strong(hash);
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|other| other.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((ETAG, tag.to_string())).insert_header((CACHE_CONTROL, "no-cache"));
    if known { response.finish() } else { response.content_type(kind).body(bytes) }
}
