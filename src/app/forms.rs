//! What the pages of orders and changes have to know before anything is sent: for whom somebody may order, what operators say about a
//! plan's parameters, which instances may be named, and how what stands was ordered; and an order that never changes what stands.
//!
//! Orders themselves are `people`'s. Invariant: nobody learns of a tenant that they may not order for.

use std::sync::Arc;

use osb::{Call, Object};

use super::instances::InstanceView;
use super::people::{PersonalOrder, Placed, instance_id};
use super::{App, Error, sealed};
use crate::domain::caller::Caller;
use crate::domain::catalog::PlanEntry;
use crate::domain::instance::{InstanceAttributes, InstanceState, Presence, presence};
use crate::domain::parameters::ParameterRules;
use crate::domain::permission::Permission;
use crate::domain::reference::Wanted;
use crate::store::instances::Filter;
use crate::store::{instances, tenants, versions};

/// Tenants that are told at once.
pub const TENANTS_MAX: u32 = 50;
/// Instances that are looked through for those that may be named.
const INSTANCES_MAX: i64 = 1000;

/// A plan, and what is said about its parameters.
#[derive(Clone, Debug)]
pub struct PlanForm {
    /// The plan.
    pub plan: Arc<PlanEntry>,
    /// What operators say, for the tenant or for all.
    pub rules: Option<ParameterRules>,
}

/// Tenants to choose from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenants {
    /// Their names, the first by the alphabet.
    pub names: Vec<String>,
    /// Whether there are more.
    pub more: bool,
}

/// An instance that may be named where another one is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nameable {
    /// What is written.
    pub name: String,
    /// Its offering's name.
    pub offering: String,
    /// Its plan's name.
    pub plan: String,
}

/// An instance that may be changed.
#[derive(Clone, Debug)]
pub struct Changeable {
    /// The instance.
    pub instance: InstanceView,
    /// Its plan.
    pub plan: Arc<PlanEntry>,
    /// Its parameters as they were ordered. They may hold secrets.
    pub parameters: Object,
    /// The plans that it may change to.
    pub plans: Vec<Arc<PlanEntry>>,
}

impl App {
    /// The tenants that somebody may order for, whose names have `part` in them.
    ///
    /// # Errors
    /// Where the database fails; [`Error::Forbidden`] for those who order for nobody.
    pub async fn tenants_to_order_for(&self, caller: &Caller, part: &str) -> Result<Tenants, Error> {
        let sight = super::access::sight(Permission::Order, caller)?;
        let (part, only) = (part.to_owned(), sight.tenants());
        let found = self.db().read::<_, Error, _>(move |tx| {
            Box::pin(async move { Ok(tenants::named(tx, &part, TENANTS_MAX + 1, only).await?) })
        });
        let mut names = found.await?;
        let most = usize::try_from(TENANTS_MAX).unwrap_or(usize::MAX);
        let more = names.len() > most;
        names.truncate(most);
        Ok(Tenants { names, more })
    }

    /// A plan by names, and what is said about its parameters; for a tenant where one is named.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is no such plan, [`Error::NotFound`] where the tenant is not theirs to order for.
    pub async fn plan_form(
        &self,
        caller: &Caller,
        offering: &str,
        plan: &str,
        tenant: Option<&str>,
    ) -> Result<PlanForm, Error> {
        if let Some(tenant) = tenant {
            self.person(caller, Permission::Order, tenant).await?;
        }
        let plan = self.plan_called(offering, plan)?;
        let count = self.db().read(|tx| Box::pin(versions::read(tx, versions::APPROVAL_RULES))).await?;
        let rules = self.laws_at(count).await?.parameters(&plan, tenant.unwrap_or_default());
        Ok(PlanForm { plan, rules })
    }

    /// The instances of a tenant that may be named at places that want those, in the order of `wanted`. Only those that are ready.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the tenant is not theirs to order for.
    pub async fn nameable(
        &self,
        caller: &Caller,
        tenant: &str,
        wanted: &[Wanted],
    ) -> Result<Vec<Vec<Nameable>>, Error> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let orderer = self.person(caller, Permission::Order, tenant).await?;
        let filter = Filter {
            tenant_id: orderer.tenant.as_ref().map(|tenant| tenant.id.clone()),
            platform_id: None,
            platform_instance_id: None,
            broker_id: None,
            offering_id: None,
            state: Some(InstanceState::Ready),
            sight: super::access::sight(Permission::Order, caller)?,
            now: self.clock().now(),
        };
        let rows = self.db().read::<_, Error, _>(move |tx| {
            let filter = filter.clone();
            Box::pin(async move { Ok(instances::list(tx, &filter, "", INSTANCES_MAX).await?) })
        });
        let mut found = vec![Vec::new(); wanted.len()];
        for row in rows.await? {
            let plan = self.plan_of(&row).await?;
            // People name theirs by name; what a platform ordered is named by its id here.
            let own = row.platform_id == orderer.platform.id;
            let name =
                row.platform_instance_id.split_once('/').filter(|_| own).map_or(row.id.as_str(), |(_, name)| name);
            for (place, wanted) in wanted.iter().enumerate() {
                if wanted.fits(&plan)
                    && let Some(found) = found.get_mut(place)
                {
                    let (offering, plan) = (plan.offering_name.clone(), plan.plan_name.clone());
                    found.push(Nameable { name: name.to_owned(), offering, plan });
                }
            }
        }
        found.iter_mut().for_each(|found| found.sort_by(|left, right| left.name.cmp(&right.name)));
        Ok(found)
    }

    /// Whether a tenant has an instance of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the tenant is not theirs to order for.
    pub async fn is_name_taken(&self, caller: &Caller, tenant: &str, name: &str) -> Result<bool, Error> {
        let orderer = self.person(caller, Permission::Order, tenant).await?;
        let row = self.current_instance(&orderer, &instance_id(tenant, name)).await?;
        Ok(row.is_some_and(|row| stands(row.state, row.operation_id.is_some())))
    }

    /// As [`App::order`], but of something new: what stands under that name is never changed. The same order again finds what the first
    /// one made, so that a form may be sent twice.
    ///
    /// # Errors
    /// As [`App::order`]; [`Error::Conflict`] `name_taken` where something else stands under that name.
    pub async fn order_new(
        &self,
        caller: &Caller,
        call: &Call,
        tenant: &str,
        name: &str,
        order: PersonalOrder,
    ) -> Result<Placed, Error> {
        let orderer = self.person(caller, Permission::Order, tenant).await?;
        let id = instance_id(tenant, name);
        let row = self.current_instance(&orderer, &id).await?;
        let Some(row) = row.filter(|row| stands(row.state, row.operation_id.is_some())) else {
            return self.order(caller, call, tenant, name, order).await;
        };
        let plan = self.plan_called(&order.offering, &order.plan)?;
        let known: InstanceAttributes = self.open(&sealed::instance_attributes(&row.id), &row.attributes)?;
        let parameters = order.parameters.unwrap_or_default();
        if row.plan_id == plan.plan_id && *known.ordered() == parameters && row.state != InstanceState::Failed {
            return Ok(Placed::Unchanged(Box::new(self.standing(&orderer, &id).await?)));
        }
        Err(Error::conflict("name_taken", format!("tenant `{tenant}` has another instance `{name}`")))
    }

    /// An instance by name with all that its change has to know.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not there, or not theirs to change.
    pub async fn changeable(&self, caller: &Caller, tenant: &str, name: &str) -> Result<Changeable, Error> {
        let orderer = self.person(caller, Permission::Order, tenant).await?;
        let meant = self.meant(&orderer, &instance_id(tenant, name), None).await?;
        let live = |state, busy| presence(state, busy) == Presence::Live;
        let meant = meant.filter(|meant| live(meant.instance.state, meant.instance.operation_id.is_some()));
        let meant = meant.ok_or_else(|| Error::not_found("instance", name))?;
        let row = meant.instance;
        let known: InstanceAttributes = self.open(&sealed::instance_attributes(&row.id), &row.attributes)?;
        let plan = self.plan_of(&row).await?;
        let mut plans = Vec::new();
        if plan.plan_updateable() {
            let catalog = self.catalog();
            for other in catalog.plan_names(&plan.offering_name).filter(|other| *other != plan.plan_name) {
                let Some(other) = catalog.plan_by_name(&plan.offering_name, other) else { continue };
                if self.may_order(other, &meant.tenant, &orderer.platform, meant.rules).await.is_ok() {
                    plans.push(Arc::clone(other));
                }
            }
        }
        let parameters = known.ordered().clone();
        Ok(Changeable { instance: self.instance_view(row).await?, plan, parameters, plans })
    }
}

/// Whether something is under a name, or on its way to it or from it.
fn stands(state: InstanceState, busy: bool) -> bool {
    matches!(presence(state, busy), Presence::Live | Presence::CleaningUp)
}
