//! What is said about plans' parameters: put, read and delete it.

use serde_json::{Value, json};

use super::super::tenants::Put;
use super::super::{App, Error, Issue, Listed, Page};
use super::{Key, PARAMETERS_MAX, ParametersView};
use crate::domain::caller::Caller;
use crate::domain::parameters::ParameterRules;
use crate::store::plan_parameters::{self, ParametersRow};
use crate::store::{audit, tenants, versions};

impl App {
    /// Says something about the parameters of a plan. It holds at once, in all processes, for orders that come from now on; what
    /// stands stays as it is.
    ///
    /// # Errors
    /// [`Error::Invalid`], also where a value does not fit the plan's schema.
    pub async fn put_parameters(
        &self,
        caller: &Caller,
        key: Key,
        rules: ParameterRules,
    ) -> Result<(Put, ParametersView), Error> {
        self.reload_catalog().await?;
        let plan = self.plan_called(&key.offering, &key.plan)?;
        let mut problems = rules.problems();
        if problems.is_empty() {
            let mut values = rules.default.clone();
            values.extend(rules.force.clone());
            let wrong = plan.check_create(&Value::Object(values)).into_iter();
            // What is missing comes with the order.
            problems.extend(wrong.filter(|(pointer, _)| !pointer.is_empty()).map(|(pointer, message)| {
                let under = if rules.force.contains_key(pointer.split('/').nth(1).unwrap_or_default()) {
                    "force"
                } else {
                    "default"
                };
                (format!("/{under}{pointer}"), message)
            }));
        }
        if !problems.is_empty() {
            let issue = |(pointer, message)| Issue { pointer, message };
            return Err(Error::Invalid(problems.into_iter().map(issue).collect()));
        }
        let subject = format!("offerings/{}/plans/{}/parameters", key.offering, key.plan);
        let audited = self.audit_row(caller, "parameters.put", subject, json!({}));
        let new = ParametersRow { key, rules, created_at: self.clock().now() };
        let put = self.db().write::<_, Error, _>(move |tx| {
            let (new, mut audited) = (new.clone(), audited.clone());
            Box::pin(async move {
                // First of all: whoever changes something at the same moment waits here.
                versions::bump(tx, versions::APPROVAL_RULES).await?;
                let before = plan_parameters::one(tx, &new.key).await?;
                if before.is_none() && plan_parameters::count(tx).await? >= PARAMETERS_MAX {
                    let message = format!("something is said of {PARAMETERS_MAX} plans already: delete one first");
                    return Err(Error::conflict("too_many", message));
                }
                if !new.key.tenant.is_empty() && tenants::by_name(tx, &new.key.tenant).await?.is_none() {
                    return Err(Error::invalid("", format!("tenant `{}` does not exist", new.key.tenant)));
                }
                plan_parameters::put(tx, &new).await?;
                versions::bump(tx, versions::CATALOG).await?;
                let was = before.as_ref().map(|row| json!(row.rules));
                audited.detail = json!({ "tenant": new.key.tenant });
                audit::append(tx, &audited.changed(was, Some(json!(new.rules)))).await?;
                Ok(match before {
                    Some(before) => (Put::Replaced, ParametersRow { created_at: before.created_at, ..new }),
                    None => (Put::Created, new),
                })
            })
        });
        let put = put.await?;
        self.show_laws().await;
        Ok(put)
    }

    /// What is said about the parameters of a plan.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn parameters(&self, key: &Key) -> Result<ParametersView, Error> {
        let wanted = key.clone();
        let found = self.db().read(move |tx| Box::pin(async move { plan_parameters::one(tx, &wanted).await })).await?;
        found.ok_or_else(|| Error::not_found("rule of parameters", &key.plan))
    }

    /// What is said about plans' parameters, by offering, plan and tenant. The key of a page is these three, a line each.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn all_parameters(&self, page: &Page) -> Result<Listed<ParametersView>, Error> {
        let mut parts = page.after.splitn(3, '\n').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let (after, rows) = (Key { offering: part(), plan: part(), tenant: part() }, page.rows());
        let read = self.db().read(|tx| Box::pin(async move { plan_parameters::page(tx, &after, rows).await }));
        Ok(page.cut(read.await?, |row| format!("{}\n{}\n{}", row.key.offering, row.key.plan, row.key.tenant)))
    }

    /// Says nothing about the parameters of a plan any more.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_parameters(&self, caller: &Caller, key: &Key) -> Result<(), Error> {
        let subject = format!("offerings/{}/plans/{}/parameters", key.offering, key.plan);
        let audited = self.audit_row(caller, "parameters.delete", subject, json!({}));
        let key = key.clone();
        let deleted = self.db().write::<_, Error, _>(move |tx| {
            let (key, mut audited) = (key.clone(), audited.clone());
            Box::pin(async move {
                versions::bump(tx, versions::APPROVAL_RULES).await?;
                let before = plan_parameters::one(tx, &key).await?;
                if !plan_parameters::delete(tx, &key).await? {
                    return Err(Error::not_found("rule of parameters", &key.plan));
                }
                versions::bump(tx, versions::CATALOG).await?;
                audited.detail = json!({ "tenant": key.tenant });
                Ok(audit::append(tx, &audited.changed(before.map(|row| json!(row.rules)), None)).await?)
            })
        });
        deleted.await?;
        self.show_laws().await;
        Ok(())
    }

    /// The catalog as it is shown from now on, at once in this process; others notice by themselves.
    async fn show_laws(&self) {
        if let Err(error) = self.reload_catalog().await {
            tracing::warn!(%error, "the catalog could not be read again after a change of what is said about parameters");
        }
    }
}
