//! Approvals as whoever decides looks at them: what waits for them, what was decided, and what an order would come to if they said yes
//! now. Nothing is changed here.
//!
//! Invariant: what is told of budgets is told to those who may decide the order, or who see those budgets anyway.

use super::super::budgets::{BUDGETS_MAX, BudgetView};
use super::super::estimates::EstimateOf;
use super::super::{App, Error, Listed, Page, access};
use super::ApprovalView;
use super::decide::asked;
use crate::domain::approval::ApprovalState;
use crate::domain::caller::Caller;
use crate::domain::decimal::Exact;
use crate::domain::permission::{Access, Permission, Sight, Thing};
use crate::domain::policy::Judged;
use crate::domain::role::Role;
use crate::domain::tenant::Tenant;
use crate::store::approvals::{self, Decider};
use crate::store::budgets;

/// What a spent budget says to those who may neither decide the order nor see budgets: which it is and how much stays with those who may.
const OVERSPENT: &str = "a budget that the order counts in is spent for this month";
/// Budgets that are told beside one order.
const BUDGETS_SHOWN: usize = 10;

/// What would become of an order if everybody agreed to it now.
#[derive(Clone, Debug, Default)]
pub struct Prospect {
    /// Why it would fail.
    pub refused: Option<String>,
    /// What policies say of it.
    pub policies: Vec<Judged>,
}

/// What somebody wants to know before they decide.
#[derive(Clone, Debug, Default)]
pub struct Outlook {
    /// Why the caller may not decide; they may where absent.
    pub refuses: Option<&'static str>,
    /// What would become of the order; nothing where it is not pending.
    pub prospect: Prospect,
    /// What a month of the plan costs, without usage, in that currency.
    pub month: Option<(Exact, String)>,
    /// What a month of the plan before costs.
    pub month_before: Option<Exact>,
    /// The budgets that it counts in.
    pub budgets: Vec<BudgetView>,
}

impl App {
    /// A page of approvals that wait for the caller, in the order in which they were asked for.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn approval_inbox(&self, caller: &Caller, page: &Page) -> Result<Listed<ApprovalView>, Error> {
        let Some(who) = decider(caller) else { return Ok(Listed { items: Vec::new(), next: None }) };
        let (after, rows) = (page.after.clone(), i64::from(page.rows()));
        let rows = self.db().read(|tx| Box::pin(async move { approvals::inbox(tx, &who, &after, rows).await })).await?;
        Ok(page.cut(rows, |view| view.row.id.clone()))
    }

    /// How many approvals wait for the caller.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn approvals_waiting(&self, caller: &Caller) -> Result<i64, Error> {
        let Some(who) = decider(caller) else { return Ok(0) };
        Ok(self.db().read(|tx| Box::pin(async move { approvals::waiting(tx, &who).await })).await?)
    }

    /// A page of approvals that are over, the latest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn approvals_decided(&self, sight: &Sight, page: &Page) -> Result<Listed<ApprovalView>, Error> {
        let (before, rows, sight) = (page.after.clone(), i64::from(page.rows()), sight.clone());
        let read = self.db().read(|tx| Box::pin(async move { approvals::decided(tx, &sight, &before, rows).await }));
        Ok(page.cut(read.await?, |view| view.row.id.clone()))
    }

    /// What would become of an order that waits if everybody agreed to it now, as far as the caller may know; nothing of one that is
    /// decided.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn approval_prospect(&self, caller: &Caller, view: &ApprovalView) -> Result<Prospect, Error> {
        let row = &view.row;
        if row.state != ApprovalState::Pending {
            return Ok(Prospect::default());
        }
        let anew = self.anew(&row.operation_id, &row.instance_id, self.clock().now()).await?;
        let hidden = anew.overspent && !decides(caller, view) && !sees_budgets(caller, view);
        let refused = if hidden { Some(OVERSPENT.to_owned()) } else { anew.refused };
        Ok(Prospect { refused, policies: anew.judged })
    }

    /// What an approval that the caller sees would come to.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn approval_outlook(&self, caller: &Caller, view: &ApprovalView) -> Result<Outlook, Error> {
        let row = &view.row;
        let tenant = self.tenant(&row.tenant_id).await?;
        let request = asked(row, &tenant);
        let prospect = self.approval_prospect(caller, view).await?;
        let month = self.month_of(caller, &row.offering, &row.plan).await?;
        let month_before = match &row.previous_plan {
            Some(plan) => self.month_of(caller, &row.offering, plan).await?.map(|(amount, _)| amount),
            None => None,
        };
        let decides = decides(caller, view);
        let told = decides || sees_budgets(caller, view);
        let budgets = if told { self.budgets_of(&tenant, decides).await? } else { Vec::new() };
        Ok(Outlook { refuses: request.refuses(caller), prospect, month, month_before, budgets })
    }

    /// What a month of a plan costs, without usage; none where it has no price, or is no longer there.
    async fn month_of(&self, caller: &Caller, offering: &str, plan: &str) -> Result<Option<(Exact, String)>, Error> {
        let what = EstimateOf {
            offering: offering.to_owned(),
            plan: plan.to_owned(),
            tenant: None,
            parameters: None,
            usage: std::collections::BTreeMap::new(),
        };
        match self.estimate(caller, what).await {
            Ok(estimated) => {
                let lines = &estimated.estimate.lines;
                let amount = lines.iter().map(|line| &line.amount).sum::<Exact>();
                Ok(estimated.currency.filter(|_| !lines.is_empty()).map(|currency| (amount, currency)))
            }
            Err(Error::Invalid(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn budgets_of(&self, tenant: &Tenant, all: bool) -> Result<Vec<BudgetView>, Error> {
        let limit = u32::try_from(BUDGETS_MAX).unwrap_or(u32::MAX);
        let rows = self.db().read(|tx| Box::pin(async move { budgets::list(tx, "", limit).await })).await?;
        let center = Some(tenant.document.cost_center.as_str()).filter(|center| all && !center.is_empty());
        let counts = rows.into_iter().filter(|row| {
            let own = row.document.tenant.as_ref() == Some(&tenant.name);
            own || (center.is_some() && row.document.cost_center.as_deref() == center)
        });
        let mut found = Vec::new();
        for row in counts.take(BUDGETS_SHOWN) {
            found.push(self.budget(&Sight::everything(), &row.name).await?);
        }
        Ok(found)
    }
}

/// Whether the caller is one of those who may decide orders like this, be it their own.
fn decides(caller: &Caller, view: &ApprovalView) -> bool {
    let thing = Thing { tenant: Some(&view.row.tenant_id), broker: None, names: &view.row.approvers };
    Permission::DecideApprovals.sight(caller).is_some_and(|sight| sight.of(&thing) == Access::Allowed)
}

fn sees_budgets(caller: &Caller, view: &ApprovalView) -> bool {
    let tenant = access::of_tenant(&view.row.tenant_id);
    Permission::SeeBudgets.sight(caller).is_some_and(|sight| sight.of(&tenant) == Access::Allowed)
}

/// Only people decide.
fn decider(caller: &Caller) -> Option<Decider> {
    let person = caller.person();
    let any = caller.is_administrator() || person.is_some_and(|person| person.roles.contains(&Role::Approver));
    let ids = person.into_iter().flat_map(|person| person.owns.keys().chain(person.member_of.keys()));
    let tenants = ids.fold("|".to_owned(), |text, id| text + id + "|");
    Some(Decider { name: caller.user()?.to_owned(), any, tenants })
}
