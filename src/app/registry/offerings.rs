//! What can be ordered, for people: searched by words.

use serde_json::Value;

use crate::app::{App, Error, Listed, Page, access};
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::domain::catalog::{Merged, Offering, Plan, State};
use crate::domain::permission::{Access, Permission, Thing};
use crate::domain::role::Role;
use crate::domain::visibility::{Lifecycle, Order, Stage};

/// Words of one search.
const WORDS_MAX: usize = 16;

/// An offering, whoever's it is.
#[derive(Clone, Debug)]
pub struct OfferingView {
    /// The broker's name.
    pub broker: String,
    /// The offering.
    pub offering: Offering,
    /// How far it has come, as it was said.
    pub lifecycle: Lifecycle,
    /// What that comes to now.
    pub stage: Stage,
}

/// A plan of an offering.
pub type PlanView = Plan;

impl App {
    /// Offerings by name that hold every word of `query` in their names, descriptions, tags or broker's name. Those that
    /// left their catalog are left out; where tenants are named, so is what none of them can order by name; where none are, so are drafts of
    /// brokers that the caller does not see.
    pub fn offerings(&self, caller: &Caller, query: &str, tenants: Option<&[String]>, page: &Page) -> Listed<OfferingView> {
        let words: Vec<_> = query.split_whitespace().take(WORDS_MAX).map(str::to_lowercase).collect();
        let catalog = self.catalog();
        let parts = catalog.parts().iter().filter(|part| !part.deleted);
        let offered = parts.flat_map(|part| part.offerings.iter().map(move |offering| (part, offering)));
        let mut found: Vec<_> = offered
            .filter(|(_, offering)| offering.state != State::Removed)
            .filter(|(part, offering)| matches(&words, &part.broker_name, offering))
            .map(|(part, offering)| (key(offering), part, offering))
            .filter(|(key, ..)| *key > page.after)
            .collect();
        found.sort_by(|left, right| left.0.cmp(&right.0));
        let now = self.clock().now();
        let brokers = Permission::SeeBrokers.sight(caller);
        let sees = |broker_id: &str| {
            let thing = Thing { broker: Some(broker_id), ..Thing::default() };
            brokers.as_ref().is_some_and(|sight| sight.of(&thing) == Access::Allowed)
        };
        let views = found.into_iter().filter_map(|(key, part, offering)| {
            let broker = &part.broker_name;
            let offering = match tenants {
                Some(tenants) => offered_to(&catalog, offering, tenants, now)?,
                None => offering.clone(),
            };
            let lifecycle = catalog.audience().rules.offerings.get(&offering.id).cloned().unwrap_or_default();
            let stage = lifecycle.at(now);
            if stage == Stage::Draft && tenants.is_none() && !sees(&part.broker_id) {
                return None;
            }
            Some((key, OfferingView { broker: broker.clone(), offering, lifecycle, stage }))
        });
        let most = usize::try_from(page.rows()).unwrap_or(usize::MAX);
        page.cut(views.take(most).collect(), |(key, _)| key.clone()).map(|(_, view)| view)
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

/// An offering with the plans that one of these tenants, by id, may order by name; `None` where there is none.
fn offered_to(catalog: &Merged, offering: &Offering, tenants: &[String], now: Time) -> Option<Offering> {
    let seen = catalog.audience();
    let platform = seen.reach.everybody.as_deref().unwrap_or_default();
    let mut offering = offering.clone();
    let id = offering.id.clone();
    offering.plans.retain(|plan| {
        let may = |tenant: &String| {
            let order = Order { offering: &id, plan: &plan.id, tenant, platform };
            seen.rules.refuses(&order, now).is_none()
        };
        plan.state == State::Available && tenants.iter().any(may)
    });
    (!offering.plans.is_empty() && offering.state == State::Available).then_some(offering)
}

/// Names are unique among what can be ordered only.
fn key(offering: &Offering) -> String {
    format!("{} {}", offering.name, offering.id)
}

fn matches(words: &[String], broker: &str, offering: &Offering) -> bool {
    if words.is_empty() {
        return true;
    }
    let mut text = format!("{broker}\n{}", offering.name).to_lowercase();
    let mut add = |value: Option<&Value>| {
        if let Some(value) = value.and_then(Value::as_str) {
            text.push('\n');
            text.push_str(&value.to_lowercase());
        }
    };
    let document = &offering.document;
    for place in ["/description", "/metadata/displayName", "/metadata/longDescription"] {
        add(document.pointer(place));
    }
    for tag in document.get("tags").and_then(Value::as_array).into_iter().flatten() {
        add(Some(tag));
    }
    for plan in &offering.plans {
        for place in ["/name", "/description", "/metadata/displayName"] {
            add(plan.document.pointer(place));
        }
    }
    words.iter().all(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_word_must_be_somewhere_in_any_case() {
        let offering = Offering {
            id: "1".to_owned(),
            backend_id: "1".to_owned(),
            name: "postgres".to_owned(),
            state: State::Available,
            document: json!({"description": "A relational Database", "tags": ["SQL"]}),
            findings: Vec::new(),
            position: 0,
            plans: vec![Plan {
                id: "2".to_owned(),
                backend_id: "2".to_owned(),
                name: "small".to_owned(),
                state: State::Available,
                document: json!({"name": "small", "description": "One core"}),
                position: 0,
            }],
        };
        let found = |query: &str| {
            let words: Vec<_> = query.split_whitespace().map(str::to_lowercase).collect();
            matches(&words, "acme", &offering)
        };
        for query in ["", "POSTGRES", "data relational", "sql acme", "one core small"] {
            assert!(found(query), "{query}");
        }
        for query in ["mysql", "sql mysql"] {
            assert!(!found(query), "{query}");
        }
    }
}
