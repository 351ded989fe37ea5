//! `/api/v1/audit`: who changed what, chained, and heads that are signed; and the public keys to verify heads with.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::audit::read::{AuditPage, AuditQuery, LIMIT_MAX};
use crate::app::page::LIMIT_DEFAULT;
use crate::app::{self, App};
use crate::clock::Time;
use crate::domain::audit::Head;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::permits::{Can, SeeAudit};

/// The query of the audit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditParams {
    /// `next` of the page before.
    after: Option<String>,
    /// Rows at most.
    limit: Option<u32>,
    /// To what something was done, such as `tenants/retail`.
    subject: Option<String>,
    /// Who did it, such as `administrators/admin`.
    actor: Option<String>,
}

/// A row of the audit.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AuditRow)]
pub struct RowOut {
    /// Its number: from 1 on, without a gap.
    position: i64,
    /// Its id.
    id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Time,
    /// Who.
    actor: String,
    /// From where: `channel` (`api`, `osb`, or `hub` by itself), `address`, `request_id`, `user_agent`.
    #[schema(value_type = Object)]
    from: Value,
    /// What was done.
    action: String,
    /// To what.
    subject: String,
    /// What the document was.
    #[schema(value_type = Option<Object>)]
    before: Value,
    /// What it is.
    #[schema(value_type = Option<Object>)]
    after: Value,
    /// More about it.
    #[schema(value_type = Object)]
    detail: Value,
    /// The hash of the row before.
    previous: String,
    /// SHA-256 over that and this row, in hexadecimal digits.
    hash: String,
}

/// A page of the audit.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AuditPage)]
pub struct PageOut {
    /// Rows, by their numbers.
    #[schema(value_type = Vec<RowOut>)]
    items: Vec<Value>,
    /// The cursor to go on with; also there when nothing is new.
    next: String,
}

/// What the audit came to at a moment, signed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AuditHead)]
pub struct HeadOut {
    /// The number of the last row; 0 where there is none.
    position: i64,
    /// Its hash.
    hash: String,
    /// When this was said.
    #[schema(value_type = String, format = DateTime)]
    at: Time,
    /// Ed25519, base64url.
    signature: String,
    /// Which key of `/.well-known/audit-keys.json`.
    kid: String,
}

impl From<Head> for HeadOut {
    fn from(head: Head) -> Self {
        let Head { position, hash, at, signature, kid } = head;
        Self { position, hash, at, signature, kid }
    }
}

/// Heads that were kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AuditHeads)]
pub struct HeadsOut {
    /// Lowest place first.
    items: Vec<HeadOut>,
    /// The cursor to go on with; also there when nothing is new.
    next: String,
}

fn limited(limit: Option<u32>) -> Result<u32, Failure> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if (1..=LIMIT_MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err(app::Error::invalid("", format!("limit must be 1 to {LIMIT_MAX}")).into())
    }
}

/// `GET /audit`
///
/// # Errors
/// [`Failure`].
pub async fn list(_: Can<SeeAudit>, app: Data<App>, params: Params<AuditParams>) -> Result<Json<PageOut>, Failure> {
    let AuditParams { after, limit, subject, actor } = params.0;
    let query = AuditQuery { after, limit: limited(limit)?, subject, actor };
    let AuditPage { items, next } = app.audit(query).await?;
    Ok(Json(PageOut { items, next }))
}

/// `GET /audit/head`
///
/// # Errors
/// [`Failure`].
pub async fn head(_: Can<SeeAudit>, app: Data<App>) -> Result<Json<HeadOut>, Failure> {
    Ok(Json(app.audit_head().await?.into()))
}

/// The query of kept heads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadsParams {
    /// `next` of the page before.
    after: Option<i64>,
    /// Heads at most.
    limit: Option<u32>,
}

/// `GET /audit/heads`
///
/// # Errors
/// [`Failure`].
pub async fn heads(_: Can<SeeAudit>, app: Data<App>, params: Params<HeadsParams>) -> Result<Json<HeadsOut>, Failure> {
    let after = params.0.after.unwrap_or(0);
    let heads = app.audit_heads(after, limited(params.0.limit)?).await?;
    let next = heads.last().map_or(after, |head| head.position).to_string();
    Ok(Json(HeadsOut { items: heads.into_iter().map(HeadOut::from).collect(), next }))
}

/// `GET /.well-known/audit-keys.json`: all that ever signed a head. Public halves only.
///
/// # Errors
/// [`Failure`].
pub async fn keys(app: Data<App>) -> Result<HttpResponse, Failure> {
    let keys = app.audit_keys().await?;
    let cache = HeaderValue::from_static("public, max-age=300");
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, cache)).json(keys))
}
