//! What can be ordered, for people: searched by words.

use std::sync::Arc;

use crate::app::{App, Error, Listed, Page, access};
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::domain::catalog::{Merged, Offering, Part, Plan, State};
use crate::domain::permission::Permission;
use crate::domain::role::Role;
use crate::domain::search::Query;
use crate::domain::visibility::{Lifecycle, Order, Stage};

/// An offering, whoever's it is.
#[derive(Clone, Debug)]
pub struct OfferingView {
    part: Arc<Part>,
    place: usize,
    plans: Vec<usize>,
    score: u32,
    /// How far it has come, as it was said.
    pub lifecycle: Lifecycle,
    /// What that comes to now.
    pub stage: Stage,
}

impl OfferingView {
    /// The broker's name.
    pub fn broker(&self) -> &str {
        &self.part.broker_name
    }

    /// The offering, with all of its plans.
    pub fn offering(&self) -> &Offering {
        // `place` is one of this very part's.
        &self.part.offerings[self.place]
    }

    /// Its plans, of those that the search was for.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.plans.iter().filter_map(|place| self.offering().plans.get(*place))
    }

    /// Where it stands among others: the best first, then by name. Names are unique among what can be ordered only.
    fn key(&self) -> String {
        let offering = self.offering();
        format!("{:010} {} {}", u32::MAX - self.score, offering.name, offering.id)
    }
}

/// A plan of an offering.
pub type PlanView = Plan;

impl App {
    /// A page of [`App::search`].
    pub fn offerings(&self, query: &str, tenants: Option<&[String]>, page: &Page) -> Listed<OfferingView> {
        let keyed = self.search(query, tenants).into_iter().map(|view| (view.key(), view));
        let most = usize::try_from(page.rows()).unwrap_or(usize::MAX);
        let after = keyed.filter(|(key, _)| *key > page.after).take(most);
        page.cut(after.collect(), |(key, _)| key.clone()).map(|(_, view)| view)
    }

    /// All offerings to which every word of `query` leads ([`Query`]), the best first. Those that left their catalog are left out; where
    /// tenants are named, so is what none of them can order by name.
    pub fn search(&self, query: &str, tenants: Option<&[String]>) -> Vec<OfferingView> {
        let query = Query::new(query, &self.config().catalog.synonyms);
        let mut found = self.those(tenants, |part, place| part.terms().get(place).and_then(|terms| query.score(terms)));
        found.sort_by_cached_key(OfferingView::key);
        found
    }

    /// The offering of a name, as [`App::search`] shows it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn offering(&self, name: &str, tenants: Option<&[String]>) -> Result<OfferingView, Error> {
        let named = |part: &Part, place: usize| {
            part.offerings.get(place).is_some_and(|offering| offering.name == name).then_some(0)
        };
        let mut found = self.those(tenants, named);
        // A name is unique among what can be ordered.
        found.sort_by_key(|view| view.offering().state != State::Available);
        found.into_iter().next().ok_or_else(|| Error::not_found("offering", name))
    }

    fn those(&self, tenants: Option<&[String]>, score: impl Fn(&Part, usize) -> Option<u32>) -> Vec<OfferingView> {
        let (catalog, now) = (self.catalog(), self.clock().now());
        let mut found: Vec<OfferingView> = Vec::new();
        for part in catalog.parts().iter().filter(|part| !part.deleted) {
            for (place, offering) in part.offerings.iter().enumerate() {
                if offering.state == State::Removed {
                    continue;
                }
                let Some(score) = score(part, place) else { continue };
                let plans: Vec<usize> = match tenants {
                    Some(tenants) => offered_to(&catalog, offering, tenants, now),
                    None => (0..offering.plans.len()).collect(),
                };
                if tenants.is_some() && plans.is_empty() {
                    continue;
                }
                let lifecycle = catalog.audience().rules.offerings.get(&offering.id).cloned().unwrap_or_default();
                let stage = lifecycle.at(now);
                found.push(OfferingView { part: Arc::clone(part), place, plans, score, lifecycle, stage });
            }
        }
        found
    }
}

impl App {
    /// Whose offerings somebody sees: those of a tenant that is named and in sight, of their own tenants where they are nothing but members,
    /// and all there are for everybody else (`None`).
    ///
    /// # Errors
    /// [`Error::NotFound`] where the tenant is not theirs to see.
    pub async fn offered_tenants(&self, caller: &Caller, tenant: Option<&str>) -> Result<Option<Vec<String>>, Error> {
        if let Some(name) = tenant {
            let found = self.tenant_by_name(name).await?;
            let sight = access::sight(Permission::SeeTenants, caller)?;
            access::check(&sight, "tenant", name, &access::of_tenant(&found.id))?;
            return Ok(Some(vec![found.id]));
        }
        let Some(person) = caller.person() else { return Ok(None) };
        let member = |role: &Role| matches!(role, Role::TenantOwner | Role::TenantMember);
        if caller.is_administrator() || !person.all_roles().iter().all(member) {
            return Ok(None);
        }
        Ok(Some(person.owns.keys().chain(person.member_of.keys()).cloned().collect()))
    }
}

/// The places of the plans that one of these tenants, by id, may order by name.
fn offered_to(catalog: &Merged, offering: &Offering, tenants: &[String], now: Time) -> Vec<usize> {
    let seen = catalog.audience();
    let platform = seen.reach.everybody.as_deref().unwrap_or_default();
    let may = |plan: &Plan| {
        let order = |tenant| Order { offering: &offering.id, plan: &plan.id, tenant, platform };
        plan.state == State::Available
            && tenants.iter().any(|tenant| seen.rules.refuses(&order(tenant.as_str()), now).is_none())
    };
    if offering.state != State::Available {
        return Vec::new();
    }
    offering.plans.iter().enumerate().filter(|(_, plan)| may(plan)).map(|(place, _)| place).collect()
}
