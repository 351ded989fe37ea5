//! Quotas as operators see them: put, read, list and delete. A new or changed quota counts what exists already: from the rows, in the
//! transaction that writes it, while no order of its tenant gets in between.

use std::collections::HashMap;

use serde_json::json;

use super::super::drive::Target;
use super::super::sealed;
use super::super::tenants::Put;
use super::super::{App, Error, Issue, Listed, Page, access};
use crate::domain::caller::Caller;
use crate::domain::instance::InstanceAttributes;
use crate::domain::name::{RULE, is_name};
use crate::domain::permission::Sight;
use crate::domain::quota::{Amount, Measure, OF_TENANT_MAX, QuotaDocument, Subject, Unmeasured};
use crate::store::instances::InstanceRow;
use crate::store::operations::OperationRow;
use crate::store::quotas::{self, QuotaRow, UseRow};
use crate::store::{Tx, audit, offerings, tenants};

/// Instances that are counted together.
const PAGE: i64 = 500;
/// Instances that one quota can count when it is made.
const INSTANCES_MAX: usize = 50_000;

/// A quota with what is used of it.
#[derive(Clone, Debug)]
pub struct QuotaView {
    /// The quota.
    pub row: QuotaRow,
    /// Instances that count as nothing, since nothing says how much they are; only where one quota is shown.
    pub unmeasured: Option<i64>,
}

impl App {
    /// Creates or replaces a quota, and counts what stands already. A limit below that is allowed: nothing new is then.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::Unprocessable`] where there are too many quotas or instances; [`Error::Conflict`] where it is
    /// another tenant's.
    pub async fn put_quota(
        &self,
        caller: &Caller,
        name: &str,
        document: QuotaDocument,
    ) -> Result<(Put, QuotaView), Error> {
        if !is_name(name) {
            return Err(Error::invalid("", format!("a quota's name {RULE}")));
        }
        let mut problems = document.problems();
        if problems.is_empty() {
            problems.extend(self.unknown_plan(document.offering.as_deref(), document.plan.as_deref()).await?);
        }
        if !problems.is_empty() {
            let issue = |(pointer, message)| Issue { pointer, message };
            return Err(Error::Invalid(problems.into_iter().map(issue).collect()));
        }
        self.reload_catalog().await?;
        let audited = self.audit_row(caller, "quota.put", format!("quotas/{name}"), json!({}));
        let (app, name, now) = (self.clone(), name.to_owned(), self.clock().now());
        let put = self.db().write::<_, Error, _>(move |tx| {
            let (app, name, document, audited) = (app.clone(), name.clone(), document.clone(), audited.clone());
            Box::pin(async move {
                // Whoever orders for the tenant at the same moment waits here, or is counted below.
                let Some(tenant) = tenants::lock(tx, &document.tenant).await? else {
                    return Err(Error::invalid("/tenant", format!("there is no tenant `{}`", document.tenant)));
                };
                let tenant = tenant.tenant;
                let before = quotas::one(tx, &name).await?;
                let taken = || {
                    let message =
                        format!("quota `{name}` is another tenant's; choose another name, or delete it first");
                    Error::conflict("name_taken", message)
                };
                if before.as_ref().is_some_and(|before| before.tenant_id != tenant.id) {
                    return Err(taken());
                }
                if before.is_none() && quotas::count(tx, &tenant.id).await? >= OF_TENANT_MAX {
                    let message = format!("a tenant has at most {OF_TENANT_MAX} quotas");
                    return Err(Error::Unprocessable { code: "too_many", message });
                }
                let row = quotas::put(tx, &name, &tenant.id, &document, now).await?;
                // Somebody else may have made it for another tenant since.
                let row = row.ok_or_else(taken)?;
                let row = app.count_standing(tx, row).await?;
                tenants::count_quotas(tx, &tenant.id).await?;
                let was = before.as_ref().map(|row| json!(row.document));
                audit::append(tx, &audited.changed(was, Some(json!(document)))).await?;
                let unmeasured = Some(quotas::unmeasured(tx, &name).await?);
                let put = if before.is_none() { Put::Created } else { Put::Replaced };
                Ok((put, QuotaView { row, unmeasured }))
            })
        });
        put.await
    }

    /// Counts what stands of a quota that is locked, with its tenant.
    async fn count_standing(&self, tx: &mut Tx<'_>, mut row: QuotaRow) -> Result<QuotaRow, Error> {
        quotas::forget_uses(tx, &row.name).await?;
        let (mut sum, mut counted, mut after) = (0_i64, 0_usize, String::new());
        while let Some((instances, last)) = quotas::lock_standing(tx, &row.tenant_id, &after, PAGE).await? {
            counted += instances.len();
            if counted > INSTANCES_MAX {
                let message = format!(
                    "the tenant has more than {INSTANCES_MAX} instances, which is more than can be counted at once"
                );
                return Err(Error::Unprocessable { code: "too_many", message });
            }
            let mut updates: HashMap<String, Vec<OperationRow>> = HashMap::new();
            for update in quotas::open_updates(tx, &row.tenant_id, &after, &last).await? {
                updates.entry(update.instance_id.clone()).or_default().push(update);
            }
            for instance in &instances {
                let open = updates.remove(&instance.id).unwrap_or_default();
                if let Some(found) = self.count_one(tx, &row, instance, &open).await? {
                    let too_much = || Error::Unprocessable {
                        code: "too_much",
                        message: "there is more than can be counted".into(),
                    };
                    sum = sum.checked_add(found.amount.0).ok_or_else(too_much)?;
                    quotas::save_use(tx, &instance.id, &found).await?;
                }
            }
            after = last;
        }
        row.used = Amount(sum);
        quotas::set_used(tx, &row.name, row.used).await?;
        Ok(row)
    }

    /// What a quota counts for an instance that stands; `None` where it is not about it.
    async fn count_one(
        &self,
        tx: &mut Tx<'_>,
        quota: &QuotaRow,
        instance: &InstanceRow,
        open: &[OperationRow],
    ) -> Result<Option<UseRow>, Error> {
        let reads = matches!(quota.document.measure, Measure::Parameter(_));
        let attributes = match reads {
            true => self.open(&sealed::instance_attributes(&instance.id), &instance.attributes)?,
            false => InstanceAttributes::default(),
        };
        let standing = self.measure(tx, quota, &instance.plan_id, &attributes.parameters).await?;
        let mut row = UseRow {
            quota: quota.name.clone(),
            amount: amount(standing.as_ref()),
            back: None,
            wanted: None,
            unmeasured: matches!(standing, Some(Err(_))),
        };
        let mut counted = standing.is_some();
        for update in open {
            let Some(target) = &update.target else { continue };
            let target: Target = self.open(&sealed::operation_target(&update.id), target)?;
            let wanted = self.measure(tx, quota, &target.plan_id, &target.attributes.parameters).await?;
            counted |= wanted.is_some();
            if instance.operation_id.as_ref() == Some(&update.id) {
                row.wanted = Some(amount(wanted.as_ref()));
            } else {
                row.amount = row.amount.max(amount(wanted.as_ref()));
            }
        }
        if let Some(wanted) = row.wanted {
            row.back = Some(row.amount);
            row.amount = row.amount.max(wanted);
        }
        Ok(counted.then_some(row))
    }

    /// What such an instance comes to; `None` where the quota is not about it.
    async fn measure(
        &self,
        tx: &mut Tx<'_>,
        quota: &QuotaRow,
        plan_id: &str,
        parameters: &osb::Object,
    ) -> Result<Option<Result<Amount, Unmeasured>>, Error> {
        let catalog = self.catalog();
        if let Some(plan) = catalog.plan_by_id(plan_id) {
            let (offering, name) = (&plan.offering_name, &plan.plan_name);
            let subject = Subject { offering, plan: name, parameters, schema: plan.plan.create_schema() };
            return Ok(quota.document.counts(offering, name).then(|| quota.document.needs(&subject)));
        }
        // What has left the catalog stands all the same.
        let names = offerings::names_of_plan(tx, plan_id).await?;
        let (_, offering, plan) = names.unwrap_or_default();
        let subject = Subject { offering: &offering, plan: &plan, parameters, schema: None };
        Ok(quota.document.counts(&offering, &plan).then(|| quota.document.needs(&subject)))
    }

    /// One quota.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn quota(&self, sight: &Sight, name: &str) -> Result<QuotaView, Error> {
        let key = name.to_owned();
        let read = self.db().read::<_, Error, _>(move |tx| {
            Box::pin(async move {
                let Some(row) = quotas::one(tx, &key).await? else { return Ok(None) };
                let unmeasured = Some(quotas::unmeasured(tx, &row.name).await?);
                Ok(Some(QuotaView { row, unmeasured }))
            })
        });
        let view: QuotaView = read.await?.ok_or_else(|| Error::not_found("quota", name))?;
        access::check(sight, "quota", name, &access::of_tenant(&view.row.tenant_id))?;
        Ok(view)
    }

    /// Quotas by name, those of one tenant where one is named.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn quotas(&self, sight: &Sight, tenant: Option<&str>, page: &Page) -> Result<Listed<QuotaView>, Error> {
        let tenant_id = match tenant {
            None => None,
            Some(name) => match self.tenant_by_name(name).await {
                Ok(tenant) => Some(tenant.id),
                // What means nothing matches nothing.
                Err(Error::NotFound { .. }) => return Ok(Listed { items: Vec::new(), next: None }),
                Err(error) => return Err(error),
            },
        };
        let (after, rows, seen) = (page.after.clone(), page.rows(), sight.tenants());
        let read = self.db().read(|tx| Box::pin(async move { quotas::list(tx, tenant_id, seen, &after, rows).await }));
        let listed = page.cut(read.await?, |row: &QuotaRow| row.name.clone());
        Ok(listed.map(|row| QuotaView { row, unmeasured: None }))
    }

    /// Deletes a quota: nothing is counted any more.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_quota(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let audited = self.audit_row(caller, "quota.delete", format!("quotas/{name}"), json!({}));
        let tenant = self.quota(&Sight::everything(), name).await?.row.document.tenant;
        let name = name.to_owned();
        let deleted = self.db().write::<_, Error, _>(move |tx| {
            let (name, tenant, audited) = (name.clone(), tenant.clone(), audited.clone());
            Box::pin(async move {
                let missing = || Error::not_found("quota", &name);
                let tenant = tenants::lock(tx, &tenant).await?.ok_or_else(missing)?.tenant;
                let before = quotas::lock(tx, &name).await?.filter(|row| row.tenant_id == tenant.id);
                let before = before.ok_or_else(missing)?;
                quotas::delete(tx, &name).await?;
                tenants::count_quotas(tx, &tenant.id).await?;
                Ok(audit::append(tx, &audited.changed(Some(json!(before.document)), None)).await?)
            })
        });
        deleted.await
    }
}

fn amount(measured: Option<&Result<Amount, Unmeasured>>) -> Amount {
    measured.and_then(|measured| measured.as_ref().ok()).copied().unwrap_or_default()
}

/// Deletes the quotas of a tenant that is locked and has no instance left.
pub(in crate::app) async fn delete_of_tenant(tx: &mut Tx<'_>, tenant_id: &str) -> Result<(), Error> {
    for quota in quotas::of_tenant(tx, tenant_id).await? {
        quotas::lock(tx, &quota.name).await?;
        quotas::delete(tx, &quota.name).await?;
    }
    Ok(tenants::count_quotas(tx, tenant_id).await?)
}
