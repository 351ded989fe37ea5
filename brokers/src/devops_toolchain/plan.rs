//! The offering and its plans: the ids of the catalog, and what a plan settles for all its toolchains.
//!
//! The catalog (`catalog/devops-toolchain.json`) is what the wire shows; a test here holds the two together. Ids are for ever.

/// The catalog, as it stands on the wire.
pub const CATALOG: &str = include_str!("../../../catalog/devops-toolchain.json");

/// The offering `devops-toolchain`.
pub const SERVICE_ID: &str = "041a2412-78ad-4a8f-9e54-7b17dc00f9f9";

/// A plan: whether branch rules are the owner's choice or the plan's.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// The id in the catalog.
    pub id: &'static str,
    /// The name in the catalog.
    pub name: &'static str,
    /// Whether the default branch is for maintainers only, linear and never rewritten, whatever was asked for.
    pub regulated: bool,
}

/// All plans.
pub const PLANS: [Plan; 2] = [
    Plan { id: "51102466-a02f-4bfd-a1cf-19b371f12d29", name: "basic", regulated: false },
    Plan { id: "fb2f635c-05b3-4b92-ac03-3f73649e018f", name: "regulated", regulated: true },
];

impl Plan {
    /// The plan with that id.
    pub fn by_id(id: &str) -> Option<&'static Self> {
        PLANS.iter().find(|plan| plan.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_and_the_code_know_the_same_ids() {
        let catalog: osb::Catalog = serde_json::from_str(CATALOG).unwrap();
        let offering = catalog.offerings().next().unwrap().unwrap();
        assert_eq!(offering.id, SERVICE_ID);
        let known: Vec<_> = PLANS.iter().map(|plan| (plan.id, plan.name)).collect();
        let listed: Vec<_> = offering.plans.iter().map(|plan| (plan.id.as_str(), plan.name.as_str())).collect();
        assert_eq!(listed, known);
        assert!(Plan::by_id("elsewhere").is_none());
    }
}
