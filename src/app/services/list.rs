//! A page of services: the newest first, each with what is under way on it and what it cost this month.

use std::collections::HashMap;

use super::super::costs::CostSoFar;
use super::super::instances::InstanceView;
use super::super::{App, Error, Listed, Page, access};
use crate::domain::caller::Caller;
use crate::domain::instance::InstanceState;
use crate::domain::permission::{Access, Permission, Sight};
use crate::store::services::{self, Wanted};

pub use crate::store::services::UnderWay;

/// Tenants that are asked one by one; of more, all instances are looked through.
const TENANTS_MAX: usize = 50;
/// Characters that are looked for.
const WORDS_MAX: usize = 100;
/// Services that are shared with somebody and told at once.
const SHARED_MAX: i64 = 100;

/// What a list is narrowed to, by names.
#[derive(Clone, Debug, Default)]
pub struct ServiceFilter {
    /// With this in their name, or exactly this as an id; everything where empty.
    pub words: String,
    /// By the tenant's name.
    pub tenant: Option<String>,
    /// By the offering's name.
    pub offering: Option<String>,
    /// By state; without it those that are gone are left out.
    pub state: Option<InstanceState>,
}

/// A service in a list.
#[derive(Clone, Debug)]
pub struct ServiceItem {
    /// The instance.
    pub instance: InstanceView,
    /// Whether it was ordered here, by name, and not at a platform.
    pub by_name: bool,
    /// What is under way on it.
    pub under_way: Option<UnderWay>,
    /// What it cost this month so far.
    pub cost: Option<CostSoFar>,
}

impl App {
    /// A page of services. It may hold less than it could where much had to be looked through: the next one goes on from there.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] of a tenant that they don't see.
    pub async fn service_list(
        &self,
        caller: &Caller,
        filter: &ServiceFilter,
        page: &Page,
    ) -> Result<Listed<ServiceItem>, Error> {
        let sight = access::sight(Permission::SeeOrders, caller)?;
        let nothing = Listed { items: Vec::new(), next: None };
        let offering_id = match &filter.offering {
            Some(name) => match self.offering_called(name) {
                Some(id) => Some(id),
                None => return Ok(nothing),
            },
            None => None,
        };
        let (tenants, narrowed) = self.whose_services(&sight, filter.tenant.as_deref()).await?;
        let wanted = Wanted {
            after: page.after.clone(),
            state: filter.state,
            offering_id,
            words: filter.words.trim().chars().take(WORDS_MAX).collect(),
            tenants: narrowed,
        };
        let rows = i64::from(page.rows());
        let (rows, edge) = self
            .db()
            .read::<_, Error, _>(|tx| {
                Box::pin(async move {
                    let mut found = Vec::new();
                    for tenant in &tenants {
                        found.push(services::next(tx, tenant.as_deref(), &wanted, rows).await?);
                    }
                    Ok(services::rows(tx, &found, rows).await?)
                })
            })
            .await?;
        let listed = page.cut(rows, |row| row.instance.id.clone());
        let next = listed.next.or(edge);
        let shown: Vec<(String, String)> =
            listed.items.iter().map(|row| (row.instance.tenant_id.clone(), row.instance.id.clone())).collect();
        let mut costs = self.costs_so_far(&shown).await?;
        let builtin = self.builtin_platform().await?.id;
        let mut items = Vec::with_capacity(listed.items.len());
        for row in listed.items {
            let (by_name, under_way) = (row.instance.platform_id == builtin, row.under_way);
            let cost = costs.remove(&row.instance.id);
            let instance = self.named(row.instance, row.tenant, row.platform).await?;
            items.push(ServiceItem { instance, by_name, under_way, cost });
        }
        Ok(Listed { items, next })
    }

    /// The latest services that were shared with somebody who sees them in no other way, without what they cost.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn shared_services(&self, caller: &Caller) -> Result<Vec<ServiceItem>, Error> {
        let sight = access::sight(Permission::ReadOrder, caller)?;
        let (Some(user), now) = (sight.granted().map(str::to_owned), self.clock().now()) else { return Ok(Vec::new()) };
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let found = services::granted(tx, &user, now, SHARED_MAX).await?;
                Ok(services::rows(tx, &[found], SHARED_MAX).await?.0)
            })
        });
        let builtin = self.builtin_platform().await?.id;
        let mut items = Vec::new();
        for row in read.await? {
            if sight.of(&access::of_tenant(&row.instance.tenant_id)) == Access::Allowed {
                continue;
            }
            let (by_name, under_way) = (row.instance.platform_id == builtin, row.under_way);
            let instance = self.named(row.instance, row.tenant, row.platform).await?;
            items.push(ServiceItem { instance, by_name, under_way, cost: None });
        }
        Ok(items)
    }

    /// The tenants whose services are asked for one after the other, none for everybody's; and those that everybody's are narrowed to.
    async fn whose_services(
        &self,
        sight: &Sight,
        named: Option<&str>,
    ) -> Result<(Vec<Option<String>>, Option<String>), Error> {
        if let Some(name) = named {
            return Ok((vec![Some(self.tenant_in_sight(sight, name).await?)], None));
        }
        Ok(match sight.only_tenants() {
            Some(tenants) if tenants.len() <= TENANTS_MAX => (tenants.iter().cloned().map(Some).collect(), None),
            _ => (vec![None], sight.tenants()),
        })
    }

    fn offering_called(&self, name: &str) -> Option<String> {
        let catalog = self.catalog();
        let mut offerings = catalog.parts().iter().flat_map(|part| &part.offerings);
        offerings.find(|offering| offering.name == name).map(|offering| offering.id.clone())
    }

    /// What instances, given with their tenants, have cost this month so far, read at once.
    ///
    /// # Errors
    /// Where the database fails.
    pub(in crate::app) async fn costs_so_far(
        &self,
        instances: &[(String, String)],
    ) -> Result<HashMap<String, CostSoFar>, Error> {
        let mut by_tenant: HashMap<&str, Vec<String>> = HashMap::new();
        for (tenant, instance) in instances {
            by_tenant.entry(tenant).or_default().push(instance.clone());
        }
        let mut all = HashMap::new();
        for (tenant, instances) in by_tenant {
            all.extend(self.month_so_far(tenant, &instances).await?);
        }
        Ok(all)
    }
}
