//! Who may order which service plan: what is said of a plan ([`Audience`]), how far an offering has come ([`Lifecycle`]), and what follows
//! from both for one order ([`Rules::refuses`]) and for what a platform sees ([`Rules::shows`]).
//!
//! It says nothing about instances that stand: those are served whatever becomes of their plan. Invariant: what no platform shows to
//! anybody nobody can order from it, and what a tenant can order from a platform is in that platform's catalog.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Time;

/// Tenants, and platforms, in one list.
pub const LIST_MAX: usize = 1000;

/// Who may order a plan that not everybody may. Both lists non-empty: both must match; both empty: nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// By id.
    pub tenants: BTreeSet<String>,
    /// By id.
    pub platforms: BTreeSet<String>,
}

/// How far a service offering has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Not yet for everybody: pilot tenants only.
    Draft,
    /// For whoever its plans are visible to.
    #[default]
    Published,
    /// As published, but it will go.
    Deprecated,
    /// Nobody orders it any more. Its instances are served.
    Retired,
}

impl Stage {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Deprecated => "deprecated",
            Self::Retired => "retired",
        }
    }

    /// Reads what [`Stage::as_str`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Draft, Self::Published, Self::Deprecated, Self::Retired].into_iter().find(|stage| stage.as_str() == text)
    }
}

/// What is said of a service offering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// How far it has come; a sunset may make more of it.
    pub stage: Stage,
    /// When a deprecated one is retired by itself.
    pub sunset: Option<Time>,
    /// The name of the offering that takes its place.
    pub successor: Option<String>,
    /// Tenants that may order a draft, by id.
    pub pilots: BTreeSet<String>,
}

impl Lifecycle {
    /// How far it has come at a time.
    pub fn at(&self, now: Time) -> Stage {
        match (self.stage, self.sunset) {
            (Stage::Deprecated, Some(sunset)) if sunset <= now => Stage::Retired,
            (stage, _) => stage,
        }
    }
}

/// An order, as visibility looks at it. All by id.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The offering.
    pub offering: &'a str,
    /// The plan from then on.
    pub plan: &'a str,
    /// Whom it is for.
    pub tenant: &'a str,
    /// Where it comes from.
    pub platform: &'a str,
}

/// Why an order is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// The offering is a draft, and the tenant none of its pilots.
    Draft,
    /// The offering is retired.
    Retired,
    /// The plan is not for this tenant, or not on this platform.
    Restricted,
}

/// Which tenants can order from which platforms: by identities, by a default tenant, or by name.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// (platform, tenant), by id. Only tenants that [`Rules`] name have to be there.
    pub pairs: HashSet<(String, String)>,
    /// The built-in platform's id: everybody can order there by name.
    pub everybody: Option<String>,
}

impl Reach {
    fn any_of<'a>(&self, platform: &str, mut tenants: impl Iterator<Item = &'a String>) -> bool {
        if self.everybody.as_deref() == Some(platform) {
            return tenants.next().is_some();
        }
        tenants.any(|tenant| self.pairs.contains(&(platform.to_owned(), tenant.clone())))
    }
}

/// All that is said of plans and offerings. Of a plan without an entry everybody may order; an offering without one is published.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// By the plan's id.
    pub plans: HashMap<String, Audience>,
    /// By the offering's id.
    pub offerings: HashMap<String, Lifecycle>,
}

impl Rules {
    /// Why an order is refused, if it is.
    pub fn refuses(&self, order: &Order<'_>, now: Time) -> Option<Hidden> {
        if let Some(lifecycle) = self.offerings.get(order.offering) {
            match lifecycle.at(now) {
                Stage::Retired => return Some(Hidden::Retired),
                Stage::Draft if !lifecycle.pilots.contains(order.tenant) => return Some(Hidden::Draft),
                Stage::Draft | Stage::Published | Stage::Deprecated => {}
            }
        }
        let Audience { tenants, platforms } = self.plans.get(order.plan)?;
        let here = platforms.is_empty() || platforms.contains(order.platform);
        let theirs = tenants.is_empty() || tenants.contains(order.tenant);
        let nobody = tenants.is_empty() && platforms.is_empty();
        (nobody || !here || !theirs).then_some(Hidden::Restricted)
    }

    /// Whether a plan is in the catalog of a platform: somebody may order it who can order from there.
    pub fn shows(&self, offering: &str, plan: &str, platform: &str, reach: &Reach, now: Time) -> bool {
        let lifecycle = self.offerings.get(offering);
        let pilots = match lifecycle.map(|lifecycle| (lifecycle, lifecycle.at(now))) {
            Some((_, Stage::Retired)) => return false,
            Some((lifecycle, Stage::Draft)) => Some(&lifecycle.pilots),
            Some((_, Stage::Published | Stage::Deprecated)) | None => None,
        };
        let named = match self.plans.get(plan) {
            Some(Audience { tenants, platforms }) => {
                if tenants.is_empty() && platforms.is_empty() {
                    return false;
                }
                if !platforms.is_empty() && !platforms.contains(platform) {
                    return false;
                }
                Some(tenants).filter(|tenants| !tenants.is_empty())
            }
            None => None,
        };
        match (pilots, named) {
            (None, None) => true,
            (Some(only), None) | (None, Some(only)) => reach.any_of(platform, only.iter()),
            (Some(pilots), Some(named)) => reach.any_of(platform, pilots.intersection(named)),
        }
    }

    /// When time alone changes who sees what the next time.
    pub fn next_change(&self, now: Time) -> Option<Time> {
        let deprecated = self.offerings.values().filter(|lifecycle| lifecycle.stage == Stage::Deprecated);
        deprecated.filter_map(|lifecycle| lifecycle.sunset).filter(|sunset| *sunset > now).min()
    }

    /// Whether everybody sees everything.
    pub fn hides_nothing(&self) -> bool {
        self.plans.is_empty()
            && self.offerings.values().all(|lifecycle| {
                lifecycle.sunset.is_none() && matches!(lifecycle.stage, Stage::Published | Stage::Deprecated)
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|id| (*id).to_owned()).collect()
    }

    fn rules(tenants: &[&str], platforms: &[&str]) -> Rules {
        let audience = Audience { tenants: ids(tenants), platforms: ids(platforms) };
        Rules { plans: HashMap::from([("plan".to_owned(), audience)]), offerings: HashMap::new() }
    }

    fn staged(lifecycle: Lifecycle) -> Rules {
        Rules { plans: HashMap::new(), offerings: HashMap::from([("offering".to_owned(), lifecycle)]) }
    }

    #[track_caller]
    fn check(rules: &Rules, tenant: &str, platform: &str, expected: Option<Hidden>) {
        let order = Order { offering: "offering", plan: "plan", tenant, platform };
        assert_eq!(rules.refuses(&order, Time(10)), expected, "{tenant} on {platform}");
    }

    #[test]
    fn lists_that_are_not_empty_must_both_match_and_two_empty_ones_let_nobody_through() {
        let no = Some(Hidden::Restricted);
        check(&Rules::default(), "t", "p", None);
        check(&rules(&["t"], &[]), "t", "any", None);
        check(&rules(&["t"], &[]), "u", "any", no);
        check(&rules(&[], &["p"]), "any", "p", None);
        check(&rules(&[], &["p"]), "any", "q", no);
        check(&rules(&["t"], &["p"]), "t", "p", None);
        check(&rules(&["t"], &["p"]), "t", "q", no);
        check(&rules(&["t"], &["p"]), "u", "p", no);
        check(&rules(&[], &[]), "t", "p", no);
    }

    #[test]
    fn a_draft_is_for_its_pilots_and_a_sunset_retires_by_itself() {
        let draft = Lifecycle { stage: Stage::Draft, pilots: ids(&["t"]), ..Lifecycle::default() };
        check(&staged(draft.clone()), "t", "p", None);
        check(&staged(draft), "u", "p", Some(Hidden::Draft));
        let until = |sunset| Lifecycle { stage: Stage::Deprecated, sunset: Some(Time(sunset)), ..Lifecycle::default() };
        check(&staged(until(11)), "t", "p", None);
        check(&staged(until(10)), "t", "p", Some(Hidden::Retired));
        assert_eq!(staged(until(11)).next_change(Time(10)), Some(Time(11)));
        assert_eq!(staged(until(10)).next_change(Time(10)), None);
    }

    /// An independent model: it says who may order what by trying everybody, with plain lists.
    struct Model {
        access: Option<(Vec<u8>, Vec<u8>)>,
        draft_for: Option<Vec<u8>>,
        retired: bool,
        reaches: Vec<(u8, u8)>,
    }

    impl Model {
        fn orders(&self, tenant: u8, platform: u8) -> bool {
            let listed = match &self.access {
                None => true,
                Some((tenants, platforms)) => match (tenants.len(), platforms.len()) {
                    (0, 0) => false,
                    (_, 0) => tenants.contains(&tenant),
                    (0, _) => platforms.contains(&platform),
                    _ => tenants.contains(&tenant) && platforms.contains(&platform),
                },
            };
            listed && !self.retired && self.draft_for.as_ref().is_none_or(|pilots| pilots.contains(&tenant))
        }

        /// A platform shows what one of the tenants that can order there may order; and what any tenant, known or to come, may.
        fn shows(&self, platform: u8) -> bool {
            let stranger = u8::MAX;
            self.orders(stranger, platform)
                || self.reaches.iter().any(|(p, tenant)| *p == platform && self.orders(*tenant, platform))
        }
    }

    fn few() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0..4_u8, 0..4)
    }

    proptest! {
        #[test]
        fn orders_and_catalogs_agree_with_the_model(
            access in proptest::option::of((few(), few())),
            draft_for in proptest::option::of(few()),
            sunset in proptest::option::of(5..15_i64),
            reaches in proptest::collection::vec((0..4_u8, 0..4_u8), 0..8),
        ) {
            let text = |list: &[u8]| list.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
            let mut rules = Rules::default();
            if let Some((tenants, platforms)) = &access {
                let audience = Audience { tenants: text(tenants), platforms: text(platforms) };
                rules.plans.insert("plan".to_owned(), audience);
            }
            let retired = draft_for.is_none() && sunset.is_some_and(|sunset| sunset <= 10);
            let stage = match (&draft_for, sunset) {
                (Some(_), _) => Stage::Draft,
                (None, Some(_)) => Stage::Deprecated,
                (None, None) => Stage::Published,
            };
            let pilots = text(draft_for.as_deref().unwrap_or_default());
            let sunset = sunset.map(Time);
            let lifecycle = Lifecycle { stage, sunset, successor: None, pilots };
            rules.offerings.insert("offering".to_owned(), lifecycle);
            let pairs = reaches.iter().map(|(p, t)| (p.to_string(), t.to_string())).collect();
            let reach = Reach { pairs, everybody: None };
            let model = Model { access, draft_for, retired, reaches };
            for platform in 0..4_u8 {
                let p = platform.to_string();
                for tenant in 0..4_u8 {
                    let t = tenant.to_string();
                    let order = Order { offering: "offering", plan: "plan", tenant: &t, platform: &p };
                    prop_assert_eq!(rules.refuses(&order, Time(10)).is_none(), model.orders(tenant, platform));
                }
                prop_assert_eq!(rules.shows("offering", "plan", &p, &reach, Time(10)), model.shows(platform));
            }
            if rules.hides_nothing() {
                prop_assert!((0..4).all(|p| (0..4).all(|t| model.orders(t, p))));
            }
        }
    }
}
