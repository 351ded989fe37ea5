//! What each platform sees of the merged catalog: platforms that see the same share one set of documents, rendered once.
//!
//! It decides nothing itself ([`crate::domain::visibility`] does). Where everybody sees everything there are no views at all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Part;
use super::hubs::taken;
use super::merged::Documents;
use crate::clock::Time;
use crate::domain::platform::PlatformKind;
use crate::domain::visibility::{Lifecycle, Reach, Rules, Stage};

/// Who may see what, as it was at one count of its changes.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The count that orders read.
    pub count: i64,
    /// What is said of plans and offerings.
    pub rules: Arc<Rules>,
    /// Which tenants can order from where.
    pub reach: Arc<Reach>,
    /// All platforms, by id.
    pub platforms: Arc<[(String, PlatformKind)]>,
}

/// The views of all platforms.
#[derive(Debug, Default)]
pub(super) struct Views {
    /// By the platform's id: its place in `list`.
    of: HashMap<String, usize>,
    list: Vec<View>,
}

/// What some platforms see.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The ids of the plans that they don't.
    pub(super) hidden: BTreeSet<String>,
    pub(super) whole: Documents,
    /// By broker.
    pub(super) brokers: HashMap<String, Documents>,
}

impl Views {
    /// Sorts platforms by what they see. The first view is that of a platform that is not known yet.
    pub(super) fn new<'a>(parts: &[Arc<Part>], seen: &'a Seen, now: Time) -> Self {
        if seen.rules.hides_nothing() {
            return Self::default();
        }
        let concerned: Vec<(&str, &str)> = parts
            .iter()
            .flat_map(|part| &part.offerings)
            .flat_map(|offering| offering.plans.iter().map(move |plan| (offering.id.as_str(), plan.id.as_str())))
            .filter(|(offering, plan)| {
                seen.rules.plans.contains_key(*plan) || seen.rules.offerings.contains_key(*offering)
            })
            .collect();
        let hidden = |platform: &str| -> BTreeSet<String> {
            let shown = |offering: &str, plan: &str| seen.rules.shows(offering, plan, platform, &seen.reach, now);
            concerned.iter().filter(|(o, p)| !shown(o, p)).map(|(_, plan)| (*plan).to_owned()).collect()
        };
        let brokers = || parts.iter().map(|part| (part.broker_name.clone(), Documents::default())).collect();
        let mut views = Self::default();
        let mut places: BTreeMap<BTreeSet<String>, usize> = BTreeMap::new();
        let known: &'a [(String, PlatformKind)] = &seen.platforms;
        for platform in std::iter::once("").chain(known.iter().map(|(id, _)| id.as_str())) {
            let hidden = hidden(platform);
            let place = *places.entry(hidden.clone()).or_insert(views.list.len());
            if place == views.list.len() {
                views.list.push(View { hidden, whole: Documents::default(), brokers: brokers() });
            }
            views.of.insert(platform.to_owned(), place);
        }
        views
    }

    /// Whether everybody sees everything.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What a platform sees; `None` where it is everything.
    pub(super) fn of(&self, platform: &str) -> Option<&View> {
        self.list.get(self.of.get(platform).copied().unwrap_or(0))
    }
}

/// Says of a rendered offering that it will go, and what takes its place.
pub(super) fn mark(fields: &mut Map<String, Value>, lifecycle: Option<&Lifecycle>, now: Time) {
    let Some(lifecycle) = lifecycle.filter(|lifecycle| lifecycle.at(now) == Stage::Deprecated) else { return };
    let mut told = json!({ "state": Stage::Deprecated });
    if let Some(sunset) = lifecycle.sunset {
        told["sunset"] = json!(sunset);
    }
    if let Some(successor) = &lifecycle.successor {
        told["successor"] = json!(successor);
    }
    let mut metadata = taken(fields.get_mut("metadata"));
    let mut own = taken(metadata.get_mut("bourse"));
    own.insert("lifecycle".to_owned(), told);
    metadata.insert("bourse".to_owned(), own.into());
    fields.insert("metadata".to_owned(), metadata.into());
}
