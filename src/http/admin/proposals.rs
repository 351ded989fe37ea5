//! `/api/v1/price-proposals`: prices that providers propose for their own offerings, and what finance says to them.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::instances::word;
use super::prices::{BOOK_MAX, SimulationOut};
use crate::app::App;
use crate::app::proposals::{ProposalView, Verdict};
use crate::clock::Time;
use crate::domain::period::Month;
use crate::domain::price::Rule;
use crate::domain::proposal::{ProposalDocument, ProposalState};
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{self, PageOut};
use crate::http::permits::{Can, ManagePrices, ProposePrices, SeePriceProposals};

/// A proposal to be.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPriceProposal)]
pub struct ProposalIn {
    /// The broker, by name: all offerings that are named are its own.
    broker: String,
    /// ISO 4217, the hub's.
    currency: String,
    /// From when on; from when it is accepted where that is absent, or over by then.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_from: Option<Time>,
    /// All prices of the offerings that they name; those of all others stay.
    rules: Vec<Rule>,
}

/// A proposal.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PriceProposal)]
pub struct ProposalOut {
    /// Its id.
    id: String,
    /// The broker.
    broker: String,
    /// `pending accepted refused superseded`
    state: ProposalState,
    #[serde(flatten)]
    document: ProposalDocument,
    /// Who proposes it.
    proposed_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    proposed_at: Time,
    /// Who decided.
    decided_by: Option<String>,
    /// When.
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<Time>,
    /// What they said.
    reason: Option<String>,
    /// The ids of the price books that came of it: the first is the one that it begins with.
    price_books: Vec<String>,
}

impl From<ProposalView> for ProposalOut {
    fn from(view: ProposalView) -> Self {
        let ProposalView { row, broker } = view;
        Self {
            id: row.id,
            broker,
            state: row.state,
            document: row.document,
            proposed_by: row.proposed_by,
            proposed_at: row.proposed_at,
            decided_by: row.decided_by,
            decided_at: row.decided_at,
            reason: row.reason,
            price_books: row.books,
        }
    }
}

/// Yes or no to a proposal.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PriceDecision)]
pub struct DecisionIn {
    /// Why; must be said where it is refused.
    #[serde(default)]
    reason: String,
}

/// What a proposal is to be tried out on.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProposalSimulation)]
pub struct SimulateIn {
    /// The month, such as `2026-10`.
    #[schema(value_type = String)]
    period: Month,
    /// One tenant only, by name.
    #[serde(default)]
    tenant: Option<String>,
}

/// The query of `GET /price-proposals`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalParams {
    limit: Option<u32>,
    cursor: Option<String>,
    state: Option<String>,
    broker: Option<String>,
}

/// `POST /price-proposals`
///
/// # Errors
/// [`Failure`].
pub async fn create(
    who: Can<ProposePrices>,
    app: Data<App>,
    body: Body<ProposalIn, BOOK_MAX>,
) -> Result<HttpResponse, Failure> {
    let ProposalIn { broker, currency, effective_from, rules } = body.0;
    let document = ProposalDocument { currency, effective_from, rules };
    let made = ProposalOut::from(app.propose_prices(&who.caller, &broker, document).await?);
    let place = format!("/api/v1/price-proposals/{}", made.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, place)).json(made))
}

/// `GET /price-proposals`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeePriceProposals>,
    app: Data<App>,
    params: Params<ProposalParams>,
) -> Result<Json<PageOut<ProposalOut>>, Failure> {
    let ProposalParams { limit, cursor, state, broker } = params.0;
    let page = page::page(limit, cursor.as_deref())?;
    let state = word("state", state.as_deref(), ProposalState::parse)?;
    Ok(Json(app.price_proposals(&who.sight, (state, broker), &page).await?.map(ProposalOut::from).into()))
}

/// `GET /price-proposals/{id}`
///
/// # Errors
/// [`Failure`].
pub async fn show(who: Can<SeePriceProposals>, app: Data<App>, id: Path<String>) -> Result<Json<ProposalOut>, Failure> {
    Ok(Json(app.price_proposal(&who.sight, &id).await?.into()))
}

/// `POST /price-proposals/{id}/accept`
///
/// # Errors
/// [`Failure`].
pub async fn accept(
    who: Can<ManagePrices>,
    app: Data<App>,
    id: Path<String>,
    body: Body<DecisionIn>,
) -> Result<Json<ProposalOut>, Failure> {
    Ok(Json(app.decide_proposal(&who.caller, &id, Verdict::Accept, &body.0.reason).await?.into()))
}

/// `POST /price-proposals/{id}/refuse`
///
/// # Errors
/// [`Failure`].
pub async fn refuse(
    who: Can<ManagePrices>,
    app: Data<App>,
    id: Path<String>,
    body: Body<DecisionIn>,
) -> Result<Json<ProposalOut>, Failure> {
    Ok(Json(app.decide_proposal(&who.caller, &id, Verdict::Refuse, &body.0.reason).await?.into()))
}

/// `POST /price-proposals/{id}/simulate`
///
/// # Errors
/// [`Failure`].
pub async fn simulate(
    who: Can<ManagePrices>,
    app: Data<App>,
    id: Path<String>,
    body: Body<SimulateIn>,
) -> Result<Json<SimulationOut>, Failure> {
    let SimulateIn { period, tenant } = body.0;
    let (book, simulation) = app.simulate_proposal(&who.sight, &id, period, tenant).await?;
    Ok(Json(SimulationOut::new(&book.currency, period, simulation)))
}
