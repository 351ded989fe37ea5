//! The offering and its plans: the ids of the catalog, and the prefix lengths that each plan allows.
//!
//! The catalog (`catalog/vnet-ipam.json`) is what the wire shows; a test here holds the two together. Ids are for ever.

use std::ops::RangeInclusive;

use super::prefix::Version;

/// The catalog, as it stands on the wire.
pub const CATALOG: &str = include_str!("../../../catalog/vnet-ipam.json");

/// The offering `virtual-network`.
pub const SERVICE_ID: &str = "a32f7a1f-a032-4691-bde4-2c99a115f1c4";

/// A plan: how large its networks may be.
#[derive(Debug)]
pub struct Plan {
    /// The id in the catalog.
    pub id: &'static str,
    /// The name in the catalog.
    pub name: &'static str,
    v4: Lengths,
    v6: Lengths,
}

/// The prefix lengths of one version.
#[derive(Debug)]
pub struct Lengths {
    /// What a network gets that asks for none.
    pub default: u8,
    /// What may be asked for.
    pub allowed: RangeInclusive<u8>,
}

/// All plans.
pub const PLANS: [Plan; 3] = [
    Plan {
        id: "fa20311c-cfc4-4626-8f69-20e8f3ae8eef",
        name: "small",
        v4: Lengths { default: 28, allowed: 26..=29 },
        v6: Lengths { default: 64, allowed: 61..=64 },
    },
    Plan {
        id: "a3b5eda4-3181-434b-af62-75116953a81d",
        name: "medium",
        v4: Lengths { default: 24, allowed: 22..=28 },
        v6: Lengths { default: 60, allowed: 57..=64 },
    },
    Plan {
        id: "fc61709c-f4d5-4b4a-89e7-70c14d90f3e7",
        name: "large",
        v4: Lengths { default: 20, allowed: 16..=24 },
        v6: Lengths { default: 56, allowed: 52..=64 },
    },
];

impl Plan {
    /// The plan with that id.
    pub fn by_id(id: &str) -> Option<&'static Self> {
        PLANS.iter().find(|plan| plan.id == id)
    }

    /// The lengths that it allows in a version.
    pub fn lengths(&self, version: Version) -> &Lengths {
        match version {
            Version::V4 => &self.v4,
            Version::V6 => &self.v6,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_catalog_says_what_the_plans_do() {
        let catalog: osb::Catalog = serde_json::from_str(CATALOG).unwrap();
        let offerings: Vec<_> = catalog.offerings().map(Result::unwrap).collect();
        let [offering] = offerings.as_slice() else { panic!("one offering") };
        assert_eq!((offering.id.as_str(), offering.plans.len()), (SERVICE_ID, PLANS.len()));
        for plan in &PLANS {
            let shown = offering.plan(plan.id).unwrap();
            assert_eq!(shown.name, plan.name);
            let length = &shown.create_schema().unwrap()["properties"]["prefix_length"];
            assert_eq!(length["default"], Value::from(plan.v4.default));
            for (at, lengths) in [&plan.v4, &plan.v6].into_iter().enumerate() {
                assert!(lengths.allowed.contains(&lengths.default));
                assert_eq!(length["anyOf"][at]["minimum"], Value::from(*lengths.allowed.start()));
                assert_eq!(length["anyOf"][at]["maximum"], Value::from(*lengths.allowed.end()));
            }
        }
    }
}
