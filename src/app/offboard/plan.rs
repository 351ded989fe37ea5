//! What stands in the way of taking a tenant down, starting it, looking at it, and calling it off.

use std::collections::HashMap;

use serde_json::json;

use super::super::laws::{Deed, principal};
use super::super::tenants::changed;
use super::super::{App, Error};
use crate::clock::{Time, fresh_id};
use crate::domain::approval::REASON_MAX;
use crate::domain::caller::Caller;
use crate::domain::instance::InstanceState;
use crate::domain::period::Month;
use crate::domain::platform::Platform;
use crate::domain::policy::{Action, Mode};
use crate::domain::tenant::Tenant;
use crate::store::offboardings::{self, Counts, LeftRow, OffboardingRow, OffboardingState, StepRow};
use crate::store::{audit, events, platforms, tenants};

/// Instances that are shown.
const SHOWN_MAX: i64 = 1000;
/// Open months that are shown.
const MONTHS_MAX: usize = 24;
/// Why a tenant that is taken down may order nothing.
const SUSPENDED: &str = "it is being off-boarded";

/// An instance that is still there.
#[derive(Clone, Debug)]
pub struct LeftView {
    /// Bourse's own id.
    pub id: String,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// The platform's name.
    pub platform: String,
    /// The offering's name.
    pub offering: String,
    /// The plan's name.
    pub plan: String,
    /// Where it stands.
    pub state: InstanceState,
    /// How many of its bindings are left.
    pub bindings: i64,
    /// How many other instances depend on it: they go first.
    pub dependents: i64,
    /// What is under way on it, and waited for.
    pub under_way: Option<String>,
    /// What was tried.
    pub step: Option<StepRow>,
    /// Policies that would refuse its deletion to whoever ordered it, by name. They do not hold up an off-boarding.
    pub policies: Vec<String>,
}

/// How far a tenant is taken down, or what would have to be done.
#[derive(Clone, Debug)]
pub struct OffboardingView {
    /// The tenant's name.
    pub tenant: String,
    /// Absent where nothing is under way or was.
    pub row: Option<OffboardingRow>,
    /// How much is left.
    pub counts: Counts,
    /// At most 1000 of the instances.
    pub left: Vec<LeftView>,
    /// A platform whose default tenant it is: that stands in the way.
    pub default_of: Option<String>,
    /// Months that are not closed yet. They are closed when they are over, whether or not the tenant is deleted.
    pub open_months: Vec<Month>,
}

impl App {
    /// What stands in the way of taking a tenant down.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn offboarding_plan(&self, name: &str) -> Result<OffboardingView, Error> {
        let tenant = self.tenant_by_name(name).await?;
        self.offboarding_view(tenant.id, tenant.name, None).await
    }

    /// How far a tenant is taken down, or was the last time.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn offboarding(&self, name: &str) -> Result<OffboardingView, Error> {
        let wanted = name.to_owned();
        let found = self.db().read(|tx| Box::pin(async move { offboardings::latest(tx, &wanted).await })).await?;
        let row = found.ok_or_else(|| Error::not_found("off-boarding of tenant", name))?;
        self.offboarding_view(row.tenant_id.clone(), row.tenant.clone(), Some(row)).await
    }

    /// Suspends a tenant and has it taken down. Said again while that goes on, it changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] where it is some platform's default tenant.
    pub async fn offboard(&self, caller: &Caller, name: &str, reason: &str) -> Result<OffboardingView, Error> {
        if reason.chars().count() > REASON_MAX || reason.chars().any(char::is_control) {
            return Err(Error::invalid("/reason", format!("must have at most {REASON_MAX} characters")));
        }
        let now = self.clock().now();
        let detail = json!({ "reason": reason });
        let audited = self.audit_row(caller, "tenant.offboard", format!("tenants/{name}"), detail);
        let new = OffboardingRow {
            id: fresh_id(),
            tenant_id: String::new(),
            tenant: name.to_owned(),
            state: OffboardingState::Running,
            reason: reason.to_owned(),
            requested_by: caller.actor(),
            created_at: now,
            finished_at: None,
            next_at: now,
            attempts: 0,
            error: None,
        };
        let (change, hub) = (fresh_id(), self.config().server.hub.clone());
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (new, audited, change, hub) = (new.clone(), audited.clone(), change.clone(), hub.clone());
            Box::pin(async move {
                let found = tenants::lock(tx, &new.tenant).await?;
                let tenant = found.ok_or_else(|| Error::not_found("tenant", &new.tenant))?.tenant;
                if let Some(platform) = platforms::with_default_tenant(tx, &tenant.id).await? {
                    let message = format!(
                        "tenant `{}` is the default tenant of platform `{platform}`: give that another one first",
                        tenant.name
                    );
                    return Err(Error::conflict("in_use", message));
                }
                let row = OffboardingRow { tenant_id: tenant.id.clone(), ..new };
                if offboardings::insert(tx, &row).await? {
                    tenants::suspend(tx, &tenant.id, Some(SUSPENDED)).await?;
                    let was = json!({ "suspended": tenant.suspended });
                    let is = json!({ "suspended": SUSPENDED, "offboarding": row.id });
                    audit::append(tx, &audited.changed(Some(was), Some(is))).await?;
                    events::append(tx, &hub, &changed(&tenant, &change, "offboarding", now), now).await?;
                }
                Ok(())
            })
        });
        written.await?;
        self.offboarding(name).await
    }

    /// Calls it off. Deletions that are under way go on; the tenant stays suspended until it is resumed.
    ///
    /// # Errors
    /// [`Error::NotFound`] where nothing is under way.
    pub async fn cancel_offboarding(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let now = self.clock().now();
        let audited = self.audit_row(caller, "tenant.offboard.cancel", format!("tenants/{name}"), json!({}));
        let (name, change, hub) = (name.to_owned(), fresh_id(), self.config().server.hub.clone());
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (name, audited, change, hub) = (name.clone(), audited.clone(), change.clone(), hub.clone());
            Box::pin(async move {
                let missing = || Error::not_found("off-boarding of tenant", &name);
                let tenant = tenants::lock(tx, &name).await?.ok_or_else(missing)?.tenant;
                let row = offboardings::running(tx, &tenant.id).await?.ok_or_else(missing)?;
                offboardings::finish(tx, &row.id, OffboardingState::Cancelled, now).await?;
                let suspended = "its off-boarding was cancelled";
                tenants::suspend(tx, &tenant.id, Some(suspended)).await?;
                let was = json!({ "suspended": tenant.suspended, "offboarding": row.id });
                let is = json!({ "suspended": suspended });
                audit::append(tx, &audited.changed(Some(was), Some(is))).await?;
                events::append(tx, &hub, &changed(&tenant, &change, "suspended", now), now).await?;
                Ok(())
            })
        });
        written.await
    }

    async fn offboarding_view(
        &self,
        tenant_id: String,
        tenant: String,
        row: Option<OffboardingRow>,
    ) -> Result<OffboardingView, Error> {
        let open_months = self.open_months(&tenant_id).await?;
        let offboarding_id = row.as_ref().map(|row| row.id.clone()).unwrap_or_default();
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let counts = offboardings::counts(tx, &tenant_id).await?;
                let left = offboardings::left(tx, &tenant_id, &offboarding_id, "", SHOWN_MAX).await?;
                let default_of = platforms::with_default_tenant(tx, &tenant_id).await?;
                let mut names = HashMap::new();
                for row in &left {
                    let id = &row.instance.platform_id;
                    if !names.contains_key(id)
                        && let Some(platform) = platforms::by_id(tx, id).await?
                    {
                        names.insert(id.clone(), platform);
                    }
                }
                Ok((counts, left, default_of, names, tenants::by_id(tx, &tenant_id).await?))
            })
        });
        let (counts, left, default_of, names, owner) = read.await?;
        let mut policies = match owner {
            Some(owner) => self.overridden(&owner, &left, &names).await?,
            None => HashMap::new(),
        };
        let catalog = self.catalog();
        let view = |LeftRow { instance, bindings, dependents, under_way, step }| {
            let plan = catalog.plan_by_id(&instance.plan_id);
            LeftView {
                policies: policies.remove(&instance.id).unwrap_or_default(),
                platform: names.get(&instance.platform_id).map(|platform| platform.name.clone()).unwrap_or_default(),
                offering: plan.map(|plan| plan.offering_name.clone()).unwrap_or_default(),
                plan: plan.map(|plan| plan.plan_name.clone()).unwrap_or_default(),
                id: instance.id,
                name: instance.name,
                state: instance.state,
                bindings,
                dependents,
                under_way,
                step,
            }
        };
        let left = left.into_iter().map(view).collect();
        Ok(OffboardingView { tenant, row, counts, left, default_of, open_months })
    }

    /// The policies that would refuse deletions to whoever ordered what is left, by instance.
    async fn overridden(
        &self,
        tenant: &Tenant,
        left: &[LeftRow],
        platforms: &HashMap<String, Platform>,
    ) -> Result<HashMap<String, Vec<String>>, Error> {
        let (laws, catalog, mut found) = (self.read_laws().await?, self.catalog(), HashMap::new());
        if !laws.judge() {
            return Ok(found);
        }
        for LeftRow { instance, .. } in left {
            let plan = catalog.plan_by_id(&instance.plan_id);
            let (Some(plan), Some(platform)) = (plan, platforms.get(&instance.platform_id)) else { continue };
            let known = self.attributes_of(instance)?;
            let deed = Deed { action: Action::Delete, tenant, plan, from: None, parameters: &known.parameters };
            let judged = self.judge(&laws, &principal("", platform), deed).await?;
            let refusing = judged.into_iter().filter(|judged| judged.mode == Mode::Enforce);
            found.insert(instance.id.clone(), refusing.map(|judged| judged.policy).collect());
        }
        Ok(found)
    }

    async fn open_months(&self, tenant_id: &str) -> Result<Vec<Month>, Error> {
        let id = tenant_id.to_owned();
        let (first, last) = self.db().read(|tx| Box::pin(async move { offboardings::months(tx, &id).await })).await?;
        let Some(first) = first else { return Ok(Vec::new()) };
        let now: Time = self.clock().now();
        let zones = self.charged(tenant_id, now).await?.zones;
        let closed: Option<Month> = last.and_then(|last| last.parse().ok());
        let end = zones.month(now);
        let months = std::iter::successors(Some(closed.map_or_else(|| zones.month(first), Month::next)), |month| {
            Some(month.next())
        });
        Ok(months.take_while(|month| *month <= end).take(MONTHS_MAX).collect())
    }
}
