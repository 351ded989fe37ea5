//! What asks for an approval of an order, and writing that down with the order.

use std::collections::BTreeSet;
use std::time::Duration;

use osb::Call;

use super::super::drive::Names;
use super::super::order::Orderer;
use super::super::{App, Error};
use super::tell;
use crate::clock::fresh_id;
use crate::domain::approval::{self, ApprovalState, Cause, On, Ordered};
use crate::domain::caller::person_of;
use crate::domain::catalog::PlanEntry;
use crate::domain::event::EventKind;
use crate::domain::operation::{OperationKind, Phase, Told};
use crate::domain::tenant::Tenant;
use crate::store::Tx;
use crate::store::approvals::{self, ApprovalRow};
use crate::store::instances::InstanceRow;
use crate::store::operations::OperationRow;

/// Characters of a user's name that are kept of an originating identity.
const USER_MAX: usize = 200;

/// An order that may need an approval, after all that refuses it was looked at.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Asked<'a> {
    /// Provision or update; nothing else ever waits.
    pub(in crate::app) kind: OperationKind,
    /// Whom it is for.
    pub(in crate::app) tenant: &'a Tenant,
    /// The plan from then on.
    pub(in crate::app) plan: &'a PlanEntry,
    /// The plan before, of an update.
    pub(in crate::app) from: Option<&'a PlanEntry>,
    /// The count of changes of the rules, as the order has just read it.
    pub(in crate::app) rules: i64,
}

impl App {
    /// All that asks for an approval of an order; empty where it may go ahead.
    ///
    /// This is the place where another part of the hub asks for one: it adds its own causes here (`Cause::budget(name)`, say), which are
    /// found out before the order's transaction. All else follows: the order waits, one approval is written for each group of people
    /// that has to agree, in the transaction that writes the order, with its event. A part that looks something up here must not slow
    /// down orders that it has nothing to say about: rules, for one, are in memory, and the count by which a change is noticed
    /// comes with what the order reads anyway (`instances::current_and_rules`, `current_and_owner`). It also adds to
    /// `App::approval_waits` how long orders may wait for it, for the catalog.
    ///
    /// # Errors
    /// Where the database fails.
    pub(in crate::app) async fn approval_causes(&self, asked: &Asked<'_>) -> Result<Vec<Cause>, Error> {
        let Some(on) = On::of(asked.kind) else { return Ok(Vec::new()) };
        // As a budget that blocks: what changes no plan spends no more.
        let spends = asked.from.is_none_or(|from| from.plan_id != asked.plan.plan_id);
        let mut causes = if spends { self.budget_causes(asked.tenant).await? } else { Vec::new() };
        let rules = self.approval_rules_at(asked.rules).await?;
        if rules.is_empty() {
            return Ok(causes);
        }
        let (offering, plan) = (asked.plan.offering_name.as_str(), asked.plan.plan_name.as_str());
        let ordered = Ordered { on, offering, plan, tenant: &asked.tenant.name };
        let matching = rules.iter().filter(|row| row.rule.matches(&ordered));
        causes.extend(matching.map(|row| Cause::rule(&row.name, &row.rule)));
        Ok(causes)
    }

    /// Makes an operation wait for its causes, and says what is asked of whom; nothing where there is no cause.
    ///
    /// # Errors
    /// Where the database fails.
    pub(in crate::app) async fn wait_for_approval(
        &self,
        operation: &mut OperationRow,
        causes: Vec<Cause>,
        asked: &Asked<'_>,
        orderer: &Orderer,
        call: &Call,
    ) -> Result<Vec<ApprovalRow>, Error> {
        if causes.is_empty() {
            return Ok(Vec::new());
        }
        let (groups, waits): (_, Duration) = approval::groups(causes);
        let expires_at = operation.created_at.plus(waits);
        operation.phase = Phase::WaitingApproval;
        operation.lease_token = None;
        operation.told = Told::Accepted;
        operation.next_at = expires_at;
        operation.description = Some(approval::waiting_for(groups.iter().flat_map(|group| &group.causes)));
        let requested_user = match person_of(&orderer.actor) {
            Some(user) => Some(user.to_owned()),
            None => self.user_of(&orderer.platform.id, call).await?,
        };
        let requested_by = requested_by(orderer, call);
        let row = |group: approval::Group| ApprovalRow {
            id: fresh_id(),
            operation_id: operation.id.clone(),
            instance_id: operation.instance_id.clone(),
            tenant_id: asked.tenant.id.clone(),
            kind: asked.kind,
            offering: asked.plan.offering_name.clone(),
            plan: asked.plan.plan_name.clone(),
            previous_plan: asked
                .from
                .filter(|from| from.plan_id != asked.plan.plan_id)
                .map(|from| from.plan_name.clone()),
            requested_by: requested_by.clone(),
            requested_user: requested_user.clone(),
            causes: group.causes,
            approvers: group.approvers,
            state: ApprovalState::Pending,
            reason: None,
            decided_by: None,
            created_at: operation.created_at,
            expires_at,
            decided_at: None,
        };
        Ok(groups.into_iter().map(row).collect())
    }

    /// The user whom the platform's originating identity is known to be. One that could be two is nobody.
    async fn user_of(&self, platform_id: &str, call: &Call) -> Result<Option<String>, Error> {
        let told = call.originating_identity.as_ref().and_then(osb::OriginatingIdentity::value).unwrap_or_default();
        let mut found = BTreeSet::new();
        for name in NAMES.into_iter().filter_map(|key| told.get(key)?.as_str()).filter(|name| !name.is_empty()) {
            found.extend(self.user_on_platform(platform_id, name).await?);
        }
        Ok(if found.len() == 1 { found.pop_first() } else { None })
    }
}

/// What whoever can't poll is told of an order that has to wait.
pub(in crate::app) fn needs_time() -> Error {
    let code = osb::error::ASYNC_REQUIRED;
    osb::Error::unprocessable(code, "the order has to wait for an approval: send accepts_incomplete=true").into()
}

/// Writes what is asked for, with its events, in the order's transaction. The instance is locked or new, and saved by the caller.
pub(in crate::app) async fn record(
    tx: &mut Tx<'_>,
    rows: &[ApprovalRow],
    instance: &mut InstanceRow,
    operation: &OperationRow,
    tenant: Option<&Tenant>,
    names: &Names,
) -> Result<(), Error> {
    for row in rows {
        approvals::insert(tx, row).await?;
        let kind = EventKind::ApprovalRequested;
        tell::tell(tx, &names.hub, instance, operation, row, kind, tenant, row.created_at).await?;
    }
    Ok(())
}

/// Where platforms name their users in an originating identity.
const NAMES: [&str; 4] = ["user_name", "username", "user_id", "uid"];

/// Who ordered, for people. A platform's user is what the platform says, and is believed by nobody.
fn requested_by(orderer: &Orderer, call: &Call) -> String {
    if person_of(&orderer.actor).is_some() {
        return orderer.actor.clone();
    }
    let platform = format!("platforms/{}", orderer.platform.name);
    let told = call.originating_identity.as_ref().and_then(osb::OriginatingIdentity::value).unwrap_or_default();
    let user = NAMES.into_iter().find_map(|key| told.get(key)?.as_str());
    match user.filter(|user| !user.is_empty()) {
        Some(user) => format!("{platform}/users/{}", user.chars().take(USER_MAX).collect::<String>()),
        None => platform,
    }
}
