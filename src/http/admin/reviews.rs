//! `/api/v1/offerings/{name}/checks`, `submit`, `publish`, `send-back` and `/api/v1/reviews`: offerings on their way to publication.

use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::instances::word;
use crate::app::App;
use crate::app::reviews::{Looked, ReviewFilter, ReviewView, Verb};
use crate::clock::Time;
use crate::domain::review::{Check, ReviewState, missing};
use crate::domain::visibility::Stage;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{self, PageOut};
use crate::http::permits::{Can, ManageBrokers, SeeReviews, SubmitOfferings};

/// What was found of an offering.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OfferingChecks)]
pub struct ChecksOut {
    /// The offering.
    offering: String,
    /// Its broker.
    broker: String,
    /// How far it has come.
    lifecycle: Stage,
    /// Whether it is fit to be submitted: nothing that is required fails.
    fit: bool,
    /// What was looked at.
    checks: Vec<Check>,
    /// The latest submission.
    review: Option<ReviewOut>,
}

/// A submission.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Review)]
pub struct ReviewOut {
    /// Its id.
    id: String,
    /// The offering.
    offering: String,
    /// `submitted published sent_back void`
    state: ReviewState,
    /// What the submitter said.
    note: Option<String>,
    /// Who submitted it.
    submitted_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    submitted_at: Time,
    /// Who decided.
    decided_by: Option<String>,
    /// When.
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<Time>,
    /// What they said.
    reason: Option<String>,
    /// What was found when it was submitted.
    checks: Vec<Check>,
}

impl From<ReviewView> for ReviewOut {
    fn from(row: ReviewView) -> Self {
        Self {
            id: row.id,
            offering: row.offering,
            state: row.state,
            note: row.note,
            submitted_by: row.submitted_by,
            submitted_at: row.submitted_at,
            decided_by: row.decided_by,
            decided_at: row.decided_at,
            reason: row.reason,
            checks: row.checks,
        }
    }
}

impl ChecksOut {
    fn new(looked: Looked, now: Time) -> Self {
        Self {
            offering: looked.offering.name,
            broker: looked.broker.name,
            lifecycle: looked.lifecycle.at(now),
            fit: missing(&looked.checks).is_empty(),
            checks: looked.checks,
            review: looked.review.map(ReviewOut::from),
        }
    }
}

/// A submission to be.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Submission)]
pub struct SubmitIn {
    /// What whoever reviews it should know.
    #[serde(default)]
    note: Option<String>,
}

/// What is decided about a submission.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReviewDecision)]
pub struct DecisionIn {
    /// Why; must be said where it is sent back.
    #[serde(default)]
    reason: Option<String>,
}

/// The query of `GET /reviews`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewParams {
    limit: Option<u32>,
    cursor: Option<String>,
    state: Option<String>,
    offering: Option<String>,
}

/// `GET /offerings/{name}/checks`
///
/// # Errors
/// [`Failure`].
pub async fn checks(who: Can<SeeReviews>, app: Data<App>, name: Path<String>) -> Result<Json<ChecksOut>, Failure> {
    let now = app.clock().now();
    Ok(Json(ChecksOut::new(app.offering_checks(&who.sight, &name).await?, now)))
}

/// `POST /offerings/{name}/submit`
///
/// # Errors
/// [`Failure`].
pub async fn submit(
    who: Can<SubmitOfferings>,
    app: Data<App>,
    name: Path<String>,
    body: Body<SubmitIn>,
) -> Result<Json<ReviewOut>, Failure> {
    Ok(Json(app.submit_offering(&who.caller, &name, body.0.note.as_deref()).await?.into()))
}

/// `POST /offerings/{name}/publish`
///
/// # Errors
/// [`Failure`].
pub async fn publish(
    who: Can<ManageBrokers>,
    app: Data<App>,
    name: Path<String>,
    body: Body<DecisionIn>,
) -> Result<Json<ReviewOut>, Failure> {
    let reason = body.0.reason.as_deref();
    Ok(Json(app.decide_review(&who.caller, &name, Verb::Publish, reason).await?.into()))
}

/// `POST /offerings/{name}/send-back`
///
/// # Errors
/// [`Failure`].
pub async fn send_back(
    who: Can<ManageBrokers>,
    app: Data<App>,
    name: Path<String>,
    body: Body<DecisionIn>,
) -> Result<Json<ReviewOut>, Failure> {
    let reason = body.0.reason.as_deref();
    Ok(Json(app.decide_review(&who.caller, &name, Verb::SendBack, reason).await?.into()))
}

/// `GET /reviews`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeReviews>,
    app: Data<App>,
    params: Params<ReviewParams>,
) -> Result<Json<PageOut<ReviewOut>>, Failure> {
    let ReviewParams { limit, cursor, state, offering } = params.0;
    let page = page::page(limit, cursor.as_deref())?;
    let filter = ReviewFilter { state: word("state", state.as_deref(), ReviewState::parse)?, offering };
    Ok(Json(app.reviews(&who.sight, filter, &page).await?.map(ReviewOut::from).into()))
}
