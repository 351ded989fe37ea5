//! Policies: put, read, list and delete them, and hold orders against them.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::order::Orderer;
use super::super::tenants::Put;
use super::super::{App, Error, Issue, Listed, Page};
use super::{Laws, POLICIES_MAX, PolicyView};
use crate::domain::caller::Caller;
use crate::domain::catalog::PlanEntry;
use crate::domain::decimal::Exact;
use crate::domain::estimate::{Expected, estimate};
use crate::domain::name::{RULE, is_name};
use crate::domain::platform::Platform;
use crate::domain::policy::{Action, Book, Case, Judged, Mode, Policy, PolicyDocument, Principal, Problem};
use crate::domain::tenant::Tenant;
use crate::store::policies::{self, PolicyRow};
use crate::store::{audit, versions};

/// What is to be judged.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Deed<'a> {
    pub(in crate::app) action: Action,
    pub(in crate::app) tenant: &'a Tenant,
    /// Of an update, the plan from then on.
    pub(in crate::app) plan: &'a PlanEntry,
    /// Of an update, the plan before.
    pub(in crate::app) from: Option<&'a PlanEntry>,
    pub(in crate::app) parameters: &'a osb::Object,
}

/// Who does it, as policies see them. What a platform says of its own users is believed by nobody.
pub(in crate::app) fn principal(actor: &str, platform: &Platform) -> Principal {
    match actor.split_once('/') {
        Some(("users" | "administrators", user)) => Principal::User(user.to_owned()),
        Some(("service-accounts", account)) => Principal::ServiceAccount(account.to_owned()),
        _ => Principal::Platform(platform.name.clone(), platform.kind.as_str()),
    }
}

impl App {
    /// What policies say about a deed; nothing is looked up where there are none.
    ///
    /// # Errors
    /// Where the database fails.
    pub(in crate::app) async fn judge(
        &self,
        laws: &Laws,
        principal: &Principal,
        deed: Deed<'_>,
    ) -> Result<Vec<Judged>, Error> {
        if laws.policies.is_empty() {
            return Ok(Vec::new());
        }
        self.judge_by(&laws.policies, principal, deed).await
    }

    /// What those policies say about a deed.
    ///
    /// # Errors
    /// Where the database fails.
    pub(super) async fn judge_by(
        &self,
        book: &Book,
        principal: &Principal,
        deed: Deed<'_>,
    ) -> Result<Vec<Judged>, Error> {
        let Deed { action, tenant, plan, from, parameters } = deed;
        let price = match book.asks_price() && plan.orderable {
            true => self.monthly(plan, tenant).await?,
            false => None,
        };
        let case = Case {
            action,
            principal,
            tenant,
            plan,
            previous_plan: from.map(|from| from.plan_name.as_str()),
            parameters,
            price: price.as_ref().map(|(price, currency)| (price, currency.as_str())),
        };
        Ok(book.judge(&case))
    }

    /// What a plan costs in the next month, by itself, and in which currency.
    async fn monthly(&self, plan: &PlanEntry, tenant: &Tenant) -> Result<Option<(Exact, String)>, Error> {
        let now = self.clock().now();
        let books = self.price_books(None).await?;
        let Some(currency) = books.first().map(|book| book.document.currency.clone()) else { return Ok(None) };
        let zones = self.charged(&tenant.id, now).await?.zones;
        let (offering, name, meters) = (plan.offering_name.clone(), plan.plan_name.clone(), plan.meters());
        let estimated = tokio::task::spawn_blocking(move || {
            let usage = BTreeMap::new();
            let expected = Expected { offering: &offering, plan: &name, meters: &meters, usage: &usage };
            let month = zones.month(now).next();
            estimate(expected, &books, &zones, month).monthly()
        });
        Ok(estimated.await.map_err(|_| Error::busy())?.map(|monthly| (monthly, currency)))
    }

    /// What policies say about an order: refused by the first that enforces; what only warns is logged.
    ///
    /// # Errors
    /// [`Error::Refused`] `policy` that names the policy, why it applies and what can be done.
    pub(in crate::app) async fn obey(
        &self,
        laws: &Laws,
        orderer: &Orderer,
        deed: Deed<'_>,
        judged: &mut Vec<Judged>,
    ) -> Result<(), Error> {
        *judged = self.judge(laws, &principal(&orderer.actor, &orderer.platform), deed).await?;
        enforced(judged, &deed)
    }

    /// Creates or replaces a policy. It holds at once, in all processes, for orders that come from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what is wrong with the text, and where.
    pub async fn put_policy(
        &self,
        caller: &Caller,
        name: &str,
        document: PolicyDocument,
    ) -> Result<(Put, PolicyView), Error> {
        if !is_name(name) {
            return Err(Error::invalid("", format!("a policy's name {RULE}")));
        }
        Policy::read(&document.text).map_err(unreadable)?;
        let audited = self.audit_row(caller, "policy.put", format!("policies/{name}"), json!({}));
        let new = PolicyRow { name: name.to_owned(), document, created_at: self.clock().now() };
        let put = self.db().write::<_, Error, _>(move |tx| {
            let (new, audited) = (new.clone(), audited.clone());
            Box::pin(async move {
                // First of all: whoever changes something at the same moment waits here.
                versions::bump(tx, versions::APPROVAL_RULES).await?;
                let before = policies::one(tx, &new.name).await?;
                if before.is_none() && policies::count(tx).await? >= POLICIES_MAX {
                    let message = format!("there are {POLICIES_MAX} policies already: delete one first");
                    return Err(Error::conflict("too_many", message));
                }
                policies::put(tx, &new).await?;
                let was = before.as_ref().map(|row| json!(row.document));
                audit::append(tx, &audited.changed(was, Some(json!(new.document)))).await?;
                Ok(match before {
                    Some(before) => (Put::Replaced, PolicyRow { created_at: before.created_at, ..new }),
                    None => (Put::Created, new),
                })
            })
        });
        put.await
    }

    /// One policy.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn policy(&self, name: &str) -> Result<PolicyView, Error> {
        let key = name.to_owned();
        let found = self.db().read(move |tx| Box::pin(async move { policies::one(tx, &key).await })).await?;
        found.ok_or_else(|| Error::not_found("policy", name))
    }

    /// Policies by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn policies(&self, page: &Page) -> Result<Listed<PolicyView>, Error> {
        let (after, rows) = (page.after.clone(), i64::from(page.rows()));
        let rows = self.db().read(move |tx| Box::pin(async move { policies::list(tx, &after, rows).await })).await?;
        Ok(page.cut(rows, |row| row.name.clone()))
    }

    /// Deletes a policy.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_policy(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let audited = self.audit_row(caller, "policy.delete", format!("policies/{name}"), json!({}));
        let name = name.to_owned();
        let deleted = self.db().write::<_, Error, _>(move |tx| {
            let (name, audited) = (name.clone(), audited.clone());
            Box::pin(async move {
                versions::bump(tx, versions::APPROVAL_RULES).await?;
                let before = policies::one(tx, &name).await?;
                if !policies::delete(tx, &name).await? {
                    return Err(Error::not_found("policy", name));
                }
                Ok(audit::append(tx, &audited.changed(before.map(|row| json!(row.document)), None)).await?)
            })
        });
        deleted.await
    }
}

/// Refuses where a policy says so.
pub(in crate::app) fn enforced(judged: &[Judged], deed: &Deed<'_>) -> Result<(), Error> {
    for warned in judged.iter().filter(|judged| judged.mode == Mode::Warn) {
        tracing::warn!(
            policy.name = warned.policy,
            tenant.name = deed.tenant.name,
            offering = deed.plan.offering_name,
            plan = deed.plan.plan_name,
            action = deed.action.as_str(),
            "a policy that only warns would have refused this"
        );
    }
    let refusing: Vec<String> =
        judged.iter().filter(|judged| judged.mode == Mode::Enforce).map(ToString::to_string).collect();
    if refusing.is_empty() {
        return Ok(());
    }
    Err(Error::Refused { code: "policy", message: refusing.join(". ") })
}

/// What is wrong with a text, by place.
pub(super) fn unreadable(problems: Vec<Problem>) -> Error {
    let issue = |problem: Problem| Issue { pointer: "/text".to_owned(), message: problem.to_string() };
    Error::Invalid(problems.into_iter().map(issue).collect())
}
