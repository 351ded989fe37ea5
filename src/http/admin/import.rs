//! `POST /api/v1/tenants/import`: tenants from a list, in the body or at a URL.

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::import::{BYTES_MAX, Imported, Verdict};
use crate::domain::tenant_import::from_json;
use crate::http::error::Failure;
use crate::http::input::{Params, Raw};
use crate::http::permits::{Can, ManageTenants};

/// Whether anything is changed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportParams {
    /// Only says what would come of it. For a body of CSV; one of JSON says so itself.
    #[serde(default)]
    dry_run: bool,
}

/// What is imported: exactly one of `tenants`, `text` and `url`. A body of `text/csv` is the list itself.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantImport)]
pub struct ImportIn {
    /// Tenants as in `PUT`, each with its `name`; what one doesn't say stays as it is.
    #[serde(default)]
    tenants: Option<Vec<Value>>,
    /// The list as it stands in a file of CSV or JSON.
    #[serde(default)]
    text: Option<String>,
    /// Where the list is, as CSV or as a JSON array.
    #[serde(default)]
    url: Option<String>,
    /// Only says what would come of it.
    #[serde(default)]
    dry_run: bool,
}

/// What came of an import.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TenantImported)]
pub struct ImportOut {
    /// Whether nothing was changed.
    dry_run: bool,
    /// How many tenants are new.
    created: usize,
    /// How many are others than before.
    changed: usize,
    /// How many stood so already.
    unchanged: usize,
    /// Of how many rows nothing was done.
    errors: usize,
    /// Row by row.
    rows: Vec<ImportedOut>,
}

/// What came of a row.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TenantImportRow)]
pub struct ImportedOut {
    /// The line of the file that it begins on, or its number in a JSON list.
    line: usize,
    /// The tenant's name.
    name: String,
    /// `created`, `changed`, `unchanged` or `error`.
    verdict: &'static str,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<Imported> for ImportedOut {
    fn from(row: Imported) -> Self {
        let Imported { line, name, verdict } = row;
        let (verdict, error) = match verdict {
            Verdict::Created => ("created", None),
            Verdict::Changed => ("changed", None),
            Verdict::Unchanged => ("unchanged", None),
            Verdict::Error(message) => ("error", Some(message)),
        };
        Self { line, name, verdict, error }
    }
}

/// `POST /tenants/import`
///
/// # Errors
/// [`Failure`].
pub async fn import(
    who: Can<ManageTenants>,
    app: Data<App>,
    params: Params<ImportParams>,
    request: HttpRequest,
    body: Raw<BYTES_MAX>,
) -> Result<Json<ImportOut>, Failure> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let csv = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/csv"));
    let text = std::str::from_utf8(&body.0).map_err(|_| Failure::malformed("the body is not UTF-8"))?;
    let (rows, dry_run) = if csv {
        (app.import_tenants(&who.caller, text, params.0.dry_run).await?, params.0.dry_run)
    } else {
        let wanted: ImportIn = crate::http::input::parse(&body.0)?;
        let dry_run = wanted.dry_run || params.0.dry_run;
        let rows = match (wanted.tenants, wanted.text, wanted.url) {
            (None, Some(text), None) => app.import_tenants(&who.caller, &text, dry_run).await?,
            (Some(list), None, None) => {
                let rows = from_json(list).map_err(|message| crate::app::Error::invalid("/tenants", message))?;
                app.import_rows(&who.caller, rows, dry_run).await?
            }
            (None, None, Some(url)) => {
                let text = app.fetch_tenants(&url).await?;
                app.import_tenants(&who.caller, &text, dry_run).await?
            }
            _ => return Err(crate::app::Error::invalid("", "give exactly one of `tenants`, `text` and `url`").into()),
        };
        (rows, dry_run)
    };
    let rows: Vec<ImportedOut> = rows.into_iter().map(ImportedOut::from).collect();
    let count = |word: &str| rows.iter().filter(|row| row.verdict == word).count();
    let (created, changed, unchanged, errors) =
        (count("created"), count("changed"), count("unchanged"), count("error"));
    Ok(Json(ImportOut { dry_run, created, changed, unchanged, errors, rows }))
}
