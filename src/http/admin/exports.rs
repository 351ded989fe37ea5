//! `/api/v1/exports`: costs in the forms that other tools read.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Bytes, Data};
use futures_util::stream::try_unfold;
use serde::Deserialize;

use crate::app::focus::FocusQuery;
use crate::app::{self, App};
use crate::domain::focus::Version;
use crate::domain::period::Month;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::permits::{Can, SeeBooks};

/// The query of `GET /exports/focus`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FocusParams {
    /// Which month.
    period: String,
    /// Of FOCUS; 1.2 where absent.
    version: Option<String>,
    /// Of 1.0: without the columns that only `focus-validator` asks for.
    strict: Option<bool>,
    /// One tenant only: a name, or the id of a deleted one.
    tenant: Option<String>,
}

/// `GET /exports/focus`
///
/// # Errors
/// [`Failure`]. What fails when the answer has begun cuts it off, so that half an export is no export.
pub async fn focus(_: Can<SeeBooks>, app: Data<App>, params: Params<FocusParams>) -> Result<HttpResponse, Failure> {
    let FocusParams { period, version, strict, tenant } = params.0;
    let invalid = |message: String| Failure::from(app::Error::invalid("", message));
    let period: Month = period.parse().map_err(|error| invalid(format!("period {error}")))?;
    let number = version.as_deref().unwrap_or("1.2");
    let version: Version = number.parse().map_err(|error| invalid(format!("version {error}")))?;
    let version = match (version, strict.unwrap_or_default()) {
        (Version::V1_0, true) => Version::V1_0Strict,
        (version, _) => version,
    };
    let name = format!("focus-{number}-{period}.csv");
    let export = app.export_focus(FocusQuery { period, version, tenant }).await?;
    let rows = try_unfold(export, |mut export| async move {
        match export.chunk().await {
            Ok(chunk) => Ok(chunk.map(|chunk| (Bytes::from(chunk), export))),
            Err(error) => {
                tracing::error!(%error, "an export was cut off");
                Err(error)
            }
        }
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8; header=present"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .streaming(rows))
}
