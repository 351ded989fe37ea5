//! Rules of approval: put, read, list and delete them, also with the tenant that they name, and what this process keeps in memory of them. A change bumps a counter that
//! each order reads with what it reads anyway, so it holds at once in all processes and costs orders nothing.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::json;

use super::super::tenants::Put;
use super::super::{App, Error, Issue, Listed, Page};
use crate::domain::approval::{ApprovalRule, Cause};
use crate::domain::caller::Caller;
use crate::domain::catalog::Wait;
use crate::domain::name::{RULE, is_name};
use crate::store::approval_rules::{self, RuleRow};
use crate::store::audit::AuditRow;
use crate::store::{Tx, audit, tenants, versions};

/// Rules of one hub.
const RULES_MAX: i64 = 1000;

pub use crate::store::approval_rules::RuleRow as RuleView;

/// The rules as they were at one count of their changes.
#[derive(Debug, Default)]
pub(in crate::app) struct Cache(RwLock<(i64, Arc<Vec<RuleRow>>)>);

impl Cache {
    fn at(&self, version: i64) -> Option<Arc<Vec<RuleRow>>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (kept.0 == version).then(|| Arc::clone(&kept.1))
    }

    fn keep(&self, version: i64, rules: &Arc<Vec<RuleRow>>) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if version > kept.0 {
            *kept = (version, Arc::clone(rules));
        }
    }
}

impl App {
    /// All rules; `version` is the count of their changes that the caller has just read.
    pub(super) async fn approval_rules_at(&self, version: i64) -> Result<Arc<Vec<RuleRow>>, Error> {
        match self.inner.approval_rules.at(version) {
            Some(rules) => Ok(rules),
            None => self.read_approval_rules().await,
        }
    }

    async fn read_approval_rules(&self) -> Result<Arc<Vec<RuleRow>>, Error> {
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                // The counter first: a change in between is then read twice rather than never.
                let version = versions::read(tx, versions::APPROVAL_RULES).await?;
                Ok((version, approval_rules::all(tx, RULES_MAX).await?))
            })
        });
        let (version, rules) = read.await?;
        let rules = Arc::new(rules);
        self.inner.approval_rules.keep(version, &rules);
        Ok(rules)
    }

    /// Which plans' orders may wait, and how long: their `maximum_polling_duration` in the catalog is longer by that. Whatever else
    /// asks for approvals (`App::approval_causes`) has to be here, too; a change of it bumps `versions::CATALOG`.
    pub(in crate::app) async fn approval_waits(&self) -> Result<Vec<Wait>, Error> {
        let rules = self.read_approval_rules().await?;
        let wait = |row: &RuleRow| Wait {
            offering: row.rule.offering.clone(),
            plan: row.rule.plan.clone(),
            seconds: row.rule.waits().as_secs().max(1),
        };
        let mut waits: Vec<Wait> = rules.iter().map(wait).collect();
        if self.budgets_make_wait().await? {
            // Any order may meet one that is spent.
            waits.push(Wait { offering: None, plan: None, seconds: Cause::budget("").expires_after.as_secs() });
        }
        Ok(waits)
    }

    /// Creates or replaces a rule. It holds at once, in all processes, for orders that come from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`], also where it names an offering, a plan or a tenant that does not exist: a slip of the pen would let
    /// everything through.
    pub async fn put_approval_rule(
        &self,
        caller: &Caller,
        name: &str,
        rule: ApprovalRule,
    ) -> Result<(Put, RuleView), Error> {
        if !is_name(name) {
            return Err(Error::invalid("", format!("a rule's name {RULE}")));
        }
        let mut problems = rule.problems();
        if problems.is_empty() {
            problems.extend(self.unknown_plan(rule.offering.as_deref(), rule.plan.as_deref()).await?);
        }
        if !problems.is_empty() {
            let issue = |(pointer, message)| Issue { pointer, message };
            return Err(Error::Invalid(problems.into_iter().map(issue).collect()));
        }
        let audited = self.audit_row(caller, "approval_rule.put", format!("approval-rules/{name}"), json!({}));
        let new = RuleRow { name: name.to_owned(), rule, created_at: self.clock().now() };
        let put = self.db().write::<_, Error, _>(move |tx| {
            let (new, audited) = (new.clone(), audited.clone());
            Box::pin(async move {
                // First of all: whoever changes a rule at the same moment waits here.
                versions::bump(tx, versions::APPROVAL_RULES).await?;
                let before = approval_rules::by_name(tx, &new.name).await?;
                if before.is_none() && approval_rules::count(tx).await? >= RULES_MAX {
                    let message = format!("there are {RULES_MAX} rules already: delete one first");
                    return Err(Error::conflict("too_many", message));
                }
                if let Some(tenant) = &new.rule.tenant
                    && tenants::by_name(tx, tenant).await?.is_none()
                {
                    return Err(Error::invalid("/tenant", format!("tenant `{tenant}` does not exist")));
                }
                approval_rules::put(tx, &new.name, &new.rule, new.created_at).await?;
                versions::bump(tx, versions::CATALOG).await?;
                let was = before.as_ref().map(|row| json!(row.rule));
                audit::append(tx, &audited.changed(was, Some(json!(new.rule)))).await?;
                Ok(match before {
                    Some(before) => (Put::Replaced, RuleRow { created_at: before.created_at, ..new }),
                    None => (Put::Created, new),
                })
            })
        });
        let put = put.await?;
        self.show_waits().await;
        Ok(put)
    }

    /// What of an offering and a plan that are named is not in the catalog.
    pub(in crate::app) async fn unknown_plan(
        &self,
        offering: Option<&str>,
        plan: Option<&str>,
    ) -> Result<Option<(String, String)>, Error> {
        if offering.is_none() && plan.is_none() {
            return Ok(None);
        }
        self.reload_catalog().await?;
        let catalog = self.catalog();
        let offerings = catalog.parts().iter().flat_map(|part| &part.offerings);
        let mut called = offerings.filter(|found| offering.is_none_or(|name| *name == found.name));
        Ok(match (offering, plan) {
            (_, Some(plan)) => {
                let known = called.any(|offering| offering.plans.iter().any(|found| found.name == *plan));
                (!known).then(|| ("/plan".to_owned(), format!("there is no such service plan `{plan}`")))
            }
            (Some(offering), None) => {
                let known = called.next().is_some();
                (!known).then(|| ("/offering".to_owned(), format!("there is no service offering `{offering}`")))
            }
            (None, None) => None,
        })
    }

    /// One rule.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn approval_rule(&self, name: &str) -> Result<RuleView, Error> {
        let key = name.to_owned();
        let found = self.db().read(move |tx| Box::pin(async move { approval_rules::by_name(tx, &key).await })).await?;
        found.ok_or_else(|| Error::not_found("approval rule", name))
    }

    /// Rules by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn approval_rules(&self, page: &Page) -> Result<Listed<RuleView>, Error> {
        let (after, rows) = (page.after.clone(), i64::from(page.rows()));
        let rows =
            self.db().read(move |tx| Box::pin(async move { approval_rules::list(tx, &after, rows).await })).await?;
        Ok(page.cut(rows, |row| row.name.clone()))
    }

    /// Deletes a rule. What waits because of it goes on waiting.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_approval_rule(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let audited = self.audit_row(caller, "approval_rule.delete", format!("approval-rules/{name}"), json!({}));
        let name = name.to_owned();
        let deleted = self.db().write::<_, Error, _>(move |tx| {
            let (name, audited) = (name.clone(), audited.clone());
            Box::pin(async move {
                versions::bump(tx, versions::APPROVAL_RULES).await?;
                let before = approval_rules::by_name(tx, &name).await?;
                if !approval_rules::delete(tx, &name).await? {
                    return Err(Error::not_found("approval rule", name));
                }
                versions::bump(tx, versions::CATALOG).await?;
                audit::append(tx, &audited.changed(before.map(|row| json!(row.rule)), None)).await?;
                Ok(())
            })
        });
        deleted.await?;
        self.show_waits().await;
        Ok(())
    }

    /// The catalog with the new waits, at once in this process; others notice by themselves.
    async fn show_waits(&self) {
        if let Err(error) = self.reload_catalog().await {
            tracing::warn!(%error, "the catalog could not be read again after a change of the rules of approval");
        }
    }
}

/// Deletes the rules that name a tenant which is being deleted: another one of that name would have them, and nobody would know why. The
/// caller has counted a change of the rules, and audits what it does itself.
pub(in crate::app) async fn delete_rules_of(tx: &mut Tx<'_>, tenant: &str, audited: &AuditRow) -> Result<(), Error> {
    let mut any = false;
    for row in approval_rules::all(tx, RULES_MAX).await? {
        if row.rule.tenant.as_deref() != Some(tenant) {
            continue;
        }
        any |= approval_rules::delete(tx, &row.name).await?;
        let audited = AuditRow {
            action: "approval_rule.delete".to_owned(),
            subject: format!("approval-rules/{}", row.name),
            detail: json!({ "with": format!("tenants/{tenant}") }),
            ..audited.clone()
        };
        audit::append(tx, &audited.changed(Some(json!(row.rule)), None)).await?;
    }
    if any {
        // How long orders may wait is in the catalog.
        versions::bump(tx, versions::CATALOG).await?;
    }
    Ok(())
}
