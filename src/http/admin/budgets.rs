//! `/api/v1/budgets`: how much a tenant or a cost center may cost in a month.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::budgets::{BudgetRow, BudgetView};
use crate::app::tenants::Put;
use crate::clock::Time;
use crate::domain::budget::BudgetDocument;
use crate::domain::decimal::plain;
use crate::domain::period::Month;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ManageBudgets, SeeBudgets};

/// A budget.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Budget)]
pub struct BudgetOut {
    /// Immutable.
    name: String,
    #[serde(flatten)]
    document: BudgetDocument,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// What was spent of it; only where one budget is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<SpentOut>,
}

/// What was spent of a budget.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BudgetSpent)]
pub struct SpentOut {
    /// In which month.
    #[schema(value_type = String)]
    period: Month,
    /// So far.
    spent: String,
    /// The thresholds that were told, in percent.
    told: Vec<String>,
}

impl From<BudgetRow> for BudgetOut {
    fn from(row: BudgetRow) -> Self {
        Self { name: row.name, document: row.document, created_at: row.created_at, now: None }
    }
}

impl From<BudgetView> for BudgetOut {
    fn from(view: BudgetView) -> Self {
        let now = SpentOut { period: view.period, spent: plain(&view.spent), told: view.told };
        Self { now: Some(now), ..view.row.into() }
    }
}

/// `GET /budgets`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeBudgets>,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<BudgetOut>>, Failure> {
    Ok(Json(app.budgets(&who.sight, &params.0.page()?).await?.map(BudgetOut::from).into()))
}

/// `GET /budgets/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn show(who: Can<SeeBudgets>, app: Data<App>, name: Path<String>) -> Result<Json<BudgetOut>, Failure> {
    Ok(Json(app.budget(&who.sight, &name).await?.into()))
}

/// `PUT /budgets/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn put(
    who: Can<ManageBudgets>,
    app: Data<App>,
    name: Path<String>,
    body: Body<BudgetDocument>,
) -> Result<HttpResponse, Failure> {
    let (put, row) = app.put_budget(&who.caller, &name, body.0).await?;
    let status = match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::OK,
    };
    Ok(HttpResponse::build(status).json(BudgetOut::from(row)))
}

/// `DELETE /budgets/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn delete(who: Can<ManageBudgets>, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Failure> {
    app.delete_budget(&who.caller, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}
