//! `/api/v1/approvals`: orders that wait for somebody's yes, and saying yes or no.

use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::instances::word;
use super::policies::JudgedOut;
use crate::app::App;
use crate::app::approvals::{ApprovalFilter, ApprovalView, Decision, Prospect};
use crate::clock::Time;
use crate::domain::approval::{ApprovalState, Why};
use crate::domain::operation::OperationKind;
use crate::domain::policy::Judged;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{self, PageOut};
use crate::http::permits::{Can, DecideApprovals, SeeApprovals};

/// An approval that was asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Approval)]
pub struct ApprovalOut {
    /// Its id.
    id: String,
    /// `pending approved denied expired cancelled`
    #[schema(value_type = String)]
    state: ApprovalState,
    /// What is ordered: `provision`, `update`.
    #[schema(value_type = String)]
    kind: OperationKind,
    /// The instance, by Bourse's own id.
    instance_id: String,
    /// The id that the platform gave it.
    platform_instance_id: String,
    /// The instance's name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Whom it is for.
    tenant: String,
    /// Where it was ordered.
    platform: String,
    /// The service offering.
    offering: String,
    /// The service plan from then on.
    plan: String,
    /// The service plan before, where the order changes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_plan: Option<String>,
    /// Who ordered. What stands behind `platforms/{name}/users/` is that platform's word.
    requested_by: String,
    /// What asks for it: `{"rule":NAME}` or `{"budget":NAME}`.
    causes: Vec<Why>,
    /// Who may agree; any administrator or approver where there are none.
    approvers: Vec<String>,
    /// The operation that waits.
    operation_id: String,
    /// How that stands: `in_progress succeeded failed cancelled`
    operation_state: String,
    /// Since when it is asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// Until when the order waits.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
    /// Who decided.
    decided_by: Option<String>,
    /// When.
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<Time>,
    /// What they said.
    reason: Option<String>,
    /// Why the order would fail if everybody agreed now; where one approval is shown that is pending. Which budget is spent, and how much it
    /// was, is told to those who may decide and to those who see budgets.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    /// What policies say of the order: now, where one approval is shown that is pending; at the moment of a yes in the answer to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    policies: Option<Vec<JudgedOut>>,
}

impl ApprovalOut {
    fn with(view: ApprovalView, refused: Option<String>, judged: Vec<Judged>) -> Self {
        let policies = Some(judged.into_iter().map(JudgedOut::from).collect());
        Self { refused, policies, ..view.into() }
    }
}

impl From<ApprovalView> for ApprovalOut {
    fn from(view: ApprovalView) -> Self {
        let ApprovalView { row, platform_instance_id, name, tenant, platform, operation_state } = view;
        Self {
            id: row.id,
            state: row.state,
            kind: row.kind,
            instance_id: row.instance_id,
            platform_instance_id,
            name,
            tenant,
            platform,
            offering: row.offering,
            plan: row.plan,
            previous_plan: row.previous_plan,
            requested_by: row.requested_by,
            causes: row.causes,
            approvers: row.approvers,
            operation_id: row.operation_id,
            operation_state,
            created_at: row.created_at,
            expires_at: row.expires_at,
            decided_by: row.decided_by,
            decided_at: row.decided_at,
            reason: row.reason,
            refused: None,
            policies: None,
        }
    }
}

/// A yes or no.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalDecision)]
pub struct DecisionIn {
    /// Why: told to whoever ordered, and kept in the audit.
    #[serde(default)]
    reason: String,
}

/// The query of `GET /approvals`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalParams {
    limit: Option<u32>,
    cursor: Option<String>,
    state: Option<String>,
    tenant: Option<String>,
}

/// `GET /approvals`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeApprovals>,
    app: Data<App>,
    params: Params<ApprovalParams>,
) -> Result<Json<PageOut<ApprovalOut>>, Failure> {
    let params = params.0;
    let page = page::page(params.limit, params.cursor.as_deref())?;
    let state = word("state", params.state.as_deref(), ApprovalState::parse)?;
    let filter = ApprovalFilter { state, tenant: params.tenant };
    Ok(Json(app.approvals(&who.sight, filter, &page).await?.map(ApprovalOut::from).into()))
}

/// `GET /approvals/{id}`
///
/// # Errors
/// [`Failure`].
pub async fn show(who: Can<SeeApprovals>, app: Data<App>, id: Path<String>) -> Result<Json<ApprovalOut>, Failure> {
    let view = app.approval(&who.sight, &id).await?;
    if view.row.state != ApprovalState::Pending {
        return Ok(Json(view.into()));
    }
    let Prospect { refused, policies } = app.approval_prospect(&who.caller, &view).await?;
    Ok(Json(ApprovalOut::with(view, refused, policies)))
}

/// `POST /approvals/{id}/approve`
///
/// # Errors
/// [`Failure`].
pub async fn approve(
    who: Can<DecideApprovals>,
    app: Data<App>,
    id: Path<String>,
    body: Body<DecisionIn>,
) -> Result<Json<ApprovalOut>, Failure> {
    let (view, judged) = app.decide_approval(&who.caller, &id, Decision::Approve, &body.0.reason).await?;
    Ok(Json(ApprovalOut::with(view, None, judged)))
}

/// `POST /approvals/{id}/deny`
///
/// # Errors
/// [`Failure`].
pub async fn deny(
    who: Can<DecideApprovals>,
    app: Data<App>,
    id: Path<String>,
    body: Body<DecisionIn>,
) -> Result<Json<ApprovalOut>, Failure> {
    Ok(Json(app.decide_approval(&who.caller, &id, Decision::Deny, &body.0.reason).await?.0.into()))
}
