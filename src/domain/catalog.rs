//! The merged catalog, pure: what one broker offers, read from its own catalog ([`import`]), held against what others offer
//! ([`clash`]), and put together for platforms ([`merged`]).
//!
//! It fetches and stores nothing. Invariant: of a backend's document only ids and names are replaced, and of a plan `metadata.costs`
//! where the price book in force knows it, `maximum_polling_duration` where orders may wait for people ([`wait`]), and `metadata.bourse` where an
//! offering will go ([`views`]) or the platform is a hub; every other field, known or not, stays as it came, numbers in value and scale included. What a platform of a particular kind would choke on is left out only of what that kind of
//! platform gets ([`cloudfoundry`]).

pub mod bridge;
pub mod clash;
pub mod cloudfoundry;
pub mod hubs;
pub mod ids;
pub mod import;
pub mod merged;
pub mod plan;
pub mod prices;
#[cfg(test)]
mod properties;
pub mod schema;
pub mod views;
pub mod wait;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub use merged::{Merged, Part, Prices, Shown};
pub use osb::catalog::{Finding, Severity};
pub use plan::PlanEntry;
pub use views::Seen;
pub use wait::Wait;

/// Whether something of the catalog can be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = CatalogState)]
pub enum State {
    /// In the catalog.
    Available,
    /// Something is wrong with it: not in the catalog, but its instances are served.
    Quarantined,
    /// The broker no longer has it: not in the catalog, but its instances are served.
    Removed,
}

impl State {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Quarantined => "quarantined",
            Self::Removed => "removed",
        }
    }

    /// Reads what [`State::as_str`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Available, Self::Quarantined, Self::Removed].into_iter().find(|state| state.as_str() == text)
    }
}

/// Which ids platforms see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ids {
    /// The hub's own, derived from the broker's name and its ids ([`ids`]).
    #[default]
    Mapped,
    /// The broker's.
    Passthrough,
}

/// An offering as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Offering {
    /// What platforms know it by.
    pub id: String,
    /// What the broker knows it by; empty where it said none.
    pub backend_id: String,
    /// With the broker's prefix.
    pub name: String,
    /// Whether it can be ordered.
    pub state: State,
    /// As the broker gave it, its plans taken out (`"plans":[]` stands in their place).
    pub document: Value,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// Its place in the broker's catalog.
    pub position: i64,
    /// Its plans, those that were removed included.
    pub plans: Vec<Plan>,
}

/// A plan as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What platforms know it by.
    pub id: String,
    /// What the broker knows it by.
    pub backend_id: String,
    /// Its name within the offering.
    pub name: String,
    /// Available or removed.
    pub state: State,
    /// As the broker gave it.
    pub document: Value,
    /// Its place in the offering.
    pub position: i64,
}

/// Whether two states of a broker's offerings are the same, whatever their order.
pub fn same(left: &[Offering], right: &[Offering]) -> bool {
    left.len() == right.len() && left.iter().all(|offering| right.iter().any(|other| same_offering(offering, other)))
}

fn same_offering(left: &Offering, right: &Offering) -> bool {
    left.same_row(right)
        && left.plans.len() == right.plans.len()
        && left.plans.iter().all(|plan| right.plans.contains(plan))
}

impl Offering {
    /// Whether all but the plans is the same.
    pub fn same_row(&self, other: &Self) -> bool {
        let Self { id, backend_id, name, state, document, findings, position, plans: _ } = self;
        other.id == *id
            && other.backend_id == *backend_id
            && other.name == *name
            && other.state == *state
            && other.document == *document
            && other.findings == *findings
            && other.position == *position
    }
}
