//! `/api/v1/brokers/{name}/conformance`: has a broker judged by the conformance suite, and shows what came of it.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::app::conformance::{ConformanceView, JudgeRequest, RunView};
use crate::clock::Time;
use crate::domain::judgement::{Judgement, Outcome, RunState};
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::permits::{Can, ChangeBrokers, SeeBrokers};

/// A run of the conformance suite.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ConformanceRun)]
pub struct RunOut {
    /// Its id.
    id: String,
    /// `waiting running cleaning finished interrupted failed`; there is a verdict where it is `finished`.
    state: RunState,
    /// What it came to: `conforms fails incomplete`.
    outcome: Option<Outcome>,
    /// Requirements that bind and are broken.
    failed: Option<i64>,
    /// Why there is no verdict, or less than one.
    reason: Option<String>,
    /// The offering that was judged.
    offering: String,
    /// Whether the offering, and where its broker is, still are what was judged.
    current: bool,
    /// The broker's version then.
    catalog_version: i64,
    /// Who asked for it.
    requested_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    requested_at: Time,
    /// When it began.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Time>,
    /// When it was over.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Time>,
    /// What was found, row by row, and what may still be at the broker. Lists leave this out.
    #[serde(skip_serializing_if = "Option::is_none")]
    judgement: Option<Judgement>,
}

/// A broker's runs.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Conformance)]
pub struct ConformanceOut {
    /// The latest one; `null` where there never was one.
    run: Option<RunOut>,
    /// The latest one with a verdict of each offering.
    verdicts: Vec<RunOut>,
}

impl From<RunView> for RunOut {
    fn from(view: RunView) -> Self {
        let RunView { row, judgement, current } = view;
        Self {
            id: row.id,
            state: row.state,
            outcome: row.outcome,
            failed: row.failed,
            reason: row.reason,
            offering: row.offering,
            current,
            catalog_version: row.catalog_version,
            requested_by: row.requested_by,
            requested_at: row.requested_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            judgement,
        }
    }
}

impl From<ConformanceView> for ConformanceOut {
    fn from(view: ConformanceView) -> Self {
        Self { run: view.run.map(RunOut::from), verdicts: view.verdicts.into_iter().map(RunOut::from).collect() }
    }
}

/// The query of `GET /brokers/{name}/conformance`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConformanceParams {
    offering: Option<String>,
}

/// `POST /brokers/{name}/conformance`
///
/// # Errors
/// [`Failure`].
pub async fn judge(
    who: Can<ChangeBrokers>,
    app: Data<App>,
    name: Path<String>,
    body: Body<JudgeRequest>,
) -> Result<HttpResponse, Failure> {
    let run = app.judge_broker(&who.caller, &name, body.0).await?;
    let place = format!("/api/v1/brokers/{name}/conformance");
    Ok(HttpResponse::Accepted().insert_header((LOCATION, place)).json(RunOut::from(run)))
}

/// `GET /brokers/{name}/conformance`
///
/// # Errors
/// [`Failure`].
pub async fn show(
    who: Can<SeeBrokers>,
    app: Data<App>,
    name: Path<String>,
    params: Params<ConformanceParams>,
) -> Result<Json<ConformanceOut>, Failure> {
    Ok(Json(app.conformance(&who.sight, &name, params.0.offering).await?.into()))
}
