//! What an order would cost before it is placed: an instance that stands for the whole of the next month. It orders and keeps
//! nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::people::fits;
use super::{App, Error, Issue, access};
use crate::domain::caller::Caller;
use crate::domain::catalog::{Merged, PlanEntry, prices};
use crate::domain::decimal::Decimal;
use crate::domain::estimate::{Estimate, Expected, estimate};
use crate::domain::meter::{INSTANCE, Meter, SETUP};
use crate::domain::period::{Month, Zone, Zones};
use crate::domain::permission::{Access, Permission};

/// Meters that are told to be wrong.
const ISSUES_MAX: usize = 100;

/// What would be ordered.
#[derive(Clone, Debug)]
pub struct EstimateOf {
    /// The offering's name.
    pub offering: String,
    /// The plan's name.
    pub plan: String,
    /// The tenant whose calendar counts; the hub's where absent.
    pub tenant: Option<String>,
    /// What the plan's schema describes; checked where given.
    pub parameters: Option<osb::Object>,
    /// By meter: how much a month brings, or, of a gauge, its level.
    pub usage: BTreeMap<String, Decimal>,
}

/// What it would cost.
#[derive(Clone, Debug)]
pub struct Estimated {
    /// Of the prices; none where there is no price book yet.
    pub currency: Option<String>,
    /// The month that was estimated.
    pub month: Month,
    /// What it comes to.
    pub estimate: Estimate,
}

impl App {
    /// What an instance of a plan would cost that stands for the whole of the next month.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a name means nothing, with what was probably meant, or parameters don't fit the plan's schema.
    pub async fn estimate(&self, caller: &Caller, what: EstimateOf) -> Result<Estimated, Error> {
        let plan = plan(&self.catalog(), &what)?;
        if let Some(parameters) = &what.parameters {
            fits(plan.check_create(&Value::Object(parameters.clone())))?;
        }
        let meters = plan.meters();
        let issues: Vec<_> = wrong_usage(&what.usage, &meters).collect();
        if !issues.is_empty() {
            return Err(Error::Invalid(issues));
        }
        let zones = self.zones(caller, what.tenant.as_deref()).await?;
        let books = self.price_books(None).await?;
        let month = zones.month(self.clock().now()).next();
        let currency = books.first().map(|book| book.document.currency.clone());
        let estimated = tokio::task::spawn_blocking(move || {
            let expected =
                Expected { offering: &plan.offering_name, plan: &plan.plan_name, meters: &meters, usage: &what.usage };
            estimate(expected, &books, &zones, month)
        });
        Ok(Estimated { currency, month, estimate: estimated.await.map_err(|_| Error::busy())? })
    }

    async fn zones(&self, caller: &Caller, tenant: Option<&str>) -> Result<Zones, Error> {
        let hub = Zone::from(self.config().billing.time_zone.clone());
        let Some(name) = tenant else { return Ok(Zones::always(hub)) };
        let unknown = || Error::invalid("/tenant", format!("tenant `{name}` does not exist"));
        let tenant = self.tenant_by_name(name).await.map_err(|error| match error {
            Error::NotFound { .. } => unknown(),
            error => error,
        })?;
        let sight = Permission::SeeTenants.sight(caller);
        if sight.is_none_or(|sight| sight.of(&access::of_tenant(&tenant.id)) != Access::Allowed) {
            return Err(unknown());
        }
        Ok(self.charged(&tenant.id, self.clock().now()).await?.zones)
    }
}

/// The plan of those names, among what can be ordered.
fn plan(catalog: &Merged, what: &EstimateOf) -> Result<Arc<PlanEntry>, Error> {
    if let Some(plan) = catalog.plan_by_name(&what.offering, &what.plan) {
        return Ok(Arc::clone(plan));
    }
    let plans: Vec<_> = catalog.plan_names(&what.offering).collect();
    if plans.is_empty() {
        let meant = prices::meant(&what.offering, catalog.offering_names());
        return Err(Error::invalid("/offering", format!("there is no offering `{}`{meant}", what.offering)));
    }
    let meant = prices::meant(&what.plan, plans);
    Err(Error::invalid("/plan", format!("offering `{}` has no plan `{}`{meant}", what.offering, what.plan)))
}

fn wrong_usage<'a>(usage: &'a BTreeMap<String, Decimal>, meters: &'a [Meter]) -> impl Iterator<Item = Issue> + use<'a> {
    let wrong = |(key, quantity): (&String, &Decimal)| {
        let declared = meters.iter().any(|meter| meter.key == *key);
        let message = if key == INSTANCE || key == SETUP {
            format!("`{key}` is measured by Bourse itself: a whole month is estimated")
        } else if !declared {
            let meant = prices::meant(key, meters.iter().map(|meter| meter.key.as_str()));
            format!("the plan has no meter `{key}`{meant}")
        } else if *quantity < Decimal::ZERO {
            "must not be negative".to_owned()
        } else {
            return None;
        };
        let pointer = format!("/expected_usage/{}", key.replace('~', "~0").replace('/', "~1"));
        Some(Issue { pointer, message })
    };
    usage.iter().filter_map(wrong).take(ISSUES_MAX)
}
