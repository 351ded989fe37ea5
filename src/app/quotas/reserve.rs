//! Taking from quotas. A reservation is a locking write that takes only what is left; it stands or falls with the order's transaction.
//! An order that waits for an approval has taken already: a yes is worth something then.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::Error;
use crate::domain::catalog::PlanEntry;
use crate::domain::quota::{Amount, Exceeded, Subject, Unmeasured};
use crate::domain::tenant::Tenant;
use crate::store::Tx;
use crate::store::quotas::{self, QuotaRow, UseRow};

/// What is ordered, as quotas look at it.
#[derive(Clone, Debug)]
pub(in crate::app) struct Wants {
    plan: Arc<PlanEntry>,
    parameters: Arc<osb::Object>,
}

impl Wants {
    /// An instance of that plan with those parameters.
    pub(in crate::app) fn new(plan: &Arc<PlanEntry>, parameters: &osb::Object) -> Self {
        Self { plan: Arc::clone(plan), parameters: Arc::new(parameters.clone()) }
    }

    fn of(&self, quota: &QuotaRow) -> Result<Amount, Unmeasured> {
        quota.document.needs(&Subject {
            offering: &self.plan.offering_name,
            plan: &self.plan.plan_name,
            parameters: &self.parameters,
            schema: self.plan.plan.create_schema(),
        })
    }

    fn counted(&self, quota: &QuotaRow) -> bool {
        quota.document.counts(&self.plan.offering_name, &self.plan.plan_name)
    }

    fn measured(&self, quota: &QuotaRow) -> Result<Amount, Error> {
        self.of(quota).map_err(|reason| Error::Refused {
            code: "quota_unmeasured",
            message: format!("{reason} (quota `{}`)", quota.name),
        })
    }

    async fn take(&self, tx: &mut Tx<'_>, quota: &QuotaRow, amount: Amount) -> Result<(), Error> {
        if amount == Amount::ZERO || quotas::take(tx, &quota.name, amount).await? {
            return Ok(());
        }
        // As it is now, and locked: others have taken since it was read.
        let now = quotas::lock(tx, &quota.name).await?.unwrap_or_else(|| quota.clone());
        Err(Error::OverQuota(Box::new(Exceeded {
            name: now.name,
            tenant_id: now.tenant_id,
            document: now.document,
            used: now.used,
            asked: amount,
            offering: self.plan.offering_name.clone(),
            plan: self.plan.plan_name.clone(),
            told_at: now.told_at,
        })))
    }
}

/// What was taken for an instance, to be written down once the instance is.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct Taken {
    uses: Vec<UseRow>,
}

impl Taken {
    /// Whether a quota counts the instance.
    pub(in crate::app) fn any(&self) -> bool {
        !self.uses.is_empty()
    }

    /// Writes down what counts for the instance, which is locked or new.
    pub(in crate::app) async fn record(&self, tx: &mut Tx<'_>, instance_id: &str) -> Result<(), Error> {
        for row in &self.uses {
            quotas::save_use(tx, instance_id, row).await?;
        }
        Ok(())
    }

    /// Puts back what was taken for an order that is not written after all.
    pub(in crate::app) async fn put_back(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        for row in self.uses.iter().filter(|row| row.amount > Amount::ZERO) {
            quotas::add(tx, &row.quota, -row.amount.0).await?;
        }
        Ok(())
    }
}

/// What a quota would come to with an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The quota.
    pub name: String,
    /// How much there may be.
    pub limit: Amount,
    /// What is used without the order.
    pub used: Amount,
    /// How much more the order needs.
    pub needs: Amount,
    /// Whether too little is left for it.
    pub exceeded: bool,
}

impl From<&Exceeded> for Outlook {
    fn from(exceeded: &Exceeded) -> Self {
        let Exceeded { name, document, used, asked, .. } = exceeded.clone();
        Self { name, limit: document.most(), used, needs: asked, exceeded: true }
    }
}

/// What the quotas that count an instance have come to with an order that this transaction has just written.
pub(in crate::app) async fn outlook(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    instance_id: &str,
) -> Result<Vec<Outlook>, Error> {
    let mut found = Vec::new();
    for quota in quotas::of_tenant(tx, tenant_id).await? {
        let uses = quotas::uses(tx, instance_id).await?;
        let Some(row) = uses.into_iter().find(|row| row.quota == quota.name) else { continue };
        let needs = Amount(row.amount.0 - row.back.unwrap_or_default().0);
        let (limit, used) = (quota.document.most(), Amount(quota.used.0 - needs.0));
        found.push(Outlook { name: quota.name, limit, used, needs, exceeded: false });
    }
    Ok(found)
}

/// Takes what a new instance needs. `held` is the number of the tenant's quotas; the tenant is held.
pub(in crate::app) async fn take(tx: &mut Tx<'_>, tenant: &Tenant, held: i64, wants: &Wants) -> Result<Taken, Error> {
    let mut taken = Taken::default();
    if held == 0 {
        return Ok(taken);
    }
    for quota in quotas::of_tenant(tx, &tenant.id).await?.iter().filter(|quota| wants.counted(quota)) {
        let amount = wants.measured(quota)?;
        wants.take(tx, quota, amount).await?;
        taken.uses.push(used(quota, amount));
    }
    Ok(taken)
}

/// Counts an instance that stands already, whatever is left: what nobody can measure counts as nothing, and is told.
pub(in crate::app) async fn adopt(tx: &mut Tx<'_>, tenant: &Tenant, held: i64, wants: &Wants) -> Result<Taken, Error> {
    let mut taken = Taken::default();
    if held == 0 {
        return Ok(taken);
    }
    for quota in quotas::of_tenant(tx, &tenant.id).await?.iter().filter(|quota| wants.counted(quota)) {
        let measured = wants.of(quota);
        let row = UseRow { unmeasured: measured.is_err(), ..used(quota, measured.unwrap_or_default()) };
        if !quotas::add(tx, &quota.name, row.amount.0).await? {
            let message = format!("quota `{}` can't count any more", quota.name);
            return Err(Error::Refused { code: "quota_exceeded", message });
        }
        taken.uses.push(row);
    }
    Ok(taken)
}

/// Takes what an instance needs more after an update; what it needs less is given back when the update has succeeded. The tenant is
/// held, the instance is not locked yet.
pub(in crate::app) async fn grow(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    held: i64,
    instance_id: &str,
    wants: &Wants,
) -> Result<Taken, Error> {
    let mut taken = Taken::default();
    if held == 0 {
        return Ok(taken);
    }
    let all = quotas::of_tenant(tx, &tenant.id).await?;
    let before = quotas::uses(tx, instance_id).await?;
    let concerned = |quota: &&QuotaRow| wants.counted(quota) || before.iter().any(|row| row.quota == quota.name);
    let mut locked = Vec::new();
    for quota in all.iter().filter(concerned) {
        locked.extend(quotas::lock(tx, &quota.name).await?);
    }
    // Once more under the locks: what ended meanwhile may have given back.
    let mut before: BTreeMap<_, _> =
        quotas::uses(tx, instance_id).await?.into_iter().map(|row| (row.quota.clone(), row)).collect();
    for quota in &locked {
        let row = before.remove(&quota.name);
        if row.is_none() && !wants.counted(quota) {
            continue;
        }
        let stands = row.as_ref().map(|row| row.amount).unwrap_or_default();
        // What could not be measured as it stands need not be measured to be changed elsewhere.
        let unmeasured = row.is_some_and(|row| row.unmeasured) && wants.of(quota).is_err();
        let wanted = if unmeasured { stands } else { wants.measured(quota)? };
        wants.take(tx, quota, Amount((wanted.0 - stands.0).max(0))).await?;
        let amount = stands.max(wanted);
        let (back, wanted) = (Some(stands), Some(wanted));
        taken.uses.push(UseRow { back, wanted, unmeasured, ..used(quota, amount) });
    }
    Ok(taken)
}

fn used(quota: &QuotaRow, amount: Amount) -> UseRow {
    UseRow { quota: quota.name.clone(), amount, back: None, wanted: None, unmeasured: false }
}
