//! `/api/v1/billing-cases`: where what is charged for and what is there are not the same.

use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::reconcile::{CaseFilter, CaseRow};
use crate::app::{self, App};
use crate::clock::Time;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, page};
use crate::http::permits::{Can, SeeBooks};

/// The query of `GET /billing-cases`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseParams {
    limit: Option<u32>,
    cursor: Option<String>,
    kind: Option<String>,
    instance: Option<String>,
    state: Option<String>,
}

/// A case.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BillingCase)]
pub struct CaseOut {
    /// For ever the same.
    id: String,
    /// `leak`: it is charged for and its broker does not know it. `ghost`: it is gone and its broker still has it. `silent`: nothing is
    /// reported of a meter.
    kind: String,
    /// Bourse's own id of the instance.
    instance_id: String,
    /// The meter, of `silent`.
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    /// `open` or `closed`
    state: &'static str,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Time,
    /// Until when.
    #[schema(value_type = Option<String>, format = DateTime)]
    closed_at: Option<Time>,
}

impl From<CaseRow> for CaseOut {
    fn from(row: CaseRow) -> Self {
        let CaseRow { id, kind, instance_id, detail, opened_at, closed_at } = row;
        let state = if closed_at.is_some() { "closed" } else { "open" };
        Self { id, kind, instance_id, detail, state, opened_at, closed_at }
    }
}

/// `GET /billing-cases`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    _: Can<SeeBooks>,
    app: Data<App>,
    params: Params<CaseParams>,
) -> Result<Json<PageOut<CaseOut>>, Failure> {
    let CaseParams { limit, cursor, kind, instance, state } = params.0;
    let page = page(limit, cursor.as_deref())?;
    let open = match state.as_deref() {
        None => None,
        Some("open") => Some(true),
        Some("closed") => Some(false),
        Some(_) => return Err(app::Error::invalid("", "state must be open or closed").into()),
    };
    let filter = CaseFilter { kind, instance_id: instance, open };
    Ok(Json(app.billing_cases(filter, &page).await?.map(CaseOut::from).into()))
}
