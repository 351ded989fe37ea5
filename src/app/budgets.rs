//! Budgets: put, read, list and delete them, tell when their thresholds are reached, and hold back orders that have no budget left:
//! they are refused, or wait for an approval (`app::approvals`).
//!
//! Invariant: a threshold is told once in a period, with its event, in one transaction. An order computes costs
//! only where its tenant has a budget that holds orders back, and then at most every few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::costs::currency;
use super::rating::{Charged, Rated, ToRate};
use super::tenants::Put;
use super::{App, Error, Issue, Listed, Page, access};
use crate::clock::Time;
use crate::domain::approval::Cause;
use crate::domain::budget::{Action, BudgetDocument};
use crate::domain::caller::Caller;
use crate::domain::decimal::{Decimal, Exact, plain, zero};
use crate::domain::event::{Event, EventKind, event_id};
use crate::domain::name::{RULE, is_name};
use crate::domain::period::{Month, Zone};
use crate::domain::permission::{Access, Sight};
use crate::domain::price::PriceBook;
use crate::domain::tenant::Tenant;
use crate::store::leases::{self, Holder};
use crate::store::{self, audit, budgets, events, versions};

pub use crate::store::budgets::BudgetRow;

const LEASE: &str = "budgets";
/// Budgets of one hub.
pub const BUDGETS_MAX: i64 = 1000;
/// Budgets that are looked at together.
const PAGE: u32 = 100;
/// For how long an order believes what an order before it has found out.
const BELIEVED: Duration = Duration::from_secs(5);

/// A budget with what was spent of it.
#[derive(Clone, Debug)]
pub struct BudgetView {
    /// The budget.
    pub row: BudgetRow,
    /// Which month it is in.
    pub period: Month,
    /// What was spent in it so far, exactly.
    pub spent: Exact,
    /// The thresholds that were told.
    pub told: Vec<String>,
}

/// What orders know of budgets that hold orders back.
#[derive(Debug, Default)]
pub(in crate::app) struct Cache {
    known: Mutex<Known>,
    finding_out: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    holding: Option<(Time, Arc<[BudgetRow]>)>,
    spent: HashMap<String, (Time, i64, bool)>,
}

impl App {
    /// Creates or replaces a budget.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::Unprocessable`] where there are too many.
    pub async fn put_budget(
        &self,
        caller: &Caller,
        name: &str,
        mut document: BudgetDocument,
    ) -> Result<(Put, BudgetRow), Error> {
        if !is_name(name) {
            return Err(Error::invalid("", format!("a budget's name {RULE}")));
        }
        let problems = document.problems();
        if !problems.is_empty() {
            let issue = |(pointer, message)| Issue { pointer, message };
            return Err(Error::Invalid(problems.into_iter().map(issue).collect()));
        }
        if let Some(tenant) = &document.tenant {
            let unknown = |_| Error::invalid("/tenant", format!("there is no tenant `{tenant}`"));
            self.tenant_by_name(tenant).await.map_err(unknown)?;
        }
        if let Some(currency) = currency(&self.price_books(None).await?)
            && currency != document.currency
        {
            return Err(Error::invalid("/currency", format!("the prices of this hub are in {currency}")));
        }
        document.thresholds.sort_unstable();
        let now = self.clock().now();
        let audit = self.audit_row(caller, "budget.put", format!("budgets/{name}"), json!({}));
        let name = name.to_owned();
        let put = self.db().write::<_, Error, _>(move |tx| {
            let (name, document, audit) = (name.clone(), document.clone(), audit.clone());
            Box::pin(async move {
                let before = budgets::one(tx, &name).await?;
                if let Some(before) = before.as_ref().filter(|before| before.document == document) {
                    return Ok((Put::Replaced, before.clone()));
                }
                if before.is_none() && budgets::count(tx).await? >= BUDGETS_MAX {
                    let message = format!("a hub keeps at most {BUDGETS_MAX} budgets");
                    return Err(Error::Unprocessable { code: "too_many", message });
                }
                let row = budgets::put(tx, &name, &document, now).await?;
                let waits = |document: &BudgetDocument| document.action == Action::RequireApproval;
                if waits(&document) || before.as_ref().is_some_and(|before| waits(&before.document)) {
                    // Platforms are told how long orders may take.
                    versions::bump(tx, versions::CATALOG).await?;
                }
                budgets::forget_notices(tx, &name).await?;
                let was = before.as_ref().map(|before| json!(before.document));
                audit::append(tx, &audit.changed(was, Some(json!(document)))).await?;
                Ok((if before.is_none() { Put::Created } else { Put::Replaced }, row))
            })
        });
        let put = put.await?;
        self.budget_cache().forget();
        // Whether orders may wait is in the catalog that this process has in memory.
        self.reload_catalog().await?;
        Ok(put)
    }

    /// One budget, with what was spent of it so far.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn budget(&self, sight: &Sight, name: &str) -> Result<BudgetView, Error> {
        let key = name.to_owned();
        let row = self.db().read(|tx| Box::pin(async move { budgets::one(tx, &key).await })).await?;
        let row = row.ok_or_else(|| Error::not_found("budget", name))?;
        if !sight.is_everything() && !self.budget_in_sight(sight, &row).await? {
            return Err(Error::not_found("budget", name));
        }
        let (period, spent) = self.spent(&row.document).await?;
        let (key, month) = (row.name.clone(), period.to_string());
        let told = self.db().read(|tx| Box::pin(async move { budgets::noticed(tx, &key, &month).await })).await?;
        Ok(BudgetView { row, period, spent, told })
    }

    /// Budgets by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn budgets(&self, sight: &Sight, page: &Page) -> Result<Listed<BudgetRow>, Error> {
        if !sight.is_everything() {
            return self.budgets_in_sight(sight, page).await;
        }
        let (after, rows) = (page.after.clone(), page.rows());
        let rows = self.db().read(|tx| Box::pin(async move { budgets::list(tx, &after, rows).await })).await?;
        Ok(page.cut(rows, |row| row.name.clone()))
    }

    /// Those of tenants in sight. There are few: they are narrowed before they are cut into pages.
    async fn budgets_in_sight(&self, sight: &Sight, page: &Page) -> Result<Listed<BudgetRow>, Error> {
        let (after, limit) = (page.after.clone(), u32::try_from(BUDGETS_MAX).unwrap_or(u32::MAX));
        let rows = self.db().read(|tx| Box::pin(async move { budgets::list(tx, &after, limit).await })).await?;
        let mut seen = Vec::new();
        for row in rows {
            if self.budget_in_sight(sight, &row).await? {
                seen.push(row);
            }
        }
        Ok(page.cut(seen, |row| row.name.clone()))
    }

    /// A cost center's budget is seen by those who see all.
    async fn budget_in_sight(&self, sight: &Sight, row: &BudgetRow) -> Result<bool, Error> {
        let Some(tenant) = &row.document.tenant else { return Ok(false) };
        match self.tenant_by_name(tenant).await {
            Ok(tenant) => Ok(sight.of(&access::of_tenant(&tenant.id)) == Access::Allowed),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes a budget.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_budget(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let audit = self.audit_row(caller, "budget.delete", format!("budgets/{name}"), json!({}));
        let name = name.to_owned();
        let deleted = self.db().write::<_, Error, _>(move |tx| {
            let (name, audit) = (name.clone(), audit.clone());
            Box::pin(async move {
                let was = budgets::one(tx, &name).await?.map(|row| json!(row.document));
                if !budgets::delete(tx, &name).await? {
                    return Err(Error::not_found("budget", name));
                }
                versions::bump(tx, versions::CATALOG).await?;
                Ok(audit::append(tx, &audit.changed(was, None)).await?)
            })
        });
        deleted.await?;
        self.budget_cache().forget();
        // Whether orders may wait is in the catalog that this process has in memory.
        self.reload_catalog().await?;
        Ok(())
    }

    /// Tells the thresholds that have been reached since they were looked at, and says how many. Does nothing where another living
    /// process has the lease.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn watch_budgets(&self) -> Result<u64, Error> {
        let (mut told, mut after, mut failed) = (0, String::new(), None);
        loop {
            let from = after.clone();
            let process = self.process().to_owned();
            let page = self.db().read::<_, store::Error, _>(|tx| {
                Box::pin(async move {
                    if leases::holder(tx, LEASE, &process).await? == Holder::Other {
                        return Ok(Vec::new());
                    }
                    budgets::list(tx, &from, PAGE).await
                })
            });
            let page = page.await?;
            let Some(last) = page.last() else { return failed.map_or(Ok(told), Err) };
            after.clone_from(&last.name);
            for budget in &page {
                match self.watch_budget(budget).await {
                    Ok(more) => told += more,
                    Err(error) => {
                        tracing::warn!(budget.name = budget.name, %error, "a budget could not be looked at");
                        failed.get_or_insert(error);
                    }
                }
            }
        }
    }

    async fn watch_budget(&self, budget: &BudgetRow) -> Result<u64, Error> {
        let (period, spent) = match self.spent(&budget.document).await {
            // The tenant is gone, and with it what it may spend.
            Err(Error::NotFound { .. }) => return Ok(0),
            spent => spent?,
        };
        let reached = budget.document.reached(&spent);
        let (key, month) = (budget.name.clone(), period.to_string());
        let before = self.db().read(|tx| Box::pin(async move { budgets::noticed(tx, &key, &month).await })).await?;
        let new: Vec<Decimal> =
            reached.into_iter().filter(|threshold| !before.contains(&threshold.to_string())).collect();
        if new.is_empty() {
            return Ok(0);
        }
        let tenant_id = match &budget.document.tenant {
            Some(name) => Some(self.tenant_by_name(name).await?.id),
            None => None,
        };
        let now = self.clock().now();
        let (process, hub, budget) = (self.process().to_owned(), self.config().server.hub.clone(), budget.clone());
        let told = self.db().write::<_, store::Error, _>(move |tx| {
            let (process, hub, budget, new) = (process.clone(), hub.clone(), budget.clone(), new.clone());
            let (spent, tenant_id) = (spent.clone(), tenant_id.clone());
            Box::pin(async move {
                let mut told = 0;
                if !leases::take(tx, LEASE, &process).await? {
                    return Ok(told);
                }
                for threshold in new {
                    if budgets::notice(tx, &budget, &period.to_string(), &threshold.to_string(), now).await? {
                        let event = event(&budget, period, threshold, &spent, tenant_id.clone(), now);
                        events::append(tx, &hub, &event, now).await?;
                        told += 1;
                    }
                }
                Ok(told)
            })
        });
        Ok(told.await?)
    }

    /// What was spent of a budget in the month that it is in.
    async fn spent(&self, budget: &BudgetDocument) -> Result<(Month, Exact), Error> {
        let now = self.clock().now();
        let books = self.price_books(Some(now)).await?;
        if let Some(name) = &budget.tenant {
            let tenant = self.charged(&self.tenant_by_name(name).await?.id, now).await?;
            let month = tenant.zones.month(now);
            return Ok((month, self.spent_by(&tenant, month, now, &books, None).await?));
        }
        let center = budget.cost_center.clone().unwrap_or_default();
        let month = Month::of(now, &Zone::from(self.config().billing.time_zone.clone()));
        let (mut spent, mut after) = (zero(), String::new());
        loop {
            let page = self.charged_tenants(&after).await?;
            let Some(last) = page.last() else { return Ok((month, spent)) };
            after.clone_from(last);
            for id in &page {
                let tenant = self.charged(id, now).await?;
                if tenant.was_said(|said| said.cost_center == center) {
                    spent += self.spent_by(&tenant, month, now, &books, Some(&center)).await?;
                }
            }
        }
    }

    async fn spent_by(
        &self,
        tenant: &Charged,
        month: Month,
        now: Time,
        books: &[PriceBook],
        center: Option<&str>,
    ) -> Result<Exact, Error> {
        let mut spent = zero();
        let what = ToRate { tenant, instance: None, month, known_at: now, changed_since: None, cuts: &[], books };
        let each = |rated: Rated<'_>| {
            let priced = rated.pieces.iter().filter(|piece| piece.price.is_some());
            let counts = priced.filter(|piece| center.is_none_or(|center| rated.said(piece).cost_center == center));
            spent += counts.map(|piece| &piece.amount).sum::<Exact>();
            Ok(())
        };
        self.rated(what, each).await?;
        Ok(spent)
    }

    /// Refuses an order of a tenant where a budget blocks that is spent.
    ///
    /// # Errors
    /// [`Error::Refused`] `budget_spent` that names the budget.
    pub(in crate::app) async fn within_budget(&self, tenant: &Tenant) -> Result<(), Error> {
        for budget in self.holding().await?.iter() {
            if budget.document.action == Action::Block && self.holds_back(budget, tenant).await? {
                let document = &budget.document;
                let message = format!(
                    "budget `{}` of {} {} for this month is spent: ask whoever keeps it to raise it, or delete what is not needed and wait for the next month",
                    budget.name, document.amount, document.currency
                );
                return Err(Error::Refused { code: "budget_spent", message });
            }
        }
        Ok(())
    }

    /// What asks for an approval of an order of a tenant: budgets that are spent.
    ///
    /// # Errors
    /// Where the database fails.
    pub(in crate::app) async fn budget_causes(&self, tenant: &Tenant) -> Result<Vec<Cause>, Error> {
        let mut causes = Vec::new();
        for budget in self.holding().await?.iter() {
            if budget.document.action == Action::RequireApproval && self.holds_back(budget, tenant).await? {
                causes.push(Cause::budget(&budget.name));
            }
        }
        Ok(causes)
    }

    /// Whether some budget may make orders wait.
    ///
    /// # Errors
    /// Where the database fails.
    pub(in crate::app) async fn budgets_make_wait(&self) -> Result<bool, Error> {
        let limit = u32::try_from(BUDGETS_MAX).unwrap_or(u32::MAX);
        let all = self.db().read(|tx| Box::pin(async move { budgets::list(tx, "", limit).await })).await?;
        Ok(all.iter().any(|budget| budget.document.action == Action::RequireApproval))
    }

    async fn holds_back(&self, budget: &BudgetRow, tenant: &Tenant) -> Result<bool, Error> {
        let meant = match (&budget.document.tenant, &budget.document.cost_center) {
            (Some(name), _) => *name == tenant.name,
            (None, Some(center)) => *center == tenant.document.cost_center,
            (None, None) => false,
        };
        Ok(meant && self.is_spent(budget).await?)
    }

    /// The budgets that hold orders back.
    async fn holding(&self) -> Result<Arc<[BudgetRow]>, Error> {
        let now = self.clock().now();
        if let Some((since, known)) = &self.budget_cache().lock().holding
            && now.since(*since) < BELIEVED
        {
            return Ok(Arc::clone(known));
        }
        let limit = u32::try_from(BUDGETS_MAX).unwrap_or(u32::MAX);
        let all = self.db().read(|tx| Box::pin(async move { budgets::list(tx, "", limit).await })).await?;
        let holding: Arc<[BudgetRow]> =
            all.into_iter().filter(|budget| budget.document.action != Action::Notify).collect();
        self.budget_cache().lock().holding = Some((now, Arc::clone(&holding)));
        Ok(holding)
    }

    async fn is_spent(&self, budget: &BudgetRow) -> Result<bool, Error> {
        let now = self.clock().now();
        if let Some((since, version, spent)) = self.budget_cache().lock().spent.get(&budget.name)
            && now.since(*since) < BELIEVED
            && *version == budget.version
        {
            return Ok(*spent);
        }
        // One order finds out for all; the others go by what was known last.
        let _finding_out = match self.budget_cache().finding_out.try_lock() {
            Ok(turn) => turn,
            Err(_) => {
                if let Some((_, version, spent)) = self.budget_cache().lock().spent.get(&budget.name)
                    && *version == budget.version
                {
                    return Ok(*spent);
                }
                let turn = self.budget_cache().finding_out.lock().await;
                if let Some((_, version, spent)) = self.budget_cache().lock().spent.get(&budget.name)
                    && *version == budget.version
                {
                    // Whoever had the turn before has just found it out.
                    return Ok(*spent);
                }
                turn
            }
        };
        let is_spent = match self.spent(&budget.document).await {
            Err(Error::NotFound { .. }) => false,
            spent => budget.document.is_spent(&spent?.1),
        };
        self.budget_cache().lock().spent.insert(budget.name.clone(), (now, budget.version, is_spent));
        Ok(is_spent)
    }
}

impl Cache {
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) {
        *self.lock() = Known::default();
    }
}

fn event(
    budget: &BudgetRow,
    period: Month,
    threshold: Decimal,
    spent: &Exact,
    tenant_id: Option<String>,
    now: Time,
) -> Event {
    let (kind, document) = (EventKind::BudgetThreshold, &budget.document);
    let change = format!("{}/{}/{}/{period}/{threshold}", budget.name, budget.created_at.0, budget.version);
    Event {
        id: event_id(&change, kind),
        kind,
        subject: format!("budgets/{}", budget.name),
        time: now,
        tenant_id,
        platform_id: None,
        broker_id: None,
        service_id: None,
        plan_id: None,
        instance_id: None,
        sequence: None,
        correlation_id: None,
        traceparent: None,
        data: json!({
            "budget": budget.name,
            "tenant": document.tenant,
            "cost_center": document.cost_center,
            "period": period,
            "threshold": threshold,
            "amount": document.amount,
            "spent": plain(spent),
            "currency": document.currency,
            "action": document.action,
        }),
    }
}
