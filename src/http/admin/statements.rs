//! `/api/v1/statements`: a tenant's month as JSON, as CSV and as a page to print; which months are closed; and whether their facts
//! still give the same bytes.

pub(in crate::http) mod csv;
mod html;

use actix_web::http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::statements::{ClosedRow, Shown};
use crate::app::{self, App};
use crate::clock::Time;
use crate::domain::period::Month;
use crate::http::error::Failure;
use crate::http::input::{Body, Params, etag};
use crate::http::page::{PageOut, page};
use crate::http::permits::{Can, SeeBooks, SeeStatements};

/// The query of `GET /statements`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementParams {
    /// Whose: a name, or the id of a deleted tenant.
    tenant: String,
    /// Which month.
    period: String,
}

/// The query of `GET /statements/closed`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedParams {
    limit: Option<u32>,
    cursor: Option<String>,
    tenant: Option<String>,
    period: Option<String>,
}

/// A closed month.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ClosedStatement)]
pub struct ClosedOut {
    /// Whose, by name.
    tenant: String,
    /// Whose, by id.
    tenant_id: String,
    /// Which month.
    #[schema(value_type = String)]
    period: Month,
    /// Of its amounts.
    currency: Option<String>,
    /// What it comes to.
    total: Option<String>,
    /// SHA-256 of its JSON, in hexadecimal.
    digest: String,
    /// What was recorded later is not in it.
    #[schema(value_type = String, format = DateTime)]
    known_at: Time,
    /// When it was closed.
    #[schema(value_type = String, format = DateTime)]
    closed_at: Time,
}

impl From<ClosedRow> for ClosedOut {
    fn from(row: ClosedRow) -> Self {
        let ClosedRow { tenant_id, tenant, period, horizon, currency, total, digest, closed_at } = row;
        Self { tenant, tenant_id, period, currency, total, digest, known_at: horizon, closed_at }
    }
}

/// Which closed statement is to be computed again.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StatementVerification)]
pub struct VerifyIn {
    /// Whose: a name, or the id of a deleted tenant.
    tenant: String,
    /// Which month.
    period: String,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = StatementVerified)]
pub struct VerifiedOut {
    /// Whether the facts give the same bytes.
    same: bool,
    /// SHA-256 of the bytes that were kept.
    digest: String,
    /// SHA-256 of the bytes that the facts give.
    restated_digest: String,
    /// What was recorded later counts in neither.
    #[schema(value_type = String, format = DateTime)]
    known_at: Time,
}

/// How a statement is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
    Html,
}

/// `GET /statements`
///
/// # Errors
/// [`Failure`].
pub async fn show(
    who: Can<SeeStatements>,
    app: Data<App>,
    request: HttpRequest,
    params: Params<StatementParams>,
) -> Result<HttpResponse, Failure> {
    let accept = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    let form = form(&accept.collect::<Vec<_>>().join(","));
    let Shown { statement, bytes, digest } =
        app.statement(&who.sight, &params.0.tenant, month(&params.0.period)?).await?;
    let name = format!("statement-{}-{}", statement.tenant.name, statement.period);
    let mut response = HttpResponse::Ok();
    response.insert_header((VARY, "Accept"));
    if let Some(digest) = digest {
        // The three forms are different bytes of the same content.
        response.insert_header(match form {
            Form::Json => etag(&digest),
            Form::Csv => etag(&format!("{digest}.csv")),
            Form::Html => etag(&format!("{digest}.html")),
        });
    }
    Ok(match form {
        Form::Json => response.insert_header((CONTENT_TYPE, "application/json")).body(bytes),
        Form::Csv => response
            .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8; header=present"))
            .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")))
            .body(csv::of(&statement)),
        Form::Html => response
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"))
            .body(html::of(&statement)),
    })
}

/// `GET /statements/closed`
///
/// # Errors
/// [`Failure`].
pub async fn closed(
    who: Can<SeeStatements>,
    app: Data<App>,
    params: Params<ClosedParams>,
) -> Result<Json<PageOut<ClosedOut>>, Failure> {
    let ClosedParams { limit, cursor, tenant, period } = params.0;
    let page = page(limit, cursor.as_deref())?;
    let period = period.as_deref().map(month).transpose()?;
    Ok(Json(app.closed_statements(&who.sight, tenant.as_deref(), period, &page).await?.map(ClosedOut::from).into()))
}

/// `POST /statements/verify`
///
/// # Errors
/// [`Failure`].
pub async fn verify(_: Can<SeeBooks>, app: Data<App>, body: Body<VerifyIn>) -> Result<Json<VerifiedOut>, Failure> {
    let restated = app.restate(&body.0.tenant, month(&body.0.period)?).await?;
    Ok(Json(VerifiedOut {
        same: restated.digest == restated.restated_digest,
        digest: restated.digest,
        restated_digest: restated.restated_digest,
        known_at: restated.horizon,
    }))
}

fn month(text: &str) -> Result<Month, Failure> {
    text.parse().map_err(|error| app::Error::invalid("", format!("period {error}")).into())
}

/// The form that a client likes best (RFC 9110, 12.5.1); JSON where it likes none more than another.
fn form(accept: &str) -> Form {
    let mut best = (Form::Json, 0.0_f32);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let form = match kind.as_str() {
            "application/json" | "application/*" | "*/*" => Form::Json,
            "text/csv" => Form::Csv,
            "text/html" | "application/xhtml+xml" | "text/*" => Form::Html,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        if weight > best.1 {
            best = (form, weight);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_the_form_that_it_likes_best() {
        for (accept, expected) in [
            ("", Form::Json),
            ("*/*", Form::Json),
            ("application/json", Form::Json),
            ("text/csv", Form::Csv),
            ("text/csv;q=0.5, application/json", Form::Json),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Form::Html),
            ("text/html;q=0", Form::Json),
            ("image/png", Form::Json),
            ("TEXT/CSV; header=present; q=1.0", Form::Csv),
        ] {
            assert_eq!(form(accept), expected, "{accept}");
        }
    }
}
