//! The portal's own files: one style sheet, one script, one icon, built into the hub. Their addresses hold a digest of their bytes, so
//! that a browser may keep them for ever and has new ones as soon as there are any.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Path;

use crate::http::error::Failure;

/// A file.
#[derive(Debug)]
pub struct Asset {
    name: String,
    kind: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    fn new(stem: &str, ending: &str, kind: &'static str, bytes: &'static [u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        let digest: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("{stem}-{digest}.{ending}"), kind, bytes }
    }

    /// Where it is.
    pub fn address(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// How pages look.
pub static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("portal", "css", "text/css; charset=utf-8", include_bytes!("assets/portal.css")));
/// What saves a reload.
pub static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("portal", "js", "text/javascript; charset=utf-8", include_bytes!("assets/portal.js")));
/// What stands in a browser's tab.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_bytes!("assets/icon.svg")));

/// `GET /assets/{name}`
///
/// # Errors
/// 404 where there is none of that name.
pub async fn show(name: Path<String>) -> Result<HttpResponse, Failure> {
    let asset = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == *name);
    let gone = || Failure::new(StatusCode::NOT_FOUND, "no_such_path", "there is no such file: load the page again");
    let asset = asset.ok_or_else(gone)?;
    let answer = HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, asset.kind))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(asset.bytes);
    Ok(answer)
}
