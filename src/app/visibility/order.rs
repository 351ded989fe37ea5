//! Whether an order may be placed, by what is in memory at the count of changes that the order has just read.

use std::sync::{Arc, PoisonError, RwLock};

use super::super::{App, Error};
use crate::domain::catalog::PlanEntry;
use crate::domain::platform::{BUILTIN, Platform};
use crate::domain::tenant::Tenant;
use crate::domain::visibility::{Hidden, Order, Rules};
use crate::store::{versions, visibility};

/// The rules as they were at one count of their changes.
#[derive(Debug, Default)]
pub(in crate::app) struct Cache(RwLock<(i64, Arc<Rules>)>);

impl Cache {
    fn at_least(&self, count: i64) -> Option<Arc<Rules>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (kept.0 >= count).then(|| Arc::clone(&kept.1))
    }

    fn keep(&self, count: i64, rules: &Arc<Rules>) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if count > kept.0 {
            *kept = (count, Arc::clone(rules));
        }
    }
}

impl App {
    /// What is said of plans and offerings, at least as new as that count.
    async fn visibility_at(&self, count: i64) -> Result<Arc<Rules>, Error> {
        let catalog = self.catalog();
        let seen = catalog.audience();
        if seen.count >= count {
            return Ok(Arc::clone(&seen.rules));
        }
        // Never older than the catalog that the plan was found in.
        match self.inner.visibility.at_least(count.max(seen.count)) {
            Some(rules) => Ok(rules),
            None => self.visibility_now().await,
        }
    }

    /// The same as it is stored now.
    pub(in crate::app) async fn visibility_now(&self) -> Result<Arc<Rules>, Error> {
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                // The counter first: a change in between is then read twice rather than never.
                let count = versions::read(tx, versions::APPROVAL_RULES).await?;
                Ok((count, visibility::rules(tx).await?))
            })
        });
        let (count, rules) = read.await?;
        let rules = Arc::new(rules);
        self.inner.visibility.keep(count, &rules);
        Ok(rules)
    }

    /// Whether a tenant may order a plan from a platform. `count` is the count of changes that the order has just read.
    ///
    /// # Errors
    /// [`Error::Refused`] with what stands against it.
    pub(in crate::app) async fn may_order(
        &self,
        plan: &PlanEntry,
        tenant: &Tenant,
        platform: &Platform,
        count: i64,
    ) -> Result<(), Error> {
        let rules = self.visibility_at(count).await?;
        self.refused_by(&rules, plan, tenant, platform)
    }

    /// The same by rules at hand.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub(in crate::app) fn refused_by(
        &self,
        rules: &Rules,
        plan: &PlanEntry,
        tenant: &Tenant,
        platform: &Platform,
    ) -> Result<(), Error> {
        let order =
            Order { offering: &plan.offering_id, plan: &plan.plan_id, tenant: &tenant.id, platform: &platform.id };
        let Some(hidden) = rules.refuses(&order, self.clock().now()) else { return Ok(()) };
        let (offering, name) = (&plan.offering_name, &plan.plan_name);
        let message = match hidden {
            Hidden::Retired => {
                let successor = rules.offerings.get(&plan.offering_id).and_then(|said| said.successor.as_ref());
                let instead = successor.map(|name| format!("; order {name} instead")).unwrap_or_default();
                return Err(Error::Refused {
                    code: "offering_retired",
                    message: format!(
                        "service offering {offering} is retired: nothing of it can be ordered any more{instead}"
                    ),
                });
            }
            Hidden::Draft => format!("service offering {offering} is not published yet for tenant `{}`", tenant.name),
            Hidden::Restricted => {
                format!("service plan {name} of {offering} is not offered to tenant `{}` on this platform", tenant.name)
            }
        };
        // Whoever does not see it is told what everybody is told of something that is not there.
        if platform.name != BUILTIN && self.catalog().hides(&platform.id, &plan.plan_id) {
            let message = "service_id and plan_id do not name a service plan of the catalog; fetch the catalog again";
            return Err(osb::Error::bad_request(message).into());
        }
        Err(Error::Refused { code: "not_visible", message })
    }
}
